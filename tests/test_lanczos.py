"""Eigenvalues, densities and alignment from products, against dense linear algebra and closed-form laws."""

import numpy as np
import pytest
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

from helpers import _random, kernels, lanczos, laws


def wishart(n=1000, h=2000, seed=0):
    """A sample covariance; its eigenvalues follow marchenko_pastur(n / h)."""
    g = np.random.default_rng(seed).standard_normal((n, h))
    return g @ g.T / h


def with_eigenvalues(values, seed=0):
    basis = np.linalg.qr(np.random.default_rng(seed).standard_normal((len(values), len(values))))[0]
    return basis * values @ basis.T


def counted(matrix):
    """The matrix as an operator, and the list that its products go to."""
    made = []

    def product(v):
        made.append(1)
        return matrix @ v.ravel()

    return LinearOperator(matrix.shape, matvec=product, dtype=float), made


def test_top_eigenvalues():
    matrix = wishart(300, 200)
    wanted, vectors = np.linalg.eigh(matrix)
    found = lanczos.top_eigenvalues(matrix, 4, tolerance=1e-12)
    np.testing.assert_allclose(found.values, wanted[:-5:-1], rtol=1e-10)
    np.testing.assert_allclose(np.abs((found.vectors * vectors[:, :-5:-1]).sum(0)), 1, rtol=1e-8)


def test_top_eigenvalue_is_the_largest_not_the_largest_in_size():
    assert lanczos.top_eigenvalues(with_eigenvalues(np.linspace(-9, 2, 50))).values == pytest.approx([2])


def test_a_good_start_saves_products():
    matrix = wishart(300, 200)
    (cold, many), (warm, few) = counted(matrix), counted(matrix + 1e-4 * np.diag(np.arange(300) / 300))
    start = lanczos.top_eigenvalues(cold).vectors[:, 0]
    value = lanczos.top_eigenvalues(warm, start=start).values[0]
    assert len(few) < len(many)
    fewer = counted(matrix)
    lanczos.top_eigenvalues(fewer[0], start=start, basis=5)
    assert len(fewer[1]) < 20 <= len(few)
    assert value == pytest.approx(np.linalg.eigvalsh(matrix + 1e-4 * np.diag(np.arange(300) / 300))[-1], rel=1e-6)


@pytest.mark.parametrize("probes", [1, 3])
def test_quadrature_is_exact_for_polynomials(probes):
    """m nodes integrate degrees up to 2m - 1 in the measure of the probe."""
    matrix = wishart(60, 90)
    nodes, weights = lanczos.spectral_density(matrix, steps=5, probes=probes).nodes()
    rng = _random.stream("probes", 0)
    starts = [z / np.linalg.norm(z) for z in (rng.standard_normal(60) for _ in range(probes))]
    for power in range(10):
        wanted = np.mean([z @ np.linalg.matrix_power(matrix, power) @ z for z in starts])
        assert weights @ nodes**power == pytest.approx(wanted, rel=1e-9)


def test_density_of_a_known_law():
    law = laws.marchenko_pastur(1 / 2)
    found = lanczos.spectral_density(wishart(), steps=25, probes=5)
    (low, high), (wanted_low, wanted_high) = found.support[0], law.support[0]
    assert low == pytest.approx(wanted_low, abs=0.02) and high == pytest.approx(wanted_high, abs=0.05)
    x = np.linspace(0.15, 2.8, 200)
    assert np.abs(found.cdf(x) - law.cdf(x)).max() < 3.2 / np.sqrt(5 * 1000)  # Brownian bridge, weights of variance 2
    assert np.abs(found.density(x) - law.density(x)).mean() < 0.1 * law.density(x).mean()


def test_cdf_is_monotone_and_density_its_derivative():
    found = lanczos.spectral_density(wishart(), steps=30, probes=2)
    (low, high) = found.support[0]
    x = np.linspace(low - 0.1, high + 0.1, 20001)
    cdf, middle = found.cdf(x), (x[1:] + x[:-1]) / 2
    assert cdf[0] == 0 and cdf[-1] == pytest.approx(1) and (np.diff(cdf) >= 0).all()
    np.testing.assert_allclose(np.cumsum(found.density(middle) * np.diff(x)), cdf[1:], atol=1e-3)


def test_zeros_and_an_outlier_become_atoms():
    values = np.concatenate([np.zeros(300), np.linspace(1, 2, 699), [5.0]])
    found = dict(lanczos.spectral_density(with_eigenvalues(values), steps=40, probes=8).atoms)
    zero, outlier = sorted(found)
    assert zero == pytest.approx(0, abs=1e-6) and outlier == pytest.approx(5, rel=1e-6)
    assert found[zero] == pytest.approx(0.3, abs=0.03)
    assert 0 < found[outlier] < 0.005


def test_all_steps_give_the_spectrum_itself():
    values = np.arange(1.0, 7)
    law = lanczos.spectral_density(with_eigenvalues(values), steps=99, probes=2)
    assert law.support == ()
    np.testing.assert_allclose([location for location, _ in law.atoms], values)
    assert sum(mass for _, mass in law.atoms) == pytest.approx(1)


def test_a_multiple_of_the_identity():
    ((location, mass),) = lanczos.spectral_density(3 * np.eye(20)).atoms
    assert location == pytest.approx(3) and mass == pytest.approx(1)


def test_seeds():
    one, same, other = (lanczos.spectral_density(wishart(50, 90), steps=5, seed=s).nodes()[0] for s in (0, 0, 1))
    assert np.array_equal(one, same) and not np.allclose(one, other)


