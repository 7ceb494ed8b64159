"""Random numbers from a seed, one independent stream for each purpose."""

import zlib

import numpy as np
import torch
from torch import Tensor

from . import _checks


def stream(purpose: str, seed: int) -> np.random.Generator:
    """A generator of its own for `purpose`: data and network drawn with one seed must not share numbers."""
    seed = _checks.integer("seed", seed, least=0)
    return np.random.default_rng([zlib.crc32(purpose.encode()), seed])


def gaussian(rng: np.random.Generator, *shape: int) -> Tensor:
    """A float32 tensor of the given shape with independent N(0, 1) entries."""
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))
