"""Fine-tune a network on spectrograms: the loop, its checkpoints, its determinism.

The frozen stages see each clip a few times only (:class:`FeaturePool`); every step then draws one of these versions,
cuts a stretch from it, mixes and blanks, and trains the stages above. Every random choice is drawn from the seed and
the epoch, not from a running generator: a training that is killed and resumed from its checkpoint takes the same
steps as one that was not.
"""

from __future__ import annotations

import copy
import json
import math
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark.augment import masks, mixing
from earmark.errors import InputError, StoreError
from earmark.feature_pool import EVALUATION_BATCH, FeaturePool, feature_pool
from earmark.files import atomic_write
from earmark.metrics import log_softmax
from earmark.models.backbone import Backbone, load_backbone
from earmark.models.convnet import ConvNet, estimate_statistics, new_convnet
from earmark.models.convnet_config import AugmentConfig, ConvNetConfig, FineTuneConfig
from earmark.models.weights import weights_hash
from earmark.progress import Progress, Step, silent
from earmark.training import CHECKPOINT_SECONDS, Curve

# Batches whose statistics normalisation begins with, and how many times validation clips are scored in a training.
_STATISTICS_BATCHES = 16
_VALIDATIONS = 10
_LARGEST_GRADIENT = 5.0


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
    """

    network: ConvNet
    curves: list[Curve] = field(default_factory=list)
    initial_weights: str = ""

    @property
    def final_weights(self) -> str:
        """SHA-256 of the trained weights."""
        return weights_hash(self.network)

    def outputs(self, spectrograms: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """uint8 (n, bins, columns) -> logits (n, labels), embeddings (n, d)."""
        logits, embeddings = [], []
        for first in range(0, len(spectrograms), EVALUATION_BATCH):
            rows = torch.from_numpy(np.ascontiguousarray(spectrograms[first : first + EVALUATION_BATCH]))
            with torch.inference_mode():
                found = self.network(rows)
            logits.append(found[0].double().numpy())
            embeddings.append(found[1].numpy())
        return np.concatenate(logits), np.concatenate(embeddings)

    def log_probabilities(self, features: NDArray[np.uint8]) -> NDArray[np.float64]:
        """uint8 (n, bins, columns) -> (n, labels) logarithms of probabilities."""
        return log_softmax(self.outputs(features)[0])


def fit_convnet(
    config: ConvNetConfig,
    training: FineTuneConfig,
    spectrograms: NDArray[np.uint8],
    targets: NDArray[np.int64],
    labels: int,
    *,
    seed: int,
    backbone: Backbone | str | Path | None = None,
    pool: FeaturePool | None = None,
    validation: tuple[NDArray[np.uint8], NDArray[np.int64]] | None = None,
    start_from: ConvNet | None = None,
    checkpoint: Path | None = None,
    device: str = "cpu",
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
    pool
        The training clips' :func:`feature_pool`, where it is at hand; made here otherwise.
    validation
        Clips whose loss and accuracy go into the curves, every tenth of the epochs. Nothing is chosen by them.
    start_from
        Begin from this network, in place, instead of a fresh one. Only the leak experiments do.
    checkpoint
        A file to save the state to now and then, and to resume from. Removed by whoever no longer needs it.

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
    fitted = FittedConvNet(network, initial_weights=weights_hash(network))
    if pool is None:
        pool = feature_pool(network, spectrograms, training.augment, device=device, progress=progress)
    loop = _Loop(network.to(device), training, pool, torch.from_numpy(targets), labels, seed, device)
    if start_from is None:
        loop.begin()
    identity = {
        "config": config.to_dict(), "training": training.to_dict(), "seed": seed, "clips": len(targets),
        "targets": zlib.crc32(np.ascontiguousarray(targets, "<i8").tobytes()),
        "initial_weights": fitted.initial_weights,
    }  # fmt: skip
    if checkpoint is not None and checkpoint.exists():
        _resume(checkpoint, identity, loop, fitted)
    held = None
    if validation is not None:
        untouched = AugmentConfig(variants=1)
        held = (feature_pool(network, validation[0], untouched, device=device), torch.from_numpy(validation[1]))
    every = max(1, training.epochs // _VALIDATIONS)
    saved_at = time.monotonic()
    for epoch in range(len(fitted.curves) + 1, training.epochs + 1):
        loss, accuracy = loop.epoch(epoch)
        scored = float("nan"), float("nan")
        if held is not None and (epoch % every == 0 or epoch == training.epochs):
            scored = loop.score(*held)
        fitted.curves.append(Curve(epoch, loss, accuracy, *scored))
        progress(Step("training", epoch, training.epochs, f"loss {loss:.3f}"))
        if checkpoint is not None and time.monotonic() - saved_at > CHECKPOINT_SECONDS and epoch < training.epochs:
            _save(checkpoint, identity, loop, fitted)
            saved_at = time.monotonic()
    fitted.network = loop.averaged.to("cpu").eval()
    return fitted


class _Loop:
    """Network, running mean, optimizer: what an epoch changes and a checkpoint holds."""

    def __init__(
        self,
        network: ConvNet,
        training: FineTuneConfig,
        pool: FeaturePool,
        targets: Tensor,
        labels: int,
        seed: int,
        device: str,
    ) -> None:
        self.network, self.training, self.pool, self.seed, self.device = network, training, pool, seed, device
        self.targets = nn.functional.one_hot(targets, labels).float()
        self.columns = training.crop_columns // pool.stride
        if self.columns > pool.features.shape[4]:
            have = int(pool.features.shape[4]) * pool.stride
            raise InputError(f"Crops of {training.crop_columns} columns do not fit into clips of {have}.")
        # Where a masked place is filled in, it gets the mean of its channel and height over the untouched clips.
        self.mean = pool.features[0, :: max(1, len(pool) // 128)].float().mean(dim=(0, 3))
        self.averaged = copy.deepcopy(network)
        self.steps = max(1, len(pool) // training.batch_size)
        self.optimizer = _optimizer(network, training, device)

    def begin(self) -> None:
        """Give the layers that will be trained the statistics of these clips."""
        generator = np.random.default_rng([self.seed, 0])

        def run() -> Iterator[None]:
            for _ in range(_STATISTICS_BATCHES):
                rows = generator.integers(0, len(self.pool), self.training.batch_size)
                features = self._crops(rows, generator)
                yield cast(None, self.network.feature_map(features.contiguous(memory_format=torch.channels_last)))

        estimate_statistics(self.network.tuned, run())
        self.averaged.load_state_dict(self.network.state_dict())

    def epoch(self, epoch: int) -> tuple[float, float]:
        """One pass over the clips: mean loss, and the share whose own label was the network's first."""
        training = self.training
        generator = np.random.default_rng([self.seed, epoch])
        order = generator.permutation(len(self.pool))
        self.network.train()
        self.network.frozen.eval()
        losses, hits = 0.0, 0
        size = min(training.batch_size, len(self.pool))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator.integers(2**62)))
            for step in range(self.steps):
                rows = order[step * size : (step + 1) * size]
                features, wanted = self._batch(rows, generator)
                done = (epoch - 1) * self.steps + step
                self._set_rate(done / (training.epochs * self.steps))
                loss, logits = self._learn(features, wanted)
                self._average(done)
                losses += loss
                hits += int((logits.argmax(dim=1) == wanted.argmax(dim=1)).sum())
        return losses / self.steps, hits / (self.steps * size)

    def _learn(self, features: Tensor, wanted: Tensor) -> tuple[float, Tensor]:
        with torch.autocast(self.device, torch.bfloat16, enabled=self.training.bfloat16):
            feature_map = self.network.feature_map(features.contiguous(memory_format=torch.channels_last))
        logits, _ = self.network.head(feature_map.float())
        loss = -(wanted * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT)
        self.optimizer.step()
        return float(loss.detach()), logits.detach()

    def _crops(self, rows: NDArray[np.int64], generator: np.random.Generator) -> Tensor:
        features = self.pool.features
        versions = generator.integers(0, features.shape[0], len(rows))
        starts = generator.integers(0, features.shape[4] - self.columns + 1, len(rows))
        crops = [
            features[version, row, :, :, start : start + self.columns]
            for version, row, start in zip(versions.tolist(), rows.tolist(), starts.tolist(), strict=True)
        ]
        return torch.stack(crops).to(self.device).float()

    def _batch(self, rows: NDArray[np.int64], generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        training, augment = self.training, self.training.augment
        features, wanted = self._crops(rows, generator), self.targets[torch.from_numpy(rows)].to(self.device)
        partners, kept = mixing(generator, len(rows), augment.mixup)
        if augment.mixup:
            other, share = torch.from_numpy(partners).to(self.device), torch.from_numpy(kept).to(self.device)
            features = torch.lerp(features[other], features, share[:, None, None, None])
            wanted = torch.lerp(wanted[other], wanted, share[:, None])
        mean = self.mean.to(self.device)
        longest = (augment.mask_bands // self.pool.stride, augment.mask_columns // self.pool.stride)
        for clip in features:
            bands, columns = masks(generator, int(clip.shape[1]), int(clip.shape[2]), longest)
            clip[:, bands] = mean[:, bands, None]
            clip[:, :, columns] = mean[:, :, None]
        smoothing = training.label_smoothing
        return features, wanted * (1 - smoothing) + smoothing / wanted.shape[1]

    def _set_rate(self, done: float) -> None:
        """Rise linearly, then fall along half a cosine; `done` is the share of all steps, 0 to 1."""
        rise = self.training.warm_up
        share = done / rise if done < rise else 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise)))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * max(share, 1e-3)

    @torch.no_grad()
    def _average(self, step: int) -> None:
        # Early on the mean is over the steps so far: the weights that training began from are soon forgotten.
        decay = min(self.training.averaging, (1 + step) / (10 + step))
        for mean, value in zip(self.averaged.state_dict().values(), self.network.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(value, 1 - decay)
            else:
                mean.copy_(value)

    def score(self, pool: FeaturePool, targets: Tensor) -> tuple[float, float]:
        """Loss and accuracy of the averaged network on clips in whole."""
        network = self.averaged.eval()
        logits = []
        with torch.inference_mode():
            for rows in pool.features[0].split(EVALUATION_BATCH):
                features = rows.to(self.device).float().contiguous(memory_format=torch.channels_last)
                with torch.autocast(self.device, torch.bfloat16, enabled=self.training.bfloat16):
                    feature_map = network.feature_map(features)
                logits.append(network.head(feature_map.float())[0].cpu())
        together = torch.cat(logits)
        loss = float(nn.functional.cross_entropy(together, targets))
        return loss, float((together.argmax(dim=1) == targets).double().mean())


def _optimizer(network: ConvNet, training: FineTuneConfig, device: str) -> torch.optim.AdamW:
    groups: list[dict[str, Any]] = []
    rates = network.rates(training.learning_rate, training.backbone_rate, training.layer_decay)
    for part, rate in rates:
        for wanted, decay in ((_is_matrix, training.weight_decay), (_is_vector, 0.0)):
            parameters = [parameter for parameter in part.parameters() if wanted(parameter)]
            if parameters:
                groups.append({"params": parameters, "lr": rate, "peak": rate, "weight_decay": decay})
    return torch.optim.AdamW(groups, fused=device in ("cpu", "cuda"))


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim > 1


def _is_vector(parameter: Tensor) -> bool:
    return parameter.ndim <= 1


_PARTS: dict[str, Callable[[_Loop], nn.Module]] = {
    "network": lambda loop: loop.network,
    "averaged": lambda loop: loop.averaged,
}


def _save(path: Path, identity: dict[str, Any], loop: _Loop, fitted: FittedConvNet) -> None:
    tensors: dict[str, Tensor] = {}
    for part, module in _PARTS.items():
        tensors.update({f"{part}/{n}": v.contiguous() for n, v in module(loop).state_dict().items()})
    for number, state in loop.optimizer.state_dict()["state"].items():
        tensors.update({f"adam/{number}/{name}": value.contiguous() for name, value in state.items()})
    facts = {"identity": identity, "curves": [asdict(curve) for curve in fitted.curves]}
    content = safetensors.torch.save(tensors, {"earmark": json.dumps(facts)})
    with atomic_write(path) as handle:
        handle.write(content)


def _resume(path: Path, identity: dict[str, Any], loop: _Loop, fitted: FittedConvNet) -> None:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            facts = json.loads(file.metadata()["earmark"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:  # safetensors raises its own type, json and dict theirs: all mean the same here
        raise StoreError(f"The checkpoint {path} is damaged. Delete it to begin this training anew.") from error
    if facts["identity"] != identity:
        raise StoreError(
            f"The checkpoint {path} belongs to another training. Delete it or choose another run folder."
        )
    for part, module in _PARTS.items():
        prefix = f"{part}/"
        module(loop).load_state_dict({n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix)})
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("adam/"):
            _, number, key = name.split("/")
            state.setdefault(int(number), {})[key] = value
    groups = loop.optimizer.state_dict()["param_groups"]
    loop.optimizer.load_state_dict({"state": state, "param_groups": groups})
    fitted.curves = [Curve(**curve) for curve in facts["curves"]]
