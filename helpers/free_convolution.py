"""Spectrum of Phi^(1/2) (G G'/h + r I) Phi^(1/2): its edges, atoms and density, for any population Phi.

Phi is n x n with eigenvalues phi of law nu; G is n x h, i.i.d. N(0, 1); gamma = n/h and r >= 0. With
s = 1 / (1 + gamma int phi / ((s + r) phi - z) dnu), the Stieltjes transform at z is
int 1 / ((s + r) phi - z) dnu. Put w = z / (s + r) and u(w) = gamma int phi / (w - phi) dnu. Then

    (s - 1)(s + r) = s u(w),        z = w (s + r),

so z is an explicit function of a real w outside the population, on two branches (s > 0 and s < 0;
they are one when r = 0). A real z lies outside the spectrum iff dz/dw > 0 there, which reads

    gamma int (phi / (w - phi))^2 dnu < (1 + r/s)^2,

and the spectrum's edges are the roots of that inequality. The mass to the left of such a z > 0 is
nu{(s + r) phi < z} - [s < 0] / gamma. Inside the spectrum Newton's method solves for the complex s:
a root with Im s < 0 < Im w and |s - 1|^2 <= gamma is the right one, since only one root has these signs.

Source: Silverstein and Choi (1995) for r = 0; Belinschi and Bercovici (2007), subordination, for r > 0.
"""

from dataclasses import dataclass

import numpy as np
from numpy.polynomial.polynomial import polyval
from scipy.fft import dct
from scipy.optimize import brentq, minimize_scalar

@dataclass(frozen=True, eq=False)
class MarchenkoPasturPopulation:
    """phi = offset + slope mu with mu Marchenko-Pastur of this ratio, its atom included (slope > 0)."""

    ratio: float
    offset: float
    slope: float

    most_nodes = 8192  # of a band; each costs little here

    @property
    def _bulk(self):
        return tuple(self.offset + self.slope * (1 + sign * self.ratio**0.5) ** 2 for sign in (-1, 1))

    @property
    def zero(self) -> float:
        """Mass at phi = 0."""
        return max(0.0, 1 - 1 / self.ratio) if self.offset == 0 else 0.0

    @property
    def atoms(self):
        """Atoms at phi > 0, as (value, mass)."""
        return ((self.offset, 1 - 1 / self.ratio),) if self.offset > 0 and self.ratio > 1 else ()

    @property
    def lowest(self) -> float:
        """Bottom of the positive part of the support."""
        return self.atoms[0][0] if self.atoms else self._bulk[0]

    @property
    def highest(self) -> float:
        """Top of the support."""
        return self._bulk[1]

    def gaps(self, gamma: float, r: float):
        """Bounded gaps (lo, hi) of the population in which the spectrum may have a gap."""
        return [(self.offset, self._bulk[0])] if self.atoms else []

    def mass_below(self, w: float) -> float:
        """nu{phi < w} for w > 0 outside the support."""
        if w >= self.highest:
            return 1.0
        return self.zero + sum(mass for value, mass in self.atoms if value < w)

    def transforms(self, w: np.ndarray):
        """int phi / (w - phi) dnu and int phi / (w - phi)^2 dnu at the points w, each of w's shape."""
        c = self.ratio
        zeta = (w - self.offset) / self.slope + 0j
        root = np.sqrt(zeta - (1 - c**0.5) ** 2) * np.sqrt(zeta - (1 + c**0.5) ** 2)
        a = zeta + c - 1
        with np.errstate(divide="ignore", invalid="ignore"):
            stable = np.abs(a + root) >= np.abs(a - root)
            g = np.where(stable, 2 / (a + root), (a - root) / (2 * c * zeta)) / self.slope
            slope = -g * (1 - c * self.slope * g) / root / self.slope
            return w * g - 1, -g - w * slope


