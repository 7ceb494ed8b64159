"""Laws of random matrix theory for the spectra of the book: limits, spikes, and what the first step does to them.

Student: W (h x d) i.i.d. N(0, 1); inputs X (n x d) i.i.d. N(0, 1) or data; features F = s(X W' / sqrt d).
A Law is a probability measure, here on [0, inf): bands with a density, and atoms.
"""

from .adam_step import AdamStep, one_adam_step, product_null
from .exponents import hill_noise, hill_null
from .feature_angles import feature_angle
from .first_step import OneStep, one_step, one_step_draws
from .law import Law
from .learning_curves import LearningCurve, RidgeCurve, WeightChange, critical_rate, kernel_ridge_curve, learning_curve
from .limits import conjugate_kernel_law, marchenko_pastur, neural_tangent_kernel_law, sample_covariance_law
from .linear_networks import LinearNetwork, linear_network
from .mapped_spikes import seen_through
from .near_interpolators import NearInterpolator, near_interpolator, near_interpolator_ridge
from .spiked_features import FeatureSpike, SpikedFeatures, feature_spikes, ridge_error
from .spikes import Spike, spike_threshold, spiked_singular_value
from .weak_supervision import WeakToStrong, weak_to_strong

__all__ = [
    "AdamStep",
    "FeatureSpike",
    "Law",
    "LearningCurve",
    "LinearNetwork",
    "NearInterpolator",
    "OneStep",
    "RidgeCurve",
    "Spike",
    "SpikedFeatures",
    "WeakToStrong",
    "WeightChange",
    "conjugate_kernel_law",
    "critical_rate",
    "feature_angle",
    "feature_spikes",
    "hill_noise",
    "hill_null",
    "kernel_ridge_curve",
    "learning_curve",
    "linear_network",
    "marchenko_pastur",
    "near_interpolator",
    "near_interpolator_ridge",
    "neural_tangent_kernel_law",
    "one_adam_step",
    "one_step",
    "one_step_draws",
    "product_null",
    "ridge_error",
    "sample_covariance_law",
    "seen_through",
    "spike_threshold",
    "spiked_singular_value",
    "weak_to_strong",
]
