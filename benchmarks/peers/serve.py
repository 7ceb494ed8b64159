"""The other end of `environments.Peer`: arrays come in a file, then every line on stdin asks for one timed run."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

LEAST = 0.05  # as in `timing`, which needs packages that are not here


def serve(prepare: Callable[[dict], tuple[Callable, str]]) -> None:
    """`prepare(arrays)` gives the function to be timed, which returns an array, and a note in a few words."""
    folder, answers = Path(sys.argv[1]), sys.stdout
    sys.stdout = sys.stderr  # whatever a package prints is no answer
    function, note = prepare(dict(np.load(folder / "given.npz")))
    print(note, file=answers, flush=True)
    for _ in sys.stdin:
        start, calls, elapsed = time.perf_counter(), 0, 0.0
        while elapsed < LEAST:
            result = function()
            calls, elapsed = calls + 1, time.perf_counter() - start
        np.save(folder / "result.npy", result)
        print(elapsed / calls, file=answers, flush=True)
