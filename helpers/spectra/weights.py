"""Which matrices of a network have a spectrum: linear layers, convolutions, attention, embeddings."""

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from .. import _checks
from ..networks import TwoLayerNet, evaluation

_MATRICES = (nn.Linear, nn.Embedding, TwoLayerNet)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


def weight_matrices(net: nn.Module) -> dict[str, Tensor]:
    """The weight matrices of a network by name, each for `singular_values` or `compare`.

    NAME.weight of a linear layer, a TwoLayerNet
        (out, in), as it is.
    NAME.weight of a convolution
        Reshaped to (out, in / groups * kernel), the matrix that multiplies a patch. It does not have the singular
        values of the convolution as an operator on images, `convolution_singular_values`.
    NAME.q_proj_weight, .k_proj_weight, .v_proj_weight of nn.MultiheadAttention
        Apart also where torch keeps them in one, (out, in) each, all heads one below the other; and
        NAME.out_proj.weight, a linear layer.
    NAME.weight of the Conv1D of GPT-2 in `transformers`
        Transposed to (out, in).
    NAME.weight of an embedding
        The table (words, dimension), as it is.

    Biases, normalizations, transposed convolutions and parameters outside of these layers are left out. A weight that
    layers share is listed once, under its first name. A weight that is made of other parameters, by pruning, weight or
    spectral normalization or a parametrization, is that with which the next call in evaluation mode computes.

    Parameters
    ----------
    net : nn.Module
        Any module.

    Returns
    -------
    dict of str to Tensor
        Name -> matrix, in the order of the modules: detached, of the network's dtype and device; no copies, but for
        weights that are made of others.

    Raises
    ------
    TypeError
        net is no module.
    ValueError
        It has none of these layers; a weight that is made by a hook other than those of `torch.nn.utils`; or one that
        is no dense matrix of real floating point numbers: integers (codes of a quantized network), float8, complex,
        sparse, empty, on the device meta, not initialized yet.

    Examples
    --------
    >>> from helpers import networks, spectra
    >>> found = spectra.weight_matrices(networks.mlp(5, 2, width=8, depth=2))
    >>> {name: tuple(matrix.shape) for name, matrix in found.items()}
    {'hidden1.weight': (8, 5), 'hidden2.weight': (8, 8), 'readout.weight': (2, 8)}
    """
    with evaluation.current(_module(net)):
        for name, parameter in _collected(net, lambda parameter: parameter, as_it_is=True).items():
            if problem := _problem(parameter):
                floats = ", ".join(str(dtype).removeprefix("torch.") for dtype in _checks.FLOATS)
                raise ValueError(f"net: got {name!r} {problem}, expected a dense matrix of {floats}")
    for name, module in net.named_modules():
        made = [key for key, value in vars(module).items() if isinstance(value, Tensor) and key.endswith("weight")]
        if made and _matrices(module) and not evaluation.knows_hooks(module):
            raise ValueError(
                f"net: got {name}.{made[0]}, made by a hook of unknown kind, expected a parameter or a parametrization"
            )
    found = readable_matrices(net)
    if not found:
        kinds = ", ".join(sorted({type(module).__name__ for module in net.modules()}))
        raise ValueError(f"net: got no weight matrix among {kinds}, expected linear, convolution, attention, embedding")
    return found


def readable_matrices(net: nn.Module) -> dict[str, Tensor]:
    """`weight_matrices` without those that it would refuse."""
    with evaluation.current(net):
        return _collected(net, lambda parameter: None if _problem(parameter) else parameter.detach())


def _problem(parameter: Tensor) -> str:
    """Why a weight is no matrix of numbers; empty where it is one."""
    if is_lazy(parameter):
        return "that is not initialized yet"
    if parameter.is_meta:
        return "on the device meta, without numbers"
    if parameter.layout != torch.strided:
        return f"of layout {parameter.layout}"
    if parameter.is_quantized or parameter.dtype not in _checks.FLOATS:
        return f"of dtype {parameter.dtype}"
    if parameter.ndim < 2 or not parameter.numel():
        return f"of shape {tuple(parameter.shape)}"
    return ""


