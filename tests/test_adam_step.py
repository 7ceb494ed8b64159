"""laws.one_adam_step against steps of torch's Adam at two sizes, signs drawn at random, and limits; laws.product_null
against moments in closed form and the gradient of a network."""

import functools
import math

import numpy as np
import pytest
import torch

from helpers import data, laws, networks, spectra, training
from helpers.activations import normalized

SIZES = {"n": 2000, "d": 1000, "h": 1500}


@functools.cache
def stepped(activation, n, d, h, rate, seed):
    """Of W after one step of torch's Adam over the law: share of the spike, top value; and overlaps, seen and law."""
    problem = data.teacher_student(n, d, n_test=1, seed=seed)
    net = networks.TwoLayerNet(d, h, activation, seed=seed)
    before = net.weight.detach().clone()
    adam = torch.optim.Adam([net.weight], lr=rate, eps=1e-30)
    training.loss(net(problem.x), problem.y).backward()
    adam.step()
    law = laws.one_adam_step(activation, rate, n, d, h)
    _, value, right = spectra.top_triplet(net.weight)
    step = spectra.singular_values(net.weight.detach() - before)
    share = float(step[0] ** 2 / (step**2).sum())
    return share / law.share, value / law.value, spectra.overlap(right, problem.directions), law.teacher_overlap


@pytest.mark.parametrize("activation", ["tanh", "softplus"])
@pytest.mark.parametrize("rate", [0.2, 1.0])
def test_a_step_of_torch_comes_closer_with_the_size(activation, rate):
    rms = []
    for size in (1, 6):
        shape = 100 * size, 50 * size, 75 * size
        rows = np.array([stepped(activation, *shape, rate, seed) for seed in range(10)])
        off = np.stack([rows[:, 0] - 1, rows[:, 1] - 1, rows[:, 2] - rows[:, 3]], 1)
        rms.append(np.sqrt((off**2).mean(0)))
    small, large = rms
    assert (large[1:] < 0.8 * small[1:]).all(), (small, large)
    assert (large < [0.04, 0.03, 0.05]).all(), large  # the share scatters by more than the size moves it


@pytest.mark.parametrize("activation, scale", [("tanh", 1.0), ("relu", 0.3)])
def test_share_is_that_of_signs_drawn_at_random(activation, scale):
    """Two rows of the step share what their columns' means share: E sign sign' over independent noise."""
    rng, s, noise, (n, d, h) = np.random.default_rng(0), normalized(activation), 0.3, SIZES.values()
    c1, b = normalized("tanh").linear_coefficient, s.linear_coefficient
    power = 1 + noise**2 + scale**2
    mean = b * math.sqrt(c1**2 + scale**2 * b**2 + d / n * power) * rng.standard_normal(2_000_000)
    spread = math.sqrt((s.derivative_power - b**2) * power * d / n)
    first, second = (np.sign(mean + spread * rng.standard_normal(len(mean))) for _ in range(2))
    found = laws.one_adam_step(activation, 1.0, n, d, h, output_scale=scale)
    assert found.share == pytest.approx(float((first * second).mean()), abs=3e-3)


def test_a_linear_student_takes_a_step_of_rank_one():
    found = laws.one_adam_step("identity", 0.1, **SIZES)
    assert (found.share, found.stretch) == (1.0, 1.0)
    assert found.strength == pytest.approx(0.1 * math.sqrt(1500 * 1000))
    assert found.value == laws.spiked_singular_value(found.effective_strength, 1500, 1000).value


@pytest.mark.parametrize("activation, scale", [("tanh", 1.0), ("softplus", 0.1), ("identity", 3.0)])
def test_threshold(activation, scale):
    options = dict(**SIZES, output_scale=scale)
    rate = laws.one_adam_step(activation, 1.0, **options).threshold_rate
    below, above = (laws.one_adam_step(activation, f * rate, **options) for f in (0.9999, 1.0001))
    assert (below.visible, above.visible) == (False, True)
    assert below.value == pytest.approx(above.value, rel=1e-3)
    assert below.value == pytest.approx(below.stretch * (math.sqrt(1000) + math.sqrt(1500)))


