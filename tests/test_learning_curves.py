"""laws.learning_curve against a second derivation, closed forms, samples at two sizes, and what bad arguments say."""

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from helpers import data, kernels, laws, networks
from helpers.activations import normalized

SIZES = [(2000, 1000, 1500), (1000, 1000, 1000), (600, 1000, 300), (3000, 400, 800)]
STEPS = [0, 1, 3, 10, 40, 160]


class TwoResolvents:
    """The same curves from equivalents of (K - z)^-1 given X, with W taken out by Gaussian conditioning.

    M = X X' / d, Phi = b^2 M + 1 - b^2, K = F F' / h + A with A a function of M. It shares no formula with the package.
    """

    def __init__(self, activation, n, d, h, *, noise=0.3, nu=1.0):
        s, self.bt = normalized(activation), normalized("tanh").linear_coefficient
        self.n, self.d, self.h, self.nu, self.noise = n, d, h, nu, noise
        self.b, self.a2 = s.linear_coefficient, s.derivative_power
        mu, w = laws.marchenko_pastur(d / n).nodes(120)
        live = mu > 0
        self.mu_d, self.w_d = mu[live] * n / d, w[live] / w[live].sum()  # of X'X / d, but for its zeros
        full, zeros = min(n, d) / n, max(1 - d / n, 0.0)
        self.mu, self.w = np.append(self.mu_d, 0.0), np.append(self.w_d * full, zeros)
        b = self.b
        self.phi, self.a = b**2 * self.mu + 1 - b**2, nu * (b**2 * self.mu + self.a2 - b**2)

    def solve(self, activation, points=90):
        """The equivalents at points round the eigenvalues of K."""
        n, d, h, nu, b = self.n, self.d, self.h, self.nu, self.b
        top = laws.neural_tangent_kernel_law(activation, n, d, h, readout_power=nu).support[-1][1]
        gap = nu * (self.a2 - b**2)  # the least eigenvalue; the contour passes between it and 0
        half = (top - gap) / 2
        flat = min(math.sqrt(1.6 * gap / half), 0.4)
        angle = np.pi * (np.arange(points) + 0.5) / points
        self.z = half * (np.cosh(flat) * np.cos(angle) + 1j * np.sinh(flat) * np.sin(angle)) + (top + gap) / 2
        self.dz = half * (-np.cosh(flat) * np.sin(angle) + 1j * np.sinh(flat) * np.cos(angle)) / (2j * points)
        delta = np.ones_like(self.z)
        for _ in range(2000):
            new = 1 / (1 + n / h * (1 / (delta[:, None] * self.phi + self.a - self.z[:, None])) @ (self.w * self.phi))
            done, delta = np.abs(new - delta).max() < 1e-11, (delta + new) / 2
            if done:
                break
        self.z, self.dz = (np.concatenate([x, np.conj(x)]) for x in (self.z, self.dz))
        delta = np.concatenate([delta, np.conj(delta)])
        self.delta, self.q = delta, 1 / (delta[:, None] * self.phi + self.a - self.z[:, None])
        return self

    def single(self, g, b):
        return float(-((g * self.dz) @ (self.q @ (self.w * b))).real) * self.n

    def double(self, g, b1, b2):
        def mean(f):
            return (self.q * (self.w * f)) @ self.q.T

        dd = self.delta[:, None] * self.delta * self.n / self.h
        phi, x = self.phi, g * self.dz
        pairs = mean(b1 * b2) + dd * mean(b1 * phi) * mean(phi * b2) / (1 - dd * mean(phi * phi))
        return float((x @ pairs @ x).real) * self.n

    def both(self, rate, step):
        """Training loss, test loss, |v|^2 / h, strength of dW and its overlap with the teacher."""
        n, d, h, nu, b, bt, a, z = self.n, self.d, self.h, self.nu, self.b, self.bt, self.a, self.z
        rest, one, m = 1 - bt**2 + self.noise**2, np.ones_like(self.mu), self.mu
        e = (1 - rate * z / n) ** step
        g = (1 - e) / z
        k, target, inner = e + nu * (self.a2 - 1) * g, bt**2 * m + rest, b**4 / d * m / self.phi**2
        train = (self.single(e**2, target) + nu * (self.single(e**2 * z, one) - self.single(e**2, a))) / n
        power = nu - 2 * nu / h * (self.single(g * z, one) - self.single(g, a)) + (
            nu * self.single(z**2 * g**2, one) - 2 * nu * self.single(z * g**2, a) + self.single(z * g**2, target)
            + nu * self.double(g, a, a) - self.double(g, a, target)
        ) / h  # fmt: skip
        mean_d = float(self.w_d @ ((1 - b**2) / (b**2 * self.mu_d + 1 - b**2))) * min(n, d) / d + max(1 - n / d, 0.0)
        test = (
            self.double(1 - k, inner, target) - 2 * bt**2 * b**2 / d * self.single(1 - k, m / self.phi) + bt**2
            + nu * (self.single(k**2 * z, inner) - self.double(k, inner, a))
            + (1 - b**2 + b**2 * mean_d) * power + rest
        )  # fmt: skip
        change = nu * b**2 * (self.double(g, m, target) + nu * self.single(z * g**2, m) - nu * self.double(g, m, a))
        strength, along = math.sqrt(max(change, 0)), math.sqrt(nu / d) * b * bt * self.single(g, m)
        return train / 2, test / 2, power, strength, along / strength if strength > 1e-6 else math.nan

    def first(self, rate, step, delta=None, slope=None):
        """Training and test loss of the first layer alone: everything commutes with X X' / d."""
        nu, b, bt = self.nu, self.b, self.bt if slope is None else slope
        gap = nu * (self.a2 - b**2) if delta is None else delta
        rest = 1 - bt**2 + self.noise**2
        known, unknown = nu * b**2 + bt**2, nu * (1 - b**2) + rest
        factor = (1 - rate * (nu * b**2 * self.mu + gap) / self.n) ** step
        zeros = max(1 - self.n / self.d, 0.0)
        mu, w = np.append(self.mu_d, 0.0), np.append(self.w_d * (1 - zeros), zeros)
        kernel = nu * b**2 * mu + gap
        fit = (1 - (1 - rate * kernel / self.n) ** step) / kernel
        train = float(self.w @ (factor**2 * (known * self.mu + unknown)))
        test = float(w @ (known * (1 - nu * b**2 * mu * fit) ** 2 + nu**2 * b**4 * unknown * mu * fit**2)) + unknown
        return train / 2, test / 2


