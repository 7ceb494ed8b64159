"""The two kernels of a network and what they say about the labels."""

from collections.abc import Mapping, Sequence
from typing import TypeGuard

import numpy as np
import torch
from torch import Tensor, nn

from . import _checks
from ._evaluation import Forward, layer_inputs
from ._leading import gram
from ._tangent import empirical_kernel, numbers
from .activations import Activation, hermite_coefficients
from .networks import TwoLayerNet


def _is_two_layer(net: nn.Module, forward: Forward | None) -> TypeGuard[TwoLayerNet]:
    return isinstance(net, TwoLayerNet) and forward is None


def _inputs(net: TwoLayerNet, x: Tensor | Mapping[str, Tensor]) -> Tensor:
    return _checks.array("x", x, None, net.weight.shape[1]).to(net.weight)


@torch.no_grad()
def conjugate_kernel(
    net: nn.Module, x: Tensor | Mapping[str, Tensor], layer: str | None = None, *, forward: Forward | None = None
) -> Tensor:
    """The conjugate kernel F F' / width of the features F (n, width): of a TwoLayerNet, the hidden ones.

    Of any other network, the features are what enters its last linear layer, the last one called, or another module;
    token or pixel axes are flattened into the width. The network is evaluated in evaluation mode.

    Parameters
    ----------
    net : a module.  x : (n, d) for a TwoLayerNet; else as in `neural_tangent_kernel`.
    layer : name of the module whose input are the features, one of `net.named_modules()`.
    forward : as in `neural_tangent_kernel`.

    Returns
    -------
    (n, n), symmetric, of the features' dtype and device. Its rank is at most the width.

    Raises
    ------
    TypeError : net is no module.  ValueError : x has another shape or is not finite, there is no linear layer or no
        module of this name, or it is not called or gets no (n, ...).
    """
    if _is_two_layer(net, forward) and layer is None:
        features = net.features(_inputs(net, x))
    else:
        features = layer_inputs(net, x, layer, forward)
    return gram(features.T).div_(features.shape[1])


_HERMITE_TERMS = 64


def dual_kernel(activation: str | Activation, x: Tensor) -> Tensor:
    """The conjugate kernel of an infinitely wide network at the start, E_w s(w.x_i / sqrt d) s(w.x_j / sqrt d).

    For inputs of norm sqrt d it is the Hermite series sum_k c_k^2 (x_i.x_j / d)^k. Its eigenvalues are the population
    of the sample covariance that the conjugate kernel of a network of finite width is. With independent Gaussian
    inputs only k = 1 and the diagonal matter, and it is close to (1 - b^2) I + b^2 XX'/d.

    Parameters
    ----------
    activation : name or Activation.  x : (n, d), every row of norm sqrt d (within 0.1%).

    Returns
    -------
    (n, n), float64, with unit diagonal.

    Raises
    ------
    ValueError : another shape, entries that are not finite, rows of another norm.

    Source: Daniely, Frostig and Singer (2016), section 4.
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


def alignment(kernel: Tensor, y: Tensor, *, centered: bool = False) -> float:
    """Kernel-target alignment y' K y / (|K|_F |y|^2), the cosine between K and y y'.

    Parameters
    ----------
    kernel : (n, n), symmetric.  y : (n,), not all zero; or (n, k), for the cosine between K and Y Y'.
    centered : take the mean feature out first, K -> H K H with H = I - 11'/n. A mean that all samples share says
        nothing about labels, and a large one hides what does.

    Returns
    -------
    A number in [-1, 1]: 1 where K, centered if so wished, is proportional to y y'.

    Raises
    ------
    ValueError : shapes that do not fit, entries that are not finite, a zero kernel or zero labels.

    Source: Cristianini, Shawe-Taylor, Elisseeff and Kandola (2001); centered, Cortes, Mohri and Rostamizadeh (2012).
    """
    y = _checks.array("y", y, *[None] * min(max(np.ndim(y), 1), 2)).double()
    k = _checks.array("kernel", kernel, len(y), len(y)).to(y)
    y = y.reshape(len(y), -1)
    if centered:
        k = k - k.mean(0) - k.mean(1, keepdim=True) + k.mean()
    scale = float(k.norm() * (y.T @ y).norm())
    if scale == 0:
        raise ValueError("kernel, y: got zeros only, expected a kernel and labels that are not all zero")
    return float((y * (k @ y)).sum()) / scale


def kernel_ridge(k_train: Tensor, k_test: Tensor, y: Tensor, ridge: float) -> Tensor:
    """Predictions of kernel ridge regression, k_test (k_train + ridge I)^-1 y.

    By a Cholesky factor; where the matrix has none, as a singular kernel without a ridge, by least squares.

    Parameters
    ----------
    k_train : (n, n) kernel of the training inputs.  k_test : (m, n), test against training inputs.
    y : (n,) labels.  ridge : penalty on the squared norm, at least 0, in units of the kernel.

    Returns
    -------
    (m,), of the dtype and device of `y`, computed in float64.

    Raises
    ------
    ValueError : shapes that do not fit, entries that are not finite, a negative ridge.
    """
    y = _checks.array("y", y, None)
    k_train = _checks.array("k_train", k_train, len(y), len(y))
    k_test = _checks.array("k_test", k_test, None, len(y))
    weights = _ridge_weights(k_train, y, [_checks.real("ridge", ridge)])
    return (k_test.to(weights) @ weights)[:, 0].to(y)


def _ridge_weights(k_train: Tensor, y: Tensor, ridges: Sequence[float]) -> Tensor:
    """(k_train + ridge I)^-1 y, a column for each ridge; float64."""
    place = torch.device("cpu") if y.device.type == "mps" else y.device
    k_train, labels = k_train.to(place, torch.float64), y.to(place, torch.float64)[:, None]
    columns = []
    for ridge in ridges:
        system = k_train.clone()
        system.diagonal().add_(ridge)
        factor, failed = torch.linalg.cholesky_ex(system)
        solved = torch.linalg.pinv(system, hermitian=True) @ labels if failed else torch.cholesky_solve(labels, factor)
        columns.append(solved)
    return torch.cat(columns, 1)
