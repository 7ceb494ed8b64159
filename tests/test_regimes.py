"""The trainings and what is measured of them, against the functions and formulas they are made of."""

import math
from dataclasses import replace

import pytest
import torch

from helpers import data, kernels, measure, networks, spectra, training

PROBLEM = data.teacher_student(120, 40, n_test=200, seed=1)
NET = networks.TwoLayerNet(40, 60, "tanh", seed=1)


@pytest.fixture(scope="module")
def run():
    return training.train(NET, PROBLEM, "sgd", 5.0, epochs=3)


@pytest.mark.parametrize("name", training.TRAININGS)
def test_every_training_moves_the_network(name):
    settings = training.TRAININGS[name] | {"epochs": 1, "batch_size": 60}
    run = training.train(NET, PROBLEM, **settings)
    assert float((run.after.weight - run.before.weight).detach().norm()) > 0


def test_the_trainings_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        training.TRAININGS["GD"] = {}


def test_held_out_samples_are_no_test_samples():
    rest, (x, y) = data.split(PROBLEM, 50)
    assert torch.equal(torch.cat([x, rest.x_test]), PROBLEM.x_test)
    assert torch.equal(torch.cat([y, rest.y_test]), PROBLEM.y_test)
    assert torch.equal(rest.x, PROBLEM.x)


@pytest.mark.parametrize("size, error", [(0, ValueError), (200, ValueError), (1.5, TypeError)])
def test_a_size_that_leaves_no_test_is_refused(size, error):
    with pytest.raises(error, match=r"^size"):
        data.split(PROBLEM, size)


@pytest.mark.parametrize("activation", ["tanh", "softplus", "relu"])
def test_cross_kernels_are_blocks_of_the_kernels(activation):
    net = networks.TwoLayerNet(40, 60, activation, output_scale=0.7).double()
    x = PROBLEM.x[:30].double()
    for kernel in (kernels.conjugate_kernel, kernels.neural_tangent_kernel):
        torch.testing.assert_close(kernel(net, x[:10], x), kernel(net, x)[:10])
    alone = kernels.neural_tangent_kernel(net, x, train_readout=False)
    torch.testing.assert_close(kernels.neural_tangent_kernel(net, x[:10], x, train_readout=False), alone[:10])


@pytest.mark.parametrize("memory", [2**30, 2**17])
@pytest.mark.parametrize("outputs", ["trace", "sum", 1])
def test_cross_kernels_of_any_network_are_blocks_of_its_kernel(memory, outputs):
    net = networks.mlp(40, 3, width=25, depth=2).double()
    a, b = PROBLEM.x[:37].double(), PROBLEM.x[20:60].double()
    options = dict(outputs=outputs, memory=memory)
    whole = kernels.neural_tangent_kernel(net, torch.cat([a, b]), outputs=outputs)
    torch.testing.assert_close(kernels.neural_tangent_kernel(net, a, b, **options), whole[:37, 37:])
    torch.testing.assert_close(
        kernels.conjugate_kernel(net, a, b), kernels.conjugate_kernel(net, torch.cat([a, b]))[:37, 37:]
    )


def test_the_other_samples_are_checked_by_their_name():
    net, two_layers = networks.mlp(40, 1), networks.TwoLayerNet(40, 5)
    for kernel in (kernels.conjugate_kernel, kernels.neural_tangent_kernel):
        for one in (net, two_layers):
            with pytest.raises(ValueError, match=r"^other"):
                kernel(one, PROBLEM.x, PROBLEM.x * math.nan)


def test_scores_want_the_network_of_the_book():
    with pytest.raises(TypeError, match=r"^net"):
        kernels.kernel_scores(torch.nn.Linear(3, 1), *data.split(PROBLEM, 50))


def test_r2_of_the_mean_is_zero_and_of_the_labels_one():
    y = PROBLEM.y_test
    assert training.r2(y, y) == 1
    assert training.r2(torch.full_like(y, float(y.mean())), y) == pytest.approx(0, abs=1e-6)
    assert math.isnan(training.r2(torch.zeros(5), torch.ones(5)))


def test_the_ridge_is_chosen_on_the_held_out_samples():
    rest, (x, y) = data.split(PROBLEM, 50)
    blocks = [z @ rest.x.T / 40 for z in (rest.x, x, rest.x_test)]
    ridges = (0.01, 0.5, 30.0)
    score, ridge = kernels.ridge_r2(*blocks, rest, y, ridges)

    def predicted(block, r):
        return block.double() @ torch.linalg.solve(blocks[0].double() + r * torch.eye(120), rest.y.double())

    held = {r: training.r2(predicted(blocks[1], r), y) for r in ridges}
    assert ridge == max(held, key=held.get)
    assert score == pytest.approx(training.r2(predicted(blocks[2], ridge), rest.y_test), abs=1e-5)


@pytest.mark.parametrize("ridges", [(), (0.0,), (-1.0,), (math.nan,)])
def test_ridges_that_are_none_are_refused(ridges):
    rest, (x, y) = data.split(PROBLEM, 50)
    with pytest.raises(ValueError, match=r"^ridges"):
        kernels.ridge_r2(rest.x @ rest.x.T, x @ rest.x.T, rest.x_test @ rest.x.T, rest, y, ridges)


