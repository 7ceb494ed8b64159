"""Claims are code: a number over several seeds, a bound, and a record that the claims page collects."""

import math
import statistics
from collections.abc import Sequence
from typing import Any, TypeVar

Value = TypeVar("Value", float, Sequence[float])

MIME = "application/vnd.spectral-evolution.claim+json"


class ClaimFailed(AssertionError):
    """An observed value does not meet its claim."""


def check(
    name: str,
    value: Value,
    *,
    above: float | None = None,
    below: float | None = None,
    mean: bool = False,
    source: str,
) -> Value:
    """Check that every observed value lies strictly between `above` and `below`, and record it.

    Parameters
    ----------
    name : the claim in a few words, as the claims page shows it.
    value : a number, or one number per seed; every single one must meet the bounds, or only their mean.
    above, below : the bounds, at least one of them.
    mean : whether the claim is about the mean over the seeds, and not about each of them.
    source : where the claim comes from, e.g. "paper, claim 1" or an equation of the book.

    Returns
    -------
    value, unchanged.

    Raises
    ------
    ClaimFailed : a value misses a bound or is not finite.
    ValueError : no bound, bounds that nothing can meet, no value, one value for a mean, an empty name or source.
    """
    for argument, text in (("name", name), ("source", source)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{argument}: got {text!r}, expected a few words")
    if above is None and below is None:
        raise ValueError("above, below: got neither, expected at least one bound")
    low, high = -math.inf if above is None else float(above), math.inf if below is None else float(below)
    if not low < high:
        raise ValueError(f"above, below: got {above} and {below}, expected above < below")
    several: Any = value if hasattr(value, "__len__") else [value]
    values = [float(v) for v in several]
    if not values:
        raise ValueError("value: got an empty sequence, expected at least one number")
    if mean and len(values) == 1:
        raise ValueError("value: got one number, expected several whose mean is checked")
    passed = all(low < v < high for v in ([statistics.fmean(values)] if mean else values))
    required = "mean " * mean + _bounds(above, below)
    record = {"name": name, "values": values, "above": above, "below": below, "mean": mean, "source": source}
    _show(record, required, passed)
    if not passed:
        raise ClaimFailed(f"{name}: observed {_numbers(values)}, expected {required} ({source})")
    return value


def _numbers(values: list[float]) -> str:
    return ", ".join(f"{v:.4g}" for v in values)


def _bounds(above: float | None, below: float | None) -> str:
    parts = [f"above {above:g}" if above is not None else "", f"below {below:g}" if below is not None else ""]
    return " and ".join(p for p in parts if p)


def _show(record: dict[str, Any], required: str, passed: bool) -> None:
    """In a notebook, show the claim and leave its record in the cell's output; elsewhere do nothing."""
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return
    if get_ipython() is None:
        return
    mark, values, spread = "✓" if passed else "✗", record["values"], ""
    if len(values) > 1:
        spread = f" (mean {statistics.fmean(values):.4g}, sd {statistics.stdev(values):.2g})"
    text = f"{mark} **{record['name']}**: {_numbers(values)}{spread}; required {required} ({record['source']})"
    display({"text/plain": text.replace("**", ""), "text/markdown": text, MIME: record}, raw=True)
