"""Operators against the dense kernels, and against dense jacobians and Hessians by torch.func."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from helpers import data, kernels, networks, operators, spectra, training
from helpers.operators import products


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def dense(operator):
    return torch.from_numpy(operator @ np.eye(operator.shape[1]))


def two_layers(activation="tanh", **options):
    return networks.TwoLayerNet(5, 7, activation, **options).double()


def perceptron():
    return networks.mlp(5, 3, width=6, depth=2, activation="softplus").double()


def image_net():
    return networks.convolutional((1, 6, 6), 2, channels=(3, 4), kernel_size=3, batch_norm=True).double()


class Attention(nn.Module):
    """Five tokens with one feature each, by torch's fused attention."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.outer = nn.Linear(1, 12, dtype=torch.float64), nn.Linear(4, 1, dtype=torch.float64)

    def forward(self, x):
        q, k, v = self.inner(x[:, None, :, None]).chunk(3, dim=-1)
        return self.outer(nn.functional.scaled_dot_product_attention(q, k, v).mean((1, 2)))


def problem(net, n=11):
    """Inputs and labels for one of the networks above, as a Dataset."""
    x = random(n, 1, 6, 6) if any(isinstance(m, nn.Conv2d) for m in net.modules()) else random(n, 5)
    y = random(*net(x).shape, seed=1)
    return data.Dataset(x, y, x, y, None, "random")


def jacobian(net, x):
    """(n k, p) over the parameters that require a gradient, in evaluation mode."""
    net.eval()
    trained = {k: p.detach() for k, p in net.named_parameters() if p.requires_grad}
    found = torch.func.jacrev(lambda p: functional_call(net, p, (x,)).flatten())(trained)
    return torch.cat([j.flatten(1) for j in found.values()], dim=1)


def hessian(net, problem):
    """(p, p), of the training loss."""
    named = {k: p.detach() for k, p in net.named_parameters() if p.requires_grad}
    shapes = [p.shape for p in named.values()]

    def value(flat):
        parts = flat.split([s.numel() for s in shapes])
        parameters = {k: part.view(s) for k, part, s in zip(named, parts, shapes, strict=True)}
        return training.loss(functional_call(net, parameters, (problem.x,)), problem.y)

    return torch.autograd.functional.hessian(value, torch.cat([p.flatten() for p in named.values()]))


@pytest.fixture(params=["kept", "made again"])
def memory(request, monkeypatch):
    """Both ways to hold what the products need, in blocks of a few samples."""
    monkeypatch.setattr(products, "_CHUNK", 2000)
    return {"kept": 2**30, "made again": 1}[request.param]


@pytest.mark.parametrize("net", [two_layers(), perceptron(), image_net()], ids=["two layers", "mlp", "convolutions"])
def test_conjugate_kernel(net, memory):
    x = problem(net).x
    operator = operators.conjugate_kernel_operator(net, x, memory=memory)
    torch.testing.assert_close(dense(operator), kernels.conjugate_kernel(net, x))


def test_conjugate_kernel_of_a_layer(memory):
    net = perceptron()
    x = problem(net).x
    operator = operators.conjugate_kernel_operator(net, x, layer="hidden2", memory=memory)
    torch.testing.assert_close(dense(operator), kernels.conjugate_kernel(net, x, layer="hidden2"))


@pytest.mark.parametrize("n", [4, 7, 30])
def test_companion_has_the_eigenvalues_of_the_conjugate_kernel(n):
    net = two_layers()
    found = operators.conjugate_kernel_eigenvalues(net, random(n, 5))
    torch.testing.assert_close(found, spectra.eigenvalues(kernels.conjugate_kernel(net, random(n, 5))))
    assert len(found) == n and not found[7:].any()


@pytest.mark.parametrize("train_readout", [True, False])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_tangent_kernel_of_two_layers(activation, train_readout, memory):
    net = two_layers(activation, output_scale=0.3)
    x = problem(net).x
    operator = operators.tangent_kernel_operator(net, x, train_readout=train_readout, memory=memory)
    torch.testing.assert_close(dense(operator), kernels.neural_tangent_kernel(net, x, train_readout=train_readout))


@pytest.mark.parametrize("outputs", ["trace", "sum", 1])
@pytest.mark.parametrize("net", [perceptron(), image_net()], ids=["mlp", "convolutions"])
def test_tangent_kernel_of_any_network(net, outputs, memory):
    x = problem(net).x
    operator = operators.tangent_kernel_operator(net, x, outputs=outputs, memory=memory)
    torch.testing.assert_close(dense(operator), kernels.neural_tangent_kernel(net, x, outputs=outputs))


def test_tangent_kernel_by_the_closed_form_and_by_differentiation():
    net = two_layers()
    x = problem(net).x
    differentiated = operators.tangent_kernel_operator(net, x, forward=lambda net, x: net(x))
    torch.testing.assert_close(dense(differentiated), dense(operators.tangent_kernel_operator(net, x)))


@pytest.mark.parametrize("net", [two_layers(), perceptron()], ids=["two layers", "mlp"])
def test_hessian(net, memory):
    wanted = hessian(net, problem(net))
    found = dense(operators.hessian_operator(net, problem(net), memory=memory))
    torch.testing.assert_close(found, wanted)
    assert float((wanted - wanted.diagonal().diag()).abs().max()) > 0.01


