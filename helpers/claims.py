"""Claims are code: a number over several seeds, a bound, and a record that the claims page collects."""

import math
import re
import statistics
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

import numpy as np
import pandas as pd

Value = TypeVar("Value", float, Sequence[float])

MIME = "application/vnd.spectral-evolution.claim+json"
QUOTED = "application/papermill.record/"  # what the role `glue:text` of MyST-NB looks for

_SHOWN = 12  # values of one check that a table spells out
_SIZES = {"n": 2000, "d": 1000, "h": 1500}  # of the chapters on the two-layer network, for which their bounds are made
_checked: list["Claim"] = []  # in this session


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
    control : dict of lists of float
        What was observed where the claim must not hold, by name.
    no_control : str or None
        Why there is no control.

    Examples
    --------
    >>> from helpers import claims
    >>> claim = claims.Claim("overlap", [0.81, 0.84], 0.65, None, "paper, claim 3", control={"shuffled": [0.05]})
    >>> claim.passed, claim.required, round(claim.margin, 2), claim.controls
    (True, 'above 0.65', 0.25, 'shuffled: 0.05')
    """

    name: str
    values: list[float]
    above: float | None
    below: float | None
    source: str
    mean: bool = False
    quote: str | None = None
    control: dict[str, list[float]] = field(default_factory=dict)
    no_control: str | None = None

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
        """Whether every value, or the mean, lies strictly between the bounds, and no control does."""
        return self._least_room > 0 and not self.idle_controls

    @property
    def idle_controls(self) -> list[str]:
        """Names of the controls with a value, or a mean, between the bounds."""
        return [name for name, values in self.control.items() if max(map(self._room, self._judged(values))) > 0]

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
    def controls(self) -> str:
        """Each control with its values, or why there is none; empty where nothing is said."""
        parts = [f"{name}: {_spelled(values)}" for name, values in self.control.items()]
        return "; ".join(parts) or (self.no_control and f"none: {self.no_control}") or ""

    @property
    def _least_room(self) -> float:
        return min(map(self._room, self._judged(self.values)))

    def _judged(self, values: list[float]) -> list[float]:
        """What the bounds are for: the mean, or every value."""
        return [statistics.fmean(values)] if self.mean else values

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
    control: Mapping[str, float | Sequence[float]] | None = None,
    no_control: str | None = None,
    source: str,
) -> Value:
    """Check that every observed value lies strictly between `above` and `below`, and record it, see `ledger`.

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
    control : mapping of str to float or sequence of float, optional
        The same quantity where the claim must not hold, by name, as ``{"shuffled labels": [0.05, 0.01]}``. Every single
        value, or the mean where the claim is about it, must miss a bound. A claim that its control meets as well says
        nothing.
    no_control : str, optional
        Why no control is meaningful, in a few words.
    source : str
        Where the claim comes from, e.g. "paper, claim 1" or an equation of the book.

    Returns
    -------
    float or sequence of float
        `value`, unchanged.

    Raises
    ------
    ClaimFailed
        If a value misses a bound or is not finite, or a control meets the bounds.
    TypeError
        If the value is no number and no numbers in a row, as a mapping or text, or the control is no mapping.
    ValueError
        If there is no bound, bounds that nothing can meet, no value, one value for a mean, an empty name, source, key
        or reason, a control without values or with NaN, or a control beside a reason why there is none.

    Warns
    -----
    UserWarning
        Instead of `ClaimFailed`, in a notebook whose variables n, d, h are others than the book's: a chapter with sizes
        of one's own runs on. A build does not: it shows no warning to a reader.

    Examples
    --------
    >>> from helpers import claims
    >>> blind = {"shuffled labels": [0.05, 0.01, 0.03]}
    >>> claims.check("overlap with the teacher", [0.81, 0.84, 0.79], above=0.65, control=blind, source="measured")
    [0.81, 0.84, 0.79]
    """
    texts = {"name": name, "source": source}
    texts |= {k: text for k, text in (("quote", quote), ("no_control", no_control)) if text is not None}
    for argument, text in texts.items():
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
    controls = _controls(control)
    if controls and no_control is not None:
        raise ValueError("control, no_control: got both, expected one of them")
    claim = Claim(name, values, above, below, source, mean, quote, controls, no_control)
    _note(claim)
    if not claim.passed:
        problem = f"{name}: observed {_spelled(values)}, expected {claim.required}"
        if idle := claim.idle_controls:
            problem += f"; control {idle[0]!r} meets the bounds too: {_spelled(controls[idle[0]])}"
        if sizes := _other_sizes():
            warnings.warn(f"{problem}: a bound made for {_equations(_SIZES)}, not for {sizes}", stacklevel=2)
        else:
            raise ClaimFailed(f"{problem} ({source})")
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


def ledger() -> pd.DataFrame:
    """What `check` was called for in this session, in order: `check` itself says nothing as long as claims hold.

    Returns
    -------
    pandas.DataFrame
        A row for each call: passed, check, required, observed, control, source.

    Examples
    --------
    >>> from helpers import claims
    >>> drift = claims.check("drift of W", [0.002, 0.003], below=0.01, source="measured")
    >>> claims.ledger().iloc[-1]["required"]
    'below 0.01'
    """
    rows = [("✓" if c.passed else "✗", c.name, c.required, c.observed, c.controls, c.source) for c in _checked]
    return pd.DataFrame(rows, columns=["passed", "check", "required", "observed", "control", "source"])


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
    if isinstance(value, (Mapping, str, bytes, set, frozenset, np.ma.MaskedArray)):
        raise TypeError(f"value: got {type(value).__name__}, expected a number, or numbers in a row")
    values = list(value) if hasattr(value, "__len__") and np.ndim(value) else [value]
    try:
        if any(isinstance(getattr(v, "item", lambda v=v: v)(), (str, bytes)) for v in values):
            raise TypeError
        values = [float(v) for v in values]
    except (TypeError, ValueError):
        raise TypeError(f"value: got {value!r}, expected a number, or numbers in a row") from None
    if not values:
        raise ValueError("value: got an empty sequence, expected at least one number")
    return values


def _controls(control: Mapping[str, Any] | None) -> dict[str, list[float]]:
    """The controls as lists; one that was not measured is no control."""
    if control is None:
        return {}
    if not isinstance(control, Mapping):
        raise TypeError(f"control: got {type(control).__name__}, expected a mapping of names to values")
    if not control:
        raise ValueError("control: got an empty mapping, expected at least one control")
    found = {}
    for name, value in control.items():
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"control: got the name {name!r}, expected a few words")
        found[name] = [float(v) for v in (value if hasattr(value, "__len__") else [value])]
        if not found[name] or any(map(math.isnan, found[name])):
            raise ValueError(f"control: got {found[name]} for {name!r}, expected numbers")
    return found


def _spelled(values: list[float]) -> str:
    return ", ".join(f"{v:.4g}" for v in values)


def _spread(values: list[float]) -> str:
    if len(values) == 1 or not all(map(math.isfinite, values)):
        return ""
    return f" (mean {statistics.fmean(values):.4g}, sd {np.std(values, ddof=1):.2g})"


def _note(claim: Claim) -> None:
    """Keep the claim for `ledger`; in a notebook leave its record in the cell's output, where no one sees it."""
    _checked.append(claim)
    record = asdict(claim)
    for name in ("control", "no_control"):
        if not record[name]:
            del record[name]
    _display({MIME: record})
    if claim.quote is not None:
        _keep(claim.quote, claim.values)


def _other_sizes() -> str:
    """The sizes n, d, h of the notebook in words, where it has all three and they are not the book's."""
    shell = _shell()
    found = {name: shell.user_ns[name] for name in _SIZES if name in shell.user_ns} if shell else {}
    return _equations(found) if len(found) == len(_SIZES) and found != _SIZES else ""


def _equations(sizes: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {size}" for name, size in sizes.items())


def _keep(key: str, values: list[float]) -> None:
    """Leave a number in the cell's output, where no one but the text sees it."""
    _display({f"{QUOTED}text/plain": repr(statistics.fmean(values))}, scrapbook={"name": key, "mime_prefix": QUOTED})


def _display(data: dict[str, Any], **metadata: Any) -> None:
    if _shell() is not None:
        from IPython.display import display

        display(data, raw=True, metadata=metadata)


def _shell() -> Any:
    """The running IPython, or None."""
    try:
        from IPython import get_ipython
    except ImportError:
        return None
    return get_ipython()