def weight_gradients(net: nn.Module) -> dict[str, Tensor]:
    """The gradients of `weight_matrices` under the same names, in the same shape; only those that are there and dense.

    A weight that is made of other parameters, as by pruning, has none, unless its `retain_grad` was called.

    Parameters
    ----------
    net : nn.Module
        Any module.

    Returns
    -------
    dict of str to Tensor
        Name -> gradient, detached; empty where there is none.

    Raises
    ------
    TypeError
        `net` is no module.

    Examples
    --------
    >>> import torch
    >>> from helpers import networks, spectra
    >>> net = networks.TwoLayerNet(d=5, h=8)
    >>> len(spectra.weight_gradients(net))
    0
    >>> net(torch.ones(3, 5)).sum().backward()
    >>> spectra.weight_gradients(net)["weight"].shape
    torch.Size([8, 5])
    """
    with evaluation.evaluated(_module(net)):
        grads = _collected(net, lambda weight: weight.grad if weight.is_leaf or weight.retains_grad else None)
    return {name: grad.detach() for name, grad in grads.items() if grad.layout == torch.strided}


def _module(net: nn.Module) -> nn.Module:
    if not isinstance(net, nn.Module):
        raise TypeError(f"net: got {type(net).__name__}, expected a torch.nn.Module")
    return net


def _collected(net: nn.Module, of: Callable[[Tensor], Tensor | None], *, as_it_is: bool = False) -> dict[str, Tensor]:
    """What `of` makes of every matrix, by name and in its form; each parameter once, and not where it is None."""
    found: dict[str, Tensor] = {}
    listed: dict[tuple[int, str], Tensor] = {}  # the tensors too: a number is given away again when its tensor is gone
    for name, module in net.named_modules():
        for part, (parameter, form) in _matrices(module).items():
            value = of(parameter)
            if value is not None and (id(parameter), part) not in listed:
                listed[id(parameter), part] = parameter
                found[f"{name}.{part}" if name else part] = value if as_it_is else form(value)
    return found


def _matrices(module: nn.Module) -> dict[str, tuple[Tensor, Callable[[Tensor], Tensor]]]:
    """The parameters of one module that have a spectrum, each with what makes its matrix of it."""
    if isinstance(module, _MATRICES):
        return {"weight": (module.weight, lambda w: w)}
    if isinstance(module, _CONVOLUTIONS):
        return {"weight": (module.weight, lambda w: w.flatten(1))}
    if any(kind.__name__ == "Conv1D" and kind.__module__.startswith("transformers.") for kind in type(module).__mro__):
        return {"weight": (cast(Tensor, module.weight), lambda w: w.T)}  # the linear layer of GPT-2, (in, out)
    if isinstance(module, nn.MultiheadAttention):
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        if module.in_proj_weight is None:
            return {name: (getattr(module, name), lambda w: w) for name in names}
        return {name: (module.in_proj_weight, _third(k)) for k, name in enumerate(names)}
    return {}


def _third(k: int) -> Callable[[Tensor], Tensor]:
    return lambda w: w.chunk(3)[k]


def convolution_singular_values(weight: Tensor, size: int | Sequence[int]) -> Tensor:
    """Singular values of a convolution as an operator on images of one size, with circular padding and stride 1.

    The discrete Fourier transform splits the operator into one (out, in) matrix for each frequency; the values are
    those of all of them. Zero padding gives close values where the image is much larger than the kernel.

    Parameters
    ----------
    weight : Tensor or array, (out, in, ...)
        Of one group; one to three kernel axes follow the first two.
    size : int or sequence of int
        Of the image, one number for all axes or one for each, at least that of the kernel.

    Returns
    -------
    Tensor, (min(out, in) * pixels,), float64
        Descending, on the weight's device, not normalized.

    Raises
    ------
    ValueError
        Another shape, NaN or infinite entries, an image smaller than the kernel.
    TypeError
        Entries that are no numbers, a size that is no integer.

    References
    ----------
    Sedghi, Gupta and Long (2019), theorem 6.

    Examples
    --------
    >>> import torch
    >>> from helpers import spectra
    >>> values = spectra.convolution_singular_values(torch.ones(1, 1, 3, 3), 4)
    >>> round(float(values[0]), 4), len(values)
    (9.0, 16)
    """
    axes = min(max(getattr(weight, "ndim", 4) - 2, 1), 3)
    weight = _checks.array("weight", weight, *[None] * (2 + axes)).double()
    sizes = tuple(size) if isinstance(size, Sequence) else (size,) * axes
    if len(sizes) != axes:
        raise ValueError(f"size: got {len(sizes)} numbers, expected {axes}, one for each axis of the kernel")
    sizes = [_checks.integer("size", s, kernel) for s, kernel in zip(sizes, weight.shape[2:], strict=True)]
    blocks = torch.fft.fftn(weight, sizes, dim=list(range(2, 2 + axes))).flatten(2).permute(2, 0, 1)
    return torch.linalg.svdvals(blocks).flatten().sort(descending=True).values
