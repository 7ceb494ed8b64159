"""A caller's network as a fixed function of one sample, and left as it was found."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeGuard, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from .. import _checks
from .two_layer import inherits

Inputs = Tensor | dict[str, Tensor]
Forward = Callable[[nn.Module, Inputs], Tensor]
Layer = TypeVar("Layer", bound=nn.Module)

# Hooks that make a weight anew before each call of its module, from parameters under other names.
_MAKERS = (BasePruningMethod, WeightNorm, SpectralNorm)


def network(net: nn.Module) -> nn.Module:
    """`net`, a module with parameters; TypeError or ValueError otherwise."""
    if not isinstance(net, nn.Module):
        raise TypeError(f"net: got {type(net).__name__}, expected a torch.nn.Module")
    if not any(map(_numbers, net.parameters())):
        raise ValueError(f"net: got {type(net).__name__} without parameters, expected a network")
    return net


def _numbers(parameter: Tensor) -> bool:
    return parameter.is_floating_point() or parameter.is_complex()


_HALF = (torch.float16, torch.bfloat16)


def single(tensor: Tensor) -> Tensor:
    """In single precision where it is in half: sums of many products would overflow, or keep two digits."""
    return tensor.float() if tensor.dtype in _HALF else tensor


def precision(net: nn.Module) -> torch.dtype | None:
    """The kind of floats to compute gradients with: single precision for networks in half, else their own (None)."""
    return torch.float32 if any(p.dtype in _HALF for p in net.parameters()) else None


def inputs(net: nn.Module, x: Tensor | Mapping[str, Tensor], argument: str = "x") -> Inputs:
    """`x` on the network's device, floats in its dtype, integers as they are; every first axis counts the samples."""
    like = next(p for p in net.parameters() if _numbers(p))
    like = torch.empty(0, dtype=like.dtype.to_real(), device=like.device)
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


def rows(x: Inputs, index: slice | Tensor | None) -> Inputs:
    """Some of the samples, by a slice or their numbers; with None, a first axis is added."""
    return {name: t[index] for name, t in x.items()} if isinstance(x, dict) else x[index]


def count(x: Inputs) -> int:
    """The number of samples."""
    return len(next(iter(x.values())) if isinstance(x, dict) else x)


def together(x: Inputs, other: Inputs) -> Inputs:
    """The samples of both, which have one form."""
    if isinstance(x, dict):
        return {name: torch.cat([t, cast(dict, other)[name]]) for name, t in x.items()}
    return torch.cat([x, cast(Tensor, other)])


def telling(x: Inputs, most: int, different: int = 8) -> Tensor:
    """Numbers of at most `most` samples that show what a network does: first some that differ as much as can be.

    So blank, padded or equal samples are not all that is seen, wherever they stand. The others are evenly spread.
    """
    tensors = [t.reshape(len(t), -1) for t in (x.values() if isinstance(x, dict) else [x])]
    tensors = [t if t.dtype in (torch.float32, torch.float64) else t.float() for t in tensors]
    norms = [t.square().sum(1) for t in tensors]

    def distances(i: int) -> Tensor:
        parts = [(q + q[i] - 2 * (t @ t[i])) / q.max().clamp_min(1e-30) for t, q in zip(tensors, norms, strict=True)]
        return torch.stack(parts).sum(0)

    n = count(x)
    found = [int(torch.stack([q / q.max().clamp_min(1e-30) for q in norms]).sum(0).argmax())]
    nearest = distances(found[0])
    while len(found) < min(different, most, n):
        nearest[found] = -1
        found.append(int(nearest.argmax()))
        nearest = torch.minimum(nearest, distances(found[-1]))
    spread = torch.linspace(0, n - 1, min(n, most)).long().tolist()
    return torch.tensor(list(dict.fromkeys([*found, *spread]))[:most], device=tensors[0].device)


def own(x: Inputs) -> Inputs:
    """A copy that a network may write to."""
    return {name: t.clone() for name, t in x.items()} if isinstance(x, dict) else x.clone()


def call(net: nn.Module, x: Inputs) -> Tensor:
    """net(x), or net(**x) of a mapping; the logits where the outputs have several parts."""
    y = net(**x) if isinstance(x, dict) else net(x)
    return getattr(y, "logits", y)


