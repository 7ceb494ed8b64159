"""A caller's network as a fixed function of one sample, and left as it was found."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from .. import _checks
from .two_layer import TwoLayerNet

Inputs = Tensor | dict[str, Tensor]
Forward = Callable[[nn.Module, Inputs], Tensor]


def network(net: nn.Module) -> nn.Module:
    """`net`, a module with parameters; TypeError or ValueError otherwise."""
    if not isinstance(net, nn.Module):
        raise TypeError(f"net: got {type(net).__name__}, expected a torch.nn.Module")
    if not any(p.is_floating_point() for p in net.parameters()):
        raise ValueError(f"net: got {type(net).__name__} without parameters, expected a network")
    return net


def inputs(net: nn.Module, x: Tensor | Mapping[str, Tensor], argument: str = "x") -> Inputs:
    """`x` on the network's device, floats in its dtype, integers as they are; every first axis counts the samples."""
    like = next(p for p in net.parameters() if p.is_floating_point())
    if not isinstance(x, Mapping):
        return _checks.samples(argument, x, like)
    if not x:
        raise ValueError(f"{argument}: got an empty mapping, expected one tensor or more")
    tensors = {name: _checks.samples(f"{argument}[{name!r}]", value, like) for name, value in x.items()}
    if len({len(t) for t in tensors.values()}) > 1:
        sizes = ", ".join(f"{name} {len(t)}" for name, t in tensors.items())
        raise ValueError(f"{argument}: got different numbers of samples ({sizes}), expected one number")
    return tensors


def inputs_like(net: nn.Module, other: Tensor | Mapping[str, Tensor], x: Inputs) -> Inputs:
    """Further samples of the form of x; ValueError where they have another one."""
    given = inputs(net, other, "other")
    forms = [{k: tuple(t.shape[1:]) for k, t in (s if isinstance(s, dict) else {"": s}).items()} for s in (given, x)]
    if forms[0] != forms[1]:
        got, wanted = (form.get("", form) for form in forms)
        raise ValueError(f"other: got samples {got}, expected {wanted} as in x")
    return given


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


