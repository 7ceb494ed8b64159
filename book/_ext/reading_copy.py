"""Reading copies of the notebooks: what a chapter's page shows, in plain Markdown, beside the same code cells.

Colab and plain Jupyter show a reader of `book/NAME.ipynb` roles and directives instead of numbers, links and boxes. So
each build writes `notebooks/NAME.ipynb` into the site, from the doctree that the page is made from, where every number,
title and address is resolved; outputs are those of the build. The workflow `book` pushes them to the branch `BRANCH`,
where the launch buttons look for them.
"""

import html
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urljoin

import nbformat
from docutils import nodes
from ledger import is_record
from notebook_cache import cached_notebook, open_cache
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
BRANCH, FOLDER = "reading", "notebooks"
Block = str | int  # Markdown, or the place of a code cell among the cells

FOLDED = ("hide-input", "remove-input", "hide-cell", "remove-cell")
SILENT = (
    nodes.comment, nodes.target, nodes.substitution_definition, nodes.title, nodes.caption, nodes.legend,
    addnodes.index, addnodes.toctree, addnodes.highlightlang,
)  # fmt: skip
PLAIN = (
    nodes.section, nodes.container, nodes.compound, nodes.definition, nodes.description, nodes.tgroup, nodes.line_block,
    addnodes.only, addnodes.glossary,
)  # fmt: skip


def write(app: Sphinx, error: Exception | None) -> None:
    """A copy of every page with code, whether or not this build has written the page."""
    if error is None and app.builder.name == "html":
        folder = Path(app.outdir) / FOLDER
        folder.mkdir(exist_ok=True)
        written = set()
        for page in sorted(app.env.found_docs):
            if "kernelspec" in app.env.metadata[page]:
                path = folder / f"{Path(page).name}.ipynb"
                nbformat.write(Copy(app, page).notebook(), path)
                written.add(path)
        for path in set(folder.glob("*.ipynb")) - written:
            path.unlink()


def open_copies(app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None) -> None:
    """Lead the buttons of a page to its reading copy: the rocket, and the download of a notebook."""
    name = f"{FOLDER}/{Path(pagename).name}.ipynb"
    source = f"{app.config.html_theme_options.get('repository_branch', 'main')}"
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("label") == "download-notebook-button":
                button["url"] = context["pathto"](name, 1)
            elif group.get("label") == "launch-buttons":
                button["url"] = re.sub(
                    rf"/{re.escape(source)}(\?urlpath=lab/tree)?/{re.escape(pagename)}\.ipynb$",
                    rf"/{BRANCH}\1/{name}",
                    button["url"],
                )


