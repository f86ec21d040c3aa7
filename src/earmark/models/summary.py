"""The report's layer table, computed from the live network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from earmark.models.backbone import Backbone
from earmark.models.heads import Head


@dataclass(frozen=True)
class Layer:
    """One row of the table.

    Parameters
    ----------
    name, kind
        As Keras prints them in the report ("bidirectional", "Bidirectional").
    shape
        Output shape without the batch, channels last as in the report.
    values
        Numbers it holds: weights, and BatchNorm's running statistics.
    trainable
        How many of them training changes.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    values: int
    trainable: int


@dataclass(frozen=True)
class Summary:
    """The table and its sums."""

    layers: tuple[Layer, ...]

    @property
    def total(self) -> int:
        """All values."""
        return sum(layer.values for layer in self.layers)

    @property
    def trainable(self) -> int:
        """Values that training changes."""
        return sum(layer.trainable for layer in self.layers)

    @property
    def frozen(self) -> int:
        """Values that training leaves as they are."""
        return self.total - self.trainable

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [{**vars(layer), "shape": [None, *layer.shape]} for layer in self.layers]
        return {"layers": rows, "total": self.total, "trainable": self.trainable, "frozen": self.frozen}


def summarise(backbone: Backbone, head: Head, image_size: int = 256) -> Summary:
    """Run one image through backbone and head and write down every step of section 3.1 of the report.

    Parameters
    ----------
    image_size
        Height and width of the image.
    """
    image = torch.zeros(1, 3, image_size, image_size, device=next(backbone.parameters()).device)
    with torch.no_grad():
        features = backbone(image)
        pooled = features.mean(dim=(2, 3))
        layers = [
            Layer("input_2", "InputLayer", _channels_last(image), 0, 0),
            Layer(backbone.name, "Functional", _channels_last(features), *_count(backbone)),
            Layer("global_average_pooling2d", "GlobalAveragePooling2D", tuple(pooled.shape[1:]), 0, 0),
        ]
        if head.gru is not None:
            sequence = pooled[:, None]
            states = head.gru(sequence)
            flat = states.flatten(1)
            layers += [
                Layer("reshape", "Reshape", tuple(sequence.shape[1:]), 0, 0),
                Layer("bidirectional", "Bidirectional", tuple(states.shape[1:]), *_count(head.gru)),
                Layer("flatten", "Flatten", tuple(flat.shape[1:]), 0, 0),
            ]
        logits = head(pooled)
        layers.append(Layer("dense", "Dense", tuple(logits.shape[1:]), *_count(head.dense)))
    return Summary(tuple(layers))


def _channels_last(image: Tensor) -> tuple[int, ...]:
    _, channels, height, width = image.shape
    return (height, width, channels)


def _count(module: nn.Module) -> tuple[int, int]:
    parameters = list(module.parameters())
    # num_batches_tracked is PyTorch's own counter; Keras has no such value.
    buffers = sum(b.numel() for name, b in module.named_buffers() if "num_batches" not in name)
    trainable = sum(p.numel() for p in parameters if p.requires_grad)
    return sum(p.numel() for p in parameters) + buffers, trainable
