"""What a training did to a network, and how fast its features move."""

from .speeds import feature_speed
from .trainings import class_directions, layers, network

__all__ = ["class_directions", "feature_speed", "layers", "network"]
