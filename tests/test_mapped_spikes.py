"""laws.seen_through against closed forms, sampled matrices of two sizes, and what bad maps are told."""

import math

import numpy as np
import pytest
import torch

from helpers import laws, spectra

H, D = 1500, 1000
THRESHOLD = laws.spike_threshold(H, D)
MAPS = {  # maps, with strengths in units of the threshold at which each is seen at all sizes of the test
    "sign": (torch.sign, 2.5),
    "clip": (lambda z: z.clamp(-1, 1), 2.0),
    "prune": (lambda z: z * (z.abs() > 1.645), 2.8),
    "relu": (torch.relu, 2.2),
}


def columns(spike):
    return [spike.value, spike.left_overlap, spike.right_overlap]


@pytest.mark.parametrize("strength", [0.0, 20.0, 40.0, 100.0, 2000.0])
@pytest.mark.parametrize("affine", [lambda z: z, lambda z: 3 - 2 * z])
def test_identity_is_the_plain_spike(affine, strength):
    seen, plain = laws.seen_through(affine, strength, H, D), laws.spiked_singular_value(strength, H, D)
    assert columns(seen) == pytest.approx(columns(plain), rel=1e-6)
    assert seen.visible == plain.visible


@pytest.mark.parametrize("order, hermite", [(2, lambda z: z**2 - 1), (3, lambda z: z**3 - 3 * z)])
def test_a_hermite_polynomial_leaves_one_spike_of_its_power(order, hermite):
    """E He_k(xi + t) = t^k: the mean is of rank one, of norm theta^k |u^k| |w^k| / sqrt(k!)."""
    theta = 7 * THRESHOLD
    moment = math.prod(range(1, 2 * order, 2))  # E xi^(2k)
    effective = theta**order * moment * (H * D) ** ((1 - order) / 2) / math.sqrt(math.factorial(order))
    seen = laws.seen_through(hermite, theta, H, D, power=order)
    assert columns(seen) == pytest.approx(columns(laws.spiked_singular_value(effective, H, D)), rel=1e-5)
    first = laws.seen_through(hermite, theta, H, D)  # of w itself: E x^4 / sqrt(15) = 3 / sqrt(15), or nothing
    assert first.right_overlap == pytest.approx(seen.right_overlap * (3 / math.sqrt(15) if order == 3 else 0), rel=1e-5)


def test_sign_has_two_closed_limits():
    """Weak: |c_1| = sqrt(2 / pi) times the strength. Strong: the matrix sign(u) sign(w)', of norm sqrt(h d)."""
    huge = 10**10
    weak, threshold = laws.seen_through(torch.sign, 2e5, huge, huge), laws.spike_threshold(huge, huge)
    assert 1.5 * threshold < 2e5
    exact = laws.spiked_singular_value(math.sqrt(2 / math.pi) * 2e5, huge, huge)
    assert columns(weak) == pytest.approx(columns(exact), rel=1e-5)
    strong = laws.seen_through(torch.sign, 900 * math.sqrt(H * D), H, D)
    exact = laws.spiked_singular_value(math.sqrt(H * D), H, D)
    assert strong.value == pytest.approx(exact.value, rel=0.005)
    assert strong.right_overlap == pytest.approx(math.sqrt(2 / math.pi) * exact.right_overlap, rel=0.005)


def test_sign_needs_a_fourth_more():
    """1 / c_1 = sqrt(pi / 2) at leading order; at this size a little more."""
    grid = np.linspace(1.22, 1.31, 10)
    seen = [laws.seen_through(torch.sign, m * THRESHOLD, H, D).visible for m in grid]
    assert not seen[0] and seen == sorted(seen)
    assert grid[seen.index(True)] == pytest.approx(math.sqrt(math.pi / 2), rel=0.02)


