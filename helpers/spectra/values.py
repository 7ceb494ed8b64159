"""Singular values and eigenvalues, all of them or the leading ones with their vectors, and the overlap of vectors."""

import math
from typing import TypeAlias

import numpy as np
import torch
from scipy.sparse.linalg import svds
from torch import Tensor, nn

from .. import _checks
from .._checks import Array
from ..networks import evaluation

Leading: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]  # left vectors, all singular values, right vectors


# Below this many values there is neither a bulk with an edge, whose ten largest ones set a scale, nor a tail to fit.
SMALLEST = 20


def unit_of(largest: float) -> float:
    """A power of two of the size of a number, to divide by without rounding; 1/2 for what is zero or not finite."""
    return math.ldexp(1.0, math.frexp(largest)[1] - 1)


def gram(matrix: Tensor) -> Tensor:
    """matrix' matrix; on a processor by numpy, which computes only half of it, where torch computes all."""
    if matrix.device.type != "cpu" or matrix.dtype not in (torch.float32, torch.float64):
        return matrix.T @ matrix
    rows = matrix.detach().numpy()
    return torch.from_numpy(rows.T @ rows)


def smaller_gram(matrix: Tensor) -> Tensor:
    """The smaller one of W'W and W W', whose eigenvalues are the squares of the singular values of W."""
    return gram(matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T)


def singular_values(weight: Array) -> Tensor:
    """Singular values of a matrix, descending, float64, on its device.

    Parameters
    ----------
    weight : tensor or array (h, d)
        A matrix. Those of a network, in the form used here: `weight_matrices`.

    Returns
    -------
    Tensor
        (min(h, d),), not normalized: divide by sqrt h for the convention of the book, as `weight_spectrum` does.

    Raises
    ------
    ValueError
        If it is not a matrix, is empty, or has NaN or infinite entries.

    Notes
    -----
    They are the square roots of the eigenvalues of the smaller Gram matrix, which takes half the time of a singular
    value decomposition, unless the smallest is below 1e-4 of the largest and would suffer from the square.

    Examples
    --------
    >>> from helpers import spectra
    >>> spectra.singular_values([[3.0, 0.0], [0.0, -4.0], [0.0, 0.0]])
    tensor([4., 3.], dtype=torch.float64)
    """
    matrix = _checks.array("weight", weight, None, None).double()
    scale = matrix.abs().max().clamp_min(1e-300)  # so that no square overflows
    squares = torch.linalg.eigvalsh(smaller_gram(matrix / scale))
    if float(squares[0]) > 1e-8 * float(squares[-1]):
        return squares.flip(0).sqrt() * scale
    return torch.linalg.svdvals(matrix)


def weight_spectrum(net: nn.Module) -> Tensor:
    """Singular values of W / sqrt h of the first layer of a TwoLayerNet, descending: its spectrum in the book's units.

    Parameters
    ----------
    net : networks.TwoLayerNet
        The network.

    Returns
    -------
    Tensor
        (min(h, d),), float64. At the start they fill [|1 - sqrt(d / h)|, 1 + sqrt(d / h)].

    Examples
    --------
    >>> from helpers import networks, spectra
    >>> values = spectra.weight_spectrum(networks.TwoLayerNet(100, 150))
    >>> len(values), round(float(values[0]), 1)
    (100, 1.8)
    """
    with evaluation.current(net):
        weight = torch.as_tensor(net.weight).detach()
    return singular_values(weight) / math.sqrt(len(weight))


def stable_rank(values: Array) -> float:
    """Stable rank |W|_F^2 / s_1^2 from the singular values of W: how many directions carry a matrix.

    Parameters
    ----------
    values : tensor or array (m,)
        Singular values in any order and unit, not all zero.

    Returns
    -------
    float
        Between 1 and m.

    Raises
    ------
    ValueError
        If there is no value, only zeros, or one that is not finite.

    References
    ----------
    Rudelson and Vershynin (2007).

    Examples
    --------
    >>> from helpers import spectra
    >>> spectra.stable_rank([2.0, 2.0, 0.0])
    2.0
    """
    values = _checks.array("values", values, None).double().abs()
    top = values.max()
    if not float(top) > 0:
        raise ValueError("values: got zeros only, expected some above 0")
    return float((values / top).square().sum())


def eigenvalues(kernel: Array) -> Tensor:
    """Eigenvalues of a symmetric matrix, descending, float64, on its device.

    Parameters
    ----------
    kernel : tensor or array (n, n)
        Symmetric up to rounding.

    Returns
    -------
    Tensor
        (n,)

    Raises
    ------
    ValueError
        If it is not square, not symmetric (beyond 1e-4 of the largest entry), empty, or has NaN or infinite entries.

    Examples
    --------
    >>> from helpers import spectra
    >>> spectra.eigenvalues([[0.0, 1.0], [1.0, 0.0]])
    tensor([ 1., -1.], dtype=torch.float64)
    """
    return torch.linalg.eigvalsh(symmetric("kernel", kernel).double()).flip(0)


def symmetric(name: str, matrix: Array) -> Tensor:
    """A square matrix that is symmetric to 1e-4 of its largest entry; ValueError for any other."""
    matrix = _checks.array(name, matrix, None, None)
    matrix = _checks.array(name, matrix, len(matrix), len(matrix))
    if float((matrix - matrix.T).abs().max()) > 1e-4 * float(matrix.abs().max()):
        raise ValueError(f"{name}: got a matrix that is not symmetric, expected {name} = {name}'")
    return matrix


