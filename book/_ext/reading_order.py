"""Which pages Sphinx reads again, and in which order: those that tell of the others come last."""

import re
from pathlib import Path

from notebook_cache import execution_record, open_cache
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

TELLS_OF_OTHERS = re.compile(r"^```\{(claims-|build-|figure-of\})|\{(?:glue:text|checked)\}`[^`]*::", re.MULTILINE)


def reading_order(env: BuildEnvironment) -> list[str]:
    """The pages in the order of the contents."""
    front = env.config.root_doc
    return [front, *env.toctree_includes.get(front, [])]


def read_again(app: Sphinx, env: BuildEnvironment, added: set, changed: set, removed: set) -> list[str]:
    """The pages whose execution is not the one that was read, and if any execution is another, those that tell of it.

    That they are read with these outputs is noted at once; `make` throws the notes of a build that fails away.
    """
    cache = open_cache(Path(app.srcdir))
    records = {name: execution_record(cache, Path(env.doc2path(name))) for name in sorted(env.found_docs)}
    before, now = getattr(env, "executions_read", {}), {name: record for name, record in records.items() if record}
    env.executions_read = now  # type: ignore[attr-defined]  # Sphinx keeps it with the pages
    again = [name for name, record in now.items() if before.get(name) != record]
    made = [name for name in env.found_docs if tells_of_others(Path(env.doc2path(name)))]
    return [name for name in again + (made if now != before else []) if name not in added]


def read_last(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Read the pages made from other pages after all of these."""
    docnames.sort(key=lambda name: tells_of_others(Path(env.doc2path(name))))


def tells_of_others(page: Path) -> bool:
    return bool(TELLS_OF_OTHERS.search(page.read_text()))
