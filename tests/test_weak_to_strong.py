"""The closed form of weak-to-strong ridge regression, against fresh samples and against its limits."""

import numpy as np
import pytest

from helpers import laws


def sampled(d, seed, teacher_ridge, student_ridge, ratios, noise, free=1.0):
    """Errors of teacher and student, slope and power of a draw; ratios n / d of both."""
    rng = np.random.default_rng(seed)
    beta = rng.standard_normal(d)
    beta /= np.linalg.norm(beta)
    n, m = (int(ratio * d) for ratio in ratios)
    x, own = rng.standard_normal((n, d)), rng.standard_normal((m, d))
    y = x @ beta + noise * rng.standard_normal(n)
    teacher = np.linalg.solve(x.T @ x / n + teacher_ridge * np.eye(d), x.T @ y / n)
    penalty = student_ridge * (np.eye(d) + (free - 1) * np.outer(beta, beta))
    student = np.linalg.solve(own.T @ own / m + penalty, own.T @ (own @ teacher) / m)
    power = teacher @ teacher
    return np.array([sum((teacher - beta) ** 2), sum((student - beta) ** 2), beta @ teacher / power, power])


CASES = [
    (0.05, 0.3, (2.0, 2.0), 1.0, 1.0), (0.5, 1.0, (2.0, 0.5), 1.0, 1.0), (2.0, 0.1, (0.7, 3.0), 0.3, 1.0),
    (0.5, 1.0, (2.0, 2.0), 1.0, 0.0), (0.5, 1.0, (2.0, 0.5), 1.0, 3.0),
]  # fmt: skip


@pytest.mark.parametrize("teacher_ridge, student_ridge, ratios, noise, free", CASES)
def test_fresh_samples_come_closer_with_their_size(teacher_ridge, student_ridge, ratios, noise, free):
    off = {}
    for d, draws in ((40, 60), (320, 12)):
        n, m = (int(ratio * d) for ratio in ratios)
        law = np.array(laws.weak_to_strong(teacher_ridge, student_ridge, n, m, d, noise, free=free))
        found = [sampled(d, seed, teacher_ridge, student_ridge, ratios, noise, free) for seed in range(draws)]
        off[d] = np.array(found) / law - 1
    spread = {d: np.sqrt((o**2).mean()) for d, o in off.items()}
    assert spread[320] < 0.6 * spread[40]  # 1 / sqrt 8 is expected
    assert np.abs(off[320].mean(0)).max() < 0.04


@pytest.mark.parametrize("free", [0.0, 0.5, 1.0, 4.0])
def test_a_student_of_everything_is_its_teacher(free):
    """No ridge and more inputs than directions: the teacher is reproduced."""
    taught = laws.weak_to_strong(0.1, 1e-9, 2000, 3000, 1000, 1.0, free=free)
    assert taught.student_error == pytest.approx(taught.teacher_error, rel=1e-6)


def test_few_inputs_without_a_ridge_are_a_projection():
    taught = laws.weak_to_strong(0.1, 1e-9, 2000, 400, 1000, 1.0)
    p = taught.slope * taught.power
    assert taught.student_error == pytest.approx(1 + 0.4 * (taught.power - 2 * p), rel=1e-6)


def test_a_large_ridge_forgets_all_that_is_not_spared():
    all_, spared = (laws.weak_to_strong(0.1, 1e9, 2000, 2000, 1000, 1.0, free=free) for free in (1.0, 0.0))
    assert all_.student_error == pytest.approx(1)
    assert spared.student_error == pytest.approx((1 - spared.slope * spared.power) ** 2)


def test_countless_inputs_shrink_the_teacher():
    """S = I: the student is the teacher times 1 / (1 + ridge), and the best one is the slope."""
    for ridge in (0.2, 1.0):
        taught, shrink = laws.weak_to_strong(0.1, ridge, 2000, 10**10, 1000, 1.0), 1 / (1 + ridge)
        wanted = 1 + taught.power * (shrink**2 - 2 * shrink * taught.slope)
        assert taught.student_error == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("noise, n", [(1.0, 2000), (0.3, 500), (0.5, 1000)])
def test_the_bayes_ridge_is_calibrated_and_best(noise, n):
    bayes = noise**2 * 1000 / n
    errors = [laws.weak_to_strong(bayes * k, 1.0, n, 2000, 1000, noise) for k in (0.9, 1.0, 1.1)]
    assert errors[1].slope == pytest.approx(1) and errors[0].slope < 1 < errors[2].slope
    assert errors[1].teacher_error == min(e.teacher_error for e in errors)


def test_without_noise_the_teacher_is_the_learning_curve_of_a_linear_kernel():
    """The book's older law: ridge in units of X X' / d, the label noise in the test loss."""
    ridge, n, d, noise = 0.3, 900, 600, 0.4
    curve = laws.kernel_ridge_curve(
        "identity", n, d, 100, ridges=[ridge * n / d], kernel="linear", teacher="identity", noise=noise
    )
    wanted = 2 * curve.test_loss[0] - noise**2
    assert laws.weak_to_strong(ridge, 1.0, n, 500, d, noise).teacher_error == pytest.approx(wanted, rel=1e-6)


GOOD = dict(teacher_ridge=0.1, student_ridge=0.1, n_teacher=20, n_student=20, d=10, noise=0.3)


@pytest.mark.parametrize(
    "change, error",
    [
        (dict(teacher_ridge=0.0), ValueError), (dict(student_ridge=-1.0), ValueError), (dict(n_teacher=0), ValueError),
        (dict(n_student=2.5), TypeError), (dict(d="10"), TypeError), (dict(noise=-0.1), ValueError),
        (dict(free=-1.0), ValueError), (dict(teacher_ridge="small"), TypeError),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(change, error):
    with pytest.raises(error, match=rf"^{next(iter(change))}: "):
        laws.weak_to_strong(**GOOD | change)
