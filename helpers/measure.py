"""What a training did: one row for the network of the theory, or one for every layer of any network."""

import math
from collections.abc import Callable
from typing import cast

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from torch.nn import functional

from . import _checks, kernels, spectra
from .data import Dataset
from .networks import TwoLayerNet
from .networks.evaluation import evaluated, inputs
from .spectra.values import gram
from .training import Run


def layers(run: Run, data: Dataset) -> pd.DataFrame:
    """What a training did to every layer of a network: one row per weight matrix of `spectra.weight_matrices`.

    Every matrix (h, d) is measured in the units of its start, where its entries have mean square one; singular values
    are those of W / sqrt h.

    Parameters
    ----------
    run : of a network of linear layers and convolutions, or a TwoLayerNet.
    data : its x and y say where the class means are.

    Returns
    -------
    Columns: top_start, top (largest singular value); outliers, bulk_drift (`spectra.compare`; NaN where the whole bulk
    has left); strength, |Delta W| in units of the threshold (h d)^(1/4) of a spike; alpha, misfit, reach, of the
    unbounded power-law fit to the squares: its exponent, sqrt(tail size) times its KS distance, largest value over
    start of the tail; overlap_start, overlap of the top k - 1 right singular vectors with the k - 1 directions between
    the class means of what enters the layer, NaN where these span fewer. NaN where a matrix has fewer than 20 values.

    Raises
    ------
    ValueError, TypeError : a network with a layer of another kind, data that do not fit it.
    """
    before, after = spectra.weight_matrices(run.before), spectra.weight_matrices(run.after)
    entered = [_entering(net, data.x, list(before)) for net in (run.before, run.after)]
    rows = {}
    for name, start in before.items():
        scale = 1 / float(start.double().square().mean().sqrt())
        old, new = start.double() * scale, after[name].double() * scale
        values, overlaps = [], []
        for x, matrix in zip(entered, (old, new), strict=True):
            directions = _class_directions(x[name], data.y)
            spectrum, right = _leading(matrix, 0 if directions is None else directions.shape[1])
            values.append(spectrum / math.sqrt(len(matrix)))
            overlaps.append(math.nan if directions is None else spectra.overlap(right, directions))
        strength = math.sqrt(float(torch.linalg.eigvalsh(_smaller_gram(new - old))[-1].clamp_min(0))) / threshold(old)
        row = {"top_start": float(values[0][0]), "top": float(values[1][0]), "strength": strength}
        described = spectra.describe(values[0], values[1], (len(start), start.shape[1]))
        row |= {quantity: described[quantity] for quantity in ("outliers", "bulk_drift", "alpha", "misfit", "reach")}
        rows[name] = row | dict(zip(("overlap_start", "overlap"), overlaps, strict=True))
    return pd.DataFrame(rows).T


def _class_directions(x: Tensor, y: Tensor) -> Tensor | None:
    """None where there are more classes than the layer can tell apart, as where a network has died."""
    try:
        return class_directions(x, y)
    except ValueError:
        return None


def _smaller_gram(matrix: Tensor) -> Tensor:
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    return gram(tall)


