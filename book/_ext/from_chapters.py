"""`{figure-of}`: a page shows what another page's notebook has drawn, by chapter and name of the figure.

Nothing is copied by hand, and a name that is not there stops the build. For numbers the role `{checked}` does this,
see `ledger`.
"""

import base64
import os
from pathlib import Path

import nbformat
from docutils import nodes
from jupyter_cache import get_cache
from notebook_cache import cached_notebook
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective


class FigureOf(SphinxDirective):
    """The figure with its caption and its alternative text; what stands inside is added to the caption."""

    required_arguments = 2
    has_content = True

    def run(self):
        page, name = self.arguments
        cell = figure_cell(executed(self.env, page), page, name)
        uri = "/" + os.path.relpath(self._write(cell, name), self.env.srcdir)
        caption = f"{cell.metadata.mystnb.figure.caption} {' '.join(self.content)}"
        figure = self.parse_text_to_nodes(f"```{{figure}} {uri}\n:name: {self.env.docname}-{name}\n\n{caption}\n```")
        for image in figure[0].findall(nodes.image):
            image["alt"] = cell.metadata.mystnb.image.alt
        return figure

    def _write(self, cell: nbformat.NotebookNode, name: str) -> Path:
        """Keep the picture beside the doctrees; an unchanged file leaves the page unchanged."""
        picture = base64.b64decode(first_image(cell))
        path = Path(self.env.doctreedir) / "figures" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_bytes() != picture:
            path.write_bytes(picture)
        return path


def executed(env: BuildEnvironment, page: str) -> nbformat.NotebookNode:
    """The notebook of a page beside the present one, with its outputs."""
    docname = str(Path(env.docname).with_name(page))
    return cached_notebook(get_cache(env.config.nb_execution_cache_path), Path(env.doc2path(docname)))


def figure_cell(notebook: nbformat.NotebookNode, page: str, name: str) -> nbformat.NotebookNode:
    for cell in notebook.cells:
        if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == name and first_image(cell):
            return cell
    raise ExtensionError(f"{page} has no figure {name} among its outputs")


def first_image(cell: nbformat.NotebookNode) -> str:
    return next((o["data"]["image/png"] for o in cell.outputs if "image/png" in o.get("data", {})), "")
