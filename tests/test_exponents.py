"""The exponent of a random matrix: against draws at two sizes, closed forms, and bad input."""

import math

import numpy as np
import pytest

from helpers import laws, spectra
from helpers.laws import hill_noise, hill_null


def drawn(shape, draws, part=0.5):
    """The exponents of Gaussian matrices, (draws,)."""
    found = []
    for seed in range(draws):
        w = np.random.default_rng([seed, *shape]).standard_normal((max(shape), min(shape)))
        found.append(spectra.hill(np.linalg.eigvalsh(w.T @ w), part=part))
    return np.array(found)


@pytest.mark.parametrize("part", [0.5, 1 / 3])
@pytest.mark.parametrize("shape", [(60, 60), (60, 90), (60, 240)])
def test_the_null_is_the_mean_over_random_matrices_and_their_noise_shrinks(shape, part):
    for factor, draws in ((1, 60), (4, 8)):
        sides = tuple(factor * side for side in shape)
        found, null, noise = drawn(sides, draws, part), hill_null(sides, part=part), hill_noise(sides, part=part)
        assert abs(found.mean() - null) < 3.5 * noise / math.sqrt(draws) + 0.02 / factor
    assert hill_noise(sides, part=part) < 0.35 * hill_noise(shape, part=part)


@pytest.mark.parametrize("shape", [(64, 64), (64, 160), (150, 150)])
def test_the_noise_is_the_deviation_over_random_matrices(shape):
    """150 draws know their deviation within 6 percent."""
    assert np.std(drawn(shape, 150), ddof=1) / hill_noise(shape) == pytest.approx(1, abs=0.25)


def test_entries_that_are_not_gaussian_and_their_scale_do_not_matter():
    signs = 7 * np.random.default_rng(0).choice([-1.0, 1.0], (400, 300))
    assert abs(spectra.hill(np.linalg.eigvalsh(signs.T @ signs)) - hill_null((300, 400))) < 4 * hill_noise((400, 300))


def test_orientation_does_not_matter():
    for law in (hill_null, hill_noise):
        assert law((40, 90)) == law((90, 40))


def test_thin_matrices_follow_the_semicircle():
    """Eigenvalues 1 + 2 sqrt(q) s with s on the semicircle: the mean of s above 0 is 2 / (3 pi), in mass 1/2."""
    q = 1e-6
    assert hill_null((1000, 1000 * round(1 / q))) * 8 * math.sqrt(q) / (3 * math.pi) == pytest.approx(1, abs=0.005)


def test_the_whole_spectrum_has_a_closed_form():
    """The mean logarithm under the law is -1 - (1 - q) / q log(1 - q)."""
    q, m = 0.25, 20000
    mean = -1 - (1 - q) / q * math.log(1 - q) - 2 * math.log(1 - math.sqrt(q))
    assert hill_null((m, 4 * m), part=1) == pytest.approx(1 + 1 / mean, abs=0.005)
    assert 1 < hill_null((m, m), part=1) < 1.1  # a square matrix has values at zero


def test_the_null_is_the_exponent_of_the_quantiles_of_the_law():
    """By inverting the cdf on a grid: another route to the same number."""
    for shape in ((150, 150), (150, 600)):
        law, m = laws.marchenko_pastur(min(shape) / max(shape)), min(shape)
        x = np.linspace(*law.support[0], 200001)
        values = np.interp((np.arange(m) + 0.5) / m, law.cdf(x), x)
        assert spectra.hill(values) == pytest.approx(hill_null(shape), abs=0.003)


@pytest.mark.parametrize("law", [hill_null, hill_noise])
def test_bad_input_is_named(law):
    for shape in ((3,), (2, 3, 4), (1, 5), (0, 5)):
        with pytest.raises(ValueError, match="shape"):
            law(shape)
    with pytest.raises(TypeError, match="shape"):
        law((2.5, 4))
    for part in (0, -1, 1.5, math.nan):
        with pytest.raises(ValueError, match="part"):
            law((20, 20), part=part)


def test_the_noise_of_the_whole_spectrum_is_not_known():
    with pytest.raises(ValueError, match="part"):
        hill_noise((20, 20), part=1)
