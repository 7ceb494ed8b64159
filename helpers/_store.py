"""Results of a function on disk: a folder for each version of the function, a JSON file for each task.

Not joblib.Memory: it keeps pickles, and to load a pickle is to run whatever code the file holds.
"""

import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ._fingerprint import fingerprint


def folder(cache: Any, function: Callable) -> Path:
    """The folder of this version of `function` under `cache`, made where it is missing."""
    if not isinstance(cache, (str, os.PathLike)):
        raise TypeError(f"cache: got {cache!r}, expected a folder or None")
    name = re.sub(r"\W+", "-", getattr(function, "__qualname__", type(function).__qualname__)).strip("-")
    path = Path(cache) / f"{name}-{fingerprint(function)[:16]}"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"cache: got {str(cache)!r}, where a file stands, expected a folder") from None
    except OSError as error:
        problem = error.strerror
        raise ValueError(f"cache: got {str(cache)!r}, which cannot be made ({problem}), expected a folder") from error
    return path


def text(task: Any) -> str:
    """A task as JSON, the same for equal tasks."""
    return json.dumps(task, sort_keys=True)


def load(folder: Path, task: Any) -> dict[str, float] | None:
    """The result kept for `task`; None where there is none, or no readable file that `save` wrote."""
    try:
        kept = json.loads(_file(folder, task).read_text(encoding="utf-8"))
        task_kept, result = kept["task"], dict(kept["result"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    sound = text(task_kept) == text(task) and result and all(isinstance(v, (int, float)) for v in result.values())
    return result if sound else None


def save(folder: Path, task: Any, result: dict[str, float]) -> None:
    """Written aside and moved into place, so that an interruption leaves no half file under the final name.

    OSError where the disk is full or the folder takes no files.
    """
    file = _file(folder, task)
    aside = file.with_suffix(f".{os.getpid()}")
    try:
        aside.write_text(json.dumps({"task": task, "result": result}), encoding="utf-8")
        aside.replace(file)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


def _file(folder: Path, task: Any) -> Path:
    return folder / f"{hashlib.sha256(text(task).encode()).hexdigest()[:32]}.json"
