"""A network layer by layer: what enters, where the classes are, what a training did; on planted cases."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from helpers import data, measure, networks, spectra, training


def images(n=60, size=8, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    y = np.arange(n) % classes
    x = rng.standard_normal((n, size, size)) + 2 * rng.standard_normal((classes, size, size))[y]
    return data.from_images(x, y, n - 10, shape="image")


@pytest.fixture(scope="module")
def run():
    net = networks.mlp(40, 3, width=30, depth=2)
    rng = np.random.default_rng(1)
    y = data.one_hot(torch.arange(90) % 3, 3)
    x = torch.from_numpy(rng.standard_normal((90, 40)).astype(np.float32))
    problem = data.Dataset(x[:60], y[:60], x[60:], y[60:], None, "noise")
    return training.train(net, problem, "sgd", 0.05, epochs=2), problem


def test_what_enters_a_linear_layer_are_the_features_before_it():
    net, x = networks.mlp(40, 3, width=30, depth=2), torch.randn(7, 40, generator=torch.Generator().manual_seed(0))
    assert torch.equal(networks.layer_inputs(net, x, "hidden1", over="mean"), x)
    torch.testing.assert_close(networks.layer_inputs(net, x, "hidden2", over="mean"), net[:2](x))
    torch.testing.assert_close(networks.layer_inputs(net, x, "readout", over="mean"), net[:4](x))


def test_what_enters_a_convolution_is_its_mean_patch():
    problem = images()
    net = networks.convolutional(problem.x.shape[1:], 3, channels=(4, 5), kernel_size=3)
    patches = networks.layer_inputs(net, problem.x, "convolution2", over="mean")
    weight = spectra.weight_matrices(net)["convolution2.weight"]
    assert patches.shape == (len(problem.x), weight.shape[1])
    mean_output = net[:3](problem.x).flatten(2).mean(2)  # convolution is linear: the mean patch gives the mean output
    torch.testing.assert_close(patches @ weight.T, mean_output.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding, mode", [("same", "zeros"), (2, "circular"), (1, "reflect")])
def test_patches_are_padded_as_the_convolution_pads(padding, mode):
    layer = nn.Conv2d(2, 4, 3, padding=padding, padding_mode=mode, bias=False)
    x = torch.randn(3, 2, 7, 6)
    entered = networks.layer_inputs(nn.Sequential(layer, nn.Flatten()), x, "0", over="mean")
    left = layer(x).mean((2, 3)).detach()
    torch.testing.assert_close(entered @ layer.weight.detach().flatten(1).T, left, rtol=1e-4, atol=1e-5)


def test_groups_and_other_dimensions_are_refused():
    for layer, x in ((nn.Conv2d(4, 4, 3, groups=2), torch.ones(2, 4, 5, 5)), (nn.Conv1d(4, 4, 3), torch.ones(2, 4, 5))):
        with pytest.raises(ValueError, match=r"^layer: got a Conv"):
            networks.layer_inputs(nn.Sequential(layer, nn.Flatten()), x, "0", over="mean")


@pytest.mark.parametrize(
    "how",
    [
        {"kernel_size": (2, 4), "padding": "same", "dilation": (2, 2)},
        {"kernel_size": 3, "padding": "valid", "stride": 2},
        {"kernel_size": 2, "padding": "same", "padding_mode": "replicate"},
        {"kernel_size": (3, 1), "padding": (2, 0), "padding_mode": "circular", "stride": (2, 1)},
    ],
)
def test_the_mean_patch_gives_the_mean_output(how):
    layer, x = nn.Conv2d(2, 4, bias=False, **how).double(), torch.randn(3, 2, 7, 6, dtype=torch.float64)
    net = nn.Sequential(layer, nn.Flatten())
    entered = networks.layer_inputs(net, x, "0", over="mean")
    torch.testing.assert_close(entered @ spectra.weight_matrices(net)["0.weight"].T, layer(x).mean((2, 3)).detach())


class Centered(nn.Linear):
    """Multiplies something else than what it is given."""

    def forward(self, x):
        return super().forward(x - x.mean(1, keepdim=True))


class Unbatched(nn.Module):
    """A convolution of one image whose channels are the samples."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 2)

    def forward(self, x):
        return self.layer(x).flatten(1)


