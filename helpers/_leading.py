"""The few leading singular vectors of a matrix, with their values or with all of them."""

from typing import TypeAlias

import numpy as np
import torch
from scipy.sparse.linalg import svds
from torch import Tensor

from . import _checks
from ._checks import Array

Leading: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]  # left vectors, all singular values, right vectors


def gram(matrix: Tensor) -> Tensor:
    """matrix' matrix; on a processor by numpy, which computes only half of it, where torch computes all."""
    if matrix.device.type != "cpu" or matrix.dtype not in (torch.float32, torch.float64):
        return matrix.T @ matrix
    rows = matrix.detach().numpy()
    return torch.from_numpy(rows.T @ rows)


def leading(matrix: Tensor, k: int) -> Leading:
    """The k leading left and right singular vectors as columns, and between them all singular values; float64.

    Vectors of values that are zero up to rounding are left out. A matrix that is not finite has NaN values and no
    vectors.
    """
    matrix = matrix.detach()
    matrix = (matrix.cpu() if matrix.device.type == "mps" else matrix).double()
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    small = gram(tall)
    if not torch.isfinite(small).all():
        nothing = np.zeros((0, 0))
        return nothing, np.full(len(small), np.nan), nothing
    squares, vectors = torch.linalg.eigh(small)
    values, near = squares.clamp_min(0).sqrt().flip(0), vectors.flip(1)[:, :k]
    near = near[:, values[:k] > 1e-6 * values[0]]
    far = tall @ near / values[: near.shape[1]]
    left, right = (far, near) if tall is matrix else (near, far)
    return left.cpu().numpy(), values.cpu().numpy(), right.cpu().numpy()


def singular_triplets(weight: Array, k: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """The k largest singular values with their vectors, float64, on its device.

    Parameters
    ----------
    weight : (h, d), tensor or array.
    k : at least 1, at most min(h, d). For a few, this is several times faster than all of them.

    Returns
    -------
    left (h, k), values (k,), right (d, k) : values descending, not normalized; vectors as columns of length 1, the sign
        of each pair arbitrary.

    Raises
    ------
    ValueError, TypeError : not a matrix, empty, all zero, NaN or infinite entries; k out of range.

    Source: ARPACK, as `scipy.sparse.linalg.svds`, from the same random vector each time; all of them, by a full SVD.
    """
    matrix = _checks.array("weight", weight, None, None).double()
    k = _checks.integer("k", k)
    if k > min(matrix.shape):
        raise ValueError(f"k: got {k}, expected at most {min(matrix.shape)} for a matrix {tuple(matrix.shape)}")
    if not matrix.any():
        raise ValueError("weight: got a matrix of zeros, expected one with singular vectors that stand out")
    host = matrix.cpu().numpy()
    if k == min(host.shape):
        left, values, right = np.linalg.svd(host, full_matrices=False)
    else:
        left, values, right = svds(host, k=k, random_state=0)
    order = np.argsort(values)[::-1]
    u, s, v = (torch.from_numpy(each.copy()) for each in (left[:, order], values[order], right[order].T))
    return u.to(matrix.device), s.to(matrix.device), v.to(matrix.device)


def top_triplet(weight: Array) -> tuple[np.ndarray, float, np.ndarray]:
    """Left singular vector (h,), singular value and right singular vector (d,) of the largest singular value, float64.

    As `singular_triplets` has them, whose errors it raises, but as arrays without the axis of length 1.
    """
    left, values, right = singular_triplets(weight)
    return left[:, 0].cpu().numpy(), float(values[0]), right[:, 0].cpu().numpy()
