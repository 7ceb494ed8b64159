"""The monitor in the training loops of Lightning and transformers, the packages themselves."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from helpers import spectra
from helpers.monitor import SpectralMonitor, callbacks

X = torch.randn(96, 30, generator=torch.Generator().manual_seed(0))
Y = (X[:, 0] > 0).long()

pytestmark = pytest.mark.filterwarnings("ignore")  # both packages warn about their own loops


def lightning_run(tmp_path, watch, **options):
    pl = pytest.importorskip("lightning.pytorch")

    base: Any = pl.LightningModule

    class Module(base):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.net = nn.Sequential(nn.Linear(30, 40), nn.ReLU(), nn.Linear(40, 2))

        def training_step(self, batch, _):
            return functional.cross_entropy(self.net(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01)

    module = Module()
    monitor = SpectralMonitor(module, every=2, layers=["net.0.weight"]) if watch else None
    trainer = pl.Trainer(
        max_epochs=3, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
        callbacks=[callbacks.lightning(monitor)] if watch else None, **options,
    )  # fmt: skip
    trainer.fit(module, DataLoader(TensorDataset(X, Y), batch_size=24))
    return module, monitor


def test_lightning(tmp_path):
    module, monitor = lightning_run(tmp_path, True)
    assert monitor.frame["step"].tolist() == [0, 2, 4, 6, 8, 10, 12]
    assert monitor.frame["right_gradient"].iloc[1:].notna().all()
    last = spectra.singular_values(module.net[0].weight)
    np.testing.assert_allclose(monitor.values("net.0.weight").loc[12], last, atol=1e-6)
    without, _ = lightning_run(tmp_path, False)
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), without.parameters(), strict=True))


def test_lightning_counts_optimizer_steps_where_gradients_are_accumulated(tmp_path):
    _, monitor = lightning_run(tmp_path, True, accumulate_grad_batches=2)
    assert monitor.frame["step"].tolist() == [0, 2, 4, 6]


def transformers_run(tmp_path, watch, **options):
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=50, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48
    )
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(config)
    tokens = torch.randint(0, 50, (48, 8), generator=torch.Generator().manual_seed(1))
    samples = [{"input_ids": t, "labels": int(t[0] > 25)} for t in tokens]
    probe = {"input_ids": tokens[:6]}, torch.tensor([1.0, -1, 1, -1, 1, -1])
    monitor = SpectralMonitor(model, every=2, probe=probe) if watch else None
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=6, per_device_train_batch_size=8, report_to=[], save_strategy="no",
        use_cpu=True, disable_tqdm=True, logging_strategy="no", seed=0, **options,
    )  # fmt: skip
    added = [callbacks.transformers(monitor)] if watch else None
    transformers.Trainer(model=model, args=arguments, train_dataset=samples, callbacks=added).train()
    return model, monitor


def test_transformers(tmp_path):
    model, monitor = transformers_run(tmp_path, True)
    assert monitor.frame["step"].unique().tolist() == [0, 2, 4, 6]
    name = "bert.encoder.layer.0.intermediate.dense.weight"
    last = spectra.singular_values(model.get_parameter(name))
    np.testing.assert_allclose(monitor.values(name).loc[6], last, atol=1e-6)
    dense = monitor.frame[(monitor.frame["name"] == name) & (monitor.frame["step"] > 0)]
    assert dense["right_gradient"].notna().all()
    assert monitor.frame[monitor.frame["name"] == "NTK"]["alignment"].notna().all()
    without, _ = transformers_run(tmp_path, False)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), without.parameters(), strict=True))


def test_transformers_counts_optimizer_steps_where_gradients_are_accumulated(tmp_path):
    _, monitor = transformers_run(tmp_path, True, gradient_accumulation_steps=2)
    assert monitor.frame["step"].unique().tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize("make", [callbacks.lightning, callbacks.transformers])
def test_what_is_no_monitor_is_refused(make):
    with pytest.raises(TypeError, match=r"^monitor"):
        make(nn.Linear(2, 2))
