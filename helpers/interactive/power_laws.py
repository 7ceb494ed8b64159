"""The start of a power-law tail, moved by hand: what becomes of the exponent and of the KS distance."""

from collections.abc import Mapping, Sequence

import numpy as np

from .. import _checks
from .._checks import Numbers
from ..plots import BLACK, BLUE, GRAY, VERMILLION
from ..spectra import PowerLaw, fit_power_law
from ._drawing import Axes, path, text
from ._page import Panel, figure

PLACES = 30  # of the slider
SMALLEST = 8  # values in the shortest tail of the slider


def distances(values: Numbers) -> list[PowerLaw]:
    """The fit of every tail: one for each distinct positive value but the two largest as xmin, ascending.

    Parameters
    ----------
    values : array or sequence of float, (m,)
        At least 20 positive ones.

    Returns
    -------
    list of PowerLaw
        As `spectra.fit_power_law` gives them for a given xmin and without a bound on alpha. The one with the smallest
        distance is its choice where xmin is not given.

    Raises
    ------
    ValueError
        Too few or equal values, NaN.
    TypeError
        Something that holds no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import interactive
    >>> fits = interactive.distances(np.arange(1.0, 31.0))
    >>> len(fits), fits[0].tail_size, round(fits[0].distance, 3)
    (28, 30, 0.347)
    """
    values = _checks.array("values", values, None).double().cpu().numpy()
    starts = np.unique(values[values > 0])
    if len(starts) < 3:
        raise ValueError(
            f"values: got {len(starts)} distinct positive values, expected at least 20 that are not all equal"
        )
    return [fit_power_law(values, xmin=float(x)) for x in starts[:-2]]


def tail_explorer(
    name: str,
    samples: Mapping[str, Numbers],
    *,
    xlim: tuple[float, float],
    xlabel: str,
    alt: str,
    start: str | None = None,
) -> str:
    """HTML of a survival function with the fit to its tail, whose start a slider moves.

    Show it with `IPython.display.HTML`. Beside it stands the KS distance against the start of the tail. The slider has
    30 places, from 8 values in the tail to all of them, and the one where the distance is smallest.

    Parameters
    ----------
    name : str
        Identifier of the figure, unique on its page: letters, digits and hyphens.
    samples : mapping of str to array
        Label -> (m,) values, at least 200 distinct positive ones.
    xlim : tuple of two float
        Of both horizontal axes, which are logarithmic.
    xlabel : str
        What the values are.
    alt : str
        What the samples are, for readers who do not see them.
    start : str, optional
        The sample to begin with, the first otherwise; its tail begins where the distance is smallest.

    Returns
    -------
    str
        A fragment without any reference to the outside.

    Raises
    ------
    ValueError
        Too few values, NaN, an unknown start; as in `explorer`.
    TypeError
        Samples that hold no numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import interactive
    >>> values = np.linspace(0.001, 0.999, 300) ** -0.5
    >>> page = interactive.tail_explorer(
    ...     "tail", {"power law": values}, xlim=(1, 40), xlabel="value", alt="Values that follow a power law."
    ... )
    >>> page.count("<svg")
    2
    """
    start = next(iter(samples)) if start is None else start
    if start not in samples:
        raise ValueError(f"start: got {start!r}, expected one of {list(samples)}")
    survival = Axes(xlim, (3e-4, 1.5), True, True, width=340, height=300, title="part of the values above")
    curve = Axes(xlim, (0, 0.5), True, width=340, height=300, title="KS distance of the tail")
    left, right, notes, texts = {}, {}, {}, {}
    for label, values in samples.items():
        values = np.sort(_checks.array("samples", values, None).double().cpu().numpy())[::-1]
        values = values[values > 0]
        fits = distances(values)
        best = min(fits, key=lambda fit: fit.distance)
        for k, fit in enumerate(_places(fits, best)):
            state = (label, k)
            left[state], right[state] = _tail(survival, values, fit), _distances(curve, fits, best, fit)
            notes[state], texts[state] = _note(fit, best, len(values)), [label, f"{fit.xmin:.3g}"]
            if label == start and fit is best:
                begin = k
    ticks = [10.0**k for k in range(-6, 7) if xlim[0] <= 10.0**k <= xlim[1]]
    shares, heights = (0.001, 0.01, 0.1, 1), (0, 0.1, 0.2, 0.3, 0.4, 0.5)
    about = f"{alt} Log-log survival function, the tail from xmin on in blue, its power law as a black line."
    curve_about = f"{alt} KS distance against xmin, a dot at the xmin of the slider and a ring at the minimum."
    panels = [
        Panel(survival, about, survival.frame(ticks, xlabel, "", shares), left, notes),
        Panel(curve, curve_about, curve.frame(ticks, "xmin", "", heights), right, {}),
    ]
    controls = {"sample": list(samples), "xmin": range(PLACES)}
    return figure(name, controls, panels, start={"sample": start, "xmin": begin}, texts=texts)


