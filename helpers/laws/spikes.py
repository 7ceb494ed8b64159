"""A rank-one spike on a Gaussian matrix: when it is seen, where, and how well its directions are recovered."""

import math
from dataclasses import dataclass

from .._checks import integer, real


@dataclass(frozen=True)
class Spike:
    """What the top singular triple of theta u v' + W shows of the spike, W (h x d) i.i.d. N(0, 1).

    Attributes
    ----------
    value : float
        The top singular value, in the units of W (divide by sqrt(h) for W / sqrt(h)).
    left_overlap : float
        Absolute cosine between the top left singular vector (h,) and u, not squared.
    right_overlap : float
        Absolute cosine between the top right singular vector (d,) and v, not squared.
    visible : bool
        Whether theta > (h d)^(1/4).

    Examples
    --------
    >>> from helpers import laws
    >>> spike = laws.spiked_singular_value(40.0, h=1500, d=1000)
    >>> spike.visible, round(spike.right_overlap, 4)
    (True, 0.5048)
    """

    value: float
    left_overlap: float
    right_overlap: float
    visible: bool


def spiked_singular_value(strength: float, h: int, d: int) -> Spike:
    """Limit of the top singular triple of theta u v' + W, W (h x d) i.i.d. N(0, 1).

    u (h,) and v (d,) are unit vectors independent of W. The spike is visible iff theta > (h d)^(1/4); then::

        value   = sqrt((theta^2 + h) (theta^2 + d)) / theta,
        left^2  = (theta^4 - h d) / (theta^2 (theta^2 + h)),
        right^2 = (theta^4 - h d) / (theta^2 (theta^2 + d)).

    Otherwise the value is the bulk's edge sqrt(h) + sqrt(d) and the overlaps are 0.

    Parameters
    ----------
    strength : float
        theta >= 0.
    h : int
        Rows of W.
    d : int
        Columns of W.

    Returns
    -------
    Spike
        In the units of W, whose entries have variance 1.

    Raises
    ------
    TypeError
        `strength` is not a real number, `h` or `d` is not an integer.
    ValueError
        `strength` is negative or not finite, `h` or `d` is not positive.

    References
    ----------
    Benaych-Georges and Nadakuditi (2012), in units where the entries have variance 1.

    Examples
    --------
    >>> from helpers import laws
    >>> round(laws.spiked_singular_value(40.0, h=1500, d=1000).value, 3)
    70.975
    """
    strength, h, d = real("strength", strength), integer("h", h), integer("d", d)
    power = strength**2
    if not strength > spike_threshold(h, d):
        return Spike(math.sqrt(h) + math.sqrt(d), 0.0, 0.0, False)
    gain = max(0.0, 1 - h * d / power**2)
    return Spike(
        value=math.sqrt((power + h) * (1 + d / power)),
        left_overlap=math.sqrt(gain / (1 + h / power)),
        right_overlap=math.sqrt(gain / (1 + d / power)),
        visible=True,
    )


def spike_threshold(h: int, d: int) -> float:
    """The strength (h d)^(1/4) beyond which a rank-one spike on W (h x d) i.i.d. N(0, 1) is seen.

    Parameters
    ----------
    h, d : int
        Rows and columns of the matrix.

    Returns
    -------
    float
        In the units of W.

    Raises
    ------
    TypeError, ValueError
        If a size is not an integer of at least 1.

    References
    ----------
    Benaych-Georges and Nadakuditi (2012).

    Examples
    --------
    >>> from helpers import laws
    >>> laws.spike_threshold(100, 100)
    10.0
    """
    return (integer("h", h) * integer("d", d)) ** 0.25
