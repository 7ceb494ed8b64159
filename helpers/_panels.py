"""A figure of what a monitor has recorded: a panel of singular values for each weight matrix."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import FigureBase

from . import plots, verdicts
from ._trajectory import Trajectory

_MOST = 12  # panels that fit a page
_TITLE = 28  # letters of a name above a panel


def moved_most(trajectory: Trajectory, names: Sequence[str]) -> list[str]:
    """The matrices whose values moved most, those that are too small for a verdict only where there are no others."""
    large = [n for n in names if trajectory.spectrum(n, trajectory.last).size >= verdicts.SMALLEST] or names
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
