"""Training: any torch optimizer, a history that costs nothing, a stop rule, and a clear end where it diverges."""

from .history import TrainingDiverged, loss, r2
from .loop import Run, train
from .muon import Muon
from .settings import TRAININGS

__all__ = ["TRAININGS", "Muon", "Run", "TrainingDiverged", "loss", "r2", "train"]
