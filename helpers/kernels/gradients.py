"""Per-sample gradients of any network: layer by layer where a rule is known, by torch.func for the rest.

The gradient of an output with respect to a layer's parameters follows from what enters the layer and from the gradient
at what leaves it; one forward pass and one backward pass per output give both for all samples. A rule is used only
where it has reproduced autograd's gradients of the first samples, one at a time. So a layer that is called twice, that
shares its weight or that has no axis of samples goes to torch.func, like the parameters outside of layers.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.func import jacrev, vmap

from ..networks import evaluation
from ..networks.evaluation import Forward, Function, Inputs, rows
from . import gram, layer_rules
from .gram import Factors


class Gradients:
    """Gradients of chosen outputs of a network with respect to its trained parameters, as factors.

    Outputs are chosen by a readout (c, k): the gradients are those of readout f(x). The caller's parameters are read,
    never touched; buffers are copied.

    Attributes
    ----------
    outputs : k.  dtype, device : of the outputs.  layers : names and modules with a rule that holds.
    kept, passing, pair : bytes of one sample and one output as factors, and beside them while they are made; of two
        samples while their inner products are added up.

    Raises
    ------
    ValueError : inputs that the network does not take, nothing to train, outputs that depend on other samples.
    """

    def __init__(self, net: nn.Module, x: Inputs, forward: Forward | None = None) -> None:
        self._function = Function(net, forward)
        self.layers = {k: m for k, m in self._function.flat.named_modules() if layer_rules.rule(m)}
        self._vectorized = True
        self._try_out(rows(x, slice(2)))

    def factors(self, x: Inputs, readout: Tensor) -> list[Factors]:
        """The gradients for samples x and readout (c, k): one item for each layer, one for the rest."""
        captured = self._capture(x, readout)
        if lost := self.layers.keys() - captured.keys():
            raise ValueError(f"net: got layer {min(lost)} not called once for some samples, expected one call for each")
        found = [layer_rules.layer_factors(module, *captured.pop(name)) for name, module in self.layers.items()]
        if names := self._rest():
            gradients = (self._all_samples if self._vectorized else self._each_sample)(x, readout, names)
            found.append(gram.plain([g.flatten(1) for g in gradients]))
        return found

    def _call(self, x: Inputs) -> Tensor:
        return _differentiable(self._function(x))

    def _names(self, layer: str) -> list[str]:
        """The trained parameters of a layer; a shared one is listed under one of its names only."""
        return [name for k in ("weight", "bias") if (name := f"{layer}.{k}") in self._function.trained]

    def _rest(self) -> list[str]:
        covered = {name for layer in self.layers for name in self._names(layer)}
        return [name for name in self._function.trained if name not in covered]

    def _capture(self, x: Inputs, readout: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
        """Input (n, ...) and gradients at the output (n, c, ...) of every layer that is called once."""
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
            y = self._call(x)
        finally:
            for handle in handles:
                handle.remove()
        once = {name: made[0] for name, made in calls.items() if len(made) == 1}
        if not once:
            return {}
        edges = [edge for _, _, edge in once.values()]
        made = [torch.autograd.grad((y @ r).sum(), edges, retain_graph=True, allow_unused=True) for r in readout]
        gradients = {
            name: torch.stack([y.new_zeros(shape) if g is None else g for g in column], dim=1)
            for (name, (_, shape, _)), column in zip(once.items(), zip(*made, strict=True), strict=True)
        }
        return {name: (once[name][0], g) for name, g in gradients.items()}

    def _each_sample(self, x: Inputs, readout: Tensor, names: list[str]) -> list[Tensor]:
        """Gradients with respect to the named parameters, (n, c, ...) each, by autograd, one sample at a time."""
        leaves, found = [self._function.trained[name] for name in names], []
        for i in range(evaluation.count(x)):
            y = self._call(rows(x, slice(i, i + 1)))[0]
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

    def _try_out(self, x: Inputs) -> None:
        """Learn from the first samples what holds for this network and how much memory one sample takes."""
        y, graph = self._function.graph(x)
        y = _differentiable(y).detach()
        n, self.outputs = y.shape
        self.dtype, self.device = y.dtype, y.device
        self._tolerance = torch.finfo(y.dtype).eps ** (1 / 3)
        readout = torch.linspace(1, 2, self.outputs).to(y)[None]

        self._refuse_mixing(x, y)
        captured = self._capture(x, readout)
        exact = dict(
            zip(self._function.trained, self._each_sample(x, readout, list(self._function.trained)), strict=True)
        )
        self.layers = {k: m for k, m in self.layers.items() if k in captured and self._holds(k, *captured[k], exact)}
        try:
            found = self.factors(x, readout)
        except (RuntimeError, ValueError):  # torch.func cannot vectorize every network
            self._vectorized = False
            found = self.factors(x, readout)

        graph += sum(g.nbytes for _, g in captured.values())
        self.kept = -(-sum(f.nbytes for item in found for f in item) // n)
        self.passing = -(-graph // n)
        self.pair = max(gram.pair_bytes(item[0].shape[1], y.element_size()) for item in found)

    def _refuse_mixing(self, x: Inputs, y: Tensor) -> None:
        try:
            alone = torch.cat([self._call(rows(x, slice(i, i + 1))) for i in range(len(y))]).detach()
        except ValueError as error:
            raise ValueError("net: got a network that takes no single sample, expected a function of one") from error
        if float((alone - y).abs().max()) > self._tolerance * float(y.abs().max()):
            raise ValueError(
                "net: got outputs that change from call to call or with the other samples, as with batch normalization "
                "without running statistics; expected a function of one sample"
            )

    def _holds(self, layer: str, a: Tensor, g: Tensor, exact: dict[str, Tensor]) -> bool:
        """Whether the layer's rule gives the inner products of autograd's gradients."""
        module, names, n = self.layers[layer], self._names(layer), len(next(iter(exact.values())))
        if len(a) != n or len(g) != n or len(names) != sum(p.requires_grad for p in module.parameters()):
            return False
        gradients = torch.cat([exact[name].flatten(1) for name in names], dim=1)
        wanted, kernel = gradients @ gradients.T, gradients.new_zeros(n, n)
        found = layer_rules.layer_factors(module, a, g)
        gram.add_gram(kernel, found, found, memory=2**62)
        return float((kernel - wanted).abs().max()) <= self._tolerance * float(wanted.abs().max())


def _differentiable(y: Tensor) -> Tensor:
    if not y.requires_grad:
        raise ValueError("net: got outputs without a gradient, expected some that depend on the trained parameters")
    return y
