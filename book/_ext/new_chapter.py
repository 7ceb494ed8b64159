"""Start a chapter from the template: the pair of files, and its place in the contents."""

import re
import sys
from pathlib import Path

import jupytext

ROOT = Path(__file__).parents[2]
REFERENCE = "  - caption: Look it up\n"  # the part of the contents that new chapters come before


def main(name: str, root: Path = ROOT) -> Path:
    """Make book/NAME.md and book/NAME.ipynb and list them in _toc.yml; the path of the .md.

    ValueError for a name that is taken or is not made of lower-case words.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        raise ValueError(f"NAME: got {name!r}, expected lower-case words joined by underscores, such as my_chapter")
    page = root / "book" / f"{name}.md"
    if taken := [path.name for path in (page, page.with_suffix(".ipynb")) if path.exists()]:
        raise ValueError(f"NAME: got {name!r}, expected one that is not taken: book/{taken[0]} is there")
    text = (root / "book" / "_template" / "chapter.md").read_text()
    text = text.replace("-template-", f"-{name}-").replace("template_", f"{name}_")
    page.write_text(text.replace("{took}`template`", f"{{took}}`{name}`"))
    pair = jupytext.read(page, config=jupytext.config.load_jupytext_config(str(page)))
    jupytext.write(pair, page.with_suffix(".ipynb"))
    list_in_contents(root / "_toc.yml", name)
    return page


def list_in_contents(contents: Path, name: str) -> None:
    """As the last chapter before the reference part, without touching another line."""
    before, reference, after = contents.read_text().partition(REFERENCE)
    contents.write_text(f"{before}      - file: book/{name}.md\n{reference}{after}")


if __name__ == "__main__":
    try:
        made = main(sys.argv[1] if len(sys.argv) > 1 else "")
    except ValueError as error:
        sys.exit(str(error))
    print(f"{made.relative_to(ROOT)} and its .ipynb are made and listed in _toc.yml. Edit the .md, then `make sync`.")
