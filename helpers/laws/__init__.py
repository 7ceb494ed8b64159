"""Laws of random matrix theory for the spectra of the book: limits, spikes, and what the first step does to them.

Student: W (h x d) i.i.d. N(0, 1); inputs X (n x d) i.i.d. N(0, 1) or data; features F = s(X W' / sqrt d).
A Law is a probability measure, here on [0, inf): bands with a density, and atoms.
"""

from .feature_angles import feature_angle
from .first_step import OneStep, one_step, one_step_draws
from .law import Law
from .learning_curves import LearningCurve, RidgeCurve, WeightChange, critical_rate, kernel_ridge_curve, learning_curve
from .limits import conjugate_kernel_law, marchenko_pastur, neural_tangent_kernel_law, sample_covariance_law
from .linear_networks import LinearNetwork, linear_network
from .spikes import Spike, spike_threshold, spiked_singular_value

__all__ = [
    "Law",
    "LearningCurve",
    "LinearNetwork",
    "OneStep",
    "RidgeCurve",
    "Spike",
    "WeightChange",
    "conjugate_kernel_law",
    "critical_rate",
    "feature_angle",
    "kernel_ridge_curve",
    "learning_curve",
    "linear_network",
    "marchenko_pastur",
    "neural_tangent_kernel_law",
    "one_step",
    "one_step_draws",
    "sample_covariance_law",
    "spike_threshold",
    "spiked_singular_value",
]
