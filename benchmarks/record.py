"""The record of a run: text that stands in a cell of the book's page, so that the page needs no file beside it."""

import io
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import torch
from machine import in_words

from .case import COLUMNS

PAGE = Path(__file__).parents[1] / "book" / "benchmarks.md"
CELL = re.compile(r'(?<=\nmachine = )"[^"\n]*"\nrecord = """\\\n.*?"""', re.DOTALL)


def machine(threads: int) -> str:
    """This machine and what the run used of it, in words."""
    used = f"{threads} thread{'s' * (threads != 1)} with {torch.backends.cpu.get_cpu_capability()}"
    return f"{in_words()}; {used}, Python {platform.python_version()}, torch {torch.__version__}"


def text(rows: Iterable[dict[str, object]]) -> str:
    return pd.DataFrame(rows, columns=COLUMNS).to_csv(index=False, float_format="%.3g")


def write(rows: Iterable[dict[str, object]], words: str) -> None:
    """Put the rows into the page, and bring its notebook into line."""
    page, count = CELL.subn(lambda _: f'"{words}"\nrecord = """\\\n{text(rows)}"""', PAGE.read_text())
    if count != 1:
        raise ValueError(f"{PAGE.name}: got {count} cells with a record, expected one")
    PAGE.write_text(page)
    subprocess.run([sys.executable, "-m", "jupytext", "--quiet", "--sync", str(PAGE)], check=True)


def words() -> str:
    """The machine of the page's record."""
    return CELL.search(PAGE.read_text()).group().split('"')[1]


def read() -> pd.DataFrame:
    """The rows that stand in the page."""
    cell = CELL.search(PAGE.read_text()).group()
    return pd.read_csv(io.StringIO(cell.split('"""')[1].removeprefix("\\\n")))
