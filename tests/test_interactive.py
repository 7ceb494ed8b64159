"""Figures that move: every state is drawn where it should be, and the fragment stands on its own."""

import html
import itertools
import json
import math
import re

import numpy as np
import pytest
from scipy import stats

from helpers import interactive, laws, networks, spectra

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
    static = page[: page.index("<script")]
    assert '<p class="note" data-slot aria-live="polite">state (1.0, 3.0)</p>' in static
    assert 'aria-label="A histogram' in static
    bars = re.search(r'class="bars" d="([^"]+)"', static).group(1)
    assert bars == "M48.0 228.0V12.0H298.0V228.0H548.0V228.0Z"  # the full height of the axes, then nothing


def test_without_javascript_every_state_is_in_a_table():
    static = explorer().split("<script")[0]
    table = static[static.index("<table") : static.index("</table>")]
    assert re.findall(r"<td>(state [^<]*)</td>", table) == [
        f"state {state}" for state in itertools.product(*SLIDERS.values())
    ]
    assert '<div class="controls" hidden>' in static  # they would do nothing


def test_it_asks_nobody_for_anything():
    page = explorer()
    assert not re.search(r"(src|href)=|https?:|@import|url\(", page)
    assert "a&lt;b" in page and "a<b" not in page.replace("<\\/", "</")


def states(page):
    """The fragments of every state, in the order of the page."""
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL).group(1))
    assert len(data["states"]) == math.prod(data["sizes"])
    return [[html.unescape(data["fragments"][k]) for k in state] for state in data["states"]]


def points(fragment, kind):
    """The points of a drawn curve: (m, 2), in units of the drawing."""
    data = re.search(rf'class="{kind}" d="([^"]*)"', fragment).group(1)
    return np.array([[float(x) for x in pair.split()] for pair in re.split("[ML]", data)[1:]])


def bars(fragment, kind="bars"):
    """Tops of drawn bars: (bins,), in units of the drawing."""
    data = re.search(rf'class="{kind}" d="([^"]*)"', fragment).group(1)
    return np.array([float(y) for y in re.findall(r"V([-\d.]+)H", data)])


def test_every_state_is_kept_in_the_order_of_the_sliders():
    kept = [(state[0], state[1], state[-1]) for state in states(explorer())]
    assert kept == [(f"{r:.3g}", f"{s:.3g}", f"state {(r, s)}") for r, s in itertools.product(*SLIDERS.values())]


def test_a_frame_holds_a_spectrum_and_its_law():
    law = laws.marchenko_pastur(2.0)  # half of its mass is an atom at zero
    state = interactive.frame([1.0, 1.0, 3.0], law, [0.0, 2.0, 4.0], note="n")
    assert np.sum(np.asarray(state.heights) * 2) == pytest.approx(0.5)
    inside = np.isfinite(state.y)
    np.testing.assert_allclose(np.asarray(state.y)[inside], law.density(np.asarray(state.x)[inside]))
    with pytest.raises(ValueError, match=r"^values"):
        interactive.frame([np.nan], law, [0.0, 1.0])


@pytest.mark.parametrize(
    "name, changes",
    [
        ("name", {"name": "1 figure"}),
        ("alt", {"alt": "figure"}),
        ("frames", {"frames": dict(list(frames().items())[:-1])}),
        ("frames", {"sliders": {}}),
        ("start", {"start": {"ratio": 0.7}}),
        ("start", {"start": {"ration": 0.5}}),
    ],
)
def test_bad_input_is_refused(name, changes):
    with pytest.raises(ValueError, match=f"^{name}"):
        explorer(**changes)


def weight_spectrum(d=200, h=300, seed=0):
    return spectra.singular_values(networks.TwoLayerNet(d, h, seed=seed).weight).numpy() / math.sqrt(h)


