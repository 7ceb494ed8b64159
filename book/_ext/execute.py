"""Execute the chapters once, for the tests and for the pages.

Every `book/*.ipynb` without a record in the cache runs under nbmake in a temporary folder, and its
outputs go to the cache at once: a build that is killed resumes where it was. The Sphinx build that
follows finds all of them there. Of two runs at once, the second waits and finds the first one's outputs.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import nbformat
import yaml
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.cache.main import JupyterCacheBase
from notebook_cache import is_cached, open_cache, read_notebook

from helpers import _machine

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    # Notebooks run side by side, and torch's threads would fight for the cores.
    "OMP_NUM_THREADS": "1",
    # glibc gives the memory of a gradient back after each step, and clearing it anew takes a tenth of a training.
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}


@dataclass(frozen=True)
class Execution:
    """What came of running one notebook; `problem` is empty if all went well."""

    notebook: nbformat.NotebookNode
    seconds: float
    peak_memory: int  # bytes, of its largest process
    problem: str


def main() -> int:
    """Bring the cache up to date, one line per notebook; returns the number of failures."""
    cache = open_cache(ROOT)
    failures, pending = 0, []
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        if not same_code(cache, path):
            failures += 1
            report(f"{path.stem}: FAILED, the .md and the .ipynb differ: run `make sync`")
        elif is_cached(cache, path):
            report(f"{path.stem}: unchanged")
        else:
            pending.append(path)

    pending.sort(key=lambda path: path.stat().st_size, reverse=True)  # short ones fill the gaps at the end
    timeout = yaml.safe_load((ROOT / "_config.yml").read_text())["execute"]["timeout"]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        runs = {pool.submit(execute, path, timeout): path for path in pending}
        for run in as_completed(runs):
            path, execution = runs[run], run.result()
            if execution.problem:
                failures += 1
                report(f"{path.stem}: FAILED\n{execution.problem}")
            else:
                store(cache, path, execution)
                report(f"{path.stem}: executed in {execution.seconds:.0f} s")
    return failures


def report(line: str) -> None:
    print(line, flush=True)


def same_code(cache: JupyterCacheBase, path: Path) -> bool:
    """Whether the page (.md) and what is executed (.ipynb) hold the same code.

    Otherwise the page would not find its outputs in the cache, and Sphinx would run it again.
    """
    page = path.with_suffix(".md")
    if not page.exists():
        return False
    hashes = {cache.create_hashed_notebook(read_notebook(half))[1] for half in (page, path)}
    return len(hashes) == 1


def execute(path: Path, timeout: int) -> Execution:
    """Run a copy in an empty folder, where it finds `helpers` only if that is installed."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as log:
        copy = Path(shutil.copy(path, folder))
        start = time.perf_counter()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "--nbmake", "--overwrite", copy.name),
                *(f"--nbmake-timeout={timeout}", "-q", "--no-header", "-p", "no:cacheprovider"),
            ],
            cwd=folder,
            env=os.environ | ENVIRONMENT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        returncode, peak_memory = wait(process)
        seconds = time.perf_counter() - start
        notebook = read_notebook(copy)
        log.seek(0)
        output = "" if returncode == 0 else plain(log.read())
    return Execution(notebook, seconds, peak_memory, output or written_to_stderr(notebook))


def wait(process: subprocess.Popen) -> tuple[int, int]:
    """Exit status, and the most memory that the process or one of its children held, in bytes."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def written_to_stderr(notebook: nbformat.NotebookNode) -> str:
    """What the cells wrote to stderr: a page must not show a warning to its reader."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.get("name") == "stderr")


def plain(text: str) -> str:
    """Text without a terminal's color codes."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def store(cache: JupyterCacheBase, path: Path, execution: Execution) -> None:
    """Put the outputs where Sphinx will look for those of the page."""
    for cell in execution.notebook.cells:
        cell.metadata.pop("execution", None)  # nbmake's times; they are part of the cache's key
    bundle = CacheBundleIn(
        execution.notebook,
        str(path.with_suffix(".md")),
        data={
            "execution_seconds": execution.seconds,
            "peak_memory": execution.peak_memory,
            "machine": _machine.in_words(),
        },
    )
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


if __name__ == "__main__":
    (ROOT / "_build").mkdir(exist_ok=True)
    with (ROOT / "_build" / ".lock").open("w") as lock:  # let go when this process ends, however it ends
        fcntl.flock(lock, fcntl.LOCK_EX)
        sys.exit(min(main(), 1))