def test_fused_attention(memory):
    net = Attention()
    given = problem(net)
    with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have one derivative
        wanted = hessian(net, given)
    torch.testing.assert_close(dense(operators.hessian_operator(net, given, memory=memory)), wanted)
    found = dense(operators.tangent_kernel_operator(net, given.x, memory=memory))
    torch.testing.assert_close(found, kernels.neural_tangent_kernel(net, given.x))


def test_gauss_newton(memory):
    for net in (two_layers(), perceptron(), image_net()):
        given = problem(net, 3)
        j = jacobian(net, given.x)
        torch.testing.assert_close(dense(operators.gauss_newton_operator(net, given, memory=memory)), j.T @ j / 3)


def test_gauss_newton_is_the_hessian_where_the_errors_vanish():
    net = two_layers()
    fitted = replace(problem(net), y=net(problem(net).x).detach())
    found = operators.hessian_operator(net, fitted), operators.gauss_newton_operator(net, fitted)
    torch.testing.assert_close(dense(found[0]), dense(found[1]))
    assert float((dense(operators.hessian_operator(net, problem(net))) - dense(found[1])).abs().max()) > 1e-3


def test_gauss_newton_has_the_eigenvalues_of_the_tangent_kernel_over_n():
    net = two_layers()
    values = spectra.eigenvalues(dense(operators.gauss_newton_operator(net, problem(net))))
    wanted = spectra.eigenvalues(kernels.neural_tangent_kernel(net, problem(net).x)) / 11
    torch.testing.assert_close(values[:11], wanted)
    assert float(values[11:].abs().max()) < 1e-12


def test_frozen_parameters_are_left_out():
    net = perceptron()
    net.hidden1.weight.requires_grad_(False)
    trained = sum(p.numel() for p in net.parameters() if p.requires_grad)
    operator = operators.hessian_operator(net, problem(net))
    assert operator.shape == (trained, trained)
    torch.testing.assert_close(dense(operator), hessian(net, problem(net)))


def test_nothing_of_the_network_changes_and_no_grad_does_not_matter(memory):
    net = image_net().train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    given = problem(net)
    net.load_state_dict(before)
    made = []
    for context in (torch.enable_grad, torch.no_grad):
        with context():
            operator = operators.hessian_operator(net, given, memory=memory)
            made.append(operator @ np.ones(operator.shape[0]))
    np.testing.assert_allclose(*made)
    assert net.training and all(m.training for m in net.modules())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_single_precision_products_have_single_precision_errors():
    net = networks.TwoLayerNet(40, 60)
    given = data.teacher_student(300, 40, n_test=1)
    vector = np.random.default_rng(0).standard_normal(300)
    wanted = kernels.neural_tangent_kernel(net.double(), given.x.double()).numpy() @ vector
    found = operators.tangent_kernel_operator(net.float(), given.x) @ vector
    assert found.dtype == np.float64
    assert 0 < np.linalg.norm(found - wanted) < 3e-6 * np.linalg.norm(wanted)


class Largest(TorchDispatchMode):
    """The entries of the largest tensor that any operation gives."""

    entries = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.entries = max([self.entries, *(t.numel() for t in tree_leaves(result) if isinstance(t, torch.Tensor))])
        return result


def test_no_tensor_grows_with_the_square_of_the_samples():
    n, d, h = 3000, 5, 7
    net, given = two_layers(), problem(two_layers(), n)
    with Largest() as seen:
        kernels.neural_tangent_kernel(net, given.x)
    assert seen.entries == n * n
    with Largest() as seen:
        for make in (operators.conjugate_kernel_operator, operators.tangent_kernel_operator):
            make(net, given.x) @ np.ones(n)
        operators.tangent_kernel_operator(net, given.x, forward=lambda net, x: net(x)) @ np.ones(n)
        operators.conjugate_kernel_eigenvalues(net, given.x)
        for make in (operators.hessian_operator, operators.gauss_newton_operator):
            make(net, given) @ np.ones(h * d + h)
    assert seen.entries <= n * max(d, h)


def test_bad_input_is_refused():
    net, given = two_layers(), problem(two_layers())
    with pytest.raises(ValueError, match="x: got shape"):
        operators.tangent_kernel_operator(net, random(4, 6))
    with pytest.raises(ValueError, match="x: got NaN"):
        operators.conjugate_kernel_operator(net, random(4, 5) / 0 * 0)
    with pytest.raises(TypeError, match="net: got int"):
        operators.tangent_kernel_operator(3, given.x)
    with pytest.raises(ValueError, match="outputs: got 1"):
        operators.tangent_kernel_operator(net, given.x, outputs=1)
    with pytest.raises(ValueError, match="outputs: got 3"):
        operators.tangent_kernel_operator(perceptron(), given.x, outputs=3)
    with pytest.raises(ValueError, match="train_readout"):
        operators.tangent_kernel_operator(perceptron(), given.x, train_readout=False)
    with pytest.raises(ValueError, match="memory: got 0"):
        operators.tangent_kernel_operator(net, given.x, memory=0)
    with pytest.raises(ValueError, match=r"data.y: got shape \(10,\), expected \(11, 1\)"):
        operators.hessian_operator(net, replace(given, y=given.y[:10]))
    with pytest.raises(ValueError, match="nothing to train"):
        operators.gauss_newton_operator(two_layers().requires_grad_(False), given)
