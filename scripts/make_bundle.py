"""Make src/earmark/data/gtzan.earmark, the bundle that ships with the package.

    python scripts/make_bundle.py [--backbone FOLDER]

Trains on the features that ship with the package; the backbone's weights go into the bundle and come from
--backbone, EARMARK_BACKBONE or the hub. The cross-validation that calibrates it is by artist, 5 folds, seed 0.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from earmark.dataset import load_dataset
from earmark.learners import HeadLearner
from earmark.models.backbone import load_backbone
from earmark.models.config import HeadConfig
from earmark.train import train

OUT = Path(__file__).resolve().parent.parent / "src" / "earmark" / "data" / "gtzan.earmark"


def main() -> None:
    """Train and write the bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backbone", help="folder with MobileNetV2's ImageNet weights")
    backbone = load_backbone(parser.parse_args().backbone)
    # The plain head: the GRU of the report adds 8 MB and, at length one, nothing that an interval can see.
    learner = HeadLearner(HeadConfig("tl-cnn"))
    with tempfile.TemporaryDirectory() as folder:
        bundle, run = train(
            load_dataset("gtzan"), OUT, backbone=backbone, learner=learner, runs=Path(folder) / "run", seed=0
        )
        print(run.metrics["accuracy"] if run.metrics else "")
    print(f"{OUT.name}: {OUT.stat().st_size / 1e6:.1f} MB, temperature {bundle.temperature:.2f}")
    print(f"unsure below {bundle.unsure_below:.3f}: {bundle.card.scores}")


if __name__ == "__main__":
    main()
