"""Grids of runs: in parallel, kept on disk point by point, no point lost to the failure of another."""

import abc
import contextlib
import dis
import errno
import functools
import hashlib
import importlib.util
import inspect
import itertools
import json
import math
import os
import pickle
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from importlib.metadata import version
from pathlib import Path
from types import CodeType, FunctionType, ModuleType, SimpleNamespace
from typing import Any

import joblib
import pandas as pd
import torch
from joblib.parallel import LokyBackend, get_active_backend
from tqdm import tqdm

from . import _checks

try:
    from cloudpickle import CloudPickler
except ImportError:  # joblib brought its own until 1.5
    from joblib.externals.cloudpickle import CloudPickler

Value = str | bool | int | float | None
Task = tuple[dict[str, Value], int]  # a point and a seed
Outcome = tuple[int, dict[str, float], str]  # the index of a task, its results, the message of an error or ""

RESERVED = ("seed", "error")  # columns of the frame
NO_ROOM = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC, errno.EDQUOT)
# Of a module and of a class: where they lie, and what Python finds out about them as they are used.
PASSING = {"__builtins__", "__cached__", "__file__", "__loader__", "__path__", "__spec__"}
PASSING |= {"__firstlineno__", "__static_attributes__", "__annotations_cache__", "__slotnames__", "_abc_impl"}


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
    function : callable
        Returns a number or a dict of numbers. It may be defined in a notebook.
    grid : dict of lists, or list of dicts
        A dict of lists stands for all combinations; the last name varies fastest. A list of dicts stands for itself.
        Values are numbers, strings, booleans or None. An empty dict is one point without parameters.
    seeds : iterable of int
        Integers of at least 0, e.g. range(3).
    jobs : int
        Number of processes, each with one thread; 1 computes in this process. Inside `joblib.parallel_config("dask")`,
        or another backend, that backend decides where and with how many.
    cache : path, optional
        A folder. Finished points are kept there, and the next call takes them from there. Failed points are not kept.
        Any change starts anew: of the function, of the data and the code that it uses, of this package, of Python or
        of a package's version. What a function reads from files or looks up by a computed name is not seen. Sometimes
        the same point is computed again, e.g. for a set of objects, whose order is another one in every process.
    progress : bool
        Show a bar.

    Returns
    -------
    pandas.DataFrame
        One row per point and seed, in the order of the grid; seeds vary fastest. The columns are the parameters, seed,
        the results ("value" where the function returns a number) and error. Where a point failed, error is the
        message and the results are NaN; elsewhere error is "".

    Raises
    ------
    ValueError, TypeError
        For an empty grid, a value or seed that comes twice, a parameter that the function does not take.

    Warns
    -----
    RuntimeWarning
        Once where points failed. Once where points could not be kept: the disk is full or read-only, or the function
        uses an object whose changes cannot be seen, e.g. a lock. They are computed and returned all the same.

    Examples
    --------
    >>> from helpers import sweeps
    >>> frame = sweeps.sweep(lambda x, seed: x**2 + seed, {"x": [1, 3]}, seeds=range(2), jobs=1)
    >>> frame["value"].tolist()
    [1, 2, 9, 10]
    """
    points, jobs = _points(grid), _checks.integer("jobs", jobs)
    seeds = _once("seeds", [_checks.integer("seeds", _plain(seed), least=0) for seed in _listed("seeds", seeds)])
    _check_call(function, points)
    folder, problem = (None, None) if cache is None else _folder(cache, function)
    tasks = dict(enumerate(itertools.product(points, seeds)))
    kept = {} if folder is None else {index: _load(folder, task) for index, task in tasks.items()}
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
                        _save(folder, tasks[index], result)
                    except OSError as refusal:
                        unkept.append(refusal)
            bar.update()
    if errors:
        first, error = min(errors.items())
        message = f"{len(errors)} of {len(tasks)} points failed; the first is {_text(tasks[first])}: {error}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    if unkept:
        problem = f"{len(unkept)} points could not be kept in {folder}; the first error is {unkept[0]}"
    if problem:
        warnings.warn(f"cache: {problem}", RuntimeWarning, stacklevel=2)
    names = dict.fromkeys(name for index in sorted(results) for name in results[index])
    parameters = dict.fromkeys(name for point in points for name in point)
    rows = [
        {**point, "seed": seed, **results.get(index, {}), "error": errors.get(index, "")}
        for index, (point, seed) in tasks.items()
    ]
    frame = pd.DataFrame(rows, columns=[*parameters, "seed", *names, "error"])
    return frame.astype({name: float for name in names if frame[name].isna().any()})


# ---- what is refused at the door


def _points(grid: Any) -> list[dict[str, Value]]:
    if isinstance(grid, Mapping):
        columns = [[(name, v) for v in _listed(f"grid[{name!r}]", values)] for name, values in grid.items()]
        points = [dict(items) for items in itertools.product(*columns)]
    else:
        points = _listed("grid", grid)
    for point in points:
        if not isinstance(point, Mapping):
            raise TypeError(f"grid: got a list with {point!r}, expected a dict of lists or a list of dicts")
    return _once("grid", [{name: _value(name, value) for name, value in point.items()} for point in points])


def _listed(name: str, values: Any) -> list:
    """Several values as a list that is not empty; a single value is most often a slip."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: got {values!r}, expected a list of values")
    if not (values := list(values)):
        raise ValueError(f"{name}: got no values, expected at least one")
    return values


