"""A checkpoint read without its model: the numbers and the verdict of every weight matrix in it, as a page."""

import base64
import fnmatch
import io
import math
import os
import re
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from torch import Tensor
from tqdm import tqdm

from .. import laws, plots, spectra, tables
from ..spectra import verdicts
from ..spectra.values import SMALLEST
from . import checkpoint as files
from .checkpoint import Entry, UnreadableError

# A random matrix of m singular values has a KS distance of 2 to 5 over m to the law that is fitted to it, at any size.
RANDOM = 8.0

COLUMNS = ("kind", "rows", "columns", "dtype", *verdicts.COLUMNS, "hill", "calibrated", "change", "verdict")

_TAIL = (
    f"the squared values have a power law that passes the tests of distance and dynamic range, holds at least "
    f"{verdicts.TAIL} of them, and has an exponent of at most {verdicts.LIGHTEST:g}"
)
_SMALL = f"fewer than {SMALLEST} singular values"
RULES = {  # without a start
    "too small": _SMALL,
    "heavy tail, alpha 2.9": _TAIL,
    "no bulk with an edge": "the values are equal up to rounding, as those of an orthogonal matrix, or the rank is low",
    "random": "the KS distance to the fitted Marchenko-Pastur law is at most "
    f"{RANDOM:g} divided by the number of values: as a matrix of independent random numbers",
    "random bulk and 2 outliers": "the same, with values beyond the edge of the fitted law",
    "not random, distance 0.07": "any other: the KS distance is larger",
}
RULES_WITH_START = {
    "too small": _SMALL,
    "heavy tail, alpha 2.9": _TAIL,
    "no bulk at the start": "the values of the start are equal up to rounding, or its rank is low",
    "bulk left": "every value is beyond the bulk of the start",
    "invariant bulk": f"no value is beyond it, and it has moved by at most {verdicts.STILL:.0%} on average",
    "bulk and 2 outliers": "the same, with values beyond",
    "moved bulk (12%)": "it has moved by more, with or without outliers",
}


