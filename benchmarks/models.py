"""One pass over all layers of a model: WeightWatcher against a record of our monitor."""

import contextlib
import io
import logging
from collections.abc import Callable

import numpy as np
from torch import nn

from helpers import encoders, networks
from helpers.monitor import SpectralMonitor
from helpers.spectra import fit_power_law
from helpers.spectra.values import SMALLEST

from .case import Case, relative
from .timing import Side, Timed

Tails = dict[str, tuple[float, int]]  # exponent and number of values of a tail, by the name of the matrix
Spectra = dict[str, np.ndarray]  # eigenvalues of W'W, descending


def monitored(net: nn.Module) -> Side:
    monitor = SpectralMonitor(net)

    def spectra() -> Spectra:
        return {name: monitor.values(name).iloc[-1].to_numpy() ** 2 for name in monitor.record().name}

    return Timed(spectra)


def watched(net: nn.Module) -> Side:
    with _quiet():
        from weightwatcher import WeightWatcher

        watcher = WeightWatcher(model=net, log_level=logging.ERROR)

    def tails() -> Tails:
        with _quiet():
            table = watcher.analyze(min_evals=SMALLEST)
        found = zip(table.alpha, table.num_pl_spikes.astype(int), strict=True)
        return dict(zip(table.longname + ".weight", found, strict=True))

    return Timed(tails)


@contextlib.contextmanager
def _quiet():
    """Keep what WeightWatcher prints out of the table."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def perceptron() -> nn.Module:
    return networks.mlp(1000, 1, width=1000, depth=4)


def pair(net: nn.Module) -> tuple[Side, Side]:
    return watched(net), monitored(net)


def difference(peer: Tails, ours: Spectra) -> float:
    """Largest relative difference of an exponent, for the tails of the peer; KeyError if we lack one of the matrices.

    Of its own our fit begins the tail elsewhere, as its distance is two-sided.
    """
    return max(
        relative(alpha, fit_power_law(ours[name], xmin=float(ours[name][size - 1])).alpha)
        for name, (alpha, size) in peer.items()
    )


def cases() -> list[Case]:
    def case(name: str, n: int, net: Callable[[], nn.Module]) -> Case:
        return Case(
            "peers", f"whole model, {name}", n, "WeightWatcher", "helpers", lambda: pair(net()), 4, difference, 3.0
        )

    return [case("4 layers of 1000", 1000, perceptron), case("MiniLM", 384, encoders.minilm)]
