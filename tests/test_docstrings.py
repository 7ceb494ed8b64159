"""Public docstrings in the form of numpydoc: what they document is what there is. Their examples run as tests too."""

import importlib
import inspect
import itertools
import pkgutil
import re

import pytest

import helpers

SECTIONS = ("Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns", "See Also", "Notes", "References",
            "Examples")  # fmt: skip
HEADER = re.compile(r"^(\S.*)\n-{3,}$", re.MULTILINE)


def defined(module):
    """The public functions and classes of a module: of a room those of its `__all__`, otherwise those made in it."""
    room = hasattr(module, "__all__")
    for name in module.__all__ if room else [name for name in vars(module) if not name.startswith("_")]:
        thing = getattr(module, name)
        if room and inspect.ismodule(thing):
            yield from defined(thing)
        elif inspect.isclass(thing) and issubclass(thing, Exception) and "__init__" not in vars(thing):
            continue  # a name and a sentence
        elif (inspect.isclass(thing) or inspect.isfunction(thing)) and (room or thing.__module__ == module.__name__):
            yield thing


def public():
    """Every public function and class of the rooms and the single modules."""
    for found in pkgutil.iter_modules(helpers.__path__, "helpers."):
        if not found.name.startswith("helpers._"):
            yield from defined(importlib.import_module(found.name))


def members(cls):
    """The public methods and properties that a class defines itself."""
    for name, member in vars(cls).items():
        member = getattr(member, "fget", getattr(member, "func", member))  # of a property, a cached property
        if inspect.isfunction(member) and (name == "__call__" or not name.startswith("_")):
            yield member


def label(thing):
    return f"{thing.__module__}.{thing.__qualname__}".removeprefix("helpers.")


PUBLIC = list(public())
METHODS = [method for thing in PUBLIC if inspect.isclass(thing) for method in members(thing)]
each = pytest.mark.parametrize("thing", [*PUBLIC, *METHODS], ids=label)


def parts(thing):
    """The sections of a docstring by their headers; what stands before the first one is called Summary."""
    found = HEADER.split(inspect.cleandoc(thing.__doc__ or ""))
    return {"Summary": found[0].strip(), **dict(zip(found[1::2], found[2::2], strict=True))}


def entries(section):
    """The names that a section documents: what stands before the colon in lines that are not indented."""
    heads = [line.split(" : ")[0] for line in section.splitlines() if re.match(r"\S", line)]
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def undescribed(section):
    """Lines that are not indented and have no indented line below them."""
    lines = [line for line in section.splitlines() if line.strip()]
    return [a for a, b in itertools.pairwise([*lines, ""]) if a[0] != " " and not b.startswith("    ")]


@each
def test_sections_are_those_of_numpydoc(thing):
    summary, *found = parts(thing)
    assert [name for name in SECTIONS if name in found] == found
    assert parts(thing)[summary].split("\n\n")[0].count("\n") == 0, "the summary is one line"
    assert parts(thing)[summary].split("\n\n")[0].endswith(".")


@each
def test_every_parameter_is_documented_and_no_other(thing):
    wanted = [name for name in inspect.signature(thing).parameters if name != "self"]
    documented = entries(parts(thing).get("Parameters", ""))
    if inspect.isclass(thing):  # what it keeps as it is may stand among the attributes
        kept = entries(parts(thing).get("Attributes", ""))
        documented += [name for name in kept if name in wanted and name not in documented]
    assert documented == wanted


@each
def test_every_entry_says_what_it_is(thing):
    found = parts(thing)
    for name in ("Parameters", "Attributes", "Returns", "Yields", "Raises", "Warns"):
        assert not undescribed(found.get(name, ""))


@pytest.mark.parametrize("thing", PUBLIC, ids=label)
def test_there_is_an_example(thing):
    assert ">>> " in parts(thing).get("Examples", "")


def test_something_is_looked_at():
    names = {label(thing) for thing in [*PUBLIC, *METHODS]}
    assert {"laws.limits.marchenko_pastur", "laws.law.Law.density", "lanczos.Alignment", "training.loop.train"} <= names


def test_a_docstring_is_read_as_numpydoc_reads_it():
    def thing(a, b, *c, **d):
        """Summary.

        Parameters
        ----------
        a, b : int
            Both.
        *c
            More.
        **d
            Others : of all kinds.

        Returns
        -------
        int
        """

    assert list(parts(thing)) == ["Summary", "Parameters", "Returns"]
    assert entries(parts(thing)["Parameters"]) == ["a", "b", "c", "d"]
    assert not undescribed(parts(thing)["Parameters"])
    assert undescribed(parts(thing)["Returns"]) == ["int"]
