"""What axe finds on an open page: in its structure, and in its colors."""

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

COLORS = ["color-contrast", "link-in-text-block"]
# Without preload, axe would fetch the theme's imported style sheets from a wrong place.
RUN = """async (options) => {
  const found = await axe.run(document, {resultTypes: ["violations"], preload: false, ...options});
  const nodes = (rule) => rule.nodes.map((node) => [node.html, node.failureSummary]);
  return found.violations.map((rule) => ({id: rule.id, help: rule.help, where: nodes(rule)}));
}"""
# Axe looks at the contrast of every word of code, cell and paragraph, and most have the colors of one before them: they
# and all around them have the same classes, color and ground.
ONE_OF_EACH_KIND = """() => {
  const numbers = new Map(), paths = new Map(), known = new Set(), needed = new Set();
  const number = (text) => numbers.get(text) ?? numbers.set(text, numbers.size).get(text);
  const look = (e, style = getComputedStyle(e)) =>
    [e.localName, e.getAttribute("class"), style.color, style.backgroundColor];
  const path = (e) => {
    if (!paths.has(e)) paths.set(e, e ? number([path(e.parentElement), ...look(e)].join(" ")) : "");
    return paths.get(e);
  };
  const all = [...document.body.querySelectorAll("*")];
  for (const e of all) {
    const wanted = !known.has(path(e)) && e.textContent.trim();
    for (let up = e; wanted && up && !needed.has(up); up = up.parentElement) needed.add(up);
    known.add(path(e));
  }
  for (const e of all.filter((e) => !needed.has(e))) {
    if (e.closest("pre, mjx-container")) e.remove();
    else e.replaceChildren();  // itself it stays: the third cell of a row remains the third
  }
}"""


def start(page: Page) -> None:
    """Load axe into the page."""
    page.evaluate(AXE_SCRIPT)


def structure(page: Page) -> list[dict]:
    """What every rule finds that does not look at colors."""
    return page.evaluate(RUN, {"rules": {name: {"enabled": False} for name in COLORS}})


def keep_one_of_each_kind(page: Page) -> None:
    """Take away from code, tables and formulas what has the colors of something before it; the page is of no other use.

    With what is left, `colors` finds the same, several times faster.
    """
    page.evaluate(ONE_OF_EACH_KIND)


def colors(page: Page) -> list[dict]:
    """What the rules on colors find."""
    return page.evaluate(RUN, {"runOnly": COLORS})
