"""What the claims page and `make claims` make of the records of claims."""

import math

import claims_table
import nbformat
import pytest
import rerun_claims
from build_record import cost, in_use, read_pins

from helpers.claims import Claim


def claim(values, above=None, below=None, source="paper, claim 3", name="drift"):
    return Claim(name, values, above, below, source)


@pytest.mark.parametrize(
    "values, bounds, margin",
    [
        ([0.002, 0.004], {"below": 0.005}, 0.2),
        ([8.0, 6.0], {"above": 4.0}, 0.5),
        ([-0.5, -0.4], {"below": -0.2}, 1.0),
        ([1.0, 1.2], {"above": 0.5, "below": 1.5}, 0.6),
        ([0.03, 0.05], {"above": 0.0}, 0.6),
        ([0.006], {"below": 0.005}, -0.2),
        ([0.0, 0.0], {"above": 0.0}, 0.0),
        ([0.1, math.nan], {"below": 0.5}, -math.inf),
    ],
)
def test_margin_is_that_of_the_worst_value(values, bounds, margin):
    assert claim(values, **bounds).margin == pytest.approx(margin)
    assert claim(values, **bounds).passed == (margin > 0)


def test_a_claim_on_the_mean_has_the_margin_of_the_mean():
    good, bad = (Claim("drift", values, 0.0, None, "measured", mean=True) for values in ([-0.02, 0.08], [-0.06, 0.02]))
    assert (good.passed, bad.passed) == (True, False)
    assert good.margin == pytest.approx(0.375) and bad.margin == pytest.approx(-1 / 3)
    assert good.required == "mean above 0" and good.observed.startswith("-0.02, 0.08 (mean 0.03")
    assert not Claim("drift", [-0.02, 0.08], 0.0, None, "measured").passed
    assert not Claim("drift", [math.nan, 0.08], 0.0, None, "measured", mean=True).passed


@pytest.mark.parametrize(
    "source, number, refutes",
    [
        ("paper, claim 3", 3, False),
        ("paper, claim 7 (refutes claim 3)", 7, True),
        ("measured", None, False),
        ("claim 12", None, False),
    ],
)
def test_source_says_where_a_check_belongs(source, number, refutes):
    assert (claim([1.0], above=0.0, source=source).number, claim([1.0], above=0.0, source=source).refutes) == (
        number, refutes,
    )  # fmt: skip


def test_a_few_values_are_spelled_out_and_many_are_not():
    assert claim([0.1, 0.3], below=1).observed == "0.1, 0.3 (mean 0.2, sd 0.14)"
    assert claim([0.1] * 12 + [0.9], below=1).observed.startswith("13 values from 0.1 to 0.9 (mean ")
    assert claim([0.1], above=0, below=1).required == "above 0 and below 1"


GOOD, BAD = claim([0.1], below=1.0), claim([2.0], below=1.0)
AGAINST = claim([0.1], below=1.0, source="paper, claim 3 (refutes a part of it)")


@pytest.mark.parametrize(
    "found, verdict",
    [
        ([], "not tested"),
        ([GOOD], "holds"),
        ([GOOD, AGAINST], "holds in part"),
        ([AGAINST], "refuted"),
        ([GOOD, BAD, AGAINST], "FAILS"),
    ],
)
def test_verdict(found, verdict):
    assert claims_table.verdict(found) == verdict


def test_a_claim_gathers_its_checks_from_all_pages():
    found = {"book/a": [GOOD, claim([1.0], above=0.0, source="measured")], "book/b": [claim([2.0], above=0.0)], "c": []}
    of_three = claims_table.of_claim(found, 3)
    assert {page: len(claims) for page, claims in of_three.items()} == {"book/a": 1, "book/b": 1}
    assert list(claims_table.of_claim(found, None)) == ["book/a"]
    text = claims_table.account(of_three)
    assert text == "**Holds.** Tested in {doc}`/book/a`, {doc}`/book/b` by 2 checks, all passed."
    assert "1 did not pass" in claims_table.account({"a": [BAD]})
    assert claims_table.summary_row(3, of_three, "drift")[1:] == ("holds", "drift", "2", "0", "90%")
    controlled = Claim("overlap", [0.8], 0.6, None, "paper, claim 3", control={"shuffled labels": [0.05]})
    assert claims_table.summary_row(3, {"a": [controlled, GOOD]})[2:] == ("–", "2", "1", "33%")


