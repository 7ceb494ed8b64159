"""What a finite width and sample add to the limit law of the neural tangent kernel.

With R = s' - b and r = |v|^2/h, the first term of NTK = (X X'/d) o (S S'/h) + CK splits into
r b^2 X X'/d, the limit's linear part; T = b (E X X'/d + X X'/d E), E = diag(mean_k v_k^2 R_ik); and
(X X'/d) o (R V^2 R'/h), whose limit is r p I with p = E R^2 = a2 - b^2. Two parts of the last one are of
size n^(-1/2) and act like a free semicircle; their variances add up to `noise`:

- its diagonal fluctuates from sample to sample, through |x_i|^2/d and through the h neurons;
- its off-diagonal entries have n times their variance of order 1/n: a Hadamard product of Wisharts.

Together with the means of order 1/n that a direction outside the range of X X' feels (`shift`), they are all
that matters to the lower edge, where the limit law is steep and its distance from a sample is largest. What is
left is O(1/n), except where n > d + h: the limit then has an atom, which takes the shape of the diagonal's own
distribution rather than a semicircle's.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..activations import Activation, gaussian_nodes


@dataclass(frozen=True)
class Correction:
    """`noise`: variance of the semicircle to add freely; `shift`: what to add to every eigenvalue. Both O(1/n)."""

    noise: float
    shift: float


def tangent_kernel_correction(activation: Activation, n: int, d: int, h: int, readout_power: float) -> Correction:
    """Correction of the NTK's limit law for X (n x d) and W (h x d) i.i.d. N(0, 1), v i.i.d. N(0, r).

    Moments are over xi ~ N(0, 1), R = s'(xi) - b: p = E R^2, r1 = E xi R, r2 = E (xi^2 - 1) R / sqrt 2, and
    g(t) = E R(sqrt(t) xi)^2, the power of a sample of squared norm t d.

    Raises ValueError if b = 0: without a linear part there is no range of X X' to speak of.

    Source: second-order perturbation of the limit; derived in the chapter on random-matrix laws, checked by simulation.
    """
    b, r = activation.linear_coefficient, readout_power
    if b == 0:
        raise ValueError("activation: got linear_coefficient 0, expected another value for a finite-size law")
    xi, weight = gaussian_nodes(half_line=activation.name == "relu")
    power = np.asarray(activation.derivative(xi) - b)
    xi, weight = xi.numpy(), weight.numpy()
    p, fourth = float(weight @ power**2), float(weight @ power**4)
    r1, r2 = float(weight @ (xi * power)), float(weight @ ((xi**2 - 1) * power)) / math.sqrt(2)
    slope = float(weight @ ((xi**2 - 1) * power**2)) / 2  # g'(1)
    curvature = float(weight @ ((xi**4 - 6 * xi**2 + 3) * power**2)) / 4  # g''(1)

    diagonal = 2 / d * (p + slope) ** 2 + 3 / h * (fourth - p**2)
    off_diagonal = 3 * n * p**2 / (d * h) + 2 * n * r1**4 / d**2

    norms = (2 * slope + curvature) / d  # E t g(t) - g(1), t = |x_i|^2/d of variance 2/d
    hermite = -(r1**2 + 3 * r2**2) / d  # the off-diagonal's mean is r1^2/d (11' - I) + 3 r2^2/d (X X'/d - I)
    leverage = -4 / d * (0.5 + r2 / (math.sqrt(2) * b)) * (p + slope)  # a long row has more power, and less null space
    turning = -3 * p / h  # T = r b^2 [(I + E/rb) (X X'/d) (I + E/rb) - X X'/d] - E (X X'/d) E / r: the last term
    return Correction(r**2 * (diagonal + off_diagonal), r * (norms + hermite + leverage + turning))
