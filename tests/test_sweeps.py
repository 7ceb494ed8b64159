"""Sweeps against plain loops; what is kept on disk, what a change starts anew, what failures and kills leave behind."""

import abc
import contextlib
import enum
import errno
import functools
import importlib
import inspect
import json
import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import types
import typing
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from helpers import data, networks, sweeps, training

GRID = {"rate": [0.1, 10], "name": ["sgd", "adam"], "size": [None]}


def summary(rate, name, size, seed):
    return {"product": rate * seed, "letters": len(name), "full": size is None}


@pytest.fixture
def counted(tmp_path):
    """A function that leaves a line in a file at every call, and that file's length."""
    log = tmp_path / "log"
    log.touch()

    def function(x, seed=0):
        with log.open("a") as file:
            file.write("one line\n")
        return {"y": x + seed / 10}

    return function, lambda: len(log.read_text().splitlines())


@pytest.mark.parametrize("jobs", [1, 2])
def test_rows_are_those_of_plain_loops(jobs):
    frame = sweeps.sweep(summary, GRID, seeds=range(3), jobs=jobs)
    rows = [
        {"rate": rate, "name": name, "size": None, "seed": seed, "error": ""} | summary(rate, name, None, seed)
        for rate in (0.1, 10)
        for name in ("sgd", "adam")
        for seed in range(3)
    ]
    assert list(frame.columns) == ["rate", "name", "size", "seed", "product", "letters", "full", "error"]
    assert frame.to_dict("records") == rows
    assert [frame[name].dtype.kind for name in ("rate", "seed", "product", "letters", "full")] == list("fifib")


def test_points_may_be_listed_one_by_one():
    points = [{"lr": 0.1}, {"lr": 0.2, "momentum": 0.9}]
    frame = sweeps.sweep(lambda lr, seed, momentum=0.5: lr + momentum, points, seeds=[7], jobs=1)
    assert list(frame.columns) == ["lr", "momentum", "seed", "value", "error"]
    assert frame["value"].tolist() == [0.6, 1.1] and math.isnan(frame["momentum"][0])


def test_seeds_alone():
    assert sweeps.sweep(lambda seed: seed**2, {}, seeds=range(4), jobs=1)["value"].tolist() == [0, 1, 4, 9]


def test_scalars_of_numpy_and_torch_become_plain(tmp_path):
    def function(x, seed):
        assert type(x) is float and type(seed) is int
        return {"a": np.float32(x), "b": torch.tensor(2), "c": math.inf, "d": np.bool_(True), "e": math.nan}

    arguments = {"seeds": np.arange(2), "jobs": 1, "cache": tmp_path}
    fresh, kept = (sweeps.sweep(function, {"x": np.linspace(0.5, 1, 2)}, **arguments) for _ in range(2))
    assert fresh.iloc[0].tolist()[:6] == [0.5, 0, 0.5, 2, math.inf, True] and (fresh["error"] == "").all()
    assert fresh.equals(kept) and (fresh.dtypes == kept.dtypes).all()


def test_one_thread_in_each_process():
    def look(seed):
        return {"pid": os.getpid(), "torch": torch.get_num_threads(), "blas": int(os.environ["OPENBLAS_NUM_THREADS"])}

    frame = sweeps.sweep(look, {}, seeds=range(4))
    assert set(frame["torch"]) == set(frame["blas"]) == {1} and os.getpid() not in set(frame["pid"])


def test_in_this_process_the_threads_are_given_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert sweeps.sweep(lambda seed: torch.get_num_threads(), {}, seeds=[0], jobs=1)["value"].tolist() == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_trainings_do_not_depend_on_where_they_run():
    def r2(lr, seed):
        net = networks.TwoLayerNet(12, 20, seed=seed)
        return training.train(net, data.teacher_student(40, 12, seed=seed), lr=lr, epochs=3).test_r2

    one, two = (sweeps.sweep(r2, {"lr": [0.1, 1.0]}, seeds=range(2), jobs=jobs) for jobs in (1, 2))
    assert one.equals(two) and one["value"].notna().all()


