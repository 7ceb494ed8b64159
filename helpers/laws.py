"""Limit laws of random matrix theory for the spectra of the book: weights, conjugate kernel, tangent kernel.

Student: W (h x d) i.i.d. N(0, 1); inputs X (n x d) i.i.d. N(0, 1) or data; features F = s(X W' / sqrt d).
A Law is a probability measure on [0, inf): bands with a density, and atoms.
"""

import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .activations import Activation, normalized
from .free_convolution import Band, DiscretePopulation, MarchenkoPasturPopulation, spectrum
from .spikes import Spike, spiked_singular_value

__all__ = [
    "Law",
    "Spike",
    "conjugate_kernel_law",
    "marchenko_pastur",
    "neural_tangent_kernel_law",
    "sample_covariance_law",
    "spiked_singular_value",
]


@dataclass(frozen=True, eq=False)
class Law:
    """A law of eigenvalues: bands that carry a density, and atoms.

    Attributes
    ----------
    bands : the intervals with their densities, ascending and disjoint.
    atoms : (location, mass) of each atom.
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

    def density(self, x) -> np.ndarray:
        """Density at x (number, array or tensor): float64 array of x's shape. Atoms are left out.

        Raises ValueError if x holds a NaN, TypeError if it is not numeric.
        """
        x = _numbers("x", x)
        out = np.zeros(x.shape)
        for band in self.bands:
            inside = (band.lo < x) & (x < band.hi)
            out[inside] = band.density(x[inside])
        return out

    def cdf(self, x) -> np.ndarray:
        """Mass of (-inf, x], atoms included, at x (number, array or tensor): float64 array of x's shape.

        Raises ValueError if x holds a NaN, TypeError if it is not numeric.
        """
        x = _numbers("x", x)
        out = np.zeros(x.shape)
        for location, mass in self.atoms:
            out += mass * (x >= location)
        for band in self.bands:
            above = x > band.lo
            out[above] += band.mass_below(np.minimum(x[above], band.hi))
        return np.clip(out, 0.0, 1.0)

    def nodes(self, points: int = 512) -> tuple[np.ndarray, np.ndarray]:
        """Quadrature nodes and weights, each (m,): sum weights * f(nodes) is the mean of f(x) under the law.

        `points` nodes per band, one per atom.
        """
        parts = [(np.array([location]), np.array([mass])) for location, mass in self.atoms]
        parts += [band.nodes(points) for band in self.bands]
        nodes, weights = (np.concatenate(column) for column in zip(*parts))
        order = np.argsort(nodes)
        return nodes[order], weights[order]

    def distance(self, values) -> float:
        """Kolmogorov-Smirnov distance between this law and the eigenvalues `values` (m,).

        Values within 1e-6 of the largest from an atom count as on it: that is rounding, in float32 too.
        Raises ValueError or TypeError if `values` is not a non-empty list of finite numbers.
        """
        values = _eigenvalues("values", values)
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


@dataclass(frozen=True)
class _MarchenkoPasturBand:
    """The band of the Marchenko-Pastur law, in closed form: see `Band` for the angle theta."""

    ratio: float
    variance: float

    @property
    def lo(self) -> float:
        return self.variance * (1 - math.sqrt(self.ratio)) ** 2

    @property
    def hi(self) -> float:
        return self.variance * (1 + math.sqrt(self.ratio)) ** 2

    def density(self, x):
        return np.sqrt((x - self.lo) * (self.hi - x)) / (2 * math.pi * self.ratio * self.variance * x)

    def mass_below(self, x):
        # d mass / d theta = (2/pi) m sin^2 / (1 + rho^2 - 2 rho cos), m = min(1, 1/ratio): integrate its Fourier series
        rho = min(math.sqrt(self.ratio), 1 / math.sqrt(self.ratio))
        angle = 2 * np.arctan2(np.sqrt(x - self.lo), np.sqrt(self.hi - x))
        sine, cosine = rho * np.sin(angle), rho * np.cos(angle)
        tail = (1 - rho**2) / rho**2 * (np.arctan2(sine, 1 - cosine) - sine)
        return min(1, 1 / self.ratio) * (angle + sine - tail) / math.pi

    def nodes(self, points):
        angle = (np.arange(points) + 0.5) * math.pi / points
        half = (self.hi - self.lo) / 2
        x = (self.hi + self.lo) / 2 - half * np.cos(angle)
        return x, self.density(x) * half * np.sin(angle) * math.pi / points


def marchenko_pastur(ratio: float, variance: float = 1.0) -> Law:
    """Limit law of the eigenvalues of G' G / N, G (N x p) i.i.d. with mean 0 and `variance`, p/N = `ratio`.

    With ratio > 1 it has the atom 1 - 1/ratio at 0. Density and cdf are in closed form. The squared
    singular values of W / sqrt(h), W (h x d), follow marchenko_pastur(d / h).

    Raises TypeError or ValueError if `ratio` or `variance` is not a finite number > 0.

    Source: Marchenko and Pastur (1967).
    """
    ratio, variance = _positive("ratio", ratio), _positive("variance", variance)
    atoms = ((0.0, 1 - 1 / ratio),) if ratio > 1 else ()
    return Law((_MarchenkoPasturBand(ratio, variance),), atoms)


def sample_covariance_law(population, ratio: float) -> Law:
    """Limit law of the eigenvalues of Phi^(1/2) G' G Phi^(1/2) / N, G (N x p) i.i.d. N(0, 1), p/N = `ratio`.

    `population`: the eigenvalues of Phi (p x p), a list (m,) of numbers >= 0, or a Law. With Phi = I this
    is marchenko_pastur(ratio). For features F (n x h) of any data, Phi = E[F F']/h gives the law of F F'/h
    at ratio n/h without the linearization that `conjugate_kernel_law` makes.

    Raises TypeError or ValueError as `conjugate_kernel_law` does.

    Source: Silverstein and Choi (1995).
    """
    ratio = _positive("ratio", ratio)
    return Law(*spectrum(_affine(population, 0.0, 1.0, ratio), ratio))


def conjugate_kernel_law(
    activation: str | Activation, n: int, d: int, h: int | Sequence[int], *, population=None
) -> Law:
    """Limit law of the eigenvalues of CK = F F' / h (n x n), F = s(X W' / sqrt d).

    CK is close to a sample covariance with population Phi = (1 - b^2) I + b^2 X X'/d and ratio n/h.

    Parameters
    ----------
    activation : a name or an Activation; only its b is used.
    n, d, h : samples, inputs, hidden units. A sequence of widths h_1, ..., h_L gives the CK of the last
        layer of x_l = s(W_l x_{l-1} / sqrt h_{l-1}): layer l has population (1 - b^2) I + b^2 CK_{l-1}.
    population : law of the eigenvalues of X X'/d. None: Marchenko-Pastur of ratio n/d (X i.i.d. N(0, 1)). For
        real data with rows of norm about sqrt d: those n eigenvalues (n,), zeros included. Or a Law.

    Raises
    ------
    TypeError, ValueError : an argument of the wrong kind or out of range (the message names it).
    ArithmeticError : the equation was not solved to the accuracy promised (not known to happen).

    Source: Silverstein and Choi (1995) for the law; Fan and Wang (2020), Theorem 3.4, for CK and the recursion.
    """
    activation, n, d = normalized(activation), _size("n", n), _size("d", d)
    widths = [_size("h", width) for width in (h if isinstance(h, Sequence) and not isinstance(h, str) else [h])]
    if not widths:
        raise ValueError("h: got no widths, expected a positive integer or a sequence of them")
    law = population
    for width in widths:
        law = Law(*spectrum(_phi(activation, n, d, law, n / width), n / width))
    return law


def neural_tangent_kernel_law(
    activation: str | Activation, n: int, d: int, h: int, *, readout_power: float = 1.0, population=None
) -> Law:
    """Limit law of the eigenvalues of NTK = (X X'/d) o (S S'/h) + CK (n x n), S = s'(X W' / sqrt d) diag(v).

    The first term is close to r (b^2 X X'/d + (a2 - b^2) I) with r = |v|^2 / h, so that, with
    Phi = (1 - b^2) I + b^2 X X'/d, NTK is close to r (a2 - 1) I + CK + r Phi.

    Parameters
    ----------
    activation : a name or an Activation; its b and a2 are used.
    n, d, h : samples, inputs, hidden units.
    readout_power : r = |v|^2 / h >= 0; 1 in the limit for v i.i.d. N(0, 1).
    population : as for `conjugate_kernel_law`.

    Raises as `conjugate_kernel_law` does.

    Source: Fan and Wang (2020), Theorem 3.7.
    """
    activation, n, d, h = normalized(activation), _size("n", n), _size("d", d), _size("h", h)
    r = _positive("readout_power", readout_power, zero=True)
    bands, atoms = spectrum(_phi(activation, n, d, population, n / h), n / h, r)
    shift = r * (activation.derivative_power - 1)
    moved = tuple(Band(band.lo + shift, band.hi + shift, band.coefficients) for band in bands)
    return Law(moved, tuple((location + shift, mass) for location, mass in atoms))


def _phi(activation, n, d, population, gamma):
    """The population (1 - b^2) + b^2 mu of a layer, mu as `population` says."""
    slope = activation.linear_coefficient**2
    offset = 1 - slope if slope < 1 - 1e-12 else 0.0
    if slope == 0:
        return DiscretePopulation(np.ones(1), np.ones(1), 0.0, ((1.0, 1.0),))
    if population is None:
        return MarchenkoPasturPopulation(n / d, offset, slope)
    if not isinstance(population, Law) and (size := len(_eigenvalues("population", population))) != n:
        raise ValueError(f"population: got {size} eigenvalues, expected n = {n} of them, zeros included")
    return _affine(population, offset, slope, gamma)


def _affine(population, offset, slope, gamma):
    """The population offset + slope mu, mu distributed as the Law or the eigenvalues `population`."""
    if isinstance(population, Law):
        mu, weights = population.nodes(int(np.clip(40 / gamma, 512, 4096)))  # spacing well below gamma
        atoms = population.atoms
        bulks = sorted([*population.support, *((location, location) for location, _ in atoms)])
        bulks = tuple((offset + slope * lo, offset + slope * hi) for lo, hi in bulks if offset > 0 or hi > 0)
    else:
        mu = _eigenvalues("population", population)
        top = mu.max()
        if top <= 0 or mu.min() < -1e-6 * top:
            raise ValueError(f"population: got the eigenvalue {mu.min():.6g}, expected values >= 0, some > 0")
        mu = np.where(mu < 1e-9 * top, 0.0, mu)  # rounding
        step = 1e-5 * (offset / slope + mu)  # values that agree to five digits of phi become one
        order = np.argsort(mu)
        groups = np.split(mu[order], np.flatnonzero(np.diff(mu[order]) > step[order][1:]) + 1)
        mu, weights = np.array([group.mean() for group in groups]), np.array([len(group) / len(mu) for group in groups])
        atoms, bulks = list(zip(mu.tolist(), weights.tolist())), None
    phi = offset + slope * mu
    atoms = tuple((offset + slope * x, mass) for x, mass in atoms if offset + slope * x > 0)
    return DiscretePopulation(phi[phi > 0], weights[phi > 0], float(weights[phi == 0].sum()), atoms, bulks)


def _numbers(name, value):
    """`value` as a float64 array of its own shape."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError
        array = array.astype(np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: got {type(value).__name__}, expected real numbers (array, tensor or list)") from None
    if np.isnan(array).any():
        raise ValueError(f"{name}: got NaN, expected numbers")
    return array


def _eigenvalues(name, value):
    array = _numbers(name, value)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"{name}: got shape {array.shape}, expected a non-empty list of eigenvalues (m,)")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: got infinite values, expected finite ones")
    return array


def _positive(name, value, *, zero=False):
    wanted = "a finite number >= 0" if zero else "a finite number > 0"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}: got {type(value).__name__}, expected {wanted}")
    if not (math.isfinite(value) and (value > 0 or (zero and value == 0))):
        raise ValueError(f"{name}: got {value}, expected {wanted}")
    return float(value)


def _size(name, value):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}: got {value!r}, expected a positive integer")
    if value < 1:
        raise ValueError(f"{name}: got {value}, expected a positive integer")
    return int(value)
