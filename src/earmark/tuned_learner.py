"""The fine-tuned network, and several of them together, as something that cross-validation can train.

Imports no torch.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.features import SPECTROGRAM
from earmark.learners import Features, FitOptions, Targets
from earmark.metrics import log_softmax
from earmark.models.convnet_config import ConvNetConfig, FineTuneConfig
from earmark.progress import Step, silent

if TYPE_CHECKING:
    from earmark.finetune import FittedConvNet
    from earmark.models.backbone import Backbone
    from earmark.tuning_loop import TuningLoop


class EpochMeans(NamedTuple):
    """Means over the members of one epoch's figures."""

    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class FineTuneLearner:
    """MobileNetV2 and a head over time, trained together on spectrograms; one network or the mean of several.

    Parameters
    ----------
    network, training
        The architecture and how it is trained.
    members
        Networks that are trained from other first weights on the same clips, and whose logits are averaged.
    backbone
        Where the ImageNet weights are; see :func:`earmark.models.backbone.load_backbone`.
    feature
        What it learns from: the dataset's spectrograms, uint8 (n, bins, columns).
    title
        What to call it in tables; empty: ``tuned-`` and the head's kind, and how many there are.
    kept
        A folder for trained networks, made if need be: whoever trains the same network on the same clips again, a
        cross-validation after another or a bundle after it, finds it there, with the curves of the first time. A
        training that was stopped goes on there. Delete it at any time. None: nothing is kept.
    """

    network: ConvNetConfig = field(default_factory=ConvNetConfig)
    training: FineTuneConfig = field(default_factory=FineTuneConfig)
    members: int = 1
    backbone: str | None = None
    feature: str = SPECTROGRAM
    title: str = ""
    kept: Path | None = None

    def __post_init__(self) -> None:
        if self.members < 1:
            raise InputError(f"A model has at least one member, not {self.members}.")

    @property
    def name(self) -> str:
        """Its title, or ``tuned-`` and the head's kind."""
        several = f"-x{self.members}" if self.members > 1 else ""
        return self.title or f"tuned-{self.network.head.kind}{several}"

    def describe(self) -> dict[str, Any]:
        """All settings that decide the numbers; where weights lie and are kept is not one of them."""
        return {
            "name": self.name, "feature": self.feature, "members": self.members,
            "network": self.network.to_dict(), "training": self.training.to_dict(),
        }  # fmt: skip

    def seeds(self, seed: int) -> list[int]:
        """The members' seeds; the first is the seed itself, so that one member is the single network."""
        return [seed + 100_003 * member for member in range(self.members)]

    def expected_initial_weights(self, features: Features, labels: int, seed: int) -> str:
        """The hash of the pretrained network with a fresh head."""
        from earmark.models.convnet import new_convnet
        from earmark.models.weights import weights_hash

        backbone = _backbone(self.backbone)
        hashes = [weights_hash(new_convnet(self.network, backbone, labels, each)) for each in self.seeds(seed)]
        return _together(hashes)

    def fit(
        self,
        features: Features,
        targets: Targets,
        labels: int,
        **how: Unpack[FitOptions],
    ) -> FittedMembers:
        """Fine-tune each member; see :func:`earmark.finetune.fit_convnet`."""
        from earmark.finetune import fit_convnet

        seeds, before = self.seeds(how["seed"]), how.get("start_from")
        device, progress = how.get("device", "cpu"), how.get("progress", silent)
        loop = None
        if device == "cuda":
            # Recording a step takes as long as dozens of them: it is done once for all folds and members.
            loop = _loop(self.network, self.training, labels, features.shape[1])
        fitted = []
        if self.kept is not None and before is None:
            kept: list[Path | None] = [self._place(each, features, targets, labels, device) for each in seeds]
        else:
            kept = [_part(how.get("checkpoint"), member, self.members) for member in range(self.members)]
        epochs = self.training.epochs
        for member, each in enumerate(seeds):

            def tell(step: Step, past: int = member * epochs) -> None:
                progress(Step(step.task, past + step.done, self.members * epochs, step.note))

            fitted.append(
                fit_convnet(
                    self.network,
                    self.training,
                    features,
                    targets,
                    labels,
                    seed=each,
                    backbone=_backbone(self.backbone) if before is None else None,
                    validation=how.get("validation"),
                    start_from=None if before is None else before.members[member].network,
                    checkpoint=kept[member],
                    keep=self.members > 1 or self.kept is not None,
                    device=device,
                    loop=loop,
                    progress=tell,
                )
            )
        if self.members > 1 and self.kept is None:
            for path in kept:
                if path is not None:
                    path.unlink(missing_ok=True)
        return FittedMembers(tuple(fitted))

    def _place(self, seed: int, features: Features, targets: Targets, labels: int, device: str) -> Path:
        """Where the network of a seed, trained on these clips, is kept."""
        assert self.kept is not None
        self.kept.mkdir(parents=True, exist_ok=True)
        settings = [self.network.to_dict(), self.training.to_dict(), seed, labels, device, features.shape]
        key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        key.update(np.ascontiguousarray(features).data)
        key.update(np.ascontiguousarray(targets, "<i8").data)
        return self.kept / f"{key.hexdigest()[:32]}.safetensors"

    def quick(self) -> FineTuneLearner:
        """One member, a fifth of the epochs, at least three."""
        epochs = min(self.training.epochs, max(3, self.training.epochs // 5))
        return replace(self, members=1, training=replace(self.training, epochs=epochs))


@dataclass(frozen=True)
class FittedMembers:
    """Trained networks whose logits are averaged."""

    members: tuple[FittedConvNet, ...]

    @property
    def initial_weights(self) -> str:
        """Of all members."""
        return _together([member.initial_weights for member in self.members])

    @property
    def final_weights(self) -> str:
        """Of all members."""
        return _together([member.final_weights for member in self.members])

    @property
    def curves(self) -> Sequence[EpochMeans]:
        """Means over the members."""
        rows = zip(*(member.curves for member in self.members), strict=True)
        return [EpochMeans(same[0].epoch, *(_mean(same, name) for name in EpochMeans._fields[1:])) for same in rows]

    def outputs(self, spectrograms: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """uint8 (n, bins, columns) -> log-probabilities (n, labels), the members' embeddings side by side (n, d)."""
        found = [member.outputs(spectrograms) for member in self.members]
        mean = np.mean([log_softmax(logits) for logits, _ in found], axis=0)
        return log_softmax(mean), np.concatenate([embeddings for _, embeddings in found], axis=1)

    def log_probabilities(self, features: Features) -> NDArray[np.float64]:
        """uint8 (n, bins, columns) -> (n, labels) logarithms of probabilities."""
        return self.outputs(features)[0]


def _mean(rows: Sequence[Any], name: str) -> float:
    return float(np.mean([getattr(row, name) for row in rows]))


def _together(hashes: Sequence[str]) -> str:
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _part(checkpoint: Path | None, member: int, members: int) -> Path | None:
    if checkpoint is None or members == 1:
        return checkpoint
    return checkpoint.with_name(f"{checkpoint.stem}-{member}{checkpoint.suffix}")


@functools.lru_cache(maxsize=1)
def _backbone(source: str | None) -> Backbone:
    from earmark.models.backbone import load_backbone

    return load_backbone(source)


@functools.lru_cache(maxsize=2)
def _loop(network: ConvNetConfig, training: FineTuneConfig, labels: int, bins: int) -> TuningLoop:
    """One loop on the GPU for all trainings of a configuration."""
    from earmark.tuning_loop import TuningLoop

    return TuningLoop(training, "cuda")
