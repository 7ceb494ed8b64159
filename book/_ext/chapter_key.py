"""What the outputs of a chapter depend on, as one key.

That is: its code cells; the source of every `helpers` module that they import, directly or through others; the files
that are no Python in the folders of these packages; `requirements.txt`; the minor version of Python; the architecture.
Nothing else: two clones with the same key show the same.
"""

import ast
import functools
import hashlib
import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager

PACKAGE = "helpers"


def chapter_key(root: Path, notebook: nbformat.NotebookNode) -> str:
    """The key of a chapter's outputs, 64 hexadecimal digits. `root` is the folder that holds `helpers`."""
    code = code_cells(notebook)
    files = sources(root, [statements(cell) for cell in code])
    facts = {
        "cells": code,
        "sources": {path.relative_to(root).as_posix(): digest(path.read_bytes()) for path in files},
        "requirements": pins((root / "requirements.txt").read_text()),
        "python": sys.version_info[:2],
        "architecture": platform.machine(),
    }
    return digest(json.dumps(facts, sort_keys=True).encode())


def code_cells(notebook: nbformat.NotebookNode) -> list[str]:
    """The code of a chapter; two halves of a pair have the same."""
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def pins(requirements: str) -> list[str]:
    """The lines of a file of requirements, without comments."""
    lines = (line.split("#")[0].strip() for line in requirements.splitlines())
    return sorted(filter(None, lines))


def statements(cell: str) -> str:
    """The cell as plain Python: IPython's own syntax becomes calls."""
    return TransformerManager().transform_cell(cell)


def sources(root: Path, codes: list[str]) -> list[Path]:
    """The files of `helpers` that these pieces of code read, through whatever number of imports."""
    found: set[Path] = set()
    pending = [name for code in codes for name in imported(code, "")]
    while pending:
        name = pending.pop()
        path = module_file(root, name)
        if path is None or path in found:
            continue
        found.add(path)
        is_package = path.name == "__init__.py"
        if is_package:
            found.update(data_files(path.parent))
        pending += imported(path.read_text(), name if is_package else name.rpartition(".")[0])
    return sorted(found)


@functools.cache
def imported(code: str, package: str) -> tuple[str, ...]:
    """Every name of `helpers` that the code imports, with the packages around it; `package` is where the code stands.

    A name that is no module is harmless: no file belongs to it.
    """
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return ()  # it will not run either, and what does not run is not kept
    names = {name for node in ast.walk(tree) for name in named(node, package)}
    return tuple(sorted(part for name in names for part in with_parents(name) if part.split(".")[0] == PACKAGE))


def named(node: ast.AST, package: str) -> Iterator[str]:
    """The modules that one statement may import."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
        start = ".".join([*above, node.module] if node.module else above)
        yield from (f"{start}.{alias.name}" for alias in node.names)


def with_parents(name: str) -> Iterator[str]:
    """a.b.c -> a, a.b, a.b.c: an import runs them all."""
    parts = name.split(".")
    return (".".join(parts[:end]) for end in range(1, len(parts) + 1))


def module_file(root: Path, name: str) -> Path | None:
    """The file of a module or package; None if there is none."""
    place = root.joinpath(*name.split("."))
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


def data_files(package: Path) -> Iterator[Path]:
    """The files of a package that are no Python, those of the packages in it left out."""
    for path in package.iterdir():
        if path.name.startswith((".", "__pycache__")):
            continue
        if path.is_dir():
            if not (path / "__init__.py").exists():
                yield from data_files(path)
        elif path.suffix not in (".py", ".pyc"):
            yield path
