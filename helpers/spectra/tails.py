"""Power-law tails: the Clauset-Shalizi-Newman fit."""

import math
from dataclasses import dataclass

import numpy as np

from .. import _checks
from .._checks import Array

# 95% point of sqrt(m) times the KS distance between m draws of a power law and the exponent fitted to them, m large.
# Source: Lilliefors (1969), whose table for the exponential distribution is that of log(x / xmin).
CRITICAL_MISFIT = 1.08

# Over less than a decade hardly any two laws can be told apart.
LEAST_REACH = 10.0

_COARSE = 64  # points of each tail in the first look at its distance


@dataclass(frozen=True)
class PowerLaw:
    """A power-law tail p(x) ~ x^-alpha for x >= xmin; see `fit_power_law`.

    Attributes
    ----------
    alpha : float
        Exponent of the tail.
    xmin : float
        Start of the tail.
    distance : float
        Kolmogorov-Smirnov distance between the tail and the fit. Look at it before alpha.
    tail_size : int
        Number of values in the tail.
    largest : float
        The largest value.

    Examples
    --------
    >>> from helpers import spectra
    >>> fit = spectra.PowerLaw(alpha=2.5, xmin=1.0, distance=0.05, tail_size=400, largest=50.0)
    >>> round(fit.misfit, 4), fit.reach, fit.plausible
    (1.0, 50.0, True)
    """

    alpha: float
    xmin: float
    distance: float
    tail_size: int
    largest: float

    @property
    def misfit(self) -> float:
        """sqrt(tail size) times the distance: its scale does not depend on the size of the tail."""
        return math.sqrt(self.tail_size) * self.distance

    @property
    def reach(self) -> float:
        """Largest value over the start of the tail."""
        return self.largest / self.xmin

    @property
    def plausible(self) -> bool:
        """Whether the fit passes the tests of distance (misfit below `CRITICAL_MISFIT`) and reach (`LEAST_REACH`).

        The first is lenient: xmin was chosen to make the distance small, and eigenvalues repel each other, which
        makes them smoother than independent draws. What fails it fails clearly.
        """
        return self.misfit < CRITICAL_MISFIT and self.reach > LEAST_REACH


def fit_power_law(values: Array, *, xmin: float | None = None, max_alpha: float = 3.0) -> PowerLaw:
    """Fit a power law to the upper tail: maximum likelihood for alpha, the smallest KS distance for xmin.

    alpha = 1 + m / sum log(x_i / xmin) over the m values of the tail. Every distinct value but the two largest is
    tried as xmin, unless it is given. By default only tails with alpha below 3 are in the running, as in the package
    `powerlaw` (2.0); where there is none, alpha is 3. So a thin tail cannot show itself by its alpha: it shows by a
    large distance. `max_alpha=math.inf` lifts the bound and gives the fit of the reference below.

    Parameters
    ----------
    values : array or tensor, (m,)
        At least 20 positive ones; zero and negative values are left out.
    xmin : float, optional
        Start of the tail, where it is known; at least two values must lie at or above it.
    max_alpha : float, default 3.0
        Upper bound on alpha, above 1.

    Returns
    -------
    PowerLaw
        alpha, xmin and the distance of the best tail.

    Raises
    ------
    ValueError
        Too few or equal values, NaN, xmin beyond the data, max_alpha of 1 or less.
    TypeError
        Values that are no numbers.

    References
    ----------
    Clauset, Shalizi and Newman (2009), eq. (3.1) and section 3.3.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import spectra
    >>> values = np.linspace(0.001, 0.999, 500) ** (-1 / 1.5)
    >>> round(spectra.fit_power_law(values).alpha, 1)
    2.5
    """
    data = np.sort(_checks.array("values", values, None).double().cpu().numpy())
    data = data[data > 0]
    if len(data) < 20 or data[0] == data[-1]:
        raise ValueError(f"values: got {len(data)} positive values, expected at least 20 that are not all equal")
    if not max_alpha > 1:
        raise ValueError(f"max_alpha: got {max_alpha}, expected a number above 1")
    if xmin is None:
        return _closest(data, max_alpha)
    tail = data[data >= _checks.real("xmin", xmin, positive=True)]
    if len(tail) < 2 or tail[-1] == xmin:
        raise ValueError(f"xmin: got {xmin}, expected at least two values at or above it, not all equal to it")
    logs = np.log(tail / xmin)
    alpha = min(1 + len(tail) / logs.sum(), max_alpha)
    distance = _distance(logs, np.searchsorted(tail, tail), len(tail), alpha)
    return PowerLaw(float(alpha), float(xmin), distance, len(tail), float(data[-1]))


def _distance(logs: np.ndarray, below: np.ndarray, size: int, alpha: float) -> float:
    """KS distance of one tail; logs = log(x / xmin), below = how many values of the tail are smaller than x."""
    return float(np.abs(below / size + np.expm1((1 - alpha) * logs)).max())


def _closest(data: np.ndarray, max_alpha: float) -> PowerLaw:
    """The tail with the smallest KS distance among all choices of xmin.

    A distance over a few points of every tail bounds its KS distance from below. Tails are then looked at in full, the
    most promising first, until no bound is under the best distance found: an exact answer in O(m log m) in practice.
    """
    points, below = np.unique(data, return_index=True)
    x, sizes = np.log(points), len(data) - below
    sums = np.cumsum(np.log(data)[::-1])[::-1][below] - sizes * x
    tails = np.arange(max(1, len(points) - 2))
    alphas = 1 + sizes[tails] / sums[tails]
    allowed = alphas < max_alpha if (alphas < max_alpha).any() else np.ones(len(tails), dtype=bool)
    tails, alphas = tails[allowed], np.minimum(alphas[allowed], max_alpha)

    steps = np.linspace(0, 1, _COARSE)
    look = tails[:, None] + np.rint(steps * (len(points) - 1 - tails)[:, None]).astype(int)
    rank = (below[look] - below[tails, None]) / sizes[tails, None]
    bounds = np.abs(rank + np.expm1((1 - alphas)[:, None] * (x[look] - x[tails, None]))).max(1)

    best, distance = -1, math.inf
    for k in np.argsort(bounds, kind="stable"):
        if bounds[k] > distance:
            break
        i = tails[k]
        d = _distance(x[i:] - x[i], below[i:] - below[i], sizes[i], alphas[k])
        if d < distance or (d == distance and k < best):
            best, distance = int(k), d
    return PowerLaw(float(alphas[best]), float(points[tails[best]]), distance, int(sizes[tails[best]]), float(data[-1]))