def evolution(**changes):
    first, second = ([weight_spectrum(seed=k) for k in seeds] for seeds in ((0, 1), (0, 2)))
    second[1][0] = 1.95  # beyond the edge of the law at 1.82
    trainings = [
        interactive.Training("GD", first, ["a0", "a1"], np.linspace(0, 2, 21), (0, 1), [0, 1], "red"),
        interactive.Training("Adam", second, ["b0", "b1"], np.geomspace(0.1, 2, 21), (1e-2, 1), [1], "red", True),
    ]
    arguments = {
        "name": "time", "trainings": trainings, "times": ["start", "end"], "xlabel": "value",
        "law": laws.marchenko_pastur(2 / 3).square_root(), "alt": "A spectrum through training.",
    }  # fmt: skip
    return interactive.evolution(**arguments | changes)


def test_the_spectrum_through_training_is_that_of_the_networks():
    start, end = states(evolution())
    text, gd, gd_top, gd_note, adam, adam_top, adam_note = end
    assert (start[0], start[3], start[6]) == ("start", "a0", "b0") and (text, gd_note, adam_note) == ("end", "a1", "b1")
    for fragment, seed, edges, log in ((gd, 1, np.linspace(0, 2, 21), 0), (adam, 2, np.geomspace(0.1, 2, 21), 1)):
        values = weight_spectrum(seed=seed)
        values[0] = 1.95 if log else values[0]
        heights, _ = np.histogram(values, edges, density=True)
        shares = np.log(np.clip(heights, 1e-2, None) / 1e-2) / np.log(100) if log else heights
        np.testing.assert_allclose(bars(fragment, "outline"), 178 - 146 * np.clip(shares, 0, 1.05), atol=0.051)
    assert not gd_top  # no arrow at a value that the law explains
    place = float(re.search(r"M([\d.]+) ", adam_top).group(1))
    assert place == pytest.approx(48 + 280 * math.log(19.5) / math.log(20), abs=0.051)


def test_spectra_and_notes_go_with_the_times():
    for times in (["start"], ["start", "middle", "end"]):
        with pytest.raises(ValueError, match=r"^spectra"):
            evolution(times=times)


def test_the_spectrum_through_training_begins_where_it_is_told():
    static = evolution(start=1).split("<script")[0]
    assert re.search(r'value="1"[^>]*aria-valuetext="end"', static)
    with pytest.raises(ValueError, match=r"^start: got 2 for time"):
        evolution(start=2)


CONTROLS = {"batch": [10, 100], "rate": [0.5, 1.0, 2.0], "seed": [0, 1]}


def phases(**changes):
    diagram = {
        state: interactive.Point("spike" if state[1] == 2 else "lazy", weight_spectrum(seed=k), f"run {state}")
        for k, state in enumerate(itertools.product(*CONTROLS.values()))
    }
    diagram[100, 2.0, 1] = interactive.Point("divergence", [], "run without an end")
    arguments = {
        "name": "phases", "controls": CONTROLS, "points": diagram, "edges": np.linspace(0, 2, 21), "ylim": (0, 1),
        "looks": {"lazy": ("gray", "circle"), "spike": ("blue", "square"), "divergence": ("red", "cross")},
        "law": laws.marchenko_pastur(2 / 3).square_root(), "ticks": [0, 1, 2], "xlabel": "value",
        "alt": "Phases in the plane of rate and batch.",
    }  # fmt: skip
    return interactive.phase_diagram(**arguments | changes)


def test_a_point_of_the_phase_diagram_shows_its_own_spectrum():
    shown = states(phases())
    for k, (state, (*texts, _, drawn, theory, _, note)) in enumerate(
        zip(itertools.product(*CONTROLS.values()), shown, strict=True)
    ):
        assert texts == [f"{value:g}" for value in state]
        if k < 11:
            heights, _ = np.histogram(weight_spectrum(seed=k), np.linspace(0, 2, 21), density=True)
            np.testing.assert_allclose(bars(drawn), 248 - 216 * np.clip(heights, 0, 1.05), atol=0.051)
            assert note == f"run {state}" and points(theory, "line")[:, 0].max() < 48 + 280 * 1.83 / 2
    assert drawn == "" and "no spectrum" in shown[-1][-2] and note == "run without an end"


