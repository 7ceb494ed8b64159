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

`noise` adds a free semicircle of that variance: with zeta = w (s + r) in place of z above and m(zeta) the
transform there, z = zeta - noise m(zeta), and z is outside iff, besides, noise m'(zeta) < 1.

Source: Silverstein and Choi (1995) for r = 0; Belinschi and Bercovici (2007), subordination, for r > 0;
Biane (1997) for the semicircle.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import dct
from scipy.optimize import brentq, minimize_scalar

from .law import Band
from .populations import DiscretePopulation, MarchenkoPasturPopulation

Population = MarchenkoPasturPopulation | DiscretePopulation
Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class _Model:
    pop: Population
    gamma: float
    r: float
    noise: float

    def outside(self, w: np.ndarray, inner: bool) -> Arrays:
        """At real w (m,) outside the population: z, zeta, s, and a number in [-1, 1], < 0 iff z is outside."""
        r, gamma = self.r, self.gamma
        with np.errstate(all="ignore"):
            first, second = (t.real for t in self.pop.transforms(w))
            u, g = gamma * first, gamma * (w * second - first)
            if r == 0:
                s = q = 1 + u
                excess = (g - 1) / (g + 1)
            else:
                a = 1 + u - r
                root = np.hypot(a, 2 * np.sqrt(r))
                s = np.where(a >= 0, (a + root) / 2, 2 * r / (root - a))
                q = s + r
                if inner:
                    s, q = -r / s, r * u / q
                pull, push = g * s**2, q**2
                excess = (pull - push) / (pull + push)
            z = zeta = w * q
            if self.noise:
                slope = q - gamma * w * second / (1 + r / s**2)  # d zeta / dw
                spread = self.noise * (second / (zeta * slope) + (1 + first) / zeta**2)
                z = zeta + self.noise * (1 + first) / zeta
                excess = np.where(excess < 0, (spread - 1) / (spread + 1), 1.0)
            return z, zeta, s, np.nan_to_num(excess, nan=1.0)

    def newton(self, z: np.ndarray, s: np.ndarray, zeta: np.ndarray) -> Arrays:
        """Newton's method for (s, zeta) at the points z, from guesses, all (m,).

        Returns both, their slopes in z, and which are right: converged, Im s < 0 < Im w,
        |s - 1|^2 <= gamma and 0 < Im zeta where there is noise.
        """
        pop, gamma, r, noise = self.pop, self.gamma, self.r, self.noise
        s, zeta, done = s.astype(complex), zeta.astype(complex), np.zeros(len(s), bool)
        slope_s, slope_zeta = np.zeros_like(s), np.ones_like(s)
        active = np.arange(len(s))
        for _ in range(15):
            x, y = s[active], zeta[active]
            w = y / (x + r)
            first, second = pop.transforms(w)
            mass = (1 + first) / y  # minus the Stieltjes transform
            value, error = gamma * first - (x - 1) * (x + r) / x, y + noise * mass - z[active]
            in_y = -gamma * second / (x + r)  # the Jacobian, row by row
            in_x = -in_y * w - (1 + r / x**2)
            error_y = 1 - noise * (second / (x + r) + mass) / y
            error_x = noise * second / (x + r) ** 2
            det = in_x * error_y - in_y * error_x
            step = (value * error_y - error * in_y) / det
            s[active], zeta[active] = x - step, y - (in_x * error - error_x * value) / det
            slope_s[active], slope_zeta[active] = -in_y / det, in_x / det
            done[active] = np.abs(step) < 1e-8 * np.abs(x)  # it converges quadratically
            active = active[~done[active]]
            if not len(active):
                break
        right = done & (s.imag < -1e-11 * np.abs(s)) & ((zeta / (s + r)).imag > 0)  # rounding is not a sign
        right &= np.abs(s - 1) ** 2 < gamma * (1 + 1e-9)  # equal when Phi = I and r = 0
        return s, zeta, slope_s, slope_zeta, right & ((zeta.imag > 0) | (noise == 0))


