"""Pooled output of the frozen backbone, computed once per clip.

On the CPU the backbone runs in ONNX Runtime, which measured fastest (``benchmarks/backbone.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.dataset import Dataset
from earmark.errors import InputError, MissingExtraError
from earmark.features import BACKBONE, MUSICAL, SPECTROGRAM, baseline_features, thumbnails
from earmark.musical_features import musical_features
from earmark.processors import usable_processors
from earmark.progress import Progress, Step, silent
from earmark.store import ArrayStore

try:
    import torch

    from earmark.models.backbone import FEATURES, Backbone, load_backbone
    from earmark.models.export import export_pooled
    from earmark.models.network import Draw, Pooled
except ImportError as error:
    raise MissingExtraError("Computing features with the backbone", "train") from error

# Larger batches leave the processor's cache; measured.
_CPU_BATCH = 1
_DEVICE_BATCH = 64


class PooledExtractor:
    """Draws spectrograms as 256x256 images and pools the backbone's feature map over each.

    Parameters
    ----------
    backbone
        With its weights.
    shape
        Bins and columns of the spectrograms.
    device
        ``cpu`` runs ONNX Runtime, anything else torch on that device.
    threads
        For ONNX Runtime; None: one per processor.
    """

    def __init__(
        self, backbone: Backbone, shape: tuple[int, int], *, device: str = "cpu", threads: int | None = None
    ) -> None:
        self.batch = _CPU_BATCH if device == "cpu" else _DEVICE_BATCH
        self._device = device
        pooled = Pooled(Draw(*shape), backbone)
        if device == "cpu":
            import onnxruntime as ort

            options = ort.SessionOptions()
            options.intra_op_num_threads = threads or usable_processors()
            options.log_severity_level = 3
            model = export_pooled(pooled, *shape)
            self._session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        else:
            self._module = pooled.to(device)

    def __call__(self, spectrograms: NDArray[np.uint8], *, progress: Progress = silent) -> NDArray[np.float32]:
        """uint8 (n, bins, columns) -> float32 (n, 1280)."""
        out = np.empty((len(spectrograms), FEATURES), dtype=np.float32)
        for first in range(0, len(spectrograms), self.batch):
            rows = np.ascontiguousarray(spectrograms[first : first + self.batch])
            out[first : first + len(rows)] = self._run(rows)
            progress(Step("backbone", first + len(rows), len(spectrograms)))
        return out

    def _run(self, rows: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self._device == "cpu":
            found: NDArray[np.float32] = self._session.run(["pooled"], {"spectrogram": rows})[0]
        else:
            with torch.inference_mode():
                found = self._module(torch.from_numpy(rows).to(self._device)).float().cpu().numpy()
        return found


def with_features(
    dataset: Dataset,
    *,
    needed: str = BACKBONE,
    backbone: str | Path | Backbone | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> Dataset:
    """The dataset with the features that a model needs, computed where they are missing.

    Parameters
    ----------
    dataset
        With spectrograms, or with the features already.
    needed
        Name of the features.
    backbone
        The backbone or where its weights are; see :func:`earmark.models.backbone.load_backbone`.
    cache
        Folder where pooled features are kept, keyed by spectrogram and weights; None keeps none.

    Raises
    ------
    InputError
        If there is nothing to compute them from, or the weights cannot be reached.
    """
    if needed in dataset.features:
        return dataset
    if needed == SPECTROGRAM and dataset.spectrograms is not None:
        return (
            dataset
            if dataset.thumbnails is not None
            else replace(dataset, thumbnails=thumbnails(dataset.spectrograms))
        )
    if dataset.spectrograms is None:
        raise InputError(f"{dataset.name} has no spectrograms to compute {needed!r} from.")
    found: Mapping[str, NDArray[np.float32]]
    if needed == BACKBONE:
        loaded = backbone if isinstance(backbone, Backbone) else load_backbone(backbone)
        found = {BACKBONE: _cached(dataset.spectrograms, loaded, cache, device, progress)}
    elif dataset.front_end is not None and dataset.front_end.kind != "mel":
        raise InputError(f"The features {needed!r} are made from mel spectrograms; use --kind mel.")
    elif needed == MUSICAL:
        found = {MUSICAL: musical_features(dataset.spectrograms)}
    else:
        found = baseline_features(dataset.spectrograms)
    pictures = dataset.thumbnails if dataset.thumbnails is not None else thumbnails(dataset.spectrograms)
    return replace(dataset, features={**dataset.features, **found}, thumbnails=pictures)


def _cached(
    spectrograms: NDArray[np.uint8], backbone: Backbone, cache: Path | None, device: str, progress: Progress
) -> NDArray[np.float32]:
    shape = (int(spectrograms.shape[1]), int(spectrograms.shape[2]))
    if cache is None:
        return PooledExtractor(backbone, shape, device=device)(spectrograms, progress=progress)
    weights = backbone.fingerprint()
    keys = [hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest() for row in spectrograms]
    with ArrayStore(cache / f"pooled-{weights}", key=weights, shape=(FEATURES,), dtype=np.float32, mode="a") as store:
        # The same picture twice is computed once.
        missing = sorted({key: row for row, key in enumerate(keys) if key not in store}.values())
        extract = PooledExtractor(backbone, shape, device=device) if missing else None
        for first in range(0, len(missing), _DEVICE_BATCH):
            rows = missing[first : first + _DEVICE_BATCH]
            assert extract is not None
            for row, vector in zip(rows, extract(spectrograms[rows]), strict=True):
                store.add(keys[row], vector)
            progress(Step("backbone", first + len(rows), len(missing)))
        return np.array(store.take(keys))
