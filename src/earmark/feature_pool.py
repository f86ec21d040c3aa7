"""What the frozen stages make of every clip's versions: computed once, drawn from in every step of a training."""

from __future__ import annotations

import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from earmark.augment import vary
from earmark.errors import InputError
from earmark.models.convnet import ConvNet
from earmark.models.convnet_config import AugmentConfig
from earmark.progress import Progress, Step, silent

# Clips that are looked at together where no gradient is wanted.
EVALUATION_BATCH = 16


class FeaturePool:
    """What the frozen stages make of every clip's versions; the input of a training, and the same for all of them.

    Parameters
    ----------
    features
        bfloat16 (variants, n, channels, height, columns). The first version is the untouched clip.
    stride
        Columns of the spectrogram to one column here.
    """

    def __init__(self, features: Tensor, stride: int) -> None:
        self.features = features
        self.stride = stride

    def __len__(self) -> int:
        return int(self.features.shape[1])

    def rows(self, rows: NDArray[np.int64]) -> FeaturePool:
        """The pool of some of the clips."""
        return FeaturePool(self.features[:, torch.from_numpy(rows)], self.stride)


def feature_pool(
    network: ConvNet,
    spectrograms: NDArray[np.uint8],
    augment: AugmentConfig,
    *,
    device: str = "cpu",
    progress: Progress = silent,
) -> FeaturePool:
    """Vary every clip and run the versions through the network's frozen stages.

    A clip's versions depend on its own bytes alone, so they are the same in every fold and for every seed.

    Parameters
    ----------
    spectrograms
        uint8 (n, bins, columns).
    """
    pooled: Tensor | None = None
    count, versions = len(spectrograms), augment.variants
    network = network.to(device).eval()
    for first in range(0, count, EVALUATION_BATCH):
        rows = np.ascontiguousarray(spectrograms[first : first + EVALUATION_BATCH])
        contents = [zlib.crc32(row.tobytes()) for row in rows]
        for version in range(versions):
            picture = rows
            if version:
                generators = [np.random.default_rng([content, version]) for content in contents]
                picture = np.stack([vary(r, g, augment) for r, g in zip(rows, generators, strict=True)])
            with torch.inference_mode():
                drawn = network.draw(torch.from_numpy(picture).to(device))
                found = network.frozen_features(drawn.contiguous(memory_format=torch.channels_last))
            if pooled is None:
                pooled = torch.empty((versions, count, *found.shape[1:]), dtype=torch.bfloat16)
            pooled[version, first : first + len(rows)] = found.to("cpu", torch.bfloat16)
        progress(Step("varying clips", first + len(rows), count))
    if pooled is None:
        raise InputError("There are no clips to train on.")
    return FeaturePool(pooled, network.config.frozen_stride)
