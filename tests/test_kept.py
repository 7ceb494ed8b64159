"""A chapter is executed when something that its outputs depend on is new, and only then, in whatever clone.

On a small project: two chapters with a module each, one of them through a package, and a page of claims.
"""

import json
import os
import re
import shutil
import time
from pathlib import Path

import jupytext
import kept
import nbformat
import pytest
from chapter_key import chapter_key, sources
from kept import Execution
from notebook_cache import read_notebook
from test_gate import build, execute, make_project, run

MODULES = {
    "left.py": "VALUE = 11",
    "right/__init__.py": "from .inner import VALUE",
    "right/inner.py": "from importlib import resources\n\nfrom .. import base\n\n"
    "VALUE = base.ONE + int(resources.files(__package__).joinpath('data', 'number.txt').read_text())",
    "right/data/number.txt": "21",
    "right/unused.py": "",
    "base.py": "ONE = 1",
}
CHAPTER = """---
jupytext:
  formats: ipynb,md:myst
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Chapter {name}

```{{code-cell}} ipython3
---
mystnb:
  figure:
    caption: A caption
    name: fig-{name}
  image:
    alt: Nothing to see
---
import base64

from IPython.display import Image, display

from helpers import {name}

print("value", {name}.VALUE)
display(Image(base64.b64decode("DOT")))
```
"""
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
CHAPTER = CHAPTER.replace("DOT", DOT)


def write_chapter(root: Path, name: str, text: str) -> None:
    (root / "book" / f"{name}.md").write_text(text)
    nbformat.write(jupytext.reads(text, "md:myst"), root / "book" / f"{name}.ipynb")


def make(root: Path) -> Path:
    root = make_project(root, ["left", "right", "claims"], texts={n: CHAPTER.format(name=n) for n in ("left", "right")})
    for name, source in MODULES.items():
        path = root / "helpers" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return root


def append(root: Path, name: str, text: str = "\n# changed\n") -> None:
    path = root / name
    path.write_text(path.read_text() + text)


def executed(done) -> list[str]:
    """The chapters that a call of `execute` has run; it went well."""
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(re.findall(r"^(\w+): executed", done.stdout, re.MULTILINE))


def read_again(done) -> int:
    """How many pages a build has read."""
    assert done.returncode == 0, done.stdout + done.stderr
    added, changed = re.search(r"(\d+) added, (\d+) changed", done.stdout + done.stderr).groups()
    return int(added) + int(changed)


def keys(root: Path) -> dict[str, str]:
    return {name: chapter_key(root, read_notebook(root / "book" / f"{name}.ipynb")) for name in ("left", "right")}


# ---- the key


@pytest.fixture
def project(tmp_path):
    return make(tmp_path / "project")


@pytest.mark.parametrize(
    "name, changed",
    [
        ("helpers/left.py", ["left"]),
        ("helpers/right/inner.py", ["right"]),
        ("helpers/right/__init__.py", ["right"]),
        ("helpers/right/data/number.txt", ["right"]),
        ("helpers/base.py", ["right"]),
        ("helpers/__init__.py", ["left", "right"]),
        ("helpers/right/unused.py", []),
        ("helpers/monitor/monitor.py", []),
        ("book/left.md", []),
        ("book/_ext/kept.py", []),
        ("pyproject.toml", []),
    ],
)
def test_key_changes_with_what_the_chapter_imports_and_with_nothing_else(project, name, changed):
    before = keys(project)
    append(project, name)
    assert [chapter for chapter, key in keys(project).items() if key != before[chapter]] == changed


def test_of_a_room_the_modules_count_whose_names_are_used(project):
    """A name more in the list of a room is no reason to run what uses the others; another home of a used one is."""
    before = keys(project)
    room = project / "helpers" / "right" / "__init__.py"
    room.write_text("from .inner import VALUE\nfrom .unused import unused\n")
    append(project, "helpers/right/unused.py", "def unused():\n    pass\n")
    assert keys(project) == before
    append(project, "helpers/right/unused.py", "VALUE = 3\n")
    room.write_text("from .unused import VALUE\n")
    assert keys(project)["right"] != before["right"]


def test_a_name_that_is_also_a_module_leads_to_both(project):
    (project / "helpers" / "right" / "__init__.py").write_text("from .inner import VALUE as unused\n")
    found = {path.stem for path in sources(project, ["from helpers.right import unused"])}
    assert {"inner", "base", "unused"} <= found


