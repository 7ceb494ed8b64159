"""The trainings that the book compares, all from one start, and the numbers that say what each of them did."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import torch
from torch import Tensor

from . import _checks, kernels, spectra
from .data import Dataset
from .muon import Muon
from .networks import TwoLayerNet
from .training import Run

# Ridges among which the held-out samples choose, in units of a kernel whose diagonal is about 1.
RIDGES = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0)

_FAST = {"fused": True}  # Adam in one pass over the weights
_ADAM = dict(optimizer="adam", lr=0.1, batch_size=50, **_FAST)

# name -> arguments of `training.train`, for n = 2000, d = 1000, h = 1500 and a tanh network. None was tuned for its
# test error. Muon orthogonalizes matrices only, so it trains the first layer alone.
TRAININGS: Mapping[str, dict] = MappingProxyType(
    {
        "GD": dict(optimizer="sgd", lr=200.0, epochs=40),
        "SGD, small rate": dict(optimizer="sgd", lr=5.0, batch_size=20, epochs=15),
        "SGD, large rate": dict(optimizer="sgd", lr=120.0, batch_size=100, epochs=25),
        "SGD, momentum": dict(optimizer="sgd", lr=12.0, batch_size=100, epochs=25, momentum=0.9),
        "Adam": dict(_ADAM, epochs=60),
        "Adam, stopped early": dict(_ADAM, epochs=8),  # the same run
        "Adam, large epsilon": dict(optimizer="adam", lr=1.0, batch_size=50, epochs=20, eps=0.01, **_FAST),
        "RMSprop": dict(optimizer="rmsprop", lr=0.03, batch_size=50, epochs=15, foreach=True),
        "sign descent": dict(optimizer="adam", lr=0.03, batch_size=50, epochs=15, betas=(0.0, 0.0), **_FAST),
        "Muon": dict(optimizer=Muon, lr=0.1, batch_size=200, epochs=4, weight_decay=0.0, train_readout=False),
    }
)


def hold_out(data: Dataset, size: int) -> tuple[Dataset, tuple[Tensor, Tensor]]:
    """Take the first `size` test samples away from the test, to choose a ridge with.

    Returns
    -------
    data with the other test samples, and the held-out inputs (size, d) and labels (size,).

    Raises
    ------
    ValueError, TypeError : a size below 1, or one that leaves no sample for the test.
    """
    size = _checks.integer("size", size)
    if size >= len(data.y_test):
        raise ValueError(f"size: got {size}, expected less than the {len(data.y_test)} test samples")
    rest = replace(data, x_test=data.x_test[size:], y_test=data.y_test[size:])
    return rest, (data.x_test[:size], data.y_test[:size])


def r2(prediction: Tensor, y: Tensor) -> float:
    """1 - mean squared error / variance of y; both (m,). NaN where y is constant."""
    y = _checks.array("y", y, None).double()
    error = (_checks.array("prediction", prediction, len(y)).to(y) - y).square().mean()
    return float(1 - error / y.var(correction=0)) if float(y.var(correction=0)) > 0 else math.nan


@torch.no_grad()
def cross_kernels(net: TwoLayerNet, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Conjugate and tangent kernel (both layers) of inputs `a` (m, d) against `b` (n, d), each (m, n).

    For a = b they are `kernels.conjugate_kernel` and `kernels.neural_tangent_kernel`.
    """
    _check_two_layer(net)
    return _cross(net, a, net.preactivations(a), b, net.preactivations(b))


def _check_two_layer(net: object) -> None:
    if not isinstance(net, TwoLayerNet):
        raise TypeError(f"net: got {type(net).__name__}, expected a TwoLayerNet")


def _cross(net: TwoLayerNet, a: Tensor, first: Tensor, b: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """`cross_kernels` of inputs whose preactivations are known."""
    h, d = net.weight.shape
    conjugate = (net.activation(first) @ net.activation(second).T).div_(h)
    slopes = net.activation.derivative(first) * net.readout
    tangent = slopes @ (net.activation.derivative(second) * net.readout).T
    return conjugate, tangent.mul_(a @ b.T).div_(h * d).add_(conjugate)


def ridge_r2(
    k_train: Tensor,
    k_held_out: Tensor,
    k_test: Tensor,
    data: Dataset,
    y_held_out: Tensor,
    ridges: Sequence[float] = RIDGES,
) -> tuple[float, float]:
    """Test R2 of kernel ridge regression with the ridge that predicts the held-out labels best, and that ridge.

    Parameters
    ----------
    k_train (n, n), k_held_out (m, n), k_test (n_test, n) : kernel of training, held-out and test inputs against the
        training inputs.
    data : its y and y_test are used.  y_held_out : (m,).
    ridges : candidates, each above 0, in units of the kernel.

    Raises
    ------
    ValueError : shapes that do not fit, entries that are not finite, no ridge or one that is not above 0.
    """
    if not len(ridges):
        raise ValueError("ridges: got none, expected at least one")
    ridges = [_checks.real("ridges", ridge, positive=True) for ridge in ridges]
    n, held = len(data.y), len(y_held_out)
    new = torch.cat(
        [_checks.array("k_held_out", k_held_out, held, n), _checks.array("k_test", k_test, len(data.y_test), n)]
    )
    k_train = _checks.array("k_train", k_train, n, n)
    weights = kernels._ridge_weights(k_train, _checks.array("y", data.y, n), ridges)
    predictions = (new.to(weights) @ weights).to(data.y)
    best = max(range(len(ridges)), key=lambda i: r2(predictions[:held, i], y_held_out))
    return r2(predictions[held:, best], data.y_test), ridges[best]


@torch.no_grad()
def kernel_scores(net: TwoLayerNet, data: Dataset, held_out: tuple[Tensor, Tensor]) -> dict[str, float]:
    """What ridge regression makes of a network's kernels, and how the tangent kernel is aligned.

    Returns
    -------
    dict : ck_r2, ntk_r2 (test R2 by `ridge_r2`), kta (alignment of the tangent kernel with the training labels).
    """
    _check_two_layer(net)
    sizes = [len(data.y), len(held_out[1]), len(data.y_test)]
    x = torch.cat([data.x, held_out[0], data.x_test])
    z = net.preactivations(x)
    both = _cross(net, x, z, data.x, z[: sizes[0]])
    conjugate, tangent = (
        ridge_r2(train, held, test, data, held_out[1])[0] for train, held, test in (k.split(sizes) for k in both)
    )
    return {"ck_r2": conjugate, "ntk_r2": tangent, "kta": kernels.alignment(both[1][: sizes[0]], data.y)}


@torch.no_grad()
def measure(run: Run, data: Dataset, held_out: tuple[Tensor, Tensor] | None = None) -> dict[str, float]:
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
        return row | {"kta": kernels.alignment(cross_kernels(run.after, data.x, data.x)[1], data.y)}
    return row | kernel_scores(run.after, data, held_out)
