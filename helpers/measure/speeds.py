"""How fast the features of every layer move, and under which angle to the backward pass."""

from collections.abc import Callable, Mapping

import pandas as pd
import torch
from torch import Tensor, nn
from torch.func import functional_call

from .. import _checks, training
from ..networks import TwoLayerNet, evaluation
from ..networks.two_layer import is_plain
from ..training.muon import orthogonalized

Features = Callable[[dict[str, Tensor]], list[Tensor]]  # of all layers, from the trained parameters


def feature_speed(net: nn.Module, x: Tensor, y: Tensor, update: str | Mapping[str, Tensor] = "gd") -> pd.DataFrame:
    """How fast the features of every layer move when a small step is taken: one row for each layer.

    The loss is L = |f(X) - y|^2 / (2n). A step subtracts a small multiple dt of the update U_k from each layer's
    parameters. With f_l the outputs of layer l on all samples, g_k = dL / d(parameters of layer k) and
    b_l = dL / df_l, the chain rule gives for every network, at any time and for any update

        speed cosine backward = decay,    decay_l = sum of <U_k, g_k> over the layers k up to l.

    Parameters
    ----------
    net : TwoLayerNet or nn.Sequential
        A chain of layers: what a layer computes depends on earlier ones only through the output of the one before. The
        layers are the parts of the Sequential that have parameters to train; residual blocks may be among them. It is
        evaluated as in evaluation mode and left as it is.
    x : tensor (n, ...)
        Inputs.
    y : tensor (n,) or (n, k)
        Labels, of the shape of the outputs.
    update : {"gd", "sign", "muon"} or mapping of str to Tensor
        What is subtracted. "gd", the gradient; "sign", its signs, which is Adam's first step; "muon", the first step of
        `training.Muon` at equal rates: a matrix with the singular vectors of the gradient and values near one, a vector
        divided by its norm. Or updates by the names of the parameters; those that are left out do not move.

    Returns
    -------
    pandas.DataFrame
        Index: the layers; of a TwoLayerNet "weight", whose features are the pre-activations, and "readout". Columns:
        speed, the Frobenius norm of df_l/dt; cosine, of the angle between -df_l/dt and b_l, NaN where one of them is
        zero; backward, the norm of b_l; decay, the part of -dL/dt that comes from the layers up to this one.

    Raises
    ------
    TypeError
        A network of another kind.
    ValueError
        A network that has nothing to train, or whose layers share parameters; an unknown update, or one of another
        shape than its parameter; labels that do not fit.

    References
    ----------
    Chizat and Netrapalli (2023), for gradient descent.

    Examples
    --------
    >>> from helpers import data, measure, networks
    >>> problem = data.teacher_student(60, 30)
    >>> row = measure.feature_speed(networks.TwoLayerNet(30, 40), problem.x, problem.y).loc["weight"]
    >>> bool(abs(row.speed * row.cosine * row.backward / row.decay - 1) < 1e-3)
    True
    """
    if not (is_plain(net) or isinstance(net, nn.Sequential)):
        raise TypeError(f"net: got {type(net).__name__}, expected a TwoLayerNet or an nn.Sequential")
    trained = {name: p.detach() for name, p in net.named_parameters() if p.requires_grad}
    if not trained:
        raise ValueError("net: got a network without parameters to train, expected some")
    x = _checks.samples("x", x, next(iter(trained.values())))
    with evaluation.evaluated(net), evaluation.graphs():
        names, chain = _two_layers(net, x) if isinstance(net, TwoLayerNet) else _sequence(net, x)
        leaves = {name: p.clone().requires_grad_() for name, p in trained.items()}
        features = chain(leaves)
        target = _checks.samples("y", y, features[-1])
        if target.shape != features[-1].shape:
            raise ValueError(f"y: got shape {tuple(target.shape)}, expected {tuple(features[-1].shape)}")
        loss = training.loss(features[-1], target)
        found = torch.autograd.grad(loss, [*leaves.values(), *features], retain_graph=True, materialize_grads=True)
        gradients = dict(zip(leaves, found[: len(leaves)], strict=True))
        backward = found[len(leaves) :]
        updates = _updates(update, gradients)
        moved = _pushed(features, list(leaves.values()), [-u for u in updates.values()])
    rows, decay = {}, 0.0
    for layer, motion, b in zip(names, moved, backward, strict=True):
        decay += sum(_inner(updates[name], gradients[name]) for name in names[layer])
        speed, size = _inner(motion, motion) ** 0.5, _inner(b, b) ** 0.5
        cosine = -_inner(motion, b) / (speed * size) if speed and size else float("nan")
        rows[layer] = {"speed": speed, "cosine": cosine, "backward": size, "decay": decay}
    return pd.DataFrame(rows).T


