"""Learning curves in the lazy phase: loss, test loss and change of a two-layer network at every step, from no sample.

A student f(x) = v . s(W x / sqrt d) / sqrt h, with W (h, d) i.i.d. N(0, 1) and |v|^2 = h p, is trained on
|f(X) - y|^2 / (2n), with X (n, d) i.i.d. N(0, 1) and y = t(beta . x) + noise, |beta| = 1. Its tangent kernel is held
where it starts: f_T = f_0 + k(x, X) G(K) (y - f_0(X)), with G(K) = (1 - (1 - rate K / n)^T) / K.

To leading order s(W x / sqrt d) is b W x / sqrt d + sqrt(1 - b^2) xi, xi ~ N(0, I_h) fresh for every x. Then
K = Z Z' + delta I with delta = p (a2 - b^2), and for a new x, k(x, X) = psi(x)' Z', where the rows of Z are
    psi(x) = D phi(x),   phi = (s(W x / sqrt d) / sqrt h, x / sqrt d),   D = diag(1, b sqrt p),
and what is to be learned is linear in phi:  y - f_0 = w . phi + e,  w = (-v, t1 sqrt d beta),  t1 = E t', with an
error e of variance noise^2 + 1 - t1^2. So training is linear regression on h + d Gaussian features. A layer that is
not trained has D = 0, a kernel of X alone b sqrt p = 1. In the singular basis of W / sqrt d the covariance A of phi
is made of 2 x 2 blocks.

Linear regression has deterministic equivalents (Bach 2024; Cheng and Montanari 2024). With Sigma = D A D,
T = (Sigma + kappa)^-1 and kappa(L) the solution of n = tr Sigma T + L / kappa,
    L (Z'Z + L)^-1 -> R = kappa T,     tr (Z Z' + L)^-1 -> 1 / kappa,
    L1 L2 (Z'Z + L1)^-1 B (Z'Z + L2)^-1 -> R1 B R2 + R1 Sigma R2 tr(T1 B T2 Sigma) / (n (1 - gamma)),
    gamma = tr(Sigma T1 Sigma T2) / n.
Ridge regression is one such point; a function of K is a contour integral of them.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from .._checks import integer, real
from ..activations import Activation, normalized
from .first_step import _teacher
from .limits import marchenko_pastur

_NODES = 100  # of the Marchenko-Pastur law
_LAYERS = ("both", "first", "readout")
_KERNELS = ("ntk", "ck", "linear")


class WeightChange(NamedTuple):
    """The change of W, to leading order of rank one with v on its left.

    Attributes
    ----------
    strength : array, (m,)
        Its singular value.
    overlap : array, (m,)
        Cosine of its right singular vector and the teacher; NaN where nothing has changed.

    Examples
    --------
    >>> from helpers import laws
    >>> curve = laws.learning_curve("tanh", 2000, 1000, 1500, rate=200.0, steps=[40])
    >>> curve.spike.strength.round(1).tolist(), curve.spike.overlap.round(2).tolist()
    ([21.8], [0.74])
    """

    strength: np.ndarray
    overlap: np.ndarray


@dataclass(frozen=True, eq=False)
class LearningCurve:
    """What `learning_curve` returns, in the units of `training.Run.history`.

    Attributes
    ----------
    steps : array, (m,)
        The steps, as they were given.
    loss : array, (m,)
        Training loss ``|f - y|^2 / (2n)``.
    test_loss : array, (m,)
        The same on new samples, noise included.
    test_r2 : array, (m,)
        1 - 2 test_loss / (1 + noise^2).
    readout_power : array, (m,)
        ``|v|^2 / h``.
    spike : WeightChange
        The change of W.

    Examples
    --------
    >>> from helpers import laws
    >>> curve = laws.learning_curve("tanh", 2000, 1000, 1500, rate=200.0, steps=[0, 4, 16])
    >>> curve.test_r2.round(2).tolist()
    [-0.92, 0.47, 0.64]
    """

    steps: np.ndarray
    loss: np.ndarray
    test_loss: np.ndarray
    test_r2: np.ndarray
    readout_power: np.ndarray
    spike: WeightChange


@dataclass(frozen=True, eq=False)
class RidgeCurve:
    """What `kernel_ridge_curve` returns.

    Attributes
    ----------
    ridges : array, (m,)
        The ridges, as they were given.
    loss : array, (m,)
        Training loss ``|f - y|^2 / (2n)``, without the penalty.
    test_loss : array, (m,)
        The same on new samples, noise included.
    test_r2 : array, (m,)
        1 - 2 test_loss / (1 + noise^2).

    Examples
    --------
    >>> from helpers import laws
    >>> curve = laws.kernel_ridge_curve("tanh", 2000, 1000, 1500, ridges=[0.1, 1.0, 10.0])
    >>> curve.test_r2.round(3).tolist()
    [0.721, 0.658, 0.328]
    """

    ridges: np.ndarray
    loss: np.ndarray
    test_loss: np.ndarray
    test_r2: np.ndarray


@dataclass(frozen=True, eq=False)
class _Regression:
    """n samples of the features D phi, a ridge that is built in, and the target w . phi + error.

    Blocks of A, (m,) each: a11 (hidden side), a12, a22 (inputs), how often each occurs, and E w1^2, E w2^2 in it.
    """

    n: int
    d: int
    h: int
    gains: tuple[float, float]  # D^2
    delta: float
    error: float  # the variance of e
    a11: np.ndarray
    a12: np.ndarray
    a22: np.ndarray
    count: np.ndarray
    power: tuple[np.ndarray, np.ndarray]
    slope: float  # t1

    @property
    def sigma(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The entries 11, 12 and 22 of Sigma."""
        g1, g2 = self.gains
        return g1 * self.a11, math.sqrt(g1 * g2) * self.a12, g2 * self.a22

    @property
    def eigenvalues(self) -> tuple[np.ndarray, np.ndarray]:
        """Of Sigma, and how often each occurs."""
        s11, s12, s22 = self.sigma
        middle, half = (s11 + s22) / 2, np.hypot((s11 - s22) / 2, s12)
        values, count = np.concatenate([middle + half, middle - half]), np.tile(self.count, 2)
        return np.maximum(values, 0), count

    def edge(self) -> tuple[float, float]:
        """-kappa at the largest eigenvalue of Z Z', and that eigenvalue."""
        values, count = self.eigenvalues

        def slope(x: float) -> float:  # of z = -L in -kappa
            return self.n - float(count @ (values / (x - values)) ** 2)

        top = values.max()
        x = brentq(slope, top * (1 + 1e-12), top * (2 + math.sqrt(count.sum() / self.n)), xtol=1e-15 * top)
        return x, self.beyond(x)

    def beyond(self, x: float) -> float:
        """The point z beyond the largest eigenvalue at which kappa(-z) = -x."""
        values, count = self.eigenvalues
        return x * (self.n + float(count @ (values / (x - values))))

    def unlearned(self, v: dict[tuple[int, int], np.ndarray], rows: int) -> np.ndarray:
        """The mean of w V1' A V2 w over the target, for pairs of points at which V is given: (rows, m)."""
        total = np.zeros((rows, len(v[1, 1])), dtype=v[1, 1].dtype)
        for c, power in zip((1, 2), self.power, strict=True):
            x, y, weight = v[1, c], v[2, c], power * self.count
            total += (weight * (self.a11 * x + self.a12 * y))[:rows] @ x.T
            total += (weight * (self.a12 * x + self.a22 * y))[:rows] @ y.T
        return total

    def at_ridge(self, ridge: float) -> tuple[float, float]:
        """The mean square test error of ridge regression, and kappa."""
        kappa, (values, count) = self.kappa(ridge), self.eigenvalues
        gamma = float(count @ (values / (values + kappa)) ** 2) / self.n
        return (float(self.unlearned(_vectors(self, np.array([[kappa]])), 1)[0, 0]) + self.error) / (1 - gamma), kappa

    def kappa(self, ridge: float) -> float:
        """kappa(L) for L > 0."""
        values, count = self.eigenvalues

        def excess(log: float) -> float:
            return float(count @ (values / (values + math.exp(log)))) + ridge / math.exp(log) - self.n

        bounds = ridge / self.n, (ridge + float(count @ values)) / self.n
        return math.exp(brentq(excess, math.log(bounds[0]) - 1e-9, math.log(bounds[1]) + 1e-9, xtol=1e-14))