@dataclass(frozen=True)
class Report:
    """What `read` found in a checkpoint.

    Attributes
    ----------
    checkpoint, start : str
        The paths; start is empty where there is none.
    frame : pandas.DataFrame
        A row for every matrix, by name: `kind`, the name without the number of the layer; `rows`, `columns`, `dtype`;
        the columns of `spectra.describe`; `hill`, the exponent of the upper half of the squared values by
        `spectra.hill`, and `calibrated`, the same over `laws.hill_null` of the shape, 1 where a matrix is random;
        `change`, the norm of the difference from the start over that of the start; `verdict`. Without a start, what
        compares with it is NaN.
    values : dict of str to array
        The singular values of every matrix, descending, not normalized.
    start_values : dict of str to array
        Those of the start.
    left_out : dict of str to str
        What was not read, and why.

    Examples
    --------
    >>> import tempfile, torch
    >>> from helpers.monitor import report
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"layer.0.weight": torch.eye(30)}, f"{folder}/model.pt")
    ...     found = report.read(f"{folder}/model.pt")
    >>> found.frame["verdict"].to_dict()
    {'layer.0.weight': 'no bulk with an edge'}
    """

    checkpoint: str
    start: str
    frame: pd.DataFrame
    values: dict[str, np.ndarray]
    start_values: dict[str, np.ndarray] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        """The kinds of matrices, in the order of the checkpoint."""
        return list(dict.fromkeys(self.frame["kind"]))

    def summary(self) -> pd.DataFrame:
        """How often each verdict was given, for every kind of matrix, and its exponents.

        Returns
        -------
        pandas.DataFrame
            A row for every kind: its number of matrices, the medians of `hill` and `calibrated` to two digits, and the
            verdicts in words.
        """
        rows = {}
        for kind in self.kinds:
            part = self.frame[self.frame["kind"] == kind]
            said = part["verdict"].map(_without_numbers)
            words = "; ".join(f"{word}: {count}" for word, count in said.value_counts(sort=False).items())
            middle = {name: part[name].astype(float).median() for name in ("hill", "calibrated")}
            exponents = {name: f"{x:.2f}" if math.isfinite(x) else None for name, x in middle.items()}
            rows[kind] = {"matrices": len(said), **exponents, "verdicts": words}
        return pd.DataFrame(rows).T

    def plot(self, kind: str) -> Figure:
        """Draw one kind of matrix: its spectra along the layers, and the one that is farthest from its start or law.

        Parameters
        ----------
        kind : str
            One of `kinds`.

        Returns
        -------
        matplotlib.figure.Figure
            On the left, where there are several layers, deciles of the values in gray, the five largest in color, and
            the edge of the fitted law, dashed; on the right, one spectrum. Singular values are divided by the root of
            the longer side of their matrix.

        Raises
        ------
        ValueError
            If there is no such kind.
        """
        rows = self.frame[self.frame["kind"] == kind]
        if rows.empty:
            raise ValueError(f"kind: got {kind!r}, expected one of {', '.join(self.kinds)}")
        figure = Figure(figsize=(5.6 if len(rows) > 1 else 3.0, 2.5), layout="constrained")
        axes = figure.subplots(1, min(len(rows), 2), squeeze=False)[0]
        if len(rows) > 1:
            self._along(axes[0], rows)
        far = rows["change" if rows["change"].notna().any() else "mp_distance"].fillna(-1.0)
        self._one(axes[-1], str(far.idxmax()))
        return figure

    def _along(self, ax: Axes, rows: pd.DataFrame) -> None:
        names = list(rows.index)
        unit = np.sqrt(rows[["rows", "columns"]].max(axis=1))
        index = _layers(names)
        values = pd.DataFrame([pd.Series(self.values[name] / unit[name]) for name in names], index=index)
        plots.trajectory(ax, values)
        ax.plot(index, rows["mp_edge"] / unit, color=plots.BLACK, linestyle="--", linewidth=1)
        if values.max().max() > 3 * (rows["mp_edge"] / unit).min():
            ax.set_yscale("log")
            _plain_numbers(ax.yaxis)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
        ax.set(xlabel="layer", ylabel="singular value", title="all layers")

    def _one(self, ax: Axes, name: str) -> None:
        row = self.frame.loc[name]
        unit = math.sqrt(max(row["rows"], row["columns"]))
        now, before = self.values[name] / unit, self.start_values.get(name)
        shown = now if before is None else np.concatenate([now, before / unit])
        wide = shown.max() > 4 * np.median(shown) > 0
        low = max(shown.min(), 0.02 * np.median(shown)) if wide else 0.0
        edges = (np.geomspace if wide else np.linspace)(low, 1.02 * shown.max() or 1.0, 60)
        if before is not None:
            ax.stairs(*_histogram(before / unit, edges), fill=True, color=plots.GRAY, label="start")
        ax.stairs(*_histogram(now, edges), fill=before is None, color=plots.BLUE if before is not None else plots.GRAY)
        if math.isfinite(row["mp_variance"]):
            fit = spectra.fit_marchenko_pastur(self.values[name], (int(row["rows"]), int(row["columns"])))
            share, law = 1 - len(fit.outliers) / len(now), fit.law.square_root()
            rest = math.sqrt(max(row["rows"], row["columns"]) - len(fit.outliers)) / unit
            x = np.linspace(*law.support[0], 400)[1:-1]
            ax.plot(x * rest, share * law.density(x) / rest, color=plots.BLACK)
        if wide:
            ax.set(xscale="log", yscale="log", xlim=(edges[0], 1.1 * edges[-1]))
            _plain_numbers(ax.xaxis)
        ax.set(xlabel="singular value", ylabel="density", title=_short(name))

    def html(self) -> str:
        """The page: a table of the kinds, a figure and a table for each, the rules, what was left out.

        Returns
        -------
        str
            HTML that needs no other file.
        """
        with matplotlib.rc_context():
            plots.use_theme()
            kinds = "\n".join(self._section(kind) for kind in self.kinds)
        against = f", against the start <code>{escape(self.start)}</code>" if self.start else ""
        law = (
            "Gray, the start; blue, the checkpoint; black, the Marchenko-Pastur law with the variance that fits."
            if self.start
            else "Gray, the matrix; black, the Marchenko-Pastur law with the variance that fits."
        )
        about = (
            f"<p><code>{escape(self.checkpoint)}</code>{against}: matrices: {len(self.frame)}, kinds: "
            f"{len(self.kinds)}, tensors left out: {len(self.left_out)}.</p>"
        )
        legend = (
            "<p>Each figure shows on the left all layers of a kind: deciles of the singular values in gray, the five "
            f"largest in color, the edge of the fitted law dashed. On the right it shows the matrix that is farthest "
            f"from its {'start' if self.start else 'law'}. {law} Values are divided by the root of the longer side of "
            "the matrix; in the tables they are not.</p>"
        )
        parts = [
            f"<h1>Spectra of {escape(Path(self.checkpoint).name)}</h1>",
            about,
            tables.html(self.summary(), "Exponents, and how often each verdict was given.", corner="kind of matrix"),
            legend,
            kinds,
            "<h2>The rules</h2><p>A verdict is given by the first rule that applies.</p>",
            tables.html(_rules(bool(self.start)), "Verdicts and their rules.", corner="verdict"),
        ]
        if self.left_out:
            table = pd.DataFrame({"why": self.left_out})
            parts += ["<h2>Left out</h2>", tables.html(table, "Tensors that were not read.", corner="tensor")]
        return _PAGE.format(title=escape(Path(self.checkpoint).name), body="\n".join(parts))

    def _section(self, kind: str) -> str:
        picture = io.BytesIO()
        self.plot(kind).savefig(picture, format="png", dpi=160)
        code = base64.b64encode(picture.getvalue()).decode()
        rows = self.frame[self.frame["kind"] == kind]
        alt = f"Spectra of the {len(rows)} matrices {kind}"
        table = tables.html(_table(rows, bool(self.start)), f"The numbers of {kind}.", corner="matrix")
        image = f'<img alt="{escape(alt)}" src="data:image/png;base64,{code}"/>'
        return f"<h2><code>{escape(kind)}</code></h2>\n{image}\n{table}"


