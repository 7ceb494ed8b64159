"""The built pages in a browser: on a desk and on a phone, in light and in dark.

A page is opened once on a desk and once on a phone, and each time its scheme is switched. What all tests ask is
collected there, so that no long page is set twice.
"""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from project import BUILD, REPOSITORY, ROOT, chapters, is_notebook, pages

WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")

FACTS = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const root = document.documentElement;
  return {
    unrendered: all(".math").filter((e) => !e.querySelector("mjx-container")).map((e) => e.textContent),
    broken: all("mjx-merror").map((e) => e.textContent),
    scheme: root.dataset.theme,
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
  };
}"""
# Without preload, axe would fetch the theme's imported style sheets from a wrong place. Most of its work is contrast,
# in code and in rows of tables, whose colors are those of the classes in and around them: a block is passed over whose
# kinds of elements were all seen before it. What does not depend on colors is looked at in light alone.
AXE = """async (colors_only) => {
  const known = new Set();
  for (const block of document.querySelectorAll("pre, tr")) {
    let around = getComputedStyle(block).backgroundColor;
    for (let e = block; e; e = e.parentElement) around += " " + e.className;
    const kinds = [block, ...block.querySelectorAll("*")].map((e) => [e.tagName, e.className, around].join(" "));
    if (kinds.every((kind) => known.has(kind))) block.dataset.known = "";
    kinds.forEach((kind) => known.add(kind));
  }
  const run = (context, options) => axe.run(context, {resultTypes: ["violations"], preload: false, ...options});
  const colors = ["color-contrast", "link-in-text-block"];
  const results = [await run({include: [document], exclude: ["[data-known]"]}, {runOnly: colors})];
  const rest = Object.fromEntries(colors.map((name) => [name, {enabled: false}]));
  if (!colors_only) results.push(await run(document, {rules: rest}));
  return results.flatMap((r) => r.violations)
    .map((v) => ({id: v.id, help: v.help, where: v.nodes.map((n) => n.html)}));
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
    const formula = e.lastElementChild.getBoundingClientRect();
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
  return [...document.querySelectorAll("div.math")].map((e) => {
    const formula = e.querySelector("mjx-math").getBoundingClientRect();
    return [e.textContent, formula.width, e.getBoundingClientRect().width];
  });
}"""
# The header and the contents of a phone are the same on every page: axe looks at them on two.
AXE_ON_A_PHONE = ("book/linear_width", "book/glossary")


@dataclass(frozen=True)
class View:
    """One page as one reader sees it."""

    page: str
    width: int

    def __str__(self):
        return f"{Path(self.page).name}-{self.width}"


@dataclass(frozen=True)
class Seen:
    """Everything the tests ask about a view, from one load of the page."""

    view: View
    errors: list[str]  # console and uncaught
    outside: list[str]  # requests that would have left this machine
    facts: dict[str, dict]  # by scheme
    axe: list[dict] | None
    formulas: dict  # on a phone


PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"

VIEWS = [View(*view) for view in itertools.product(pages(), WIDTHS)]


@pytest.fixture(scope="module", params=VIEWS, ids=str)
def seen(request, browser, site) -> Seen:
    return look(browser, site, request.param)


def look(browser, site: str, view: View) -> Seen:
    errors, outside, facts, axe, formulas = [], [], {}, [], {}
    phone = view.width == min(WIDTHS)
    with_axe = not phone or view.page in AXE_ON_A_PHONE

    def keep_inside(route):
        if route.request.url.startswith(site):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    size = {"width": view.width, "height": 900}
    # Reduced motion: a color still in transition would be measured as one of low contrast.
    with browser.new_context(viewport=size, color_scheme=SCHEMES[0], reduced_motion="reduce") as context:
        context.route("**/*", keep_inside)
        page = context.new_page()
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{site}/{view.page}.html", wait_until="load")
        page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
        if with_axe:
            page.evaluate(AXE_SCRIPT)
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            facts[scheme] = page.evaluate(FACTS)
            if with_axe:
                axe += page.evaluate(AXE, scheme != SCHEMES[0])
        if phone:
            formulas = {**page.evaluate(INLINE), "displayed": page.evaluate(DISPLAYED)}
    return Seen(view, errors, outside, facts, axe if with_axe else None, formulas)


def test_the_scheme_is_the_readers(seen):
    assert {scheme: facts["scheme"] for scheme, facts in seen.facts.items()} == {name: name for name in SCHEMES}


def test_no_console_error(seen):
    assert not seen.errors


def test_nothing_comes_from_elsewhere(seen):
    assert not seen.outside


def test_all_math_is_rendered(seen):
    for facts in seen.facts.values():
        assert not facts["unrendered"]
        assert not facts["broken"]


def test_page_does_not_scroll_sideways(seen):
    assert max(facts["overflow"] for facts in seen.facts.values()) <= 0


def is_chapter(page: str) -> bool:
    return ROOT / f"{page}.md" in chapters()


def test_formulas_in_the_text_fit_a_phone_and_share_a_line_with_their_marks(seen):
    """The mark behind a formula is behind it and not under it, the bracket before it not above it."""
    if is_chapter(seen.view.page) and seen.formulas:
        assert len(seen.formulas["gaps"]) > 5 and max(map(abs, seen.formulas["gaps"])) < 5
        assert max(seen.formulas["beyond"]) < 1


def test_displayed_formulas_fit_a_phone(seen):
    if is_chapter(seen.view.page) and seen.formulas:
        assert not [text for text, width, room in seen.formulas["displayed"] if not 0 < width <= room]


def images(seen: Seen) -> list[dict]:
    """All images of the page in both schemes; every chapter has some."""
    found = [image for facts in seen.facts.values() for image in facts["images"]]
    assert found or not is_chapter(seen.view.page)
    return found


def test_figures_have_number_caption_and_alternative_text(seen):
    for image in images(seen):
        assert image["loaded"], image
        assert re.match(r"Fig\. \d", image["number"]), image
        assert len(image["caption"]) > 20, image
        assert len(image["text"]) > 20 and not re.search(r"\.(png|svg)$", image["text"]), image


def test_figures_stay_on_white(seen):
    for image in images(seen):
        assert image["background"] == "rgb(255, 255, 255)", image
        assert image["filter"] == "none", image


def test_axe_finds_nothing(seen):
    assert not seen.axe


def test_axe_looks_at_every_page_on_a_desk_and_at_some_on_a_phone():
    assert set(AXE_ON_A_PHONE) <= set(pages())


def test_launch_buttons_open_files_of_the_repository(seen):
    links = seen.facts[SCHEMES[0]]["launch"]
    if is_notebook(ROOT / f"{seen.view.page}.md"):
        assert {re.search(r"colab|binder", link).group() for link in links} == {"colab", "binder"}
    for link in links:
        assert "/".join(REPOSITORY.split("/")[-2:]) in link
        path = re.search(r"(?:blob/\w+|urlpath=lab/tree)/(.+)$", link).group(1)
        assert path.endswith(".ipynb") and (ROOT / path).is_file(), link


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
    for page in sorted(pages(), key=weight)[-3:]:
        times = []
        for _ in range(5):
            with browser.new_context() as context:
                tab = context.new_page()
                tab.goto(f"{site}/{page}.html", wait_until="commit")
                times.append(tab.wait_for_function(PAINT).json_value())
        assert min(times) < 1500, page
