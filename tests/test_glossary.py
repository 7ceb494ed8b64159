"""The words of the book: a glossary, linked where a chapter first uses a term; and the story told in figures."""

import re

import pytest
from project import ROOT, chapters

GLOSSARY = (ROOT / "book" / "glossary.md").read_text()
TERM = re.compile(r"\{term\}`(?:[^`<]*<)?([^`>]+)>?`")


def entries() -> dict[str, str]:
    """Every term of the glossary and its definition."""
    blocks = re.findall(r"^(\S.*(?:\n\S.*)*)\n  (.+)$", GLOSSARY.split("```{glossary}\n")[1], re.MULTILINE)
    return {term.lower(): text for terms, text in blocks for term in terms.split("\n")}


@pytest.mark.parametrize("page", chapters(), ids=lambda page: page.stem)
def test_chapter_links_its_terms_once(page):
    terms = [term.lower() for term in TERM.findall(page.read_text())]
    assert len(terms) >= 3 and len(set(terms)) == len(terms)
    assert set(terms) <= set(entries())


def test_glossary_is_sorted_and_names_a_chapter_for_every_term():
    terms = [text.split("\n")[0].lower() for text in GLOSSARY.split("```{glossary}\n")[1].split("\n\n")]
    assert terms == sorted(terms) and len(terms) >= 40
    assert all("{doc}`" in text for text in entries().values())


def test_story_has_one_figure_of_each_of_six_chapters_in_their_order():
    story = (ROOT / "book" / "story.md").read_text()
    shown = re.findall(r"```\{figure-of\} (\S+) \S+\nFrom \{doc\}`\1`\.\n```", story)
    assert len(shown) == 6
    assert shown == [page.stem for page in chapters() if page.stem in shown]


def test_no_formula_in_a_table_writes_a_norm_with_escaped_bars():
    # In a table the escape is that of the column's bar, so one bar is left of two.
    rows = [line for path in (ROOT / "book").glob("*.md") for line in path.read_text().split("\n") if line[:1] == "|"]
    assert len(rows) > 50 and not [row for row in rows if r"\|" in row]


def test_references_have_accents_and_no_tex():
    assert not re.search(r"\\(?!url)", (ROOT / "book" / "references.bib").read_text())
