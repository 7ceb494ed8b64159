"""What a monitor is told to look at: the model inside its wrappers, the names of its matrices, a probe."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from . import _checks, spectra


def unwrapped(model: nn.Module) -> nn.Module:
    """The model inside torch.compile and (distributed) data parallel."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model: got {type(model).__name__}, expected a torch.nn.Module")
    while True:
        if hasattr(model, "_orig_mod"):
            model = cast(nn.Module, model._orig_mod)
        elif isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
            model = model.module
        else:
            return model


def names(model: nn.Module, layers: Sequence[str] | None) -> list[str]:
    """The names of the weight matrices to watch: `layers`, or all of them."""
    try:
        found = list(spectra.weight_matrices(model))
    except ValueError as error:
        raise ValueError(str(error).replace("net", "model", 1)) from None
    if layers is None:
        return found
    wanted = [layers] if isinstance(layers, str) else list(layers)
    unknown = [name for name in wanted if name not in found]
    if unknown or not wanted:
        raise ValueError(f"layers: got {unknown or wanted}, expected some of {', '.join(found)}")
    return wanted


def probe(pair: tuple[Any, Any]) -> tuple[Any, Tensor]:
    """Inputs as they came, and labels as numbers (n, ...) in float64; classes are centered one-hot columns."""
    if not isinstance(pair, Sequence) or len(pair) != 2:
        raise TypeError(f"probe: got {type(pair).__name__}, expected a pair (x, y)")
    x, y = pair
    y = torch.as_tensor(np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y))
    if y.ndim == 1 and not y.is_floating_point():
        y = nn.functional.one_hot(y.long() - y.long().min()).double()
        y -= y.mean(0)
    size = len(next(iter(x.values()))) if isinstance(x, Mapping) else len(x)
    if len(y) != size:
        raise ValueError(f"probe: got {size} samples and {len(y)} labels, expected as many")
    return x, _checks.array("probe", y, *[None] * y.ndim).double()
