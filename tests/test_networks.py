"""TwoLayerNet against its own formula."""

import math

import pytest
import torch

from helpers.networks import TwoLayerNet


@pytest.mark.parametrize("activation", ["tanh", "softplus", "relu", "erf", "sigmoid", "identity"])
def test_forward_is_the_formula(activation):
    net = TwoLayerNet(7, 5, activation, output_scale=0.5, seed=3).double()
    x = torch.randn(11, 7, dtype=torch.float64)
    z = torch.stack([torch.stack([(w * row).sum() / math.sqrt(7) for w in net.weight]) for row in x])
    torch.testing.assert_close(net.features(x), net.activation(z))
    torch.testing.assert_close(net(x), (net.activation(z) * net.readout).sum(1) / math.sqrt(5))


def test_start_is_standard_normal_and_seeded():
    net, same, other = TwoLayerNet(300, 400, seed=1), TwoLayerNet(300, 400, seed=1), TwoLayerNet(300, 400, seed=2)
    assert torch.equal(net.weight, same.weight) and not torch.equal(net.weight, other.weight)
    assert float(net.weight.detach().mean()) == pytest.approx(0, abs=0.02)
    assert float(net.weight.detach().std()) == pytest.approx(1, abs=0.02)
    scaled = TwoLayerNet(300, 400, output_scale=0.1, seed=1)
    torch.testing.assert_close(scaled.readout, 0.1 * net.readout)


def test_output_has_unit_order():
    net, x = TwoLayerNet(500, 800), torch.randn(1000, 500)
    assert 0.7 < float(net(x).detach().std()) < 1.4


@pytest.mark.parametrize(
    "name, args, kwargs, error",
    [
        ("d", (0, 5), {}, ValueError),
        ("h", (5, -2), {}, ValueError),
        ("h", (5, 2.0), {}, TypeError),
        ("activation", (5, 5, "swish"), {}, ValueError),
        ("output_scale", (5, 5), {"output_scale": 0.0}, ValueError),
        ("output_scale", (5, 5), {"output_scale": math.inf}, ValueError),
        ("output_scale", (5, 5), {"output_scale": "1"}, TypeError),
        ("seed", (5, 5), {"seed": 1.5}, TypeError),
    ],
)
def test_bad_arguments_are_refused(name, args, kwargs, error):
    with pytest.raises(error, match=name):
        TwoLayerNet(*args, **kwargs)


def test_inputs_of_the_wrong_width_are_refused():
    with pytest.raises(ValueError, match="x: got shape"):
        TwoLayerNet(5, 4)(torch.zeros(3, 6))