def _pushed(features: list[Tensor], leaves: list[Tensor], change: list[Tensor]) -> tuple[Tensor, ...]:
    """The features' derivative along a change of the leaves: that of the backward pass by what it begins with."""
    begins = [torch.zeros_like(f, requires_grad=True) for f in features]
    pulled = torch.autograd.grad(features, leaves, begins, create_graph=True, materialize_grads=True)
    return torch.autograd.grad(pulled, begins, change, materialize_grads=True)


def _inner(a: Tensor, b: Tensor) -> float:
    return float((a.double() * b.double()).sum())


def _two_layers(net: TwoLayerNet, x: Tensor) -> tuple[dict[str, list[str]], Features]:
    """The names of the parameters of each layer, and the features as a function of the parameters."""
    held = {name: p.detach() for name, p in net.named_parameters()}

    def chain(parameters: dict[str, Tensor]) -> list[Tensor]:
        now = held | parameters
        z = x @ now["weight"].T / x.shape[1] ** 0.5
        return [z, net.activation(z) @ now["readout"] / len(now["readout"]) ** 0.5]

    free = [name for name, p in net.named_parameters() if p.requires_grad]
    return {name: [name] if name in free else [] for name in ("weight", "readout")}, chain


def _sequence(net: nn.Sequential, x: Tensor) -> tuple[dict[str, list[str]], Features]:
    """The same for a chain of modules; those that have nothing to train belong to the next one that has."""
    parts = dict(net._modules)  # named_children leaves out a module that stands here twice
    names = {
        part: [f"{part}.{name}" for name, p in module.named_parameters() if p.requires_grad]
        for part, module in parts.items()
    }
    if len({id(p) for module in parts.values() for p in module.parameters()}) < sum(
        len(list(module.parameters())) for module in parts.values()
    ):
        raise ValueError("net: got layers that share parameters, expected a chain of layers with their own")

    def chain(parameters: dict[str, Tensor]) -> list[Tensor]:
        z, features = x, []
        for part, module in parts.items():
            own = {name.removeprefix(f"{part}."): parameters[name] for name in names[part]}
            z = functional_call(module, own, (z,))
            if names[part]:
                features.append(z)
        if not names[part]:  # the outputs are the features of the last layer
            features[-1] = z
        return features

    return {part: own for part, own in names.items() if own}, chain


def _updates(update: str | Mapping[str, Tensor], gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What is subtracted from every parameter."""
    if isinstance(update, Mapping):
        if unknown := set(update) - set(gradients):
            raise ValueError(f"update: got {sorted(unknown)}, expected names among {list(gradients)}")
        zeros = {name: torch.zeros_like(g) for name, g in gradients.items()}
        given = {name: _checks.array(f"update[{name!r}]", u, *gradients[name].shape) for name, u in update.items()}
        return zeros | {name: u.to(zeros[name]) for name, u in given.items()}
    if not isinstance(update, str) or update not in _RULES:
        raise ValueError(f"update: got {update!r}, expected {', '.join(map(repr, _RULES))} or updates by name")
    return {name: _RULES[update](g) for name, g in gradients.items()}


def _muon(gradient: Tensor) -> Tensor:
    if gradient.ndim < 2:
        return nn.functional.normalize(gradient, dim=0)
    return orthogonalized(gradient.flatten(1)).view_as(gradient)


_RULES: dict[str, Callable[[Tensor], Tensor]] = {"gd": lambda g: g, "sign": torch.sign, "muon": _muon}
