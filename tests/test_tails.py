"""The power-law fit against the package `powerlaw` and against samples of known exponent."""

import math
import warnings

import numpy as np
import pytest

from helpers.spectra import fit_power_law, hill, hill_curve, likelihood_ratio

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


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("max_alpha", [3.0, math.inf])
def test_same_fit_as_powerlaw(name, max_alpha):
    values = SAMPLES[name]
    options = {} if max_alpha == 3 else {"parameter_ranges": {"alpha": [0, 1e9]}}
    alpha, xmin, distance, size = referee(values, **options)
    fit = fit_power_law(values, max_alpha=max_alpha)
    assert (fit.alpha, fit.xmin) == pytest.approx((alpha, xmin), rel=1e-6)
    assert fit.distance == pytest.approx(distance, abs=1e-6)
    assert fit.tail_size == size


def test_same_fit_as_powerlaw_from_a_given_xmin():
    values = SAMPLES["pareto 2.5"]
    alpha, _, distance, size = referee(values, xmin=1.5)
    fit = fit_power_law(values, xmin=1.5)
    assert (fit.alpha, fit.xmin, fit.distance) == pytest.approx((alpha, 1.5, distance), rel=1e-9)
    assert fit.tail_size == size


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
