"""The benchmarks measure what they say, and the page shows the record whole. No time is asserted."""

import itertools
import math
import subprocess
import sys
import time

import kept
import numpy as np
import pytest
import torch
from notebook_cache import cached_outputs, open_cache
from project import ROOT

from benchmarks import book, environments, growth, kernels, limits, models, optimizers, record, tails, timing
from benchmarks.__main__ import cases
from benchmarks.case import COLUMNS, Case, relative
from helpers import networks
from helpers.training import Muon

KEY = ["group", "name", "n", "numerator", "denominator"]


class Clock(timing.Side):
    """A side that says it took the given seconds, one after the other, and writes down that it was called."""

    def __init__(self, name, seconds, calls):
        self.name, self.seconds, self.calls = name, iter(seconds), calls

    def __call__(self):
        self.calls.append(self.name)
        self.result = next(self.seconds)
        return self.result


def test_both_sides_take_turns_and_the_first_round_does_not_count():
    calls = []
    found = timing.ratio(Clock("a", [100, 2, 6, 9], calls), Clock("b", [1, 1, 2, 1], calls), 4)
    assert found == (2, 3, 9)
    assert calls == ["a", "b"] * 4


def test_a_single_round_counts():
    assert timing.ratio(Clock("a", [6], []), Clock("b", [2], []), 1) == (3, 3, 3)


def test_no_round_is_refused():
    with pytest.raises(ValueError, match=r"^rounds"):
        timing.ratio(Clock("a", [], []), Clock("b", [], []), 0)


def test_a_timed_function_keeps_its_result():
    side = timing.Timed(lambda: 7)
    assert side() >= 0 and side.result == 7


def test_a_short_function_is_called_until_its_time_can_be_told(monkeypatch):
    ticks = itertools.count(step=0.02)
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    calls = []
    assert timing.Timed(lambda: calls.append(1))() == pytest.approx(0.02)
    assert len(calls) == 3


def test_a_case_becomes_a_row():
    sides = Clock("a", [8.0], []), Clock("b", [2.0], [])
    row = Case("peers", "task", 5, "other", "helpers", lambda: sides, 1, lambda a, b: a - b, 3.0).measure()
    expected = ["peers", "task", 5, "other", "helpers", 3.0, 4.0, 4.0, 4.0, 6.0, ""]
    assert row == dict(zip(COLUMNS, expected, strict=True))


def test_a_missing_peer_leaves_a_row_that_says_why():
    def make():
        raise environments.PeerMissing("no wheel")

    row = Case("peers", "task", 5, "other", "helpers", make).measure()
    assert row["ratio"] is None and row["note"] == "not measured: no wheel"


SCRIPT = """
from serve import serve


def prepare(given):
    print("this is no answer")
    return lambda: 2 * given["x"], "doubled"


serve(prepare)
"""


@pytest.fixture
def scripts(tmp_path, monkeypatch):
    """A folder for scripts of peers, which run in this environment."""
    (tmp_path / "serve.py").write_text((environments.SCRIPTS / "serve.py").read_text())
    monkeypatch.setattr(environments, "SCRIPTS", tmp_path)
    monkeypatch.setattr(environments, "interpreter", lambda name: sys.executable)
    return tmp_path


def test_a_peer_is_timed_in_its_own_process(scripts):
    (scripts / "double.py").write_text(SCRIPT)
    with environments.Peer("any", "double", x=np.arange(3)) as peer:
        assert [peer() >= 0, peer() >= 0] == [True, True]
        assert peer.result.tolist() == [0, 2, 4] and peer.note == "doubled"
    assert peer._process.returncode == 0


def test_a_peer_that_fails_says_why(scripts):
    (scripts / "broken.py").write_text("raise ImportError('no jax')")
    with pytest.raises(environments.PeerMissing, match="no jax"):
        environments.Peer("any", "broken", x=np.zeros(1))


def test_a_peer_that_fails_later_says_why(scripts):
    (scripts / "late.py").write_text("from serve import serve\nserve(lambda given: (lambda: 1 / 0, ''))")
    peer = environments.Peer("any", "late", x=np.zeros(1))
    with pytest.raises(environments.PeerMissing, match="ZeroDivisionError"):
        peer()


def run_once(sides):
    with sides[0] as first, sides[1] as second:
        first(), second()
        return first.result, second.result


@pytest.mark.parametrize(
    "net, shape",
    [
        (kernels.two_layers(20, 30), (9, 20)),
        (networks.mlp(12, 1, width=8), (9, 12)),
        (kernels.convolutions(), (5, *kernels.IMAGE)),
        (kernels.convolutions(3), (5, *kernels.IMAGE)),
        (kernels.hidden_units(), (5, *kernels.IMAGE)),
    ],
)
def test_jacobians_give_the_same_kernel(net, shape):
    assert relative(*run_once(kernels.jacobian(net.double(), kernels.inputs(*shape).double()))) < 1e-10