def read(
    checkpoint: str | os.PathLike, start: str | os.PathLike | None = None, *, only: str = "*", progress: bool = False
) -> Report:
    """Read every weight matrix of a checkpoint, one at a time, and say what its spectrum looks like.

    Parameters
    ----------
    checkpoint : path
        A file of safetensors; one of torch with a state dict; the index of a sharded checkpoint; a folder with one of
        these; or the folder of a LoRA adapter, whose change is merged onto `start`.
    start : path, optional
        The same for what it was trained from; then verdicts are those of `spectra.verdict`, on what has changed.
    only : str
        A pattern for the names, such as ``"*.attention.*"``.
    progress : bool
        Whether to show a bar of progress, where there is a terminal.

    Returns
    -------
    Report
        The numbers and verdicts, and what was left out: integers, packed and quantized weights, float8, matrices that
        are not finite, and those of an adapter's base that it does not touch. Vectors, such as biases, are not listed.

    Raises
    ------
    ValueError
        If a file is missing or broken, or holds no matrix; the message is one line.
    ImportError
        If a file is one of safetensors and that package is not installed.

    Notes
    -----
    Without a model there are no layers, only names and shapes. A tensor with more than two axes is read as a
    convolution, (outputs, all the rest). What a model keeps in one matrix, such as the queries, keys and values of
    GPT-2, is read as one.

    Examples
    --------
    >>> import tempfile, torch
    >>> from helpers.monitor import report
    >>> weight = torch.randn(60, 40, generator=torch.Generator().manual_seed(0))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     torch.save({"layer.0.weight": weight}, f"{folder}/start.pt")
    ...     torch.save({"layer.0.weight": 1.1 * weight}, f"{folder}/model.pt")
    ...     alone = report.read(f"{folder}/model.pt")
    ...     compared = report.read(f"{folder}/model.pt", start=f"{folder}/start.pt")
    >>> alone.frame["verdict"].item(), compared.frame["verdict"].item(), round(compared.frame["change"].item(), 2)
    ('random', 'moved bulk (10%)', 0.1)
    """
    whole, first = _opened(Path(checkpoint), None if start is None else Path(start))
    found, left_out = files.matrices(whole)
    before = {} if first is None else files.matrices(first)[0]
    chosen = {name: entry for name, entry in found.items() if fnmatch.fnmatchcase(name, only)}
    left_out = {name: why for name, why in left_out.items() if fnmatch.fnmatchcase(name, only)}
    if not chosen:
        raise UnreadableError(f"{checkpoint}: got no weight matrix{f' named {only}' if only != '*' else ''} to read")
    rows, values, start_values = {}, {}, {}
    for name, entry in tqdm(chosen.items(), unit="matrix", disable=None if progress else True):
        matrix = _loaded(checkpoint, name, entry)
        old = None
        if first is not None:
            old, why = _counterpart(name, entry, before, start)
            if old is None:
                left_out[name] = why
                continue
        try:
            values[name] = spectra.singular_values(matrix).numpy()
            if old is not None:
                start_values[name] = spectra.singular_values(old).numpy()
        except ValueError:
            values.pop(name, None)
            left_out[name] = "NaN or infinite entries"
            continue
        rows[name] = _row(name, entry, matrix, old, values[name], start_values.get(name))
    if not rows:
        raise UnreadableError(f"{checkpoint}: got no matrix that can be read: {next(iter(left_out.values()))}")
    frame = pd.DataFrame(rows).T.reindex(columns=list(COLUMNS)).infer_objects()
    return Report(str(checkpoint), "" if start is None else str(start), frame, values, start_values, left_out)


