"""Make src/earmark/data/gtzan.earmark, the bundle that ships with the package, and the bundles of its folds.

    python scripts/make_bundle.py MEL.npz FOLDS [--backbone FOLDER] [--device cuda]

MEL.npz holds the mel spectrograms of GTZAN's 1000 clips; FOLDS is a folder to write, outside the repository, that
`earmark robustness` and scripts/measure_unknown.py take. The cross-validation that calibrates it is by artist,
5 folds, seed 0. On a GPU this takes minutes, on two processors several hours.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from earmark.bundle import load_bundle
from earmark.dataset import load_dataset
from earmark.exports import export_of
from earmark.fold_bundles import write_fold_bundles
from earmark.folds import make_protocol
from earmark.fused_learner import FusedLearner
from earmark.models.backbone import load_backbone
from earmark.prepare import front_end_of
from earmark.progress import Step
from earmark.robustness.refit import add_novelty
from earmark.train import train
from earmark.tuned_learner import FineTuneLearner

OUT = Path(__file__).resolve().parent.parent / "src" / "earmark" / "data" / "gtzan.earmark"


def main() -> None:
    """Train and write the bundles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mel", type=Path)
    parser.add_argument("folds", type=Path)
    parser.add_argument("--backbone", help="folder with MobileNetV2's ImageNet weights")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--jobs", type=int, help="folds side by side")
    parser.add_argument("--kept", type=Path, help="folder of trained networks, as scripts/make_record.py leaves it")
    chosen = parser.parse_args()
    dataset, backbone = load_dataset(chosen.mel), load_backbone(chosen.backbone)
    protocol = make_protocol(dataset, "artist5", seeds=[0])

    def tell(step: Step) -> None:
        print(f"{step.task}: {step.done} of {step.total} {step.note}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        # The folds' bundles hold the networks that cross-validation has trained.
        kept = chosen.kept or Path(folder) / "networks"
        learner = FusedLearner(FineTuneLearner(backbone=chosen.backbone, kept=kept))
        bundle, run = train(
            dataset, OUT, backbone=backbone, learner=learner, protocol=protocol, runs=Path(folder) / "run", seed=0,
            jobs=chosen.jobs, device=chosen.device, progress=tell,
        )  # fmt: skip
        print(run.metrics["accuracy"] if run.metrics else "")
        export = export_of(learner, backbone, *front_end_of(dataset).shape)
        write_fold_bundles(
            dataset, learner, protocol, chosen.folds, export, like=bundle, device=chosen.device, progress=tell
        )
    # What is unlike anything learnt is told by what the folds' models make of clips that they never heard.
    add_novelty(OUT, chosen.folds, dataset, progress=tell)
    made = load_bundle(OUT)
    print(f"{OUT.name}: {OUT.stat().st_size / 1e6:.1f} MB, temperature {made.temperature:.2f}")
    print(f"unsure below {made.unsure_below:.3f}: {made.card.scores}")


if __name__ == "__main__":
    main()
