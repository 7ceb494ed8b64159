"""What a spectrum says: bulk and outliers, overlaps of vectors; `weights` says of what, `tails` fits power laws."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from . import _checks
from ._checks import Array
from ._leading import gram, singular_triplets, top_triplet
from .tails import PowerLaw, fit_power_law
from .weights import convolution_singular_values, weight_gradients, weight_matrices

__all__ = [
    "Comparison",
    "PowerLaw",
    "bulk_start",
    "compare",
    "convolution_singular_values",
    "eigenvalues",
    "fit_power_law",
    "overlap",
    "singular_triplets",
    "singular_values",
    "top_triplet",
    "weight_gradients",
    "weight_matrices",
]

# An edge fluctuates on the scale of the gaps next to it. A value counts as an outlier when it lies beyond the edge by
# more than this many such units; two independent bulk edges differ by that much about once in a thousand draws.
EDGE_UNITS = 6.0

# One spectrum alone is judged by a gap. In one of a hundred random matrices some value at the edge stands six units
# from the next, in one of a thousand eight, in about one of twenty thousand ten.
GAP_UNITS = 10.0

# How far the first and the tenth value below a square-root edge lie apart, in units of the Tracy-Widom scale: the
# zeros of the Airy function, 12.83 - 2.34.
_AIRY_SPAN = 10.49


def singular_values(weight: Array) -> Tensor:
    """Singular values of a matrix, descending, float64, on its device.

    Parameters
    ----------
    weight : (h, d), tensor or array. Those of a network, in the form used here: `weight_matrices`.

    Returns
    -------
    (min(h, d),), not normalized: divide by sqrt h for the convention of the book.

    Raises
    ------
    ValueError : not a matrix, empty, NaN or infinite entries.

    They are the square roots of the eigenvalues of the smaller Gram matrix, which takes half the time of a singular
    value decomposition, unless the smallest is below 1e-4 of the largest and would suffer from the square.
    """
    matrix = _checks.array("weight", weight, None, None).double()
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    scale = tall.abs().max().clamp_min(1e-300)  # so that no square overflows
    squares = torch.linalg.eigvalsh(gram(tall / scale))
    if float(squares[0]) > 1e-8 * float(squares[-1]):
        return squares.flip(0).sqrt() * scale
    return torch.linalg.svdvals(matrix)


def eigenvalues(kernel: Array) -> Tensor:
    """Eigenvalues of a symmetric matrix, descending, float64, on its device.

    Parameters
    ----------
    kernel : (n, n), tensor or array, symmetric up to rounding.

    Returns
    -------
    (n,)

    Raises
    ------
    ValueError : not square, not symmetric (beyond 1e-4 of the largest entry), empty, NaN or infinite entries.
    """
    kernel = _checks.array("kernel", kernel, None, None)
    kernel = _checks.array("kernel", kernel, len(kernel), len(kernel)).double()
    if float((kernel - kernel.T).abs().max()) > 1e-4 * float(kernel.abs().max()):
        raise ValueError("kernel: got a matrix that is not symmetric, expected kernel = kernel'")
    return torch.linalg.eigvalsh(kernel).flip(0)


@dataclass(frozen=True)
class Comparison:
    """What changed between two spectra; see `compare`.

    Attributes
    ----------
    bulk_drift : largest |after_i - before_i| over the bulk.
    outliers : values of `after` beyond the initial bulk, descending.
    edge : largest value of `after` that is no outlier.
    initial_edge : largest value of `before` in its bulk.
    margin : how far beyond `initial_edge` a value must lie to be an outlier.
    """

    bulk_drift: float
    outliers: np.ndarray
    edge: float
    initial_edge: float
    margin: float


def _edge_unit(values: np.ndarray) -> float:
    """The fluctuation scale of the edge at values[0], from the ten values below it."""
    return float(values[0] - values[9]) / _AIRY_SPAN


def bulk_start(values: np.ndarray) -> int:
    """How many values of a descending spectrum stand apart from its bulk.

    The first k values do if value k is followed by a gap of more than `GAP_UNITS` times the fluctuation scale of the
    edge below it. The largest such k up to a tenth of the values is taken.
    """
    most = min(len(values) // 10, len(values) - 11)
    apart = [k for k in range(1, most + 1) if values[k - 1] - values[k] > GAP_UNITS * _edge_unit(values[k:])]
    return max(apart, default=0)


def _spectrum(name: str, values: Array) -> np.ndarray:
    values = np.sort(_checks.array(name, values, None).double().cpu().numpy())[::-1]
    if len(values) < 20:
        raise ValueError(f"{name}: got {len(values)} values, expected at least 20")
    return values


def compare(before: Array, after: Array) -> Comparison:
    """Separate what left the initial bulk from what moved inside it.

    An outlier lies above the upper edge of the initial bulk by more than that edge's own fluctuation: `EDGE_UNITS`
    times the Tracy-Widom scale, read off the ten values at the edge. Values of `before` that stand apart by a gap, see
    `bulk_start`, do not belong to the initial bulk. Drift compares equal ranks, counted from the smallest value, over
    the ranks that are bulk before and after. Only the upper edge is watched.

    Parameters
    ----------
    before, after : (m,) spectra of the same length in any order, or two matrices of one shape, whose singular values
        are taken.

    Returns
    -------
    Comparison : in the units of the input.

    Raises
    ------
    ValueError : other shapes, fewer than 20 values, NaN, a constant initial spectrum, no bulk left.
    """
    if np.ndim(before) == 2 and np.ndim(after) == 2:
        before, after = singular_values(before), singular_values(after)
    old, new = _spectrum("before", before), _spectrum("after", after)
    if len(old) != len(new):
        raise ValueError(f"after: got {len(new)} values, expected {len(old)} as in before")
    start = bulk_start(old)
    unit = _edge_unit(old[start:])
    if unit <= 0:
        raise ValueError("before: got equal values at its edge, expected a bulk with an edge")
    margin = EDGE_UNITS * unit
    outliers = new[new > old[start] + margin]
    first = max(start, len(outliers))
    if first >= len(new):
        raise ValueError("after: got no value inside the initial bulk, nothing can be compared")
    drift = float(np.abs(new[first:] - old[first:]).max())
    return Comparison(drift, outliers.copy(), float(new[len(outliers)]), float(old[start]), margin)


def overlap(vectors: Array, directions: Array) -> float:
    """How much two subspaces share: the root mean square cosine of their principal angles.

    For two vectors, |cos| of their angle. Vectors drawn at random in d dimensions have about d^-1/2.

    Parameters
    ----------
    vectors, directions : (d,), or (d, k) and (d, m) whose columns span the subspaces.

    Returns
    -------
    A number in [0, 1]: 1 where the smaller subspace lies in the larger one.

    Raises
    ------
    ValueError : lengths that do not fit, more columns than rows, zero or dependent columns, NaN.
    """
    first, second = _basis("vectors", vectors), _basis("directions", directions)
    if len(first) != len(second):
        raise ValueError(f"directions: got {len(second)} rows, expected {len(first)} as in vectors")
    shared = (first.T @ second.to(first)).norm() / math.sqrt(min(first.shape[1], second.shape[1]))
    return min(1.0, float(shared))


def _basis(name: str, columns: Array) -> Tensor:
    """An orthonormal basis of the span of the columns, float64."""
    columns = _checks.array(name, columns, *[None] * min(max(np.ndim(columns), 1), 2)).double()
    columns = columns.reshape(len(columns), -1)
    q, r = torch.linalg.qr(columns / columns.norm(dim=0).clamp_min(1e-300))
    if columns.shape[1] > len(columns) or float(r.diagonal().abs().min()) < 1e-10:
        raise ValueError(f"{name}: got zero or dependent columns, expected independent ones")
    return q
