"""Where executed notebooks are kept, for the tests and the pages alike.

jupyter-cache knows a notebook by its code cells alone, so a change in `helpers/` would leave stale
pages behind. Here every state of the code has a folder of its own, and Sphinx, which sees the folder
as part of its configuration, reads all pages again when it changes.
"""

import hashlib
import json
import shutil
import tomllib
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.cache.main import JupyterCacheBase
from myst_nb.core.read import read_myst_markdown_notebook

KEPT = 3  # states of the code: enough to go back and forth between two branches


def cache_folder(root: Path) -> Path:
    """The folder for the present state of everything a notebook runs on, except its own cells."""
    digest = hashlib.sha256()
    for path in [*_package_files(root / "helpers"), root / "requirements.txt"]:
        digest.update(path.relative_to(root).as_posix().encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    digest.update(json.dumps(project["dependencies"]).encode())
    return root / "_build" / ".jupyter_cache" / digest.hexdigest()[:16]


def open_cache(root: Path) -> JupyterCacheBase:
    """The cache for the present state; the oldest of the other states are deleted."""
    current = cache_folder(root)
    current.mkdir(parents=True, exist_ok=True)
    current.touch()
    states = [path for path in current.parent.iterdir() if path.is_dir()]
    for old in sorted(states, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
        shutil.rmtree(old)
    return get_cache(str(current))


def read_notebook(path: Path) -> nbformat.NotebookNode:
    """A chapter as a notebook: the .md as Sphinx reads it, or the .ipynb."""
    if path.suffix == ".md":
        return read_myst_markdown_notebook(path.read_text())
    return nbformat.read(path, as_version=4)


def is_cached(cache: JupyterCacheBase, path: Path) -> bool:
    """Whether the outputs are there, whole: a run that was killed may have left a record without its notebook."""
    try:
        cache.get_cache_bundle(cache.match_cache_notebook(read_notebook(path)).pk)
    except (KeyError, nbformat.reader.NotJSONError):
        return False
    return True


def execution_record(cache: JupyterCacheBase, path: Path) -> dict | None:
    """What was noted when a chapter was executed, such as `execution_seconds`; None if it was not."""
    try:
        return cache.match_cache_notebook(read_notebook(path)).data
    except KeyError:
        return None


def cached_notebook(cache: JupyterCacheBase, path: Path) -> nbformat.NotebookNode:
    """A chapter with its outputs; without any where it has no code or was not executed."""
    notebook = read_notebook(path)
    return cache.merge_match_into_notebook(notebook)[1] if is_cached(cache, path) else notebook


def cached_outputs(cache: JupyterCacheBase, path: Path) -> list[nbformat.NotebookNode]:
    """All outputs of an executed chapter; none where it has no code or was not executed."""
    cells = cached_notebook(cache, path).cells
    return [output for cell in cells for output in cell.get("outputs", [])]


def _package_files(package: Path) -> list[Path]:
    return sorted(
        path
        for path in package.rglob("*")
        if path.is_file() and not any(p.startswith((".", "__pycache__")) for p in path.parts[-2:])
    )
