"""Claims are code: a number over several seeds, a bound, and a record that the claims page collects."""

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import numpy as np

Value = TypeVar("Value", float, Sequence[float])

MIME = "application/vnd.spectral-evolution.claim+json"
QUOTED = "application/papermill.record/"  # what the role `glue:text` of MyST-NB looks for

_SHOWN = 12  # values of one check that a table spells out


class ClaimFailed(AssertionError):
    """An observed value does not meet its claim."""


@dataclass(frozen=True)
class Claim:
    """One call of `check`.

    Attributes
    ----------
    name : str
        The claim in a few words.
    values : list of float
        One for each seed.
    above, below : float or None
        The bounds.
    source : str
        Where the claim comes from.
    mean : bool
        Whether the bounds are for the mean of the values, not for each of them.
    quote : str or None
        The key under which the text quotes the mean.

    Examples
    --------
    >>> from helpers import claims
    >>> claim = claims.Claim("overlap", [0.81, 0.84], above=0.65, below=None, source="paper, claim 3")
    >>> claim.passed, claim.required, round(claim.margin, 2)
    (True, 'above 0.65', 0.25)
    """

    name: str
    values: list[float]
    above: float | None
    below: float | None
    source: str
    mean: bool = False
    quote: str | None = None

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
        """Whether every value, or the mean, lies strictly between the bounds."""
        return self._least_room > 0

    @property
    def margin(self) -> float:
        """Distance of the worst value, or of the mean, to its bound; negative beyond it.

        In units of half the width between two bounds, or of the size of a single bound; where that is 0, of the
        largest value.
        """
        if self.above is not None and self.below is not None:
            unit = (self.below - self.above) / 2
        else:
            unit = abs(self.above if self.above is not None else self.below or 0.0)
        unit = unit or max(map(abs, self.values))
        return self._least_room / unit if unit else 0.0

    @property
    def required(self) -> str:
        """The bounds in words."""
        bounds = [("above", self.above), ("below", self.below)]
        return "mean " * self.mean + " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)

    @property
    def observed(self) -> str:
        """Each value, or the range of many, and their mean and standard deviation if there are several."""
        if len(self.values) <= _SHOWN:
            return _spelled(self.values) + _spread(self.values)
        least, most = min(self.values), max(self.values)
        return f"{len(self.values)} values from {least:.4g} to {most:.4g}{_spread(self.values)}"

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


def check(
    name: str,
    value: Value,
    *,
    above: float | None = None,
    below: float | None = None,
    mean: bool = False,
    quote: str | None = None,
    source: str,
) -> Value:
    """Check that every observed value lies strictly between `above` and `below`, and record it.

    Parameters
    ----------
    name : str
        The claim in a few words, as the claims page shows it.
    value : float or sequence of float
        A number, or one number per seed; every single one must meet the bounds, or only their mean.
    above, below : float, optional
        The bounds, at least one of them.
    mean : bool
        Whether the claim is about the mean over the seeds, and not about each of them.
    quote : str, optional
        A key: the text can then quote the mean, see `quote`. What is quoted is what is checked.
    source : str
        Where the claim comes from, e.g. "paper, claim 1" or an equation of the book.

    Returns
    -------
    float or sequence of float
        `value`, unchanged.

    Raises
    ------
    ClaimFailed
        If a value misses a bound or is not finite.
    ValueError
        If there is no bound, bounds that nothing can meet, no value, one value for a mean, or an empty name, source or
        key.

    Examples
    --------
    >>> from helpers import claims
    >>> claims.check("overlap with the teacher", [0.81, 0.84, 0.79], above=0.65, source="paper, claim 3")
    [0.81, 0.84, 0.79]
    """
    for argument, text in (("name", name), ("source", source), ("quote", "none" if quote is None else quote)):
        if not isinstance(text, str) or not text.strip():
            raise ValueError(f"{argument}: got {text!r}, expected a few words")
    if above is None and below is None:
        raise ValueError("above, below: got neither, expected at least one bound")
    low, high = -math.inf if above is None else float(above), math.inf if below is None else float(below)
    if not low < high:
        raise ValueError(f"above, below: got {above} and {below}, expected above < below")
    values = _numbers(value)
    if mean and len(values) == 1:
        raise ValueError("value: got one number, expected several whose mean is checked")
    claim = Claim(name, values, above, below, source, mean, quote)
    _show(claim)
    if not claim.passed:
        raise ClaimFailed(f"{name}: observed {_spelled(values)}, expected {claim.required} ({source})")
    return value


def quote(key: str, value: float | Sequence[float]) -> None:
    """Keep a number for the text, which quotes it by {glue:text}`key:.2f`; outside of a notebook nothing happens.

    Parameters
    ----------
    key : str
        A word, used once in a chapter.
    value : float or sequence of float
        The number, or several, whose mean is quoted. Where a claim checks the same values, give the key to `check`.

    Raises
    ------
    ValueError
        If the key is empty or there is no value.

    Examples
    --------
    >>> from helpers import claims
    >>> claims.quote("top_value", [1.81, 1.83, 1.82])
    """
    if not isinstance(key, str) or not key.strip():
        raise ValueError(f"key: got {key!r}, expected a word")
    _keep(key, _numbers(value))


def claims_in(outputs: Iterable[Mapping[str, Any]]) -> list[Claim]:
    """The claims among the outputs of a notebook, in the order of its cells.

    Parameters
    ----------
    outputs : iterable of mappings
        Outputs of code cells, as nbformat has them.

    Returns
    -------
    list of Claim
        One for each call of `check`.

    Examples
    --------
    >>> from helpers import claims
    >>> claims.claims_in([{"output_type": "stream", "text": "nothing"}])
    []
    """
    return [Claim(**output["data"][MIME]) for output in outputs if MIME in output.get("data", {})]


def _numbers(value: Any) -> list[float]:
    values = [float(v) for v in (value if hasattr(value, "__len__") else [value])]
    if not values:
        raise ValueError("value: got an empty sequence, expected at least one number")
    return values


def _spelled(values: list[float]) -> str:
    return ", ".join(f"{v:.4g}" for v in values)


def _spread(values: list[float]) -> str:
    if len(values) == 1 or not all(map(math.isfinite, values)):
        return ""
    return f" (mean {statistics.fmean(values):.4g}, sd {np.std(values, ddof=1):.2g})"


def _show(claim: Claim) -> None:
    """In a notebook, show the claim and leave its record in the cell's output."""
    text = f"{'✓' if claim.passed else '✗'} **{claim.name}**: {_spelled(claim.values)}{_spread(claim.values)}"
    text += f"; required {claim.required} ({claim.source})"
    _display({"text/plain": text.replace("**", ""), "text/markdown": text, MIME: asdict(claim)})
    if claim.quote is not None:
        _keep(claim.quote, claim.values)


def _keep(key: str, values: list[float]) -> None:
    """Leave a number in the cell's output, where no one but the text sees it."""
    _display({f"{QUOTED}text/plain": repr(statistics.fmean(values))}, scrapbook={"name": key, "mime_prefix": QUOTED})


def _display(data: dict[str, Any], **metadata: Any) -> None:
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        return
    if get_ipython() is not None:
        display(data, raw=True, metadata=metadata)