@pytest.mark.filterwarnings("ignore")  # powerlaw reports its own fits
@pytest.mark.parametrize("sample", [tails.pareto, tails.bulk])
def test_powerlaw_finds_the_same_tail(sample):
    assert relative(*run_once(tails.pair(sample(300)))) < 1e-6


@pytest.mark.filterwarnings("ignore")  # so does WeightWatcher
def test_weight_watcher_finds_the_same_exponents():
    net = networks.mlp(60, 1, width=50, depth=2)
    watched, ours = run_once(models.pair(net))
    assert set(watched) == {"hidden1.weight", "hidden2.weight"}
    assert models.difference(watched, ours) < 1e-6
    assert models.difference({name: (2 * alpha, size) for name, (alpha, size) in watched.items()}, ours) > 0.1


def test_torch_takes_the_same_step_of_muon():
    pair = optimizers.step(torch.optim.Muon, (60, 40)), optimizers.step(Muon, (60, 40))
    assert relative(*run_once(pair)) < 0.05  # bfloat16 keeps two or three digits


def test_the_sizes_of_growth_are_in_proportion():
    assert [growth.sizes(n) for n in (500, 2000)] == [(250, 375), (limits.D, limits.H)]


def test_the_record_has_every_row_of_the_code():
    rows = record.read()
    assert list(rows.columns) == list(COLUMNS)
    assert rows.name.iloc[-1] == book.NAME
    rows = rows.iloc[:-1]
    found = [tuple(row) for row in rows[KEY].itertuples(index=False)]
    assert found == [tuple(getattr(case, key) for key in KEY) for case in cases()]
    assert rows.goal.fillna(0).tolist() == [case.goal or 0 for case in cases()]


def test_ratios_are_positive_and_gaps_are_explained():
    for row in record.read().itertuples():
        if math.isnan(row.ratio):
            assert row.note.startswith("not measured: ")
        elif row.name == book.NAME:
            assert row.ratio > 0
        else:
            assert 0 < row.low <= row.ratio <= row.high


def test_both_sides_of_the_record_agree():
    """As far as single precision allows, torch's bfloat16 for Muon and freealg's distance from the real axis."""
    for row in record.read().itertuples():
        if not math.isnan(row.difference):
            assert row.difference < (0.05 if row.numerator in ("freealg", "torch.optim.Muon") else 0.01), row


def test_a_record_reads_back(tmp_path, monkeypatch):
    rows = [case.measure() for case in [Case("peers", 'a "b", c', 5, "x", "y", lambda: (torch_side(), torch_side()))]]
    page = tmp_path / "page.md"
    page.write_text('before\nmachine = ""\nrecord = """\\\nold\n"""\nafter\n')
    monkeypatch.setattr(record, "PAGE", page)
    monkeypatch.setattr(subprocess, "run", lambda *command, **options: None)
    record.write(rows, "a machine")
    assert record.read()[KEY].values.tolist() == [["peers", 'a "b", c', 5, "x", "y"]]
    assert page.read_text().startswith('before\nmachine = "a machine"\n') and page.read_text().endswith('"""\nafter\n')


def torch_side():
    return timing.Timed(lambda: torch.zeros(2))


def test_page_without_a_record_is_refused(tmp_path, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("nothing")
    monkeypatch.setattr(record, "PAGE", page)
    with pytest.raises(ValueError, match=r"^page.md"):
        record.write([], "a machine")


def test_page_shows_every_row():
    outputs = cached_outputs(open_cache(ROOT), record.PAGE)
    shown = "".join(output.get("data", {}).get("text/html", "") for output in outputs)
    assert shown, "run `make book`, and see what it says about the benchmarks"
    for row in record.read().itertuples():
        assert f">{row.name}</th>" in shown
    assert shown.count("<tr>") >= sum(case.group != "growth" for case in cases())


def test_the_whole_book_is_the_sum_of_its_chapters(monkeypatch):
    monkeypatch.setattr(book, "key_of", lambda path: path.stem)
    monkeypatch.setattr(kept, "load", lambda name: kept.Execution([], 1.0, 0.0 if name == "benchmarks" else 7.0, 1, ""))
    chapters = len(list((ROOT / "book").glob("*.ipynb"))) - 1
    assert book.row()["ratio"] == 7.0 * chapters and not book.row()["note"]
    monkeypatch.setattr(kept, "load", lambda name: None)
    assert book.row()["ratio"] is None and "make book" in book.row()["note"]
