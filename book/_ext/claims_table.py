"""The claims page: what the chapters assert, with what this build observed.

The tables are made from the executed notebooks that the pages of this build are made from.
`{claims-summary}` is a table with a row for each claim of the paper, `{claims-table} 3` holds all checks of
claim 3, `{claims-table}` without a number those that belong to no claim of the paper.
"""

import itertools
from pathlib import Path

from jupyter_cache import get_cache
from notebook_cache import cached_outputs
from reading_order import reading_order
from sphinx.util.docutils import SphinxDirective

from helpers.claims import Claim, claims_in

PAPER = range(1, 9)
COLUMNS = ("Check", "Source", "Required", "Observed", "Control", "Margin", "Passed")
Found = dict[str, list[Claim]]  # by page


class ClaimsDirective(SphinxDirective):
    """What both directives need: the claims of all pages, in the order of the contents."""

    def found(self) -> Found:
        cache = get_cache(self.config.nb_execution_cache_path)
        pages = reading_order(self.env)
        return {page: claims_in(cached_outputs(cache, Path(self.env.doc2path(page)))) for page in pages}


class ClaimsSummary(ClaimsDirective):
    """One row for each claim of the paper; it expects a label `claim-N` at the section on each."""

    def run(self):
        found = self.found()
        rows = [summary_row(number, of_claim(found, number)) for number in PAPER]
        return self.parse_text_to_nodes(
            table(("Claim", "Verdict", "Checks", "With a control", "Smallest margin"), rows, "summary")
        )


class ClaimsTable(ClaimsDirective):
    """All checks of one claim of the paper, or those of none."""

    optional_arguments = 1

    def run(self):
        if not self.arguments:
            chosen = of_claim(self.found(), None)
            return self.parse_text_to_nodes(tables(chosen) or "There is none.")
        number = self.arguments[0]
        if number not in map(str, PAPER):
            raise self.error(f"claims-table: got {number!r}, expected a number from 1 to {PAPER[-1]}, or nothing")
        chosen = of_claim(self.found(), int(number))
        return self.parse_text_to_nodes("\n\n".join([account(chosen), tables(chosen)]))


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


def summary_row(number: int, found: Found) -> tuple[str, ...]:
    claims = list(itertools.chain.from_iterable(found.values()))
    smallest = percent(min(claim.margin for claim in claims)) if claims else "–"
    controlled = sum(bool(claim.control) for claim in claims)
    return f"{{ref}}`claim-{number}`", verdict(claims), str(len(claims)), str(controlled), smallest


def tables(found: Found) -> str:
    """One table for each chapter, under its name."""
    parts = [f"**{{doc}}`/{page}`**\n\n{table(COLUMNS, map(row, claims), 'claims')}" for page, claims in found.items()]
    return "\n\n".join(parts)


def row(claim: Claim) -> tuple[str, ...]:
    passed = "yes" if claim.passed else "NO"
    control = claim.controls or "–"
    return claim.name, claim.source, claim.required, claim.observed, control, percent(claim.margin), passed


def percent(margin: float) -> str:
    return f"{margin:.0%}"


def table(columns, rows, css_class: str) -> str:
    """Markdown of a table in a `div` that the style sheet lays out as cards on a phone."""
    lines = [columns, ["---"] * len(columns), *rows]
    text = "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
    return f":::{{div}} cards {css_class}\n{text}\n:::"
