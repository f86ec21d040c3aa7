"""Fine-tune a network on spectrograms: what a user calls, its checkpoints, its determinism.

Every random choice is drawn from the seed and the epoch, not from a running generator: a training that is killed and
resumed from its checkpoint takes the same steps as one that was not. The loop itself is :mod:`earmark.tuning_loop`.
"""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.checkpoints import read_checkpoint, write_checkpoint
from earmark.errors import InputError
from earmark.metrics import log_softmax
from earmark.models.backbone import Backbone, load_backbone
from earmark.models.convnet import ConvNet, new_convnet
from earmark.models.convnet_config import ConvNetConfig, FineTuneConfig
from earmark.models.weights import weights_hash
from earmark.progress import Progress, Step, silent
from earmark.training import CHECKPOINT_SECONDS, Curve
from earmark.tuning_loop import TuningLoop

# How many times validation clips are scored in a training.
_VALIDATIONS = 5
# Clips that are looked at together where no gradient is wanted: what fits a CPU's cache, what fills a GPU.
_EVALUATION_BATCH = {"cpu": 16}
_LARGE_BATCH = 256


@dataclass
class FittedConvNet:
    """A fine-tuned network and what is known of its training.

    Parameters
    ----------
    network
        In evaluation mode, on the CPU.
    curves
        One row per epoch; the validation columns are NaN in epochs in which nothing was scored.
    initial_weights
        SHA-256 of the weights that training began from.
    device
        Where it predicts.
    """

    network: ConvNet
    curves: list[Curve] = field(default_factory=list)
    initial_weights: str = ""
    device: str = "cpu"

    @property
    def final_weights(self) -> str:
        """SHA-256 of the trained weights."""
        return weights_hash(self.network)

    def outputs(self, spectrograms: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """uint8 (n, bins, columns) -> logits (n, labels), embeddings (n, d)."""
        logits, embeddings = _outputs(self.network, spectrograms, self.device)
        self.network.to("cpu")
        return logits.double().cpu().numpy(), embeddings.cpu().numpy()

    def log_probabilities(self, features: NDArray[np.uint8]) -> NDArray[np.float64]:
        """uint8 (n, bins, columns) -> (n, labels) logarithms of probabilities."""
        return log_softmax(self.outputs(features)[0])


def _outputs(network: ConvNet, spectrograms: NDArray[np.uint8], device: str) -> tuple[Tensor, Tensor]:
    network = network.to(device).eval()
    logits, embeddings = [], []
    with torch.inference_mode():
        size = _EVALUATION_BATCH.get(device, _LARGE_BATCH)
        for first in range(0, len(spectrograms), size):
            rows = np.ascontiguousarray(spectrograms[first : first + size])
            found = network(torch.from_numpy(rows).to(device))
            logits.append(found[0])
            embeddings.append(found[1])
    return torch.cat(logits), torch.cat(embeddings)


def fit_convnet(
    config: ConvNetConfig,
    training: FineTuneConfig,
    spectrograms: NDArray[np.uint8],
    targets: NDArray[np.int64],
    labels: int,
    *,
    seed: int,
    backbone: Backbone | str | Path | None = None,
    validation: tuple[NDArray[np.uint8], NDArray[np.int64]] | None = None,
    start_from: ConvNet | None = None,
    checkpoint: Path | None = None,
    keep: bool = False,
    device: str = "cpu",
    loop: TuningLoop | None = None,
    progress: Progress = silent,
) -> FittedConvNet:
    """Fine-tune with AdamW; the running mean of the weights after the last epoch is the result.

    Parameters
    ----------
    spectrograms, targets
        Training clips uint8 (n, bins, columns) and label numbers (n,).
    labels
        Number of genres.
    seed
        Decides the head's first weights and every random choice of the training.
    backbone
        The ImageNet weights or where they are; see :func:`earmark.models.backbone.load_backbone`.
    validation
        Clips whose loss and accuracy go into the curves, every fifth of the epochs. Nothing is chosen by them.
    start_from
        Begin from this network, in place, instead of a fresh one. Only the leak experiments do.
    checkpoint
        A file to save the state to now and then, and to resume from. Removed by whoever no longer needs it.
    keep
        Save the state after the last epoch too, so that the same call made again returns at once.
    loop
        One that was used before, for the same configuration and device: on a GPU it has its steps recorded.

    Raises
    ------
    InputError
        If there are fewer clips than a batch needs, or the clips are narrower than the crops.
    """
    if len(targets) < 2:
        raise InputError(f"A network needs at least two clips to be trained on, not {len(targets)}.")
    if start_from is None:
        loaded = backbone if isinstance(backbone, Backbone) else load_backbone(backbone)
        network = new_convnet(config, loaded, labels, seed)
    else:
        network = start_from
    initial = weights_hash(network)
    loop = loop or TuningLoop(training, device)
    loop.begin(network, spectrograms, targets, labels, seed, statistics=start_from is None)
    identity = {
        "config": config.to_dict(), "training": training.to_dict(), "seed": seed, "clips": len(targets),
        "targets": zlib.crc32(np.ascontiguousarray(targets, "<i8").tobytes()), "initial_weights": initial,
    }  # fmt: skip
    validated: dict[int, tuple[float, float]] = {}
    first = 1
    if checkpoint is not None and checkpoint.exists():
        first, validated = _resume(checkpoint, identity, loop)
    every = max(1, training.epochs // _VALIDATIONS)
    saved_at = time.monotonic()
    for epoch in range(first, training.epochs + 1):
        loop.epoch(epoch)
        if validation is not None and (epoch % every == 0 or epoch == training.epochs):
            validated[epoch] = _score(loop.result(), *validation, device)
        progress(Step("training", epoch, training.epochs))
        late = time.monotonic() - saved_at > CHECKPOINT_SECONDS or (epoch == training.epochs and keep)
        if checkpoint is not None and late:
            _save(checkpoint, identity, loop, epoch, validated)
            saved_at = time.monotonic()
    nothing = (float("nan"), float("nan"))
    curves = [
        Curve(epoch, loss, accuracy, *validated.get(epoch, nothing))
        for epoch, (loss, accuracy) in enumerate(loop.tallies(), 1)
    ]
    return FittedConvNet(loop.result(), curves, initial, device)


def _score(
    network: ConvNet, spectrograms: NDArray[np.uint8], targets: NDArray[np.int64], device: str
) -> tuple[float, float]:
    logits, _ = _outputs(network, spectrograms, device)
    wanted = torch.from_numpy(targets).to(device)
    loss = float(torch.nn.functional.cross_entropy(logits, wanted))
    return loss, float((logits.argmax(dim=1) == wanted).double().mean())


def _save(
    path: Path, identity: dict[str, Any], loop: TuningLoop, epoch: int, validated: dict[int, tuple[float, float]]
) -> None:
    write_checkpoint(path, identity, loop.state(), epoch=epoch, validated=list(validated.items()))


def _resume(path: Path, identity: dict[str, Any], loop: TuningLoop) -> tuple[int, dict[int, tuple[float, float]]]:
    """Put a checkpoint's state into the loop; the next epoch, and what was scored so far."""
    tensors, facts = read_checkpoint(path, identity)
    loop.load_state(tensors)
    return facts["epoch"] + 1, {epoch: (loss, accuracy) for epoch, (loss, accuracy) in facts["validated"]}
