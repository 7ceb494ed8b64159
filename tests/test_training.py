"""Training against hand-written steps and plain torch loops; stops, histories, refusals."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from helpers import data, networks, training
from helpers.training import loop


@pytest.fixture
def problem():
    return networks.TwoLayerNet(12, 20, "softplus", seed=1).double(), data.teacher_student(40, 12, seed=1).to(
        torch.float64
    )


@pytest.mark.parametrize("train_readout", [True, False])
def test_one_step_is_the_closed_form_gradient(problem, train_readout):
    net, d = problem
    run = training.train(net, d, "sgd", 0.7, epochs=1, train_readout=train_readout)
    h, width = net.weight.shape
    z = d.x @ net.weight.T / math.sqrt(width)
    residual = (net.activation(z) @ net.readout / math.sqrt(h) - d.y) / len(d.y)
    slopes = net.activation.derivative(z) * net.readout / math.sqrt(h * width)
    weight = net.weight - 0.7 * (slopes * residual[:, None]).T @ d.x
    readout = net.readout - 0.7 * train_readout * net.activation(z).T @ residual / math.sqrt(h)
    torch.testing.assert_close(run.after.weight, weight, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(run.after.readout, readout, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    "name, kind, options",
    [
        ("sgd", torch.optim.SGD, {"momentum": 0.9}),
        ("adam", torch.optim.Adam, {}),
        ("AdamW", torch.optim.AdamW, {"weight_decay": 0.1}),
        (torch.optim.RMSprop, torch.optim.RMSprop, {}),
    ],
)
def test_optimizers_are_those_of_torch(problem, name, kind, options):
    net, d = problem
    run = training.train(net, d, name, 0.01, epochs=15, **options)
    twin = networks.TwoLayerNet(12, 20, "softplus", seed=1).double()
    optimizer = kind(twin.parameters(), lr=0.01, **options)
    for _ in range(15):
        optimizer.zero_grad()
        ((twin.features(d.x) @ twin.readout / math.sqrt(20) - d.y) ** 2).mean().div(2).backward()
        optimizer.step()
    torch.testing.assert_close(run.after.weight, twin.weight, rtol=1e-8, atol=1e-10)


def test_the_network_given_is_left_alone(problem):
    net, d = problem
    start = net.weight.detach().clone()
    run = training.train(net, d, lr=1.0, epochs=3)
    assert torch.equal(net.weight, start) and torch.equal(run.before.weight, start)
    assert not torch.equal(run.after.weight, start)
    assert all(p.grad is None for p in net.parameters())


def test_same_seed_same_run_bit_for_bit():
    d, net = data.teacher_student(400, 100), networks.TwoLayerNet(100, 150)
    a, b, c = (training.train(net, d, "sgd", 2.0, batch_size=32, epochs=3, seed=s) for s in (5, 5, 6))
    assert torch.equal(a.after.weight, b.after.weight) and a.history.equals(b.history)
    assert not torch.equal(a.after.weight, c.after.weight)


def test_an_epoch_sees_every_sample_once():
    d = data.teacher_student(23, 3)
    batches = loop._batches(d, 5, seed=0)
    for _ in range(3):
        seen = torch.cat([next(batches)[1] for _ in range(5)])
        assert torch.equal(seen.sort().values, d.y.sort().values)


def test_history_matches_the_networks(problem):
    net, d = problem
    seen = []
    run = training.train(net, d, lr=1.0, epochs=17, evaluations=5, on_evaluation=lambda step, n: seen.append(step))
    frame = run.history
    assert list(frame.columns) == ["step", "epoch", "loss", "test_loss", "test_r2"]
    assert frame["step"].tolist() == seen == [0, 3, 6, 9, 12, 15, 17]
    with torch.no_grad():
        for row, model in [(frame.iloc[0], run.before), (frame.iloc[-1], run.after)]:
            test = (model(d.x_test) - d.y_test).square().mean()
            assert row["loss"] == pytest.approx(float((model(d.x) - d.y).square().mean()) / 2, rel=1e-10)
            assert row["test_loss"] == pytest.approx(float(test) / 2, rel=1e-10)
            assert row["test_r2"] == pytest.approx(1 - float(test / d.y_test.var(correction=0)), rel=1e-10)
    assert run.test_r2 == frame["test_r2"].iloc[-1]


@pytest.mark.parametrize("batch_size, steps", [(None, 17), (10, 68)])
def test_evaluation_at_chosen_steps(problem, batch_size, steps):
    net, d = problem
    seen = {}
    options = dict(lr=0.5, batch_size=batch_size, seed=3)
    run = training.train(
        net,
        d,
        epochs=17,
        evaluations=[1, 12, 5],
        on_evaluation=lambda step, n: seen.update({step: n.weight.clone()}),
        **options,
    )
    assert run.history["step"].tolist() == [*seen] == [0, 1, 5, 12, steps]
    assert torch.equal(run.after.weight, training.train(net, d, epochs=17, evaluations=1, **options).after.weight)
    if batch_size is None:  # 12 steps are what a run of 12 epochs ends with
        assert torch.equal(seen[12], training.train(net, d, epochs=12, **options).after.weight)


@pytest.mark.parametrize("batch_size", [None, 10])
def test_stop_rule(problem, batch_size):
    net, d = problem
    run = training.train(net, d, lr=1.0, epochs=3000, batch_size=batch_size, until_loss=0.1)
    assert run.history["loss"].iloc[-1] <= 0.1 < run.history["loss"].iloc[-2]
    assert run.history["epoch"].iloc[-1] < 3000
    if batch_size is None:  # it stopped at the first step that met the target
        steps = int(run.history["step"].iloc[-1])
        assert training.train(net, d, lr=1.0, epochs=steps - 1).history["loss"].iloc[-1] > 0.1


def test_stop_rule_adds_no_rows_to_the_history(problem):
    """The run stops where one that is looked at after every epoch does."""
    net, d = problem
    options = dict(lr=1.0, epochs=3000, batch_size=10, until_loss=0.1)
    often, seldom = (training.train(net, d, evaluations=k, **options) for k in (3000, 1))
    assert len(often.history) > 3 and len(seldom.history) == 2
    assert often.history.iloc[[0, -1]].reset_index(drop=True).equals(seldom.history)
    assert torch.equal(often.after.weight, seldom.after.weight)


def test_first_layer_only_keeps_the_readout(problem):
    net, d = problem
    run = training.train(net, d, lr=1.0, epochs=3, train_readout=False)
    assert torch.equal(run.after.readout, net.readout) and not torch.equal(run.after.weight, net.weight)


def test_divergence_carries_the_history(problem):
    net, d = problem
    with pytest.raises(training.TrainingDiverged) as caught:
        training.train(net, d, lr=1e6, epochs=500, evaluations=500)
    error = caught.value
    assert math.isfinite(error.last_loss) and error.step > 1
    assert error.history["step"].tolist() == list(range(error.step))
    assert error.history["loss"].map(math.isfinite).all()
    assert str(error.step) in str(error)


def test_labels_with_nan_end_at_once(problem):
    net, d = problem
    d.y[3] = math.nan
    with pytest.raises(training.TrainingDiverged, match="step 0"):
        training.train(net, d, lr=0.1, epochs=2)


@pytest.mark.parametrize(
    "name, kwargs, error",
    [
        ("optimizer", {"optimizer": "sgdd"}, ValueError),
        ("optimizer", {"optimizer": "optimizer"}, ValueError),
        ("optimizer", {"optimizer": "lbfgs"}, ValueError),
        ("optimizer", {"optimizer": 3}, ValueError),
        ("lr", {"lr": 0.0}, ValueError),
        ("lr", {"lr": -1.0}, ValueError),
        ("lr", {"lr": math.nan}, ValueError),
        ("lr", {"lr": "1"}, TypeError),
        ("epochs", {"epochs": 0}, ValueError),
        ("epochs", {"epochs": 1.5}, TypeError),
        ("batch_size", {"batch_size": 0}, ValueError),
        ("batch_size", {"batch_size": 41}, ValueError),
        ("evaluations", {"evaluations": -1}, ValueError),
        ("evaluations", {"evaluations": [0, 10**6]}, ValueError),
        ("evaluations", {"evaluations": [0.5]}, TypeError),
        ("until_loss", {"until_loss": -1}, ValueError),
        ("device", {"device": "abacus"}, ValueError),
        ("device", {"device": "cuda:999"}, ValueError),
        ("device", {"device": 1.5}, ValueError),
        ("options", {"momentun": 0.9}, TypeError),
    ],
)
def test_bad_arguments_are_refused(problem, name, kwargs, error):
    with pytest.raises(error, match=f"^{name}"):
        training.train(*problem, **{"lr": 0.1, "epochs": 1} | kwargs)


def test_training_elsewhere_is_the_same_and_comes_home(problem, monkeypatch):
    """The processor under another name stands in for a card."""
    seen = []
    options = dict(lr=0.1, batch_size=10, epochs=3, evaluations=3)
    here = training.train(*problem, **options)
    monkeypatch.setattr(loop, "_place", lambda device: torch.device(device))
    there = training.train(*problem, **options, device="cpu:0", on_evaluation=lambda step, net: seen.append(net))
    assert here.history.equals(there.history) and torch.equal(here.after.weight, there.after.weight)
    assert len({id(net) for net in seen}) == len(there.history)  # copies, which later steps do not change
    assert torch.equal(seen[0].weight, here.before.weight) and torch.equal(seen[-1].weight, here.after.weight)


def test_training_takes_place_on_the_device(problem):
    with pytest.raises(RuntimeError, match="meta"):  # a device without numbers: the first loss cannot be read
        training.train(*problem, lr=0.1, epochs=1, device="meta")


def test_networks_without_readout_or_parameters(problem):
    _, d = problem
    frozen = networks.TwoLayerNet(12, 20).double().requires_grad_(False)
    with pytest.raises(ValueError, match=r"^net:"):
        training.train(frozen, d, lr=0.1, epochs=1)
    with pytest.raises(ValueError, match=r"^train_readout"):
        training.train(torch.nn.Linear(12, 1).double(), d, lr=0.1, epochs=1, train_readout=False)


def test_one_test_sample_has_no_r2():
    d, net = data.teacher_student(30, 12, n_test=1), networks.TwoLayerNet(12, 20)
    assert math.isnan(training.train(net, d, lr=0.1, epochs=1).test_r2)


def test_data_that_do_not_fit(problem):
    net, _ = problem
    with pytest.raises(ValueError, match=r"^data"):
        training.train(net, data.teacher_student(30, 12), lr=0.1, epochs=1)  # float32 against float64
    with pytest.raises(ValueError, match=r"^x:"):
        training.train(net, data.teacher_student(30, 13).to(torch.float64), lr=0.1, epochs=1)


def test_classes_are_trained_and_counted():
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(400, 6, generator=rng)
    y = data.one_hot((x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long(), 4)
    problem = data.Dataset(x[:300], y[:300], x[300:], y[300:], None, "quadrants")
    run = training.train(networks.mlp(6, 4, width=50, depth=1), problem, "adam", 0.02, epochs=60)
    with torch.no_grad():
        prediction = run.after(problem.x_test)
    right = (prediction.argmax(1) == problem.y_test.argmax(1)).double().mean()
    assert run.test_accuracy == pytest.approx(float(right))
    assert run.test_accuracy > 0.8
    wrong = (prediction - problem.y_test).square().sum()
    spread = (problem.y_test - problem.y_test.mean(0)).square().sum()
    assert run.test_r2 == pytest.approx(float(1 - wrong / spread), abs=1e-5)


def test_the_loss_of_classes_is_summed_over_them():
    y, f = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), torch.zeros(5, 3)
    assert float(training.loss(f, y)) == pytest.approx(float(y.square().sum()) / 10)
    with pytest.raises(ValueError, match=r"^net"):
        training.loss(torch.zeros(5), y)  # would broadcast otherwise


def test_accuracy_needs_classes(problem):
    run = training.train(*problem, lr=0.1, epochs=1)
    with pytest.raises(ValueError, match=r"^test_accuracy"):
        run.test_accuracy  # noqa: B018


def test_batch_norm_is_trained_on_batches_and_looked_at_with_its_averages():
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    problem = data.Dataset(x[:30], x[:30, :2], x[30:], x[30:, :2], None, "identity")
    net = networks.mlp(6, 2, width=8, depth=1, batch_norm=True)
    run = training.train(net, problem, lr=0.1, batch_size=10, epochs=3)
    assert run.after.training and not torch.equal(run.after.norm1.running_mean, net.norm1.running_mean)
    with torch.no_grad():
        prediction = run.after.eval()(problem.x_test)
    assert run.history["test_loss"].iloc[-1] == pytest.approx(float(training.loss(prediction, problem.y_test)))


def test_centered_training_is_training_on_labels_plus_the_initial_output():
    problem, net = data.teacher_student(60, 20, n_test=40), networks.TwoLayerNet(20, 30)
    options = dict(lr=5.0, epochs=12, batch_size=20, evaluations=4)
    run = training.train(net, problem, centered=True, **options)
    with torch.no_grad():
        shifted = replace(problem, y=problem.y + net(problem.x), y_test=problem.y_test + net(problem.x_test))
    other = training.train(net, shifted, **options)
    assert run.centered and not other.centered
    torch.testing.assert_close(run.after.weight, other.after.weight)
    np.testing.assert_allclose(run.history[["loss", "test_loss"]], other.history[["loss", "test_loss"]], rtol=1e-5)
    # At the start the prediction is zero, so R2 is that of the mean of the labels, or a little less.
    assert -0.1 < run.history["test_r2"].iloc[0] <= 0
    assert run.test_r2 == pytest.approx(training.r2(run.predict(problem.x_test), problem.y_test), abs=1e-5)
    torch.testing.assert_close(other.predict(problem.x), other.after(problem.x).detach())


def test_centered_training_counts_classes_without_the_initial_output():
    rng = torch.Generator().manual_seed(0)
    x, classes = torch.randn(80, 6, generator=rng), torch.arange(80) % 2
    x[:, 0] += 6 * (classes - 0.5)
    y = data.one_hot(classes, 2)
    problem = data.Dataset(x[:40], y[:40], x[40:], y[40:], None, "two heaps")
    net = nn.Linear(6, 2)
    with torch.no_grad():
        net.bias[:] = torch.tensor([50.0, -50.0])  # on its own it names class 0 for every sample
    assert training.train(net, problem, lr=0.02, epochs=30).test_accuracy < 0.7
    run = training.train(net, problem, lr=0.02, epochs=30, centered=True)
    assert run.test_accuracy > 0.9 and run.loss < 0.2


def normed(kind):
    with torch.random.fork_rng():
        torch.manual_seed(5)
        first = nn.Linear(12, 9)
        return nn.Sequential(kind(first), nn.Tanh(), nn.Linear(9, 1), nn.Flatten(0)).double()


def test_weights_that_hooks_make_are_trained_as_parametrized_ones():
    d = data.teacher_student(40, 12, seed=1).to(torch.float64)
    seen = []
    with pytest.warns(FutureWarning):
        net = normed(nn.utils.weight_norm)
    kept = net[0].weight
    run = training.train(net, d, lr=0.1, epochs=3, on_evaluation=lambda step, net: seen.append(net[0].weight.clone()))
    again = []
    other = training.train(
        normed(nn.utils.parametrizations.weight_norm),
        d,
        lr=0.1,
        epochs=3,
        on_evaluation=lambda step, net: again.append(net[0].weight.detach().clone()),
    )
    assert net[0].weight is kept
    np.testing.assert_allclose(run.history, other.history)
    torch.testing.assert_close(seen, again)
    torch.testing.assert_close(run.after[0].weight, other.after[0].weight.detach())
    torch.testing.assert_close(run.predict(d.x_test), other.predict(d.x_test))


def test_a_network_that_cannot_be_copied_is_refused():
    net = nn.Linear(12, 1)
    net.kept = [net.weight * 2]
    with pytest.raises(ValueError, match=r"^net: got Linear, which cannot be copied"):
        training.train(net, data.teacher_student(40, 12))


@pytest.mark.parametrize("size", [20, 1])
def test_a_batch_of_one_under_batch_normalization_is_refused_at_once(size):
    d = data.teacher_student(41, 12, seed=1)
    net = nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 1), nn.Flatten(0))
    state = torch.random.get_rng_state()
    with pytest.raises(ValueError, match=rf"^batch_size: got {size}, which leaves a batch of one of the 41 samples"):
        training.train(net, d, batch_size=size, epochs=1, on_evaluation=lambda *_: pytest.fail("too late"))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert len(training.train(net, d, lr=0.01, batch_size=21, epochs=1).history)
    assert len(training.train(net.eval(), d, lr=0.01, batch_size=size, epochs=1, evaluations=1).history)


class Doubling(nn.Module):
    """Works on its input in place."""

    def forward(self, x):
        return x.mul_(2)


@pytest.mark.parametrize("batch_size", [None, 10])
@pytest.mark.parametrize("centered", [False, True])
def test_a_network_that_works_in_place_does_not_change_the_data(batch_size, centered):
    d = data.teacher_student(40, 12, seed=1)
    x, x_test = d.x.clone(), d.x_test.clone()
    with torch.random.fork_rng():
        torch.manual_seed(5)
        linear = nn.Linear(12, 1)
    net = nn.Sequential(Doubling(), linear, nn.Flatten(0))
    options = dict(lr=0.01, epochs=4, batch_size=batch_size, centered=centered)
    run = training.train(net, d, **options)
    wide = replace(d, x=2 * d.x, x_test=2 * d.x_test)
    plain = training.train(nn.Sequential(linear, nn.Flatten(0)), wide, **options)
    np.testing.assert_allclose(run.history, plain.history, rtol=1e-5)
    torch.testing.assert_close(run.predict(d.x_test), plain.predict(wide.x_test))
    assert torch.equal(d.x, x) and torch.equal(d.x_test, x_test)


def test_a_readout_that_was_kept_can_be_trained_afterwards(problem):
    net, d = problem
    run = training.train(net, d, lr=1.0, epochs=2, train_readout=False)
    assert run.after.readout.requires_grad and net.readout.requires_grad
    net.weight.requires_grad_(False)
    assert not training.train(net, d, lr=1.0, epochs=2).after.weight.requires_grad


def test_inference_mode_does_not_matter_to_a_training(problem):
    net, d = problem
    wanted = training.train(net, d, lr=1.0, epochs=3, batch_size=10)
    with torch.inference_mode():
        d = data.teacher_student(40, 12, seed=1).to(torch.float64)
        run = training.train(net, d, lr=1.0, epochs=3, batch_size=10)
    assert run.history.equals(wanted.history)


def test_accuracy_of_a_run_without_evaluations_is_refused_for_what_it_is():
    x = torch.randn(20, 10, generator=torch.Generator().manual_seed(0))
    y = data.one_hot(torch.arange(20) % 2, 2)
    run = training.train(networks.mlp(10, 2, width=8, depth=1), data.Dataset(x, y, x, y, None, "two"), evaluations=0)
    with pytest.raises(ValueError, match=r"^test_accuracy: got a run with evaluations=0"):
        _ = run.test_accuracy
