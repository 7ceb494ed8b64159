"""The `{claims-table}` directive: every claim the chapters assert, with what this build observed.

`helpers.claims.check` leaves a record in its notebook's outputs. The table is made from the executed
notebooks that the pages of this build are made from.
"""

import statistics
from pathlib import Path

from jupyter_cache import get_cache
from notebook_cache import cached_outputs
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

CLAIM = "application/vnd.spectral-evolution.claim+json"
HEADER = "| Claim | Source | Required | Observed | Passed |\n|---|---|---|---|---|"


class ClaimsTable(SphinxDirective):
    """One table per page, in the order of the contents."""

    def run(self):
        front = self.config.root_doc
        pages = [front, *self.env.toctree_includes.get(front, [])]
        text = "\n\n".join(filter(None, map(self._page, pages)))
        return self.parse_text_to_nodes(text or "No chapter asserts a claim yet.")

    def _page(self, docname: str) -> str:
        cache = get_cache(self.config.nb_execution_cache_path)
        outputs = cached_outputs(cache, Path(self.env.doc2path(docname)))
        rows = [table_row(output["data"][CLAIM]) for output in outputs if CLAIM in output.get("data", {})]
        if not rows:
            return ""
        table = "\n".join([HEADER, *rows])
        return f"**{{doc}}`/{docname}`**\n\n:::{{div}} claims\n{table}\n:::"


def table_row(claim: dict) -> str:
    cells = claim["name"], claim["source"], required(claim), observed(claim["values"])
    passed = "yes" if all(holds(claim, value) for value in claim["values"]) else "NO"
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in (*cells, passed)) + " |"


def required(claim: dict) -> str:
    bounds = [("above", claim["above"]), ("below", claim["below"])]
    return ", ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)


def observed(values: list[float]) -> str:
    """Each seed's value, and their mean and standard deviation if there are several."""
    shown = ", ".join(f"{value:.4g}" for value in values)
    if len(values) == 1:
        return shown
    return f"{shown} (mean {statistics.fmean(values):.4g}, sd {statistics.stdev(values):.2g})"


def holds(claim: dict, value: float) -> bool:
    above, below = claim["above"], claim["below"]
    return (above is None or value > above) and (below is None or value < below)


def read_last(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Read the pages with the table again whenever any page is read, and after all of them."""
    if docnames:
        tables = [name for name in sorted(env.found_docs) if has_table(Path(env.doc2path(name)))]
        docnames[:] = [name for name in docnames if name not in tables] + tables


def has_table(page: Path) -> bool:
    return "{claims-table}" in page.read_text()
