"""Fine-tuning of any backbone as something that cross-validation can train. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Unpack

from earmark.errors import InputError
from earmark.learners import Features, FitOptions, Fitted, Targets, options_for_part


@dataclass(frozen=True)
class TuneConfig:
    """How a backbone is trained together with a dense layer on top.

    Parameters
    ----------
    epochs, batch_size
        Passes over the training clips, and clips per step.
    learning_rate
        AdamW's, at its height, for the last layer of the backbone.
    first_share
        The first layer's share of it; the layers between get shares that rise evenly by factors.
    head_rate
        For the dense layer, which begins from nothing.
    warm_up
        Share of all steps in which the rates rise; then they fall along half a cosine.
    weight_decay, label_smoothing, dropout
        As usual; the dropout is before the dense layer.
    masked
        Longest stretch of bins and of frames that is blanked in a step, as a share of them (SpecAugment; Park et al.,
        2019). Waveforms are not blanked.
    bfloat16
        Whether a GPU may round products to bfloat16; a processor never does.
    """

    epochs: int = 10
    batch_size: int = 8
    learning_rate: float = 1e-4
    first_share: float = 0.1
    head_rate: float = 1e-3
    warm_up: float = 0.1
    weight_decay: float = 0.01
    label_smoothing: float = 0.1
    dropout: float = 0.1
    masked: float = 0.15
    bfloat16: bool = True

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"Training needs at least one epoch, not {self.epochs}.")
        if self.batch_size < 1:
            raise InputError(f"A batch needs at least one clip, not {self.batch_size}.")
        if not self.learning_rate > 0 or not self.head_rate > 0:
            raise InputError(f"The learning rate must be above 0, not {min(self.learning_rate, self.head_rate)}.")
        if not 0 < self.first_share <= 1:
            raise InputError(
                f"The first layer's share of the learning rate is above 0 and at most 1, not {self.first_share}."
            )
        for name in ("warm_up", "label_smoothing", "dropout", "masked"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is a share from 0 to below 1, not {getattr(self, name)}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class EncoderTuneLearner:
    """A pretrained backbone and a dense layer, trained together.

    Parameters
    ----------
    backbone
        :meth:`earmark.models.encoder.Encoder.describe`, for the record; its fingerprint must be that of the weights.
    source
        Where the weights are; see :func:`earmark.models.encoder.load_encoder`.
    feature
        What it learns from: ``"spectrogram"``, or the name of the numbers of its front end.
    layer
        See :class:`earmark.models.encoder.Encoder`; the layers behind it are not used.
    training
        How it is trained.
    front_end
        Of a backbone that hears; None: the dataset's own.
    """

    backbone: Mapping[str, Any]
    source: str
    feature: str
    short_name: str
    layer: int | str | None = None
    training: TuneConfig = field(default_factory=TuneConfig)
    front_end: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """``tuned-`` and the backbone."""
        return f"tuned-{self.short_name}"

    def describe(self) -> dict[str, Any]:
        """All settings that decide the numbers; where the weights lie is not one of them."""
        return {
            "name": self.name, "feature": self.feature, "backbone": dict(self.backbone),
            "training": self.training.to_dict(), "front_end": self.front_end,
        }  # fmt: skip

    def expected_initial_weights(self, features: Features, labels: int, seed: int) -> str:
        """The hash of the pretrained network with a fresh dense layer."""
        from earmark.encoder_tuning import fresh_network
        from earmark.models.weights import weights_hash

        return weights_hash(fresh_network(self, features.shape[1:], labels, seed))

    def fit(
        self,
        features: Features,
        targets: Targets,
        labels: int,
        **how: Unpack[FitOptions],
    ) -> Fitted:
        """Fine-tune; see :func:`earmark.encoder_tuning.fit_encoder`."""
        from earmark.encoder_tuning import fit_encoder

        return fit_encoder(self, features, targets, labels, **options_for_part(how, "network"))

    def quick(self) -> EncoderTuneLearner:
        """A fifth of the epochs, at least two."""
        epochs = min(self.training.epochs, max(2, self.training.epochs // 5))
        return replace(self, training=replace(self.training, epochs=epochs))
