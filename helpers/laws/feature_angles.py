"""The angle between the backward pass and the update of the features, by depth."""

import math

from .. import _checks


def feature_angle(depth: int, excess: float) -> float:
    """The cosine of the angle between features' update and backward pass at a layer of a wide random network.

    One step of gradient descent on one input, with rates such that every layer contributes the same to the features'
    motion: lr_k |input of layer k|^2 equal for all k. J, the Jacobian from one layer's features to the next, has
    singular values that are free of those of the other layers, with m_k the mean of their 2k-th powers.

    Parameters
    ----------
    depth : int
        The layer, at least 1.
    excess : float
        m_2 / m_1^2 - 1 of one layer, at least 0: 0 for orthogonal linear layers, 1 for Gaussian linear ones and for
        orthogonal ones with ReLU, 2 for Gaussian ones with ReLU.

    Returns
    -------
    float
        The limit of large width. It falls like sqrt(3 / (excess depth)).

    Raises
    ------
    ValueError, TypeError
        A depth below 1, an excess below 0.

    References
    ----------
    Chizat and Netrapalli (2023) for the angle and its decay with depth; the closed form is the book's own derivation.

    Examples
    --------
    >>> from helpers import laws
    >>> [round(laws.feature_angle(depth, excess=2.0), 3) for depth in (1, 2, 10, 20)]
    [1.0, 0.816, 0.386, 0.274]
    """
    depth, excess = _checks.integer("depth", depth), _checks.real("excess", excess)
    return 1 / math.sqrt(1 + excess * (depth - 1) * (2 * depth - 1) / (6 * depth))
