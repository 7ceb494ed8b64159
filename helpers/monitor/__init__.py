"""Watch the spectra of any torch model while it trains: `SpectralMonitor`, and its callbacks for other loops."""

from . import callbacks, report
from .monitor import SpectralMonitor
from .trajectory import COLUMNS

__all__ = ["COLUMNS", "SpectralMonitor", "callbacks", "report"]