def _regression(
    b: float, teacher: Activation, n: int, d: int, h: int, gains: tuple[float, float], delta: float, noise: float,
    initial: float,
) -> _Regression:  # fmt: skip
    """Gains are those of D^2; `initial` is the power of v in the target, 0 where f_0 is not in it."""
    t1 = teacher.linear_coefficient
    small, large = min(h, d), max(h, d)
    values, weights = marchenko_pastur(small / large).nodes(_NODES)
    square, one = values * large / d, np.ones(_NODES)  # of the singular values of W / sqrt d
    rest = [float(max(h - d, 0)), float(max(d - h, 0))]  # directions of one side only
    left, right = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    return _Regression(
        n, d, h, gains, delta, noise**2 + max(1 - t1**2, 0.0),
        a11=np.append(b**2 * square + 1 - b**2, left * (1 - b**2)) / h,
        a12=np.append(b * np.sqrt(square), [0.0, 0.0]) / math.sqrt(h * d),
        a22=np.append(one, right) / d,
        count=np.append(weights / weights.sum() * small, rest),
        power=(initial * np.append(one, left), t1**2 * np.append(one, right)),
        slope=t1,
    )  # fmt: skip


def _vectors(of: _Regression, kappa: np.ndarray) -> dict[tuple[int, int], np.ndarray]:
    """V = kappa (D^2 A + kappa)^-1 in every block: R D^-1 w = D^-1 V w, and (1 - R) D^-1 w = D A V w / kappa."""
    (g1, g2), (s11, _, s22) = of.gains, of.sigma
    determinant = kappa**2 + kappa * (s11 + s22) + g1 * g2 * (of.a11 * of.a22 - of.a12**2)
    return {
        (1, 1): kappa * (s22 + kappa) / determinant, (1, 2): -kappa * g1 * of.a12 / determinant,
        (2, 1): -kappa * g2 * of.a12 / determinant, (2, 2): kappa * (s11 + kappa) / determinant,
    }  # fmt: skip


