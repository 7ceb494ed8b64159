"""The matrices of a network against its own forward pass; convolutions against the dense matrix of the operator."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import prune

from helpers import monitor, spectra
from helpers.monitor import SpectralMonitor
from helpers.networks import TwoLayerNet


def test_linear_layers_and_embeddings_as_they_are():
    net = nn.Sequential(nn.Embedding(7, 4), nn.LayerNorm(4), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2, bias=False))
    found = spectra.weight_matrices(net)
    assert list(found) == ["0.weight", "2.weight", "4.weight"]
    assert all(torch.equal(found[name], net.get_parameter(name)) for name in found)
    assert found["2.weight"].data_ptr() == net[2].weight.data_ptr() and not found["2.weight"].requires_grad


def test_network_of_the_theory():
    net = TwoLayerNet(5, 6)
    assert list(spectra.weight_matrices(net)) == ["weight"]
    np.testing.assert_allclose(
        spectra.singular_values(spectra.weight_matrices(net)["weight"]), spectra.singular_values(net.weight)
    )


@pytest.mark.parametrize("groups", [1, 2])
def test_convolution_as_the_matrix_of_patches(groups):
    net, x = nn.Conv2d(4, 6, 3, groups=groups, bias=False), torch.randn(1, 4, 3, 3)
    matrix = spectra.weight_matrices(net)["weight"]
    assert matrix.shape == (6, 4 // groups * 9)
    patches = x.reshape(groups, -1).repeat_interleave(6 // groups, dim=0)
    torch.testing.assert_close((matrix * patches).sum(1), net(x).detach().flatten())


def test_attention_in_its_three_projections():
    together, apart = nn.MultiheadAttention(4, 2), nn.MultiheadAttention(4, 2, kdim=5, vdim=3)
    found = spectra.weight_matrices(nn.ModuleDict({"a": together, "b": apart}))
    shapes = {name: tuple(matrix.shape) for name, matrix in found.items()}
    same = {f"a.{name}": (4, 4) for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight")}
    other = {
        "b.q_proj_weight": (4, 4),
        "b.k_proj_weight": (4, 5),
        "b.v_proj_weight": (4, 3),
        "b.out_proj.weight": (4, 4),
    }
    assert shapes == same | other
    q, k, v = (functional.linear(torch.eye(4), found[f"a.{name}_proj_weight"]) for name in "qkv")
    torch.testing.assert_close(torch.cat([q, k, v], dim=1), together.in_proj_weight.T.detach())


def test_shared_weight_is_listed_once():
    net = nn.ModuleDict({"table": nn.Embedding(7, 4), "head": nn.Linear(4, 7)})
    net["head"].weight = net["table"].weight
    assert list(spectra.weight_matrices(net)) == ["table.weight"]


@pytest.mark.parametrize(
    "channels, kernel, size",
    [((3, 2), (3, 3), (6, 5)), ((2, 3), (2, 3), (4, 4)), ((2, 2), (4,), (9,)), ((1, 2), (2, 2, 2), (3, 2, 4))],
)
def test_convolution_as_an_operator(channels, kernel, size):
    """Every column of the dense matrix is the answer to one pixel."""
    weight = torch.randn(*channels, *kernel, dtype=torch.float64)
    pixels = int(np.prod(size))
    images = torch.eye(channels[1] * pixels, dtype=torch.float64).reshape(-1, channels[1], *size)
    padding = [side for k in reversed(kernel) for side in (0, k - 1)]
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[len(kernel) - 1]
    dense = convolve(functional.pad(images, padding, mode="circular"), weight).flatten(1).T
    values = spectra.convolution_singular_values(weight, size)
    assert values.dtype == torch.float64
    torch.testing.assert_close(values, torch.linalg.svdvals(dense)[: len(values)])
    assert len(values) == min(channels) * pixels


def test_one_size_stands_for_all_axes():
    weight = np.random.default_rng(0).standard_normal((2, 3, 3, 3)).astype(np.float32)
    torch.testing.assert_close(
        spectra.convolution_singular_values(weight, 5),
        spectra.convolution_singular_values(torch.tensor(weight), [5, 5]),
    )


@pytest.mark.parametrize(
    "message, call, error",
    [
        ("net: got str", lambda: spectra.weight_matrices("net"), TypeError),
        ("net: got no weight matrix among ReLU", lambda: spectra.weight_matrices(nn.ReLU()), ValueError),
        ("weight", lambda: spectra.convolution_singular_values(torch.ones(3, 3), 5), ValueError),
        ("weight", lambda: spectra.convolution_singular_values(torch.ones(1, 1, 2, 2, 2, 2), 5), ValueError),
        ("weight", lambda: spectra.convolution_singular_values(torch.ones(1, 1, 3, 3) * torch.inf, 5), ValueError),
        ("size: got 2", lambda: spectra.convolution_singular_values(torch.ones(1, 1, 3, 3), 2), ValueError),
        ("size: got 2", lambda: spectra.convolution_singular_values(torch.ones(1, 1, 3, 3), (5, 2)), ValueError),
        ("size: got 1 numbers", lambda: spectra.convolution_singular_values(torch.ones(1, 1, 3, 3), (5,)), ValueError),
        ("size: got 5.0", lambda: spectra.convolution_singular_values(torch.ones(1, 1, 3, 3), 5.0), TypeError),
    ],
)
def test_bad_input_is_refused(message, call, error):
    with pytest.raises(error, match=f"^{message}"):
        call()


def weight_norm(module):
    with pytest.warns(FutureWarning):
        return nn.utils.weight_norm(module)


def pruned(module):
    return prune.random_unstructured(module, "weight", 0.4)


def pruned_twice(module):
    return prune.l1_unstructured(pruned(module), "weight", 0.2)


WAYS = [pruned, pruned_twice, weight_norm, nn.utils.spectral_norm, nn.utils.parametrizations.spectral_norm]


def computes_with(module, matrix, x):
    """Whether a layer without bias gives x W' in evaluation mode."""
    modes = module.training
    with torch.no_grad():
        left = module.eval()(x)
    module.train(modes)
    return torch.allclose(left.flatten(1), x.flatten(1) @ matrix.T, atol=1e-5)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("layer", [nn.Linear(6, 5, bias=False), nn.Conv1d(2, 5, 3, bias=False)])
