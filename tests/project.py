"""What several tests ask about the repository: its root, its configuration, its chapters."""

import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "_build" / "html"
CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text())
REPOSITORY = CONFIG["repository"]["url"]


def pages() -> list[str]:
    """Every page in the contents, in reading order, as a path without its ending."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    chapters = [chapter for part in toc["parts"] for chapter in part["chapters"]]
    return [entry.removesuffix(".md") for entry in [toc["root"], *(c["file"] for c in chapters)]]


def is_notebook(page: Path) -> bool:
    """Whether a .md page has code to execute, and so a sibling .ipynb."""
    text = page.read_text()
    return text.startswith("---\n") and "kernelspec:" in text.split("---\n")[1]


def notebooks() -> list[Path]:
    """The .md of every page with code, in the contents or not."""
    return [page for page in sorted((ROOT / "book").glob("*.md")) if is_notebook(page)]


def chapters() -> list[Path]:
    """The .md of every page with code in a numbered part of the contents."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [ROOT / entry["file"] for part in toc["parts"] if part.get("numbered") for entry in part["chapters"]]
    return [page for page in listed if is_notebook(page)]


def files() -> list[Path]:
    """What is committed or is about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for name in listed.splitlines() if (path := ROOT / name).is_file()]
