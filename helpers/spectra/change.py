"""What left the bulk between two spectra, and what moved inside it."""

import math
from dataclasses import dataclass

import numpy as np
import torch

from .. import _checks
from .._checks import Array
from .values import SMALLEST, singular_values

# An edge fluctuates on the scale of the gaps next to it. A value counts as an outlier when it lies beyond the edge by
# more than this many such units; two independent bulk edges differ by that much about once in a thousand draws.
EDGE_UNITS = 6.0

# One spectrum alone is judged by a gap. In one of a hundred random matrices some value at the edge stands six units
# from the next, in one of a thousand eight, in about one of twenty thousand ten.
GAP_UNITS = 10.0

# How far the first and the tenth value below a square-root edge lie apart, in units of the Tracy-Widom scale: the
# zeros of the Airy function, 12.83 - 2.34.
_AIRY_SPAN = 10.49


@dataclass(frozen=True)
class Comparison:
    """What changed between two spectra; see `compare`.

    Attributes
    ----------
    bulk_drift : float
        Largest |after_i - before_i| over the bulk; NaN where every value has left it.
    outliers : array
        Values of `after` beyond the initial bulk, descending.
    edge_before : float
        Largest value of `before` in its bulk.
    edge_after : float
        Largest value of `after` that is no outlier; NaN where all of them are.
    margin : float
        How far beyond `edge_before` a value must lie to be an outlier.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import spectra
    >>> found = spectra.compare(np.linspace(0, 2, 100), np.linspace(0, 2.02, 100))
    >>> len(found.outliers), round(found.bulk_drift, 2), found.edge_before
    (0, 0.02, 2.0)
    """

    bulk_drift: float
    outliers: np.ndarray
    edge_before: float
    edge_after: float
    margin: float

    @property
    def edge(self) -> float:
        """`edge_after`, under the name that it had first."""
        return self.edge_after


def _edge_unit(values: np.ndarray) -> float:
    """The fluctuation scale of the edge at values[0], from the ten values below it."""
    return float(values[0] - values[9]) / _AIRY_SPAN


def bulk_start(values: np.ndarray) -> int:
    """How many values of a descending spectrum stand apart from its bulk.

    The first k values do if value k is followed by a gap of more than `GAP_UNITS` times the fluctuation scale of the
    edge below it. The largest such k up to a tenth of the values is taken.

    Parameters
    ----------
    values : array (m,)
        Descending, at least 20 of them.

    Returns
    -------
    int
        k; 0 where no value stands apart.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import spectra
    >>> spectra.bulk_start(np.append([9.0, 7.0], np.linspace(2, 0, 100)))
    2
    """
    most = min(len(values) // 10, len(values) - 11)
    apart = [k for k in range(1, most + 1) if values[k - 1] - values[k] > GAP_UNITS * _edge_unit(values[k:])]
    return max(apart, default=0)


def rounding(values: np.ndarray, dtype: torch.dtype) -> float:
    """The size of singular values that a matrix of this dtype may owe to the rounding of its entries alone.

    Rounding adds a random matrix, and the computation of the values (m,), descending, 1e-7 of the largest.
    """
    scale = float(np.abs(values).max())
    if scale == 0:
        return 0.0
    rms = scale * float(np.sqrt(np.mean((values / scale) ** 2)))
    return max(1e-7 * scale, 4 * torch.finfo(dtype).eps * rms)


def edge_start(values: np.ndarray, dtype: torch.dtype) -> int | None:
    """`bulk_start`, or None where no bulk with an edge begins there.

    Then the ten values that follow are equal up to rounding, as those of an orthogonal matrix, or reach down to what is
    rounding only, as those of a matrix of low rank.
    """
    start = bulk_start(values)
    noise, ten = rounding(values, dtype), values[start : start + 10]
    equal = max(1e-5 * abs(ten[0]), 4 * noise * len(values) ** (-2 / 3))
    return start if ten[0] - ten[9] > equal and abs(ten[9]) > noise else None


def _spectrum(name: str, values: Array) -> np.ndarray:
    values = np.sort(_checks.array(name, values, None).double().cpu().numpy())[::-1]
    if len(values) < SMALLEST:
        raise ValueError(f"{name}: got {len(values)} values, expected at least {SMALLEST}")
    return values


def compare(before: Array, after: Array, *, dtype: torch.dtype = torch.float32) -> Comparison:
    """Separate what left the initial bulk from what moved inside it.

    An outlier lies above the upper edge of the initial bulk by more than that edge's own fluctuation: `EDGE_UNITS`
    times the Tracy-Widom scale, read off the ten values at the edge. Values of `before` that stand apart by a gap, see
    `bulk_start`, do not belong to the initial bulk. Drift compares equal ranks, counted from the smallest value, over
    the ranks that are bulk before and after. Only the upper edge is watched.

    Parameters
    ----------
    before, after : tensor or array, (m,) or (h, d)
        Spectra of the same length in any order, or two matrices of one shape, whose singular values are taken.
    dtype : torch.dtype
        That of the matrix whose spectrum `before` is; values that are equal up to its rounding are no bulk.

    Returns
    -------
    Comparison
        In the units of the input. Where every value has left the initial bulk, all are outliers, and drift and
        edge_after are NaN.

    Raises
    ------
    ValueError
        If shapes differ, there are fewer than 20 values, NaN among them, or the initial spectrum has no bulk with an
        edge: its ten values there are equal up to rounding, or zero up to rounding.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import spectra
    >>> start = np.linspace(0, 2, 100)
    >>> spectra.compare(start, np.append(start[1:], 7.0)).outliers
    array([7.])
    """
    if np.ndim(before) == 2 and np.ndim(after) == 2:
        before, after = singular_values(before), singular_values(after)
    old, new = _spectrum("before", before), _spectrum("after", after)
    if len(old) != len(new):
        raise ValueError(f"after: got {len(new)} values, expected {len(old)} as in before")
    start = edge_start(old, dtype)
    if start is None:
        raise ValueError("before: got values at its edge that are equal up to rounding, expected a bulk with an edge")
    margin = EDGE_UNITS * _edge_unit(old[start:])
    outliers = new[new > old[start] + margin]
    first = max(start, len(outliers))
    drift = float(np.abs(new[first:] - old[first:]).max()) if first < len(new) else math.nan
    edge = float(new[len(outliers)]) if len(outliers) < len(new) else math.nan
    return Comparison(drift, outliers.copy(), float(old[start]), edge, margin)
