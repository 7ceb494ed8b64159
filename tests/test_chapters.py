"""Every chapter has the same shape, and `make chapter` starts one that passes all checks as it stands."""

import re
import shutil
import subprocess
import sys

import execute
import new_chapter
import pytest
from project import ROOT, chapters, files
from shape import problems

TEMPLATE = ROOT / "book" / "_template" / "chapter.md"


@pytest.mark.parametrize("page", [*chapters(), TEMPLATE], ids=lambda page: page.stem)
def test_chapter_is_in_shape(page):
    assert not problems(page.read_text())


@pytest.mark.parametrize(
    "problem, old, new",
    [
        ("opening: .* not a title", "# A title", "A title"),
        ("opening: no figure", "Begin with a puzzle", "## A section\n\nBegin with a puzzle"),
        ("opening: .* words before", "They fill an interval", "They fill an interval " + "very " * 150),
        ("about: no box", "```{admonition} About this chapter", "```{note} About this chapter"),
        ("about: no box", "```{admonition} About this chapter", "A last word.\n\n```{admonition} About the book"),
        ("about: .* 'You need", "You need", "One needs"),
        ("about: .* '{doc}`notation`'", "{doc}`notation`", "the notation"),
        ("about: .* '{took}`'", "{took}`template`", "a minute"),
        ("claims: no call", "claims.check(", "print("),
        ("claims: .* names claim 3", "no claim of the paper", "claim 3 of the paper"),
        ("claims: the box says neither", "no claim of the paper", "a theorem"),
        ("set-up: the first cell", "    import helpers", "    import torch"),
        ("set-up: the first cell", "git+https://github.com/", "git+https://example.com/"),
        ("set-up: the second cell", "plots.use_theme()\n", ""),
        ("parameters: 0 cells", ":tags: [remove-input, parameters]", ":tags: [remove-input]"),
        ("parameters: 2 cells", ":tags: [remove-input]\n\ntry", ":tags: [parameters]\n\ntry"),
        ("parameters: no list", "seeds = [0, 1, 2]", "seeds = [0, 1]"),
        ("device: the chapter trains", "seeds = [0, 1, 2]", "seeds = [0, 1, 2]\ntraining.train(net, device=device)"),
        ("device: .* is not given it", "seeds = [0, 1, 2]", 'seeds = [0, 1, 2]\ndevice = "cpu"\ntraining.train(net)'),
        ("sections: the last two", "## Exercises", "## Problems"),
        ("sections: the last two", "## Summary", "## One more thing\n\n## Summary"),
        ("sections: the summary", "- ", "* "),
        ("exercises: .* expected", "**Extend.**", "**Prove.**"),
        ("exercises: ex-template-think has no", "{solution} ex-template-think", "{solution} ex-template"),
        ("figures: no name", "name: fig-template-weights", "name: weights"),
        ("figures: no caption", "caption: Singular values of", "caption: Singular values\n    other: of"),
        ("figures: no alt", "alt: Histogram of", "alt: Histogram\n    other: of"),
        ("figures: no alt", "mystnb:\n", "other:\n"),
        ("cells: 31 lines", "ax.legend();", "\n".join(["ax.legend()"] * 28)),
        ("randomness: no generator=", "seeds = [0, 1, 2]", "seeds = [0, 1, 2]\norder = torch.randperm(3)"),
        ("randomness: no default_rng", "seeds = [0, 1, 2]", "seeds = [0, 1, 2]\nrng = np.random.default_rng()"),
        ("clocks: no times", "seeds = [0, 1, 2]", "import time\n\nseeds = [0, 1, 2]"),
        ("cells: 105 characters", "    below=0.01,\n    control", f"    below=0.01,  # {'a' * 86}\n    control"),
    ],
)
def test_what_is_out_of_shape_is_named(problem, old, new):
    text = TEMPLATE.read_text()
    changed = text.replace(old, new)
    assert changed != text
    assert any(re.match(problem, found) for found in problems(changed)), problems(changed)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The repository without its history, with a chapter that `make chapter` has just made."""
    root = tmp_path_factory.mktemp("copy")
    for path in files():
        target = root / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    command = ["make", "chapter", "NAME=my_chapter", f"PYTHON={sys.executable}", "--assume-old=setup"]
    subprocess.run(command, cwd=root, check=True)
    return root


def test_new_chapter_is_in_shape(copy):
    assert not problems((copy / "book" / "my_chapter.md").read_text())


def test_new_chapter_has_a_pair_and_a_place_in_the_contents(copy):
    command = [sys.executable, "-m", "pytest", "tests/test_pairs.py", "-p", "no:cacheprovider"]
    assert subprocess.run(command, cwd=copy, check=False).returncode == 0
    before, after = ((root / "_toc.yml").read_text() for root in (ROOT, copy))
    assert after.replace("      - file: book/my_chapter.md\n", "") == before
    assert after.index("my_chapter") < after.index("Look it up")


def test_new_chapter_shares_no_label_with_the_template(copy):
    text = (copy / "book" / "my_chapter.md").read_text()
    assert "template" not in text and text.count("my_chapter") == TEMPLATE.read_text().count("template")


def test_new_chapter_runs_without_an_error_or_a_warning(copy):
    assert any(execute.execute(copy / "book" / "my_chapter.ipynb", timeout=300).outputs)


@pytest.mark.parametrize("name", ["", "My_chapter", "my-chapter", "my chapter", "../escape", "2nd", "a__b"])
def test_badly_spelled_names_are_refused(copy, name):
    with pytest.raises(ValueError, match=r"^NAME: .*lower-case"):
        new_chapter.main(name, copy)


@pytest.mark.parametrize("name", ["index", "notation", "my_chapter"])
def test_taken_names_are_refused(copy, name):
    with pytest.raises(ValueError, match=r"^NAME: .* is there"):
        new_chapter.main(name, copy)
