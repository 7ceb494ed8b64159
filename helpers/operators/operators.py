"""Kernels and curvature as linear operators: products with a vector, in memory linear in the number of samples.

Each operator is a `scipy.sparse.linalg.LinearOperator` on float64 vectors; the products run in the dtype, in single
precision where that is half, and on the device of the network. `lanczos` reads off eigenvalues, densities and
alignment. A product with the Hessian differentiates the kept graph of the gradient once more. The package curvlinops
makes that graph anew for each product, which takes more than twice as long for the network of this book, and
`benchmarks/large.py` says how much.
"""

from collections.abc import Mapping

import torch
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn

from .. import _checks
from ..data import Dataset
from ..kernels.conjugate import has_features, is_two_layer, two_layer_features, two_layer_inputs
from ..kernels.tangent import chosen_outputs, readouts, slopes, trained_layers
from ..networks import TwoLayerNet, evaluation
from ..networks.evaluation import Forward, Inputs, rows
from ..spectra.values import gram
from ..training import loss
from .products import Blocks, Curvature, Jacobian, Leaves, operator


def _features(
    net: nn.Module, x: Tensor | Mapping[str, Tensor], layer: str | None, forward: Forward | None, memory: int
) -> tuple[int, Blocks]:
    """The number of samples, and blocks of the features that `kernels.conjugate_kernel` speaks of."""
    if has_features(net, forward) and layer is None:
        given = two_layer_inputs(net, x)
        n = len(given)

        def make(some: slice) -> Tensor:
            return evaluation.single(two_layer_features(net, given[some]))

    else:
        samples = evaluation.inputs(evaluation.network(net), x)
        n = evaluation.count(samples)

        def make(some: slice) -> Tensor:
            return evaluation.single(evaluation.layer_inputs(net, rows(samples, some), layer, forward=forward))

    with torch.no_grad():
        return n, Blocks(n, make(slice(0, 1)).nbytes, memory, make)


def conjugate_kernel_operator(
    net: nn.Module,
    x: Tensor | Mapping[str, Tensor],
    *,
    layer: str | None = None,
    forward: Forward | None = None,
    memory: int = 2**30,
) -> LinearOperator:
    """The conjugate kernel F F' / width as an operator (n, n): 2 n width multiplications a product.

    Parameters
    ----------
    net, x, layer, forward
        As in `kernels.conjugate_kernel`.
    memory : int
        Bytes for the features (n, width). Where they do not fit, they are computed again in every product.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        (n, n), on float64 vectors.

    Raises
    ------
    TypeError, ValueError
        As `kernels.conjugate_kernel` does.

    Examples
    --------
    >>> from helpers import data, networks, operators
    >>> problem = data.teacher_student(40, 20)
    >>> net = networks.TwoLayerNet(20, 30)
    >>> operators.conjugate_kernel_operator(net, problem.x).shape
    (40, 40)
    """
    n, blocks = _features(net, x, layer, forward, memory)
    like = next(iter(blocks))[1][:1]

    @torch.no_grad()
    def product(u: Tensor) -> Tensor:
        pulled = sum(features.T @ u[some] for some, features in blocks)
        return torch.cat([features @ pulled for _, features in blocks]) / like.shape[1]

    return operator(n, like, product)


@torch.no_grad()
def conjugate_kernel_eigenvalues(
    net: nn.Module, x: Tensor | Mapping[str, Tensor], *, layer: str | None = None, forward: Forward | None = None
) -> Tensor:
    """All n eigenvalues of the conjugate kernel from its companion F'F / width, which has the same ones but for zeros.

    Exact up to rounding, with n width^2 multiplications and (width, width) numbers of memory: for n > width.

    Parameters
    ----------
    net, x, layer, forward
        As in `kernels.conjugate_kernel`.

    Returns
    -------
    Tensor
        (n,), float64, descending, on the device of the features; those beyond the width are exactly 0.

    Raises
    ------
    TypeError, ValueError
        As `kernels.conjugate_kernel` does.

    Examples
    --------
    >>> from helpers import data, networks, operators
    >>> problem = data.teacher_student(40, 20)
    >>> net = networks.TwoLayerNet(20, 30)
    >>> int((operators.conjugate_kernel_eigenvalues(net, problem.x) > 0).sum())
    30
    """
    n, blocks = _features(net, x, layer, forward, memory=1)
    companion = torch.as_tensor(sum(gram(features).double() for _, features in blocks))
    values = torch.linalg.eigvalsh(companion).flip(0).clamp_min(0) / len(companion)
    return torch.cat([values, values.new_zeros(max(0, n - len(values)))])[:n]