@dataclass(frozen=True, eq=False)
class DiscretePopulation:
    """phi takes `values` (ascending, positive) with `weights`; mass `zero` sits at 0.

    `bulks`: the intervals that the values stand for when they are quadrature nodes of a smooth law
    (no gap is looked for inside them); None when they are eigenvalues, each an atom of its own.
    """

    values: np.ndarray
    weights: np.ndarray
    zero: float
    atoms: tuple[tuple[float, float], ...]
    bulks: tuple[tuple[float, float], ...] | None = None

    most_nodes = 2048  # of a band; each costs len(values) here

    @property
    def lowest(self) -> float:
        return self.values[0] if self.bulks is None else self.bulks[0][0]

    @property
    def highest(self) -> float:
        return self.values[-1] if self.bulks is None else self.bulks[-1][1]

    def mass_below(self, w: float) -> float:
        return self.zero + self.weights[self.values < w].sum()

    def transforms(self, w: np.ndarray):
        power = self.weights * self.values
        first, second = np.empty(w.shape, w.dtype), np.empty(w.shape, w.dtype)
        block = max(1, 500_000 // len(power))
        for i in range(0, len(w), block):
            inverse = 1 / (w[i : i + block, None] - self.values)
            first[i : i + block] = inverse @ power
            second[i : i + block] = np.square(inverse, out=inverse) @ power
        return first, second

    def gaps(self, gamma: float, r: float):
        if self.bulks is not None:
            return [(a[1], b[0]) for a, b in zip(self.bulks, self.bulks[1:])]
        # The two neighbors alone push the left side of the edge inequality above `near`^2, and its right
        # side is at most (1 + r + |u|)^2: gaps where this already forbids a solution are dropped.
        values, weights = self.values, self.weights
        lo, hi = values[:-1], values[1:]
        pull = gamma * weights * values**2
        near = (np.cbrt(pull[:-1]) + np.cbrt(pull[1:])) ** 1.5 / (hi - lo)
        if r == 0:
            keep = near < 1
        else:
            far = np.array([self._one_sided(i) for i in range(len(lo))]) * gamma
            share = np.sqrt(gamma * np.maximum(weights[:-1], weights[1:]))
            keep = (1 - share) * near < 1 + r + far
        return list(zip(lo[keep], hi[keep]))

    def _one_sided(self, i):
        power = self.weights * self.values
        left = power[:i] @ (1 / (self.values[i] - self.values[:i]))
        right = power[i + 2 :] @ (1 / (self.values[i + 2 :] - self.values[i + 1]))
        return max(left, right)


@dataclass(frozen=True, eq=False)
class Band:
    """One interval [lo, hi] of a spectrum: x = mid - half cos(theta), mass per d theta = sum_k c_k cos(k theta)."""

    lo: float
    hi: float
    coefficients: np.ndarray

    def _angle(self, x):
        return 2 * np.arctan2(np.sqrt(x - self.lo), np.sqrt(self.hi - x))

    def density(self, x: np.ndarray) -> np.ndarray:
        """Density at x (m,), strictly inside the band."""
        power = polyval(np.exp(1j * self._angle(x)), self.coefficients).real
        return np.maximum(power, 0) / np.sqrt((x - self.lo) * (self.hi - x))

    def mass_below(self, x: np.ndarray) -> np.ndarray:
        """Mass of [lo, x] at x (m,) in [lo, hi]."""
        angle, c = self._angle(x), self.coefficients
        series = np.concatenate([[0], c[1:] / np.arange(1, len(c))])
        return c[0] * angle + polyval(np.exp(1j * angle), series).imag

    def nodes(self, points: int):
        """Nodes and weights, each (points,): Gauss-Chebyshev in theta."""
        angle = (np.arange(points) + 0.5) * np.pi / points
        weights = polyval(np.exp(1j * angle), self.coefficients).real * np.pi / points
        return (self.lo + self.hi) / 2 - (self.hi - self.lo) / 2 * np.cos(angle), weights


def _outside(pop, w, gamma, r, inner):
    """At real w (m,) outside the population: z, s, and a number in [-1, 1], < 0 iff z is outside the spectrum."""
    with np.errstate(all="ignore"):
        first, second = (t.real for t in pop.transforms(w))
        u, g = gamma * first, gamma * (w * second - first)
        if r == 0:
            return w * (1 + u), 1 + u, np.nan_to_num((g - 1) / (g + 1), nan=1.0)
        a = 1 + u - r
        root = np.hypot(a, 2 * np.sqrt(r))
        s = np.where(a >= 0, (a + root) / 2, 2 * r / (root - a))
        q = s + r
        if inner:
            s, q = -r / s, r * u / q
        pull, push = g * s**2, q**2
        return w * q, s, np.nan_to_num((pull - push) / (pull + push), nan=1.0)


def _arcs(pop, gamma, r):
    """Stretches of the real w line outside the population: (samples, map from [0, 1] to w, the two ends).

    The first runs from the top of the population up through infinity to its bottom.
    """

    def around(v):
        far = pop.highest * 10.0 ** (-15 + 20 * np.where(v < 0.5, 2 * v, 2 - 2 * v))
        return np.where(v < 0.5, pop.highest + far, pop.lowest - far)

    def between(lo, hi):
        def place(v):
            x = 60 * v - 30
            return np.where(v < 0.5, lo + (hi - lo) / (1 + np.exp(-x)), hi - (hi - lo) / (1 + np.exp(x)))

        return place

    gaps = [(121, between(lo, hi), (lo, hi)) for lo, hi in pop.gaps(gamma, r)]
    return [(1001, around, (pop.highest, pop.lowest))] + gaps


def _gaps(pop, gamma, r):
    """Gaps of the spectrum as ((z, mass below) at the left end, the same at the right end), unsorted.

    The first contains infinity: it runs from the spectrum's top up to infinity and on to its bottom.
    """
    heavy = [value for value, mass in pop.atoms if gamma * mass > 1]
    found = []
    for samples, place, poles in _arcs(pop, gamma, r):
        for inner in (False,) if r == 0 else (False, True):

            def at(v):
                w = place(np.atleast_1d(v))
                return w, *_outside(pop, w, gamma, r, inner)

            def excess(v):
                return at(v)[3][0]

            def end(v, pole):
                w, z, s, _ = (float(t[0]) for t in at(v))
                if pole in heavy:
                    z = r * pole  # an atom of the spectrum
                if z <= 0:
                    return 0.0, 0.0
                return z, (pop.mass_below(w) if s + r > 0 else 1.0) - (s < 0) / gamma

            grid = np.linspace(0, 1, samples)
            values = at(grid)[3]
            if not (values < 0).any():  # a gap narrower than the samples' spacing
                k = int(np.argmin(values))
                around = grid[max(k - 1, 0)], grid[min(k + 1, samples - 1)]
                best = minimize_scalar(excess, bounds=around, method="bounded").x
                grid = np.sort(np.append(grid, best))
                values = at(grid)[3]
            inside = np.concatenate([[False], values < 0, [False]])
            starts = np.flatnonzero(inside[1:] & ~inside[:-1])
            stops = np.flatnonzero(inside[:-1] & ~inside[1:]) - 1
            for i, j in zip(starts, stops):
                last = j == len(grid) - 1
                left = 0.0 if i == 0 else brentq(excess, grid[i - 1], grid[i], xtol=1e-15)
                right = 1.0 if last else brentq(excess, grid[j], grid[j + 1], xtol=1e-15)
                found.append((end(left, poles[0] if i == 0 else None), end(right, poles[1] if last else None)))
    return found


def _newton(pop, z, s, gamma, r):
    """Newton's method for s at the points z, from the guesses s, all (m,): s, ds/dz, and whether s is right.

    Right: converged, Im s < 0 < Im w and |s - 1|^2 <= gamma.
    """
    s, slope_z, done = s.astype(complex), np.zeros(len(s), complex), np.zeros(len(s), bool)
    active = np.arange(len(s))
    for _ in range(15):
        x, y = s[active], z[active]
        w = y / (x + r)
        first, second = pop.transforms(w)
        value = gamma * first - (x - 1) * (x + r) / x
        slope = gamma * second * w / (x + r) - (1 + r / x**2)
        step = value / slope
        slope_z[active] = gamma * second / (x + r) / slope
        s[active] = x - step
        done[active] = np.abs(step) < 1e-8 * np.abs(x)  # it converges quadratically
        active = active[~done[active]]
        if not len(active):
            break
    positive = (s.imag < -1e-11 * np.abs(s)) & ((z / (s + r)).imag > 0)  # rounding is not a sign
    return s, slope_z, done & positive & (np.abs(s - 1) ** 2 < gamma * (1 + 1e-9))  # equal when Phi = I, r = 0


def _inside(pop, x, guess, gamma, r, edges, top):
    """The complex s at points x (m,) inside the spectrum.

    Newton from `guess` where that works; elsewhere by continuation from far above the real axis.
    """
    with np.errstate(all="ignore"):
        s, _, good = _newton(pop, x + 0j, guess, gamma, r)
        left = np.flatnonzero(~good)
        room = np.minimum(x - edges[0], edges[1] - x)[left] / 2
        height, shrink = np.full(len(left), 4.0 * top), np.full(len(left), 0.5)
        t, slope, _ = _newton(pop, x[left] + 1j * height, np.ones(len(left)), gamma, r)
        for _ in range(300):
            target = height * shrink
            target[target < room] = 0
            guess = t + 1j * (target - height) * slope
            new, new_slope, good = _newton(pop, x[left] + 1j * target, guess, gamma, r)
            t, slope, height = np.where(good, new, t), np.where(good, new_slope, slope), np.where(good, target, height)
            shrink = np.where(good, 0.5, np.sqrt(shrink))
            room = np.where(good, room, room / 8)
            s[left] = t
            keep = height > 0
            left, room, height, shrink, t, slope = (a[keep] for a in (left, room, height, shrink, t, slope))
            if not len(left):
                return s
    raise ArithmeticError(f"no root at {len(left)} of {len(x)} points between {edges[0]:.6g} and {edges[1]:.6g}")


def _band(pop, lo, hi, mass, gamma, r, points, top):
    """The band [lo, hi] that holds `mass`, with as many nodes as that takes."""
    mid, half = (lo + hi) / 2, (hi - lo) / 2
    before, s = np.array([0, np.pi]), np.array([1.0, 1.0])
    while True:
        angle = (np.arange(points) + 0.5) * np.pi / points
        x = mid - half * np.cos(angle)
        guess = np.interp(angle, before, s.real) + 1j * np.interp(angle, before, s.imag)
        s = _inside(pop, x, guess, gamma, r, (lo, hi), top)
        density = -s.imag * (1 + r / np.abs(s) ** 2) / (np.pi * gamma * x)
        c = dct(density * half * np.sin(angle)) / points
        c[0] /= 2
        tail = np.abs(c[-points // 8 :]).max() / points  # what the next terms would add to the cdf
        small = tail < 1e-10 * c[0] and abs(c[0] * np.pi - mass) < 1e-9 * mass
        if small or points >= pop.most_nodes:
            break
        before, points = angle, 2 * points
    if abs(c[0] * np.pi - mass) > 5e-3:
        raise ArithmeticError(f"mass {c[0] * np.pi:.6f} instead of {mass:.6f} between {lo:.6g} and {hi:.6g}")
    c[0] = mass / np.pi  # known exactly; matters only where the density is unbounded at 0
    return Band(lo, hi, c[: np.flatnonzero(np.abs(c) > 1e-13 * c[0])[-1] + 1])


def spectrum(pop, gamma: float, r: float = 0.0):
    """Bands (ascending) and atoms, (location, mass), of the spectrum of Phi^(1/2) (G G'/h + r I) Phi^(1/2).

    `pop`: a population with some mass above 0; gamma = n/h > 0; r >= 0. All masses add up to 1.
    Raises ArithmeticError if the equation is not solved to the accuracy of this module.
    """
    (top, bottom), *inner = _gaps(pop, gamma, r)
    inner = sorted(gap for gap in inner if gap[0][0] >= bottom[0] and gap[1][0] <= top[0])
    ends = [bottom] + [end for gap in inner for end in gap] + [top]
    pairs = [(a, b) for a, b in zip(ends[::2], ends[1::2]) if b[0] > a[0]]
    many = 64 if len(pairs) < 8 else 16
    bands = tuple(_band(pop, a[0], b[0], b[1] - a[1], gamma, r, many, top[0]) for a, b in pairs)
    zero = max(pop.zero, 1 - 1 / gamma) if r == 0 else pop.zero
    atoms = [(0.0, zero)] if zero > 0 else []
    if r > 0:
        atoms += [(r * value, mass - 1 / gamma) for value, mass in pop.atoms if mass > 1 / gamma]
    return bands, tuple(atoms)