def test_a_weight_that_is_made_is_that_of_the_next_call(way, layer):
    x = torch.randn(4, 6) if isinstance(layer, nn.Linear) else torch.randn(4, 2, 3)
    net = way(copy.deepcopy(layer))
    for step in range(2):
        state = {name: value.clone() for name, value in net.state_dict().items()}
        kept = vars(net).get("weight")
        matrix = spectra.weight_matrices(net)["weight"]
        assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
        assert vars(net).get("weight") is kept and net.training
        assert computes_with(net, matrix, x), step
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.add_(torch.randn_like(parameter))
    other = way(copy.deepcopy(layer))
    other.load_state_dict(net.state_dict())
    assert computes_with(other, spectra.weight_matrices(other)["weight"], x)


def test_every_made_weight_is_listed():
    net = nn.Sequential(*[nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)) for _ in range(20)])
    assert len(spectra.weight_matrices(net)) == 20


def test_gradients_of_made_weights_are_those_that_were_kept():
    net = nn.Sequential(
        pruned(nn.Linear(4, 3)), nn.utils.parametrizations.weight_norm(nn.Linear(3, 2)), nn.Linear(2, 1)
    )
    net(torch.ones(2, 4)).sum().backward()
    assert list(spectra.weight_gradients(net)) == ["2.weight"]
    left = net[0](torch.ones(2, 4))
    net[0].weight.retain_grad()
    left.sum().backward()
    torch.testing.assert_close(spectra.weight_gradients(net)["0.weight"], torch.full((3, 4), 2.0))


def test_a_weight_that_an_unknown_hook_makes_is_refused():
    net = nn.Linear(4, 3)
    net.base = nn.Parameter(net.weight.detach().clone())
    del net.weight
    net.weight = net.base.detach()
    assert spectra.weight_matrices(net)["weight"].shape == (3, 4)
    net.register_forward_pre_hook(lambda module, args: setattr(module, "weight", 2 * module.base))
    with pytest.raises(ValueError, match=r"^net: got .*weight, made by a hook of unknown kind"):
        spectra.weight_matrices(net)


def test_the_spectrum_of_a_pruned_network_of_the_theory():
    net = pruned(TwoLayerNet(5, 6))
    with torch.no_grad():
        net.weight_orig.mul_(3)
    right = torch.linalg.svdvals((net.weight_orig * net.weight_mask).detach().double()) / math.sqrt(6)
    torch.testing.assert_close(spectra.weight_spectrum(net), right, rtol=1e-4, atol=1e-5)
    with pytest.raises(TypeError, match=r"^net: got a TwoLayerNet whose weight"):
        net.antisymmetric()


def test_the_monitor_follows_a_pruned_layer():
    net, x = nn.Sequential(pruned(nn.Linear(30, 25)), nn.Tanh(), nn.Linear(25, 1)), torch.randn(40, 30)
    watch = monitor.SpectralMonitor(net, every=1, probe=(x, x[:, 0]))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
        watch.step()
        weight = (net[0].weight_orig * net[0].weight_mask).detach().double()
        np.testing.assert_allclose(watch.values("0.weight").iloc[-1], torch.linalg.svdvals(weight), atol=1e-6)


class Conv1D(nn.Module):
    """Of the same name as that of transformers, with a weight (out, in)."""

    def __init__(self):
        super().__init__()
        self.weight, self.inner = nn.Parameter(torch.ones(3, 5)), nn.Conv1d(2, 4, 3)


def test_a_class_is_not_known_by_its_name_alone():
    found = spectra.weight_matrices(nn.Sequential(Conv1D(), nn.Linear(5, 6)))
    assert {name: tuple(w.shape) for name, w in found.items()} == {"0.inner.weight": (4, 6), "1.weight": (6, 5)}


def holding(weight):
    layer = nn.Linear(5, 4, bias=False)
    layer.weight = nn.Parameter(weight, requires_grad=False)
    return layer


@pytest.mark.parametrize(
    "layer, what",
    [
        (holding(torch.ones(4, 5, dtype=torch.uint8)), "of dtype torch.uint8"),
        (holding(torch.ones(4, 5).to(torch.float8_e4m3fn)), "of dtype torch.float8_e4m3fn"),
        (holding(torch.ones(4, 5).to_sparse()), "of layout torch.sparse_coo"),
        (holding(torch.ones(4, 5, dtype=torch.complex64)), "of dtype torch.complex64"),
        (holding(torch.ones(0)), r"of shape \(0,\)"),
        (holding(torch.ones(20)), r"of shape \(20,\)"),
        (nn.Linear(5, 4, device="meta"), "on the device meta"),
        (nn.LazyLinear(4), "not initialized"),
    ],
)
def test_weights_that_are_no_dense_matrix_of_numbers_are_refused_by_name(layer, what):
    net = nn.Sequential(nn.Linear(30, 5), layer)
    with pytest.raises(ValueError, match=f"^net: got '1.weight' .*{what}"):
        spectra.weight_matrices(net)
    with pytest.raises(ValueError, match=f"^model: got '1.weight' .*{what}"):
        SpectralMonitor(net)
