"""Figures a reader can move: every state is drawn in Python, the page only swaps what is drawn.

The HTML stands on its own: no library, no request, sliders that the keyboard moves, and without JavaScript the first
state and a table of all of them.
"""

from .curves import Curves, curve_explorer
from .histograms import Frame, explorer, frame
from .phases import Point, phase_diagram
from .power_laws import distances, tail_explorer
from .trainings import Training, evolution

__all__ = [
    "Curves",
    "Frame",
    "Point",
    "Training",
    "curve_explorer",
    "distances",
    "evolution",
    "explorer",
    "frame",
    "phase_diagram",
    "tail_explorer",
]
