"""Make src/earmark/gtzan/features.npz from mel spectrograms of GTZAN.

    python scripts/make_gtzan_features.py PATH/TO/mel.npz [--backbone FOLDER]

The backbone's weights come from --backbone, EARMARK_BACKBONE or the hub.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from earmark.dataset import load_dataset
from earmark.embeddings import with_features
from earmark.features import MEL, MUSICAL
from earmark.files import atomic_write
from earmark.models.backbone import load_backbone

OUT = Path(__file__).resolve().parent.parent / "src" / "earmark" / "gtzan" / "features.npz"


def main() -> None:
    """Compute and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", help="mel spectrograms of GTZAN (.npz)")
    parser.add_argument("--backbone", help="folder with MobileNetV2's ImageNet weights")
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.source)
    if dataset.spectrograms is None or not dataset.is_gtzan or len(dataset) != 1000:
        parser.error(f"{arguments.source} does not hold spectrograms of GTZAN's 1000 clips")
    backbone = load_backbone(arguments.backbone)
    dataset = with_features(dataset, backbone=backbone)
    for name in (MEL, MUSICAL):
        dataset = with_features(dataset, needed=name)
    arrays = {
        "ids": np.array(dataset.ids),
        **{name: rows.astype(np.float16) for name, rows in dataset.features.items()},
        "thumbnails": dataset.thumbnails,
    }
    with atomic_write(OUT) as handle:
        np.savez_compressed(handle, **arrays)
    print(f"{OUT}: {OUT.stat().st_size / 1e6:.1f} MB, backbone {backbone.source} ({backbone.fingerprint()})")


if __name__ == "__main__":
    main()
