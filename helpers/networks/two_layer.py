"""The network of the theory: one hidden layer in the linear-width regime."""

import copy
import math
from typing import TypeGuard

import torch
from torch import Tensor, nn

from .. import _checks, _random
from ..activations import Activation, normalized


class TwoLayerNet(nn.Module):
    """f(x) = readout . s(weight x / sqrt d) / sqrt h, with a normalized activation s.

    Parameters
    ----------
    d : int
        Input dimension.
    h : int
        Width.
    activation : str or Activation, default "tanh"
        s, by its name or as it is.
    output_scale : float, default 1.0
        1 is the lazy (NTK) scale; smaller values learn features. Above 0.
    seed : int, default 0
        Of the initial weights; the same seed gives the same network.

    Attributes
    ----------
    weight : nn.Parameter, (h, d)
        N(0, 1) at the start.
    readout : nn.Parameter, (h,)
        output_scale times N(0, 1) at the start.

    Raises
    ------
    ValueError
        A size below 1, an unknown activation, a scale that is not finite or not above 0.
    TypeError
        A size that is no integer, an activation or a scale of the wrong type.

    Examples
    --------
    >>> import torch
    >>> from helpers import networks
    >>> net = networks.TwoLayerNet(d=5, h=8)
    >>> net(torch.ones(3, 5)).shape, net.weight.shape
    (torch.Size([3]), torch.Size([8, 5]))
    """

    def __init__(
        self, d: int, h: int, activation: str | Activation = "tanh", *, output_scale: float = 1.0, seed: int = 0
    ) -> None:
        super().__init__()
        d, h = _checks.integer("d", d), _checks.integer("h", h)
        self.activation = normalized(activation)
        self.output_scale = _checks.real("output_scale", output_scale, positive=True)
        rng = _random.stream("network", seed)
        self.weight = nn.Parameter(_random.gaussian(rng, h, d))
        self.readout = nn.Parameter(self.output_scale * _random.gaussian(rng, h))

    @property
    def readout_power(self) -> float:
        """|v|^2 / h, which the limit law of the tangent kernel needs; about output_scale^2 at the start."""
        return float(self.readout.detach().square().mean())

    def antisymmetric(self) -> "TwoLayerNet":
        """Twice as wide: every unit once more, with the opposite readout.

        The output is zero for every input, and both kernels and the singular values of weight / sqrt h are those of
        this network.

        Returns
        -------
        TwoLayerNet
            A new network; this one is left as it is.

        Raises
        ------
        TypeError
            The weight or the readout is no parameter, as after pruning.

        References
        ----------
        Chizat, Oyallon and Bach (2019); Zhang, Xu, Luo and Ma (2020), "antisymmetrical initialization".

        Examples
        --------
        >>> import torch
        >>> from helpers import networks
        >>> net = networks.TwoLayerNet(d=5, h=8).antisymmetric()
        >>> net.weight.shape, round(float(net(torch.ones(3, 5)).detach().abs().max()), 4)
        (torch.Size([16, 5]), 0.0)
        """
        if not self._parameters.keys() >= {"weight", "readout"}:
            raise TypeError(f"net: got a {type(self).__name__} whose weight or readout is made of other parameters")
        twice = copy.deepcopy(self)
        with torch.no_grad():
            twice.weight = nn.Parameter(torch.cat([self.weight, self.weight]))
            twice.readout = nn.Parameter(torch.cat([self.readout, -self.readout]))
        return twice

    def preactivations(self, x: Tensor) -> Tensor:
        """weight x / sqrt d for every row of x.

        Parameters
        ----------
        x : Tensor, (n, d)
            Inputs.

        Returns
        -------
        Tensor, (n, h)
            The pre-activations.

        Raises
        ------
        ValueError
            x of another shape.
        """
        d = self.weight.shape[1]
        if x.ndim != 2 or x.shape[1] != d:
            raise ValueError(f"x: got shape {tuple(x.shape)}, expected (any, {d})")
        return nn.functional.linear(x * (1 / math.sqrt(d)), self.weight)

    def features(self, x: Tensor) -> Tensor:
        """F = s(X weight' / sqrt d).

        Parameters
        ----------
        x : Tensor, (n, d)
            Inputs.

        Returns
        -------
        Tensor, (n, h)
            The features, not divided by sqrt h.

        Raises
        ------
        ValueError
            x of another shape.
        """
        return self.activation(self.preactivations(x))

    def forward(self, x: Tensor) -> Tensor:
        """The outputs f(x).

        Parameters
        ----------
        x : Tensor, (n, d)
            Inputs.

        Returns
        -------
        Tensor, (n,)
            One output for each row.

        Raises
        ------
        ValueError
            x of another shape.
        """
        # The shift and scale of s are applied after the sum over neurons: two passes over (n, h) less.
        s, v = self.activation, self.readout
        return (s.unnormalized(self.preactivations(x)) @ v - s.shift * v.sum()) / (s.scale * math.sqrt(len(v)))


_METHODS = ("forward", "features", "preactivations")


def inherits(net: nn.Module) -> TypeGuard[TwoLayerNet]:
    """Whether a network is a TwoLayerNet that computes as the class says; its weights may be made of others."""
    return (
        isinstance(net, TwoLayerNet)
        and all(getattr(type(net), name) is getattr(TwoLayerNet, name) for name in _METHODS)
        and not vars(net).keys() & set(_METHODS)
    )


def is_plain(net: nn.Module) -> TypeGuard[TwoLayerNet]:
    """Whether its parameters are a weight and a readout and nothing else, so that closed forms of gradients hold."""
    if type(net) is not TwoLayerNet or not inherits(net) or net._modules:
        return False
    return net._parameters.keys() == {"weight", "readout"} and net.readout.ndim == 1
