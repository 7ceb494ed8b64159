"""Networks against their own formulas, and the starts that they state."""

import math

import pytest
import torch

from helpers import kernels, laws, networks, spectra
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


@pytest.mark.parametrize("batch_norm", [False, True])
def test_mlp_has_the_layers_and_the_start_it_states(batch_norm):
    net = networks.mlp(300, 10, width=400, depth=2, batch_norm=batch_norm, output_scale=0.3, seed=1)
    names = ["hidden1", "norm1", "activation1", "hidden2", "norm2", "activation2", "readout"]
    assert [name for name, _ in net.named_children()] == [n for n in names if batch_norm or "norm" not in n]
    for name, fan_in, scale in (("hidden1", 300, 1), ("hidden2", 400, 1), ("readout", 400, 0.3)):
        entries = getattr(net, name).weight.detach() * math.sqrt(fan_in) / scale
        assert float(entries.std()) == pytest.approx(1, rel=0.05)
    x = torch.randn(2000, 300, generator=torch.Generator().manual_seed(0))
    x = x * math.sqrt(300) / x.norm(dim=1, keepdim=True)
    with torch.no_grad():
        assert float(net(x).std()) == pytest.approx(0.3, rel=0.2)


def test_conventional_networks_start_on_marchenko_pastur():
    deep = networks.mlp(300, 10, width=400, depth=2)
    wide = networks.convolutional((16, 12, 12), 10, channels=(400,), kernel_size=3)
    for weight in (deep.hidden2.weight, wide.convolution1.weight.flatten(1)):
        matrix = weight.detach().double() * math.sqrt(weight.shape[1])
        values = spectra.singular_values(matrix) / math.sqrt(len(matrix))
        assert laws.marchenko_pastur(matrix.shape[1] / len(matrix)).square_root().distance(values) < 0.03


def test_convolutional_halves_the_image():
    net = networks.convolutional((3, 28, 20), 10, channels=(4, 5, 6), kernel_size=(5, 3, 3), batch_norm=True)
    assert net(torch.ones(2, 3, 28, 20)).shape == (2, 10)
    assert net[:3](torch.ones(2, 3, 28, 20)).shape == (2, 4, 14, 10)
    assert not any(p.ndim == 1 for name, p in net.named_parameters() if "norm" not in name)


@pytest.mark.parametrize(
    "build",
    [
        lambda **kw: networks.mlp(6, 2, width=5, **kw),
        lambda **kw: networks.convolutional((1, 4, 4), 2, channels=(3,), **kw),
    ],
)
def test_conventional_networks_are_seeded(build):
    a, b, c = (build(seed=s).state_dict() for s in (0, 0, 1))
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not any(torch.equal(a[k], c[k]) for k in a)


def test_more_depth_leaves_the_layers_in_front():
    shallow, deep = networks.mlp(6, 2, width=5, depth=1), networks.mlp(6, 2, width=5, depth=3)
    assert torch.equal(shallow.hidden1.weight, deep.hidden1.weight)


@pytest.mark.parametrize(
    "name, call",
    [
        ("depth", lambda: networks.mlp(6, 2, depth=0)),
        ("width", lambda: networks.mlp(6, 2, width=0)),
        ("output_scale", lambda: networks.mlp(6, 2, output_scale=0)),
        ("activation", lambda: networks.mlp(6, 2, activation="gelo")),
        ("shape", lambda: networks.convolutional((28, 28), 2)),
        ("channels", lambda: networks.convolutional((1, 8, 8), 2, channels=())),
        ("kernel_size", lambda: networks.convolutional((1, 8, 8), 2, kernel_size=4)),
        ("kernel_size", lambda: networks.convolutional((1, 8, 8), 2, channels=(4, 4), kernel_size=(3,))),
    ],
)
def test_conventional_networks_refuse(name, call):
    with pytest.raises(ValueError, match=f"^{name}"):
        call()


def test_a_printed_network_names_its_activation():
    assert "(activation1): Normalized(tanh)" in repr(networks.mlp(6, 2, width=5, activation="tanh"))


def test_readout_power_is_that_of_the_law():
    net = TwoLayerNet(3, 4000, output_scale=0.5, seed=1)
    assert net.readout_power == pytest.approx(0.25, rel=0.1)
    assert net.readout_power == pytest.approx(
        float(net.readout.detach().double() @ net.readout.detach().double()) / 4000
    )


def test_an_antisymmetric_network_says_nothing_and_has_the_same_kernels():
    net, x = TwoLayerNet(7, 9, "softplus", output_scale=0.5, seed=3).double(), torch.randn(6, 7, dtype=torch.float64)
    twice = net.antisymmetric()
    assert float(twice(x).detach().abs().max()) < 1e-14 < 0.01 < float(net(x).detach().abs().max())
    torch.testing.assert_close(kernels.neural_tangent_kernel(twice, x), kernels.neural_tangent_kernel(net, x))
    torch.testing.assert_close(kernels.conjugate_kernel(twice, x), kernels.conjugate_kernel(net, x))
    torch.testing.assert_close(spectra.weight_spectrum(twice), spectra.weight_spectrum(net))
    assert net.weight.shape == (9, 7) and twice.output_scale == 0.5