def test_a_room_that_does_more_than_list_names_counts_as_a_whole(project):
    append(project, "helpers/right/__init__.py", "\nprint('hello')\n")
    before = keys(project)
    append(project, "helpers/right/inner.py")
    assert keys(project)["right"] != before["right"]


def test_every_pin_counts_and_no_comment(project):
    before = keys(project)
    append(project, "requirements.txt")
    assert keys(project) == before
    append(project, "requirements.txt", "\nattrs==1.0\n")
    assert not set(keys(project).values()) & set(before.values())


@pytest.mark.parametrize("fact", ["python", "architecture"])
def test_python_and_architecture_count(project, monkeypatch, fact):
    before = keys(project)
    if fact == "python":
        monkeypatch.setattr("chapter_key.sys.version_info", (3, 99, 0))
    else:
        monkeypatch.setattr("chapter_key.platform.machine", lambda: "abacus")
    assert not set(keys(project).values()) & set(before.values())


def test_text_and_captions_do_not_count_but_code_does(project):
    before = keys(project)
    text = CHAPTER.format(name="left")
    write_chapter(project, "left", text.replace("# Chapter", "# A chapter").replace("A caption", "Another"))
    assert keys(project) == before
    write_chapter(project, "left", text.replace('print("value"', 'print("a value"'))
    assert keys(project)["left"] != before["left"]


@pytest.mark.parametrize(
    "code, modules",
    [
        ("import helpers.right.inner", ["__init__", "base", "right", "inner", "number"]),
        (
            "if True:\n    from helpers.right import unused as u",
            ["__init__", "right", "unused", "number"],
        ),
        ("def f():\n    import helpers.left, numpy", ["__init__", "left"]),
        ("from helpers.left import VALUE", ["__init__", "left"]),
        ("from helpers import right\nright.VALUE", ["__init__", "base", "right", "inner", "number"]),
        ("from helpers import right\nright.unused.f()", ["__init__", "right", "unused", "number"]),
        ("from helpers import right as r\nprint(r)", ["__init__", "base", "right", "inner", "number"]),
        ("from helpers.right import *", ["__init__", "base", "right", "inner", "number"]),
        (
            "from helpers import right\nright.unused\nget_ipython().run_cell_magic('time', '', 'right.VALUE')",
            ["__init__", "base", "right", "inner", "unused", "number"],
        ),
        (
            "from helpers import right\nget_ipython().run_line_magic('pip', 'list')\nright.unused",
            ["__init__", "right", "unused", "number"],
        ),
        (
            "import helpers.right.unused\nhelpers.right.VALUE",
            ["__init__", "base", "right", "inner", "unused", "number"],
        ),
        ("import helpers as h\nh.right.VALUE", ["__init__", "base", "right", "inner", "number"]),
        ("import numpy", []),
        ("this is no Python", []),
    ],
)
def test_imports_are_read_from_the_source(project, code, modules):
    found = {path.parent.name if path.name == "__init__.py" else path.stem for path in sources(project, [code])}
    assert found == {"helpers" if name == "__init__" else name for name in modules}


