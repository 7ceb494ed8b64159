"""The trainings that the book compares, all from one start."""

from collections.abc import Mapping
from types import MappingProxyType

_FAST = {"fused": True}  # Adam in one pass over the weights

_ADAM = dict(optimizer="adam", lr=0.1, batch_size=50, **_FAST)

# name -> arguments of `training.train`, for n = 2000, d = 1000, h = 1500 and a tanh network. None was tuned for its
# test error.
TRAININGS: Mapping[str, dict] = MappingProxyType(
    {
        "GD": dict(optimizer="sgd", lr=200.0, epochs=40),
        "SGD, small rate": dict(optimizer="sgd", lr=5.0, batch_size=20, epochs=15),
        "SGD, large rate": dict(optimizer="sgd", lr=120.0, batch_size=100, epochs=25),
        "Adam, long": dict(_ADAM, epochs=60),
        "Adam, short": dict(_ADAM, epochs=8),  # the same run, stopped early
        "sign descent": dict(optimizer="adam", lr=0.03, batch_size=50, epochs=15, betas=(0.0, 0.0), **_FAST),
    }
)
