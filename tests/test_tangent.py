"""The tangent kernel of any network against dense jacobians of torch.func, finite differences and closed forms."""

import copy
import math
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from helpers import kernels, networks, operators
from helpers.kernels import layer_rules
from helpers.kernels.gradients import Gradients
from helpers.kernels.gram import add_gram
from helpers.measure import trainings
from helpers.networks import TwoLayerNet
from helpers.networks.evaluation import inputs, telling


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def jacobian(net, x):
    """(n, k, parameters), by torch.func, one sample at a time in evaluation mode; shared parameters count once."""
    net = copy.deepcopy(net).eval()
    trained = {k: p.detach() for k, p in net.named_parameters() if p.requires_grad}

    def outputs(parameters, row):
        buffers = {k: b.clone() for k, b in net.named_buffers()}
        return torch.func.functional_call(net, parameters | buffers, (row[None],)).flatten()

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop")
        samples = [torch.func.jacrev(outputs)(trained, row) for row in x]
    return torch.stack([torch.cat([j.flatten(1) for j in sample.values()], dim=1) for sample in samples])


def dense(net, x, outputs="trace"):
    j = jacobian(net, x)
    if outputs == "trace":
        return torch.einsum("ikp,jkp->ij", j, j) / j.shape[1]
    j = j.sum(1) / math.sqrt(j.shape[1]) if outputs == "sum" else j[:, outputs]
    return j @ j.T


def difference(kernel, other):
    return float((kernel - other).abs().max() / other.abs().max())


def covered(net, x):
    """The layers with a rule that holds."""
    with torch.enable_grad():
        return {name.removeprefix("net.") for name in Gradients(net, inputs(net, x)).layers}


class Block(nn.Module):
    """Attention from linear layers, layer normalization, a residual, a position table; mean over the tokens."""

    def __init__(self, d=8, tokens=5, outputs=3):
        super().__init__()
        self.position = nn.Parameter(torch.randn(tokens, d))
        self.norm, self.qkv, self.out = nn.LayerNorm(d), nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.head = nn.Linear(d, outputs)

    def forward(self, x):
        x = x + self.position
        q, k, v = self.qkv(self.norm(x)).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return self.head(x.mean(1))


class MultiHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention, self.head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)

    def forward(self, x):
        return self.head(self.attention(x, x, x)[0].mean(1))


class Tied(nn.Module):
    """An embedding whose table is also the weight of the readout."""

    def __init__(self, functional_use):
        super().__init__()
        self.table, self.norm, self.head = nn.Embedding(11, 6, padding_idx=0), nn.LayerNorm(6), None
        if not functional_use:
            self.head = nn.Linear(6, 11, bias=False)
            self.head.weight = self.table.weight

    def forward(self, x):
        x = self.norm(torch.tanh(self.table(x)).mean(1))
        return functional.linear(x, self.table.weight) if self.head is None else self.head(x)


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.again, self.last = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.last(torch.tanh(self.again(torch.tanh(self.again(torch.tanh(self.first(x)))))))


class TokensFirst(nn.Module):
    """The axis of the samples is not the first one inside; two tokens, so that two samples have the same shape."""

    def __init__(self):
        super().__init__()
        self.inner, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        h = torch.tanh(self.inner(x.transpose(0, 1)))
        return self.last(h.cumsum(0)[-1])


class Positions(nn.Module):
    """A table that is looked up once for all samples."""

    def __init__(self):
        super().__init__()
        self.words, self.places, self.head = nn.Embedding(11, 6), nn.Embedding(4, 6), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(torch.tanh(self.words(x) + self.places(torch.arange(4)[None])).mean(1))