@pytest.mark.parametrize(
    "failure, message",
    [
        (lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda: sys.exit(3), "SystemExit: 3"),
        (lambda: (_ for _ in ()).throw(training.TrainingDiverged(3, 0.5, None)), "TrainingDiverged: .*step 3"),
        (lambda: {"y": "text"}, "TypeError: function: returned y as str"),
        (lambda: None, "TypeError: function: returned value as NoneType"),
        (lambda: {"y": 1j}, "TypeError: function: returned y as complex"),
        (lambda: {"x": 1.0}, "ValueError: function: returned a result called 'x'"),
        (lambda: {"seed": 1.0}, "ValueError: function: returned a result called 'seed'"),
        (dict, "ValueError: function: returned an empty dict"),
    ],
)
def test_a_failed_point_is_reported(failure, message):
    def function(x, seed):
        return failure() if x == 1 else {"y": x, "even": x % 2 == 0}

    expected = rf'^2 of 6 points failed; the first is \[{{"x": 1}}, 0\]: {message}'
    with pytest.warns(RuntimeWarning, match=expected) as seen:
        frame = sweeps.sweep(function, {"x": range(3)}, seeds=range(2), jobs=1)
    assert len(seen) == 1
    failed = frame["x"] == 1
    assert frame.loc[failed, "error"].str.match(message).all() and (frame.loc[~failed, "error"] == "").all()
    assert frame.loc[failed, ["y", "even"]].isna().all(axis=None)
    assert frame.loc[~failed, "y"].tolist() == [0, 0, 2, 2] and frame["even"].dtype == float


def test_all_points_may_fail():
    with pytest.warns(RuntimeWarning, match="^2 of 2"):
        frame = sweeps.sweep(lambda seed: 1 / 0, {}, seeds=range(2))
    assert list(frame.columns) == ["seed", "error"] and len(frame) == 2


def test_a_process_that_dies_takes_no_other_point_along():
    def function(x, seed):
        if x == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return x**2

    with pytest.warns(RuntimeWarning, match="^1 of 6 points failed.*the process died"):
        frame = sweeps.sweep(function, {"x": range(6)}, seeds=[0])
    assert frame["value"].drop(2).tolist() == [0, 1, 9, 16, 25]
    assert frame["error"][2].startswith("TerminatedWorkerError")


def test_finished_points_are_kept(counted, tmp_path):
    function, calls = counted
    cache = tmp_path / "deep" / "cache"
    first = sweeps.sweep(function, {"x": [1, 2]}, seeds=range(2), jobs=1, cache=cache)
    assert calls() == 4
    assert sweeps.sweep(function, {"x": [1, 2]}, seeds=range(2), jobs=1, cache=str(cache)).equals(first)
    assert calls() == 4
    wider = sweeps.sweep(function, {"x": [0, 1, 2]}, seeds=range(2), jobs=1, cache=cache)
    assert calls() == 6 and wider["y"].tolist() == [0, 0.1, 1, 1.1, 2, 2.1]
    assert [path.suffix for path in cache.rglob("*") if path.is_file()] == [".json"] * 6


def test_failed_points_are_tried_again(tmp_path):
    def function(x, seed):
        return 1 / int((tmp_path / "number").read_text()) if x else 5.0

    (tmp_path / "number").write_text("0")
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError"):
        sweeps.sweep(function, {"x": [0, 1]}, seeds=[0], jobs=1, cache=tmp_path)
    (tmp_path / "number").write_text("4")
    assert sweeps.sweep(function, {"x": [0, 1]}, seeds=[0], jobs=1, cache=tmp_path)["value"].tolist() == [5, 0.25]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: "null",
        lambda text: json.dumps(json.loads(text) | {"result": {"y": "99"}}),
        lambda text: json.dumps(json.loads(text) | {"result": {}}),
        lambda text: json.dumps(json.loads(text) | {"result": 99}),
        lambda text: json.dumps(json.loads(text) | {"task": [{"x": 4}, 0], "result": {"y": 99}}),
        lambda text: b"\xff\xfe\x00\x80",
    ],
)
def test_a_damaged_file_is_computed_again(counted, tmp_path, damage):
    function, calls = counted
    arguments = {"grid": {"x": [3]}, "seeds": [0], "jobs": 1, "cache": tmp_path / "cache"}
    first = sweeps.sweep(function, **arguments)
    [file] = (tmp_path / "cache").rglob("*.json")
    sound, damaged = file.read_bytes(), damage(file.read_text())
    file.write_bytes(damaged if isinstance(damaged, bytes) else damaged.encode())
    assert sweeps.sweep(function, **arguments).equals(first) and calls() == 2 and file.read_bytes() == sound


