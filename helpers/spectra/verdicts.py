"""What became of one spectrum since the start: numbers, and a verdict in words that follows from them."""

import math
from collections.abc import Mapping

import numpy as np
import torch

from .. import _checks
from .._checks import Array
from .bulk import fit_marchenko_pastur
from .change import compare, edge_start, rounding
from .tails import CRITICAL_MISFIT, LEAST_DYNAMIC_RANGE, fit_power_law
from .values import SMALLEST, stable_rank, unit_of

# The rule of `verdict`.
STILL = 0.02  # how far an invariant bulk has moved at most, see `mean_drift` in `describe`
LIGHTEST = 6.0  # largest exponent of a tail that is called heavy: an edge with an outlier has a larger one
TAIL = 20  # values that a heavy tail has at least

COLUMNS = (
    "size", "top", "stable_rank", "effective_rank", "outliers", "bulk_drift", "mean_drift", "edge_before",
    "mp_variance", "mp_edge", "mp_distance", "mp_outliers", "alpha", "xmin", "ks", "tail_size", "misfit",
    "dynamic_range",
)  # fmt: skip

_POWERS = {"bulk_drift": 1, "edge_before": 1, "mp_edge": 1, "mp_variance": 2, "xmin": 2}  # of the unit of the values


def describe(
    before: Array, after: Array, shape: tuple[int, int], *, dtype: torch.dtype = torch.float32
) -> dict[str, float]:
    """The numbers of one matrix: its spectrum now, and against that of its start.

    Parameters
    ----------
    before, after : tensor or array (min(shape),)
        Singular values, not normalized.
    shape : pair of int
        (h, d), of the matrix.
    dtype : torch.dtype
        Of the matrix; values that are equal, or zero, up to its rounding are no bulk and no tail.

    Returns
    -------
    dict
        The numbers listed in the notes, in the units of the values; NaN where a number does not exist: fewer than 20
        values, a matrix of zeros, no bulk at the start or at the end. mp_variance and xmin, which are squares, are
        infinite or 0 where float64 ends.

    Raises
    ------
    TypeError, ValueError
        If they are no numbers, not min(shape) of them, or NaN or infinite.

    Notes
    -----
    - size : number of values; top : the largest; stable_rank : the sum of squares over that of the largest;
      effective_rank : exp of the entropy of the values over their sum.
    - outliers, bulk_drift, edge_before : their number, largest drift and the edge of the start by `compare`;
      mean_drift : mean distance of after from before over the bulk, in units of the mean of before.
    - mp_variance, mp_edge, mp_distance, mp_outliers : by `fit_marchenko_pastur`, without regard to the start.
    - alpha, xmin, ks, tail_size, misfit, dynamic_range : by `fit_power_law` of the squared values.

    References
    ----------
    Effective rank, Roy and Vetterli (2007); stable rank, Rudelson and Vershynin (2007).

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import spectra
    >>> values = np.linalg.svd(np.random.default_rng(0).standard_normal((150, 100)), compute_uv=False)
    >>> row = spectra.describe(values, 1.01 * values, (150, 100))
    >>> row["outliers"], round(row["mean_drift"], 3)
    (0, 0.01)
    """
    size = min(shape)
    old, new = (
        np.sort(_checks.array(name, values, size).double().cpu().numpy())[::-1]
        for name, values in (("before", before), ("after", after))
    )
    row = dict.fromkeys(COLUMNS, math.nan) | {"size": size, "top": float(new[0])}
    if new[0] <= 0:
        return row
    row |= ranks(new)
    if size < SMALLEST:
        return row
    unit = unit_of(max(new[0], old[0]))  # so that no square is beyond float64
    old, new = old / unit, new / unit
    found = _change(old, new, dtype) | _marchenko_pastur(new, shape, dtype) | _tail(new, dtype)
    return row | {name: math.prod([value, *[unit] * _POWERS.get(name, 0)]) for name, value in found.items()}


def ranks(values: np.ndarray) -> dict[str, float]:
    """top, stable_rank and effective_rank of descending values (m,) that are not all zero, as in `describe`."""
    share = values / values[0]
    share = share / share.sum()
    entropy = -float((share * np.log(np.maximum(share, 1e-300))).sum())
    return {"top": float(values[0]), "stable_rank": stable_rank(values), "effective_rank": math.exp(entropy)}


