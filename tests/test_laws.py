"""Laws against quadrature, exact moments, brute-force fixed points and sampled matrices."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import kstest

from helpers import laws
from helpers.activations import Activation, normalized
from helpers.laws.finite_size import tangent_kernel_correction
from helpers.laws.free_convolution import spectrum
from helpers.laws.populations import MarchenkoPasturPopulation

NO_LINEAR_PART = Activation("tanh", 0.0, 1.0, linear_coefficient=0.0, derivative_power=2.0)


def moments(law, count=3):
    nodes, weights = law.nodes(2000)
    return [float(weights @ nodes**k) for k in range(count + 1)]


def sampled_conjugate_kernel(activation, x, widths, rng):
    s, features = normalized(activation), x
    for h in widths:
        weight = rng.standard_normal((h, features.shape[1]))
        features = s(torch.from_numpy(features @ weight.T / math.sqrt(features.shape[1]))).numpy()
    return np.linalg.eigvalsh(features @ features.T / widths[-1])


def sampled_deformed(phi, h, r, rng):
    """Eigenvalues of Phi^(1/2) (G G'/h + r I) Phi^(1/2)."""
    g = rng.standard_normal((len(phi), h))
    middle = g @ g.T / h + r * np.eye(len(phi))
    return np.linalg.eigvalsh(np.sqrt(phi)[:, None] * middle * np.sqrt(phi))


def phi_moments(activation, n, d):
    """First three moments of (1 - b^2) + b^2 mu, mu Marchenko-Pastur of ratio n/d."""
    b2, c = normalized(activation).linear_coefficient ** 2, n / d
    m1, m2, m3 = 1, 1 + c, 1 + 3 * c + c**2
    a = 1 - b2
    return a + b2 * m1, a**2 + 2 * a * b2 * m1 + b2**2 * m2, a**3 + 3 * a**2 * b2 + 3 * a * b2**2 * m2 + b2**3 * m3


# Marchenko-Pastur


@pytest.mark.parametrize("ratio, variance", [(1e-4, 1), (0.5, 2.0), (1.0, 1), (1.001, 1), (2.0, 0.5), (50, 3)])
def test_marchenko_pastur_mass_cdf_and_moments(ratio, variance):
    law = laws.marchenko_pastur(ratio, variance)
    ((lo, hi),) = law.support
    assert lo == pytest.approx(variance * (1 - ratio**0.5) ** 2)
    assert hi == pytest.approx(variance * (1 + ratio**0.5) ** 2)
    assert law.atom == pytest.approx(max(0, 1 - 1 / ratio))
    for share in (0.01, 0.3, 0.7, 1.0):
        x = lo + share * (hi - lo)
        mass = quad(lambda t: float(law.density(t)), lo, x, limit=400)[0]
        assert float(law.cdf(x)) == pytest.approx(law.atom + mass, abs=1e-8)
    c, v = ratio, variance
    expected = [1, v, v**2 * (1 + c), v**3 * (1 + 3 * c + c**2)]
    assert moments(law) == pytest.approx(expected, rel=1e-3 if ratio == 1.001 else 1e-9)  # 1.001: a near-pole at 0


def test_marchenko_pastur_narrows_to_a_point_as_the_ratio_goes_to_zero():
    law = laws.marchenko_pastur(1e-10)
    assert law.cdf([1 - 1e-4, 1 + 1e-4]) == pytest.approx([0, 1], abs=1e-9)


def test_weight_spectrum_follows_marchenko_pastur_better_at_larger_size():
    distance = {}
    for h, d in ((150, 100), (1500, 1000)):
        law = laws.marchenko_pastur(d / h)
        samples = [np.random.default_rng(seed).standard_normal((h, d)) for seed in range(3)]
        distance[h] = [law.distance(np.linalg.svd(w, compute_uv=False) ** 2 / h) for w in samples]
    assert max(distance[1500]) < 0.01
    assert np.mean(distance[1500]) < np.mean(distance[150]) / 3


# Conjugate kernel


@pytest.mark.parametrize("activation", ["tanh", "softplus", "relu"])
def test_conjugate_kernel_follows_its_law_better_at_larger_size(activation):
    distance = {}
    for n in (200, 1000):
        d, h = n // 2, 3 * n // 4
        law = laws.conjugate_kernel_law(activation, n, d, h)
        distance[n] = []
        for seed in range(2):
            rng = np.random.default_rng(seed)
            values = sampled_conjugate_kernel(activation, rng.standard_normal((n, d)), [h], rng)
            distance[n].append(law.distance(values))
    assert max(distance[1000]) < 0.01
    assert np.mean(distance[1000]) < np.mean(distance[200]) / 2


@pytest.mark.parametrize("activation", ["tanh", "softplus", "relu", "identity"])
@pytest.mark.parametrize("n, d, h", [(2000, 1000, 1500), (500, 1000, 800), (4000, 1000, 500), (1000, 1000, 1200)])
def test_conjugate_kernel_mass_and_moments(activation, n, d, h):
    law, gamma = laws.conjugate_kernel_law(activation, n, d, h), n / h
    p1, p2, p3 = phi_moments(activation, n, d)
    expected = [1, p1, p2 + gamma * p1**2, p3 + 3 * gamma * p1 * p2 + gamma**2 * p1**3]
    assert moments(law) == pytest.approx(expected, rel=1e-7)
    rank = min(h, d) if activation == "identity" else h
    assert law.atom == pytest.approx(max(0, 1 - rank / n))


def test_random_sizes_have_mass_one_and_the_right_mean():
    rng = np.random.default_rng(0)
    for k in range(60):
        n, d, h = (int(10 ** rng.uniform(1, 4.5)) for _ in range(3))
        name, r = ("tanh", "softplus", "relu", "erf")[k % 4], 10 ** rng.uniform(-2, 2)
        a2 = normalized(name).derivative_power
        assert moments(laws.conjugate_kernel_law(name, n, d, h), 1) == pytest.approx([1, 1], abs=1e-4)
        law = laws.neural_tangent_kernel_law(name, n, d, h, readout_power=r)
        assert moments(law, 1) == pytest.approx([1, 1 + r * a2], rel=1e-4)


def test_square_linear_network_has_fuss_catalan_moments():
    law = laws.conjugate_kernel_law("identity", 1000, 1000, 1000)
    assert law.support[0] == pytest.approx((0, 27 / 4), abs=1e-9)
    assert moments(law) == pytest.approx([1, 1, 3, 12], rel=1e-2)  # the density is unbounded at 0


def test_without_a_linear_part_the_law_is_marchenko_pastur():
    x = np.linspace(-1, 8, 500)
    for n, h in ((2000, 1500), (500, 1500)):
        plain = laws.marchenko_pastur(n / h)
        conjugate = laws.conjugate_kernel_law(NO_LINEAR_PART, n, 1000, h)
        assert conjugate.cdf(x) == pytest.approx(plain.cdf(x), abs=1e-7)
        assert conjugate.density(x) == pytest.approx(plain.density(x), abs=1e-6)
        tangent = laws.neural_tangent_kernel_law(NO_LINEAR_PART, n, 1000, h, readout_power=0.7)
        assert tangent.cdf(x) == pytest.approx(plain.cdf(x - 0.7 * 2.0), abs=1e-7)  # CK + r a2 I


def test_infinite_width_gives_the_population():
    n, d, h = 500, 1000, 10**9
    b2 = normalized("tanh").linear_coefficient ** 2
    law, mu = laws.conjugate_kernel_law("tanh", n, d, h), laws.marchenko_pastur(n / d)
    x = np.linspace(0, 4, 300)
    assert law.cdf(x) == pytest.approx(mu.cdf((x - 1 + b2) / b2), abs=1e-5)


# Neural tangent kernel


@pytest.mark.parametrize("n, d, h", [(2000, 1000, 1500), (500, 1000, 800), (4000, 1000, 500), (2000, 100, 30)])
@pytest.mark.parametrize("r", [0.5, 1.0, 3.0])
def test_tangent_kernel_mass_and_moments(n, d, h, r):
    p1, p2, _ = phi_moments("tanh", n, d)
    shift = r * (normalized("tanh").derivative_power - 1)
    law = laws.neural_tangent_kernel_law("tanh", n, d, h, readout_power=r)
    second = p2 + n / h * p1**2 + 2 * r * p2 + r**2 * p2 + 2 * shift * (1 + r) * p1 + shift**2
    assert moments(law, 2) == pytest.approx([1, (1 + r) * p1 + shift, second], rel=1e-7)


def test_tangent_kernel_without_readout_is_the_conjugate_kernel():
    x = np.linspace(0, 10, 300)
    tangent = laws.neural_tangent_kernel_law("softplus", 2000, 1000, 1500, readout_power=0)
    assert tangent.cdf(x) == pytest.approx(laws.conjugate_kernel_law("softplus", 2000, 1000, 1500).cdf(x), abs=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("n, d, h", [(600, 300, 450), (800, 200, 100), (300, 600, 900)])
def test_edges_and_gaps_are_where_the_matrix_model_has_them(activation, n, d, h):
    rng, b2 = np.random.default_rng(0), normalized(activation).linear_coefficient ** 2
    x = rng.standard_normal((n, d))
    phi = np.maximum(1 - b2 + b2 * np.linalg.eigvalsh(x @ x.T / d), 1 - b2)
    values = sampled_deformed(phi, h, 1.0, rng) + normalized(activation).derivative_power - 1
    law = laws.neural_tangent_kernel_law(activation, n, d, h)
    assert law.distance(values) < 4 / n
    edges = [edge for interval in law.support for edge in interval]
    on_atom = np.zeros(n, bool)
    for location, mass in law.atoms:
        on_atom |= np.abs(values - location) < 1e-8
        assert on_atom.mean() == pytest.approx(mass, abs=1e-9)
    free = values[~on_atom]
    middles = [0.0, *((lo + hi) / 2 for lo, hi in zip(edges[1:-1:2], edges[2:-1:2], strict=True)), np.inf]
    for (lo, hi), (start, stop) in zip(law.support, itertools.pairwise(middles), strict=True):
        inside = free[(free > start) & (free < stop)]
        assert inside.min() == pytest.approx(lo, rel=0.08) and inside.max() == pytest.approx(hi, rel=0.1)


@pytest.mark.parametrize("n, d, h, r", [(2000, 1000, 1500, 1.0), (4000, 1000, 500, 2.0), (500, 1000, 800, 0.0)])
def test_stieltjes_transform_solves_the_fixed_point_by_plain_iteration(n, d, h, r):
    a = normalized("tanh")
    mu, w = laws.marchenko_pastur(n / d).nodes(4000)
    phi = 1 - a.linear_coefficient**2 * (1 - mu)
    added = r * (a.linear_coefficient**2 * mu + a.derivative_power - a.linear_coefficient**2)
    nodes, weights = laws.neural_tangent_kernel_law("tanh", n, d, h, readout_power=r).nodes(4000)
    for z in (0.5 + 0.3j, 3 + 1j, 8 + 0.5j, -1 + 0j):
        s = 1 + 0j
        for _ in range(3000):
            s = 0.5 * s + 0.5 / (1 + n / h * (w @ (phi / (s * phi + added - z))))
        assert weights @ (1 / (nodes - z)) == pytest.approx(w @ (1 / (s * phi + added - z)), abs=1e-7)


def tangent_kernel_parts(activation, n, d, h, rng):
    """Sampled NTK, r = |v|^2/h, and (X X'/d) o (R V^2 R'/h), each formed from its definition."""
    s = normalized(activation)
    x, weight, v = rng.standard_normal((n, d)), rng.standard_normal((h, d)), rng.standard_normal(h)
    z = torch.from_numpy(x @ weight.T / math.sqrt(d))
    features, slopes = s(z).numpy(), s.derivative(z).numpy()
    rest = slopes - s.linear_coefficient
    gram = x @ x.T / d
    kernel = gram * ((slopes * v**2) @ slopes.T / h) + features @ features.T / h
    return kernel, v @ v / h, gram * ((rest * v**2) @ rest.T / h)


@pytest.mark.parametrize("activation", ["softplus", "tanh", "relu"])
def test_finite_size_brings_the_tangent_kernel_to_its_law(activation):
    plain, corrected = {}, {}
    for n in (250, 1000):
        d, h = n // 2, 3 * n // 4
        plain[n], corrected[n] = [], []
        for seed in range(2):
            kernel, r, _ = tangent_kernel_parts(activation, n, d, h, np.random.default_rng(seed))
            values = np.linalg.eigvalsh(kernel)
            plain[n].append(laws.neural_tangent_kernel_law(activation, n, d, h, readout_power=r).distance(values))
            law = laws.neural_tangent_kernel_law(activation, n, d, h, readout_power=r, finite_size=True)
            corrected[n].append(law.distance(values))
    assert max(corrected[1000]) < 0.02 < 0.07 < min(plain[1000])
    assert np.mean(corrected[1000]) < np.mean(corrected[250]) / 2
    assert 0.35 < math.log(np.mean(plain[250]) / np.mean(plain[1000]), 4) < 0.65  # like n^(-1/2)


@pytest.mark.parametrize("activation", ["softplus", "tanh", "relu"])
def test_finite_size_noise_is_the_variance_that_samples_show(activation):
    n, d, h, seen = 600, 400, 500, []
    for seed in range(6):
        _, r, rest = tangent_kernel_parts(activation, n, d, h, np.random.default_rng(seed))
        diagonal = np.diag(rest)
        off = rest - np.diag(diagonal)
        off = off - off.sum() / (n * (n - 1)) * (1 - np.eye(n))  # the mean is one outlier, not noise
        seen.append((diagonal.var() + (off**2).sum() / n) / r**2)
    expected = tangent_kernel_correction(normalized(activation), n, d, h, 1.0).noise
    assert np.mean(seen) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("noise", [1e-3, 0.05, 1.0])
@pytest.mark.parametrize("n, d, h", [(400, 200, 300), (600, 150, 100)])
def test_added_semicircle_matches_sampled_matrices(n, d, h, noise):
    rng, offset, slope = np.random.default_rng(0), 0.1, 0.9
    x = rng.standard_normal((n, d))
    values, vectors = np.linalg.eigh(x @ x.T / d)
    root = (vectors * np.sqrt(offset + slope * np.maximum(values, 0))) @ vectors.T
    g, w = rng.standard_normal((n, h)), rng.standard_normal((n, n))
    sampled = root @ (g @ g.T / h + np.eye(n)) @ root + math.sqrt(noise / (2 * n)) * (w + w.T)
    law = laws.Law(*spectrum(MarchenkoPasturPopulation(n / d, offset, slope), n / h, 1.0, noise))
    assert law.distance(np.linalg.eigvalsh(sampled)) < 5 / n
    without = laws.Law(*spectrum(MarchenkoPasturPopulation(n / d, offset, slope), n / h, 1.0))
    mean, second = moments(without, 2)[1:]
    assert moments(law, 2) == pytest.approx([1, mean, second + noise], rel=1e-7)


# Population of real data, deeper networks


@pytest.mark.parametrize("law_of", [laws.conjugate_kernel_law, laws.neural_tangent_kernel_law])
def test_sampled_population_agrees_with_marchenko_pastur(law_of):
    n, d, h = 1000, 500, 750
    x = np.random.default_rng(1).standard_normal((n, d))
    given = law_of("tanh", n, d, h, population=np.linalg.eigvalsh(x @ x.T / d))
    exact = law_of("tanh", n, d, h)
    as_law = law_of("tanh", n, d, h, population=laws.marchenko_pastur(n / d))
    grid = np.linspace(0, 15, 800)
    assert np.abs(given.cdf(grid) - exact.cdf(grid)).max() < 2e-3
    assert np.abs(as_law.cdf(grid) - exact.cdf(grid)).max() < 1e-8


def test_population_with_outliers_and_many_small_eigenvalues():
    n, d, h = 1200, 800, 500
    mu = np.concatenate([np.zeros(n - 700), 300.0 * np.arange(1, 701) ** -1.5])
    mu *= n / mu.sum()
    b2, a2 = normalized("tanh").linear_coefficient ** 2, normalized("tanh").derivative_power
    phi = 1 - b2 + b2 * mu
    rng = np.random.default_rng(3)
    for r in (0.0, 1.0):
        law = laws.neural_tangent_kernel_law("tanh", n, d, h, readout_power=r, population=mu)
        shift, second = r * (a2 - 1), (1 + r) ** 2 * (phi**2).mean() + n / h
        expected = [1, 1 + r + shift, second + 2 * shift * (1 + r) + shift**2]
        assert moments(law, 2) == pytest.approx(expected, rel=1e-3)
        assert law.distance(sampled_deformed(phi, h, r, rng) + shift) < 0.01
        assert len(law.bands) > 3
    assert law.atoms[0][1] == pytest.approx(500 / n - h / n, abs=1e-9) if h < 500 else law.atoms == ()


@pytest.mark.parametrize("layers", [2, 3])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_deeper_conjugate_kernel_follows_the_recursion(activation, layers):
    distance = {}
    for n in (200, 800):
        widths = [4 * n // 5, 3 * n // 5, 6 * n // 5][:layers]
        law = laws.conjugate_kernel_law(activation, n, n // 2, widths)
        assert moments(law, 1) == pytest.approx([1, 1], abs=1e-6)
        distance[n] = []
        for seed in range(2):
            rng = np.random.default_rng(seed)
            values = sampled_conjugate_kernel(activation, rng.standard_normal((n, n // 2)), widths, rng)
            distance[n].append(law.distance(values))
    assert max(distance[800]) < 0.02
    assert np.mean(distance[800]) < np.mean(distance[200]) / 2


def test_one_width_in_a_list_is_the_same_as_a_number():
    x = np.linspace(0, 9, 50)
    one, same = laws.conjugate_kernel_law("relu", 300, 200, 250), laws.conjugate_kernel_law("relu", 300, 200, [250])
    assert (one.cdf(x) == same.cdf(x)).all()


def test_sample_covariance_with_the_identity_is_marchenko_pastur():
    x = np.linspace(0, 8, 400)
    law = laws.sample_covariance_law(np.ones(5), 1.5)
    assert law.cdf(x) == pytest.approx(laws.marchenko_pastur(1.5).cdf(x), abs=1e-8)


# The Law itself


def test_cdf_is_the_integral_of_the_density():
    law = laws.neural_tangent_kernel_law("tanh", 2000, 1000, 1500)
    assert len(law.support) == 2
    below = 0.0
    for lo, hi in law.support:
        for x in (lo + 0.1 * (hi - lo), hi):
            mass = quad(lambda t: float(law.density(t)), lo, x, limit=200, epsabs=1e-8)[0]
            assert float(law.cdf(x)) == pytest.approx(below + mass, abs=1e-6)
        below = float(law.cdf(hi))
    assert below == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("kind", [float, np.float32, torch.tensor, np.array])
def test_numbers_arrays_and_tensors_are_taken(kind):
    law = laws.conjugate_kernel_law("relu", 300, 200, 250)
    assert law.density(kind(1.0)).shape == () and law.cdf(kind(1.0)).dtype == np.float64
    grid = torch.rand(3, 4, dtype=torch.float32)
    assert law.density(grid).shape == law.cdf(grid.tolist()).shape == (3, 4)


def test_distance_is_the_kolmogorov_smirnov_statistic():
    law = laws.marchenko_pastur(0.4)
    values = np.random.default_rng(0).uniform(0.1, 2.5, 300)
    assert law.distance(values) == pytest.approx(kstest(values, law.cdf).statistic)
    wide = laws.marchenko_pastur(4.0)  # 3/4 of the mass at 0
    nodes, weights = wide.nodes(4000)
    grid = np.interp((np.arange(1000) + 0.5) / 4000, np.cumsum(weights[1:]), nodes[1:])
    values = np.concatenate([np.random.default_rng(1).normal(size=3000) * 1e-12, grid])
    assert wide.distance(values) < 1e-3
    assert wide.distance(torch.from_numpy(values)) < 1e-3


# Spikes


def test_spike_location_and_overlaps_match_sampled_matrices():
    h, d = 600, 200
    rng = np.random.default_rng(0)
    u, v = np.eye(h)[0], np.eye(d)[0]
    for factor in (1.3, 2.0, 4.0):
        theta, seen = factor * (h * d) ** 0.25, []
        for _ in range(8):
            spiked = theta * np.outer(u, v) + rng.standard_normal((h, d))
            left, values, right = np.linalg.svd(spiked, full_matrices=False)
            seen.append((values[0], abs(left[0, 0]), abs(right[0, 0])))
        value, left, right = np.mean(seen, axis=0)
        spike = laws.spiked_singular_value(theta, h, d)
        assert spike.visible
        assert spike.value == pytest.approx(value, abs=1.0)  # one value fluctuates by about 1
        assert spike.left_overlap == pytest.approx(left, abs=0.05)
        assert spike.right_overlap == pytest.approx(right, abs=0.05)
    assert spike.right_overlap > spike.left_overlap  # the longer vector is the harder one


def test_spike_is_hidden_up_to_the_threshold():
    threshold = (1500 * 1000) ** 0.25
    hidden = laws.spiked_singular_value(threshold, 1500, 1000)
    seen = laws.spiked_singular_value(threshold * 1.001, 1500, 1000)
    assert not hidden.visible and hidden.left_overlap == hidden.right_overlap == 0
    assert hidden.value == pytest.approx(math.sqrt(1500) + math.sqrt(1000))
    assert seen.visible and seen.value == pytest.approx(hidden.value, rel=1e-5)
    assert laws.spiked_singular_value(0, 3, 2).value == pytest.approx(math.sqrt(3) + math.sqrt(2))


# Bad input


@pytest.mark.parametrize(
    "call, error, words",
    [
        (lambda: laws.marchenko_pastur(0), ValueError, "ratio"),
        (lambda: laws.marchenko_pastur(math.nan), ValueError, "ratio"),
        (lambda: laws.marchenko_pastur("1"), TypeError, "ratio"),
        (lambda: laws.marchenko_pastur(1, -2), ValueError, "variance"),
        (lambda: laws.conjugate_kernel_law("swish", 10, 10, 10), ValueError, "activation"),
        (lambda: laws.conjugate_kernel_law("tanh", 0, 10, 10), ValueError, "n:"),
        (lambda: laws.conjugate_kernel_law("tanh", 10, -1, 10), ValueError, "d:"),
        (lambda: laws.conjugate_kernel_law("tanh", 10, 10, 2.5), TypeError, "h:"),
        (lambda: laws.conjugate_kernel_law("tanh", 10, 10, []), ValueError, "h:"),
        (lambda: laws.conjugate_kernel_law("tanh", 10, 10, [5, 0]), ValueError, "h:"),
        (lambda: laws.conjugate_kernel_law("tanh", 2, 2, 2, population=[]), ValueError, "population"),
        (lambda: laws.conjugate_kernel_law("tanh", 2, 2, 2, population=[1.0, -1.0]), ValueError, "population"),
        (lambda: laws.conjugate_kernel_law("tanh", 2, 2, 2, population=[1.0, math.nan]), ValueError, "population"),
        (lambda: laws.conjugate_kernel_law("tanh", 2, 2, 2, population=[1.0, math.inf]), ValueError, "population"),
        (lambda: laws.conjugate_kernel_law("tanh", 2, 2, 2, population=[0.0, 0.0]), ValueError, "population"),
        (lambda: laws.conjugate_kernel_law("tanh", 3, 2, 2, population=[1.0, 2.0]), ValueError, "expected n = 3"),
        (lambda: laws.conjugate_kernel_law("tanh", 2, 2, 2, population="mnist"), TypeError, "population"),
        (lambda: laws.neural_tangent_kernel_law("tanh", 10, 10, 10, readout_power=-1), ValueError, "readout_power"),
        (lambda: laws.neural_tangent_kernel_law("tanh", 10, 10, [10, 5]), TypeError, "h:"),
        (
            lambda: laws.neural_tangent_kernel_law("tanh", 2, 9, 9, population=[1, 2], finite_size=True),
            ValueError,
            "finite_size",
        ),
        (lambda: laws.neural_tangent_kernel_law(NO_LINEAR_PART, 2, 9, 9, finite_size=True), ValueError, "activation"),
        (lambda: laws.sample_covariance_law([1.0, 2.0], 0), ValueError, "ratio"),
        (lambda: laws.marchenko_pastur(1).density(math.nan), ValueError, "x:"),
        (lambda: laws.marchenko_pastur(1).cdf("1"), TypeError, "x:"),
        (lambda: laws.marchenko_pastur(1).distance([]), ValueError, "values"),
        (lambda: laws.spiked_singular_value(-1, 10, 10), ValueError, "strength"),
        (lambda: laws.spiked_singular_value(math.inf, 10, 10), ValueError, "strength"),
        (lambda: laws.spiked_singular_value(1, 10.0, 10), TypeError, "h:"),
        (lambda: laws.spiked_singular_value(1, 10, 0), ValueError, "d:"),
    ],
)
def test_bad_input_is_named(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    "law", [laws.marchenko_pastur(0.5), laws.marchenko_pastur(2.0), laws.conjugate_kernel_law("tanh", 200, 100, 150)]
)
def test_square_root_is_the_law_of_singular_values(law):
    root = law.square_root()
    x = np.linspace(0, 1.1 * root.support[-1][1], 200)
    np.testing.assert_allclose(root.cdf(x), law.cdf(x**2), atol=1e-12)
    np.testing.assert_allclose(root.density(x), 2 * x * law.density(x**2), atol=1e-12)
    assert root.atom == law.atom
    mass = sum(quad(root.density, lo, hi, limit=500)[0] for lo, hi in root.support)
    assert mass + root.atom == pytest.approx(1, abs=1e-3)
    nodes, weights = root.nodes(2000)
    assert np.sum(weights * nodes**2) == pytest.approx(np.sum(law.nodes(2000)[0] * law.nodes(2000)[1]))


def test_square_root_refuses_negative_support():
    with pytest.raises(ValueError, match=r"^law"):
        laws.Law((), ((-1.0, 1.0),)).square_root()


@pytest.mark.parametrize(
    "population, r", [(MarchenkoPasturPopulation(0.5, 1.0, 1.0), 0.0), (MarchenkoPasturPopulation(2.0, 0.0, 1.0), 1.0)]
)
def test_noise_on_a_spectrum_that_may_have_zeros_is_refused(population, r):
    with pytest.raises(ValueError, match=r"^noise: got 0.1, expected 0"):
        spectrum(population, 0.5, r, noise=0.1)
