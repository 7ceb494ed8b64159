"""Products with a network's jacobian and with the Hessian of its loss, some samples at a time, as scipy operators."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from .. import _checks
from ..networks import evaluation
from ..networks.evaluation import Flat, Forward, Inputs, rows

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

    def matvec(vector: np.ndarray) -> np.ndarray:
        return product(torch.from_numpy(np.ravel(vector)).to(like)).double().cpu().numpy()

    return LinearOperator((size, size), matvec=matvec, rmatvec=matvec, dtype=np.float64)


class Function:
    """x -> outputs (n, k) of a network in evaluation mode, with leaves in place of the parameters to train.

    Attention is computed step by step: its fused kernels cannot be differentiated twice.

    Attributes
    ----------
    leaves : the parameters to train, detached.  size : how many numbers they are.

    Raises ValueError where there is nothing to train.
    """

    def __init__(self, net: nn.Module, forward: Forward | None = None) -> None:
        self._flat = Flat(evaluation.network(net), forward)
        named = dict(self._flat.named_parameters())
        self._trained = {k: p.detach().requires_grad_() for k, p in named.items() if p.requires_grad}
        self._fixed = {k: p.detach() for k, p in named.items() if not p.requires_grad}
        if not self._trained:
            raise ValueError(f"net: got {type(net).__name__} with nothing to train, expected some requires_grad")
        self.leaves = list(self._trained.values())
        self.size = sum(leaf.numel() for leaf in self.leaves)

    def __call__(self, x: Inputs) -> Tensor:
        tensors = self._fixed | self._flat.buffers_copied() | self._trained
        with torch.enable_grad(), evaluation.evaluated(self._flat), sdpa_kernel(SDPBackend.MATH):
            return functional_call(self._flat, tensors, (x,))

    def bytes(self, x: Inputs) -> int:
        """What the graph of one sample holds besides the parameters."""
        saved: list[Tensor] = []
        own = {leaf.data_ptr() for leaf in (*self.leaves, *self._fixed.values())}

        def keep(tensor: Tensor) -> Tensor:
            saved.append(tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            y = self(rows(x, slice(0, 1)))
        return y.nbytes + sum(t.nbytes for t in saved if t.data_ptr() not in own)

    def split(self, vector: Tensor) -> list[Tensor]:
        """A vector (size,) in the shapes of the leaves."""
        parts = vector.split([leaf.numel() for leaf in self.leaves])
        return [part.view_as(leaf) for part, leaf in zip(parts, self.leaves, strict=True)]


def _flat(gradients: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([g.flatten() for g in gradients])


class Jacobian:
    """The jacobian J of the outputs (n, k) with respect to the leaves; its graph is kept."""

    @torch.enable_grad()
    def __init__(self, function: Function, x: Inputs) -> None:
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

    @torch.enable_grad()
    def __init__(self, function: Function, x: Inputs, value: Callable[[Tensor], Tensor]) -> None:
        self._leaves, self._split = function.leaves, function.split
        self._gradient = torch.autograd.grad(
            value(function(x)), self._leaves, create_graph=True, materialize_grads=True
        )

    def product(self, v: Tensor) -> Tensor:
        """(size,) -> (size,)."""
        return _flat(torch.autograd.grad(self._gradient, self._leaves, self._split(v), **_KEEP))
