"""A phase diagram whose every point shows the spectrum that its run has left."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .. import _checks
from .._checks import Numbers
from ..laws import Law
from ..plots import BLACK, GRAY, VERMILLION
from ._drawing import Axes, area, histogram, path, text
from ._page import Panel, figure
from .histograms import curve

SIDE = 7  # units between seeds of one place
SHAPES = {  # one for each phase, told apart without their color
    "circle": "M{x} {y}m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0Z",
    "square": "M{x} {y}m-3 -3h6v6h-6Z",
    "triangle": "M{x} {y}m0 -4l4 7h-8Z",
    "cross": "M{x} {y}m-3 -3l6 6m0 -6l-6 6",
}


@dataclass(frozen=True)
class Point:
    """One run of the diagram.

    Attributes
    ----------
    phase : str
        Its name.
    values : array or sequence of float, (m,)
        Spectrum at the end; empty where the run left none.
    note : str
        One sentence with its numbers.

    Examples
    --------
    >>> from helpers import interactive
    >>> interactive.Point("lazy", [0.5, 1.5], "No value left the bulk.").phase
    'lazy'
    """

    phase: str
    values: Numbers
    note: str


def phase_diagram(
    name: str,
    controls: Mapping[str, Sequence[float]],
    points: Mapping[tuple, Point],
    *,
    looks: Mapping[str, tuple[str, str]],
    law: Law,
    edges: Numbers,
    ylim: tuple[float, float],
    ticks: Numbers,
    xlabel: str,
    alt: str,
    curves: Sequence[tuple[Numbers, Numbers]] = (),
    start: Mapping[str, float] | None = None,
) -> str:
    """HTML of a phase diagram and of the spectrum at one of its points; show it with `IPython.display.HTML`.

    The point is chosen by its sliders, or by a pointer on the diagram.

    Parameters
    ----------
    name : str
        Identifier of the figure, unique on its page: letters, digits and hyphens.
    controls : mapping of str to sequence of float
        Label -> values: the horizontal axis (drawn logarithmic), the vertical axis, and the seeds, which are drawn side
        by side.
    points : mapping of tuple to Point
        Tuple of one value per control -> Point. Every combination must be there.
    looks : mapping of str to (str, str)
        Phase -> (color, "circle", "square", "triangle" or "cross"), in the order of the legend.
    law : Law
        Of the start, in the units of the values.
    edges : sequence of float, (bins + 1,)
        Of the histogram of a spectrum; values beyond the edges are drawn in the last bin.
    ylim : tuple of two float
        Range of the histogram's vertical axis.
    ticks : sequence of float
        Of the histogram's horizontal axis.
    xlabel : str
        Of the histogram's horizontal axis.
    alt : str
        What the diagram shows, for readers who do not see it.
    curves : sequence of (x, y), default ()
        Lines over the diagram, the first one solid, the others dotted.
    start : mapping of str to float, optional
        Values to begin with; the first of each control otherwise.

    Returns
    -------
    str
        A fragment without any reference to the outside.

    Raises
    ------
    ValueError
        Other than three controls, a phase without a look, an unknown shape; as in `explorer`.

    Examples
    --------
    >>> from helpers import interactive, laws
    >>> page = interactive.phase_diagram(
    ...     "phases", {"rate": [0.1, 1.0], "noise": [0.3], "seed": [0]},
    ...     {(rate, 0.3, 0): interactive.Point("lazy", [0.5, 1.5], "As at the start.") for rate in (0.1, 1.0)},
    ...     looks={"lazy": ("#0072B2", "circle")}, law=laws.marchenko_pastur(0.2), edges=[0.0, 1.0, 2.0], ylim=(0, 1),
    ...     ticks=[0, 1, 2], xlabel="value", alt="Two runs, both lazy.",
    ... )
    >>> page.count("<svg")
    2
    """
    if len(controls) != 3:
        raise ValueError(f"controls: got {list(controls)}, expected three: across, up and side by side")
    unknown = {point.phase for point in points.values()} - set(looks)
    if unknown or not {shape for _, shape in looks.values()} <= set(SHAPES):
        raise ValueError(f"looks: got {dict(looks)}, expected a color and one of {list(SHAPES)} for every phase")
    maps = _map(controls, points, looks, alt, curves)
    return figure(name, controls, [maps, _spectra(points, law, edges, ylim, ticks, xlabel)], start=start)


def _map(controls: Mapping, points: Mapping[tuple, Point], looks: Mapping, alt: str, curves: Sequence) -> Panel:
    """All runs, their phases, the curves, and one invisible field per run that a pointer can meet."""
    (xlabel, across), (ylabel, up), (_, seeds) = controls.items()
    wide = (min(across) / 1.25, max(across) * 1.25)
    axes = Axes(wide, (0, max(up) * 1.08), xlog=True, width=340, height=300, title=" ")  # its legend is the title
    places = {
        (x, y, s): (axes.across(x) + SIDE * (k - (len(seeds) - 1) / 2), axes.up(y))
        for x in across
        for y in up
        for k, s in enumerate(seeds)
    }
    lines = [path(axes.line(x, y), BLACK, width=1.2, dash="2 3" if k else "") for k, (x, y) in enumerate(curves)]
    runs = []
    for phase, (color, shape) in looks.items():
        drawn = [places[s] for s, point in points.items() if point.phase == phase and s in places]
        data = "".join(SHAPES[shape].format(x=f"{x:.1f}", y=f"{y:.1f}") for x, y in drawn)
        runs.append(path(data, color) if shape == "cross" else area(data, color))
    frame = axes.frame(across, xlabel, ylabel, np.arange(0, max(up) + 0.1, 0.5))
    still = "".join([frame, _legend(looks), *lines, *runs, _fields(list(places.values()), axes.up(0))])
    ring = '<circle cx="{:.1f}" cy="{:.1f}" r="7" fill="none" stroke="{}" stroke-width="2"/>'
    moving = {state: (ring.format(*place, BLACK),) for state, place in places.items() if state in points}
    return Panel(axes, alt, still, moving, {})


def _fields(places: Sequence[tuple[float, float]], below: float) -> str:
    """What a pointer meets: one invisible field for each run, in the order of the states."""
    heights = sorted({y for _, y in places})
    borders = [0, *[(a + b) / 2 for a, b in itertools.pairwise(heights)], below]
    fields = []
    for k, (x, y) in enumerate(places):
        top, bottom = borders[heights.index(y)], borders[heights.index(y) + 1]
        fields.append(
            f'<rect data-state="{k}" x="{x - SIDE / 2:.1f}" y="{top:.1f}" width="{SIDE}" height="{bottom - top:.1f}"'
            ' fill="none" pointer-events="all"/>'
        )
    return "".join(fields)


def _legend(looks: Mapping[str, tuple[str, str]]) -> str:
    """Names of the phases in one row over the diagram."""
    row, x = [], 54
    for phase, (color, shape) in looks.items():
        data = SHAPES[shape].format(x=x, y=16)
        row.append(path(data, color) if shape == "cross" else area(data, color))
        row.append(text(x + 8, 20, phase, anchor="start"))
        x += 24 + 7 * len(phase)
    return "".join(row)


def _spectra(
    points: Mapping[tuple, Point], law: Law, edges: Numbers, ylim: tuple, ticks: Numbers, xlabel: str
) -> Panel:
    axes = Axes((edges[0], edges[-1]), ylim, width=340, height=300, title="spectrum at the end")
    alt = "Histogram of the singular values at the end of the run that is chosen, with the law of the start as a line."
    theory = path(axes.line(*curve(law, edges)), BLACK, width=1.4)
    moving, notes = {}, {}
    for state, point in points.items():
        notes[state] = point.note
        if not len(point.values):
            moving[state] = ("", theory, text(200, 150, "no spectrum: the loss is not finite", color=VERMILLION))
            continue
        values = _checks.array("values", point.values, None).double().cpu().numpy()
        bars = area(axes.bars(edges, histogram(np.minimum(values, edges[-1]), edges)), GRAY)
        top = float(values.max())
        name = "largest" if top <= edges[-1] else f"largest, {top:.3g}, beyond"
        moving[state] = (bars, theory, axes.marks([(top, name)]))
    return Panel(axes, alt, axes.frame(ticks, xlabel, "density"), moving, notes)
