"""What the outside may do: a full disk, folders nobody may write to, no network, a kill, two builds at once."""

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import jupytext
import nbformat
import pytest
from project import ROOT
from test_gate import make_project

from helpers import sweeps

EXECUTE = [sys.executable, "book/_ext/execute.py"]
NOWHERE = "/dev/null/nowhere"  # no folder can be made there, not even by root


# ---- the disk


@contextlib.contextmanager
def no_room():
    """The system writes no more than ten bytes to any file, as on a disk that fills."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def square(x, seed):
    return x**2


@pytest.mark.weekly
def test_a_full_disk_loses_no_point(tmp_path):
    whole = sweeps.sweep(square, {"x": range(4)}, seeds=[0], jobs=1)
    with pytest.warns(RuntimeWarning, match="^cache: 4 points could not be kept in .*square") as seen, no_room():
        frame = sweeps.sweep(square, {"x": range(4)}, seeds=[0], jobs=1, cache=tmp_path)
    assert len(seen) == 1 and frame.equals(whole)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert sweeps.sweep(square, {"x": range(4)}, seeds=[0], jobs=1, cache=tmp_path).equals(whole)
    assert len(list(tmp_path.rglob("*.json"))) == 4


@pytest.mark.weekly
def test_a_disk_that_fills_keeps_what_was_there(tmp_path):
    sweeps.sweep(square, {"x": range(3)}, seeds=[0], jobs=1, cache=tmp_path)
    with pytest.warns(RuntimeWarning, match="^cache: 2 points"), no_room():
        frame = sweeps.sweep(square, {"x": range(5)}, seeds=[0], jobs=1, cache=tmp_path)
    assert frame["value"].tolist() == [0, 1, 4, 9, 16]
    assert len(list(tmp_path.rglob("*.json"))) == 3


SWEEP = """
import sys
import warnings
from helpers import sweeps

def square(x, seed):
    return x**2

warnings.simplefilter("error" if sys.argv[2] == "kept" else "always")
frame = sweeps.sweep(square, {"x": range(int(sys.argv[1]))}, seeds=[0], jobs=1, cache="cache")
print(frame["value"].tolist())
"""


def read_only(folder, *command):
    """The command where nothing can be written below `folder`: not even by root, where the system allows to mount."""
    seal = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && cd "$0" && exec "$@"'
    wall = ["unshare", "--map-root-user", "--mount", "sh", "-c", seal, str(folder)]
    if shutil.which("unshare") and subprocess.run([*wall, "true"], capture_output=True).returncode == 0:
        return [*wall, *command]
    if os.getuid() == 0:
        pytest.skip("root may write everywhere, and nothing can be mounted here")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return list(command)


@pytest.mark.weekly
def test_a_cache_that_is_read_only_is_read_and_loses_no_point(tmp_path):
    (tmp_path / "run.py").write_text(SWEEP)

    def run(*arguments, inside=lambda *command: list(command)):
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        command = inside(sys.executable, "run.py", *arguments)
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    first = run("3", "kept")
    kept = sorted(tmp_path.rglob("*.json"))
    assert first.returncode == 0 and len(kept) == 3, first.stderr
    again = run("3", "kept", inside=lambda *command: read_only(tmp_path, *command))
    assert again.returncode == 0 and again.stdout == first.stdout, again.stderr
    more = run("5", "new", inside=lambda *command: read_only(tmp_path, *command))
    assert more.returncode == 0 and more.stdout.startswith("[0, 1, 4, 9, 16]"), more.stderr
    assert "RuntimeWarning: cache: 2 points could not be kept" in more.stderr
    assert sorted(tmp_path.rglob("*.json")) == kept


# ---- no network, and no folder to keep anything in

ALONE = """
    import sys

    def refuse(event, arguments):
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
            raise AssertionError(f"{event} {arguments}")

    sys.addaudithook(refuse)

    import importlib, pkgutil
    import matplotlib.pyplot as plt
    import helpers
    from helpers import data, encoders, laws, networks, plots, spectra, sweeps

    for module in pkgutil.walk_packages(helpers.__path__, "helpers."):
        importlib.import_module(module.name)
    images, tweets = data.mnist(100), data.tweets(100, 100)
    net = encoders.minilm()
    features = net.features(encoders.tokenize(tweets.texts[:2]))
    plots.spectrum(plt.subplots()[1], spectra.singular_values(networks.TwoLayerNet(30, 40).weight))
    plt.gcf().canvas.draw()
    frame = sweeps.sweep(lambda x, seed: 2 * x, {"x": [1, 2]}, seeds=[0])
    print(tuple(images.x.shape), len(tweets.y), tuple(features.shape), frame["value"].tolist())
"""


def isolated(*command):
    """The command in a network of its own, this machine's loopback and nothing else, where the system allows that."""
    wall = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    allowed = shutil.which("unshare") and subprocess.run([*wall, "true"], capture_output=True).returncode == 0
    return [*wall, *command] if allowed else list(command)


@pytest.mark.parametrize("apart", [False, pytest.param(True, marks=pytest.mark.weekly)])
def test_everything_works_without_network_and_home(tmp_path, apart):
    """No Python code asks for one; in a network of its own, no other code either."""
    (tmp_path / "alone.py").write_text("\n".join(line.removeprefix("    ") for line in ALONE.splitlines()))
    nowhere = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "MPLCONFIGDIR", "HF_HOME", "SCIKIT_LEARN_DATA"), NOWHERE)
    environment = os.environ | nowhere | {"MPLBACKEND": "agg", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "alone.py"]
    command = isolated(*command) if apart else command
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(100, 784) 100 (2, 384) [2, 4]\n"


# ---- builds

SLOW = """---
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Takes long the first time

```{code-cell} ipython3
import os
import time
from pathlib import Path

log = Path(os.environ["RUNS"])
with log.open("a") as file:
    file.write("one run\\n")
time.sleep(600 if len(log.read_text().splitlines()) == 1 else 1)
```
"""


def start(root):
    own = {"PYTHONPATH": str(root), "RUNS": str(root / "runs"), "SPECTRAL_EVOLUTION_CACHE": str(root / "kept")}
    environment = os.environ | own
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen(EXECUTE, cwd=root, env=environment, start_new_session=True, **streams)


def stop(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A project whose first build was killed: one chapter was done, another was in the middle."""
    root = make_project(tmp_path_factory.mktemp("killed"), ["sound"])
    (root / "book" / "slow.md").write_text(SLOW)
    nbformat.write(jupytext.reads(SLOW, "md:myst"), root / "book" / "slow.ipynb")
    process = start(root)
    try:
        while not process.stdout.readline().startswith("sound: executed"):
            assert process.poll() is None
        while not (root / "runs").exists():
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        stop(process)
    return root


def test_two_builds_after_a_kill_do_the_rest_once(killed):
    processes = [start(killed), start(killed)]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            stop(process)
    assert [process.returncode for process in processes] == [0, 0], outputs
    once, twice = sorted(outputs, key=lambda output: "slow: executed" not in output)
    assert "slow: executed" in once and "unchanged: sound" in once
    assert "executed" not in twice and "unchanged: slow, sound" in twice
    assert len((killed / "runs").read_text().splitlines()) == 2
