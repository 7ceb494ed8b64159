"""The words of a verdict on planted spectra: for every rule a matrix that meets it, and one that just does not."""

import math

import numpy as np
import pytest
import torch

from helpers import spectra
from helpers.spectra import verdicts

SHAPE = (600, 400)


def gaussian(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


START = gaussian(*SHAPE)
LEFT, RIGHT = (torch.linalg.qr(gaussian(side, 60, seed=side)).Q for side in SHAPE)
THRESHOLD = (600 * 400) ** 0.25


def spiked(*strengths):
    """The start with orthogonal spikes, in units of the threshold."""
    k = len(strengths)
    return START + THRESHOLD * LEFT[:, :k] * torch.tensor(strengths, dtype=torch.float64) @ RIGHT[:, :k].T


def power_law(alpha, size=400, seed=0):
    """Singular values whose squares follow a power law from 1 on."""
    return torch.from_numpy(np.sqrt(1 + np.random.default_rng(seed).pareto(alpha - 1, size)))


def words(after, before=START, shape=SHAPE):
    values = [spectra.singular_values(m) if m.ndim == 2 else m for m in (before, after)]
    return verdicts.verdict(verdicts.describe(*values, shape))


def test_invariant_bulk():
    assert words(START) == "invariant bulk"
    assert words(START + 0.1 * gaussian(*SHAPE, seed=1)) == "invariant bulk"
    assert words(spiked(0.7)) == "invariant bulk"  # below the threshold


@pytest.mark.parametrize(
    "count, expected", [(1, "bulk and 1 outlier"), (2, "bulk and 2 outliers"), (5, "bulk and 5 outliers")]
)
def test_outliers(count, expected):
    assert words(spiked(*[2.0 + 0.1 * k for k in range(count)])) == expected


def test_an_outlier_from_the_beginning_is_told_too():
    assert words(spiked(3.0), before=spiked(3.0)) == "bulk and 1 outlier"


def test_moved_bulk():
    assert words(1.05 * START).startswith("moved bulk (5%)")
    assert words(0.9 * START) == "moved bulk (10%)"
    assert words(0.99 * START) == "invariant bulk"
    assert words(0.9 * spiked(4.0)) == "moved bulk (10%) and 1 outlier"


def test_bulk_left():
    values = spectra.singular_values(START)
    change = spectra.compare(values, values)
    until = (change.edge_before + change.margin) / values[-1]
    assert words(1.01 * until * START) == "bulk left"
    assert words(0.99 * until * START).startswith("moved bulk")


@pytest.mark.parametrize("alpha", [1.8, 2.3, 2.9])
@pytest.mark.parametrize("seed", range(3))
def test_heavy_tail(alpha, seed):
    said = words(power_law(alpha, seed=seed))
    assert said.startswith("heavy tail, alpha ")
    assert float(said.split()[-1]) == pytest.approx(alpha, rel=0.2)


@pytest.mark.parametrize("seed", range(3))
def test_no_heavy_tail(seed):
    start = gaussian(*SHAPE, seed=seed)
    assert "heavy" not in words(start, start)
    assert "heavy" not in words(power_law(12.0, seed=seed))  # so thin that it spans no decade
    normal = torch.from_numpy(np.abs(np.random.default_rng(seed).normal(size=400)))
    assert "heavy" not in words(normal)
    uniform = torch.from_numpy(np.random.default_rng(seed).uniform(1, 2, 400))
    assert "heavy" not in words(uniform)


@pytest.mark.parametrize("strengths", [(20.0,), (5.0, 20.0), tuple(np.geomspace(2, 40, 10))])
def test_a_few_spikes_are_no_heavy_tail(strengths):
    assert "outlier" in words(spiked(*strengths))


def test_a_bulk_of_power_law_tail_in_a_random_matrix():
    tail = THRESHOLD * 1.5 * power_law(2.5, 60).sort(descending=True).values
    said = words(START + LEFT * tail @ RIGHT.T)
    assert said.startswith("heavy tail, alpha 2")


def test_what_has_no_spectrum_worth_a_word():
    assert words(torch.zeros(SHAPE), torch.zeros(SHAPE)) == "all zero"
    small = gaussian(10, 500)
    assert words(small, small, (10, 500)) == "too small"
    orthogonal = torch.linalg.qr(gaussian(400, 400)).Q
    assert words(orthogonal, orthogonal, (400, 400)) == "no bulk at the start"
    assert words(torch.ones(400), torch.ones(400), (400, 400)) == "no bulk at the start"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["orthogonal", "rank 4", "projection", "two levels"])
