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
    params : iterable
        Matrices only.
    lr : float, default 1e-3
        As in torch. A matrix with more rows than columns takes sqrt(rows / columns) times the rate.
    weight_decay : float, default 0.1
        As in torch.
    momentum : float, default 0.95
        As in torch.

    Raises
    ------
    ValueError
        Parameters that are no matrices, a negative or infinite number.
    TypeError
        A rate, decay or momentum that is no number.

    References
    ----------
    Jordan et al. (2024).

    Examples
    --------
    >>> import torch
    >>> from helpers import training
    >>> weight = torch.nn.Parameter(torch.zeros(3, 2))
    >>> weight.grad = torch.tensor([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    >>> training.Muon([weight], lr=1.0).step()
    >>> round(float(weight.detach().norm()), 1)
    1.6
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
        """One step.

        Parameters
        ----------
        closure : callable, optional
            Evaluates the network again and returns the loss.

        Returns
        -------
        any
            What the closure returns; None without one.
        """
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
    """A matrix with the singular vectors of this one and values between about 0.7 and 1.2.

    Values that are tiny against the norm stay small.

    Parameters
    ----------
    matrix : Tensor, (m, n)
        Any matrix.

    Returns
    -------
    Tensor, (m, n)
        Of the dtype of `matrix`.

    References
    ----------
    Jordan et al. (2024), for the Newton-Schulz iteration.

    Examples
    --------
    >>> import torch
    >>> from helpers.training.muon import orthogonalized
    >>> values = torch.linalg.svdvals(orthogonalized(torch.diag(torch.tensor([3.0, 1.0]))))
    >>> [round(v, 1) for v in values.tolist()]
    [1.1, 0.8]
    """
    a, b, c = _POLYNOMIAL
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp_min(1e-7)
    for _ in range(_ITERATIONS):
        square = gram(wide.T)
        wide = torch.addmm(wide, gram(square).mul_(c).add_(square, alpha=b), wide, beta=a)
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
