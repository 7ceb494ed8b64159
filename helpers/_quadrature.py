"""Gauss quadrature by Lanczos, and the smooth distribution between its nodes."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import LinearOperator


class Quadrature(NamedTuple):
    """Gauss quadrature for the spectral measure of one probe: ascending nodes, weights, and bounds on their errors."""

    nodes: np.ndarray
    weights: np.ndarray
    errors: np.ndarray


def quadrature(operator: LinearOperator, start: np.ndarray, steps: int) -> Quadrature:
    """`steps` steps of Lanczos from `start`, with every vector orthogonalized twice against all before it."""
    basis = np.empty((steps, len(start)))
    diagonal, beside = np.empty(steps), np.empty(steps)
    vector, scale = start / np.linalg.norm(start), 0.0
    for j in range(steps):
        basis[j] = vector
        vector = operator.matvec(vector)
        diagonal[j] = vector @ basis[j]
        for _ in range(2):
            vector -= basis[: j + 1].T @ (basis[: j + 1] @ vector)
        beside[j] = np.linalg.norm(vector)
        scale = max(scale, abs(diagonal[j]), beside[j])
        if beside[j] <= 1e-6 * scale:  # nothing new but rounding
            steps = j + 1
            break
        vector = vector / beside[j]
    nodes, vectors = eigh_tridiagonal(diagonal[:steps], beside[: steps - 1])
    return Quadrature(nodes, vectors[0] ** 2, beside[steps - 1] * np.abs(vectors[-1]))


class _Staircase:
    """The cdf of one probe between its nodes: monotone and smooth through the middle of each step."""

    def __init__(self, nodes: np.ndarray, weights: np.ndarray) -> None:
        gaps = np.diff(nodes)[[0, -1]] / 3  # from the last node to a square-root edge
        places = np.concatenate([[nodes[0] - gaps[0]], nodes, [nodes[-1] + gaps[1]]])
        mass = np.concatenate([[0.0], np.cumsum(weights) - weights / 2, [weights.sum()]])
        self.lo, self.hi = places[0], places[-1]
        self.cdf = PchipInterpolator(places, mass)
        self.density = self.cdf.derivative()


@dataclass(frozen=True, eq=False)
class LanczosBand:
    """A band of a `laws.Law` from quadratures, averaged over the probes.

    Attributes
    ----------
    quadratures : nodes and weights, each (m,), of every probe; the weights of all of them sum to the mass of the band.
    """

    quadratures: tuple[tuple[np.ndarray, np.ndarray], ...]

    @cached_property
    def _parts(self) -> list[_Staircase]:
        return [_Staircase(*pair) for pair in self.quadratures]

    @property
    def lo(self) -> float:
        return float(min(part.lo for part in self._parts))

    @property
    def hi(self) -> float:
        return float(max(part.hi for part in self._parts))

    def density(self, x: np.ndarray) -> np.ndarray:
        """Density at x (m,)."""
        inside = [
            np.where((part.lo < x) & (x < part.hi), part.density(np.clip(x, part.lo, part.hi)), 0)
            for part in self._parts
        ]
        return np.sum(inside, axis=0)

    def mass_below(self, x: np.ndarray) -> np.ndarray:
        """Mass of [lo, x] at x (m,)."""
        return np.sum([part.cdf(np.clip(x, part.lo, part.hi)) for part in self._parts], axis=0)

    def nodes(self, points: int) -> tuple[np.ndarray, np.ndarray]:
        """The nodes and weights of all probes, whatever `points`: no other ones are as good."""
        nodes, weights = (np.concatenate(column) for column in zip(*self.quadratures, strict=True))
        return nodes, weights
