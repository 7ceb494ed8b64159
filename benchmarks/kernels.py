"""Empirical tangent kernels: neural-tangents and plain jacobians of torch.func against ours."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers import kernels, networks
from helpers.activations import normalized

from .case import Case, relative
from .environments import Peer
from .timing import Side, Timed

IMAGE = (1, 28, 28)


def inputs(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def two_layers(d: int = 1000, h: int = 1500) -> networks.TwoLayerNet:
    return networks.TwoLayerNet(d, h, "tanh")


def perceptron() -> nn.Module:
    return networks.mlp(784, 1, width=512, depth=3)


def convolutions(outputs: int = 1) -> nn.Module:
    return networks.convolutional(IMAGE, outputs)


def hidden_units() -> nn.Module:
    return nn.Sequential(convolutions(128), nn.ReLU(), nn.Linear(128, 10))


def jacobian(net: nn.Module, x: Tensor) -> tuple[Side, Side]:
    """The kernel J J' / k from torch.func's per-sample jacobian J, k outputs, against ours."""
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def output(p: dict[str, Tensor], row: Tensor) -> Tensor:
        return torch.func.functional_call(net, p, (row[None],))[0]

    def peer() -> Tensor:
        by_name = torch.func.vmap(torch.func.jacrev(output), (None, 0))(parameters, x)
        j = torch.cat([g.flatten(1) for g in by_name.values()], dim=1)
        return j @ j.T / net(x[:1])[0].numel()

    return Timed(peer), Timed(lambda: kernels.neural_tangent_kernel(net, x))


def neural_tangents(net: nn.Module, x: Tensor) -> tuple[Side, Side]:
    """The package's fastest implementation on a processor, compiled before it is timed, against ours."""
    two = isinstance(net, networks.TwoLayerNet)
    activation = normalized("tanh" if two else "relu")
    peer = Peer(
        "neural-tangents",
        "tangent_kernel",
        network="two_layers" if two else "layers",
        x=x.numpy(),
        shift=activation.shift,
        scale=activation.scale,
        **{name: p.detach().numpy() for name, p in net.named_parameters()},
    )
    return peer, Timed(lambda: kernels.neural_tangent_kernel(net, x))


def cases() -> list[Case]:
    def case(name: str, peer: str, side: Callable, net: Callable, x: Tensor, rounds: int, goal: float | None = None):
        return Case("peers", f"NTK, {name}", len(x), peer, "helpers", lambda: side(net(), x), rounds, relative, goal)

    flat, images = (1000, 784), (500, *IMAGE)
    nt, func = ("neural-tangents", neural_tangents), ("torch.func", jacobian)
    return [
        case("two layers", *nt, two_layers, inputs(1000, 1000), 3, 50.0),
        case("four layers", *nt, perceptron, inputs(*flat), 3, 50.0),
        case("convolutions", *nt, convolutions, inputs(*images), 4, 3.0),
        case("two layers", *func, two_layers, inputs(500, 1000), 3),
        case("four layers", *func, perceptron, inputs(500, 784), 3),
        case("convolutions", *func, convolutions, inputs(*images), 6),
        case("convolutions, 10 outputs", *func, lambda: convolutions(10), inputs(*images), 4),
        case("convolutions, hidden layer", *func, hidden_units, inputs(200, *IMAGE), 4),
    ]
