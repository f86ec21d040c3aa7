"""Fine-tune any pretrained backbone with a dense layer on top: the loop, its checkpoints, its determinism.

Each step looks at one drawn picture, or at one segment of sound, of each clip; afterwards a clip is judged by all of
its segments. Every random choice is drawn from the seed and the epoch, so that a training that is killed and resumed
takes the same steps as one that was not.
"""

from __future__ import annotations

import json
import math
import re
import time
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark.encoder_learner import EncoderTuneLearner, TuneConfig
from earmark.errors import InputError, StoreError
from earmark.metrics import log_softmax
from earmark.models.encoder import load_encoder
from earmark.models.encoder_network import TunedNetwork
from earmark.models.weights import weights_hash
from earmark.progress import Progress, Step, silent
from earmark.training import Curve, load_checkpoint, save_checkpoint

# Writing a gigabyte of weights and moments takes a while; losing some minutes of training costs less.
CHECKPOINT_SECONDS = 300.0
# How many times validation clips are scored in a training.
_VALIDATIONS = 5
_EVALUATION_BATCH = 4
_LARGEST_GRADIENT = 1.0


@dataclass
class FittedEncoder:
    """A fine-tuned backbone and what is known of its training.

    Parameters
    ----------
    network
        In evaluation mode, on the CPU.
    device
        Where it predicts.
    curves
        One row per epoch; the validation columns are NaN in epochs in which nothing was scored.
    initial_weights
        SHA-256 of the weights that training began from.
    """

    network: TunedNetwork
    device: str = "cpu"
    curves: list[Curve] = field(default_factory=list)
    initial_weights: str = ""

    @property
    def final_weights(self) -> str:
        """SHA-256 of the trained weights."""
        return weights_hash(self.network)

    def log_probabilities(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """(n, *shape) -> (n, labels) logarithms of probabilities, of whole windows."""
        try:
            return log_softmax(_logits(self.network.to(self.device), features, self.device))
        finally:
            self.network.to("cpu")


def fresh_network(learner: EncoderTuneLearner, shape: tuple[int, ...], labels: int, seed: int) -> TunedNetwork:
    """The pretrained network with a fresh dense layer.

    Raises
    ------
    StoreError
        If the weights are no longer those that the learner was made for.
    """
    encoder = load_encoder(learner.source, layer=learner.layer)
    if encoder.fingerprint() != learner.backbone["fingerprint"]:
        raise StoreError(f"The weights of {learner.source} changed under way. Run the command again.")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = TunedNetwork(encoder, shape, labels, learner.training.dropout)
    for name, parameter in network.named_parameters():
        # What hears waveforms learnt its first filters from far more sound than there is here.
        parameter.requires_grad_("feature_extractor.conv_layers." not in name)
    return network


def fit_encoder(
    learner: EncoderTuneLearner,
    features: NDArray[Any],
    targets: NDArray[np.int64],
    labels: int,
    *,
    seed: int,
    validation: tuple[NDArray[Any], NDArray[np.int64]] | None = None,
    start_from: TunedNetwork | None = None,
    checkpoint: Path | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> FittedEncoder:
    """Fine-tune with AdamW; the weights after the last epoch are the result.

    Parameters
    ----------
    features, targets
        Spectrograms uint8 (n, bins, columns), or what the front end makes of sound, float32 (n, segments, ...); and
        label numbers (n,).
    labels
        Number of genres.
    seed
        Decides the dense layer's first weights and every random choice of the training.
    validation
        Clips whose loss and accuracy go into the curves now and then. Nothing is chosen by them.
    start_from
        Begin from this network, in place, instead of a fresh one. Only the leak experiments do.
    checkpoint
        A file to save the state to now and then, and to resume from. Removed by whoever no longer needs it.

    Raises
    ------
    InputError
        If there is nothing to learn from.
    """
    if not len(targets):
        raise InputError("A network needs at least one clip to be trained on.")
    training = learner.training
    network = start_from or fresh_network(learner, features.shape[1:], labels, seed)
    fitted = FittedEncoder(network, device, initial_weights=weights_hash(network))
    network.to(device)
    optimizer = torch.optim.AdamW(parameter_groups(network, training), fused=device in ("cpu", "cuda"))
    described = {
        "learner": learner.describe(), "seed": seed, "shape": list(features.shape),
        "targets": zlib.crc32(np.ascontiguousarray(targets, "<i8").tobytes()),
        "initial_weights": fitted.initial_weights,
    }  # fmt: skip
    # As a checkpoint gives it back: JSON knows no tuples.
    identity = json.loads(json.dumps(described))
    if checkpoint is not None and checkpoint.exists():
        fitted.curves = load_checkpoint(checkpoint, identity, network, optimizer)
    every = max(1, training.epochs // _VALIDATIONS)
    saved_at = time.monotonic()
    for epoch in range(len(fitted.curves) + 1, training.epochs + 1):
        loss, accuracy = _one_epoch(network, optimizer, training, features, targets, labels, seed, epoch, device)
        scored = float("nan"), float("nan")
        if validation is not None and (epoch % every == 0 or epoch == training.epochs):
            scored = _score(network, *validation, device)
        fitted.curves.append(Curve(epoch, loss, accuracy, *scored))
        progress(Step("training", epoch, training.epochs, f"loss {loss:.3f}"))
        if checkpoint is not None and time.monotonic() - saved_at > CHECKPOINT_SECONDS and epoch < training.epochs:
            save_checkpoint(checkpoint, identity, network, optimizer, fitted.curves)
            saved_at = time.monotonic()
    network.to("cpu").eval()
    return fitted


def parameter_groups(network: TunedNetwork, training: TuneConfig) -> list[dict[str, Any]]:
    """Parameters by depth with their learning rates, for AdamW.

    The backbone's layers come in the order in which they are made, which is that in which they compute. Their rates
    rise by even factors from ``first_share * learning_rate`` to ``learning_rate``.
    """
    layers: dict[str, list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in network.windows.encoder.network.named_parameters():
        if parameter.requires_grad:
            layers.setdefault(_layer_of(name), []).append((name, parameter))
    last = max(1, len(layers) - 1)
    rated = [
        (training.learning_rate * training.first_share ** (1 - depth / last), parameters)
        for depth, parameters in enumerate(layers.values())
    ]
    head = [*network.scale.named_parameters(), *network.dense.named_parameters()]
    groups: list[dict[str, Any]] = []
    for rate, parameters in [*rated, (training.head_rate, head)]:
        for matrices, decay in ((True, training.weight_decay), (False, 0.0)):
            chosen = [parameter for _, parameter in parameters if (parameter.ndim > 1) == matrices]
            if chosen:
                groups.append({"params": chosen, "lr": rate, "peak": rate, "weight_decay": decay})
    return groups


def _layer_of(name: str) -> str:
    """``encoder.stages.0.layers.1.layer.0.convolution.weight`` -> ``encoder.stages.0.layers.1``."""
    numbered = re.match(r"(?:[^\d.][^.]*\.)*\d+(?:\.(?:[^\d.][^.]*\.)+\d+)?(?=\.)", name)
    return numbered[0] if numbered else name.split(".")[0]


def _one_epoch(
    network: TunedNetwork,
    optimizer: torch.optim.Optimizer,
    training: TuneConfig,
    features: NDArray[Any],
    targets: NDArray[np.int64],
    labels: int,
    seed: int,
    epoch: int,
    device: str,
) -> tuple[float, float]:
    """One pass over the clips: mean loss, and the share that was right."""
    generator = np.random.default_rng([seed, epoch])
    size = min(training.batch_size, len(targets))
    steps = len(targets) // size
    order = generator.permutation(len(targets))
    _train_mode(network)
    losses, hits = 0.0, 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator.integers(2**62)))
        for step in range(steps):
            rows = np.sort(order[step * size : (step + 1) * size])
            done = ((epoch - 1) * steps + step) / (training.epochs * steps)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * _share(done, training.warm_up)
            pieces = _pieces(network, features, rows, training.masked, generator, device)
            wanted = torch.from_numpy(targets[rows]).to(device)
            kind = torch.device(device).type
            with torch.autocast(kind, torch.bfloat16, enabled=training.bfloat16 and kind == "cuda"):
                logits = network.of_pieces(pieces)
            loss = nn.functional.cross_entropy(logits.float(), wanted, label_smoothing=training.label_smoothing)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), _LARGEST_GRADIENT)
            optimizer.step()
            losses += float(loss.detach())
            hits += int((logits.argmax(dim=1) == wanted).sum())
    return losses / steps, hits / (steps * size)


