"""One theme for every figure: the start in gray, the trained network in color, theory as a black line."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
import torch
from matplotlib.axes import Axes

# The palette of Okabe and Ito (2008), told apart by readers with any color vision.
BLUE, ORANGE, GREEN, VERMILLION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
PURPLE, SKY, YELLOW, BLACK = "#CC79A7", "#56B4E9", "#F0E442", "#000000"
GRAY = "#B3B3B3"
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY)
STYLES = ("-", "--", "-.", ":")
MARKERS = ("o", "s", "^", "D", "v", "P")


# Points on an interval, dense at both ends, where densities have their square roots.
_GRID = (1 - np.cos(np.linspace(0, np.pi, 1000)[1:-1])) / 2


def use_theme() -> None:
    """Set matplotlib to the theme of the book: white ground, 10 pt at a width of 7 inches, sharp on any screen.

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from helpers import plots
    >>> with plt.rc_context():
    ...     plots.use_theme()
    ...     plt.rcParams["font.size"]
    10.0
    """
    sns.set_theme(
        context="paper",
        style="ticks",
        palette=CYCLE,
        rc={
            "figure.figsize": (7.0, 2.9),
            "figure.dpi": 160,
            "figure.facecolor": "white",
            "figure.constrained_layout.use": True,
            "font.size": 10,
            "axes.titlesize": 10,
            "axes.labelsize": 10,
            "xtick.labelsize": 9,
            "ytick.labelsize": 9,
            "legend.fontsize": 9,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "lines.linewidth": 1.6,
        },
    )


def _values(spectrum: Any) -> np.ndarray:
    """A spectrum as a flat float64 array, whatever it came as."""
    if isinstance(spectrum, torch.Tensor):
        spectrum = spectrum.detach().cpu().numpy()
    values = np.asarray(spectrum, dtype=np.float64).ravel()
    if not values.size or not np.isfinite(values).all():
        raise ValueError("spectrum: got no values or values that are not finite, expected finite numbers")
    return values


def spectrum(
    ax: Axes,
    before: Any,
    after: Any = None,
    *,
    law: Any = None,
    outliers: Sequence[float] = (),
    bins: int | Sequence[float] = 60,
    atom: bool = False,
    color: str = BLUE,
    labels: tuple[str, str, str] = ("start", "trained", "theory"),
) -> Axes:
    """Draw one spectrum, or the same spectrum before and after, on equal bins, with the law over it.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    before : array, tensor or list
        Values of a spectrum, filled gray.
    after : array, tensor or list, optional
        Values of a spectrum, a colored outline.
    law : Law, optional
        A `laws.Law` (anything with `density` and `support`), in the units of the values. Histograms are normalized to
        the mass of all values, so that an atom of the law and zeros of the spectrum count alike.
    outliers : sequence of float, default ()
        Values to mark by name.
    bins : int or sequence of float, default 60
        Their number over the common range, or their edges.
    atom : bool, default False
        Leave the exact zeros (below 1e-5 of the largest value) out of the bars; they still count in the mass.
    color : str, default `BLUE`
        Of `after` and of the marks of the outliers.
    labels : tuple of three str, default ("start", "trained", "theory")
        Names for the legend.

    Returns
    -------
    matplotlib.axes.Axes
        The `ax` that was given.

    Raises
    ------
    ValueError
        An empty or infinite spectrum.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from helpers import laws, plots
    >>> ax = plots.spectrum(Figure().subplots(), [0.5, 1.0, 2.5], law=laws.marchenko_pastur(0.5))
    >>> ax.get_ylabel(), len(ax.lines)
    ('density', 1)
    """
    shown = [_values(v) for v in (before, after) if v is not None]
    floor = 1e-5 * max(v.max() for v in shown) if atom else -np.inf
    kept = [v[v > floor] for v in shown]
    edges = np.histogram_bin_edges(np.concatenate(kept), bins=bins)
    heights = [np.histogram(v, edges)[0] / (len(all_) * np.diff(edges)) for v, all_ in zip(kept, shown, strict=True)]
    ax.stairs(heights[0], edges, fill=True, color=GRAY, label=labels[0])
    if after is not None:
        ax.stairs(heights[1], edges, color=color, linewidth=1.6, label=labels[1])
    if law is not None:
        for k, (low, high) in enumerate(law.support):
            x = low + (high - low) * _GRID
            ax.plot(x, law.density(x), color=BLACK, label=None if k else labels[2])
    for value in outliers:
        ax.annotate(
            "outlier",
            (value, 0),
            (value, 0.25),
            ("data", "axes fraction"),
            ha="center",
            color=color,
            arrowprops={"arrowstyle": "->", "color": color},
        )
    ax.set_ylabel("density")
    return ax


def trajectory(ax: Axes, values: pd.DataFrame, *, edge: float = math.nan, color: str = BLUE, top: int = 5) -> Axes:
    """Draw a spectrum along a training.

    Gray lines are the quantiles 10, 20, ..., 100% of all values.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw.
    values : pandas.DataFrame
        A row of descending values for every step, the index.
    edge : float, default NaN
        Where the bulk of the start ends, a dashed line; NaN: not known. The axis is logarithmic where values go beyond
        three times of it.
    color : str, default `BLUE`
        Of the largest values.
    top : int, default 5
        How many of the largest values are drawn in this color.

    Returns
    -------
    matplotlib.axes.Axes
        The `ax` that was given.

    Examples
    --------
    >>> import pandas as pd
    >>> from matplotlib.figure import Figure
    >>> from helpers import plots
    >>> ax = plots.trajectory(Figure().subplots(), pd.DataFrame([[3.0, 1.0], [9.0, 1.0]], index=[0, 10]), edge=2.5)
    >>> ax.get_yscale()
    'log'
    """
    quantiles = values.quantile(np.linspace(0.1, 1, 10), axis=1).T
    mark = "o" if len(values) < 2 else None
    ax.plot(values.index, quantiles, color=GRAY, linewidth=0.8, marker=mark, markersize=3)
    ax.plot(values.index, values.iloc[:, :top], color=color, linewidth=1.2, marker=mark, markersize=3)
    if math.isfinite(edge):
        ax.axhline(edge, color=BLACK, linestyle="--", linewidth=1)
    if values.to_numpy().max() > 3 * edge:
        ax.set_yscale("log")
    ax.set(xlabel="step", ylabel="singular value")
    return ax