def _arcs(model: _Model) -> list[tuple[int, Callable[[np.ndarray], np.ndarray], tuple[float, float]]]:
    """Stretches of the real w line outside the population: (samples, map from [0, 1] to w, the two ends).

    The first runs from the top of the population up through infinity to its bottom.
    """
    pop = model.pop

    def around(v: np.ndarray) -> np.ndarray:
        far = pop.highest * 10.0 ** (-15 + 20 * np.where(v < 0.5, 2 * v, 2 - 2 * v))
        return np.where(v < 0.5, pop.highest + far, pop.lowest - far)

    def between(lo: float, hi: float) -> Callable[[np.ndarray], np.ndarray]:
        def place(v: np.ndarray) -> np.ndarray:
            x = 60 * v - 30
            return np.where(v < 0.5, lo + (hi - lo) / (1 + np.exp(-x)), hi - (hi - lo) / (1 + np.exp(x)))

        return place

    gaps = [(121, between(lo, hi), (lo, hi)) for lo, hi in pop.gaps(model.gamma, model.r)]
    return [(1001, around, (pop.highest, pop.lowest)), *gaps]


def _gaps(model: _Model) -> list[tuple[tuple[float, float], tuple[float, float]]]:
    """Gaps of the spectrum as ((z, mass below) at the left end, the same at the right end), unsorted.

    The first contains infinity: it runs from the spectrum's top up to infinity and on to its bottom.
    """
    pop, gamma, r = model.pop, model.gamma, model.r
    heavy = [value for value, mass in pop.atoms if gamma * mass > 1]
    found = []
    for samples, place, poles in _arcs(model):
        for inner in (False,) if r == 0 else (False, True):

            def at(v: ArrayLike, place: Callable = place, inner: bool = inner) -> Arrays:
                w = place(np.atleast_1d(v))
                return w, *model.outside(w, inner)

            def excess(v: float) -> float:
                return at(v)[4][0]

            def end(v: float, pole: float | None) -> tuple[float, float]:
                w, z, zeta, s, _ = (float(t[0]) for t in at(v))
                if pole in heavy:
                    z = r * pole  # an atom of the spectrum
                if zeta <= 0:
                    return (z if model.noise else 0.0), 0.0
                return z, (pop.mass_below(w) if s + r > 0 else 1.0) - (s < 0) / gamma

            grid = np.linspace(0, 1, samples)
            values = at(grid)[4]
            if not (values < 0).any():  # a gap narrower than the samples' spacing
                k = int(np.argmin(values))
                around = grid[max(k - 1, 0)], grid[min(k + 1, samples - 1)]
                best = minimize_scalar(excess, bounds=around, method="bounded").x
                grid = np.sort(np.append(grid, best))
                values = at(grid)[4]
            inside = np.concatenate([[False], values < 0, [False]])
            starts = np.flatnonzero(inside[1:] & ~inside[:-1])
            stops = np.flatnonzero(inside[:-1] & ~inside[1:]) - 1
            for i, j in zip(starts, stops, strict=True):
                last = j == len(grid) - 1
                left = 0.0 if i == 0 else brentq(excess, grid[i - 1], grid[i], xtol=1e-15)
                right = 1.0 if last else brentq(excess, grid[j], grid[j + 1], xtol=1e-15)
                found.append((end(left, poles[0] if i == 0 else None), end(right, poles[1] if last else None)))
    return found


def _inside(
    model: _Model, x: np.ndarray, s: np.ndarray, zeta: np.ndarray, edges: tuple[float, float], top: float
) -> Arrays:
    """The complex s and zeta at points x (m,) inside the spectrum.

    Newton from the guesses where that works; elsewhere by continuation from far above the real axis.
    """
    with np.errstate(all="ignore"):
        s, zeta, _, _, good = model.newton(x + 0j, s, zeta)
        left = np.flatnonzero(~good)
        room = np.minimum(x - edges[0], edges[1] - x)[left] / 2
        height, shrink = np.full(len(left), 4.0 * top), np.full(len(left), 0.5)
        z = x[left] + 1j * height
        state = model.newton(z, np.ones(len(left)), z)[:4]
        for _ in range(300):
            target = height * shrink
            target[target < room] = 0
            down = 1j * (target - height)
            a, b, slope_a, slope_b = state
            *new, good = model.newton(x[left] + 1j * target, a + down * slope_a, b + down * slope_b)
            state = [np.where(good, after, before) for after, before in zip(new, state, strict=True)]
            height, room = np.where(good, target, height), np.where(good, room, room / 8)
            shrink = np.where(good, 0.5, np.sqrt(shrink))
            s[left], zeta[left] = state[:2]
            keep = height > 0
            left, room, height, shrink, *state = (a[keep] for a in (left, room, height, shrink, *state))
            if not len(left):
                return s, zeta
    raise ArithmeticError(f"no root at {len(left)} of {len(x)} points between {edges[0]:.6g} and {edges[1]:.6g}")