def test_a_pointer_meets_the_point_that_it_is_on():
    """The field of each run has the ring of that run at its center, and no two fields overlap."""
    page = phases()
    fields = re.findall(r'<rect data-state="(\d+)" x="([\d.]+)" y="([\d.]+)" width="(\d+)" height="([\d.]+)"', page)
    boxes = np.array(fields, dtype=float)
    assert boxes[:, 0].tolist() == list(range(12))
    for state, (_, x, y, width, height) in zip(states(page), boxes, strict=True):
        across, up = (float(v) for v in re.search(r'cx="([\d.]+)" cy="([\d.]+)"', state[3]).groups())
        assert x + width / 2 == pytest.approx(across, abs=0.11) and y <= up <= y + height
    for a, b in itertools.combinations(boxes, 2):
        apart = [max(a[k], b[k]) - min(a[k] + a[k + 2], b[k] + b[k + 2]) for k in (1, 2)]
        assert max(apart) > -0.11


def test_values_beyond_the_axis_are_counted_and_named():
    far = interactive.Point("lazy", [*np.linspace(0, 1.5, 99), 7.5], "far")
    controls = {"batch": [1, 2], "rate": [1.0], "seed": [0]}
    drawn = states(phases(controls=controls, points={(b, 1.0, 0): far for b in (1, 2)}))[0]
    last = bars(drawn[4])[-1]
    assert last == pytest.approx(248 - 216 * 0.01 / 0.1, abs=0.051) and "largest, 7.5, beyond" in drawn[6]


@pytest.mark.parametrize(
    "name, changes",
    [
        ("controls", {"controls": {"batch": [10, 100], "rate": [0.5, 1.0, 2.0]}}),
        ("looks", {"looks": {"lazy": ("gray", "circle")}}),
        ("looks", {"looks": dict.fromkeys(["lazy", "spike", "divergence"], ("gray", "star"))}),
        ("frames", {"points": {(10, 0.5, 0): interactive.Point("lazy", [], "")}}),
    ],
)
def test_bad_phase_diagrams_are_refused(name, changes):
    with pytest.raises(ValueError, match=f"^{name}"):
        phases(**changes)


def pareto(size=400, seed=0):
    return np.random.default_rng(seed).pareto(2.0, size) + 1


def test_distances_are_those_of_a_test_and_of_the_fit():
    values = pareto()
    fits = interactive.distances(values)
    assert [fit.xmin for fit in fits] == sorted(values)[:-2]
    for fit in fits[::40]:
        tail = values[values >= fit.xmin]
        alpha = 1 + len(tail) / np.log(tail / fit.xmin).sum()
        assert fit.alpha == pytest.approx(alpha) and fit.tail_size == len(tail)
        two_sided = stats.kstest(tail, stats.pareto(alpha - 1, scale=fit.xmin).cdf).statistic
        # The fit compares at the values themselves, from below; the test on both sides of each step.
        assert two_sided - 1 / len(tail) - 1e-12 <= fit.distance <= two_sided + 1e-12
    assert min(fits, key=lambda fit: fit.distance) == spectra.fit_power_law(values)


def tail_page(**changes):
    arguments = {"name": "tail", "samples": {"one": pareto(), "two": pareto(300, 1)}, "xlim": (0.5, 100), "xlabel": "x"}
    return interactive.tail_explorer(**arguments | {"alt": "Draws from a power law."} | changes)


def across(x):
    """Where values lie on the horizontal axis of `tail_page`."""
    return 48 + 280 * np.log(np.divide(x, 0.5)) / np.log(200)


def up(share):
    """Where parts of a sample lie on its logarithmic vertical axis."""
    return 248 - 216 * np.log(np.divide(share, 3e-4)) / np.log(1.5 / 3e-4)