def tangent_kernel_operator(
    net: nn.Module,
    x: Tensor | Mapping[str, Tensor],
    *,
    train_readout: bool = True,
    outputs: str | int = "trace",
    forward: Forward | None = None,
    memory: int = 2**31,
) -> LinearOperator:
    """The neural tangent kernel as an operator (n, n).

    For a TwoLayerNet entry i of K u is s_i' [S' diag(u) X] x_i / (h d) + f_i' F'u / h, with rows s_i, f_i, x_i of the
    slopes S, of F and X: two matrix products of n h d multiplications. For any other network it is J (J'u), by reverse
    mode twice, for one output after the other.

    Parameters
    ----------
    net, x, train_readout, outputs, forward
        As in `kernels.neural_tangent_kernel`.
    memory : int
        Bytes for S and F, or for the graph of the outputs. Where they do not fit, they are made again in every product,
        which about doubles its time.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        (n, n), on float64 vectors.

    Raises
    ------
    TypeError, ValueError
        As `kernels.neural_tangent_kernel` does, but a network that mixes samples is not noticed.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import data, networks, operators
    >>> problem = data.teacher_student(40, 20)
    >>> net = networks.TwoLayerNet(20, 30)
    >>> (operators.tangent_kernel_operator(net, problem.x) @ np.ones(40)).shape
    (40,)
    """
    if is_two_layer(net, x, forward):
        chosen_outputs(outputs, 1)
        return _two_layer_tangent(net, two_layer_inputs(net, x), trained_layers(net, train_readout), memory)
    if not train_readout:
        raise ValueError("train_readout: got False, expected True; freeze parameters with requires_grad_(False)")
    x = evaluation.inputs(evaluation.network(net), x)
    function, n = Leaves(net, forward), evaluation.count(x)
    first = function(rows(x, slice(0, 1))).detach()
    k = first.shape[1]
    chosen = chosen_outputs(outputs, k)
    blocks = Blocks(n, function.bytes(x), memory, lambda some: Jacobian(function, rows(x, some)))

    def product(u: Tensor) -> Tensor:
        total = torch.zeros_like(u)
        for readout in readouts(chosen, k, 1):
            readout = readout[0].to(u)
            pulled = sum(jacobian.pull(u[some, None] * readout) for some, jacobian in blocks)
            for some, jacobian in blocks:
                total[some] += jacobian.push(pulled) @ readout
        return total

    return operator(n, first, product)


def _two_layer_tangent(net: TwoLayerNet, x: Tensor, trained: tuple[bool, bool], memory: int) -> LinearOperator:
    h, d = net.weight.shape
    first, last = trained
    wide = evaluation.single(x)

    @torch.no_grad()
    def make(some: slice) -> tuple[Tensor | None, Tensor | None]:
        z = evaluation.single(net.preactivations(x[some]))
        return slopes(net, z) if first else None, net.activation(z) if last else None

    blocks = Blocks(len(x), h * wide.element_size() * sum(trained), memory, make)

    @torch.no_grad()
    def product(u: Tensor) -> Tensor:
        weight, readout, result = wide.new_zeros(h, d), wide.new_zeros(h), torch.zeros_like(u)
        for some, (gain, features) in blocks:
            if first:
                weight.addmm_(gain.T, wide[some] * u[some, None])
            if last:
                readout.addmv_(features.T, u[some])
        for some, (gain, features) in blocks:
            if first:
                result[some] = (wide[some] @ weight.T).mul_(gain).sum(1) / (h * d)
            if last:
                result[some] += features @ readout / h
        return result

    return operator(len(x), wide, product)


