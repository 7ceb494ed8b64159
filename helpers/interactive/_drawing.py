"""From data to SVG: where values lie on a panel, and the few shapes that the figures are made of."""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .._checks import Numbers
from ..plots import BLACK, VERMILLION

LEFT, RIGHT, BOTTOM = 48, 12, 52  # margins of a drawing, in its own units


def histogram(values: Numbers, edges: Numbers) -> np.ndarray:
    """Density of values on bins, normalized to the mass of all values: (bins,)."""
    return np.histogram(values, edges)[0] / len(values) / np.diff(edges)


@dataclass(frozen=True)
class Axes:
    """A panel of `width` times `height` units and the data on it; an axis may be logarithmic."""

    xlim: tuple[float, float]
    ylim: tuple[float, float]
    xlog: bool = False
    ylog: bool = False
    width: int = 560
    height: int = 280
    title: str = ""

    @property
    def top(self) -> int:
        return 32 if self.title else 12

    def across(self, x: float) -> float:
        return LEFT + (self.width - LEFT - RIGHT) * _share(x, self.xlim, self.xlog)

    def up(self, y: float) -> float:
        """Values below the axis lie on it; those far above, a little beyond its end."""
        share = min(max(_share(y, self.ylim, self.ylog), 0.0), 1.05)
        return self.height - BOTTOM - (self.height - self.top - BOTTOM) * share

    def bars(self, edges: Numbers, heights: Numbers) -> str:
        """Path data of a histogram."""
        floor = self.up(self.ylim[0])
        steps = "".join(f"V{self.up(h):.1f}H{self.across(e):.1f}" for h, e in zip(heights, edges[1:], strict=False))
        return f"M{self.across(edges[0]):.1f} {floor:.1f}{steps}V{floor:.1f}Z"

    def line(self, x: Numbers, y: Numbers) -> str:
        """Path data of a curve; it breaks at NaN and outside of the horizontal axis.

        Points less than half a unit from the one drawn before are left out: nobody sees them.
        """
        pieces, last = [], None
        for a, b in zip(x, y, strict=False):
            if not (np.isfinite(b) and self.xlim[0] <= a <= self.xlim[1]):
                last = None
                continue
            here = self.across(a), self.up(b)
            if last is None or math.dist(here, last) >= 0.5:
                pieces.append(f"{'M' if last is None else 'L'}{here[0]:.1f} {here[1]:.1f}")
                last = here
        return "".join(pieces)

    def marks(self, marks: Sequence[tuple[float, str]]) -> str:
        """Named arrows that point at places on the horizontal axis; beyond its end they stay at the end.

        The first has a color, what it is compared with is black.
        """
        foot = self.up(self.ylim[0])
        shapes = []
        for k, (position, name) in enumerate(marks):
            x, y = self.across(min(position, self.xlim[1])), foot - 34 - 19 * k
            anchor, color = "end" if x > self.width - 60 else "middle", BLACK if k else VERMILLION
            shapes.append(
                f'<path d="M{x:.1f} {y + 4:.1f}V{foot - 2:.1f}m-4 -7l4 7 4 -7" fill="none" stroke="{color}"/>'
                + text(x, y, name, anchor=anchor, color=color, size=15)
            )
        return "".join(shapes)

    def frame(self, xticks: Numbers, xlabel: str, ylabel: str, yticks: Numbers = ()) -> str:
        """Axes, ticks, labels and title."""
        y, middle = self.height - BOTTOM, (LEFT + self.width - RIGHT) / 2
        across = "".join(
            f'<path d="M{self.across(t):.1f} {y}v5" stroke="{BLACK}"/>'
            f'<text x="{self.across(t):.1f}" y="{y + 20}" text-anchor="middle">{t:g}</text>'
            for t in xticks
        )
        up = "".join(
            f'<path d="M{LEFT} {self.up(t):.1f}h-5" stroke="{BLACK}"/>'
            f'<text x="{LEFT - 7}" y="{self.up(t) + 4:.1f}" text-anchor="end" font-size="12">{t:g}</text>'
            for t in yticks
        )
        return (
            f'<path d="M{LEFT} {self.top}V{y}H{self.width - RIGHT}" fill="none" stroke="{BLACK}"/>{across}{up}'
            f'<text x="{middle}" y="{self.height - 8}" text-anchor="middle">{html.escape(xlabel)}</text>'
            f'<text transform="translate(14 {(self.top + y) / 2}) rotate(-90)" text-anchor="middle">'
            f"{html.escape(ylabel)}</text>"
            f'<text x="{middle}" y="17" text-anchor="middle">{html.escape(self.title)}</text>'
        )


def _share(value: float, limits: tuple[float, float], log: bool) -> float:
    """Where a value lies on an axis: 0 at its start, 1 at its end."""
    low, high = limits
    if log:
        return math.log(max(value, 1e-300) / low) / math.log(high / low)
    return (value - low) / (high - low)


def path(data: str, color: str, *, kind: str = "line", width: float = 1.8, dash: str = "") -> str:
    """A curve as an SVG element."""
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path class="{kind}" d="{data}" fill="none" stroke="{color}" stroke-width="{width:g}"{dashes}/>'


def area(data: str, color: str) -> str:
    """Filled bars as an SVG element."""
    return f'<path class="bars" d="{data}" fill="{color}"/>'


def text(x: float, y: float, words: str, *, anchor: str = "middle", color: str = BLACK, size: int = 13) -> str:
    """Words with a white rim, readable on whatever is below."""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}" stroke="white"'
        f' stroke-width="4" paint-order="stroke">{html.escape(words)}</text>'
    )
