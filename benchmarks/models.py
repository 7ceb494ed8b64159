"""One pass over all layers of a model: WeightWatcher against ours."""

import contextlib
import io
import logging
import math

from torch import nn

from helpers import encoders, laws, networks, spectra

from .case import Case, relative
from .timing import Side, Timed

FEWEST = 20  # singular values that a tail can be fitted to


def analyse(net: nn.Module) -> dict[str, tuple[float, int]]:
    """For every matrix, the exponent of the tail of its eigenvalues and how many lie beyond Marchenko-Pastur."""
    found = {}
    for name, weight in spectra.weight_matrices(net).items():
        if min(weight.shape) < FEWEST:
            continue
        values = spectra.singular_values(weight).square() / max(weight.shape)
        law = laws.marchenko_pastur(min(weight.shape) / max(weight.shape), float(weight.double().square().mean()))
        fit = spectra.fit_power_law(values, max_alpha=math.inf)
        found[name] = fit.alpha, int((values > law.support[-1][1]).sum())
    return found


def weight_watcher(net: nn.Module) -> Side:
    with quiet():
        from weightwatcher import WeightWatcher

        watcher = WeightWatcher(model=net, log_level=logging.ERROR)

    def analysed() -> dict[str, float]:
        with quiet():
            table = watcher.analyze(min_evals=FEWEST)
        return dict(zip(table.longname + ".weight", table.alpha))

    return Timed(analysed)


def quiet() -> contextlib.ExitStack:
    """Keep what WeightWatcher prints out of the table."""
    stack = contextlib.ExitStack()
    stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
    stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
    return stack


def perceptron() -> nn.Module:
    return networks.mlp(1000, 1, width=1000, depth=4)


def transformer() -> nn.Module:
    return encoders.minilm()


def pair(net: nn.Module) -> tuple[Side, Side]:
    return weight_watcher(net), Timed(lambda: analyse(net))


def exponents(watched: dict[str, float], found: dict[str, tuple[float, int]]) -> float:
    """Largest relative difference of an exponent; ValueError where the two looked at different matrices."""
    if watched.keys() != found.keys():
        raise ValueError(f"watched: got {sorted(watched)}, expected {sorted(found)}")
    return max(relative(watched[name], found[name][0]) for name in found)


def cases() -> list[Case]:
    def case(name: str, n: int, net) -> Case:
        return Case(
            "peers", f"whole model, {name}", n, "WeightWatcher", "helpers", lambda: pair(net()), 4, exponents, 3.0
        )

    return [case("4 layers of 1000", 1000, perceptron), case("MiniLM, 38 matrices", 384, transformer)]
