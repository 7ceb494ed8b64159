"""Densities of laws: freealg against ours, from the parameters to 1,000 points of the curve."""

import numpy as np

from helpers import laws

from .case import Case, relative
from .environments import Peer
from .timing import Side, Timed

POINTS = 1000
RATIO = 2 / 3
JUMPS, WEIGHTS = (1.0, 5.0), (0.5, 0.5)  # a population of two values


def marchenko_pastur() -> tuple[Side, Side]:
    x = np.linspace(0.01, 3.5, POINTS)
    return Peer("freealg", "density", x=x, ratio=RATIO), Timed(lambda: laws.marchenko_pastur(RATIO).density(x))


def two_values() -> tuple[Side, Side]:
    """The sample covariance of a population of two values; freealg's law is that of its N x N companion."""
    x = np.linspace(0.05, 16, POINTS)
    peer = Peer("freealg", "density", x=x, ratio=RATIO, jumps=JUMPS, weights=WEIGHTS)
    return peer, Timed(lambda: RATIO * laws.sample_covariance_law(JUMPS, RATIO).density(x))


def cases() -> list[Case]:
    made = {"Marchenko-Pastur": marchenko_pastur, "population of two values": two_values}
    return [
        Case("peers", f"law, {name}", POINTS, "freealg", "helpers", make, 6, relative) for name, make in made.items()
    ]