def _band(model: _Model, lo: float, hi: float, mass: float, points: int, top: float) -> Band:
    """The band [lo, hi] that holds `mass`, with as many nodes as that takes."""
    mid, half, gamma, r = (lo + hi) / 2, (hi - lo) / 2, model.gamma, model.r
    before, s, zeta = np.array([0, np.pi]), np.array([1.0, 1.0]), np.array([lo, hi])
    while True:
        angle = (np.arange(points) + 0.5) * np.pi / points
        x = mid - half * np.cos(angle)
        s, zeta = (np.interp(angle, before, t.real) + 1j * np.interp(angle, before, t.imag) for t in (s, zeta))
        s, zeta = _inside(model, x, s, zeta if model.noise else x, (lo, hi), top)
        u = s + r - 1 - r / s
        density = -((1 + u / gamma) / zeta).imag / np.pi
        c = dct(density * half * np.sin(angle)) / points
        c[0] /= 2
        tail = np.abs(c[-points // 8 :]).max() / points  # what the next terms would add to the cdf
        small = tail < 1e-10 * c[0] and abs(c[0] * np.pi - mass) < 1e-9 * mass
        if small or points >= model.pop.most_nodes:
            break
        before, points = angle, 2 * points
    if abs(c[0] * np.pi - mass) > 5e-3:
        raise ArithmeticError(f"mass {c[0] * np.pi:.6f} instead of {mass:.6f} between {lo:.6g} and {hi:.6g}")
    c[0] = mass / np.pi  # known exactly; matters only where the density is unbounded at 0
    return Band(lo, hi, c[: np.flatnonzero(np.abs(c) > 1e-13 * c[0])[-1] + 1])


def spectrum(
    pop: Population, gamma: float, r: float = 0.0, noise: float = 0.0
) -> tuple[tuple[Band, ...], tuple[tuple[float, float], ...]]:
    """Bands (ascending) and atoms, (location, mass), of the spectrum of Phi^(1/2) (G G'/h + r I) Phi^(1/2).

    `pop`: a population with some mass above 0; gamma = n/h > 0; r >= 0. `noise` >= 0: the variance of a
    semicircle added freely; it dissolves the atoms. All masses add up to 1.
    Raises ArithmeticError if the equation is not solved to the accuracy of this module, ValueError if `noise`
    is added to a spectrum that may have an atom at 0.
    """
    if noise and (r == 0 or pop.zero):
        raise ValueError(f"noise: got {noise}, expected 0 where r = 0 or the population has mass at 0")
    model = _Model(pop, gamma, r, noise)
    (top, bottom), *inner = _gaps(model)
    inner = sorted(gap for gap in inner if gap[0][0] >= bottom[0] and gap[1][0] <= top[0])
    ends = [bottom] + [end for gap in inner for end in gap] + [top]
    pairs = [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True) if b[0] > a[0]]
    many = 64 if len(pairs) < 8 else 16
    bands = tuple(_band(model, a[0], b[0], b[1] - a[1], many, top[0]) for a, b in pairs)
    if noise:
        return bands, ()
    zero = max(pop.zero, 1 - 1 / gamma) if r == 0 else pop.zero
    atoms = [(0.0, zero)] if zero > 0 else []
    if r > 0:
        atoms += [(r * value, mass - 1 / gamma) for value, mass in pop.atoms if mass > 1 / gamma]
    return bands, tuple(atoms)
