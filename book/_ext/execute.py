"""Execute the chapters once, for the tests and for the pages, on this clone and the next.

A `book/*.ipynb` whose outputs are not kept for its present `chapter_key` runs under nbmake in a temporary folder. What
it shows is kept at once, outside of the clone: a build that is killed resumes where it was. Of two runs at once, the
second waits and finds the first one's outputs.
"""

import fcntl
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

import kept
import machine
import nbformat
import yaml
from chapter_key import chapter_key, code_cells
from ipykernel.kernelspec import write_kernel_spec
from jupyter_cache.cache.main import JupyterCacheBase
from kept import Execution
from notebook_cache import hand_over, handed_over, open_cache, read_notebook

import helpers

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    # Notebooks run side by side, and torch's threads would fight for the cores.
    "OMP_NUM_THREADS": "1",
    # glibc gives the memory of a gradient back after each step, and clearing it anew takes a tenth of a training.
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
}


class ExecutionFailed(Exception):
    """The chapter does not run, or shows a warning; the message says what it wrote."""


def say(line: str) -> None:
    print(line, flush=True)


def main(*, fresh: bool = False, report: Callable[[str], None] = say) -> int:
    """Bring the outputs up to date, one line per notebook that runs; returns the number of failures.

    `fresh` executes every chapter, whatever is kept.
    """
    (ROOT / "_build").mkdir(exist_ok=True)
    with (ROOT / "_build" / ".lock").open("w") as lock:  # let go when this process ends, however it ends
        fcntl.flock(lock, fcntl.LOCK_EX)
        return bring_up_to_date(fresh, report)


def bring_up_to_date(fresh: bool, report: Callable[[str], None]) -> int:
    if (package := Path(helpers.__path__[0]).resolve()) != (ROOT / "helpers").resolve():
        report(f"FAILED, the chapters would run with the helpers in {package}: run `make setup` in this clone")
        return 1
    cache = open_cache(ROOT)
    failures, pending, unchanged = 0, [], []
    for path in sorted((ROOT / "book").glob("*.ipynb")):
        if not same_code(path):
            failures += 1
            report(f"{path.stem}: FAILED, the .md and the .ipynb differ: run `make sync`")
        elif fresh or not reuse(cache, path):
            pending.append(path)
        else:
            unchanged.append(path.stem)
    if unchanged:
        report(f"unchanged: {', '.join(unchanged)}")

    product = product_seconds() if pending else 1.0
    pending.sort(key=lambda path: path.stat().st_size, reverse=True)  # short ones fill the gaps at the end
    timeout = yaml.safe_load((ROOT / "_config.yml").read_text())["execute"]["timeout"]
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        runs = {pool.submit(keyed, path, timeout, product): path for path in pending}
        for run in as_completed(runs):
            path = runs[run]
            try:
                key, execution = run.result()
            except ExecutionFailed as failure:
                failures += 1
                report(f"{path.stem}: FAILED\n{failure}")
                continue
            hand_over(cache, path, key, execution)
            report(f"{path.stem}: executed in {execution.seconds:.0f} s")
            if problem := kept.save(key, execution):
                report(f"{path.stem}: its outputs are kept in this clone only: {problem}")
    return failures


def key_of(path: Path) -> str:
    return chapter_key(ROOT, read_notebook(path))


def same_code(path: Path) -> bool:
    """Whether the page (.md) and what is executed (.ipynb) hold the same code."""
    page = path.with_suffix(".md")
    return page.exists() and code_cells(read_notebook(page)) == code_cells(read_notebook(path))


def reuse(cache: JupyterCacheBase, path: Path) -> bool:
    """Hand the page what is kept for its chapter; whether there is anything."""
    key = key_of(path)
    here, elsewhere = handed_over(cache, path, key), kept.load(key)
    if here is None and elsewhere is not None:
        hand_over(cache, path, key, elsewhere)
    if elsewhere is None and here is not None:
        kept.save(key, here)
    return not (here is elsewhere is None)


def product_seconds() -> float:
    """Time of a core for one product of float32 matrices, 2000 x 1000 x 1500: the unit in which machines compare."""
    code = """
import time, torch
torch.set_num_threads(1)
a, b, times = torch.randn(2000, 1000), torch.randn(1000, 1500), []
for _ in range(10):
    start = time.process_time()
    a @ b
    times.append(time.process_time() - start)
print(sorted(times)[5])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def keyed(path: Path, timeout: int, product: float) -> tuple[str, Execution]:
    """Run it; the key that its outputs belong to."""
    key = key_of(path)
    execution = execute(path, timeout, product)
    if key_of(path) != key:
        raise ExecutionFailed("Its code changed while it ran: run it again.")
    return key, execution


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """The variables that chapters run under: python3 is this Python, whatever JUPYTER_PATH or the user calls so."""
    with tempfile.TemporaryDirectory() as folder:
        write_kernel_spec(Path(folder, "kernels", "python3"))
        paths = [folder, *filter(None, [os.environ.get("JUPYTER_PATH")])]
        yield os.environ | ENVIRONMENT | {"JUPYTER_PATH": os.pathsep.join(paths)}


def execute(path: Path, timeout: int, product: float = 1.0) -> Execution:
    """Run a copy in an empty folder, where it finds `helpers` only if that is installed.

    `product` is the unit of its cost, as `product_seconds` gives it.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        environment() as variables,
        tempfile.TemporaryFile("w+") as log,
    ):
        copy = Path(shutil.copy(path, folder))
        start = time.perf_counter()
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "pytest", "--nbmake", "--overwrite", copy.name),
                *(f"--nbmake-timeout={timeout}", "-q", "--no-header", "-p", "no:cacheprovider"),
            ],
            cwd=folder,
            env=variables,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        returncode, core_seconds, peak_memory = wait(process)
        seconds = time.perf_counter() - start
        notebook = read_notebook(copy)
        log.seek(0)
        output = "" if returncode == 0 else plain(log.read())
    if problem := output or written_to_stderr(notebook):
        raise ExecutionFailed(problem)
    outputs = [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]
    return Execution(outputs, seconds, core_seconds / product, peak_memory, machine.in_words())


def wait(process: subprocess.Popen) -> tuple[int, float, int]:
    """Exit status; time of a core, and the most memory that the process or one of its children held, in bytes."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    core_seconds = usage.ru_utime + usage.ru_stime
    return process.returncode, core_seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def written_to_stderr(notebook: nbformat.NotebookNode) -> str:
    """What the cells wrote to stderr: a page must not show a warning to its reader."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return "".join(output.text for output in outputs if output.get("name") == "stderr")


def plain(text: str) -> str:
    """Text without a terminal's color codes."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


if __name__ == "__main__":
    sys.exit(min(main(fresh="--fresh" in sys.argv), 1))
