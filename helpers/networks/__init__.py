"""Networks: that of the theory, two conventional ones, and any network as a function of one sample."""

from .evaluation import layer_inputs
from .feedforward import Normalized, convolutional, mlp
from .two_layer import TwoLayerNet

__all__ = ["Normalized", "TwoLayerNet", "convolutional", "layer_inputs", "mlp"]
