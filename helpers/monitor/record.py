"""The record of a monitored training on disk: the start once, then one line for every look, appended as it is made."""

import contextlib
import json
import math
import os
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

_START, _LINES = "start.npz", "records.jsonl"


class Folder:
    """A folder with the start of a training and what was recorded since; a line cut off by a kill is dropped.

    Raises ValueError if `path` is a file, or no folder can be made there, TypeError if it is no path.
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
        except OSError as error:
            raise ValueError(f"path: got {str(path)!r} ({error.strerror}), expected a folder to write to") from None

    def start(self) -> dict[str, np.ndarray] | None:
        """The arrays of the start; None in a new folder. ValueError where the file is no longer what was written."""
        try:
            with (self.path / _START).open("rb") as file, np.load(file, allow_pickle=False) as kept:
                return dict(kept)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(
                f"path: got {str(self.path)!r}, whose {_START} cannot be read ({error}), expected the records of a "
                "training, whole, or another folder"
            ) from None

    def lines(self) -> list[dict[str, Any]]:
        """All records that can be read; a last line that was cut off is removed, others are warned of and stay."""
        file = self.path / _LINES
        try:
            text = file.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ValueError(f"path: got {str(file)!r} ({error.strerror}), expected a file to read") from None
        whole, _, rest = text.rpartition(b"\n")
        found = [_record(line) for line in whole.split(b"\n") if line]
        if rest and (last := _record(rest)):  # only the end of its line is missing
            found.append(last)
        elif rest:
            with contextlib.suppress(OSError):  # `append` begins a new line anyway
                os.truncate(file, len(text) - len(rest))
        kept = [record for record in found if record]
        if lost := len(found) - len(kept):
            message = f"path: {lost} of {len(found)} lines in {str(file)!r} cannot be read and are passed over"
            warnings.warn(message, stacklevel=4)
        return kept

    def append(self, record: dict[str, Any], start: dict[str, Any]) -> None:
        """Add a line, and before the first one keep the arrays of the start, without the records of another.

        Where that fails, warn and try again with the next one: a full disk must not end a training.
        """
        self._unwritten.append(json.dumps(record, allow_nan=False) + "\n")
        try:
            if not (self.path / _START).exists():
                self._save(start)
            with (self.path / _LINES).open("ab+") as file:
                whole = file.seek(0, os.SEEK_END)
                if whole:
                    file.seek(-1, os.SEEK_END)
                    if file.read(1) != b"\n":
                        self._unwritten.insert(0, "\n")
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

    def _save(self, start: dict[str, Any]) -> None:
        """Written aside and moved into place."""
        aside = self.path / f"{os.getpid()}.npz"
        try:
            np.savez(aside, **start)
            (self.path / _LINES).unlink(missing_ok=True)
            aside.replace(self.path / _START)
        except OSError:
            aside.unlink(missing_ok=True)
            raise


def _record(line: bytes) -> dict[str, Any] | None:
    """What `Folder.append` wrote; None for anything else."""
    try:
        record = json.loads(line)
        step, rows, values = record["step"], record["rows"], record["values"]
        sizes = {row["name"]: int(row["size"]) for row in rows}
        sound = isinstance(step, int) and all(v is None or len(v) == sizes[k] for k, v in values.items())
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return record if sound else None


def without_nan(row: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN: None in its place."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


def with_nan(row: dict[str, Any]) -> dict[str, Any]:
    """The reverse of `without_nan`."""
    return {k: math.nan if v is None else v for k, v in row.items()}
