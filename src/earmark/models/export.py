"""From torch to ONNX: the graph that bundles carry and that computes embeddings on the CPU."""

from __future__ import annotations

import io
import warnings
from typing import Any

import torch
from torch import nn

from earmark.models.network import Pooled

OPSET = 17


def export_network(network: nn.Module, bins: int, columns: int) -> bytes:
    """The whole network as an ONNX graph: ``spectrogram`` to ``logits`` and ``embedding``."""
    return _export(network, bins, columns, ["logits", "embedding"])


def export_pooled(pooled: Pooled, bins: int, columns: int) -> bytes:
    """Drawing, backbone and pooling as an ONNX graph: ``spectrogram`` to ``pooled``."""
    return _export(pooled, bins, columns, ["pooled"])


def _export(module: nn.Module, bins: int, columns: int, outputs: list[str]) -> bytes:
    buffer: Any = io.BytesIO()
    example: Any = (torch.zeros(2, bins, columns, dtype=torch.uint8),)
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
            input_names=["spectrogram"],
            output_names=outputs,
            dynamic_axes={name: {0: "n"} for name in ("spectrogram", *outputs)},
        )
    for part, training in modes.items():
        part.training = training
    return bytes(buffer.getvalue())
