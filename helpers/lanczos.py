"""What products with a vector tell of a symmetric matrix: its top eigenvalues, density and alignment with labels."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.linalg import eigh_tridiagonal
from scipy.sparse import issparse
from scipy.sparse.linalg import ArpackError, ArpackNoConvergence, LinearOperator, aslinearoperator, eigsh

from . import _checks, _random
from ._checks import Array
from .laws import Law
from .spectra.values import unit_of

Operator: TypeAlias = LinearOperator | np.ndarray

_ASYMMETRY = 1e-3  # of the norm of a product, which float32 rounds to 1e-6 or so


class Eigenpairs(NamedTuple):
    """Eigenvalues and their eigenvectors.

    Attributes
    ----------
    values : array, (k,)
        Eigenvalues, descending, of the dtype of the operator: float32 of one in float32, float64 of any other.
    vectors : array, (size, k)
        Their eigenvectors, in columns, of the same dtype.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import lanczos
    >>> pairs = lanczos.top_eigenvalues(np.diag([3.0, 1.0, 0.5]))
    >>> pairs.vectors.shape
    (3, 1)
    """

    values: np.ndarray
    vectors: np.ndarray


class Alignment(NamedTuple):
    """An alignment and its standard error.

    Attributes
    ----------
    value : float
        The alignment.
    standard_error : float
        0 where it is exact.

    Examples
    --------
    >>> from helpers import lanczos
    >>> lanczos.Alignment(0.5, 0.0)
    Alignment(value=0.5, standard_error=0.0)
    """

    value: float
    standard_error: float


class _Symmetric(LinearOperator):
    """An operator whose products are checked: finite, and x'(A y) = y'(A x) for each two that follow each other."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.dtype, operator.shape)
        self._operator = operator
        self._last: tuple[np.ndarray, np.ndarray, float] | None = None  # x and A x, of length 1, and |A x| / |x|

    def _matvec(self, x: np.ndarray) -> np.ndarray:
        x = np.asarray(x).reshape(-1)
        image = np.asarray(self._operator.matvec(x)).reshape(-1)
        if np.iscomplexobj(image):
            raise TypeError(f"operator: got products of dtype {image.dtype}, expected real numbers")
        if not np.isfinite(image).all():
            raise ValueError("operator: got a product with NaN or infinite entries, expected finite ones")
        length, size = _norm(x) or 1.0, _norm(image)
        x, unit, growth = x / length, image / (size or 1.0), size / length
        if self._last is not None:
            before, there, back = self._last
            if abs(growth * (before @ unit) - back * (x @ there)) > _ASYMMETRY * max(growth, back):
                raise ValueError("operator: got one that is not symmetric, expected operator = operator'")
        self._last = x, unit, growth
        return image


def _norm(vector: np.ndarray) -> float:
    """Of any scale: no square is beyond float64."""
    unit = unit_of(float(np.abs(vector).max(initial=0)))
    return float(np.linalg.norm(vector / unit)) * unit


