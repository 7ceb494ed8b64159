"""The power-law fit against scipy, the package `powerlaw` and samples of known exponent."""

import math
import warnings
from unittest import mock

import numpy as np
import pytest
import scipy.stats

from helpers.spectra import CRITICAL_MISFIT, fit_power_law, hill, hill_curve, likelihood_ratio, tails

RNG = np.random.default_rng(7)
SAMPLES = {
    "marchenko-pastur": np.linalg.svd(RNG.standard_normal((600, 400)) / math.sqrt(600), compute_uv=False) ** 2,
    "pareto 2.5": RNG.pareto(1.5, 800) + 1,
    "pareto 1.7": 3 * RNG.pareto(0.7, 800) + 3,
    "exponential": RNG.exponential(size=800),
    "lognormal": RNG.lognormal(size=800),
    "uniform": RNG.random(800),
    "cauchy": np.abs(RNG.standard_cauchy(800)),
    "repeated": np.round(RNG.pareto(1.5, 800) + 1, 1),
}


def referee(values, **options):
    import powerlaw

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = powerlaw.Fit(values, verbose=False, **options)
        return fit.power_law.alpha, fit.xmin, fit.power_law.D, int(np.sum(values >= fit.xmin))


def by_hand(values, max_alpha=math.inf):
    """Every tail in full, by scipy's two-sided test of Kolmogorov and Smirnov."""
    found = []
    for xmin in np.unique(values)[:-2]:
        tail = values[values >= xmin]
        alpha = min(1 + len(tail) / np.log(tail / xmin).sum(), max_alpha)
        test = scipy.stats.kstest(tail, lambda x, xmin=xmin, alpha=alpha: 1 - (xmin / x) ** (alpha - 1), mode="asymp")
        found.append((test.statistic, alpha, xmin, len(tail)))
    return min([tail for tail in found if tail[1] < max_alpha] or found)


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("max_alpha", [3.0, math.inf])
def test_the_closest_tail_by_the_two_sided_distance(name, max_alpha):
    values = SAMPLES[name][::8]
    fit = fit_power_law(values, max_alpha=max_alpha)
    found = fit.distance, fit.alpha, fit.xmin, fit.tail_size
    assert found == pytest.approx(by_hand(values, max_alpha), rel=1e-9)


@pytest.mark.parametrize("name", SAMPLES)
def test_from_a_given_xmin_powerlaw_has_the_same_alpha_and_one_side_of_the_distance(name):
    values = SAMPLES[name]
    start = float(np.median(values))
    alpha, _, distance, size = referee(values, xmin=start, parameter_ranges={"alpha": [1, 1e9]})
    fit = fit_power_law(values, xmin=start)
    assert fit.alpha == pytest.approx(alpha, rel=1e-9)
    assert fit.tail_size == size
    most = np.unique(values[values >= start], return_counts=True)[1].max()
    assert distance - 1e-9 <= fit.distance <= distance + most / size + 1e-9


def test_equal_values_are_far_from_a_power_law():
    fit = fit_power_law(np.repeat([2.0, 500.0], [27, 3]))
    assert fit.distance == pytest.approx(0.9) and not fit.plausible
    nearly = np.repeat([2.0, 500.0], [27, 3]) * (1 + 1e-9 * RNG.random(30))
    assert not fit_power_law(nearly).plausible


def test_the_critical_misfit_is_the_95_percent_point_of_true_tails():
    m, misfits = 1000, []
    for _ in range(20):
        logs = np.sort(RNG.exponential(size=(300, m)))
        law, steps = 1 - np.exp(-logs / logs.mean(1, keepdims=True)), np.arange(m + 1) / m
        misfits.append(np.maximum(law - steps[:-1], steps[1:] - law).max(1) * math.sqrt(m))
    # The last row of the table in statsmodels, from ten million draws of 1600 values, is 1.0894.
    assert np.quantile(misfits, 0.95) == pytest.approx(CRITICAL_MISFIT, abs=0.025)


def test_eight_times_as_many_values_take_about_as_many_times_as_long():
    looks = []
    for n in (4000, 32000):
        values = np.random.default_rng(1).pareto(1.5, n) + 1
        with mock.patch.object(tails, "_differences", wraps=tails._differences) as look:
            fit_power_law(values)
        looks.append(sum(np.size(call.args[0]) for call in look.call_args_list))
    assert looks[1] < 24 * looks[0]  # one full look for every xmin would be 64 times as many


