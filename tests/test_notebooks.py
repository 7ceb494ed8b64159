"""Every chapter was executed without an error or a warning, with the helpers as they are now.

`book/_ext/execute.py` runs them (`make test` calls it first) and keeps only what went well.
"""

import getpass
import re
import socket

import pytest
from notebook_cache import cached_outputs, is_cached, open_cache
from project import ROOT, notebooks

from helpers import claims

# What a page can show; the values that are kept for the text, and the records of claims, which stand in the ledgers.
SHOWN = re.compile(
    rf"text/(plain|html|markdown|latex)|image/(png|svg\+xml)|application/papermill.record/.*|{re.escape(claims.MIME)}"
)
# What belongs to one machine or moment: a folder, an address in memory, a kernel's number, a time, a bar of progress.
FLEETING = re.compile(
    r"(?<![\w.:/<])/(?:home|root|Users|tmp|var|opt|usr|mnt|work)/\w|\b0x[0-9a-f]{8,}|\bipykernel_\d"
    r"|\b\d{1,2}:\d{2}:\d{2}\b|\b\d+(?:\.\d+)? ?(?:it/s|s/it)\b|\|[█▏▎▍▌▋▊▉ #]{5,}\|"
)


@pytest.fixture(scope="module")
def cache():
    return open_cache(ROOT)


@pytest.fixture
def outputs(cache, page):
    """All outputs of a page, of which every page with code has some."""
    found = cached_outputs(cache, page)
    assert found, "run `make book`"
    return found


@pytest.mark.parametrize("page", notebooks(), ids=lambda page: page.stem)
def test_chapter_was_executed(page):
    assert is_cached(ROOT, page), "run `make book`, and see what it says about this chapter"


@pytest.mark.parametrize("page", notebooks(), ids=lambda page: page.stem)
def test_page_can_show_every_output(outputs, page):
    """Sphinx passes over the records of claims, which the ledgers show; nothing else may get lost with them."""
    for output in outputs:
        assert output.output_type == "stream" or any(map(SHOWN.fullmatch, output.data))


def test_an_output_that_no_page_can_show_is_found():
    assert not any(map(SHOWN.fullmatch, ["application/vnd.plotly.v1+json", "application/json", "text/x"]))


@pytest.mark.parametrize("page", notebooks(), ids=lambda page: page.stem)
def test_page_shows_no_raw_values(outputs, page):
    """The value of a cell's last line, shown as Python prints it, belongs in no page: end the line with `;`."""
    for output in outputs:
        assert output.output_type != "execute_result" or "text/html" in output.data, output.data


@pytest.mark.parametrize("page", notebooks(), ids=lambda page: page.stem)
def test_a_claim_of_the_paper_has_a_control_or_says_why_there_is_none(outputs, page):
    bare = [claim.name for claim in claims.claims_in(outputs) if claim.number and not claim.controls]
    assert not bare, f"control=, no_control=: got neither for {bare}"


def written(output) -> str:
    """The text of an output, pictures that are text (SVG, HTML) included."""
    shown = [value for kind, value in output.get("data", {}).items() if not kind.startswith("image/png")]
    return "\n".join(map(str, [output.get("text", ""), *shown]))


@pytest.mark.parametrize("page", notebooks(), ids=lambda page: page.stem)
def test_page_shows_nothing_of_this_machine_or_moment(outputs, page):
    user, machine = re.escape(getpass.getuser()), re.escape(socket.gethostname())
    own = re.compile(rf"{re.escape(str(ROOT))}|/{user}/|\b{user}@|@{machine}\b")
    for output in outputs:
        text = written(output)
        for found in (FLEETING.search(text), own.search(text)):
            assert not found, text[max(0, found.start() - 60) : found.end() + 60]


@pytest.mark.parametrize(
    "text",
    ["/home/ada/book", "File /tmp/ipykernel_7/1.py", "<Net at 0x7f2a3b4c5d6e>", "12:03:55", "3.1it/s", "|█████     |"],
)
def test_what_is_fleeting_is_found(text):
    assert FLEETING.search(text)
    assert not FLEETING.search("n/d = 2:1, at 3.5 s/d, https://example.org/home/x, </tmp>, 0x1, |x| < 5")
