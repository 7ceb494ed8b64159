"""The order in which Sphinx reads the pages: those that tell of the others come last."""

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

TELLS_OF_OTHERS = re.compile(r"^```\{(claims-|build-|figure-of\})|\{number-of\}`", re.MULTILINE)


def reading_order(env: BuildEnvironment) -> list[str]:
    """The pages in the order of the contents."""
    front = env.config.root_doc
    return [front, *env.toctree_includes.get(front, [])]


def read_last(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Read the pages made from other pages again whenever any page is read, and after all of them."""
    if docnames:
        made = [name for name in sorted(env.found_docs) if tells_of_others(Path(env.doc2path(name)))]
        docnames[:] = [name for name in docnames if name not in made] + made


def tells_of_others(page: Path) -> bool:
    return bool(TELLS_OF_OTHERS.search(page.read_text()))
