"""Claims pass, fail and are recorded."""

import math
import sys

import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

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
        ([0.1, math.nan], {"below": 0.5, "mean": True}),
    ],
)
def test_a_missed_bound_raises(value, bounds):
    with pytest.raises(claims.ClaimFailed, match=r"spike.*observed.*expected.*claim 3"):
        claims.check("spike", value, source="claim 3", **bounds)


@pytest.mark.parametrize(
    "name, kwargs",
    [
        ("name", {"name": " "}),
        ("source", {"source": ""}),
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
        "source": "paper, claim 1",
    }  # fmt: skip
    assert "0.002, 0.003 (mean 0.0025, sd 0.00071)" in bundle["text/plain"] and "below 0.01" in bundle["text/plain"]


def test_without_ipython_a_claim_is_checked_all_the_same(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", None)
    assert claims.check("a", 2.0, above=1, source="s") == 2.0
    with pytest.raises(claims.ClaimFailed):
        claims.check("a", 2.0, above=3, source="s")
