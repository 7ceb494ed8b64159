"""The outputs of chapters, kept outside of any clone: one file for each key of `chapter_key`.

They lie in the user's cache folder, or where the environment variable SPECTRAL_EVOLUTION_CACHE says. A file is written
beside its place and then renamed, and says what its content must add up to: one that was cut, changed or misplaced
counts as missing. Whatever goes wrong with this folder costs an execution and nothing else.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs
from chapter_key import digest

VARIABLE = "SPECTRAL_EVOLUTION_CACHE"
LIMIT = 500_000_000  # bytes; a state of the whole book takes about 30 million


@dataclass(frozen=True)
class Execution:
    """One run of a chapter."""

    outputs: list[list[dict]]  # of each code cell
    seconds: float  # on the clock
    products: float  # time of a core, over that of one product of float32 matrices; see `execute.product_seconds`
    peak_memory: int  # bytes, of its largest process
    machine: str  # in words


def folder() -> Path:
    """Where outputs are kept."""
    return Path(os.environ.get(VARIABLE) or platformdirs.user_cache_path("spectral-evolution"), "chapters")


def save(key: str, execution: Execution) -> str:
    """Keep an execution; returns why that was not possible, or nothing."""
    content = json.dumps({"key": key} | asdict(execution)).encode()
    part = None
    try:
        folder().mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder(), suffix=".part", delete=False) as file:
            part = Path(file.name)
            file.write(f"{digest(content)}\n".encode() + content)
        part.replace(place(key))
        forget_oldest()
    except OSError as error:
        if part is not None:
            with contextlib.suppress(OSError):
                part.unlink()
        return str(error)
    return ""


def load(key: str) -> Execution | None:
    """What was kept under this key; None where that is nothing, or not whole."""
    try:
        expected, content = place(key).read_bytes().split(b"\n", 1)
        if digest(content) != expected.decode():
            return None
        record = json.loads(content)
        if record.pop("key") != key:
            return None
        execution = Execution(**record)
    except (OSError, ValueError, TypeError, KeyError):
        return None
    with contextlib.suppress(OSError):
        os.utime(place(key))  # used now: among the last to go
    return execution


def place(key: str) -> Path:
    return folder() / f"{key}.json"


def forget_oldest() -> None:
    """Delete what was not used for longest, until the rest is within the limit."""
    files = []
    for path in folder().iterdir():
        with contextlib.suppress(OSError):  # another build may have deleted it
            state = path.stat()
            files.append((state.st_mtime, state.st_size, path))
    total = sum(size for _, size, _ in files)
    for _, size, path in sorted(files):
        if total <= LIMIT:
            return
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size


if __name__ == "__main__":
    if sys.argv[1:] != ["--forget"]:
        sys.exit("usage: kept.py --forget")
    shutil.rmtree(folder(), ignore_errors=True)
