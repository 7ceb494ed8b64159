"""A SpectralMonitor in the training loops of Lightning and of transformers, neither of which is needed otherwise."""

from importlib import import_module
from typing import Any

from .monitor import SpectralMonitor


def lightning(monitor: SpectralMonitor) -> Any:
    """A callback for `Trainer(callbacks=[...])` of Lightning that records after optimizer steps.

    Parameters
    ----------
    monitor : SpectralMonitor
        Of the LightningModule that is trained. Steps are counted as `trainer.global_step`, so that a run resumed from a
        checkpoint goes on where that was.

    Returns
    -------
    lightning.pytorch.Callback
        For the trainer.

    Raises
    ------
    ModuleNotFoundError
        If neither `lightning` nor `pytorch_lightning` is installed.
    TypeError
        If it is no monitor.

    Examples
    --------
    >>> Trainer(callbacks=[callbacks.lightning(monitor)]).fit(module, loader)  # doctest: +SKIP
    """
    try:
        package = import_module("lightning.pytorch")
    except ModuleNotFoundError:
        package = import_module("pytorch_lightning")
    callback: Any = package.Callback

    _checked(monitor)

    class Watch(callback):
        def on_train_batch_end(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
            monitor.step(trainer.global_step)

    return Watch()


def transformers(monitor: SpectralMonitor) -> Any:
    """A callback for `Trainer(callbacks=[...])` of transformers that records after optimizer steps.

    Parameters
    ----------
    monitor : SpectralMonitor
        Of the model that is trained. Steps are counted as `state.global_step`, so that a run resumed from a checkpoint
        goes on where that was.

    Returns
    -------
    transformers.TrainerCallback
        For the trainer.

    Raises
    ------
    ModuleNotFoundError
        If `transformers` is not installed.
    TypeError
        If it is no monitor.

    Examples
    --------
    >>> Trainer(model=model, callbacks=[callbacks.transformers(monitor)], ...).train()  # doctest: +SKIP
    """
    from transformers import TrainerCallback

    _checked(monitor)

    class Watch(TrainerCallback):
        def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            monitor.step(state.global_step + 1)  # it is counted after this call, when the gradients are gone

    return Watch()


def _checked(monitor: SpectralMonitor) -> None:
    if not isinstance(monitor, SpectralMonitor):
        raise TypeError(f"monitor: got {type(monitor).__name__}, expected a SpectralMonitor")
