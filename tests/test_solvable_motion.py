"""Motion that can be solved: the linear network's path, the angle by depth, and the speed of features."""

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from torch import nn

from helpers import data, laws, measure, networks, training

FLOW = dict(slope=0.7, second_moment=1.3, lr_readout=0.5, lr_weight=2.0)


def integrated(v, w, times, slope, second_moment, lr_readout, lr_weight):
    """S, K and the cosine from the differential equations of v and w themselves."""
    h = len(v)

    def motion(_, both):
        a, b = both[:h], both[h:]
        error = (slope - second_moment * (a @ b) / math.sqrt(h)) / math.sqrt(h)
        return np.concatenate([lr_readout * b * error, lr_weight * a * error])

    found = solve_ivp(motion, (0, times[-1]), np.concatenate([v, w]), t_eval=times, rtol=1e-10, atol=1e-12).y
    v, w = found[:h], found[h:]
    kernel = (lr_weight * (v**2).sum(0) + lr_readout * (w**2).sum(0)) / h
    inner = (v * w).sum(0)
    return inner / math.sqrt(h), kernel, inner / np.linalg.norm(v, axis=0) / np.linalg.norm(w, axis=0)


@pytest.mark.parametrize("slope", [0.7, -0.7, 0.0])
@pytest.mark.parametrize("sizes", [(1.0, 1.0), (1.0, 0.02), (0.1, 0.05)])
def test_linear_network_follows_the_flow_of_its_weights(slope, sizes):
    rng, times = np.random.default_rng(0), np.array([0.0, 0.3, 1.0, 3.0, 10.0])
    v, w = (size * rng.normal(size=7) for size in sizes)
    path = laws.linear_network(v, w, **FLOW | {"slope": slope}, times=times)
    wanted = integrated(v, w, times, **FLOW | {"slope": slope})
    np.testing.assert_allclose((path.slope, path.kernel, path.cosine), wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("slope", [0.7, -0.7, 0.0])
def test_linear_network_of_layers_that_start_parallel(sign, slope):
    v, times = np.array([1.0, -2.0, 0.5]), np.array([0.0, 0.5, 2.0, 6.0])
    options = FLOW | {"slope": slope, "lr_weight": 0.5}
    path = laws.linear_network(v, sign * v, **options, times=times)
    wanted = integrated(v, sign * v, times, **options)
    np.testing.assert_allclose((path.slope, path.kernel, path.cosine), wanted, rtol=1e-6, atol=1e-8)
    late = laws.linear_network(v, sign * v, **options, times=[1e6])
    assert np.isfinite([late.slope[0], late.kernel[0]]).all()


def test_gradient_descent_comes_closer_with_smaller_steps():
    rng = np.random.default_rng(1)
    z, noise = rng.normal(size=(2, 200))
    y, (v, w) = 0.8 * z + 0.3 * noise, 0.3 * rng.normal(size=(2, 20))

    def error(rate):
        a, b = v.copy(), w.copy()
        for _ in range(round(20 / rate)):
            residual = (z * (a @ b) / math.sqrt(20) - y) @ z / 200 / math.sqrt(20)
            a, b = a - rate * residual * b, b - rate * residual * a
        path = laws.linear_network(
            v, w, z @ y / 200, z @ z / 200, lr_readout=rate, lr_weight=rate, times=[round(20 / rate)]
        )
        return abs(a @ b / math.sqrt(20) - path.slope[0]) + abs((a @ a + b @ b) * rate / 20 / path.kernel[0] - 1)

    assert error(0.02) < 0.02 and 1.7 < error(0.04) / error(0.02) < 2.3


def test_linear_network_at_the_start_and_without_a_layer():
    v, w = np.array([1.0, 2.0]), np.array([0.5, -1.0])
    path = laws.linear_network(v, w, **FLOW, times=[0.0])
    assert path.slope[0] == pytest.approx(v @ w / math.sqrt(2))
    assert math.isnan(laws.linear_network(v, 0 * w, **FLOW, times=[0.0]).cosine[0])
    assert laws.linear_network(v, 0 * w, **FLOW, times=[1e3]).cosine[0] > 0.1


@pytest.mark.parametrize(
    "change, error",
    [
        (dict(v=[]), ValueError), (dict(v="ab"), TypeError), (dict(w=[1.0]), ValueError),
        (dict(w=[1.0, math.nan]), ValueError), (dict(slope=math.inf), ValueError), (dict(slope="1"), TypeError),
        (dict(slope=True), TypeError), (dict(second_moment=0.0), ValueError), (dict(lr_readout=-1.0), ValueError),
        (dict(lr_weight=0.0), ValueError), (dict(times=[-1.0]), ValueError), (dict(times=[]), ValueError),
    ],
)  # fmt: skip
def test_bad_arguments_of_the_linear_network_are_named(change, error):
    with pytest.raises(error, match=rf"^{next(iter(change))}: "):
        laws.linear_network(**dict(v=[1.0, 2.0], w=[1.0, 0.0], times=[0.0]) | FLOW | change)


# the angle by depth


def sampled_angle(excess, depth, m, seed):
    """m1 / sqrt(m2) of the sum of the Jacobians' products, from matrices: what the cosine is for a random b."""
    rng, kernel = np.random.default_rng(seed), np.eye(m)
    for _ in range(depth - 1):
        weight = rng.normal(size=(m, m)) / math.sqrt(m)
        if excess == 2:  # half of the units pass, each twice as strong
            weight = weight * math.sqrt(2) * (rng.random(m) < 0.5)
        kernel = np.eye(m) + weight @ kernel @ weight.T
    return np.trace(kernel) / math.sqrt(m * np.trace(kernel @ kernel))


@pytest.mark.parametrize("excess", [1, 2])
def test_feature_angle_is_that_of_random_matrices(excess):
    def errors(m, seeds):
        wanted = laws.feature_angle(6, excess)
        return np.array([sampled_angle(excess, 6, m, s) / wanted - 1 for s in range(seeds)])

    small, large = errors(50, 12), errors(200, 6)
    assert np.sqrt((large**2).mean()) < 0.6 * np.sqrt((small**2).mean()) and abs(large.mean()) < 0.03


def test_feature_angle_in_its_limits():
    assert laws.feature_angle(1, 2.0) == laws.feature_angle(30, 0.0) == 1
    assert laws.feature_angle(4000, 2.0) == pytest.approx(math.sqrt(3 / 8000), rel=1e-3)
    for change, error in ((dict(depth=0), ValueError), (dict(depth=1.5), TypeError), (dict(excess=-1.0), ValueError)):
        with pytest.raises(error, match=rf"^{next(iter(change))}: "):
            laws.feature_angle(**dict(depth=2, excess=1.0) | change)


# the speed of features


class Residual(nn.Module):
    def __init__(self, m):
        super().__init__()
        self.linear = nn.Linear(m, m)

    def forward(self, z):
        return z + self.linear(torch.tanh(z))


def chain():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.LayerNorm(9), Residual(9), nn.ReLU(), nn.Linear(9, 2))
    return net.double(), torch.randn(7, 6, dtype=torch.float64), torch.randn(7, 2, dtype=torch.float64)