def test_no_step_and_a_teacher_without_a_linear_part():
    still = laws.one_adam_step("tanh", 0.0, **SIZES)
    assert (still.strength, still.stretch, still.visible, still.teacher_overlap) == (0.0, 1.0, False, 0.0)
    even = normalized("relu")
    even = type(even)("even", even.shift, even.scale, 0.0, even.derivative_power)
    assert laws.one_adam_step("tanh", 1.0, **SIZES, teacher=even).teacher_overlap == 0.0


@pytest.mark.parametrize("change, error, words", [
    ({"rate": -1.0}, ValueError, "rate"), ({"n": 0}, ValueError, "n"), ({"noise": math.nan}, ValueError, "noise"),
    ({"activation": "no"}, ValueError, "activation"), ({"teacher": "no"}, ValueError, "teacher"),
    ({"output_scale": 0.0}, ValueError, "output_scale"), ({"h": 1.5}, TypeError, "h"),
    ({"rate": "1"}, TypeError, "rate"),
])  # fmt: skip
def test_bad_arguments_of_the_step(change, error, words):
    with pytest.raises(error, match=f"^{words}"):
        laws.one_adam_step(**({"activation": "tanh", "rate": 0.1} | SIZES | change))


def drawn(n, d, h, seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal(h)


def second_moment(x, errors, readout, seed):
    squares = laws.product_null(x, errors, readout, seed=seed) ** 2
    d = x.shape[1]
    return float(d * (squares**2).sum() / squares.sum() ** 2)  # of the d values, zeros among them


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("shape", [(2.0, 1.0, 1.5), (1.0, 1.0, 0.5)])
def test_second_moment_of_the_null(scaled, shape):
    off = []
    for size in (60, 480):
        n, d, h = (int(size * part) for part in shape)
        found = []
        for seed in range(8):
            x, r, v = drawn(n, d, h, seed)
            found.append(second_moment(x, *((r, v) if scaled else (np.ones(n), np.ones(h))), seed))
        limit = 1 + (3 if scaled else 1) * (d / n + d / h)
        off.append(np.sqrt(np.mean((np.array(found) / limit - 1) ** 2)))
    assert off[1] < min(0.6 * off[0], 0.12), off


def test_units_and_tail_are_those_of_a_gradient():
    """The gradient by automatic differentiation, its spike off, has the values of the null."""
    n, d, h, s = 800, 400, 600, normalized("tanh")
    problem, net = data.teacher_student(n, d, n_test=1, seed=0), networks.TwoLayerNet(d, h, "tanh", seed=0)
    (gradient,) = torch.autograd.grad(training.loss(net(problem.x), problem.y), [net.weight])
    errors = (net(problem.x) - problem.y).detach()
    seen = spectra.singular_values(gradient)[1:]
    null = laws.product_null(problem.x, errors, net.readout) * math.sqrt(s.derivative_power - s.linear_coefficient**2)
    assert float((seen**2).sum() / (null[1:] ** 2).sum()) == pytest.approx(1, abs=0.05)
    assert spectra.hill(seen**2) == pytest.approx(spectra.hill(null[1:] ** 2), abs=0.02)
    plain = laws.product_null(problem.x, torch.ones(n), torch.ones(h))
    assert spectra.hill(plain**2) > spectra.hill(seen**2) + 0.3


def test_the_null_takes_a_seed_and_keeps_the_shape():
    x, r, v = drawn(30, 20, 12, 0)
    first, again, other = (laws.product_null(x, r, v, seed=seed) for seed in (1, 1, 2))
    assert first.shape == (12,) and torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(first, first.sort(descending=True).values)


@pytest.mark.parametrize("change, words", [
    ({"errors": np.ones(5)}, "errors"), ({"readout": np.ones((2, 2))}, "readout"), ({"x": np.ones(3)}, "x"),
    ({"seed": -1}, "seed"), ({"x": np.full((4, 3), np.nan)}, "x"),
])  # fmt: skip
def test_bad_arguments_of_the_null(change, words):
    with pytest.raises(ValueError, match=f"^{words}"):
        laws.product_null(**({"x": np.ones((4, 3)), "errors": np.ones(4), "readout": np.ones(2)} | change))
