"""The ledgers: the checks of a section in one folded line, and the numbers of the text as links into them.

A check leaves a record in the outputs of its cell, see `helpers.claims`. Those of a section are gathered at its end; a
cell that shows nothing else goes into the fold with them. `{checked}` quotes a number by its key,
{checked}`CHAPTER.md::KEY:.2f` that of another chapter; where a claim checks it, it carries a tick and leads to its row.
"""

import html
import math
import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
from docutils import nodes
from notebook_cache import cached_notebook, open_cache
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging
from sphinx.util.docutils import SphinxRole

from helpers.claims import MIME, QUOTED, Claim, claims_in

LOGGER = logging.getLogger(__name__)
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
WIDTH, HEIGHT, DOT = 112, 16, 3.2  # of the picture of a check, in pixels


@dataclass(frozen=True)
class Entry:
    """A claim; on the page of its chapter, the name of its row and of the sentence that quotes it, where there are."""

    claim: Claim
    row: str = ""
    sentence: str = ""


def row_id(chapter: str, key: str) -> str:
    return f"check-{slug(chapter)}-{slug(key)}"


def mention_id(chapter: str, key: str) -> str:
    return f"said-{slug(chapter)}-{slug(key)}"


def slug(text: str) -> str:
    return re.sub(r"\W+", "-", Path(text).stem if "/" in text else text).replace("_", "-").lower()


# What a ledger looks like


def ledger_start(entries: list[Entry], label: str = "") -> str:
    """The fold, open until `ledger_end`: the line that is always seen, and the table."""
    head = '<thead><tr><th scope="col">check</th><th scope="col">seeds and bounds</th>'
    head += '<th scope="col">observed; required</th><th scope="col">control</th></tr></thead>'
    rows = "\n".join(map(table_row, entries))
    line = summary_line([entry.claim for entry in entries], label)
    return f'<details class="checks"><summary>{line}</summary>\n<table>{head}<tbody>\n{rows}\n</tbody></table>'


def ledger_end() -> str:
    return "</details>"


def summary_line(claims: list[Claim], label: str = "") -> str:
    """How many checks there are, on how many seeds, and how near the nearest one is to its bound."""
    passed = all(claim.passed for claim in claims)
    number = f"{len(claims)} check{'s' * (len(claims) != 1)}"
    line = f"{html.escape(label)}{': ' if label else ''}<b>{'✓' if passed else '✗'} {number}</b>"
    seeds = {len(claim.values) for claim in claims}
    if len(seeds) == 1 and (count := seeds.pop()) > 1:
        line += f", {spelled(count)} seeds each"
    nearest = min(claims, key=lambda claim: claim.margin)
    what = html.escape(nearest.name)
    near = f"Nearest to its bound: {what}, {number_text(worst(nearest))} where {nearest.required} is required."
    return f"<span>{line}.</span> <span>{minus(near)}</span>"


def worst(claim: Claim) -> float:
    """The value, or the mean, that is nearest to a bound or beyond it."""
    values = [sum(claim.values) / len(claim.values)] if claim.mean else claim.values
    return min(values, key=lambda value: Claim("", [value], claim.above, claim.below, "").margin)


def table_row(entry: Entry) -> str:
    """A check: its name and source, its seeds between their bounds, the same in numbers, its control."""
    claim = entry.claim
    mark = f' id="{entry.row}"' if entry.row else ""
    back = (
        f' <a class="back" href="#{entry.sentence}" aria-label="back to the sentence">↩</a>' if entry.sentence else ""
    )
    name = f'{html.escape(claim.name)}{back}<span class="source">{html.escape(claim.source)}</span>'
    observed = minus(html.escape(f"{claim.observed}; {claim.required}"))
    control = minus(html.escape(claim.controls)) or "–"
    return (
        f'<tr{mark}><th scope="row">{name}</th><td class="seeds">{picture(claim)}</td>'
        f'<td class="observed">{observed}</td><td class="control">{control}</td></tr>'
    )


def picture(claim: Claim) -> str:
    """The values as dots between their bounds, the control as open dots; what is far outside stands at the end."""
    place = scale(claim)
    left = 0.0 if claim.above is None else place(claim.above)
    right = float(WIDTH) if claim.below is None else place(claim.below)
    parts = [f'<rect class="ok" x="{left:.0f}" y="3" width="{max(right - left, 1):.0f}" height="10"/>']
    ends = [place(bound) for bound in (claim.above, claim.below) if bound is not None]
    parts += [f'<line class="end" x1="{x:.0f}" x2="{x:.0f}" y1="0" y2="{HEIGHT}"/>' for x in ends]
    for kind, values in (("control", [v for some in claim.control.values() for v in some]), ("seed", claim.values)):
        parts += [f'<circle class="{kind}" cx="{place(v):.0f}" cy="8" r="{DOT}"/>' for v in values if not math.isnan(v)]
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    label = minus(html.escape(f"observed {claim.observed}, {claim.required}"))
    return f'<svg {size} role="img" aria-label="{label}">{"".join(parts)}</svg>'


def scale(claim: Claim):
    """From a value to its place: bounds and values are in sight, and of controls the two ends at most."""
    bounds = [bound for bound in (claim.above, claim.below) if bound is not None]
    shown = [v for v in [*claim.values, *bounds] if math.isfinite(v)]
    span = (max(shown) - min(shown)) or abs(shown[0]) or 1.0
    low, high = min(shown) - 0.5 * span, max(shown) + 0.5 * span

    def place(value: float) -> float:
        return DOT + (WIDTH - 2 * DOT) * (min(max(value, low), high) - low) / (high - low)

    return place


