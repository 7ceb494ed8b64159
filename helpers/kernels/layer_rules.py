"""Per-sample gradients of a layer's parameters from what enters it and the gradient at what leaves it.

A rule takes the module, its input (n, ...) and the gradients of c outputs (n, c, ...) with respect to its output. It
returns factors, see `gram`, of the gradients with respect to the parameters that require one.
"""

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional, grad

from ..networks.evaluation import padded, patches
from . import gram
from .gram import Factors

Rule = Callable[[Any, Tensor, Tensor], Factors]


def _trained(parameter: Tensor | None) -> bool:
    return parameter is not None and parameter.requires_grad


def _linear(module: nn.Linear, x: Tensor, g: Tensor) -> Factors:
    a = x.reshape(len(x), -1, module.in_features)
    g = g.reshape(*g.shape[:2], -1, module.out_features)
    return gram.factors(a, g, weight=_trained(module.weight), bias=_trained(module.bias))


_WEIGHT_GRADIENTS = {3: grad.conv1d_weight, 4: grad.conv2d_weight, 5: grad.conv3d_weight}


def _convolution(module: nn.Conv2d, x: Tensor, g: Tensor) -> Factors:
    """In patches where positions are few, else one group of a convolution for each sample."""
    weight, bias = _trained(module.weight), _trained(module.bias)
    n, c, o = g.shape[:3]
    few = gram.in_pairs(g[0, 0, 0].numel(), c, o, module.weight[0].numel())
    if few and weight and x.ndim == 4 and module.groups == 1:
        return gram.factors(patches(module, x), g.flatten(3).transpose(2, 3), bias=bias)
    x = padded(module, x)
    shape, x = (n * o, *module.weight.shape[1:]), x.reshape(1, -1, *x.shape[2:])
    how = {"stride": module.stride, "dilation": module.dilation, "groups": n * module.groups}
    parts = [g.flatten(3).sum(3).flatten(1)] if bias else []
    for one in g.transpose(0, 1) if weight else ():
        one = _WEIGHT_GRADIENTS[x.ndim](x, shape, one.reshape(1, n * o, *g.shape[3:]), **how)
        parts.append(one.reshape(n, -1))
    return gram.plain(parts)


def _affine(module: nn.LayerNorm | nn.GroupNorm | nn.BatchNorm2d, unit: Tensor, g: Tensor) -> Factors:
    """Scale and shift after a normalization: unit (n, t, d), g (n, c, t, d)."""
    parts = [(g * unit[:, None]).sum(2).flatten(1)] if _trained(module.weight) else []
    if _trained(module.bias):
        parts.append(g.sum(2).flatten(1))
    return gram.plain(parts)


def _layer_norm(module: nn.LayerNorm, x: Tensor, g: Tensor) -> Factors:
    unit = functional.layer_norm(x, module.normalized_shape, eps=module.eps)
    d = module.weight.numel()
    return _affine(module, unit.reshape(len(x), -1, d), g.reshape(*g.shape[:2], -1, d))


def _channels(module: nn.GroupNorm | nn.BatchNorm2d, unit: Tensor, g: Tensor) -> Factors:
    return _affine(module, unit.flatten(2).transpose(1, 2), g.flatten(3).transpose(2, 3))


def _group_norm(module: nn.GroupNorm, x: Tensor, g: Tensor) -> Factors:
    unit = functional.group_norm(x, module.num_groups, eps=module.eps)
    return _channels(module, unit[..., None], g[..., None])


def _batch_norm(module: nn.BatchNorm2d, x: Tensor, g: Tensor) -> Factors:
    mean, var = (None if t is None else t.to(x.dtype) for t in (module.running_mean, module.running_var))
    unit = functional.batch_norm(x, mean, var, eps=module.eps)
    return _channels(module, unit[..., None], g[..., None])


def _embedding(module: nn.Embedding, x: Tensor, g: Tensor) -> Factors:
    ids = x.reshape(len(x), -1)
    g = g.reshape(*g.shape[:2], -1, module.embedding_dim)
    if module.padding_idx is not None:  # a row that is never trained
        g = g.masked_fill((ids == module.padding_idx)[:, None, :, None], 0)
    return gram.token_factors(ids, g, module.num_embeddings)


_RULES: dict[type, Rule] = {
    nn.Linear: _linear,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.Conv3d: _convolution,
    nn.LayerNorm: _layer_norm,
    nn.GroupNorm: _group_norm,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.BatchNorm3d: _batch_norm,
    nn.Embedding: _embedding,
}


def rule(module: nn.Module) -> Rule | None:
    """The rule for this layer, None where there is none or where it has nothing to train.

    The type must be exact: a subclass may compute something else. So may a layer whose parameters have other names.
    """
    names = {name for name, parameter in module.named_parameters(recurse=False)}
    trained = any(p.requires_grad for p in module.parameters(recurse=False))
    if not trained or not names <= {"weight", "bias"} or "weight" not in names or list(module.children()):
        return None
    if any(p.is_complex() for p in module.parameters()):
        return None
    if isinstance(module, nn.Embedding) and (module.max_norm is not None or module.scale_grad_by_freq):
        return None
    return _RULES.get(type(module))


def layer_factors(module: nn.Module, x: Tensor, g: Tensor) -> Factors:
    """What the rule of this layer, which must have one, makes of its input and the gradients at its output."""
    return _RULES[type(module)](module, x, g)
