"""Per-sample gradients of any network: layer by layer where a rule is known, by torch.func for the rest.

The gradient of an output with respect to a layer's parameters follows from what enters the layer and from the gradient
at what leaves it; one forward pass and one backward pass per output give both for all samples. A rule is used only
where it has reproduced autograd's gradient of a random sum of the outputs of many samples, in double precision if the
network computes with it. So a layer that is called twice, that shares its weight or that has no axis of samples goes
to torch.func, like the parameters outside of layers.
"""

import warnings
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.func import jacrev, vmap

from ..networks import evaluation
from ..networks.evaluation import Forward, Function, Inputs, rows, single
from . import gram, layer_rules
from .gram import Factors

# So many samples are tried, at least (where there are) and at most, and this part of many; so many alone.
_FEWEST, _MOST, _PART, _ALONE = 16, 64, 16, 3


class Gradients:
    """Gradients of chosen outputs of a network with respect to its trained parameters, as factors.

    Outputs are chosen by a readout (c, k): the gradients are those of readout f(x). Parameters and buffers are copies.
    The samples x are those for which it is to hold: the most telling ones are tried, within `memory` bytes.

    Attributes
    ----------
    outputs : k.  dtype, device : of the outputs.  layers : names and modules with a rule that holds.
    kept, passing, pair : bytes of one sample and one output as factors, and beside them while they are made; of two
        samples while their inner products are added up.

    Raises
    ------
    ValueError : inputs that the network does not take, nothing to train, outputs that depend on other samples.
    """

    def __init__(self, net: nn.Module, x: Inputs, forward: Forward | None = None, memory: int = 2**30) -> None:
        self._function = Function.widest(net, forward, rows(x, slice(2)), [evaluation.precision(net)])
        self.layers = {k: m for k, m in self._function.flat.named_modules() if layer_rules.rule(m)}
        self._vectorized = True
        try:
            self._try_out(net, x, forward, memory)
        except RuntimeError as error:
            raise ValueError(f"net: got one that autograd cannot differentiate, expected another: {error}") from error

    def factors(self, x: Inputs, readout: Tensor) -> list[Factors]:
        """The gradients for samples x and readout (c, k): one item for each layer, one for the rest."""
        captured, _ = self._capture(self._function, x, readout)
        if lost := self.layers.keys() - captured.keys():
            raise ValueError(f"net: got layer {min(lost)} not called once for some samples, expected one call for each")
        found = [layer_rules.layer_factors(module, *captured.pop(name)) for name, module in self.layers.items()]
        if names := self._rest():
            gradients = (self._all_samples if self._vectorized else self._each_sample)(x, readout, names)
            found.append(gram.plain([g.flatten(1) for g in gradients]))
        return found

    def products(self, x: Inputs, readouts: Iterable[Tensor]) -> Tensor:
        """The inner products (n, n) of the gradients of a few samples, by autograd, one at a time; float64."""
        y = [_differentiable(self._function(rows(x, slice(i, i + 1))))[0] for i in range(evaluation.count(x))]
        leaves, total = list(self._function.trained.values()), torch.zeros(len(y), len(y), dtype=torch.float64)
        for readout in readouts:
            for r in readout.to(y[0]):
                found = [torch.autograd.grad(f @ r, leaves, retain_graph=True, materialize_grads=True) for f in y]
                for a in range(len(y)):
                    for b in range(a + 1):
                        pairs = zip(found[a], found[b], strict=True)
                        total[a, b] += sum(float(single(g).flatten() @ single(k).flatten()) for g, k in pairs)
        return total + total.tril(-1).T

    def _names(self, layer: str) -> list[str]:
        """The trained parameters of a layer; a shared one is listed under one of its names only."""
        return [name for k in ("weight", "bias") if (name := f"{layer}.{k}") in self._function.trained]

    def _rest(self) -> list[str]:
        covered = {name for layer in self.layers for name in self._names(layer)}
        return [name for name in self._function.trained if name not in covered]

    def _capture(
        self, function: Function, x: Inputs, readout: Tensor, weights: Tensor | None = None
    ) -> tuple[dict[str, tuple[Tensor, Tensor]], Tensor]:
        """Input (n, ...) and gradients at the output (n, c, ...) of every layer that is called once; the outputs.

        The gradients are those of readout f(x), times the weights (n,) of the samples.
        """
        calls: dict[str, list] = {name: [] for name in self.layers}

        def keep(name: str) -> Callable:
            def hook(module: nn.Module, args: tuple, kwargs: dict, output: Tensor) -> None:
                if output.requires_grad:
                    a = next(iter((*args, *kwargs.values()))).detach()
                    # The edge, not the tensor: what follows may work on it in place.
                    calls[name].append((a, output.shape, get_gradient_edge(output)))

            return hook

        handles = [m.register_forward_hook(keep(name), with_kwargs=True) for name, m in self.layers.items()]
        try:
            y = _differentiable(function(x))
        finally:
            for handle in handles:
                handle.remove()
        sums = [(y @ r).sum() if weights is None else weights @ (y @ r) for r in readout]
        once = {name: made[0] for name, made in calls.items() if len(made) == 1}
        if not once:
            return {}, y
        edges = [edge for _, _, edge in once.values()]
        made = [torch.autograd.grad(total, edges, retain_graph=True, allow_unused=True) for total in sums]
        gradients = {
            name: torch.stack([y.new_zeros(shape) if g is None else g for g in column], dim=1)
            for (name, (_, shape, _)), column in zip(once.items(), zip(*made, strict=True), strict=True)
        }
        return {name: (once[name][0], g) for name, g in gradients.items()}, y

    def _each_sample(self, x: Inputs, readout: Tensor, names: list[str]) -> list[Tensor]:
        """Gradients with respect to the named parameters, (n, c, ...) each, by autograd, one sample at a time."""
        leaves, found = [self._function.trained[name] for name in names], []
        for i in range(evaluation.count(x)):
            y = _differentiable(self._function(rows(x, slice(i, i + 1))))[0]
            found += [torch.autograd.grad(y @ r, leaves, retain_graph=True, materialize_grads=True) for r in readout]
        return [torch.stack(g).unflatten(0, (-1, len(readout))) for g in zip(*found, strict=True)]

    def _all_samples(self, x: Inputs, readout: Tensor, names: list[str]) -> list[Tensor]:
        """The same by torch.func, all samples at once."""

        def chosen(parameters: dict[str, Tensor], row: Inputs) -> Tensor:
            return readout @ self._function(rows(row, None), parameters)[0]

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "There is a performance drop")
            gradients = vmap(jacrev(chosen), (None, 0))({name: self._function.fixed[name] for name in names}, x)
        return [gradients[name] for name in names]

    def _try_out(self, net: nn.Module, x: Inputs, forward: Forward | None, memory: int) -> None:
        """Learn from some samples what holds for this network and how much memory one sample takes."""
        two = rows(x, slice(2))
        y, graph = self._function.graph(two)
        y = _differentiable(y).detach()
        n, self.outputs = y.shape
        self.dtype, self.device = y.dtype, y.device
        readout = torch.linspace(1, 2, self.outputs).to(y)[None]
        captured, _ = self._capture(self._function, two, readout)
        passing = graph + sum(g.nbytes for _, g in captured.values())
        # In double precision a sample takes twice as much, once more for its gradients.
        most = min(max(_FEWEST, evaluation.count(x) // _PART), _MOST, max(2, memory // (16 * (1 + passing // n))))
        tried = rows(x, evaluation.telling(x, most))
        precise = Function.widest(net, forward, rows(tried, slice(2)), [torch.float64, evaluation.precision(net)])
        self._refuse_mixing(precise, tried)
        self.layers = self._holding(precise, tried)
        different = rows(tried, slice(2))
        if names := self._rest():
            self._vectorized = self._vectorizes(different, readout, names)
        found = self.factors(two, readout)

        self.kept = -(-sum(f.nbytes for item in found for f in item) // n)
        self.passing = -(-passing // n)
        self.pair = max(gram.pair_bytes(item[0].shape[1], y.element_size()) for item in found)

    def _refuse_mixing(self, function: Function, x: Inputs) -> None:
        y = function(x).detach()
        few = range(min(len(y), _ALONE))
        try:
            alone = torch.cat([function(rows(x, slice(i, i + 1))) for i in few]).detach()
        except ValueError as error:
            raise ValueError("net: got a network that takes no single sample, expected a function of one") from error
        tolerance = torch.finfo(y.dtype).eps ** (1 / 3)
        if float((alone - y[: len(few)]).abs().max()) > tolerance * float(y.abs().max()):
            raise ValueError(
                "net: got outputs that change from call to call or with the other samples, as with batch normalization "
                "without running statistics; expected a function of one sample"
            )

    def _holding(self, function: Function, x: Inputs) -> dict[str, nn.Module]:
        """The layers whose rule gives autograd's gradients of a random sum over outputs, and over samples."""
        generator, n = torch.Generator().manual_seed(0), evaluation.count(x)
        readout = torch.randn(1, self.outputs, generator=generator).to(self.device, function(rows(x, slice(1))).dtype)
        weights = torch.randn(n, generator=generator).to(readout)
        captured, y = self._capture(function, x, readout, weights)
        leaves, parts = list(function.trained.values()), weights * (y @ readout[0])
        exact = [
            torch.autograd.grad(part, leaves, retain_graph=True, materialize_grads=True)
            for part in (parts.sum(), parts[0])
        ]
        squares = [dict(zip(function.trained, (single(g).square().sum() for g in gs), strict=True)) for gs in exact]
        return {k: m for k, m in self.layers.items() if k in captured and self._holds(k, *captured[k], squares, n)}

    def _holds(self, layer: str, a: Tensor, g: Tensor, squares: list[dict[str, Tensor]], n: int) -> bool:
        """Whether the rule gives the squared norms of the gradients of all n samples together and of the first one.

        The first is the sum of the Gram matrix of all samples, which does not see where one ends; the second is an
        entry.
        """
        module, names = self.layers[layer], self._names(layer)
        if len(a) != n or len(g) != n or len(names) != sum(p.requires_grad for p in module.parameters()):
            return False
        together, first = (sum(float(found[name]) for name in names) for found in squares)
        factors = layer_rules.layer_factors(module, a, g)
        kernel = single(torch.zeros(n, n, dtype=g.dtype, device=g.device))
        gram.add_gram(kernel, factors, factors, memory=2**62)
        trace, tolerance = float(kernel.trace()), torch.finfo(g.dtype).eps ** 0.5
        whole = 2 * float(kernel.tril().sum()) - trace
        return abs(whole - together) <= tolerance * max(trace, together) and abs(
            float(kernel[0, 0]) - first
        ) <= tolerance * max(float(kernel[0, 0]), first)

    def _vectorizes(self, x: Inputs, readout: Tensor, names: list[str]) -> bool:
        """Whether torch.func takes the network, and gives what autograd does."""
        try:
            found = self._all_samples(x, readout, names)
        except (RuntimeError, ValueError):
            return False
        exact = self._each_sample(x, readout, names)
        tolerance = torch.finfo(self.dtype).eps ** (1 / 3)
        return all(
            float((a - b).abs().max()) <= tolerance * float(b.abs().max()) for a, b in zip(found, exact, strict=True)
        )


def _differentiable(y: Tensor) -> Tensor:
    if not y.requires_grad:
        raise ValueError("net: got outputs without a gradient, expected some that depend on the trained parameters")
    return y
