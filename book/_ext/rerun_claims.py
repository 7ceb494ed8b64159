"""Execute the chapters with other seeds, and print what every claim then observes.

Nothing of it goes into the cache or the pages. As with papermill, a cell after the one tagged
`parameters` sets the new values; a claim that fails is recorded and its chapter goes on.
"""

import argparse
import ast
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
from execute import environment
from notebook_cache import read_notebook

from helpers.claims import Claim, claims_in

ROOT = Path(__file__).parents[2]
GO_ON = """
from helpers import claims as _claims

def _record(name, value, *, _check=_claims.check, **bounds):
    try:
        return _check(name, value, **bounds)
    except _claims.ClaimFailed:
        return value

_claims.check = _record
"""
Row = tuple[str, str, str, str, str, str]


def main(arguments: list[str] | None = None) -> int:
    """Print one table of all claims; returns 1 if one of them fails or a cell raises, else 0."""
    chapters = {path.stem: path for path in sorted((ROOT / "book").glob("*.ipynb"))}
    chosen, seeds = parse(arguments, list(chapters))
    rows = []
    # Two at a time with one thread each, whatever the machine: it may be in use.
    with ThreadPoolExecutor(max_workers=2) as pool:
        runs = pool.map(lambda name: rerun(chapters[name], seeds), chosen)
        for name, notebook in zip(chosen, runs, strict=True):
            found = list(report(name, notebook))
            print(f"{name}: {sum(row[-1] == 'yes' for row in found)} of {len(found)} passed", flush=True)
            rows += found
    print()
    print_table([("chapter", "claim", "required", "observed", "control", "passed"), *rows])
    failed = sum(row[-1] != "yes" for row in rows)
    print(f"\n{len(rows) - failed} of {len(rows)} claims passed with the seeds {', '.join(map(str, seeds))}.")
    return min(failed, 1)


def parse(arguments: list[str] | None, chapters: list[str]) -> tuple[list[str], list[int]]:
    parser = argparse.ArgumentParser(prog="make claims", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", nargs="*", type=int, required=True, help="three or more, all different")
    add_chapters(parser)
    options = parser.parse_args(arguments)
    if len(set(options.seeds)) < max(3, len(options.seeds)) or min(options.seeds) < 0:
        parser.error(f"SEEDS: got {options.seeds}, expected three or more different numbers of at least 0")
    return chosen_chapters(parser, options, chapters), options.seeds


def add_chapters(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--chapters", nargs="*", default=[], help="their names; all chapters if there is none")


def chosen_chapters(parser: argparse.ArgumentParser, options: argparse.Namespace, chapters: list[str]) -> list[str]:
    if unknown := sorted(set(options.chapters) - set(chapters)):
        parser.error(f"CHAPTERS: got {', '.join(unknown)}, expected some of {', '.join(chapters)}")
    return options.chapters or chapters


def rerun(path: Path, seeds: list[int]) -> nbformat.NotebookNode:
    """The chapter, executed with these seeds in an empty folder, errors and all."""
    with tempfile.TemporaryDirectory() as folder, environment() as variables:
        copy = Path(folder, path.name)
        nbformat.write(reseeded(read_notebook(path), seeds), copy)
        command = ["-m", "nbconvert", "--to", "notebook", "--execute", "--allow-errors", "--inplace", path.name]
        done = subprocess.run(
            [sys.executable, *command, "--ExecutePreprocessor.timeout=-1"],
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        notebook = read_notebook(copy)
    if done.returncode:
        text = done.stderr.strip().splitlines() or ["no message"]
        notebook.cells[-1].outputs = [nbformat.v4.new_output("error", ename="nbconvert", evalue=text[-1])]
    return notebook


def reseeded(notebook: nbformat.NotebookNode, seeds: list[int]) -> nbformat.NotebookNode:
    """The notebook with a cell of new seeds after its parameters; unchanged if it has none."""
    for place, cell in enumerate(notebook.cells):
        if "parameters" in cell.metadata.get("tags", []):
            lines = [f"{name} = {extend(seeds, length)}" for name, length in seed_lists(cell.source).items()]
            new = nbformat.v4.new_code_cell("\n".join(lines) + GO_ON, metadata={"tags": ["injected-parameters"]})
            notebook.cells.insert(place + 1, new)
            break
    return notebook


def seed_lists(source: str) -> dict[str, int]:
    """Names and lengths of the lists `seeds` and `..._seeds` that the cell assigns."""
    found = {}
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.List | ast.Tuple):
            for target in statement.targets:
                if isinstance(target, ast.Name) and f"_{target.id}".endswith("_seeds"):
                    found[target.id] = len(statement.value.elts)
    return found


def extend(seeds: list[int], length: int) -> list[int]:
    """These seeds, and as many further ones as a list of this length needs."""
    return seeds + [max(seeds) + 1 + k for k in range(length - len(seeds))]


def report(chapter: str, notebook: nbformat.NotebookNode) -> Iterator[Row]:
    """A row for each claim, and for each cell that raised."""
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        for claim in claims_in([output]):
            yield chapter, claim.name, claim.required, claim.observed, claim.controls, verdict(claim)
        if output.output_type == "error":
            yield chapter, "a cell raised", "no error", f"{output.ename}: {output.evalue}"[:160], "", "NO"


def verdict(claim: Claim) -> str:
    return "yes" if claim.passed else "NO"


def print_table(rows: list[Row]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    sys.exit(main())