def _once(name: str, values: list) -> list:
    """Runs that come twice would count as independent ones."""
    seen: set[str] = set()
    for value in values:
        if (text := _text(value)) in seen:
            raise ValueError(f"{name}: got {value} twice, expected every one once")
        seen.add(text)
    return values


def _value(name: Any, value: Any) -> Value:
    if not isinstance(name, str) or name in RESERVED:
        others = " and ".join(RESERVED)
        raise ValueError(f"grid: got a parameter called {name!r}, expected a string other than {others}")
    if not isinstance(value := _plain(value), Value):
        kind = type(value).__name__
        raise TypeError(f"grid[{name!r}]: got a {kind}, expected numbers, strings, booleans or None")
    if isinstance(value, float) and math.isnan(value):
        raise ValueError(f"grid[{name!r}]: got NaN, expected a value that equals itself")
    return value


def _plain(value: Any) -> Any:
    """Scalars of numpy and torch as those of Python."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _check_call(function: Callable, points: list[dict[str, Value]]) -> None:
    """Refuse here what would otherwise fail at every single point."""
    if not callable(function):
        raise TypeError(f"function: got {function!r}, expected a function of the grid's names and seed")
    try:
        signature = inspect.signature(function)
    except ValueError:  # some builtins have none
        return
    for point in points:
        try:
            signature.bind(**point, seed=0)
        except TypeError as error:
            names = ", ".join([*point, "seed"])
            raise TypeError(f"function: got the arguments {names}, which it does not take ({error})") from None


# ---- the work


def _evaluate(function: Callable, index: int, task: Task) -> Outcome:
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
    result = {name: _plain(value) for name, value in result.items()}
    for name, value in result.items():
        if not isinstance(name, str) or name in (*RESERVED, *point):
            raise ValueError(f"function: returned a result called {name!r}, the name of another column")
        if not isinstance(value, (bool, int, float)):
            kind = type(value).__name__
            raise TypeError(f"function: returned {name} as {kind}, expected a number or a dict of numbers")
    if not result:
        raise ValueError("function: returned an empty dict, expected at least one number")
    return result


def _outcomes(function: Callable, tasks: dict[int, Task], jobs: int) -> Iterator[Outcome]:
    """Outcomes as they come; a point whose process dies (no memory, a crash) is found out and the others go on."""
    waiting = dict(tasks)
    while waiting:
        try:
            for outcome in _parallel(function, waiting, jobs):
                del waiting[outcome[0]]
                yield outcome
        except BrokenExecutor:
            for index in list(waiting)[:jobs]:  # the suspects: those at work when it happened, now one by one
                task = waiting.pop(index)
                try:
                    yield from _parallel(function, {index: task}, jobs=2)  # 1 would mean this very process
                except BrokenExecutor as error:
                    yield index, {}, f"{type(error).__name__}: the process died, for want of memory or in a crash"


def _parallel(function: Callable, tasks: dict[int, Task], jobs: int) -> Iterator[Outcome]:
    """Outcomes as they come, on the caller's joblib backend or on processes with one thread each."""
    backend, _ = get_active_backend()
    if type(backend).__name__ == "DaskDistributedBackend":
        return _dask(backend, function, tasks)
    own = isinstance(backend, LokyBackend) and backend.inner_max_num_threads is None
    with joblib.parallel_config("loky", inner_max_num_threads=1) if own else contextlib.nullcontext():
        pool = joblib.Parallel(n_jobs=jobs, batch_size=1, return_as="generator_unordered")
    return pool(joblib.delayed(_evaluate)(function, index, task) for index, task in list(tasks.items()))


