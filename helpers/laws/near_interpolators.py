"""Ridge regression that stops above interpolation and below the noise, on inputs with a power-law covariance.

x ~ N(0, diag(i^-alpha)), i = 1 ... d, labels y = x . beta + noise, the minimum of |X b - y|^2 / n + ridge |b|^2. The
deterministic equivalent (Bach 2024; Cheng and Montanari 2024) has kappa with ridge = kappa (1 - df1 / n) and
    test = (noise^2 + bias) / (1 - df2 / n),  train = (1 - df1 / n)^2 test,  df_j = sum_i (1 + kappa i^alpha)^-j.
For n, d to infinity kappa = k n^-alpha, sums over i are integrals over i / n, and the bias of a fixed beta vanishes.
"""

import math
from typing import NamedTuple

from scipy.optimize import brentq
from scipy.special import hyp2f1

from .._checks import real

_STEEPEST = 100  # a larger alpha is the same cut after a number of inputs, and its k is beyond float64


class NearInterpolator(NamedTuple):
    """The linear regressor whose training error is a given one.

    Attributes
    ----------
    test : float
        Mean squared test error, noise of the labels included.
    norm : float
        The constant of ``|b|^2 / n^alpha``.

    Examples
    --------
    >>> from helpers import laws
    >>> round(laws.near_interpolator(2.0, tau=0.0, noise=1.0).test, 6)
    2.0
    """

    test: float
    norm: float


def near_interpolator(alpha: float, tau: float, noise: float, aspect: float = math.inf) -> NearInterpolator:
    """What it costs to fit labels to a training error below their noise, with covariance eigenvalues i^-alpha.

    Parameters
    ----------
    alpha : float
        Exponent of the eigenvalues by their rank, above 1, at most 100. (That of their density is 1 + 1/alpha.)
    tau : float
        Mean squared training error, from 0, or noise^2 (1 - aspect) where there are fewer inputs than samples, up to
        noise^2.
    noise : float
        Standard deviation of the label noise, above 0.
    aspect : float, default inf
        Inputs over samples, d / n, above 0.

    Returns
    -------
    NearInterpolator
        Test error and norm in the limit of large n; `near_interpolator_ridge` has the penalty that stops there.

    Raises
    ------
    ValueError
        A number out of range.
    TypeError
        An argument that is no number.

    Notes
    -----
    For aspect = inf, with C = (pi / alpha) / sin(pi / alpha) and D = 1 - sqrt(tau / test)::

        test / alpha + (1 - 1 / alpha) sqrt(tau test) = noise^2,
        norm = test D^(alpha + 1) / (alpha C^alpha).

    At tau = noise^2 the test error is noise^2, and the norm zero; at tau = 0 it is alpha noise^2.

    References
    ----------
    - Wang, Sonthalia and Hu (2024), who show that the norm grows at least as n^alpha, and have the trade-off.
    - Bach (2024); Cheng and Montanari (2024), for the deterministic equivalent.

    Examples
    --------
    >>> from helpers import laws
    >>> found = laws.near_interpolator(2.0, tau=0.2 * 0.09, noise=0.3)
    >>> round(found.test / 0.09, 3), round(found.norm, 5)
    (1.46, 0.00665)
    """
    return NearInterpolator(*_solved(alpha, tau, noise, aspect)[:2])


def near_interpolator_ridge(alpha: float, tau: float, noise: float, aspect: float = math.inf) -> float:
    """The penalty with which ridge regression stops at a training error.

    Parameters
    ----------
    alpha, tau, noise, aspect : float
        As in `near_interpolator`.

    Returns
    -------
    float
        The constant of ``ridge * n^alpha``, in ``|X b - y|^2 / n + ridge |b|^2``; inf at tau = noise^2.

    Raises
    ------
    ValueError
        A number out of range.
    TypeError
        An argument that is no number.

    Notes
    -----
    For aspect = inf it is ``(C / D)^alpha sqrt(tau / test)``, in the letters of `near_interpolator`.

    References
    ----------
    Bach (2024); Cheng and Montanari (2024).

    Examples
    --------
    >>> from helpers import laws
    >>> round(laws.near_interpolator_ridge(2.0, tau=0.2 * 0.09, noise=0.3), 3)
    2.302
    """
    return _solved(alpha, tau, noise, aspect)[2]


def _solved(alpha: float, tau: float, noise: float, aspect: float) -> tuple[float, float, float]:
    """Test error, norm and ridge; the arguments are checked."""
    if not 1 < real("alpha", alpha, positive=True) <= _STEEPEST:
        raise ValueError(f"alpha: got {alpha}, expected a number above 1 and at most {_STEEPEST}")
    noise, tau = real("noise", noise, positive=True), real("tau", tau)
    if aspect != math.inf:
        aspect = real("aspect", aspect, positive=True)
    least, most = noise**2 * max(1 - aspect, 0.0), noise**2
    if not least <= tau <= most:
        raise ValueError(f"tau: got {tau}, expected a number from {least:.6g} to noise^2 = {most:.6g}")
    if tau == most:
        return most, 0.0, math.inf
    if aspect == math.inf:
        return _wide(alpha, tau, noise)

    k = _penalty(alpha, tau / most, aspect)
    first, second, weight = _integrals(alpha, k, aspect)
    test = most / (1 - second) if second < 1 else math.inf
    return test, test * weight, k * (1 - first) if tau > least else 0.0


def _penalty(alpha: float, share: float, c: float) -> float:
    """k of a training error that is this share of noise^2."""

    def trained(log_k: float) -> float:
        first, second, _ = _integrals(alpha, math.exp(log_k), c)
        return (1 - first) / math.sqrt(1 - second)  # it grows with k

    used = alpha * math.log(_total(alpha)) + 1e-6  # a little more, for rounding
    if c > 1:  # up from where the fit interpolates
        low = brentq(lambda log_k: _integrals(alpha, math.exp(log_k), c)[0] - 1, math.log((c - 1) / c**alpha), used)
    else:
        low = math.log(1e-12) - alpha * math.log(c)
    if trained(low) >= math.sqrt(share):
        return math.exp(low) if c > 1 else 0.0
    return math.exp(brentq(lambda k: trained(k) - math.sqrt(share), low, used - alpha * math.log(1 - math.sqrt(share))))


def _total(alpha: float) -> float:
    """The integral of 1 / (1 + x^alpha) over x > 0."""
    return math.pi / alpha / math.sin(math.pi / alpha)


def _wide(alpha: float, tau: float, noise: float) -> tuple[float, float, float]:
    """More inputs than any multiple of the samples."""
    rest = (1 - 1 / alpha) * math.sqrt(tau)
    test = (alpha / 2 * (math.sqrt(rest**2 + 4 * noise**2 / alpha) - rest)) ** 2
    used = 1 - math.sqrt(tau / test)  # D_1
    c = _total(alpha)
    return test, test * used * (used / c) ** alpha / alpha, (c / used) ** alpha * (1 - used)


def _integrals(alpha: float, k: float, c: float) -> tuple[float, float, float]:
    """Over x from 0 to c, of 1 / q, 1 / q^2 and x^alpha / q^2, with q = 1 + k x^alpha."""
    if k == 0:
        return c, c, c ** (alpha + 1) / (alpha + 1)
    first = c * float(hyp2f1(1, 1 / alpha, 1 + 1 / alpha, -k * c**alpha))
    second = first - (first - c / (1 + k * c**alpha)) / alpha  # by parts
    return first, second, (first - second) / k
