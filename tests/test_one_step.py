"""laws.one_step against sampled networks (gradients by autograd), its own finite-size samples, and limits."""

import functools
import math

import numpy as np
import pandas as pd
import pytest
import scipy.linalg
import torch

from helpers.activations import normalized
from helpers.laws import one_step, one_step_draws

N, D, H = 800, 400, 600
SEEDS = range(32)
RATES = (0.5, 1.0, 1.5, 3.0)  # in units of the threshold rate
OVERLAPS = ["gradient_overlap", "teacher_overlap", "readout_overlap"]


def top(matrix: torch.Tensor) -> tuple[float, torch.Tensor]:
    """The largest singular value and its right vector."""
    gram = (matrix.T @ matrix).numpy()
    value, vector = scipy.linalg.eigh(gram, subset_by_index=[len(gram) - 1] * 2)
    return math.sqrt(value[0]), torch.from_numpy(vector[:, 0])


def sample(activation: str, scale: float, rates: list[float], seed: int) -> list[dict]:
    """One network, one dataset: the singular value and overlaps of W1 at each rate, measured."""
    make = torch.Generator().manual_seed(seed)
    weight, v, x, noise, beta = (torch.randn(*s, generator=make) for s in [(H, D), (H,), (N, D), (N,), (D,)])
    beta /= beta.norm()
    y = normalized("tanh")(x @ beta) + 0.3 * noise
    weight.requires_grad_()
    f = scale * normalized(activation)(x @ weight.T / math.sqrt(D)) @ v / math.sqrt(H)
    (grad,) = torch.autograd.grad(((f - y) ** 2).sum() / (2 * N), weight)
    _, w = top(grad)
    rows = []
    for rate in rates:
        after = weight.detach() - rate * grad
        value, right = top(after)
        left = after @ right / value
        rows.append(
            dict(
                rate=rate,
                strength=rate * (grad @ w).norm().item(),
                value=value,
                gradient_overlap=abs(right @ w).item(),
                teacher_overlap=abs(right @ beta).item(),
                readout_overlap=abs(left @ v / v.norm()).item(),
                gradient_teacher_overlap=abs(w @ beta).item(),
            )
        )
    return rows


@functools.cache
def samples(activation: str, scale: float) -> pd.DataFrame:
    """Of all seeds and rates."""
    threshold = one_step(activation, 1.0, N, D, H, output_scale=scale).threshold_rate
    rates = [m * threshold for m in RATES]
    return pd.DataFrame([row for seed in SEEDS for row in sample(activation, scale, rates, seed)])


@pytest.fixture(scope="module", params=[(a, s) for a in ("tanh", "softplus") for s in (1.0, 0.3, 0.1)])
def networks(request) -> tuple[str, float, pd.DataFrame]:
    return *request.param, samples(*request.param)


def test_limit_predicts_networks_on_average(networks):
    activation, scale, measured = networks
    mean = measured.groupby("rate").mean()
    for multiple, rate in zip(RATES, mean.index, strict=True):
        law = one_step(activation, rate, N, D, H, output_scale=scale)
        # the mean of 32 seeds has a standard error of up to 1.2% here
        assert mean.value[rate] == pytest.approx(law.value, rel=0.025)
        assert mean.strength[rate] == pytest.approx(law.strength, rel=0.025)
        assert mean.gradient_teacher_overlap[rate] == pytest.approx(law.gradient_teacher_overlap, abs=0.02)
        if multiple >= 1.5:
            for name in OVERLAPS:
                assert mean[name][rate] == pytest.approx(getattr(law, name), abs=0.03), (multiple, name)


