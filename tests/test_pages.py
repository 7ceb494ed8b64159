"""The built pages in a browser: on a desk and on a phone, in light and in dark.

One visit of a page collects what all tests here ask about it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import accessibility
import pytest
from conftest import cleared
from project import BUILD, REPOSITORY, ROOT, chapters, is_notebook, pages
from reading_copy import BRANCH
from test_explorers import PAGES as EXPLORERS

DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"
FACTS = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const place = (e) => (({left, right, width, height}) => ({left, right, width, height}))(e.getBoundingClientRect());
  const root = document.documentElement;
  return {
    unrendered: all(".math").filter((e) => !e.querySelector("mjx-container")).map((e) => e.textContent),
    broken: all("mjx-merror").map((e) => e.textContent),
    overflow: root.scrollWidth - root.clientWidth,
    launch: all("a[href*='colab.research'], a[href*='mybinder']").map((e) => e.href),
    images: all("article img").map((e) => ({
      source: e.getAttribute("src"),
      text: e.alt,
      loaded: e.naturalWidth > 0,
      caption: e.closest("figure")?.querySelector(".caption-text")?.textContent ?? "",
      number: e.closest("figure")?.querySelector(".caption-number")?.textContent ?? "",
      background: getComputedStyle(e).backgroundColor,
      filter: getComputedStyle(e).filter,
    })),
    explorers: all(".explorer").map((explorer) => ({
      background: getComputedStyle(explorer).backgroundColor,
      card: place(explorer),
      parts: [...explorer.querySelectorAll("svg, input, select, output")].filter((e) => e.getClientRects().length)
        .map((e) => ({kind: e.localName, units: e.viewBox?.baseVal.width, ...place(e)})),
    })),
  };
}"""
# How formulas sit in their lines: the mark behind a formula against its right end, the bracket before it against its
# left end, and its right end against that of the paragraph.
INLINE = r"""() => {
  const place = (text, k) => {
    const mark = new Range();
    mark.setStart(text, k);
    mark.setEnd(text, k + 1);
    return mark.getBoundingClientRect();
  };
  const gaps = [], beyond = [];
  for (const e of document.querySelectorAll("p span.math")) {
    const formula = e.lastElementChild?.getBoundingClientRect();
    if (!formula) continue;
    const [before, behind] = [e.previousSibling, e.nextSibling];
    if (/[(]$/.test(before?.data)) gaps.push(formula.left - place(before, before.length - 1).right);
    if (/^[.,;:!?)]/.test(behind?.data)) gaps.push(place(behind, 0).left - formula.right);
    beyond.push(formula.right - e.closest("p").getBoundingClientRect().right);
  }
  return {gaps, beyond};
}"""
# Each displayed formula with its width and the room it has, those in folded solutions included.
DISPLAYED = """() => {
  for (const solution of document.querySelectorAll("details, .toggle-hidden")) {
    solution.open = true;
    solution.classList.remove("toggle-hidden");
  }
  document.getAnimations().forEach((fading) => fading.finish());  // axe would meet pale text
  return [...document.querySelectorAll("div.math")].map((e) => {
    const width = e.querySelector("mjx-math")?.getBoundingClientRect().width ?? 0;
    return [e.textContent, width, e.getBoundingClientRect().width];
  });
}"""


@dataclass(frozen=True)
class View:
    """What the tests ask about a page in a window of one width."""

    facts: dict[str, dict]  # by color scheme
    axe: list[dict]
    formulas: dict


@dataclass(frozen=True)
class Visit:
    """What the tests ask about a page, from one load of it on a desk and one on a phone."""

    page: str
    errors: list[str]  # console and uncaught
    requests: list[str]
    desk: View
    phone: View

    @property
    def facts(self) -> list[dict]:
        """Of both widths in both schemes."""
        return [facts for view in (self.desk, self.phone) for facts in view.facts.values()]

    @property
    def is_chapter(self) -> bool:
        return ROOT / f"{self.page}.md" in chapters()


@pytest.fixture(scope="module", params=pages(), ids=lambda page: Path(page).name)
def visit(request, tab, site) -> Visit:
    errors, requests = [], []
    listeners = {
        "console": lambda message: errors.append(message.text) if message.type == "error" else None,
        "pageerror": lambda error: errors.append(str(error)),
        "request": lambda sent: requests.append(sent.url),
    }
    cleared(tab)
    for event, listener in listeners.items():
        tab.on(event, listener)
    # A page is opened in one scheme on a desk, in the other on a phone, and looked at in both.
    address = f"{site}/{request.param}.html"
    desk = look(tab, address, DESK, ("light", "dark"), errors)
    phone = look(tab, address, PHONE, ("dark", "light"), errors)
    tab.goto("about:blank")
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)
    return Visit(request.param, errors, requests, desk, phone)


def look(tab, address: str, size: dict, schemes: tuple[str, str], errors: list[str]) -> View:
    facts, axe = {}, []
    tab.set_viewport_size(size)
    tab.emulate_media(color_scheme=schemes[0])
    tab.goto(address, wait_until="load")
    tab.evaluate("async () => { await window.MathJax?.startup?.promise; }")
    accessibility.start(tab)
    for scheme in schemes:
        switch(tab, scheme)
        facts[scheme] = tab.evaluate(FACTS)
    axe += accessibility.structure(tab)
    formulas = tab.evaluate(INLINE) | {"displayed": tab.evaluate(DISPLAYED)}
    heard = len(errors)
    accessibility.keep_one_of_each_kind(tab)
    for scheme in reversed(schemes):
        switch(tab, scheme)
        axe += accessibility.colors(tab)
    del errors[heard:]  # of scripts that miss what was taken away
    return View(facts, axe, formulas)


