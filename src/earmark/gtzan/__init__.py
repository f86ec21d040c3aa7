"""GTZAN (Tzanetakis and Cook, 2002): its facts, and features computed from it, as they ship with the package.

``features.npz`` holds, for all 1000 clips, the pooled output of the frozen MobileNetV2 for the whole clip drawn as a
256x256 image (float16), statistics of bands and cepstra and musical features for the baselines, and thumbnails for
reports. It is made by
``scripts/make_gtzan_features.py`` from mel spectrograms of the clips; no sound can be made from it. ``MODEL_CARD.md``
beside it says how.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import numpy as np

from earmark.dataset import Dataset, gtzan_clips, make_dataset
from earmark.errors import StoreError
from earmark.features import BACKBONE, MEL, MFCC, MUSICAL
from earmark.spectrogram import MEL as MEL_FRONT_END

FEATURES = (BACKBONE, MFCC, MEL, MUSICAL)


def load() -> Dataset:
    """The 1000 clips with artists, groups and shipped features; no sound and no full spectrograms.

    Raises
    ------
    StoreError
        If the package's own files are damaged.
    """
    path = Path(str(resources.files(__name__) / "features.npz"))
    try:
        with np.load(path, allow_pickle=False) as archive:
            ids = [str(name) for name in archive["ids"]]
            features = {name: archive[name].astype(np.float32) for name in FEATURES}
            thumbnails = archive["thumbnails"]
    except (OSError, ValueError, KeyError) as error:
        raise StoreError(f"The package's file {path} is missing or damaged. Install Earmark again.") from error
    clips = gtzan_clips(ids)
    return make_dataset(
        "GTZAN",
        clips,
        front_end=MEL_FRONT_END,
        features=features,
        thumbnails=thumbnails,
        facts={
            "kind": "gtzan",
            "source": "features that ship with the package",
            "without_artist": sum(clip.artist is None for clip in clips),
            "notes": [],
        },
    )
