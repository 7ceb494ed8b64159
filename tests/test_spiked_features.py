"""laws.SpikedFeatures against older laws of the book, a second derivation, closed limits, and sampled matrices."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.polynomial.hermite_e import hermegauss

from helpers import laws
from helpers.activations import hermite_coefficients, normalized

KAPPA, W_KAPPA = hermegauss(80)
W_KAPPA = W_KAPPA / W_KAPPA.sum()
SIZES = [(200, 100, 150), (2000, 1000, 1500), (500, 400, 900), (600, 700, 300)]
TEACHER = [0.0, 0.6, 0.8]


# older laws of the book


@pytest.mark.parametrize("n, d, h", SIZES)
def test_without_a_shift_the_bulk_is_that_of_the_conjugate_kernel(n, d, h):
    law = laws.SpikedFeatures("tanh", [0.0], [h], n, d).law()
    kernel = laws.conjugate_kernel_law("tanh", n, d, h)
    x = np.linspace(0.02, 1.1 * law.support[-1][1], 60)
    zeros = np.array([h - n, 0]) if n < h else np.array([0, h - n])  # of F'F/n, against those of FF'/h
    expected = (kernel.cdf(x * n / h) * n + zeros.sum()) / h
    np.testing.assert_allclose(law.cdf(x), expected, atol=2e-4)
    assert law.support[-1][1] == pytest.approx(kernel.support[-1][1] * h / n, rel=1e-4)
    assert law.atom == pytest.approx(max(0, 1 - n / h), abs=1e-3)


@pytest.mark.parametrize("groups", [1, 3])
def test_without_a_shift_the_error_is_that_of_kernel_ridge_regression(groups):
    n, d, h, ridges = 600, 300, 450, [0.03, 0.3, 3.0]
    features = laws.SpikedFeatures("softplus", [0.0] * groups, [h / groups] * groups, n, d)
    coefficients = hermite_coefficients("tanh", 60).tolist()
    rest = 1 - sum(c**2 for c in coefficients)  # beyond the terms: noise
    curve = laws.kernel_ridge_curve("softplus", n, d, h, ridges=[r * n / h for r in ridges], kernel="ck")
    for overlap in (0.0, -0.5, 1.0):  # no direction is special
        found = [features.ridge_error(r, overlap, coefficients, math.sqrt(0.09 + rest)) for r in ridges]
        np.testing.assert_allclose(found, 2 * curve.test_loss, rtol=1e-5)


@pytest.mark.parametrize("strength", [0.5, 1.1, 2.0, 6.0])
@pytest.mark.parametrize("readout", [None, [-1, 1]])
def test_linear_units_and_many_samples_show_the_spike_of_w(strength, readout):
    """s(z) = z and n -> inf: F'F/n is W1 W1'/d."""
    d, h = 400, 600
    strength *= laws.spike_threshold(h, d)
    spike = laws.spiked_singular_value(strength, h, d)
    found = laws.feature_spikes("identity", strength, 10**9, d, h, readout=readout)
    assert len(found) == spike.visible
    if spike.visible:
        assert found[0].value == pytest.approx(spike.value**2 / d, rel=1e-4)
        assert found[0].degree == 1
        assert found[0].overlap == pytest.approx(spike.right_overlap, rel=1e-3)  # x goes in along W1's right vector


def test_a_step_of_the_book_is_seen_where_one_step_says():
    step = laws.one_step("identity", 3000.0, 10**9, 400, 600)
    found = laws.feature_spikes("identity", step.effective_strength, 10**9, 400, 600)
    assert found[0].value == pytest.approx(step.value**2 / 400, rel=1e-3)


# a second derivation, for odd activations and a readout of two signs: leave-one-out


def left_one_out(activation, shift, overlap, teacher, n, d, h, ridge, noise):
    """Test error by a fixed point of two numbers; the ridge is in units of F'F/h."""
    s = normalized(activation)
    xi, w_xi = hermegauss(120)
    w_xi = w_xi / w_xi.sum()
    values = s(torch.from_numpy(shift * KAPPA[:, None] + xi)).numpy()
    m0, m1 = values @ w_xi, values @ (w_xi * xi)
    rest = values**2 @ w_xi - m0**2 - m1**2
    seen = overlap * KAPPA[:, None] + math.sqrt(1 - overlap**2) * xi
    t = teacher[1] * seen + teacher[2] * (seen**2 - 1) / math.sqrt(2)
    along, across, power = t @ w_xi, t @ (w_xi * xi), t**2 @ w_xi
    x, w = laws.marchenko_pastur(d / h).nodes(2000)
    x, w = np.append(x * h / d, 0), np.append(w / w.sum() * d / h, 1 - d / h)  # of W W'/d
    v = np.ones_like(KAPPA)
    for _ in range(3000):
        q = 1 / (ridge + n / h * (W_KAPPA @ (m1**2 / (1 + v)) * x + W_KAPPA @ (rest / (1 + v))))
        tau = w @ (x * q)
        v = 0.5 * v + 0.5 * (m1**2 * tau + rest * (w @ q))
    weight = W_KAPPA / (1 + v)

    def mean(f):
        return weight @ f

    slack = mean(KAPPA**2 * m1**2) - mean(m1**2)
    system = [[mean(m0**2) + 1 / (n * (w @ q)), mean(m0 * m1 * KAPPA)],
              [n / d * tau * mean(m1 * KAPPA * m0), 1 + n / d * tau * slack]]  # fmt: skip
    a, slope = np.linalg.solve(system, [mean(m0 * along), n / d * tau * mean(m1 * KAPPA * along)])
    c_w = mean(m1 * KAPPA * (along - a * m0)) - slope * slack
    c_1 = mean(m1 * across)
    b = n / d * tau * c_1
    fitted = a * m0 + m1 * slope * KAPPA
    base = power + noise**2 - 2 * fitted * along + fitted**2 - 2 * m1 * b * across + m1**2 * b**2

    def update(q1, q0):
        left = (base + m1**2 * (q1 - b**2 - slope**2) + rest * q0) / (1 + v) ** 2
        first, noise_ = W_KAPPA @ (m1**2 * left), W_KAPPA @ (rest * left)
        pull, two, one, zero = n**2 / (h * d) * (c_1**2 + c_w**2), w @ (x * q) ** 2, w @ (x * q**2), w @ q**2
        return np.array([pull * two + n / h * (first * two + noise_ * one),
                         pull * one + n / h * (first * one + noise_ * zero)])  # fmt: skip

    start = update(0, 0)
    q1, q0 = np.linalg.solve(np.eye(2) - np.stack([update(1, 0) - start, update(0, 1) - start], 1), start)
    return W_KAPPA @ (base + m1**2 * (q1 - b**2 - slope**2) + rest * q0)


