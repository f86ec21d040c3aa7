"""Pretrained networks of every kind, very small and of random weights, as the folders that transformers writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers as hf

SPEECH: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32,
    "conv_dim": [8] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2,
}  # fmt: skip
TRANSFORMER: dict[str, Any] = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32
}  # fmt: skip
CLAP_AUDIO: dict[str, Any] = {
    "spec_size": 64, "num_mel_bins": 16, "hidden_size": 16, "patch_embeds_hidden_size": 8, "depths": [1, 1],
    "num_attention_heads": [1, 2], "window_size": 4, "num_hidden_layers": 2, "projection_dim": 16, "patch_size": 4,
    "patch_stride": [4, 4],
}  # fmt: skip
SPEECH_EXTRACTOR = {
    "sampling_rate": 16000,
    "do_normalize": True,
    "feature_extractor_type": "Wav2Vec2FeatureExtractor",
}


IMAGE: dict[str, Any] = {"size": {"height": 64, "width": 64}, "do_normalize": True, "image_mean": [0.4, 0.5, 0.6]}
CROPPED: dict[str, Any] = {**IMAGE, "do_center_crop": True, "crop_size": {"height": 56, "width": 56}}
SWIN: dict[str, Any] = {"image_size": 64, "embed_dim": 8, "depths": [1, 1], "num_heads": [1, 2], "window_size": 4}
CONVNEXT: dict[str, Any] = {"hidden_sizes": [4, 8, 12, 16], "depths": [1, 1, 1, 1]}
RESNET: dict[str, Any] = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1]}
EFFICIENTNET: dict[str, Any] = {
    "image_size": 64, "width_coefficient": 0.25, "depth_coefficient": 0.25, "hidden_dim": 320,
    "initializer_range": 0.4,
}  # fmt: skip
MOBILEVIT: dict[str, Any] = {
    "image_size": 64, "hidden_sizes": [16, 16, 16], "neck_hidden_sizes": [8, 8, 8, 8, 8, 8, 16],
    "num_attention_heads": 2, "initializer_range": 0.4,
}  # fmt: skip
WHISPER: dict[str, Any] = {
    "d_model": 16, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "vocab_size": 60,
    "max_source_positions": 100, "num_mel_bins": 16, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 3,
}  # fmt: skip
CLAP_EXTRACTOR: dict[str, Any] = {
    "feature_size": 16, "sampling_rate": 16000, "hop_length": 320, "fft_window_size": 512, "max_length_s": 2,
    "frequency_max": 8000, "frequency_min": 50,
}  # fmt: skip
AST_EXTRACTOR: dict[str, Any] = {
    "sampling_rate": 16000, "num_mel_bins": 32, "max_length": 200, "mean": -4.0, "std": 4.5, "do_normalize": True,
}  # fmt: skip


def _clap(fused: bool) -> dict[str, Any]:
    text = {**TRANSFORMER, "vocab_size": 50, "projection_dim": 16}
    return {"text_config": text, "audio_config": {**CLAP_AUDIO, "enable_fusion": fused}, "projection_dim": 16}


PICTURES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "efficientnet": (
        "EfficientNetForImageClassification", EFFICIENTNET, {**IMAGE, "include_top": True, "image_std": [0.5] * 3},
    ),
    "convnext": (
        "ConvNextForImageClassification", CONVNEXT, {"size": {"shortest_edge": 64}, "image_std": [0.2, 0.3, 0.4]},
    ),
    "convnextv2": ("ConvNextV2Model", CONVNEXT, IMAGE),
    "mobilenet_v1": ("MobileNetV1Model", {"depth_multiplier": 0.25}, IMAGE),
    "mobilenet_v2": ("MobileNetV2Model", {"depth_multiplier": 0.25}, IMAGE),
    "mobilevit": (
        "MobileViTModel", MOBILEVIT,
        {"size": {"shortest_edge": 64}, "do_flip_channel_order": True, "do_normalize": False},
    ),
    "resnet": ("ResNetForImageClassification", {**RESNET, "layer_type": "basic"}, IMAGE),
    "regnet": ("RegNetModel", {**RESNET, "groups_width": 8}, IMAGE),
    "swin": ("SwinForImageClassification", SWIN, IMAGE),
    "swinv2": ("Swinv2Model", SWIN, IMAGE),
    "vit": ("ViTForImageClassification", {"image_size": 32, **TRANSFORMER}, IMAGE),
    "deit": ("DeiTForImageClassification", {"image_size": 32, **TRANSFORMER}, IMAGE),
    "dinov2": ("Dinov2Model", {"image_size": 70, "patch_size": 14, **TRANSFORMER}, CROPPED),
}  # fmt: skip
"""Class, configuration and image processor's settings by type."""
SOUNDS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "ast": ("ASTForAudioClassification", {"max_length": 200, "num_mel_bins": 32, **TRANSFORMER}, AST_EXTRACTOR),
    "wav2vec2": ("Wav2Vec2ForCTC", {"vocab_size": 20, **SPEECH}, SPEECH_EXTRACTOR),
    "hubert": (
        "HubertModel", {"do_stable_layer_norm": True, "feat_extract_norm": "layer", **SPEECH}, SPEECH_EXTRACTOR,
    ),
    "wavlm": ("WavLMModel", SPEECH, {**SPEECH_EXTRACTOR, "do_normalize": False}),
    "unispeech-sat": ("UniSpeechSatModel", SPEECH, SPEECH_EXTRACTOR),
    "data2vec-audio": ("Data2VecAudioModel", {**SPEECH, "num_conv_pos_embeddings": 2}, SPEECH_EXTRACTOR),
    "clap": ("ClapModel", _clap(False), {**CLAP_EXTRACTOR, "truncation": "rand_trunc"}),
    "clap-fused": ("ClapModel", _clap(True), {**CLAP_EXTRACTOR, "truncation": "fusion"}),
    "whisper": ("WhisperModel", WHISPER, {"sampling_rate": 16000, "hop_length": 160, "n_fft": 400}),
}  # fmt: skip