def _opened(checkpoint: Path, start: Path | None) -> tuple[dict[str, Entry], dict[str, Entry] | None]:
    """The tensors of both; of an adapter those that it changes, merged onto the start."""
    if start is not None and files.is_adapter(start):
        raise UnreadableError(f"{start}: got a LoRA adapter as the start, expected a whole checkpoint")
    first = None if start is None else files.tensors(start)
    if not files.is_adapter(checkpoint):
        return files.tensors(checkpoint), first
    if first is None:
        raise UnreadableError(f"{checkpoint}: got a LoRA adapter alone, expected its base as the start (--start)")
    return files.merged(checkpoint, first), first


def _loaded(path: Any, name: str, entry: Entry) -> Tensor:
    try:
        return entry.load()
    except Exception as error:  # a file that ends too early shows it only now
        raise UnreadableError(f"{path}: {name} cannot be read ({type(error).__name__})") from error


def _counterpart(name: str, entry: Entry, before: dict[str, Entry], start: Any) -> tuple[Tensor | None, str]:
    """The matrix of the start, or why there is none."""
    other = files.named(name, before)
    if other is None:
        return None, "not in the start"
    if before[other].shape != entry.shape:
        return None, f"{entry.shape} here, {before[other].shape} in the start"
    return _loaded(start, other, before[other]), ""


def _row(
    name: str, entry: Entry, matrix: Tensor, old: Tensor | None, now: np.ndarray, before: np.ndarray | None
) -> dict[str, Any]:
    row: dict[str, Any] = {"kind": _kind(name), "rows": entry.shape[0], "columns": entry.shape[1], "dtype": entry.dtype}
    shape = entry.shape[0], entry.shape[1]
    row |= verdicts.describe(now if before is None else before, now, shape, dtype=files.dtype(entry))
    row |= _exponents(now, shape, row)
    if old is None:
        row["verdict"] = alone(row)
        return row | dict.fromkeys(("outliers", "bulk_drift", "mean_drift", "edge_before", "change"), math.nan)
    base = float(old.double().norm())
    row["change"] = float((matrix.double() - old.double()).norm()) / base if base else math.nan
    return row | {"verdict": verdicts.verdict(row)}


