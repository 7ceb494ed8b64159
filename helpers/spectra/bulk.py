"""The Marchenko-Pastur law fitted to the bulk of one matrix: its own variance, its edge, what lies beyond."""

import math
from dataclasses import dataclass

import numpy as np

from .. import _checks
from .._checks import Array
from ..laws import Law, marchenko_pastur
from .change import EDGE_UNITS

_ROUNDS = 20  # of taking outliers out and fitting again; two or three are enough where few values are outside


@dataclass(frozen=True)
class Bulk:
    """A Marchenko-Pastur law fitted to singular values; see `fit_marchenko_pastur`.

    Attributes
    ----------
    variance : float
        Of the entries of a random matrix with this bulk.
    edge : float
        Where singular values of such a matrix end, its own fluctuation included.
    outliers : array, (k,), float64
        The values above `edge`, descending.
    distance : float
        Kolmogorov-Smirnov distance between the other values and the law. A large one says that there is no such bulk;
        edge and outliers then mean nothing.
    law : Law
        Of the squared other values over max(h, d) - k, with k outliers.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import spectra
    >>> weight = np.random.default_rng(0).standard_normal((60, 40))
    >>> bulk = spectra.fit_marchenko_pastur(np.linalg.svd(weight, compute_uv=False), (60, 40))
    >>> round(bulk.variance, 2), len(bulk.outliers)
    (0.98, 0)
    """

    variance: float
    edge: float
    outliers: np.ndarray
    distance: float
    law: Law


def _median(law: Law) -> float:
    """The median of a law without atoms, to a few times 1e-8 of its support."""
    low, high = law.support[0][0], law.support[-1][1]
    for _ in range(3):
        points = np.linspace(low, high, 65)
        masses = law.cdf(points)
        k = int(np.searchsorted(masses, 0.5))
        low, high = points[k - 1], points[k]
    return float(np.interp(0.5, masses[k - 1 : k + 1], (low, high)))


def _edge(shape: tuple[int, int]) -> float:
    """Largest singular value of a random matrix with entries of variance 1, `EDGE_UNITS` fluctuations included.

    Source: Johnstone (2001), theorem 1.1.
    """
    a, b = math.sqrt(max(shape) - 1), math.sqrt(min(shape))
    unit = (a + b) * (1 / a + 1 / b) ** (1 / 3)
    return math.sqrt((a + b) ** 2 + EDGE_UNITS * unit)


def fit_marchenko_pastur(values: Array, shape: tuple[int, int]) -> Bulk:
    """Fit the one parameter of the Marchenko-Pastur law, the variance of the entries, to the bulk of a spectrum.

    The median of the squared values is set to that of the law. Values beyond the edge are then taken out and the fit is
    repeated, until the same values are out. What is left beside k outliers is the spectrum of a random matrix with k
    rows and k columns less.

    Parameters
    ----------
    values : array or tensor, (min(shape),)
        Singular values in any order, at least 20, not normalized.
    shape : tuple of two int
        Of the matrix, (h, d).

    Returns
    -------
    Bulk
        In the units of the values.

    Raises
    ------
    ValueError
        Another number of values or fewer than 20, NaN, negative values, a median of zero, squares beyond float64.
    TypeError
        Values that are no numbers, a shape that holds no integers.

    References
    ----------
    - Marchenko and Pastur (1967).
    - Gavish and Donoho (2014), for the median.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import spectra
    >>> weight = np.random.default_rng(0).standard_normal((60, 40))
    >>> weight[0] += 5
    >>> bulk = spectra.fit_marchenko_pastur(np.linalg.svd(weight, compute_uv=False), (60, 40))
    >>> [round(float(value), 2) for value in bulk.outliers]
    [32.51]
    """
    rows, columns = (_checks.integer("shape", side) for side in shape)
    small, large = sorted((rows, columns))
    values = np.sort(_checks.array("values", values, small).double().cpu().numpy())[::-1]
    if small < 20 or values[-1] < 0 or values[small // 2] <= 0:
        raise ValueError(f"values: got {small}, the median {values[small // 2]:.3g}, expected 20 or more above 0")
    if not (values[small // 2] > 1e-150 and values[0] < 1e150):
        raise ValueError(
            f"values: got {values[0]:.3g} as the largest and {values[small // 2]:.3g} as the median, expected squares "
            "within float64: divide them by a common number"
        )
    out = 0
    for _ in range(_ROUNDS):
        left = small - out, large - out
        variance = float(np.median(values[out:])) ** 2 / (_median(marchenko_pastur(left[0] / left[1])) * left[1])
        edge = math.sqrt(variance) * _edge(left)
        beyond = int((values > edge).sum())
        if beyond in (out, small - 1):
            break
        out = beyond
    law = marchenko_pastur(left[0] / left[1], variance)
    kept = values[out:]
    return Bulk(variance, edge, values[:out].copy(), law.distance(kept[kept <= edge] ** 2 / left[1]), law)
