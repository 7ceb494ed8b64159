"""What the monitor costs: a training at its default setting against the same training without it."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from helpers import data, encoders, networks, training
from helpers.monitor import SpectralMonitor

from .case import Case
from .timing import Side, Timed

ROUNDS = 16  # two trainings that are alike differ by some percent

Task = tuple[nn.Module, Tensor, Tensor]  # a network, inputs, labels


def run(task: Task, batch: int, steps: int, watched: bool) -> None:
    """A plain loop of Adam on batches drawn in turn."""
    net, x, y = copy.deepcopy(task[0]), *task[1:]
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
    monitor = SpectralMonitor(net) if watched else None
    for step in range(steps):
        rows = torch.arange(step * batch, (step + 1) * batch) % len(y)
        optimizer.zero_grad()
        training.loss(net(x[rows]), y[rows]).backward()
        optimizer.step()
        if monitor is not None:
            monitor.step()


def two_layers() -> Task:
    problem = data.teacher_student(2000, 1000, n_test=1)
    return networks.TwoLayerNet(1000, 1500), problem.x, problem.y


def digits() -> Task:
    problem = data.mnist(3000, labels="one-hot", shape="image")
    return networks.convolutional(problem.x.shape[1:], 10, channels=(32, 64, 64)), problem.x, problem.y


def encoder() -> Task:
    tokens = torch.randint(1000, 20_000, (2000, 24), generator=torch.Generator().manual_seed(0))
    return encoders.bert(layers=2, width=128, heads=4), tokens, tokens[:, 0].float().sign()


def cases() -> list[Case]:
    def case(name: str, n: int, make: Callable[[], Task], batch: int, steps: int) -> Case:
        def sides() -> tuple[Side, Side]:
            task = make()
            return Timed(lambda: run(task, batch, steps, True)), Timed(lambda: run(task, batch, steps, False))

        return Case("limits", f"watched training, {name}", n, "watched", "not watched", sides, ROUNDS)

    return [
        case("two layers", 1000, two_layers, 50, 2400),
        case("convolutions", 784, digits, 50, 1500),
        case("encoder", 128, encoder, 32, 250),
    ]
