"""Give a bundle, and the bundles of its folds, what tells sound that is unlike anything they have learnt.

    python scripts/add_novelty.py BUNDLE --folds FOLDER --stored MEL.npz

FOLDER comes from scripts/make_fold_bundles.py (or from any export of a cross-validation's models with
earmark.fold_bundles.write_fold_bundles); MEL.npz holds the spectrograms of the training clips. All bundles are
written again in place.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from earmark.dataset import load_dataset
from earmark.robustness.refit import add_novelty


def main() -> None:
    """Ask the models and write the bundles."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--folds", type=Path, required=True)
    parser.add_argument("--stored", type=Path, required=True)
    chosen = parser.parse_args()
    made = add_novelty(
        chosen.bundle, chosen.folds, load_dataset(chosen.stored),
        progress=lambda step: print(f"{step.done} of {step.total} {step.note}", flush=True),
    )  # fmt: skip
    print(f"{chosen.bundle.name}: {chosen.bundle.stat().st_size / 1e6:.1f} MB, limits {made.limits}")


if __name__ == "__main__":
    main()
