"""The whole network in torch: drawing, backbone, pooling, head. What the bundle's ONNX graph is exported from."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from earmark.drawing import MAGMA, resize_matrix
from earmark.models.backbone import Backbone
from earmark.models.heads import Head


class Draw(nn.Module):
    """Draw an 8-bit spectrogram as the colour image that the backbone looks at.

    Magma colours, low frequencies at the bottom, bilinear resize with antialiasing, values in [-1, 1]. The resize is
    two matrix products, so that torch and ONNX Runtime compute the same.

    Parameters
    ----------
    bins, columns
        Size of the spectrogram.
    height, width
        Size of the image; the report's 256 by 256.
    """

    lut: Tensor
    rows: Tensor
    cols: Tensor

    def __init__(self, bins: int, columns: int, height: int = 256, width: int = 256) -> None:
        super().__init__()
        colours = MAGMA.astype(np.float32) / 127.5 - 1.0
        # Flipping the rows of the matrix turns the picture over: bin 0 ends at the bottom.
        rows = np.ascontiguousarray(resize_matrix(bins, height)[::-1])
        columns_matrix = np.ascontiguousarray(resize_matrix(columns, width).T)
        self.register_buffer("lut", torch.from_numpy(colours), persistent=False)
        self.register_buffer("rows", torch.from_numpy(rows), persistent=False)
        self.register_buffer("cols", torch.from_numpy(columns_matrix), persistent=False)
        self.size = (height, width)

    def forward(self, spectrogram: Tensor) -> Tensor:
        """uint8 (n, bins, columns) -> float32 (n, 3, height, width) in [-1, 1]."""
        colour = nn.functional.embedding(spectrogram.long(), self.lut).permute(0, 3, 1, 2)
        return torch.matmul(torch.matmul(self.rows, colour), self.cols)


class Pooled(nn.Module):
    """Drawing, backbone and global average pooling: spectrogram to feature vector. Frozen in the report's system."""

    def __init__(self, draw: Draw, backbone: Backbone) -> None:
        super().__init__()
        self.draw = draw
        self.backbone = backbone

    def forward(self, spectrogram: Tensor) -> Tensor:
        """uint8 (n, bins, columns) -> float32 (n, 1280)."""
        return cast(Tensor, self.backbone(self.draw(spectrogram))).mean(dim=(2, 3))


class Network(nn.Module):
    """Spectrogram to logits and embedding."""

    def __init__(self, pooled: Pooled, head: Head) -> None:
        super().__init__()
        self.pooled = pooled
        self.head = head

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (n, bins, columns) -> logits (n, labels), embedding (n, embedding_size)."""
        embedding = self.head.embed(self.pooled(spectrogram))
        return cast(Tensor, self.head.dense(embedding)), embedding
