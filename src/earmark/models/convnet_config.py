"""What a fine-tuned network is made of and how it is trained, as plain data: it travels in runs and bundles."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from earmark.errors import InputError

TimeHeadKind = Literal["mean", "mean-deviation", "attention", "gru"]
TIME_HEADS: tuple[str, ...] = get_args(TimeHeadKind)
PictureKind = Literal["grey", "relief"]
PICTURES: tuple[str, ...] = get_args(PictureKind)
STAGES = 18
"""MobileNetV2 in the pieces that can be frozen: the stem, 16 inverted residuals, the last 1x1 convolution."""
STRIDE = 32
"""By how much MobileNetV2 shrinks a picture."""


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
    projection: int = 128
    units: int = 64
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
    """A trainable MobileNetV2 that looks at a spectrogram drawn 1:1, and its head.

    Parameters
    ----------
    head
        See :class:`TimeHeadConfig`.
    picture
        ``"grey"``: the levels in all three colours. ``"relief"``: the levels in red; in green what is above or below
        the mean of its band over the window, which no equaliser and no recording chain changes; in blue the change
        from column to column.
    stem_stride
        Steps of the first convolution over frequency and time. ImageNet's network has (2, 2); 1 keeps twice the
        resolution all the way, for about twice the work each.
    frozen_stages
        How many of the 18 stages keep their ImageNet weights.
    """

    head: TimeHeadConfig = field(default_factory=TimeHeadConfig)
    picture: PictureKind = "grey"
    stem_stride: tuple[int, int] = (2, 2)
    frozen_stages: int = 0

    def __post_init__(self) -> None:
        if self.picture not in PICTURES:
            raise InputError(f"There is no picture called {self.picture!r}; known are: {', '.join(PICTURES)}.")
        if len(self.stem_stride) != 2 or any(step not in (1, 2) for step in self.stem_stride):
            raise InputError(f"The first convolution steps by 1 or 2 each way, not by {self.stem_stride}.")
        if not 0 <= self.frozen_stages <= STAGES:
            raise InputError(f"MobileNetV2 has {STAGES} stages to freeze, not {self.frozen_stages}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "stem_stride": list(self.stem_stride)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ConvNetConfig:
        """The opposite of :meth:`to_dict`."""
        given = {**values, "head": TimeHeadConfig(**values["head"]), "stem_stride": tuple(values["stem_stride"])}
        return cls(**given)


@dataclass(frozen=True)
class AugmentConfig:
    """How training spectrograms are varied, on the decibel scale that they stand for.

    Parameters
    ----------
    amount
        Share of the clips of an epoch that are varied at all; the rest are only cropped, masked and mixed.
    stretch
        Time runs faster or slower by up to this share.
    pitch
        Bands that the spectrogram is shifted up or down, at most (fractions count).
    tilt, equaliser
        Standard deviations, in dB, of a slope from the lowest band to the highest (at its ends), and of the level at
        nine points between which a filter's curve runs.
    contrast
        Standard deviation of the change of the range, as compression and expansion make it.
    noise
        Share of varied clips that get a noise floor, 20 to 60 dB below the maximum and of any slope.
    band_limit
        Share of varied clips that lose everything above a frequency, as coding and old recordings do.
    distortion
        Share of varied clips that are distorted as by samples cut off at full scale.
    masks
        How many stretches of bands and as many of columns are blanked (Park et al., SpecAugment, 2019).
    mask_bands, mask_columns
        The longest of each.
    mixup
        Parameter of the beta distribution for mixing pairs of clips and their labels (Zhang et al., 2018); 0: none.
    """

    amount: float = 0.8
    stretch: float = 0.1
    pitch: float = 3.0
    tilt: float = 4.0
    equaliser: float = 2.5
    contrast: float = 0.1
    noise: float = 0.25
    band_limit: float = 0.15
    distortion: float = 0.0
    masks: int = 1
    mask_bands: int = 24
    mask_columns: int = 24
    mixup: float = 0.3

    def __post_init__(self) -> None:
        for name in ("amount", "noise", "band_limit", "distortion"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"The augmentation {name} is a share from 0 to 1, not {getattr(self, name)}.")
        if not 0 <= self.stretch < 0.5:
            raise InputError(f"Time can be stretched by 0 to below 0.5, not {self.stretch}.")
        for name in ("pitch", "tilt", "equaliser", "contrast", "masks", "mask_bands", "mask_columns", "mixup"):
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

    epochs: int = 40
    batch_size: int = 32
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
        if self.crop_columns < STRIDE:
            raise InputError(f"The network needs crops of at least {STRIDE} columns, not {self.crop_columns}.")
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