def _exponents(now: np.ndarray, shape: tuple[int, int], row: dict[str, Any]) -> dict[str, float]:
    """The exponent of the upper half and that over its null; NaN where this half is not above rounding, or equal."""
    if math.isnan(row["mp_variance"]) or math.isnan(row["alpha"]):
        return {"hill": math.nan, "calibrated": math.nan}
    hill = spectra.hill((now / now.max()) ** 2)
    return {"hill": hill, "calibrated": hill / laws.hill_null(shape)}


def alone(row: dict[str, Any]) -> str:
    """The words for a matrix without a start, by the first of `RULES` that applies.

    Parameters
    ----------
    row : dict
        What `spectra.describe` gives for a spectrum against itself.

    Returns
    -------
    str
        The verdict.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import spectra
    >>> from helpers.monitor import report
    >>> values = np.linalg.svd(np.random.default_rng(0).standard_normal((150, 100)), compute_uv=False)
    >>> report.alone(spectra.describe(values, values, (150, 100)))
    'random'
    """
    words = verdicts.verdict(row)
    if words.startswith(("all zero", "too small", "heavy tail")):
        return words
    if math.isnan(row["outliers"]) or math.isnan(row["mp_distance"]):
        return "no bulk with an edge"
    count = int(row["mp_outliers"])
    if row["mp_distance"] > RANDOM / row["size"]:
        return f"not random, distance {row['mp_distance']:.2f}"
    return f"random bulk and {count} outlier{'s' * (count > 1)}" if count else "random"


def _kind(name: str) -> str:
    """The name with stars for the numbers of layers."""
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", name)


def _layers(names: list[str]) -> list[int]:
    """The numbers of the layers where one number tells them apart, otherwise their order."""
    numbers = [re.findall(r"(?<![^.])\d+(?![^.])", name) for name in names]
    firsts = [int(found[0]) for found in numbers if len(found) == 1]
    return firsts if len(set(firsts)) == len(names) else list(range(len(names)))


def _without_numbers(words: str) -> str:
    return re.sub(r", alpha .*|, distance .*| \(.*?\)", "", re.sub(r"and \d+ outliers?", "and outliers", words))


def _histogram(values: np.ndarray, edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.histogram(values, edges)[0] / (len(values) * np.diff(edges)), edges


def _plain_numbers(axis: Axis) -> None:
    """0.02, 0.05, 0.1 on a log axis, where powers of ten would be too few; these alone on a long one."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 50 * low else (1,)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _short(name: str) -> str:
    return name if len(name) <= 28 else f"…{name[-27:]}"


def _table(rows: pd.DataFrame, with_start: bool) -> pd.DataFrame:
    """The columns that a page shows, rounded."""
    table = pd.DataFrame(index=rows.index)
    table["verdict"] = rows["verdict"]
    table["shape"] = [f"{a} × {b}" for a, b in zip(rows["rows"], rows["columns"], strict=True)]
    digits = {"top": 3, "stable_rank": 1, "hill": 2, "calibrated": 2, "alpha": 2, "tail_size": 0}
    digits |= {"mp_distance": 3, "mp_outliers": 0}
    digits |= {"change": 4, "mean_drift": 4, "outliers": 0} if with_start else {}
    for name, places in digits.items():
        numbers = rows[name].astype(float)
        table[name.replace("_", " ")] = [f"{x:.{places}f}" if math.isfinite(x) else None for x in numbers]
    return table


def _rules(with_start: bool) -> pd.DataFrame:
    return pd.DataFrame({"rule": RULES_WITH_START if with_start else RULES})


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width"/>
<title>Spectra of {title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; color: #222;
  background: #fff; }}
h2 {{ margin-top: 2.5rem; font-size: 1.1rem; }}
code {{ overflow-wrap: anywhere; }}
img {{ max-width: 100%; height: auto; display: block; }}
table {{ border-collapse: collapse; font-size: 0.85rem; margin: 1rem 0; display: block; overflow-x: auto; }}
th, td {{ text-align: left; min-width: 3.5rem; padding: 0.2rem 0.7rem 0.2rem 0; border-bottom: 1px solid #ddd; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
