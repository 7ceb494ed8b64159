"""Spectra: planted spikes, known angles, numpy as a second route."""

import math

import numpy as np
import pytest
import torch

from helpers import laws, networks, spectra

H, D = 600, 400


def planted(strength, seed):
    """A Gaussian matrix and the same one plus a rank-one spike, over sqrt h; and the spike's right direction."""
    rng = np.random.default_rng(seed)
    w, u, v = rng.standard_normal((H, D)), rng.standard_normal(H), rng.standard_normal(D)
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    return w / math.sqrt(H), (w + strength * np.outer(u, v)) / math.sqrt(H), v


def test_values_meet_numpy():
    a = np.random.default_rng(0).standard_normal((30, 20)).astype(np.float32)
    s = spectra.singular_values(torch.from_numpy(a))
    assert s.dtype == torch.float64
    np.testing.assert_allclose(s, np.linalg.svd(a.astype(np.float64), compute_uv=False), rtol=1e-12)
    k = a @ a.T
    np.testing.assert_allclose(spectra.eigenvalues(k), np.linalg.eigvalsh(k.astype(np.float64))[::-1], atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("times_threshold, found", [(0.0, 0), (0.5, 0), (1.6, 1), (3.0, 1)])
def test_planted_spikes(seed, times_threshold, found):
    strength = times_threshold * (H * D) ** 0.25
    before, after, _ = planted(strength, seed)
    result = spectra.compare(before, after)
    assert len(result.outliers) == found
    if found:
        value = math.sqrt((strength**2 + H) * (strength**2 + D)) / strength / math.sqrt(H)
        assert result.outliers[0] == pytest.approx(value, rel=0.03)
    assert result.edge_after < result.edge_before + result.margin
    assert result.bulk_drift < 0.05


@pytest.mark.parametrize("seed", range(20))
def test_two_independent_bulks_have_no_outlier(seed):
    assert len(spectra.compare(planted(0, seed)[0], planted(0, seed + 100)[0]).outliers) == 0


def test_no_value_of_a_random_matrix_stands_apart_from_its_own_bulk():
    rng = np.random.default_rng(0)
    starts = [spectra.singular_values(rng.standard_normal((64, 200))).numpy() for _ in range(1000)]
    assert sum(spectra.bulk_start(values) for values in starts) == 0


def test_initial_outliers_do_not_widen_the_bulk():
    before, spiked, _ = planted(60.0, 0)
    result = spectra.compare(spiked, spiked)
    assert spectra.bulk_start(spectra.singular_values(spiked).numpy()) == 1
    assert len(result.outliers) == 1 and result.bulk_drift == 0
    assert result.edge_before == pytest.approx(1 + math.sqrt(D / H), rel=0.02)
    assert len(spectra.compare(spiked, before).outliers) == 0


def test_drift_is_the_largest_move():
    before = np.linspace(1, 2, 50)
    after = before.copy()
    after[20] += 0.015
    result = spectra.compare(torch.from_numpy(before), after.tolist())
    assert result.bulk_drift == pytest.approx(0.015) and result.edge_after == 2.0


def test_overlap_of_known_angles():
    e = torch.eye(5)
    tilted = math.cos(0.3) * e[0] + math.sin(0.3) * e[1]
    assert spectra.overlap(e[0], -2 * tilted) == pytest.approx(math.cos(0.3))
    assert spectra.overlap(e[0], e[1]) == pytest.approx(0, abs=1e-12)
    assert spectra.overlap(e[:, :2], e[:, [1]]) == pytest.approx(1)
    assert spectra.overlap(e[:, :2], e[:, 1:3]) == pytest.approx(math.sqrt(1 / 2))
    assert spectra.overlap(e[0].numpy(), e[:, [0]].double()) == pytest.approx(1)


LINE = np.linspace(1, 2, 50)


@pytest.mark.parametrize(
    "name, call",
    [
        ("weight", lambda: spectra.singular_values(torch.zeros(3))),
        ("weight", lambda: spectra.singular_values(torch.zeros(0, 3))),
        ("weight", lambda: spectra.singular_values(torch.full((3, 3), math.inf))),
        ("kernel", lambda: spectra.eigenvalues(torch.zeros(3, 4))),
        ("kernel", lambda: spectra.eigenvalues(torch.arange(9.0).reshape(3, 3))),
        ("kernel", lambda: spectra.eigenvalues(torch.full((3, 3), math.nan))),
        ("before", lambda: spectra.compare(LINE[:5], LINE[:5])),
        ("after", lambda: spectra.compare(LINE, LINE[:30])),
        ("before", lambda: spectra.compare(np.ones(50), np.ones(50))),
        ("after", lambda: spectra.compare(LINE, LINE * math.nan)),
        ("before", lambda: spectra.compare([], [])),
        ("vectors", lambda: spectra.overlap(torch.zeros(3), torch.ones(3))),
        ("vectors", lambda: spectra.overlap(torch.ones(3, 2), torch.ones(3))),
        ("directions", lambda: spectra.overlap(torch.ones(3), torch.ones(4))),
        ("vectors", lambda: spectra.overlap(torch.tensor([math.nan, 1.0]), torch.ones(2))),
    ],
)
def test_bad_input_is_refused(name, call):
    with pytest.raises(ValueError, match=f"^{name}"):
        call()


def test_a_bulk_that_has_left_is_all_outliers():
    found = spectra.compare(LINE, LINE + 100)
    assert len(found.outliers) == len(LINE) and math.isnan(found.bulk_drift) and math.isnan(found.edge_after)


def test_the_spectrum_of_a_network_is_in_the_units_of_its_law():
    net = networks.TwoLayerNet(200, 300, seed=3)
    values = spectra.weight_spectrum(net)
    torch.testing.assert_close(values, torch.linalg.svdvals(net.weight.detach().double()) / math.sqrt(300))
    assert float(values[0]) == pytest.approx(1 + math.sqrt(2 / 3), rel=0.02)


def test_stable_rank_counts_equal_directions():
    assert spectra.stable_rank([3.0, 3.0, 3.0, 0.0]) == pytest.approx(3)
    for bad in ([], [0.0, 0.0], [1.0, math.nan]):
        with pytest.raises(ValueError, match=r"^values"):
            spectra.stable_rank(bad)


def test_stable_rank_does_not_depend_on_the_scale():
    for scale in (1e-170, 1.0, 1e170):
        assert spectra.stable_rank(np.array([2.0, 1.0]) * scale) == pytest.approx(1.25)


VALUES = np.random.default_rng(3).pareto(1.5, 60) + 1


@pytest.mark.parametrize("given", [VALUES.astype(">f8"), VALUES[::-1][::-1], list(VALUES), torch.from_numpy(VALUES)])
def test_the_order_of_bytes_and_the_kind_of_array_do_not_matter(given):
    assert spectra.fit_power_law(given) == spectra.fit_power_law(VALUES)


@pytest.mark.parametrize(
    "given, what",
    [
        pytest.param(
            VALUES.astype(np.longdouble),
            "dtype",
            marks=pytest.mark.skipif(np.longdouble(1).nbytes == 8, reason="long double is float64"),
        ),
        (torch.from_numpy(VALUES).to(torch.float8_e4m3fn), "dtype torch.float8_e4m3fn"),
        (torch.from_numpy(VALUES).to_sparse(), "layout torch.sparse_coo"),
        (torch.from_numpy(VALUES).to("meta"), "device meta"),
        (np.ma.masked_greater(VALUES, 5), "masked array"),
        (VALUES.astype(str), "dtype <U"),
        (VALUES.astype(object), "dtype object"),
        (VALUES.astype("datetime64[s]"), "dtype datetime64"),
        (VALUES + 1j, "dtype torch.complex128"),
    ],
)
def test_arrays_that_are_refused_are_called_by_their_type(given, what):
    with pytest.raises(TypeError, match=f"^values: got .*({what})"):
        spectra.fit_power_law(given)
    if not isinstance(given, np.ndarray) or given.dtype.kind == "c" or isinstance(given, np.ma.MaskedArray):
        with pytest.raises(TypeError, match=r"^x: got "):
            laws.marchenko_pastur(0.5).density(given)