def _leading(matrix: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """All singular values, and the k leading right singular vectors as columns, fewer where there are fewer.

    From the smaller Gram matrix, unless the smallest value would suffer from the square.
    """
    squares, vectors = torch.linalg.eigh(_smaller_gram(matrix))
    if float(squares[0]) > 1e-8 * float(squares[-1]):
        values, near = squares.flip(0).sqrt(), vectors.flip(1)[:, :k]
        wide = matrix.shape[0] < matrix.shape[1]
        return values, matrix.T @ near / values[:k] if wide else near
    _, values, right = torch.linalg.svd(matrix, full_matrices=False)
    return values, right[:k].T


@torch.no_grad()
def entering(net: nn.Module, x: Tensor, name: str) -> Tensor:
    """What a weight matrix is multiplied with: (n, d), d its number of columns. Evaluated in evaluation mode.

    A convolution multiplies every patch of an image, and some layers every word of a text: then it is their mean.

    Parameters
    ----------
    net : a TwoLayerNet, or a module that takes x.  x : (n, ...).
    name : of a linear layer or two-dimensional convolution among `spectra.weight_matrices`, e.g. "hidden1.weight".

    Raises
    ------
    ValueError, TypeError : another name; a layer of another kind, or one that is not called for x.
    """
    return _entering(net, x, [name])[name]


@torch.no_grad()
def _entering(net: nn.Module, x: Tensor, names: list[str]) -> dict[str, Tensor]:
    """What enters each of these layers, from one evaluation of the network."""
    matrices = spectra.weight_matrices(net)
    for name in names:
        if name not in matrices:
            raise ValueError(f"name: got {name!r}, expected one of {', '.join(matrices)}")
    x = cast(Tensor, inputs(net, x))
    modules = {name: net.get_submodule(name.removesuffix("weight").rstrip(".")) for name in names}
    seen: dict[str, Tensor] = {name: x for name, module in modules.items() if isinstance(module, TwoLayerNet)}
    for name, module in modules.items():
        if name not in seen and not isinstance(module, nn.Linear | nn.Conv2d):
            raise ValueError(f"name: got {name!r}, a {type(module).__name__}, expected a linear layer or a convolution")
    hooked = [(name, module) for name, module in modules.items() if name not in seen]
    handles = [module.register_forward_pre_hook(_keep_in(seen, name)) for name, module in hooked]
    try:
        if handles:
            with evaluated(net):
                net(x)
    finally:
        for handle in handles:
            handle.remove()
    for name, module in hooked:
        if name not in seen:
            raise ValueError(f"name: got {name!r}, expected a layer that is called for x")
        seen[name] = _rows(module, seen[name])
    return seen


def _keep_in(seen: dict[str, Tensor], name: str) -> Callable[[nn.Module, tuple], None]:
    """A hook that keeps what a module is given, at its first call."""

    def keep(module: nn.Module, args: tuple) -> None:
        seen.setdefault(name, args[0])

    return keep


def _rows(module: nn.Module, entered: Tensor) -> Tensor:
    """One row for each sample: the mean over its patches or words."""
    if isinstance(module, nn.Linear):
        return entered.reshape(len(entered), -1, module.in_features).mean(1)
    how = {k: getattr(module, k) for k in ("kernel_size", "dilation", "padding", "stride")}
    return functional.unfold(entered, **how).mean(2)


def class_directions(x: Tensor, y: Tensor) -> Tensor:
    """Orthonormal directions that span the differences of the class means of x, the largest difference first.

    Parameters
    ----------
    x : (n, d).  y : (n, k), the largest entry of a row marks its class; or (n,), two classes by their sign.

    Returns
    -------
    (d, k - 1), float64.

    Raises
    ------
    ValueError : shapes that do not fit, fewer than two classes, means that span fewer than k - 1 directions.
    """
    x = _checks.array("x", x, None, None).double()
    y = _checks.array("y", y, len(x), *[None] * (np.ndim(y) - 1))
    classes = (y > 0).long() if y.ndim == 1 else y.argmax(1)
    means = torch.stack([x[classes == c].mean(0) for c in classes.unique()])
    if len(means) < 2:
        raise ValueError("y: got one class, expected at least two")
    _, values, right = torch.linalg.svd(means - means.mean(0), full_matrices=False)
    k = len(means) - 1
    if len(values) < k or float(values[k - 1]) <= 1e-10 * float(values[0]):
        raise ValueError(f"x: got class means that span fewer than {k} directions, expected {k}")
    return right[:k].T


def threshold(matrix: Tensor) -> float:
    """Strength (h d)^(1/4) from which a spike on an (h, d) matrix with independent N(0, 1) entries is seen."""
    h, d = matrix.shape
    return (h * d) ** 0.25


@torch.no_grad()
def network(run: Run, data: Dataset, held_out: tuple[Tensor, Tensor] | None = None) -> dict[str, float]:
    """One row of the book's comparison: what a training did to the network.

    Parameters
    ----------
    run : of a TwoLayerNet on `data`.
    data : with known directions.
    held_out : inputs and labels, as `hold_out` gives them; without them no kernel ridge regression is done.

    Returns
    -------
    dict : loss and test_r2 at the end; of the spectrum of W / sqrt h its top value, the number of outliers and
        bulk_drift (`spectra.compare`; NaN where nothing is left of the bulk); alpha and ks, the power-law fit to its
        squares; overlap of its top right singular vector with the directions; kta; and, with `held_out`, ck_r2 and
        ntk_r2 (see `kernel_scores`).

    Raises
    ------
    ValueError : data whose directions are unknown.  TypeError : no TwoLayerNet.
    """
    if data.directions is None:
        raise ValueError("data: got directions None, expected data whose directions are known")
    if not isinstance(run.after, TwoLayerNet) or not isinstance(run.before, TwoLayerNet):
        raise TypeError(f"run: got a run of {type(run.after).__name__}, expected one of a TwoLayerNet")
    width = math.sqrt(len(run.after.readout))
    start = spectra.singular_values(run.before.weight) / width
    values = spectra.singular_values(run.after.weight) / width
    try:
        change = spectra.compare(start, values)
        outliers, drift = len(change.outliers), change.bulk_drift
    except ValueError:  # every value has left the initial bulk
        outliers, drift = len(values), math.nan
    tail = spectra.fit_power_law(values**2)
    row = {
        "loss": float(run.history["loss"].iloc[-1]),
        "test_r2": run.test_r2,
        "top": float(values[0]),
        "outliers": outliers,
        "bulk_drift": drift,
        "alpha": tail.alpha,
        "ks": tail.distance,
        "overlap": spectra.overlap(spectra.top_triplet(run.after.weight)[2], data.directions),
    }
    if held_out is None:
        return row | {"kta": kernels.alignment(kernels.cross_kernels(run.after, data.x, data.x)[1], data.y)}
    return row | kernels.kernel_scores(run.after, data, held_out)
