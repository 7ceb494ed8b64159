"""Arguments refused at the door: every error names the argument, what came and what is allowed."""

import math
import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

Array = Tensor | np.ndarray  # what public functions take where they say array
FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
Numbers = Sequence[float] | np.ndarray  # in a row


def integer(name: str, value: Any, least: int = 1) -> int:
    """`value` as an int of at least `least`; TypeError or ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name}: got {value!r}, expected an integer of at least {least}")
    if value < least:
        raise ValueError(f"{name}: got {value}, expected an integer of at least {least}")
    return int(value)


def real(name: str, value: Any, *, positive: bool = False) -> float:
    """`value` as a finite float, above 0 where `positive`, else at least 0."""
    allowed = "a finite number above 0" if positive else "a finite number of at least 0"
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name}: got {value!r}, expected {allowed}")
    if not math.isfinite(value) or value < 0 or (positive and value == 0):
        raise ValueError(f"{name}: got {value}, expected {allowed}")
    return float(value)


def array(name: str, value: Any, *shape: int | None) -> Tensor:
    """`value` as a finite floating tensor of the given shape (None: any size); never copied in vain.

    Tensors keep dtype and device; arrays and nested lists become CPU tensors.
    """
    value = tensor(name, value)
    if not value.is_floating_point():
        value = value.to(torch.float64)
    fits = value.ndim == len(shape) and all(s in (None, t) for s, t in zip(shape, value.shape, strict=True))
    if not fits or value.numel() == 0:
        wanted = ", ".join("any" if s is None else str(s) for s in shape)
        raise ValueError(f"{name}: got shape {tuple(value.shape)}, expected ({wanted}), not empty")
    return _finite(name, value)


def samples(name: str, value: Any, like: Tensor) -> Tensor:
    """`value` as a tensor (n, ...) with n at least 1, on the device of `like`.

    Floats must be finite and get the dtype of `like`; integers and booleans, as of tokens and masks, keep theirs.
    """
    value = tensor(name, value)
    if value.ndim == 0 or value.numel() == 0:
        raise ValueError(f"{name}: got shape {tuple(value.shape)}, expected (samples, ...), not empty")
    value = _finite(name, value)
    return value.to(like.device, like.dtype if value.is_floating_point() else value.dtype)


def tensor(name: str, value: Any) -> Tensor:
    """A tensor as it is, detached; an array or nested lists as a CPU tensor. Real numbers that are there only."""
    if not isinstance(value, Tensor):
        value = _from_numpy(name, value)
    if value.is_complex():
        raise TypeError(f"{name}: got dtype {value.dtype}, expected real numbers")
    if value.layout != torch.strided or value.is_quantized or value.is_meta:
        kind = "on the device meta, without numbers" if value.is_meta else f"of layout {value.layout}"
        kind = f"of dtype {value.dtype}" if value.is_quantized else kind
        raise TypeError(f"{name}: got a tensor {kind}, expected a dense one")
    if value.is_floating_point() and value.dtype not in FLOATS:
        raise TypeError(f"{name}: got dtype {value.dtype}, expected {', '.join(map(str, FLOATS))} or integers")
    return value.detach()


def _from_numpy(name: str, value: Any) -> Tensor:
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{name}: got a masked array, expected one without a mask, such as its compressed()")
    try:
        rows = np.ascontiguousarray(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: got {type(value).__name__}, expected a tensor or an array of numbers") from None
    if rows.dtype.kind in "biuf" and not rows.dtype.isnative:
        rows = rows.astype(rows.dtype.newbyteorder("="))
    if rows.dtype.kind not in "biufc":
        raise TypeError(f"{name}: got {type(value).__name__} of dtype {rows.dtype}, expected an array of numbers")
    try:
        # A single entry counts as contiguous whatever its stride, and torch takes no negative one.
        return torch.from_numpy(rows.copy() if min(rows.strides, default=0) < 0 else rows)
    except TypeError:
        raise TypeError(f"{name}: got dtype {rows.dtype}, expected float64 or less, or integers") from None


def _finite(name: str, value: Tensor) -> Tensor:
    if not torch.isfinite(value).all():
        raise ValueError(f"{name}: got NaN or infinite entries, expected finite numbers")
    return value
