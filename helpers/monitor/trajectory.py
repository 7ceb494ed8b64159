"""What a monitor records: a row for a matrix or a kernel at one time, all rows by step, and a figure of them."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.figure import FigureBase
from torch import Tensor

from .. import kernels, plots, spectra
from ..spectra import verdicts
from ..spectra.values import SMALLEST, Leading

OVERLAPS = ("left_overlap", "right_overlap", "left_gradient", "right_gradient")

ALIGNMENTS = ("alignment", "centered_alignment")

NUMBERS = (*verdicts.COLUMNS, *OVERLAPS, *ALIGNMENTS)  # the columns that hold numbers

COLUMNS = ("step", "name", "kind", *NUMBERS, "verdict")

Row = dict[str, Any]

_MOST = 12  # panels that fit a page

_TITLE = 28  # letters of a name above a panel


def of_matrix(name: str, matrix: Tensor, now: Leading, start: Leading, gradient: Tensor | None) -> Row:
    """The row of a weight matrix from its values and vectors now and at the start."""
    shape = len(matrix), matrix.shape[1]
    left, values, right = now
    row: Row = {"name": name, "kind": "weight"}
    if not np.isfinite(values).all():
        return row | {"size": min(shape), "verdict": "not finite"}
    if (len(start[0]), len(start[2])) != shape:  # against which nothing can be compared
        return (
            row | {"size": min(shape), "verdict": "another shape"} | (verdicts.ranks(values) if values[0] > 0 else {})
        )
    row |= verdicts.describe(start[1], values, shape, dtype=matrix.dtype)
    row |= {"left_overlap": _overlap(left, start[0]), "right_overlap": _overlap(right, start[2])}
    row |= _shares(gradient, left, right)
    return row | {"verdict": verdicts.verdict(row)}


def of_kernel(name: str, kernel: Tensor, y: Tensor) -> tuple[Row, np.ndarray]:
    """The row of a kernel matrix and its eigenvalues."""
    kernel = (kernel.cpu() if kernel.device.type == "mps" else kernel).double()
    row: Row = {"name": name, "kind": "kernel", "size": len(kernel)}
    if not torch.isfinite(kernel).all() or not kernel.any():
        return row, np.full(len(kernel), math.nan)
    values = spectra.eigenvalues(kernel).clamp_min(0).cpu().numpy()
    row |= verdicts.ranks(values)
    labels = y.to(kernel.device)
    row["alignment"] = kernels.alignment(kernel, labels)
    return row | {"centered_alignment": kernels.alignment(kernel, labels, centered=True)}, values


def _overlap(now: np.ndarray, start: np.ndarray) -> float:
    return spectra.overlap(now, start) if now.size and start.size else math.nan


def _shares(gradient: Tensor | None, left: np.ndarray, right: np.ndarray) -> dict[str, float]:
    """The part of the gradient's norm in the span of singular vectors, on both sides."""
    if gradient is None:
        return {}
    largest = float(gradient.abs().max())
    if not largest or not math.isfinite(largest):
        return {}
    gradient = (gradient / largest).float()  # so that no square is beyond its range
    gradient = gradient / gradient.norm()
    u, v = (torch.from_numpy(side).to(gradient) for side in (left, right))
    return {"left_gradient": float((u.T @ gradient).norm()), "right_gradient": float((gradient @ v).norm())}


def table(rows: list[Row]) -> pd.DataFrame:
    """Rows as a frame, whether or not there are any."""
    return pd.DataFrame(rows, columns=list(COLUMNS))


class Trajectory:
    """Records in the order of their steps; one that comes again takes the place of the old one and of all later ones.

    Attributes
    ----------
    rows : of all records.
    last : the step of the latest record; -1 where there is none.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.last = -1
        self._spectra: dict[str, dict[int, np.ndarray]] = {}

    def add(self, step: int, rows: list[Row], spectra: Mapping[str, np.ndarray]) -> int:
        """Keep a record: its rows, and the descending values of every name; how many of the old rows stay."""
        if step <= self.last:
            self.rows = [row for row in self.rows if row["step"] < step]
            self._spectra = {k: {s: v for s, v in kept.items() if s < step} for k, kept in self._spectra.items()}
        old = len(self.rows)
        self.rows += rows
        self.last = step
        for name, spectrum in spectra.items():
            self._spectra.setdefault(name, {})[step] = spectrum
        return old

    def spectrum(self, name: str, step: int) -> np.ndarray:
        return self._spectra[name][step]

    def spectra(self, name: str) -> pd.DataFrame:
        """A row of values for each step. ValueError for an unknown name."""
        if name not in self._spectra:
            raise ValueError(f"name: got {name!r}, expected one of {', '.join(self._spectra)}")
        kept = self._spectra[name]
        rows = np.full((len(kept), max(map(len, kept.values()))), math.nan)  # where the shape changed, some are shorter
        for row, step in zip(rows, sorted(kept), strict=True):
            row[: len(kept[step])] = kept[step]
        return pd.DataFrame(rows, index=pd.Index(sorted(kept), name="step"))

    def moved(self, name: str) -> float:
        """Mean relative move of the values since the first record."""
        kept = self._spectra[name]
        start, now = kept[min(kept)], kept[self.last]
        if len(start) != len(now):
            return 0.0
        return float(np.nan_to_num(np.abs(now - start).sum() / start.sum()))

    def edge(self, name: str) -> float:
        """The edge of the bulk in the latest record; NaN where there is none."""
        return next((row.get("edge_before", math.nan) for row in reversed(self.rows) if row["name"] == name), math.nan)

    def verdicts(self) -> dict[str, str]:
        """The verdict of every weight matrix in the latest record."""
        now = [row for row in self.rows if row["step"] == self.last and row["kind"] == "weight"]
        return {row["name"]: row["verdict"] for row in now}


def moved_most(trajectory: Trajectory, names: Sequence[str]) -> list[str]:
    """The matrices whose values moved most, those that are too small for a verdict only where there are no others."""
    large = [n for n in names if trajectory.spectrum(n, trajectory.last).size >= SMALLEST] or names
    most = sorted(large, key=trajectory.moved)[-_MOST:]
    return [name for name in large if name in most]


def draw(trajectory: Trajectory, names: Sequence[str], figure: FigureBase | None) -> FigureBase:
    """The panels of `names`, three to a row, on `figure` or a new one."""
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    if figure is None:
        figure = plt.figure(figsize=(7, 2.4 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for ax in axes.flat[len(names) :]:
        ax.remove()
    words = trajectory.verdicts()
    for ax, name in zip(axes.flat, names, strict=False):
        plots.trajectory(ax, trajectory.spectra(name), edge=trajectory.edge(name))
        ax.set_title(f"{_short(name)}\n{words[name]}", fontsize=9)
    return figure


def _short(name: str) -> str:
    """The end of a name, from a dot on, for the title of a panel."""
    parts = name.removesuffix(".weight").split(".")
    while len(".".join(parts)) > _TITLE and len(parts) > 1:
        parts.pop(0)
    return ".".join(parts)
