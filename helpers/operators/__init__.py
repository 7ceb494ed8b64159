"""Kernels and curvature as linear operators: products with a vector, in memory linear in the number of samples."""

from .operators import (
    conjugate_kernel_eigenvalues,
    conjugate_kernel_operator,
    gauss_newton_operator,
    hessian_operator,
    tangent_kernel_operator,
)

__all__ = [
    "conjugate_kernel_eigenvalues",
    "conjugate_kernel_operator",
    "gauss_newton_operator",
    "hessian_operator",
    "tangent_kernel_operator",
]
