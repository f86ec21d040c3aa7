"""From torch to ONNX: the graph that bundles carry and that computes embeddings on the CPU."""

from __future__ import annotations

import io
import warnings
from typing import Any

import torch
from torch import nn

from earmark.features import MUSICAL
from earmark.models.graphs import fold_padding
from earmark.models.network import Pooled
from earmark.musical_features import SIZE
from earmark.sound_front_end import SOUND, SPECTROGRAM

OPSET = 17


def export_network(network: nn.Module, bins: int, columns: int) -> bytes:
    """The whole network as an ONNX graph: ``spectrogram`` to ``logits`` and ``embedding``."""
    return _export(network, (_picture(bins, columns),), [SPECTROGRAM], ["logits", "embedding"])


def export_fused(network: nn.Module, bins: int, columns: int) -> bytes:
    """The same for a network with a machine beside it, which takes ``musical``, float32 (n, 737), too."""
    example = (_picture(bins, columns), torch.zeros(2, SIZE))
    return _export(network, example, [SPECTROGRAM, MUSICAL], ["logits", "embedding"])


def export_sound_network(network: nn.Module, shape: tuple[int, ...]) -> bytes:
    """The same for a network that hears: ``sound``, float32 (n, *shape), to ``logits`` and ``embedding``."""
    return _export(network, (torch.zeros(2, *shape),), [SOUND], ["logits", "embedding"])


def export_pooled(pooled: Pooled, bins: int, columns: int) -> bytes:
    """Drawing, backbone and pooling as an ONNX graph: ``spectrogram`` to ``pooled``."""
    return _export(pooled, (_picture(bins, columns),), [SPECTROGRAM], ["pooled"])


def _picture(bins: int, columns: int) -> torch.Tensor:
    return torch.zeros(2, bins, columns, dtype=torch.uint8)


def _export(module: nn.Module, example: Any, names: list[str], outputs: list[str]) -> bytes:
    buffer: Any = io.BytesIO()
    # Part by part: a frozen backbone inside a module that trains must stay as it is.
    modes = {part: part.training for part in module.modules()}
    module.eval()
    with warnings.catch_warnings(), torch.no_grad():
        # The tracer warns that image sizes become constants, which is what is wanted: a bundle has one window.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            buffer,
            dynamo=False,
            opset_version=OPSET,
            input_names=names,
            output_names=outputs,
            dynamic_axes={axis: {0: "n"} for axis in (*names, *outputs)},
        )
    for part, training in modes.items():
        part.training = training
    return fold_padding(bytes(buffer.getvalue()))
