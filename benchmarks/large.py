"""A kernel of 100,000 samples, never written out, and products with the Hessian against those of curvlinops.

Run it with `python -m benchmarks.large`; on one core it takes about a quarter of an hour and 3 GB of memory.
"""

import resource
import statistics
import time

import numpy as np
import torch
from scipy.sparse.linalg import LinearOperator

from helpers import data, lanczos, laws, networks, operators

from .timing import Timed, ratio

D, H = 1000, 1500  # the network of the book


def large_tangent_kernel(n: int = 100_000, *, steps: int = 30, seed: int = 0) -> None:
    """Density, top eigenvalue and alignment of the NTK of n samples, beside its law."""
    problem, net = data.teacher_student(n, D, n_test=1, seed=seed), networks.TwoLayerNet(D, H, "tanh", seed=seed)
    tangent, times = operators.tangent_kernel_operator(net, problem.x), []

    def product(u: np.ndarray) -> np.ndarray:
        start = time.perf_counter()
        image = tangent @ u.ravel()
        times.append(time.perf_counter() - start)
        return image

    counted = LinearOperator(tangent.shape, matvec=product, dtype=np.float64)
    law = laws.neural_tangent_kernel_law("tanh", n, D, H, readout_power=float(net.readout.detach().square().mean()))
    density = lanczos.spectral_density(counted, steps=steps, probes=1, seed=seed)
    print(f"NTK, n = {n}: {steps} products for the density, a product in {statistics.median(times):.1f} s")
    for x in (1.0, 50.0, 100.0, 200.0, 300.0, 400.0):
        print(
            f"  eigenvalues above {x:g}: {n * (1 - float(density.cdf(x))):.0f}, law {n * (1 - float(law.cdf(x))):.0f}"
        )
    count = len(times)
    top = lanczos.top_eigenvalues(counted, tolerance=1e-3, seed=seed).values[0]
    print(f"  top {top:.4f} after {len(times) - count} products, edge of the law {law.support[-1][1]:.4f}")
    found = lanczos.estimate_alignment(counted, problem.y, probes=5, seed=seed)
    print(f"  alignment {found.value:.6f}, standard error {found.standard_error:.1e}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"  most memory {memory / 2**20:.1f} GB, kernel {4 * n**2 / 2**30:.1f} GB")


def hessian_product(rounds: int = 7) -> None:
    """Median time of a Hessian product of curvlinops over that of ours; above 1 we are faster."""
    try:
        from curvlinops import HessianLinearOperator
    except ImportError:
        print("Hessian product: curvlinops is not installed, nothing to compare with")
        return
    problem, net = data.teacher_student(2000, D, n_test=1), networks.TwoLayerNet(D, H, "tanh")
    batch = [(problem.x, problem.y)]
    peer = HessianLinearOperator(net, torch.nn.MSELoss(), list(net.parameters()), batch, check_deterministic=False)
    ours, vector = operators.hessian_operator(net, problem), np.random.default_rng(0).standard_normal(H * D + H)
    other = peer.to_scipy()
    error = np.linalg.norm(other @ vector / 2 - ours @ vector) / np.linalg.norm(ours @ vector)
    found = ratio(Timed(lambda: other @ vector), Timed(lambda: ours @ vector), rounds)
    print(f"Hessian product, curvlinops over ours: {found.median:.2f}; they differ by {error:.0e}")


if __name__ == "__main__":
    hessian_product()
    large_tangent_kernel()
