"""Figures: what is drawn has the right mass, bins and names."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from helpers import plots


class Uniform:
    support = ((0.0, 1.0),)

    def density(self, x):
        return ((x > 0) & (x < 1)).astype(float)


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def areas(ax):
    return [np.sum(p.get_data().values * np.diff(p.get_data().edges)) for p in ax.patches]


def test_before_and_after_share_bins_and_mass(ax):
    rng = np.random.default_rng(0)
    plots.spectrum(ax, rng.random(500), rng.random(500) * 2, law=Uniform(), outliers=[1.9], bins=30)
    assert areas(ax) == pytest.approx([1, 1])
    first, second = (p.get_data().edges for p in ax.patches)
    assert np.array_equal(first, second) and len(first) == 31
    assert [t.get_text() for t in ax.texts] == ["outlier"]
    assert ax.get_legend_handles_labels()[1] == ["start", "trained", "theory"]


def test_zeros_count_in_the_mass_but_are_not_drawn(ax):
    values = np.r_[np.zeros(250), np.full(250, 1e-9), np.random.default_rng(0).random(500) + 1]
    plots.spectrum(ax, values, atom=True)
    assert areas(ax) == pytest.approx([0.5])


def test_empty_spectra_are_refused(ax):
    for bad in ([], [np.nan, 1.0]):
        with pytest.raises(ValueError, match="spectrum"):
            plots.spectrum(ax, bad)


def test_theme_is_white_and_colorful():
    with matplotlib.rc_context():
        plots.use_theme()
        assert matplotlib.rcParams["figure.facecolor"] == "white"
        assert [to_hex(c["color"]).upper() for c in matplotlib.rcParams["axes.prop_cycle"]] == list(plots.CYCLE)


STATES = """
import sys, warnings
import matplotlib, numpy, pandas, powerlaw, scipy.sparse.linalg, seaborn, sklearn, torch, torch.optim, tqdm

def states():
    numbers = numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    return {"theme": dict(matplotlib.rcParams), "numbers": numbers, "filters": warnings.filters[:]}

before = states()
from helpers import activations, claims, data, kernels, networks, plots, spectra, training
exec(sys.argv[1])
print(*[name for name, state in states().items() if state != before[name]])
"""


EVERYTHING = "plots.use_theme(); torch.manual_seed(5); warnings.simplefilter('error')"


@pytest.mark.parametrize("then, changed", [("", ""), (EVERYTHING, "theme numbers filters")])
def test_importing_changes_no_global_state(then, changed):
    import subprocess
    import sys

    done = subprocess.run([sys.executable, "-c", STATES, then], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == changed


def test_a_tensor_is_drawn_like_an_array():
    values, (_, (left, right)) = np.linspace(1, 4, 50), plt.subplots(1, 2)
    plots.spectrum(left, values)
    plots.spectrum(right, torch.from_numpy(values).requires_grad_())
    first, second = (ax.patches[0].get_data().values for ax in (left, right))
    assert np.array_equal(first, second)
    plt.close("all")
