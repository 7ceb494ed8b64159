"""Gram matrices of per-sample gradients that are never written out: they are kept as factors.

A gradient sum_t a_t g_t' of one layer, with the tokens t of one sample, is kept as the factors (g, a). The inner
product of two of them is the sum over pairs of tokens of (g_t . g_s)(a_t . a_s). Without tokens this is the entrywise
product of two Gram matrices; with one factor alone it is the Gram matrix of plain gradients.
"""

import functools
import math

import torch
from torch import Tensor
from torch.nn import functional

from ..networks.evaluation import single

Factors = tuple[Tensor, ...]  # (n, t, width) each, or (n, t) integers whose inner product is their equality

# Multiplications of one pair of tokens that cost as much as the passes over the matrices of their inner products.
_PASS = 32
# Samples in a block of the lower triangle, at least: smaller matrix products are slow.
_LEAST = 64


def in_pairs(tokens: int, outputs: int, o: int, i: int) -> bool:
    """Whether all pairs of tokens cost less than the written gradients (o, i) of each output."""
    return tokens**2 * (i + outputs * o + _PASS) <= outputs * i * o


def factors(a: Tensor, g: Tensor, *, weight: bool = True, bias: bool = False) -> Factors:
    """The gradients sum_t a_t g_t' of a weight, and sum_t g_t of a bias, in the form whose Gram matrix is cheaper.

    Parameters
    ----------
    a : (n, t, i), what enters the layer.  g : (n, c, t, o), the gradient of c outputs with respect to what leaves it.
    weight, bias : which of the two are trained.

    Returns
    -------
    (g, a) with the outputs side by side, a with a 1 at its end for the bias; or the gradients themselves,
    (n, 1, width), where tokens are many.
    """
    n, c, t, o = g.shape
    i = a.shape[-1]
    if weight and in_pairs(t, c, o, i):
        a = torch.cat([a, a.new_ones(n, t, 1)], dim=-1) if bias else a
        return g.transpose(1, 2).reshape(n, t, c * o), a
    parts = [(g.transpose(2, 3) @ a[:, None]).flatten(1)] if weight else []
    if bias:
        parts.append(g.sum(2).flatten(1))
    return plain(parts)


def plain(parts: list[Tensor]) -> Factors:
    """Gradients that are written out, (n, width) each."""
    return (torch.cat(parts, dim=1)[:, None],)


def token_factors(ids: Tensor, g: Tensor, size: int) -> Factors:
    """The same for rows of a table: a_t is the unit vector of the token ids (n, t) among `size`."""
    n, c, t, o = g.shape
    if t * t * (c * o + _PASS) <= c * size * o:
        return g.transpose(1, 2).reshape(n, t, c * o), ids
    return factors(functional.one_hot(ids, size).to(g), g)


def _inner(left: Tensor, right: Tensor) -> Tensor:
    """Inner products of all tokens, (n * t, m * s)."""
    if left.ndim == 2:
        return left.reshape(-1, 1) == right.reshape(1, -1)
    return left.flatten(0, 1) @ right.flatten(0, 1).T


def add_gram(kernel: Tensor, left: Factors, right: Factors, memory: int) -> None:
    """Add the inner products of all gradients in `left` and `right` to kernel (n, m), within `memory` bytes.

    Where `left` is `right` only the lower triangle is complete; the upper one holds a part of the sums.
    """
    tokens = left[0].shape[1]
    side = max(1, math.isqrt(memory // pair_bytes(tokens, kernel.element_size())))
    if left is right:
        side = min(side, max(_LEAST, -(-len(kernel) // 8)))
    for i in range(0, len(kernel), side):
        for j in range(0, i + 1 if left is right else kernel.shape[1], side):
            block = kernel[i : i + side, j : j + side]
            products = (
                _inner(single(a[i : i + side]), single(b[j : j + side])) for a, b in zip(left, right, strict=True)
            )
            total = functools.reduce(Tensor.mul_, products)
            if tokens > 1:
                total = total.view(block.shape[0], tokens, block.shape[1], tokens).sum((1, 3))
            block += total


def pair_bytes(tokens: int, element_size: int) -> int:
    """What the inner products of two samples take while they are added."""
    return 3 * tokens**2 * element_size
