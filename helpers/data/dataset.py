"""A data set for training and testing, and the teacher-student problem."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .. import _checks, _random
from ..activations import Activation, normalized


@dataclass(frozen=True)
class Dataset:
    """Inputs and labels for training and testing.

    Attributes
    ----------
    x, y : (n, d) and (n,), for training. Images may be (n, channels, height, width), classes (n, k), see `one_hot`; x
        may be token numbers, which stay integers.
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

    def to(self, *args: Any, **kwargs: Any) -> "Dataset":
        """The same data with every tensor moved as by `Tensor.to` (a device, a dtype); integers keep their dtype."""
        tensors = {k: v for k, v in vars(self).items() if isinstance(v, Tensor)}
        moved = {k: v.to(*args, **kwargs) for k, v in tensors.items()}
        kept: dict[str, Any] = {
            k: v if tensors[k].is_floating_point() else v.to(tensors[k].dtype) for k, v in moved.items()
        }
        return replace(self, **kept)

    def with_shuffled_labels(self, seed: int = 0) -> "Dataset":
        """The same inputs with their training labels in another order, which say nothing about them.

        Examples
        --------
        >>> from helpers import data
        >>> problem = data.teacher_student(50, 20)
        >>> blind = problem.with_shuffled_labels(seed=1)
        >>> bool((blind.y.sort().values == problem.y.sort().values).all()), bool((blind.y == problem.y).all())
        (True, False)
        """
        order = np.random.default_rng(_checks.integer("seed", seed, least=0)).permutation(len(self.y))
        return replace(self, y=self.y[torch.from_numpy(order).to(self.y.device)])


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


def one_hot(classes: Tensor, k: int) -> Tensor:
    """Labels for k classes: 1 - 1/k in the column of a sample's class, -1/k in the others. (n,) -> (n, k), float32.

    Every row sums to zero, so a network needs no bias for them.

    Raises
    ------
    ValueError, TypeError : k below 2, another shape, classes that are not whole numbers from 0 to k - 1.
    """
    k, classes = _checks.integer("k", k, least=2), _checks.array("classes", classes, None)
    whole = classes.long()
    if not torch.equal(whole.to(classes), classes) or int(whole.min()) < 0 or int(whole.max()) >= k:
        raise ValueError(f"classes: got values that are not 0 to {k - 1}, expected whole numbers in this range")
    return torch.nn.functional.one_hot(whole, k).float() - 1 / k


def hold_out(data: Dataset, size: int) -> tuple[Dataset, tuple[Tensor, Tensor]]:
    """Take the first `size` test samples away from the test, to choose a ridge with.

    Returns
    -------
    data with the other test samples, and the held-out inputs (size, d) and labels (size,).

    Raises
    ------
    ValueError, TypeError : a size below 1, or one that leaves no sample for the test.
    """
    size = _checks.integer("size", size)
    if size >= len(data.y_test):
        raise ValueError(f"size: got {size}, expected less than the {len(data.y_test)} test samples")
    rest = replace(data, x_test=data.x_test[size:], y_test=data.y_test[size:])
    return rest, (data.x_test[:size], data.y_test[:size])
