"""What a training did: one row for every layer of any network, or one for the network of the theory."""

import math

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from .. import _checks, kernels, laws, spectra
from ..data import Dataset
from ..networks import evaluation
from ..networks.two_layer import inherits, is_plain
from ..spectra.values import leading, smaller_gram, unit_of
from ..training import Run


def layers(run: Run, data: Dataset) -> pd.DataFrame:
    """What a training did to every layer of a network: one row per weight matrix of `spectra.weight_matrices`.

    Every matrix (h, d) is measured in the units of its start, where its entries have mean square one; singular values
    are those of W / sqrt h.

    Parameters
    ----------
    run : training.Run
        Of a network of linear layers and convolutions, or a TwoLayerNet.
    data : data.Dataset
        Its x and y say where the class means are.

    Returns
    -------
    pandas.DataFrame
        Columns: top_start and top, the largest singular value; outliers and bulk_drift, see `spectra.compare`;
        strength, |Delta W| in units of the threshold (h d)^(1/4) of a spike, see `laws.spike_threshold`; alpha, misfit
        and dynamic_range, see `spectra.describe`; overlap_start and overlap, of the top k - 1 right singular vectors
        with the k - 1 directions between the class means of what enters the layer, NaN where these span fewer. NaN
        where a matrix has fewer than 20 values. Of a matrix that starts at zero, which has no unit, top and strength
        are NaN too; of one that is not finite, all.

    Raises
    ------
    TypeError, ValueError
        If the network has a layer of another kind or gives no tensor (n, ...), or the data do not fit it.

    Examples
    --------
    >>> from helpers import data, measure, networks, training
    >>> problem = data.teacher_student(60, 30)
    >>> run = training.train(networks.TwoLayerNet(30, 40), problem, lr=1.0, epochs=3)
    >>> list(measure.layers(run, problem).index)
    ['weight']
    """
    before, after = spectra.weight_matrices(run.before), spectra.weight_matrices(run.after)
    entered = [_entering(net, data.x, list(before)) for net in (run.before, run.after)]
    rows = {}
    for name, start in before.items():
        scale = 1 / (_rms(start) or 1.0)
        old, new = start.double() * scale, after[name].double() * scale
        if not (torch.isfinite(old).all() and torch.isfinite(new).all()):
            rows[name] = dict.fromkeys(_COLUMNS, math.nan)
            continue
        values, overlaps = [], []
        for x, matrix in zip(entered, (old, new), strict=True):
            directions = _class_directions(x[name], data.y)
            _, spectrum, right = leading(matrix, 0 if directions is None else directions.shape[1])
            values.append(spectrum / math.sqrt(len(matrix)))
            if directions is None or not right.size:
                overlaps.append(math.nan)
            else:
                overlaps.append(spectra.overlap(right, directions))
        change = math.sqrt(float(torch.linalg.eigvalsh(smaller_gram(new - old))[-1].clamp_min(0)))
        strength = change / laws.spike_threshold(*start.shape)
        row = {"top_start": float(values[0][0]), "top": float(values[1][0]), "strength": strength}
        if not start.any():  # such a matrix has no unit
            row |= {"top": math.nan, "strength": math.nan}
        described = spectra.describe(values[0], values[1], (len(start), start.shape[1]), dtype=start.dtype)
        row |= {
            quantity: described[quantity] for quantity in ("outliers", "bulk_drift", "alpha", "misfit", "dynamic_range")
        }
        rows[name] = row | dict(zip(("overlap_start", "overlap"), overlaps, strict=True))
    return pd.DataFrame(rows, index=list(_COLUMNS)).T


_COLUMNS = (
    "top_start", "top", "strength", "outliers", "bulk_drift", "alpha", "misfit", "dynamic_range", "overlap_start",
    "overlap",
)  # fmt: skip


def _rms(matrix: Tensor) -> float:
    unit = unit_of(float(matrix.abs().max()))  # so that no square is beyond float64
    return float((matrix.double() / unit).square().mean().sqrt()) * unit


def _entering(net: nn.Module, x: Tensor, names: list[str]) -> dict[str, Tensor]:
    """What each of these weight matrices is multiplied with, (n, columns), from one evaluation of the network."""
    modules = {name: net.get_submodule(name.removesuffix("weight").rstrip(".")) for name in names}
    for name, module in modules.items():
        if not isinstance(module, nn.Linear | nn.Conv2d) and not inherits(module):
            kind = type(module).__name__
            raise ValueError(f"run: got layer {name!r}, a {kind}, expected linear layers and 2-d convolutions only")
    x = evaluation.inputs(net, x)
    calls = evaluation.calls_of(net, x, modules)
    if missing := [name for name in names if name not in calls]:
        raise ValueError(f"run: got a network with layer {missing[0]!r}, which is not called for data.x")
    return {name: evaluation.mean_input(modules[name], calls[name], evaluation.count(x)) for name in names}


