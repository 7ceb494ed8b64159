"""A rank-one spike on a Gaussian matrix, seen through a map that is applied to every entry.

Let q be the map, centered and normalized under N(0, 1), and S(t) = E q(xi + t). The mapped matrix q(W + theta u w')
is close to noise with entries of variance 1 plus its mean, the matrix S(theta u_i w_j). With u_i = x / sqrt(h) and
w_j = z / sqrt(d), x and z i.i.d. N(0, 1), that mean is the kernel S(eps x z), eps = theta / sqrt(h d), times
sqrt(h d) as an operator on functions of a Gaussian. It takes odd functions to odd ones and even ones to even ones. Each
of its eigenvalues is the strength of a spike along phi(x), phi(z), phi its eigenfunction, and
`spiked_singular_value` says what is seen of it. For small eps the spike of order k has phi = He_1^k and the strength
|c_k| (2k-1)!! theta^k (h d)^((1-k)/2) / sqrt(k!), c_k the Hermite coefficients of q.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from scipy.signal import fftconvolve
from torch import Tensor

from .._checks import array, integer, real
from ..activations import gaussian_nodes
from .spikes import Spike, spiked_singular_value

_STEP, _REACH = 1e-3, 10.0  # of the grid on which the map is smoothed; where the Gaussian ends
_MOST = 2**21  # points of that grid
_STRONGEST = 1000.0  # of theta / sqrt(h d): the grid's step is still far below 1


def seen_through(
    map: Callable[[Tensor], Tensor],  # noqa: A002 - the word of the field
    strength: float,
    h: int,
    d: int,
    *,
    power: int = 1,
) -> Spike:
    """What the top singular triple of q(theta u w' + W) shows of the spike, for any map q of the entries.

    W (h x d) is i.i.d. N(0, 1), u and w are unit vectors with i.i.d. Gaussian entries, before their normalization. q is
    `map`, shifted and scaled so that q(W) has entries of mean 0 and variance 1. To first order the spike is seen as one
    of strength |c_1| theta, c_1 = E xi q(xi); this function uses no expansion.

    Parameters
    ----------
    map : callable
        Takes a tensor of real numbers to one of the same shape, entry by entry, such as ``torch.sign``. It should not
        grow faster than a polynomial.
    strength : float
        theta >= 0, at most 1000 sqrt(h d).
    h : int
        Rows of W.
    d : int
        Columns of W.
    power : int, default 1
        The overlaps are with u^k and w^k, entrywise powers. A spike that is seen through an even map, such as the
        absolute value, points along w^2: it is visible, and its overlap with w is 0.

    Returns
    -------
    Spike
        Value and overlaps of the normalized q, in the units of `spiked_singular_value`. Where several outliers are
        seen, of the largest one.

    Raises
    ------
    TypeError
        `map` is not callable or returns no real tensor, `strength` is not a real number, or a size or `power` is not an
        integer.
    ValueError
        `map` returns another shape, NaN or infinite numbers, or is constant; `strength` or a size is out of range.

    Notes
    -----
    Corrections are of relative size theta^2 / (h d), from the noise that a spike changes where u_i w_j is large, and of
    size n^(-1/2) from the draw of u and w. For maps that grow like z^3 the first is large at theta = 0.2 sqrt(h d).

    References
    ----------
    - Moniri and Hassani (2024), for the decomposition into noise and a signal of low rank.
    - Benaych-Georges and Nadakuditi (2012), for a signal of low rank.

    Examples
    --------
    >>> import torch
    >>> from helpers import laws
    >>> bits = laws.seen_through(torch.sign, 60.0, h=1500, d=1000)
    >>> bits.visible, round(bits.right_overlap, 2)
    (True, 0.7)
    >>> laws.seen_through(torch.abs, 60.0, h=1500, d=1000).visible
    False
    """
    strength, h, d = real("strength", strength), integer("h", h), integer("d", d)
    power, size = integer("power", power), math.sqrt(h * d)
    if strength > _STRONGEST * size:
        raise ValueError(f"strength: got {strength}, expected at most {_STRONGEST:g} sqrt(h d) = {_STRONGEST * size:g}")
    x, weight = _half_line()
    smoothed = _smoothed(map, strength / size * x[-1] ** 2)
    t, root = strength / size * np.outer(x, x), np.sqrt(weight)
    values, mirrored = smoothed(t), smoothed(-t)
    found = []
    for odd, kernel in ((True, values - mirrored), (False, values + mirrored)):
        eigenvalues, vectors = np.linalg.eigh(root[:, None] * kernel / 2 * root)
        top = int(np.argmax(np.abs(eigenvalues)))
        # overlap of x^k: the odd and the even functions do not see each other
        cosine = abs(vectors[:, top] @ (root * x**power)) / np.linalg.norm(root * x**power) if odd == power % 2 else 0.0
        found.append((abs(eigenvalues[top]) * size, min(1.0, float(cosine))))
    effective, cosine = max(found)
    spike = spiked_singular_value(effective, h, d)
    return Spike(spike.value, cosine * spike.left_overlap, cosine * spike.right_overlap, spike.visible)


@lru_cache
def _half_line() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights for means of even functions over N(0, 1), from its positive half."""
    x, weight = (each.numpy() for each in gaussian_nodes(half_line=True))
    keep = (x > 0) & (weight > 1e-20)
    return x[keep], weight[keep] / weight[keep].sum()


def _smoothed(function: Callable[[Tensor], Tensor], reach: float) -> Callable[[np.ndarray], np.ndarray]:
    """t -> E q(xi + t) for -reach <= t <= reach, q the normalized function."""
    if not callable(function):
        raise TypeError(f"map: got {type(function).__name__}, expected a callable on tensors")
    step = max(_STEP, 2 * (reach + _REACH) / _MOST)
    half = math.ceil((reach + _REACH) / step)
    y = (np.arange(-half, half) + 0.5) * step  # no point at 0, where maps jump
    values = function(torch.from_numpy(y.copy()))
    if not isinstance(values, Tensor):
        raise TypeError(f"map: got {type(values).__name__} from it, expected a tensor")
    q = array("map", values, len(y)).double().cpu().numpy()
    density = np.exp(-(y**2) / 2)
    density /= density.sum()
    mean = density @ q
    variance = density @ (q - mean) ** 2
    if not variance > 1e-20 * (density @ q**2):
        raise ValueError("map: got a constant function, expected one that varies under N(0, 1)")
    lag = np.arange(-round(_REACH / step), round(_REACH / step) + 1) * step
    window = np.exp(-(lag**2) / 2)
    smooth = fftconvolve((q - mean) / math.sqrt(variance), window / window.sum(), mode="same")
    return lambda t: np.interp(t, y, smooth)
