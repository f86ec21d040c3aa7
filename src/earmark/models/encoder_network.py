"""A pretrained backbone and a head as one network, from a window's numbers to logits: what bundles are made of."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark.errors import InputError, StoreError
from earmark.models.encoder import Encoder, WindowEncoder
from earmark.models.export import export_network, export_sound_network
from earmark.models.heads import Head

# A graph in one piece cannot be larger than this (protobuf's limit is 2 GiB).
LARGEST_GRAPH = 2_000_000_000
# By how much a logit of the graph may differ from torch's, as a share of the largest.
LARGEST_DIFFERENCE = 1e-3


class ProbeNetwork(nn.Module):
    """Frozen backbone, scaling and head.

    Parameters
    ----------
    windows
        From a window's numbers to a vector.
    head
        From the scaled vector to logits.
    mean, deviation
        Of the scaling, (d,) each.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, windows: WindowEncoder, head: Head, mean: NDArray[np.float32], deviation: NDArray[np.float32]
    ) -> None:
        super().__init__()
        self.windows = windows
        self.head = head
        self.register_buffer("mean", torch.from_numpy(mean))
        self.register_buffer("deviation", torch.from_numpy(deviation))
        self.embedding_size = head.embedding_size

    def forward(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """(n, *shape) -> logits (n, labels), embedding (n, embedding_size)."""
        embedding = self.head.embed((self.windows(numbers) - self.mean) / self.deviation)
        return cast(Tensor, self.head.dense(embedding)), embedding


class TunedNetwork(nn.Module):
    """A backbone that is trained too, and a dense layer on the mean over the window's pieces.

    Parameters
    ----------
    encoder
        With its pretrained weights; not frozen.
    shape
        See :class:`earmark.models.encoder.WindowEncoder`.
    labels
        Number of genres.
    dropout
        Share of the vector's values that are dropped while training.
    """

    def __init__(self, encoder: Encoder, shape: tuple[int, ...], labels: int, dropout: float) -> None:
        super().__init__()
        self.windows = WindowEncoder(encoder, shape)
        self.embedding_size = encoder.size
        # Vectors of all backbones come to one scale, so that one learning rate suits their dense layers.
        self.scale = nn.LayerNorm(encoder.size)
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(encoder.size, labels)
        nn.init.xavier_uniform_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, numbers: Tensor) -> tuple[Tensor, Tensor]:
        """(n, *shape) -> logits (n, labels), embedding (n, embedding_size)."""
        vectors = self.scale(self.windows.encoder(self.windows.pieces(numbers)))
        embedding = self.windows.averaged(vectors)
        return cast(Tensor, self.dense(self.dropout(embedding))), embedding

    def of_pieces(self, pieces: Tensor) -> Tensor:
        """Drawn pictures or single segments -> logits (n, labels): one step of training looks at these."""
        return cast(Tensor, self.dense(self.dropout(self.scale(self.windows.encoder(pieces)))))


def check_size(encoder: Encoder) -> None:
    """Make sure that a backbone fits into a bundle.

    Raises
    ------
    InputError
        If it is too large for one graph.
    """
    size = sum(parameter.numel() * parameter.element_size() for parameter in encoder.parameters())
    if size > LARGEST_GRAPH:
        raise InputError(
            f"A backbone with {size / 1e9:.1f} GB of weights does not fit into a bundle (at most "
            f"{LARGEST_GRAPH / 1e9:.0f} GB). earmark crossval works with it all the same."
        )


def check_graph(graph: bytes, network: ProbeNetwork | TunedNetwork) -> None:
    """Make sure that an exported graph computes what the network computes, on two windows of noise.

    Exporters trace what a network does with one input; a family that no test has seen may do something else with
    another.

    Raises
    ------
    StoreError
        If a logit differs by more than a thousandth of the largest.
    """
    import onnxruntime as ort

    generator = torch.Generator().manual_seed(0)
    shape = (2, *network.windows.shape)
    if network.windows.encoder.sees:
        numbers = torch.randint(0, 256, shape, generator=generator).to(torch.uint8)
    else:
        numbers = torch.randn(shape, generator=generator)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    found = session.run(["logits"], {session.get_inputs()[0].name: numbers.numpy()})[0]
    with torch.inference_mode():
        wanted = network(numbers)[0].numpy()
    difference, largest = float(np.abs(found - wanted).max()), max(1.0, float(np.abs(wanted).max()))
    if not difference <= LARGEST_DIFFERENCE * largest:
        raise StoreError(
            f"The graph made of {network.windows.encoder.source} differs from the network by {difference:.2g} in a "
            "logit, so no bundle was written. Another version of torch or transformers may export it rightly."
        )


def export_encoder_network(network: ProbeNetwork | TunedNetwork) -> bytes:
    """The network as an ONNX graph with ``logits`` and ``embedding``."""
    shape: Any = network.windows.shape
    if network.windows.encoder.sees:
        return export_network(network, *shape)
    return export_sound_network(network, shape)
