"""Two sides timed in turn, so that whatever else the machine does falls on both alike."""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Self

import torch


class Side:
    """One side of a comparison: a call runs it once and returns the seconds; `result` is what it computed last."""

    result: Any = None
    note = ""

    def __call__(self) -> float:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


LEAST = 0.05  # seconds that a measurement takes at least: a shorter function is called again


class Timed(Side):
    """A function of this process as a side; the seconds of one call, on average over calls for `LEAST` seconds."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function

    def __call__(self) -> float:
        start, calls, elapsed = time.perf_counter(), 0, 0.0
        while elapsed < LEAST:
            self.result = self.function()
            calls, elapsed = calls + 1, time.perf_counter() - start
        return elapsed / calls


class Ratio(NamedTuple):
    """Smallest, median and largest ratio over the rounds."""

    low: float
    median: float
    high: float


def ratio(numerator: Side, denominator: Side, rounds: int) -> Ratio:
    """time(numerator) / time(denominator), both in turn; of several rounds the first warms up and does not count.

    ValueError for fewer than one round.
    """
    if rounds < 1:
        raise ValueError(f"rounds: got {rounds}, expected at least 1")
    pairs = [(numerator(), denominator()) for _ in range(rounds)]
    ratios = [a / b for a, b in (pairs[1:] or pairs)]
    return Ratio(min(ratios), statistics.median(ratios), max(ratios))


def share_cores() -> int:
    """Hold this process, and the peers it starts, to as many cores as torch has threads; returns their number.

    XLA takes one thread for each core that it may use. Where a process cannot be held (macOS) it takes all of them.
    """
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))[: torch.get_num_threads()]
        os.sched_setaffinity(0, cores)
        torch.set_num_threads(len(cores))
    return torch.get_num_threads()