def columns(curve):
    return np.stack([curve.loss, curve.test_loss, curve.readout_power, curve.spike.strength, curve.spike.overlap], 1)


@pytest.mark.parametrize("sizes, activation, power", [
    (SIZES[0], "tanh", 1.0), (SIZES[1], "relu", 0.3), (SIZES[2], "tanh", 0.5), (SIZES[3], "softplus", 1.0),
])  # fmt: skip
def test_two_derivations_agree(sizes, activation, power):
    rate = 0.8 * laws.critical_rate(activation, *sizes, readout_power=power)
    curve = laws.learning_curve(activation, *sizes, rate=rate, steps=STEPS, readout_power=power)
    referee = TwoResolvents(activation, *sizes, nu=power).solve(activation)
    wanted = np.array([referee.both(rate, step) for step in STEPS])
    np.testing.assert_allclose(columns(curve), wanted, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_first_layer_alone_has_a_closed_form(activation, sizes):
    rate = 0.8 * laws.critical_rate(activation, *sizes, layers="first")
    curve = laws.learning_curve(activation, *sizes, rate=rate, steps=STEPS, layers="first")
    referee = TwoResolvents(activation, *sizes)
    wanted = [referee.first(rate, step) for step in STEPS]
    np.testing.assert_allclose(np.stack([curve.loss, curve.test_loss], 1), wanted, rtol=1e-6, atol=1e-9)
    assert curve.readout_power == pytest.approx(1)
    assert curve.test_r2 == pytest.approx(1 - 2 * curve.test_loss / 1.09)


def test_controls_miss_the_closed_form():
    """The same closed form without a2 - b^2, or with a linear teacher, is another curve."""
    curve = laws.learning_curve("tanh", *SIZES[0], rate=200.0, steps=[40], layers="first")
    for change in (dict(delta=1e-9), dict(slope=1.0)):
        assert abs(TwoResolvents("tanh", *SIZES[0]).first(200.0, 40, **change)[1] / curve.test_loss[0] - 1) > 0.05


def test_many_samples_and_units_leave_what_no_linear_function_fits():
    curve = laws.learning_curve("tanh", 10**5, 100, 1000, rate=70.0, steps=[6000])
    tanh = normalized("tanh")
    rest = 0.09 + 1 - tanh.linear_coefficient**2
    memory = (1 - 70.0 * (tanh.derivative_power - tanh.linear_coefficient**2) / 10**5) ** 6000  # of a2 - b^2
    assert 2 * curve.test_loss == pytest.approx(rest, rel=0.03)
    assert 2 * curve.loss == pytest.approx(rest * memory**2, rel=0.03)


def test_without_a_linear_part_nothing_is_learned():
    """b = 0: what is left is the readout, which sees noise. Then K = F F' / h + a2, and the teacher stays."""
    even = replace(normalized("tanh"), linear_coefficient=0.0)
    steps = [0, 2, 20, 200]
    for layers in ("both", "first"):
        curve = laws.learning_curve(even, 2000, 1000, 1500, rate=100.0, steps=steps, layers=layers, centered=True)
        assert (curve.test_loss >= 1.09 / 2 - 1e-9).all() and curve.spike.strength == pytest.approx(0, abs=1e-3)
    first = laws.learning_curve(even, 2000, 1000, 1500, rate=100.0, steps=steps, layers="first")
    decay = (1 - 100 * even.derivative_power / 2000) ** np.array(steps)
    assert first.loss == pytest.approx(2.09 / 2 * decay**2, rel=1e-6)
    assert first.test_loss == pytest.approx(2.09 / 2)


@pytest.mark.parametrize("layers", ["both", "first", "readout"])
@pytest.mark.parametrize("centered", [True, False])
def test_start(layers, centered):
    curve = laws.learning_curve("relu", 300, 200, 400, rate=1.0, steps=[0], layers=layers, centered=centered, noise=0.5)
    wanted = (1.25 + (not centered)) / 2
    assert [curve.loss[0], curve.test_loss[0]] == pytest.approx(
        [wanted, wanted]
    ) and curve.readout_power == pytest.approx(1)
    assert curve.spike.strength == 0 and math.isnan(curve.spike.overlap[0])


def test_one_step_is_that_of_one_step():
    step = laws.one_step("tanh", 50.0, 2000, 1000, 1500)
    curve = laws.learning_curve("tanh", 2000, 1000, 1500, rate=50.0, steps=[1])
    assert curve.spike.strength == pytest.approx(step.strength)
    assert curve.spike.overlap == pytest.approx(step.gradient_teacher_overlap)


@pytest.mark.parametrize("layers", ["both", "first", "readout"])
@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_long_times_are_safe(activation, layers):
    """10,000 steps near the critical rate, also where the kernel has eigenvalues near zero."""
    rate = 0.98 * laws.critical_rate(activation, 500, 400, 600, layers=layers)
    curve = laws.learning_curve(activation, 500, 400, 600, rate=rate, steps=[3000, 9999, 10000], layers=layers)
    assert np.isfinite(columns(curve)[:, :4]).all()
    assert (
        curve.loss[2] == pytest.approx(curve.loss[1], rel=1e-2, abs=1e-9)
        and -1e-9 < curve.loss[2] <= curve.loss[0] + 1e-9
    )


def test_steps_keep_their_order():
    few = laws.learning_curve("tanh", 200, 100, 150, rate=10.0, steps=[5, 0, 3])
    more = laws.learning_curve("tanh", 200, 100, 150, rate=10.0, steps=range(6))
    assert few.test_loss == pytest.approx(more.test_loss[[5, 0, 3]]) and few.steps.tolist() == [5, 0, 3]


# ridge regression


def test_ridge_with_the_linear_kernel_has_a_closed_form():
    n, d, ridges = 900, 600, np.array([0.05, 0.5, 5.0])
    curve = laws.kernel_ridge_curve("tanh", n, d, 100, ridges=ridges, kernel="linear")
    bt = normalized("tanh").linear_coefficient
    mu, w = laws.marchenko_pastur(d / n).nodes(400)
    mu, rest = mu * n / d, 1 - bt**2 + 0.09
    for ridge, loss, test in zip(ridges, curve.loss, curve.test_loss, strict=True):
        left = ridge / (mu + ridge)
        assert 2 * test == pytest.approx(float(w @ (bt**2 * left**2 + rest * mu / (mu + ridge) ** 2)) + rest)
        fitted = d / n * float(w @ (left**2 * (bt**2 * mu + rest))) + (1 - d / n) * rest
        assert 2 * loss == pytest.approx(fitted)


@pytest.mark.parametrize("kernel", ["ntk", "ck", "linear"])
def test_large_ridges_fit_nothing(kernel):
    for centered, wanted in ((True, 1.09), (False, 2.09)):
        curve = laws.kernel_ridge_curve("relu", 300, 200, 400, ridges=[1e9], kernel=kernel, centered=centered)
        assert [2 * curve.loss[0], 2 * curve.test_loss[0]] == pytest.approx([wanted, wanted], rel=1e-6)


@pytest.mark.parametrize("centered", [True, False])
@pytest.mark.parametrize("kernel, layers", [("ntk", "both"), ("ck", "readout")])
def test_without_a_ridge_it_is_the_end_of_gradient_descent(kernel, layers, centered):
    sizes = (500, 400, 1500)
    end = laws.learning_curve("relu", *sizes, rate=50.0, steps=[20000], layers=layers, centered=centered)
    ridge = laws.kernel_ridge_curve("relu", *sizes, ridges=[1e-6], kernel=kernel, centered=centered)
    assert ridge.test_loss == pytest.approx(end.test_loss, rel=1e-3)


# samples


@functools.cache
def sampled(n, seeds, rate_over_critical=0.7):
    """Gradient descent and ridge regression with the kernels of networks: deviations from the law, (seeds, values)."""
    d, h = n // 2, 3 * n // 4
    rate = rate_over_critical * laws.critical_rate("tanh", n, d, h)
    ridges, rows = [0.1, 1.0], []
    law = laws.learning_curve("tanh", n, d, h, rate=rate, steps=STEPS[1:])
    ridge = laws.kernel_ridge_curve("tanh", n, d, h, ridges=ridges)
    wanted = np.concatenate([law.loss[:3], law.test_loss, ridge.loss, ridge.test_loss, law.spike.strength[1:]])
    for seed in range(seeds):
        problem = data.teacher_student(n, d, seed=seed)
        net = networks.TwoLayerNet(d, h, "tanh", seed=seed)
        with torch.no_grad():
            start, start_test = net(problem.x).double(), net(problem.x_test).double()
            kernel = kernels.neural_tangent_kernel(net, problem.x).double()
            across = kernels.neural_tangent_kernel(net, problem.x_test, problem.x).double()
        values, vectors = torch.linalg.eigh(kernel)
        y, y_test = problem.y.double(), problem.y_test.double()
        train, test, strength = [], [], []
        for step in STEPS[1:]:
            left = (1 - rate * values / n) ** step
            train.append(float((vectors @ (left * (vectors.T @ (start - y)))).square().mean() / 2))
            fit = vectors @ ((1 - left) / values * (vectors.T @ (y - start)))
            test.append(float((start_test + across @ fit - y_test).square().mean() / 2))
            slope = (
                net.activation.derivative(net.preactivations(problem.x)).detach().double()
                * net.readout.detach().double()
            )
            change = slope.T @ (fit[:, None] * problem.x.double()) / math.sqrt(h * d)
            strength.append(float(torch.linalg.matrix_norm(change, 2)))
        fits = [torch.linalg.solve(kernel + r * torch.eye(n, dtype=torch.float64), y) for r in ridges]
        found = [float((kernel @ fit - y).square().mean() / 2) for fit in fits]
        found += [float((across @ fit - y_test).square().mean() / 2) for fit in fits]
        rows.append([*train[:3], *test, *found, *strength[1:]])
    return np.array(rows) / wanted - 1


def test_samples_come_closer_with_their_size():
    small, large = sampled(100, 16), sampled(400, 6)
    assert np.sqrt((large**2).mean()) < 0.7 * np.sqrt((small**2).mean())
    assert np.abs(large.mean(0)).max() < 0.12 and np.abs(large.mean()) < 0.03


def covariance_growth(kernel, rate, batch, steps=80):
    """The growth per step of the mean square error of SGD with a fixed kernel, exactly; batches without replacement."""
    n = len(kernel)
    p = np.eye(n) - rate * kernel / n
    strength = rate**2 * (n - batch) / (n * batch * (n - 1))
    c, last = np.eye(n) / n, 1.0
    for _ in range(steps):
        c = p @ c @ p + strength * (kernel * np.diag(c)) @ kernel - strength / n * kernel @ c @ kernel
        growth, last = np.trace(c) / last, 1.0
        c /= np.trace(c)
    return growth


def test_critical_rate_of_batches_is_that_of_the_exact_second_moment():
    n, d, h, batch = 160, 80, 120, 16
    rate = laws.critical_rate("tanh", n, d, h, batch_size=batch)
    kernel = kernels.neural_tangent_kernel(networks.TwoLayerNet(d, h, seed=1), data.teacher_student(n, d, seed=1).x)
    kernel = kernel.double().numpy()
    assert covariance_growth(kernel, 0.93 * rate, batch) < 1 < covariance_growth(kernel, 1.07 * rate, batch)


def test_critical_rate_solves_its_equation_for_the_law():
    for batch in (10, 100, 500):
        rate = laws.critical_rate("relu", 500, 400, 300, batch_size=batch)
        values, weights = laws.neural_tangent_kernel_law("relu", 500, 400, 300).nodes(2000)
        x = rate * values / 500
        if batch < 500:
            assert (1 / batch - 1 / 500) * 500 * float(weights @ (x / (2 - x))) == pytest.approx(1, rel=1e-3)
        else:
            assert x.max() == pytest.approx(2, rel=1e-3)


@pytest.mark.parametrize("layers", ["both", "first"])
def test_noise_of_batches(layers):
    """The mean over runs of linear SGD with independent batches follows the Volterra equation."""
    n, d, h, batch, runs = 300, 150, 225, 30, 40
    rate = 0.6 * laws.critical_rate("tanh", n, d, h, batch_size=batch, layers=layers)
    steps = [5, 20, 60]
    law = laws.learning_curve("tanh", n, d, h, rate=rate, steps=steps, batch_size=batch, layers=layers)
    descent = laws.learning_curve("tanh", n, d, h, rate=rate, steps=steps, layers=layers)
    problem, net = data.teacher_student(n, d, seed=3), networks.TwoLayerNet(d, h, seed=3)
    options = dict(train_readout=layers == "both")
    kernel = kernels.neural_tangent_kernel(net, problem.x, **options).double().numpy()
    across = kernels.neural_tangent_kernel(net, problem.x_test, problem.x, **options).double().numpy()
    with torch.no_grad():
        start = (net(problem.x) - problem.y).double().numpy()
        test = (net(problem.x_test) - problem.y_test).double().numpy()
    values, vectors = np.linalg.eigh(kernel)
    found = []
    for seed in range(runs):
        rng, error, fit, row = np.random.default_rng(seed), start.copy(), np.zeros(n), []
        for step in range(1, steps[-1] + 1):
            chosen = rng.permutation(n)[:batch]
            moved = rate / batch * error[chosen]
            error = error - kernel[:, chosen] @ moved
            fit[chosen] += moved
            if step in steps:
                row.append([(error**2).mean() / 2, ((test - across @ fit) ** 2).mean() / 2])
        found.append(row)
    own = []
    for step in steps:
        left = (1 - rate * values / n) ** step
        fit = vectors @ ((1 - left) / values * (vectors.T @ start))
        own.append(
            [((vectors @ (left * (vectors.T @ start))) ** 2).mean() / 2, ((test - across @ fit) ** 2).mean() / 2]
        )
    # the sample's own gradient descent is taken out: what batches add, against what the law says they add
    added = np.mean(found, 0) / np.array(own)
    wanted = np.stack([law.loss / descent.loss, law.test_loss / descent.test_loss], 1)
    assert (wanted[1:, 0] > 1.3).all()
    np.testing.assert_allclose(added, wanted, rtol=0.15)


def test_a_batch_of_all_samples_has_no_noise():
    a, b = (laws.learning_curve("tanh", 200, 100, 150, rate=20.0, steps=[0, 7], batch_size=k) for k in (200, None))
    np.testing.assert_array_equal(columns(a), columns(b))


# arguments


GOOD = dict(activation="tanh", n=200, d=100, h=150, rate=10.0, steps=[0, 1])


@pytest.mark.parametrize(
    "change, error",
    [
        (dict(n=0), ValueError), (dict(d=1.5), TypeError), (dict(h=-1), ValueError),
        (dict(activation="sine"), ValueError), (dict(teacher="sine"), ValueError), (dict(noise=-1.0), ValueError),
        (dict(rate=0.0), ValueError),
        (dict(rate="fast"), TypeError), (dict(readout_power=0.0), ValueError), (dict(layers="none"), ValueError),
        (dict(steps=[]), ValueError), (dict(steps=[-1]), ValueError), (dict(steps=5), TypeError),
        (dict(batch_size=201), ValueError), (dict(batch_size=0), ValueError), (dict(steps="12"), TypeError),
    ],
)  # fmt: skip
def test_bad_arguments_are_named(change, error):
    with pytest.raises(error, match=rf"^{next(iter(change))}: "):
        laws.learning_curve(**GOOD | change)


@pytest.mark.parametrize(
    "change, error",
    [
        (dict(ridges=[]), ValueError), (dict(ridges=[0.0]), ValueError), (dict(ridges=1.0), TypeError),
        (dict(kernel="rbf"), ValueError), (dict(noise=math.nan), ValueError), (dict(readout_power="1"), TypeError),
    ],
)  # fmt: skip
def test_bad_arguments_of_the_ridge_curve_are_named(change, error):
    with pytest.raises(error, match=rf"^{next(iter(change))}: "):
        laws.kernel_ridge_curve(**dict(activation="tanh", n=200, d=100, h=150, ridges=[1.0]) | change)


@pytest.mark.parametrize("batch_size", [None, 20])
def test_a_rate_that_is_unstable_is_refused_by_name(batch_size):
    critical = laws.critical_rate("tanh", 200, 100, 150, batch_size=batch_size)
    with pytest.raises(ValueError, match=rf"^rate: got .* critical rate {critical:.4g} of the law"):
        laws.learning_curve(**GOOD | dict(rate=1.001 * critical, batch_size=batch_size))
    laws.learning_curve(**GOOD | dict(rate=0.999 * critical, batch_size=batch_size))