def test_values_that_are_equal_or_zero_up_to_rounding_are_no_bulk_and_no_tail(kind, dtype):
    q = torch.linalg.qr(gaussian(80, 80)).Q
    start = {
        "orthogonal": q,
        "rank 4": gaussian(80, 4) @ gaussian(4, 80, seed=1),
        "projection": q[:, :40] @ q[:, :40].T,
        "two levels": (q * torch.tensor([3.0] * 30 + [1.0] * 50, dtype=torch.float64)) @ q.T,
    }[kind].to(dtype)
    noise = 1e-3 * gaussian(80, 80, seed=2)
    before, after = (spectra.singular_values(matrix.double()) for matrix in (start, start + noise))
    for values in (before, after):
        row = verdicts.describe(before, values, (80, 80), dtype=dtype)
        assert verdicts.verdict(row) == "no bulk at the start" and math.isnan(row["outliers"])
    if kind in ("orthogonal", "rank 4", "projection"):
        assert math.isnan(verdicts.describe(before, before, (80, 80), dtype=dtype)["alpha"])
    with pytest.raises(ValueError, match="before: got values at its edge that are equal up to rounding"):
        spectra.compare(before, after, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rounding_takes_no_bulk_from_a_random_matrix(dtype):
    weight = gaussian(700, 20).to(dtype).double()
    row = verdicts.describe(*[spectra.singular_values(weight)] * 2, (700, 20), dtype=dtype)
    assert verdicts.verdict(row) == "invariant bulk"


@pytest.mark.parametrize("power", [-990, -600, 600, 1000])
def test_a_verdict_does_not_depend_on_the_scale(power):
    before, after = (spectra.singular_values(matrix) for matrix in (START, spiked(2.0, 2.5)))
    row, scaled = (verdicts.describe(before * unit, after * unit, SHAPE) for unit in (1.0, 2.0**power))
    assert verdicts.verdict(scaled) == verdicts.verdict(row) == "bulk and 2 outliers"
    for name, value in row.items():
        unit = 2.0**power if name in ("top", "bulk_drift", "edge_before", "mp_edge") else 1.0
        if name not in ("mp_variance", "xmin"):
            assert scaled[name] == pytest.approx(value * unit, rel=1e-9, abs=0), name


def test_a_matrix_that_starts_at_zero():
    rank_four = gaussian(600, 4) @ gaussian(4, 400)
    assert words(rank_four, torch.zeros(SHAPE)) == "no bulk at the start"


def test_numbers_are_those_of_the_functions_they_come_from():
    old, new = spectra.singular_values(START), spectra.singular_values(spiked(2.0, 3.0))
    row = verdicts.describe(old, new, SHAPE)
    change, fit = spectra.compare(old, new), spectra.fit_power_law(new**2)
    assert row["outliers"] == row["mp_outliers"] == 2
    assert row["bulk_drift"] == pytest.approx(change.bulk_drift)
    assert row["mean_drift"] == pytest.approx(float((new[2:] - old[2:]).abs().mean() / old[2:].mean()))
    assert (row["alpha"], row["ks"], row["tail_size"]) == pytest.approx((fit.alpha, fit.distance, fit.tail_size))
    assert row["stable_rank"] == pytest.approx(float(spiked(2.0, 3.0).norm() ** 2 / new[0] ** 2))
    assert row["mp_variance"] == pytest.approx(1, rel=0.03)
    assert set(row) == set(verdicts.COLUMNS)


def test_effective_rank_counts_equal_values():
    values = torch.zeros(30)
    values[:8] = 3.0
    assert verdicts.describe(values, values, (30, 40))["effective_rank"] == pytest.approx(8)
    assert verdicts.describe(values, values, (30, 40))["stable_rank"] == pytest.approx(8)


@pytest.mark.parametrize(
    "name, before, after",
    [("before", torch.ones(5), torch.ones(6)), ("after", torch.ones(6), torch.full((6,), math.nan))],
)
def test_bad_input_is_refused(name, before, after):
    with pytest.raises(ValueError, match=f"^{name}"):
        verdicts.describe(before, after, (6, 9))
