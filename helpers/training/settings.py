"""The trainings that the book compares, all from one start."""

from collections.abc import Mapping
from types import MappingProxyType

from .muon import Muon

_FAST = {"fused": True}  # Adam in one pass over the weights

_ADAM = dict(optimizer="adam", lr=0.1, batch_size=50, **_FAST)

# name -> arguments of `training.train`, for n = 2000, d = 1000, h = 1500 and a tanh network. None was tuned for its
# test error. Muon orthogonalizes matrices only, so it trains the first layer alone.
TRAININGS: Mapping[str, dict] = MappingProxyType(
    {
        "GD": dict(optimizer="sgd", lr=200.0, epochs=40),
        "SGD, small rate": dict(optimizer="sgd", lr=5.0, batch_size=20, epochs=15),
        "SGD, large rate": dict(optimizer="sgd", lr=120.0, batch_size=100, epochs=25),
        "SGD, momentum": dict(optimizer="sgd", lr=12.0, batch_size=100, epochs=25, momentum=0.9),
        "Adam, long": dict(_ADAM, epochs=60),
        "Adam, short": dict(_ADAM, epochs=8),  # the same run, stopped early
        "Adam, large epsilon": dict(optimizer="adam", lr=1.0, batch_size=50, epochs=20, eps=0.01, **_FAST),
        "RMSprop": dict(optimizer="rmsprop", lr=0.03, batch_size=50, epochs=15, foreach=True),
        "sign descent": dict(optimizer="adam", lr=0.03, batch_size=50, epochs=15, betas=(0.0, 0.0), **_FAST),
        "Muon": dict(optimizer=Muon, lr=0.1, batch_size=200, epochs=4, weight_decay=0.0, train_readout=False),
    }
)
