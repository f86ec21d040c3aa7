"""Small datasets to learn from in seconds."""

from __future__ import annotations

import numpy as np

from earmark.dataset import Clip, Dataset, assign_groups, make_dataset
from earmark.musical_features import SIZE


def blobs(clips: int = 60, labels: int = 3, *, features: int = 12, spread: float = 1.0, artists: int = 5) -> Dataset:
    """Clips around one centre per label, dealt to artists; learnable, not perfectly."""
    generator = np.random.default_rng(0)
    centres = generator.normal(size=(labels, features))
    names, rows = [], []
    for number in range(clips):
        label = number % labels
        artist = f"artist {label}-{number // labels % artists}"
        names.append(Clip(f"clip.{number:03d}", f"genre{label}", artist=artist, title=f"song {number}"))
        rows.append(centres[label] + spread * generator.normal(size=features))
    table = np.array(rows, dtype=np.float32)
    return make_dataset(
        "blobs",
        assign_groups(names),
        features={
            "mobilenet_v2": table,
            "mfcc_statistics": table,
            "mel_statistics": table,
            "musical": np.resize(table.T, (SIZE, clips)).T,
        },
        thumbnails=generator.integers(0, 256, (clips, 8, 16), dtype=np.uint8),
    )