@pytest.mark.parametrize("step", ["write_text", "replace"])
def test_a_disk_that_takes_no_more_loses_no_point(tmp_path, monkeypatch, step):
    """Here the call says so; `test_robust` has the system refuse."""

    def square(x, seed):
        return x**2

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    sweeps.sweep(square, {"x": range(3)}, seeds=[0], jobs=1, cache=tmp_path)
    before = sorted(tmp_path.rglob("*"))
    expected = "^cache: 2 points could not be kept in .*No space left"
    with monkeypatch.context() as full, pytest.warns(RuntimeWarning, match=expected) as seen:
        full.setattr(Path, step, refuse)
        frame = sweeps.sweep(square, {"x": range(5)}, seeds=[0], jobs=1, cache=tmp_path)
    assert len(seen) == 1 and frame["value"].tolist() == [0, 1, 4, 9, 16]
    assert sorted(tmp_path.rglob("*")) == before
    assert sweeps.sweep(square, {"x": range(5)}, seeds=[0], jobs=1, cache=tmp_path).equals(frame)


@pytest.mark.parametrize("problem", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_where_no_folder_can_be_made_points_are_computed_and_read(tmp_path, monkeypatch, problem):
    def square(x, seed):
        return x**2

    def refuse(*_, **__):
        raise OSError(problem, os.strerror(problem))

    sweeps.sweep(square, {"x": range(3)}, seeds=[0], jobs=1, cache=tmp_path)
    with monkeypatch.context() as sealed:
        sealed.setattr(Path, "mkdir", refuse)
        kept = sweeps.sweep(square, {"x": range(3)}, seeds=[0], jobs=1, cache=tmp_path)  # without a warning
        with pytest.warns(RuntimeWarning, match=f"^cache: 1 points could not be kept in .*{os.strerror(problem)}"):
            more = sweeps.sweep(square, {"x": range(4)}, seeds=[0], jobs=1, cache=tmp_path)
    assert kept["value"].tolist() == [0, 1, 4] and more["value"].tolist() == [0, 1, 4, 9]


def test_a_builtin_without_a_signature_may_be_given():
    with pytest.warns(RuntimeWarning, match="^1 of 1 points failed.*TypeError"):
        frame = sweeps.sweep(max, {"x": [1]}, seeds=[0], jobs=1)  # it is found out when it is called
    assert frame["error"][0].startswith("TypeError")


# ---- what counts as a change

SOURCE = """
import numpy as np
import torch

RATE = 2.0
LIST = ["a", {"b", "c"}]
WEIGHT = torch.tensor([1.0, 2.0], dtype=torch.bfloat16)
TABLE = np.arange(3)
NET = torch.nn.Linear(2, 1)
with torch.no_grad():
    NET.weight.fill_(1), NET.bias.fill_(0)

def inner(x):
    return x + 1

class Model:
    shift = 3
    def value(self, x):
        return x

def make(offset):
    def closure(x):
        return x + offset
    return closure

other = make(7)

def function(x, seed, power=2):
    "What it does."
    total = sum(inner(i) for i in range(3)) if x in {"a", "b", "c"} else RATE * Model().value(x)
    return total + other(x) + len(LIST) + WEIGHT[0] + TABLE[0] + NET.bias[0] + x**power
"""


def defined(source):
    """`function` as a notebook would define it; bytecode alone remains of it."""
    space = {"__name__": "__main__"}
    exec(compile(source, "cell", "exec"), space)
    return space["function"]


@pytest.fixture
def computed(tmp_path, monkeypatch):
    """Whether a sweep of a function computes its one point, and the value that it returns."""
    calls = []
    evaluate = sweeps._evaluate

    def counting(*arguments):
        calls.append(arguments)
        return evaluate(*arguments)

    monkeypatch.setattr(sweeps, "_evaluate", counting)

    def run(function):
        calls.clear()
        frame = sweeps.sweep(function, {"x": [1]}, seeds=[0], jobs=1, cache=tmp_path / "cache")
        assert frame["error"].tolist() == [""]
        return bool(calls), frame["value"][0]

    return run


@pytest.mark.parametrize(
    "old, new",
    [
        ("x**power", "x*power"),
        ("power=2", "power=3"),
        ("RATE = 2.0", "RATE = 2"),
        ('"c"}]', '"d"}]'),
        ("[1.0, 2.0]", "[1.0, 2.5]"),
        ("arange(3)", "arange(4)"),
        ("NET.weight.fill_(1)", "NET.weight.fill_(2)"),
        ("return x + 1", "return x + 2"),
        ("return x\n", "return -x\n"),
        ("shift = 3", "shift = 4"),
        ("make(7)", "make(8)"),
        ("return x + offset", "return x - offset"),
        ('{"a", "b", "c"}', '{"a", "b", "d"}'),
    ],
)
def test_a_change_starts_anew(computed, old, new):
    assert old in SOURCE
    runs = [computed(defined(source))[0] for source in (SOURCE, SOURCE, SOURCE.replace(old, new), SOURCE)]
    assert runs == [True, False, True, False]


@pytest.mark.parametrize(
    "old, new", [("return x + 1", "return x + 1  # a comment"), ("import numpy", "\n\nUNUSED = 3\nimport numpy")]
)
def test_what_does_not_matter_does_not_count(computed, old, new):
    assert [computed(defined(source))[0] for source in (SOURCE, SOURCE.replace(old, new))] == [True, False]


def test_a_change_of_the_helpers_starts_anew(computed, monkeypatch):
    def function(x, seed):
        return float(training.loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0])))

    def imports_late(x, seed):
        from helpers import training

        return float(training.loss(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 5.0])))

    before = computed(function), computed(imports_late)
    assert all(run for run, _ in before) and not computed(function)[0] and not computed(imports_late)[0]
    monkeypatch.setattr(training, "loss", lambda prediction, y: (prediction - y).abs().max())
    assert computed(function) == computed(imports_late) == (True, 3)


