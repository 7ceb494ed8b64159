"""Kernels in closed form against autograd; alignment and ridge against direct computation."""

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from helpers import data, kernels, measure, operators, training
from helpers.activations import normalized
from helpers.networks import TwoLayerNet


def autograd_kernel(net, x, names):
    """The tangent kernel from per-example gradients, by torch.func."""
    fixed = {k: p.detach() for k, p in net.named_parameters()}

    def output(trained, row):
        return torch.func.functional_call(net, fixed | trained, (row[None],)).squeeze(0)

    trained = {k: fixed[k] for k in names}
    gradients = torch.func.vmap(torch.func.grad(output), in_dims=(None, 0))(trained, x)
    flat = torch.cat([g.reshape(len(x), -1) for g in gradients.values()], dim=1)
    return flat @ flat.T


@pytest.mark.parametrize("activation", ["tanh", "softplus", "relu", "erf", "sigmoid", "identity"])
@pytest.mark.parametrize("train_readout", [True, False])
def test_tangent_kernel_meets_autograd(activation, train_readout):
    net = TwoLayerNet(9, 13, activation, output_scale=0.7, seed=2).double()
    x = torch.randn(17, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    names = ["weight", "readout"] if train_readout else ["weight"]
    kernel = kernels.neural_tangent_kernel(net, x, train_readout=train_readout)
    assert float((kernel - autograd_kernel(net, x, names)).abs().max()) < 1e-10


def test_conjugate_kernel_is_the_gradient_kernel_of_the_readout():
    net, x = TwoLayerNet(9, 13, "erf").double(), torch.randn(6, 9, dtype=torch.float64)
    torch.testing.assert_close(kernels.conjugate_kernel(net, x), autograd_kernel(net, x, ["readout"]))
    assert int(torch.linalg.matrix_rank(kernels.conjugate_kernel(net, torch.randn(40, 9).double()))) == 13


@pytest.mark.parametrize("activation", ["tanh", "softplus", "relu", "erf"])
def test_dual_kernel_is_the_limit_of_wide_networks(activation):
    x = torch.randn(8, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    x = torch.cat([x, x[:2] + 0.3 * x[2:4]])
    x = x * (math.sqrt(10) / x.norm(dim=1, keepdim=True))
    wide = kernels.conjugate_kernel(TwoLayerNet(10, 200_000, activation, seed=1).double(), x)
    dual = kernels.dual_kernel(activation, x)
    torch.testing.assert_close(dual, wide, atol=0.02, rtol=0)
    if activation == "erf":  # closed form of Williams (1997), normalized
        s, cosines = normalized("erf"), x @ x.T / 10
        torch.testing.assert_close(dual, torch.asin(2 * cosines / 3) * 2 / math.pi / s.scale**2, atol=1e-6, rtol=0)


def test_dual_kernel_refuses_other_norms():
    with pytest.raises(ValueError, match=r"^x: got rows of norm"):
        kernels.dual_kernel("tanh", torch.randn(5, 4))


def test_arrays_are_taken_and_dtype_follows_the_network():
    net, x = TwoLayerNet(4, 6), torch.randn(5, 4)
    kernel = kernels.neural_tangent_kernel(net, x.double().numpy())
    assert kernel.dtype == torch.float32 and not kernel.requires_grad
    torch.testing.assert_close(kernel, kernels.neural_tangent_kernel(net, x))


def test_alignment_limits():
    y = torch.tensor([1.0, -2.0, 0.5])
    assert kernels.alignment(torch.outer(y, y), y) == pytest.approx(1)
    assert kernels.alignment(-torch.outer(y, y), y) == pytest.approx(-1)
    assert kernels.alignment(torch.eye(3), y) == pytest.approx(1 / math.sqrt(3))
    assert kernels.alignment(5 * torch.eye(3), 7 * y) == pytest.approx(1 / math.sqrt(3))


def test_kernel_ridge_solves_its_equation():
    a = torch.randn(20, 30, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    k, y = a @ a.T, a[:, 0]
    predicted = kernels.kernel_ridge(k, k[:5], y, 0.3)
    torch.testing.assert_close(predicted, k[:5] @ torch.linalg.solve(k + 0.3 * torch.eye(20).double(), y))
    torch.testing.assert_close(kernels.kernel_ridge(k, k, y, 0.0), y, rtol=1e-6, atol=1e-6)


NET, X = TwoLayerNet(4, 6), torch.randn(5, 4)
NAN = torch.full((5, 4), math.nan)


@pytest.mark.parametrize("function", [kernels.conjugate_kernel, kernels.neural_tangent_kernel])
@pytest.mark.parametrize(
    "name, args, error",
    [
        ("net", (normalized("tanh"), X), TypeError),
        ("x", (NET, torch.zeros(5, 3)), ValueError),
        ("x", (NET, torch.zeros(4)), ValueError),
        ("x", (NET, torch.zeros(0, 4)), ValueError),
        ("x", (NET, NAN), ValueError),
        ("x", (NET, "inputs"), TypeError),
    ],
)
def test_kernels_refuse(function, name, args, error):
    with pytest.raises(error, match=f"^{name}"):
        function(*args)


@pytest.mark.parametrize(
    "name, call",
    [
        ("kernel", lambda: kernels.alignment(torch.eye(3), torch.ones(4))),
        ("y", lambda: kernels.alignment(torch.eye(3), torch.ones(3, 1, 1))),
        ("kernel", lambda: kernels.alignment(torch.eye(3) * math.nan, torch.ones(3))),
        ("kernel, y", lambda: kernels.alignment(torch.zeros(3, 3), torch.ones(3))),
        ("kernel, y", lambda: kernels.alignment(torch.eye(3), torch.zeros(3))),
        ("k_train", lambda: kernels.kernel_ridge(torch.eye(4), torch.eye(3), torch.ones(3), 1.0)),
        ("k_test", lambda: kernels.kernel_ridge(torch.eye(3), torch.eye(4), torch.ones(3), 1.0)),
        ("ridge", lambda: kernels.kernel_ridge(torch.eye(3), torch.eye(3), torch.ones(3), -1.0)),
    ],
)
def test_alignment_and_ridge_refuse(name, call):
    with pytest.raises(ValueError, match=f"^{name}"):
        call()


def test_centering_takes_out_what_all_samples_share():
    rng = np.random.default_rng(0)
    y = np.sign(rng.standard_normal(30))
    features = np.outer(y - y.mean(), [1.0, 0]) + 50 * np.array([0, 1.0])  # a large mean hides the labels
    kernel = features @ features.T
    assert kernels.alignment(kernel, y) < 0.1
    assert kernels.alignment(kernel, y, centered=True) == pytest.approx(
        float((y - y.mean()) @ (y - y.mean()) / (y @ y)), abs=1e-6
    )
    h = np.eye(30) - 1 / 30
    assert kernels.alignment(kernel, y, centered=True) == pytest.approx(kernels.alignment(h @ kernel @ h, y))


def test_alignment_with_classes_is_that_with_their_gram_matrix():
    rng = np.random.default_rng(1)
    y, a = rng.standard_normal((20, 3)), rng.standard_normal((20, 5))
    kernel, target = a @ a.T, y @ y.T
    expected = (kernel * target).sum() / np.linalg.norm(kernel) / np.linalg.norm(target)
    assert kernels.alignment(kernel, y) == pytest.approx(expected)
    assert kernels.alignment(kernel, y[:, :1]) == pytest.approx(kernels.alignment(kernel, y[:, 0]))


def test_gradient_descent_is_stable_up_to_the_critical_rate():
    """The features of a frozen first layer: a linear model, whose kernel does not move."""
    net, x = TwoLayerNet(30, 40).double(), torch.randn(50, 30, dtype=torch.float64)
    features = net.features(x).detach() / 40**0.5
    rate = kernels.critical_rate(kernels.conjugate_kernel(net, x))
    for multiple, stable in ((0.99, True), (1.01, False)):
        v = torch.ones(40, dtype=torch.float64)
        for _ in range(2000):
            v = v - multiple * rate * features.T @ (features @ v) / 50
        assert (float(v.norm()) < 40**0.5 * 1.01) is stable


@pytest.mark.parametrize("kernel", [torch.ones(2, 3), torch.zeros(3, 3), torch.full((2, 2), torch.nan)])
def test_a_kernel_without_a_critical_rate_is_refused(kernel):
    with pytest.raises(ValueError, match=r"^kernel"):
        kernels.critical_rate(kernel)


def test_critical_rate_of_any_size_and_precision():
    assert kernels.critical_rate(torch.tensor([[4.0]])) == 0.5
    kernel = torch.diag(torch.linspace(1, 5, 100))
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        assert kernels.critical_rate(kernel.to(dtype)) == pytest.approx(40)
    with pytest.raises(ValueError, match=r"^kernel.*not symmetric"):
        kernels.critical_rate(torch.ones(30, 30).triu())


@pytest.mark.parametrize("n", [5, 60])  # both ways to the operator norm
@pytest.mark.parametrize("sign", [1, -1])
def test_distance_of_kernels_is_that_of_numpy(n, sign):
    rng = np.random.default_rng(n)
    start, move = (a @ a.T for a in rng.standard_normal((2, n, n)))
    frobenius, operator = kernels.distance(start + sign * move, start)
    assert frobenius == pytest.approx(np.linalg.norm(move) / np.linalg.norm(start))
    assert operator == pytest.approx(np.linalg.norm(move, 2) / np.linalg.norm(start, 2), rel=1e-3)
    assert kernels.distance(start, start) == (0.0, 0.0)


@pytest.mark.parametrize(
    "name, kernel, start", [("kernel", np.eye(3), np.eye(2)), ("start", np.eye(2), np.zeros((2, 2)))]
)
def test_distance_refuses(name, kernel, start):
    with pytest.raises(ValueError, match=f"^{name}"):
        kernels.distance(kernel, start)


class Skipping(TwoLayerNet):
    """Another function with another parameter."""

    def __init__(self, d, h):
        super().__init__(d, h)
        self.skip = nn.Parameter(torch.ones(d))

    def forward(self, x):
        return super().forward(x) + (x @ self.skip) ** 2


def skipping():
    return Skipping(5, 8)


def pruned():
    net = prune.random_unstructured(TwoLayerNet(5, 8), "weight", 0.5)
    with torch.no_grad():
        net.weight_orig.mul_(2)  # the weight that was made is old
    return net


def weight_normalized():
    return nn.utils.parametrizations.weight_norm(TwoLayerNet(5, 8))


def scaled_by_a_hook():
    net = TwoLayerNet(5, 8)
    net.register_forward_pre_hook(lambda module, args: (3 * args[0],))
    return net


def own_forward():
    net = TwoLayerNet(5, 8)
    net.forward = lambda x: TwoLayerNet.forward(net, x) ** 2
    return net


def frozen(*names):
    net = TwoLayerNet(5, 8)
    for name in names:
        net.get_parameter(name).requires_grad_(False)
    return net


MADE = [
    skipping,
    pruned,
    weight_normalized,
    scaled_by_a_hook,
    own_forward,
    lambda: frozen("weight"),
    lambda: frozen("readout"),
]


@pytest.mark.parametrize("make", MADE)
@pytest.mark.parametrize("other", [False, True])
def test_what_is_not_the_network_of_the_theory_is_not_taken_for_it(make, other):
    """Against autograd, one sample after the other."""
    net, x = make().double(), torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    trained = [p for p in net.parameters() if p.requires_grad]
    rows = [torch.autograd.grad(net(x[i : i + 1])[0], trained) for i in range(6)]
    j = torch.stack([torch.cat([g.flatten() for g in row]) for row in rows])
    wanted = j @ j.T
    kernel = kernels.neural_tangent_kernel(net, x, x[:4] if other else None)
    torch.testing.assert_close(kernel, wanted[:, :4] if other else wanted)
    product = operators.tangent_kernel_operator(net, x) @ np.arange(6.0)
    np.testing.assert_allclose(product, wanted.numpy() @ np.arange(6.0))


def test_nothing_to_train_is_refused():
    for call in (kernels.neural_tangent_kernel, operators.tangent_kernel_operator):
        with pytest.raises(ValueError, match=r"^net: got TwoLayerNet with nothing to train"):
            call(frozen("weight", "readout"), torch.ones(3, 5))
        with pytest.raises(ValueError, match=r"^net: got TwoLayerNet with nothing to train"):
            call(frozen("weight"), torch.ones(3, 5), train_readout=False)


def test_a_hook_that_looks_leaves_the_closed_form():
    net, x, seen = TwoLayerNet(5, 8), torch.randn(6, 5), []
    wanted = kernels.neural_tangent_kernel(net, x, train_readout=False)
    net.register_forward_hook(lambda module, args, output: seen.append(module.training))
    assert torch.equal(kernels.neural_tangent_kernel(net, x, train_readout=False), wanted)
    assert seen == [False]


def test_features_of_a_weight_that_is_made_are_those_of_the_next_call():
    net, x = pruned(), torch.randn(6, 5)
    weight = (net.weight_orig * net.weight_mask).detach()
    features = net.activation(x @ weight.T / math.sqrt(5))
    torch.testing.assert_close(kernels.conjugate_kernel(net, x), features @ features.T / 8)
    product = operators.conjugate_kernel_operator(net, x) @ np.ones(6)
    np.testing.assert_allclose(product, (features @ features.sum(0) / 8).numpy(), rtol=1e-4)
    with pytest.raises(ValueError, match=r"^net: got no Linear"):
        kernels.conjugate_kernel(scaled_by_a_hook(), x)


@pytest.mark.parametrize("make", [skipping, pruned])
def test_scores_and_measures_are_of_the_network_of_the_theory(make):
    problem, held_out = data.split(data.teacher_student(20, 5, n_test=8), 6)
    with pytest.raises(TypeError, match=r"^net: got .* its own two parameters"):
        kernels.kernel_scores(make(), problem, held_out)
    with pytest.raises(TypeError, match=r"^run: got .* its own two parameters"):
        measure.network(training.Run(make(), make(), None), problem)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("two_layers", [True, False])
def test_half_precision_sums_in_single(dtype, two_layers):
    """Squared norms of what enters are beyond 65504, the largest number of float16."""
    if two_layers:
        net, x = TwoLayerNet(600, 30, "relu"), 12 * torch.randn(4, 600)
    else:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            net, x = nn.Sequential(nn.Linear(600, 300), nn.ReLU(), nn.Linear(300, 2)), 12 * torch.randn(4, 600)
    net, x = net.to(dtype), x.to(dtype)
    assert float(x.float().square().sum(1).min()) > 65504
    wide = copy.deepcopy(net).double(), x.double()
    for kernel, operator in (
        (kernels.conjugate_kernel, operators.conjugate_kernel_operator),
        (kernels.neural_tangent_kernel, operators.tangent_kernel_operator),
    ):
        wanted, found = kernel(*wide), kernel(net, x)
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), wanted, rtol=0.03, atol=0.03 * float(wanted.abs().max()))
        cross = kernel(net, x, x[:2])
        torch.testing.assert_close(cross, found[:, :2], rtol=1e-3, atol=1e-3 * float(wanted.abs().max()))
        product = operator(net, x) @ np.eye(4)[1]
        np.testing.assert_allclose(product, found[1], rtol=0.01, atol=1e-3 * float(wanted.abs().max()))


@pytest.mark.parametrize("classes", [3, 500])
def test_labels_in_many_columns_need_no_square_of_their_number(classes):
    rng = np.random.default_rng(2)
    root = torch.from_numpy(rng.standard_normal((20, 20)))
    kernel, y = root @ root.T, torch.zeros(20, classes, dtype=torch.float64)
    y[torch.arange(20), torch.from_numpy(rng.integers(classes, size=20))] = 1
    right = float((kernel * (y @ y.T)).sum() / kernel.norm() / (y @ y.T).norm())
    assert kernels.alignment(kernel, y) == pytest.approx(right, rel=1e-12)
    wide = torch.cat([y, torch.zeros(20, 30000 - classes)], 1)
    assert kernels.alignment(kernel, wide) == pytest.approx(right, rel=1e-12)  # 7 GB by the other product


@pytest.mark.parametrize("unit", [2.0**-900, 2.0**900])
def test_alignment_does_not_depend_on_the_scale(unit):
    kernel, y = torch.diag(torch.arange(1.0, 6.0)).double(), torch.arange(5.0).double()
    assert kernels.alignment(kernel * unit, y * unit) == pytest.approx(kernels.alignment(kernel, y), rel=1e-12)