def test_layers_that_multiply_something_else_are_refused():
    with pytest.raises(ValueError, match=r"^layer: got a Centered"):
        networks.layer_inputs(Centered(4, 2), torch.ones(3, 4), "", over="mean")
    with pytest.raises(ValueError, match=r"^layer: got a Conv2d that is given \(3, 5, 5\)"):
        networks.layer_inputs(Unbatched(), torch.ones(3, 5, 5), "layer", over="mean")
    made = nn.utils.parametrizations.weight_norm(nn.Linear(4, 2))
    assert torch.equal(networks.layer_inputs(made, torch.ones(3, 4), "", over="mean"), torch.ones(3, 4))


class Twice(nn.Module):
    """One matrix that multiplies twice; the second input comes by its name."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(input=self.layer(x) + 1)


def test_the_mean_is_over_every_call():
    net, x = Twice(), torch.randn(5, 3)
    second = (net.layer(x) + 1).detach()
    torch.testing.assert_close(networks.layer_inputs(net, x, "layer", over="mean"), (x + second) / 2)
    torch.testing.assert_close(networks.layer_inputs(net, x, "layer"), second)
    with pytest.raises(ValueError, match=r"^over"):
        networks.layer_inputs(net, x, "layer", over="sum")


def test_a_two_layer_network_sees_its_inputs():
    x = torch.ones(3, 5)
    assert torch.equal(networks.layer_inputs(networks.TwoLayerNet(5, 7), x, "", over="mean"), x)


def test_layers_that_are_not_there_are_refused():
    net = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(8, 1))
    with pytest.raises(ValueError, match=r"^layer"):
        networks.layer_inputs(net, torch.ones(3, 2, dtype=torch.long), "7", over="mean")
    with pytest.raises(ValueError, match=r"^layer.*Embedding"):
        networks.layer_inputs(net, torch.ones(3, 2, dtype=torch.long), "0", over="mean")


def test_class_directions_span_the_planted_means():
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(20, 2, generator=generator, dtype=torch.float64)).Q
    means = torch.tensor([[3.0, 0], [-3, 0], [0, 1]], dtype=torch.float64) @ basis.T
    classes = torch.arange(30) % 3
    found = measure.class_directions(means[classes], data.one_hot(classes, 3))
    assert found.shape == (20, 2)
    torch.testing.assert_close(found.T @ found, torch.eye(2, dtype=torch.float64))
    assert spectra.overlap(found[:, 0], basis[:, 0]) == pytest.approx(1)
    torch.testing.assert_close(found @ found.T, basis @ basis.T)


def test_two_classes_by_their_sign():
    x = torch.tensor([[1.0, 5], [-1, 5], [1, 5], [-1, 5]])
    found = measure.class_directions(x, x[:, 0])
    torch.testing.assert_close(found[:, 0].abs(), torch.tensor([1.0, 0], dtype=torch.float64))


@pytest.mark.parametrize(
    "name, x, y",
    [
        ("y", torch.ones(4, 3), torch.ones(4)),
        ("x", torch.ones(4, 3), torch.tensor([1.0, -1, 1, -1])),
        ("y", torch.ones(4, 3), torch.ones(5)),
    ],
)
def test_classes_without_directions_are_refused(name, x, y):
    with pytest.raises(ValueError, match=f"^{name}"):
        measure.class_directions(x, y)


def test_measure_is_what_the_parts_say(run):
    run, problem = run
    table = measure.layers(run, problem)
    assert list(table.index) == list(spectra.weight_matrices(run.before))
    row = table.loc["hidden2.weight"]
    unit = float(run.before.hidden2.weight.detach().double().square().mean().sqrt())
    old, new = (net.hidden2.weight.detach().double() / unit for net in (run.before, run.after))
    assert row["top"] == pytest.approx(float(spectra.singular_values(new)[0]) / math.sqrt(30))
    assert row["strength"] == pytest.approx(float(torch.linalg.matrix_norm(new - old, 2)) / 30**0.5)
    compared = spectra.compare(*(spectra.singular_values(w) / math.sqrt(30) for w in (old, new)))
    assert row["bulk_drift"] == pytest.approx(compared.bulk_drift)
    assert row["outliers"] == len(compared.outliers)
    assert math.isnan(table.loc["readout.weight", "outliers"])  # three values are no bulk


def test_a_planted_spike_is_measured(run):
    run, problem = run
    after = networks.mlp(40, 3, width=30, depth=2)
    directions = measure.class_directions(problem.x, problem.y)
    with torch.no_grad():
        left = torch.ones(30) / math.sqrt(30)
        for strength, direction in zip((5.0, 4.0), directions.T.float(), strict=True):
            after.hidden1.weight.add_(strength * torch.outer(left, direction))
            left = left * torch.tensor([1.0, -1] * 15)  # orthogonal to the first
    row = measure.layers(training.Run(run.before, after, run.history), problem).loc["hidden1.weight"]
    assert row["outliers"] == 2
    assert row["overlap"] > 0.9 > 0.5 > row["overlap_start"]
    assert row["strength"] > 3


class Unused(nn.Module):
    """The layer called `idle` is there, but not called."""

    def __init__(self):
        super().__init__()
        self.idle, self.used = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x):
        return self.used(x)


def test_a_layer_that_is_not_called_is_refused():
    with pytest.raises(ValueError, match=r"^layer: got 'idle', expected a module that is called"):
        networks.layer_inputs(Unused(), torch.ones(4, 3), "idle", over="mean")


def test_a_layer_whose_bulk_has_left_is_all_outliers():
    x, y = torch.zeros(60, 30), data.one_hot(torch.arange(60) % 3, 3)
    dataset = data.Dataset(x, y, x, y, None, "nothing to see")
    before, after = (nn.Sequential(nn.Linear(30, 30, bias=False)) for _ in range(2))
    with torch.no_grad():
        after[0].weight.copy_(1e6 * before[0].weight)
    row = measure.layers(training.Run(before, after, None), dataset).loc["0.weight"]
    assert row["outliers"] == 30 and math.isnan(row["bulk_drift"])
    assert math.isnan(row["overlap_start"]) and math.isnan(row["overlap"])  # every class looks the same
    assert row["top"] == pytest.approx(1e6 * row["top_start"], rel=1e-6)


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_a_layer_that_has_died_or_has_few_directions_is_measured(run, rank):
    run, problem = run
    after = networks.mlp(40, 3, width=30, depth=2)
    with torch.no_grad():
        weight = after.hidden2.weight
        weight.copy_(weight[:, :rank] @ weight[:rank] if rank else torch.zeros_like(weight))
    row = measure.layers(training.Run(run.before, after, run.history), problem).loc["hidden2.weight"]
    assert math.isnan(row["overlap"]) if rank == 0 else row["top"] > 0


def test_layers_of_another_kind_are_refused_by_their_name(run):
    net = nn.Sequential(nn.Embedding(5, 4), nn.Flatten(), nn.Linear(8, 3))
    x, y = torch.ones(6, 2, dtype=torch.long), data.one_hot(torch.arange(6) % 3, 3)
    with pytest.raises(ValueError, match=r"^run: got layer '0.weight', a Embedding"):
        measure.layers(training.Run(net, net, None), data.Dataset(x, y, x, y, None, "words"))


def test_a_layer_that_starts_at_zero_has_no_unit_and_one_that_is_not_finite_no_numbers(run):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 25), nn.Linear(25, 3))
    nn.init.zeros_(net[2].weight)
    trained = training.train(net, run[1], lr=0.1, epochs=3)
    row = measure.layers(trained, run[1]).loc["2.weight"]
    assert row["top_start"] == 0 and row[["top", "strength", "outliers", "bulk_drift", "overlap_start"]].isna().all()
    assert 0 < row["overlap"] <= 1
    with torch.no_grad():
        trained.after[3].weight[0, 0] = math.inf
    table = measure.layers(trained, run[1])
    assert table.loc["3.weight"].isna().all() and math.isfinite(table.loc["0.weight", "top"])
    assert table.columns.tolist() == measure.layers(*run).columns.tolist()