def _change(old: np.ndarray, new: np.ndarray, dtype: torch.dtype) -> dict[str, float]:
    start = edge_start(old, dtype)
    if start is None:
        return {}
    change = compare(old, new, dtype=dtype)
    row = {"outliers": len(change.outliers), "edge_before": change.edge_before}
    if math.isnan(change.bulk_drift):  # every value has left the initial bulk
        return row
    bulk = slice(max(start, len(change.outliers)), None)
    mean_drift = float(np.abs(new[bulk] - old[bulk]).mean() / old[bulk].mean())
    return row | {"bulk_drift": change.bulk_drift, "mean_drift": mean_drift}


def _marchenko_pastur(new: np.ndarray, shape: tuple[int, int], dtype: torch.dtype) -> dict[str, float]:
    if not new[len(new) // 2] > rounding(new, dtype):
        return {}
    fit = fit_marchenko_pastur(new, shape)
    return {
        "mp_variance": fit.variance,
        "mp_edge": fit.edge,
        "mp_distance": fit.distance,
        "mp_outliers": len(fit.outliers),
    }


def _tail(new: np.ndarray, dtype: torch.dtype) -> dict[str, float]:
    noise = rounding(new, dtype)
    above = new[new > noise]
    if len(above) < SMALLEST or above[0] - above[-1] <= max(noise, 1e-5 * above[0]):
        return {}
    fit = fit_power_law(above**2)
    return {
        "alpha": fit.alpha,
        "xmin": fit.xmin,
        "ks": fit.distance,
        "tail_size": fit.tail_size,
        "misfit": fit.misfit,
        "dynamic_range": fit.dynamic_range,
    }


def verdict(row: Mapping[str, float]) -> str:
    """The words for what `describe` measured, by the first of these rules that applies.

    1. "all zero"; "too small", with fewer than `SMALLEST` values.
    2. "heavy tail, alpha 2.9": the power law passes the tests of distance and dynamic range (`spectra.CRITICAL_MISFIT`,
       `spectra.LEAST_DYNAMIC_RANGE`), its exponent is at most `LIGHTEST`, and it holds at least `TAIL` values.
    3. "no bulk at the start", as for an orthogonal matrix, whose values are equal up to rounding, or one of low rank;
       "bulk left", with every value outside the initial bulk.
    4. "invariant bulk", or "bulk and 2 outliers": the bulk has moved by at most `STILL`.
    5. "moved bulk (12%)", or "moved bulk (12%) and 60 outliers": by how much.

    An outlier lies beyond the bulk of the start by `spectra.compare`, whether it left or stood there from the
    beginning.

    Parameters
    ----------
    row : mapping
        What `describe` gives.

    Returns
    -------
    str
        The verdict.

    Raises
    ------
    KeyError
        If the row lacks a column which a rule needs.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import spectra
    >>> values = np.linalg.svd(np.random.default_rng(0).standard_normal((150, 100)), compute_uv=False)
    >>> spectra.verdict(spectra.describe(values, values, (150, 100)))
    'invariant bulk'
    """
    if row["top"] == 0:
        return "all zero"
    if row["size"] < SMALLEST:
        return "too small"
    tests = row["misfit"] < CRITICAL_MISFIT and row["dynamic_range"] > LEAST_DYNAMIC_RANGE  # False where they are NaN
    if tests and row["alpha"] <= LIGHTEST and row["tail_size"] >= TAIL:
        return f"heavy tail, alpha {row['alpha']:.1f}"
    if math.isnan(row["outliers"]):
        return "no bulk at the start"
    if math.isnan(row["mean_drift"]):
        return "bulk left"
    count, moved = int(row["outliers"]), row["mean_drift"]
    bulk = "bulk" if moved <= STILL else f"moved bulk ({moved:.0%})"
    if count:
        return f"{bulk} and {count} outlier{'s' * (count > 1)}"
    return "invariant bulk" if moved <= STILL else bulk