class Row(list):
    """Has attributes beside its items, as no list of Python has."""


class Slots:
    __slots__ = ("value",)


class Named(np.ndarray):
    """Has attributes of which `ndarray.__reduce__` knows nothing."""


class Secretive:
    """A copy of it has no value."""

    def __getstate__(self):
        return {}


class Scaled:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, x, seed):
        return self.factor * x


def given(kind, **attributes):
    made = kind() if kind is not Named else np.zeros(2).view(Named)
    for name, value in attributes.items():
        setattr(made, name, value)
    return made


def text_table(value):
    table = pd.DataFrame({"name": ["a", str(value)]}, index=pd.Index(["one", "two"]))
    return lambda x, seed: float(table.loc["two", "name"])


def in_row(value):
    row = given(Row, value=value)
    return lambda x, seed: row.value


def in_slots(value):
    deep = {"deep": [given(Slots, value=value)]}
    return lambda x, seed: deep["deep"][0].value


def beside_an_array(value):
    array = given(Named, label=value)
    return lambda x, seed: array.label


def not_copied(value):
    secretive = given(Secretive, value=value)
    return lambda x, seed: secretive.value


def in_an_array_of_objects(value):
    array = np.array([given(Slots, value=value), None], dtype=object)
    return lambda x, seed: array[0].value


def in_a_sparse_tensor(value):
    table = torch.tensor([0.0, value]).to_sparse()
    return lambda x, seed: float(table.to_dense().sum())


def in_a_gradient(value):
    weight = torch.ones(1, requires_grad=True)
    (value * weight).sum().backward()
    return lambda x, seed: float(weight.grad)


def behind_a_cache(value):
    @functools.cache
    def inner():
        return [value]

    inner()
    return lambda x, seed: inner()[0]


def in_a_method_of_a_class(value):
    class Pair(typing.NamedTuple):
        left: float

        def right(self):
            return self.left * value

    pair = Pair(1.0)
    return lambda x, seed: pair.right()


def in_an_enumeration(value):
    kind = enum.Enum("kind", {"first": value})
    return lambda x, seed: kind.first.value


def in_a_registry_of_subclasses(value):
    class Base(abc.ABC):  # noqa: B024
        pass

    if value == 2:
        Base.register(int)
    return lambda x, seed: 1.0 + isinstance(x, Base)


def by_calling_an_object(value):
    return Scaled(value)