class Copy:
    """One page as a notebook."""

    def __init__(self, app: Sphinx, page: str) -> None:
        self.app, self.page = app, page
        self.source = cached_notebook(open_cache(Path(app.srcdir)), Path(app.env.doc2path(page)))
        self.code = [k for k, cell in enumerate(self.source.cells) if cell.cell_type == "code"]
        self.numbers = app.env.toc_fignumbers.get(page, {})
        self.address = urljoin(app.config.html_baseurl, app.builder.get_target_uri(page))
        self.doctree = app.env.get_and_resolve_doctree(page, app.builder)
        shown = {n["cell_index"] for n in self.doctree.findall(nodes.container) if n.get("nb_element") == "cell_code"}
        self.moved = [k for k in self.code if k not in shown]  # into a ledger
        self.used: set[int] = set()
        self.hidden = set(self.moved)  # cells inside of a fold

    def notebook(self) -> nbformat.NotebookNode:
        blocks = self.blocks(self.doctree.children)
        blocks += self.cells_until(max(self.code, default=-1))
        made = nbformat.v4.new_notebook(metadata={"kernelspec": dict(self.source.metadata.get("kernelspec", {}))})
        text: list[str] = []
        for block in [*blocks, -1]:
            ends = isinstance(block, int) or block.startswith("#")
            if ends and text:
                made.cells.append(nbformat.v4.new_markdown_cell("\n\n".join(text)))
                text = []
            if isinstance(block, str):
                text.append(block)
            elif block >= 0:
                made.cells.append(self.cell(block))
        for k, cell in enumerate(made.cells):
            cell["id"] = f"cell-{k}"  # the same in every build
        return made

    def cell(self, place: int) -> nbformat.NotebookNode:
        """A code cell of the chapter, with what the build shows of its outputs."""
        source = self.source.cells[place]
        cell = nbformat.v4.new_code_cell(source.source, metadata={"tags": list(source.metadata.get("tags", []))})
        cell.outputs = [output for output in source.get("outputs", []) if not is_record(output) and not moves(output)]
        if place in self.hidden or set(FOLDED) & set(cell.metadata["tags"]):
            cell.metadata |= {"jupyter": {"source_hidden": True}, "cellView": "form"}  # in Lab, on Colab
        return cell

    def cells_until(self, place: int) -> list[Block]:
        """The code cells up to this one that have not had their turn: their order is that of the chapter."""
        due = [k for k in self.code if k <= place and k not in self.used]
        self.used.update(due)
        return list(due)

    # Blocks

    def blocks(self, some: Iterable[nodes.Node]) -> list[Block]:
        return [block for node in some for block in self.block(node) if block != ""]

    def block(self, node: nodes.Node) -> list[Block]:
        kind = type(node).__name__
        if isinstance(node, nodes.container) and node.get("nb_element") == "cell_code":
            return self.code_cell(node)
        if isinstance(node, nodes.container) and node.get("nb_element") == "cell_code_source":
            return self.moved_cell(node.astext())
        if isinstance(node, nodes.raw):
            return [checks(node.astext())] if node.astext().startswith('<details class="checks">') else []
        if isinstance(node, nodes.section):
            return [*self.heading(node), *self.blocks(node.children)]
        if "dropdown_main" in kind:
            return self.fold(plain(node[0]), self.blocks(node.children[1:]))
        if kind == "solution_node":
            return self.fold(plain(node[0]), self.blocks(node.children[1:]))
        if kind.endswith("_node") and isinstance(node, nodes.Admonition):
            return self.statement(node)
        if isinstance(node, nodes.Admonition):
            return self.box(node)
        if isinstance(node, (nodes.Text, nodes.Inline, nodes.TextElement)) and not isinstance(node, SILENT):
            return [self.text_block(node)]
        made = self.plain_block(node)
        if made is None:
            LOGGER.warning("reading copy: no Markdown for %s", kind, location=node)
            return []
        return made

    def plain_block(self, node: nodes.Node) -> list[Block] | None:
        """What docutils itself knows; None for what no rule is for."""
        if isinstance(node, nodes.figure):
            return self.figure(node)
        if isinstance(node, nodes.image):
            return [self.image(node)]
        if isinstance(node, (nodes.bullet_list, nodes.enumerated_list)):
            return [self.items(node)]
        if isinstance(node, nodes.definition_list):
            return [self.definition(item) for item in node.children]
        if isinstance(node, nodes.table):
            return [self.table(node)]
        if isinstance(node, nodes.block_quote):
            return quoted(self.blocks(node.children))
        if isinstance(node, nodes.transition):
            return ["---"]
        if isinstance(node, SILENT) or (isinstance(node, nodes.compound) and "toctree-wrapper" in node["classes"]):
            return []
        return self.blocks(node.children) if isinstance(node, PLAIN) else None

    def code_cell(self, node: nodes.container) -> list[Block]:
        """The cell, and under it the captions of what it shows."""
        captions = [self.caption(figure) for figure in node.findall(nodes.figure)]
        if any(moves(output) for output in self.source.cells[node["cell_index"]].get("outputs", [])):
            names = [name for figure in node.findall(nodes.figure) for name in figure["ids"]]
            page = f"{self.address}#{names[0]}" if names else self.address
            captions.insert(0, f"*This figure has sliders. They move [on its page]({page}), or once the cell has run.*")
        return [*self.cells_until(node["cell_index"]), *captions]

    def moved_cell(self, code: str) -> list[Block]:
        """A cell that stands in a ledger; it has had its turn already where another cell of the section needs it."""
        place = next((k for k in self.moved if self.source.cells[k].source.strip() == code.strip()), -1)
        return self.cells_until(place)

    def heading(self, node: nodes.section) -> list[Block]:
        if not isinstance(node[0], nodes.title):
            return []
        depth, above = 1, node.parent
        while above is not None:
            depth += isinstance(above, nodes.section)
            above = above.parent
        made: list[Block] = [f"{'#' * depth} {self.inline(node[0].children)}"]
        if depth == 1:
            made.append(
                f"> This is the notebook of the chapter [{self.inline(node[0].children)}]({self.address}) as its page "
                "shows it: numbers, figures and links are those of the book. If you change and run the cells, the "
                "figures follow, and the numbers in the text do not."
            )
        return made

    def text_block(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.math_block):
            return self.equation(node)
        if isinstance(node, nodes.literal_block):
            language = node.get("language", "")
            fence = "```" if "```" not in node.astext() else "~~~~"
            return f"{fence}{'' if language in ('none', 'default') else language}\n{node.astext()}\n{fence}"
        if isinstance(node, nodes.rubric):
            return f"**{self.inline(node.children)}**"
        if isinstance(node, nodes.Text):
            return escaped(node.astext())
        return self.inline(node.children if isinstance(node, nodes.TextElement) and not linked(node) else [node])

    def equation(self, node: nodes.math_block) -> str:
        formula = node.astext().strip()
        if r"\\" in formula and not node.get("nowrap"):
            formula = f"\\begin{{aligned}}\n{formula}\n\\end{{aligned}}"
        number = self.number("displaymath", node["ids"]) or (str(node["number"]) if node.get("number") else "")
        tag = rf" \tag{{{number}}}" if number else ""
        return f"$${' '.join(formula.split())}{tag}$$"  # one line: in a quotation Lab shows the mark of every other

    def figure(self, node: nodes.figure) -> list[Block]:
        return [*(self.image(image) for image in node.findall(nodes.image)), self.caption(node)]

    def caption(self, node: nodes.figure) -> str:
        number = self.number("figure", node["ids"])
        name = self.app.config.numfig_format["figure"] % number if number else ""
        text = "".join(self.inline(part.children) for part in node.children if isinstance(part, nodes.caption))
        return f"**{name}** {text}".replace("****", "").strip()

    def image(self, node: nodes.image) -> str:
        name = self.app.builder.images.get(node["uri"], node["uri"])
        address = name if "://" in name else urljoin(self.app.config.html_baseurl, f"_images/{name}")
        return f"![{escaped(node.get('alt', ''))}]({address})"

    def items(self, node: nodes.Element) -> str:
        made, first = [], int(node.get("start", 1))
        for k, item in enumerate(node.children):
            mark = f"{first + k}. " if isinstance(node, nodes.enumerated_list) else "- "
            text = "\n\n".join(map(str, self.blocks(item.children)))
            made.append(mark + text.replace("\n", "\n" + " " * len(mark)))
        return re.sub(r"\n +(?=\n)", "\n", "\n".join(made))

    def definition(self, item: nodes.Node) -> str:
        terms = [self.inline(part.children) for part in item.children if isinstance(part, nodes.term)]
        rest = self.blocks(part for part in item.children if isinstance(part, nodes.definition))
        return "\n\n".join([f"**{', '.join(terms)}**", *map(str, rest)])

    def table(self, node: nodes.table) -> str:
        rows = [
            [" ".join(map(str, self.blocks(entry.children))).replace("\n", " ") for entry in row.children]
            for row in node.findall(nodes.row)
        ]
        lines = [f"| {' | '.join(map(in_table, row))} |" for row in rows]
        return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])

    def statement(self, node: nodes.Element) -> list[Block]:
        """A theorem, an exercise or a proof, with its kind and number as on the page."""
        if type(node).__name__ == "proof_node":
            return self.blocks(node.children)
        counter = node.get("countertype", "exercise")
        number, word = self.number(counter, node["ids"]), node.get("realtype", "exercise").title()
        title, rest = "", node.children
        if rest and isinstance(rest[0], nodes.title):
            title, rest = self.inline(rest[0].children), rest[1:]
        return quoted([f"**{' '.join(filter(None, [word, number, title.strip()]))}**", *self.blocks(rest)])

    def box(self, node: nodes.Element) -> list[Block]:
        title, rest = node.tagname.capitalize(), node.children
        if rest and isinstance(rest[0], nodes.title):
            title, rest = self.inline(rest[0].children), rest[1:]
        elif node.tagname == "admonition":
            title = ""
        if "dropdown" in node["classes"]:
            return self.fold(plain(node[0]) if title else "More", self.blocks(rest))
        return quoted([*([f"**{title}**"] if title else []), *self.blocks(rest)])

    def fold(self, title: str, inside: list[Block]) -> list[Block]:
        """`<details>` around the text; a fold cannot hold a cell, so it ends before one and goes on behind it."""
        self.hidden.update(block for block in inside if isinstance(block, int))
        made: list[Block] = []
        for group in grouped(inside):
            if isinstance(group, int) or group.startswith("<details"):
                made += [f"**{title}**"] if not made else []
                made.append(group)
            else:
                made.append(f"<details>\n<summary>{html.escape(title)}</summary>\n\n{group}\n\n</details>")
                title = title if title.endswith(", continued") else f"{title}, continued"
        return made

    def number(self, kind: str, ids: Sequence[str]) -> str:
        numbers = self.numbers.get(kind, {})
        return next((".".join(map(str, numbers[name])) for name in ids if name in numbers), "")

    # Inside of a line

    def inline(self, some: Iterable[nodes.Node]) -> str:
        return "".join(map(self.span, some))

    def span(self, node: nodes.Node) -> str:
        if isinstance(node, nodes.Text):
            return escaped(node.astext())
        if isinstance(node, nodes.math):
            return f"${node.astext().strip()}$"
        if isinstance(node, nodes.literal):
            ticks = "``" if "`" in node.astext() else "`"
            return f"{ticks}{node.astext()}{ticks}"
        if isinstance(node, nodes.reference):
            return self.link(node)
        if isinstance(node, nodes.image):
            return self.image(node)
        if isinstance(node, (nodes.raw, *SILENT)):
            return ""
        inside = self.inline(node.children)
        for kind, mark in ((nodes.strong, "**"), (nodes.emphasis, "*")):
            if isinstance(node, kind) and inside.strip():
                return f"{mark}{inside}{mark}"
        return inside

    def link(self, node: nodes.reference) -> str:
        target = node["refuri"] if "refuri" in node else f"#{node['refid']}"
        text = self.inline(node.children)
        return f"[{text}]({urljoin(self.address, target)})" if text.strip() else text


