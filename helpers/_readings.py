"""What a monitor reads off one matrix or one kernel at one time: a row of its frame."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from . import kernels, spectra, verdicts
from ._leading import Leading

OVERLAPS = ("left_overlap", "right_overlap", "left_gradient", "right_gradient")
ALIGNMENTS = ("alignment", "centered_alignment")
NUMBERS = (*verdicts.COLUMNS, *OVERLAPS, *ALIGNMENTS)  # the columns that hold numbers

Row = dict[str, Any]


def of_matrix(name: str, shape: tuple[int, int], now: Leading, start: Leading, gradient: Tensor | None) -> Row:
    """The row of a weight matrix from its values and vectors now and at the start."""
    left, values, right = now
    row: Row = {"name": name, "kind": "weight"}
    if not np.isfinite(values).all():
        return row | {"size": min(shape), "verdict": "not finite"}
    row |= verdicts.describe(start[1], values, shape)
    row |= {"left_overlap": _overlap(left, start[0]), "right_overlap": _overlap(right, start[2])}
    row |= _shares(gradient, left, right)
    return row | {"verdict": verdicts.verdict(row)}


def of_kernel(name: str, kernel: Tensor, y: Tensor) -> tuple[Row, np.ndarray]:
    """The row of a kernel matrix and its eigenvalues."""
    kernel = (kernel.cpu() if kernel.device.type == "mps" else kernel).double()
    row: Row = {"name": name, "kind": "kernel", "size": len(kernel)}
    if not torch.isfinite(kernel).all() or not kernel.any():
        return row, np.full(len(kernel), math.nan)
    values = spectra.eigenvalues(kernel).clamp_min(0).cpu().numpy()
    row |= verdicts.ranks(values)
    labels = y.to(kernel.device)
    row["alignment"] = kernels.alignment(kernel, labels)
    return row | {"centered_alignment": kernels.alignment(kernel, labels, centered=True)}, values


def _overlap(now: np.ndarray, start: np.ndarray) -> float:
    return spectra.overlap(now, start) if now.size and start.size else math.nan


def _shares(gradient: Tensor | None, left: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """The part of the gradient's norm in the span of singular vectors, on both sides."""
    if gradient is None:
        return {}
    norm = float(gradient.float().norm())
    if not norm or not math.isfinite(norm):
        return {}
    gradient = gradient.float() / norm
    u, v = (torch.from_numpy(side).to(gradient) for side in (left, right))
    return {"left_gradient": float((u.T @ gradient).norm()), "right_gradient": float((gradient @ v).norm())}
