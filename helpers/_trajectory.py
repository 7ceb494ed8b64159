"""What a monitor has recorded: the rows of its frame, and the spectrum of everything it watches, by step."""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from ._readings import NUMBERS, Row

COLUMNS = ("step", "name", "kind", *NUMBERS, "verdict")


def table(rows: list[Row]) -> pd.DataFrame:
    """Rows as a frame, whether or not there are any."""
    return pd.DataFrame(rows, columns=list(COLUMNS))


class Trajectory:
    """Records in the order of their steps; one that comes again takes the place of the old one and of all later ones.

    Attributes
    ----------
    rows : of all records.
    last : the step of the latest record; -1 where there is none.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.last = -1
        self._spectra: dict[str, dict[int, np.ndarray]] = {}

    def add(self, step: int, rows: list[Row], spectra: Mapping[str, np.ndarray]) -> int:
        """Keep a record: its rows, and the descending values of every name; how many of the old rows stay."""
        if step <= self.last:
            self.rows = [row for row in self.rows if row["step"] < step]
            self._spectra = {k: {s: v for s, v in kept.items() if s < step} for k, kept in self._spectra.items()}
        old = len(self.rows)
        self.rows += rows
        self.last = step
        for name, spectrum in spectra.items():
            self._spectra.setdefault(name, {})[step] = spectrum
        return old

    def spectrum(self, name: str, step: int) -> np.ndarray:
        return self._spectra[name][step]

    def spectra(self, name: str) -> pd.DataFrame:
        """A row of values for each step. ValueError for an unknown name."""
        if name not in self._spectra:
            raise ValueError(f"name: got {name!r}, expected one of {', '.join(self._spectra)}")
        kept = self._spectra[name]
        return pd.DataFrame(np.stack([kept[step] for step in sorted(kept)]), index=pd.Index(sorted(kept), name="step"))

    def moved(self, name: str) -> float:
        """Mean relative move of the values since the first record."""
        kept = self._spectra[name]
        start, now = kept[min(kept)], kept[self.last]
        return float(np.nan_to_num(np.abs(now - start).sum() / start.sum()))

    def edge(self, name: str) -> float:
        """The edge of the bulk in the latest record; NaN where there is none."""
        return next((row.get("edge", math.nan) for row in reversed(self.rows) if row["name"] == name), math.nan)

    def verdicts(self) -> dict[str, str]:
        """The verdict of every weight matrix in the latest record."""
        now = [row for row in self.rows if row["step"] == self.last and row["kind"] == "weight"]
        return {row["name"]: row["verdict"] for row in now}
