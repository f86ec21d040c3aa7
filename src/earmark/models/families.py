"""Which pretrained networks of ``transformers`` can be a backbone, what they take, and how they are summed up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from earmark.errors import InputError

Takes = Literal["picture", "waveform", "ast", "clap", "whisper"]
Pool = Literal["map", "tokens", "pooler"]


@dataclass(frozen=True)
class Family:
    """One architecture.

    Parameters
    ----------
    model
        Name of its class in ``transformers``, without a classifier.
    takes
        ``"picture"``: a drawn spectrogram; ``"waveform"``: sound; the others: log-mel frames of their own kind.
    pool
        How the output becomes one vector: mean over the feature map (``"map"``), over the sequence (``"tokens"``), or
        the network's own summary, with which it was trained to tell classes apart (``"pooler"``).
    skip
        Tokens at the beginning of the sequence that stand for no place.
    layers
        Whether there is a stack of layers of one width to choose from.
    fixed_size
        Whether the picture must have the size that the network was trained with.
    """

    model: str
    takes: Takes
    pool: Pool
    skip: int = 0
    layers: bool = False
    fixed_size: bool = False


_SPEECH = {
    "wav2vec2": "Wav2Vec2Model",
    "hubert": "HubertModel",
    "wavlm": "WavLMModel",
    "unispeech-sat": "UniSpeechSatModel",
    "data2vec-audio": "Data2VecAudioModel",
    # The hub's MERT brings code of its own, whose published settings compute what HuBERT computes (see check_config).
    "mert_model": "HubertModel",
}
FAMILIES: Mapping[str, Family] = {
    "efficientnet": Family("EfficientNetModel", "picture", "map"),
    "convnext": Family("ConvNextModel", "picture", "pooler"),
    "convnextv2": Family("ConvNextV2Model", "picture", "pooler"),
    "mobilenet_v1": Family("MobileNetV1Model", "picture", "map"),
    "mobilenet_v2": Family("MobileNetV2Model", "picture", "map"),
    "mobilevit": Family("MobileViTModel", "picture", "map"),
    "resnet": Family("ResNetModel", "picture", "map"),
    "regnet": Family("RegNetModel", "picture", "map"),
    "swin": Family("SwinModel", "picture", "tokens"),
    "swinv2": Family("Swinv2Model", "picture", "tokens"),
    "vit": Family("ViTModel", "picture", "tokens", skip=1, fixed_size=True),
    "deit": Family("DeiTModel", "picture", "tokens", skip=2, fixed_size=True),
    "dinov2": Family("Dinov2Model", "picture", "tokens", skip=1),
    "audio-spectrogram-transformer": Family("ASTModel", "ast", "pooler", layers=True),
    **{name: Family(model, "waveform", "tokens", layers=True) for name, model in _SPEECH.items()},
    "clap": Family("ClapAudioModelWithProjection", "clap", "pooler"),
    "clap_audio_model": Family("ClapAudioModelWithProjection", "clap", "pooler"),
    "whisper": Family("WhisperModel", "whisper", "tokens", layers=True),
}
"""By the ``model_type`` of their ``config.json``."""

SHORT_NAMES = {"audio-spectrogram-transformer": "ast", "mert_model": "mert", "clap_audio_model": "clap"}
# MERT's variants that HuBERT does not compute: a constant-Q transform beside the convolutions, another normalisation.
_MERT_WITH_CODE = ("feature_extractor_cqt", "deepnorm")


def family_of(config: Mapping[str, Any], named: str) -> Family:
    """The family of a model by its ``config.json``.

    Raises
    ------
    InputError
        If it is none that Earmark can use, or would need code from the model's own folder.
    """
    kind = str(config.get("model_type", ""))
    family = FAMILIES.get(kind)
    if family is None:
        code = " It brings code of its own, which Earmark never runs." if "auto_map" in config else ""
        raise InputError(
            f"{named} is a model of the type {kind or 'unknown'!r}, which cannot be a backbone.{code} "
            f"Those that can: {', '.join(sorted(FAMILIES))}."
        )
    if kind == "mert_model":
        odd = [name for name in _MERT_WITH_CODE if config.get(name)]
        if odd:
            raise InputError(
                f"{named} is a MERT with {' and '.join(odd)}, which only code from its own folder computes, and "
                "Earmark never runs such code. m-a-p/MERT-v1-95M and m-a-p/MERT-v1-330M need none."
            )
    return family
