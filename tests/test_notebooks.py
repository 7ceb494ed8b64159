"""Every chapter was executed without an error or a warning, with the helpers as they are now.

`book/_ext/execute.py` runs them (`make test` calls it first) and keeps only what went well.
"""

import re

import pytest
from notebook_cache import cached_outputs, is_cached, open_cache
from project import ROOT, notebooks

# What a page can show, and the values that `glue` keeps for the text.
SHOWN = re.compile(r"text/(plain|html|markdown|latex)|image/(png|svg\+xml)|application/papermill.record/.*")


@pytest.fixture(scope="module")
def cache():
    return open_cache(ROOT)


@pytest.mark.parametrize("page", notebooks(), ids=lambda page: page.stem)
def test_chapter_was_executed(cache, page):
    assert is_cached(cache, page), "run `make book`, and see what it says about this chapter"


@pytest.mark.parametrize("page", notebooks(), ids=lambda page: page.stem)
def test_page_can_show_every_output(cache, page):
    """Sphinx is told to pass over the records of claims; nothing else may get lost with them."""
    for output in cached_outputs(cache, page):
        assert output.output_type == "stream" or any(map(SHOWN.fullmatch, output.data))


@pytest.mark.parametrize("page", notebooks(), ids=lambda page: page.stem)
def test_page_shows_no_raw_values(cache, page):
    """The value of a cell's last line, shown as Python prints it, belongs in no page: end the line with `;`."""
    for output in cached_outputs(cache, page):
        assert output.output_type != "execute_result" or "text/html" in output.data, output.data