class Stopped(nn.Module):
    """No gradient reaches the first layer."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 2)

    def forward(self, x):
        with torch.no_grad():
            x = torch.tanh(self.first(x))
        return self.last(x)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell, self.head = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.cell(x)[0][:, -1])


def convolutions():
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1, dilation=2),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Conv2d(4, 6, 3, padding="same", padding_mode="circular", groups=2),
        nn.GroupNorm(2, 6),
        nn.Tanh(),
        nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 2),
        nn.Tanh(),
        nn.Flatten(),
        nn.Linear(16, 3),
    )
    net[1].running_mean.normal_()
    net[1].running_var.uniform_(1, 2)
    return net


def perceptron(outputs=3):
    return nn.Sequential(
        nn.Linear(7, 11), nn.ReLU(inplace=True), nn.Linear(11, 11, bias=False), nn.Tanh(), nn.Linear(11, outputs)
    )


def tokens(n, t, most=11):
    return torch.randint(0, most, (n, t), generator=torch.Generator().manual_seed(0))


# The network, its inputs, and the layers that must be taken by their rule.
CASES = {
    "perceptron": (perceptron, random(9, 7), {"0", "2", "4"}),
    "one output": (lambda: perceptron(1), random(9, 7), {"0", "2", "4"}),
    "no output axis": (lambda: nn.Sequential(perceptron(1), nn.Flatten(0)), random(9, 7), {"0.0", "0.2", "0.4"}),
    "convolutions": (convolutions, random(9, 2, 10, 10), {"0", "1", "3", "4", "7", "10"}),
    "convolutions in 1d": (
        lambda: nn.Sequential(
            nn.Conv1d(2, 3, 3, padding=1), nn.Tanh(), nn.BatchNorm1d(3), nn.Flatten(), nn.Linear(15, 2)
        ),
        random(6, 2, 5),
        {"0", "2", "4"},
    ),
    "convolutions in 3d": (
        lambda: nn.Sequential(nn.Conv3d(1, 2, 2), nn.Tanh(), nn.Flatten(), nn.Linear(16, 2)),
        random(4, 1, 3, 3, 3),
        {"0", "3"},
    ),
    "groups at one position": (
        lambda: nn.Sequential(nn.Conv2d(4, 8, 3, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2)),
        random(5, 4, 3, 3),
        {"0", "3"},
    ),
    "many samples": (perceptron, random(150, 7), {"0", "2", "4"}),
    "table of positions": (Positions, tokens(6, 4), {"words", "head"}),
    "attention": (Block, random(7, 5, 8), {"norm", "qkv", "out", "head"}),
    "torch's attention": (MultiHead, random(7, 5, 8), {"head"}),
    "torch's encoder": (
        lambda: nn.Sequential(nn.TransformerEncoderLayer(8, 2, 12, batch_first=True), nn.Flatten(), nn.Linear(40, 2)),
        random(5, 5, 8),
        {"0.linear1", "0.linear2", "0.norm1", "0.norm2", "2"},
    ),
    "few tokens": (
        lambda: nn.Sequential(nn.Linear(60, 70), nn.Tanh(), nn.Flatten(), nn.Linear(140, 2)),
        random(6, 2, 60),
        {"0", "3"},
    ),
    "few words": (
        lambda: nn.Sequential(nn.Embedding(3, 4), nn.Tanh(), nn.Flatten(), nn.Linear(40, 2)),
        tokens(6, 10, 3),
        {"0", "3"},
    ),
    "many words": (
        lambda: nn.Sequential(nn.Embedding(50, 4, padding_idx=3), nn.Tanh(), nn.Flatten(), nn.Linear(12, 2)),
        tokens(6, 3, 8),
        {"0", "3"},
    ),
    "tied": (lambda: Tied(False), tokens(6, 4), {"norm"}),
    "tied by a function": (lambda: Tied(True), tokens(6, 4), {"norm"}),
    "called twice": (Twice, random(6, 4), {"first", "last"}),
    "tokens first": (TokensFirst, random(6, 2, 4), {"last"}),
    "stopped": (Stopped, random(6, 4), {"last"}),
    "recurrent": (Recurrent, random(4, 3, 4), {"head"}),
    "weight normalization": (
        lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 5)), nn.Tanh(), nn.Linear(5, 2)),
        random(6, 4),
        {"2"},
    ),
    "one sample": (perceptron, random(1, 7), {"0", "2", "4"}),
    "no layer": (lambda: TwoLayerNet(4, 6), random(5, 4), set()),
}


@pytest.fixture(params=CASES, ids=str)
def case(request):
    make, x, layers = CASES[request.param]
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return make().double(), x, layers


def forward(net, x):
    """As the default one; given by name, it takes even a TwoLayerNet the general way."""
    return net(x)


@pytest.mark.parametrize("outputs", ["trace", "sum", 0])
def test_kernel_meets_the_dense_jacobian(case, outputs):
    net, x, _ = case
    kernel = kernels.neural_tangent_kernel(net, x, outputs=outputs, forward=forward)
    assert difference(kernel, dense(net, x, outputs)) < 1e-10
    assert kernel.dtype == torch.float64 and not kernel.requires_grad and torch.equal(kernel, kernel.T)


def test_rules_are_used_where_they_hold(case):
    net, x, layers = case
    assert covered(net.eval(), x) == layers


def test_small_memory_gives_the_same_kernel(case):
    net, x, _ = case
    full = kernels.neural_tangent_kernel(net, x, forward=forward)
    with pytest.raises(ValueError, match=r"^memory: got 1 bytes, expected at least") as refused:
        kernels.neural_tangent_kernel(net, x, forward=forward, memory=1)
    least = int(str(refused.value).split("at least ")[1].split()[0])
    several = max(1, len(x) // 9)
    for memory in (several * least, 3 * several * least):
        assert difference(kernels.neural_tangent_kernel(net, x, forward=forward, memory=memory), full) < 1e-12
    with pytest.raises(ValueError, match=r"^memory"):
        kernels.neural_tangent_kernel(net, x, forward=forward, memory=least - 1)


@pytest.mark.parametrize("memory", [2**30, 20_000, 1])
@pytest.mark.parametrize("items", [2, 3])
def test_inner_products_of_tokens_in_pieces(items, memory):
    left = (random(150, items, 5), random(150, items, 4, seed=1))
    right = (random(70, items, 5, seed=2), random(70, items, 4, seed=3))
    for other in (left, right):
        kernel = random(150, len(other[0]), seed=4)
        wanted = kernel + torch.einsum("ita,jsa,itb,jsb->ij", left[0], other[0], left[1], other[1])
        if memory == 1:  # one sample at a time
            kernel, wanted = kernel[:9, :9], wanted[:9, :9]
            some = tuple(f[:9] for f in left)
            add_gram(kernel, some, some if other is left else tuple(f[:9] for f in other), memory)
        else:
            add_gram(kernel, left, other, memory)
        if other is left:
            kernel, wanted = kernel.tril(), wanted.tril()
        torch.testing.assert_close(kernel, wanted)


def test_kernel_meets_finite_differences():
    with torch.random.fork_rng():
        torch.manual_seed(2)
        net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.LayerNorm(4), nn.Linear(4, 2)).double()
    x, columns, step = random(5, 3), [], 1e-5
    moved = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in moved.parameters():
            for entry in parameter.view(-1).split(1):
                entry += step
                above = moved(x)
                entry -= 2 * step
                columns.append((above - moved(x)) / (2 * step))
                entry += step
    j = torch.stack(columns, dim=-1)
    wanted = torch.einsum("ikp,jkp->ij", j, j) / 2
    assert difference(kernels.neural_tangent_kernel(net, x), wanted) < 1e-8


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_general_way_meets_the_closed_form(activation):
    net, x = TwoLayerNet(9, 13, activation, seed=2).double(), random(7, 9)
    closed = kernels.neural_tangent_kernel(net, x)
    assert difference(kernels.neural_tangent_kernel(net, x, forward=forward), closed) < 1e-12
    for outputs in ("trace", "sum", 0):
        assert torch.equal(kernels.neural_tangent_kernel(net, x, outputs=outputs), closed)
    net.readout.requires_grad_(False)
    frozen = kernels.neural_tangent_kernel(net, x, forward=forward)
    assert difference(frozen, kernels.neural_tangent_kernel(net, x, train_readout=False)) < 1e-12


def test_frozen_parameters_are_left_out():
    net, x = perceptron().double(), random(6, 7)
    net[0].weight.requires_grad_(False)
    net[4].bias.requires_grad_(False)
    net[2].requires_grad_(False)
    assert covered(net, x) == {"0", "4"}
    kernel = kernels.neural_tangent_kernel(net, x)
    assert difference(kernel, dense(net, x)) < 1e-10
    assert difference(kernel, dense(net.requires_grad_(True), x)) > 0.1


@pytest.mark.parametrize("make, x", [(perceptron, random(9, 7)), (convolutions, random(9, 2, 10, 10))])
def test_single_precision(make, x):
    net = make()
    kernel = kernels.neural_tangent_kernel(net, x.numpy())
    assert kernel.dtype == torch.float32
    assert difference(kernel.double(), dense(net.double(), x)) < 1e-5
    assert covered(net.float().eval(), x) == covered(net.double().eval(), x)


def test_network_is_left_as_it_was():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.drop, self.last = nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return self.last(self.drop(self.norm(x)))

    net, x = Counting().double(), random(6, 4)
    net.norm.eval()
    net(x).sum().backward()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    gradients = [p.grad.clone() for p in net.parameters()]
    with torch.no_grad():
        kernel = kernels.neural_tangent_kernel(net, x)
        kernels.conjugate_kernel(net, x)
    with pytest.raises(ValueError):
        kernels.neural_tangent_kernel(net, x[:, :3])
    assert [m.training for m in net.modules()] == [True, False, True, True]
    assert all(torch.equal(a, b) for a, b in zip(gradients, (p.grad for p in net.parameters()), strict=True))
    assert all(torch.equal(v, before[k]) for k, v in net.state_dict().items())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert difference(kernel, dense(net, x)) < 1e-10  # in evaluation mode: without dropout


def test_mapping_logits_and_a_forward_of_ones_own():
    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.table, self.head = nn.Embedding(11, 6), nn.Linear(6, 3)

        def forward(self, ids, mask):
            h = torch.tanh(self.table(ids)) * mask[..., None]
            return type("Output", (), {"logits": self.head(h.sum(1) / mask.sum(1, keepdim=True))})()

    class Packed(nn.Module):
        def __init__(self, net):
            super().__init__()
            self.net = net

        def forward(self, packed):
            return self.net(packed[:, 0], packed[:, 1]).logits

    net, ids = Masked().double(), tokens(6, 4)
    mask = torch.arange(4) < torch.tensor([[4], [2], [1], [3], [4], [2]])
    wanted = dense(Packed(net), torch.stack([ids, mask.long()], dim=1))
    x = {"ids": ids, "mask": mask}
    assert difference(kernels.neural_tangent_kernel(net, x), wanted) < 1e-10
    first = kernels.neural_tangent_kernel(net, x, forward=lambda net, x: net(**x).logits[:, 0])
    assert difference(first, kernels.neural_tangent_kernel(net, x, outputs=0)) < 1e-12
    features = (torch.tanh(net.table(ids)) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    torch.testing.assert_close(kernels.conjugate_kernel(net, x), (features @ features.T / 6).detach())


def test_a_network_that_vmap_refuses():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.randn(4))

        def forward(self, x):
            return (x * self.scale) ** 2 if float(x.sum()) != 0 else x

    net, x = nn.Sequential(Branching(), nn.Linear(4, 2)).double(), random(5, 4)
    with torch.enable_grad():
        assert not Gradients(net, x)._vectorized
    scale = 2 * x**2 * net[0].scale @ torch.eye(4).double()
    j = net[1].weight * scale[:, None]
    h = (x * net[0].scale) ** 2
    wanted = torch.einsum("ikp,jkp->ij", j, j) / 2 + h @ h.T + 1
    assert difference(kernels.neural_tangent_kernel(net, x), wanted.detach()) < 1e-10


def test_pseudo_kernel_comes_closer_with_width():
    """Its error falls as width^-1/2 (Mohamadi, Bae and Sutherland, 2023): by 4 from 32 to 512."""
    x, errors = torch.randn(20, 10, generator=torch.Generator().manual_seed(0)), []
    for width in (32, 512):
        several = []
        for seed in range(5):
            with torch.random.fork_rng():
                torch.manual_seed(seed)
                net = nn.Sequential(
                    nn.Linear(10, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
                )
            exact = kernels.neural_tangent_kernel(net, x)
            several.append(float((kernels.neural_tangent_kernel(net, x, outputs="sum") - exact).norm() / exact.norm()))
        errors.append(sum(several) / 5)
    assert errors[1] < 0.05 and 3 < errors[0] / errors[1] < 6


def test_conjugate_kernel_of_any_network():
    net, x = perceptron().double(), random(9, 7)
    hidden = net[:4](x).detach()
    torch.testing.assert_close(kernels.conjugate_kernel(net, x), hidden @ hidden.T / 11)
    early = net[:2](x).detach()
    torch.testing.assert_close(kernels.conjugate_kernel(net, x, layer="2"), early @ early.T / 11)
    net, x = convolutions().double().eval(), random(4, 2, 10, 10)
    pixels = net[:7](x).flatten(1).detach()
    torch.testing.assert_close(kernels.conjugate_kernel(net, x, layer="7"), pixels @ pixels.T / pixels.shape[1])
    net, x = CASES["torch's encoder"][0]().double(), random(5, 5, 8)
    inner = net[0].eval().norm1(x + net[0]._sa_block(x, None, None))
    inner = torch.relu(net[0].linear1(inner)).flatten(1).detach()
    torch.testing.assert_close(kernels.conjugate_kernel(net, x, layer="0.linear2"), inner @ inner.T / inner.shape[1])
    net, x = TwoLayerNet(4, 6).double(), random(5, 4)
    torch.testing.assert_close(kernels.conjugate_kernel(net, x, layer=""), x @ x.T / 4)


NET, X = perceptron(), torch.randn(6, 7)
UNUSED = nn.ModuleDict({"used": nn.Linear(7, 2), "other": nn.Linear(7, 2)})
FROZEN = perceptron().requires_grad_(False)


def ntk(*args, **options):
    return lambda: kernels.neural_tangent_kernel(*args, **options)


def ck(*args, **options):
    return lambda: kernels.conjugate_kernel(*args, **options)


@pytest.mark.parametrize(
    "message, call, error",
    [
        ("net: got str", ntk("net", X), TypeError),
        ("net: got ReLU without parameters", ntk(nn.ReLU(), X), ValueError),
        ("net: got Sequential with nothing to train", ntk(FROZEN, X), ValueError),
        (
            "net: got outputs that change",
            ntk(nn.Sequential(nn.BatchNorm1d(7, track_running_stats=False)), X[:, :, None].expand(6, 7, 3)),
            ValueError,
        ),
        ("net: got a network that takes no single", ntk(nn.BatchNorm1d(7, track_running_stats=False), X), ValueError),
        ("net: got outputs without a gradient", ntk(NET, X, forward=lambda net, x: x), ValueError),
        ("x: got samples \\(3,\\), which Sequential does not take", ntk(NET, X[:, :3]), ValueError),
        ("x: got shape \\(\\), expected \\(samples", ntk(NET, torch.ones(())), ValueError),
        ("x: got shape \\(0, 7\\), expected \\(samples", ntk(NET, X[:0]), ValueError),
        ("x: got NaN", ntk(NET, X * math.nan), ValueError),
        ("x: got str", ntk(NET, "x"), TypeError),
        ("x: got dtype torch.complex64", ntk(NET, X + 0j), TypeError),
        ("x: got an empty mapping", ntk(NET, {}), ValueError),
        ("x: got different numbers of samples \\(a 6, b 5\\)", ntk(NET, {"a": X, "b": X[:5]}), ValueError),
        ("x\\['a'\\]: got NaN", ntk(NET, {"a": X * math.nan}), ValueError),
        ("forward: got tuple", ntk(NET, X, forward=lambda net, x: (net(x),)), TypeError),
        ("forward: got torch.float32 of shape \\(3,\\)", ntk(NET, X, forward=lambda net, x: net(x).sum(0)), ValueError),
        ("outputs: got 'all'", ntk(NET, X, outputs="all"), ValueError),
        ("outputs: got 3", ntk(NET, X, outputs=3), ValueError),
        ("outputs: got -1", ntk(NET, X, outputs=-1), ValueError),
        ("outputs: got 1.0", ntk(NET, X, outputs=1.0), TypeError),
        ("outputs: got 1", ntk(TwoLayerNet(7, 3), X, outputs=1), ValueError),
        ("memory: got 0", ntk(NET, X, memory=0), ValueError),
        ("memory: got 1000000000.0", ntk(NET, X, memory=1e9), TypeError),
        ("train_readout: got False", ntk(NET, X, train_readout=False), ValueError),
        ("net: got str", ck("net", X), TypeError),
        (
            "net: got no Linear among Conv2d, ReLU, Sequential",
            ck(nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU()), X),
            ValueError,
        ),
        ("layer: got 'head', expected one of 0, 1, 2, 3, 4", ck(NET, X, layer="head"), ValueError),
        (
            "layer: got 'other', expected a module that is called",
            ck(UNUSED, X, layer="other", forward=lambda net, x: net["used"](x)),
            ValueError,
        ),
        ("layer: got the linear layers, expected a module", ck(UNUSED, X, forward=lambda net, x: x), ValueError),
        ("x: got samples \\(3,\\), which Sequential does not take", ck(NET, X[:, :3]), ValueError),
        ("x: got shape \\(6, 3\\)", ck(TwoLayerNet(7, 3), X[:, :3]), ValueError),
    ],
)
def test_bad_input_is_refused(message, call, error):
    with pytest.raises(error, match=f"^{message}"):
        call()


def test_embeddings_that_are_changed_while_they_are_read_have_no_rule():
    assert layer_rules.rule(nn.Embedding(5, 3)) is not None
    assert layer_rules.rule(nn.Embedding(5, 3, max_norm=1.0)) is None
    assert layer_rules.rule(nn.Embedding(5, 3, scale_grad_by_freq=True)) is None


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match=r"^x: got dtype torch.complex64"):
        kernels.neural_tangent_kernel(TwoLayerNet(3, 4), torch.ones(5, 3, dtype=torch.complex64))


def test_a_layer_that_sees_another_number_of_samples_is_refused():
    split = nn.Flatten(0), nn.Unflatten(0, (-1, 2))
    net = nn.Sequential(*split, nn.Linear(2, 1), *split)
    with pytest.raises(ValueError, match=r"^layer: got one that is not given"):
        kernels.conjugate_kernel(net, torch.ones(5, 4))


def sample_by_sample(net, x):
    """(n, k, numbers) of a network of any kind, by autograd of one sample after the other, in evaluation mode."""
    net.eval()
    trained = [p for p in net.parameters() if p.requires_grad]
    found = []
    for i in range(len(x)):
        y = net(x[i : i + 1].clone()).flatten()
        grads = [torch.autograd.grad(c, trained, retain_graph=True, materialize_grads=True) for c in y]
        found.append(torch.stack([torch.cat([g.double().flatten() for g in row]) for row in grads]))
    return torch.stack(found)


def meets_autograd(net, x, allowed=1e-4, other=None):
    kernel = kernels.neural_tangent_kernel(net, x, other).double()
    j = sample_by_sample(net, x)
    m = j if other is None else sample_by_sample(net, other)
    return difference(kernel, torch.einsum("ncp,mcp->nm", j, m) / j.shape[1]) < allowed


class Decoder(nn.Module):
    """A weight that is used again where nobody sees it, `share` times as strongly."""

    def __init__(self, share=1.0):
        super().__init__()
        self.inner, self.share = nn.Linear(9, 9, bias=False), share

    def forward(self, x):
        h = torch.relu(self.inner(x))
        return h + self.share * functional.linear(h, self.inner.weight)


def quiet(n=12, silent=10):
    """Samples that say nothing, then some that do."""
    x = torch.zeros(n, 9)
    x[silent:] = random(n - silent, 9).float()
    return x


@pytest.mark.parametrize(
    "x",
    [
        quiet(),
        quiet(300, 299),
        torch.ones(5, 9) / 3,
        quiet().flip(0),
        torch.cat([quiet(4, 3)[-1:].expand(6, 9), quiet(6, 2)]),
    ],
    ids=["blank in front", "one of many", "equal", "blank at the end", "equal in front"],
)
def test_samples_in_front_do_not_decide(x):
    with torch.random.fork_rng():
        torch.manual_seed(3)
        assert meets_autograd(Decoder(), x)


class Gated(nn.Module):
    """The first entry of a sample says whether the weight is used a second time."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(9, 9, bias=False)

    def forward(self, x):
        h = torch.tanh(self.inner(x))
        return h + x[:, :1] * functional.linear(h, self.inner.weight)


