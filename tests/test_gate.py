"""The gate closes on a broken notebook, and the pages follow the code they were made from.

Both are shown on a small copy of this project: its configuration, its extension and its execution
script are the real ones, only the chapters are others, and what `helpers` itself says when it is imported.
"""

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import execute as execution
import jupytext
import nbformat
import pytest
import yaml
from project import ROOT

CHAPTERS = ROOT / "tests" / "chapters"


def make_project(root: Path, chapters: list[str], helpers: str = "", texts: dict[str, str] | None = None) -> Path:
    """A project with chapters of tests/chapters or with these texts, the first one as its front page."""
    texts = texts or {}
    shutil.copytree(ROOT / "book", root / "book", ignore=shutil.ignore_patterns("*.md", "*.ipynb"))
    for name in ("_config.yml", "requirements.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "helpers", root / "helpers", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "helpers" / "__init__.py").write_text(helpers)
    files = [f"book/{name}.md" for name in chapters]
    rest = [{"file": file} for file in files[1:]]
    toc = {"format": "jb-book", "root": files[0], "chapters": rest}
    (root / "_toc.yml").write_text(yaml.safe_dump(toc))
    for name in chapters:
        page, text = root / "book" / f"{name}.md", texts.get(name) or (CHAPTERS / f"{name}.md").read_text()
        page.write_text(text)
        if "kernelspec:" in text:
            nbformat.write(jupytext.reads(text, "md:myst"), page.with_suffix(".ipynb"))
    return root


def run(root: Path, *command: str, **environment: str) -> subprocess.CompletedProcess:
    own = {"PYTHONPATH": str(root), "SPECTRAL_EVOLUTION_CACHE": str(root / "kept")}
    environment = os.environ | own | environment
    return subprocess.run([sys.executable, *command], cwd=root, env=environment, capture_output=True, text=True)


def execute(root: Path, **environment: str) -> subprocess.CompletedProcess:
    return run(root, "book/_ext/execute.py", **environment)


def build(root: Path, *options: str) -> subprocess.CompletedProcess:
    start = "from jupyter_book.cli.main import main; main()"
    return run(root, "-c", start, "build", ".", "-W", "-n", *options)


def install_kernel_without_helpers(folder: Path) -> None:
    """A kernel that has every requirement, but not the .pth file that makes `helpers` importable."""
    kernel = {
        "argv": [sys.executable, "-S", "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "env": {"PYTHONPATH": sysconfig.get_path("purelib")},
        "display_name": "Without helpers",
        "language": "python",
    }
    target = folder / "kernels" / "without-helpers"
    target.mkdir(parents=True)
    (target / "kernel.json").write_text(json.dumps(kernel))


@pytest.fixture(scope="module")
def broken_run(tmp_path_factory):
    root = make_project(tmp_path_factory.mktemp("broken"), ["sound", "raises", "warns", "homeless", "stale"])
    stale = root / "book" / "stale.md"
    stale.write_text(stale.read_text().replace("print(1)", "print(2)"))
    install_kernel_without_helpers(root / "jupyter")
    return execute(root, JUPYTER_PATH=str(root / "jupyter"))


def test_a_kernel_of_another_environment_is_not_taken(tmp_path, monkeypatch):
    spec = tmp_path / "kernels" / "python3"
    spec.mkdir(parents=True)
    argv = ["no-such-python", "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "Another", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    with execution.environment() as variables:
        find = "from jupyter_client.kernelspec import get_kernel_spec; print(get_kernel_spec('python3').argv[0])"
        done = subprocess.run([sys.executable, "-c", find], env=variables, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == sys.executable


def test_gate_closes(broken_run):
    assert broken_run.returncode != 0


@pytest.mark.parametrize(
    "name, reason",
    [
        ("raises", "ZeroDivisionError"),
        ("warns", "the reader would see this"),
        ("homeless", "ModuleNotFoundError: No module named 'helpers'"),
        ("stale", "make sync"),
    ],
)
def test_gate_names_the_notebook_and_the_reason(broken_run, name, reason):
    assert re.search(rf"^{name}: FAILED.*?{reason}", broken_run.stdout, re.DOTALL | re.MULTILINE)


def test_gate_lets_the_sound_notebook_through(broken_run):
    assert re.search(r"^sound: executed in \d+ s$", broken_run.stdout, re.MULTILINE)


def test_pages_follow_the_helpers(tmp_path):
    root = make_project(tmp_path, ["answer", "claims"], helpers="ANSWER = 0.1234")
    assert "answer: executed" in execute(root).stdout
    assert build(root).returncode == 0
    assert_pages_show(root, "0.1234")
    record = (root / "_build" / "html" / "book" / "claims.html").read_text()
    cost = r"\d seconds, the cost of \d+ products, \d\.\d GB of memory at most"
    assert re.search(rf"{cost}, on \d+ cores?, .*(Linux|Darwin)", record)
    assert importlib.metadata.version("torch") in record
    assert "unchanged: answer" in execute(root).stdout

    (root / "helpers" / "__init__.py").write_text("ANSWER = 0.5678")
    assert build(root).returncode == 0  # plain Jupyter Book sees the change by itself
    assert_pages_show(root, "0.5678")
    assert "unchanged: answer" in execute(root).stdout  # what it executed is kept


def assert_pages_show(root: Path, value: str) -> None:
    for page in ("answer", "claims"):
        assert value in (root / "_build" / "html" / "book" / f"{page}.html").read_text()


def test_a_second_run_shows_the_same_but_for_a_draw_without_a_seed(tmp_path):
    root = make_project(tmp_path, ["drawn", "moody"])
    assert "not executed yet: drawn, moody" in run(root, "book/_ext/run_again.py").stderr
    assert execute(root).returncode == 0
    again = run(root, "book/_ext/run_again.py")
    assert (again.returncode, again.stdout) == (
        1,
        "drawn: the same\nmoody: not the same\n  code cell 2, 'print(random.random())': output 1 (stream)\n",
    )


def test_build_refuses_a_figure_without_alternative_text(tmp_path):
    root = make_project(tmp_path, ["silent", "claims"])
    assert execute(root).returncode == 0
    done = build(root)
    assert done.returncode != 0
    assert "image without alternative text" in done.stderr + done.stdout


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """An executed chapter with a figure and a value, and a page that shows both."""
    root = make_project(tmp_path_factory.mktemp("quotes"), ["quotes", "drawn", "checked"])
    assert execute(root).returncode == 0
    return root


def test_page_shows_figure_and_number_of_a_chapter(drawn):
    assert build(drawn).returncode == 0
    page = (drawn / "_build" / "html" / "book" / "quotes.html").read_text()
    assert "The value is 0.13, and −0.4 was checked: −0.40" in re.sub("<.*?>", "", page)
    assert page.count('href="checked.html#check-checked-shift"') == 2
    assert 'alt="A line that rises from left to right"' in page
    assert re.search(r"A straight line.* From <a [^>]*href=\"drawn.html\"", page)


def test_a_section_ends_in_its_ledger(drawn):
    assert build(drawn).returncode == 0
    page = (drawn / "_build" / "html" / "book" / "checked.html").read_text()
    section, fold = page.index("The shift is"), page.index('<details class="checks">')
    assert section < fold < page.index("<h2>Another")
    assert "✓ 2 checks</b>, two seeds each" in page
    # The cell that only checks stands in the fold; the number of the text and its row lead to each other.
    assert fold < page.index("How each is computed") < page.index("claims") < page.index("<h2>Another")
    assert 'href="#check-checked-shift" id="said-checked-shift"' in page or 'id="said-checked-shift" href=' in page
    assert '<tr id="check-checked-shift">' in page and 'href="#said-checked-shift"' in page


@pytest.mark.parametrize(
    "name, reason",
    [("fig-drawn", "has no figure"), ("answer", "'missing' not found"), ("shift", "'missing' not found")],
)
def test_build_refuses_a_name_that_is_not_there(drawn, tmp_path, name, reason):
    root = shutil.copytree(drawn, tmp_path / "copy")
    page = root / "book" / "quotes.md"
    page.write_text(page.read_text().replace(name, "missing"))
    done = build(root)
    assert done.returncode != 0
    assert reason in done.stderr + done.stdout


def test_whole_book_prints_to_one_pdf(drawn, tmp_path):
    root = shutil.copytree(drawn, tmp_path / "copy")
    assert build(root, "--builder", "singlehtml").returncode == 0
    done = run(root, "book/_ext/pdf.py")
    assert done.returncode == 0, done.stderr
    pdf = (root / "_build" / "spectral-evolution.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", pdf)) == 3  # each chapter begins on a page of its own
    page = (root / "_build" / "singlehtml" / "index.html").read_text()
    for picture in re.findall(r'src="(_images/[^"]+)"', page):
        assert (root / "_build" / "singlehtml" / picture).is_file()
    assert not re.findall(r'href="book/[^"]*"', page)
