"""The two kernels of a network and what they say about the labels."""

from .conjugate import conjugate_kernel, dual_kernel
from .labels import RIDGES, alignment, distance, kernel_ridge, kernel_scores, ridge_r2
from .tangent import critical_rate, neural_tangent_kernel

__all__ = [
    "RIDGES",
    "alignment",
    "conjugate_kernel",
    "critical_rate",
    "distance",
    "dual_kernel",
    "kernel_ridge",
    "kernel_scores",
    "neural_tangent_kernel",
    "ridge_r2",
]
