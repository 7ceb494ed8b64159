"""Copies of the chapters for a reader to change: `own_copies.py FOLDER` makes those that the folder does not have.

A copy is the reading copy of the last build, where that has the code of the chapter; otherwise the chapter. No copy is
paired with a text file, so Jupyter Lab writes one file for each.
"""

import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[2]


def make(folder: Path, root: Path = ROOT) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "jupytext.toml").touch()  # nearer than that of the project, and without formats
    for chapter in sorted((root / "book").glob("*.ipynb")):
        if not (folder / chapter.name).exists():
            copy = nbformat.read(chapter, as_version=4)
            read = root / "_build" / "html" / "notebooks" / chapter.name
            if read.exists() and code(built := nbformat.read(read, as_version=4)) == code(copy):
                copy = built
            copy.metadata.pop("jupytext", None)
            nbformat.write(copy, folder / chapter.name)


def code(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


if __name__ == "__main__":
    make(ROOT / sys.argv[1])
