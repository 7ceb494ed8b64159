"""The monitor against the functions it collects, and what it promises: training untouched, nothing lost."""

import copy
import math
import os
import signal
import subprocess
import sys
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

from helpers import data, kernels, monitor, networks, spectra, training
from helpers.monitor import SpectralMonitor
from helpers.spectra import verdicts

X = torch.randn(64, 40, generator=torch.Generator().manual_seed(0))
Y = torch.sin(X[:, 0])


def mlp(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(40, 60),
        nn.BatchNorm1d(60),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(60, 50),
        nn.Tanh(),
        nn.Linear(50, 1),
    )


def trained(net, steps, watch=None, **options):
    """SGD on one batch; `watch` is called after every step."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.2, **options)
    for _ in range(steps):
        optimizer.zero_grad()
        functional.mse_loss(net(X)[:, 0], Y).backward()
        optimizer.step()
        if watch is not None:
            watch.step()
    return net


@pytest.fixture(scope="module")
def watched():
    """A monitor of a short training, and the network before and after."""
    net = mlp()
    before = copy.deepcopy(net)
    monitor = SpectralMonitor(net, every=5, probe=(X[:30], Y[:30]))
    trained(net, 10, monitor)
    return monitor, before, net


def test_a_row_for_every_record_and_matrix(watched):
    frame = watched[0].frame
    assert frame["step"].unique().tolist() == [0, 5, 10]
    assert frame[frame["step"] == 5]["name"].tolist() == ["0.weight", "4.weight", "6.weight", "CK", "NTK"]
    assert frame[frame["kind"] == "weight"]["verdict"].notna().all()
    assert list(frame.columns) == list(monitor.COLUMNS)


@pytest.mark.parametrize("name", ["0.weight", "4.weight"])
def test_numbers_are_those_of_the_functions(watched, name):
    monitor, before, after = watched
    row = monitor.frame[(monitor.frame["step"] == 10) & (monitor.frame["name"] == name)].iloc[0]
    old, new = (spectra.weight_matrices(net)[name] for net in (before, after))
    values = [spectra.singular_values(w) for w in (old, new)]
    np.testing.assert_allclose(monitor.values(name).loc[0], values[0], atol=1e-7)
    np.testing.assert_allclose(monitor.values(name).loc[10], values[1], atol=1e-7)
    expected = verdicts.describe(*values, tuple(new.shape))
    for column in verdicts.COLUMNS:
        assert row[column] == pytest.approx(expected[column], rel=1e-5, nan_ok=True), column
    assert row["verdict"] == verdicts.verdict(expected)
    vectors = [torch.linalg.svd(w.double(), full_matrices=False) for w in (old, new)]
    assert row["left_overlap"] == pytest.approx(spectra.overlap(vectors[1][0][:, :3], vectors[0][0][:, :3]), abs=1e-6)
    assert row["right_overlap"] == pytest.approx(spectra.overlap(vectors[1][2][:3].T, vectors[0][2][:3].T), abs=1e-6)
    gradient = spectra.weight_gradients(after)[name].double()
    share = float((vectors[1][0][:, :3].T @ gradient).norm() / gradient.norm())
    assert row["left_gradient"] == pytest.approx(share, abs=1e-5)
    share = float((gradient @ vectors[1][2][:3].T).norm() / gradient.norm())
    assert row["right_gradient"] == pytest.approx(share, abs=1e-5)


def test_kernels_of_the_probe(watched):
    monitor, _, net = watched
    rows = monitor.frame[monitor.frame["step"] == 10].set_index("name")
    made = {
        "CK": kernels.conjugate_kernel(net, X[:30]),
        "NTK": kernels.neural_tangent_kernel(net, X[:30], outputs="sum"),
    }
    for name, kernel in made.items():
        values = spectra.eigenvalues(kernel.double())
        np.testing.assert_allclose(monitor.values(name).loc[10], values.clamp_min(0), atol=1e-6 * float(values[0]))
        assert rows.loc[name, "top"] == pytest.approx(float(values[0]))
        assert rows.loc[name, "alignment"] == pytest.approx(kernels.alignment(kernel, Y[:30]), abs=1e-6)
        centered = kernels.alignment(kernel, Y[:30], centered=True)
        assert rows.loc[name, "centered_alignment"] == pytest.approx(centered, abs=1e-6)


def test_the_network_of_the_theory_as_the_chapters_measure_it():
    problem, net = data.teacher_student(100, 50, n_test=50), networks.TwoLayerNet(50, 75)
    run = training.train(net, problem, "adam", 0.1, epochs=5)
    watch = SpectralMonitor(copy.deepcopy(net), every=1, probe=(problem.x, problem.y))
    with torch.no_grad():
        for name, value in run.after.named_parameters():
            watch.model.get_parameter(name).copy_(value)
    watch.step()
    row = watch.frame.iloc[-3]
    change = spectra.compare(net.weight, run.after.weight)
    assert row["outliers"] == len(change.outliers)
    assert row["bulk_drift"] == pytest.approx(change.bulk_drift, rel=1e-6)
    tail = spectra.fit_power_law(spectra.singular_values(run.after.weight) ** 2 / 75)
    assert (row["alpha"], row["ks"]) == pytest.approx((tail.alpha, tail.distance), rel=1e-6)
    kta = kernels.alignment(kernels.neural_tangent_kernel(run.after, problem.x), problem.y)
    assert watch.frame.iloc[-1]["alignment"] == pytest.approx(kta, rel=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_same_exponent_as_weightwatcher():
    weightwatcher = pytest.importorskip("weightwatcher")
    net, rng = nn.Sequential(nn.Linear(300, 400), nn.ReLU(), nn.Linear(400, 200)), np.random.default_rng(0)
    for layer, alpha in ((net[0], 2.2), (net[2], 2.8)):
        left, values, right = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
        values = torch.from_numpy(np.sqrt(rng.pareto(alpha - 1, len(values)) + 1)).float()
        layer.weight.data = left * values @ right
    with np.errstate(all="ignore"):
        details = weightwatcher.WeightWatcher(model=net).analyze(svd_method="accurate")
    ours = SpectralMonitor(net).frame
    np.testing.assert_allclose(ours["alpha"], details["alpha"], atol=1e-3)
    np.testing.assert_allclose(ours["ks"], details["D"], atol=1e-3)
    np.testing.assert_allclose(ours["stable_rank"], details["stable_rank"], rtol=1e-3)


def untouched(net, watch):
    """Everything that watching must not change."""
    state = [(k, v.clone()) for k, v in net.state_dict().items()]
    grads = [None if p.grad is None else p.grad.clone() for p in net.parameters()]
    return (
        state,
        grads,
        [m.training for m in net.modules()],
        [p.requires_grad for p in net.parameters()],
        torch.get_rng_state(),
    )


def test_training_is_bit_for_bit_what_it_was():
    results = []
    for every in (None, 1):
        net = mlp(seed=3)
        torch.manual_seed(1)
        watch = None if every is None else SpectralMonitor(net, every=every, probe=(X[:20], Y[:20]))
        results.append(untouched(trained(net, 12, watch, momentum=0.9), watch))
    for one, other in zip(*results, strict=True):
        for a, b in zip(one, other, strict=True) if isinstance(one, list) else [(one, other)]:
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else str(a) == str(b)


def test_nothing_keeps_the_model_from_being_saved(watched):
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in watched[2].modules())


class Clock:
    """A clock that a test moves on."""

    now = 0.0

    def perf_counter(self):
        self.now += 1.0  # every record takes one second between two looks
        return self.now


def test_by_default_watching_takes_three_percent_of_the_time_at_most(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("helpers.monitor.monitor.time", clock)
    watch = SpectralMonitor(mlp())
    for _ in range(20_000):
        clock.now += 0.05
        watch.step()
    steps = watch.frame["step"].unique()
    assert len(steps) > 10 and (steps % 100 == 0).all()
    assert len(steps) * 1.0 <= 0.03 * (clock.now - 1) + 1
    assert len(steps) * 1.0 >= 0.015 * clock.now


def test_given_every_nothing_is_left_out():
    watch = SpectralMonitor(mlp(), every=3)
    assert [watch.step() for _ in range(7)] == [False, False, True, False, False, True, False]
    watch.record()
    assert watch.frame["step"].unique().tolist() == [0, 3, 6, 7]


def test_steps_that_are_given():
    watch = SpectralMonitor(mlp(), every=10)
    assert [watch.step(k) for k in (5, 10, 10, 20, 30)] == [False, True, False, True, True]
    watch.step(19)  # back to a checkpoint
    assert watch.step(20)
    assert watch.frame["step"].unique().tolist() == [0, 10, 20]
    assert watch.values("0.weight").index.tolist() == [0, 10, 20]


def test_steps_that_are_told_in_leaps_are_recorded():
    watch = SpectralMonitor(mlp(), every=50)
    assert [watch.step(k) for k in (30, 60, 90, 170, 199, 200)] == [False, True, False, True, False, True]
    assert watch.step(160) and not watch.step(180)  # back to a checkpoint, whose step had no record of its own
    assert watch.frame["step"].unique().tolist() == [0, 60, 160]


@pytest.mark.filterwarnings("ignore:Guards may run slower")  # of torch on Python 3.13.0
def test_compiled_model_is_looked_at_through_its_wrapper():
    net = mlp()
    compiled = torch.compile(net, backend="eager")
    watch = SpectralMonitor(compiled, every=2, probe=(X[:10], Y[:10]))
    trained(compiled, 2, watch)
    reference = SpectralMonitor(mlp(), every=2, probe=(X[:10], Y[:10]))
    torch.manual_seed(0)
    assert watch.frame["name"].tolist()[:5] == reference.frame["name"].tolist()[:5]
    assert SpectralMonitor(nn.DataParallel(net)).frame["name"].tolist() == ["0.weight", "4.weight", "6.weight"]


def test_mixed_precision():
    net = mlp()
    watch = SpectralMonitor(net, every=1, probe=(X[:10], Y[:10]))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        functional.mse_loss(net(X)[:, 0], Y).backward()
        optimizer.step()
        watch.step()
    plain = SpectralMonitor(net, probe=(X[:10], Y[:10])).frame
    last = watch.frame[watch.frame["step"] == 1].reset_index(drop=True)
    np.testing.assert_array_equal(last["top"], plain["top"])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_models_of_every_float_type(dtype):
    frame = SpectralMonitor(mlp().to(dtype), probe=(X[:10].to(dtype), Y[:10])).frame
    expected = SpectralMonitor(mlp(), probe=(X[:10], Y[:10])).frame
    np.testing.assert_allclose(frame["top"], expected["top"], rtol=0.03)


def test_classes_as_whole_numbers():
    classes = (X[:, 0] > 0).long() + (X[:, 1] > 0).long()
    frame = SpectralMonitor(mlp(), probe=(X, classes)).frame.set_index("name")
    labels = data.one_hot(classes, 3).double()
    kernel = kernels.conjugate_kernel(mlp(), X)
    centered = kernels.alignment(kernel, labels - labels.mean(0), centered=True)
    assert frame.loc["CK", "centered_alignment"] == pytest.approx(centered, abs=1e-6)


def test_inputs_by_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(40, 30), nn.Linear(30, 2)

        def forward(self, points, scale):
            return self.second(torch.tanh(self.first(points)) * scale[:, None])

    probe = {"points": X[:12], "scale": torch.ones(12)}
    assert SpectralMonitor(Named(), probe=(probe, Y[:12])).frame["alignment"].notna().sum() == 2


def test_layers_can_be_chosen():
    assert SpectralMonitor(mlp(), layers=["4.weight"]).frame["name"].tolist() == ["4.weight"]
    assert SpectralMonitor(mlp(), layers="4.weight").frame["name"].tolist() == ["4.weight"]


def test_weights_that_are_not_finite_end_no_training():
    net = mlp()
    watch = SpectralMonitor(net, every=1, probe=(X[:10], Y[:10]))
    with torch.no_grad():
        net[0].weight[0, 0] = math.inf
    watch.step()
    assert watch.verdicts["0.weight"] == "not finite"
    assert watch.verdicts["4.weight"] == "invariant bulk"


def test_a_model_that_changes_gets_rows_that_say_so(tmp_path):
    net = nn.Sequential(nn.Linear(40, 60), nn.Linear(60, 50), nn.Linear(50, 30))
    watch = SpectralMonitor(net, every=1, path=tmp_path, probe=(X[:8], Y[:8]))
    net[0], net[1] = nn.Linear(40, 70), nn.Identity()
    with pytest.warns(UserWarning, match="^probe: its kernels cannot be computed any more"):
        watch.step()
    assert watch.verdicts.to_dict() == {"0.weight": "another shape", "1.weight": "gone", "2.weight": "invariant bulk"}
    last = watch.frame[watch.frame["step"] == 1].set_index("name")
    right = torch.linalg.svdvals(net[0].weight.detach().double())
    assert last.loc["0.weight", "top"] == pytest.approx(float(right[0]))
    assert np.isnan(last.loc["0.weight", "outliers"]) and last.loc["1.weight", "size"] == 0
    assert watch.values("1.weight").shape == (2, 50) and watch.values("1.weight").loc[1].isna().all()
    figure = watch.plot()
    assert "another shape" in figure.axes[0].get_title()
    plt.close(figure)
    with pytest.raises(ValueError, match=r"^path: got .* of another model"):
        SpectralMonitor(net, path=tmp_path)


@pytest.mark.parametrize("other", [nn.Linear(40, 71), nn.Linear(41, 60), nn.Linear(60, 40)])
def test_records_of_another_shape_are_refused(tmp_path, other):
    SpectralMonitor(nn.Linear(40, 60), path=tmp_path)
    with pytest.raises(ValueError, match=r"^path: got .* of another model"):
        SpectralMonitor(other, path=tmp_path)


def test_a_run_that_began_with_nan_can_be_resumed(tmp_path):
    net = nn.Sequential(nn.Linear(40, 30), nn.Linear(30, 30))
    nn.init.constant_(net[1].weight, math.nan)
    SpectralMonitor(net, path=tmp_path)
    assert SpectralMonitor(net, path=tmp_path).verdicts.to_dict()["1.weight"] == "not finite"


@pytest.mark.parametrize("content", [b"", b"PK", b"text", b"whole, but for the end"])
def test_a_start_that_cannot_be_read_is_refused_by_name(tmp_path, content):
    net = nn.Linear(40, 30)
    SpectralMonitor(net, path=tmp_path)
    file = tmp_path / "start.npz"
    file.write_bytes(file.read_bytes()[:-300] if len(content) > 5 else content)
    with pytest.raises(ValueError, match=r"^path: got .* whose start.npz cannot be read"):
        SpectralMonitor(net, path=tmp_path)
    assert (tmp_path / "records.jsonl").exists()


@pytest.mark.parametrize(
    "broken", [b"\0\0\n", b"{}\n", b'{"step": 1, "rows": 3, "values": {}}\n', b"\xff\n", b"null\n"]
)
def test_whole_records_behind_a_broken_line_are_kept(tmp_path, broken):
    net = nn.Linear(40, 30)
    watch = SpectralMonitor(net, path=tmp_path, every=1)
    for _ in range(3):
        watch.step()
    file = tmp_path / "records.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], broken, *lines[2:]]))
    for _ in range(2):
        with pytest.warns(UserWarning, match="^path: 1 of [45] lines in .* cannot be read"):
            resumed = SpectralMonitor(net, path=tmp_path, every=1)
        resumed.step()
    assert resumed.frame["step"].unique().tolist() == [0, 2, 3, 4, 5]


def test_a_last_record_without_the_end_of_its_line_is_kept(tmp_path):
    net = nn.Linear(40, 30)
    SpectralMonitor(net, path=tmp_path, every=1).step()
    file = tmp_path / "records.jsonl"
    file.write_bytes(file.read_bytes()[:-1])
    SpectralMonitor(net, path=tmp_path, every=1).step()
    assert SpectralMonitor(net, path=tmp_path).frame["step"].tolist() == [0, 1, 2]


def test_a_disk_that_is_full_from_the_beginning(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    net = nn.Linear(40, 30)
    with monkeypatch.context() as patch, pytest.warns(UserWarning, match="^path: .*No space left"):
        patch.setattr(np, "savez", full)
        watch = SpectralMonitor(net, every=1, path=tmp_path)
        watch.step()
    assert not list(tmp_path.iterdir())
    watch.step()
    assert SpectralMonitor(net, path=tmp_path).frame["step"].tolist() == [0, 1, 2]


def test_a_folder_that_cannot_be_made_is_refused_by_name():
    with pytest.raises(ValueError, match=r"^path: got '/dev/null/nowhere"):
        SpectralMonitor(nn.Linear(40, 30), path="/dev/null/nowhere")


def test_labels_of_classes_that_nobody_has_cost_nothing():
    few = torch.arange(12) % 3
    frames = [SpectralMonitor(mlp(), probe=(X[:12], y)).frame for y in (few, 10**12 + 10**9 * few, few.to(torch.uint8))]
    for frame in frames[1:]:
        pd.testing.assert_frame_equal(frame, frames[0])


@pytest.mark.parametrize("y", [torch.zeros(12), torch.ones(12).long(), torch.ones(12, 2, 2), torch.ones(11)])
def test_labels_that_say_nothing_are_refused(y):
    with pytest.raises(ValueError, match=r"^probe: got "):
        SpectralMonitor(mlp(), probe=(X[:12], y))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_labels_of_every_float_type(dtype):
    y = Y[:12].to(dtype)
    row = SpectralMonitor(mlp(), probe=(X[:12], y)).frame.iloc[-1]
    assert row["alignment"] == SpectralMonitor(mlp(), probe=(X[:12], y.double())).frame.iloc[-1]["alignment"]


def test_records_of_an_older_version_keep_their_numbers(tmp_path):
    monitor.SpectralMonitor(mlp(), path=tmp_path)
    lines = tmp_path / "records.jsonl"
    older = {"mean_drift": "moved", "edge_before": "edge", "dynamic_range": "reach"}
    text = lines.read_text()
    for new, old in older.items():
        text = text.replace(f'"{new}"', f'"{old}"')
    lines.write_text(text)
    frame = monitor.SpectralMonitor(mlp(), path=tmp_path).frame
    assert not frame[list(older)].dropna(how="all").empty


def test_a_killed_run_keeps_its_record_and_a_resumed_one_appends(tmp_path):
    script = (
        "import os, signal, torch\n"
        "from helpers import networks, monitor\n"
        "net = networks.TwoLayerNet(30, 40)\n"
        f"watch = monitor.SpectralMonitor(net, every=2, path={str(tmp_path / 'run')!r})\n"
        "for k in range(7):\n"
        "    net.weight.data.mul_(1.01)\n"
        "    watch.step()\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], check=False)
    assert ended.returncode == -signal.SIGKILL
    net = networks.TwoLayerNet(30, 40)
    net.weight.data.mul_(1.01**7)
    watch = SpectralMonitor(net, every=2, path=tmp_path / "run")
    assert watch.frame["step"].tolist() == [0, 2, 4, 6]
    net.weight.data.mul_(1.01)
    watch.step(8)
    frame = SpectralMonitor(net, every=2, path=tmp_path / "run").frame
    assert frame["step"].tolist() == [0, 2, 4, 6, 8]
    np.testing.assert_allclose(frame["mean_drift"], 1.01 ** frame["step"] - 1, atol=1e-5)  # against the first start
    np.testing.assert_allclose(frame["right_overlap"], 1, atol=1e-6)


def test_a_line_cut_off_is_dropped_and_the_next_one_is_whole(tmp_path):
    net = mlp()
    watch = SpectralMonitor(net, every=1, path=tmp_path)
    watch.step()
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write('{"step": 2, "rows": [{"na')
    resumed = SpectralMonitor(net, every=1, path=tmp_path)
    assert resumed.frame["step"].unique().tolist() == [0, 1]
    resumed.step()
    again = SpectralMonitor(net, every=1, path=tmp_path)
    pd.testing.assert_frame_equal(again.frame, resumed.frame)
    np.testing.assert_array_equal(again.values("0.weight"), resumed.values("0.weight"))


def test_going_back_is_the_same_on_disk(tmp_path):
    watch = SpectralMonitor(mlp(), every=10, path=tmp_path)
    for step in (10, 20, 30, 19, 20):
        watch.step(step)
    assert SpectralMonitor(mlp(), path=tmp_path).frame["step"].unique().tolist() == [0, 10, 20]


def test_a_diverged_run_is_kept_on_disk_too(tmp_path):
    net = mlp()
    watch = SpectralMonitor(net, every=1, path=tmp_path)
    with torch.no_grad():
        net[0].weight[0, 0] = math.nan
    watch.step()
    assert SpectralMonitor(mlp(), path=tmp_path).verdicts["0.weight"] == "not finite"


def test_a_full_disk_loses_nothing(tmp_path, monkeypatch):
    watch = SpectralMonitor(mlp(), every=1, path=tmp_path)

    def full(_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.warns(UserWarning, match="^path: .*No space left"):
            watch.step()
    assert watch.frame["step"].unique().tolist() == [0, 1]
    watch.step()
    assert SpectralMonitor(mlp(), path=tmp_path).frame["step"].unique().tolist() == [0, 1, 2]


def test_records_of_another_model_are_refused_and_kept(tmp_path):
    SpectralMonitor(mlp(), path=tmp_path)
    with pytest.raises(ValueError, match=r"^path"):
        SpectralMonitor(nn.Linear(30, 30), path=tmp_path)
    assert len(SpectralMonitor(mlp(), path=tmp_path).frame) == 3


def test_csv(watched, tmp_path):
    watched[0].to_csv(tmp_path / "frame.csv")
    back = pd.read_csv(tmp_path / "frame.csv")
    pd.testing.assert_frame_equal(back, watched[0].frame, check_dtype=False)
    assert [path.name for path in tmp_path.iterdir()] == ["frame.csv"]


def test_tensorboard(watched, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        watched[0].to_tensorboard(writer)
        watched[0].to_tensorboard(writer)  # writes nothing twice
    events = EventAccumulator(str(tmp_path), size_guidance={"histograms": 0}).Reload()
    written = [(e.step, e.value) for e in events.Scalars("0.weight/top")]
    frame = watched[0].frame.query("name == '0.weight'")
    assert [step for step, _ in written] == [0, 5, 10]
    np.testing.assert_allclose([value for _, value in written], frame["top"], rtol=1e-6)
    assert len(events.Histograms("NTK/values")) == 3


class Written:
    """A writer that keeps the steps of one scalar."""

    def __init__(self):
        self.steps = []

    def add_scalar(self, name, value, step):
        self.steps += [step] if name == "0.weight/top" else []

    def add_histogram(self, name, values, step):
        pass


def test_tensorboard_of_a_layer_that_is_not_finite_and_one_of_zeros(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    net = nn.Sequential(nn.Linear(40, 30), nn.Linear(30, 30))
    watch = SpectralMonitor(net, every=1, probe=(X[:8], Y[:8]))
    nn.init.constant_(net[0].weight, math.inf)
    nn.init.zeros_(net[1].weight)
    watch.step()
    with SummaryWriter(str(tmp_path)) as writer, mock.patch.object(writer, "add_histogram") as histogram:
        watch.to_tensorboard(writer)
    at_step_1 = {call.args[0]: call.args[1] for call in histogram.call_args_list if call.args[2] == 1}
    assert list(at_step_1) == ["1.weight/values"] and not at_step_1["1.weight/values"].any()


def test_tensorboard_after_going_back():
    watch, first, second = SpectralMonitor(mlp(), every=1), Written(), Written()
    watch.step(1), watch.step(2)
    watch.to_tensorboard(first)
    watch.step(1)  # a checkpoint
    for writer in (first, second):
        watch.to_tensorboard(writer)
    assert first.steps == [0, 1, 2, 1]
    assert second.steps == [0, 1]


def test_plot(watched):
    figure = watched[0].plot()
    titles = [ax.get_title() for ax in figure.axes]
    assert [title.split("\n")[0] for title in titles] == ["0", "4"]  # what is too small is left out
    assert titles[0].split("\n")[1] == watched[0].verdicts["0.weight"]
    solid = [line for line in figure.axes[0].get_lines() if line.get_linestyle() == "-"]
    top = max(line.get_ydata()[-1] for line in solid)
    assert top == pytest.approx(float(watched[0].values("0.weight").loc[10].max()))
    assert len(watched[0].plot(["4.weight"]).axes) == 1


@pytest.mark.parametrize(
    "name, error, options",
    [
        ("every", ValueError, {"every": 0}),
        ("every", TypeError, {"every": 1.5}),
        ("vectors", ValueError, {"vectors": 0}),
        ("layers", ValueError, {"layers": ["9.weight"]}),
        ("layers", ValueError, {"layers": []}),
        ("probe", TypeError, {"probe": X}),
        ("probe", ValueError, {"probe": (X, Y[:3])}),
        ("probe", ValueError, {"probe": (X, torch.full_like(Y, math.nan))}),
        ("x", ValueError, {"probe": (X[:, :7], Y)}),
        ("path", TypeError, {"path": 3}),
    ],
)
def test_bad_arguments_are_refused(name, error, options):
    with pytest.raises(error, match=f"^{name}"):
        SpectralMonitor(mlp(), **options)


def test_models_without_a_spectrum_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"^model"):
        SpectralMonitor("net")
    with pytest.raises(ValueError, match=r"^model"):
        SpectralMonitor(nn.LayerNorm(4))
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"^path"):
        SpectralMonitor(mlp(), path=tmp_path / "file")
    watch = SpectralMonitor(mlp())
    with pytest.raises(ValueError, match=r"^name"):
        watch.values("7.weight")
    with pytest.raises(ValueError, match=r"^names"):
        watch.plot(["7.weight"])
    with pytest.raises(ValueError, match=r"^step"):
        watch.step(-1)