def test_measure_collects_what_the_helpers_say(run):
    rest, held_out = data.split(PROBLEM, 50)
    row = measure.network(run, rest, held_out)
    start, end = (spectra.singular_values(net.weight) / math.sqrt(60) for net in (run.before, run.after))
    change, tail = spectra.compare(start, end), spectra.fit_power_law(end**2)
    assert row["test_r2"] == run.test_r2
    assert row["top"] == pytest.approx(float(end[0]))
    assert row["bulk_drift"] == pytest.approx(change.bulk_drift)
    assert row["outliers"] == len(change.outliers)
    assert (row["alpha"], row["misfit"], row["dynamic_range"]) == pytest.approx(
        (tail.alpha, tail.misfit, tail.dynamic_range)
    )
    kernel = kernels.neural_tangent_kernel(run.after, rest.x)
    assert row["kta"] == pytest.approx(kernels.alignment(kernel, rest.y), rel=1e-5)
    unseen = kernels.neural_tangent_kernel(run.after, rest.x_test)
    assert row["kta_test"] == pytest.approx(kernels.alignment(unseen, rest.y_test), rel=1e-5)
    moved = kernels.distance(kernel, kernels.neural_tangent_kernel(run.before, rest.x))
    assert (row["kernel_change"], row["kernel_change_op"]) == pytest.approx(moved, rel=1e-5)
    assert kernels.kernel_scores(run.after, rest, held_out).items() <= row.items()
    alone = measure.network(run, rest)
    assert alone.keys() == row.keys() - {"ck_r2", "ntk_r2"}


def test_overlap_is_that_of_the_top_right_vector():
    planted = networks.TwoLayerNet(40, 60, "tanh", seed=1)
    with torch.no_grad():
        planted.weight.add_(100 * torch.outer(torch.ones(60) / math.sqrt(60), PROBLEM.directions[:, 0]))
    run = training.Run(NET, planted, training.train(NET, PROBLEM, lr=1.0, epochs=1).history)
    row = measure.network(run, PROBLEM)
    assert row["overlap"] > 0.98
    assert row["outliers"] == 1


def test_a_spectrum_without_a_bulk_is_measured_too():
    inflated = networks.TwoLayerNet(40, 60, "tanh", seed=1)
    with torch.no_grad():
        inflated.weight.mul_(100)
    run = training.Run(NET, inflated, training.train(NET, PROBLEM, lr=1.0, epochs=1).history)
    row = measure.network(run, PROBLEM)
    assert row["outliers"] == 40
    assert math.isnan(row["bulk_drift"])


def test_measure_wants_known_directions_and_the_networks_of_the_book(run):
    with pytest.raises(ValueError, match=r"^data"):
        measure.network(run, replace(PROBLEM, directions=None))
    with pytest.raises(TypeError, match=r"^run"):
        measure.network(training.Run(run.before, torch.nn.Linear(3, 1), run.history), PROBLEM)


@pytest.mark.parametrize("scale", [1.0, 1e-4])
def test_the_first_layers_part_is_not_lost_beside_the_readouts(scale):
    net, x = networks.TwoLayerNet(40, 60, output_scale=scale), PROBLEM.x[:20]
    alone = kernels.neural_tangent_kernel(net, x, train_readout=False)
    torch.testing.assert_close(kernels.neural_tangent_kernel(net, x, x, train_readout=False), alone, rtol=1e-4, atol=0)


class Mixing(torch.nn.Module):
    """Every output depends on the mean over the samples."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(40, 3)

    def forward(self, x):
        z = self.layer(x)
        return z + z.mean(0)


def test_one_sample_against_others_shows_a_mixing_too():
    with pytest.raises(ValueError, match=r"^net"):
        kernels.neural_tangent_kernel(Mixing(), PROBLEM.x[:1], PROBLEM.x[:5])
    net = networks.mlp(40, 2, width=10)
    whole = kernels.neural_tangent_kernel(net, PROBLEM.x[:5])
    torch.testing.assert_close(kernels.neural_tangent_kernel(net, PROBLEM.x[:1], PROBLEM.x[:5]), whole[:1])


def test_other_samples_of_another_form_are_refused():
    for net in (networks.mlp(40, 1), networks.TwoLayerNet(40, 5)):
        for kernel in (kernels.conjugate_kernel, kernels.neural_tangent_kernel):
            with pytest.raises(ValueError, match=r"^other: got s"):
                kernel(net, PROBLEM.x[:4], torch.ones(4, 7))


class Squared(networks.TwoLayerNet):
    def forward(self, x):
        return super().forward(x) ** 2


def test_a_subclass_is_no_closed_form():
    """Its features are those of the class where it does not compute others; its tangent kernel is that of autograd."""
    net, x = Squared(40, 10), PROBLEM.x[:6]
    plain = networks.TwoLayerNet(40, 10)
    slopes = 2 * plain(x).detach()
    torch.testing.assert_close(
        kernels.neural_tangent_kernel(net, x), kernels.neural_tangent_kernel(plain, x) * torch.outer(slopes, slopes)
    )
    with pytest.raises(TypeError, match=r"^net"):
        kernels.kernel_scores(net, *data.split(PROBLEM, 50))