def test_samples_on_the_other_side_are_tried_too():
    x, other = random(4, 9).float(), random(5, 9, seed=1).float()
    x[:, 0] = 0
    assert meets_autograd(Gated(), x) and meets_autograd(Gated(), x, other=other)


def test_a_small_share_is_seen_in_low_precision():
    x = random(6, 9)
    with torch.random.fork_rng():
        torch.manual_seed(4)
        net = Decoder(0.02)
    assert covered(net, x) == set()
    half = copy.deepcopy(net).bfloat16()
    kernel = kernels.neural_tangent_kernel(half, x.bfloat16())
    assert kernel.dtype == torch.float32
    assert difference(kernel.double(), dense(half.double(), x.bfloat16().double())) < 1e-4


def test_telling_samples_are_those_that_differ():
    x = torch.ones(500, 3)
    x[123], x[321] = torch.tensor([1.0, -1, 1]), torch.tensor([0.0, 0, 1])
    assert {123, 321} < set(telling(x, 20).tolist())
    assert set(telling({"ids": x.long(), "mask": torch.ones(500, 2)}, 20).tolist()) > {123, 321}
    assert sorted(telling(torch.zeros(7, 2), 64).tolist()) == list(range(7))
    assert len(telling(random(500, 2), 20)) == 20


