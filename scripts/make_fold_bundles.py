"""Make a bundle per fold of GTZAN, so that sound can be tested on models that never heard it.

    python scripts/make_fold_bundles.py FOLDER [--backbone FOLDER] [--like BUNDLE]

The model is a dense layer on the frozen network; scripts/make_bundle.py makes the folds of the model that ships. The
folds are by artist (5, seed 0). FOLDER must not exist; keep it
outside the repository (five bundles as large as the one that ships). Then:

    earmark robustness PATH/TO/gtzan/audio --folds FOLDER
"""

from __future__ import annotations

import argparse
from pathlib import Path

from earmark.bundle import load_bundle
from earmark.dataset import load_dataset
from earmark.exports import head_export
from earmark.fold_bundles import write_fold_bundles
from earmark.folds import make_protocol
from earmark.learners import HeadLearner
from earmark.models.backbone import load_backbone
from earmark.models.config import HeadConfig
from earmark.predict import packaged_bundle
from earmark.prepare import front_end_of


def main() -> None:
    """Train and write the bundles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="folder to write")
    parser.add_argument("--backbone", help="folder with MobileNetV2's ImageNet weights")
    parser.add_argument("--like", type=Path, default=packaged_bundle(), help="bundle whose rules the folds take over")
    chosen = parser.parse_args()
    dataset = load_dataset("gtzan")
    # For a fine-tuned network: its learner, a dataset with spectrograms, and its own export in the place of these.
    learner = HeadLearner(HeadConfig("tl-cnn"))
    export = head_export(load_backbone(chosen.backbone), *front_end_of(dataset).shape)
    made = write_fold_bundles(
        dataset, learner, make_protocol(dataset, "artist5", seeds=[0]), chosen.folder, export,
        like=load_bundle(chosen.like), progress=lambda step: print(f"{step.done} of {step.total} {step.note}"),
    )  # fmt: skip
    print(made)


if __name__ == "__main__":
    main()