class _Contour:
    """Points round the eigenvalues of Z Z', and what the equivalents are there."""

    def __init__(self, of: _Regression, rate: float, last: int) -> None:
        self.of, self.rate = of, rate
        at, top = of.edge()
        # The powers of 1 - rate (z + delta) / n must not grow: inside their unit circle, or by a factor of e^2 at most.
        room = min(of.delta, 2 * of.n / rate - of.delta - top)
        margin = max(0.7 * room, 2 * of.n / (rate * max(last, 1)))
        flat = min(0.15, math.sqrt(4 * margin / top))
        m = 2 * math.ceil(16 / flat)
        angle = (np.arange(m) + 0.5) * 2 * math.pi / m
        self.z = top / 2 * (1 + math.cosh(flat) * np.cos(angle) + 1j * math.sinh(flat) * np.sin(angle))
        turn = top / 2 * (-math.cosh(flat) * np.sin(angle) + 1j * math.sinh(flat) * np.cos(angle))
        self.w = turn / (1j * m)  # dz / (2 pi i)
        self.kappa = self._kappas(at)
        self.decay = 1 - rate * (self.z + of.delta) / of.n

    def _kappas(self, at: float) -> np.ndarray:
        """By Newton, from the point beyond the largest eigenvalue along the upper half of the contour."""
        values, count = self.of.eigenvalues
        first = float(self.z.real.max())
        kappa, found = complex(-brentq(lambda x: self.of.beyond(x) - first, at, first / self.of.n)), []
        for z in self.z[: len(self.z) // 2]:
            for _ in range(100):
                q = values / (values + kappa)
                # L(kappa) + z over L'(kappa), with L = kappa (n - tr Sigma T)
                step = (kappa * (self.of.n - count @ q) + z) / (self.of.n - count @ q**2)
                kappa -= step
                if abs(step) < 1e-13 * abs(kappa):
                    break
            found.append(kappa)
        return np.concatenate([found, np.conj(found[::-1])])


class _Equivalents:
    """Traces of products of resolvents at all points of a contour, and sums over them."""

    def __init__(self, at: _Contour) -> None:
        of = self.of = at.of
        self.at = at
        kappa, (s11, s12, s22) = at.kappa[:, None], of.sigma
        a11, a12, a22, count = of.a11, of.a12, of.a22, of.count
        v = _vectors(of, kappa)
        self.v1 = v[1, 1], v[1, 2]
        self.u1 = (a11 * v[1, 1] + a12 * v[2, 1]) / kappa, (a11 * v[1, 2] + a12 * v[2, 2]) / kappa
        self.u2 = (a12 * v[1, 1] + a22 * v[2, 1]) / kappa, (a12 * v[1, 2] + a22 * v[2, 2]) / kappa
        values, times = of.eigenvalues
        q = values / (values + kappa)
        half = len(q) // 2  # the lower half of a contour is the conjugate of the upper one
        gamma = (q[:half] * times) @ q.T / of.n
        self.noise = gamma / (1 - gamma)
        self.bias = of.unlearned(v, half) / (1 - gamma)
        determinant = (values[: len(count)] + kappa) * (values[len(count) :] + kappa)
        t11, t12, t22 = (s22 + kappa) / determinant, -s12 / determinant, (s11 + kappa) / determinant
        self.q1, self.q2 = s11 * t11 + s12 * t12, s12 * t12 + s22 * t22  # the diagonal of Sigma T
        side = [self._side(t11, t12), self._side(t22, t12, flip=True)]
        self.side1, self.side2 = (self.bias * tau / of.n for tau in side)

    def _side(self, own: np.ndarray, other: np.ndarray, flip: bool = False) -> np.ndarray:
        """tr(T1 P T2 Sigma), P the projection on the hidden side, or on the inputs."""
        s11, s12, s22 = self.of.sigma[:: -1 if flip else 1]
        half, count = len(own) // 2, self.of.count
        total = (count * (s11 * own + s12 * other))[:half] @ own.T
        return total + (count * (s12 * own + s22 * other))[:half] @ other.T

    def training_error(self, f: np.ndarray) -> np.ndarray:
        """The mean square training error where the squares of the errors' factors are f."""
        of = self.of
        inner = self.u1[0] @ (of.power[0] * of.count) + self.u2[1] @ (of.power[1] * of.count)
        return -self.single(f, inner + of.error / self.at.kappa) / of.n

    def single(self, f: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Sums of w f values for filters f (m, points)."""
        return ((f * self.at.w) @ values).real

    def double(self, c: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Sums of c c' values for coefficients c (m, points)."""
        return 2 * np.einsum("mj,mj->m", c[:, : len(values)] @ values, c).real

    def square(self, c: np.ndarray, vectors: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
        """Sums over the directions of the squares of sums of c vectors."""
        pairs = zip(vectors, self.of.power, strict=True)
        return sum((((c @ x) ** 2).real @ (power * self.of.count) for x, power in pairs), np.zeros(len(c)))


def _path(e: _Equivalents, steps: np.ndarray, batch_size: int) -> dict[str, np.ndarray]:
    """Mean square errors, |v|^2 / h, and of W's change the square of its strength and its part along the teacher."""
    of, z, w = e.of, e.at.z, e.at.w
    rho = e.at.decay ** steps[:, None]
    g = (1 - rho) / (z + of.delta)
    left, fitted = w * (1 / z - g), w * g  # coefficients of L Q in 1 - A g(A + delta), and in A g(A + delta)
    hidden, inputs = e.q1 @ of.count, e.q2 @ of.count
    path = {
        "loss": e.training_error(rho**2),
        "test": e.double(left, e.bias) + of.error * (1 + e.double(w * g, e.noise)),
        "readout": e.square(left, e.v1) + e.double(left, e.side1) - of.error * e.single(g**2, hidden),
        "change": of.gains[1] * e.square(fitted, e.u2) + e.double(fitted, e.side2) - of.error * e.single(g**2, inputs),
        "along": -e.single(g, e.u2[1] @ of.count) * math.sqrt(of.gains[1] / of.d) * of.slope,
    }
    if batch_size == of.n or not steps.any():
        return path

    # Noise of batches: each step adds independent errors of variance `strength` times the training error.
    last = int(steps.max())
    strength = e.at.rate**2 * (1 / batch_size - 1 / of.n) / of.n
    rho2 = e.at.decay ** (2 * np.arange(last)[:, None])
    kernel = -strength * e.single(rho2, (z + of.delta) ** 2 / e.at.kappa) / of.n
    error = e.training_error(rho2)
    for t in range(1, last):  # Volterra: error(t) = that of gradient descent + sum_s kernel(t - 1 - s) error(s)
        error[t] += kernel[:t] @ error[t - 1 :: -1]

    def added(weights: np.ndarray) -> np.ndarray:
        return np.append(0.0, np.convolve(weights, error)[:last])[steps]

    path["loss"] += added(kernel)
    path["test"] += added(strength * of.n * e.single(rho2, e.at.kappa))
    path["readout"] -= added(strength * e.single(rho2, hidden))
    path["change"] -= added(strength * e.single(rho2, inputs))
    return path


def _setting(
    activation: str | Activation, n: int, d: int, h: int, teacher: str | Activation, noise: float,
    readout_power: float, layers: str, centered: bool,
) -> _Regression:  # fmt: skip
    """The regression that training these layers is; the arguments are checked."""
    n, d, h = integer("n", n), integer("d", d), integer("h", h)
    noise = real("noise", noise)
    s, t = normalized(activation), _teacher(teacher)
    p = real("readout_power", readout_power, positive=True)
    if layers not in _LAYERS:
        raise ValueError(f"layers: got {layers!r}, expected one of {', '.join(_LAYERS)}")
    b = s.linear_coefficient if abs(s.linear_coefficient) > 1e-6 else 1e-6  # 0 as its limit
    gains = float(layers != "first"), (layers != "readout") * p * b**2
    delta = (layers != "readout") * p * max(s.derivative_power - b**2, 0.0)
    return _regression(b, t, n, d, h, gains, delta, noise, 0.0 if centered else p)


def critical_rate(
    activation: str | Activation, n: int, d: int, h: int, *, batch_size: int | None = None,
    readout_power: float = 1.0, layers: str = "both",
) -> float:  # fmt: skip
    """The rate at which training becomes unstable in the lazy phase, full batch or in mean square with small batches.

    Parameters
    ----------
    activation : str or Activation
        s, the student's, normalized.
    n : int
        Samples.
    d : int
        Inputs.
    h : int
        Hidden units.
    batch_size : int, optional
        B, at most n, which is the default.
    readout_power : float, default 1.0
        p = ``|v|^2 / h``, above 0.
    layers : {"both", "first", "readout"}
        What is trained.

    Returns
    -------
    float
        Of the loss ``|f(X) - y|^2 / (2n)``. For a measured kernel see `kernels.critical_rate`.

    Raises
    ------
    ValueError
        A size below 1, a batch larger than n, an unknown name.
    TypeError
        An argument of the wrong type.

    Notes
    -----
    For the full batch it is 2 n over the largest eigenvalue of K. For batches it solves
    ``(1/B - 1/n) sum_i x_i / (2 - x_i) = 1``, with x_i = rate / n times the eigenvalues of K: the kernel of the
    Volterra equation sums to one.

    References
    ----------
    Paquette et al. (2021); Agarwala and Pennington (2024), "stochastic edge of stability".

    Examples
    --------
    >>> from helpers import laws
    >>> [round(laws.critical_rate("tanh", 2000, 1000, 1500, batch_size=b)) for b in (20, 100, 2000)]
    [18, 84, 291]
    """
    of = _setting(activation, n, d, h, "tanh", 0.0, readout_power, layers, centered=True)
    return _critical_rate(of, _batch(batch_size, of.n))


def _batch(batch_size: int | None, n: int) -> int:
    size = n if batch_size is None else integer("batch_size", batch_size)
    if size > n:
        raise ValueError(f"batch_size: got {size}, expected at most n = {n}")
    return size


def _critical_rate(of: _Regression, batch_size: int) -> float:
    edge, top = of.edge()
    full = 2 * of.n / (top + of.delta)
    if batch_size == of.n:
        return full

    def excess(x: float) -> float:
        """Of (1/B - 1/n) sum x_i / (2 - x_i) over 1 at 2 n / rate = z + delta, where tr (z - Z Z')^-1 = 1 / x."""
        return (1 / batch_size - 1 / of.n) * ((of.beyond(x) + of.delta) / x - of.n) - 1

    if excess(edge) <= 0:
        return full
    far = 2 * edge
    while excess(far) > 0:
        far *= 2
    return 2 * of.n / (of.beyond(brentq(excess, edge, far)) + of.delta)


def learning_curve(
    activation: str | Activation, n: int, d: int, h: int, *, rate: float, steps: Iterable[int],
    teacher: str | Activation = "tanh", noise: float = 0.3, readout_power: float = 1.0, layers: str = "both",
    centered: bool = False, batch_size: int | None = None,
) -> LearningCurve:  # fmt: skip
    """The limit of gradient descent, or of stochastic gradient descent, in the lazy phase: no sample, no fit.

    Parameters
    ----------
    activation : str or Activation
        s, the student's, normalized.
    n : int
        Samples.
    d : int
        Inputs.
    h : int
        Hidden units.
    rate : float
        Learning rate of the loss ``|f(X) - y|^2 / (2n)``, above 0 and below `critical_rate`.
    steps : iterable of int
        Steps at which to look, 0 or more, in any order.
    teacher : str or Activation, default "tanh"
        t, normalized.
    noise : float, default 0.3
        Standard deviation of the label noise.
    readout_power : float, default 1.0
        p = ``|v|^2 / h`` at the start, above 0.
    layers : {"both", "first", "readout"}
        What is trained.
    centered : bool, default False
        Train and report f - f_0, as `training.train` does.
    batch_size : int, optional
        B, at most n, which is the default: the mean over batches that are drawn independently.

    Returns
    -------
    LearningCurve
        Arrays of the length of `steps`.

    Raises
    ------
    ValueError
        A rate that is not below the critical rate, a size below 1, an unknown name, no steps or negative ones.
    TypeError
        An argument of the wrong type.

    Notes
    -----
    With batches the mean square training error M solves the Volterra equation of Paquette et al., here with the law of
    the tangent kernel K and P = 1 - rate K / n::

        M(t) = M_GD(t) + rate^2 (1/B - 1/n) sum_{s<t} M(s) tr(K^2 P^{2 (t-1-s)}) / n^2.

    References
    ----------
    - Adlam and Pennington (2020), for the test error of regression with this kernel.
    - Montanari and Zhong (2022), for the kernel that is linear plus a multiple of the identity.
    - Bach (2024); Cheng and Montanari (2024), for the deterministic equivalents.
    - Paquette et al. (2021); Agarwala and Pennington (2024), for the noise of batches.

    Examples
    --------
    >>> from helpers import laws
    >>> curve = laws.learning_curve("tanh", 2000, 1000, 1500, rate=200.0, steps=[4, 16, 64])
    >>> curve.loss.round(4).tolist(), curve.test_r2.round(3).tolist()
    ([0.0855, 0.0216, 0.0012], [0.474, 0.638, 0.66])
    """
    rate = real("rate", rate, positive=True)
    times = _steps(steps)
    of = _setting(activation, n, d, h, teacher, noise, readout_power, layers, centered)
    size = _batch(batch_size, of.n)
    critical = _critical_rate(of, size)
    if rate >= critical:
        raise ValueError(f"rate: got {rate:g}, expected a rate below the critical rate {critical:.4g} of the law")
    path = _path(_Equivalents(_Contour(of, rate, int(times.max()))), times, size)
    strength = np.sqrt(np.maximum(path["change"], 0) * (times > 0))
    overlap = np.divide(path["along"], strength, out=np.full(len(times), np.nan), where=strength > 0)
    return LearningCurve(
        steps=times,
        loss=np.maximum(path["loss"], 0) / 2,
        test_loss=path["test"] / 2,
        test_r2=1 - path["test"] / (1 + noise**2),
        readout_power=path["readout"] / h + (readout_power if centered else 0.0),
        spike=WeightChange(strength, overlap),
    )


def _steps(steps: Iterable[int]) -> np.ndarray:
    if isinstance(steps, str) or not isinstance(steps, Iterable):
        raise TypeError(f"steps: got {steps!r}, expected a list of integers of at least 0")
    times = np.array([integer("steps", step, least=0) for step in steps], dtype=int)
    if not len(times):
        raise ValueError("steps: got none, expected at least one")
    return times


def kernel_ridge_curve(
    activation: str | Activation, n: int, d: int, h: int, *, ridges: Sequence[float], kernel: str = "ntk",
    teacher: str | Activation = "tanh", noise: float = 0.3, readout_power: float = 1.0, centered: bool = True,
) -> RidgeCurve:  # fmt: skip
    """The limit of kernel ridge regression with a kernel of the network at the start.

    Parameters
    ----------
    activation : str or Activation
        s, the student's, normalized.
    n : int
        Samples.
    d : int
        Inputs.
    h : int
        Hidden units.
    ridges : sequence of float
        r in k(x, X) (K + r)^-1 y, above 0: in units of K, not of K / n.
    kernel : {"ntk", "ck", "linear"}
        The tangent kernel of both layers, the conjugate kernel, or ``X X' / d``.
    teacher : str or Activation, default "tanh"
        t, normalized.
    noise : float, default 0.3
        Standard deviation of the label noise.
    readout_power : float, default 1.0
        p = ``|v|^2 / h``, above 0.
    centered : bool, default True
        Leave the output f_0 of the network out, as kernel regression does. False: fit y - f_0 and add f_0 again.

    Returns
    -------
    RidgeCurve
        Arrays of the length of `ridges`.

    Raises
    ------
    ValueError
        A ridge that is not above 0, no ridges, a size below 1, an unknown name.
    TypeError
        An argument of the wrong type.

    Notes
    -----
    With L = r + delta, the test error is (B + error variance) / (1 - gamma) and the training error
    (r / (n kappa))^2 times that: generalized cross-validation is exact in the limit.

    References
    ----------
    Adlam and Pennington (2020); Hastie et al. (2022); Bach (2024).

    Examples
    --------
    >>> from helpers import laws
    >>> curve = laws.kernel_ridge_curve("tanh", 2000, 1000, 1500, ridges=[0.5, 1.0], kernel="linear")
    >>> curve.test_r2.round(3).tolist()
    [0.712, 0.647]
    """
    if isinstance(ridges, str) or not isinstance(ridges, Iterable):
        raise TypeError(f"ridges: got {ridges!r}, expected a list of numbers above 0")
    values = np.array([real("ridges", ridge, positive=True) for ridge in ridges])
    if not len(values):
        raise ValueError("ridges: got none, expected at least one")
    if kernel not in _KERNELS:
        raise ValueError(f"kernel: got {kernel!r}, expected one of {', '.join(_KERNELS)}")
    layers = "readout" if kernel == "ck" else "both"
    of = _setting(activation, n, d, h, teacher, noise, readout_power, layers, centered)
    if kernel == "linear":
        of = replace(of, gains=(0.0, 1.0), delta=0.0)
    points = [of.at_ridge(ridge + of.delta) for ridge in values]
    test = np.array([error for error, _ in points])
    kappa = np.array([kappa for _, kappa in points])
    return RidgeCurve(
        ridges=values,
        loss=test * (values / (n * kappa)) ** 2 / 2,
        test_loss=test / 2,
        test_r2=1 - test / (1 + noise**2),
    )