def _square(operator: Operator) -> LinearOperator:
    """`operator` as a LinearOperator whose products are checked; TypeError or ValueError for what is not symmetric."""
    if isinstance(operator, _Symmetric):
        return operator
    if isinstance(operator, np.ma.MaskedArray):
        raise TypeError("operator: got a masked array, expected a LinearOperator or a matrix without a mask")
    matrix = operator if isinstance(operator, np.ndarray) or issparse(operator) else None
    try:
        operator = aslinearoperator(operator)
    except TypeError:
        raise TypeError(f"operator: got {type(operator).__name__}, expected a LinearOperator or a matrix") from None
    if operator.shape[0] != operator.shape[1]:
        raise ValueError(f"operator: got shape {operator.shape}, expected a square one")
    if operator.dtype is not None and np.dtype(operator.dtype).kind not in "biuf":
        raise TypeError(f"operator: got dtype {operator.dtype}, expected real numbers")
    if matrix is not None:
        if not np.isfinite(matrix.data if issparse(matrix) else matrix).all():
            raise ValueError("operator: got NaN or infinite entries, expected finite numbers")
        if abs(matrix - matrix.T).max() > 1e-4 * abs(matrix).max():
            raise ValueError("operator: got a matrix that is not symmetric, expected operator = operator'")
    return _Symmetric(operator)


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
    operator : LinearOperator or array, (size, size)
        Symmetric.
    k : int, default 1
        Below size.
    start : array or tensor, (size,), optional
        A guess at the top eigenvector, which saves products; by default random from `seed`.
    basis : int, optional
        Vectors (size,) that are kept, from k + 2 to size; by default 2 k + 1 or 20, whichever is more. At least as many
        products are made, so few are enough with a good start.
    tolerance : float, default 1e-6
        Relative error of the values. Products in float32 carry about 1e-7 of the largest eigenvalue.
    seed : int, default 0
        Of the random start.

    Returns
    -------
    Eigenpairs
        Values (k,), descending, and vectors (size, k).

    Raises
    ------
    TypeError
        An operator that is none or complex, k or basis that is no integer, a start or a tolerance without numbers.
    ValueError
        An operator that is not square, not symmetric or gives NaN, k or basis out of range, a start of another length
        or not finite.
    scipy.sparse.linalg.ArpackNoConvergence
        Too many products (not known to happen at tolerances above rounding).

    References
    ----------
    Lehoucq, Sorensen and Yang (1998).

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import lanczos
    >>> [round(float(v), 4) for v in lanczos.top_eigenvalues(np.diag([3.0, 1.0, 0.5, 0.2]), k=2).values]
    [3.0, 1.0]
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
    try:
        values, vectors = eigsh(operator, k, which="LA", v0=start, ncv=basis, tol=tolerance)
    except ArpackError as error:
        if isinstance(error, ArpackNoConvergence) or operator.matvec(start).any():
            raise
        start = _random.stream("lanczos", seed).standard_normal(size)  # the other one is an eigenvector of 0
        if not operator.matvec(start).any():  # zero, where every vector is an eigenvector
            return Eigenpairs(np.zeros(k), np.eye(size, k))
        values, vectors = eigsh(operator, k, which="LA", v0=start, ncv=basis, tol=tolerance)
    order = np.argsort(values)[::-1]
    return Eigenpairs(values[order], vectors[:, order])


def spectral_density(operator: Operator, *, steps: int = 60, probes: int = 3, seed: int = 0) -> Law:
    """The distribution of all eigenvalues by stochastic Lanczos quadrature, as a `laws.Law`.

    Each probe is a random vector. `steps` products with it give the nodes and weights of a Gauss quadrature, whose cdf
    the true one crosses at every node; between them it is interpolated, smooth and monotone. What is finer than the
    distance of two nodes, about one part in `steps` of the width of the spectrum, does not show. Eigenvalues that the
    nodes have found, to 1e-6 of the largest, become atoms: 0 where the rank is low, or outliers; so does a node that is
    alone, as the only one of a single step. The mass of an outlier is uncertain by as much as it is large.

    Parameters
    ----------
    operator : LinearOperator or array, (size, size)
        Symmetric.
    steps : int, default 60
        Products for each probe. As many vectors (size,) are kept, in float64.
    probes : int, default 3
        Number of random vectors. The error of a mean over the spectrum falls like (size probes)^-1/2.
    seed : int, default 0
        Of the probes.

    Returns
    -------
    Law
        At most one band, and the atoms.

    Raises
    ------
    TypeError
        An operator that is none or complex, steps or probes that are no integers.
    ValueError
        An operator that is not square, not symmetric or gives NaN, steps or probes below 1.

    References
    ----------
    - Golub and Welsch (1969), for the quadrature.
    - Ubaru, Chen and Saad (2017), Chen, Trogdon and Ubaru (2021), for random probes.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import lanczos
    >>> law = lanczos.spectral_density(np.diag(np.linspace(0, 1, 400)), steps=20, probes=10)
    >>> round(float(law.cdf(0.5)), 2)
    0.49
    """
    operator = _square(operator)
    size = operator.shape[0]
    steps, probes = min(_checks.integer("steps", steps), size), _checks.integer("probes", probes)
    rng = _random.stream("probes", seed)
    found = [quadrature(operator, rng.standard_normal(size), steps) for _ in range(probes)]
    scale = max(float(np.abs(q.nodes).max()) for q in found)
    exact = [q.errors <= 1e-6 * scale for q in found]
    exact = [e | (e.sum() == len(e) - 1) for e in exact]  # one node makes no band
    rest = tuple((q.nodes[~e], q.weights[~e] / probes) for q, e in zip(found, exact, strict=True) if not e.all())
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