def by_calling_its_method(value):
    return Scaled(value).__call__


def by_a_function_bound_to_an_object(value):
    one, two = (lambda self, x, seed: 1.0), (lambda self, x, seed: 2.0)
    one.__name__ = two.__name__ = "__call__"
    return types.MethodType(one if value == 1 else two, Scaled(7))


def by_partials(value):
    return functools.partial(functools.partial(lambda x, y, seed: y, y=0), y=value)


CASES = [
    text_table,
    in_row,
    in_slots,
    beside_an_array,
    not_copied,
    in_an_array_of_objects,
    in_a_sparse_tensor,
    in_a_gradient,
    behind_a_cache,
    in_a_method_of_a_class,
    in_an_enumeration,
    in_a_registry_of_subclasses,
    by_calling_an_object,
    by_calling_its_method,
    by_a_function_bound_to_an_object,
    by_partials,
]


@pytest.mark.parametrize("made", CASES)
def test_what_python_hides_counts(computed, made):
    assert [computed(made(value)) for value in (1.0, 2.0, 1.0)] == [(True, 1.0), (True, 2.0), (False, 1.0)]


def with_a_lock(value):
    lock = threading.Lock()

    def function(x, seed):
        with lock:
            return value

    return function


def by_the_type_of_the_argument(value):
    @functools.singledispatch
    def kind(x):
        return 0.0

    kind.register(int, (lambda x: 1.0) if value == 1 else (lambda x: 2.0))
    return lambda x, seed: kind(x)


def written_in_its_own_way(value):
    class Own(list):
        def __reduce__(self):
            return Own, ()

    own = Own([value])
    return lambda x, seed: own[0]


def other_at_every_look(value):
    class Counting:
        looks = 0

        def __getstate__(self):
            self.looks += 1
            return {}

    counting = Counting()
    return lambda x, seed: value + 0 * counting.looks


@pytest.mark.parametrize(
    "made", [with_a_lock, by_the_type_of_the_argument, written_in_its_own_way, other_at_every_look]
)
def test_what_cannot_be_told_is_not_kept(tmp_path, computed, made):
    for value in (1.0, 2.0, 2.0):
        with pytest.warns(RuntimeWarning, match="^cache: no point is kept") as seen:
            assert computed(made(value)) == (True, value)
        assert len(seen) == 1
    assert not list((tmp_path / "cache").rglob("*"))


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module of one's own, imported as `_own_module`, and forgets it in the end."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(text):
        (tmp_path / "_own_module.py").write_text(text)
        importlib.invalidate_caches()

    yield write
    sys.modules.pop("_own_module", None)


def test_a_module_that_is_edited_but_not_imported_again(computed, module, monkeypatch):
    """What it was is what runs here, and must not be taken for the file's later on."""
    module("def rate():\n    return 1.0")
    own = importlib.import_module("_own_module")

    def function(x, seed):
        return own.rate()

    assert [computed(function), computed(function)] == [(True, 1.0), (False, 1.0)]
    module("def rate():\n    return 2.0")
    assert computed(function) == (True, 1.0)
    own = importlib.reload(own)
    assert [computed(function), computed(function)] == [(True, 2.0), (False, 2.0)]
    monkeypatch.setattr(own, "rate", lambda: 3.0)
    assert computed(function) == (True, 3.0)


def test_a_module_that_only_the_function_imports(computed, module):
    module("RATE = 1.0")

    def function(x, seed):
        import _own_module  # type: ignore[import-not-found]

        return _own_module.RATE

    with pytest.warns(RuntimeWarning, match="^cache: .*_own_module is imported only while"):
        assert computed(function) == (True, 1.0)
    assert [computed(function), computed(function)] == [(True, 1.0), (False, 1.0)]  # by now it is there
    module("RATE = 2.0")
    importlib.reload(sys.modules["_own_module"])
    assert computed(function) == (True, 2.0)


def test_functions_of_a_module_of_ones_own(computed, module, monkeypatch):
    module("import functools\nPART = 1.0\ndef function(x, seed):\n    return PART")
    own = importlib.import_module("_own_module")
    assert [computed(own.function), computed(own.function)] == [(True, 1.0), (False, 1.0)]
    monkeypatch.setattr(own, "PART", 2.0)
    assert computed(own.function) == (True, 2.0)


# ---- whole programs


