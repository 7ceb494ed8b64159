"""Normalization and Hermite numbers against closed forms, Monte Carlo and autograd."""

import math

import numpy as np
import pytest
import torch

from helpers.activations import Activation, hermite_coefficients, normalized

NAMES = ["tanh", "softplus", "relu", "erf", "sigmoid", "identity"]

_RELU_POWER = 1 / 2 - 1 / (2 * math.pi)
_ERF_POWER = 2 / math.pi * math.asin(2 / 3)
CLOSED_FORMS = {  # name: (b, a2)
    "identity": (1.0, 1.0),
    "relu": (0.5 / math.sqrt(_RELU_POWER), 0.5 / _RELU_POWER),
    "erf": (2 / math.sqrt(3 * math.pi * _ERF_POWER), 4 / (math.pi * math.sqrt(5) * _ERF_POWER)),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_hermite_numbers_meet_closed_forms(name):
    s = normalized(name)
    assert (s.linear_coefficient, s.derivative_power) == pytest.approx(CLOSED_FORMS[name], rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_moments_meet_monte_carlo(name):
    xi = torch.from_numpy(np.random.default_rng(0).standard_normal(2_000_000))
    s = normalized(name)
    for sample, expected in [
        (s(xi), 0.0),
        (s(xi) ** 2, 1.0),
        (xi * s(xi), s.linear_coefficient),
        (s.derivative(xi), s.linear_coefficient),
        (s.derivative(xi) ** 2, s.derivative_power),
    ]:
        error = 4 * float(sample.std()) / math.sqrt(len(xi)) + 1e-12
        assert float(sample.mean()) == pytest.approx(expected, abs=error)


@pytest.mark.parametrize("name", NAMES)
def test_derivative_is_the_derivative(name):
    z = torch.linspace(-3, 3, 40, dtype=torch.float64, requires_grad=True)
    s = normalized(name)
    (slope,) = torch.autograd.grad(s(z).sum(), z)
    torch.testing.assert_close(s.derivative(z.detach()), slope, rtol=1e-12, atol=1e-12)


def test_an_activation_passes_through():
    s = normalized("tanh")
    assert normalized(s) is s
    assert s(torch.zeros(2, 3, dtype=torch.float32)).dtype == torch.float32


@pytest.mark.parametrize("bad, error", [("gelu?", ValueError), ("", ValueError), (3, TypeError), (None, TypeError)])
def test_bad_names_are_refused(bad, error):
    with pytest.raises(error, match="activation"):
        normalized(bad)


def test_hermite_inequalities():
    for name in NAMES:
        s = normalized(name)
        assert isinstance(s, Activation)
        assert s.linear_coefficient**2 <= min(1, s.derivative_power) + 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_hermite_coefficients(name):
    s, c = normalized(name), hermite_coefficients(name, 40)
    assert c[:2].tolist() == pytest.approx([0, s.linear_coefficient], abs=1e-10)
    assert float(c.square().sum()) == pytest.approx(1, abs=5e-3)
    xi = torch.from_numpy(np.random.default_rng(1).standard_normal(1_000_000))
    sample = s(xi) * (xi**3 - 3 * xi) / math.sqrt(6)
    assert float(sample.mean()) == pytest.approx(float(c[3]), abs=4 * float(sample.std()) / 1000 + 1e-12)
    with pytest.raises(ValueError, match="terms"):
        hermite_coefficients(name, 0)