def _places(fits: Sequence[PowerLaw], best: PowerLaw) -> list[PowerLaw]:
    """The fits of the slider by ascending xmin: tail sizes in geometric steps, the best fit in place of the nearest."""
    sizes = np.array([fit.tail_size for fit in fits])
    wanted = np.geomspace(sizes[0], SMALLEST, PLACES)
    places = [int(np.abs(sizes - size).argmin()) for size in wanted]
    if len(set(places)) < PLACES:
        raise ValueError(f"samples: got {len(fits) + 2} distinct values, expected at least 200")
    places[int(np.abs(np.log(wanted / best.tail_size)).argmin())] = fits.index(best)
    return [fits[k] for k in places]


def _tail(axes: Axes, values: np.ndarray, fit: PowerLaw) -> tuple[str, ...]:
    """All values in gray; those of the tail in blue, with the fitted line and a dashed one at xmin."""
    share = np.arange(1, len(values) + 1) / len(values)
    size = fit.tail_size
    ends = np.array([fit.xmin, axes.xlim[1]])
    line = size / len(values) * (ends / fit.xmin) ** (1 - fit.alpha)
    if line[1] < axes.ylim[0]:  # down to the axis, where the line leaves the drawing
        ends[1] = fit.xmin * (axes.ylim[0] * len(values) / size) ** (1 / (1 - fit.alpha))
        line[1] = axes.ylim[0]
    return (
        path(axes.line(values, share), GRAY, kind="sample", width=5),
        path(axes.line(values[:size], share[:size]), BLUE, kind="tail", width=2.5),
        path(axes.line([fit.xmin] * 2, axes.ylim), BLACK, kind="start", width=1, dash="4 3"),
        path(axes.line(ends, line), BLACK, kind="fit"),
    )


def _distances(axes: Axes, fits: Sequence[PowerLaw], best: PowerLaw, fit: PowerLaw) -> tuple[str, ...]:
    """The distance of every tail, a ring at the smallest and a dot where the slider is."""
    dot = '<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{}" fill="{}" stroke="{}" stroke-width="2"/>'
    lowest, here = ((axes.across(f.xmin), axes.up(f.distance)) for f in (best, fit))
    return (
        path(axes.line([f.xmin for f in fits], [f.distance for f in fits]), BLUE, kind="distances"),
        dot.format("best", *lowest, 8, "none", VERMILLION)
        + text(lowest[0], lowest[1] - 14, "smallest", color=VERMILLION),
        dot.format("here", *here, 4, BLACK, BLACK),
    )


def _note(fit: PowerLaw, best: PowerLaw, total: int) -> str:
    smallest = "the smallest" if fit is best else f"smallest {best.distance:.3f} at xmin {best.xmin:.3g}"
    return (
        f"xmin {fit.xmin:.3g}: {fit.tail_size} of {total} values in the tail, exponent α = {fit.alpha:.2f}, KS distance"
        f" {fit.distance:.3f} ({smallest}), √{fit.tail_size} times the distance: {fit.misfit:.2f}."
    )