def sampled(function, multiple, h, seed):
    """Relative error of the value, and error of the right overlap, of one matrix (h x 2h/3)."""
    d, rng = 2 * h // 3, np.random.default_rng([h, seed])
    theta = multiple * laws.spike_threshold(h, d)
    u, w = rng.standard_normal(h), rng.standard_normal(d)
    spike = theta * np.outer(u / np.linalg.norm(u), w / np.linalg.norm(w))
    mapped = function(torch.from_numpy(rng.standard_normal((h, d)) + spike))
    plain = function(torch.from_numpy(np.random.default_rng(0).standard_normal(10**6)))
    _, value, right = spectra.top_triplet((mapped - plain.mean()) / plain.std())
    return value, spectra.overlap(right, w)


@pytest.mark.parametrize("name", MAPS)
def test_sampled_matrices_come_closer_with_size(name):
    """u'Ww alone is N(0, 1), 2 to 4% of the value at the smaller size."""
    error = {}
    for h, draws in ((60, 40), (480, 20)):
        function, multiple = MAPS[name]
        found = np.array([sampled(function, multiple, h, seed) for seed in range(draws)])
        theory = laws.seen_through(function, multiple * laws.spike_threshold(h, 2 * h // 3), h, 2 * h // 3)
        off = np.abs(found / [theory.value, 1] - [1, theory.right_overlap])
        error[h] = off.mean(0)
        assert np.abs(found.mean(0) / [theory.value, theory.right_overlap] - 1).max() < (0.1 if h == 60 else 0.03)
    assert (error[480] < 0.7 * error[60]).all()


def test_absolute_value_is_seen_and_blind():
    theta = 6.6 * THRESHOLD
    seen = laws.seen_through(torch.abs, theta, H, D)
    assert seen.visible and seen.right_overlap == 0
    rng = np.random.default_rng(0)
    u, w = rng.standard_normal(H), rng.standard_normal(D)
    spike = theta * np.outer(u / np.linalg.norm(u), w / np.linalg.norm(w))
    mapped = np.abs(rng.standard_normal((H, D)) + spike)
    mean = math.sqrt(2 / math.pi)
    left, value, right = spectra.top_triplet((mapped - mean) / math.sqrt(1 - mean**2))
    squared = laws.seen_through(torch.abs, theta, H, D, power=2)
    assert value == pytest.approx(seen.value, rel=0.04)
    assert spectra.overlap(right, w**2) == pytest.approx(squared.right_overlap, abs=0.03)
    assert spectra.overlap(left, u**2) == pytest.approx(squared.left_overlap, abs=0.03)
    assert spectra.overlap(right, w) < 0.15


def test_scale_and_shift_of_the_map_do_not_matter():
    plain = laws.seen_through(torch.tanh, 60.0, H, D)
    other = laws.seen_through(lambda z: (-5 * torch.tanh(z) + 2).float(), 60.0, H, D)
    assert columns(other) == pytest.approx(columns(plain), rel=1e-5)


@pytest.mark.parametrize("bad, error, message", [
    ("sign", TypeError, "map: got str"),
    (lambda z: 1.0, TypeError, "map: got float"),
    (lambda z: torch.ones_like(z), ValueError, "map: got a constant"),
    (lambda z: z / 0 * 0, ValueError, "map: got NaN"),
    (lambda z: z.sqrt(), ValueError, "map: got NaN"),
    (lambda z: z[:5], ValueError, r"map: got shape \(5,\)"),
    (lambda z: z.outer(torch.ones(2, dtype=z.dtype)), ValueError, "map: got shape"),
    (lambda z: z.sum(), ValueError, r"map: got shape \(\)"),
    (lambda z: z + 1j, TypeError, "map: got dtype"),
])  # fmt: skip
def test_bad_maps(bad, error, message):
    with pytest.raises(error, match=message):
        laws.seen_through(bad, 40.0, H, D)


@pytest.mark.parametrize("change, error", [
    (dict(strength=-1.0), ValueError), (dict(strength="40"), TypeError), (dict(strength=math.inf), ValueError),
    (dict(strength=1e9), ValueError), (dict(h=0), ValueError), (dict(d=2.5), TypeError), (dict(power=0), ValueError),
])  # fmt: skip
def test_bad_numbers(change, error):
    (name,) = change
    with pytest.raises(error, match=f"{name}: got"):
        laws.seen_through(**dict(map=torch.sign, strength=40.0, h=H, d=D) | change)
