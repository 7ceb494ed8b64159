"""Values and leading vectors against numpy's SVD."""

import numpy as np
import pytest
import torch

from helpers import spectra
from helpers.spectra.values import leading

SHAPES = [(1, 1), (1, 5), (7, 3), (64, 64), (65, 200), (400, 150)]


def planted(shape, values):
    """A matrix (m, n) with these singular values."""
    generator = torch.Generator().manual_seed(sum(shape))
    sides = [torch.linalg.qr(torch.randn(m, len(values), generator=generator).double()).Q for m in shape]
    return sides[0] * torch.as_tensor(values).double() @ sides[1].T


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values_and_vectors_are_those_of_the_svd(shape, k):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, values, right = leading(matrix, k)
    expected = np.linalg.svd(matrix.double().numpy(), compute_uv=False)
    assert np.abs(values - expected).max() < 1e-8 * expected[0]
    kept = min(k, *shape)
    assert left.shape == (shape[0], kept) and right.shape == (shape[1], kept)
    assert np.abs(left.T @ matrix.double().numpy() @ right - np.diag(expected[:kept])).max() < 1e-8 * expected[0]
    for side in (left, right):
        assert np.abs(side.T @ side - np.eye(kept)).max() < 1e-10


@pytest.mark.parametrize("size", [10, 100])
def test_vectors_of_vanishing_values_are_left_out(size):
    left, values, right = leading(planted((size, size + 5), [3.0, 2.0]), 4)
    assert left.shape == (size, 2) and right.shape == (size + 5, 2)
    assert np.abs(values - [3, 2, *[0] * (size - 2)]).max() < 1e-7


@pytest.mark.parametrize("size", [10, 100])
def test_equal_values_have_orthonormal_vectors(size):
    left, values, right = leading(planted((size, size), np.full(size, 2.0)), 3)
    assert np.abs(values - 2).max() < 1e-12
    assert np.abs(left.T @ left - np.eye(3)).max() < 1e-10 and np.abs(right.T @ right - np.eye(3)).max() < 1e-10


@pytest.mark.parametrize("size", [10, 100])
def test_nothing_to_see(size):
    left, values, right = leading(torch.zeros(size, size), 3)
    assert not values.any() and left.shape == right.shape == (size, 0)
    left, values, right = leading(torch.full((size, size), torch.inf), 3)
    assert np.isnan(values).all() and len(values) == size and not left.size and not right.size


@pytest.mark.parametrize("shape, k", [((65, 200), 1), ((400, 150), 4), ((64, 64), 63), ((20, 30), 20), ((1, 5), 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_triplets_are_those_of_the_svd(shape, k, dtype):
    matrix = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    left, values, right = spectra.singular_triplets(matrix, k)
    expected = np.linalg.svd(matrix.astype(float))
    assert left.shape == (shape[0], k) and right.shape == (shape[1], k)
    assert {part.dtype for part in (left, values, right)} == {torch.float64}
    np.testing.assert_allclose(values, expected[1][:k], rtol=1e-10)
    np.testing.assert_allclose(
        left * values @ right.T, expected[0][:, :k] * expected[1][:k] @ expected[2][:k], atol=1e-8
    )
    again = spectra.singular_triplets(torch.from_numpy(matrix), k)
    assert all(torch.equal(*pair) for pair in zip((left, values, right), again, strict=True))
    u, value, v = spectra.top_triplet(matrix)
    assert value == pytest.approx(expected[1][0], rel=1e-10)
    np.testing.assert_allclose(np.outer(u, v), np.outer(expected[0][:, 0], expected[2][0]), atol=1e-8)


@pytest.mark.parametrize(
    "name, arguments, error",
    [
        ("weight", (np.zeros(3),), ValueError),
        ("weight", (np.full((3, 3), np.nan),), ValueError),
        ("weight", (np.zeros((4, 3)),), ValueError),
        ("k", (np.eye(3), 0), ValueError),
        ("k", (np.eye(3), 4), ValueError),
        ("k", (np.eye(3), 1.0), TypeError),
    ],
)
def test_triplets_refuse_bad_input(name, arguments, error):
    with pytest.raises(error, match=f"^{name}: "):
        spectra.singular_triplets(*arguments)
