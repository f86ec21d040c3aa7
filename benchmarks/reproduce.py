"""The report's 10 folds of 100 epochs: a cached, exact head against a script with the backbone in every epoch.

    python benchmarks/reproduce.py [--epochs 100]

Ours is run whole. The plain script (backbone and Keras-like GRU in torch, every epoch from the images) would take
days, so it is measured on a slice of steps and extrapolated, which is said beside the figure.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time

import torch
from torch import nn
from transformers import MobileNetV2Config, MobileNetV2Model

from earmark.crossval import crossval
from earmark.dataset import load_dataset
from earmark.folds import make_protocol
from earmark.learners import make_learner
from earmark.models.config import TrainingConfig

FOLDS, CLIPS, BATCH, STEPS = 10, 900, 32, 3


class Plain(nn.Module):
    """The report's model as one would write it down."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = MobileNetV2Model(MobileNetV2Config(tf_padding=True)).eval()
        self.gru = nn.GRU(1280, 512, batch_first=True, bidirectional=True)
        self.dense = nn.Linear(1024, 10)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Images to logits."""
        with torch.no_grad():
            pooled = self.backbone(images).last_hidden_state.mean(dim=(2, 3))
        return self.dense(self.gru(pooled[:, None])[0].flatten(1))


def plain_seconds_per_epoch() -> float:
    """Time a few training steps and scale to an epoch."""
    model = Plain()
    optimizer = torch.optim.Adam([*model.gru.parameters(), *model.dense.parameters()], 1e-3)
    images, wanted = torch.rand(BATCH, 3, 256, 256) * 2 - 1, torch.randint(0, 10, (BATCH,))
    seconds = []
    for _ in range(STEPS + 1):
        began = time.perf_counter()
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), wanted).backward()
        optimizer.step()
        seconds.append(time.perf_counter() - began)
    return min(seconds[1:]) * CLIPS / BATCH


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=100)
    epochs = parser.parse_args().epochs
    torch.set_num_threads(os.cpu_count() or 1)
    plain = plain_seconds_per_epoch()
    data = load_dataset("gtzan")
    protocol = make_protocol(data, "random10")
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        learner = make_learner("tl-cnn-gru", TrainingConfig(epochs=epochs))
        run = crossval(data, learner, protocol, f"{folder}/run", leak_tests=False)
    ours = time.perf_counter() - began
    assert run.metrics is not None
    theirs = plain * FOLDS * epochs
    print(f"10 folds of {epochs} epochs, 1000 clips, {os.cpu_count()} processors")
    print(f"ours, run whole             {ours:10.0f} s   accuracy {run.metrics['accuracy']['value']:.3f}")
    print(f"plain script, extrapolated  {theirs:10.0f} s   from {STEPS} steps of {BATCH} images")
    print(f"ratio                       {theirs / ours:10.0f}")


if __name__ == "__main__":
    main()
