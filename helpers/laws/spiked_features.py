"""Features after one gradient step: bulk, spikes and the ridge error of a readout on them, from one fixed point.

A spike theta u w' is added to the first layer W (h, d), i.i.d. N(0, 1). On an input x ~ N(0, I_d) unit j then sees
W_j x / sqrt d + alpha_j kappa, with kappa = w.x ~ N(0, 1) and the shift alpha_j = theta u_j / sqrt d. Units of equal
shift are a group a of h_a units. Given kappa, with xi ~ N(0, 1), a feature of group a is
    S_a + b_a z + c_a N,   S_a = E s(xi + alpha_a kappa),   b_a = E xi s(xi + alpha_a kappa),   c_a^2 the rest,
where z is the part of W_j x / sqrt d across w and N is independent noise, so its covariance b_a b_b W W'/d + c_a^2
depends on the sample through kappa alone. Let K = F'F/n, R = (K - z)^-1, t_a = tr R over group a and
T_ab = tr(W W'/d between the groups times R)/n. Take out one sample, then one column of W:
    omega = 1 / (1 + sum b_a b_b T_ab + sum c_a^2 t_a / n),   P_ab = E b_a b_b omega,   C_a = E c_a^2 omega,
    B = (I + diag(t) P / d)^-1,   t_a = h_a / (C_a - z + (P B)_aa),   T = B diag(t) / n.

What the features share is a sum over functions of kappa times vectors over the units: S_a times the ones of group a,
and kappa b_a times (W w)_j / sqrt d there, which are as good as independent of the bulk. With U these 2k functions and
D = diag(t, t/d), outliers of K are where D^-1 + E omega U U' is singular, and ridge regression at z = -ridge fits
    q' U(kappa),   q = (D^-1 + E omega U U')^-1 E omega U y,
to which the linear part across w and the variance of all else are added in the same way.

Source: derived here, for Gaussian inputs. That features after one step of order one are those of a spiked random
matrix, and have such an equivalent, is due to Moniri et al. (2024), Cui et al. (2024) and Dandi et al. (2025).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from scipy.fft import dct
from scipy.optimize import brentq
from torch import from_numpy

from .._checks import Numbers, integer, real
from ..activations import Activation, normalized
from .law import Band, Law

_KAPPA, _KAPPA_WEIGHTS = hermegauss(80)
_KAPPA_WEIGHTS = _KAPPA_WEIGHTS / _KAPPA_WEIGHTS.sum()
_XI = np.linspace(-9, 9, 1001)  # the trapezoidal rule is exact here to rounding, and good at kinks
_XI_WEIGHTS = np.exp(-(_XI**2) / 2) / np.exp(-(_XI**2) / 2).sum()
_GAUSSIAN_GROUPS = 8  # that stand for a Gaussian readout
_REAL = 1e-9  # imaginary part of a point that stands for a real one, over its size
_POINTS = 96  # of a band


@dataclass(frozen=True)
class FeatureSpike:
    """An eigenvalue of F'F/n that a step has pushed out of the bulk.

    Attributes
    ----------
    value : float
        The eigenvalue of F'F/n; its root is a singular value of F / sqrt n.
    overlap : float
        Length of the projection of its left singular vector (n,) on the functions of kappa, between 0 and 1.
    degree : int
        Of the Hermite polynomial in kappa that the vector agrees with most.

    Examples
    --------
    >>> from helpers import laws
    >>> spikes = laws.feature_spikes("softplus", 600.0, 2000, 1000, 1500, readout=[-1, 1])
    >>> [spike.degree for spike in spikes]
    [1, 2]
    """

    value: float
    overlap: float
    degree: int


class SpikedFeatures:
    """The limit of features F (n, h) of units that come in groups, each with a shift along one direction.

    Parameters
    ----------
    activation : str or Activation
        s, normalized.
    shifts : sequence of float
        alpha_a of each group: a unit sees N(0, 1) + alpha_a kappa.
    widths : sequence of float
        Units in each group, above 0; they sum to h.
    n : int
        Samples.
    d : int
        Inputs.
    variances : sequence of float, optional
        Of what each group sees besides the shift, above 0; 1 where not given.

    Attributes
    ----------
    h : float
        Units in all groups.

    Raises
    ------
    ValueError
        A size or width that is not above 0, a number that is not finite, lists of other lengths than `shifts`.
    TypeError
        An argument of the wrong type.

    Notes
    -----
    Exact in the limit of large n, d and groups at fixed shifts. Shifts of order (d)^(-1/4), as of a spike near the
    threshold of W, are covered too: then all functions of kappa but the first are small.

    References
    ----------
    - Moniri et al. (2024), Cui et al. (2024), Dandi et al. (2025), for the model.
    - Derived here: the equations, in the notes of the module.

    Examples
    --------
    >>> from helpers import laws
    >>> features = laws.SpikedFeatures("softplus", shifts=[-1, 1], widths=[750, 750], n=2000, d=1000)
    >>> [round(spike.value) for spike in features.outliers()]
    [1385, 146]
    """

    def __init__(
        self, activation: str | Activation, shifts: Numbers, widths: Numbers, n: int, d: int, *,
        variances: Numbers | None = None,
    ) -> None:  # fmt: skip
        self._activation = normalized(activation)
        self._shifts = _row("shifts", shifts)
        self._widths = _row("widths", widths, like=self._shifts, positive=True)
        self.n, self.d, self.h = integer("n", n), integer("d", d), float(self._widths.sum())
        ones = np.ones_like(self._shifts)
        self._scales = np.sqrt(ones if variances is None else _row("variances", variances, ones, positive=True))
        self._means, self._slopes, self._rest = self._moments(_KAPPA)
        self._shared = np.concatenate([self._means, _KAPPA * self._slopes])
        self._last: np.ndarray | None = None  # solution of `_singular`
        self._penalties = np.concatenate([np.ones_like(ones), np.full_like(ones, self.d)])

    def _moments(self, kappa: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """S_a, b_a and c_a^2 at kappa (m,), each (k, m)."""
        seen = self._scales[:, None, None] * _XI + (self._shifts[:, None] * kappa)[:, :, None]
        values = self._activation(from_numpy(seen)).numpy()
        mean, slope, power = values @ _XI_WEIGHTS, values @ (_XI_WEIGHTS * _XI), values**2 @ _XI_WEIGHTS
        return mean, slope, np.maximum(power - mean**2 - slope**2, 0)

    # the fixed point: t / h and T n / h, packed into one vector

    def _omega(self, x: np.ndarray) -> np.ndarray:
        """omega at the nodes of kappa, (..., m), for unknowns x (..., p)."""
        k = len(self._shifts)
        t, between = x[..., :k], x[..., k:].reshape(*x.shape[:-1], k, k)
        bulk = np.sum(self._slopes * (between @ self._slopes), axis=-2)
        return 1 / (1 + (bulk + t @ self._rest) * self.h / self.n)

    def _map(self, x: np.ndarray, z: complex, tau: float = 0.0) -> np.ndarray:
        """One round of the equations; tau adds tau times the bulk of the population to K."""
        k = len(self._shifts)
        weights = _KAPPA_WEIGHTS * (self._omega(x) + tau)
        p = (self._slopes * weights[..., None, :]) @ self._slopes.T
        t = x[..., :k] * self.h
        b = np.linalg.inv(np.eye(k) + t[..., None] * p / self.d)
        own = np.sum(p * np.swapaxes(b, -1, -2), axis=-1)  # (P B)_aa
        new = self._widths / self.h / (weights @ self._rest.T - z + own)
        between = b * x[..., None, :k]
        return np.concatenate([new, between.reshape(*x.shape[:-1], k * k)], axis=-1)

    def _solve(self, z: complex, start: np.ndarray | None = None, tau: float = 0.0) -> np.ndarray:
        """Unknowns at z: rounds that are averaged, until Newton's method takes over."""
        if start is None:
            t = self._widths / self.h / (1 - z)
            start = np.concatenate([t, np.diag(t).ravel()])
        x = start.astype(complex if np.iscomplexobj(z) else float)
        for _ in range(200):
            for _ in range(8):
                x = (x + self._map(x, z, tau)) / 2
            found = self._newton(x, z, tau)
            if found is not None:
                return found
        raise ArithmeticError(f"z = {z}: the equations of the features were not solved")

    def _newton(self, x: np.ndarray, z: complex, tau: float) -> np.ndarray | None:
        """The root near x, or None where it is not the right one, with Im t and Im T of Im z's sign."""
        k, tiny = len(self._shifts), 1e-7
        for _ in range(12):
            steps = x + tiny * np.eye(len(x), dtype=x.dtype)
            all_ = self._map(np.concatenate([x[None], steps]), z, tau)
            residual = all_[0] - x
            if np.abs(residual).max() < 1e-13 * max(1.0, np.abs(x).max()):
                traces = np.append(x[:k], x[k :: k + 1])  # t and the diagonal of T
                return x if ((traces.imag if np.iscomplexobj(z) else traces) > 0).all() else None
            slopes = (all_[1:] - all_[0]).T / tiny - np.eye(len(x))
            try:
                x = x - np.linalg.solve(slopes, residual)
            except np.linalg.LinAlgError:
                return None
            if not np.isfinite(x).all():
                return None
        return None

    def _near(self, location: float, start: np.ndarray | None = None) -> np.ndarray:
        """Unknowns at a real location from above: from a neighbor's where that will do, else by steps to the axis."""
        found = None if start is None else self._newton(start, location * (1 + 1j * _REAL), 0.0)
        if found is not None:
            return found
        x = self._solve(location * (1 + 1j))
        for size in (1e-1, 1e-2, 1e-3, 1e-4, 1e-6, _REAL):
            x = self._solve(location * (1 + 1j * size), x)
        return x

    def _density(self, x: np.ndarray) -> float:
        return float(x[: len(self._shifts)].imag.sum() / math.pi)

    def _inside(self, location: float) -> bool:
        return self._density(self._near(location)) * location > 1e-4

    def _turn(self, inside: float, outside: float) -> float:
        """The edge of the bulk between two locations."""
        while abs(inside / outside - 1) > 1e-6:
            middle = math.sqrt(inside * outside)
            inside, outside = (middle, outside) if self._inside(middle) else (inside, middle)
        return math.sqrt(inside * outside)

    @cached_property
    def _edge(self) -> float:
        """The upper end of the bulk."""
        location = (self._slopes.max() ** 2 * (1 + math.sqrt(self.h / self.d)) ** 2 + self._rest.max()) * 1.1
        location *= (1 + math.sqrt(self.h / self.n)) ** 2
        while not self._inside(location / 1.1):
            location /= 1.1
        return self._turn(location / 1.1, location)

    def _intervals(self) -> list[tuple[float, float]]:
        """Those of the bulk, ascending."""
        grid = self._edge * np.geomspace(1e-5, 1 - 1e-3, 50)
        inside = [self._inside(x) for x in grid]
        turns = [
            (grid[k - 1], grid[k])[:: 1 if inside[k - 1] else -1] for k in range(1, 50) if inside[k] != inside[k - 1]
        ]
        edges = [0.0] * int(inside[0]) + [self._turn(*turn) for turn in turns] + [self._edge]
        return list(zip(edges[::2], edges[1::2], strict=True))

    def stieltjes(self, z: complex) -> complex:
        """The Stieltjes transform of the bulk of F'F/n, int mu(dx) / (x - z).

        Parameters
        ----------
        z : complex
            With an imaginary part above 0, or a real number below 0.

        Returns
        -------
        complex
            Mean of 1 / (x - z) over the h eigenvalues x.

        Raises
        ------
        ValueError
            A point that is neither.
        TypeError
            No number.

        Examples
        --------
        >>> from helpers import laws
        >>> features = laws.SpikedFeatures("tanh", [0.0], [1500], n=2000, d=1000)
        >>> round(features.stieltjes(-1.0).real, 4)
        0.6832
        """
        if isinstance(z, bool) or not isinstance(z, (int, float, complex, np.number)):
            raise TypeError(f"z: got {z!r}, expected a complex number")
        z = complex(z)
        if not np.isfinite(z) or (z.imag <= 0 and not (z.imag == 0 and z.real < 0)):
            raise ValueError(f"z: got {z}, expected an imaginary part above 0, or a real number below 0")
        point = z.real if z.imag == 0 else z
        return complex(self._solve(point)[: len(self._shifts)].sum())

    def law(self) -> Law:
        """The law of the eigenvalues of F'F/n: the bulk, without the outliers.

        Returns
        -------
        Law
            Of the h eigenvalues; with an atom at 0 where there are fewer samples than units.

        Examples
        --------
        >>> from helpers import laws
        >>> features = laws.SpikedFeatures("softplus", [-1, 1], [750, 750], n=2000, d=1000)
        >>> round(features.law().support[-1][1], 2)
        7.13
        """
        bands = []
        for low, high in self._intervals():
            angle = (np.arange(_POINTS) + 0.5) * math.pi / _POINTS
            x = (low + high) / 2 - (high - low) / 2 * np.cos(angle)
            unknowns, density = None, []
            for location in x:
                unknowns = self._near(location, unknowns)
                density.append(self._density(unknowns))
            c = dct(np.array(density) * (high - low) / 2 * np.sin(angle), type=2) / _POINTS
            c[0] /= 2
            bands.append(Band(low, high, c))
        atom = 1 - math.pi * sum(band.coefficients[0] for band in bands)
        return Law(tuple(bands), ((0.0, atom),) if atom > 1e-3 else ())

    def _singular(self, location: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Eigenvalues, ascending, and vectors of D^-1 + E omega U U' right of the bulk, and omega."""
        self._last = self._near(location, self._last)
        x = self._last.real
        weights = _KAPPA_WEIGHTS * self._omega(x)
        inverse = self._penalties / np.tile(x[: len(self._shifts)] * self.h, 2)
        return *np.linalg.eigh(np.diag(inverse) + (self._shared * weights) @ self._shared.T), weights / _KAPPA_WEIGHTS

    def outliers(self) -> list[FeatureSpike]:
        """The eigenvalues of F'F/n above the bulk.

        Returns
        -------
        list of FeatureSpike
            Descending; empty where no spike is seen.

        Examples
        --------
        >>> from helpers import laws
        >>> laws.SpikedFeatures("tanh", [0.0], [1500], n=2000, d=1000).outliers()
        []
        """
        edge = self._edge * (1 + 1e-5)
        found = []
        for rank in range(1, 2 * len(self._shifts) + 1):

            def excess(location: float, rank: int = rank) -> float:
                return float(self._singular(location)[0][-rank])

            if excess(edge) <= 0:
                break
            top = 2 * edge
            while excess(top) > 0:
                top *= 2
            found.append(self._spike(brentq(excess, edge, top, xtol=1e-9 * edge, rtol=1e-9), rank))
        return found

    def _spike(self, value: float, rank: int) -> FeatureSpike:
        """The left vector goes as omega a'U, a the null vector; its length is the residue of the resolvent there."""
        _, vectors, omega = self._singular(value)
        follows = omega * (vectors[:, -rank] @ self._shared)
        step = 1e-5 * value
        slope = (self._singular(value + step)[0][-rank] - self._singular(value - step)[0][-rank]) / (2 * step)
        power = float(_KAPPA_WEIGHTS @ follows**2) / (-value * slope)
        degrees = (_hermite(_KAPPA, 8) @ (_KAPPA_WEIGHTS * follows)) ** 2
        return FeatureSpike(value, math.sqrt(min(max(power, 0.0), 1.0)), int(degrees.argmax()))

    # ridge regression

    def _fit(
        self, ridge: float, target: tuple[np.ndarray, np.ndarray, np.ndarray], intercept: bool, tau: float = 0.0
    ) -> tuple[np.ndarray, np.ndarray, float]:
        """Weights of U and of b_a x_e, and the least mean squared training error plus penalty."""
        x = self._solve(-ridge, tau=tau)
        t, weights = x[: len(self._shifts)] * self.h, _KAPPA_WEIGHTS * self._omega(x)
        along, across, rest = target
        shared, inverse = self._with_constant(self._shared, intercept), self._penalties / np.tile(t, 2)
        inverse = np.append(inverse, np.zeros(int(intercept)))
        pull = (shared * weights) @ along
        q = np.linalg.solve(np.diag(inverse) + (shared * weights) @ shared.T, pull)
        pull_across = (self._slopes * weights) @ across
        q_across = np.linalg.solve(np.diag(self.d / t) + (self._slopes * weights) @ self._slopes.T, pull_across)
        least = weights @ (along**2 + across**2 + rest) - pull @ q - pull_across @ q_across
        return q, q_across, float(least)

    def _with_constant(self, functions: np.ndarray, intercept: bool) -> np.ndarray:
        return np.vstack([functions, np.ones((int(intercept), functions.shape[1]))])

    def ridge_error(
        self, ridge: float, overlap: float, teacher_coefficients: Numbers, noise: float = 0.3, *,
        intercept: bool = False,
    ) -> float:  # fmt: skip
        """Mean squared test error of ridge regression on n samples of the features.

        The readout is (F'F/n + ridge)^-1 F'y/n, for labels y = t(beta.x) + noise.

        Parameters
        ----------
        ridge : float
            In units of F'F/n, above 0.
        overlap : float
            w.beta, between -1 and 1.
        teacher_coefficients : sequence of float
            Normalized Hermite coefficients of t, from that of the constant on.
        noise : float, default 0.3
            Standard deviation of the label noise.
        intercept : bool, default False
            Fit a constant too, without penalty.

        Returns
        -------
        float
            With the noise of the test labels; twice a loss.

        Raises
        ------
        ValueError
            A number out of range.
        TypeError
            An argument of the wrong type.

        Examples
        --------
        >>> from helpers import laws
        >>> features = laws.SpikedFeatures("softplus", [-1, 1], [750, 750], n=2000, d=1000)
        >>> for overlap in (0.9, 0.0):
        ...     round(features.ridge_error(0.1, overlap, [0, 0.6, 0.8]), 2)
        0.69
        1.33
        """
        ridge, noise = real("ridge", ridge, positive=True), real("noise", noise)
        along, across, rest = _parts(_KAPPA, overlap, teacher_coefficients)
        target, step = (along, across, rest + noise**2), 1e-5
        q, q_across, _ = self._fit(ridge, target, intercept)
        high, low = (self._fit(ridge, target, intercept, tau)[2] for tau in (step, -step))
        missed = (along - q @ self._with_constant(self._shared, intercept)) ** 2
        missed = missed + (across - q_across @ self._slopes) ** 2 + target[2]
        return float(_KAPPA_WEIGHTS @ missed) + (high - low) / (2 * step)

    def learned_function(
        self, kappa: Numbers, ridge: float, overlap: float, teacher_coefficients: Numbers, *, intercept: bool = False
    ) -> np.ndarray:
        """Mean output at kappa = w.x of the readout that `ridge_error` is about.

        Parameters
        ----------
        kappa : sequence of float, (m,)
            Where.
        ridge : float
            As in `ridge_error`.
        overlap : float
            As in `ridge_error`.
        teacher_coefficients : sequence of float
            As in `ridge_error`.
        intercept : bool, default False
            As in `ridge_error`.

        Returns
        -------
        array, (m,)
            In units of the labels.

        Raises
        ------
        ValueError, TypeError
            As in `ridge_error`.

        Examples
        --------
        >>> from helpers import laws
        >>> features = laws.SpikedFeatures("tanh", [-1, 1], [750, 750], n=2000, d=1000)
        >>> features.learned_function([-2.0, -1.0, 1.0], 0.1, 0.9, [0, 0.6, 0.8]).round(2).tolist()
        [-0.99, -0.61, 0.61]
        """
        at, ridge = _row("kappa", kappa), real("ridge", ridge, positive=True)
        q, _, _ = self._fit(ridge, _parts(_KAPPA, overlap, teacher_coefficients), intercept)
        means, slopes, _ = self._moments(at)
        return q @ self._with_constant(np.concatenate([means, at * slopes]), intercept)


def feature_spikes(
    activation: str | Activation, strength: float, n: int, d: int, h: int, *, readout: Sequence[float] | None = None
) -> list[FeatureSpike]:
    """Where the features of fresh samples have outliers after a step whose spike in W has this strength.

    Parameters
    ----------
    activation : str or Activation
        s, normalized.
    strength : float
        theta of the spike theta u w', u along the readout; after a step from a network whose output is not small, its
        `OneStep.effective_strength`.
    n : int
        Samples that the features are taken on.
    d : int
        Inputs.
    h : int
        Hidden units.
    readout : sequence of float, optional
        The values that the readout takes, each on an equal share of the units, up to a factor. None: Gaussian.

    Returns
    -------
    list of FeatureSpike
        Descending.

    Raises
    ------
    ValueError
        A number out of range.
    TypeError
        An argument of the wrong type.

    See Also
    --------
    SpikedFeatures : The object behind it.

    Examples
    --------
    >>> from helpers import laws
    >>> [len(laws.feature_spikes("softplus", theta, 2000, 1000, 1500)) for theta in (20.0, 100.0, 500.0)]
    [0, 1, 2]
    """
    return _after_step(activation, strength, n, d, h, readout).outliers()


def ridge_error(
    activation: str | Activation, ridge: float, n: int, d: int, h: int, *, strength: float, overlap: float,
    teacher_coefficients: Numbers, noise: float = 0.3, readout: Sequence[float] | None = None, intercept: bool = False,
) -> float:  # fmt: skip
    """Mean squared test error of ridge regression on the features after a step.

    Parameters
    ----------
    activation : str or Activation
        s, normalized.
    ridge : float
        In units of F'F/n, above 0.
    n : int
        Samples of the regression, other ones than those of the step.
    d : int
        Inputs.
    h : int
        Hidden units.
    strength : float
        As in `feature_spikes`.
    overlap : float
        Of the spike's input side w with the teacher's direction beta, between -1 and 1.
    teacher_coefficients : sequence of float
        Normalized Hermite coefficients of the teacher, from that of the constant on.
    noise : float, default 0.3
        Standard deviation of the label noise.
    readout : sequence of float, optional
        As in `feature_spikes`: the readout of the step.
    intercept : bool, default False
        Fit a constant too, without penalty.

    Returns
    -------
    float
        With the noise of the test labels; twice a loss.

    Raises
    ------
    ValueError
        A number out of range.
    TypeError
        An argument of the wrong type.

    See Also
    --------
    SpikedFeatures.ridge_error : The same for any groups of units.

    Examples
    --------
    >>> from helpers import laws
    >>> for strength in (0.0, 100.0, 1000.0):
    ...     error = laws.ridge_error(
    ...         "softplus", 0.1, 2000, 1000, 1500, strength=strength, overlap=0.7, teacher_coefficients=[0, 0.6, 0.8]
    ...     )
    ...     round(error, 2)
    1.23
    1.17
    0.97
    """
    features = _after_step(activation, strength, n, d, h, readout)
    return features.ridge_error(ridge, overlap, teacher_coefficients, noise, intercept=intercept)


def _after_step(
    activation: str | Activation, strength: float, n: int, d: int, h: int, readout: Sequence[float] | None
) -> SpikedFeatures:
    n, d, h = integer("n", n), integer("d", d), integer("h", h)
    if readout is None:
        values, shares = hermegauss(_GAUSSIAN_GROUPS)
    else:
        values = _row("readout", readout)
        shares = np.ones_like(values)
    size, shares = math.sqrt(np.mean(values**2)), shares / shares.sum()
    if readout is None:
        size = 1.0
    if size == 0:
        raise ValueError("readout: got only zeros, expected a value that is not zero")
    return SpikedFeatures(activation, real("strength", strength) / math.sqrt(h * d) * values / size, h * shares, n, d)


def _parts(kappa: np.ndarray, overlap: float, coefficients: Numbers) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of t(beta.x) given kappa: its mean, its linear part along the rest of beta, and the power of what is left."""
    if isinstance(overlap, bool) or not isinstance(overlap, (int, float, np.number)):
        raise TypeError(f"overlap: got {overlap!r}, expected a number between -1 and 1")
    if not -1 <= overlap <= 1:
        raise ValueError(f"overlap: got {overlap}, expected a number between -1 and 1")
    t = _row("teacher_coefficients", coefficients)
    x, w = hermegauss(40)
    w = w / w.sum()
    seen = overlap * kappa[:, None] + math.sqrt(1 - overlap**2) * x
    values = np.tensordot(t, _hermite(seen, len(t)), 1)
    along, across = values @ w, values @ (w * x)
    return along, across, np.maximum(values**2 @ w - along**2 - across**2, 0)


def _hermite(x: np.ndarray, terms: int) -> np.ndarray:
    """Normalized Hermite polynomials at x, (terms, *x.shape)."""
    rows = [np.ones_like(x), x]
    for k in range(2, terms):
        rows.append((x * rows[-1] - math.sqrt(k - 1) * rows[-2]) / math.sqrt(k))
    return np.stack(rows[:terms])


def _row(name: str, value: Numbers, like: np.ndarray | None = None, *, positive: bool = False) -> np.ndarray:
    """`value` as finite float64 numbers (m,), of the length of `like`."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        raise TypeError(f"{name}: got {value!r}, expected numbers in a row")
    try:
        row = np.asarray(list(value), dtype=float)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: got {value!r}, expected numbers in a row") from None
    wanted = "at least one" if like is None else str(len(like))
    if row.ndim != 1 or not len(row) or (like is not None and len(row) != len(like)):
        raise ValueError(f"{name}: got shape {row.shape}, expected {wanted} in a row")
    if not np.isfinite(row).all() or (positive and (row <= 0).any()):
        raise ValueError(f"{name}: got {row.tolist()}, expected finite numbers{' above 0' * positive}")
    return row
