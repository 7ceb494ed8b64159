"""The executed chapters of this clone, as Sphinx, the directives and the tests read them.

MyST-NB takes the outputs of a page from a jupyter-cache, which knows a notebook by its code cells alone. So each
record here also says for which `chapter_key` it was made, and counts only while that is the chapter's key.
"""

import contextlib
import json
from dataclasses import asdict
from pathlib import Path

import nbformat
from chapter_key import chapter_key, digest
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.main import JupyterCacheBase
from kept import Execution
from myst_nb.core.read import read_myst_markdown_notebook


def cache_folder(root: Path) -> Path:
    return root / "_build" / ".jupyter_cache"


def open_cache(root: Path) -> JupyterCacheBase:
    cache_folder(root).mkdir(parents=True, exist_ok=True)
    return get_cache(str(cache_folder(root)))


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """A chapter as a notebook: the .md as Sphinx reads it, or the .ipynb."""
    if path.suffix == ".md":
        return read_myst_markdown_notebook(path.read_text())
    return nbformat.read(path, as_version=4)


def hand_over(cache: JupyterCacheBase, path: Path, key: str, execution: Execution) -> None:
    """Put an execution where the page of this chapter finds it."""
    page = path.with_suffix(".md")
    notebook = read_notebook(page)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell, outputs in zip(cells, execution.outputs, strict=True):
        cell.outputs = [nbformat.from_dict(output) for output in outputs]
    facts = asdict(execution)
    shown = digest(json.dumps(facts.pop("outputs"), sort_keys=True).encode())
    bundle = CacheBundleIn(notebook, str(page), data=facts | {"key": key, "shown": shown})
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def handed_over(cache: JupyterCacheBase, path: Path, key: str) -> Execution | None:
    """The execution that is there under this key; None where that is nothing, or not whole.

    What is there for another key is dropped, so that no page can show it.
    """
    record = execution_record(cache, path)
    if record is None:
        return None
    execution, facts = None, ("seconds", "products", "peak_memory", "machine")
    with contextlib.suppress(KeyError, nbformat.reader.NotJSONError, nbformat.ValidationError):
        notebook = cache.get_cache_bundle(_match(cache, path).pk).nb
        outputs = [cell.get("outputs", []) for cell in notebook.cells if cell.cell_type == "code"]
        whole = digest(json.dumps(outputs, sort_keys=True).encode()) == record["shown"]
        if whole and record["key"] == key:
            execution = Execution(outputs, *map(record.get, facts))
    if execution is None:
        with contextlib.suppress(KeyError):
            cache.remove_cache(_match(cache, path).pk)
    return execution


def is_cached(root: Path, path: Path) -> bool:
    """Whether the outputs of a chapter are there, as its present code makes them."""
    return handed_over(open_cache(root), path, chapter_key(root, read_notebook(path))) is not None


def execution_record(cache: JupyterCacheBase, path: Path) -> dict | None:
    """What was noted of the execution that a page shows, such as `seconds`; None if there is none."""
    try:
        return _match(cache, path).data
    except KeyError:
        return None


def cached_notebook(cache: JupyterCacheBase, path: Path) -> nbformat.NotebookNode:
    """A chapter with its outputs; without any where it has no code or was not executed."""
    notebook = read_notebook(path)
    try:
        return cache.merge_match_into_notebook(notebook)[1]
    except KeyError:
        return notebook


def cached_outputs(cache: JupyterCacheBase, path: Path) -> list[nbformat.NotebookNode]:
    """All outputs of an executed chapter; none where it has no code or was not executed."""
    cells = cached_notebook(cache, path).cells
    return [output for cell in cells for output in cell.get("outputs", [])]


def _match(cache: JupyterCacheBase, path: Path):
    return cache.match_cache_notebook(read_notebook(path))
