"""A case: two sides, how often they are timed, and the row of the table that comes of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .environments import PeerMissing
from .timing import Side, ratio

COLUMNS = ("group", "name", "n", "numerator", "denominator", "goal", "ratio", "low", "high", "difference", "note")


@dataclass(frozen=True)
class Case:
    """One ratio, time(numerator) / time(denominator).

    Attributes
    ----------
    group : "peers" (the other package over ours), "limits" (ours over the bare cost) or "growth" (over a fixed unit).
    name, n : what is computed, and its size.
    numerator, denominator : names of the two sides.
    make : builds the two sides when their turn comes.
    rounds : see `timing.ratio`.
    difference : of the two results, numerator first; none where they are not the same thing.
    goal : the ratio aimed at.
    """

    group: str
    name: str
    n: int
    numerator: str
    denominator: str
    make: Callable[[], tuple[Side, Side]]
    rounds: int = 6
    difference: Callable[[Any, Any], float] | None = None
    goal: float | None = None

    def measure(self) -> dict[str, object]:
        """The row of this case. Where a peer is missing there is no ratio, and the note says why."""
        row = dict.fromkeys(COLUMNS) | {key: getattr(self, key) for key in COLUMNS[:6]}
        try:
            first, second = self.make()
            with first, second:
                low, median, high = ratio(first, second, self.rounds)
                row |= {"low": low, "ratio": median, "high": high, "note": first.note or second.note}
                if self.difference:
                    row["difference"] = self.difference(first.result, second.result)
        except PeerMissing as reason:
            row["note"] = f"not measured: {reason}"
        return row


def relative(a: Any, b: Any) -> float:
    """Largest difference of two arrays or tensors, as a fraction of the largest entry of the second."""
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return float(np.abs(a - b).max() / np.abs(b).max())