def estimate_alignment(
    operator: Operator, y: Array, *, norm: float | None = None, probes: int = 10, seed: int = 0
) -> Alignment:
    """Kernel-target alignment ``y'K y / (|K|_F |y|^2)``, see `kernels.alignment`, from products alone.

    y'K y is exact. Without a `norm`, ``|K|_F^2`` is the mean of ``|K z|^2`` over random signs z. It is unbiased. For
    spectra without a dominant eigenvalue it is off by about (size probes)^-1/2.

    Parameters
    ----------
    operator : LinearOperator or array, (size, size)
        K, symmetric.
    y : array or tensor, (size,)
        Labels, not all zero.
    norm : float, optional
        ``|K|_F`` where it is known, as from `operators.conjugate_kernel_eigenvalues`.
    probes : int, default 10
        Number of random sign vectors, at least 2.
    seed : int, default 0
        Of the signs.

    Returns
    -------
    Alignment
        value, and its standard error from the spread of the probes.

    Raises
    ------
    TypeError
        An operator that is none or complex, y that holds no numbers, probes that are no integer.
    ValueError
        An operator that is not square, not symmetric or gives NaN, y of another length, not finite or zero; a zero
        operator; probes below 2.

    References
    ----------
    Hutchinson (1990), for the estimate.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import lanczos
    >>> kernel = np.diag([2.0, 1.0, 1.0, 1.0])
    >>> round(lanczos.estimate_alignment(kernel, np.array([1.0, 0.0, 0.0, 0.0]), norm=7**0.5).value, 4)
    0.7559
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
        norms = np.array([_norm(image) for image in draws])
        unit = unit_of(float(norms.max()))  # so that no square is beyond float64
        squares = (norms / unit) ** 2
        norm, spread = math.sqrt(squares.mean()) * unit, float(squares.std(ddof=1)) / math.sqrt(len(squares))
        spread /= float(squares.mean()) or 1.0
    length = _norm(y)
    if _checks.real("norm", norm) * length == 0:
        raise ValueError("operator, y: got zeros only, expected a kernel and labels that are not all zero")
    value = float(y / length @ (operator.matvec(y / length) / norm))
    return Alignment(value, abs(value) * float(spread) / 2)


class Quadrature(NamedTuple):
    """Gauss quadrature for the spectral measure of one probe.

    Attributes
    ----------
    nodes : array, (m,)
        Ascending.
    weights : array, (m,)
        They sum to 1.
    errors : array, (m,)
        Bounds on the errors of the nodes.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import lanczos
    >>> found = lanczos.Quadrature(np.array([1.0, 2.0]), np.array([0.5, 0.5]), np.zeros(2))
    >>> float(found.weights @ found.nodes)
    1.5
    """

    nodes: np.ndarray
    weights: np.ndarray
    errors: np.ndarray


def quadrature(operator: LinearOperator, start: np.ndarray, steps: int) -> Quadrature:
    """The Gauss quadrature of one probe, with every vector orthogonalized twice against all before it.

    Parameters
    ----------
    operator : LinearOperator, (size, size)
        Symmetric.
    start : array, (size,)
        The probe, of any norm but 0.
    steps : int
        Steps of Lanczos, at most size. It stops earlier where a step brings nothing new but rounding.

    Returns
    -------
    Quadrature
        As many nodes as steps were made.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse.linalg import aslinearoperator
    >>> from helpers import lanczos
    >>> found = lanczos.quadrature(aslinearoperator(np.diag([1.0, 2.0])), np.ones(2), 2)
    >>> [round(float(x), 4) for x in found.nodes]
    [1.0, 2.0]
    """
    basis = np.empty((steps, len(start)))
    diagonal, beside = np.empty(steps), np.empty(steps)
    operator = _square(operator)
    vector, scale = start / _norm(start), 0.0
    for j in range(steps):
        basis[j] = vector
        vector = np.array(operator.matvec(vector), dtype=float)
        diagonal[j] = vector @ basis[j]
        for _ in range(2):
            vector -= basis[: j + 1].T @ (basis[: j + 1] @ vector)
        beside[j] = _norm(vector)
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
        self._unit = unit_of(float(np.abs(places).max()))  # so that no slope is beyond float64
        self._mass = PchipInterpolator(places / self._unit, mass)
        self._slope = self._mass.derivative()

    def cdf(self, x: np.ndarray) -> np.ndarray:
        return self._mass(x / self._unit)

    def density(self, x: np.ndarray) -> np.ndarray:
        return self._slope(x / self._unit) / self._unit


@dataclass(frozen=True, eq=False)
class LanczosBand:
    """A band of a `laws.Law` from quadratures, averaged over the probes.

    Attributes
    ----------
    quadratures : tuple of (array, array)
        Nodes and weights, each (m,), of every probe; the weights of all of them sum to the mass of the band.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import lanczos
    >>> band = lanczos.LanczosBand(((np.array([0.0, 1.0, 2.0]), np.array([0.25, 0.5, 0.25])),))
    >>> round(float(band.mass_below(np.array([1.0]))[0]), 4)
    0.5
    """

    quadratures: tuple[tuple[np.ndarray, np.ndarray], ...]

    @cached_property
    def _parts(self) -> list[_Staircase]:
        return [_Staircase(*pair) for pair in self.quadratures]

    @property
    def lo(self) -> float:
        """Lower end of the band."""
        return float(min(part.lo for part in self._parts))

    @property
    def hi(self) -> float:
        """Upper end of the band."""
        return float(max(part.hi for part in self._parts))

    def density(self, x: np.ndarray) -> np.ndarray:
        """Density at x.

        Parameters
        ----------
        x : array, (m,)
            In the units of the eigenvalues.

        Returns
        -------
        array, (m,)
            0 outside the band.
        """
        inside = [
            np.where((part.lo < x) & (x < part.hi), part.density(np.clip(x, part.lo, part.hi)), 0)
            for part in self._parts
        ]
        return np.sum(inside, axis=0)

    def mass_below(self, x: np.ndarray) -> np.ndarray:
        """Mass of [lo, x].

        Parameters
        ----------
        x : array, (m,)
            In the units of the eigenvalues.

        Returns
        -------
        array, (m,)
            From 0 to the mass of the band.
        """
        return np.sum([part.cdf(np.clip(x, part.lo, part.hi)) for part in self._parts], axis=0)

    def nodes(self, points: int) -> tuple[np.ndarray, np.ndarray]:
        """The nodes and weights of all probes: no other ones are as good.

        Parameters
        ----------
        points : int
            Not used; other bands take the number of nodes.

        Returns
        -------
        nodes, weights : array, (m,)
            Those of one probe after the other.
        """
        nodes, weights = (np.concatenate(column) for column in zip(*self.quadratures, strict=True))
        return nodes, weights