class Crowd(nn.Module):
    """Samples that see each other when there are many, or in their gradients only."""

    def __init__(self, many=None):
        super().__init__()
        self.many, self.layer = many, nn.Linear(4, 2)

    def forward(self, x):
        y = self.layer(x)
        seen = y * y.mean(0, keepdim=True)
        if self.many is None:
            return y + seen - seen.detach()
        return y + seen if len(x) > self.many else y


def test_a_finished_kernel_that_autograd_does_not_confirm_is_refused():
    with pytest.raises(ValueError, match=r"^net: got .* where autograd gives"):
        kernels.neural_tangent_kernel(Crowd(70), random(90, 4).float())


def test_gradients_that_mix_samples_are_those_of_one_sample():
    assert meets_autograd(Crowd(), random(9, 4).float())


def test_mixing_behind_equal_samples_is_refused():
    x = torch.cat([torch.ones(2, 4, 3), random(4, 4, 3)]).float()
    with pytest.raises(ValueError, match=r"^net: got outputs that change"):
        kernels.neural_tangent_kernel(nn.Sequential(nn.BatchNorm1d(4, track_running_stats=False), nn.Flatten()), x)


def test_single_precision_inside_does_not_matter():
    class Casting(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(9, 8), nn.Linear(8, 2)

        def forward(self, x):
            return self.last(torch.tanh(self.first(x)).to(torch.float32)).float()

    net = Casting()
    assert covered(net, random(6, 9).float()) == {"first", "last"}
    assert meets_autograd(net, random(6, 9).float())


class Bounded(nn.Module):
    """Torch shortens the rows of the table when they are read."""

    def __init__(self, tied=False):
        super().__init__()
        self.table, self.head, self.tied = nn.Embedding(11, 6, max_norm=0.5), nn.Linear(6, 2), tied

    def forward(self, x):
        h = torch.tanh(self.table(x)).mean(1)
        return functional.linear(h, self.table.weight) if self.tied else self.head(h)


def test_a_table_that_is_shortened_when_read_stays_as_it_is():
    net, x = Bounded().double(), tokens(5, 4)
    before = net.table.weight.detach().clone()
    features, kernel = kernels.conjugate_kernel(net, x), kernels.neural_tangent_kernel(net, x)
    product = torch.from_numpy(operators.tangent_kernel_operator(net, x) @ torch.eye(5).double()[0].numpy())
    assert torch.equal(net.table.weight, before)
    short = copy.deepcopy(net)
    with torch.no_grad():
        short.table.weight.copy_(before * (0.5 / before.norm(dim=1, keepdim=True)).clamp_max(1))
    short.table.max_norm = None
    wanted = dense(short, x)
    assert difference(kernel, wanted) < 1e-6 and difference(product, wanted[0]) < 1e-6
    assert difference(features, kernels.conjugate_kernel(short, x)) < 1e-6


def test_a_table_that_other_samples_shorten_is_refused():
    net, x = Bounded(tied=True).double(), tokens(5, 4)
    before = net.table.weight.detach().clone()
    with pytest.raises(ValueError, match=r"^net: got outputs that change"):
        kernels.neural_tangent_kernel(net, x)
    assert torch.equal(net.table.weight, before)


class Constrained(nn.Linear):
    """Rows are brought to norm one at every call, without autograd."""

    def forward(self, x):
        with torch.no_grad():
            self.weight.div_(self.weight.norm(dim=1, keepdim=True))
        return super().forward(x)


class InPlace(nn.Module):
    """Doubles what it is given, and adds to what has entered a layer."""

    def __init__(self):
        super().__init__()
        self.layer, self.last = nn.Linear(4, 4), nn.Linear(4, 1)

    def forward(self, x):
        x.mul_(2)
        with torch.no_grad():
            x.add_(self.layer(x))
        return self.last(x)


def test_networks_that_work_in_place_leave_samples_and_parameters():
    net, x = nn.Sequential(Constrained(4, 5), InPlaceTail()).double(), random(6, 4)
    state, kept = {k: v.clone() for k, v in net.state_dict().items()}, x.clone()
    first = kernels.neural_tangent_kernel(net, x)
    operator = operators.tangent_kernel_operator(net, x, memory=1)
    vector = random(6).numpy()
    twice = [torch.from_numpy(operator @ vector) for _ in range(2)]
    kernels.conjugate_kernel(net, x)
    assert torch.equal(x, kept) and all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert torch.equal(*twice) and difference(twice[0], first @ torch.from_numpy(vector)) < 1e-10


class InPlaceTail(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(5, 2)

    def forward(self, x):
        return self.last(x.mul_(2))


def test_what_enters_a_layer_is_kept_from_what_follows():
    net, x = InPlace().double(), random(5, 4)
    kept = x.clone()
    torch.testing.assert_close(networks.layer_inputs(net, x, "layer"), 2 * kept)
    after = (2 * kept + net.layer(2 * kept)).detach()
    torch.testing.assert_close(networks.layer_inputs(net, x), after)
    torch.testing.assert_close(kernels.conjugate_kernel(net, x, kept), after @ after.T / 4)
    torch.testing.assert_close(trainings._entering(net, x, ["layer.weight"])["layer.weight"], 2 * kept)
    assert torch.equal(x, kept)


class Power(nn.Module):
    """|c . x|^2 with complex numbers c."""

    def __init__(self):
        super().__init__()
        self.c = nn.Parameter(torch.complex(random(4), random(4, seed=1)))

    def forward(self, x):
        return (x.to(self.c.dtype) @ self.c).abs().square()


def test_complex_parameters_count_as_two():
    net, x = Power(), random(5, 4)
    a, b = x @ net.c.detach().real, x @ net.c.detach().imag
    wanted = 4 * (torch.outer(a, a) + torch.outer(b, b)) * (x @ x.T)
    torch.testing.assert_close(kernels.neural_tangent_kernel(net, x), wanted)
    product = torch.from_numpy(operators.tangent_kernel_operator(net, x) @ torch.ones(5).double().numpy())
    torch.testing.assert_close(product, wanted.sum(1))
    linear = nn.Sequential(nn.Linear(4, 3, dtype=torch.complex128), nn.Flatten())
    kernel = kernels.neural_tangent_kernel(
        linear, x, outputs="sum", forward=lambda net, x: net(x.to(torch.complex128)).real
    )
    torch.testing.assert_close(kernel, x @ x.T + 1)


@pytest.mark.parametrize("sparse", [False, True])
def test_sparse_gradients_are_the_same_numbers(sparse):
    net, x = nn.Sequential(nn.Embedding(7, 3, sparse=sparse), nn.Tanh(), nn.Flatten(), nn.Linear(6, 2)), tokens(5, 2, 7)
    bag = nn.Sequential(nn.EmbeddingBag(7, 3, mode="sum", sparse=sparse), nn.Tanh(), nn.Linear(3, 2)).double()
    net = net.double()
    for one in (net, bag):
        one[0].sparse = False
        wanted = dense(one, x)
        one[0].sparse = sparse
        assert difference(kernels.neural_tangent_kernel(one, x), wanted) < 1e-10
        assert one[0].sparse is sparse
    product = operators.tangent_kernel_operator(net, x) @ torch.ones(5).double().numpy()
    net[0].sparse = False
    torch.testing.assert_close(torch.from_numpy(product), dense(net, x).sum(1))
    with pytest.raises(ValueError, match=r"^net: got one that torch does not differentiate twice"):
        operators.tangent_kernel_operator(bag, x) @ torch.ones(5).double().numpy()


def test_a_network_that_autograd_refuses_is_refused():
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), InPlaceTail()).double()
    with pytest.raises(ValueError, match=r"^net: got one that autograd cannot differentiate"):
        kernels.neural_tangent_kernel(net, random(5, 4))


@pytest.mark.parametrize(
    "make, x",
    [
        (perceptron, random(5, 7)),
        (CASES["torch's encoder"][0], random(5, 5, 8)),
        (lambda: TwoLayerNet(7, 5), random(5, 7)),
    ],
)
def test_inference_mode_does_not_matter(make, x):
    net = make().double()
    wanted = [kernels.neural_tangent_kernel(net, x), kernels.conjugate_kernel(net, x)]
    vector = torch.ones(5, dtype=torch.float64).numpy()
    product = operators.tangent_kernel_operator(net, x) @ vector
    with torch.inference_mode():
        x = x + 0  # a tensor of this mode
        torch.testing.assert_close(kernels.neural_tangent_kernel(net, x), wanted[0])
        torch.testing.assert_close(kernels.conjugate_kernel(net, x), wanted[1])
        operator = operators.tangent_kernel_operator(net, x)
        torch.testing.assert_close(operator @ vector, product)
        again = operators.tangent_kernel_operator(net, x, memory=1)
        torch.testing.assert_close(again @ vector, product)