def _dask(backend: Any, function: Callable, tasks: dict[int, Task]) -> Iterator[Outcome]:
    """By the backend's own client.

    joblib 1.6.0 waits forever for a task that Dask has given up, and computes in this process where a single worker is
    there, the others still starting again.
    """
    from distributed import as_completed

    client, options = backend.client, backend.submit_kwargs
    futures = {client.submit(_evaluate, function, *item, pure=False, **options): item[0] for item in tasks.items()}
    for future in as_completed(futures):
        error = future.exception()
        yield (futures[future], {}, _message(error)) if error else future.result()


# ---- what is kept: a folder for each version of the function, a JSON file for each task, no pickles, which run code


def _folder(cache: Any, function: Callable) -> tuple[Path | None, str | None]:
    """The folder of this version of `function` under `cache`; none, and why, where the version cannot be told."""
    if not isinstance(cache, (str, os.PathLike)):
        raise TypeError(f"cache: got {cache!r}, expected a folder or None")
    try:
        Path(cache).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise ValueError(f"cache: got {str(cache)!r} ({error.strerror}), expected a folder") from None
    try:
        if (key := _key(function)) != _key(function):
            raise pickle.PicklingError("two looks at it differ")
    except Exception as error:  # of whatever class: it may be one of any object's own
        return None, f"no point is kept, since a change of what function uses could not be seen ({_message(error)})"
    name = re.sub(r"\W+", "-", getattr(function, "__qualname__", type(function).__qualname__)).strip("-")
    return Path(cache) / f"{name}-{key[:16]}", None


def _text(task: Any) -> str:
    """As JSON, the same for equal tasks."""
    return json.dumps(task, sort_keys=True)


def _file(folder: Path, task: Any) -> Path:
    return folder / f"{hashlib.sha256(_text(task).encode()).hexdigest()[:32]}.json"


