"""What must hold for any input: orders, scales and precisions that no other test has picked by hand."""

import numpy as np
import pytest
import torch

from helpers import kernels, networks, operators, spectra

DRAWS = range(12)
ACTIVATIONS = ["tanh", "relu", "softplus", "erf"]
PRECISIONS = [torch.float64, torch.float32, torch.bfloat16, torch.float16]


@pytest.fixture(params=DRAWS)
def rng(request):
    torch.manual_seed(request.param)
    return np.random.default_rng(request.param)


@pytest.mark.parametrize("two_layers", [True, False])
@pytest.mark.parametrize("kernel", [kernels.conjugate_kernel, kernels.neural_tangent_kernel])
def test_samples_in_another_order_are_the_kernel_in_another_order(rng, kernel, two_layers):
    n, d, h = rng.integers(2, 14, 3).tolist()
    dtype, activation = PRECISIONS[rng.integers(4)], ACTIVATIONS[rng.integers(4)]
    net = networks.TwoLayerNet(d, h, activation) if two_layers else networks.mlp(d, 2, width=h, depth=2)
    net, x, order = net.to(dtype), torch.randn(n, d).to(dtype), torch.from_numpy(rng.permutation(n))
    whole, again, cross = kernel(net, x), kernel(net, x[order]), kernel(net, x, x[order])
    loose = {"rtol": 0.03, "atol": 0.03 * float(whole.abs().max())} if dtype.itemsize == 2 else {}
    torch.testing.assert_close(again, whole[order][:, order], **loose)
    torch.testing.assert_close(cross, whole[:, order], **loose)


def test_operators_are_their_matrices(rng):
    n, d, h = rng.integers(2, 14, 3).tolist()
    net, x = networks.TwoLayerNet(d, h).double(), torch.randn(n, d, dtype=torch.float64)
    for operator, kernel in (
        (operators.tangent_kernel_operator, kernels.neural_tangent_kernel),
        (operators.conjugate_kernel_operator, kernels.conjugate_kernel),
    ):
        np.testing.assert_allclose(operator(net, x) @ np.eye(n), kernel(net, x), rtol=1e-9, atol=1e-12)


def test_a_spectrum_has_the_unit_of_its_matrix_and_of_its_transpose(rng):
    weight = torch.randn(*rng.integers(1, 30, 2).tolist(), dtype=torch.float64)
    unit = 2.0 ** rng.integers(-140, 140)
    values = spectra.singular_values(weight)
    atol = 1e-7 * float(values[0])
    torch.testing.assert_close(spectra.singular_values(weight * unit) / unit, values, rtol=1e-6, atol=atol)
    torch.testing.assert_close(spectra.singular_values(weight.T), values, rtol=1e-6, atol=atol)


def test_a_term_of_rank_one_moves_no_value_past_its_neighbor(rng):
    h, d = rng.integers(2, 20, 2).tolist()
    weight, left, right = torch.randn(h, d), torch.randn(h, 1), 10.0 ** rng.uniform(-3, 3) * torch.randn(1, d)
    before, after = spectra.singular_values(weight), spectra.singular_values(weight + left @ right)
    rounding = 1e-5 * float(after[0])
    assert bool((after[1:] <= before[:-1] + rounding).all()) and bool((after[:-1] >= before[1:] - rounding).all())


def test_a_fit_does_not_depend_on_unit_or_order(rng):
    values = rng.random(rng.integers(30, 400)) ** (-1 / rng.uniform(0.3, 4))
    unit = 2.0 ** rng.integers(-200, 200)
    fit, again = spectra.fit_power_law(values), spectra.fit_power_law(rng.permutation(values) * unit)
    assert again.alpha == pytest.approx(fit.alpha, rel=1e-9)
    assert again.distance == pytest.approx(fit.distance, rel=1e-7) and again.tail_size == fit.tail_size
    assert spectra.hill(values * unit) == pytest.approx(spectra.hill(values), rel=1e-9)


def test_what_left_the_bulk_does_not_depend_on_the_unit(rng):
    h, d = rng.integers(20, 60, 2).tolist()
    weight, unit = torch.randn(h, d, dtype=torch.float64), 2.0 ** rng.integers(-140, 140)
    spike = torch.randn(h, 1, dtype=torch.float64) @ torch.randn(1, d, dtype=torch.float64) * rng.uniform(0, 2)
    start, end = spectra.singular_values(weight), spectra.singular_values(weight + spike)
    change, again = spectra.compare(start, end), spectra.compare(start * unit, end * unit)
    assert len(change.outliers) == len(again.outliers)
    assert again.bulk_drift / unit == pytest.approx(change.bulk_drift, rel=1e-7)
    verdicts = [spectra.verdict(spectra.describe(start * u, end * u, (h, d))) for u in (1.0, unit)]
    assert verdicts[0] == verdicts[1]


def test_alignment_does_not_depend_on_order_or_unit(rng):
    n, k, unit = int(rng.integers(2, 25)), int(rng.integers(1, 4)), 2.0 ** rng.integers(-200, 200)
    root, y = torch.randn(n, n, dtype=torch.float64), torch.randn(n, k, dtype=torch.float64)
    kernel, order = root @ root.T, torch.from_numpy(rng.permutation(n))
    for centered in (False, True):
        value = kernels.alignment(kernel, y, centered=centered)
        again = kernels.alignment((kernel * unit)[order][:, order], y[order], centered=centered)
        assert again == pytest.approx(value, rel=1e-8, abs=1e-12) and abs(value) <= 1 + 1e-12
