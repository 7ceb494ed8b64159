"""The history of a training: a row per evaluation, and a clear end where the loss is no longer finite."""

import math
from collections.abc import Callable

import pandas as pd
import torch
from torch import Tensor, nn

from .. import _checks
from ..data import Dataset
from ..networks.evaluation import evaluated, remake


class TrainingDiverged(ArithmeticError):
    """The loss is no longer finite.

    Attributes
    ----------
    step : int
        The step at which the loss was first not finite.
    last_loss : float
        The last finite training loss.
    history : pandas.DataFrame
        Everything recorded until then, as in `Run.history`.

    Examples
    --------
    >>> from helpers import data, networks, training
    >>> samples = data.teacher_student(50, 10, n_test=20)
    >>> try:
    ...     training.train(networks.TwoLayerNet(10, 20), samples, lr=1e9)
    ... except training.TrainingDiverged as error:
    ...     print(list(error.history["step"]))
    [0]
    """

    def __init__(self, step: int, last_loss: float, history: pd.DataFrame) -> None:
        super().__init__(f"training diverged at step {step}; the last finite loss was {last_loss:.4g}. Lower lr.")
        self.step, self.last_loss, self.history = step, last_loss, history


def loss(prediction: Tensor, y: Tensor) -> Tensor:
    """The loss of the book, ``|prediction - y|^2 / (2n)``.

    Parameters
    ----------
    prediction : Tensor, (n,) or (n, k)
        Outputs of a network.
    y : Tensor
        Labels, of the shape of the prediction.

    Returns
    -------
    Tensor, ()
        A scalar, with its graph.

    Raises
    ------
    ValueError
        Shapes that differ.

    Examples
    --------
    >>> import torch
    >>> from helpers import training
    >>> float(training.loss(torch.tensor([1.0, 3.0]), torch.tensor([1.0, 1.0])))
    1.0
    """
    if prediction.shape != y.shape:
        raise ValueError(f"net: got outputs {tuple(prediction.shape)}, expected {tuple(y.shape)} as the labels")
    return (prediction - y).square().mean() * (y[0].numel() / 2)


def r2(prediction: Tensor, y: Tensor) -> float:
    """1 - mean squared error / variance of y.

    Parameters
    ----------
    prediction : array or tensor, (m,)
        Outputs of a network.
    y : array or tensor, (m,)
        Labels.

    Returns
    -------
    float
        1 at best; NaN where y is constant.

    Raises
    ------
    ValueError
        Another shape, nothing, NaN or infinite entries.
    TypeError
        Something that holds no numbers.

    Examples
    --------
    >>> import torch
    >>> from helpers import training
    >>> round(training.r2(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 4.0])), 4)
    0.7857
    """
    y = _checks.array("y", y, None).double()
    error = (_checks.array("prediction", prediction, len(y)).to(y) - y).square().mean()
    return float(1 - error / y.var(correction=0)) if float(y.var(correction=0)) > 0 else math.nan


class Recorder:
    """Collects the rows of the history and refuses a loss that is not finite."""

    def __init__(
        self,
        net: nn.Module,
        data: Dataset,
        per_epoch: int,
        on_evaluation: Callable | None = None,
        start: Tensor | None = None,
    ) -> None:
        """`start`: outputs for the test inputs that are taken off before they are compared."""
        self.net, self.data, self.per_epoch, self.on_evaluation = net, data, per_epoch, on_evaluation
        self.start = start
        self.rows: list[dict[str, float]] = []
        self.last_loss = math.inf

    @property
    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(self.rows)

    def see(self, step: int, value: float) -> float:
        """A training loss, whether it enters the history or not."""
        if not math.isfinite(value):
            raise TrainingDiverged(step, self.last_loss, self.frame)
        self.last_loss = value
        return value

    @torch.no_grad()
    def training_loss(self, step: int) -> float:
        """The loss on all training data, seen."""
        with evaluated(self.net):
            return self.see(step, float(loss(self.net(self.data.x.clone()), self.data.y)))

    @torch.no_grad()
    def record(self, step: int, value: float | None = None) -> float:
        """Add a row; the training loss is computed only where nobody knows it yet."""
        net, data = self.net, self.data
        value = self.training_loss(step) if value is None else self.see(step, value)
        with evaluated(net):
            outputs = net(data.x_test.clone())
        prediction = outputs if self.start is None else outputs - self.start
        test = float(loss(prediction, data.y_test))
        spread = float(data.y_test.var(0, correction=0).sum())
        r2 = 1 - 2 * test / spread if spread > 0 else math.nan
        row = {"step": step, "epoch": step / self.per_epoch, "loss": value, "test_loss": test, "test_r2": r2}
        if data.y_test.ndim == 2:
            right = prediction.argmax(1) == data.y_test.argmax(1)
            row["test_accuracy"] = float(right.double().mean())
        self.rows.append(row)
        if self.on_evaluation is not None:
            remake(net)
            self.on_evaluation(step, net)
        return value