def _load(folder: Path, task: Any) -> dict[str, float] | None:
    """The result kept for `task`; None where there is none, or no readable file that `_save` wrote."""
    try:
        kept = json.loads(_file(folder, task).read_text(encoding="utf-8"))
        task_kept, result = kept["task"], dict(kept["result"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    sound = _text(task_kept) == _text(task) and result and all(isinstance(v, (int, float)) for v in result.values())
    return result if sound else None


def _save(folder: Path, task: Any, result: dict[str, float]) -> None:
    """Written aside and moved into place, so that an interruption leaves no half file under the final name."""
    file = _file(folder, task)
    aside = file.with_suffix(f".{os.getpid()}")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        aside.write_text(json.dumps({"task": task, "result": result}), encoding="utf-8")
        aside.replace(file)
    except OSError:
        aside.unlink(missing_ok=True)
        raise


# ---- the version of a function


def _key(function: Callable) -> str:
    """A hash of all that `function` uses: as it is in memory now, and of the files that other processes would read."""
    digest = hashlib.sha256()
    writer = _Writer(SimpleNamespace(write=digest.update), protocol=5)
    versions = [version(name) for name in ("numpy", "scipy", "torch")]
    writer.dump((sys.version_info[:2], versions, torch.get_default_dtype(), function))
    for root in sorted(writer.roots):
        digest.update(f"{root} {getattr(sys.modules.get(root), '__version__', '')}\n".encode())
        if _is_own(root) and (place := _place(root)):
            for file in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
                digest.update(file.read_bytes())
    return digest.hexdigest()


def _root(module: str | None) -> str:
    return (module or "__main__").partition(".")[0]


def _place(root: str) -> Path | None:
    """The folder of a package, the file of a module; None where there is none."""
    try:
        spec = importlib.util.find_spec(root)
    except ValueError:  # a module that no file was read for, such as a notebook's
        return None
    return Path(next(iter(spec.submodule_search_locations or [str(spec.origin)]))) if spec else None


def _is_own(root: str) -> bool:
    """Notebooks, this package, and what is neither installed nor of the standard library: it changes unannounced."""
    if root in ("__main__", _root(__name__)):
        return True
    installed = {"site-packages", "dist-packages"} & set((_place(root) or Path()).parts)
    return not installed and root not in sys.stdlib_module_names


class _Writer(CloudPickler):
    """Writes down a function and what it uses, not to be read again but to be compared.

    What is our own is written in full, other packages by name. What might change unseen raises an error.
    """

    def __init__(self, file: Any, protocol: int) -> None:
        super().__init__(file, protocol=protocol)
        self.roots = {_root(__name__)}

    def persistent_id(self, value: Any) -> Any:
        """Sets in one order: that of strings is another one in every process."""
        return (type(value).__name__, sorted(value, key=repr)) if type(value) in (set, frozenset) else None

    def reducer_override(self, value: Any) -> Any:
        """As in `pickle`; str stands where the recipe for a copy would."""
        if isinstance(value, (FunctionType, type, ModuleType, functools._lru_cache_wrapper)):
            module = value.__name__ if isinstance(value, ModuleType) else value.__module__
            self.roots.add(_root(module))
            if module == "builtins" or (not _is_own(_root(module)) and _is_found(value, module)):
                return super().reducer_override(value)
            if _is_compiled(value):
                return str, (f"{module} {value.__qualname__}",)
            return str, (f"{module} {getattr(value, '__qualname__', '')}",), _members(value)
        if isinstance(value, CodeType):  # without lines and comments
            return self.dispatch_table[CodeType](value.replace(co_filename="", co_firstlineno=1, co_linetable=b""))
        if isinstance(value, functools.cached_property):  # has a lock in Python 3.11
            return str, ("cached_property",), value.func
        if isinstance(value, (torch.TypedStorage, torch.UntypedStorage)):  # torch writes its address too
            raw = getattr(value, "_untyped_storage", value)
            return str, (str(raw.device),), torch.empty(0, dtype=torch.uint8, device="cpu").set_(raw.cpu()).numpy()
        return self._object(value)

    def _object(self, value: Any) -> Any:
        """What `pickle` would write and, where the class is our own, all attributes, even those it would pass over."""
        reduce = self.dispatch_table.get(type(value))
        made = reduce(value) if reduce else value.__reduce_ex__(5)
        own = [base for base in type(value).__mro__ if _is_own(_root(base.__module__)) and not _is_compiled(base)]
        if isinstance(made, str):
            if _is_own(_root(pickle.whichmodule(value, made))):  # type: ignore[attr-defined]
                raise pickle.PicklingError(f"{made} is known by name alone")
            return made
        if own and (reduce or any({"__reduce__", "__reduce_ex__"} & set(vars(base)) for base in own)):
            raise pickle.PicklingError(f"{own[0].__qualname__} says itself how it is written")
        hidden = object.__getstate__(value) if own else None
        if isinstance(value, torch.Tensor) and value.is_leaf:
            hidden = hidden, value.grad
        if hidden is None:
            return made
        call, arguments, *rest = made
        state, *items = rest or [None]
        return call, arguments, (state, hidden), *items


def _is_compiled(value: Any) -> bool:
    """A class that is made in C, or in C++ as those of torch; some give no module where they can be found."""
    return isinstance(value, type) and (not value.__flags__ & 1 << 9 or type(value).__module__ == "pybind11_builtins")


def _is_found(value: Any, module: str) -> bool:
    """Whether its name leads to it."""
    found: Any = sys.modules.get(module)
    for name in () if isinstance(value, ModuleType) else value.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is value


def _members(value: Any) -> Any:
    """What a function, a class or a module is made of."""
    if isinstance(value, FunctionType):
        parts = value.__code__, value.__defaults__, value.__kwdefaults__, value.__closure__, vars(value)
        return *parts, _named(value.__code__, value.__globals__)
    if isinstance(value, functools._lru_cache_wrapper):
        return value.__wrapped__, value.cache_parameters()
    members = {name: vars(value)[name] for name in sorted(vars(value)) if name not in PASSING}
    if isinstance(value, ModuleType):
        return members
    registry = abc._get_dump(value)[0] if "_abc_impl" in vars(value) else ()  # type: ignore[attr-defined]
    return type(value), value.__bases__, members, [reference() for reference in registry]


def _named(code: CodeType, space: dict[str, Any]) -> dict[str, Any]:
    """What the global names in a function's code stand for, and the modules that it imports."""
    named = {}
    for step in dis.get_instructions(code):
        name = step.argval
        if step.opname in ("LOAD_GLOBAL", "LOAD_NAME") and name in space:
            named[name] = space[name]
        elif step.opname == "IMPORT_NAME":
            if name and (root := _root(name)) not in sys.modules and _place(root) and _is_own(root):
                raise pickle.PicklingError(f"{root} is imported only while function runs")
            modules = name, _root(name), f"{space.get('__package__')}.{name}".removesuffix(".")
            named |= {f"import {module}": sys.modules.get(module) for module in modules}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            named |= _named(constant, space)
    return named
