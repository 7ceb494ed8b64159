"""A reference shows what it points to: to the pointer, to the keyboard and to a screen reader."""

import accessibility
import pytest

LINK = ".bd-article a.reference.internal"
PREVIEWS = {  # what is pointed to: page, link, what the preview must hold
    "term": ("gradient_descent", "[href*='glossary.html#term-']", "dd"),
    "theorem": ("large_learning_rates", "[href*='random_matrix_laws.html#thm-']", "mjx-container"),
    "equation": ("large_learning_rates", "[href^='#equation-']", "mjx-container"),
    "figure": ("large_learning_rates", "[href^='#fig-']", "img"),
    "source": ("large_learning_rates", "[href*='references.html#source-']", ".label"),
    "chapter": ("story", "[href='gradient_descent.html']", "h1"),
}


@pytest.fixture
def link(page, site):
    """A link to a term, on an open page."""
    name, selector, _ = PREVIEWS["term"]
    page.goto(f"{site}/book/{name}.html")
    return page.locator(LINK + selector).locator("visible=true").first


@pytest.mark.parametrize("kind", PREVIEWS)
def test_pointer_shows_the_target(page, site, kind):
    name, selector, content = PREVIEWS[kind]
    page.goto(f"{site}/book/{name}.html")
    page.locator(LINK + selector).locator("visible=true").first.hover()
    preview = page.get_by_role("tooltip")
    preview.wait_for()
    assert preview.locator(content).count()
    assert len(preview.inner_text()) > 20 or content in ("img", "mjx-container")
    assert page.evaluate("document.querySelector('#preview img')?.naturalWidth !== 0")


def test_keyboard_shows_and_escape_closes(page, link):
    preview = page.locator("#preview")
    link.focus()
    preview.wait_for()
    assert link.get_attribute("aria-describedby") == preview.get_attribute("id")
    page.keyboard.press("Escape")
    assert preview.is_hidden() and link.get_attribute("aria-describedby") is None
    assert link.evaluate("(element) => element === document.activeElement")


def test_pointer_can_move_onto_the_preview_and_away(page, link):
    preview = page.locator("#preview")
    link.hover()
    preview.wait_for()
    preview.hover()
    page.wait_for_timeout(500)
    assert preview.is_visible()
    page.mouse.move(5, 5)
    preview.wait_for(state="hidden")


def test_copy_repeats_no_id(page, site):
    name, selector, _ = PREVIEWS["equation"]
    page.goto(f"{site}/book/{name}.html")
    page.locator(LINK + selector).locator("visible=true").first.hover()
    page.locator("#preview").wait_for()
    assert not page.locator("#preview [id]").count()


def test_preview_breaks_no_rule_of_accessibility(page, link):
    link.focus()
    page.locator("#preview").wait_for()
    accessibility.start(page)
    found = accessibility.structure(page)
    accessibility.keep_one_of_each_kind(page)
    assert not found + accessibility.colors(page)
