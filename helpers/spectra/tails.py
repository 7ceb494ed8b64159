"""Power-law tails: the Clauset-Shalizi-Newman fit."""

import math
import warnings
from dataclasses import dataclass

import numpy as np

from .. import _checks
from .._checks import Array
from .values import SMALLEST

# 95% point of sqrt(m) times the KS distance between m draws of a power law and the exponent fitted to them, m large.
# Source: Lilliefors (1969), whose table for the exponential distribution is that of log(x / xmin).
CRITICAL_MISFIT = 1.08

# Over less than a decade hardly any two laws can be told apart.
LEAST_DYNAMIC_RANGE = 10.0

# Laws that `likelihood_ratio` knows.
RIVALS = ("exponential", "lognormal", "truncated_power_law", "stretched_exponential")

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
    >>> round(fit.misfit, 4), fit.dynamic_range, fit.plausible
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
    def dynamic_range(self) -> float:
        """Largest value over the start of the tail."""
        return self.largest / self.xmin

    @property
    def plausible(self) -> bool:
        """Whether the fit passes the tests of distance and dynamic range.

        The misfit must lie below `CRITICAL_MISFIT`, the dynamic range above `LEAST_DYNAMIC_RANGE`. The first test is
        lenient: xmin was chosen to make the distance small, and eigenvalues repel each other, which makes them smoother
        than independent draws. What fails it fails clearly. A third test is `likelihood_ratio`.
        """
        return self.misfit < CRITICAL_MISFIT and self.dynamic_range > LEAST_DYNAMIC_RANGE


def fit_power_law(values: Array, *, xmin: float | None = None, max_alpha: float = math.inf) -> PowerLaw:
    """Fit a power law to the upper tail: maximum likelihood for alpha, the smallest KS distance for xmin.

    alpha = 1 + m / sum log(x_i / xmin) over the m values of the tail. Every distinct value but the two largest is
    tried as xmin, unless it is given. Any spectrum has some alpha: `PowerLaw.plausible` says whether to believe it.

    Parameters
    ----------
    values : array or tensor, (m,)
        At least 20 positive ones; zero and negative values are left out.
    xmin : float, optional
        Start of the tail, where it is known; at least two values must lie at or above it.
    max_alpha : float, optional
        Upper bound on alpha, above 1; by default none. With 3, only tails with alpha below 3 are in the running, and
        where there is none, alpha is 3: this is what the package `powerlaw` (2.0) does unless told otherwise. A thin
        tail then cannot show itself by its alpha.

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
    data = _positive(values)
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


def likelihood_ratio(values: Array, rival: str, *, xmin: float | None = None) -> tuple[float, float]:
    """Whether a tail is better described by a power law or by a rival, by the package `powerlaw`.

    Parameters
    ----------
    values : array or tensor, (m,)
        As in `fit_power_law`.
    rival : {"exponential", "lognormal", "truncated_power_law", "stretched_exponential"}
        The other law, fitted to the same tail.
    xmin : float, optional
        Start of the tail; by default that of `fit_power_law`.

    Returns
    -------
    ratio : float
        Log-likelihood of the power law minus that of the rival: above 0 where the power law is ahead.
    p : float
        Above 0.1 or so the data cannot decide between the two.

    Raises
    ------
    ValueError
        If the rival is unknown; as `fit_power_law` does.

    References
    ----------
    Vuong (1989); Clauset, Shalizi and Newman (2009), section 5.

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import spectra
    >>> values = np.linspace(0.001, 0.999, 500) ** (-1 / 1.5)
    >>> ratio, p = spectra.likelihood_ratio(values, "exponential")
    >>> ratio > 0, p < 0.01
    (True, True)
    """
    import powerlaw  # slow to import, and needed for this alone

    if rival not in RIVALS:
        raise ValueError(f"rival: got {rival!r}, expected one of {', '.join(RIVALS)}")
    start = fit_power_law(values, xmin=xmin).xmin
    data = _checks.array("values", values, None).double().cpu().numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rivals are fitted numerically, and say so
        judge = powerlaw.Fit(data, xmin=start, verbose=False, parameter_ranges={"alpha": [1, 1e6]})
        ratio, p = judge.distribution_compare("power_law", rival)
    return float(ratio), float(p)


def hill(values: Array, *, part: float = 0.5) -> float:
    """The exponent of the upper part of a spectrum by Hill's estimate, whatever the law: PL_Alpha_Hill.

    alpha = 1 + k / sum log(x_i / x_k) over the k largest values, the smallest of them x_k among them.

    Parameters
    ----------
    values : array or tensor, (m,)
        At least 20 positive ones, such as the eigenvalues of W'W; zero and negative values are left out.
    part : float
        k over m, in (0, 1].

    Returns
    -------
    float
        It compares layers of one shape only: of a random matrix it is given by the shape.

    Raises
    ------
    ValueError
        If part is out of range, or the values are too few or equal.

    References
    ----------
    Hill (1975); as a measure of layers, Zhou et al. (2023).

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import spectra
    >>> values = np.linspace(0.001, 0.999, 500) ** (-1 / 1.5)
    >>> round(spectra.hill(values), 1)
    2.5
    """
    if not 0 < _checks.real("part", part, positive=True) <= 1:
        raise ValueError(f"part: got {part}, expected a number above 0, at most 1")
    data = _positive(values)
    tail = data[-max(2, round(part * len(data))) :]
    logs = np.log(tail / tail[0])
    if not logs.sum() > 0:
        raise ValueError("values: got equal values in this part, expected some that differ")
    return float(1 + len(tail) / logs.sum())


def hill_curve(values: Array, most: int = 500) -> tuple[np.ndarray, np.ndarray]:
    """The Hill plot: the exponent from the k largest values against k; a power law gives a plateau.

    Parameters
    ----------
    values : array or tensor, (m,)
        At least 20 positive ones; zero and negative values are left out.
    most : int
        The largest k, at least 2.

    Returns
    -------
    k : array
        2, 3, ..., at most one less than the number of values.
    alpha : array
        1 + k / sum log(x_i / x_(k+1)) over the k largest; infinite where these are equal.

    Raises
    ------
    TypeError, ValueError
        If most is no integer of at least 2, or the values are too few or equal.

    References
    ----------
    Hill (1975).

    Examples
    --------
    >>> import numpy as np
    >>> from helpers import spectra
    >>> k, alpha = spectra.hill_curve(np.arange(1, 101) ** (-1 / 1.5), most=50)
    >>> int(k[-1]), round(float(alpha[-1]), 1)
    (50, 2.6)
    """
    logs = np.log(_positive(values)[::-1])[: _checks.integer("most", most, least=2) + 1]
    k = np.arange(2, len(logs))
    with np.errstate(divide="ignore"):
        return k, 1 + k / (np.cumsum(logs)[1:-1] - k * logs[2:])


def _positive(values: Array) -> np.ndarray:
    """The positive values, ascending; enough of them, and not all equal."""
    data = np.sort(_checks.array("values", values, None).double().cpu().numpy())
    data = data[data > 0]
    if len(data) < SMALLEST or data[0] == data[-1]:
        raise ValueError(
            f"values: got {len(data)} positive values, expected at least {SMALLEST} that are not all equal"
        )
    return data


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
