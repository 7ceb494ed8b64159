"""Muon: momentum, and then a step whose singular values are nearly all equal."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from .. import _checks
from ..spectra.values import gram

_POLYNOMIAL = (3.4445, -4.7750, 2.0315)  # a x + b x^3 + c x^5 on the singular values
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """The steps of `torch.optim.Muon`, computed in the dtype of the weights.

    torch's own computes them in bfloat16, which few processors have instructions for. On the others a step takes some
    thirty times as long as in float32; elsewhere nothing speaks against it.

    Parameters
    ----------
    params : matrices only; ValueError for others.
    lr, weight_decay, momentum : as in torch. A matrix with more rows than columns takes sqrt(rows / columns) times the
        rate.

    Source: Jordan et al. (2024).
    """

    def __init__(
        self, params: Iterable[Any], lr: float = 1e-3, weight_decay: float = 0.1, momentum: float = 0.95
    ) -> None:
        lr, weight_decay = _checks.real("lr", lr), _checks.real("weight_decay", weight_decay)
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=_checks.real("momentum", momentum)))
        shapes = [tuple(p.shape) for group in self.param_groups for p in group["params"]]
        if unfit := [shape for shape in shapes if len(shape) != 2]:
            raise ValueError(f"params: got shapes {unfit}, expected matrices")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            lr, momentum = group["lr"], group["momentum"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                mean = self.state[p].setdefault("momentum_buffer", torch.zeros_like(p.grad))
                mean.lerp_(p.grad, 1 - momentum)
                direction = orthogonalized(p.grad.lerp(mean, momentum))
                p.mul_(1 - lr * group["weight_decay"])
                p.sub_(direction, alpha=lr * math.sqrt(max(1.0, p.shape[0] / p.shape[1])))
        return loss


@torch.no_grad()
def orthogonalized(matrix: Tensor) -> Tensor:
    """A matrix (m, n) with the singular vectors of this one and values between about 0.7 and 1.2.

    Values that are tiny against the norm stay small. Source: the Newton-Schulz iteration of Jordan et al. (2024).
    """
    a, b, c = _POLYNOMIAL
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp_min(1e-7)
    for _ in range(_ITERATIONS):
        square = gram(wide.T)
        wide = torch.addmm(wide, gram(square).mul_(c).add_(square, alpha=b), wide, beta=a)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
