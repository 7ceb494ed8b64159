"""Peers that need other versions than the book: an environment for each, a process in it that waits for its turn."""

import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .timing import Side

SCRIPTS = Path(__file__).parent / "peers"
ENVIRONMENTS = Path(__file__).parents[1] / "_build" / "peers"


class PeerMissing(Exception):
    """A peer cannot be installed or does not run here; the message says why, in a line."""


@cache
def interpreter(name: str) -> Path:
    """The Python of a peer's environment, made from `peers/NAME.txt` if it is not there or the list has changed.

    The list is complete and installed without dependencies: neural-tangents asks for TensorFlow, which its kernels do
    not need. PeerMissing where that fails.
    """
    wanted = (SCRIPTS / f"{name}.txt").read_text()
    folder = ENVIRONMENTS / name
    python, done = folder / "bin" / "python", folder / "installed.txt"
    if not done.exists() or done.read_text() != wanted:
        _call(sys.executable, "-m", "venv", "--clear", folder)
        _call(python, "-m", "pip", "install", "-q", "--no-deps", "-r", SCRIPTS / f"{name}.txt")
        done.write_text(wanted)
    return python


def _call(*command: str | Path) -> None:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode:
        raise PeerMissing(_last_line(done.stderr + done.stdout))


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith(("WARNING", "[notice]"))]
    return lines[-1].strip().replace('"', "'").replace("\\", "/") if lines else "it stopped without a word"


class Peer(Side):
    """A side that runs in an environment of its own: `peers/SCRIPT.py`, given arrays; times are taken in there."""

    def __init__(self, environment: str, script: str, **arrays: Any) -> None:
        python = interpreter(environment)
        self._folder = tempfile.TemporaryDirectory()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  # closed in __exit__
        np.savez(Path(self._folder.name) / "given.npz", **arrays)
        self._process = subprocess.Popen(
            [str(python), str(SCRIPTS / f"{script}.py"), self._folder.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.note = self._answer()

    def _answer(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            reason = _last_line(self._errors.read())
            self.__exit__()
            raise PeerMissing(reason)
        return line.strip()

    def __call__(self) -> float:
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        seconds = float(self._answer())
        self.result = np.load(Path(self._folder.name) / "result.npy")
        return seconds

    def __exit__(self, *_: object) -> None:
        """End the process: it stops when nothing more can come."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()
        self._folder.cleanup()
