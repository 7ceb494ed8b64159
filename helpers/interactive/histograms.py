"""A histogram with its theory, moved by sliders: samples and their laws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from .. import _checks
from .._checks import Numbers
from ..laws import Law
from ..plots import BLACK, GRAY
from ._drawing import Axes, area, histogram, path
from ._page import Panel, figure


@dataclass(frozen=True)
class Frame:
    """One state of the figure.

    Attributes
    ----------
    heights : (bins,) of the histogram.
    x, y : (m,) points of the theory curve; NaN in y breaks the line.
    marks : (position, name) of arrows under the axis, e.g. outliers and where theory puts them.
    note : one sentence with the numbers of this state.
    """

    heights: Numbers
    x: Numbers
    y: Numbers
    marks: Sequence[tuple[float, str]] = field(default_factory=tuple)
    note: str = ""


def frame(
    values: Numbers,
    law: Law,
    edges: Numbers,
    *,
    marks: Sequence[tuple[float, str]] = (),
    note: str = "",
) -> Frame:
    """A spectrum with its law as a Frame.

    Parameters
    ----------
    values : (m,), without the exact zeros that an atom of the law stands for.
    law : in the units of the values; both are drawn with the mass of the law's bands.
    edges : (bins + 1,) of the histogram.
    marks, note : as in Frame.

    Raises
    ------
    ValueError : values of another shape, empty or not finite.
    """
    values = _checks.array("values", values, None).double().cpu().numpy()
    heights = histogram(values, edges) * (1 - law.atom)
    return Frame(heights, *curve(law, edges), marks, note)


def curve(law: Law, edges: Numbers) -> tuple[np.ndarray, np.ndarray]:
    """Points x, y of a law over the range of the bins; y is NaN where the law has no mass."""
    x = np.linspace(edges[0], edges[-1], 300)
    y = law.density(x)
    return x, np.where(y > 0, y, np.nan)


def explorer(
    name: str,
    sliders: Mapping[str, Sequence[float]],
    frames: Mapping[tuple, Frame],
    *,
    edges: Numbers,
    ylim: tuple[float, float],
    ticks: Numbers,
    xlabel: str,
    alt: str,
    start: Mapping[str, float] | None = None,
) -> str:
    """HTML of a histogram with its theory that sliders move; show it with `IPython.display.HTML`.

    Parameters
    ----------
    name : identifier of the figure, unique on its page: letters, digits and hyphens.
    sliders : label of each slider -> its values.
    frames : tuple of one value per slider, in their order -> Frame. Every combination must be there.
    edges : (bins + 1,) of all histograms; they are the range of the horizontal axis.
    ylim, ticks, xlabel : of the axes.
    alt : what the figure shows, for readers who do not see it.
    start : values to begin with; the first of each slider otherwise.

    Returns
    -------
    str, a fragment without any reference to the outside.

    Raises
    ------
    ValueError : a malformed name, no slider, a missing frame, a start that no slider has, a short text alternative.
    """
    axes = Axes((edges[0], edges[-1]), ylim)
    moving = {
        state: (
            area(axes.bars(edges, f.heights), GRAY),
            path(axes.line(f.x, f.y), BLACK),
            f'<g class="marks">{axes.marks(f.marks)}</g>',
        )
        for state, f in frames.items()
    }
    notes = {state: f.note for state, f in frames.items()}
    panel = Panel(axes, alt, axes.frame(ticks, xlabel, "density"), moving, notes)
    return figure(name, sliders, [panel], start=start)
