"""A caller's network as a fixed function of one sample, and left as it was found."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from .. import _checks

Inputs = Tensor | dict[str, Tensor]
Forward = Callable[[nn.Module, Inputs], Tensor]


def network(net: nn.Module) -> nn.Module:
    """`net`, a module with parameters; TypeError or ValueError otherwise."""
    if not isinstance(net, nn.Module):
        raise TypeError(f"net: got {type(net).__name__}, expected a torch.nn.Module")
    if not any(p.is_floating_point() for p in net.parameters()):
        raise ValueError(f"net: got {type(net).__name__} without parameters, expected a network")
    return net


def inputs(net: nn.Module, x: Tensor | Mapping[str, Tensor]) -> Inputs:
    """`x` on the network's device, floats in its dtype, integers as they are; every first axis counts the samples."""
    like = next(p for p in net.parameters() if p.is_floating_point())
    if not isinstance(x, Mapping):
        return _checks.samples("x", x, like)
    if not x:
        raise ValueError("x: got an empty mapping, expected one tensor or more")
    tensors = {name: _checks.samples(f"x[{name!r}]", value, like) for name, value in x.items()}
    if len({len(t) for t in tensors.values()}) > 1:
        sizes = ", ".join(f"{name} {len(t)}" for name, t in tensors.items())
        raise ValueError(f"x: got different numbers of samples ({sizes}), expected one number")
    return tensors


def rows(x: Inputs, index: slice | None) -> Inputs:
    """Some of the samples; with None, a first axis is added."""
    return {name: t[index] for name, t in x.items()} if isinstance(x, dict) else x[index]


def count(x: Inputs) -> int:
    """The number of samples."""
    return len(next(iter(x.values())) if isinstance(x, dict) else x)


def call(net: nn.Module, x: Inputs) -> Tensor:
    """net(x), or net(**x) of a mapping; the logits where the outputs have several parts."""
    y = net(**x) if isinstance(x, dict) else net(x)
    return getattr(y, "logits", y)


def outputs(net: nn.Module, x: Inputs, forward: Forward | None = None) -> Tensor:
    """The network's outputs, flattened to (n, k).

    ValueError for inputs that the network does not take; TypeError or ValueError for outputs that are no (n, ...).
    """
    try:
        y = (forward or call)(net, x)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        shape = {name: tuple(t.shape[1:]) for name, t in x.items()} if isinstance(x, dict) else tuple(x.shape[1:])
        raise ValueError(f"x: got samples {shape}, which {type(net).__name__} does not take: {error}") from error
    if not isinstance(y, Tensor):
        raise TypeError(f"forward: got {type(y).__name__}, expected a tensor (n, ...) of outputs")
    if y.ndim == 0 or len(y) != count(x) or not y.is_floating_point():
        raise ValueError(f"forward: got {y.dtype} of shape {tuple(y.shape)}, expected floats ({count(x)}, ...)")
    return y.reshape(len(y), -1)


class Flat(nn.Module):
    """x -> outputs (n, k), with the network as a child `net`, so that torch.func can replace its tensors for a call."""

    def __init__(self, net: nn.Module, forward: Forward | None = None) -> None:
        super().__init__()
        self.net, self.call = net, forward

    def forward(self, x: Inputs) -> Tensor:
        return outputs(self.net, x, self.call)

    def buffers_copied(self) -> dict[str, Tensor]:
        """What a call may write to, by name."""
        return {name: buffer.detach().clone() for name, buffer in self.named_buffers()}


@contextmanager
def evaluated(net: nn.Module) -> Iterator[None]:
    """All modules in evaluation mode, without calling anything; each gets its own mode back."""
    modes = {module: module.training for module in net.modules()}
    try:
        for module in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def layer_inputs(
    net: nn.Module, x: Tensor | Mapping[str, Tensor], layer: str | None, forward: Forward | None = None
) -> Tensor:
    """What enters the named module, or by default the last linear layer that is called, flattened to (n, width)."""
    x, modules = inputs(network(net), x), dict(net.named_modules())
    if layer is not None and layer not in modules:
        raise ValueError(f"layer: got {layer!r}, expected one of {', '.join(filter(None, modules))}")
    linear = [module for module in modules.values() if isinstance(module, nn.Linear)]
    if layer is None and not linear:
        kinds = sorted({type(module).__name__ for module in modules.values()})
        raise ValueError(f"net: got no Linear among {', '.join(kinds)}, expected one, or the name of a layer")
    seen: list[Tensor] = []

    def keep(module: nn.Module, args: tuple, kwargs: dict) -> None:
        seen[:] = [next(iter((*args, *kwargs.values())))]

    searched = linear if layer is None else [modules[layer]]
    handles = [module.register_forward_pre_hook(keep, with_kwargs=True) for module in searched]
    flat = Flat(net, forward)
    try:
        # With gradients, since without them torch fuses its transformer layers and calls nothing inside.
        with torch.enable_grad(), evaluated(net):
            functional_call(flat, flat.buffers_copied(), (x,))
    finally:
        for handle in handles:
            handle.remove()
    if not seen:
        named = "the linear layers" if layer is None else repr(layer)
        raise ValueError(f"layer: got {named}, expected a module that is called for x")
    if not isinstance(seen[0], Tensor) or len(seen[0]) != count(x):
        raise ValueError(f"layer: got one that is not given a tensor ({count(x)}, ...), expected another")
    return seen[0].detach().flatten(1)


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