def agree(drawn, x, y):
    """Every drawn point is one of those expected, and each of those is as good as drawn."""
    gaps = np.hypot(*(drawn[:, None] - np.column_stack([x, y])).transpose(2, 0, 1))
    assert gaps.min(1).max() < 0.08 and gaps.min(0).max() < 0.6


def test_every_place_of_the_slider_is_a_fit_of_the_sample():
    page = tail_page()
    shown = states(page)
    assert len(shown) == 60 and page[page.index("<tbody>") :].count("<tr>") == 60
    for k, (label, values) in enumerate({"one": pareto(), "two": pareto(300, 1)}.items()):
        best = spectra.fit_power_law(values)
        curve = interactive.distances(values)
        starts = []
        for text, xmin, _, tail, _, line, note, drawn, ring, here in shown[30 * k : 30 * k + 30]:
            size = int(re.search(r"(\d+) of", note).group(1))
            start = np.sort(values)[-size]
            starts.append(start)
            fit = spectra.fit_power_law(values, xmin=start)
            assert text == label and xmin == f"{start:.3g}" and note.startswith(f"xmin {xmin}:")
            assert f"α = {fit.alpha:.2f}, KS distance {fit.distance:.3f}" in note
            levels = np.sort(values)[::-1][:size]
            agree(points(tail, "tail"), across(levels), up(np.arange(1, size + 1) / len(values)))
            for dot, shown_fit in ((here, fit), (ring, best)):
                center = [float(v) for v in re.search(r'cx="([\d.]+)" cy="([\d.]+)"', dot).groups()]
                assert center == pytest.approx([across(shown_fit.xmin), 248 - 432 * shown_fit.distance], abs=0.051)
            agree(
                points(drawn, "distances"),
                across([f.xmin for f in curve]),
                [248 - 432 * min(f.distance, 0.525) for f in curve],
            )
            (x0, y0), (x1, y1) = points(line, "fit")  # straight on log axes, with the slope of the exponent
            slope = (y1 - y0) / (248 - 32) * np.log(1.5 / 3e-4) / ((x1 - x0) / 280 * np.log(200))
            assert slope == pytest.approx(fit.alpha - 1, rel=0.02)
        assert starts == sorted(starts) and len(set(starts)) == 30 and best.xmin in starts


def test_the_tail_explorer_begins_where_the_distance_is_smallest():
    static = tail_page(start="two").split("<script")[0]
    best = spectra.fit_power_law(pareto(300, 1))
    assert f'aria-live="polite">xmin {best.xmin:.3g}: {best.tail_size} of 300' in static and "(the smallest)" in static
    assert '<option value="1" selected>two</option>' in static


@pytest.mark.parametrize(
    "name, changes", [("samples", {"samples": {"one": pareto(100)}}), ("start", {"start": "three"})]
)
def test_bad_samples_are_refused(name, changes):
    with pytest.raises(ValueError, match=f"^{name}"):
        tail_page(**changes)
    with pytest.raises(ValueError, match=r"^values"):
        interactive.distances([1.0] * 30)


def curves(**changes):
    arguments = {
        "name": "curves", "controls": {"rate": [1, 2]}, "colors": ["red", "blue"], "xlim": (1, 10), "ylim": (0, 1),
        "xticks": [1, 10], "yticks": [0, 1], "xlabel": "step", "ylabel": "R²", "alt": "Two lines over the steps.",
        "states": {(r,): interactive.Curves([([1, 10], [0.1 * r, 0.5])] * 2, f"Rate {r}.") for r in (1, 2)},
    }  # fmt: skip
    return interactive.curve_explorer(**arguments | changes)


def test_curves_are_those_of_their_state():
    first, second = states(curves())
    assert first != second and "Rate 1." in str(first) and "Rate 2." in str(second)
    assert "stroke-dasharray" in curves()


def test_every_state_has_a_line_for_each_color():
    with pytest.raises(ValueError, match=r"^states: got 2 lines in \(1,\), expected one for each color"):
        curves(colors=["red"])
