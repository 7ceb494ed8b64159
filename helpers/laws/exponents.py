"""The exponent of a layer that has learned nothing: what its shape alone gives, and how much chance moves it."""

import math

import numpy as np
from scipy.fft import dct
from scipy.optimize import brentq

from .._checks import integer, real
from .law import Law
from .limits import marchenko_pastur

_NODES = 400  # of the quadrature over the tail


def hill_null(shape: tuple[int, int], *, part: float = 0.5) -> float:
    """The value of `spectra.hill` for a matrix with independent entries: it depends on the shape alone.

    With mu the Marchenko-Pastur law of the shape, m the shorter side and k = round(part m), the k-th largest of m
    eigenvalues stands at c, above which mu has the mass (k - 1/2) / m. Then

        alpha_0 = 1 + (k / m) / int_c^inf log(x / c) mu(dx).

    Parameters
    ----------
    shape : pair of int
        Rows and columns of the matrix, in either order.
    part : float
        As in `spectra.hill`, in (0, 1].

    Returns
    -------
    float
        The scale of the entries does not matter. A layer is heavier than chance where its exponent is below this.

    Raises
    ------
    ValueError
        If part is out of range, the shape is not of two sizes, or a side is below 2.
    TypeError
        If a side is no integer, or part no number.

    Notes
    -----
    Our derivation. The half counts: the tail starts at a value of the sample, not at a quantile of the law. Without it
    a matrix of 64 x 64 would be off by 0.03. What is left is of order 1 / m too, and smaller than chance.

    References
    ----------
    Marchenko and Pastur (1967); Hill (1975).

    Examples
    --------
    >>> from helpers import laws
    >>> [round(laws.hill_null(shape), 2) for shape in ((1000, 1000), (1500, 1000), (784, 200))]
    [2.12, 2.45, 3.45]
    """
    m, k, law = _counted(shape, part)
    start = _start(law, (k - 0.5) / m)
    return 1 + k / m / _mean_log(law, start)


def hill_noise(shape: tuple[int, int], *, part: float = 0.5) -> float:
    """The standard deviation of `spectra.hill` over matrices with independent Gaussian entries of this shape.

    To leading order k / (alpha - 1) is the sum over all eigenvalues of g(x) = log(x / c) - (k / m) / (c mu'(c)) for
    x > c, and 0 below. Such a sum has the variance (1/2) sum_j j a_j^2, with a_j the Chebyshev coefficients of g on the
    support; g jumps at c, so the sum over j grows as a logarithm, and is cut off at j = m, where the spacing of the
    eigenvalues ends it.

    Parameters
    ----------
    shape : pair of int
        Rows and columns of the matrix, in either order.
    part : float
        As in `spectra.hill`, in (0, 1).

    Returns
    -------
    float
        It falls as sqrt(log m) / m, m being the shorter side. From 64 x 64 on it is right within 15 percent.

    Raises
    ------
    ValueError
        If part is out of range, the shape is not of two sizes, or a side is below 2.
    TypeError
        If a side is no integer, or part no number.

    Notes
    -----
    Our derivation; the cut at m is a choice, on which the result depends only through a logarithm.

    References
    ----------
    Bai and Silverstein (2004) for sums of smooth functions of the eigenvalues.

    Examples
    --------
    >>> from helpers import laws
    >>> [round(laws.hill_noise(shape), 3) for shape in ((200, 200), (784, 200), (64, 576))]
    [0.019, 0.036, 0.145]
    """
    m, k, law = _counted(shape, part)
    if k == m:
        raise ValueError(f"part: got {part}, expected a number below 1")
    start, (low, high) = _start(law, k / m), law.support[0]
    angle = (np.arange(16 * m) + 0.5) * math.pi / (16 * m)
    x = (low + high) / 2 + (high - low) / 2 * np.cos(angle)
    jump = k / m / (start * float(law.density(start)))
    g = np.where(x > start, np.log(np.maximum(x, start) / start) - jump, 0)
    coefficients = dct(g)[1 : m + 1] / len(g)
    deviation = math.sqrt(0.5 * np.sum(np.arange(1, m + 1) * coefficients**2))
    return (1 / _mean_log(law, start)) ** 2 * k / m**2 * deviation


def _counted(shape: tuple[int, int], part: float) -> tuple[int, int, Law]:
    """The shorter side, the number of values in the tail, the law of the eigenvalues."""
    if len(shape) != 2:
        raise ValueError(f"shape: got {tuple(shape)}, expected two sizes")
    m, longer = sorted(integer("shape", size, least=2) for size in shape)
    if not 0 < real("part", part, positive=True) <= 1:
        raise ValueError(f"part: got {part}, expected a number above 0, at most 1")
    return m, max(2, round(part * m)), marchenko_pastur(m / longer)


def _start(law: Law, mass: float) -> float:
    """The point above which the law has this mass."""
    return float(brentq(lambda x: float(law.cdf(x)) - (1 - mass), *law.support[0], xtol=1e-15))


def _mean_log(law: Law, start: float) -> float:
    """The integral of log(x / start) above it: Gauss-Legendre in the angle, where the density is smooth."""
    low, high = law.support[0]
    middle, half = (low + high) / 2, (high - low) / 2
    first = math.acos(np.clip((middle - start) / half, -1, 1))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    angle = first + (math.pi - first) * (nodes + 1) / 2
    x = middle - half * np.cos(angle)
    values = np.log(x / start) * law.density(x) * half * np.sin(angle)
    return float(np.sum(weights * values) * (math.pi - first) / 2)
