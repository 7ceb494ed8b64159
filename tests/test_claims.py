"""Claims pass, fail and are recorded."""

import math
import sys

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from myst_nb.ext.glue import extract_glue_data_cell
from nbformat.v4 import new_code_cell, new_output

from helpers import claims


def test_value_comes_back_unchanged():
    assert claims.check("drift", 0.002, below=0.01, source="claim 1") == 0.002
    values = [0.1, 0.2]
    assert claims.check("overlap", values, above=0.05, below=0.5, source="claim 3") is values
    assert claims.check("overlap on average", values, above=0.12, mean=True, source="claim 3") is values


@pytest.mark.parametrize(
    "value, bounds",
    [
        (1.0, {"below": 1.0}),
        (1.0, {"above": 1.0}),
        (math.nan, {"above": 0.0}),
        (math.inf, {"above": 0.0}),
        ([0.1, 0.2, 0.9], {"below": 0.5}),
        (np.array([0.1, math.nan]), {"below": 0.5}),
        ([0.1, 0.2, 0.9], {"below": 0.35, "mean": True}),
        ([-math.inf, math.inf], {"above": 0.0}),
        ([0.1, math.nan], {"below": 0.5, "mean": True}),
    ],
)
def test_a_missed_bound_raises(value, bounds):
    with pytest.raises(claims.ClaimFailed, match=r"spike.*observed.*expected.*claim 3"):
        claims.check("spike", value, source="claim 3", **bounds)


def test_a_claim_that_its_control_meets_as_well_raises():
    bounds = {"above": 0.65, "source": "paper, claim 3"}
    assert claims.check("overlap", [0.8, 0.9], control={"shuffled labels": [0.1, 0.2], "start": 0.0}, **bounds)
    with pytest.raises(
        claims.ClaimFailed, match=r"overlap.*control 'shuffled labels' meets the bounds too: 0\.1, 0\.7"
    ):
        claims.check("overlap", [0.8, 0.9], control={"start": 0.1, "shuffled labels": [0.1, 0.7]}, **bounds)
    with pytest.raises(claims.ClaimFailed, match=r"^overlap: observed 0\.8, 0\.5, expected above 0\.65 "):
        claims.check("overlap", [0.8, 0.5], control={"start": 0.1}, **bounds)


def test_where_a_claim_is_about_the_mean_so_is_its_control():
    bounds = {"above": 0.0, "mean": True, "source": "measured"}
    claims.check("gain", [0.2, -0.1], control={"start": [0.1, -0.3]}, **bounds)
    with pytest.raises(claims.ClaimFailed, match="start"):
        claims.check("gain", [0.2, -0.1], control={"start": [0.3, -0.1]}, **bounds)
    claims.check("loss", [0.2, 0.1], below=1.0, control={"diverged": math.inf}, source="measured")


@pytest.mark.parametrize(
    "kwargs, error",
    [
        ({"control": {}}, ValueError),
        ({"control": {" ": 2.0}}, ValueError),
        ({"control": {"start": []}}, ValueError),
        ({"control": {"start": [2.0, math.nan]}}, ValueError),
        ({"control": [2.0]}, TypeError),
        ({"control": {"start": 2.0}, "no_control": "none"}, ValueError),
        ({"no_control": " "}, ValueError),
    ],
)
def test_a_control_that_was_not_measured_is_refused(kwargs, error):
    with pytest.raises(error, match="control"):
        claims.check("n", 0.5, below=1.0, source="s", **kwargs)


@pytest.mark.parametrize(
    "name, kwargs",
    [
        ("name", {"name": " "}),
        ("source", {"source": ""}),
        ("quote", {"quote": ""}),
        ("above, below", {"below": None}),
        ("above, below", {"above": 2.0, "below": 1.0}),
        ("value", {"value": []}),
        ("value", {"mean": True}),
    ],
)
def test_bad_input_is_refused(name, kwargs):
    with pytest.raises(ValueError, match=f"^{name}"):
        claims.check(**{"name": "n", "value": 0.5, "below": 1.0, "source": "s"} | kwargs)


def test_a_notebook_keeps_the_record():
    InteractiveShell.instance()
    try:
        with capture_output() as captured:
            claims.check("drift of W", [0.002, 0.003], below=0.01, source="paper, claim 1")
        bundle = captured.outputs[0].data
    finally:
        InteractiveShell.clear_instance()
    assert bundle[claims.MIME] == {
        "name": "drift of W", "values": [0.002, 0.003], "above": None, "below": 0.01, "mean": False,
        "source": "paper, claim 1", "quote": None,
    }  # fmt: skip
    assert list(bundle) == [claims.MIME]  # nothing that a notebook would show


