"""Ours over the bare cost: the matrix products or the LAPACK call that no implementation can do without."""

import numpy as np
import torch

from helpers import data, encoders, kernels, laws, networks, spectra, training

from .case import Case
from .models import monitored
from .timing import Side, Timed

N, D, H = 2000, 1000, 1500  # the size of the book
ACTIVATIONS = ("tanh", "softplus", "relu")


def gradient_steps(activation: str, steps: int = 50) -> tuple[Side, Side]:
    """Full-batch steps against their matrix products: X W' and the gradient's D' X, each as often."""
    problem, net = data.teacher_student(N, D), networks.TwoLayerNet(D, H, activation)
    x, w, delta = problem.x, net.weight.detach(), torch.randn(N, H)

    def bare() -> None:
        for _ in range(steps):
            torch.mm(x, w.T)
            torch.mm(delta.T, x)

    return Timed(lambda: training.train(net, problem, "sgd", 10.0, epochs=steps, evaluations=1)), Timed(bare)


def tangent_kernel(activation: str) -> tuple[Side, Side]:
    """The NTK against its matrix products: X W', X X', S S', F F'."""
    net, x = networks.TwoLayerNet(D, H, activation), torch.randn(N, D)
    w, features = net.weight.detach(), torch.randn(N, H)

    def bare() -> None:
        torch.mm(x, w.T)
        torch.mm(x, x.T)
        torch.mm(features, features.T)
        torch.mm(features, features.T)

    return Timed(lambda: kernels.neural_tangent_kernel(net, x)), Timed(bare)


def singular_values() -> tuple[Side, Side]:
    w = torch.randn(H, D, dtype=torch.float64)
    return Timed(lambda: spectra.singular_values(w)), Timed(lambda: torch.linalg.svdvals(w))


def top_triplet() -> tuple[Side, Side]:
    """The largest singular value with its vectors against all values without any."""
    w = torch.randn(H, D, dtype=torch.float64)
    return Timed(lambda: spectra.top_triplet(w)), Timed(lambda: torch.linalg.svdvals(w))


def whole_model() -> tuple[Side, Side]:
    """A record of the monitor against the singular values alone."""
    net = encoders.minilm()
    matrices = [w.double() for w in spectra.weight_matrices(net).values()]
    return monitored(net), Timed(lambda: [torch.linalg.svdvals(w) for w in matrices])


def law_curve() -> tuple[Side, Side]:
    """The NTK's law with finite-size terms at 1,000 points against the eigenvalues it stands for."""
    kernel = torch.randn(N, N, dtype=torch.float64)
    kernel = kernel + kernel.T
    x = np.linspace(0, 15, 1000)

    def curve() -> np.ndarray:
        return laws.neural_tangent_kernel_law("tanh", N, D, H, finite_size=True).density(x)

    return Timed(curve), Timed(lambda: torch.linalg.eigvalsh(kernel))


def cases() -> list[Case]:
    products, eigenvalues, values = "matrix products", "bare eigvalsh", "bare svdvals"
    return [
        *(Case("limits", f"GD step, {a}", N, "helpers", products, lambda a=a: gradient_steps(a)) for a in ACTIVATIONS),
        *(Case("limits", f"NTK, {a}", N, "helpers", products, lambda a=a: tangent_kernel(a)) for a in ACTIVATIONS),
        Case("limits", "singular values", H, "helpers", values, singular_values),
        Case("limits", "top singular vectors", H, "helpers", values, top_triplet),
        Case("limits", "whole model, MiniLM", 384, "helpers", values, whole_model),
        Case("limits", "law of the NTK, 1000 points", N, "helpers", eigenvalues, law_curve),
    ]
