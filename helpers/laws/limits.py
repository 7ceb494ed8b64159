"""Limit laws of random matrix theory for the spectra of the book: weights, conjugate kernel, tangent kernel.

Student: W (h x d) i.i.d. N(0, 1); inputs X (n x d) i.i.d. N(0, 1) or data; features F = s(X W' / sqrt d).
A Law is a probability measure, here on [0, inf): bands with a density, and atoms.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from .._checks import integer, real
from ..activations import Activation, normalized
from .finite_size import tangent_kernel_correction
from .free_convolution import Population, spectrum
from .law import Band, Law, MarchenkoPasturBand, as_eigenvalues
from .populations import DiscretePopulation, MarchenkoPasturPopulation

Eigenvalues = Law | ArrayLike | Tensor  # of a population


def marchenko_pastur(ratio: float, variance: float = 1.0) -> Law:
    """Limit law of the eigenvalues of G' G / N, G (N x p) i.i.d. with mean 0 and a given variance.

    With ratio > 1 it has the atom 1 - 1/ratio at 0. Density and cdf are in closed form. The squared
    singular values of W / sqrt(h), W (h x d), follow marchenko_pastur(d / h).

    Parameters
    ----------
    ratio : float
        p/N, above 0.
    variance : float, default 1.0
        Of the entries of G, above 0.

    Returns
    -------
    Law
        One band, and an atom at 0 where ratio > 1.

    Raises
    ------
    TypeError
        `ratio` or `variance` is no number.
    ValueError
        `ratio` or `variance` is not finite or not above 0.

    References
    ----------
    Marchenko and Pastur (1967).

    Examples
    --------
    >>> from helpers import laws
    >>> round(laws.marchenko_pastur(0.5).support[0][1], 4)
    2.9142
    """
    ratio, variance = real("ratio", ratio, positive=True), real("variance", variance, positive=True)
    atoms = ((0.0, 1 - 1 / ratio),) if ratio > 1 else ()
    return Law((MarchenkoPasturBand(ratio, variance),), atoms)


def sample_covariance_law(population: Eigenvalues, ratio: float) -> Law:
    """Limit law of the eigenvalues of Phi^(1/2) G' G Phi^(1/2) / N, G (N x p) i.i.d. N(0, 1).

    With Phi = I this is marchenko_pastur(ratio). For features F (n x h) of any data, Phi = E[F F']/h gives the law of
    F F'/h at ratio n/h without the linearization that `conjugate_kernel_law` makes.

    Parameters
    ----------
    population : array, tensor or list, (m,), or Law
        The eigenvalues of Phi (p x p): numbers >= 0, or their law.
    ratio : float
        p/N, above 0.

    Returns
    -------
    Law
        In the units of Phi.

    Raises
    ------
    TypeError
        As in `conjugate_kernel_law`.
    ValueError
        As in `conjugate_kernel_law`.
    ArithmeticError
        As in `conjugate_kernel_law`.

    References
    ----------
    Silverstein and Choi (1995).

    Examples
    --------
    >>> from helpers import laws
    >>> law = laws.sample_covariance_law([1.0, 3.0], 0.1)
    >>> [(round(low, 4), round(high, 4)) for low, high in law.support]
    [(0.5509, 1.3926), (1.8961, 4.5604)]
    """
    ratio = real("ratio", ratio, positive=True)
    return Law(*spectrum(_affine(population, 0.0, 1.0, ratio), ratio))


def conjugate_kernel_law(
    activation: str | Activation, n: int, d: int, h: int | Sequence[int], *, population: Eigenvalues | None = None
) -> Law:
    """Limit law of the eigenvalues of CK = F F' / h (n x n), F = s(X W' / sqrt d).

    CK is close to a sample covariance with population Phi = (1 - b^2) I + b^2 X X'/d and ratio n/h.

    Parameters
    ----------
    activation : str or Activation
        s; only its b is used.
    n : int
        Samples.
    d : int
        Inputs.
    h : int or sequence of int
        Hidden units. A sequence of widths h_1, ..., h_L gives the CK of the last layer of
        x_l = s(W_l x_{l-1} / sqrt h_{l-1}): layer l has population (1 - b^2) I + b^2 CK_{l-1}.
    population : array, tensor or list, (n,), or Law, optional
        Eigenvalues of X X'/d. None: Marchenko-Pastur of ratio n/d (X i.i.d. N(0, 1)). For real data with rows of norm
        about sqrt d: those n eigenvalues, zeros included. Or a Law.

    Returns
    -------
    Law
        Of the n eigenvalues of CK.

    Raises
    ------
    TypeError
        An argument of the wrong kind; the message names it.
    ValueError
        An argument out of range; the message names it.
    ArithmeticError
        The equation was not solved to the accuracy promised (not known to happen).

    References
    ----------
    - Silverstein and Choi (1995), for the law.
    - Fan and Wang (2020), for CK and the recursion.

    Examples
    --------
    >>> from helpers import laws
    >>> law = laws.conjugate_kernel_law("tanh", n=200, d=100, h=150)
    >>> round(law.support[-1][1], 3)
    9.177
    """
    activation, n, d = normalized(activation), integer("n", n), integer("d", d)
    widths = [integer("h", width) for width in (h if isinstance(h, Sequence) and not isinstance(h, str) else [h])]
    if not widths:
        raise ValueError("h: got no widths, expected a positive integer or a sequence of them")
    law: Any = population
    for width in widths:
        law = Law(*spectrum(_phi(activation, n, d, law, n / width), n / width))
    return law


def neural_tangent_kernel_law(
    activation: str | Activation,
    n: int,
    d: int,
    h: int,
    *,
    readout_power: float = 1.0,
    population: Eigenvalues | None = None,
    finite_size: bool = False,
) -> Law:
    """Limit law of the eigenvalues of NTK = (X X'/d) o (S S'/h) + CK (n x n), S = s'(X W' / sqrt d) diag(v).

    The first term is close to ``r (b^2 X X'/d + (a2 - b^2) I)`` with ``r = |v|^2 / h``. So, with
    Phi = (1 - b^2) I + b^2 X X'/d, NTK is close to r (a2 - 1) I + CK + r Phi.

    Parameters
    ----------
    activation : str or Activation
        s; its b and a2 are used.
    n : int
        Samples.
    d : int
        Inputs.
    h : int
        Hidden units.
    readout_power : float, default 1.0
        ``r = |v|^2 / h >= 0``; 1 in the limit for v i.i.d. N(0, 1).
    population : array, tensor or list, (n,), or Law, optional
        As for `conjugate_kernel_law`.
    finite_size : bool, default False
        Add what X and v i.i.d. Gaussian and these n, d and h add at order 1/n (see `finite_size`, the module). The
        lower edge is then right to a few times 1/n, where the limit is off by about n^(-1/2).

    Returns
    -------
    Law
        Of the n eigenvalues of NTK.

    Raises
    ------
    TypeError
        As in `conjugate_kernel_law`.
    ValueError
        As in `conjugate_kernel_law`; `finite_size` with a `population` or with b = 0.
    ArithmeticError
        As in `conjugate_kernel_law`.

    References
    ----------
    Fan and Wang (2020), for the limit.

    Examples
    --------
    >>> from helpers import laws
    >>> law = laws.neural_tangent_kernel_law("tanh", n=200, d=100, h=150)
    >>> round(law.support[0][0], 3)
    0.249
    """
    activation, n, d, h = normalized(activation), integer("n", n), integer("d", d), integer("h", h)
    r = real("readout_power", readout_power)
    noise, shift = 0.0, r * (activation.derivative_power - 1)
    if finite_size:
        if population is not None:
            raise ValueError("finite_size: got True with a population, expected False: it is for Gaussian inputs")
        correction = tangent_kernel_correction(activation, n, d, h, r)
        noise, shift = correction.noise, shift + correction.shift
    bands, atoms = spectrum(_phi(activation, n, d, population, n / h), n / h, r, noise)
    moved = tuple(Band(band.lo + shift, band.hi + shift, band.coefficients) for band in bands)
    return Law(moved, tuple((location + shift, mass) for location, mass in atoms))


def _phi(activation: Activation, n: int, d: int, population: Eigenvalues | None, gamma: float) -> Population:
    """The population (1 - b^2) + b^2 mu of a layer, mu as `population` says."""
    slope = activation.linear_coefficient**2
    offset = 1 - slope if slope < 1 - 1e-12 else 0.0
    if slope == 0:
        return DiscretePopulation(np.ones(1), np.ones(1), 0.0, ((1.0, 1.0),))
    if population is None:
        return MarchenkoPasturPopulation(n / d, offset, slope)
    if not isinstance(population, Law) and (size := len(as_eigenvalues("population", population))) != n:
        raise ValueError(f"population: got {size} eigenvalues, expected n = {n} of them, zeros included")
    return _affine(population, offset, slope, gamma)


def _affine(population: Eigenvalues, offset: float, slope: float, gamma: float) -> DiscretePopulation:
    """The population offset + slope mu, mu distributed as the Law or the eigenvalues `population`."""
    if isinstance(population, Law):
        mu, weights = population.nodes(int(np.clip(40 / gamma, 512, 4096)))  # spacing well below gamma
        atoms = population.atoms
        bulks = sorted([*population.support, *((location, location) for location, _ in atoms)])
        bulks = tuple((offset + slope * lo, offset + slope * hi) for lo, hi in bulks if offset > 0 or hi > 0)
    else:
        mu = as_eigenvalues("population", population)
        top = mu.max()
        if top <= 0 or mu.min() < -1e-6 * top:
            raise ValueError(f"population: got the eigenvalue {mu.min():.6g}, expected values >= 0, some > 0")
        mu = np.where(mu < 1e-9 * top, 0.0, mu)  # rounding
        step = 1e-5 * (offset / slope + mu)  # values that agree to five digits of phi become one
        order = np.argsort(mu)
        groups = np.split(mu[order], np.flatnonzero(np.diff(mu[order]) > step[order][1:]) + 1)
        mu, weights = np.array([group.mean() for group in groups]), np.array([len(group) / len(mu) for group in groups])
        atoms, bulks = list(zip(mu.tolist(), weights.tolist(), strict=True)), None
    phi = offset + slope * mu
    atoms = tuple((offset + slope * x, mass) for x, mass in atoms if offset + slope * x > 0)
    return DiscretePopulation(phi[phi > 0], weights[phi > 0], float(weights[phi == 0].sum()), atoms, bulks)
