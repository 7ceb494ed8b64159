"""Grids of runs: in parallel, kept on disk point by point, no point lost to the failure of another."""

import contextlib
import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, Future
from typing import Any

import joblib
import pandas as pd
import torch
from joblib.parallel import LokyBackend, get_active_backend
from tqdm import tqdm

from . import _checks, _grid, _store
from ._grid import Value

Task = tuple[dict[str, Value], int]  # a point and a seed
Outcome = tuple[int, dict[str, float], str]  # the index of a task, its results, the message of an error or ""


def sweep(
    function: Callable[..., Mapping[str, float] | float],
    grid: Mapping[str, Iterable[Value]] | Iterable[Mapping[str, Value]],
    *,
    seeds: Iterable[int],
    jobs: int = 2,
    cache: str | os.PathLike | None = None,
    progress: bool = False,
) -> pd.DataFrame:
    """Call function(**point, seed=seed) for every point of a grid and every seed.

    Parameters
    ----------
    function : returns a number or a dict of numbers. It may be defined in a notebook.
    grid : a dict of lists stands for all combinations, the last name varying fastest; a list of dicts for itself.
        Values are numbers, strings, booleans or None. An empty dict is one point without parameters.
    seeds : integers of at least 0, e.g. range(3).
    jobs : processes, each with one thread; 1 computes in this process. Inside `joblib.parallel_config("dask")`, or
        another backend, that backend decides where and with how many; other machines need this package installed.
    cache : a folder. Finished points are kept there, and the next call takes them from there. A change of the function,
        or of what it calls, starts anew (see `_fingerprint`). Failed points are not kept, but tried again. Where the
        disk is full or read-only, points are computed and returned all the same.
    progress : show a bar.

    Returns
    -------
    frame : one row per point and seed, in the order of the grid, seeds varying fastest. The columns are the
        parameters, seed, the results ("value" where the function returns a number) and error: the message of a point
        that failed, whose results are NaN, and "" of all others.

    Raises
    ------
    ValueError, TypeError : an empty grid, a value or a seed that comes twice, a parameter the function does not take.

    Warns
    -----
    RuntimeWarning : once, where points failed; once, where a point could not be kept.
    """
    points, seeds, jobs = _grid.points(grid), _grid.seeds(seeds), _checks.integer("jobs", jobs)
    _grid.check_call(function, points)
    folder = None if cache is None else _store.folder(cache, function)
    tasks = dict(enumerate(itertools.product(points, seeds)))
    kept = {} if folder is None else {index: _store.load(folder, task) for index, task in tasks.items()}
    results = {index: result for index, result in kept.items() if result is not None}
    waiting = {index: task for index, task in tasks.items() if index not in results}
    errors: dict[int, str] = {}
    unkept: list[OSError] = []
    with tqdm(total=len(tasks), initial=len(results), disable=not progress, leave=False, desc="points") as bar:
        for index, result, error in _outcomes(function, waiting, jobs):
            if error:
                errors[index] = error
            else:
                results[index] = result
                if folder is not None:
                    try:
                        _store.save(folder, tasks[index], result)
                    except OSError as problem:
                        unkept.append(problem)
            bar.update()
    if errors:
        first, error = min(errors.items())
        message = f"{len(errors)} of {len(tasks)} points failed; the first is {_store.text(tasks[first])}: {error}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    if unkept:
        message = f"cache: {len(unkept)} points could not be kept in {folder}; the first error is {unkept[0]}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    return _frame(tasks, results, errors)


def _frame(tasks: dict[int, Task], results: dict[int, dict], errors: dict[int, str]) -> pd.DataFrame:
    names = dict.fromkeys(name for index in sorted(results) for name in results[index])
    parameters = dict.fromkeys(name for point, _ in tasks.values() for name in point)
    rows = [
        {**point, "seed": seed, **results.get(index, {}), "error": errors.get(index, "")}
        for index, (point, seed) in tasks.items()
    ]
    frame = pd.DataFrame(rows, columns=[*parameters, "seed", *names, "error"])
    return frame.astype({name: float for name in names if frame[name].isna().any()})