def leading(matrix: Tensor, k: int) -> Leading:
    """The k leading left and right singular vectors as columns, and between them all singular values; float64.

    Vectors of values that are zero up to rounding are left out. A matrix that is not finite has NaN values and no
    vectors.
    """
    matrix = matrix.detach()
    matrix = (matrix.cpu() if matrix.device.type == "mps" else matrix).double()
    unit = unit_of(float(matrix.abs().max()))
    matrix = matrix / unit  # so that no square is beyond float64
    small = smaller_gram(matrix)
    if not torch.isfinite(small).all():
        nothing = np.zeros((0, 0))
        return nothing, np.full(len(small), np.nan), nothing
    squares, vectors = torch.linalg.eigh(small)
    values, near = squares.clamp_min(0).sqrt().flip(0), vectors.flip(1)[:, :k]
    near = near[:, values[:k] > 1e-6 * values[0]]
    tall = matrix.shape[0] >= matrix.shape[1]
    far = (matrix if tall else matrix.T) @ near / values[: near.shape[1]]
    left, right = (far, near) if tall else (near, far)
    return left.cpu().numpy(), (values * unit).cpu().numpy(), right.cpu().numpy()


def singular_triplets(weight: Array, k: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """The k largest singular values with their vectors, float64, on its device.

    Parameters
    ----------
    weight : tensor or array (h, d)
        A matrix.
    k : int
        At least 1, at most min(h, d). For a few, this is several times faster than all of them.

    Returns
    -------
    left : Tensor
        (h, k), left singular vectors as columns of length 1; the sign of each pair is arbitrary.
    values : Tensor
        (k,), descending, not normalized.
    right : Tensor
        (d, k), right singular vectors.

    Raises
    ------
    TypeError, ValueError
        If it is not a matrix, is empty, all zero, or has NaN or infinite entries; if k is out of range.

    Notes
    -----
    By ARPACK, as `scipy.sparse.linalg.svds`, from the same random vector each time; all of them, by a full SVD.

    Examples
    --------
    >>> import torch
    >>> from helpers import spectra
    >>> left, values, right = spectra.singular_triplets(torch.diag(torch.arange(1.0, 6.0)), 2)
    >>> [round(float(value), 6) for value in values]
    [5.0, 4.0]
    """
    matrix = _checks.array("weight", weight, None, None).double()
    k = _checks.integer("k", k)
    if k > min(matrix.shape):
        raise ValueError(f"k: got {k}, expected at most {min(matrix.shape)} for a matrix {tuple(matrix.shape)}")
    if not matrix.any():
        raise ValueError("weight: got a matrix of zeros, expected one with singular vectors that stand out")
    host = matrix.cpu().numpy()
    if k == min(host.shape):
        left, values, right = np.linalg.svd(host, full_matrices=False)
    else:
        left, values, right = svds(host, k=k, random_state=0)
    order = np.argsort(values)[::-1]
    u, s, v = (torch.from_numpy(each.copy()) for each in (left[:, order], values[order], right[order].T))
    return u.to(matrix.device), s.to(matrix.device), v.to(matrix.device)


def top_triplet(weight: Array) -> tuple[np.ndarray, float, np.ndarray]:
    """Left singular vector (h,), singular value and right singular vector (d,) of the largest singular value, float64.

    As `singular_triplets` has them, whose errors it raises, but as arrays without the axis of length 1.

    Parameters
    ----------
    weight : tensor or array (h, d)
        A matrix.

    Returns
    -------
    left : array
        (h,)
    value : float
        The largest singular value, not normalized.
    right : array
        (d,)

    Examples
    --------
    >>> import torch
    >>> from helpers import spectra
    >>> left, value, right = spectra.top_triplet(torch.diag(torch.arange(1.0, 6.0)))
    >>> round(value, 6), round(abs(float(right[-1])), 6)
    (5.0, 1.0)
    """
    left, values, right = singular_triplets(weight)
    return left[:, 0].cpu().numpy(), float(values[0]), right[:, 0].cpu().numpy()


def overlap(vectors: Array, directions: Array) -> float:
    """How much two subspaces share: the root mean square cosine of their principal angles.

    For two vectors, |cos| of their angle. Vectors drawn at random in d dimensions have about d^-1/2.

    Parameters
    ----------
    vectors, directions : tensor or array, (d,), or (d, k) and (d, m)
        Vectors, or matrices whose columns span the subspaces.

    Returns
    -------
    float
        In [0, 1]: 1 where the smaller subspace lies in the larger one.

    Raises
    ------
    ValueError
        If lengths do not fit, there are more columns than rows, zero or dependent columns, or NaN.

    Examples
    --------
    >>> from helpers import spectra
    >>> round(spectra.overlap([1.0, 0.0], [1.0, 1.0]), 4)
    0.7071
    """
    first, second = _basis("vectors", vectors), _basis("directions", directions)
    if len(first) != len(second):
        raise ValueError(f"directions: got {len(second)} rows, expected {len(first)} as in vectors")
    shared = (first.T @ second.to(first)).norm() / math.sqrt(min(first.shape[1], second.shape[1]))
    return min(1.0, float(shared))


def _basis(name: str, columns: Array) -> Tensor:
    """An orthonormal basis of the span of the columns, float64."""
    columns = _checks.array(name, columns, *[None] * min(max(np.ndim(columns), 1), 2)).double()
    columns = columns.reshape(len(columns), -1)
    columns = columns / columns.abs().amax(0).clamp_min(1e-300)  # so that no square is beyond float64
    q, r = torch.linalg.qr(columns / columns.norm(dim=0).clamp_min(1e-300))
    if columns.shape[1] > len(columns) or float(r.diagonal().abs().min()) < 1e-10:
        raise ValueError(f"{name}: got zero or dependent columns, expected independent ones")
    return q
