"""Draw the logo and the icon: the law of a random matrix's singular values, and one value outside."""

import math
from pathlib import Path

STATIC = Path(__file__).parents[1] / "_static"
RATIO = 2 / 3  # of inputs to hidden units, as in the book
ALT = "A bulk of singular values and one outlier"
BLUE, SKY, VERMILLION, GRAY = "#0072b2", "#56b4e9", "#d55e00", "#7f7f7f"


def law(points: int = 40) -> list[tuple[float, float]]:
    """The Marchenko-Pastur density of the singular values, both axes scaled to [0, 1]."""
    low, high = 1 - math.sqrt(RATIO), 1 + math.sqrt(RATIO)
    angles = [math.pi * k / points for k in range(points + 1)]  # dense at both edges, where the curve is steep
    values = [(low + high) / 2 - (high - low) / 2 * math.cos(angle) for angle in angles]
    heights = [math.sqrt(max((high**2 - s**2) * (s**2 - low**2), 0)) / s for s in values]
    return [((s - low) / (high - low), height / max(heights)) for s, height in zip(values, heights, strict=True)]


def curve(left: float, right: float, base: float, top: float) -> str:
    """The law as a closed SVG path in the given frame."""
    points = [f"{left + (right - left) * x:.1f} {base - (base - top) * y:.1f}" for x, y in law()]
    return "M" + "L".join(points) + "z"


def logo() -> str:
    bulk = curve(6, 82, 54, 8)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 64" role="img" aria-label="{ALT}">
  <path d="{bulk}" fill="{SKY}" fill-opacity=".35" stroke="{BLUE}" stroke-width="3.5" stroke-linejoin="round"/>
  <path d="M104 54V20" stroke="{VERMILLION}" stroke-width="4.5" stroke-linecap="round"/>
  <circle cx="104" cy="16" r="5.5" fill="{VERMILLION}"/>
  <path d="M2 55.75h116" stroke="{GRAY}" stroke-width="3.5" stroke-linecap="round"/>
</svg>
"""


def icon() -> str:
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
  <path d="{curve(2, 22, 27, 5)}" fill="{SKY}" stroke="{BLUE}" stroke-width="2" stroke-linejoin="round"/>
  <path d="M28 27V11" stroke="{VERMILLION}" stroke-width="3.5" stroke-linecap="round"/>
  <circle cx="28" cy="8" r="3" fill="{VERMILLION}"/>
</svg>
"""


DRAWINGS = {"logo.svg": logo, "favicon.svg": icon}

if __name__ == "__main__":
    for name, draw in DRAWINGS.items():
        (STATIC / name).write_text(draw())