def two_layers():
    problem = data.teacher_student(40, 20)
    return networks.TwoLayerNet(20, 30, "softplus").double(), problem.x.double(), problem.y.double()


@pytest.mark.parametrize("make", [chain, two_layers])
@pytest.mark.parametrize("update", ["gd", "sign", "muon"])
def test_the_identity_holds_in_every_layer(make, update):
    net, x, y = make()
    table = measure.feature_speed(net, x, y, update)
    np.testing.assert_allclose(table.speed * table.cosine * table.backward, table.decay, rtol=1e-10)
    assert (table.cosine.abs() <= 1).all() and (table.decay.diff().dropna() > 0).all()


@pytest.mark.parametrize("update", ["gd", "sign"])
def test_speed_and_decay_are_those_of_a_small_step(update):
    net, x, y = chain()
    table = measure.feature_speed(net, x, y, update)
    layers = {"0": 1, "2": 3, "3": 4, "5": 6}  # the part, and how many parts to run for its outputs
    training.loss(net(x), y).backward()

    def after(size):
        moved, _, _ = chain()
        with torch.no_grad():
            for new, old in zip(moved.parameters(), net.parameters(), strict=True):
                new -= size * (old.grad if update == "gd" else old.grad.sign())
            return [moved[:k](x) for k in layers.values()], training.loss(moved(x), y)

    size = 1e-5
    (front, loss_front), (back, loss_back) = after(size), after(-size)
    speeds = [float((a - b).norm()) / (2 * size) for a, b in zip(front, back, strict=True)]
    assert table.index.tolist() == list(layers)
    np.testing.assert_allclose(table.speed, speeds, rtol=1e-6)
    assert table.decay.iloc[-1] == pytest.approx(float(loss_back - loss_front) / (2 * size), rel=1e-6)


