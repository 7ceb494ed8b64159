"""The reading copies of the notebooks: the text of the page in plain Markdown, the code cells of the chapter."""

import html
import re
import urllib.parse
from functools import cache

import execute
import nbformat
import pytest
import yaml
from docutils import nodes
from project import BUILD, REPOSITORY, ROOT, notebooks
from reading_copy import BRANCH, FOLDER, checks, escaped, grouped, in_table, plain, quoted

OWNER, NAME = REPOSITORY.split("/")[-2:]
SITE = f"https://{OWNER.lower()}.github.io/{NAME}/"
# What is left of MyST where nothing was made of it; formulas and code hold braces of their own.
LEFT_OVER = re.compile(
    r"\{[\w:+-]+\}`|^\s*(?:```|:::)\{|^\([\w-]+\)=$|^:\w+:|\{(?:numref|eq|doc|term|cite)", re.MULTILINE
)
CODE = re.compile(r"```.*?```|~~~~.*?~~~~|``.*?``|`[^`\n]*`", re.DOTALL)
each = pytest.mark.parametrize("page", notebooks(), ids=lambda page: page.stem)


@cache
def copy(stem: str) -> nbformat.NotebookNode:
    return nbformat.read(BUILD / FOLDER / f"{stem}.ipynb", as_version=4)


@cache
def site_page(name: str) -> str:
    return (BUILD / name).read_text()


def text(stem: str) -> list[str]:
    return [cell.source for cell in copy(stem).cells if cell.cell_type == "markdown"]


def cells(notebook: nbformat.NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


@each
def test_code_is_that_of_the_chapter(page):
    nbformat.validate(copy(page.stem))
    assert cells(copy(page.stem)) == cells(nbformat.read(page.with_suffix(".ipynb"), as_version=4))


@each
def test_no_role_or_directive_is_left(page):
    for source in text(page.stem):
        assert not (found := LEFT_OVER.search(CODE.sub("", source))), source[found.start() - 60 : found.end() + 60]
        assert "```{" not in source


@pytest.mark.parametrize(
    "markup", ["{doc}`a`", "{checked}`a:.2f`", "```{note}", ":::{div}", "(a-b)=", ":label: a", "{eq}`"]
)
def test_what_is_left_is_found(markup):
    assert LEFT_OVER.search(f"text\n{markup}")
    assert not LEFT_OVER.search(r"$x_{\\max}$ and $\\{a\\}$: {0.1}, (a)=b")


@each
def test_every_link_leads_somewhere_in_the_site(page):
    links = {
        link for source in text(page.stem) for link in re.findall(r"\]\(([^()\s]+(?:\([^()]*\)[^()\s]*)?)\)", source)
    }
    inside = [link.removeprefix(SITE) for link in links if link.startswith(SITE)]
    assert all(link.startswith(("https://", "http://")) for link in links) and inside
    for link in inside:
        name, _, mark = urllib.parse.unquote(link).partition("#")
        assert (BUILD / name).is_file(), link
        assert not mark or f'id="{mark}"' in site_page(name), link


@each
def test_captions_and_numbers_are_those_of_the_page(page):
    shown = site_page(f"book/{page.stem}.html")
    whole = "\n".join(text(page.stem))
    for number in re.findall(r'<span class="caption-number">(Fig\. [\d.]+)', shown):
        assert f"**{number}**" in whole
    for number in re.findall(r'<a class="checked[^>]*>([^<]+)</a>', shown):
        assert f"[{html.unescape(number).replace('−', '-').removeprefix('✓').strip()}](" in whole.replace("−", "-")


@each
def test_a_copy_is_small_enough_to_open(page):
    assert (BUILD / FOLDER / f"{page.stem}.ipynb").stat().st_size < 5e6


def test_there_is_a_copy_of_every_notebook_and_no_other():
    assert {path.stem for path in (BUILD / FOLDER).glob("*")} == {page.stem for page in notebooks()}


def test_the_workflow_pushes_them_to_the_branch_that_the_buttons_open():
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())["jobs"]
    (uploaded,) = [s["with"] for s in jobs["build"]["steps"] if "upload-artifact" in s.get("uses", "")]
    assert uploaded["path"] == f"_build/html/{FOLDER}"
    (fetched,) = [s["with"] for s in jobs["copies"]["steps"] if "download-artifact" in s.get("uses", "")]
    assert fetched == {"name": uploaded["name"], "path": FOLDER}
    pushed = jobs["copies"]["steps"][-1]["run"]
    assert f"git add {FOLDER}\n" in pushed and f"git push --force origin {BRANCH}\n" in pushed


@pytest.mark.weekly
def test_a_copy_runs_whole_in_an_empty_folder():
    execution = execute.execute(BUILD / FOLDER / "linear_width.ipynb", timeout=600)
    kinds = [kind for outputs in execution.outputs for output in outputs for kind in output.get("data", {})]
    assert kinds.count("image/png") >= 2


def test_signs_of_markdown_are_text():
    assert escaped("a*b_c `d` $5 <e> \\\n") == "a\\*b\\_c \\`d\\` \\$5 &lt;e> &#92; "


def test_bars_do_not_end_a_cell_of_a_table():
    assert in_table("a | b") == r"a \| b"
    assert in_table(r"$|x|$, $\|W\|$") == r"$\vert x\vert $, $\Vert W\Vert $"


def test_a_cell_ends_a_quotation():
    assert grouped(["a", "b", 3, "c"]) == ["a\n\nb", 3, "c"]
    assert quoted(["a", "b\nc", 3]) == ["> a\n>\n> b\n> c", 3]


def test_a_formula_in_a_title_stays_one():
    title = nodes.title("", "", nodes.Text("Proof of "), nodes.math("", "x^2"))
    assert plain(title) == "Proof of $x^2$"


def test_a_ledger_keeps_its_numbers_and_loses_its_drawings():
    row = (
        '<details class="checks"><summary>1 check</summary><table><thead><tr><th scope="col">check</th>'
        '<th scope="col">seeds and bounds</th></tr></thead><tr id="r"><th scope="row">a <a class="back" href="#s">↩</a>'
        '</th><td class="seeds"><svg></svg></td><td class="observed">0.5</td></tr></table>'
    )
    assert checks(row) == (
        "<details><summary>1 check</summary><table><thead><tr><th>check</th></tr></thead><tr><th>a </th>"
        "<td>0.5</td></tr></table>\n</details>"
    )
