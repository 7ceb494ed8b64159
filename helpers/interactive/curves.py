"""Curves that sliders change: one panel, the same lines in every state."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .._checks import Numbers
from ._drawing import Axes, path
from ._page import Panel, figure

DASHES = ("", "6 4", "2 3")


@dataclass(frozen=True)
class Curves:
    """The lines of one state.

    Attributes
    ----------
    lines : sequence of (x, y)
        Points of each line.
    note : str
        One sentence with the numbers of this state.

    Examples
    --------
    >>> from helpers import interactive
    >>> interactive.Curves([([1, 2], [0.5, 0.7])], "It rises.").note
    'It rises.'
    """

    lines: Sequence[tuple[Numbers, Numbers]]
    note: str


def curve_explorer(
    name: str,
    controls: Mapping[str, Sequence],
    states: Mapping[tuple, Curves],
    *,
    colors: Sequence[str],
    xlim: tuple[float, float],
    ylim: tuple[float, float],
    xticks: Numbers,
    yticks: Numbers,
    xlabel: str,
    ylabel: str,
    alt: str,
    start: Mapping[str, object] | None = None,
) -> str:
    """HTML of curves that controls change; show it with `IPython.display.HTML`.

    Parameters
    ----------
    name : str
        Identifier of the figure, unique on its page: letters, digits and hyphens.
    controls : mapping of str to sequence
        Label -> values. Numbers make a slider, strings a list to choose from.
    states : mapping of tuple to Curves
        Tuple of one value per control -> Curves. Every combination must be there.
    colors : sequence of str
        Of the lines; they also differ by their dashes.
    xlim, ylim : tuple of two float
        Ranges; the horizontal axis is logarithmic.
    xticks, yticks : sequence of float
        Ticks of the two axes.
    xlabel, ylabel : str
        What stands at the two axes.
    alt : str
        What the figure shows, for readers who do not see it.
    start : mapping of str to object, optional
        Values to begin with; the first of each control otherwise.

    Returns
    -------
    str
        A fragment without any reference to the outside.

    Raises
    ------
    ValueError
        A state with another number of lines than colors; as in `explorer`.

    Examples
    --------
    >>> from helpers import interactive
    >>> page = interactive.curve_explorer(
    ...     "curves", {"rate": [1, 2]},
    ...     {(r,): interactive.Curves([([1, 10], [0.1, 0.2 * r])], f"Rate {r}.") for r in (1, 2)},
    ...     colors=["#0072B2"], xlim=(1, 10), ylim=(0, 1), xticks=[1, 10], yticks=[0, 1], xlabel="step", ylabel="R²",
    ...     alt="One line that rises with the step.",
    ... )
    >>> page.count("<svg")
    1
    """
    for state, shown in states.items():
        if len(shown.lines) != len(colors):
            raise ValueError(f"states: got {len(shown.lines)} lines in {state}, expected one for each color")
    axes = Axes(xlim, ylim, xlog=True, width=520, height=300)
    moving = {
        state: tuple(
            path(axes.line(x, y), color, dash=DASHES[k % len(DASHES)])
            for k, ((x, y), color) in enumerate(zip(shown.lines, colors, strict=True))
        )
        for state, shown in states.items()
    }
    notes = {state: shown.note for state, shown in states.items()}
    panel = Panel(axes, alt, axes.frame(xticks, xlabel, ylabel, yticks), moving, notes)
    return figure(name, controls, [panel], start=start)
