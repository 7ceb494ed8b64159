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
    x : Tensor, (n, d)
        Inputs for training. Images may be (n, channels, height, width). Token numbers stay integers.
    y : Tensor, (n,)
        Labels for training. Classes may be (n, k), see `one_hot`.
    x_test : Tensor, (n_test, d)
        Inputs for testing, drawn in the same way.
    y_test : Tensor, (n_test,)
        Labels for testing.
    directions : Tensor, (d, k), or None
        Orthonormal columns that the labels depend on; None where nobody knows them.
    name : str
        A word for titles.

    Examples
    --------
    >>> from helpers import data
    >>> samples = data.teacher_student(20, 5, n_test=10)
    >>> samples.x.shape, samples.y_test.shape
    (torch.Size([20, 5]), torch.Size([10]))
    """

    x: Tensor
    y: Tensor
    x_test: Tensor
    y_test: Tensor
    directions: Tensor | None
    name: str

    def to(self, *args: Any, **kwargs: Any) -> "Dataset":
        """The same data with every tensor moved as by `Tensor.to`; integers keep their dtype.

        Parameters
        ----------
        *args, **kwargs
            As of `Tensor.to`: a device, a dtype.

        Returns
        -------
        Dataset
            New data; these are left as they are.
        """
        tensors = {k: v for k, v in vars(self).items() if isinstance(v, Tensor)}
        moved = {k: v.to(*args, **kwargs) for k, v in tensors.items()}
        kept: dict[str, Any] = {
            k: v if tensors[k].is_floating_point() else v.to(tensors[k].dtype) for k, v in moved.items()
        }
        return replace(self, **kept)

    def with_shuffled_labels(self, seed: int = 0) -> "Dataset":
        """The same inputs with their training labels in another order, which say nothing about them.

        Parameters
        ----------
        seed : int
            Of the order, at least 0.

        Returns
        -------
        Dataset
            Its test labels are those of before.

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
    """Gaussian inputs, and labels from a teacher that looks at a few directions only.

    ``y = sum_j t(beta_j . x) / sqrt k + noise * N(0, 1)``, with x ~ N(0, I_d) and k = `directions` orthonormal beta_j
    drawn uniformly. The test labels carry the same noise, so no predictor reaches R2 = 1: the best is
    1 / (1 + noise^2).

    Parameters
    ----------
    n : int
        Samples for training.
    d : int
        Input dimension.
    n_test : int, default 2000
        Samples for testing.
    teacher : str, Activation or callable, default "tanh"
        t: the name of a normalized activation, an Activation, or a function on tensors.
    directions : int, default 1
        k, at most d.
    noise : float, default 0.3
        Standard deviation of the label noise.
    seed : int, default 0
        Of all draws.

    Returns
    -------
    Dataset
        x (n, d), y (n,), directions (d, k), all float32.

    Raises
    ------
    ValueError
        A size below 1, directions above d, an unknown teacher, negative noise.
    TypeError
        A size that is no integer, noise that is no number, a teacher that is no name and no function.

    Examples
    --------
    >>> from helpers import data
    >>> samples = data.teacher_student(50, 10, directions=2)
    >>> samples.directions.shape
    torch.Size([10, 2])
    >>> round(float(samples.directions[:, 0].norm()), 4)
    1.0
    """
    n, d, n_test = _checks.integer("n", n), _checks.integer("d", d), _checks.integer("n_test", n_test)
    k, noise = _checks.integer("directions", directions), _checks.real("noise", noise)
    if k > d:
        raise ValueError(f"directions: got {k}, expected at most d = {d}")
    if not callable(teacher):
        try:
            teacher = normalized(teacher)
        except (TypeError, ValueError) as error:
            raise type(error)(str(error).replace("activation:", "teacher:", 1)) from None
    rng = _random.stream("teacher_student", seed)
    beta = torch.linalg.qr(_random.gaussian(rng, d, k)).Q
    x = _random.gaussian(rng, n + n_test, d)
    y = teacher(x @ beta).sum(1) / math.sqrt(k) + noise * _random.gaussian(rng, n + n_test)
    return Dataset(x[:n], y[:n], x[n:], y[n:], beta, "teacher-student")


def one_hot(classes: Tensor, k: int) -> Tensor:
    """Labels for k classes: 1 - 1/k in the column of a sample's class, -1/k in the others.

    Every row sums to zero, so a network needs no bias for them.

    Parameters
    ----------
    classes : Tensor, (n,)
        Whole numbers from 0 to k - 1.
    k : int
        The number of classes, at least 2.

    Returns
    -------
    Tensor, (n, k), float32
        The labels.

    Raises
    ------
    ValueError
        k below 2, another shape, classes that are not whole numbers from 0 to k - 1.
    TypeError
        k that is no integer, classes that are no numbers.

    Examples
    --------
    >>> import torch
    >>> from helpers import data
    >>> data.one_hot(torch.tensor([0, 1]), 2).tolist()
    [[0.5, -0.5], [-0.5, 0.5]]
    """
    k, classes = _checks.integer("k", k, least=2), _checks.array("classes", classes, None)
    whole = classes.long()
    if not torch.equal(whole.to(classes), classes) or int(whole.min()) < 0 or int(whole.max()) >= k:
        raise ValueError(f"classes: got values that are not 0 to {k - 1}, expected whole numbers in this range")
    return torch.nn.functional.one_hot(whole, k).float() - 1 / k


def split(data: Dataset, size: int) -> tuple[Dataset, tuple[Tensor, Tensor]]:
    """Take the first `size` test samples away from the test, to choose a ridge with.

    Parameters
    ----------
    data : Dataset
        It is left as it is.
    size : int
        The number of samples to hold out, below the number of test samples.

    Returns
    -------
    rest : Dataset
        The data with the other test samples.
    held_out : tuple of Tensor
        The held-out inputs (size, d) and labels (size,).

    Raises
    ------
    ValueError
        A size below 1, or one that leaves no sample for the test.
    TypeError
        A size that is no integer.

    Examples
    --------
    >>> from helpers import data
    >>> rest, (x, y) = data.split(data.teacher_student(20, 5, n_test=10), 4)
    >>> len(rest.y_test), len(y)
    (6, 4)
    """
    size = _checks.integer("size", size)
    if size >= len(data.y_test):
        raise ValueError(f"size: got {size}, expected less than the {len(data.y_test)} test samples")
    rest = replace(data, x_test=data.x_test[size:], y_test=data.y_test[size:])
    return rest, (data.x_test[:size], data.y_test[:size])
