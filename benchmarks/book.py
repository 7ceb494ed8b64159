"""The cost of the whole book in bare matrix products, from what was noted when its chapters were executed.

`python -m benchmarks.book` renews this row alone, without measuring the others again.
"""

from typing import Any

import kept
from execute import key_of

from . import record
from .case import COLUMNS

NAME = "whole book"


def row() -> dict[str, Any]:
    """The sum over all chapters; without a ratio where one of them was not executed as it is now."""
    executions = {path.stem: kept.load(key_of(path)) for path in sorted(record.PAGE.parent.glob("*.ipynb"))}
    executions.pop(record.PAGE.stem)  # it shows this row, and would have to be executed to know itself
    sides = {"numerator": "helpers", "denominator": "one product"}
    found = dict.fromkeys(COLUMNS) | {"group": "limits", "name": NAME, "n": 2000} | sides
    if missing := [name for name, execution in executions.items() if execution is None]:
        return found | {"note": f"not measured: run `make book`, for {', '.join(missing)}"}
    return found | {"ratio": sum(execution.products for execution in executions.values())}


def renew() -> None:
    """Put the row into the page, in the place of the one that is there."""
    rows = record.read()
    others = [dict(other) for _, other in rows[rows.name != NAME].iterrows()]
    record.write([*others, row()], record.words())


if __name__ == "__main__":
    renew()
