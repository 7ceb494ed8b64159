"""Spectra through training: one slider of time, one panel for each training."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .. import _checks
from .._checks import Numbers
from ..laws import Law
from ..plots import BLACK, GRAY
from ._drawing import Axes, area, histogram, path
from ._page import Panel, figure


@dataclass(frozen=True)
class Training:
    """One training, seen at several times.

    Attributes
    ----------
    title : str
        Its name.
    spectra : sequence of array, each (m,)
        One spectrum per time; the first is that of the start.
    notes : sequence of str
        One sentence with the numbers of each time.
    edges : sequence of float, (bins + 1,)
        Of the histograms, and range of the horizontal axis.
    ylim : tuple of two float
        Range of the vertical axis.
    ticks : sequence of float
        Of the horizontal axis.
    color : str
        Of the outline of the spectrum.
    log : bool, default False
        Both axes logarithmic.

    Examples
    --------
    >>> from helpers import interactive
    >>> gd = interactive.Training(
    ...     "GD", [[0.5, 1.5], [0.6, 1.9]], ["At the start.", "At the end."], [0, 1, 2], (0, 1), [0, 1, 2], "#0072B2"
    ... )
    >>> len(gd.spectra), gd.log
    (2, False)
    """

    title: str
    spectra: Sequence[Numbers]
    notes: Sequence[str]
    edges: Numbers
    ylim: tuple[float, float]
    ticks: Numbers
    color: str
    log: bool = False


def evolution(
    name: str, trainings: Sequence[Training], times: Sequence[str], *, law: Law, xlabel: str, alt: str, start: int = 0
) -> str:
    """HTML of spectra through training; show it with `IPython.display.HTML`.

    Every panel has the start in gray, the law of the start as a black line, the spectrum at the time of the slider as
    a colored outline and an arrow at its largest value where that is beyond the law by 2 percent or more.

    Parameters
    ----------
    name : str
        Identifier of the figure, unique on its page: letters, digits and hyphens.
    trainings : sequence of Training
        One panel each.
    times : sequence of str
        How the places of the slider read, as many as each training has spectra.
    law : Law
        In the units of the spectra.
    xlabel : str
        Of all panels.
    alt : str
        What a panel shows, for readers who do not see it; its title is put in front.
    start : int, default 0
        The place of the slider to begin with, from 0.

    Returns
    -------
    str
        A fragment without any reference to the outside.

    Raises
    ------
    ValueError
        A start that is no place; spectra or notes that are not as many as the times; values that are not finite; as in
        `explorer`.

    Examples
    --------
    >>> from helpers import interactive, laws
    >>> gd = interactive.Training(
    ...     "GD", [[0.5, 1.5], [0.6, 1.9]], ["At the start.", "At the end."], [0, 1, 2], (0, 1), [0, 1, 2], "#0072B2"
    ... )
    >>> page = interactive.evolution(
    ...     "through-time", [gd], ["step 0", "step 9"], law=laws.marchenko_pastur(0.2), xlabel="value",
    ...     alt="A spectrum before and after training.",
    ... )
    >>> page.count("<svg")
    1
    """
    places = range(len(times))
    for training in trainings:
        for part in ("spectra", "notes"):
            if len(getattr(training, part)) != len(times):
                raise ValueError(
                    f"{part}: got {len(getattr(training, part))}, expected one for each of {len(times)} times"
                )
    panels = [_panel(training, law, xlabel, f"{training.title}. {alt}") for training in trainings]
    return figure(name, {"time": places}, panels, start={"time": start}, texts={(k,): [times[k]] for k in places})


def _panel(training: Training, law: Law, xlabel: str, alt: str) -> Panel:
    edges, limits = np.asarray(training.edges), (training.edges[0], training.edges[-1])
    axes = Axes(limits, training.ylim, training.log, training.log, width=340, height=230, title=training.title)
    spectra = [_checks.array("spectra", values, None).double().cpu().numpy() for values in training.spectra]
    x = np.geomspace(*limits, 200) if training.log else np.linspace(*limits, 200)
    density, edge = law.density(x), law.support[-1][1]
    yticks = [10.0**k for k in range(-4, 1) if training.ylim[0] <= 10.0**k <= training.ylim[1]] if training.log else ()
    still = (
        area(axes.bars(edges, histogram(spectra[0], edges)), GRAY)
        + path(axes.line(x, np.where(density > 0, density, np.nan)), BLACK, width=1.4)
        + axes.frame(training.ticks, xlabel, "" if training.log else "density", yticks)
    )
    moving = {
        (k,): (
            path(axes.bars(edges, histogram(values, edges)), training.color, kind="outline"),
            axes.marks([(float(values.max()), "largest")] if values.max() > 1.02 * edge else []),
        )
        for k, values in enumerate(spectra)
    }
    return Panel(axes, alt, still, moving, {(k,): note for k, note in enumerate(training.notes)})
