"""The figures that a reader can move: by keyboard and pointer, on paper, and without JavaScript as still pictures."""

import re

import pytest
from conftest import cleared
from project import ROOT

CALL = re.compile(r"^ *interactive\.(curve_explorer|explorer|evolution|phase_diagram|tail_explorer)\(", re.MULTILINE)
PAGES = {path.stem: CALL.findall(path.read_text()) for path in sorted((ROOT / "book").glob("*.md"))}
PAGES = {name: calls for name, calls in PAGES.items() if calls}

on_every_page = pytest.mark.parametrize("name", PAGES, scope="module")


@pytest.fixture(scope="module")
def page(tab, site, name):
    """The page, opened once for all tests; each leaves its figures in some state, in which the next one finds them."""
    cleared(tab).goto(f"{site}/book/{name}.html")
    return tab


@pytest.fixture(scope="module")
def still_tab(browser):
    with browser.new_context(java_script_enabled=False) as context:
        yield context.new_page()


@pytest.fixture
def still_page(still_tab, site, name):
    still_tab.goto(f"{site}/book/{name}.html")
    return still_tab


def explorers(page):
    return page.locator(".explorer").all()


def drawing(explorer):
    return [svg.inner_html() for svg in explorer.locator("svg").all()]


def notes(explorer):
    return explorer.locator(".note").all_text_contents()


def test_the_book_has_all_five_kinds():
    assert {call for calls in PAGES.values() for call in calls} == {
        "curve_explorer",
        "explorer",
        "evolution",
        "phase_diagram",
        "tail_explorer",
    }


@on_every_page
def test_controls_move_by_keyboard(page, name):
    assert len(explorers(page)) == len(PAGES[name])
    for explorer in explorers(page):
        for control in explorer.locator("input[type=range], select").all():
            last = control.evaluate("e => e.value === (e.max ?? String(e.length - 1))")
            before = drawing(explorer), notes(explorer)
            read = control.get_attribute("aria-valuetext")
            back, forth = ("ArrowUp", "ArrowDown") if read is None else ("ArrowLeft", "ArrowRight")
            control.focus()
            page.keyboard.press(back if last else forth)
            assert drawing(explorer) != before[0] and notes(explorer) != before[1]
            assert control.evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
            if read is not None:
                assert control.get_attribute("aria-valuetext") != read
                assert control.locator("+ output").text_content() == control.get_attribute("aria-valuetext")


@on_every_page
def test_every_note_is_also_in_the_table(page, name):
    for explorer in explorers(page):
        cells = explorer.locator("td").all_text_contents()
        control = explorer.locator("input").first
        control.focus()
        for key in ("Home", "ArrowRight", "End"):
            page.keyboard.press(key)
            assert set(notes(explorer)) <= set(cells)


@pytest.mark.parametrize("name", [n for n, calls in PAGES.items() if "phase_diagram" in calls], scope="module")
def test_a_pointer_on_the_phase_diagram_shows_the_spectrum_there(page, name):
    explorer = page.locator(".explorer", has=page.locator("[data-state]"))
    fields = explorer.locator("[data-state]")
    seen = set()
    for k in (0, fields.count() // 2, fields.count() - 1):
        fields.nth(k).hover()
        sliders = explorer.locator("input").all()
        at = [int(slider.input_value()) for slider in sliders]
        index = 0
        for place, slider in zip(at, sliders, strict=True):
            index = index * (int(slider.get_attribute("max")) + 1) + place
        assert index == k
        texts = [slider.get_attribute("aria-valuetext") for slider in sliders]
        assert re.match(rf"Batches of {texts[0]}, {texts[1]} times .*, seed {texts[2]}:", notes(explorer)[0])
        seen.add((drawing(explorer)[1], *notes(explorer)))
    assert len(seen) == 3


@on_every_page
def test_still_picture_and_table_without_javascript(still_page, name):
    for explorer in explorers(still_page):
        for svg in explorer.locator("svg").all():
            assert svg.is_visible() and len(svg.get_attribute("aria-label")) > 20
            assert svg.locator("path").count() > 3
        assert all(re.search(r"\d", note) for note in notes(explorer))
        assert not explorer.locator(".controls").is_visible()
        assert "stands still" in explorer.inner_text()
        explorer.locator("summary").click()
        rows = explorer.locator("tbody tr")
        states = 1 + int(explorer.locator("input[type=range]").first.get_attribute("max"))
        assert rows.first.is_visible() and rows.count() >= min(8, states) > 1
        assert set(notes(explorer)) <= set(explorer.locator("td").all_text_contents())


@on_every_page
def test_on_paper_the_state_stays_and_the_handles_go(page, name):
    page.emulate_media(media="print")
    handles = [handle.is_visible() for explorer in explorers(page) for handle in explorer.locator("input").all()]
    parts = [part.is_visible() for explorer in explorers(page) for part in explorer.locator("svg, .note, label").all()]
    page.emulate_media(media="screen")
    assert handles and not any(handles)
    assert parts and all(parts)
