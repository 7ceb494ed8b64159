"""The network of the theory: one hidden layer in the linear-width regime."""

import math

from torch import Tensor, nn

from .. import _checks, _random
from ..activations import Activation, normalized


class TwoLayerNet(nn.Module):
    """f(x) = readout . s(weight x / sqrt d) / sqrt h, with a normalized activation s.

    Parameters
    ----------
    d, h : input dimension and width.
    activation : name or Activation.
    output_scale : 1 is the lazy (NTK) scale; smaller values learn features.
    seed : of the initial weights; the same seed gives the same network.

    Attributes
    ----------
    weight : (h, d), N(0, 1) at the start.
    readout : (h,), output_scale times N(0, 1) at the start.

    Raises
    ------
    ValueError, TypeError : a size below 1, an unknown activation, a negative or infinite scale.
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

    def preactivations(self, x: Tensor) -> Tensor:
        """weight x / sqrt d for every row of x: (n, d) -> (n, h)."""
        d = self.weight.shape[1]
        if x.ndim != 2 or x.shape[1] != d:
            raise ValueError(f"x: got shape {tuple(x.shape)}, expected (any, {d})")
        return nn.functional.linear(x * (1 / math.sqrt(d)), self.weight)

    def features(self, x: Tensor) -> Tensor:
        """F = s(X weight' / sqrt d): (n, d) -> (n, h)."""
        return self.activation(self.preactivations(x))

    def forward(self, x: Tensor) -> Tensor:
        """The outputs f(x): (n, d) -> (n,)."""
        # The shift and scale of s are applied after the sum over neurons: two passes over (n, h) less.
        s, v = self.activation, self.readout
        return (s.unnormalized(self.preactivations(x)) @ v - s.shift * v.sum()) / (s.scale * math.sqrt(len(v)))
