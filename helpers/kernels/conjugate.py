"""The conjugate kernel, of features as they are and in the limit of infinite width."""

from collections.abc import Mapping
from typing import TypeGuard

import torch
from torch import Tensor, nn

from .. import _checks
from ..activations import Activation, hermite_coefficients
from ..networks import TwoLayerNet, evaluation
from ..networks.evaluation import Forward
from ..networks.two_layer import inherits, is_plain
from ..spectra.values import gram


def is_two_layer(net: nn.Module, x: Tensor | Mapping[str, Tensor], forward: Forward | None) -> TypeGuard[TwoLayerNet]:
    """Whether the closed form of the tangent kernel holds.

    A subclass may compute something else and have other parameters. So may hooks: where there are some, the outputs of
    two samples decide.
    """
    if forward is not None or not is_plain(net):
        return False
    if not net._forward_hooks and not net._forward_pre_hooks:
        return True
    two = two_layer_inputs(net, x)[:2]
    with torch.no_grad(), evaluation.evaluated(net):
        found = net(two.clone())
        return isinstance(found, Tensor) and torch.equal(found, net.forward(two))


def has_features(net: nn.Module, forward: Forward | None) -> TypeGuard[TwoLayerNet]:
    """Whether `net.features` are what the readout is applied to."""
    return forward is None and inherits(net) and evaluation.knows_hooks(net)


def two_layer_inputs(net: TwoLayerNet, x: Tensor | Mapping[str, Tensor], name: str = "x") -> Tensor:
    """Inputs (n, d) of a TwoLayerNet, of its dtype and on its device."""
    return _checks.array(name, x, None, net.weight.shape[1]).to(net.weight)


def two_layer_features(net: TwoLayerNet, x: Tensor) -> Tensor:
    """The hidden features (n, h), with the weight that the next call computes with."""
    with evaluation.current(net):
        return net.features(x)


@torch.no_grad()
def conjugate_kernel(
    net: nn.Module,
    x: Tensor | Mapping[str, Tensor],
    other: Tensor | Mapping[str, Tensor] | None = None,
    *,
    layer: str | None = None,
    forward: Forward | None = None,
) -> Tensor:
    """The conjugate kernel F F' / width of the features F (n, width): of a TwoLayerNet, the hidden ones.

    Of any other network, the features are what enters its last linear layer, the last one called, or another module;
    token or pixel axes are flattened into the width. The network is evaluated in evaluation mode, on copies of its
    parameters and of x.

    Parameters
    ----------
    net : nn.Module
        The network; it is left as it was.
    x : tensor, array or mapping
        (n, d) for a TwoLayerNet; else as in `neural_tangent_kernel`.
    other : like x, optional
        m further samples: then the kernel of x against them.
    layer : str, optional
        Name of the module whose input are the features, one of `net.named_modules()`.
    forward : callable, optional
        As in `neural_tangent_kernel`.

    Returns
    -------
    Tensor
        (n, n), symmetric, of rank at most the width, or (n, m); of the features' dtype, in single precision where they
        are in half, and on their device.

    Raises
    ------
    TypeError
        If net is no module.
    ValueError
        If x has another shape or is not finite, there is no linear layer or no module of this name, or it is not
        called or gets no (n, ...).

    Examples
    --------
    >>> from helpers import data, kernels, networks
    >>> problem = data.teacher_student(40, 20, n_test=10)
    >>> net = networks.TwoLayerNet(20, 30)
    >>> kernels.conjugate_kernel(net, problem.x_test, problem.x).shape
    torch.Size([10, 40])
    """

    if has_features(net, forward) and layer is None:
        given = [two_layer_inputs(net, x)] + ([] if other is None else [two_layer_inputs(net, other, "other")])
        features = [two_layer_features(net, some) for some in given]
    else:
        samples = evaluation.inputs(evaluation.network(net), x)
        given = [samples] + ([] if other is None else [evaluation.inputs_like(net, other, samples)])
        features = [evaluation.layer_inputs(net, some, layer, forward=forward) for some in given]
    features = [evaluation.single(some) for some in features]
    product = gram(features[0].T) if other is None else features[0] @ features[1].T
    return product.div_(features[0].shape[1])


_HERMITE_TERMS = 64


def dual_kernel(activation: str | Activation, x: Tensor) -> Tensor:
    """The conjugate kernel of an infinitely wide network at the start, E_w s(w.x_i / sqrt d) s(w.x_j / sqrt d).

    For inputs of norm sqrt d it is the Hermite series sum_k c_k^2 (x_i.x_j / d)^k. Its eigenvalues are the population
    of the sample covariance that the conjugate kernel of a network of finite width is. With independent Gaussian
    inputs only k = 1 and the diagonal matter, and it is close to (1 - b^2) I + b^2 XX'/d.

    Parameters
    ----------
    activation : str or Activation
        The activation or its name.
    x : tensor or array (n, d)
        Inputs; every row of norm sqrt d, within 0.1%.

    Returns
    -------
    Tensor
        (n, n), float64, with unit diagonal.

    Raises
    ------
    ValueError
        If the shape is another, an entry is not finite, or a row has another norm.

    References
    ----------
    Daniely, Frostig and Singer (2016), section 4.

    Examples
    --------
    >>> import torch
    >>> from helpers import kernels
    >>> kernels.dual_kernel("tanh", torch.eye(2) * 2**0.5).diagonal()
    tensor([1., 1.], dtype=torch.float64)
    """
    x = _checks.array("x", x, None, None).double()
    cosines = x @ x.T / x.shape[1]
    norms = cosines.diagonal().sqrt()
    if float((norms - 1).abs().max()) > 1e-3:
        raise ValueError(
            f"x: got rows of norm {float(norms.min()):.3g} to {float(norms.max()):.3g} sqrt d, expected sqrt d"
        )
    kernel = torch.zeros_like(cosines)
    for c in hermite_coefficients(activation, _HERMITE_TERMS).square().tolist()[::-1]:  # Horner's scheme
        kernel.mul_(cosines).add_(c)
    kernel.diagonal().fill_(1.0)  # the terms left out matter only where the cosine is 1
    return kernel
