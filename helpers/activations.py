"""Activations normalized to mean zero and second moment one under N(0, 1).

A scalar function s is shifted and scaled so that, for xi ~ N(0, 1), E s(xi) = 0 and E s(xi)^2 = 1.
Two numbers of the normalized s decide what the kernels look like in the linear-width regime
(Pennington and Worah 2017; Fan and Wang 2020): its first Hermite coefficient b = E s'(xi) and the power of its
derivative a2 = E s'(xi)^2. All expectations are Gauss-Hermite sums.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import roots_hermitenorm
from torch import Tensor

from . import _checks

_NODES = 400


def _sigmoid_slope(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 - s)


# name -> (function, derivative), both elementwise on tensors
_RAW: dict[str, tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]] = {
    "tanh": (torch.tanh, lambda z: 1 - torch.tanh(z) ** 2),
    "softplus": (F.softplus, torch.sigmoid),
    "relu": (torch.relu, lambda z: (z > 0).to(z.dtype)),
    "erf": (torch.erf, lambda z: 2 / math.sqrt(math.pi) * torch.exp(-(z**2))),
    "sigmoid": (torch.sigmoid, _sigmoid_slope),
    "identity": (lambda z: z, torch.ones_like),
}


def gaussian_nodes(half_line: bool = False) -> tuple[Tensor, Tensor]:
    """Nodes and weights for means over N(0, 1): sum w f(x) = E f(xi) for xi ~ N(0, 1).

    Parameters
    ----------
    half_line : bool, default False
        Treat the two half lines apart, by Gauss-Legendre on [-12, 0] and [0, 12]. Functions with a kink or jump at 0
        are then integrated to machine precision too.

    Returns
    -------
    nodes, weights : Tensor, (m,), float64
        The points x and their weights w. The weights sum to 1.

    Examples
    --------
    >>> from helpers import activations
    >>> x, w = activations.gaussian_nodes()
    >>> round(float(w @ x**4), 6)
    3.0
    """
    if not half_line:
        x, w = roots_hermitenorm(_NODES)
        return torch.from_numpy(x), torch.from_numpy(w / w.sum())
    x, w = np.polynomial.legendre.leggauss(_NODES)
    x, w = 6 * (x + 1), 6 * w
    w = w * np.exp(-(x**2) / 2)
    w = w / (2 * w.sum())
    return torch.from_numpy(np.concatenate([-x, x])), torch.from_numpy(np.concatenate([w, w]))


@dataclass(frozen=True)
class Activation:
    """A normalized activation: call it, or its `derivative`, on tensors of any shape.

    Make one with `normalized`. Expectations are over xi ~ N(0, 1).

    Attributes
    ----------
    name : str
        The activation's name before normalization.
    shift : float
        The mean of the function before normalization: s(z) = (raw(z) - shift) / scale.
    scale : float
        Its standard deviation.
    linear_coefficient : float
        b = E s'(xi) = E xi s(xi). Always b^2 <= 1.
    derivative_power : float
        a2 = E s'(xi)^2. Always b^2 <= a2.

    Examples
    --------
    >>> import torch
    >>> from helpers import activations
    >>> s = activations.normalized("tanh")
    >>> round(s.linear_coefficient, 4), round(s.derivative_power, 4)
    (0.9646, 1.1778)
    >>> round(float(s(torch.tensor(0.5))), 4)
    0.7359
    """

    name: str
    shift: float
    scale: float
    linear_coefficient: float
    derivative_power: float

    def __call__(self, z: Tensor) -> Tensor:
        """s(z), elementwise.

        Parameters
        ----------
        z : Tensor
            Of any shape.

        Returns
        -------
        Tensor
            Of the shape, dtype and device of `z`.
        """
        return (self.unnormalized(z) - self.shift) / self.scale

    def unnormalized(self, z: Tensor) -> Tensor:
        """The function before normalization, elementwise: s(z) = (unnormalized(z) - shift) / scale.

        Parameters
        ----------
        z : Tensor
            Of any shape.

        Returns
        -------
        Tensor
            Of the shape, dtype and device of `z`.
        """
        return _RAW[self.name][0](z)

    def derivative(self, z: Tensor) -> Tensor:
        """s'(z), elementwise; 0 at the kink of ReLU.

        Parameters
        ----------
        z : Tensor
            Of any shape.

        Returns
        -------
        Tensor
            Of the shape, dtype and device of `z`.
        """
        return _RAW[self.name][1](z) / self.scale


@lru_cache
def _by_name(name: str) -> Activation:
    function, slope = _RAW[name]
    x, w = gaussian_nodes(half_line=name == "relu")
    values, slopes = function(x), slope(x)
    shift = float(w @ values)
    scale = math.sqrt(float(w @ (values - shift) ** 2))
    b = float(w @ slopes) / scale
    return Activation(name, shift, scale, b, float(w @ slopes**2) / scale**2)


def normalized(name: "str | Activation") -> Activation:
    """The normalized activation of a name; an Activation is returned unchanged.

    Parameters
    ----------
    name : {"tanh", "softplus", "relu", "erf", "sigmoid", "identity"} or Activation
        The activation before normalization.

    Returns
    -------
    Activation
        s with E s(xi) = 0 and E s(xi)^2 = 1 for xi ~ N(0, 1).

    Raises
    ------
    ValueError
        An unknown name.
    TypeError
        Neither a name nor an Activation.

    References
    ----------
    Fan and Wang (2020), for the normalization E s = 0, E s^2 = 1.

    Examples
    --------
    >>> from helpers import activations
    >>> round(activations.normalized("relu").shift, 4)
    0.3989
    """
    if isinstance(name, Activation):
        return name
    if not isinstance(name, str):
        raise TypeError(f"activation: got {type(name).__name__}, expected a name or an Activation")
    if name not in _RAW:
        raise ValueError(f"activation: got {name!r}, expected one of {', '.join(_RAW)}")
    return _by_name(name)


def hermite_coefficients(activation: str | Activation, terms: int) -> Tensor:
    """Hermite coefficients c_k = E s(xi) He_k(xi) / sqrt(k!) for k = 0, ..., terms - 1, with xi ~ N(0, 1).

    Parameters
    ----------
    activation : str or Activation
        s, by its name or as it is.
    terms : int
        The number of coefficients, at least 1.

    Returns
    -------
    Tensor, (terms,), float64
        c_0 = 0, c_1 = b, and the squares sum to 1 as `terms` grows.

    Raises
    ------
    ValueError
        An unknown activation, or fewer than one term.
    TypeError
        An `activation` that is neither a name nor an Activation, or `terms` that is no integer.

    References
    ----------
    O'Donnell, Analysis of Boolean Functions (2014), section 11.2.

    Examples
    --------
    >>> from helpers import activations
    >>> c = activations.hermite_coefficients("relu", 3)
    >>> [round(x, 4) for x in c[1:].tolist()]
    [0.8564, 0.4832]
    """
    s, terms = normalized(activation), _checks.integer("terms", terms)
    x, w = gaussian_nodes(half_line=s.name == "relu")
    basis = [torch.ones_like(x), x]
    for k in range(2, terms):  # normalized: sqrt(k) h_k = x h_(k-1) - sqrt(k-1) h_(k-2)
        basis.append((x * basis[-1] - math.sqrt(k - 1) * basis[-2]) / math.sqrt(k))
    return torch.stack(basis[:terms]) @ (w * s(x))
