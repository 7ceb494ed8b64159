"""The figures that a reader can move: by keyboard, and without JavaScript as a still picture."""

import re

import pytest
from project import ROOT

PAGES = [page for page in (ROOT / "book").glob("*.md") if "interactive.explorer(" in page.read_text()]


def explorers(page):
    return page.locator(".explorer").all()


@pytest.mark.parametrize("source", PAGES, ids=lambda path: path.stem)
def test_sliders_move_by_keyboard(browser, site, source):
    page = browser.new_page()
    page.goto(f"{site}/book/{source.stem}.html")
    assert explorers(page)
    for explorer in explorers(page):
        for slider in explorer.locator("input[type=range]").all():
            at_end = slider.input_value() == slider.get_attribute("max")
            before = explorer.locator(".bars").get_attribute("d"), explorer.locator(".note").text_content()
            shown = slider.get_attribute("aria-valuetext")
            slider.focus()
            page.keyboard.press("ArrowLeft" if at_end else "ArrowRight")
            after = explorer.locator(".bars").get_attribute("d"), explorer.locator(".note").text_content()
            assert before[0] != after[0] and before[1] != after[1]
            assert slider.get_attribute("aria-valuetext") != shown
    page.close()


@pytest.mark.parametrize("source", PAGES, ids=lambda path: path.stem)
def test_still_picture_without_javascript(browser, site, source):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site}/book/{source.stem}.html")
    for explorer in explorers(page):
        assert len(explorer.locator(".bars").get_attribute("d")) > 100
        assert re.search(r"\d", explorer.locator(".note").text_content())
        assert len(explorer.locator("svg").get_attribute("aria-label")) > 20
    context.close()
