"""What products with a vector tell of a symmetric matrix: its top eigenvalues, density and alignment with labels."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import LinearOperator, aslinearoperator, eigsh

from . import _checks, _random
from ._checks import Array
from .laws import Law

Operator: TypeAlias = LinearOperator | np.ndarray


class Eigenpairs(NamedTuple):
    """Eigenvalues (k,), descending, and their eigenvectors in columns (size, k), float64."""

    values: np.ndarray
    vectors: np.ndarray


class Alignment(NamedTuple):
    """An alignment and its standard error, 0 where it is exact."""

    value: float
    standard_error: float


def _square(operator: Operator) -> LinearOperator:
    """`operator` as a LinearOperator; TypeError or ValueError for anything that is not square."""
    try:
        operator = aslinearoperator(operator)
    except TypeError:
        raise TypeError(f"operator: got {type(operator).__name__}, expected a LinearOperator or a matrix") from None
    if operator.shape[0] != operator.shape[1]:
        raise ValueError(f"operator: got shape {operator.shape}, expected a square one")
    return operator


def top_eigenvalues(
    operator: Operator,
    k: int = 1,
    *,
    start: Array | None = None,
    basis: int | None = None,
    tolerance: float = 1e-6,
    seed: int = 0,
) -> Eigenpairs:
    """The k largest eigenvalues and their eigenvectors, by scipy's `eigsh` (ARPACK).

    Parameters
    ----------
    operator : symmetric, a LinearOperator (size, size) or an array.
    k : below size.
    start : (size,), a guess at the top eigenvector, which saves products; by default random from `seed`.
    basis : vectors (size,) that are kept, from k + 2 to size; by default 2 k + 1 or 20, whichever is more. At least as
        many products are made, so few are enough with a good start.
    tolerance : relative error of the values. Products in float32 carry about 1e-7 of the largest eigenvalue.

    Raises
    ------
    TypeError, ValueError : no square operator, k out of range, a start of another length or not finite.
    scipy.sparse.linalg.ArpackNoConvergence : too many products (not known to happen at tolerances above rounding).

    Source: Lehoucq, Sorensen and Yang (1998).
    """
    operator = _square(operator)
    size = operator.shape[0]
    if _checks.integer("k", k) >= size:
        raise ValueError(f"k: got {k}, expected at most {size - 1}, below the size of the operator")
    if start is None:
        start = _random.stream("lanczos", seed).standard_normal(size)
    start = _checks.array("start", start, size).double().cpu().numpy()
    tolerance = _checks.real("tolerance", tolerance)
    if basis is not None and not k + 2 <= _checks.integer("basis", basis) <= size:
        raise ValueError(f"basis: got {basis}, expected {k + 2} to {size}")
    values, vectors = eigsh(operator, k, which="LA", v0=start, ncv=basis, tol=tolerance)
    order = np.argsort(values)[::-1]
    return Eigenpairs(values[order], vectors[:, order])


def spectral_density(operator: Operator, *, steps: int = 60, probes: int = 3, seed: int = 0) -> Law:
    """The distribution of all eigenvalues by stochastic Lanczos quadrature, as a `laws.Law`.

    Each probe is a random vector. `steps` products with it give the nodes and weights of a Gauss quadrature, whose cdf
    the true one crosses at every node; between them it is interpolated, smooth and monotone. What is finer than the
    distance of two nodes, about a `steps`-th of the width of the spectrum, does not show. Eigenvalues that the nodes
    have found, to 1e-6 of the largest, become atoms: 0 where the rank is low, or outliers, whose mass is uncertain by
    as much as it is large.

    Parameters
    ----------
    operator : symmetric, a LinearOperator (size, size) or an array.
    steps : products for each probe. As many vectors (size,) are kept, in float64.
    probes : number of random vectors. The error of a mean over the spectrum falls like (size probes)^-1/2.

    Raises
    ------
    TypeError, ValueError : no square operator, steps or probes below 1.

    Source: Golub and Welsch (1969) for the quadrature; Ubaru, Chen and Saad (2017), Chen, Trogdon and Ubaru (2021) for
    random probes.
    """
    operator = _square(operator)
    size = operator.shape[0]
    steps, probes = min(_checks.integer("steps", steps), size), _checks.integer("probes", probes)
    rng = _random.stream("probes", seed)
    found = [quadrature(operator, rng.standard_normal(size), steps) for _ in range(probes)]
    scale = max(float(np.abs(q.nodes).max()) for q in found)
    exact = [q.errors <= 1e-6 * scale for q in found]
    rest = [(q.nodes[~e], q.weights[~e] / probes) for q, e in zip(found, exact, strict=True)]
    rest = tuple(pair for pair in rest if len(pair[0]) > 1)
    locations = np.concatenate([q.nodes[e] for q, e in zip(found, exact, strict=True)])
    masses = np.concatenate([q.weights[e] / probes for q, e in zip(found, exact, strict=True)])
    return Law((LanczosBand(rest),) if rest else (), tuple(_merged(locations, masses, 1e-5 * scale)))


def _merged(locations: np.ndarray, masses: np.ndarray, apart: float) -> Iterator[tuple[float, float]]:
    """Atoms from what the probes found, those closer than `apart` as one."""
    order = np.argsort(locations)
    groups = np.split(order, np.flatnonzero(np.diff(locations[order]) > apart) + 1)
    for group in groups:
        if len(group):
            yield float(np.average(locations[group], weights=masses[group])), float(masses[group].sum())


def alignment(operator: Operator, y: Array, *, norm: float | None = None, probes: int = 10, seed: int = 0) -> Alignment:
    """Kernel-target alignment y'K y / (|K|_F |y|^2), see `kernels.alignment`, from products alone.

    y'K y is exact. Without a `norm`, |K|_F^2 is the mean of |K z|^2 over random signs z, which is unbiased and, for
    spectra without a dominant eigenvalue, off by about (size probes)^-1/2.

    Parameters
    ----------
    operator : symmetric, a LinearOperator (size, size) or an array.  y : (size,), not all zero.
    norm : |K|_F where it is known, as from `operators.conjugate_kernel_eigenvalues`.
    probes : at least 2.

    Returns
    -------
    Alignment : value, and its standard error from the spread of the probes.

    Raises
    ------
    TypeError, ValueError : no square operator, y of another length, not finite or zero; a zero operator.

    Source: Hutchinson (1990) for the estimate.
    """
    operator = _square(operator)
    size = operator.shape[0]
    y = _checks.array("y", y, size).double().cpu().numpy()
    spread = 0.0
    if norm is None:
        rng = _random.stream("signs", seed)
        draws = (
            operator.matvec(rng.choice([-1.0, 1.0], size)) for _ in range(_checks.integer("probes", probes, least=2))
        )
        squares = np.array([image @ image for image in draws])
        norm, spread = math.sqrt(squares.mean()), float(squares.std(ddof=1)) / math.sqrt(len(squares))
    scale = _checks.real("norm", norm) * float(y @ y)
    if scale == 0:
        raise ValueError("operator, y: got zeros only, expected a kernel and labels that are not all zero")
    value = float(y @ operator.matvec(y)) / scale
    return Alignment(value, abs(value) * spread / (2 * norm**2))


class Quadrature(NamedTuple):
    """Gauss quadrature for the spectral measure of one probe: ascending nodes, weights, and bounds on their errors."""

    nodes: np.ndarray
    weights: np.ndarray
    errors: np.ndarray


def quadrature(operator: LinearOperator, start: np.ndarray, steps: int) -> Quadrature:
    """`steps` steps of Lanczos from `start`, with every vector orthogonalized twice against all before it."""
    basis = np.empty((steps, len(start)))
    diagonal, beside = np.empty(steps), np.empty(steps)
    vector, scale = start / np.linalg.norm(start), 0.0
    for j in range(steps):
        basis[j] = vector
        vector = operator.matvec(vector)
        diagonal[j] = vector @ basis[j]
        for _ in range(2):
            vector -= basis[: j + 1].T @ (basis[: j + 1] @ vector)
        beside[j] = np.linalg.norm(vector)
        scale = max(scale, abs(diagonal[j]), beside[j])
        if beside[j] <= 1e-6 * scale:  # nothing new but rounding
            steps = j + 1
            break
        vector = vector / beside[j]
    nodes, vectors = eigh_tridiagonal(diagonal[:steps], beside[: steps - 1])
    return Quadrature(nodes, vectors[0] ** 2, beside[steps - 1] * np.abs(vectors[-1]))


class _Staircase:
    """The cdf of one probe between its nodes: monotone and smooth through the middle of each step."""

    def __init__(self, nodes: np.ndarray, weights: np.ndarray) -> None:
        gaps = np.diff(nodes)[[0, -1]] / 3  # from the last node to a square-root edge
        places = np.concatenate([[nodes[0] - gaps[0]], nodes, [nodes[-1] + gaps[1]]])
        mass = np.concatenate([[0.0], np.cumsum(weights) - weights / 2, [weights.sum()]])
        self.lo, self.hi = places[0], places[-1]
        self.cdf = PchipInterpolator(places, mass)
        self.density = self.cdf.derivative()


@dataclass(frozen=True, eq=False)
class LanczosBand:
    """A band of a `laws.Law` from quadratures, averaged over the probes.

    Attributes
    ----------
    quadratures : nodes and weights, each (m,), of every probe; the weights of all of them sum to the mass of the band.
    """

    quadratures: tuple[tuple[np.ndarray, np.ndarray], ...]

    @cached_property
    def _parts(self) -> list[_Staircase]:
        return [_Staircase(*pair) for pair in self.quadratures]

    @property
    def lo(self) -> float:
        return float(min(part.lo for part in self._parts))

    @property
    def hi(self) -> float:
        return float(max(part.hi for part in self._parts))

    def density(self, x: np.ndarray) -> np.ndarray:
        """Density at x (m,)."""
        inside = [
            np.where((part.lo < x) & (x < part.hi), part.density(np.clip(x, part.lo, part.hi)), 0)
            for part in self._parts
        ]
        return np.sum(inside, axis=0)

    def mass_below(self, x: np.ndarray) -> np.ndarray:
        """Mass of [lo, x] at x (m,)."""
        return np.sum([part.cdf(np.clip(x, part.lo, part.hi)) for part in self._parts], axis=0)

    def nodes(self, points: int) -> tuple[np.ndarray, np.ndarray]:
        """The nodes and weights of all probes, whatever `points`: no other ones are as good."""
        nodes, weights = (np.concatenate(column) for column in zip(*self.quadratures, strict=True))
        return nodes, weights
