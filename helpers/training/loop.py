"""Training: any torch optimizer, a history that costs nothing, a stop rule, and a clear end where it diverges."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from .. import _checks, _random
from ..data import Dataset
from ..networks.evaluation import copied, evaluated, remake
from .history import Recorder, loss


@dataclass(frozen=True)
class Run:
    """What `train` returns.

    Attributes
    ----------
    before : nn.Module
        The network at the start.
    after : nn.Module
        The network at the end.
    history : pandas.DataFrame
        One row per evaluation: step, epoch, loss, test_loss (both ``|f - y|^2 / (2n)``), test_r2. With labels (n, k)
        for k classes also test_accuracy.
    centered : bool
        Whether the output at the start is taken off: then f - f0 was trained, and the history is about it.

    Examples
    --------
    >>> from helpers import data, networks, training
    >>> samples = data.teacher_student(50, 10, n_test=20)
    >>> run = training.train(networks.TwoLayerNet(10, 20), samples, epochs=4, evaluations=2)
    >>> run.history["step"].tolist()
    [0, 2, 4]
    """

    before: nn.Module
    after: nn.Module
    history: pd.DataFrame
    centered: bool = False

    @torch.no_grad()
    def predict(self, x: Tensor) -> Tensor:
        """The outputs of the trained network, without those of the start if the run is centered.

        Parameters
        ----------
        x : Tensor, (n, d)
            Inputs.

        Returns
        -------
        Tensor, (n,) or (n, k)
            In evaluation mode.

        Examples
        --------
        >>> from helpers import data, networks, training
        >>> samples = data.teacher_student(50, 10, n_test=20)
        >>> run = training.train(networks.TwoLayerNet(10, 20), samples, epochs=4, centered=True)
        >>> run.predict(samples.x_test).shape
        torch.Size([20])
        """
        with evaluated(self.after), evaluated(self.before):
            return self.after(x.clone()) - self.before(x.clone()) if self.centered else self.after(x.clone())

    @property
    def loss(self) -> float:
        """The training loss |f - y|^2 / 2n at the end; NaN where nothing was evaluated."""
        return float(self.history["loss"].iloc[-1]) if len(self.history) else math.nan

    @property
    def test_r2(self) -> float:
        """1 - mean squared test error / variance of the test labels, at the end.

        NaN where that variance is 0 or where nothing was evaluated.
        """
        return float(self.history["test_r2"].iloc[-1]) if len(self.history) else math.nan

    @property
    def test_accuracy(self) -> float:
        """Part of the test samples whose largest output is that of their class, at the end.

        Raises
        ------
        ValueError
            The labels are not of shape (n, k), or nothing was evaluated.
        """
        if self.history.empty:
            raise ValueError("test_accuracy: got a run with evaluations=0, expected one that was evaluated")
        if "test_accuracy" not in self.history:
            raise ValueError(
                "test_accuracy: got a run on labels (n,), expected labels (n, k) with one column per class"
            )
        return float(self.history["test_accuracy"].iloc[-1])


def _optimizer(
    name: str | type[torch.optim.Optimizer], lr: float, parameters: Sequence[Tensor], options: dict[str, Any]
) -> torch.optim.Optimizer:
    """An instance of the torch optimizer called `name`, whatever its case."""
    known: dict[str, Any] = {k.lower(): v for k, v in vars(torch.optim).items() if isinstance(v, type)}
    kind: Any = known.get(name.lower()) if isinstance(name, str) else name
    unfit = (torch.optim.Optimizer, torch.optim.LBFGS, torch.optim.SparseAdam)  # no steps, closures, sparse gradients
    if not (isinstance(kind, type) and issubclass(kind, torch.optim.Optimizer)) or kind in unfit:
        raise ValueError(
            f"optimizer: got {name!r}, expected the name of a torch.optim optimizer, e.g. sgd, adam, adamw"
        )
    try:
        return kind(parameters, lr=lr, **options)  # type: ignore[call-arg]  # those that are left take a rate
    except TypeError as error:
        raise TypeError(f"options: got {sorted(options)}, not all of them known to {kind.__name__} ({error})") from None


def _batches(data: Dataset, size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches without end: the whole data each time, or disjoint parts of a new shuffle every epoch."""
    n = len(data.y)
    if size == n:
        while True:
            yield data.x, data.y
    rng = _random.stream("batches", seed)
    while True:
        order = torch.from_numpy(rng.permutation(n)).to(data.x.device)
        for part in order.split(size):
            yield data.x[part], data.y[part]


