"""Watch the spectra of any torch model while it trains: `SpectralMonitor`."""

import math
import os
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import FigureBase
from torch import Tensor, nn

from .. import _checks, kernels, spectra
from ..networks.evaluation import Forward, unwrapped
from ..spectra.values import Leading, leading
from ..spectra.weights import readable_matrices
from . import trajectory
from .record import Folder, with_nan, without_nan
from .trajectory import Row, Trajectory, table

# Columns that had another name when a record was made.
_OLDER = {"moved": "mean_drift", "edge": "edge_before", "reach": "dynamic_range"}

_EVERY, _OVERHEAD = 100, 0.03  # where `every` is None


class SpectralMonitor:
    """Singular values of every weight matrix, and the kernels of a probe, along a training.

        monitor = SpectralMonitor(model, every=100, probe=(x, y), path="runs/first")
        for batch in loader:
            ...
            optimizer.step()
            monitor.step()
        monitor.frame

    The first record is made at once, with the model as it comes. Training is not touched: nothing is drawn at random,
    no mode, gradient, buffer or parameter is changed. A compiled or data-parallel model is looked at through its
    wrapper.

    Parameters
    ----------
    model : nn.Module
        With at least one of `spectra.weight_matrices`, on any device, of any float type.
    every : int, optional
        Steps between two records. By default every 100, but a record that would take the time spent here to more than
        3% of the time since the start is left out, so that watching costs no more than that.
    probe : pair, optional
        Inputs x and labels y, for the conjugate kernel (`kernels.conjugate_kernel`) and the neural tangent kernel
        (`kernels.neural_tangent_kernel`, the pseudo-NTK unless the model is a TwoLayerNet). x holds n samples as the
        model takes them, or is a mapping for model(**x). y is (n,) numbers, (n, k), or whole numbers for classes, as in
        `torch.nn.functional.cross_entropy`. Some hundred samples are enough; a record costs about n passes.
    path : path, optional
        A folder where every record is kept as soon as it is made. If it holds records of this model already, the new
        ones are appended, and the start is that of the first run.
    layers : sequence of str, optional
        Names of the weight matrices to watch; by default all.
    vectors : int
        How many leading singular vectors are compared.
    forward : callable, optional
        As in `kernels.neural_tangent_kernel`.

    Attributes
    ----------
    frame : pandas.DataFrame
        One row for each step and matrix or kernel. `step`, `name`; `kind`, "weight" or "kernel"; the columns of
        `spectra.describe`; `left_overlap` and `right_overlap` of the leading singular vectors with those of the start
        (`spectra.overlap`); `left_gradient` and `right_gradient`, the part of the gradient's norm in their span, NaN
        where there is no gradient; `alignment` and `centered_alignment` of a kernel with y (`kernels.alignment`);
        `verdict`, the words of `spectra.verdict` for a weight matrix.
    verdicts : pandas.Series
        The latest verdict of every weight matrix, by name.

    Raises
    ------
    TypeError, ValueError
        If an argument is out of range, a layer is not there, a probe does not fit the model, or a folder holds the
        records of another model.

    Notes
    -----
    Singular values are found by the eigenvalues of the smaller Gram matrix in float64, accurate to 1e-8 of the largest.

    Examples
    --------
    >>> from torch import nn
    >>> from helpers.monitor import SpectralMonitor
    >>> model = nn.Sequential(nn.Linear(40, 30), nn.ReLU(), nn.Linear(30, 1))
    >>> monitor = SpectralMonitor(model, every=1)
    >>> monitor.step()
    True
    >>> monitor.verdicts["0.weight"], len(monitor.frame)
    ('invariant bulk', 4)
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        every: int | None = None,
        probe: tuple[Any, Any] | None = None,
        path: str | os.PathLike | None = None,
        layers: Sequence[str] | None = None,
        vectors: int = 3,
        forward: Forward | None = None,
    ) -> None:
        self._born, self._spent, self._cost = time.perf_counter(), 0.0, 0.0
        self.model = unwrapped(model)
        self.every = None if every is None else _checks.integer("every", every)
        self.vectors, self._forward = _checks.integer("vectors", vectors), forward
        self._layers = _names(self.model, layers)
        self._probe = None if probe is None else _probe_of(probe)
        self._trajectory = Trajectory()
        self._start: dict[str, Leading] = {}
        self._step = 0
        self._sent: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # rows a writer has been given
        self._folder = None if path is None else Folder(path)
        if self._folder is None or not self._resume(self._folder):
            self.record()

    def step(self, step: int | None = None) -> bool:
        """Count one optimizer step, or take the number of it, and record where it is time; whether it was.

        It is time when a multiple of `every` has been reached, or passed by steps that are told in leaps, since the
        step before. A step that was counted already is passed over. A smaller one, as after going back to a checkpoint,
        goes on from there: its first record takes the place of those with the same and with larger numbers.

        Parameters
        ----------
        step : int, optional
            The number of the step, at least 0; by default the next one.

        Returns
        -------
        bool
            Whether a record was made.
        """
        step = self._step + 1 if step is None else _checks.integer("step", step, least=0)
        if step == self._step:
            return False
        if step < self._step:  # records from there on are void
            earlier = max((row["step"] for row in self._trajectory.rows if row["step"] < step), default=-1)
        else:
            earlier = self._step
        self._step, every = step, self.every or _EVERY
        if step // every == earlier // every:  # no multiple since then
            return False
        elapsed = time.perf_counter() - self._born
        if self.every is None and self._spent + self._cost > _OVERHEAD * elapsed:
            return False
        self.record()
        return True

    @torch.no_grad()
    def record(self) -> pd.DataFrame:
        """Look at the model now, at the step that was counted last; the rows that were added."""
        began = time.perf_counter()
        kind = next(self.model.parameters()).device.type
        with torch.autocast(kind, enabled=False):
            gradients = spectra.weight_gradients(self.model)
            matrices = readable_matrices(self.model)
            found = [self._matrix(name, matrices.get(name), gradients.get(name)) for name in self._layers]
            found += [] if self._probe is None else self._kernels(*self._probe)
        rows = [{"step": self._step, **row} for row, _ in found]
        values = {row["name"]: v for row, v in found}
        kept = self._trajectory.add(self._step, rows, values)
        for writer, count in self._sent.items():
            self._sent[writer] = min(count, kept)
        if self._folder is not None:
            start = {f"{n}:{k}": a for n, found in self._start.items() for k, a in enumerate(found)}
            line = {"step": self._step, "rows": [without_nan(row) for row in rows]}
            numbers = {name: v.tolist() if np.isfinite(v).all() else None for name, v in values.items()}
            self._folder.append(line | {"values": numbers}, start)
        self._cost = time.perf_counter() - began
        self._spent += self._cost
        return table(rows)

    @property
    def frame(self) -> pd.DataFrame:
        """What was recorded: one row for each step and matrix or kernel, see the class."""
        return table(self._trajectory.rows)

    @property
    def verdicts(self) -> pd.Series:
        """The latest verdict of every weight matrix, by name."""
        return pd.Series(self._trajectory.verdicts(), dtype=object, name="verdict")

    def values(self, name: str) -> pd.DataFrame:
        """All singular values of a matrix, or eigenvalues of a kernel.

        Parameters
        ----------
        name : str
            One of those in `frame`; ValueError for any other.

        Returns
        -------
        pandas.DataFrame
            A row for each step, descending, not normalized.
        """
        return self._trajectory.spectra(name)

    def plot(self, names: Sequence[str] | None = None, *, figure: FigureBase | None = None) -> FigureBase:
        """A panel for every weight matrix: its singular values against the step, and its verdict (`plots.trajectory`).

        Parameters
        ----------
        names : sequence of str, optional
            Of weight matrices, ValueError for others; by default the twelve with a verdict whose values moved most.
        figure : matplotlib figure, optional
            Where to draw; by default a new one.

        Returns
        -------
        matplotlib figure
            The one that was given, or the new one.
        """
        names = trajectory.moved_most(self._trajectory, self._layers) if names is None else names
        unknown = [name for name in names if name not in self._layers]
        if unknown or not names:
            raise ValueError(f"names: got {unknown or names}, expected some of {', '.join(self._layers)}")
        return trajectory.draw(self._trajectory, names, figure)

    def to_csv(self, path: str | os.PathLike) -> None:
        """Write `frame` as CSV; a file that is there is replaced only when the new one is whole.

        Parameters
        ----------
        path : path
            The file.
        """
        aside = Path(path).with_suffix(f".{os.getpid()}")
        self.frame.to_csv(aside, index=False)
        aside.replace(path)

    def to_tensorboard(self, writer: Any) -> None:
        """Write numbers as scalars NAME/COLUMN and spectra as histograms, each record once for a writer.

        Parameters
        ----------
        writer : torch.utils.tensorboard.SummaryWriter
            Or anything with its add_scalar and add_histogram.
        """
        first = self._sent.get(writer, 0)
        rows = self._trajectory.rows
        for row in rows[first:]:
            step, name = row["step"], row["name"]
            for column in trajectory.NUMBERS:
                if math.isfinite(row.get(column, math.nan)):
                    writer.add_scalar(f"{name}/{column}", row[column], step)
            values = self._trajectory.spectrum(name, step)
            if np.isfinite(values).any():
                writer.add_histogram(f"{name}/values", values[np.isfinite(values)], step)
        self._sent[writer] = len(rows)

    def _matrix(self, name: str, matrix: Tensor | None, gradient: Tensor | None) -> tuple[Row, np.ndarray]:
        if matrix is None or not matrix.numel():
            return {"name": name, "kind": "weight", "size": 0, "verdict": "gone"}, np.zeros(0)
        found = leading(matrix, self.vectors)
        start = self._start.setdefault(name, found) if np.isfinite(found[1]).all() else found
        return trajectory.of_matrix(name, matrix, found, start, gradient), found[1]

    def _kernels(self, x: Any, y: Tensor) -> list[tuple[Row, np.ndarray]]:
        try:
            made = {
                "CK": kernels.conjugate_kernel(self.model, x, forward=self._forward),
                "NTK": kernels.neural_tangent_kernel(self.model, x, outputs="sum", forward=self._forward),
            }
        except (TypeError, ValueError, RuntimeError) as error:
            if not self._trajectory.rows:
                raise
            warnings.warn(f"probe: its kernels cannot be computed any more: {error}", stacklevel=4)
            made = {name: torch.full((len(y), len(y)), math.nan) for name in ("CK", "NTK")}
        return [trajectory.of_kernel(name, kernel, y) for name, kernel in made.items()]

    def _resume(self, folder: Folder) -> bool:
        """Take over what the folder holds; whether there was anything."""
        start, lines = folder.start(), folder.lines()
        if start is None:
            return False
        shapes = {name: tuple(matrix.shape) for name, matrix in readable_matrices(self.model).items()}
        names = dict.fromkeys(key[:-2] for key in start)
        left, values, right = ({name: start.get(f"{name}:{k}", np.zeros(0)) for name in names} for k in range(3))
        kept = {name: (left[name], values[name], right[name]) for name in names}
        there = {name: (len(left[name]), len(right[name])) for name in names}
        watched = {row["name"] for line in lines for row in line["rows"] if row["kind"] == "weight"} | set(there)
        if watched != set(self._layers) or any(shapes[name] != shape for name, shape in there.items()):
            raise ValueError(f"path: got {str(folder.path)!r} with records of another model, expected this one's")
        self._start = kept
        for line in lines:
            rows = [{_OLDER.get(k, k): v for k, v in with_nan(row).items()} for row in line["rows"]]
            sizes = {row["name"]: row["size"] for row in rows}
            values = {k: np.full(sizes[k], math.nan) if v is None else np.array(v) for k, v in line["values"].items()}
            self._trajectory.add(line["step"], rows, values)
            self._step = line["step"]
        if not lines:
            self.record()
        return True


def _names(model: nn.Module, layers: Sequence[str] | None) -> list[str]:
    """The names of the weight matrices to watch: `layers`, or all of them."""
    try:
        found = list(spectra.weight_matrices(model))
    except ValueError as error:
        raise ValueError(str(error).replace("net", "model", 1)) from None
    if layers is None:
        return found
    wanted = [layers] if isinstance(layers, str) else list(layers)
    unknown = [name for name in wanted if name not in found]
    if unknown or not wanted:
        raise ValueError(f"layers: got {unknown or wanted}, expected some of {', '.join(found)}")
    return wanted


def _probe_of(pair: tuple[Any, Any]) -> tuple[Any, Tensor]:
    """Inputs as they came, and labels as numbers (n, ...) in float64; classes are centered one-hot columns."""
    if not isinstance(pair, Sequence) or len(pair) != 2:
        raise TypeError(f"probe: got {type(pair).__name__}, expected a pair (x, y)")
    x, y = pair
    y = _checks.tensor("probe", y).cpu()
    size = len(next(iter(x.values()))) if isinstance(x, Mapping) else len(x)
    if y.ndim not in (1, 2) or len(y) != size:
        raise ValueError(f"probe: got {size} samples and labels of shape {tuple(y.shape)}, expected a label for each")
    if y.ndim == 1 and not y.is_floating_point():
        classes = y.unique(return_inverse=True)[1]  # columns of classes that nobody has would change nothing
        y = nn.functional.one_hot(classes).double()
        y -= y.mean(0)
    y = _checks.array("probe", y, *[None] * y.ndim).double()
    if not y.any():
        raise ValueError("probe: got labels that are all zero, or of one class, expected some that differ")
    return x, y
