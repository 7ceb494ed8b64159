"""One address, small files, a complete table of contents."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from project import REPOSITORY, ROOT, files, notebooks, pages

OWNER, NAME = REPOSITORY.split("/")[-2:]
HOSTS = r"github\.com|githubusercontent\.com|mybinder\.org/v2/gh|colab\.research\.google\.com/github"
ADDRESS = re.compile(rf"(?:{HOSTS})/([\w.-]+/[\w.-]+?)(?=\.git\b|\.?(?:[^\w.-]|$))")
SITE = re.compile(r"([\w-]+)\.github\.io/([\w-]+)")
WORKFLOWS = [ROOT / ".github" / "workflows" / f"{name}.yml" for name in ("book", "links", "weekly")]
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))
INSTALL = re.compile(r"git\+(https?://[^\s\"'@]+)")


def front_files() -> list[Path]:
    """The files that speak of this repository; chapters may link to other people's."""
    outside = [path for path in files() if ROOT / "book" not in path.parents]
    return [path for path in outside if path.suffix in {".md", ".cff", ".toml", ".yml"}]


@pytest.mark.parametrize("path", front_files(), ids=lambda path: path.name)
def test_address_is_that_of_the_configuration(path):
    text = path.read_text()
    assert set(ADDRESS.findall(text)) <= {f"{OWNER}/{NAME}"}
    assert set(SITE.findall(text)) <= {(OWNER, NAME)}


def test_addresses_are_found_where_they_stand():
    """What the test above looks through holds some, and the patterns see them."""
    named = {path.name for path in front_files() if ADDRESS.search(path.read_text())}
    assert {"_config.yml", "CITATION.cff"} <= named
    assert ADDRESS.findall(f"https://github.com/{OWNER}/{NAME}.git") == [f"{OWNER}/{NAME}"]
    assert SITE.findall("https://ada.github.io/book/") == [("ada", "book")]


@pytest.mark.parametrize("page", notebooks(), ids=lambda page: page.stem)
def test_chapter_installs_the_helpers_from_the_repository(page):
    """On Colab the set-up cell is all there is."""
    assert {url.removesuffix(".git") for url in INSTALL.findall(page.read_text())} == {REPOSITORY}


def test_citation_names_the_repository():
    assert f"repository-code: {REPOSITORY}\n" in (ROOT / "CITATION.cff").read_text()


def test_contents_list_every_page():
    assert sorted(pages()) == sorted(f"book/{page.stem}" for page in (ROOT / "book").glob("*.md"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflow_pins_actions_and_calls_commands_that_exist(path):
    jobs = yaml.safe_load(path.read_text())["jobs"].values()
    steps = [step for job in jobs for step in job["steps"]]
    used = [step["uses"] for step in steps if "uses" in step]
    assert used and all(re.fullmatch(r"actions/[\w-]+@v\d+", action) for action in used)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    called = set(re.findall(r"\bmake ([\w-]+)", "\n".join(step.get("run", "") for step in steps)))
    assert called and called <= targets
    assert all(job["timeout-minutes"] for job in jobs if len(job["steps"]) > 1)


def test_every_workflow_and_some_template_are_looked_at():
    assert sorted(WORKFLOWS) == sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert TEMPLATES


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.stem)
def test_issue_template_has_what_github_asks_for(path):
    front = yaml.safe_load(path.read_text().split("---\n")[1])
    assert set(front) == {"name", "about", "labels"} and all(front.values())


def test_versions_of_the_hooks_are_those_of_the_book():
    """jupytext writes what the pair check compares."""
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    pins = {pin for hook in hooks for pin in hook["additional_dependencies"]}
    assert pins and all(re.fullmatch(r"[\w-]+==[\d.]+", pin) for pin in pins)
    shared = {pin for pin in pins if pin.split("==")[0] in ("jupytext", "ruff")}
    assert len(shared) == 2 and shared <= set((ROOT / "requirements.txt").read_text().split())


def test_no_file_is_large():
    found = files()
    assert ROOT / "README.md" in found
    assert not [path for path in found if path.stat().st_size > 1_000_000]


def test_readme_shows_what_is_there():
    shown = re.findall(r"!\[[^\]]{20,}\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert shown and all((ROOT / picture).is_file() for picture in shown)


def test_the_readme_shows_what_its_recipe_prints():
    """The verdicts; a count may differ by one on another processor."""
    text = (ROOT / "README.md").read_text()
    code, shown = (re.search(rf"```{kind}\n(.*?)```", text, re.DOTALL).group(1) for kind in ("python", "text"))
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    def words(table):
        return [re.sub(r"\d+\.\d|\s+", " ", line).split() for line in table.splitlines()]

    assert words(printed) == words(shown)


def test_notebooks_are_opened_as_copies_that_stay(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("book/_ext", "_build/html/notebooks"):
        (tmp_path / name).mkdir(parents=True)
    shutil.copy(ROOT / "book" / "_ext" / "own_copies.py", tmp_path / "book" / "_ext")
    command = ["make", "notebook", f"PYTHON={sys.executable}", "--assume-old=setup", "LAB_ARGS=--version"]

    def write(path, text, code):
        cells = [nbformat.v4.new_markdown_cell(text, id="a"), nbformat.v4.new_code_cell(code, id="b")]
        paired = {"jupytext": {"formats": "ipynb,md:myst"}}
        nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=paired), tmp_path / path)

    write("book/a.ipynb", "{role}", "1")
    write("book/b.ipynb", "{role}", "1")
    write("_build/html/notebooks/a.ipynb", "as on the page", "1")
    write("_build/html/notebooks/b.ipynb", "of another build", "0")
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    for name, expected in (("a", "as on the page"), ("b", "{role}")):
        copy = nbformat.read(tmp_path / "mine" / f"{name}.ipynb", as_version=4)
        assert copy.cells[0].source == expected and "jupytext" not in copy.metadata
    write("mine/a.ipynb", "mine", "2")
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    assert nbformat.read(tmp_path / "mine" / "a.ipynb", as_version=4).cells[0].source == "mine"
    assert "mine/" in (ROOT / ".gitignore").read_text().splitlines()