def save(kind: str, folder: Path, *, licence: str = "", seed: int = 0) -> Path:
    """Write the folder of one: its weights, its settings and, with a licence, its model card."""
    name, config, settings = {**PICTURES, **SOUNDS}[kind]
    model = getattr(hf, name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = model(model.config_class(**config)).eval()
        _wake(network, kind)
    network.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    if licence:
        (folder / "README.md").write_text(f"---\ntags:\n- music\nlicense: {licence}\n---\n\nlicense: not this one\n")
    return folder


def _wake(network: Any, kind: str) -> None:
    """Give normalisation the statistics of some input, else the signal dies on its way through random layers."""
    layers = [part for part in network.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    if kind not in PICTURES or not layers:
        return
    kept = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.nn.functional.interpolate(torch.randn(8, 3, 16, 16), size=(64, 64)))
    for layer, momentum in zip(layers, kept, strict=True):
        layer.momentum = momentum
    network.eval()


def save_mert(folder: Path, **settings: Any) -> Path:
    """A MERT as on the hub: HuBERT's weights under another type, with code of its own that nobody runs."""
    save("hubert", folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    config.update(
        model_type="mert_model", architectures=["MERTModel"], sample_rate=24000, feature_extractor_cqt=False,
        deepnorm=False, attention_relax=-1.0,
        auto_map={"AutoModel": "modeling_MERT.MERTModel", "AutoConfig": "configuration_MERT.MERTConfig"},
    )  # fmt: skip
    config.update(settings)
    path.write_text(json.dumps(config))
    (folder / "modeling_MERT.py").write_text("raise SystemExit('code from a model folder was run')\n")
    (folder / "configuration_MERT.py").write_text("raise SystemExit('code from a model folder was run')\n")
    (folder / "preprocessor_config.json").write_text(json.dumps({**SPEECH_EXTRACTOR, "sampling_rate": 24000}))
    return folder