def switch(tab, scheme: str) -> None:
    """The page is told of the scheme of its reader and takes it up a moment later."""
    tab.emulate_media(color_scheme=scheme)
    tab.wait_for_function("(scheme) => document.documentElement.dataset.theme === scheme", arg=scheme)


def test_no_console_error(visit):
    assert not visit.errors


def test_nothing_comes_from_elsewhere(visit, site):
    assert visit.requests and not [url for url in visit.requests if not url.startswith(site)]


def test_all_math_is_rendered(visit):
    for facts in visit.facts:
        assert not facts["unrendered"]
        assert not facts["broken"]


def test_page_does_not_scroll_sideways(visit):
    assert max(facts["overflow"] for facts in visit.facts) <= 0


def test_figures_have_number_caption_and_alternative_text(visit):
    for image in images(visit):
        assert image["loaded"], image
        assert re.match(r"Fig\. \d", image["number"]), image
        assert len(image["caption"]) > 20, image
        assert len(image["text"]) > 20 and not re.search(r"\.(png|svg)$", image["text"]), image


def test_figures_stay_on_white(visit):
    for image in images(visit):
        assert image["background"] == "rgb(255, 255, 255)", image
        assert image["filter"] == "none", image


def images(visit: Visit) -> list[dict]:
    """Those of all views; every chapter has some."""
    found = [image for facts in visit.facts for image in facts["images"]]
    assert found or not visit.is_chapter
    return found


def test_axe_finds_nothing(visit):
    found = visit.desk.axe + visit.phone.axe
    assert not found


def test_formulas_in_the_text_fit_a_phone_and_share_a_line_with_their_marks(visit):
    """The mark behind a formula is behind it and not under it, the bracket before it not above it."""
    if visit.is_chapter:
        gaps, beyond = visit.phone.formulas["gaps"], visit.phone.formulas["beyond"]
        assert len(gaps) > 5 and max(map(abs, gaps)) < 5
        assert max(beyond) < 1


def test_displayed_formulas_fit_a_phone(visit):
    if visit.is_chapter:
        assert not [text for text, width, room in visit.phone.formulas["displayed"] if not 0 < width <= room]


def test_figures_that_move_stay_on_a_phone_and_on_white(visit):
    for explorers in (facts["explorers"] for facts in visit.phone.facts.values()):
        assert len(explorers) == len(EXPLORERS.get(Path(visit.page).name, []))
        for explorer in explorers:
            card = explorer["card"]
            assert explorer["background"] == "rgb(255, 255, 255)"
            assert card["left"] >= 0 and card["right"] <= PHONE["width"]
            assert {"svg", "input"} <= {part["kind"] for part in explorer["parts"]}
            for part in explorer["parts"]:
                assert card["left"] <= part["left"] and part["right"] <= card["right"], part
                if part["kind"] == "svg":  # its text is 15 of its units
                    assert 15 * part["width"] / part["units"] > 8
                elif part["kind"] != "output":
                    assert part["height"] >= 24, part


def test_launch_buttons_open_reading_copies(visit):
    for links in (facts["launch"] for facts in visit.facts):
        if is_notebook(ROOT / f"{visit.page}.md"):
            assert {re.search(r"colab|binder", link).group() for link in links} == {"colab", "binder"}
    for link in (link for facts in visit.facts for link in facts["launch"]):
        assert "/".join(REPOSITORY.split("/")[-2:]) in link
        path = re.search(rf"/{BRANCH}(?:\?urlpath=lab/tree)?/(.+)$", link).group(1)
        assert path == f"notebooks/{Path(visit.page).name}.ipynb" and (BUILD / path).is_file(), link


def weight(page: str) -> int:
    """Bytes of a page and its pictures; the theme and MathJax are the same for all pages and kept by the browser."""
    text = (BUILD / f"{page}.html").read_bytes()
    pictures = set(re.findall(rb'src="(?:\.\./)*(_images/[^"]+)"', text))
    return len(text) + sum((BUILD / picture.decode()).stat().st_size for picture in pictures)


@pytest.mark.parametrize("page", pages())
def test_page_is_light(site, page):
    assert weight(page) < 3e6


def test_heaviest_pages_show_at_once(browser, site):
    """The one time that a test looks at: a promise to readers, far above what is seen, and the best of five."""

    def seconds(page: str) -> float:
        with browser.new_context() as context:  # which has kept nothing of other pages
            opened = context.new_page()
            opened.goto(f"{site}/{page}.html", wait_until="commit")
            return opened.wait_for_function(PAINT).json_value() / 1000

    for page in sorted(pages(), key=weight)[-3:]:
        assert any(seconds(page) < 1.5 for _ in range(5)), page


def test_search_leads_to_the_section_that_has_the_words(page, site):
    page.goto(f"{site}/search.html?q=volterra")
    for chapter, words in (("learning_curves", "small-batches"), ("stability_limit", "the-limit-from-the-law")):
        link = page.locator(f"#search-results a[href*='/{chapter}.html#']")
        link.wait_for()
        assert words in link.get_attribute("href")
