"""Power-law tails: the package `powerlaw` against ours."""

import math

import numpy as np
import torch

from helpers import spectra

from .case import Case, relative
from .timing import Side, Timed


def pareto(n: int) -> np.ndarray:
    """(n,) draws whose density falls as x^-2.5."""
    return np.random.default_rng(0).pareto(1.5, n) + 1


def bulk(n: int) -> np.ndarray:
    """(n,) eigenvalues of a Marchenko-Pastur bulk, where no tail is heavy."""
    w = torch.randn(3 * n // 2, n, generator=torch.Generator().manual_seed(0))
    return (torch.linalg.svdvals(w) / math.sqrt(len(w))).square().double().numpy()


def pair(sample: np.ndarray) -> tuple[Side, Side]:
    """Both give the exponent and the start of the tail."""
    import powerlaw

    def peer() -> tuple[float, float]:
        fit = powerlaw.Fit(sample, verbose=False)
        return fit.power_law.alpha, fit.xmin

    def ours() -> tuple[float, float]:
        fit = spectra.fit_power_law(sample, max_alpha=3)  # the bound of the other
        return fit.alpha, fit.xmin

    return Timed(peer), Timed(ours)


def cases(n: int = 2000) -> list[Case]:
    samples = {"Pareto 2.5": pareto, "Marchenko-Pastur": bulk}
    return [
        Case("peers", f"tail, {name}", n, "powerlaw", "helpers", lambda s=s: pair(s(n)), 6, relative, 15.0)
        for name, s in samples.items()
    ]
