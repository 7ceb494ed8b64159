"""The reproducibility page: on what, with what and for how long the chapters of this build ran.

`{build-chapters}` and `{build-versions}` read the records that `execute.py` leaves
beside the outputs of each chapter, and the packages that are installed.
"""

import importlib.metadata
import platform
import re
from pathlib import Path

import nbformat
from claims_table import table
from docutils import nodes
from jupyter_cache import get_cache
from notebook_cache import execution_record, read_notebook
from reading_order import reading_order
from sphinx.util.docutils import SphinxDirective, SphinxRole


class BuildDirective(SphinxDirective):
    def records(self) -> dict[str, tuple[nbformat.NotebookNode, dict]]:
        """Each page with code: its notebook, and what was noted when it was executed."""
        cache = get_cache(self.config.nb_execution_cache_path)
        paths = {page: Path(self.env.doc2path(page)) for page in reading_order(self.env)}
        found = {page: (read_notebook(path), execution_record(cache, path)) for page, path in paths.items()}
        return {page: (notebook, record) for page, (notebook, record) in found.items() if record is not None}


class Chapters(BuildDirective):
    """For each chapter the time and memory of its run, the machine in words, and the cell of its parameters."""

    def run(self):
        parts = []
        for page, (notebook, record) in self.records().items():
            parts.append(f"**{{doc}}`/{page}`**: {cost(record)}, on {record['machine']}.")
            parts.extend(f"```python\n{cell.source}\n```" for cell in parameter_cells(notebook))
        return self.parse_text_to_nodes("\n\n".join(parts))


class Took(SphinxRole):
    """``{took}`NAME` ``: what the run of this chapter took that the page shows."""

    def run(self):
        record = execution_record(
            get_cache(self.config.nb_execution_cache_path), Path(self.env.doc2path(f"book/{self.text}"))
        )
        if record is None:
            return [], [self.inliner.reporter.warning(f"took: no run of a chapter {self.text!r}", line=self.lineno)]
        return [nodes.Text(f"{duration(record)} on one core and {record['peak_memory'] / 1e9:.1f} GB of memory")], []


class Versions(BuildDirective):
    """Every package that `requirements.txt` pins: the version in use, and the pinned one where it is another."""

    def run(self):
        pins = read_pins(Path(self.env.srcdir, "requirements.txt").read_text())
        rows = [("Python", platform.python_version()), *((name, in_use(name, pin)) for name, pin in pins.items())]
        return self.parse_text_to_nodes(table(("Package", "Version"), rows, "versions"))


def parameter_cells(notebook: nbformat.NotebookNode) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]


def cost(record: dict) -> str:
    """Time, cost and memory of a run, rounded."""
    memory = record["peak_memory"] / 1e9
    return f"{duration(record)}, the cost of {record['products']:,.0f} products, {memory:.1f} GB of memory at most"


def duration(record: dict) -> str:
    seconds = record["seconds"]
    return f"{seconds / 60:.1f} minutes" if seconds >= 60 else f"{seconds:.0f} seconds"


def read_pins(requirements: str) -> dict[str, str]:
    """Package: version, of every line `package==version`."""
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", requirements, re.MULTILINE))


def in_use(package: str, pin: str) -> str:
    try:
        version = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return f"not installed (pinned: {pin})"
    return version if version.split("+")[0] == pin else f"{version} (pinned: {pin})"
