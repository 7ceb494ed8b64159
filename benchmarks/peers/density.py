"""Densities of laws by freealg."""

from freealg.distributions import CompoundFreePoisson, MarchenkoPastur
from serve import serve


def prepare(given):
    x, ratio = given["x"], float(given["ratio"])
    if "jumps" not in given:
        return lambda: MarchenkoPastur(ratio).density(x), ""
    return lambda: CompoundFreePoisson(given["jumps"], given["weights"], ratio).density(x), ""


serve(prepare)
