"""Weak to strong: a ridge regression that is taught by another one, in closed form.

Labels are y = beta . x + noise, |beta| = 1, with x ~ N(0, I_d). The teacher is ridge regression on n_teacher such
samples, the student ridge regression on n_student fresh inputs with the teacher's outputs as labels. Both read
f(x) = w . x, so errors are squared distances |w - beta|^2.

With S = X'X / n, g = d / n and R = (S + l)^-1, the Marchenko-Pastur law gives r1 = tr R / d and r2 = tr R^2 / d = -r1'.
The map A = S R of the teacher's own labels, or of the student's, is as likely turned any way, so
    beta . A beta = 1 - l r1 = a1,    |A beta|^2 = 1 - 2 l r1 + l^2 r2 = a2.
Teacher w_t = A_t beta + R_t X'e / n:  p = w_t . beta = a1,  P = |w_t|^2 = a2 + noise^2 g (r1 - l r2).
Student w_s = A_s w_t:  E = 1 - 2 a1 p + a2 P, where A_s and w_t are independent.
"""

import math
from typing import NamedTuple

from .._checks import integer, real


class WeakToStrong(NamedTuple):
    """What `weak_to_strong` returns. Errors are E (f(x) - beta . x)^2, without label noise.

    Attributes
    ----------
    teacher_error : float
        Of the teacher.
    student_error : float
        Of the student.
    slope : float
        The teacher's calibration slope E y f / E f^2: below 1 it says too much, above 1 too little.
    power : float
        E f^2 of the teacher.

    Examples
    --------
    >>> from helpers import laws
    >>> taught = laws.weak_to_strong(0.05, 0.5, 2000, 2000, 1000, 1.0)
    >>> taught.student_error < taught.teacher_error
    True
    """

    teacher_error: float
    student_error: float
    slope: float
    power: float


def weak_to_strong(
    teacher_ridge: float, student_ridge: float, n_teacher: int, n_student: int, d: int, noise: float, *,
    free: float = 1.0,
) -> WeakToStrong:  # fmt: skip
    """The limit of ridge regression on the outputs of a ridge regression: no sample, no fit.

    Parameters
    ----------
    teacher_ridge : float
        Of ``|X w - y|^2 / n + ridge |w|^2``, above 0.
    student_ridge : float
        The same for the student, above 0.
    n_teacher : int
        Samples of the teacher, with noise in their labels.
    n_student : int
        Inputs of the student, all of them new; labels come from the teacher.
    d : int
        Inputs.
    noise : float
        Standard deviation of the label noise.
    free : float, default 1.0
        Weight of the target's direction in the student's penalty, ``ridge w'(I + (free - 1) beta beta') w``, at
        least 0: below 1 it spares the target, above 1 it is set against it.

    Returns
    -------
    WeakToStrong
        teacher_error, student_error, slope, power.

    Raises
    ------
    ValueError
        A size below 1, a ridge that is not above 0, a negative noise or weight.
    TypeError
        An argument of the wrong type.

    Notes
    -----
    With a penalty that is not isotropic, w_t = p beta + rest and z = free p / (1 + l (free - 1) r1)::

        E = (P - p^2) a2 + (1 - p)^2 + 2 (1 - p) l z r1 + l^2 z^2 r2.

    References
    ----------
    Moniri and Hassani (2025), for the question; the formulas were derived here.

    Examples
    --------
    >>> from helpers import laws
    >>> [round(laws.weak_to_strong(ridge, 0.3, 2000, 2000, 1000, 1.0).slope, 3) for ridge in (0.05, 0.5, 2.0)]
    [0.585, 1.0, 1.882]
    """
    ridge = real("teacher_ridge", teacher_ridge, positive=True)
    own = real("student_ridge", student_ridge, positive=True)
    n_teacher, n_student, d = integer("n_teacher", n_teacher), integer("n_student", n_student), integer("d", d)
    noise, free = real("noise", noise), real("free", free)
    r1, r2 = _resolvent(ridge, d / n_teacher)
    p = 1 - ridge * r1
    power = 1 - 2 * ridge * r1 + ridge**2 * r2 + noise**2 * d / n_teacher * (r1 - ridge * r2)
    r1, r2 = _resolvent(own, d / n_student)
    kept = free * p / (1 + own * (free - 1) * r1)
    along = (1 - p) ** 2 + 2 * (1 - p) * own * kept * r1 + (own * kept) ** 2 * r2
    student = (power - p**2) * (1 - 2 * own * r1 + own**2 * r2) + along
    return WeakToStrong(1 - 2 * p + power, student, p / power, power)


def _resolvent(ridge: float, ratio: float) -> tuple[float, float]:
    """The limits of tr R / d and tr R^2 / d, with R = (X'X / n + ridge)^-1 and ratio = d / n."""
    b = 1 - ratio + ridge
    root = math.sqrt(b**2 + 4 * ratio * ridge)
    r1 = 2 / (root + b) if b > 0 else (root - b) / (2 * ratio * ridge)
    return r1, r1 * (ratio * r1 + 1) / root