def test_cosine_of_gradient_descent_is_that_of_a_kernel():
    net, x, y = two_layers()
    row = measure.feature_speed(net, x, y).loc["weight"]
    z = net.preactivations(x).detach()
    residual = (net(x) - y).detach() / len(x)
    b = residual[:, None] * net.activation.derivative(z) * net.readout.detach() / math.sqrt(30)
    moved = x @ x.T / 20 @ b
    assert row.backward == pytest.approx(float(b.norm()))
    assert row.cosine == pytest.approx(float((moved * b).sum() / moved.norm() / b.norm()))


def test_depth_law_in_a_wide_network():
    """With rates that make all layers contribute the same."""
    found = []
    for seed in range(4):
        torch.manual_seed(seed)
        layers = [nn.Linear(400, 400, bias=False) for _ in range(6)]
        for layer in layers:
            nn.init.normal_(layer.weight, std=1 / 20)
        net = nn.Sequential(*layers, nn.Linear(400, 1, bias=False)).double()
        x, y = torch.randn(1, 400, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)
        backward = measure.feature_speed(net, x, y).backward
        training.loss(net(x), y).backward()
        gradients = {name: p.grad for name, p in net.named_parameters()}
        scaled = {name: g * (backward[name.split(".")[0]] / g.norm()) ** 2 for name, g in gradients.items()}
        found.append(measure.feature_speed(net, x, y, scaled).cosine[:6])
    wanted = [laws.feature_angle(depth, 1) for depth in range(1, 7)]
    np.testing.assert_allclose(np.mean(found, 0), wanted, rtol=0.06)


def test_an_activation_may_stand_in_the_chain_twice():
    torch.manual_seed(0)
    bend, x, y = nn.ReLU(), torch.randn(5, 4), torch.randn(5, 1)
    layers = [nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 1)]
    once = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    twice = nn.Sequential(layers[0], bend, layers[1], bend, layers[2])
    np.testing.assert_array_equal(measure.feature_speed(once, x, y), measure.feature_speed(twice, x, y))
    with pytest.raises(ValueError, match=r"^net: got layers that share"):
        measure.feature_speed(nn.Sequential(layers[0], bend, layers[0]), x, torch.randn(5, 4))


def test_updates_by_name_and_frozen_parameters():
    net, x, y = two_layers()
    net.readout.requires_grad_(False)
    alone = measure.feature_speed(net, x, y)
    assert alone.decay["weight"] == alone.decay["readout"]
    training.loss(net(x), y).backward()
    twice = measure.feature_speed(net, x, y, {"weight": 2 * net.weight.grad})
    np.testing.assert_allclose(twice.speed, 2 * alone.speed)
    nothing = measure.feature_speed(net, x, y, {})
    assert (nothing.speed == 0).all() and nothing.cosine.isna().all()


def test_the_network_is_left_as_it_was():
    net, x, y = chain()
    net[2].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    measure.feature_speed(net, x, y, "muon")
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert net.training and not net[2].training and all(p.grad is None for p in net.parameters())


@pytest.mark.parametrize(
    "change, error",
    [
        (dict(net=nn.Linear(6, 2)), TypeError), (dict(net=nn.Sequential(nn.Tanh())), ValueError),
        (dict(x=torch.ones(0, 6)), ValueError), (dict(y=torch.ones(7)), ValueError), (dict(y="labels"), TypeError),
        (dict(update="adam"), ValueError), (dict(update=1.0), ValueError), (dict(update={"weight": 1.0}), ValueError),
        (dict(update={"0.bias": torch.ones(3)}), ValueError),
    ],
)  # fmt: skip
def test_bad_arguments_of_the_feature_speed_are_named(change, error):
    net, x, y = chain()
    with pytest.raises(error, match=rf"^{next(iter(change))}\W"):
        measure.feature_speed(**dict(net=net, x=x, y=y) | change)
