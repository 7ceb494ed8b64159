"""Populations: laws of the eigenvalues phi >= 0 of Phi, known through int phi / (w - phi) and its derivative.

`spectrum` in `free_convolution` asks of a population: `lowest` and `highest`, the ends of its support above 0;
`zero`, its mass at 0; `atoms`, those above 0; `gaps`, `mass_below` and `transforms`, described below; and
`most_nodes`, how fine a grid its cost allows.
"""

import itertools
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class MarchenkoPasturPopulation:
    """phi = offset + slope mu with mu Marchenko-Pastur of this ratio, its atom included (slope > 0)."""

    ratio: float
    offset: float
    slope: float

    most_nodes = 8192  # of a band; each costs little here

    @property
    def _bulk(self) -> tuple[float, float]:
        low, high = (self.offset + self.slope * (1 + sign * self.ratio**0.5) ** 2 for sign in (-1, 1))
        return low, high

    @property
    def zero(self) -> float:
        """Mass at phi = 0."""
        return max(0.0, 1 - 1 / self.ratio) if self.offset == 0 else 0.0

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Atoms at phi > 0, as (value, mass)."""
        return ((self.offset, 1 - 1 / self.ratio),) if self.offset > 0 and self.ratio > 1 else ()

    @property
    def lowest(self) -> float:
        """Bottom of the positive part of the support."""
        return self.atoms[0][0] if self.atoms else self._bulk[0]

    @property
    def highest(self) -> float:
        """Top of the support."""
        return self._bulk[1]

    def gaps(self, gamma: float, r: float) -> list[tuple[float, float]]:
        """Bounded gaps (lo, hi) of the population in which the spectrum may have a gap."""
        return [(self.offset, self._bulk[0])] if self.atoms else []

    def mass_below(self, w: float) -> float:
        """nu{phi < w} for w > 0 outside the support."""
        if w >= self.highest:
            return 1.0
        return self.zero + sum(mass for value, mass in self.atoms if value < w)

    def transforms(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int phi / (w - phi) dnu and int phi / (w - phi)^2 dnu at the points w, each of w's shape."""
        c = self.ratio
        zeta = (w - self.offset) / self.slope + 0j
        root = np.sqrt(zeta - (1 - c**0.5) ** 2) * np.sqrt(zeta - (1 + c**0.5) ** 2)
        a = zeta + c - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            stable = np.abs(a + root) >= np.abs(a - root)
            g = np.where(stable, 2 / (a + root), (a - root) / (2 * c * zeta)) / self.slope
            slope = -g * (1 - c * self.slope * g) / root / self.slope
            return w * g - 1, -g - w * slope


@dataclass(frozen=True, eq=False)
class DiscretePopulation:
    """phi takes `values` (ascending, positive) with `weights`; mass `zero` sits at 0.

    `bulks`: the intervals that the values stand for when they are quadrature nodes of a smooth law
    (no gap is looked for inside them); None when they are eigenvalues, each an atom of its own.
    """

    values: np.ndarray
    weights: np.ndarray
    zero: float
    atoms: tuple[tuple[float, float], ...]
    bulks: tuple[tuple[float, float], ...] | None = None

    most_nodes = 2048  # of a band; each costs len(values) here

    @property
    def lowest(self) -> float:
        return self.values[0] if self.bulks is None else self.bulks[0][0]

    @property
    def highest(self) -> float:
        return self.values[-1] if self.bulks is None else self.bulks[-1][1]

    def mass_below(self, w: float) -> float:
        return self.zero + self.weights[self.values < w].sum()

    def transforms(self, w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        power = self.weights * self.values
        first, second = np.empty(w.shape, w.dtype), np.empty(w.shape, w.dtype)
        block = max(1, 500_000 // len(power))
        for i in range(0, len(w), block):
            inverse = 1 / (w[i : i + block, None] - self.values)
            first[i : i + block] = inverse @ power
            second[i : i + block] = np.square(inverse, out=inverse) @ power
        return first, second

    def gaps(self, gamma: float, r: float) -> list[tuple[float, float]]:
        if self.bulks is not None:
            return [(a[1], b[0]) for a, b in itertools.pairwise(self.bulks)]
        # The two neighbors alone push the left side of the edge inequality above `near`^2, and its right
        # side is at most (1 + r + |u|)^2: gaps where this already forbids a solution are dropped.
        values, weights = self.values, self.weights
        lo, hi = values[:-1], values[1:]
        pull = gamma * weights * values**2
        near = (np.cbrt(pull[:-1]) + np.cbrt(pull[1:])) ** 1.5 / (hi - lo)
        if r == 0:
            keep = near < 1
        else:
            far = np.array([self._one_sided(i) for i in range(len(lo))]) * gamma
            share = np.sqrt(gamma * np.maximum(weights[:-1], weights[1:]))
            keep = (1 - share) * near < 1 + r + far
        return list(zip(lo[keep], hi[keep], strict=True))

    def _one_sided(self, i: int) -> float:
        power = self.weights * self.values
        left = power[:i] @ (1 / (self.values[i] - self.values[:i]))
        right = power[i + 2 :] @ (1 / (self.values[i + 2 :] - self.values[i + 1]))
        return max(left, right)
