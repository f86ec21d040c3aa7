"""The fine-tuned network as something that cross-validation can train. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from earmark.learners import Features, Fitted, Targets
from earmark.models.convnet_config import ConvNetConfig, FineTuneConfig
from earmark.progress import Progress, silent

SPECTROGRAM = "spectrogram"


@dataclass(frozen=True)
class FineTuneLearner:
    """MobileNetV2 and a head over time, trained together on spectrograms.

    Parameters
    ----------
    network, training
        The architecture and how it is trained.
    backbone
        Where the ImageNet weights are; see :func:`earmark.models.backbone.load_backbone`.
    feature
        What it learns from: the dataset's spectrograms, uint8 (n, bins, columns).
    """

    network: ConvNetConfig = field(default_factory=ConvNetConfig)
    training: FineTuneConfig = field(default_factory=FineTuneConfig)
    backbone: str | None = None
    feature: str = SPECTROGRAM

    @property
    def name(self) -> str:
        """``tuned-`` and the head's kind."""
        return f"tuned-{self.network.head.kind}"

    def describe(self) -> dict[str, Any]:
        """All settings that decide the numbers; where the weights lie is not one of them."""
        return {
            "name": self.name, "feature": self.feature, "network": self.network.to_dict(),
            "training": self.training.to_dict(),
        }  # fmt: skip

    def expected_initial_weights(self, features: Features, labels: int, seed: int) -> str:
        """The hash of the pretrained network with a fresh head."""
        from earmark.models.backbone import load_backbone
        from earmark.models.convnet import new_convnet
        from earmark.models.weights import weights_hash

        return weights_hash(new_convnet(self.network, load_backbone(self.backbone), labels, seed))

    def fit(
        self,
        features: Features,
        targets: Targets,
        labels: int,
        *,
        seed: int,
        validation: tuple[Features, Targets] | None = None,
        checkpoint: Path | None = None,
        device: str = "cpu",
        start_from: Any = None,
        progress: Progress = silent,
    ) -> Fitted:
        """Fine-tune; see :func:`earmark.finetune.fit_convnet`."""
        from earmark.finetune import fit_convnet

        return fit_convnet(
            self.network,
            self.training,
            features,
            targets,
            labels,
            seed=seed,
            backbone=self.backbone,
            validation=validation,
            start_from=start_from.network if start_from is not None else None,
            checkpoint=checkpoint,
            device=device,
            progress=progress,
        )

    def quick(self) -> FineTuneLearner:
        """A fifth of the epochs, at least three, on fewer versions of each clip."""
        epochs = min(self.training.epochs, max(3, self.training.epochs // 5))
        augment = replace(self.training.augment, variants=min(2, self.training.augment.variants))
        return replace(self, training=replace(self.training, epochs=epochs, augment=augment))
