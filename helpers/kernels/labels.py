"""What a kernel says about the labels: alignment, and kernel ridge regression with the best of several ridges."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from .. import _checks
from ..data import Dataset
from ..networks import TwoLayerNet
from ..training import r2
from .tangent import both_kernels

# Ridges among which the held-out samples choose, in units of a kernel whose diagonal is about 1.
RIDGES = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)


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
    k_train (n, n), k_held_out (m, n), k_test (n_test, n) : kernel of training, held-out and test inputs against the
        training inputs.
    data : its y and y_test are used.  y_held_out : (m,).
    ridges : candidates, each above 0, in units of the kernel.

    Raises
    ------
    ValueError : shapes that do not fit, entries that are not finite, no ridge or one that is not above 0.
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

    Returns
    -------
    dict : ck_r2, ntk_r2 (test R2 by `ridge_r2`), kta (alignment of the tangent kernel with the training labels).
    """
    if not isinstance(net, TwoLayerNet):
        raise TypeError(f"net: got {type(net).__name__}, expected a TwoLayerNet")
    sizes = [len(data.y), len(held_out[1]), len(data.y_test)]
    x = torch.cat([data.x, held_out[0], data.x_test])
    z = net.preactivations(x)
    both = both_kernels(net, x, z, data.x, z[: sizes[0]])
    conjugate, tangent = (
        ridge_r2(train, held, test, data, held_out[1])[0] for train, held, test in (k.split(sizes) for k in both)
    )
    return {"ck_r2": conjugate, "ntk_r2": tangent, "kta": alignment(both[1][: sizes[0]], data.y)}
