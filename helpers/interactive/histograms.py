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
    heights : sequence of float, (bins,)
        Of the histogram.
    x : sequence of float, (m,)
        Points of the theory curve.
    y : sequence of float, (m,)
        Its heights; NaN breaks the line.
    marks : sequence of (float, str), default ()
        Position and name of arrows under the axis, e.g. outliers and where theory puts them.
    note : str, default ""
        One sentence with the numbers of this state.

    Examples
    --------
    >>> from helpers import interactive
    >>> state = interactive.Frame([0.5, 0.5], [0, 1, 2], [0.4, 0.6, 0.4], note="Two bars.")
    >>> state.marks
    ()
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
    values : array or sequence of float, (m,)
        Without the exact zeros that an atom of the law stands for.
    law : Law
        In the units of the values; both are drawn with the mass of the law's bands.
    edges : sequence of float, (bins + 1,)
        Of the histogram.
    marks : sequence of (float, str), default ()
        As in Frame.
    note : str, default ""
        As in Frame.

    Returns
    -------
    Frame
        Its curve has 300 points over the range of the bins.

    Raises
    ------
    ValueError
        Values of another shape, empty or not finite.
    TypeError
        Something that holds no numbers.

    Examples
    --------
    >>> from helpers import interactive, laws
    >>> state = interactive.frame([0.5, 1.5], laws.marchenko_pastur(0.2), [0.0, 1.0, 2.0])
    >>> [float(height) for height in state.heights]
    [0.5, 0.5]
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
    name : str
        Identifier of the figure, unique on its page: letters, digits and hyphens.
    sliders : mapping of str to sequence of float
        Label of each slider -> its values.
    frames : mapping of tuple to Frame
        Tuple of one value per slider, in their order -> Frame. Every combination must be there.
    edges : sequence of float, (bins + 1,)
        Of all histograms; they are the range of the horizontal axis.
    ylim : tuple of two float
        Range of the vertical axis.
    ticks : sequence of float
        Of the horizontal axis.
    xlabel : str
        Of the horizontal axis.
    alt : str
        What the figure shows, for readers who do not see it; at least 20 characters.
    start : mapping of str to float, optional
        Values to begin with; the first of each slider otherwise.

    Returns
    -------
    str
        A fragment without any reference to the outside.

    Raises
    ------
    ValueError
        A malformed name, no slider, a missing frame, a start that no slider has, a short text alternative.

    Examples
    --------
    >>> from helpers import interactive, laws
    >>> edges, ratios = [0.0, 1.0, 2.0], [0.1, 0.2]
    >>> frames = {(c,): interactive.frame([0.5, 1.5], laws.marchenko_pastur(c), edges) for c in ratios}
    >>> page = interactive.explorer(
    ...     "ratios", {"ratio": ratios}, frames, edges=edges, ylim=(0, 1), ticks=[0, 1, 2], xlabel="eigenvalue",
    ...     alt="A histogram and its law.",
    ... )
    >>> page.count("<svg"), "http" in page
    (1, False)
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
