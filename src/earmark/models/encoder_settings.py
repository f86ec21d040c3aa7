"""From a pretrained network's own settings to its front end (sound), or to how its picture is drawn and scaled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from earmark.errors import InputError
from earmark.models.encoder_files import EncoderFiles
from earmark.models.families import Family
from earmark.sound_front_end import LogMel, SoundFrontEnd

WINDOW_SECONDS = 30.0
"""As the mel and stft front ends: what is learnt from and what is heard is one stretch of this length."""
# What networks for speech and MERT were trained on at once: 5 s for the latter, up to 15 s for the former.
_WAVEFORM_SECONDS = {"mert_model": 5.0}
_USUAL_WAVEFORM_SECONDS = 10.0
_IMAGENET_MEAN, _IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_USUAL_SIZE = 224


@dataclass(frozen=True)
class PictureSettings:
    """How a picture is made for a network.

    Parameters
    ----------
    height, width
        In pixels.
    mean, deviation
        Of each channel, red first, where colours go from 0 to 1: the network sees ``(x - mean) / deviation``.
    blue_first
        Whether the network takes the channels in the order blue, green, red.
    """

    height: int
    width: int
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    blue_first: bool = False


def sound_front_end(files: EncoderFiles, family: Family) -> SoundFrontEnd:
    """The front end of a network that takes sound or log-mel frames.

    The numbers are those of the ``transformers`` feature extractor with the model's own settings; where the model
    comes without, the extractor's defaults for that family.

    Raises
    ------
    InputError
        If a setting makes no sense.
    """
    settings, seconds = files.preprocessing, WINDOW_SECONDS
    try:
        if family.takes == "waveform":
            found = _waveform(files, settings, seconds)
        elif family.takes == "ast":
            found = _ast(files, settings, seconds)
        elif family.takes == "clap":
            found = _clap(files, settings, seconds)
        else:
            found = _whisper(files, settings, seconds)
    except (TypeError, ValueError) as error:
        raise InputError(f"The settings of {files.named}'s feature extractor make no sense ({error}).") from error
    return found


def _waveform(files: EncoderFiles, settings: Mapping[str, Any], seconds: float) -> SoundFrontEnd:
    # MERT's own configuration knows its rate too; that of speech networks is 16 kHz throughout.
    rate = int(settings.get("sampling_rate", files.config.get("sample_rate", 16000)))
    segment = _WAVEFORM_SECONDS.get(files.kind, _USUAL_WAVEFORM_SECONDS)
    return SoundFrontEnd(rate, seconds, round(min(segment, seconds) * rate), bool(settings.get("do_normalize", True)))


def _ast(files: EncoderFiles, settings: Mapping[str, Any], seconds: float) -> SoundFrontEnd:
    rate = int(settings.get("sampling_rate", 16000))
    frames = int(files.config.get("max_length", settings.get("max_length", 1024)))
    normalised = settings.get("do_normalize", True)
    mel = LogMel(
        frame_length=400, n_fft=512, hop_length=160, n_mels=int(files.config.get("num_mel_bins", 128)), low=20,
        high=rate // 2, frames=frames, scale="kaldi", centred=False, symmetric=True, preemphasis=0.97,
        without_mean=True, floor=2.0**-23, mean=float(settings.get("mean", -4.2677393)) if normalised else 0,
        deviation=2 * float(settings.get("std", 4.5689974)) if normalised else 1,
    )  # fmt: skip
    segment = mel.frame_length + (frames - 1) * mel.hop_length
    return SoundFrontEnd(rate, max(seconds, segment / rate), segment, mel=mel)


def _clap(files: EncoderFiles, settings: Mapping[str, Any], seconds: float) -> SoundFrontEnd:
    rate = int(settings.get("sampling_rate", 48000))
    hop, n_fft = int(settings.get("hop_length", 480)), int(settings.get("fft_window_size", 1024))
    segment = round(float(settings.get("max_length_s", 10)) * rate)
    # The two ways in which CLAP was trained take two kinds of mel bands.
    fused = (
        settings.get("truncation", "fusion" if _clap_audio(files).get("enable_fusion") else "rand_trunc") == "fusion"
    )
    mel = LogMel(
        frame_length=n_fft, n_fft=n_fft, hop_length=hop, n_mels=int(settings.get("feature_size", 64)),
        low=float(settings.get("frequency_min", 50)), high=float(settings.get("frequency_max", 14000)),
        frames=1 + segment // hop, scale="htk" if fused else "slaney", area=not fused, logarithm="decibel",
    )  # fmt: skip
    return SoundFrontEnd(rate, max(seconds, segment / rate), segment, mel=mel)


def _clap_audio(files: EncoderFiles) -> Mapping[str, Any]:
    audio = files.config.get("audio_config")
    return audio if isinstance(audio, dict) else files.config


def _whisper(files: EncoderFiles, settings: Mapping[str, Any], seconds: float) -> SoundFrontEnd:
    rate, hop = int(settings.get("sampling_rate", 16000)), int(settings.get("hop_length", 160))
    n_fft = int(settings.get("n_fft", 400))
    # The encoder halves the frames and has one place for each that is left.
    frames = 2 * int(files.config.get("max_source_positions", 1500))
    mel = LogMel(
        frame_length=n_fft, n_fft=n_fft, hop_length=hop, n_mels=int(files.config.get("num_mel_bins", 80)), low=0,
        high=8000, frames=frames, scale="slaney", area=True, logarithm="log10", below_maximum=8, mean=-4, deviation=4,
    )  # fmt: skip
    segment = frames * hop
    return SoundFrontEnd(rate, max(seconds, segment / rate), segment, mel=mel)


def picture_settings(files: EncoderFiles, family: Family) -> PictureSettings:
    """Size and scale of the picture, from the model's image processor; ImageNet's where it comes without.

    Raises
    ------
    InputError
        If a setting makes no sense.
    """
    settings = files.preprocessing
    try:
        height, width = _size(files, settings, family)
        # MobileViT's own processor turns the channels round and scales nothing.
        plain = files.kind == "mobilevit"
        if settings.get("do_normalize", not plain):
            mean = _colours(settings.get("image_mean", _IMAGENET_MEAN))
            deviation = _colours(settings.get("image_std", _IMAGENET_DEVIATION))
        else:
            mean, deviation = (0.0,) * 3, (1.0,) * 3
        if settings.get("rescale_offset"):
            # Colours then go from -1 to 1 before the mean is taken away.
            mean, deviation = _colours([(m + 1) / 2 for m in mean]), _colours([d / 2 for d in deviation])
        if files.kind == "efficientnet" and settings.get("include_top", True):
            # EfficientNet's own processor divides by the deviation twice.
            own = _colours(settings.get("image_std", _IMAGENET_DEVIATION))
            deviation = _colours([a * b for a, b in zip(deviation, own, strict=True)])
    except (TypeError, ValueError, KeyError) as error:
        raise InputError(f"The settings of {files.named}'s image processor make no sense ({error}).") from error
    return PictureSettings(height, width, mean, deviation, bool(settings.get("do_flip_channel_order", plain)))


def _size(files: EncoderFiles, settings: Mapping[str, Any], family: Family) -> tuple[int, int]:
    trained = files.config.get("image_size", _USUAL_SIZE)
    given = settings.get("crop_size") if settings.get("do_center_crop") else None
    given = trained if family.fixed_size else given or settings.get("size") or trained
    if isinstance(given, Mapping):
        edge = given.get("shortest_edge", 0)
        height, width = int(given.get("height", edge)), int(given.get("width", edge))
    elif isinstance(given, list | tuple):
        height, width = (int(edge) for edge in given)
    else:
        height = width = int(given)
    if not 16 <= min(height, width) <= max(height, width) <= 4096:
        raise ValueError(f"a picture of {height} by {width} pixels")
    return height, width


def _colours(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
