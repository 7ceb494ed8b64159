"""Two conventional networks: a multi-layer perceptron and a convolutional one."""

import math
from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from .. import _checks, _random
from ..activations import Activation, normalized


class Normalized(nn.Module):
    """A normalized activation as a layer, entry by entry.

    Parameters
    ----------
    activation : str or Activation
        By its name or as it is.

    Raises
    ------
    ValueError
        An unknown name.
    TypeError
        Neither a name nor an Activation.

    Examples
    --------
    >>> import torch
    >>> from helpers import networks
    >>> layer = networks.Normalized("relu")
    >>> [round(z, 4) for z in layer(torch.tensor([-1.0, 1.0])).tolist()]
    [-0.6833, 1.0295]
    """

    def __init__(self, activation: str | Activation) -> None:
        super().__init__()
        self.activation = normalized(activation)

    def forward(self, z: Tensor) -> Tensor:
        """s(z), entry by entry.

        Parameters
        ----------
        z : Tensor, (n, ...)
            Of any shape.

        Returns
        -------
        Tensor
            Of the shape of `z`.
        """
        return self.activation(z)

    def extra_repr(self) -> str:
        """The activation's name, for the printed network."""
        return self.activation.name


def mlp(
    d: int,
    outputs: int,
    *,
    width: int = 500,
    depth: int = 3,
    activation: str | Activation = "relu",
    batch_norm: bool = False,
    output_scale: float = 1.0,
    seed: int = 0,
) -> nn.Sequential:
    """A multi-layer perceptron: hidden layers of one width, then a linear readout, without biases.

    Every weight starts as N(0, 1 / fan_in), the readout times `output_scale`. With a normalized activation and inputs
    of norm sqrt d, pre-activations have variance one in every layer, and so do the outputs. A weight matrix times
    sqrt fan_in has independent N(0, 1) entries: over sqrt fan_out, its singular values follow Marchenko-Pastur.

    Parameters
    ----------
    d : int
        Dimension of an input.
    outputs : int
        Dimension of an output.
    width : int, default 500
        Units of a hidden layer.
    depth : int, default 3
        Number of hidden layers.
    activation : str or Activation, default "relu"
        By its name or as it is.
    batch_norm : bool, default False
        Put batch normalization in front of every activation.
    output_scale : float, default 1.0
        Multiplies the readout; above 0.
    seed : int, default 0
        Of the initial weights; depth and width change the weights of no layer in front.

    Returns
    -------
    nn.Sequential
        (n, d) -> (n, outputs), with modules hidden1, norm1, activation1, hidden2, ..., readout.

    Raises
    ------
    ValueError
        A size below 1, an unknown activation, a scale that is not positive.
    TypeError
        A size that is no integer, an activation or a scale of the wrong type.

    Examples
    --------
    >>> from helpers import networks
    >>> net = networks.mlp(5, 2, width=8, depth=2)
    >>> [name for name, _ in net.named_children()]
    ['hidden1', 'activation1', 'hidden2', 'activation2', 'readout']
    """
    d, outputs = _checks.integer("d", d), _checks.integer("outputs", outputs)
    width, depth = _checks.integer("width", width), _checks.integer("depth", depth)
    layers: dict[str, nn.Module] = {}
    for k in range(1, depth + 1):
        layers[f"hidden{k}"] = nn.Linear(d if k == 1 else width, width, bias=False)
        if batch_norm:
            layers[f"norm{k}"] = nn.BatchNorm1d(width)
        layers[f"activation{k}"] = Normalized(activation)
    return _sequential(layers, nn.Linear(width, outputs, bias=False), output_scale, seed)


def convolutional(
    shape: Sequence[int],
    outputs: int,
    *,
    channels: Sequence[int] = (64, 64, 64),
    kernel_size: int | Sequence[int] | None = None,
    activation: str | Activation = "relu",
    batch_norm: bool = False,
    output_scale: float = 1.0,
    seed: int = 0,
) -> nn.Sequential:
    """A small convolutional network: convolutions with stride 2, then a linear readout, without biases.

    One convolution for each entry of `channels`; each halves the image, with zeros around it. The weights start as in
    `mlp`, where fan_in is channels in times kernel_size^2: flattened to (channels out, fan_in), they have independent
    entries and Marchenko-Pastur singular values.

    Parameters
    ----------
    shape : sequence of int
        (channels, height, width) of an image.
    outputs : int
        Dimension of an output.
    channels : sequence of int, default (64, 64, 64)
        Of the images that leave the convolutions; as many as there are convolutions.
    kernel_size : int or sequence of int, optional
        Odd, the side of the filters; one for all convolutions, or one for each. By default 5, then 3.
    activation : str or Activation, default "relu"
        As in `mlp`.
    batch_norm : bool, default False
        As in `mlp`.
    output_scale : float, default 1.0
        As in `mlp`.
    seed : int, default 0
        As in `mlp`.

    Returns
    -------
    nn.Sequential
        (n, channels, height, width) -> (n, outputs), with modules convolution1, norm1, activation1, ..., flatten,
        readout.

    Raises
    ------
    ValueError
        A shape that is not three sizes, no channels, a size below 1, an even kernel_size; as in `mlp`.
    TypeError
        As in `mlp`.

    Examples
    --------
    >>> import torch
    >>> from helpers import networks
    >>> net = networks.convolutional((1, 8, 8), 2, channels=(4, 4))
    >>> net(torch.ones(3, 1, 8, 8)).shape
    torch.Size([3, 2])
    """
    if len(shape) != 3:
        raise ValueError(f"shape: got {tuple(shape)}, expected (channels, height, width)")
    if not len(channels):
        raise ValueError("channels: got none, expected one number for each convolution")
    entering, height, width = (_checks.integer("shape", size) for size in shape)
    outputs = _checks.integer("outputs", outputs)
    sides = [5] + [3] * (len(channels) - 1) if kernel_size is None else kernel_size
    sides = [sides] * len(channels) if isinstance(sides, int) else list(sides)
    if len(sides) != len(channels) or any(_checks.integer("kernel_size", side) % 2 == 0 for side in sides):
        raise ValueError(f"kernel_size: got {kernel_size}, expected an odd number, or {len(channels)} of them")
    layers: dict[str, nn.Module] = {}
    for k, (leaving, side) in enumerate(zip(channels, sides, strict=True), 1):
        leaving = _checks.integer("channels", leaving)
        layers[f"convolution{k}"] = nn.Conv2d(entering, leaving, side, stride=2, padding=side // 2, bias=False)
        if batch_norm:
            layers[f"norm{k}"] = nn.BatchNorm2d(leaving)
        layers[f"activation{k}"] = Normalized(activation)
        entering, height, width = leaving, (height + 1) // 2, (width + 1) // 2
    layers["flatten"] = nn.Flatten()
    return _sequential(layers, nn.Linear(entering * height * width, outputs, bias=False), output_scale, seed)


def _sequential(layers: dict[str, nn.Module], readout: nn.Linear, output_scale: float, seed: int) -> nn.Sequential:
    """The layers and the readout, with weights N(0, 1 / fan_in), each matrix from a stream of its own."""
    scale = _checks.real("output_scale", output_scale, positive=True)
    for name, layer in (*layers.items(), ("readout", readout)):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            fan_in = layer.weight[0].numel()
            entries = _random.gaussian(_random.stream(name, seed), *layer.weight.shape)
            layer.weight = nn.Parameter(entries * ((scale if layer is readout else 1.0) / math.sqrt(fan_in)))
    return nn.Sequential(OrderedDict(layers, readout=readout))
