"""The house of `helpers`: rooms by their names, imports one way."""

import ast
from pathlib import Path

from chapter_key import PACKAGE, bindings, listing
from project import ROOT

HELPERS = ROOT / "helpers"


def modules(room: Path) -> list[Path]:
    return sorted(room.glob("*.py")) if room.is_dir() else [room]


def rooms() -> dict[str, Path]:
    found = [path for path in HELPERS.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()]
    return {path.stem: path for path in found if path.stem != "__init__"}


def imports_of(name: str, place: Path) -> set[str]:
    """The other rooms that the files of a room import."""
    used = set()
    for file in modules(place):
        package = f"{PACKAGE}.{name}" if place.is_dir() else PACKAGE
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                targets = (target.split(".") for _, target in bindings(node, package))
                used |= {parts[1] for parts in targets if parts[0] == PACKAGE and len(parts) > 1}
    return used & rooms().keys() - {name}


def levels(graph: dict[str, set[str]]) -> dict[str, int]:
    """How many rooms lie below each; a circle has no answer."""
    found: dict[str, int] = {}
    while len(found) < len(graph):
        free = [name for name, below in graph.items() if name not in found and below <= found.keys()]
        assert free, f"a circle among {sorted(graph.keys() - found.keys())}"
        found |= {name: 1 + max((found[below] for below in graph[name]), default=-1) for name in free}
    return found


def test_only_checks_and_random_numbers_are_private_at_the_top():
    assert {name for name in rooms() if name.startswith("_")} == {"_checks", "_random"}


def test_imports_run_one_way():
    found = levels({name: imports_of(name, place) for name, place in rooms().items()})
    ground = ["_checks", "activations", "networks", "spectra", "training", "kernels", "operators"]
    assert [found[name] for name in ground] == sorted({found[name] for name in ground})


def test_a_circle_is_seen():
    try:
        levels({"a": {"b"}, "b": {"a"}, "c": set()})
    except AssertionError as error:
        assert "['a', 'b']" in str(error)
    else:
        raise AssertionError("a circle passed")


def test_a_room_only_lists_names():
    """So a new name in it is no reason to run a chapter that does not use it; and no function hides a module."""
    for name, place in rooms().items():
        if place.is_dir():
            listed = listing((place / "__init__.py").read_text(), f"{PACKAGE}.{name}")
            assert listed, name
            hidden = {alias for alias, target in listed.items() if (place / f"{alias}.py").exists()}
            assert {f"{PACKAGE}.{name}.{alias}" for alias in hidden} <= set(listed.values()), name