@torch.no_grad()
def _outputs(net: nn.Module, x: Tensor) -> Tensor:
    with evaluated(net):
        return net(x.clone())


def _trainable(net: nn.Module, train_readout: bool) -> list[nn.Parameter]:
    """The parameters to train; the readout is frozen where it is not among them."""
    named = dict(net.named_parameters())
    if not train_readout:
        if "readout" not in named:
            raise ValueError("train_readout: got False, but the network has no parameter called readout")
        named["readout"].requires_grad_(False)
    trained = [p for p in named.values() if p.requires_grad]
    if not trained:
        raise ValueError("net: got no parameters to train, expected at least one")
    return trained


def _refuse_single(net: nn.Module, data: Dataset, size: int) -> None:
    """ValueError where a batch of one sample is left and the network does not take it, as under batch normalization."""
    n = len(data.y)
    if (n - 1) % size:
        return
    try:
        with torch.random.fork_rng([data.x.device] if data.x.is_cuda else []), torch.no_grad():
            copied(net)(data.x[:1].clone())
    except ValueError as error:
        raise ValueError(
            f"batch_size: got {size}, which leaves a batch of one of the {n} samples, expected another number or a "
            f"network that takes one in its mode: {error}"
        ) from error


def _evaluation_times(evaluations: int | Iterable[int], steps: int) -> frozenset[int]:
    """The steps at which the network is looked at; where there are any, the start is among them."""
    if isinstance(evaluations, Iterable):
        times = frozenset(_checks.integer("evaluations", step, least=0) for step in evaluations)
        if max(times, default=0) > steps:
            raise ValueError(f"evaluations: got step {max(times)}, expected at most the {steps} steps of the training")
        return times | {0}
    evaluations = _checks.integer("evaluations", evaluations, least=0)
    return frozenset(range(0, steps, max(1, steps // evaluations))) if evaluations else frozenset()


def _place(device: str | torch.device) -> torch.device:
    """A device that torch finds here; ValueError for any other."""
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"device: got {device!r}, expected one that torch finds here, as 'cpu' ({reason})") from None


def _at_home(look: Callable[[int, nn.Module], None], home: torch.device) -> Callable[[int, nn.Module], None]:
    """`look`, given a copy of the network on the device `home`."""

    def brought(step: int, net: nn.Module) -> None:
        look(step, copied(net).to(home))

    return brought


@torch.inference_mode(False)
def train(
    net: nn.Module,
    data: Dataset,
    optimizer: str | type[torch.optim.Optimizer] = "sgd",
    lr: float = 1.0,
    *,
    batch_size: int | None = None,
    epochs: int = 100,
    train_readout: bool = True,
    centered: bool = False,
    until_loss: float | None = None,
    evaluations: int | Iterable[int] = 20,
    seed: int = 0,
    device: str | torch.device | None = None,
    progress: bool = False,
    on_evaluation: Callable[[int, nn.Module], None] | None = None,
    **options: Any,
) -> Run:
    """Train a copy of a network on data with the loss ``|f(X) - y|^2 / (2n)``.

    Parameters
    ----------
    net : nn.Module
        Takes the inputs of `data`, (n, d) or token numbers (n, t), to outputs of the shape of its labels. It is left as
        it is. It is trained in the mode it is in, and looked at in evaluation mode. That matters to batch
        normalization and dropout.
    data : Dataset
        Of the dtype of the network and on its device; see `Dataset.to`.
    optimizer : str or class, default "sgd"
        Name or class of a torch.optim optimizer.
    lr : float, default 1.0
        Its rate, above 0.
    batch_size : int, optional
        None is full batch; otherwise every epoch is a new shuffle, cut into batches, the last of what is left.
    epochs : int, default 100
        Passes over the data.
    train_readout : bool, default True
        False trains everything but the parameter called `readout`, which requires a gradient again afterwards.
    centered : bool, default False
        True trains f - f0, without the output f0 that the network has at the start, and reports its loss and test R2.
        What the network says before it has seen a label is an error of order one that lazy training keeps. The
        networks of the run are those of f; `Run.predict` is f - f0.
    until_loss : float, optional
        Stop as soon as the training loss is at or below it. Full batch looks at every step, at no cost. Mini-batches
        look at the full training loss after every epoch.
    evaluations : int or iterable of int, default 20
        Rows of the history are spread evenly over this many points in time, the start and the end besides. 0 evaluates
        nothing, for networks with which that costs more than training. Or the steps themselves, each between 0 and the
        number of steps; the start and the end are evaluated besides.
    seed : int, default 0
        Of the shuffles. The same seed gives the same run bit for bit on one machine.
    device : str or torch.device, optional
        Where to train, such as "cuda"; None: where the network is. The networks of the run, and the one that
        `on_evaluation` is given, are where `net` is.
    progress : bool, default False
        Show a bar.
    on_evaluation : callable, optional
        Called as on_evaluation(step, network) at every row of the history, the start included.
    **options
        The optimizer's other arguments, such as momentum=0.9.

    Returns
    -------
    Run
        before, after, history, test_r2, centered.

    Raises
    ------
    TrainingDiverged
        The loss is not finite; it carries the step, the last finite loss and the history.
    ValueError
        An argument out of range, an unknown optimizer, data that do not fit the network, a network that cannot be
        copied, a last batch of one sample that it does not take.
    TypeError
        An argument of the wrong type, an unknown option of the optimizer.

    Examples
    --------
    >>> from helpers import data, networks, training
    >>> samples = data.teacher_student(200, 20, n_test=100)
    >>> run = training.train(networks.TwoLayerNet(20, 30), samples, "sgd", lr=5.0, epochs=50)
    >>> round(run.test_r2, 2)
    0.82
    """
    epochs, lr, n = _checks.integer("epochs", epochs), _checks.real("lr", lr, positive=True), len(data.y)
    size = n if batch_size is None else _checks.integer("batch_size", batch_size)
    if size > n:
        raise ValueError(f"batch_size: got {size}, expected at most the {n} training samples")
    target = -1.0 if until_loss is None else _checks.real("until_loss", until_loss)
    example = next(net.parameters(), data.y)
    for inputs in (data.x, data.y):
        dtype = inputs.dtype if inputs is data.x and not inputs.is_floating_point() else example.dtype  # or tokens
        if (inputs.dtype, inputs.device) != (dtype, example.device):
            raise ValueError(
                f"data: got {inputs.dtype} on {inputs.device}, expected {dtype} on {example.device} as the network;"
                " use data.to"
            )
    home = example.device
    where = home if device is None else _place(device)
    before, after, data = copied(net), copied(net).to(where), data.to(where)
    if data.x.is_inference():  # of which torch keeps nothing for a gradient
        data = replace(data, x=data.x.clone(), y=data.y.clone(), x_test=data.x_test.clone(), y_test=data.y_test.clone())
    _refuse_single(after, data, size)
    start = _outputs(after, data.x_test) if centered else None
    if centered:
        data = replace(data, y=data.y + _outputs(after, data.x))  # f - (y + f0) is (f - f0) - y
    frozen = {name for name, p in after.named_parameters() if not p.requires_grad}
    trained = _trainable(after, train_readout)
    engine = _optimizer(optimizer, lr, trained, options)

    per_epoch = math.ceil(n / size)
    steps, batches = epochs * per_epoch, _batches(data, size, seed)
    times = _evaluation_times(evaluations, steps)
    look = on_evaluation if on_evaluation is None or where == home else _at_home(on_evaluation, home)
    recorder = Recorder(after, data, per_epoch, look, start)
    writes = False  # whether the network writes to its inputs, seen by a counter of torch
    for step in tqdm(range(steps), disable=not progress, leave=False, desc="steps"):
        x, y = next(batches)
        given = x.clone() if writes or step == 0 else x
        objective = loss(after(given), y)
        writes = given._version > 0 if step == 0 else writes
        value = recorder.see(step, objective.item())
        full = value if size == n else None  # the training loss, where it is known
        if step in times:
            full = recorder.record(step, full)
        elif full is None and until_loss is not None and step % per_epoch == 0:
            full = recorder.training_loss(step)
        if full is not None and full <= target:
            steps = step
            break
        for parameter in trained:  # as engine.zero_grad(), whose hooks cost more than a step of a small network
            parameter.grad = None
        objective.backward()
        engine.step()
    if times and (not recorder.rows or recorder.rows[-1]["step"] != steps):
        recorder.record(steps)
    for name, parameter in after.named_parameters():
        parameter.requires_grad_(name not in frozen)
    with torch.no_grad():
        remake(after)
    return Run(before, after.to(home), recorder.frame, centered)
