"""The linear network with one input direction, solved; after Xu and Ziyin (2024), in the book's notation.

f(x_j) = v . (W x_j) / sqrt(h d) with inputs x_j = z_j sqrt(d) u, |u| = 1, and w = W u: f = S z, S = v . w / sqrt h.
Gradient flow on the mean of (S z - y)^2 / 2, with a rate for each layer:
    v' = lr_readout w r / sqrt h,   w' = lr_weight v r / sqrt h,   r = mean z y - S mean z^2.
With v = sqrt(lr_readout) a, w = sqrt(lr_weight) c and eps = sqrt(lr_readout lr_weight / h), the sum and difference
p, q = (a +- c) / sqrt 2 only change their lengths, p = p0 sqrt Y and q = q0 / sqrt Y, and Y solves a Riccati equation.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._checks import Array, Numbers


@dataclass(frozen=True)
class LinearNetwork:
    """The path of a linear network under gradient flow.

    Attributes
    ----------
    slope : np.ndarray
        S at each time: the network computes S z.
    kernel : np.ndarray
        K = (lr_weight |v|^2 + lr_readout |w|^2) / h, the tangent kernel with the rates in it: S' = K r.
    cosine : np.ndarray
        Of the angle between v and w; NaN where one of them is zero.

    Examples
    --------
    >>> from helpers import laws
    >>> path = laws.linear_network([1.0], [1.0], 4.0, 1.0, lr_readout=1.0, lr_weight=1.0, times=[0.0, 50.0])
    >>> path.slope.round(6), path.kernel.round(6)
    (array([1., 4.]), array([2., 8.]))
    """

    slope: np.ndarray
    kernel: np.ndarray
    cosine: np.ndarray


def linear_network(
    v: Array, w: Array, slope: float, second_moment: float, *, lr_readout: float, lr_weight: float, times: Numbers
) -> LinearNetwork:
    """The exact path of a linear network with one input direction, at any width and from any start.

    Parameters
    ----------
    v : array (h,)
        Readout at the start.
    w : array (h,)
        W u at the start, the first layer in the direction u of the inputs x = z sqrt(d) u.
    slope : float
        Mean of z y over the samples.
    second_moment : float
        Mean of z^2, above 0.
    lr_readout, lr_weight : float
        Rates of the two layers, above 0.
    times : sequence of float
        At least 0, in steps: gradient descent with small rates is there after as many steps.

    Returns
    -------
    LinearNetwork
        Its arrays are along `times`.

    Raises
    ------
    ValueError
        Shapes that differ, a moment or rate that is not positive, a negative time, numbers that are not finite.
    TypeError
        Anything that is no number.

    References
    ----------
    Xu and Ziyin (2024) solve this model; the form here is the book's own derivation.

    Examples
    --------
    Two layers that start orthogonal end aligned; the kernel moves only where both are small.

    >>> from helpers import laws
    >>> options = dict(slope=1.0, second_moment=1.0, lr_readout=1.0, lr_weight=1.0, times=[0.0, 1e3])
    >>> for scale in (1.0, 10.0):
    ...     path = laws.linear_network([scale, 0.0], [0.0, 0.1], **options)
    ...     print((path.kernel[-1] / path.kernel[0]).round(3), path.cosine[-1].round(3))
    2.974 0.998
    1.0 0.816
    """
    v = _checks.array("v", v, None).double().cpu().numpy()
    w = _checks.array("w", w, len(v)).double().cpu().numpy()
    moment = _checks.real("second_moment", second_moment, positive=True)
    rates = _checks.real("lr_readout", lr_readout, positive=True), _checks.real("lr_weight", lr_weight, positive=True)
    times = _checks.array("times", times, None).double().cpu().numpy()
    if (times < 0).any():
        raise ValueError(f"times: got {times.min()}, expected at least 0")
    slope = _finite("slope", slope)
    a, c = v / math.sqrt(rates[0]), w / math.sqrt(rates[1])
    eps = math.sqrt(rates[0] * rates[1] / len(v))
    plus, minus = float((a + c) @ (a + c)) / 2, float((a - c) @ (a - c)) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        y = _riccati(moment * eps**2 * plus, 2 * eps * slope, moment * eps**2 * minus, times)
        grown = plus * y if plus else np.zeros_like(y)
        fallen = minus / y if minus else np.zeros_like(y)
        inner = (grown - fallen) / 2
        area = float(a @ a) * float(c @ c) - float(a @ c) ** 2
        cosine = inner / np.sqrt(max(area, 0.0) + inner**2)
    return LinearNetwork(eps * inner, eps**2 * (grown + fallen), cosine)


def _riccati(a: float, b: float, c: float, times: np.ndarray) -> np.ndarray:
    """The solution of Y' = -a Y^2 + b Y + c with Y = 1 at time 0; a and c at least 0."""
    root = math.sqrt(b**2 / 4 + a * c)
    if not root:  # a c = 0 and b = 0
        return (1 + c * times) / (1 + a * times)
    large = root + abs(b) / 2
    small = a * c / large  # root - |b| / 2, without cancellation
    up, down = (large, small) if b > 0 else (small, large)
    left = np.exp(-2 * root * times)
    return ((up + c) + left * (down - c)) / ((down + a) + left * (up - a))


def _finite(name: str, value: Any) -> float:
    _checks.real(name, abs(value) if isinstance(value, int | float) and not isinstance(value, bool) else value)
    return float(value)
