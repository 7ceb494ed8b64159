"""Products with a network's jacobian and with the Hessian of its loss, some samples at a time, as scipy operators."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from .. import _checks
from ..networks.evaluation import Forward, Function, Inputs, evaluated, graphs, precision, rows

# Samples are worked on together up to this many bytes.
_CHUNK = 2**25

# For torch.autograd.grad: the graph serves the next product too; zeros for parameters that do not matter.
_KEEP = {"retain_graph": True, "materialize_grads": True}


class Blocks:
    """What `make` makes of some samples at a time; kept where that of all n samples fits into `memory` bytes."""

    def __init__(self, n: int, each: int, memory: int, make: Callable[[slice], Any]) -> None:
        size = max(1, _CHUNK // each)
        self._slices, self._make = [slice(i, min(i + size, n)) for i in range(0, n, size)], make
        self._kept = [make(some) for some in self._slices] if n * each <= _checks.integer("memory", memory) else None

    def __iter__(self) -> Iterator[tuple[slice, Any]]:
        return zip(self._slices, map(self._make, self._slices) if self._kept is None else self._kept, strict=True)


def operator(size: int, like: Tensor, product: Callable[[Tensor], Tensor]) -> LinearOperator:
    """The symmetric operator (size, size) on float64 vectors; `product` gets and gives tensors (size,) as `like`."""

    @torch.inference_mode(False)
    def matvec(vector: np.ndarray) -> np.ndarray:
        try:
            return product(torch.from_numpy(np.ravel(vector)).to(like)).double().cpu().numpy()
        except NotImplementedError as error:
            raise ValueError(
                f"net: got one that torch does not differentiate twice, expected another: {error}"
            ) from error

    return LinearOperator((size, size), matvec=matvec, rmatvec=matvec, dtype=np.float64)


class Leaves(Function):
    """The network in evaluation mode as a function of the leaves, to be differentiated twice.

    Attention is computed step by step: its fused kernels cannot be differentiated twice. Networks in half precision
    are computed in single.

    Attributes
    ----------
    leaves : the parameters to train.
    size : how many numbers they are.
    """

    def __init__(self, net: nn.Module, forward: Forward | None = None) -> None:
        super().__init__(net, forward, precision(net))
        self.leaves = list(self.trained.values())
        self.size = sum(leaf.numel() for leaf in self.leaves)

    def __call__(self, x: Inputs, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        with graphs(), evaluated(self.flat), sdpa_kernel(SDPBackend.MATH):
            return super().__call__(x, parameters)

    def bytes(self, x: Inputs) -> int:
        """What the graph of one sample holds besides the parameters."""
        y, held = self.graph(rows(x, slice(0, 1)))
        return y.nbytes + held

    def split(self, vector: Tensor) -> list[Tensor]:
        """A vector (size,) in the shapes of the leaves."""
        parts = vector.split([leaf.numel() for leaf in self.leaves])
        return [part.view_as(leaf) for part, leaf in zip(parts, self.leaves, strict=True)]


def _flat(gradients: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([g.flatten() for g in gradients])


class Jacobian:
    """The jacobian J of the outputs (n, k) with respect to the leaves; its graph is kept."""

    @torch.inference_mode(False)
    def __init__(self, function: Leaves, x: Inputs) -> None:
        self._leaves, self._split, self._outputs = function.leaves, function.split, function(x)
        if not self._outputs.requires_grad:
            raise ValueError("net: got outputs without a gradient, expected some that depend on the trained parameters")
        self._dummy = torch.zeros_like(self._outputs, requires_grad=True)
        self._pulled = torch.autograd.grad(
            self._outputs, self._leaves, self._dummy, create_graph=True, materialize_grads=True
        )

    def pull(self, u: Tensor) -> Tensor:
        """J'u, (n, k) -> (size,)."""
        return _flat(torch.autograd.grad(self._outputs, self._leaves, u, **_KEEP))

    def push(self, v: Tensor) -> Tensor:
        """J v, (size,) -> (n, k): the derivative of J'u with respect to u."""
        return torch.autograd.grad(self._pulled, self._dummy, self._split(v), **_KEEP)[0]


class Curvature:
    """Second derivative of a number made of the outputs with respect to the leaves; its gradient's graph is kept."""

    @torch.inference_mode(False)
    def __init__(self, function: Leaves, x: Inputs, value: Callable[[Tensor], Tensor]) -> None:
        self._leaves, self._split = function.leaves, function.split
        self._gradient = torch.autograd.grad(
            value(function(x)), self._leaves, create_graph=True, materialize_grads=True
        )

    def product(self, v: Tensor) -> Tensor:
        """(size,) -> (size,)."""
        return _flat(torch.autograd.grad(self._gradient, self._leaves, self._split(v), **_KEEP))