# ---- what is kept


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(kept.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache" / "chapters"


RUN = Execution([[{"output_type": "stream", "name": "stdout", "text": "0.1234"}]], 1.5, 20.0, 10, "2 cores")


def test_what_is_kept_comes_back(folder):
    assert kept.load("a") is None
    assert kept.save("a", RUN) == "" and kept.load("a") == RUN
    assert [path.name for path in folder.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    "poison",
    [
        lambda text: text[:-20],
        lambda text: text.replace("0.1234", "0.9999"),
        lambda text: "",
        lambda text: text.split("\n")[1],
        lambda text: "\x00\xff",
    ],
)
def test_a_record_that_is_not_whole_counts_as_missing(folder, poison):
    kept.save("a", RUN)
    kept.place("a").write_text(poison(kept.place("a").read_text()))
    assert kept.load("a") is None


def test_a_record_in_the_place_of_another_counts_as_missing(folder):
    kept.save("a", RUN)
    shutil.copy(kept.place("a"), kept.place("b"))
    assert kept.load("b") is None and kept.load("a") == RUN


def test_what_was_not_used_for_longest_goes_first(folder, monkeypatch):
    for age, key in enumerate(["new", "middle", "old"]):
        kept.save(key, RUN)
        os.utime(kept.place(key), (time.time() - 1000 * (age + 1),) * 2)
    (folder / "killed.part").write_text("x" * 100)
    os.utime(folder / "killed.part", (0, 0))
    assert kept.load("old") == RUN  # so it is the one used last
    monkeypatch.setattr(kept, "LIMIT", 3.5 * kept.place("old").stat().st_size)
    kept.save("latest", RUN)
    assert sorted(path.name for path in folder.iterdir()) == ["latest.json", "new.json", "old.json"]


def test_a_folder_that_cannot_be_made_costs_nothing_but_a_line(monkeypatch):
    monkeypatch.setenv(kept.VARIABLE, "/dev/null/nowhere")
    assert "/dev/null/nowhere" in kept.save("a", RUN)
    assert kept.load("a") is None


# ---- whole builds


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A clone that was built once; what was executed lies beside it."""
    root = make(tmp_path_factory.mktemp("first") / "clone")
    assert executed(execute(root)) == ["left", "right"]
    assert read_again(build(root)) == 3
    return root


@pytest.fixture
def clone(first, tmp_path):
    """Another clone, empty but for the sources, and what the first one has kept."""
    shutil.copytree(first / "kept", tmp_path / "clone" / "kept")
    return make(tmp_path / "clone")


def page(root: Path, name: str) -> str:
    return (root / "_build" / "html" / "book" / f"{name}.html").read_text()


def test_a_fresh_clone_executes_nothing_and_a_change_what_it_touches(clone):
    assert executed(execute(clone)) == []
    assert read_again(build(clone)) == 3
    assert "value 11" in page(clone, "left") and "value 22" in page(clone, "right")

    append(clone, "book/left.md", "\nMore text.\n")
    assert executed(execute(clone)) == []
    assert read_again(build(clone)) == 1
    assert "More text." in page(clone, "left") and "value 11" in page(clone, "left")

    (clone / "helpers" / "right" / "data" / "number.txt").write_text("31")
    assert executed(execute(clone)) == ["right"]
    assert read_again(build(clone)) == 2  # and the page that tells of all chapters
    assert "value 32" in page(clone, "right")

    (clone / "helpers" / "right" / "data" / "number.txt").write_text("21")  # back: kept under its own key
    assert executed(execute(clone)) == []
    assert read_again(build(clone)) == 2 and "value 22" in page(clone, "right")


def test_a_pin_fresh_and_forget_execute_everything(clone):
    append(clone, "requirements.txt", "\nattrs==1.0\n")
    assert executed(execute(clone)) == ["left", "right"]
    assert executed(run(clone, "book/_ext/execute.py", "--fresh")) == ["left", "right"]
    assert run(clone, "book/_ext/kept.py", "--forget").returncode == 0
    shutil.rmtree(clone / "_build")
    assert executed(execute(clone)) == ["left", "right"]


def test_a_poisoned_record_is_never_shown(clone):
    for path in (clone / "kept" / "chapters").iterdir():
        path.write_text(path.read_text().replace("value 11", "value 99").replace("value 22", "value 99"))
    assert executed(execute(clone)) == ["left", "right"]
    for path in (clone / "_build" / ".jupyter_cache").rglob("base.ipynb"):
        path.write_text(path.read_text().replace("value 11", "value 99").replace("value 22", "value 99")[:1500])
    assert executed(execute(clone)) == []
    assert read_again(build(clone)) == 3
    assert "value 11" in page(clone, "left") and "value 22" in page(clone, "right")


def test_without_a_folder_to_keep_them_outputs_stay_in_the_clone(clone):
    nowhere = {kept.VARIABLE: "/dev/null/nowhere"}
    first = execute(clone, **nowhere)
    assert executed(first) == ["left", "right"] and "kept in this clone only" in first.stdout
    assert executed(execute(clone, **nowhere)) == []


def test_what_ran_while_its_code_changed_is_not_kept(clone):
    text = CHAPTER.format(name="left")
    change = "from pathlib import Path\n\nPath(left.__file__).write_text('VALUE = 12')\nprint("
    write_chapter(clone, "left", text.replace("print(", change))
    done = execute(clone)
    assert done.returncode == 1 and re.search(r"left: FAILED\n.*changed while it ran", done.stdout)
    assert "unchanged: right" in done.stdout


def test_helpers_of_another_clone_are_refused(clone, first):
    done = execute(clone, PYTHONPATH=str(first))
    assert done.returncode == 1 and f"the helpers in {first}" in done.stdout


def test_records_are_plain_json_behind_a_digest(first):
    for path in (first / "kept" / "chapters").iterdir():
        record = json.loads(path.read_text().split("\n", 1)[1])
        assert path.stem == record["key"] and record["machine"] and record["seconds"] > 0 and record["products"] > 0
