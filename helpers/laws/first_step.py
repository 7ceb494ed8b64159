"""The first gradient step on the first layer: a spike, where it appears, and what it points at.

A student f(x) = output_scale v . s(W x / sqrt d) / sqrt h, with W (h, d) and v (h,) i.i.d. N(0, 1), takes one
full-batch gradient step W1 = W - rate * grad on |f(X) - y|^2 / (2n), with X (n, d) i.i.d. N(0, 1) and labels
y = t(beta . x) + noise, |beta| = 1. (A network's readout is output_scale v.) Write u = v / |v|. The gradient is
close to rank one (Ba et al. 2022):
    -rate * grad = strength * u w',  w = X'r / |X'r|,  r = y - f0(X).
r contains f0, hence W, through g = W'v / |v|. But W = W_perp + u g' with u'W_perp = 0, so
    W1 = W_perp + u q',  q = g + strength * w,  W1'W1 = W_perp'W_perp + q q'.
W_perp is independent of g, and of w to leading order, so the rank-one theory of Benaych-Georges and Nadakuditi
(2012) holds for q: the spike acts with effective_strength^2 = |q|^2 - d = strength^2 + 2 strength (g . w).
`one_step` is the limit of large n, d, h; `one_step_draws` samples finite ones.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import eigh_tridiagonal

from .._checks import integer, real
from ..activations import Activation, normalized


@dataclass(frozen=True)
class OneStep:
    """W1 (h, d) after one step. Every overlap is the absolute cosine of two unit vectors.

    Attributes
    ----------
    strength : float
        Top singular value of rate * grad.
    effective_strength : float
        Strength of the independent spike that would do the same; 0 if its square is negative.
    value : float
        Top singular value of W1, unnormalized; the bulk edge sqrt h + sqrt d where the limit has no spike.
    visible : bool
        effective_strength > (h d)^(1/4).
    gradient_overlap : float
        Top right singular vector of W1 with w, the gradient's input side; 0 if not visible.
    teacher_overlap : float
        Top right singular vector of W1 with beta; 0 if not visible.
    readout_overlap : float
        Top left singular vector of W1 with ``v / |v|``; 0 if not visible.
    gradient_teacher_overlap : float
        w with beta, whatever the rate.
    threshold_rate : float
        The rate at which effective_strength = (h d)^(1/4) in the limit.

    Examples
    --------
    >>> from helpers import laws
    >>> step = laws.one_step("tanh", rate=2000.0, n=2000, d=1000, h=1500)
    >>> step.visible, round(step.teacher_overlap, 3)
    (True, 0.644)
    """

    strength: float
    effective_strength: float
    value: float
    visible: bool
    gradient_overlap: float
    teacher_overlap: float
    readout_overlap: float
    gradient_teacher_overlap: float
    threshold_rate: float


def _teacher(teacher: str | Activation) -> Activation:
    try:
        return normalized(teacher)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("activation", "teacher", 1)) from None


def one_step(
    activation: str | Activation, rate: float, n: int, d: int, h: int, *,
    teacher: str | Activation = "tanh", noise: float = 0.3, output_scale: float = 1.0,
) -> OneStep:  # fmt: skip
    """The limit of W1's spike after one step, from these numbers alone; the setting is the module's.

    Seeds scatter around the limit (at n=2000, d=1000, h=1500 the strength by 3 to 4.5%). Overlaps also round off within
    about 20% of the threshold. `one_step_draws` gives both.

    Parameters
    ----------
    activation : str or Activation
        s, the student's, normalized.
    rate : float
        Learning rate of the loss ``|f(X) - y|^2 / (2n)``, 0 or more.
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
    OneStep
        The limit of large n, d and h.

    Raises
    ------
    ValueError
        A negative or non-finite number, a size below 1, an unknown name.
    TypeError
        An argument of the wrong type.

    Notes
    -----
    With b = E s', c1 = E t' and B = output_scale b::

        |X'r / n|^2 = size^2 = c1^2 + B^2 + (d/n) (1 + noise^2 + output_scale^2),
        strength = rate B size / sqrt d,    g . w = -B sqrt d / size,    w . beta = c1 / size.

    References
    ----------
    - Ba et al. (2022), for the gradient that is close to rank one.
    - Benaych-Georges and Nadakuditi (2012), for the rank-one theory.

    Examples
    --------
    >>> from helpers import laws
    >>> step = laws.one_step("tanh", rate=2000.0, n=2000, d=1000, h=1500)
    >>> round(step.threshold_rate), round(step.strength, 2)
    (1100, 104.0)
    """
    n, d, h = integer("n", n), integer("d", d), integer("h", h)
    rate, noise = real("rate", rate), real("noise", noise)
    output_scale = real("output_scale", output_scale, positive=True)
    b, c1 = output_scale * normalized(activation).linear_coefficient, _teacher(teacher).linear_coefficient
    size = math.sqrt(c1**2 + b**2 + d / n * (1 + noise**2 + output_scale**2))
    per_rate, gw = b * size / math.sqrt(d), -b * math.sqrt(d) / size

    strength, threshold = rate * per_rate, math.sqrt(h * d)
    power = strength * (strength + 2 * gw)  # effective_strength^2
    visible, length = power > threshold, math.sqrt(d + power)  # length = |q|
    value = math.sqrt(1 + h / power) * length if visible else math.sqrt(h) + math.sqrt(d)
    on_q = math.sqrt(1 - (threshold / power) ** 2) if visible else 0.0  # cosine of the right vector and q
    return OneStep(
        strength=strength,
        effective_strength=math.sqrt(max(power, 0.0)),
        value=value,
        visible=visible,
        gradient_overlap=on_q * (strength + gw) / length,
        teacher_overlap=on_q * strength * c1 / size / length,
        readout_overlap=on_q * length / value,
        gradient_teacher_overlap=c1 / size,
        threshold_rate=(math.sqrt(gw**2 + threshold) - gw) / per_rate,
    )


def one_step_draws(
    activation: str | Activation, rate: float, n: int, d: int, h: int, *, teacher: str | Activation = "tanh",
    noise: float = 0.3, output_scale: float = 1.0, draws: int = 200, seed: int = 0,
) -> list[OneStep]:  # fmt: skip
    """Samples of W1's spike after one step at finite sizes, without the matrices: O(n + d + h) each.

    Their mean is what networks average to, at the threshold too; their scatter is what seeds do. For a table, use
    pandas.DataFrame of the list.

    Parameters
    ----------
    activation : str or Activation
        As in `one_step`.
    rate : float
        As in `one_step`.
    n : int
        Samples.
    d : int
        Inputs, at least 3.
    h : int
        Hidden units, at least 2.
    teacher : str or Activation, default "tanh"
        As in `one_step`.
    noise : float, default 0.3
        As in `one_step`.
    output_scale : float, default 1.0
        As in `one_step`.
    draws : int, default 200
        The number of samples.
    seed : int, default 0
        Of all draws.

    Returns
    -------
    list of OneStep
        One for each draw. `threshold_rate` is the limit's.

    Raises
    ------
    ValueError
        As in `one_step`; d below 3, h below 2, draws below 1, a negative seed.
    TypeError
        As in `one_step`; draws or a seed that is no integer.

    Notes
    -----
    Two things are idealized, no more. The gradient is rank one. The nonlinear part of f0 is independent noise of the
    same power.

    References
    ----------
    - Dumitriu and Edelman (2002), for the bidiagonal matrix of chi variables.
    - Ramirez, Rider and Virag (2011), for the decay of its top vector.

    Examples
    --------
    >>> from helpers import laws
    >>> steps = laws.one_step_draws("tanh", rate=2000.0, n=200, d=100, h=150, draws=20)
    >>> len(steps), steps[0].visible
    (20, True)
    """
    limit = one_step(activation, rate, n, d, h, teacher=teacher, noise=noise, output_scale=output_scale)
    n, d, h, draws = integer("n", n), integer("d", d, 3), integer("h", h, 2), integer("draws", draws)
    rng, b, t = np.random.default_rng(integer("seed", seed, 0)), normalized(activation), _teacher(teacher)
    return [
        _draw(rng, b.linear_coefficient, t, rate, n, d, h, noise, output_scale, limit.threshold_rate)
        for _ in range(draws)
    ]


def _draw(
    rng: np.random.Generator, b: float, t: Activation, rate: float, n: int, d: int, h: int, noise: float, scale: float,
    threshold_rate: float,
) -> OneStep:  # fmt: skip
    # three axes: beta; the rest of g; the rest of X'r
    scale = scale * math.sqrt(rng.chisquare(h) / h)  # |v| is not sqrt h
    g = np.array([rng.standard_normal(), math.sqrt(rng.chisquare(d - 1)), 0.0])
    x = rng.standard_normal((n, 2))
    f0 = scale * (b * x @ g[:2] / math.sqrt(d) + math.sqrt(max(1 - b**2, 0)) * rng.standard_normal(n))
    r = t(torch.from_numpy(x[:, 0])).numpy() + noise * rng.standard_normal(n) - f0
    pull = np.append(r @ x, np.linalg.norm(r) * math.sqrt(rng.chisquare(d - 2))) / n  # X'r / n
    strength, w = rate * scale * b * np.linalg.norm(pull) / math.sqrt(d), pull / np.linalg.norm(pull)
    q = g + strength * w
    length = float(np.linalg.norm(q))
    value, on_q = _top_singular(rng, length, d, h)

    def right_overlap(direction: np.ndarray) -> float:
        cosine = direction @ q / length  # off q the singular vector is uniform
        rest = math.sqrt(max((1 - on_q**2) * (1 - cosine**2), 0))
        z = rng.standard_normal()
        return float(abs(on_q * cosine + rest * z / math.sqrt(z**2 + rng.chisquare(d - 2))))

    power = float(length**2 - d)
    return OneStep(
        strength=float(strength),
        effective_strength=math.sqrt(max(power, 0.0)),
        value=value,
        visible=power > math.sqrt(h * d),
        gradient_overlap=right_overlap(w),
        teacher_overlap=right_overlap(np.array([1.0, 0.0, 0.0])),
        readout_overlap=float(on_q * length / value),
        gradient_teacher_overlap=float(abs(w[0])),
        threshold_rate=threshold_rate,
    )


def _top_singular(rng: np.random.Generator, length: float, d: int, h: int) -> tuple[float, float]:
    """Top singular value of W_perp + u q' and |cosine| of its right vector and q, sampled given |q|.

    Householder steps from q turn W_perp into a bidiagonal of chi variables (Dumitriu and Edelman 2002). Its top vector
    falls off like an Airy function on the scale d^(1/3) (Ramirez, Rider and Virag 2011), to less than rounding where
    the matrix is cut.
    """
    k = np.arange(1, d + 1)
    diagonal = np.sqrt(rng.chisquare(np.maximum(h - k, 1)) * (k < h))
    above = np.sqrt(rng.chisquare(d - k[:-1]) * (k[:-1] < h))
    main, beside = diagonal**2 + np.append(length**2, above**2), diagonal[:-1] * above
    cut = min(d, 20 + math.ceil(12 * d ** (1 / 3)))
    top, vector = eigh_tridiagonal(main[:cut], beside[: cut - 1], select="i", select_range=(cut - 1, cut - 1))
    return math.sqrt(top[0]), float(abs(vector[0, 0]))
