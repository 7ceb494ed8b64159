"""The exact tangent kernel of any network, in blocks of samples and outputs that fit into a limit of memory."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import _checks, _evaluation, _gram
from ._evaluation import Forward, Inputs, rows
from ._gradients import Gradients
from ._gram import Factors

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
    n = _evaluation.count(x)
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
        _gram.add_gram(kernel, a, b, memory)


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
    x = _evaluation.inputs(_evaluation.network(net), x)
    n = _evaluation.count(x)
    with torch.enable_grad(), _evaluation.evaluated(net):
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