def test_draws_predict_networks_through_the_threshold(networks):
    activation, scale, measured = networks
    for rate, group in measured.groupby("rate"):
        model = pd.DataFrame(one_step_draws(activation, rate, N, D, H, output_scale=scale, draws=400))
        for name in ["strength", "value", *OVERLAPS, "gradient_teacher_overlap"]:
            error = math.sqrt(group[name].var() / len(group) + model[name].var() / len(model))
            assert abs(group[name].mean() - model[name].mean()) < 3.5 * error + 2e-3 * model[name].mean(), (rate, name)
        # 32 seeds know a standard deviation to 13%
        assert group.strength.std() == pytest.approx(model.strength.std(), rel=0.4)


def test_the_textbook_formula_would_fail():
    rate = 3 * one_step("tanh", 1.0, N, D, H).threshold_rate
    law = one_step("tanh", rate, N, D, H)
    textbook = math.sqrt((law.strength**2 + H) * (law.strength**2 + D)) / law.strength
    measured = samples("tanh", 1.0).query("rate == @rate").value.mean()
    assert textbook / measured > 1.08
    assert law.value / measured == pytest.approx(1, abs=0.025)


@pytest.mark.parametrize(
    ("activation", "teacher", "scale", "sizes"),
    [
        ("tanh", "tanh", 1.0, (40_000, 20_000, 30_000)),
        ("softplus", "relu", 0.3, (40_000, 20_000, 30_000)),
        ("relu", "softplus", 1.0, (20_000, 30_000, 20_000)),
        ("identity", "erf", 2.0, (30_000, 10_000, 40_000)),
    ],
)
def test_draws_approach_the_limit(activation, teacher, scale, sizes):
    options = dict(teacher=teacher, output_scale=scale)
    threshold = one_step(activation, 1.0, *sizes, **options).threshold_rate
    for multiple in (0.6, 1.5, 4.0):
        law = one_step(activation, multiple * threshold, *sizes, **options)
        draws = one_step_draws(activation, multiple * threshold, *sizes, draws=40, **options)
        model = pd.DataFrame(draws).mean()
        for name in ["strength", "value"]:
            assert model[name] == pytest.approx(getattr(law, name), rel=0.01), (multiple, name)
        for name in [*OVERLAPS, "gradient_teacher_overlap"]:
            # |cosine| of a finite vector is not zero below the threshold
            margin = 0.02 if multiple < 1 else 0.01
            assert model[name] == pytest.approx(getattr(law, name), abs=margin), (multiple, name)


def test_spread_of_the_strength_has_its_closed_form():
    n, d, h, noise = 2000, 1000, 1500, 0.3
    for scale in (1.0, 0.1):
        draws = one_step_draws("identity", 1.0, n, d, h, teacher="identity", output_scale=scale, draws=1500)
        # everything is Gaussian: add up the relative variances of strength^2, to first order in 1/n
        linear, left, ratio = 1 + scale**2, noise**2, d / n
        total = linear + left
        size2 = linear + ratio * total
        variance = (1 + scale**2 * (1 + ratio) / size2) ** 2 * 2 / h  # |v|^2
        variance += (scale**2 * (1 + ratio) / size2) ** 2 * 2 / d  # |g|^2
        variance += (2 * scale * (1 + ratio) / size2) ** 2 / d  # g . beta
        variance += (linear * (2 + ratio) / size2) ** 2 * 2 / n  # sample variance along the linear target
        variance += 4 * linear * left * ((1 + ratio) / size2) ** 2 / n + (ratio * left / size2) ** 2 * 2 / n  # noise
        variance += (total / size2) ** 2 * 2 * ratio / n  # the rest of X'r
        spread = np.std(np.log([draw.strength for draw in draws]))
        assert spread == pytest.approx(math.sqrt(variance) / 2, rel=0.08)  # 1500 draws know it to 2%


def test_threshold_rate_is_where_the_spike_appears():
    for scale in (1.0, 0.1):
        threshold = one_step("softplus", 1.0, 2000, 1000, 1500, output_scale=scale).threshold_rate
        rates = 0.999 * threshold, 1.001 * threshold
        below, above = (one_step("softplus", rate, 2000, 1000, 1500, output_scale=scale) for rate in rates)
        assert not below.visible and above.visible
        assert below.value == pytest.approx(above.value, rel=1e-5)
        assert above.effective_strength == pytest.approx((1000 * 1500) ** 0.25, rel=2e-3)


