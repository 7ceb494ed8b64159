"""What a kernel says about the labels: alignment, and kernel ridge regression with the best of several ridges."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.sparse.linalg import eigsh
from torch import Tensor

from .. import _checks
from ..data import Dataset
from ..networks import TwoLayerNet
from ..networks.two_layer import is_plain
from ..spectra.values import SMALLEST, smaller_gram, unit_of
from ..training import r2
from .tangent import both_layers

# Ridges among which the held-out samples choose, in units of a kernel whose diagonal is about 1.
RIDGES = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)


def alignment(kernel: Tensor, y: Tensor, *, centered: bool = False) -> float:
    """Kernel-target alignment y' K y / (|K|_F |y|^2), the cosine between K and y y'.

    Parameters
    ----------
    kernel : tensor or array (n, n)
        Symmetric.
    y : tensor or array (n,) or (n, k)
        Labels, not all zero; with k columns it is the cosine between K and Y Y'.
    centered : bool
        Take the mean feature out first, K -> H K H with H = I - 11'/n. A mean that all samples share says nothing about
        labels, and a large one hides what does.

    Returns
    -------
    float
        In [-1, 1]: 1 where K, centered if so wished, is proportional to y y'.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or the kernel or the labels are zero.

    References
    ----------
    Cristianini, Shawe-Taylor, Elisseeff and Kandola (2001); centered, Cortes, Mohri and Rostamizadeh (2012).

    Examples
    --------
    >>> import torch
    >>> from helpers import kernels
    >>> y = torch.tensor([1.0, -1.0])
    >>> round(kernels.alignment(torch.outer(y, y), y), 6), round(kernels.alignment(torch.eye(2), y), 2)
    (1.0, 0.71)
    """
    y = _checks.array("y", y, *[None] * min(max(np.ndim(y), 1), 2)).double()
    k = _checks.array("kernel", kernel, len(y), len(y)).to(y)
    y = y.reshape(len(y), -1)
    if centered:
        k = k - k.mean(0) - k.mean(1, keepdim=True) + k.mean()
    if not (k.any() and y.any()):
        raise ValueError("kernel, y: got zeros only, expected a kernel and labels that are not all zero")
    k, y = (each / unit_of(float(each.abs().max())) for each in (k, y))  # so that no square is beyond float64
    return float((y * (k @ y)).sum()) / float(k.norm() * smaller_gram(y).norm())


def distance(kernel: Tensor, start: Tensor) -> tuple[float, float]:
    """How far a kernel is from another: |K - K0| / |K0| in Frobenius and in operator norm.

    Parameters
    ----------
    kernel : tensor or array (n, n)
        K, symmetric, for instance after training.
    start : tensor or array (n, n)
        K0, symmetric.

    Returns
    -------
    frobenius, operator : float
        Both relative to the same norm of K0; the operator norm is the largest absolute eigenvalue.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or K0 is zero.

    Examples
    --------
    >>> import torch
    >>> from helpers import kernels
    >>> kernels.distance(torch.diag(torch.tensor([2.0, 1.0])), torch.eye(2))[1]
    1.0
    """
    start = _checks.array("start", start, None, np.shape(start)[-1] if np.ndim(start) == 2 else None).double()
    change = _checks.array("kernel", kernel, *start.shape).to(start) - start
    frobenius = float(start.norm())
    if frobenius == 0:
        raise ValueError("start: got zeros only, expected a kernel")
    return float(change.norm()) / frobenius, _largest(change) / _largest(start)


def _largest(matrix: Tensor) -> float:
    """The largest absolute eigenvalue of a symmetric matrix."""
    if len(matrix) <= SMALLEST or not matrix.any():
        return float(torch.linalg.eigvalsh(matrix).abs().max())
    start = np.random.default_rng(0).standard_normal(len(matrix))
    values = eigsh(matrix.cpu().numpy(), k=1, which="LM", v0=start, tol=1e-4, return_eigenvectors=False)
    return float(abs(values[0]))


def kernel_ridge(k_train: Tensor, k_test: Tensor, y: Tensor, ridge: float) -> Tensor:
    """Predictions of kernel ridge regression, k_test (k_train + ridge I)^-1 y.

    By a Cholesky factor; where the matrix has none, as a singular kernel without a ridge, by least squares.

    Parameters
    ----------
    k_train : tensor or array (n, n)
        Kernel of the training inputs.
    k_test : tensor or array (m, n)
        Kernel of the test inputs against the training inputs.
    y : tensor or array (n,)
        Labels.
    ridge : float
        Penalty on the squared norm, at least 0, in units of the kernel.

    Returns
    -------
    Tensor
        (m,), of the dtype and device of `y`, computed in float64.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or the ridge is negative.

    Examples
    --------
    >>> import torch
    >>> from helpers import kernels
    >>> kernels.kernel_ridge(torch.eye(2), torch.eye(2)[:1], torch.tensor([3.0, 5.0]), ridge=0.5)
    tensor([2.])
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


