"""laws.near_interpolator against sums in place of its integrals, a ridge regression, and its limits."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from helpers import laws

NOISE = 0.3
FLOOR = NOISE**2


def equivalent(alpha, tau, n, d):
    """The deterministic equivalent at finite n and d for a zero teacher, kappa from the training error."""
    powers = np.arange(1, d + 1.0) ** alpha

    def sums(log_kappa):
        filters = 1 / (1 + math.exp(log_kappa) * powers)
        return filters.sum() / n, (filters**2).sum() / n, (powers * filters**2).sum() / n

    def train(log_kappa):
        first, second, _ = sums(log_kappa)
        return (1 - first) / math.sqrt(1 - second) - math.sqrt(tau) / NOISE

    low = -alpha * math.log(d) - 20.0
    if d > n:
        low = brentq(lambda k: sums(k)[0] - 1, low, 0.0) + 1e-9
    kappa = brentq(train, low, 5.0)
    first, second, weight = sums(kappa)
    test = FLOOR / (1 - second)
    return test, test * weight / n**alpha, math.exp(kappa) * (1 - first) * n**alpha


@pytest.mark.parametrize("alpha", [1.3, 2.0, 4.0])
@pytest.mark.parametrize("aspect", [0.5, 1.0, 4.0])
def test_sums_come_closer_with_n(alpha, aspect):
    tau = 0.7 * FLOOR
    ridge = laws.near_interpolator_ridge(alpha, tau, NOISE, aspect)
    law = np.array([*laws.near_interpolator(alpha, tau, NOISE, aspect), ridge])
    off = [np.abs(np.array(equivalent(alpha, tau, n, int(aspect * n))) / law - 1) for n in (200, 3200)]
    assert (off[1] < 0.2 * off[0] + 1e-9).all() and (off[1] < 4e-3).all(), off


def regression(alpha, tau, n, aspect, seed):
    """Test error, norm over n^alpha and training error of the ridge that the law gives, on a fresh sample."""
    d, rng = int(aspect * n), np.random.default_rng(seed)
    values, beta = np.arange(1, d + 1.0) ** -alpha, np.zeros(d)
    beta[:5] = 1 / math.sqrt(5)
    x = rng.standard_normal((n, d)) * np.sqrt(values)
    y = x @ beta + NOISE * rng.standard_normal(n)
    ridge = laws.near_interpolator_ridge(alpha, tau, NOISE, aspect) / n**alpha
    found = x.T @ np.linalg.solve(x @ x.T / n + ridge * np.eye(n), y) / n
    test = FLOOR + values @ (found - beta) ** 2
    return test, ((found - beta) ** 2).sum() / n**alpha, ((x @ found - y) ** 2).mean()


@pytest.mark.parametrize("alpha, share", [(1.5, 0.5), (2.0, 0.2), (3.0, 0.3)])
def test_a_fresh_sample_comes_closer_with_n(alpha, share):
    law, off = laws.near_interpolator(alpha, share * FLOOR, NOISE, 3.0), []
    wanted = np.array([law.test, law.norm, share * FLOOR])
    for n in (75, 600):
        found = np.array([regression(alpha, share * FLOOR, n, 3.0, seed) for seed in range(8)])
        off.append(np.sqrt(((found / wanted - 1) ** 2).mean(0)))
    assert (off[1] < 0.7 * off[0]).all() and (off[1] < [0.05, 0.12, 0.12]).all(), off


@pytest.mark.parametrize("alpha", [1.2, 2.0, 5.0])
def test_ends_of_the_trade_off(alpha):
    floor, interpolator = (laws.near_interpolator(alpha, tau, NOISE) for tau in (FLOOR, 0.0))
    assert floor == (FLOOR, 0.0) and laws.near_interpolator_ridge(alpha, FLOOR, NOISE) == math.inf
    assert interpolator.test == pytest.approx(alpha * FLOOR)
    assert interpolator.norm == pytest.approx(FLOOR * (math.sin(math.pi / alpha) / (math.pi / alpha)) ** alpha)
    assert laws.near_interpolator_ridge(alpha, 0.0, NOISE) == 0
    near = laws.near_interpolator(alpha, FLOOR * (1 - 1e-9), NOISE)
    assert near.test == pytest.approx(FLOOR) and near.norm < 1e-9


@pytest.mark.parametrize("alpha, share", [(1.5, 0.02), (2.0, 0.0), (3.0, 0.6)])
def test_many_inputs_are_infinitely_many(alpha, share):
    far, limit = (laws.near_interpolator(alpha, share * FLOOR, NOISE, aspect) for aspect in (1e8, math.inf))
    assert far.test == pytest.approx(limit.test, rel=1e-3) and far.norm == pytest.approx(limit.norm, rel=1e-3)
    k = brentq(lambda k: quad(lambda x: 1 / (1 + k * x**alpha), 0, np.inf)[0] - 1 + math.sqrt(
        share * FLOOR / limit.test), 1.0, 1e4)  # fmt: skip
    second, weight = (quad(lambda x: x**p / (1 + k * x**alpha) ** 2, 0, np.inf)[0] for p in (0, alpha))  # noqa: B023
    assert limit.test == pytest.approx(FLOOR / (1 - second), rel=1e-6)
    assert limit.norm == pytest.approx(limit.test * weight, rel=1e-6)


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_a_steep_spectrum_is_least_squares_on_fewer_inputs(share):
    """alpha to infinity: p inputs and no more, so that tau = noise^2 (1 - p/n) and test = noise^2 / (1 - p/n)."""
    near, steep = (laws.near_interpolator(alpha, share * FLOOR, NOISE).test * share / FLOOR for alpha in (50.0, 100.0))
    assert abs(2 * steep - near - 1) < abs(steep - 1) / 5 < 2e-2
    few = laws.near_interpolator(2.0, 0.4 * FLOOR, NOISE, 0.6)  # at its least training error: no ridge
    assert laws.near_interpolator_ridge(2.0, 0.4 * FLOOR, NOISE, 0.6) == 0 and few.test == pytest.approx(FLOOR / 0.4)
    assert few.norm == pytest.approx(few.test * 0.6**3 / 3)
    assert laws.near_interpolator(2.0, 0.0, NOISE, 1.0).test == math.inf


@pytest.mark.parametrize("aspect", [0.5, 2.0, math.inf])
def test_closer_to_the_data_costs_more(aspect):
    shares = np.linspace(0.51, 0.99, 9)
    found = np.array([laws.near_interpolator(2.0, share * FLOOR, NOISE, aspect) for share in shares])
    ridges = [laws.near_interpolator_ridge(2.0, share * FLOOR, NOISE, aspect) for share in shares]
    assert (np.diff(found, axis=0) < 0).all() and (np.diff(ridges) > 0).all()


@pytest.mark.parametrize("change, error, words", [
    ({"alpha": 1.0}, ValueError, "alpha"), ({"alpha": "2"}, TypeError, "alpha"),
    ({"alpha": 101.0}, ValueError, "alpha"), ({"tau": 1.1}, ValueError, "tau"),
    ({"tau": -0.1}, ValueError, "tau"), ({"noise": 0.0}, ValueError, "noise"), ({"aspect": 0.0}, ValueError, "aspect"),
    ({"aspect": 0.5}, ValueError, "tau"), ({"aspect": math.nan}, ValueError, "aspect"),
])  # fmt: skip
def test_bad_arguments(change, error, words):
    with pytest.raises(error, match=f"^{words}"):
        laws.near_interpolator(**({"alpha": 2.0, "tau": 0.2, "noise": 1.0} | change))