def hessian_operator(
    net: nn.Module, data: Dataset, *, forward: Forward | None = None, memory: int = 2**31
) -> LinearOperator:
    """The Hessian of the training loss |f(X) - y|^2 / (2n) over the p trained parameters, as an operator (p, p).

    Parameters
    ----------
    net : nn.Module
        Evaluated in evaluation mode; trained are the parameters that require a gradient, in the order of
        `net.named_parameters()`.
    data : data.Dataset
        Its x and y are used; y (n,) or (n, k), of the shape of the outputs.
    forward : callable, optional
        As in `kernels.neural_tangent_kernel`.
    memory : int
        Bytes for the graph of the outputs; that of the gradient takes a small multiple of it. Where it does not fit, it
        is made again in every product.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        (p, p), on float64 vectors.

    Raises
    ------
    TypeError
        If net is no module.
    ValueError
        If the data do not fit the network, or nothing is to be trained.

    References
    ----------
    Pearlmutter (1994) for the product.

    Examples
    --------
    >>> from helpers import data, networks, operators
    >>> problem = data.teacher_student(40, 20)
    >>> net = networks.TwoLayerNet(20, 30)
    >>> operators.hessian_operator(net, problem).shape
    (630, 630)
    """
    function, x, y = _problem(net, data, forward)
    n = len(y)

    def make(some: slice) -> Curvature:
        share = len(y[some]) / n
        return Curvature(function, rows(x, some), lambda outputs: share * loss(outputs, y[some]))

    blocks = Blocks(n, function.bytes(x), memory, make)
    return operator(function.size, y, lambda v: sum(block.product(v) for _, block in blocks))


def gauss_newton_operator(
    net: nn.Module, data: Dataset, *, forward: Forward | None = None, memory: int = 2**31
) -> LinearOperator:
    """The Gauss-Newton matrix J'J / n of the same loss, the Hessian without the curvature of the network itself.

    J (n k, p) is the jacobian of all outputs. For one output, J'J / n has the eigenvalues of the neural tangent kernel
    over n, and p - n zeros.

    Parameters
    ----------
    net, data, forward, memory
        As in `hessian_operator`.

    Returns
    -------
    scipy.sparse.linalg.LinearOperator
        (p, p), on float64 vectors.

    Raises
    ------
    TypeError, ValueError
        As `hessian_operator` does.

    References
    ----------
    Schraudolph (2002).

    Examples
    --------
    >>> from helpers import data, networks, operators
    >>> problem = data.teacher_student(40, 20)
    >>> net = networks.TwoLayerNet(20, 30)
    >>> operators.gauss_newton_operator(net, problem).shape
    (630, 630)
    """
    function, x, y = _problem(net, data, forward)
    blocks = Blocks(len(y), function.bytes(x), memory, lambda some: Jacobian(function, rows(x, some)))
    return operator(function.size, y, lambda v: sum(block.pull(block.push(v)) for _, block in blocks) / len(y))


def _problem(net: nn.Module, data: Dataset, forward: Forward | None) -> tuple[Leaves, Inputs, Tensor]:
    """The network as a function of the leaves, the inputs, and the labels as (n, k)."""
    function = Leaves(net, forward)
    x = evaluation.inputs(net, data.x)
    like = function(rows(x, slice(0, 1))).detach()
    y = _checks.samples("data.y", data.y, like)
    if len(y) != evaluation.count(x) or y[0].numel() != like.shape[1]:
        wanted = f"({evaluation.count(x)}, {like.shape[1]}), as the outputs"
        raise ValueError(f"data.y: got shape {tuple(y.shape)}, expected {wanted}")
    return function, x, y.to(like).reshape(len(y), -1)
