"""What a spectrum says: values and vectors, what left the bulk, the law of a bulk, power-law tails, and a verdict."""

from .bulk import Bulk, fit_marchenko_pastur
from .change import EDGE_UNITS, Comparison, bulk_start, compare
from .tails import (
    CRITICAL_MISFIT,
    LEAST_DYNAMIC_RANGE,
    PowerLaw,
    fit_power_law,
    hill,
    hill_curve,
    likelihood_ratio,
)
from .values import (
    eigenvalues,
    overlap,
    singular_triplets,
    singular_values,
    stable_rank,
    top_triplet,
    weight_spectrum,
)
from .verdicts import describe, verdict
from .weights import convolution_singular_values, weight_gradients, weight_matrices

__all__ = [
    "CRITICAL_MISFIT",
    "EDGE_UNITS",
    "LEAST_DYNAMIC_RANGE",
    "Bulk",
    "Comparison",
    "PowerLaw",
    "bulk_start",
    "compare",
    "convolution_singular_values",
    "describe",
    "eigenvalues",
    "fit_marchenko_pastur",
    "fit_power_law",
    "hill",
    "hill_curve",
    "likelihood_ratio",
    "overlap",
    "singular_triplets",
    "singular_values",
    "stable_rank",
    "top_triplet",
    "verdict",
    "weight_gradients",
    "weight_matrices",
    "weight_spectrum",
]
