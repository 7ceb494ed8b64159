"""Adam's first step on the first layer, on all samples, and a null for the gradient that it takes the sign of.

The setting is that of `one_step`: f(x) = output_scale v . s(W x / sqrt d) / sqrt h, W (h, d) and v (h,) i.i.d. N(0, 1),
labels y = t(beta . x) + noise, the loss |f(X) - y|^2 / (2n). Adam has no memory before its first step and moves by
-rate * sign(G), with
    -G_kj = v_k / (n sqrt(h d)) sum_i e_i s'(z_ki) x_ij,  e = y - f(X).
The slope is b plus a rest of variance a2 - b^2. So the sign of an entry is that of a mean b m_j, m = X'e / n, plus
Gaussian noise of variance tau^2 = (a2 - b^2) |e|^2 / n^2:
    -sign(G) = sign(v) q' + N,  q_j = erf(b m_j / (sqrt 2 tau)),  E N_kj^2 = 1 - q_j^2,
a spike and independent entries. As in `one_step`, errors contain W through the output of the start, and the spike
meets W'sign(v) / sqrt h at an angle that is not a right one.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .._checks import Array, array, integer, real
from ..activations import Activation, normalized
from .first_step import one_step
from .spikes import spiked_singular_value


@dataclass(frozen=True)
class AdamStep:
    """W1 (h, d) after one step of Adam on all samples.

    Attributes
    ----------
    share : float
        Of the squared Frobenius norm of the step, what its spike carries.
    strength : float
        Of the spike, ``rate * sqrt(share * h * d)``.
    effective_strength : float
        Strength of the independent spike that would do the same; 0 if its square is negative.
    stretch : float
        Factor of the bulk, which the rest of the step widens.
    value : float
        Top singular value of W1, unnormalized; the stretched bulk's edge where the limit has no outlier.
    visible : bool
        effective_strength > stretch * (h d)^(1/4).
    teacher_overlap : float
        Absolute cosine of the top right singular vector of W1 and beta; 0 if not visible.
    threshold_rate : float
        The rate above which the spike is visible; infinite where no rate is enough.

    Examples
    --------
    >>> from helpers import laws
    >>> step = laws.one_adam_step("tanh", rate=0.1, n=2000, d=1000, h=1500)
    >>> step.visible, round(step.teacher_overlap, 2), round(step.threshold_rate, 3)
    (True, 0.54, 0.048)
    """

    share: float
    strength: float
    effective_strength: float
    stretch: float
    value: float
    visible: bool
    teacher_overlap: float
    threshold_rate: float


def one_adam_step(
    activation: str | Activation, rate: float, n: int, d: int, h: int, *,
    teacher: str | Activation = "tanh", noise: float = 0.3, output_scale: float = 1.0,
) -> AdamStep:  # fmt: skip
    """The limit of W1 after one full-batch step of Adam, from these numbers alone, its epsilon negligible.

    Parameters
    ----------
    activation : str or Activation
        s, the student's, normalized.
    rate : float
        Learning rate, 0 or more: every entry of W moves by it.
    n : int
        Samples.
    d : int
        Inputs.
    h : int
        Hidden units.
    teacher : str or Activation, default "tanh"
        t, normalized.
    noise : float, default 0.3
        Standard deviation of the label noise.
    output_scale : float, default 1.0
        Multiplies v; above 0.

    Returns
    -------
    AdamStep
        The limit of large n, d and h.

    Raises
    ------
    ValueError
        A negative or non-finite number, a size below 1, an unknown name.
    TypeError
        An argument of the wrong type.

    See Also
    --------
    one_step : The same for gradient descent.

    Notes
    -----
    With B = output_scale b, P = 1 + noise^2 + output_scale^2, size as in `one_step`, and
    T = b size / sqrt((a2 - b^2) P d / n)::

        share  = (2 / pi) arcsin(T^2 / (1 + T^2)),    stretch^2 = 1 + rate^2 (1 - share),
        cosine = T sqrt(2 / pi) / sqrt(share (1 + T^2))  of q and m,
        g . w  = -sqrt(2 / pi) B sqrt(d) cosine / size,
        effective_strength^2 = strength^2 + 2 strength (g . w).

    The noise counts as independent entries. It is a little correlated, as m is, and at rates of order one this moves
    the edge of the bulk, not the outlier.

    References
    ----------
    - Benaych-Georges and Nadakuditi (2012), for the rank-one theory.
    - Kothapalli et al. (2024), who find the rate at which one such step learns a feature.

    Examples
    --------
    >>> from helpers import laws
    >>> step = laws.one_adam_step("tanh", rate=1.0, n=2000, d=1000, h=1500)
    >>> round(step.share, 2), round(step.stretch, 2)
    (0.73, 1.13)
    """
    s, gradient = normalized(activation), one_step(
        activation, 1.0, n, d, h, teacher=teacher, noise=noise, output_scale=output_scale
    )  # fmt: skip
    rate, entries = real("rate", rate), math.sqrt(h * d)
    scale, power = output_scale * s.linear_coefficient, 1 + noise**2 + output_scale**2
    size = gradient.strength * math.sqrt(d) / abs(scale)  # of m
    bent = math.sqrt(max(s.derivative_power - s.linear_coefficient**2, 0.0) * power * d / n)
    signal = math.hypot(1.0, bent / (s.linear_coefficient * size)) ** -2  # T^2 / (1 + T^2), 1 for a linear s
    share = 2 / math.pi * math.asin(signal)
    cosine = math.sqrt(2 / math.pi * signal / share)
    gw = -math.sqrt(2 / math.pi) * scale * math.sqrt(d) * cosine / size

    strength, stretch = rate * math.sqrt(share) * entries, math.sqrt(1 + rate**2 * (1 - share))
    power = strength * (strength + 2 * gw)
    seen = spiked_singular_value(math.sqrt(max(power, 0.0)) / stretch, h, d)
    toward = strength * gradient.gradient_teacher_overlap * cosine / math.sqrt(d * stretch**2 + power)  # of the spike
    on_spike = math.sqrt(1 - (entries * stretch**2 / power) ** 2) if seen.visible else 0.0
    # the rate solves strength^2 + 2 strength g.w = entries stretch^2
    lead, half = share * entries - (1 - share), math.sqrt(share) * gw
    return AdamStep(
        share=share,
        strength=strength,
        effective_strength=math.sqrt(max(power, 0.0)),
        stretch=stretch,
        value=stretch * seen.value,
        visible=seen.visible,
        teacher_overlap=on_spike * toward,
        threshold_rate=(math.sqrt(half**2 + lead) - half) / lead if lead > 0 else math.inf,
    )


def product_null(x: Array, errors: Array, readout: Array, *, seed: int = 0) -> Tensor:
    """Singular values that the first gradient would have if its slopes were independent numbers, and its spike gone.

    Those of diag(v) A diag(r) X / (n sqrt(h d)), with A (h, n) i.i.d. N(0, 1) in place of (s' - b) / sqrt(a2 - b^2).
    Nothing is learned in it, yet it is heavy-tailed: a product of random matrices with random scales between them.

    Parameters
    ----------
    x : tensor or array, (n, d)
        Inputs X.
    errors : tensor or array, (n,)
        Errors r of the network at the start; ones take their scales out.
    readout : tensor or array, (h,)
        v; ones take its scales out.
    seed : int, default 0
        Of A, at least 0.

    Returns
    -------
    Tensor, (min(h, d),), float64
        Descending, in the units of the gradient of ``|f(X) - y|^2 / (2n)`` with respect to W. Multiply by
        sqrt(a2 - b^2) of the activation to compare. Where n is below min(h, d), the others are zero up to rounding.

    Raises
    ------
    TypeError, ValueError
        Shapes that do not fit, entries that are not finite, a negative seed.

    Notes
    -----
    For Gaussian x, errors and readout the squares, over their mean, have the second moment 1 + 3 d/n + 3 d/h. Without
    the two scales it is 1 + d/n + d/h.

    References
    ----------
    Derived here. Products of random matrices: Burda, Jarosz, Livan, Nowak and Swiech (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import laws, spectra
    >>> rng = np.random.default_rng(0)
    >>> x, r, v = rng.standard_normal((400, 200)), rng.standard_normal(400), rng.standard_normal(300)
    >>> values = laws.product_null(x, r, v)
    >>> plain = laws.product_null(x, np.ones(400), np.ones(300))
    >>> round(spectra.hill(values**2), 1), round(spectra.hill(plain**2), 1)
    (1.6, 2.0)
    """
    x = array("x", x, None, None)
    n, d = x.shape
    r, v = array("errors", errors, n).to(x), array("readout", readout, None).to(x)
    h, rng = len(v), torch.Generator().manual_seed(integer("seed", seed, 0))
    slopes = torch.randn(h, n, generator=rng, dtype=x.dtype if x.dtype == torch.float64 else torch.float32).to(x)
    product = (v[:, None] * slopes) @ (r[:, None] * x)
    gram = (product @ product.T if h < d else product.T @ product).double()
    return torch.linalg.eigvalsh(gram).flip(0).clamp_min(0).sqrt() / (n * math.sqrt(h * d))
