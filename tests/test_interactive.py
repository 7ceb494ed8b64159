"""Figures that move: every state is drawn where it should be, and the fragment stands on its own."""

import itertools
import re

import numpy as np
import pytest

from helpers import interactive, laws

EDGES = [0.0, 1.0, 2.0]
SLIDERS = {"ratio": [0.5, 1.0], "strength": [1.0, 2.0, 3.0]}


def frames(sliders=SLIDERS):
    return {
        state: interactive.Frame([state[0], 0.0], [0, 1, 2], [0.5, np.nan, 0.5], [(1.0, "a<b")], f"state {state}")
        for state in itertools.product(*sliders.values())
    }


def explorer(**changes):
    arguments = {
        "name": "test-figure", "sliders": SLIDERS, "frames": frames(), "edges": EDGES, "ylim": (0, 1),
        "ticks": [0, 1, 2], "xlabel": "value", "alt": "A histogram that two sliders change.",
    }  # fmt: skip
    return interactive.explorer(**arguments | changes)


def test_the_first_frame_is_there_without_javascript():
    page = explorer(start={"ratio": 1.0, "strength": 3.0})
    static = page[: page.index("<script>")]
    assert "state (1.0, 3.0)" in static and 'aria-label="A histogram' in static
    bars = re.search(r'class="bars" d="([^"]+)"', static).group(1)
    assert bars == "M48.0 246.0V12.0H368.0V246.0H688.0V246.0Z"  # the full height of the axes, then nothing


def test_it_asks_nobody_for_anything():
    page = explorer()
    assert not re.search(r"(src|href)=|https?:|@import|url\(", page)
    assert "a&lt;b" in page and "a<b" not in page.replace("<\\/", "</")


def test_every_state_is_kept_in_the_order_of_the_sliders():
    page = explorer()
    notes = re.findall(r"state \([^)]*\)", page[page.index("<script>") :])
    assert notes == [f"state {state}" for state in itertools.product(*SLIDERS.values())]


def test_a_frame_holds_a_spectrum_and_its_law():
    law = laws.marchenko_pastur(2.0)  # half of its mass is an atom at zero
    state = interactive.frame([1.0, 1.0, 3.0], law, [0.0, 2.0, 4.0], note="n")
    assert np.sum(np.asarray(state.heights) * 2) == pytest.approx(0.5)
    inside = np.isfinite(state.y)
    np.testing.assert_allclose(np.asarray(state.y)[inside], law.density(np.asarray(state.x)[inside]))
    with pytest.raises(ValueError, match="^values"):
        interactive.frame([np.nan], law, [0.0, 1.0])


@pytest.mark.parametrize(
    "name, changes",
    [
        ("name", {"name": "1 figure"}),
        ("alt", {"alt": "figure"}),
        ("frames", {"frames": dict(list(frames().items())[:-1])}),
        ("frames", {"sliders": {}}),
    ],
)
def test_bad_input_is_refused(name, changes):
    with pytest.raises(ValueError, match=f"^{name}"):
        explorer(**changes)