def test_alignment_with_the_norm_is_exact():
    matrix, y = wishart(80, 40), np.random.default_rng(1).standard_normal(80)
    found = lanczos.estimate_alignment(matrix, y, norm=np.linalg.norm(matrix))
    assert found == (pytest.approx(kernels.alignment(matrix, y)), 0)


def test_alignment_errs_as_much_as_it_says():
    matrix, y = wishart(80, 40), np.random.default_rng(1).standard_normal(80)
    exact = kernels.alignment(matrix, y)
    found = [lanczos.estimate_alignment(matrix, y, seed=s) for s in range(100)]
    scores = [(f.value - exact) / f.standard_error for f in found]
    assert abs(np.mean(scores)) < 0.6 and 0.7 < np.std(scores) < 1.6
    squares = [1 / f.value**2 for f in found]  # proportional to the estimate of |K|_F^2, which is unbiased
    spread = np.std(squares) / np.sqrt(len(squares))
    assert abs(np.mean(squares) - 1 / exact**2) < 4 * spread


def test_bad_input_is_refused():
    matrix = wishart(20, 30)
    with pytest.raises(TypeError, match="operator: got str"):
        lanczos.spectral_density("kernel")
    with pytest.raises(ValueError, match=r"operator: got shape \(20, 19\)"):
        lanczos.top_eigenvalues(matrix[:, :19])
    with pytest.raises(ValueError, match="k: got 20, expected at most 19"):
        lanczos.top_eigenvalues(matrix, 20)
    with pytest.raises(ValueError, match="start: got shape"):
        lanczos.top_eigenvalues(matrix, start=np.ones(19))
    with pytest.raises(ValueError, match="basis: got 2, expected 3 to 20"):
        lanczos.top_eigenvalues(matrix, basis=2)
    with pytest.raises(ValueError, match="steps: got 0"):
        lanczos.spectral_density(matrix, steps=0)
    with pytest.raises(ValueError, match="probes: got 1"):
        lanczos.estimate_alignment(matrix, np.ones(20), probes=1)
    with pytest.raises(ValueError, match="y: got shape"):
        lanczos.estimate_alignment(matrix, np.ones(19))
    with pytest.raises(ValueError, match="got zeros only"):
        lanczos.estimate_alignment(matrix, np.zeros(20))
    with pytest.raises(ValueError, match="got zeros only"):
        lanczos.estimate_alignment(np.zeros((20, 20)), np.ones(20))


def by_products(matrix):
    """The matrix as an operator that is known by its products alone, and a list with an entry for each."""
    products = []

    def matvec(x):
        products.append(0)
        return matrix @ x

    return LinearOperator(matrix.shape, matvec=matvec, dtype=matrix.dtype), products


NOISE = np.random.default_rng(4).standard_normal((70, 70))


@pytest.mark.parametrize(
    "operator, message",
    [
        (np.triu(np.ones((9, 9))), "not symmetric"),
        (scipy.sparse.csr_array(np.tril(np.ones((9, 9)))), "not symmetric"),
        (by_products(NOISE)[0], "not symmetric"),
        (by_products(NOISE @ NOISE.T + 2 * np.triu(NOISE))[0], "not symmetric"),
        (1j * np.eye(9), "dtype complex128"),
        (np.full((9, 9), np.nan), "NaN"),
        (by_products(np.full((9, 9), np.inf))[0], "NaN or infinite"),
        (np.ma.masked_array(np.eye(9), mask=np.eye(9)), "masked array"),
    ],
)
def test_operators_without_a_real_spectrum_are_refused(operator, message):
    for call in (lanczos.top_eigenvalues, lanczos.spectral_density):
        with pytest.raises((TypeError, ValueError), match=f"^operator: got .*{message}"), np.errstate(invalid="ignore"):
            call(operator)


def test_looking_for_symmetry_takes_no_product():
    operator, products = by_products(NOISE @ NOISE.T)
    lanczos.spectral_density(operator, steps=8, probes=3)
    assert len(products) == 24


def test_the_zero_operator_and_a_start_in_the_null_space():
    assert lanczos.top_eigenvalues(np.zeros((25, 25)), k=3).values.tolist() == [0, 0, 0]
    assert lanczos.spectral_density(np.zeros((25, 25))).atoms == ((0.0, 1.0),)
    diagonal = np.diag(np.r_[np.zeros(20), 1.0, 4.0, 9.0])
    values = lanczos.top_eigenvalues(diagonal, k=2, start=np.eye(23)[0]).values
    np.testing.assert_allclose(values, [9, 4])


@pytest.mark.parametrize("unit", [2.0**-700, 2.0**700])
def test_no_scale_is_too_large_or_too_small(unit):
    kernel, y = NOISE @ NOISE.T, NOISE[0]
    small, scaled = (lanczos.spectral_density(kernel * scale, steps=12) for scale in (1.0, unit))
    np.testing.assert_allclose(scaled.cdf(unit * np.arange(0, 300, 20)), small.cdf(np.arange(0, 300, 20)), rtol=1e-6)
    assert lanczos.estimate_alignment(kernel * unit, y) == pytest.approx(lanczos.estimate_alignment(kernel, y))


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_few_steps_lose_no_mass(steps):
    law = lanczos.spectral_density(NOISE @ NOISE.T, steps=steps, probes=4)
    assert float(law.cdf(1e6)) == pytest.approx(1)
    assert lanczos.spectral_density(np.diag([1.0, 2.0]), steps=steps).cdf(3.0) == pytest.approx(1)
