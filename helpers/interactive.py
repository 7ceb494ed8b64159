"""Figures a reader can move: every frame is computed in Python, the page only swaps drawn paths.

The HTML stands on its own: no library, no request, sliders that the keyboard moves, and the first frame is there
without JavaScript too.
"""

import html
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from . import _checks
from .laws import Law
from .plots import BLACK, GRAY, VERMILLION

WIDTH, HEIGHT = 700, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 12, 54  # margins of the drawing, in the same units


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

    heights: Sequence[float]
    x: Sequence[float]
    y: Sequence[float]
    marks: Sequence[tuple[float, str]] = field(default_factory=tuple)
    note: str = ""


def frame(
    values: Sequence[float],
    law: Law,
    edges: Sequence[float],
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
    heights = np.histogram(values, edges)[0] / len(values) / np.diff(edges) * (1 - law.atom)
    x = np.linspace(edges[0], edges[-1], 300)
    y = law.density(x)
    return Frame(heights, x, np.where(y > 0, y, np.nan), marks, note)


@dataclass(frozen=True)
class _Canvas:
    """Where data coordinates lie on the drawing."""

    xlim: tuple[float, float]
    ylim: tuple[float, float]

    def across(self, x: float) -> float:
        low, high = self.xlim
        return LEFT + (WIDTH - LEFT - RIGHT) * (x - low) / (high - low)

    def up(self, y: float) -> float:
        low, high = self.ylim
        share = min(max((y - low) / (high - low), 0.0), 1.05)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    def bars(self, edges: Sequence[float], heights: Sequence[float]) -> str:
        floor = self.up(self.ylim[0])
        steps = "".join(f"V{self.up(h):.1f}H{self.across(e):.1f}" for h, e in zip(heights, edges[1:]))
        return f"M{self.across(edges[0]):.1f} {floor:.1f}{steps}V{floor:.1f}Z"

    def line(self, x: Sequence[float], y: Sequence[float]) -> str:
        pieces, pen = [], "M"
        for a, b in zip(x, y):
            if not (np.isfinite(b) and self.xlim[0] <= a <= self.xlim[1]):
                pen = "M"
                continue
            pieces.append(f"{pen}{self.across(a):.1f} {self.up(b):.1f}")
            pen = "L"
        return "".join(pieces)

    def marks(self, marks: Sequence[tuple[float, str]]) -> str:
        foot = self.up(self.ylim[0])
        shapes = []
        for k, (position, name) in enumerate(marks):
            x, y = self.across(position), foot - 34 - 19 * k
            shapes.append(
                f'<path d="M{x:.1f} {y + 4:.1f}V{foot - 2:.1f}m-4 -7l4 7 4 -7" fill="none" stroke="{VERMILLION}"/>'
                f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle" fill="{VERMILLION}">{html.escape(name)}</text>'
            )
        return "".join(shapes)

    def axis(self, ticks: Sequence[float], xlabel: str) -> str:
        y = HEIGHT - BOTTOM
        labels = "".join(
            f'<path d="M{self.across(t):.1f} {y}v5" stroke="{BLACK}"/>'
            f'<text x="{self.across(t):.1f}" y="{y + 21}" text-anchor="middle">{t:g}</text>'
            for t in ticks
        )
        return (
            f'<path d="M{LEFT} {TOP}V{y}H{WIDTH - RIGHT}" fill="none" stroke="{BLACK}"/>{labels}'
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{html.escape(xlabel)}</text>'
            f'<text transform="translate(20 {(TOP + y) / 2}) rotate(-90)" text-anchor="middle">density</text>'
        )


_SCRIPT = """
(() => {
  const root = document.getElementById("NAME"), data = DATA, sliders = [...root.querySelectorAll("input")];
  const show = () => {
    let index = 0;
    sliders.forEach((s, k) => {
      index = index * data.values[k].length + Number(s.value);
      const text = data.values[k][s.value];
      s.nextElementSibling.textContent = text;
      s.setAttribute("aria-valuetext", text);
    });
    const [bars, line, marks, note] = data.frames[index];
    root.querySelector(".bars").setAttribute("d", bars);
    root.querySelector(".line").setAttribute("d", line);
    root.querySelector(".marks").innerHTML = marks;
    root.querySelector(".note").textContent = note;
  };
  sliders.forEach(s => s.addEventListener("input", show));
})();
"""


def explorer(
    name: str,
    sliders: Mapping[str, Sequence[float]],
    frames: Mapping[tuple, Frame],
    *,
    edges: Sequence[float],
    ylim: tuple[float, float],
    ticks: Sequence[float],
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
    if not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise ValueError(f"name: got {name!r}, expected letters, digits and hyphens, a letter first")
    if len(alt) < 20:
        raise ValueError(f"alt: got {alt!r}, expected a sentence that says what the figure shows")
    states = list(itertools.product(*sliders.values()))
    missing = [state for state in states if state not in frames]
    if not sliders or missing:
        raise ValueError(f"frames: got none for {missing[:3]}, expected one for every combination of slider values")
    first = {label: list(values).index((start or {}).get(label, values[0])) for label, values in sliders.items()}
    canvas = _Canvas((edges[0], edges[-1]), ylim)
    drawn = [
        [canvas.bars(edges, f.heights), canvas.line(f.x, f.y), canvas.marks(f.marks), f.note]
        for f in (frames[state] for state in states)
    ]
    bars, line, marks, note = drawn[states.index(tuple(sliders[label][k] for label, k in first.items()))]
    controls = "".join(
        f'<label>{html.escape(label)} <input type="range" min="0" max="{len(values) - 1}" value="{first[label]}"'
        f' aria-valuetext="{values[first[label]]:.3g}"><output>{values[first[label]]:.3g}</output></label>'
        for label, values in sliders.items()
    )
    data = {"values": [[f"{v:.3g}" for v in values] for values in sliders.values()], "frames": drawn}
    text = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    return (
        f'<div class="explorer" id="{name}"><div class="controls">{controls}</div>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(alt)}" font-size="16">'
        f'<rect width="100%" height="100%" fill="white"/><path class="bars" d="{bars}" fill="{GRAY}"/>'
        f'<path class="line" d="{line}" fill="none" stroke="{BLACK}" stroke-width="1.8"/>'
        f'<g class="marks">{marks}</g>{canvas.axis(ticks, xlabel)}</svg>'
        f'<p class="note" aria-live="polite">{html.escape(note)}</p>'
        f"<script>{_SCRIPT.replace('NAME', name).replace('DATA', text)}</script></div>"
    )
