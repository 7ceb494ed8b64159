"""The tangent kernel: by four products for two layers, exact for any network, in blocks that fit a limit of memory."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import _checks
from ..networks import TwoLayerNet, evaluation
from ..networks.evaluation import Forward, Inputs, rows
from ..spectra.values import gram
from .conjugate import _inputs, _is_two_layer
from .gradients import Gradients
from .gram import Factors, add_gram


def neural_tangent_kernel(
    net: nn.Module,
    x: Tensor | Mapping[str, Tensor],
    *,
    train_readout: bool = True,
    outputs: str | int = "trace",
    forward: Forward | None = None,
    memory: int = 2**30,
) -> Tensor:
    """The neural tangent kernel K_ij = <grad f(x_i), grad f(x_j)> over the trained parameters; exact for any network.

    For a TwoLayerNet f(x) = v . s(W x / sqrt d) / sqrt h the gradients factorize and
    K = (X X' / d) o (S S' / h) + F F' / h, with S = s'(X W' / sqrt d) diag(v), o the entrywise product;
    the last term, the conjugate kernel, belongs to the readout.

    For any other network the parameters are those that require a gradient. Linear layers, convolutions, embeddings and
    normalizations give Gram products of what enters them and the gradients at what leaves them, everything else goes
    through torch.func. The network is evaluated in evaluation mode, so batch normalization uses its running
    statistics and nothing is dropped; it is left as it was.

    Parameters
    ----------
    net : a module.  x : (n, d) for a TwoLayerNet. Else a tensor or array (n, ...), floats or integers, for net(x), or a
        mapping of such by name for net(**x).
    train_readout : whether the readout of a TwoLayerNet is trained too, as in `training.train`.
    outputs : of f_1 .. f_k, all axes but the first flattened: "trace" for sum_c <grad f_c, grad f_c> / k; "sum" for the
        pseudo-NTK <grad sum_c f_c, grad sum_c f_c> / k, k times cheaper and equal to it in the limit of infinite
        width; c for f_c alone, counted from 0.
    forward : (net, x) -> outputs (n, ...). By default net(x) or net(**x), and of that `.logits` where there are.
    memory : bytes for all that is held besides the network and the kernel. A small limit costs time: where gradients
        of all samples do not fit, those of a block are computed again for every block before it.

    Returns
    -------
    (n, n), symmetric, of the outputs' dtype and device.

    Raises
    ------
    TypeError : net is no module, x no numbers, the outputs no tensor.  ValueError : x has another shape or is not
        finite, nothing to train, no such output, too little memory, outputs that depend on the other samples.

    Source: Jacot, Gabriel and Hongler (2018); for two layers, Fan and Wang (2020); structured gradients, Novak,
    Sohl-Dickstein and Schoenholz (2022); pseudo-NTK, Mohamadi, Bae and Sutherland (2023).
    """
    if _is_two_layer(net, forward):
        numbers(outputs, 1)
        return _two_layer_kernel(net, _inputs(net, x), train_readout)
    if not train_readout:
        raise ValueError("train_readout: got False, expected True; freeze parameters with requires_grad_(False)")
    return empirical_kernel(net, x, outputs, forward, memory)


@torch.no_grad()
def _two_layer_kernel(net: TwoLayerNet, x: Tensor, train_readout: bool) -> Tensor:
    h, d = net.weight.shape
    z = net.preactivations(x)
    slopes = net.activation.derivative(z) * net.readout
    kernel = gram(slopes.T).mul_(gram(x.T)).mul_(1 / (h * d))
    return kernel.add_(gram(net.activation(z).T), alpha=1 / h) if train_readout else kernel


@torch.no_grad()
def cross_kernels(net: TwoLayerNet, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Conjugate and tangent kernel (both layers) of inputs `a` (m, d) against `b` (n, d), each (m, n).

    For a = b they are `kernels.conjugate_kernel` and `kernels.neural_tangent_kernel`.
    """
    _check_two_layer(net)
    return _cross(net, a, net.preactivations(a), b, net.preactivations(b))


def _check_two_layer(net: object) -> None:
    if not isinstance(net, TwoLayerNet):
        raise TypeError(f"net: got {type(net).__name__}, expected a TwoLayerNet")


def _cross(net: TwoLayerNet, a: Tensor, first: Tensor, b: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """`cross_kernels` of inputs whose preactivations are known."""
    h, d = net.weight.shape
    conjugate = (net.activation(first) @ net.activation(second).T).div_(h)
    slopes = net.activation.derivative(first) * net.readout
    tangent = slopes @ (net.activation.derivative(second) * net.readout).T
    return conjugate, tangent.mul_(a @ b.T).div_(h * d).add_(conjugate)


# Samples are evaluated together up to this many bytes, beyond which they leave the processor's cache, or this many.
_CACHE, _FEW = 2**25, 64


class _Blocks(NamedTuple):
    """How many outputs and samples are held at once, and how many of these samples are evaluated at once."""

    outputs: int
    samples: int
    evaluated: int


def _blocks(gradients: Gradients, n: int, outputs: int, memory: int) -> _Blocks:
    """Half of the memory for gradients that are kept, a quarter to make them, a quarter for their inner products."""
    quarter = memory // 4
    kept, making = gradients.kept, 2 * gradients.kept + gradients.passing
    if quarter < max(making, gradients.pair):
        least = 4 * max(making, gradients.pair)
        raise ValueError(f"memory: got {memory} bytes, expected at least {least} for one sample and output of this net")
    at_once = max(1, min(outputs, 2 * quarter // (n * kept), quarter // making))
    samples = n if n * kept * at_once <= 2 * quarter else quarter // kept
    evaluated = min(samples, quarter // (making * at_once), max(_FEW, _CACHE // (making * at_once)))
    return _Blocks(at_once, samples, evaluated)


def numbers(outputs: str | int, k: int) -> Tensor:
    """The numbers of the outputs whose kernels are averaged; empty for the kernel of the sum.

    TypeError or ValueError for something else than "trace", "sum" or the number of an output.
    """
    if outputs in ("trace", "sum"):
        return torch.arange(k if outputs == "trace" else 0)
    allowed = f'"trace", "sum" or an integer below {k}, the number of outputs'
    if isinstance(outputs, str):
        raise ValueError(f"outputs: got {outputs!r}, expected {allowed}")
    if _checks.integer("outputs", outputs, 0) >= k:
        raise ValueError(f"outputs: got {outputs}, expected {allowed}")
    return torch.tensor([outputs])


def readouts(chosen: Tensor, k: int, at_once: int) -> Iterator[Tensor]:
    """Readouts (c, k) with at most `at_once` rows; the Gram matrices of their gradients add up to the kernel."""
    if len(chosen) == 0:
        yield torch.full((1, k), 1 / math.sqrt(k), dtype=torch.float64)
        return
    for some in chosen.split(at_once):
        yield functional.one_hot(some, k).double() / math.sqrt(len(chosen))


def _gather(gradients: Gradients, x: Inputs, readout: Tensor, at_once: int) -> list[Factors]:
    """The factors of samples x, evaluated a few at a time."""
    n = evaluation.count(x)
    if at_once >= n:
        return gradients.factors(x, readout)
    kept: list[Factors] = []
    for i in range(0, n, at_once):
        some = gradients.factors(rows(x, slice(i, i + at_once)), readout)
        kept = kept or [tuple(f.new_empty(n, *f.shape[1:]) for f in item) for item in some]
        for whole, part in zip(kept, some, strict=True):
            for target, source in zip(whole, part, strict=True):
                target[i : i + at_once] = source
    return kept


def _add(kernel: Tensor, left: list[Factors], right: list[Factors], memory: int) -> None:
    for a, b in zip(left, right, strict=True):
        add_gram(kernel, a, b, memory)


def _add_strip(kernel: Tensor, gather: Callable[[slice], list[Factors]], strips: list[slice], memory: int) -> None:
    """Add the rows of the last strip, from the first column to the diagonal. No more than two strips are held."""
    left = gather(strips[-1])
    for strip in strips[:-1]:
        _add(kernel[strips[-1], strip], left, gather(strip), memory)
    _add(kernel[strips[-1], strips[-1]], left, left, memory)


def empirical_kernel(
    net: nn.Module, x: Tensor | Mapping[str, Tensor], outputs: str | int, forward: Forward | None, memory: int
) -> Tensor:
    """What `kernels.neural_tangent_kernel` says, for any network."""
    memory = _checks.integer("memory", memory)
    x = evaluation.inputs(evaluation.network(net), x)
    n = evaluation.count(x)
    with torch.enable_grad(), evaluation.evaluated(net):
        gradients = Gradients(net, x, forward)
        chosen = numbers(outputs, gradients.outputs)
        blocks = _blocks(gradients, n, max(1, len(chosen)), memory)
        kernel = torch.zeros(n, n, dtype=gradients.dtype, device=gradients.device)
        strips = [slice(i, i + blocks.samples) for i in range(0, n, blocks.samples)]
        for readout in readouts(chosen, gradients.outputs, blocks.outputs):
            readout = readout.to(kernel)

            def gather(strip: slice, readout: Tensor = readout) -> list[Factors]:
                return _gather(gradients, rows(x, strip), readout, blocks.evaluated)

            for last in range(len(strips)):
                _add_strip(kernel, gather, strips[: last + 1], memory // 4)
    return _mirrored(kernel)


def _mirrored(kernel: Tensor) -> Tensor:
    """The upper triangle from the lower one, in place and a strip at a time."""
    for i in range(0, len(kernel), _FEW):
        strip = slice(i, i + _FEW)
        kernel[:i, strip] = kernel[strip, :i].T
        kernel[strip, strip] = kernel[strip, strip].tril() + kernel[strip, strip].tril(-1).T
    return kernel
