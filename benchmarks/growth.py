"""Growth with the size: times over that of one fixed matrix product, at d = n/2 and h = 3n/4."""

from collections.abc import Callable

import numpy as np
import torch

from helpers import kernels, laws, networks, spectra

from . import tails
from .case import Case
from .kernels import inputs, jacobian, neural_tangents, two_layers
from .timing import Side, Timed

SIZES = (500, 1000, 2000, 4000, 8000)
UNIT = 2000  # rows and columns of the matrices whose product is the unit of time


def sizes(n: int) -> tuple[int, int]:
    """Inputs d and hidden units h."""
    return n // 2, 3 * n // 4


def network(n: int) -> networks.TwoLayerNet:
    return two_layers(*sizes(n))


def tangent_kernel(n: int) -> Side:
    net, x = network(n), inputs(n, n // 2)
    return Timed(lambda: kernels.neural_tangent_kernel(net, x))


def conjugate_kernel(n: int) -> Side:
    net, x = network(n), inputs(n, n // 2)
    return Timed(lambda: kernels.conjugate_kernel(net, x))


def eigenvalues(n: int) -> Side:
    kernel = inputs(n, n).double()
    kernel = kernel + kernel.T
    return Timed(lambda: torch.linalg.eigvalsh(kernel))


def law(n: int) -> Side:
    x = np.linspace(0, 15, 1000)
    return Timed(lambda: laws.neural_tangent_kernel_law("tanh", n, *sizes(n), finite_size=True).density(x))


def tail(n: int) -> Side:
    sample = tails.pareto(n)
    return Timed(lambda: spectra.fit_power_law(sample))


def powerlaw(n: int) -> Side:
    return tails.pair(tails.pareto(n))[0]


def jacobians(n: int) -> Side:
    return jacobian(network(n), inputs(n, n // 2))[0]


def in_jax(n: int) -> Side:
    return neural_tangents(network(n), inputs(n, n // 2))[0]


# name -> side of a size, largest size: the peers stop where they take minutes or all the memory
FUNCTIONS: dict[str, tuple[Callable[[int], Side], int]] = {
    "NTK": (tangent_kernel, 8000),
    "NTK, torch.func": (jacobians, 1000),
    "NTK, neural-tangents": (in_jax, 2000),
    "CK": (conjugate_kernel, 8000),
    "eigenvalues, bare": (eigenvalues, 8000),
    "law of the NTK": (law, 8000),
    "tail": (tail, 8000),
    "tail, powerlaw": (powerlaw, 8000),
}


def unit() -> Side:
    a = inputs(UNIT, UNIT)
    return Timed(lambda: torch.mm(a, a))


def cases() -> list[Case]:
    def case(name: str, n: int, side: Callable[[int], Side]) -> Case:
        rounds = 4 if n <= 2000 and side is not in_jax else 1
        return Case("growth", name, n, name, "unit", lambda: (side(n), unit()), rounds)

    return [case(name, n, side) for name, (side, most) in FUNCTIONS.items() for n in SIZES if n <= most]