class Function:
    """x -> outputs (n, k) of a network as a function of its trained parameters.

    The caller's parameters are read, never touched; buffers are copied for every call.

    Attributes
    ----------
    flat : the network as a module with outputs (n, k).
    fixed : name -> each parameter, detached.
    trained : name -> a leaf in the place of each parameter that requires a gradient.

    Raises
    ------
    TypeError, ValueError : no network, nothing to train.
    """

    def __init__(self, net: nn.Module, forward: Forward | None = None) -> None:
        self.flat = Flat(network(net), forward)
        parameters = dict(self.flat.named_parameters())
        self.fixed = {name: p.detach() for name, p in parameters.items()}
        self.trained = {name: p.detach().requires_grad_() for name, p in parameters.items() if p.requires_grad}
        if not self.trained:
            raise ValueError(f"net: got {type(net).__name__} with nothing to train, expected some requires_grad")

    def __call__(self, x: Inputs, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        """The outputs with these parameters in place of the leaves; those that are not named are fixed."""
        given = self.trained if parameters is None else parameters
        return functional_call(self.flat, self.fixed | self.flat.buffers_copied() | dict(given), (x,))

    def graph(self, x: Inputs) -> tuple[Tensor, int]:
        """The outputs, and the bytes of what their graph holds besides the parameters."""
        saved: list[Tensor] = []
        own = {p.data_ptr() for p in (*self.fixed.values(), *self.trained.values())}

        def keep(tensor: Tensor) -> Tensor:
            saved.append(tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            y = self(x)
        return y, sum(t.nbytes for t in saved if t.data_ptr() not in own)


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
    net: nn.Module,
    x: Tensor | Mapping[str, Tensor],
    layer: str | None = None,
    *,
    over: str = "flatten",
    forward: Forward | None = None,
) -> Tensor:
    """What enters a layer of any network, evaluated in evaluation mode.

    Parameters
    ----------
    net : nn.Module
        The network; it is left as it was.
    x : tensor, array or mapping
        Samples (n, ...) for net(x), or a mapping of such for net(**x).
    layer : str, optional
        Name of a module, one of `net.named_modules()`; "" is the network itself. By default the linear layer that is
        called last.
    over : {"flatten", "mean"}
        What becomes of axes such as words and pixels. "flatten": they stand side by side, as the layer is given them;
        of several calls the last one counts. "mean": the mean over all that the weight matrix of the layer multiplies,
        the words of a text, the patches of an image, every call; only for linear layers and two-dimensional
        convolutions.
    forward : callable, optional
        (net, x) -> outputs (n, ...).

    Returns
    -------
    Tensor
        (n, width), detached; with "mean", width is the number of columns of the matrix in `spectra.weight_matrices`.

    Raises
    ------
    TypeError
        If net is no module.
    ValueError
        If x does not fit, there is no such layer, it is not called for x or is not given (n, ...), or has no weight
        matrix of the kinds that "mean" is for.

    Examples
    --------
    >>> import torch
    >>> from helpers import networks
    >>> net = networks.mlp(4, 1, width=6, depth=2)
    >>> networks.layer_inputs(net, torch.ones(3, 4), "hidden2").shape
    torch.Size([3, 6])
    """
    if over not in ("flatten", "mean"):
        raise ValueError(f"over: got {over!r}, expected 'flatten' or 'mean'")
    modules = dict(network(net).named_modules())
    if layer is not None and layer not in modules:
        raise ValueError(f"layer: got {layer!r}, expected one of {', '.join(filter(None, modules))}")
    searched = {layer: modules[layer]} if layer is not None else {k: m for k, m in modules.items() if _is_linear(m)}
    if not searched:
        kinds = sorted({type(module).__name__ for module in modules.values()})
        raise ValueError(f"net: got no Linear among {', '.join(kinds)}, expected one, or the name of a layer")
    x = inputs(net, x)
    entered = calls_of(net, x, searched, forward)
    if not entered:
        named = "the linear layers" if layer is None else repr(layer)
        raise ValueError(f"layer: got {named}, expected a module that is called for x")
    name = list(entered)[-1]  # the one that was called last
    return (
        mean_input(searched[name], entered[name], count(x)) if over == "mean" else flat_input(entered[name], count(x))
    )


def calls_of(
    net: nn.Module, x: Inputs, searched: Mapping[str, nn.Module], forward: Forward | None = None
) -> dict[str, list[Any]]:
    """What these modules are given at every call, in one evaluation; the one that is called last stands last."""
    entered: dict[str, list] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple, dict], None]:
        def hook(module: nn.Module, args: tuple, kwargs: dict) -> None:
            entered[name] = [*entered.pop(name, []), next(iter((*args, *kwargs.values())), None)]

        return hook

    handles = [module.register_forward_pre_hook(keep(name), with_kwargs=True) for name, module in searched.items()]
    flat = Flat(net, forward)
    try:
        # With gradients, since without them torch fuses its transformer layers and calls nothing inside.
        with torch.enable_grad(), evaluated(net):
            functional_call(flat, flat.buffers_copied(), (x,))
    finally:
        for handle in handles:
            handle.remove()
    return entered


def flat_input(calls: list[Any], n: int) -> Tensor:
    """What enters at the last call, (n, width)."""
    return _of_samples(calls[-1], n).reshape(n, -1)


def mean_input(module: nn.Module, calls: list[Any], n: int) -> Tensor:
    """The mean over all that the weight matrix of a module multiplies: (n, columns of the matrix)."""
    given = [_of_samples(call, n) for call in calls]
    if isinstance(module, nn.Linear):
        rows = [x.reshape(n, -1, module.in_features) for x in given]
    elif isinstance(module, nn.Conv2d) and module.groups == 1:
        rows = [patches(module, x) for x in given]
    elif isinstance(module, TwoLayerNet):
        rows = [x[:, None] for x in given]
    else:
        kind = type(module).__name__ + " with groups" * isinstance(module, nn.Conv2d)
        raise ValueError(f"layer: got a {kind}, expected a linear layer or a two-dimensional convolution")
    return torch.cat(rows, dim=1).mean(1)


def _of_samples(given: Any, n: int) -> Tensor:
    if not isinstance(given, Tensor) or given.ndim == 0 or len(given) != n:
        raise ValueError(f"layer: got one that is not given a tensor ({n}, ...), expected another")
    return given.detach()


def patches(module: nn.Conv2d, x: Tensor) -> Tensor:
    """The patches (n, positions, channels * kernel) that the matrix of a convolution multiplies, padded as it pads."""
    return functional.unfold(padded(module, x), module.kernel_size, module.dilation, 0, module.stride).transpose(1, 2)


def padded(module: nn.Conv2d, x: Tensor) -> Tensor:
    """Images with the padding of a convolution as the module itself resolves it, "same" included."""
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    return functional.pad(x, module._reversed_padding_repeated_twice, mode=mode)


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear)


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
