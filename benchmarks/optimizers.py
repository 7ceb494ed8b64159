"""A step of Muon: torch's own, in bfloat16, and the bare matrix products against ours."""

import torch
from torch import Tensor

from helpers.training import Muon

from .case import Case, relative
from .limits import D, H
from .timing import Side, Timed


def step(optimizer: type[torch.optim.Optimizer], shape: tuple[int, int] = (H, D)) -> Timed:
    """One step from zero along a fixed gradient."""
    weight = torch.zeros(shape, requires_grad=True)
    weight.grad = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    muon = optimizer([weight], lr=1.0, weight_decay=0.0)

    def taken() -> Tensor:
        weight.data.zero_()
        muon.step()
        return weight.detach().clone()

    return Timed(taken)


def products() -> Side:
    """The fifteen matrix products of the Newton-Schulz iteration."""
    wide, gram = torch.randn(D, H), torch.randn(D, D)

    def bare() -> None:
        for _ in range(5):
            torch.mm(wide, wide.T)
            torch.mm(gram, gram)
            torch.mm(gram, wide)

    return Timed(bare)


def cases() -> list[Case]:
    def peers() -> tuple[Side, Side]:
        return step(torch.optim.Muon), step(Muon)

    return [
        Case("peers", "step of Muon", H, "torch.optim.Muon", "helpers", peers, 3, relative),
        Case("limits", "step of Muon", H, "helpers", "matrix products", lambda: (step(Muon), products())),
    ]