@pytest.mark.parametrize("shift", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("overlap", [0.0, 0.7, 1.0])
def test_leave_one_out_gives_the_same_error(shift, overlap):
    n, d, h, ridge = 200_000, 100_000, 150_000, 0.2
    features = laws.SpikedFeatures("tanh", [-shift, shift], [h / 2, h / 2], n, d)
    expected = left_one_out("tanh", shift, overlap, TEACHER, n, d, h, ridge * n / h, 0.3)
    assert features.ridge_error(ridge, overlap, TEACHER) == pytest.approx(expected, rel=1e-3)


# closed limits


def test_many_samples_and_units_learn_what_the_words_can_say():
    """n >> h >> d, and a giant step: least squares of the target by S(a kappa) and S(-a kappa), or with a constant."""
    features = laws.SpikedFeatures("softplus", [-1.0, 1.0], [5e5, 5e5], 10**9, 20)
    s, x = normalized("softplus"), torch.from_numpy(KAPPA)
    nodes, w = hermegauss(120)
    w = torch.from_numpy(w / w.sum())
    words = torch.stack([s(sign * x[:, None] + torch.from_numpy(nodes)) @ w for sign in (-1, 1)]).numpy()
    target = 0.6 * KAPPA + 0.8 * (KAPPA**2 - 1) / math.sqrt(2)
    for constant in (False, True):
        basis = np.vstack([words, KAPPA * slopes(s), np.ones((int(constant), len(KAPPA)))])
        fit = np.linalg.lstsq((basis * np.sqrt(W_KAPPA)).T, target * np.sqrt(W_KAPPA), rcond=None)[0]
        left = W_KAPPA @ (target - fit @ basis) ** 2 + 0.09
        assert features.ridge_error(1e-3, 1.0, TEACHER, intercept=constant) == pytest.approx(left, abs=2e-3)
        found = features.learned_function(KAPPA[30:50], 1e-3, 1.0, TEACHER, intercept=constant)
        np.testing.assert_allclose(found, (fit @ basis)[30:50], atol=0.02)


def slopes(s):
    nodes, w = hermegauss(120)
    seen = torch.from_numpy(KAPPA[:, None] * np.array([-1.0, 1.0])[:, None, None] + nodes)
    return s.derivative(seen).numpy() @ (w / w.sum())


def test_a_small_shift_has_the_spikes_of_a_low_rank_change_of_the_conjugate_kernel():
    """Benaych-Georges and Nadakuditi for F0 / sqrt n plus rank one: phi_L phi_R = 1 / strength^2."""
    n, d, h = 20_000, 10_000, 15_000
    found = laws.feature_spikes("softplus", 2.5 * laws.spike_threshold(h, d), n, d, h, readout=[-1, 1])
    law = laws.conjugate_kernel_law("softplus", n, d, h)
    x, w = law.nodes(800)
    x, z, gamma = x * h / n, found[0].value, n / h
    left = float(w @ (1 / (z - x))) * math.sqrt(z)
    right = math.sqrt(z) * (gamma * float(w @ (1 / (z - x))) + (1 - gamma) / z)
    b = normalized("softplus").linear_coefficient
    power = h * b**2 * (2.5**2 / math.sqrt(h * d) + 1 / d)  # of kappa over the units
    assert left * right == pytest.approx(1 / power, rel=0.03)


def test_a_wider_input_is_another_activation():
    """Variance r^2 of what units see is the activation s(r z), linear units apart."""
    for r in (0.8, 1.3):
        wide = laws.SpikedFeatures("identity", [0.5, -0.5], [100, 50], 200, 100, variances=[r**2, r**2])
        plain = laws.SpikedFeatures("identity", [0.5 / r, -0.5 / r], [100, 50], 200, 100)
        assert wide.stieltjes(-r * r) == pytest.approx(plain.stieltjes(-1.0) / r**2)
        assert wide.ridge_error(r**2, 0.7, TEACHER) == pytest.approx(plain.ridge_error(1.0, 0.7, TEACHER))


def test_groups_of_one_shift_are_one_group():
    split = laws.SpikedFeatures("relu", [0.4, -0.4, 0.4], [100, 150, 50], 400, 200)
    whole = laws.SpikedFeatures("relu", [0.4, -0.4], [150, 150], 400, 200)
    assert split.ridge_error(0.1, 0.5, TEACHER) == pytest.approx(whole.ridge_error(0.1, 0.5, TEACHER), rel=1e-8)
    assert split.stieltjes(1 + 0.1j) == pytest.approx(whole.stieltjes(1 + 0.1j), rel=1e-8)
    assert [s.value for s in split.outliers()] == pytest.approx([s.value for s in whole.outliers()], rel=1e-6)


def test_the_law_is_that_of_its_transform():
    features = laws.SpikedFeatures("softplus", [-1.0, 1.0], [200, 100], 250, 150)
    law, z = features.law(), 1.3 + 0.4j
    x, w = law.nodes(400)
    assert features.stieltjes(z) == pytest.approx(complex(np.sum(w / (x - z))), rel=1e-3)
    assert law.atom == pytest.approx(1 - 250 / 300, abs=1e-3)


# samples


@functools.cache
def sampled(n, seeds):
    """Features of independent weights with a spike: relative misses of error, outliers and overlap; KS of the bulk."""
    d, h, rows = n // 2, 3 * n // 4, []
    s = normalized("softplus")
    law = laws.SpikedFeatures("softplus", [-1.0, 1.0], [h / 2, h / 2], n, d)
    spikes, bulk = law.outliers(), law.law()
    wanted = [law.ridge_error(0.1, 0.8, TEACHER, intercept=bool(c)) for c in (0, 1)]
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        w, signs, x = rng.standard_normal((h, d)), np.repeat([-1.0, 1.0], h // 2), rng.standard_normal((5 * n, d))
        w[:, 0] += signs * math.sqrt(d)
        u = 0.8 * x[:, 0] + 0.6 * x[:, 1]
        y = TEACHER[1] * u + TEACHER[2] * (u**2 - 1) / math.sqrt(2) + 0.3 * rng.standard_normal(5 * n)
        f = s(torch.from_numpy(x @ w.T / math.sqrt(d))).numpy()
        gram, found = f[:n].T @ f[:n] / n, []
        for c in (0, 1):
            mean, level = c * f[:n].mean(0), c * y[:n].mean()
            a = gram - np.outer(mean, mean) + 0.1 * np.eye(h)
            fit = np.linalg.solve(a, f[:n].T @ y[:n] / n - mean * level)
            found.append(np.mean((f[n:] @ fit + level - mean @ fit - y[n:]) ** 2))
        values, vectors = np.linalg.eigh(gram)
        left = f[:n] @ vectors[:, -2]
        functions, _ = np.linalg.qr(np.stack([x[:n, 0] ** k for k in range(6)], 1))
        overlap = np.linalg.norm(functions.T @ left) / np.linalg.norm(left)
        misses = [values[-1] / spikes[0].value, values[-2] / spikes[1].value, overlap / spikes[1].overlap]
        misses += [a / b for a, b in zip(found, wanted, strict=True)]
        rows.append([*(np.array(misses) - 1), bulk.distance(values[:-2])])
    return np.array(rows)


def test_samples_come_closer_with_their_size():
    small, large = sampled(120, 24), sampled(600, 8)
    assert (np.abs(large[:, :5]).mean(0) < 0.75 * np.abs(small[:, :5]).mean(0)).all()
    assert np.abs(large[:, :5].mean(0)).max() < 0.08
    assert large[:, 5].max() < 0.02 < small[:, 5].mean()


def test_other_laws_miss_the_samples():
    values = sampled(600, 8)[:, :2].mean(0)
    d, h, n = 300, 450, 600
    gaussian = laws.feature_spikes("softplus", math.sqrt(h * d), n, d, h)
    signs = laws.feature_spikes("softplus", math.sqrt(h * d), n, d, h, readout=[-1, 1])
    assert abs(gaussian[1].value / signs[1].value - 1) > 0.3 > abs(values[1])


# arguments


@pytest.mark.parametrize(
    "change, error",
    [
        (dict(activation="sine"), ValueError), (dict(shifts=[]), ValueError), (dict(shifts=0.5), TypeError),
        (dict(shifts=[math.nan, 0]), ValueError), (dict(widths=[3]), ValueError), (dict(widths=[3, 0]), ValueError),
        (dict(widths="ab"), TypeError), (dict(n=0), ValueError), (dict(d=1.5), TypeError),
        (dict(variances=[1.0]), ValueError), (dict(variances=[1.0, -1.0]), ValueError),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(change, error):
    good = dict(activation="tanh", shifts=[-0.5, 0.5], widths=[20, 20], n=60, d=30)
    with pytest.raises(error, match=rf"^{next(iter(change))}: "):
        laws.SpikedFeatures(**good | change)


@pytest.mark.parametrize(
    "change, error",
    [
        (dict(ridge=0.0), ValueError), (dict(overlap=1.1), ValueError), (dict(overlap="1"), TypeError),
        (dict(teacher_coefficients=[]), ValueError), (dict(teacher_coefficients=1.0), TypeError),
        (dict(noise=-1.0), ValueError), (dict(strength=-1.0), ValueError), (dict(readout=[0.0, 0.0]), ValueError),
        (dict(readout=[]), ValueError), (dict(h=0), ValueError),
    ],
)  # fmt: skip
def test_bad_arguments_of_the_error_are_named(change, error):
    good = dict(activation="tanh", ridge=0.1, n=60, d=30, h=40, strength=10.0, overlap=0.5,
                teacher_coefficients=[0.0, 1.0])  # fmt: skip
    with pytest.raises(error, match=rf"^{next(iter(change))}: "):
        laws.ridge_error(**good | change)


@pytest.mark.parametrize("z, error", [(1.0, ValueError), (1 - 1j, ValueError), ("1", TypeError), (np.nan, ValueError)])
def test_bad_points_are_named(z, error):
    with pytest.raises(error, match=r"^z: "):
        laws.SpikedFeatures("tanh", [0.0], [40], 60, 30).stieltjes(z)


def test_activations_of_one_s_own_are_taken():
    same = laws.SpikedFeatures(replace(normalized("tanh")), [0.5], [40], 60, 30)
    assert same.stieltjes(-1.0) == laws.SpikedFeatures("tanh", [0.5], [40], 60, 30).stieltjes(-1.0)