def number_text(value: float) -> str:
    return f"{value:.4g}"


def minus(text: str) -> str:
    """Numbers with a minus sign instead of a hyphen."""
    return re.sub(r"(?<![\w-])-(?=\d)|(?<=\de)-(?=\d)", "−", text)


def spelled(count: int) -> str:
    return NUMBERS[count] if count < len(NUMBERS) else str(count)


# Where it stands on a page


def gather(app: Sphinx, doctree: nodes.document) -> None:
    """Put the checks of each section, or of each solution, into one ledger at its end."""
    env = app.env
    notebook = cached_notebook(open_cache(Path(app.srcdir)), Path(env.doc2path(env.docname)))
    cells = [n for n in doctree.findall(nodes.container) if n.get("nb_element") == "cell_code"]
    found: dict[nodes.Element, list[nodes.container]] = {}
    said = env.temp_data.get("checked", set())
    for cell in cells:
        if claims_in(notebook.cells[cell["cell_index"]].get("outputs", [])):
            found.setdefault(holder(cell), []).append(cell)
    for place, some in found.items():
        outputs = [output for cell in some for output in notebook.cells[cell["cell_index"]].outputs]
        entries = [entry(claim, env.docname, said) for claim in claims_in(outputs)]
        sources = []
        for cell in some:
            if all(is_record(output) for output in notebook.cells[cell["cell_index"]].outputs):
                cell.parent.remove(cell)
                sources += [part for part in cell.children if part.get("nb_element") == "cell_code_source"]
        append(place, ledger_nodes(entries, sources))


def entry(claim: Claim, chapter: str, said: Container[str]) -> Entry:
    """A claim on its own page, with what leads to it and back if the text quotes it."""
    if claim.quote is None:
        return Entry(claim)
    return Entry(claim, row_id(chapter, claim.quote), mention_id(chapter, claim.quote) if claim.quote in said else "")


def is_record(output: nbformat.NotebookNode) -> bool:
    """Whether an output shows nothing: the record of a check, or a number that is kept for the text."""
    kinds = output.get("data", {})
    return MIME in kinds or (bool(kinds) and all(kind.startswith(QUOTED) for kind in kinds))


def holder(cell: nodes.Node) -> nodes.Element:
    """What the ledger of a cell ends: the section, or the solution that the cell is a part of."""
    node = cell.parent
    while not isinstance(node, nodes.section | nodes.document) and "solution" not in node.get("classes", []):
        node = node.parent
    return node


def append(place: nodes.Element, some: list[nodes.Node]) -> None:
    """At the end of a section, before the sections within it."""
    inner = next((k for k, child in enumerate(place.children) if isinstance(child, nodes.section)), len(place.children))
    place[inner:inner] = some


def ledger_nodes(entries: list[Entry], sources: Iterable[nodes.Node] = (), label: str = "") -> list[nodes.Node]:
    """The fold with its table, and in it the cells that only check."""
    sources = list(sources)
    made = [raw(ledger_start(entries, label))]
    if sources:
        made += [raw('<details class="how"><summary>How each is computed</summary>'), *sources, raw("</details>")]
    return [*made, raw(ledger_end())]


def raw(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


# Numbers in the text


class Checked(SphinxRole):
    """`{checked}`: a number that the notebook kept, by its key and a format."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        page, _, key = self.text.rpartition("::")
        key, _, form = key.partition(":")
        chapter = str(Path(self.env.docname).with_name(Path(page).stem)) if page else self.env.docname
        values, claims = kept(self.env, chapter)
        if key not in values:
            LOGGER.warning("%s: number %r not found", chapter, key, location=self.get_location())
            return [], []
        text = minus(format(values[key], form))
        if key not in claims:
            return [nodes.Text(text)], []
        link = nodes.reference("", text, internal=True, classes=["checked"])
        if page and self.env.app.builder.name != "singlehtml":
            link["refuri"] = (
                f"{self.env.app.builder.get_relative_uri(self.env.docname, chapter)}#{row_id(chapter, key)}"
            )
        else:
            link["refuri"] = f"#{row_id(chapter, key)}"
        said = self.env.temp_data.setdefault("checked", set())
        if not page and key not in said:  # a row leads back to where its number comes first
            said.add(key)
            link["ids"] = [mention_id(chapter, key)]
        return [link], []


def kept(env: BuildEnvironment, chapter: str) -> tuple[dict[str, float], set[str]]:
    """The numbers that a chapter keeps, by key, and the keys that a claim checks."""
    memory = env.temp_data.setdefault("kept numbers", {})
    if chapter not in memory:
        notebook = cached_notebook(open_cache(Path(env.srcdir)), Path(env.doc2path(chapter)))
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        memory[chapter] = dict(quoted(outputs)), {claim.quote for claim in claims_in(outputs) if claim.quote}
    return memory[chapter]


def quoted(outputs: Iterable[nbformat.NotebookNode]) -> Iterator[tuple[str, float]]:
    for output in outputs:
        text = output.get("data", {}).get(f"{QUOTED}text/plain")
        if text is not None:
            yield output.metadata["scrapbook"]["name"], float(text)
