"""The two kernels of a network, in closed form, and what they say about the labels."""


import numpy as np
import torch
from torch import Tensor, nn

from . import _checks
from .activations import Activation, hermite_coefficients
from .networks import TwoLayerNet


def _inputs(net: nn.Module, x: Tensor) -> tuple[TwoLayerNet, Tensor]:
    if not isinstance(net, TwoLayerNet):
        raise TypeError(f"net: got {type(net).__name__}, expected a TwoLayerNet")
    x = _checks.array("x", x, None, net.weight.shape[1])
    return net, x.to(net.weight)


@torch.no_grad()
def conjugate_kernel(net: TwoLayerNet, x: Tensor) -> Tensor:
    """The conjugate kernel F F' / h, where F (n, h) are the hidden features.

    Parameters
    ----------
    net : a TwoLayerNet.  x : (n, d), tensor or array.

    Returns
    -------
    (n, n), symmetric, of the network's dtype and device. Its rank is at most h.

    Raises
    ------
    TypeError : net is no TwoLayerNet.  ValueError : x has another shape or is not finite.
    """
    net, x = _inputs(net, x)
    features = net.features(x)
    return features @ features.T / features.shape[1]


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
        raise ValueError(f"x: got rows of norm {float(norms.min()):.3g} to {float(norms.max()):.3g} sqrt d, expected sqrt d")
    kernel = torch.zeros_like(cosines)
    for c in hermite_coefficients(activation, _HERMITE_TERMS).square().tolist()[::-1]:  # Horner's scheme
        kernel.mul_(cosines).add_(c)
    kernel.diagonal().fill_(1.0)  # the terms left out matter only where the cosine is 1
    return kernel


@torch.no_grad()
def neural_tangent_kernel(net: TwoLayerNet, x: Tensor, *, train_readout: bool = True) -> Tensor:
    """The neural tangent kernel K_ij = <grad f(x_i), grad f(x_j)> over the trained parameters.

    For f(x) = v . s(W x / sqrt d) / sqrt h the gradients factorize and
    K = (X X' / d) o (S S' / h) + F F' / h, with S = s'(X W' / sqrt d) diag(v), o the entrywise product;
    the last term, the conjugate kernel, belongs to the readout.

    Parameters
    ----------
    net : a TwoLayerNet.  x : (n, d), tensor or array.
    train_readout : whether the readout is trained too, as in `training.train`.

    Returns
    -------
    (n, n), symmetric, of the network's dtype and device.

    Raises
    ------
    TypeError : net is no TwoLayerNet.  ValueError : x has another shape or is not finite.

    Source: Jacot, Gabriel and Hongler (2018); this form for two layers, Fan and Wang (2020).
    """
    net, x = _inputs(net, x)
    h, d = net.weight.shape
    z = net.preactivations(x)
    slopes = net.activation.derivative(z) * net.readout
    kernel = slopes @ slopes.T
    kernel.mul_(x @ x.T).mul_(1 / (h * d))
    if train_readout:
        features = net.activation(z)
        kernel.addmm_(features, features.T, alpha=1 / h)
    return kernel


def alignment(kernel: Tensor, y: Tensor) -> float:
    """Kernel-target alignment y' K y / (|K|_F |y|^2), the cosine between K and y y'.

    Parameters
    ----------
    kernel : (n, n), symmetric.  y : (n,), not all zero.

    Returns
    -------
    A number in [-1, 1]: 1 where K is proportional to y y'. Not centered.

    Raises
    ------
    ValueError : shapes that do not fit, entries that are not finite, a zero kernel or zero labels.

    Source: Cristianini, Shawe-Taylor, Elisseeff and Kandola (2001).
    """
    y = _checks.array("y", y, None).double()
    k = _checks.array("kernel", kernel, len(y), len(y)).to(y)
    scale = float(k.norm() * (y @ y))
    if scale == 0:
        raise ValueError("kernel, y: got zeros only, expected a kernel and labels that are not all zero")
    return float(y @ k @ y) / scale


def kernel_ridge(k_train: Tensor, k_test: Tensor, y: Tensor, ridge: float) -> Tensor:
    """Predictions of kernel ridge regression, k_test (k_train + ridge I)^-1 y, by scikit-learn.

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
    from sklearn.kernel_ridge import KernelRidge

    y = _checks.array("y", y, None)
    k_train = _checks.array("k_train", k_train, len(y), len(y))
    k_test = _checks.array("k_test", k_test, None, len(y))
    model = KernelRidge(alpha=_checks.real("ridge", ridge), kernel="precomputed")
    model.fit(k_train.double().cpu().numpy(), y.double().cpu().numpy())
    return torch.from_numpy(np.asarray(model.predict(k_test.double().cpu().numpy()))).to(y)
