"""The tangent kernel: by four products for two layers, exact for any network, in blocks that fit a limit of memory."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .. import _checks
from ..lanczos import top_eigenvalues
from ..networks import TwoLayerNet, evaluation
from ..networks.evaluation import Forward, Inputs, rows, single, together
from ..spectra.values import eigenvalues, gram, symmetric
from .conjugate import is_two_layer, two_layer_inputs
from .gradients import Gradients
from .gram import Factors, add_gram


def neural_tangent_kernel(
    net: nn.Module,
    x: Tensor | Mapping[str, Tensor],
    other: Tensor | Mapping[str, Tensor] | None = None,
    *,
    train_readout: bool = True,
    outputs: str | int = "trace",
    forward: Forward | None = None,
    memory: int = 2**30,
) -> Tensor:
    """The neural tangent kernel K_ij = <grad f(x_i), grad f(x_j)> over the trained parameters; exact for any network.

    For a TwoLayerNet f(x) = v . s(W x / sqrt d) / sqrt h the gradients factorize and
    K = (X X' / d) o (S S' / h) + F F' / h, with S = s'(X W' / sqrt d) diag(v), o the entrywise product;
    the first term belongs to the weight, the last one, the conjugate kernel, to the readout. Subclasses, and networks
    whose weights are made of other parameters, as by pruning, are treated like any other network.

    For every network the parameters are those that require a gradient: the term of a frozen one is left out. Linear
    layers, convolutions, embeddings and normalizations give Gram products of what enters them and the gradients at what
    leaves them, everything else goes through torch.func. Each of these ways is tried against autograd on some samples,
    and so are entries of the finished kernel. The network is evaluated in evaluation mode, so batch normalization uses
    its running statistics and nothing is dropped, in single precision if it is in half, and on copies of its
    parameters and of x; it is left as it was. Complex parameters count as their real and imaginary parts.

    Parameters
    ----------
    net : nn.Module
        The network.
    x : tensor, array or mapping
        (n, d) for a TwoLayerNet. Else a tensor or array (n, ...), floats or integers, for net(x), or a mapping of such
        by name for net(**x).
    other : like x, optional
        m further samples: then the kernel of x against them, as kernel regression needs it.
    train_readout : bool
        Whether the readout of a TwoLayerNet is trained too, as in `training.train`; if it requires a gradient.
    outputs : {"trace", "sum"} or int
        Of f_1 .. f_k, all axes but the first flattened: "trace" for sum_c <grad f_c, grad f_c> / k; "sum" for the
        pseudo-NTK <grad sum_c f_c, grad sum_c f_c> / k, k times cheaper and equal to it in the limit of infinite
        width; c for f_c alone, counted from 0.
    forward : callable, optional
        (net, x) -> outputs (n, ...). By default net(x) or net(**x), and of that `.logits` where there are.
    memory : int
        Bytes for all that is held besides the network, the copy of its parameters and the kernel. A small limit costs
        time: where gradients of all samples do not fit, those of a block are computed again for every block before it.

    Returns
    -------
    Tensor
        (n, n), symmetric, or (n, m); of the outputs' dtype, at least in single precision, and on their device.

    Raises
    ------
    TypeError
        If net is no module, x no numbers, the outputs no tensor.
    ValueError
        If x has another shape or is not finite, nothing is to be trained, there is no such output, memory is too
        little, outputs depend on the other samples, or autograd does not confirm the kernel.

    References
    ----------
    Jacot, Gabriel and Hongler (2018); for two layers, Fan and Wang (2020); structured gradients, Novak, Sohl-Dickstein
    and Schoenholz (2022); pseudo-NTK, Mohamadi, Bae and Sutherland (2023).

    Examples
    --------
    >>> import torch
    >>> from helpers import kernels, networks
    >>> net = networks.mlp(20, 1, width=30)
    >>> kernel = kernels.neural_tangent_kernel(net, torch.eye(20)[:5])
    >>> bool(torch.allclose(kernel, kernel.T))
    True
    """
    if is_two_layer(net, x, forward):
        chosen_outputs(outputs, 1)
        against = None if other is None else two_layer_inputs(net, other, "other")
        return two_layer_kernel(net, two_layer_inputs(net, x), against, trained_layers(net, train_readout))
    if not train_readout:
        raise ValueError("train_readout: got False, expected True; freeze parameters with requires_grad_(False)")
    return empirical_kernel(net, x, other, outputs, forward, memory)


def critical_rate(kernel: Tensor) -> float:
    """The learning rate 2 n / lambda_max(K) beyond which gradient descent on |f - y|^2 / (2n) is unstable.

    Parameters
    ----------
    kernel : tensor or array (n, n)
        The tangent kernel on the training inputs, of the parameters that are trained.

    Returns
    -------
    float
        Theorem for a kernel that does not move; in training it does, and larger rates may survive.

    Raises
    ------
    ValueError
        If the kernel is not symmetric, not finite, or has no positive eigenvalue.

    Examples
    --------
    >>> import torch
    >>> from helpers import kernels
    >>> kernels.critical_rate(torch.diag(torch.tensor([4.0, 1.0, 0.5])))
    1.5
    """
    kernel = symmetric("kernel", kernel)
    if len(kernel) < _FEW or not kernel.any():
        top = float(eigenvalues(kernel)[0])
    else:
        single = kernel if kernel.dtype in (torch.float32, torch.float64) else kernel.float()
        top = float(top_eigenvalues(single.cpu().numpy()).values[0])
    if not top > 0:
        raise ValueError(f"kernel: got the largest eigenvalue {top:.3g}, expected one above 0")
    return 2 * len(kernel) / top


def trained_layers(net: TwoLayerNet, train_readout: bool) -> tuple[bool, bool]:
    """Whether the weight and the readout count; ValueError where neither does."""
    trained = net.weight.requires_grad, net.readout.requires_grad and train_readout
    if not any(trained):
        raise ValueError(f"net: got {type(net).__name__} with nothing to train, expected some requires_grad")
    return trained


@torch.no_grad()
def two_layer_kernel(net: TwoLayerNet, x: Tensor, other: Tensor | None, trained: tuple[bool, bool]) -> Tensor:
    """The tangent kernel of x (n, d) by the formula: (n, n), or (n, m) against other (m, d)."""
    h, d = net.weight.shape
    x, z = single(x), single(net.preactivations(x))
    if other is not None:
        conjugate, first = both_layers(net, x, z, single(other), single(net.preactivations(other)))
        return first.add_(conjugate) if all(trained) else first if trained[0] else conjugate
    if not trained[0]:
        return gram(net.activation(z).T).mul_(1 / h)
    kernel = gram(slopes(net, z).T).mul_(gram(x.T)).mul_(1 / (h * d))
    return kernel.add_(gram(net.activation(z).T), alpha=1 / h) if trained[1] else kernel


def both_layers(net: TwoLayerNet, a: Tensor, z: Tensor, b: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """The two terms of the tangent kernel, (m, n) each: of the readout, the conjugate kernel, and of the first layer.

    Of inputs a (m, d) against b (n, d) with preactivations z and w.
    """
    h, d = net.weight.shape
    conjugate = (net.activation(z) @ net.activation(w).T).div_(h)
    return conjugate, (slopes(net, z) @ slopes(net, w).T).mul_(a @ b.T).div_(h * d)


def slopes(net: TwoLayerNet, z: Tensor) -> Tensor:
    """S = s'(Z) diag(v) of preactivations Z (n, h)."""
    return net.activation.derivative(z) * net.readout


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


def chosen_outputs(outputs: str | int, k: int) -> Tensor:
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


def _add_strip(
    kernel: Tensor,
    left: list[Factors],
    columns: list[slice],
    gather: Callable[[slice], list[Factors]],
    diagonal: slice | None,
    memory: int,
) -> None:
    """Add some rows: their columns one after the other, then those of the rows themselves. Two strips are held."""
    for column in columns:
        _add(kernel[:, column], left, gather(column), memory)
    if diagonal is not None:
        _add(kernel[:, diagonal], left, left, memory)


def empirical_kernel(
    net: nn.Module,
    x: Tensor | Mapping[str, Tensor],
    other: Tensor | Mapping[str, Tensor] | None,
    outputs: str | int,
    forward: Forward | None,
    memory: int,
) -> Tensor:
    """What `neural_tangent_kernel` says, for any network."""
    memory = _checks.integer("memory", memory)
    x = evaluation.inputs(evaluation.network(net), x)
    against = x if other is None else evaluation.inputs_like(net, other, x)
    n, m = evaluation.count(x), evaluation.count(against)
    with evaluation.graphs(), evaluation.evaluated(net):
        gradients = Gradients(net, x if other is None else together(x, against), forward, memory)
        chosen = chosen_outputs(outputs, gradients.outputs)
        blocks = _blocks(gradients, n if other is None else n + m, max(1, len(chosen)), memory)
        kernel = single(torch.zeros(n, m, dtype=gradients.dtype, device=gradients.device))
        rows_of, columns = ([slice(i, i + blocks.samples) for i in range(0, size, blocks.samples)] for size in (n, m))
        for readout in readouts(chosen, gradients.outputs, blocks.outputs):
            readout = readout.to(kernel)

            def gather(samples: Inputs, strip: slice, readout: Tensor = readout) -> list[Factors]:
                return _gather(gradients, rows(samples, strip), readout, blocks.evaluated)

            for k, strip in enumerate(rows_of):
                before, diagonal = (columns[:k], strip) if other is None else (columns, None)
                _add_strip(
                    kernel[strip], gather(x, strip), before, functools.partial(gather, against), diagonal, memory // 4
                )
        kernel = _mirrored(kernel) if other is None else kernel
        _confirm(gradients, kernel, x, against, readouts(chosen, gradients.outputs, 1))
    return kernel


def _confirm(gradients: Gradients, kernel: Tensor, x: Inputs, other: Inputs, chosen: Iterator[Tensor]) -> None:
    """ValueError where autograd finds another entry for two samples: the one of largest norm and one in the middle."""
    m = kernel.shape[1]
    symmetric = other is x
    i = int(kernel.diagonal().argmax()) if symmetric else 0
    j = (i + 1 + m // 2) % m
    exact = gradients.products(together(rows(x, slice(i, i + 1)), rows(other, slice(j, j + 1))), chosen)
    places = [(i, j, 0, 1)] + ([(i, i, 0, 0), (j, j, 1, 1)] if symmetric else [])
    for row, column, a, b in places:
        found, wanted = float(kernel[row, column]), float(exact[a, b])
        allowed = torch.finfo(gradients.dtype).eps ** (1 / 3) * math.sqrt(float(exact[a, a] * exact[b, b]))
        if math.isfinite(allowed) and not abs(found - wanted) <= allowed:
            raise ValueError(
                f"net: got {found:.6g} for samples {row} and {column}, where autograd gives {wanted:.6g} for these two "
                "alone; expected a function of one sample that is the same at every call"
            )


def _mirrored(kernel: Tensor) -> Tensor:
    """The upper triangle from the lower one, in place and a strip at a time."""
    for i in range(0, len(kernel), _FEW):
        strip = slice(i, i + _FEW)
        kernel[:i, strip] = kernel[strip, :i].T
        kernel[strip, strip] = kernel[strip, strip].tril() + kernel[strip, strip].tril(-1).T
    return kernel