def moves(output: nbformat.NotebookNode) -> bool:
    """Whether it is a figure with sliders, of which a notebook that is not trusted shows the words alone."""
    return '<div class="explorer"' in output.get("data", {}).get("text/html", "")


def linked(node: nodes.Node) -> bool:
    return isinstance(node, (nodes.Inline, nodes.math))


def escaped(text: str) -> str:
    """Text that Markdown would read as its own signs."""
    text = text.replace("\\", "&#92;").replace("<", "&lt;").replace("\n", " ")
    return re.sub(r"([*_`$])", r"\\\1", text)


def plain(node: nodes.Node) -> str:
    """A title for `<summary>`, where Markdown does not count and formulas do."""
    return "".join(
        f"${part.parent.astext()}$" if isinstance(part.parent, nodes.math) else part.astext()
        for part in node.findall(nodes.Text)
        if not isinstance(part.parent, nodes.raw)
    ).strip()


def in_table(text: str) -> str:
    """Bars would end the cell."""
    formulas = re.compile(r"\$[^$]+\$")
    text = formulas.sub(lambda found: found[0].replace(r"\|", r"\Vert ").replace("|", r"\vert "), text)
    return re.sub(r"(?<!\\)\|", r"\\|", text)


def grouped(blocks: Iterable[Block]) -> list[Block]:
    """Neighboring texts joined, but for folds: these stay apart."""
    made: list[Block] = []
    for block in blocks:
        apart = isinstance(block, int) or block.startswith("<details") or not made or isinstance(made[-1], int)
        if not apart and not made[-1].startswith("<details"):
            made[-1] = f"{made[-1]}\n\n{block}"
        else:
            made.append(block)
    return made


def quoted(blocks: Iterable[Block]) -> list[Block]:
    """Markdown as a quotation; cells in it stand between the parts."""
    return [
        block if isinstance(block, int) else "\n".join(f"> {line}".rstrip() for line in block.split("\n"))
        for block in grouped(blocks)
    ]


def checks(ledger: str) -> str:
    """A ledger without its drawings, which notebooks do not show, and without links within its page."""
    for unshown in (r'<td class="seeds">.*?</td>', r'<th scope="col">seeds.*?</th>', r'<a class="back".*?</a>'):
        ledger = re.sub(unshown, "", ledger, flags=re.DOTALL)
    return re.sub(r' (?:id|class|scope)="[^"]*"', "", ledger) + "\n</details>"