def run_script(path, text, *arguments):
    """A program in a process group of its own, so that nothing of it outlives the test."""
    path.write_text(textwrap.dedent(text))
    command = [sys.executable, path, *map(str, arguments)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(command, start_new_session=True, **streams)


def kill(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


INTERRUPTED = """
    import sys, time
    from pathlib import Path
    from helpers import sweeps

    def function(x, seed):
        with (Path(sys.argv[1]) / "log").open("a") as log:
            log.write("one line\\n")
        time.sleep(0.1)
        return {"y": 2 * x, "in": x in {"some", "strings", "in", "random", "order"}}

    if __name__ == "__main__":
        frame = sweeps.sweep(
            function, {"x": range(16)}, seeds=[0], jobs=int(sys.argv[2]), cache=Path(sys.argv[1]) / "cache"
        )
        assert frame["y"].tolist() == list(range(0, 32, 2)) and (frame["error"] == "").all()
"""


def test_a_killed_program_goes_on_where_it_stopped(tmp_path):
    """SIGKILL, which nothing can clean up after; the function is one of `__main__`."""

    def kept():
        return len(list(tmp_path.glob("cache/*/*.json")))

    process = run_script(tmp_path / "script.py", INTERRUPTED, tmp_path, 2)
    try:
        while kept() < 5 and process.poll() is None:
            time.sleep(0.02)
    finally:
        kill(process)
    finished, calls = kept(), len((tmp_path / "log").read_text().splitlines())
    assert 5 <= finished < 16
    process = run_script(tmp_path / "script.py", INTERRUPTED, tmp_path, 1)
    try:
        output, _ = process.communicate(timeout=300)
    finally:
        kill(process)
    assert process.returncode == 0, output
    assert len((tmp_path / "log").read_text().splitlines()) == calls + 16 - finished


USES_MUCH = """
    import dataclasses, functools, sys
    from pathlib import Path
    import numpy as np
    import pandas as pd
    import torch
    from helpers import networks, sweeps, training

    @dataclasses.dataclass
    class Settings:
        rate: float = 2.0
        names: frozenset | None = None

    @functools.cache
    def size():
        return 3

    NAMES = frozenset({"some", "strings", "in", "random", "order"})
    SETTINGS, TABLE = Settings(names=NAMES), pd.DataFrame({"a": [1.0], "b": ["text"]})
    NET = networks.TwoLayerNet(4, 5, seed=0)
    SPARSE, DRAWS = torch.eye(2).to_sparse(), np.random.default_rng(0)
    sets = [{"some", "more", "strings"}, torch.ones(2)]

    def function(x, seed):
        with Path(sys.argv[1]).open("a") as log:
            log.write("one line\\n")
        assert training.train is not None and DRAWS is not None and sets
        return SETTINGS.rate * size() + float(TABLE["a"][0]) + len(NET.weight) + float(SPARSE.to_dense().sum())

    if __name__ == "__main__":
        sweeps.sweep(function, {"x": [1]}, seeds=[0], jobs=1, cache=sys.argv[1] + "-cache")
"""


def test_another_process_finds_what_is_kept(tmp_path):
    (tmp_path / "script.py").write_text(textwrap.dedent(USES_MUCH))
    for seed in ("1", "2"):
        command = [sys.executable, "-W", "error", tmp_path / "script.py", tmp_path / "log"]
        done = subprocess.run(command, env=os.environ | {"PYTHONHASHSEED": seed}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "log").read_text() == "one line\n"


DASK = """
    import os, signal, sys, time, warnings
    from pathlib import Path
    import joblib
    from distributed import Client, LocalCluster
    from helpers import sweeps

    def die():
        os.kill(os.getpid(), signal.SIGKILL)

    def dies_once(x, seed):
        time.sleep(0.1)
        if x == 5 and not (mark := Path(sys.argv[1])).exists():
            mark.touch()
            die()
        return {"y": 2 * x, "pid": os.getpid()}

    def dies(x, seed):
        return die() if x == 5 else {"y": 2 * x, "pid": os.getpid()}

    if __name__ == "__main__":
        options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
        with LocalCluster(**options) as cluster, Client(cluster), joblib.parallel_config("dask"):
            frame = sweeps.sweep(dies_once, {"x": range(20)}, seeds=[0])
            assert Path(sys.argv[1]).exists() and os.getpid() not in set(frame["pid"])
            assert frame["y"].tolist() == list(range(0, 40, 2)) and (frame["error"] == "").all()

            cluster.scheduler.allowed_failures = 0  # the default, 3, takes longer
            with warnings.catch_warnings(record=True) as seen:
                frame = sweeps.sweep(dies, {"x": range(20)}, seeds=[0])
            assert "KilledWorker" in str(seen[0].message) and os.getpid() not in set(frame["pid"])
            failed = frame["error"] != ""
            assert failed[5] and failed.sum() <= 3  # and what waited on the same worker
            assert (frame["y"] == 2 * frame["x"])[~failed].all()
        print("nothing lost")
"""


@pytest.mark.weekly
def test_dask_loses_a_worker_and_no_point(tmp_path):
    process = run_script(tmp_path / "script.py", DASK, tmp_path / "mark")
    try:
        output, _ = process.communicate(timeout=300)
    finally:
        kill(process)
    assert process.returncode == 0 and "nothing lost" in output, output


# ---- the bar and the door


def test_the_bar_counts_all_points(counted, tmp_path, capsys):
    function, _ = counted
    sweeps.sweep(function, {"x": [1, 2]}, seeds=[0], jobs=1, cache=tmp_path / "cache")
    assert capsys.readouterr() == ("", "")
    sweeps.sweep(function, {"x": [1, 2, 3]}, seeds=[0], jobs=1, cache=tmp_path / "cache", progress=True)
    assert "points:  67%" in (bar := capsys.readouterr().err) and "2/3" in bar


@pytest.mark.parametrize(
    "name, arguments, error",
    [
        ("function", {"function": 3}, TypeError),
        ("function", {"function": lambda seed: 1}, TypeError),
        ("function", {"function": lambda x: 1}, TypeError),
        ("function", {"function": lambda x, y, seed: 1}, TypeError),
        ("grid", {"grid": 3}, TypeError),
        ("grid", {"grid": []}, ValueError),
        ("grid", {"grid": [1, 2]}, TypeError),
        ("grid", {"grid": "x"}, TypeError),
        ("grid", {"grid": [{"x": 1}, {"x": 1}]}, ValueError),
        ("grid", {"grid": {"x": [1], 3: [1]}}, ValueError),
        ("grid", {"grid": {"x": [1], "seed": [1]}}, ValueError),
        ("grid", {"grid": {"error": [1]}}, ValueError),
        (r"grid\['x'\]", {"grid": {"x": 3}}, TypeError),
        (r"grid\['x'\]", {"grid": {"x": "sgd"}}, TypeError),
        (r"grid\['x'\]", {"grid": {"x": []}}, ValueError),
        (r"grid\['x'\]", {"grid": {"x": [[1, 2]]}}, TypeError),
        (r"grid\['x'\]", {"grid": {"x": [torch.ones(2)]}}, TypeError),
        (r"grid\['x'\]", {"grid": {"x": [math.nan]}}, ValueError),
        ("grid", {"grid": {"x": [2, 2]}}, ValueError),
        ("seeds", {"seeds": 3}, TypeError),
        ("seeds", {"seeds": []}, ValueError),
        ("seeds", {"seeds": [-1]}, ValueError),
        ("seeds", {"seeds": [0.5]}, TypeError),
        ("seeds", {"seeds": [1, 2, 1]}, ValueError),
        ("jobs", {"jobs": 0}, ValueError),
        ("jobs", {"jobs": "2"}, TypeError),
        ("cache", {"cache": 3}, TypeError),
        ("cache", {"cache": __file__}, ValueError),
        ("cache", {"cache": "too-long" * 100}, ValueError),
    ],
)
def test_bad_arguments_are_refused(name, arguments, error):
    with pytest.raises(error, match=f"^{name}:"):
        sweeps.sweep(**{"function": lambda x, seed: x, "grid": {"x": [1]}, "seeds": [0], "jobs": 1} | arguments)


def test_the_signature_is_the_promised_one():
    parameters = inspect.signature(sweeps.sweep).parameters
    assert list(parameters)[:5] == ["function", "grid", "seeds", "jobs", "cache"]
    assert (parameters["jobs"].default, parameters["cache"].default) == (2, None)
