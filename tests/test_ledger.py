"""The ledgers of the pages: what their one line says, what their rows and pictures show."""

import re

import ledger
import pytest
from ledger import DOT, WIDTH, Entry
from nbformat.v4 import new_output

from helpers.claims import MIME, QUOTED, Claim


def claim(values, above=None, below=None, **more):
    return Claim(more.pop("name", "overlap"), values, above, below, "paper, claim 3", **more)


def test_the_line_counts_and_names_the_check_nearest_to_its_bound():
    near, far = claim([0.84, 0.81, 0.9], above=0.65), claim([0.1, 0.2, 0.3], below=10, name="drift")
    line = ledger.summary_line([far, near], "Text")
    assert re.sub("<.*?>", "", line) == (
        "Text: ✓ 2 checks, three seeds each. Nearest to its bound: overlap, 0.81 where above 0.65 is required."
    )
    assert "✗ 1 check</b>." in ledger.summary_line([claim([0.2], above=0.5)])
    assert "seeds each" not in ledger.summary_line([near, claim([0.1], below=1)])


def test_the_worst_of_a_mean_is_the_mean():
    assert ledger.worst(claim([0.2, 0.6], above=0.1, mean=True)) == pytest.approx(0.4)
    assert ledger.worst(claim([0.2, 0.6, 0.9], above=0.1, below=1.0)) == 0.9


def test_a_row_leads_back_to_its_sentence_where_there_is_one():
    controlled = claim([-0.8, 0.9], above=-1, name="a < b", quote="lr_top", control={"shuffled": [-2.0]})
    row = ledger.table_row(ledger.entry(controlled, "book/large_rates", {"lr_top"}))
    assert '<tr id="check-large-rates-lr-top">' in row and 'href="#said-large-rates-lr-top"' in row
    assert "a &lt; b" in row and "shuffled: −2" in row and "above −1" in row
    silent = ledger.table_row(ledger.entry(controlled, "book/large_rates", set()))
    assert "href" not in silent and 'id="check-large-rates-lr-top"' in silent
    assert ledger.table_row(Entry(claim([1.0], above=0))).startswith("<tr><th")


def centers(picture: str, kind: str) -> list[float]:
    return [float(x) for x in re.findall(rf'<circle class="{kind}" cx="(\d+)"', picture)]


def test_the_picture_has_seeds_inside_the_bounds_and_controls_outside():
    drawn = ledger.picture(claim([0.8, 0.9], above=0.5, below=1.0, control={"shuffled": [0.1], "far": [-90.0]}))
    left, width = (float(v) for v in re.search(r'<rect class="ok" x="(\d+)" y="3" width="(\d+)"', drawn).groups())
    assert all(left < x < left + width for x in centers(drawn, "seed")) and len(centers(drawn, "seed")) == 2
    assert all(DOT - 1 < x < left for x in centers(drawn, "control")) and len(centers(drawn, "control")) == 2
    assert 'aria-label="observed 0.8, 0.9 (mean 0.85, sd 0.071), above 0.5 and below 1"' in drawn


@pytest.mark.parametrize("values", [[0.3], [0.0, 0.0], [float("nan"), 0.3], [float("inf"), 0.3]])
def test_every_claim_has_a_picture(values):
    drawn = ledger.picture(claim(values, above=0.0, control={"one": [5.0]}))
    assert all(0 <= x <= WIDTH for x in centers(drawn, "seed") + centers(drawn, "control"))


def test_what_shows_nothing_is_told_from_what_does():
    records = [{MIME: {}}, {f"{QUOTED}text/plain": "0.5"}]
    assert all(ledger.is_record(new_output("display_data", data)) for data in records)
    assert not any(ledger.is_record(new_output("display_data", data)) for data in [{"image/png": ""}, {}])
    assert not ledger.is_record(new_output("stream", text="a table"))