def ridge_r2(
    k_train: Tensor,
    k_held_out: Tensor,
    k_test: Tensor,
    data: Dataset,
    y_held_out: Tensor,
    ridges: Sequence[float] = RIDGES,
) -> tuple[float, float]:
    """Test R2 of kernel ridge regression with the ridge that predicts the held-out labels best, and that ridge.

    Parameters
    ----------
    k_train : tensor or array (n, n)
        Kernel of the training inputs.
    k_held_out : tensor or array (m, n)
        Kernel of the held-out inputs against the training inputs.
    k_test : tensor or array (n_test, n)
        Kernel of the test inputs against the training inputs.
    data : data.Dataset
        Its y and y_test are used.
    y_held_out : tensor or array (m,)
        Labels of the held-out inputs.
    ridges : sequence of float
        Candidates, each above 0, in units of the kernel.

    Returns
    -------
    r2 : float
        On the test labels.
    ridge : float
        The one that was chosen.

    Raises
    ------
    ValueError
        If shapes do not fit, an entry is not finite, or there is no ridge or one that is not above 0.

    Examples
    --------
    >>> from helpers import data, kernels, networks
    >>> problem, (x, y) = data.split(data.teacher_student(60, 20), 100)
    >>> net = networks.TwoLayerNet(20, 30)
    >>> blocks = [kernels.conjugate_kernel(net, z, problem.x) for z in (problem.x, x, problem.x_test)]
    >>> r2, ridge = kernels.ridge_r2(*blocks, problem, y)
    >>> 0 < r2 < 1, ridge in kernels.RIDGES
    (True, True)
    """
    if not len(ridges):
        raise ValueError("ridges: got none, expected at least one")
    ridges = [_checks.real("ridges", ridge, positive=True) for ridge in ridges]
    n, held = len(data.y), len(y_held_out)
    new = torch.cat(
        [_checks.array("k_held_out", k_held_out, held, n), _checks.array("k_test", k_test, len(data.y_test), n)]
    )
    k_train = _checks.array("k_train", k_train, n, n)
    weights = _ridge_weights(k_train, _checks.array("y", data.y, n), ridges)
    predictions = (new.to(weights) @ weights).to(data.y)
    best = max(range(len(ridges)), key=lambda i: r2(predictions[:held, i], y_held_out))
    return r2(predictions[held:, best], data.y_test), ridges[best]


@torch.no_grad()
def kernel_scores(net: TwoLayerNet, data: Dataset, held_out: tuple[Tensor, Tensor]) -> dict[str, float]:
    """What ridge regression makes of a network's kernels, and how the tangent kernel is aligned.

    The tangent kernel is that of both layers, frozen or not.

    Parameters
    ----------
    net : networks.TwoLayerNet
        The network; no subclass, and with a weight and a readout that are parameters.
    data : data.Dataset
        Its training and test samples are used.
    held_out : pair of tensors
        Inputs and labels that choose the ridge, as `data.split` gives them.

    Returns
    -------
    dict
        ck_r2 and ntk_r2, the test R2 by `ridge_r2`; kta and kta_test, the alignment of the tangent kernel with the
        labels of the training and of the test samples. Of these two, only the second is about what was learned: the
        first rises as well where labels are memorized.

    Raises
    ------
    TypeError
        If net is another network.

    Examples
    --------
    >>> from helpers import data, kernels, networks
    >>> problem, held_out = data.split(data.teacher_student(60, 20), 100)
    >>> sorted(kernels.kernel_scores(networks.TwoLayerNet(20, 30), problem, held_out))
    ['ck_r2', 'kta', 'kta_test', 'ntk_r2']
    """
    if not is_plain(net):
        raise TypeError(f"net: got {type(net).__name__}, expected a TwoLayerNet with its own two parameters")
    sizes = [len(data.y), len(held_out[1]), len(data.y_test)]
    x = torch.cat([data.x, held_out[0], data.x_test])
    z = net.preactivations(x)
    conjugate, first = both_layers(net, x, z, data.x, z[: sizes[0]])
    both = conjugate, first.add_(conjugate)
    conjugate, tangent = (
        ridge_r2(train, held, test, data, held_out[1])[0] for train, held, test in (k.split(sizes) for k in both)
    )
    test = both_layers(net, data.x_test, z[-sizes[2] :], data.x_test, z[-sizes[2] :])
    return {
        "ck_r2": conjugate,
        "ntk_r2": tangent,
        "kta": alignment(both[1][: sizes[0]], data.y),
        "kta_test": alignment(test[1].add_(test[0]), data.y_test),
    }
