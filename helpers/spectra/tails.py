"""Power-law tails: the Clauset-Shalizi-Newman fit."""

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import _checks
from .._checks import Array
from .values import SMALLEST

# 95% point of sqrt(m) times the KS distance between m draws of a power law and the exponent fitted to them, m large:
# that of the exponential distribution with fitted mean, which log(x / xmin) has. It is 1.05 for 20 draws and 1.08 for
# 150. Source: Stephens (1974); the table of Lilliefors (1969), from fewer draws of a computer, ends with 1.06.
CRITICAL_MISFIT = 1.094

# Over less than a decade hardly any two laws can be told apart.
LEAST_DYNAMIC_RANGE = 10.0

# Laws that `likelihood_ratio` knows.
RIVALS = ("exponential", "lognormal", "truncated_power_law", "stretched_exponential")


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
        Kolmogorov-Smirnov distance between the tail and the fit, on both sides of every step. Look at it before alpha.
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

    Notes
    -----
    The distance is the largest difference between the fitted law and the cdf of the tail, on both sides of every step,
    as in the paper. Its authors' program `plfit` and the package `powerlaw` look at one side. Theirs is smaller by at
    most 1 / m where all m values differ; with equal values `powerlaw` can find 0.1 where the distance is 0.9. So their
    choice of xmin, and with it of alpha, can be another one; for a given xmin, alpha is the same. The law is a
    continuous one; discrete power laws are not supported.

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
    low, high = (np.searchsorted(tail, tail, side) for side in ("left", "right"))
    distance = float(np.maximum(*_differences(logs, low, high, len(tail), alpha)).max())
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


def _differences(logs: Any, low: Any, high: Any, size: Any, alpha: Any) -> tuple[np.ndarray, np.ndarray]:
    """How far the law lies above the cdf of a tail below the step at x, and below it on the step; logs = log(x / xmin).

    Of the `size` values of the tail, `low` are smaller than x and `high` are not larger. The largest of all differences
    is the KS distance.
    """
    law = 1 - np.exp((1 - alpha) * logs)
    return law - low / size, high / size - law


def _closest(data: np.ndarray, max_alpha: float) -> PowerLaw:
    """The tail with the smallest KS distance among all choices of xmin.

    The tail that may be the closest is looked at in full. Where its law is farthest from its cdf, those of similar
    tails are far apart too: there the other tails are looked at, and those that are farther than the best found are
    out. Some ten or twenty rounds are left of m, and the answer is exact.
    """
    points, low = np.unique(data, return_index=True)
    high = np.append(low[1:], len(data))
    x, sizes = np.log(points), len(data) - low
    sums = np.cumsum(np.log(data)[::-1])[::-1][low] - sizes * x
    tails = np.arange(max(1, len(points) - 2))
    alphas = 1 + sizes[tails] / sums[tails]
    allowed = alphas < max_alpha if (alphas < max_alpha).any() else np.ones(len(tails), dtype=bool)
    tails, alphas = tails[allowed], np.minimum(alphas[allowed], max_alpha)

    def differences(k: Any, points: Any) -> tuple[np.ndarray, np.ndarray]:
        """Of the tails `k` at `points`, one of them or several."""
        i = tails[k]
        return _differences(x[points] - x[i], low[points] - low[i], high[points] - low[i], sizes[i], alphas[k])

    best, distance = 0, math.inf
    left, bounds = np.arange(len(tails)), np.zeros(len(tails))  # a KS distance is at least its bound
    while len(left):
        k = left[bounds[left].argmin()]
        own = np.maximum(*differences(k, np.arange(tails[k], len(points))))
        if own.max() < distance or (own.max() == distance and k < best):
            best, distance = int(k), float(own.max())
        farthest = tails[k] + int(own.argmax())
        left = left[left != k]
        there = left[tails[left] <= farthest]
        bounds[there] = np.maximum(bounds[there], np.maximum(*differences(there, farthest)))
        left = left[bounds[left] <= distance]
    return PowerLaw(float(alphas[best]), float(points[tails[best]]), distance, int(sizes[tails[best]]), float(data[-1]))
