"""Grids and seeds as plain lists: what a sweep accepts, and what it refuses at the door."""

import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from . import _checks, _store

RESERVED = ("seed", "error")  # columns of a sweep's frame

Value = str | bool | int | float | None


def points(grid: Any) -> list[dict[str, Value]]:
    """The grid, a dict of lists or a list of dicts, as a list of points with plain values."""
    if isinstance(grid, Mapping):
        columns = [[(name, v) for v in _listed(f"grid[{name!r}]", values)] for name, values in grid.items()]
        listed = [dict(items) for items in itertools.product(*columns)]
    else:
        listed = _listed("grid", grid)
    for point in listed:
        if not isinstance(point, Mapping):
            raise TypeError(f"grid: got a list with {point!r}, expected a dict of lists or a list of dicts")
    listed = [{name: _value(name, value) for name, value in point.items()} for point in listed]
    _refuse_twice("grid", listed)
    return listed


def seeds(values: Any) -> list[int]:
    """Seeds as a list of integers of at least 0."""
    listed = [_checks.integer("seeds", plain(value), least=0) for value in _listed("seeds", values)]
    _refuse_twice("seeds", listed)
    return listed


def _listed(name: str, values: Any) -> list:
    """Several values as a list that is not empty; a single value is most often a slip."""
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise TypeError(f"{name}: got {values!r}, expected a list of values")
    values = list(values)
    if not values:
        raise ValueError(f"{name}: got no values, expected at least one")
    return values


def plain(value: Any) -> Any:
    """Scalars of numpy and torch as those of Python."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _value(name: Any, value: Any) -> Value:
    if not isinstance(name, str) or name in RESERVED:
        others = " and ".join(RESERVED)
        raise ValueError(f"grid: got a parameter called {name!r}, expected a string other than {others}")
    value = plain(value)
    if not isinstance(value, Value):
        kind = type(value).__name__
        raise TypeError(f"grid[{name!r}]: got a {kind}, expected numbers, strings, booleans or None")
    if isinstance(value, float) and math.isnan(value):
        raise ValueError(f"grid[{name!r}]: got NaN, expected a value that equals itself")
    return value


def _refuse_twice(name: str, values: list) -> None:
    """Runs that come twice would count as independent ones."""
    seen = set()
    for value in values:
        if (text := _store.text(value)) in seen:
            raise ValueError(f"{name}: got {value} twice, expected every one once")
        seen.add(text)


def check_call(function: Callable, points: list[dict[str, Value]]) -> None:
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
