"""Laws of eigenvalues: probability measures made of bands, which carry a density, and atoms."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.polynomial.polynomial import polyval
from numpy.typing import ArrayLike
from torch import Tensor

from .._checks import array, tensor


@dataclass(frozen=True, eq=False)
class Band:
    """One interval [lo, hi] of a spectrum: x = mid - half cos(theta), mass per d theta = sum_k c_k cos(k theta)."""

    lo: float
    hi: float
    coefficients: np.ndarray

    def _angle(self, x: np.ndarray) -> np.ndarray:
        return 2 * np.arctan2(np.sqrt(x - self.lo), np.sqrt(self.hi - x))

    def density(self, x: np.ndarray) -> np.ndarray:
        """Density at x (m,), strictly inside the band."""
        power = polyval(np.exp(1j * self._angle(x)), self.coefficients).real
        return np.maximum(power, 0) / np.sqrt((x - self.lo) * (self.hi - x))

    def mass_below(self, x: np.ndarray) -> np.ndarray:
        """Mass of [lo, x] at x (m,) in [lo, hi]."""
        angle, c = self._angle(x), self.coefficients
        series = np.concatenate([[0], c[1:] / np.arange(1, len(c))])
        return c[0] * angle + polyval(np.exp(1j * angle), series).imag

    def nodes(self, points: int) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights, each (points,): Gauss-Chebyshev in theta."""
        angle = (np.arange(points) + 0.5) * np.pi / points
        weights = polyval(np.exp(1j * angle), self.coefficients).real * np.pi / points
        return (self.lo + self.hi) / 2 - (self.hi - self.lo) / 2 * np.cos(angle), weights


@dataclass(frozen=True)
class MarchenkoPasturBand:
    """The band of the Marchenko-Pastur law, in closed form: see `Band` for the angle theta."""

    ratio: float
    variance: float

    @property
    def lo(self) -> float:
        return self.variance * (1 - math.sqrt(self.ratio)) ** 2

    @property
    def hi(self) -> float:
        return self.variance * (1 + math.sqrt(self.ratio)) ** 2

    def density(self, x: np.ndarray) -> np.ndarray:
        return np.sqrt((x - self.lo) * (self.hi - x)) / (2 * math.pi * self.ratio * self.variance * x)

    def mass_below(self, x: np.ndarray) -> np.ndarray:
        # d mass / d theta = (2/pi) m sin^2 / (1 + rho^2 - 2 rho cos), m = min(1, 1/ratio): integrate its Fourier series
        rho = min(math.sqrt(self.ratio), 1 / math.sqrt(self.ratio))
        angle = 2 * np.arctan2(np.sqrt(x - self.lo), np.sqrt(self.hi - x))
        sine, cosine = rho * np.sin(angle), rho * np.cos(angle)
        tail = (1 - rho**2) / rho**2 * (np.arctan2(sine, 1 - cosine) - sine)
        return min(1, 1 / self.ratio) * (angle + sine - tail) / math.pi

    def nodes(self, points: int) -> tuple[np.ndarray, np.ndarray]:
        angle = (np.arange(points) + 0.5) * math.pi / points
        half = (self.hi - self.lo) / 2
        x = (self.hi + self.lo) / 2 - half * np.cos(angle)
        return x, self.density(x) * half * np.sin(angle) * math.pi / points


@dataclass(frozen=True, eq=False)
class SquareRootBand:
    """The band of sqrt(x) for x in another band: singular values from eigenvalues."""

    square: Band | MarchenkoPasturBand

    @property
    def lo(self) -> float:
        return math.sqrt(self.square.lo)

    @property
    def hi(self) -> float:
        return math.sqrt(self.square.hi)

    def density(self, x: np.ndarray) -> np.ndarray:
        return 2 * x * self.square.density(x**2)

    def mass_below(self, x: np.ndarray) -> np.ndarray:
        return self.square.mass_below(np.clip(x**2, self.square.lo, self.square.hi))

    def nodes(self, points: int) -> tuple[np.ndarray, np.ndarray]:
        x, weights = self.square.nodes(points)
        return np.sqrt(x), weights


