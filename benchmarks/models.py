"""One pass over all layers of a model: WeightWatcher against a record of our monitor."""

import contextlib
import io
import logging
from collections.abc import Callable

from torch import nn

from helpers import encoders, networks
from helpers.monitor import SpectralMonitor
from helpers.spectra.values import SMALLEST

from .case import Case, relative
from .timing import Side, Timed

Exponents = dict[str, float]  # of the tails, by the name of the matrix


def monitored(net: nn.Module) -> Side:
    monitor = SpectralMonitor(net)

    def exponents() -> Exponents:
        table = monitor.record()
        return dict(zip(table.name, table.alpha, strict=True))

    return Timed(exponents)


def watched(net: nn.Module) -> Side:
    with _quiet():
        from weightwatcher import WeightWatcher

        watcher = WeightWatcher(model=net, log_level=logging.ERROR)

    def exponents() -> Exponents:
        with _quiet():
            table = watcher.analyze(min_evals=SMALLEST)
        return dict(zip(table.longname + ".weight", table.alpha, strict=True))

    return Timed(exponents)


@contextlib.contextmanager
def _quiet():
    """Keep what WeightWatcher prints out of the table."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def perceptron() -> nn.Module:
    return networks.mlp(1000, 1, width=1000, depth=4)


def pair(net: nn.Module) -> tuple[Side, Side]:
    return watched(net), monitored(net)


def difference(peer: Exponents, ours: Exponents) -> float:
    """Largest relative difference of an exponent over the matrices of the peer; KeyError if we lack one of them."""
    return max(relative(alpha, ours[name]) for name, alpha in peer.items())


def cases() -> list[Case]:
    def case(name: str, n: int, net: Callable[[], nn.Module]) -> Case:
        return Case(
            "peers", f"whole model, {name}", n, "WeightWatcher", "helpers", lambda: pair(net()), 4, difference, 3.0
        )

    return [case("4 layers of 1000", 1000, perceptron), case("MiniLM", 384, encoders.minilm)]
