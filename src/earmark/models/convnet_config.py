"""What a fine-tuned network is made of and how it is trained, as plain data: it travels in runs and bundles."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from earmark.errors import InputError

TimeHeadKind = Literal["mean", "mean-deviation", "attention", "gru"]
TIME_HEADS: tuple[str, ...] = get_args(TimeHeadKind)
STAGES = 18
"""MobileNetV2 in the pieces that can be frozen: the stem, 16 inverted residuals, the last 1x1 convolution."""
STRIDES = (2, 4, 4, 8, 8, 8, 16, 16, 16, 16, 16, 16, 16, 32, 32, 32, 32, 32)
"""By how much the picture has shrunk behind each stage."""


@dataclass(frozen=True)
class TimeHeadConfig:
    """What follows the feature map, whose time axis it keeps.

    Parameters
    ----------
    kind
        ``"mean"`` pools frequency and time, ``"mean-deviation"`` adds the deviation over time, ``"attention"``
        weighs places of the map by a learnt score, ``"gru"`` pools frequency, reduces each frame to `projection`
        values and runs a bidirectional GRU over the frames, whose states are averaged.
    projection, units
        Size of a frame before the GRU, and of the GRU's state per direction.
    beside_mean
        Put the pooled feature map beside the GRU's states.
    dropout
        Share of values dropped before the projection and before the dense layer while training.
    """

    kind: TimeHeadKind = "gru"
    projection: int = 256
    units: int = 128
    beside_mean: bool = False
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if self.kind not in TIME_HEADS:
            raise InputError(f"There is no head called {self.kind!r}; known heads: {', '.join(TIME_HEADS)}.")
        if self.projection < 1 or self.units < 1:
            raise InputError("The GRU's projection and its units must be at least 1.")
        if not 0 <= self.dropout < 1:
            raise InputError(f"Dropout is a share from 0 to below 1, not {self.dropout}.")


@dataclass(frozen=True)
class ConvNetConfig:
    """A trainable MobileNetV2 that looks at a grey spectrogram drawn 1:1, and its head.

    Parameters
    ----------
    head
        See :class:`TimeHeadConfig`.
    frozen_stages
        How many of the 18 stages keep their ImageNet weights. What they compute does not depend on the training, so
        it is computed once per varied spectrogram and not once per step.
    """

    head: TimeHeadConfig = field(default_factory=TimeHeadConfig)
    frozen_stages: int = 4

    def __post_init__(self) -> None:
        if not 0 <= self.frozen_stages <= STAGES:
            raise InputError(f"MobileNetV2 has {STAGES} stages to freeze, not {self.frozen_stages}.")

    @property
    def frozen_stride(self) -> int:
        """How many columns of the spectrogram one column behind the frozen stages stands for."""
        return STRIDES[self.frozen_stages - 1] if self.frozen_stages else 1

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ConvNetConfig:
        """The opposite of :meth:`to_dict`."""
        return cls(head=TimeHeadConfig(**values["head"]), frozen_stages=values["frozen_stages"])


@dataclass(frozen=True)
class AugmentConfig:
    """How training spectrograms are varied. Amounts are on the scale of a whole spectrogram's range, 0 to 1.

    Parameters
    ----------
    variants
        Versions of each clip, the untouched one among them; each step draws one of them.
    stretch
        Time runs faster or slower by up to this share.
    pitch
        Bands that the spectrogram is shifted up or down, at most.
    gain, contrast, tilt, equaliser
        Standard deviations of a level added to everything, of the change of the range, of a slope from the lowest
        band to the highest, and of the level at nine points between which a filter's curve runs.
    noise
        Largest standard deviation of noise, independent for each value.
    mask_bands, mask_columns
        Longest stretch of bands and of columns that is blanked (Park et al., SpecAugment, 2019), once per step each.
    mixup
        Parameter of the beta distribution for mixing pairs of clips and their labels (Zhang et al., 2018); 0: none.
    """

    variants: int = 8
    stretch: float = 0.1
    pitch: int = 3
    gain: float = 0.05
    contrast: float = 0.1
    tilt: float = 0.06
    equaliser: float = 0.03
    noise: float = 0.015
    mask_bands: int = 24
    mask_columns: int = 24
    mixup: float = 0.3

    def __post_init__(self) -> None:
        if self.variants < 1:
            raise InputError(f"Each clip has at least one version, its own, not {self.variants}.")
        if not 0 <= self.stretch < 0.5:
            raise InputError(f"Time can be stretched by 0 to below 0.5, not {self.stretch}.")
        for name in (
            "pitch",
            "gain",
            "contrast",
            "tilt",
            "equaliser",
            "noise",
            "mask_bands",
            "mask_columns",
            "mixup",
        ):
            if getattr(self, name) < 0:
                raise InputError(f"The augmentation {name} must be 0 or more, not {getattr(self, name)}.")


@dataclass(frozen=True)
class FineTuneConfig:
    """How a network is fine-tuned.

    Parameters
    ----------
    epochs
        Passes over the training clips, fixed beforehand: nothing is chosen by looking at a validation or test clip.
    batch_size
        Clips per step.
    crop_columns
        Columns of the stretch that is cut from a clip at random in each step; 128 are 10 s.
    learning_rate, backbone_rate
        Peak rate of AdamW (Loshchilov and Hutter, 2019) for the head, and its multiple for the last stage.
    layer_decay
        Each stage below learns at this multiple of the rate of the one above.
    weight_decay
        For weight matrices and kernels; biases and normalisation have none.
    warm_up
        Share of the steps in which the rate rises linearly; then it falls along half a cosine to 0.
    label_smoothing
        Share of each label that is spread over all.
    averaging
        Decay per step of the running mean of weights that is the result (0: the last weights).
    bfloat16
        Compute the convolutions of training in bfloat16: twice as fast on a CPU that has it (AVX512-BF16, AMX) or a
        GPU. Predictions are always made in float32.
    augment
        See :class:`AugmentConfig`.
    """

    epochs: int = 30
    batch_size: int = 16
    crop_columns: int = 128
    learning_rate: float = 1e-3
    backbone_rate: float = 1.0
    layer_decay: float = 1.0
    weight_decay: float = 0.05
    warm_up: float = 0.2
    label_smoothing: float = 0.1
    averaging: float = 0.99
    bfloat16: bool = True
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"Training needs at least one epoch, not {self.epochs}.")
        if self.batch_size < 2:
            raise InputError(f"Batch statistics need at least two clips in a batch, not {self.batch_size}.")
        if self.crop_columns < 32:
            raise InputError(f"The network needs crops of at least 32 columns, not {self.crop_columns}.")
        if not self.learning_rate > 0:
            raise InputError(f"The learning rate must be above 0, not {self.learning_rate}.")
        for name in ("warm_up", "label_smoothing", "averaging"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name} is a share from 0 to below 1, not {getattr(self, name)}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> FineTuneConfig:
        """The opposite of :meth:`to_dict`."""
        return cls(**{**values, "augment": AugmentConfig(**values["augment"])})
