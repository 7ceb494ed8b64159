"""Muon against torch's, which rounds to bfloat16, and against the SVD."""

import numpy as np
import pytest
import torch

from helpers import training
from helpers.training.muon import orthogonalized

SHAPES = [(40, 25), (25, 40), (30, 30)]


def steps(kind, shape, count=4, dtype=torch.float32, **options):
    """The weights after a few steps along gradients that do not depend on them."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=dtype))
    optimizer = kind([weight], **options)
    for _ in range(count):
        weight.grad = torch.randn(shape, generator=generator, dtype=dtype)
        optimizer.step()
    return weight.detach()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.0}, {"momentum": 0.5}], ids=str)
def test_steps_are_those_of_torch(shape, options):
    ours, theirs = (steps(kind, shape, lr=0.1, **options) for kind in (training.Muon, torch.optim.Muon))
    moved = (theirs - steps(torch.optim.Muon, shape, count=0, lr=0.1)).norm()
    assert float((ours - theirs).norm() / moved) < 0.02  # bfloat16 keeps two or three digits


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_vectors_stay_and_values_become_nearly_equal(shape):
    matrix = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    turned = left.T @ orthogonalized(matrix) @ right.T
    equal = turned.diagonal()
    np.testing.assert_allclose(turned, torch.diag(equal), atol=1e-10)
    kept = values > 0.01 * values[0]
    assert float(equal[kept].min()) > 0.6 and float(equal.max()) < 1.3


def test_closure_and_missing_gradients():
    used, unused = (torch.nn.Parameter(torch.eye(3)) for _ in range(2))
    optimizer = training.Muon([used, unused], lr=0.1)

    def closure():
        optimizer.zero_grad()
        value = used.square().sum()
        value.backward()
        return value

    assert optimizer.step(closure).item() == 3.0
    assert torch.equal(unused.detach(), torch.eye(3)) and not torch.equal(used.detach(), torch.eye(3))


@pytest.mark.parametrize(
    "name, shape, options",
    [("params", (3,), {}), ("lr", (3, 3), {"lr": -1.0}), ("weight_decay", (3, 3), {"weight_decay": -0.1})],
)
def test_bad_input_is_refused(name, shape, options):
    with pytest.raises(ValueError, match=f"^{name}: "):
        training.Muon([torch.nn.Parameter(torch.zeros(shape))], **options)