def _class_directions(x: Tensor, y: Tensor) -> Tensor | None:
    """None where there are more classes than the layer can tell apart, as where a network has died."""
    try:
        return class_directions(x, y)
    except ValueError:
        return None


def class_directions(x: Tensor, y: Tensor) -> Tensor:
    """Orthonormal directions that span the differences of the class means of x, the largest difference first.

    Parameters
    ----------
    x : tensor or array (n, d)
        Samples.
    y : tensor or array (n, k) or (n,)
        The largest entry of a row marks its class; or two classes by their sign.

    Returns
    -------
    Tensor
        (d, k - 1), float64.

    Raises
    ------
    ValueError
        If shapes do not fit, there are fewer than two classes, or their means span fewer than k - 1 directions.

    Examples
    --------
    >>> import torch
    >>> from helpers import measure
    >>> x = torch.tensor([[1.0, 0.0], [3.0, 0.0], [-2.0, 0.0]])
    >>> measure.class_directions(x, torch.tensor([1.0, 1.0, -1.0])).abs().flatten().tolist()
    [1.0, 0.0]
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


@torch.no_grad()
def network(run: Run, data: Dataset, held_out: tuple[Tensor, Tensor] | None = None) -> dict[str, float]:
    """One row of the book's comparison: what a training did to the network of the theory.

    Parameters
    ----------
    run : training.Run
        Of a TwoLayerNet on `data`.
    data : data.Dataset
        With known directions.
    held_out : pair of tensors, optional
        Inputs and labels, as `data.split` gives them; without them no kernel ridge regression is done.

    Returns
    -------
    dict
        loss and test_r2 at the end; of the spectrum of W / sqrt h its top value, the number of outliers and bulk_drift
        (`spectra.compare`); alpha, misfit and dynamic_range of the power-law fit to its squares; overlap of its top
        right singular vector with the directions; kta and kta_test, the alignment of the tangent kernel with the labels
        that were trained on and with those of unseen samples; kernel_change and kernel_change_op, see
        `kernels.distance`, of the tangent kernel from its start; and, with `held_out`, ck_r2 and ntk_r2 (see
        `kernels.kernel_scores`).

    Raises
    ------
    TypeError
        If the run is not of a TwoLayerNet.
    ValueError
        If the directions of the data are unknown.

    Examples
    --------
    >>> from helpers import data, measure, networks, training
    >>> problem = data.teacher_student(60, 30)
    >>> run = training.train(networks.TwoLayerNet(30, 40), problem, lr=1.0, epochs=3)
    >>> row = measure.network(run, problem)
    >>> row["outliers"], round(row["bulk_drift"])
    (0, 0)
    """
    if data.directions is None:
        raise ValueError("data: got directions None, expected data whose directions are known")
    if not is_plain(run.after) or not is_plain(run.before):
        kind = type(run.after).__name__
        raise TypeError(f"run: got a run of {kind}, expected one of a TwoLayerNet with its own two parameters")
    width = math.sqrt(len(run.after.readout))
    start = spectra.singular_values(run.before.weight) / width
    values = spectra.singular_values(run.after.weight) / width
    change, tail = spectra.compare(start, values), spectra.fit_power_law(values**2)
    row = {
        "loss": run.loss,
        "test_r2": run.test_r2,
        "top": float(values[0]),
        "outliers": len(change.outliers),
        "bulk_drift": change.bulk_drift,
        "alpha": tail.alpha,
        "misfit": tail.misfit,
        "dynamic_range": tail.dynamic_range,
        "overlap": spectra.overlap(spectra.top_triplet(run.after.weight)[2], data.directions),
    }
    tangent = kernels.neural_tangent_kernel(run.after, data.x)
    moved = kernels.distance(tangent, kernels.neural_tangent_kernel(run.before, data.x))
    row |= dict(zip(("kernel_change", "kernel_change_op"), moved, strict=True))
    if held_out is not None:
        return row | kernels.kernel_scores(run.after, data, held_out)
    unseen = kernels.neural_tangent_kernel(run.after, data.x_test)
    return row | {"kta": kernels.alignment(tangent, data.y), "kta_test": kernels.alignment(unseen, data.y_test)}