def outputs(net: nn.Module, x: Inputs, forward: Forward | None = None) -> Tensor:
    """The network's outputs, flattened to (n, k); x is left as it is by networks that work in place, too.

    ValueError for inputs that the network does not take; TypeError or ValueError for outputs that are no (n, ...).
    """
    try:
        y = (forward or call)(net, own(x))
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


class Function:
    """x -> outputs (n, k) of a network as a function of its trained parameters.

    Parameters are copied once, and buffers for every call, since some networks write to them when they are called;
    where one writes to its parameters, these are copied for every call, too. A complex parameter (...) stands as its
    real and imaginary parts, (..., 2).

    Attributes
    ----------
    flat : the network as a module with outputs (n, k).
    fixed : name -> a copy of each parameter.
    trained : name -> a leaf in the place of each parameter that requires a gradient.

    Raises
    ------
    TypeError, ValueError : no network, nothing to train.
    """

    def __init__(self, net: nn.Module, forward: Forward | None = None, dtype: torch.dtype | None = None) -> None:
        """`dtype`: compute with floats of this kind, whatever that of the network is."""
        self.flat, self._dtype = Flat(network(net), forward), dtype
        parameters = dict(self.flat.named_parameters())
        self._complex = [name for name, p in parameters.items() if p.is_complex()]
        with torch.inference_mode(False), torch.no_grad():
            self.fixed = {name: self._copied(p) for name, p in parameters.items()}
        self._writes = False
        trained = [name for name, p in parameters.items() if p.requires_grad]
        self.trained = {name: self.fixed[name].detach().requires_grad_() for name in trained}
        if not self.trained:
            raise ValueError(f"net: got {type(net).__name__} with nothing to train, expected some requires_grad")

    def __call__(self, x: Inputs, parameters: Mapping[str, Tensor] | None = None) -> Tensor:
        """The outputs with these parameters in place of the leaves; those that are not named are fixed."""
        tensors = self.fixed | dict(self.trained if parameters is None else parameters)
        if self._writes:
            tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        tensors |= {name: torch.view_as_complex(tensors[name]) for name in self._complex}
        for name, buffer in self.flat.named_buffers():
            copied = self._copied(buffer)
            tensors[name] = torch.view_as_complex(copied) if buffer.is_complex() else copied
        if self._dtype is not None:
            x = {k: self._cast(t) for k, t in x.items()} if isinstance(x, dict) else self._cast(x)
        before = [tensor._version for tensor in self.fixed.values()]
        y = functional_call(self.flat, tensors, (x,))
        if before == [tensor._version for tensor in self.fixed.values()]:
            return y
        self._writes = True  # from now on to copies, so that no call sees what another has written
        for name, parameter in self.flat.named_parameters():
            self.fixed[name].data.copy_(self._copied(parameter))
        return self(x, parameters)

    def _copied(self, tensor: Tensor) -> Tensor:
        tensor = torch.view_as_real(tensor.detach()) if tensor.is_complex() else tensor.detach()
        return self._cast(tensor.clone())

    def _cast(self, tensor: Tensor) -> Tensor:
        return tensor.to(self._dtype) if self._dtype is not None and tensor.is_floating_point() else tensor

    @classmethod
    def widest(
        cls, net: nn.Module, forward: Forward | None, x: Inputs, dtypes: Sequence[torch.dtype | None]
    ) -> "Function":
        """With the first kind of floats that the network computes with: some set a kind of their own inside."""
        for dtype in dtypes:
            try:
                function = cls(net, forward, dtype)
                function(x)
            except (ValueError, TypeError, RuntimeError):
                continue
            return function
        return cls(net, forward)

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
def graphs() -> Iterator[None]:
    """Gradients can be taken, whatever the mode of the caller, inference mode included."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@contextmanager
def evaluated(net: nn.Module) -> Iterator[None]:
    """All modules in evaluation mode, without calling anything; each gets its mode and its attributes back.

    A call may set attributes, such as a weight that a hook makes; what it does to their content stays. Embeddings give
    dense gradients, of the same numbers.
    """
    found = {module: (module.training, dict(vars(module))) for module in net.modules()}
    try:
        for module in found:
            module.training = False
            if isinstance(module, nn.Embedding | nn.EmbeddingBag):
                module.sparse = False
        yield
    finally:
        for module, (mode, attributes) in found.items():
            module.training = mode
            now = vars(module)
            for name in now.keys() - attributes.keys():
                del now[name]
            now.update(attributes)


def remake(net: nn.Module) -> None:
    """Set the weights that hooks make, as by pruning, to what the next call in evaluation mode computes with.

    Until then they are those of the last call: older than the parameters after a step or after load_state_dict.
    """
    for module in net.modules():
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, _MAKERS):
                mode, module.training = module.training, False
                try:
                    hook(module, ())
                finally:
                    module.training = mode


@contextmanager
def current(net: nn.Module) -> Iterator[None]:
    """To read weights: in evaluation mode, those that hooks make are up to date, and all is given back as it was."""
    with evaluated(net), torch.no_grad():
        remake(net)
        yield


def knows_hooks(module: nn.Module) -> bool:
    """Whether nothing but what `remake` knows is called before the module."""
    return all(isinstance(hook, _MAKERS) for hook in module._forward_pre_hooks.values())


def copied(net: nn.Module) -> nn.Module:
    """A deep copy, also of a network that keeps tensors with a graph, such as weights that hooks make."""
    memo: dict[int, Any] = {}
    for module in net.modules():
        for value in vars(module).values():
            if isinstance(value, Tensor) and not value.is_leaf:
                memo[id(value)] = value.detach().clone()
    try:
        return copy.deepcopy(net, memo)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"net: got {type(net).__name__}, which cannot be copied, expected one that can: {error}"
        ) from error


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
        convolutions of one group, and not for subclasses that compute something else.
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
            given = next(iter((*args, *kwargs.values())), None)  # a copy: what follows may work on it in place
            entered[name] = [*entered.pop(name, []), given.detach().clone() if isinstance(given, Tensor) else given]

        return hook

    handles = [module.register_forward_pre_hook(keep(name), with_kwargs=True) for name, module in searched.items()]
    flat = Flat(net, forward)
    try:
        # With gradients, since without them torch fuses its transformer layers and calls nothing inside.
        with graphs(), evaluated(net):
            tensors = {name: p.detach().clone().requires_grad_(_numbers(p)) for name, p in flat.named_parameters()}
            tensors |= {name: buffer.detach().clone() for name, buffer in flat.named_buffers()}
            functional_call(flat, tensors, (x,))
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
    if multiplies(module, nn.Linear):
        rows = [x.reshape(n, -1, module.in_features) for x in given]
    elif multiplies(module, nn.Conv2d) and module.groups == 1:
        rows = [patches(module, x) for x in given]
    elif inherits(module):
        rows = [x[:, None] for x in given]
    else:
        kind = type(module).__name__ + f" with {getattr(module, 'groups', 1)} groups" * isinstance(module, nn.Conv2d)
        raise ValueError(f"layer: got a {kind}, expected a linear layer or a two-dimensional convolution of one group")
    return torch.cat(rows, dim=1).mean(1)


def multiplies(module: nn.Module, kind: type[Layer]) -> TypeGuard[Layer]:
    """Whether a module computes as this kind of layer does; a subclass may do something else to what it is given."""
    methods = ("forward", "_conv_forward")
    same = isinstance(module, kind) and all(getattr(type(module), k, 0) is getattr(kind, k, 0) for k in methods)
    return same and not vars(module).keys() & set(methods)


def _of_samples(given: Any, n: int) -> Tensor:
    if not isinstance(given, Tensor) or given.ndim == 0 or len(given) != n:
        raise ValueError(f"layer: got one that is not given a tensor ({n}, ...), expected another")
    return given


def patches(module: nn.Conv2d, x: Tensor) -> Tensor:
    """The patches (n, positions, channels * kernel) that the matrix of a convolution multiplies, padded as it pads."""
    if x.ndim != 4:
        raise ValueError(f"layer: got a Conv2d that is given {tuple(x.shape)}, expected (n, channels, height, width)")
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
