"""The built pages in a browser: on a desk and on a phone, in light and in dark."""

import itertools
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from project import BUILD, REPOSITORY, ROOT, is_notebook, pages

WIDTHS = (1280, 390)
SCHEMES = ("light", "dark")

FACTS = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
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


@dataclass(frozen=True)
class View:
    """One page as one reader sees it."""

    page: str
    width: int
    scheme: str

    def __str__(self):
        return f"{Path(self.page).name}-{self.width}-{self.scheme}"


@dataclass(frozen=True)
class Seen:
    """Everything the tests ask about a view, from one load of the page."""

    view: View
    errors: list[str]  # console and uncaught
    outside: list[str]  # requests that would have left this machine
    facts: dict
    axe: list[dict]


PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime"

VIEWS = [View(*view) for view in itertools.product(pages(), WIDTHS, SCHEMES)]


@pytest.fixture(scope="module", params=VIEWS, ids=str)
def seen(request, browser, site) -> Seen:
    return look(browser, site, request.param)


def look(browser, site: str, view: View) -> Seen:
    errors, outside = [], []

    def keep_inside(route):
        if route.request.url.startswith(site):
            route.continue_()
        else:
            outside.append(route.request.url)
            route.abort()

    size = {"width": view.width, "height": 900}
    # Reduced motion: a color still in transition would be measured as one of low contrast.
    still = {"color_scheme": view.scheme, "reduced_motion": "reduce"}
    with browser.new_context(viewport=size, **still) as context:
        context.route("**/*", keep_inside)
        page = context.new_page()
        page.on("console", lambda m: errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{site}/{view.page}.html", wait_until="load")
        page.evaluate("async () => { await window.MathJax?.startup?.promise; }")
        facts = page.evaluate(FACTS)
        page.evaluate(AXE_SCRIPT)
        return Seen(view, errors, outside, facts, page.evaluate(AXE, view.scheme != SCHEMES[0]))


def test_no_console_error(seen):
    assert not seen.errors


def test_nothing_comes_from_elsewhere(seen):
    assert not seen.outside


def test_all_math_is_rendered(seen):
    assert not seen.facts["unrendered"]
    assert not seen.facts["broken"]


def test_page_does_not_scroll_sideways(seen):
    assert seen.facts["overflow"] <= 0


def test_figures_have_number_caption_and_alternative_text(seen):
    for image in seen.facts["images"]:
        assert image["loaded"], image
        assert re.match(r"Fig\. \d", image["number"]), image
        assert len(image["caption"]) > 20, image
        assert len(image["text"]) > 20 and not re.search(r"\.(png|svg)$", image["text"]), image


def test_figures_stay_on_white(seen):
    for image in seen.facts["images"]:
        assert image["background"] == "rgb(255, 255, 255)", image
        assert image["filter"] == "none", image


def test_axe_finds_nothing(seen):
    assert not seen.axe


def test_launch_buttons_open_files_of_the_repository(seen):
    links = seen.facts["launch"]
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
