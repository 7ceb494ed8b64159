"""Every row is one ratio, both sides timed in turn in this run; the median over the rounds is printed."""

import itertools
import math
import statistics
import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from helpers import data, kernels, laws, networks, spectra, training

N, D, H = 2000, 1000, 1500  # the size of the book


def seconds(function: Callable[[], object]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def ratio(ours: Callable[[], object], other: Callable[[], object], rounds: int) -> tuple[float, float, float]:
    """Minimum, median and maximum over the rounds of time(ours) / time(other), after one round to warm up."""
    pairs = [(seconds(ours), seconds(other)) for _ in range(rounds + 1)][1:]
    ratios = [a / b for a, b in pairs]
    return min(ratios), statistics.median(ratios), max(ratios)


def gradient_step(activation: str) -> tuple[Callable, Callable]:
    """Fifty full-batch GD steps against their matrix products: X W' and the gradient's D' X, fifty times."""
    steps = 50
    problem, net = data.teacher_student(N, D), networks.TwoLayerNet(D, H, activation)
    x, w, delta = problem.x, net.weight.detach(), torch.randn(N, H)

    def bare() -> None:
        for _ in range(steps):
            torch.mm(x, w.T)
            torch.mm(delta.T, x)

    return lambda: training.train(net, problem, "sgd", 10.0, epochs=steps, evaluations=1), bare


def tangent_kernel(activation: str) -> tuple[Callable, Callable]:
    """The NTK against its matrix products: X W', X X', S S', F F'."""
    net, x = networks.TwoLayerNet(D, H, activation), torch.randn(N, D)
    w, features = net.weight.detach(), torch.randn(N, H)

    def bare() -> None:
        torch.mm(x, w.T)
        torch.mm(x, x.T)
        torch.mm(features, features.T)
        torch.mm(features, features.T)

    return lambda: kernels.neural_tangent_kernel(net, x), bare


def jacobian_kernel(net: nn.Module, x: torch.Tensor) -> tuple[Callable, Callable]:
    """The NTK from torch.func's per-sample jacobian, J J' / k, against ours: above 1 we are faster."""
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def output(p: dict[str, torch.Tensor], row: torch.Tensor) -> torch.Tensor:
        return torch.func.functional_call(net, p, (row[None],))[0]

    def peer() -> torch.Tensor:
        jacobian = torch.func.vmap(torch.func.jacrev(output), (None, 0))(parameters, x)
        j = torch.cat([g.flatten(1) for g in jacobian.values()], dim=1)
        return j @ j.T / len(net(x[:1])[0])

    return peer, lambda: kernels.neural_tangent_kernel(net, x)


def two_layers() -> tuple[Callable, Callable]:
    net = nn.Sequential(nn.Linear(D, H, bias=False), nn.Tanh(), nn.Linear(H, 1, bias=False))
    return jacobian_kernel(net, torch.randn(500, D))


def four_layers() -> tuple[Callable, Callable]:
    widths = (784, 512, 512, 512)
    hidden = [layer for a, b in itertools.pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())]
    return jacobian_kernel(nn.Sequential(*hidden, nn.Linear(512, 1)), torch.randn(500, 784))


def convolutions(*head: nn.Module, n: int) -> tuple[Callable, Callable]:
    """Three convolutions on images of 28 x 28, then 32 * 7 * 7 features.

    Their 14,000 parameters are shared by hundreds of positions, so the jacobian is small and both ways write it out.
    With one output the passes forward and backward alone take a quarter of the peer's time: no way through them is 5
    times faster. To be won are half of J J', as it is symmetric, and with a hidden layer its Gram products.
    """
    sides = ((1, 16, 1), (16, 32, 2), (32, 32, 2))
    layers = [layer for a, b, stride in sides for layer in (nn.Conv2d(a, b, 3, stride, padding=1), nn.ReLU())]
    return jacobian_kernel(nn.Sequential(*layers, nn.Flatten(), *head), torch.randn(n, 1, 28, 28))


def power_law(sample: np.ndarray) -> tuple[Callable, Callable]:
    """The package `powerlaw` against our fit: above 1 we are faster."""
    import powerlaw

    def peer() -> float:
        return powerlaw.Fit(sample, verbose=False).power_law.alpha

    return peer, lambda: spectra.fit_power_law(sample)


def law_curve() -> tuple[Callable, Callable]:
    """The NTK's law with finite-size terms at 1,000 points against the eigenvalues it stands for."""
    kernel = torch.randn(N, N, dtype=torch.float64)
    kernel = kernel + kernel.T
    x = np.linspace(0, 15, 1000)

    def curve() -> np.ndarray:
        return laws.neural_tangent_kernel_law("tanh", N, D, H, finite_size=True).density(x)

    return curve, lambda: torch.linalg.eigvalsh(kernel)


def singular_values() -> tuple[Callable, Callable]:
    """Singular values against the bare LAPACK call."""
    w = torch.randn(H, D, dtype=torch.float64)
    return lambda: spectra.singular_values(w), lambda: torch.linalg.svdvals(w)


def main() -> None:
    rng = np.random.default_rng(0)
    bulk = torch.linalg.svdvals(torch.randn(3000, 2000) / math.sqrt(3000)).square().double().numpy()
    rows = [(f"GD step, {a} / bare GEMMs", gradient_step(a), 7) for a in ("tanh", "softplus", "relu")]
    rows += [(f"NTK, {a} / bare GEMMs", tangent_kernel(a), 9) for a in ("tanh", "softplus", "relu")]
    rows += [("torch.func / NTK, two layers, n=500", two_layers(), 2)]
    rows += [("torch.func / NTK, four layers of 512, n=500", four_layers(), 2)]
    rows += [("torch.func / NTK, convolutions, n=500", convolutions(nn.Linear(1568, 1), n=500), 5)]
    rows += [("torch.func / NTK, convolutions, 10 outputs", convolutions(nn.Linear(1568, 10), n=500), 3)]
    hidden = (nn.Linear(1568, 128), nn.ReLU(), nn.Linear(128, 10))
    rows += [("torch.func / NTK, the same, 128 hidden units", convolutions(*hidden, n=200), 3)]
    rows += [("singular values / bare svdvals", singular_values(), 5)]
    rows += [("law of the NTK, 1000 points / bare eigvalsh", law_curve(), 5)]
    rows += [("powerlaw / fit_power_law, Pareto 2.5", power_law(rng.pareto(1.5, 2000) + 1), 5)]
    rows += [("powerlaw / fit_power_law, Marchenko-Pastur", power_law(bulk), 5)]
    print(f"n={N}, d={D}, h={H}, float32, {torch.get_num_threads()} threads; ratios of times, one run\n")
    print(f"{'ratio':<45}{'min':>9}{'median':>9}{'max':>9}")
    for name, (ours, other), rounds in rows:
        low, middle, high = ratio(ours, other, rounds)
        print(f"{name:<45}{low:>9.2f}{middle:>9.2f}{high:>9.2f}", flush=True)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # powerlaw reports its own fits
        main()
