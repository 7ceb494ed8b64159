"""The claims page: what the chapters assert, with what this build observed.

All of it is made from the executed notebooks that the pages of this build are made from. `{claims-summary}` is a table
with a row for each claim of the paper; its lines, `3: what decides`, say which numbers decide. `{claims-table} 3` holds
the ledgers of claim 3, `{claims-table}` without a number those that belong to no claim of the paper.
"""

import itertools
import re
from pathlib import Path

from docutils import nodes
from jupyter_cache import get_cache
from ledger import Entry, ledger_nodes
from notebook_cache import cached_outputs
from reading_order import reading_order
from sphinx.util.docutils import SphinxDirective

from helpers.claims import Claim, claims_in

PAPER = range(1, 9)
COLUMNS = ("Claim", "Verdict", "What decides", "Checks", "With a control", "Smallest margin")
Found = dict[str, list[Claim]]  # by page


class ClaimsDirective(SphinxDirective):
    """What both directives need: the claims of all pages, in the order of the contents."""

    def found(self) -> Found:
        cache = get_cache(self.config.nb_execution_cache_path)
        pages = reading_order(self.env)
        return {page: claims_in(cached_outputs(cache, Path(self.env.doc2path(page)))) for page in pages}


class ClaimsSummary(ClaimsDirective):
    """One row for each claim of the paper; it expects a label `claim-N` at the section on each."""

    has_content = True

    def run(self):
        found, decisive = self.found(), {}
        for line in self.content:
            if not (said := re.fullmatch(r"(\d): (.+)", line)) or int(said[1]) not in PAPER:
                raise self.error(f"claims-summary: got {line!r}, expected lines such as '3: what decides'")
            decisive[int(said[1])] = said[2]
        rows = [summary_row(number, of_claim(found, number), decisive.get(number, "–")) for number in PAPER]
        return self.parse_text_to_nodes(table(COLUMNS, rows, "summary"))


class ClaimsTable(ClaimsDirective):
    """All checks of one claim of the paper, or those of none: a ledger for each chapter."""

    optional_arguments = 1

    def run(self):
        if not self.arguments:
            return self.ledgers(of_claim(self.found(), None)) or self.parse_text_to_nodes("There is none.")
        number = self.arguments[0]
        if number not in map(str, PAPER):
            raise self.error(f"claims-table: got {number!r}, expected a number from 1 to {PAPER[-1]}, or nothing")
        chosen = of_claim(self.found(), int(number))
        return self.parse_text_to_nodes(account(chosen)) + self.ledgers(chosen)

    def ledgers(self, found: Found) -> list[nodes.Node]:
        made = []
        for page, claims in found.items():
            title = self.env.titles[page].astext() if page in self.env.titles else page
            made += ledger_nodes([Entry(claim) for claim in claims], label=title)
        return made


def of_claim(found: Found, number: int | None) -> Found:
    """The checks that belong to one claim of the paper, without the pages that have none."""
    chosen = {page: [claim for claim in claims if claim.number == number] for page, claims in found.items()}
    return {page: claims for page, claims in chosen.items() if claims}


def verdict(claims: list[Claim]) -> str:
    if not claims:
        return "not tested"
    if not all(claim.passed for claim in claims):
        return "FAILS"
    if all(claim.refutes for claim in claims):
        return "refuted"
    return "holds in part" if any(claim.refutes for claim in claims) else "holds"


def account(found: Found) -> str:
    """The verdict and its grounds, in a sentence or two."""
    claims = list(itertools.chain.from_iterable(found.values()))
    if not claims:
        return "**Not tested:** no chapter has a check of this claim."
    chapters = ", ".join(f"{{doc}}`/{page}`" for page in found)
    against = [claim for claim in claims if claim.refutes]
    failed = [claim for claim in claims if not claim.passed]
    text = f"**{verdict(claims).capitalize()}.** Tested in {chapters} by {count(claims)}"
    text += f"; of these {len(failed)} did not pass." if failed else ", all passed."
    if against:
        text += f" Of these, {count(against)} (marked *refutes*) measured where the claim does *not* hold."
    return text


def count(claims: list[Claim]) -> str:
    return f"{len(claims)} check{'s' * (len(claims) != 1)}"


def summary_row(number: int, found: Found, decisive: str = "–") -> tuple[str, ...]:
    claims = list(itertools.chain.from_iterable(found.values()))
    smallest = percent(min(claim.margin for claim in claims)) if claims else "–"
    controlled = sum(bool(claim.control) for claim in claims)
    return f"{{ref}}`claim-{number}`", verdict(claims), decisive, str(len(claims)), str(controlled), smallest


def percent(margin: float) -> str:
    return f"{margin:.0%}"


def table(columns, rows, css_class: str) -> str:
    """Markdown of a table in a `div` that the style sheet lays out as cards on a phone."""
    lines = [columns, ["---"] * len(columns), *rows]
    text = "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
    return f":::{{div}} cards {css_class}\n{text}\n:::"