@pytest.mark.parametrize("alpha", [1.8, 2.5, 4.0])
def test_the_exponent_of_a_pareto_sample_is_found(alpha):
    values = np.random.default_rng(3).pareto(alpha - 1, 5000) + 1
    fit = fit_power_law(values, xmin=1.0)
    assert fit.alpha == pytest.approx(alpha, abs=4 * (alpha - 1) / math.sqrt(5000))


def test_a_thin_tail_is_not_plausible_and_a_bound_hides_that():
    for name in ("marchenko-pastur", "uniform"):
        fit, bounded = fit_power_law(SAMPLES[name]), fit_power_law(SAMPLES[name], max_alpha=3)
        assert fit.alpha > 6 and fit.dynamic_range < 3 and not fit.plausible
        assert bounded.alpha <= 3 and bounded.distance > 0.1
    for name in ("pareto 2.5", "pareto 1.7"):
        assert fit_power_law(SAMPLES[name]).plausible


def test_scale_does_not_matter_and_zeros_are_left_out():
    values = SAMPLES["pareto 2.5"]
    fit, scaled = fit_power_law(values), fit_power_law(np.r_[1000 * values, 0.0, -1.0])
    assert (scaled.alpha, scaled.xmin / 1000, scaled.tail_size) == pytest.approx((fit.alpha, fit.xmin, fit.tail_size))


def test_where_no_tail_is_heavy_alpha_is_the_bound():
    assert fit_power_law(np.linspace(10, 11, 100), max_alpha=3).alpha == 3.0


@pytest.mark.parametrize(
    "name, values, options",
    [
        ("values", [1.0] * 50, {}),
        ("values", np.arange(1, 10), {}),
        ("values", [], {}),
        ("values", np.zeros(100), {}),
        ("values", np.r_[np.arange(1.0, 50), math.nan], {}),
        ("values", np.ones((5, 5)), {}),
        ("xmin", np.arange(1.0, 50), {"xmin": 49.0}),
        ("xmin", np.arange(1.0, 50), {"xmin": 100.0}),
        ("xmin", np.arange(1.0, 50), {"xmin": -1.0}),
        ("max_alpha", np.arange(1.0, 50), {"max_alpha": 1.0}),
    ],
)
def test_bad_input_is_refused(name, values, options):
    with pytest.raises(ValueError, match=f"^{name}"):
        fit_power_law(values, **options)


def test_the_likelihood_tells_a_power_law_from_an_exponential():
    draws = np.random.default_rng(5).random(2000)
    ratio, p = likelihood_ratio((1 - draws) ** (-1 / 1.5), "exponential", xmin=1.0)
    assert ratio > 100 and p < 1e-6
    ratio, p = likelihood_ratio(1 - np.log(1 - draws), "exponential", xmin=1.0)
    assert ratio < -100 and p < 1e-6
    with pytest.raises(ValueError, match=r"^rival"):
        likelihood_ratio(draws, "gamma")


def test_hill_is_the_exponent_of_the_upper_part():
    values = 7 * (1 - np.random.default_rng(6).random(4000)) ** (-1 / 1.4)
    for part in (1.0, 0.5, 0.1):
        assert hill(values, part=part) == pytest.approx(2.4, abs=4 * 1.4 / math.sqrt(4000 * part))
    assert hill(np.r_[values, 0.0]) == pytest.approx(hill(values), rel=1e-9)
    ranks = np.arange(1.0, 101)
    top = np.sort(ranks)[-90:]
    assert hill(ranks, part=0.9) == pytest.approx(1 + 90 / np.log(top / top[0]).sum())
    for part in (0.0, 1.5):
        with pytest.raises(ValueError, match=r"^part"):
            hill(values, part=part)
    with pytest.raises(ValueError, match=r"^values"):
        hill(np.r_[np.ones(50), np.full(60, 2.0)])


def test_the_hill_plot_is_the_fit_from_every_start():
    """The fit from the (k+1)-th value on counts that value too; without it its k becomes that of the plot."""
    values = np.sort(SAMPLES["pareto 2.5"])[::-1]
    k, alpha = hill_curve(values, most=300)
    assert (k[0], k[-1]) == (2, 300)
    for i in (0, 50, 298):
        fit = fit_power_law(values, xmin=values[k[i]])
        assert alpha[i] - 1 == pytest.approx((fit.alpha - 1) * k[i] / (k[i] + 1))
    assert hill_curve(values[:40], most=500)[0][-1] == 39
