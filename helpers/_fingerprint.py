"""Has a function changed? A hash of all that can be seen of what its result depends on."""

import contextlib
import dis
import functools
import hashlib
import inspect
import sys
import sysconfig
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import joblib
import torch
from torch import Tensor

WRAPPERS = (property, staticmethod, classmethod, functools.partial, functools.cached_property, MethodType)
STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"]
PLACES = ("__firstlineno__", "__static_attributes__")  # of a class since Python 3.13: its line, a set in any order
WRAPPED = ("__func__", "__self__", "fget", "fset", "func", "args", "keywords")


def fingerprint(function: Callable) -> str:
    """A hash of `function` and of all it reaches, the same in every session of one Python version; 64 hex digits.

    It sees the code, the defaults, the closure, and the globals that the code names: data by content; functions,
    classes and modules of the notebook, of this package and of files outside site-packages followed to the end. Of
    other packages it sees the versions of numpy, scipy and torch. Comments and line numbers do not count.
    It cannot see files that the function reads, nor names looked up while it runs (`getattr`, `eval`).
    """
    versions = [f"{name} {version(name)}" for name in ("numpy", "scipy", "torch")]
    return hashlib.sha256("\n".join([*versions, *_describe(function, {})]).encode()).hexdigest()


def _describe(value: Any, seen: dict[int, Any]) -> Iterator[str]:
    """One line after the other, without addresses, paths or the order of sets; `seen` ends cycles."""
    kind = type(value)
    yield kind.__qualname__
    if value is None or isinstance(value, (str, bytes, int, float, complex)):
        yield repr(value)
    elif isinstance(value, CodeType):
        yield from _describe_code(value, seen)
    elif id(value) not in seen:
        seen[id(value)] = value
        yield from _describe_object(value, kind, seen)


def _describe_object(value: Any, kind: type, seen: dict[int, Any]) -> Iterator[str]:
    parts: list[Any] = []
    if isinstance(value, (FunctionType, type, ModuleType)):
        module = value.__name__ if isinstance(value, ModuleType) else value.__module__
        yield f"{module} {getattr(value, '__qualname__', '')}"
        parts = _members(value) if _is_followed(module) else []
    elif isinstance(value, Mapping):
        parts = [part for item in value.items() for part in item]
    elif isinstance(value, (list, tuple)):
        parts = list(value)
    elif isinstance(value, (set, frozenset)):
        yield from sorted("\n".join(_describe(item, seen)) for item in value)
    elif isinstance(value, Tensor):
        raw = value.detach().cpu().resolve_conj().contiguous().flatten().view(torch.uint8)
        yield f"{value.dtype} {tuple(value.shape)} {joblib.hash(raw.numpy())}"
    elif isinstance(value, WRAPPERS):
        parts = [getattr(value, name, None) for name in WRAPPED]
    elif hasattr(value, "__dict__"):
        parts = [kind, vars(value)]
    else:
        yield _content(value)
    for part in parts:
        yield from _describe(part, seen)


def _describe_code(code: CodeType, seen: dict[int, Any]) -> Iterator[str]:
    """Bytecode, names and constants: the source without its comments, there even where the source is not."""
    yield code.co_code.hex() + getattr(code, "co_exceptiontable", b"").hex()
    yield " ".join((*code.co_names, *code.co_varnames, *code.co_freevars))
    yield f"{code.co_argcount} {code.co_posonlyargcount} {code.co_kwonlyargcount} {code.co_flags}"
    for constant in code.co_consts:
        yield from _describe(constant, seen)


def _members(value: FunctionType | type | ModuleType) -> list[Any]:
    """What belongs to it: of a module nothing, since code that names it takes single attributes."""
    if isinstance(value, FunctionType):
        own = [value.__code__, value.__defaults__, value.__kwdefaults__]
        for cell in value.__closure__ or ():
            with contextlib.suppress(ValueError):  # an empty cell
                own.append(cell.cell_contents)
        return [*own, *_named(value)]
    if isinstance(value, type):
        own = {name: member for name, member in vars(value).items() if name not in PLACES}
        return [*value.__bases__, *own.keys(), *own.values()]
    return []


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _named(function: FunctionType) -> list[Any]:
    """What the names in its code stand for: globals, modules it imports, and attributes of followed modules."""
    loaded: set[str] = set()
    names: set[str] = set()
    for part in _codes(function.__code__):
        names.update(part.co_names)
        steps = dis.get_instructions(part)
        loaded.update(s.argval for s in steps if s.opname in ("LOAD_GLOBAL", "LOAD_NAME", "IMPORT_NAME"))
    package, space = function.__globals__.get("__package__"), function.__globals__
    found = [space.get(name, sys.modules.get(name, sys.modules.get(f"{package}.{name}"))) for name in sorted(loaded)]
    modules: dict[str, ModuleType] = {}
    for value in found:  # grows
        if isinstance(value, ModuleType) and value.__name__ not in modules and _is_followed(value.__name__):
            modules[value.__name__] = value
            found += [vars(value)[name] for name in sorted(names) if name in vars(value)]
    return found


def _is_followed(module: str | None) -> bool:
    """Notebooks, this package, and files that are neither installed nor of the standard library."""
    if module is None:
        return False
    if module.split(".")[0] in ("__main__", __name__.split(".")[0]):
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    installed = {"site-packages", "dist-packages"}
    return file is not None and not installed & set(Path(file).parts) and not file.startswith(STANDARD_LIBRARY)


def _content(value: Any) -> str:
    """Of compiled code the name; of arrays and other objects a hash of their pickle, nothing where there is none."""
    if inspect.isroutine(value):
        return str(getattr(value, "__qualname__", ""))
    try:
        return joblib.hash(value)
    except Exception:
        return ""
