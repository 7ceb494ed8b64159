"""One mechanism for every figure that moves: controls choose a state, and a state is a list of fragments to show."""

import html
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

import pandas as pd

from .. import tables
from ._drawing import Axes

State = tuple  # one value per control, in their order

_SCRIPT = resources.files(__package__).joinpath("explorer.js").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure.

    Attributes
    ----------
    axes : its size, and where data lie on it.
    alt : what it shows, for readers who do not see it.
    still : SVG that is the same in all states, at the bottom.
    moving : state -> SVG layers from bottom to top, equally many in all states.
    notes : state -> a sentence with the numbers of this state; {} for a panel without.
    """

    axes: Axes
    alt: str
    still: str
    moving: Mapping[State, Sequence[str]]
    notes: Mapping[State, str]


def figure(
    name: str,
    controls: Mapping[str, Sequence],
    panels: Sequence[Panel],
    *,
    start: Mapping[str, object] | None = None,
    texts: Mapping[State, Sequence[str]] | None = None,
) -> str:
    """HTML of panels that controls move together.

    Parameters
    ----------
    name : identifier of the figure, unique on its page: letters, digits and hyphens.
    controls : label -> values. Numbers make a slider, strings a list to choose from.
    panels : each with all combinations of the controls' values.
    start : values to begin with; the first of each control otherwise.
    texts : state -> how the value of each control reads in this state; three digits, or the string itself, otherwise.

    Raises
    ------
    ValueError : a malformed name, no control, a missing state, a start that no control has, a short text alternative.
    """
    states = _states(name, controls, panels)
    now = _start(controls, start or {})
    texts = texts or {state: [_text(value) for value in state] for state in states}
    slots = {state: _slots(texts[state], panels, state) for state in states}
    fragments = {text: k for k, text in enumerate(dict.fromkeys(itertools.chain(*slots.values())))}
    data = {
        "sizes": [len(values) for values in controls.values()],
        "states": [[fragments[text] for text in slots[state]] for state in states],
        "fragments": list(fragments),
    }
    packed = json.dumps(data, separators=(",", ":"), ensure_ascii=False).replace("</", "<\\/")
    return (
        f'<div class="explorer" id="{name}">{_controls(controls, now, texts[now])}'
        f'<div class="panels">{"".join(_panel(panel, now) for panel in panels)}</div>'
        "<noscript><p>Without JavaScript the figure stands still; the table has its other states.</p></noscript>"
        f"{_table(name, controls, panels, states, texts)}"
        f'<script type="application/json">{packed}</script><script>{_SCRIPT}</script></div>'
    )


def _states(name: str, controls: Mapping[str, Sequence], panels: Sequence[Panel]) -> list[State]:
    """All combinations of the controls, the last varying fastest, of a figure that is complete."""
    if not re.fullmatch(r"[A-Za-z][\w-]*", name):
        raise ValueError(f"name: got {name!r}, expected letters, digits and hyphens, a letter first")
    for panel in panels:
        if len(panel.alt) < 20:
            raise ValueError(f"alt: got {panel.alt!r}, expected a sentence that says what the figure shows")
    states = list(itertools.product(*controls.values()))
    missing = [state for state in states if any(state not in panel.moving for panel in panels)]
    if not controls or missing:
        raise ValueError(f"frames: got none for {missing[:3]}, expected one for every combination of slider values")
    return states


def _start(controls: Mapping[str, Sequence], start: Mapping[str, object]) -> State:
    if not set(start) <= set(controls):
        raise ValueError(f"start: got {list(start)}, expected labels among {list(controls)}")
    first = {label: start.get(label, values[0]) for label, values in controls.items()}
    for label, value in first.items():
        if value not in controls[label]:
            raise ValueError(f"start: got {value!r} for {label}, expected one of {list(controls[label])}")
    return tuple(first.values())


def _text(value: object) -> str:
    return value if isinstance(value, str) else f"{value:.3g}"


def _slots(texts: Sequence[str], panels: Sequence[Panel], state: State) -> list[str]:
    """All fragments of a state in the order of the page: values of the controls, then layers and note of each panel."""
    slots = [html.escape(text) for text in texts]
    for panel in panels:
        slots += panel.moving[state]
        if panel.notes:
            slots.append(html.escape(panel.notes[state]))
    return slots


def _controls(controls: Mapping[str, Sequence], now: State, texts: Sequence[str]) -> str:
    """Hidden until the script runs, since nothing moves without it."""
    made = []
    for (label, values), value, text in zip(controls.items(), now, texts, strict=False):
        chosen, shown = list(values).index(value), html.escape(text)
        if isinstance(values[0], str):
            options = "".join(
                f'<option value="{k}"{" selected" * (k == chosen)}>{html.escape(v)}</option>'
                for k, v in enumerate(values)
            )
            control = f"<select>{options}</select><output data-slot hidden>{shown}</output>"
        else:
            control = (
                f'<input type="range" min="0" max="{len(values) - 1}" value="{chosen}" autocomplete="off"'
                f' aria-valuetext="{shown}"><output data-slot>{shown}</output>'
            )
        made.append(f"<label>{html.escape(label)} {control}</label>")
    return f'<div class="controls" hidden>{"".join(made)}</div>'


def _panel(panel: Panel, now: State) -> str:
    width, height = panel.axes.width, panel.axes.height
    layers = "".join(f'<g data-slot pointer-events="none">{layer}</g>' for layer in panel.moving[now])
    note = f'<p class="note" data-slot aria-live="polite">{html.escape(panel.notes[now])}</p>' if panel.notes else ""
    return (
        f'<div class="panel" style="max-width: {width}px"><svg viewBox="0 0 {width} {height}" role="img"'
        f' aria-label="{html.escape(panel.alt)}" font-size="15"><rect width="100%" height="100%" fill="white"/>'
        f"{panel.still}{layers}</svg>{note}</div>"
    )


def _table(name: str, controls: Mapping, panels: Sequence[Panel], states: Sequence[State], texts: Mapping) -> str:
    """Every state as text: for readers without JavaScript, or without the picture."""
    told = [panel for panel in panels if panel.notes]
    frame = pd.DataFrame(
        [[panel.notes[state] for panel in told] for state in states],
        index=[", ".join(texts[state]) for state in states],
        columns=[panel.axes.title or "what it shows" for panel in told],
    )
    table = tables.html(frame, f"All states of the figure {name}.", corner=", ".join(controls))
    return f"<details><summary>All states as a table</summary>{table}</details>"
