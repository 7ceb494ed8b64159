"""What `helpers.claims.check` leaves in a notebook's outputs, read back."""

import math
import re
import statistics
from collections.abc import Iterable
from dataclasses import dataclass

MIME = "application/vnd.spectral-evolution.claim+json"
SHOWN = 12  # values of one check that a table spells out


@dataclass(frozen=True)
class Claim:
    """One call of `claims.check`: its bounds, its source, and a value for each seed."""

    name: str
    values: list[float]
    above: float | None
    below: float | None
    source: str
    mean: bool = False  # whether the bounds are for the mean of the values

    @property
    def number(self) -> int | None:
        """Which of the paper's claims the check belongs to."""
        found = re.search(r"\bclaim (\d)\b", self.source)
        return int(found.group(1)) if found else None

    @property
    def refutes(self) -> bool:
        """Whether passing speaks against the claim."""
        return "refutes" in self.source

    @property
    def passed(self) -> bool:
        return self._least_room > 0

    @property
    def margin(self) -> float:
        """Distance of the worst value, or of the mean, to its bound; negative beyond it.

        In units of half the width between two bounds, or of the size of a single bound; where that
        is 0, of the largest value.
        """
        if self.above is not None and self.below is not None:
            unit = (self.below - self.above) / 2
        else:
            unit = abs(self.above if self.below is None else self.below)
        unit = unit or max(map(abs, self.values))
        return self._least_room / unit if unit else 0.0

    @property
    def required(self) -> str:
        bounds = [("above", self.above), ("below", self.below)]
        return "mean " * self.mean + ", ".join(f"{word} {bound:.4g}" for word, bound in bounds if bound is not None)

    @property
    def observed(self) -> str:
        """Each value, or the range of many, and their mean and standard deviation if there are several."""
        values = self.values
        shown = ", ".join(f"{value:.4g}" for value in values)
        if len(values) == 1:
            return shown
        if len(values) > SHOWN:
            shown = f"{len(values)} values from {min(values):.4g} to {max(values):.4g}"
        return f"{shown} (mean {statistics.fmean(values):.4g}, sd {statistics.stdev(values):.2g})"

    @property
    def _least_room(self) -> float:
        return min(map(self._room, [statistics.fmean(self.values)] if self.mean else self.values))

    def _room(self, value: float) -> float:
        """How far the value may move until it meets a bound; nothing finite is far enough for NaN."""
        if not math.isfinite(value):
            return -math.inf
        above = -math.inf if self.above is None else self.above
        below = math.inf if self.below is None else self.below
        return min(value - above, below - value)


def claims_in(outputs: Iterable[dict]) -> list[Claim]:
    """The claims among the outputs of a notebook, in the order of its cells."""
    return [Claim(**output["data"][MIME]) for output in outputs if MIME in output.get("data", {})]
