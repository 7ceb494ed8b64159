"""The matrices of a network against its own forward pass; convolutions against the dense matrix of the operator."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from helpers import spectra
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