def _train_mode(network: TunedNetwork) -> None:
    network.train()
    for part in network.modules():
        # The pretrained statistics stay: those of a few pictures at a time would tear the network apart.
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.eval()


def _share(done: float, rise: float) -> float:
    """Share of the full learning rate when this share of all steps is done."""
    share = done / rise if done < rise else 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise)))
    return max(share, 1e-3)


def _pieces(
    network: TunedNetwork,
    features: NDArray[Any],
    rows: NDArray[np.int64],
    masked: float,
    generator: np.random.Generator,
    device: str,
) -> Tensor:
    """What one step looks at: a picture or segment of each clip, with stretches blanked."""
    sees = network.windows.encoder.sees
    chosen = np.zeros(len(rows), np.int64) if sees else generator.integers(0, features.shape[1], len(rows))
    pieces = []
    for row, segment in zip(rows, chosen, strict=True):
        piece = np.array(features[row] if sees else features[row, segment])
        if piece.ndim == 2:
            mean = piece.mean()
            piece[_stretch(generator, piece.shape[0], masked)] = mean
            piece[:, _stretch(generator, piece.shape[1], masked)] = mean
        pieces.append(piece)
    batch = torch.from_numpy(np.stack(pieces)).to(device)
    return network.windows.pieces(batch) if sees else batch


def _stretch(generator: np.random.Generator, size: int, masked: float) -> slice:
    """A stretch to blank, of any length up to a share of the whole."""
    length = int(generator.integers(0, int(masked * size) + 1))
    first = int(generator.integers(0, size - length + 1))
    return slice(first, first + length)


def _score(
    network: TunedNetwork, features: NDArray[Any], targets: NDArray[np.int64], device: str
) -> tuple[float, float]:
    logits = torch.from_numpy(_logits(network, features, device))
    wanted = torch.from_numpy(targets)
    loss = nn.functional.cross_entropy(logits, wanted)
    return float(loss), float((logits.argmax(dim=1) == wanted).double().mean())


def _logits(network: TunedNetwork, features: NDArray[Any], device: str) -> NDArray[np.float64]:
    network.eval()
    found = []
    for first in range(0, len(features), _EVALUATION_BATCH):
        batch = torch.from_numpy(np.array(features[first : first + _EVALUATION_BATCH])).to(device)
        with torch.inference_mode():
            found.append(network(batch)[0].double().cpu().numpy())
    return np.concatenate(found)
