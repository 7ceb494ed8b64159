"""What the outputs of a chapter depend on, as one key.

That is: its code cells; the source of every `helpers` module that they use, directly or through others; the files that
are no Python in the folders of these packages; `requirements.txt`; the minor version of Python; the architecture.
Nothing else: two clones with the same key show the same. Of a room, such as `helpers.laws`, the modules count that hold
the names which are used; the list of names in its `__init__` does not count, the rest of it does.
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
        "sources": {path.relative_to(root).as_posix(): digest(content(path)) for path in files},
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
    """The files of `helpers` that these pieces of code use, through whatever number of imports."""
    found: set[Path] = set()
    seen: set[str] = set()
    pending = set(used("\n".join(filter(is_python, codes)), ""))
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            files, further = looked_up(root, name)
            found.update(files)
            pending |= further
    return sorted(found)


def is_python(code: str) -> bool:
    """What is none will not run either, and what does not run is not kept."""
    try:
        ast.parse(code)
    except SyntaxError:
        return False
    return True


def looked_up(root: Path, name: str) -> tuple[list[Path], set[str]]:
    """The files that a name such as helpers.laws.marchenko_pastur leads to, and the names that these use in turn.

    A room, a package that only lists names, leads on to the file that holds the name; used as a whole, to all of them.
    """
    parts = name.split(".")
    files: list[Path] = []
    further: set[str] = set()
    for end in range(1, len(parts) + 1):
        package = ".".join(parts[:end])
        path = module_file(root, package)
        if path is None:  # a name in the module or package before
            break
        files.append(path)
        if path.name != "__init__.py":
            return files, further | used(path.read_text(), ".".join(parts[: end - 1]))
        files += data_files(path.parent)
        inside = parts[end] if end < len(parts) else ""
        listed = listing(path.read_text(), package)
        if listed is None:
            further |= used(path.read_text(), package)
        elif inside in listed:  # and perhaps the name of a module too
            further.add(listed[inside])
        elif not inside or module_file(root, f"{package}.{inside}") is None:
            further |= set(listed.values())
    return files, further


@functools.cache
def used(code: str, package: str) -> frozenset[str]:
    """Every name of `helpers` that the code uses, such as helpers.laws.marchenko_pastur; `package` is where it stands.

    A module that is handed on as it is counts as a whole. A name that is no module's is harmless: it leads to no file.
    """
    nodes = list(ast.walk(ast.parse(code)))
    bound: dict[str, set[str]] = {}
    names: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                names |= set(packages(alias.name))
                if alias.asname or alias.name == PACKAGE:
                    bound.setdefault(alias.asname or PACKAGE, set()).add(alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias, target in bindings(node, package):
                bound.setdefault(alias, set()).add(target)
    uses: list[tuple[str, str]] = []  # a name, and what is asked of it
    asked: set[int] = set()
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            uses.append((node.value.id, f".{node.attr}"))
            asked.add(id(node.value))
    uses += [(node.id, "") for node in nodes if isinstance(node, ast.Name) and id(node) not in asked]
    names |= {target + attribute for name, attribute in uses for target in bound.get(name, ())}
    hidden = any(is_magic(node) for node in nodes)  # what stands in a magic is not read: it may use all
    for unused in bound.keys() - (set() if hidden else {name for name, _ in uses}):
        names |= bound[unused]
    return frozenset(name for name in names if name.split(".")[0] == PACKAGE)


def packages(name: str) -> Iterator[str]:
    """a.b.c -> a.b.c, a.b: an import makes them all known; what lists nothing, as `helpers` itself, is harmless."""
    while "." in name:
        yield name
        name = name.rpartition(".")[0]
    yield name


def is_magic(node: ast.AST) -> bool:
    """A call of IPython's own commands, but for %pip."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    magic = node.func.attr in ("run_cell_magic", "run_line_magic")
    return magic and not (node.args and isinstance(node.args[0], ast.Constant) and node.args[0].value == "pip")


def bindings(node: ast.ImportFrom, package: str) -> Iterator[tuple[str, str]]:
    """What one statement binds: the name here, and the full name there; of a star, the package that it empties."""
    above = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
    start = ".".join([*above, node.module] if node.module else above)
    for alias in node.names:
        yield alias.asname or alias.name, start if alias.name == "*" else f"{start}.{alias.name}"


def listing(source: str, package: str) -> dict[str, str] | None:
    """Of a package that only lists names of its own modules: name -> full name; None if it does anything else."""
    found: dict[str, str] = {}
    for node in ast.parse(source).body:
        if is_listing(node):
            found |= dict(bindings(node, package) if isinstance(node, ast.ImportFrom) else [])
            if isinstance(node, ast.ImportFrom) and any(alias.asname for alias in node.names):
                return None  # under another name: then the list itself says what a name is
        elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
            return None
    return None if "*" in found else found


def is_listing(node: ast.stmt) -> bool:
    """An import from the package itself, or `__all__`."""
    if isinstance(node, ast.Assign):
        return [ast.unparse(target) for target in node.targets] == ["__all__"]
    return isinstance(node, ast.ImportFrom) and node.level > 0


def content(path: Path) -> bytes:
    """What counts of a file: all of it, but of a package that only lists names not the list.

    Where a name leads is seen from the file it leads to; that another one was added does not count.
    """
    source = path.read_bytes()
    if path.name != "__init__.py" or listing(source.decode(), PACKAGE) is None:
        return source
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if is_listing(node):
            del lines[node.lineno - 1 : node.end_lineno]
    return b"\n".join(lines)


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
