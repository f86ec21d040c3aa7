"""Fit one head on pooled features: the loop, its checkpoints, its determinism.

The backbone is frozen, so its output is computed once per clip and a head trains on vectors. Every random choice is
drawn from the seed and the epoch, not from a running generator: a training that is killed and resumed from its
checkpoint takes the same steps as one that was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark.checkpoints import read_checkpoint, write_checkpoint
from earmark.metrics import log_softmax
from earmark.models.config import HeadConfig, TrainingConfig
from earmark.models.heads import Head, new_head
from earmark.models.weights import weights_hash
from earmark.progress import Progress, Step, silent

CHECKPOINT_SECONDS = 20.0


@dataclass(frozen=True)
class Curve:
    """One epoch's row of the curves; the validation columns are NaN where there is no validation set."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass
class FittedHead:
    """A trained head and what is known of its training.

    Parameters
    ----------
    head
        The network, in evaluation mode, on the CPU.
    curves
        One row per epoch.
    initial_weights
        SHA-256 of the weights that training began from.
    """

    head: Head
    curves: list[Curve] = field(default_factory=list)
    initial_weights: str = ""

    @property
    def final_weights(self) -> str:
        """SHA-256 of the trained weights."""
        return weights_hash(self.head)

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n, d) features -> (n, labels) logits."""
        with torch.inference_mode():
            logits = self.head(torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32)))
        result: NDArray[np.float64] = logits.double().numpy()
        return result

    def embeddings(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, d) features -> (n, embedding_size) embeddings."""
        with torch.inference_mode():
            embedded = self.head.embed(torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32)))
        return np.asarray(embedded.numpy(), np.float32)

    def log_probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """(n, d) features -> (n, labels) logarithms of probabilities."""
        return log_softmax(self.logits(features))


def pick_device(name: str | None = None) -> str:
    """The device to train on: the one named, else a CUDA GPU or Apple's where there is one, else the CPU."""
    if name:
        return name
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def fit_head(
    config: HeadConfig,
    training: TrainingConfig,
    features: NDArray[np.float32],
    targets: NDArray[np.int64],
    labels: int,
    *,
    seed: int,
    validation: tuple[NDArray[np.float32], NDArray[np.int64]] | None = None,
    start_from: Head | None = None,
    checkpoint: Path | None = None,
    device: str = "cpu",
    progress: Progress = silent,
    after_epoch: Callable[[int, Head], None] | None = None,
) -> FittedHead:
    """Train a head with Adam and cross-entropy; the weights after the last epoch are the result.

    Parameters
    ----------
    features, targets
        Training vectors (n, d) and label numbers (n,).
    labels
        Number of genres.
    seed
        Decides the first weights and the order of clips in every epoch.
    validation
        Vectors and labels whose loss and accuracy go into the curves. Nothing is chosen by them.
    start_from
        Begin from this head's weights, in place, instead of fresh ones. Only the leak experiments do.
    checkpoint
        A file to save the state to now and then, and to resume from. Removed by whoever no longer needs it.
    after_epoch
        Called with the epoch (from 1) and the head; only the leak experiments look at it.

    Returns
    -------
    FittedHead
    """
    head = start_from if start_from is not None else new_head(config, features.shape[1], labels, seed)
    fitted = FittedHead(head, initial_weights=weights_hash(head))
    head.to(device)
    fused = device in ("cpu", "cuda")
    optimizer = torch.optim.Adam(
        head.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay, fused=fused
    )
    identity = {
        "config": config.to_dict(), "training": training.to_dict(), "seed": seed, "shape": list(features.shape),
        "initial_weights": fitted.initial_weights,
    }  # fmt: skip
    done = 0
    if checkpoint is not None and checkpoint.exists():
        fitted.curves = load_checkpoint(checkpoint, identity, head, optimizer)
        done = len(fitted.curves)
    inputs, wanted = torch.from_numpy(features).to(device), torch.from_numpy(targets).to(device)
    held = None
    if validation is not None:
        held = (torch.from_numpy(validation[0]).to(device), torch.from_numpy(validation[1]).to(device))
    saved_at = time.monotonic()
    for epoch in range(done + 1, training.epochs + 1):
        loss, accuracy = _one_epoch(head, optimizer, inputs, wanted, training.batch_size, seed, epoch)
        held_loss, held_accuracy = _score(head, *held) if held is not None else (float("nan"), float("nan"))
        fitted.curves.append(Curve(epoch, loss, accuracy, held_loss, held_accuracy))
        if after_epoch is not None:
            after_epoch(epoch, head)
        progress(Step("training", epoch, training.epochs, f"loss {loss:.3f}"))
        if checkpoint is not None and time.monotonic() - saved_at > CHECKPOINT_SECONDS and epoch < training.epochs:
            save_checkpoint(checkpoint, identity, head, optimizer, fitted.curves)
            saved_at = time.monotonic()
    head.to("cpu").eval()
    return fitted


def _one_epoch(
    head: Head,
    optimizer: torch.optim.Optimizer,
    inputs: Tensor,
    wanted: Tensor,
    batch_size: int,
    seed: int,
    epoch: int,
) -> tuple[float, float]:
    head.train()
    order = np.random.default_rng([seed, epoch]).permutation(len(inputs))
    shuffled = torch.from_numpy(order).to(inputs.device)
    loss_sum = torch.zeros((), device=inputs.device)
    hits = torch.zeros((), dtype=torch.int64, device=inputs.device)
    for batch in shuffled.split(batch_size):
        logits = head(inputs[batch])
        loss = nn.functional.cross_entropy(logits, wanted[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss_sum += loss.detach() * len(batch)
        hits += (logits.argmax(dim=1) == wanted[batch]).sum()
    return float(loss_sum) / len(inputs), int(hits) / len(inputs)


def _score(head: Head, inputs: Tensor, wanted: Tensor) -> tuple[float, float]:
    head.eval()
    with torch.no_grad():
        logits = head(inputs)
        loss = nn.functional.cross_entropy(logits, wanted)
    return float(loss), float((logits.argmax(dim=1) == wanted).double().mean())


def save_checkpoint(
    path: Path, identity: dict[str, Any], module: nn.Module, optimizer: torch.optim.Optimizer, curves: list[Curve]
) -> None:
    """Save the state of a training, with the `identity` that only the same training has."""
    tensors = {f"head.{name}": value.contiguous() for name, value in module.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors.update({f"adam.{number}.{name}": value.contiguous() for name, value in state.items()})
    write_checkpoint(path, identity, tensors, curves=[asdict(curve) for curve in curves])


def load_checkpoint(
    path: Path, identity: dict[str, Any], module: nn.Module, optimizer: torch.optim.Optimizer
) -> list[Curve]:
    """Put module and optimizer into the state that was saved, and give the curves up to then.

    Raises
    ------
    StoreError
        If the file is damaged, or another training's.
    """
    tensors, facts = read_checkpoint(path, identity)
    module.load_state_dict({n.removeprefix("head."): v for n, v in tensors.items() if n.startswith("head.")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("adam."):
            _, number, key = name.split(".")
            state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return [Curve(**curve) for curve in facts["curves"]]
