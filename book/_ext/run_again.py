"""Execute chapters a second time, and compare every output with that of the build.

The same seeds give the same numbers on the same machine and versions, says the page on
reproducibility; this tests it. Nothing of it goes into the cache or the pages.
"""

import argparse
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from execute import ExecutionFailed, execute
from nbformat import NotebookNode
from notebook_cache import cached_notebook, is_cached, open_cache
from rerun_claims import add_chapters, chosen_chapters

ROOT = Path(__file__).parents[2]


def main(arguments: list[str] | None = None) -> int:
    """One line per chapter, and one for each cell that shows something else; returns 1 if one does, else 0."""
    parser = argparse.ArgumentParser(prog="make again", description=__doc__.splitlines()[0])
    add_chapters(parser)
    chapters = {path.stem: path for path in sorted((ROOT / "book").glob("*.ipynb"))}
    chosen = chosen_chapters(parser, parser.parse_args(arguments), list(chapters))
    if missing := [name for name in chosen if not is_cached(ROOT, chapters[name])]:
        parser.error(f"not executed yet: {', '.join(missing)}; run `make book`")
    differ = 0
    # Two at a time with one thread each, whatever the machine: it may be in use.
    with ThreadPoolExecutor(max_workers=2) as pool:
        for name, found in zip(chosen, pool.map(lambda name: rerun(chapters[name]), chosen), strict=True):
            print(f"{name}: {'not the same' if found else 'the same'}", *found, sep="\n  ", flush=True)
            differ += bool(found)
    return min(differ, 1)


def rerun(path: Path) -> list[str]:
    """One line for each difference between the kept run of a chapter and a new one."""
    kept = cached_notebook(open_cache(ROOT), path)
    try:
        return list(differences(kept, execute(path, timeout=-1).outputs))
    except ExecutionFailed as failure:
        return [str(failure)]


def differences(first: NotebookNode, second: list[list[dict]]) -> Iterator[str]:
    """One line for each code cell of a run whose outputs are not those of another run."""
    cells = [cell for cell in first.cells if cell.cell_type == "code"]
    for number, (cell, outputs) in enumerate(zip(cells, second, strict=True), 1):
        one, other = parts(cell.outputs), parts(outputs)
        if kinds := [kind for kind in one | other if one.get(kind) != other.get(kind)]:
            start = cell.source.strip().split("\n")[0]
            yield f"code cell {number}, {start!r}: {', '.join(kinds)}"


def parts(outputs: list[dict]) -> dict[str, object]:
    """What a cell shows, by place and kind: texts, pictures and the values that prose quotes."""
    shown = {}
    for place, output in enumerate(outputs, 1):
        data = output.get("data") or {output["output_type"]: output.get("text")}
        shown |= {f"output {place} ({kind})": value for kind, value in data.items()}
    return shown


if __name__ == "__main__":
    sys.exit(main())
