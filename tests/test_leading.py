"""Values and leading vectors against numpy's SVD."""

import numpy as np
import pytest
import torch

from helpers._leading import leading

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