def test_limits():
    sizes = 2000, 1000, 1500
    still = one_step("tanh", 0.0, *sizes)
    assert (still.strength, still.visible, still.gradient_overlap, still.readout_overlap) == (0, False, 0, 0)
    assert still.value == pytest.approx(math.sqrt(1000) + math.sqrt(1500))
    far = one_step("tanh", 1e12, *sizes)
    assert far.value == pytest.approx(far.strength) and far.gradient_overlap == pytest.approx(1)
    assert far.readout_overlap == pytest.approx(1)
    assert far.teacher_overlap == pytest.approx(far.gradient_teacher_overlap)
    # f0 = 0: the spike is independent of W, and Benaych-Georges and Nadakuditi apply as they stand
    small = one_step("tanh", 1.0, *sizes, output_scale=1e-6)
    small = one_step("tanh", 2 * small.threshold_rate, *sizes, output_scale=1e-6)
    power = small.strength**2
    assert small.value == pytest.approx(math.sqrt((power + 1500) * (power + 1000) / power), rel=1e-4)
    assert small.gradient_overlap**2 == pytest.approx((power**2 - 1.5e6) / (power * (power + 1000)), rel=1e-4)
    assert small.readout_overlap**2 == pytest.approx((power**2 - 1.5e6) / (power * (power + 1500)), rel=1e-4)
    # endless data, no noise, f0 = 0: the gradient is the teacher
    clean = one_step("tanh", 1.0, 10**12, 1000, 1500, noise=0.0, output_scale=1e-6)
    assert clean.gradient_teacher_overlap == pytest.approx(1, abs=1e-6)


def test_effective_strength_is_zero_where_the_step_undoes_f0():
    weak = one_step("tanh", 0.3 * one_step("tanh", 1.0, 2000, 1000, 1500).threshold_rate, 2000, 1000, 1500)
    assert weak.strength > 0 and weak.effective_strength == 0 and not weak.visible


def test_draws_repeat_with_the_seed_and_work_at_small_and_wide_sizes():
    first, second, other = (one_step_draws("tanh", 50.0, 20, 10, 15, draws=3, seed=seed) for seed in (4, 4, 5))
    assert first == second != other
    for sizes in [(1, 3, 2), (5, 9, 4), (5, 4, 9)]:
        for draw in one_step_draws("relu", 0.0, *sizes, draws=5):
            assert draw.strength == 0 and 0 <= draw.gradient_overlap <= 1 and math.isfinite(draw.value)


@pytest.mark.parametrize(
    ("change", "error", "name"),
    [
        (dict(activation="sine"), ValueError, "activation"),
        (dict(teacher="sine"), ValueError, "teacher"),
        (dict(teacher=3), TypeError, "teacher"),
        (dict(rate=-1.0), ValueError, "rate"),
        (dict(rate=math.nan), ValueError, "rate"),
        (dict(rate=math.inf), ValueError, "rate"),
        (dict(rate="1"), TypeError, "rate"),
        (dict(n=0), ValueError, "n"),
        (dict(d=10.5), TypeError, "d"),
        (dict(h=True), TypeError, "h"),
        (dict(noise=-0.1), ValueError, "noise"),
        (dict(output_scale=0.0), ValueError, "output_scale"),
        (dict(draws=0), ValueError, "draws"),
        (dict(seed=-1), ValueError, "seed"),
    ],
)
def test_bad_input_is_named(change, error, name):
    call = one_step_draws if name in ("draws", "seed") else one_step
    with pytest.raises(error, match=rf"^{name}: got .*expected"):
        call(**(dict(activation="tanh", rate=1.0, n=20, d=10, h=15) | change))
