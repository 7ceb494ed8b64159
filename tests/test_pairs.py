"""A chapter is a pair: NAME.md, which is edited, and NAME.ipynb, which is made from it."""

import os
import shutil
import subprocess
import sys

import nbformat
import pytest
from project import ROOT, notebooks

BOOK = ROOT / "book"


def test_every_chapter_has_both_halves():
    edited = {page.stem for page in notebooks()}
    assert edited == {path.stem for path in BOOK.glob("*.ipynb")}


def test_halves_say_the_same(tmp_path):
    """jupytext, told that every .md is the newer half, has nothing to change in either."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)  # holds jupytext's settings
    names = [page.with_suffix(ending).name for page in notebooks() for ending in (".ipynb", ".md")]
    for age, name in enumerate(names):
        shutil.copyfile(BOOK / name, tmp_path / name)
        os.utime(tmp_path / name, (age, age))
    edited = [name for name in names if name.endswith(".md")]
    subprocess.run([sys.executable, "-m", "jupytext", "--sync", "--quiet", *edited], cwd=tmp_path, check=True)
    changed = [n for n in names if (tmp_path / n).read_text() != (BOOK / n).read_text()]
    assert not changed, "run `make sync`"


@pytest.mark.parametrize("path", sorted(BOOK.glob("*.ipynb")), ids=lambda path: path.stem)
def test_notebook_holds_no_outputs(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    assert not [cell.source for cell in cells if cell.outputs or cell.execution_count]
