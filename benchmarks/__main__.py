"""Measure every case, print the table as it grows, and put the record into the page."""

import warnings
from typing import Any

from . import book, growth, kernels, laws, limits, models, optimizers, record, tails, watching
from .case import Case
from .timing import share_cores

GROUPS = (tails, models, kernels, laws, limits, optimizers, watching, growth)


def cases() -> list[Case]:
    return [case for group in GROUPS for case in group.cases()]


def line(row: dict[str, Any]) -> str:
    sides = f"{row['numerator']} / {row['denominator']}"
    found = row["note"] if row["ratio"] is None else "{low:9.3g}{ratio:9.3g}{high:9.3g}  {note}".format(**row)
    return f"{row['name']:<45}{row['n']:>5}  {sides:<32}{found}"


def main() -> None:
    words = record.machine(share_cores())
    print(f"{words}; ratios of times: least, median, most\n", flush=True)
    rows = []
    for case in cases():
        rows.append(case.measure())
        print(line(rows[-1]), flush=True)
    record.write([*rows, book.row()], words)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # powerlaw reports its own fits
        main()