@pytest.mark.parametrize(
    "sizes, calm",
    [
        ({"n": 2000, "d": 1000, "h": 4000}, True),
        ({"n": 2000, "d": 1000, "h": 1500}, False),
        ({"n": 3000, "h": 1000}, False),  # another network, with bounds of its own
        ({}, False),
    ],
)
def test_a_reader_with_other_sizes_is_told_and_not_stopped(sizes, calm):
    shell = InteractiveShell.instance()
    shell.user_ns.update(sizes)
    message = r"top value: observed 1\.5, expected above 1\.79: a bound made for n = 2000, d = 1000, h = 1500, "
    expected = pytest.warns(UserWarning, match=message + r"not for .*h = 4000")
    if not calm:
        expected = pytest.raises(claims.ClaimFailed, match=r"top value.*measured")
    try:
        with capture_output(), expected:
            assert claims.check("top value", 1.5, above=1.79, source="measured") == 1.5
    finally:
        InteractiveShell.clear_instance()


def test_the_ledger_lists_what_was_checked_in_order():
    claims.check("drift", [0.25, 0.75], below=1, control={"Adam": [3.0, 4.0]}, source="measured")
    with pytest.raises(claims.ClaimFailed):
        claims.check("overlap", 0.5, above=0.6, source="paper, claim 3")
    held, failed = claims.ledger().tail(2).to_dict("records")
    assert held == {
        "passed": "✓", "check": "drift", "required": "below 1", "observed": "0.25, 0.75 (mean 0.5, sd 0.35)",
        "control": "Adam: 3, 4", "source": "measured",
    }  # fmt: skip
    assert (failed["passed"], failed["check"], failed["observed"]) == ("✗", "overlap", "0.5")


def test_a_record_holds_the_control_or_why_there_is_none():
    InteractiveShell.instance()
    try:
        with capture_output() as captured:
            claims.check("drift", [0.2], below=1, control={"Adam": [2.0, 3.0]}, source="measured")
            claims.check("drift", 0.2, below=1, no_control="a theorem", source="measured")
    finally:
        InteractiveShell.clear_instance()
    controlled, alone = claims.claims_in([{"data": o.data} for o in captured.outputs])
    assert controlled.control == {"Adam": [2.0, 3.0]} and controlled.passed and not controlled.idle_controls
    assert controlled.controls == "Adam: 2, 3"
    assert (alone.control, alone.controls) == ({}, "none: a theorem")
    assert claims.Claim("drift", [0.2], None, 1, "measured").controls == ""


def test_what_is_quoted_is_what_is_checked():
    InteractiveShell.instance()
    try:
        with capture_output() as captured:
            claims.check("drift", [0.25, 0.75], below=1, quote="drift", source="paper, claim 1")
            claims.quote("largest", np.float32(3))
    finally:
        InteractiveShell.clear_instance()
    _, checked, other = captured.outputs
    assert float(checked.data["application/papermill.record/text/plain"]) == 0.5
    assert [kept.metadata["scrapbook"]["name"] for kept in (checked, other)] == ["drift", "largest"]
    # The package that fills it into the text finds it there, and takes it from the page.
    cell = new_code_cell(outputs=[new_output("display_data", o.data, metadata=o.metadata) for o in captured.outputs])
    found = dict(extract_glue_data_cell(cell))
    assert {key: kept["data"]["text/plain"] for key, kept in found.items()} == {"drift": "0.5", "largest": "3.0"}
    assert len(cell.outputs) == 1


@pytest.mark.parametrize("key, value", [("", 1.0), ("key", [])])
def test_a_quotation_has_a_key_and_a_value(key, value):
    with pytest.raises(ValueError, match=r"^(key|value)"):
        claims.quote(key, value)


def test_without_ipython_a_claim_is_checked_all_the_same(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert claims.check("a", 2.0, above=1, source="s") == 2.0
    with pytest.raises(claims.ClaimFailed):
        claims.check("a", 2.0, above=3, source="s")


@pytest.mark.parametrize(
    "value",
    [
        {"first": 0.5},
        "0.5",
        ["0.5", "0.6"],
        b"1",
        {0.5, 0.6},
        [None],
        [[0.5, 0.6]],
        np.array("0.5"),
        np.ma.masked_array([0.5, 9.0], mask=[False, True]),
    ],
)
def test_what_is_no_number_and_no_row_of_numbers_is_refused(value):
    with pytest.raises(TypeError, match=r"^value: got "):
        claims.check("small", value, below=1, source="measured")
    with pytest.raises(TypeError, match=r"^value: got "):
        claims.quote("key", value)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.array(0.5), np.array([0.5, 0.25]), (0.5, 0.25)])
def test_numbers_of_every_kind_are_checked(value):
    assert claims.check("small", value, below=1, source="measured") is value