def _evaluate(function: Callable, index: int, task: Task) -> Outcome:
    """Where the work is done."""
    point, seed = task
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return index, _numbers(function(**point, seed=seed), point), ""
    except (Exception, SystemExit) as error:  # as text, since not every exception can be sent from process to process
        return index, {}, _message(error)
    finally:
        torch.set_num_threads(threads)


def _message(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _numbers(result: Any, point: dict[str, Value]) -> dict[str, float]:
    """What a function returned as a dict of plain numbers."""
    result = dict(result) if isinstance(result, Mapping) else {"value": result}
    result = {name: _grid.plain(value) for name, value in result.items()}
    for name, value in result.items():
        if not isinstance(name, str) or name in (*_grid.RESERVED, *point):
            raise ValueError(f"function: returned a result called {name!r}, the name of another column")
        if not isinstance(value, (bool, int, float)):
            kind = type(value).__name__
            raise TypeError(f"function: returned {name} as {kind}, expected a number or a dict of numbers")
    if not result:
        raise ValueError("function: returned an empty dict, expected at least one number")
    return result


def _parallel(function: Callable, tasks: dict[int, Task], jobs: int) -> Iterator[Outcome]:
    """Outcomes as they come, on the caller's joblib backend or on processes with one thread each."""
    backend, _ = get_active_backend()
    context = contextlib.nullcontext()
    if isinstance(backend, LokyBackend) and backend.inner_max_num_threads is None:
        context = joblib.parallel_config("loky", inner_max_num_threads=1)
    elif type(backend).__name__ == "DaskDistributedBackend":
        context = joblib.parallel_config(_reporting_deaths(backend))
    with context:
        pool = joblib.Parallel(n_jobs=jobs, batch_size=1, return_as="generator_unordered")
    return pool(joblib.delayed(_evaluate)(function, index, task) for index, task in list(tasks.items()))


def _reporting_deaths(backend: Any) -> Any:
    """joblib's Dask backend, without two traits that it has in 1.6.0 and that a dying worker brings out.

    It waits forever for a task that Dask has given up: here the task reports it. Where a single worker is there, the
    others still starting again, it computes in this process: here it counts two.
    """

    class Reporting(type(backend)):  # type: ignore[misc]  # a class known only here
        def effective_n_jobs(self, n_jobs: int) -> int:
            return max(2, super().effective_n_jobs(n_jobs))

        def submit(self, batch: Any, callback: Callable) -> Future:
            [(_, (_, index, _), _)] = batch.items

            def report(future: Future) -> None:
                if error := future.exception():
                    callback([(index, {}, _message(error))])

            future = super().submit(batch, callback)
            future.add_done_callback(report)
            return future

    reporting = object.__new__(Reporting)
    reporting.__dict__.update(vars(backend))  # the caller's client and options; copy.copy would make a new one without
    return reporting


def _outcomes(function: Callable, tasks: dict[int, Task], jobs: int) -> Iterator[Outcome]:
    """Outcomes as they come; a point whose process dies (no memory, a crash) is found out and the others go on."""
    waiting = dict(tasks)
    while waiting:
        try:
            for outcome in _parallel(function, waiting, jobs):
                del waiting[outcome[0]]
                yield outcome
        except BrokenExecutor:
            for index in list(waiting)[:jobs]:  # the suspects: those at work when it happened
                yield _alone(function, index, waiting.pop(index))


def _alone(function: Callable, index: int, task: Task) -> Outcome:
    """The outcome of one point in a process of its own, which it may take down with it."""
    try:
        [outcome] = _parallel(function, {index: task}, jobs=2)  # 1 would mean this very process
        return outcome
    except BrokenExecutor as error:
        return index, {}, f"{type(error).__name__}: the process died, for want of memory or in a crash"