def test_cost_is_rounded():
    long, short = ({"seconds": s, "products": s / 0.1, "peak_memory": 2_345_678_901} for s in (280.4, 12.3))
    assert cost(long) == "4.7 minutes, the cost of 2,804 products, 2.3 GB of memory at most"
    assert cost(short).startswith("12 seconds, the cost of 123 products")


def test_versions_that_differ_from_the_pin_say_so():
    pins = read_pins("torch==2.13.0\n# none\nsphinx-book-theme==1.1.4\n")
    assert pins == {"torch": "2.13.0", "sphinx-book-theme": "1.1.4"}
    version = nbformat.__version__
    assert in_use("nbformat", version) == version
    assert in_use("nbformat", "0.1") == f"{version} (pinned: 0.1)"
    assert in_use("no-such-package", "0.1") == "not installed (pinned: 0.1)"


PARAMETERS = """n, d = 20, 10
seeds = [0, 1, 2]
step_seeds = [0, 1, 2, 3, 4]  # a longer list
reseeds = [1]"""
CHECKS = """numbers = [float(s) for s in seeds]
claims.check("too large", numbers, below=5, control={"tenfold": 70}, source="paper, claim 1")
claims.check("fifth", step_seeds[-1], above=10, source="measured")"""


def chapter(*cells: str) -> nbformat.NotebookNode:
    new = nbformat.v4.new_code_cell
    head = [new("from helpers import claims"), new(PARAMETERS, metadata={"tags": ["parameters"]})]
    return nbformat.v4.new_notebook(cells=head + [new(cell) for cell in cells])


def test_every_list_of_seeds_is_replaced():
    assert rerun_claims.seed_lists(PARAMETERS) == {"seeds": 3, "step_seeds": 5}
    injected = rerun_claims.reseeded(chapter(), [7, 9, 8]).cells[2]
    assert injected.source.startswith("seeds = [7, 9, 8]\nstep_seeds = [7, 9, 8, 10, 11]\n")


def test_a_rerun_records_failures_and_goes_on(tmp_path):
    path = tmp_path / "small.ipynb"
    nbformat.write(chapter(CHECKS, "1 / 0", CHECKS.splitlines()[-1]), path)
    rows = list(rerun_claims.report("small", rerun_claims.rerun(path, [7, 8, 9])))
    assert [row[1:] for row in rows] == [
        ("too large", "below 5", "7, 8, 9 (mean 8, sd 1)", "tenfold: 70", "NO"),
        ("fifth", "above 10", "11", "", "yes"),
        ("a cell raised", "no error", "ZeroDivisionError: division by zero", "", "NO"),
        ("fifth", "above 10", "11", "", "yes"),
    ]


@pytest.mark.parametrize("seeds", [["31", "32"], ["31", "31", "32"], ["31", "32", "-3"], ["31", "32", "x"], []])
def test_too_few_or_odd_seeds_are_refused(seeds, capsys):
    with pytest.raises(SystemExit):
        rerun_claims.parse(["--seeds", *seeds], ["index"])
    assert "seeds" in capsys.readouterr().err.lower()


def test_an_unknown_chapter_is_refused(capsys):
    with pytest.raises(SystemExit):
        rerun_claims.parse(["--seeds", "1", "2", "3", "--chapters", "nothing"], ["index"])
    assert "got nothing, expected some of index" in capsys.readouterr().err
    assert rerun_claims.parse(["--seeds", "1", "2", "3", "--chapters"], ["index"]) == (["index"], [1, 2, 3])