@dataclass(frozen=True, eq=False)
class Law:
    """A law of eigenvalues: bands that carry a density, and atoms.

    Attributes
    ----------
    bands : tuple
        The intervals with their densities, ascending and disjoint.
    atoms : tuple of (float, float)
        Location and mass of each atom.

    Examples
    --------
    >>> from helpers import laws
    >>> law = laws.marchenko_pastur(2.0)
    >>> law.atom
    0.5
    >>> round(float(law.density(1.0)), 4), round(float(law.cdf(1.0)), 4)
    (0.1592, 0.6592)
    """

    bands: tuple
    atoms: tuple[tuple[float, float], ...]

    @property
    def support(self) -> tuple[tuple[float, float], ...]:
        """Support of the density: a tuple of intervals ((lo, hi), ...), ascending; atoms are not in it."""
        return tuple((band.lo, band.hi) for band in self.bands)

    @property
    def atom(self) -> float:
        """Mass at 0 (0.0 where there is none)."""
        return sum(mass for location, mass in self.atoms if location == 0)

    def square_root(self) -> "Law":
        """The law of singular values where this is the law of their squares: of sqrt(x), x of this law.

        Returns
        -------
        Law
            Atoms move to their roots and keep their mass.

        Raises
        ------
        ValueError
            The support or an atom lies below 0.
        """
        if (self.bands and self.bands[0].lo < 0) or any(location < 0 for location, _ in self.atoms):
            raise ValueError(f"law: got the support {self.support}, expected values >= 0 to take the root of")
        atoms = tuple((math.sqrt(location), mass) for location, mass in self.atoms)
        return Law(tuple(SquareRootBand(band) for band in self.bands), atoms)

    def density(self, x: ArrayLike | Tensor) -> np.ndarray:
        """Density at x. Atoms are left out.

        Parameters
        ----------
        x : number, array or tensor
            In the units of the eigenvalues.

        Returns
        -------
        array, float64
            Of x's shape; 0 outside the support.

        Raises
        ------
        ValueError
            x holds a NaN.
        TypeError
            x is not numeric.
        """
        x = as_numbers("x", x)
        out = np.zeros(x.shape)
        for band in self.bands:
            inside = (band.lo < x) & (x < band.hi)
            out[inside] = band.density(x[inside])
        return out

    def cdf(self, x: ArrayLike | Tensor) -> np.ndarray:
        """Mass of (-inf, x], atoms included.

        Parameters
        ----------
        x : number, array or tensor
            In the units of the eigenvalues.

        Returns
        -------
        array, float64
            Of x's shape, between 0 and 1.

        Raises
        ------
        ValueError
            x holds a NaN.
        TypeError
            x is not numeric.
        """
        x = as_numbers("x", x)
        out = np.zeros(x.shape)
        for location, mass in self.atoms:
            out += mass * (x >= location)
        for band in self.bands:
            above = x > band.lo
            out[above] += band.mass_below(np.minimum(x[above], band.hi))
        return np.clip(out, 0.0, 1.0)

    def nodes(self, points: int = 512) -> tuple[np.ndarray, np.ndarray]:
        """Quadrature nodes and weights: the sum of weights * f(nodes) is the mean of f(x) under the law.

        Parameters
        ----------
        points : int, default 512
            Nodes for each band; an atom has one.

        Returns
        -------
        nodes, weights : array, (m,), float64
            Ascending nodes, and the mass of each.
        """
        parts = [(np.array([location]), np.array([mass])) for location, mass in self.atoms]
        parts += [band.nodes(points) for band in self.bands]
        nodes, weights = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(nodes)
        return nodes[order], weights[order]

    def distance(self, values: ArrayLike | Tensor) -> float:
        """Kolmogorov-Smirnov distance between this law and eigenvalues.

        Values within 1e-6 of the largest from an atom count as on it: that is rounding, in float32 too.

        Parameters
        ----------
        values : array or tensor, (m,)
            The eigenvalues, in any order.

        Returns
        -------
        float
            Between 0 and 1.

        Raises
        ------
        ValueError
            `values` is empty, of another shape or not finite.
        TypeError
            `values` holds no numbers.
        """
        values = as_eigenvalues("values", values)
        near = 1e-6 * np.abs(values).max()
        jump = np.zeros(len(values))
        for location, mass in self.atoms:
            close = np.abs(values - location) <= near
            values[close], jump[close] = location, mass
        order = np.argsort(values)
        values, jump = values[order], jump[order]
        at = self.cdf(values)
        after = np.searchsorted(values, values, side="right") / len(values)
        before = np.searchsorted(values, values, side="left") / len(values)
        return float(max(np.abs(after - at).max(), np.abs(before - (at - jump)).max()))


def as_numbers(name: str, value: Any) -> np.ndarray:
    """`value` as a float64 array of its own shape."""
    if isinstance(value, (Tensor, np.ma.MaskedArray)):
        value = tensor(name, value).cpu().double().numpy()
    try:
        result = np.asarray(value)
        if result.dtype.kind not in "fiub":
            raise TypeError
        result = result.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: got {type(value).__name__}, expected real numbers (array, tensor or list)") from None
    if np.isnan(result).any():
        raise ValueError(f"{name}: got NaN, expected numbers")
    return result


def as_eigenvalues(name: str, value: Any) -> np.ndarray:
    """`value` as a float64 array (m,), m > 0, of finite numbers: a copy."""
    return array(name, value, None).cpu().numpy().astype(np.float64)
