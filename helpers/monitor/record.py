"""The record of a monitored training on disk: the start once, then one line for every look, appended as it is made."""

import json
import math
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

_START, _LINES = "start.npz", "records.jsonl"


class Folder:
    """A folder with the start of a training and what was recorded since; a line cut off by a kill is dropped.

    Raises ValueError if `path` is a file, TypeError if it is no path.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"path: got {path!r}, expected a folder or None")
        self.path = Path(path)
        self._unwritten: list[str] = []
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise ValueError(f"path: got {str(path)!r}, where a file stands, expected a folder") from None

    def start(self) -> dict[str, np.ndarray] | None:
        """What `save_start` kept; None in a new folder."""
        try:
            with np.load(self.path / _START, allow_pickle=False) as kept:
                return dict(kept)
        except FileNotFoundError:
            return None

    def save_start(self, arrays: dict[str, Any]) -> None:
        """The arrays are written aside and moved into place; records of another start are removed."""
        aside = self.path / f"{os.getpid()}.npz"
        np.savez(aside, **arrays)
        (self.path / _LINES).unlink(missing_ok=True)
        aside.replace(self.path / _START)

    def lines(self) -> list[dict[str, Any]]:
        """All whole lines; what follows the last of them is cut off the file."""
        try:
            text = (self.path / _LINES).read_bytes()
        except FileNotFoundError:
            return []
        kept, length = [], 0
        for line in text.splitlines(keepends=True):
            try:
                record = json.loads(line)
            except ValueError:
                break
            if not line.endswith(b"\n"):
                break
            kept.append(record)
            length += len(line)
        if length < len(text):
            os.truncate(self.path / _LINES, length)
        return kept

    def append(self, record: dict[str, Any]) -> None:
        """Add a line; where that fails, warn and try again with the next one: a full disk must not end a training."""
        self._unwritten.append(json.dumps(record, allow_nan=False) + "\n")
        try:
            with (self.path / _LINES).open("ab") as file:
                whole = file.tell()
                try:
                    file.write("".join(self._unwritten).encode())
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(whole)
                    raise
            self._unwritten.clear()
        except OSError as error:
            warnings.warn(f"path: {error}; the records stay in memory and are written with the next one", stacklevel=2)


def without_nan(row: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN: None in its place."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def with_nan(row: dict[str, Any]) -> dict[str, Any]:
    """The reverse of `without_nan`."""
    return {k: math.nan if v is None else v for k, v in row.items()}
