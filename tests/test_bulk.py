"""The Marchenko-Pastur fit on matrices whose variance, outliers and kind are known."""

import math

import numpy as np
import pytest
import torch

from helpers import spectra
from helpers.spectra import fit_marchenko_pastur


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def planted(matrix, strengths):
    """The matrix with orthogonal spikes of these strengths added."""
    h, d = matrix.shape
    left, right = (torch.linalg.qr(gaussian(side, len(strengths), seed=side)).Q for side in (h, d))
    return matrix + left * torch.tensor(strengths, dtype=torch.float64) @ right.T


@pytest.mark.parametrize("shape", [(600, 400), (400, 600), (300, 300), (1000, 60)])
@pytest.mark.parametrize("variance", [1.0, 0.03])
def test_variance_and_edge_of_a_random_matrix(shape, variance):
    fit = fit_marchenko_pastur(spectra.singular_values(math.sqrt(variance) * gaussian(*shape)), shape)
    assert fit.variance == pytest.approx(variance, rel=0.03)
    assert len(fit.outliers) == 0
    assert fit.distance < 1.5 / math.sqrt(min(shape))
    edge = math.sqrt(fit.variance) * (math.sqrt(shape[0]) + math.sqrt(shape[1]))
    assert edge < fit.edge < 1.15 * edge
    assert fit.law.support[-1][1] == pytest.approx(edge**2 / max(shape))


@pytest.mark.parametrize("count", [1, 2, 7, 40])
def test_planted_spikes_are_the_outliers(count):
    strengths = np.linspace(80, 160, count).tolist()  # the threshold is 22
    values = spectra.singular_values(planted(gaussian(600, 400), strengths))
    fit = fit_marchenko_pastur(values, (600, 400))
    assert len(fit.outliers) == count
    np.testing.assert_allclose(fit.outliers, values[:count])
    assert fit.variance == pytest.approx(1, rel=0.05)


def test_a_spike_below_the_threshold_is_none():
    fit = fit_marchenko_pastur(spectra.singular_values(planted(gaussian(600, 400), [15.0])), (600, 400))
    assert len(fit.outliers) == 0


def test_no_false_outlier_in_many_draws():
    counts = [
        len(fit_marchenko_pastur(spectra.singular_values(gaussian(120, 80, seed=s)), (120, 80)).outliers)
        for s in range(200)
    ]
    assert sum(counts) == 0


def test_uniform_entries_have_the_same_bulk():
    entries = torch.rand(500, 300, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.5
    fit = fit_marchenko_pastur(spectra.singular_values(entries), (500, 300))
    assert fit.variance == pytest.approx(1 / 12, rel=0.03)
    assert fit.distance < 0.03


def test_another_law_is_far_from_it():
    values = np.sqrt(np.random.default_rng(0).pareto(1.5, 300) + 1)
    assert fit_marchenko_pastur(values, (500, 300)).distance > 0.2


def test_the_scale_of_the_values_does_not_matter():
    values = spectra.singular_values(planted(gaussian(300, 200), [90.0]))
    one, other = (fit_marchenko_pastur(c * values, (300, 200)) for c in (1.0, 1000.0))
    assert other.variance == pytest.approx(1e6 * one.variance)
    assert other.distance == pytest.approx(one.distance)
    assert len(one.outliers) == len(other.outliers) == 1


@pytest.mark.parametrize(
    "name, values, shape",
    [
        ("values", torch.ones(30), (40, 31)),
        ("values", torch.ones(19), (19, 19)),
        ("values", torch.zeros(30), (30, 30)),
        ("values", -torch.ones(30), (30, 30)),
        ("values", torch.full((30,), math.nan), (30, 30)),
        ("shape", torch.ones(30), (30, 0)),
    ],
)
def test_bad_input_is_refused(name, values, shape):
    with pytest.raises(ValueError, match=f"^{name}"):
        fit_marchenko_pastur(values, shape)
