"""All singular values of a matrix and its few leading vectors."""

from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

Leading: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]  # left vectors, all singular values, right vectors


def leading(matrix: Tensor, k: int) -> Leading:
    """The k leading left and right singular vectors as columns, and between them all singular values; float64.

    Vectors of values that are zero up to rounding are left out. A matrix that is not finite has NaN values and no
    vectors.
    """
    matrix = matrix.detach()
    matrix = (matrix.cpu() if matrix.device.type == "mps" else matrix).double()
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    gram = tall.T @ tall
    if not torch.isfinite(gram).all():
        nothing = np.zeros((0, 0))
        return nothing, np.full(len(gram), np.nan), nothing
    squares, vectors = torch.linalg.eigh(gram)
    values, near = squares.clamp_min(0).sqrt().flip(0), vectors.flip(1)[:, :k]
    near = near[:, values[:k] > 1e-6 * values[0]]
    far = tall @ near / values[: near.shape[1]]
    left, right = (far, near) if tall is matrix else (near, far)
    return left.cpu().numpy(), values.cpu().numpy(), right.cpu().numpy()
