"""The shape of a chapter, as rules that each name what is wrong.

A chapter is a page with code in a numbered part of the contents. `problems(text)` is empty for one that
is in shape; CONTRIBUTING.md says the same in prose, and `book/_template/chapter.md` is an example.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from myst_nb.core.read import read_myst_markdown_notebook
from nbformat import NotebookNode
from project import REPOSITORY

LAST_SECTIONS = ["Exercises", "Summary"]
OPENING_WORDS = 170  # of prose before the first heading, at most
EXERCISES = ["Think", "Change", "Extend"]
MOST_LINES = 30
MOST_CHARACTERS = 104  # of a line of code beside the contents of the page, on a screen of 1280 pixels
SETUP = re.compile(
    r"try:\n    import helpers\n"
    r"except ModuleNotFoundError:  # on Colab; elsewhere the book's environment has it\n"
    r'    %pip install -q (?:git\+URL|"spectral-evolution\[[\w,]+\] @ git\+URL")'.replace("URL", re.escape(REPOSITORY))
)


@dataclass(frozen=True)
class Chapter:
    """The text of a .md, as a reader of its source sees it."""

    text: str

    @cached_property
    def cells(self) -> list[NotebookNode]:
        return [cell for cell in read_myst_markdown_notebook(self.text).cells if cell.cell_type == "code"]

    @cached_property
    def prose(self) -> str:
        """Without front matter and code cells."""
        body = re.sub(r"\A---\n.*?\n---\n", "", self.text, flags=re.DOTALL)
        return re.sub(r"^```\{code-cell\}.*?^```$", "", body, flags=re.DOTALL | re.MULTILINE)

    @cached_property
    def paragraphs(self) -> list[str]:
        return [part.strip() for part in re.split(r"\n\s*\n", self.prose) if part.strip()]

    @cached_property
    def opening(self) -> str:
        """All before the first heading of a section, code included."""
        return re.split(r"^## ", self.text, maxsplit=1, flags=re.MULTILINE)[0]

    @cached_property
    def about(self) -> str:
        """The box at the end: which claim is tested, what must be known, what a run costs."""
        box = r"^```\{admonition\} About this chapter\n:class: note\n(.*?)^```\s*\Z"
        found = re.search(box, self.prose, re.DOTALL | re.MULTILINE)
        return found.group(1) if found else ""

    @cached_property
    def code(self) -> str:
        return "\n".join(cell.source for cell in self.cells)


def problems(text: str) -> list[str]:
    """What is out of shape, in words; empty if nothing is."""
    chapter = Chapter(text)
    return [problem for rule in RULES for problem in rule(chapter)]


def opening(chapter: Chapter) -> Iterator[str]:
    """A title, a puzzle and its figure, before anything else."""
    if not re.match(r"# \S", [*chapter.paragraphs, ""][0]):
        yield "opening: the first paragraph is not a title"
    if not re.search(r"^    name: fig-", chapter.opening, re.MULTILINE):
        yield "opening: no figure before the first section"
    words = len(Chapter(chapter.opening).prose.split())
    if words > OPENING_WORDS:
        yield f"opening: {words} words before the first section, expected at most {OPENING_WORDS}"


def about_box(chapter: Chapter) -> Iterator[str]:
    if not chapter.about:
        yield "about: no box 'About this chapter' at the end"
    for words in ("You need ", "{doc}`notation`", "{took}`"):
        if words not in chapter.about:
            yield f"about: the box does not say '{words.strip()}'"


def tested_claims(chapter: Chapter) -> Iterator[str]:
    """Every chapter checks something, and the claims of the paper that it says it tests."""
    if "claims.check(" not in chapter.code:
        yield "claims: no call of claims.check"
    named = re.search(r"\bclaims? ([\d, and]+) of the paper", chapter.about)
    if not named and "no claim of the paper" not in chapter.about:
        yield "claims: the box says neither 'claim N of the paper' nor 'no claim of the paper'"
    for number in re.findall(r"\d", named.group(1) if named else ""):
        if not re.search(rf"[\"']paper, claim {number}\b", chapter.code):
            yield f"claims: the box names claim {number}, and no check has it as its source"


def setup_cells(chapter: Chapter) -> Iterator[str]:
    sources = [cell.source.strip() for cell in chapter.cells]
    if not sources or not SETUP.fullmatch(sources[0]):
        yield "set-up: the first cell is not that of the template"
    if len(sources) < 2 or "from helpers import" not in sources[1] or "plots.use_theme()" not in sources[1]:
        yield "set-up: the second cell does not import what the chapter needs and call plots.use_theme()"


def parameters(chapter: Chapter) -> Iterator[str]:
    found = [cell.source for cell in chapter.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(found) != 1:
        yield f"parameters: {len(found)} cells are tagged `parameters`, expected one"
        return
    seeds = re.search(r"^seeds = (\[.*?\])", found[0], re.MULTILINE)
    if not seeds or len(ast.literal_eval(seeds.group(1))) < 3:
        yield "parameters: no list `seeds` of three or more"


def device(chapter: Chapter) -> Iterator[str]:
    """A chapter that trains does so where its parameter says."""
    trees = [ast.parse(cell.source) for cell in chapter.cells if "%pip" not in cell.source]
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call)]
    calls = [node for node in nodes if ast.unparse(node.func) == "training.train"]
    if calls and not re.search(r'^device = "cpu"', chapter.code, re.MULTILINE):
        yield "device: the chapter trains and has no parameter `device`"
    for call in calls:
        if not {None, "device"} & {keyword.arg for keyword in call.keywords}:
            yield f"device: '{ast.unparse(call)}' is not given it"


def sections(chapter: Chapter) -> Iterator[str]:
    headings = re.findall(r"^## (.+)$", chapter.prose, re.MULTILINE)
    if headings[-2:] != LAST_SECTIONS:
        yield f"sections: the last two are {headings[-2:]}, expected {LAST_SECTIONS}"
    summary = chapter.prose.split("\n## Summary\n")[-1]
    if not re.search(r"^- \S", summary, re.MULTILINE):
        yield "sections: the summary has no list"


def exercises(chapter: Chapter) -> Iterator[str]:
    found = re.findall(r"^```\{exercise\}\n:label: (\S+)\n\n\*\*(\w+)\.\*\*", chapter.prose, re.MULTILINE)
    if [kind for _, kind in found] != EXERCISES:
        yield f"exercises: {[kind for _, kind in found]} with a label and their kind in bold, expected {EXERCISES}"
    for label, _ in found:
        if not re.search(rf"^```\{{solution(-start)?\}} {label}\n:class: dropdown$", chapter.prose, re.MULTILINE):
            yield f"exercises: {label} has no folded solution"


def figures(chapter: Chapter) -> Iterator[str]:
    for cell in chapter.cells:
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        name = figure.get("name", "")
        first = cell.source.strip().partition("\n")[0]
        if figure or "plt.subplots(" in cell.source:
            if not re.match(r"fig-\w", name):
                yield f"figures: no name fig-... at the cell '{first}'"
            if len(figure.get("caption", "")) < 40:
                yield f"figures: no caption, or a short one, at {name or first}"
            if len(alternative(cell)) < 60:
                yield f"figures: no alt text, or a short one, at {name or first}"


def alternative(cell: NotebookNode) -> str:
    """The text alternative of an image, or the one that an interactive figure is called with."""
    inside = re.search(r"\balt=\(?\s*[\"'](.+?)[\"'],?$", cell.source, re.DOTALL | re.MULTILINE)
    return cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "") or (inside.group(1) if inside else "")


def cell_sizes(chapter: Chapter) -> Iterator[str]:
    for cell in chapter.cells:
        lines = cell.source.strip().splitlines()
        if len(lines) > MOST_LINES:
            yield f"cells: {len(lines)} lines in the cell '{lines[0]}', expected at most {MOST_LINES}"
        folded = {"hide-input", "remove-input"} & set(cell.metadata.get("tags", []))
        for line in [] if folded else lines:
            if len(line) > MOST_CHARACTERS:
                yield f"cells: {len(line)} characters in '{line.strip()}', expected at most {MOST_CHARACTERS}"


def randomness(chapter: Chapter) -> Iterator[str]:
    """torch starts each process with a seed of its own, so a draw without a generator differs in every build."""
    for line in chapter.code.splitlines():
        if re.search(r"\btorch\.(rand\w*|normal|bernoulli|multinomial)\(", line) and "generator=" not in line:
            yield f"randomness: no generator= in '{line.strip()}'"
        if re.search(r"\bnp\.random\.(?!default_rng\([^)]|Generator\b)", line):
            yield f"randomness: no default_rng(seed) in '{line.strip()}'"


def clocks(chapter: Chapter) -> Iterator[str]:
    """A measured time differs in every build; it belongs to the pages on reproducibility and benchmarks."""
    for line in chapter.code.splitlines():
        if re.match(r"\s*(import|from) (time|timeit|datetime)\b", line):
            yield f"clocks: no times in the output, got '{line.strip()}'"


RULES = (
    opening, about_box, tested_claims, setup_cells, parameters, device, sections, exercises, figures, cell_sizes,
    randomness, clocks,
)  # fmt: skip
