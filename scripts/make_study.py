"""Compare recipes for the fine-tuned network on GTZAN, by inner validation only.

    python scripts/make_study.py MEL.npz [FOLDER] [--device cuda] [--part 0/4] [--recipes base,relief]
    python scripts/make_study.py MEL.npz [FOLDER] --one-division [--into docs/study.md]

MEL.npz holds the mel spectrograms of GTZAN's 1000 clips. Every recipe is cross-validated in 4 folds by artist, with
several seeds, on the 640 clips of the fault-filtered split's training and validation sides; with --one-division it is
trained on the 443 of the training side and tested on the 197 of the validation side, which costs a quarter. The 290
test clips are not touched. A recipe is the base and what it changes. Each is an ordinary run: `earmark compare
FOLDER/*` puts them side by side. Run it again after a stop: finished runs are read and unfinished ones go on where
they were. --into puts the table of all finished runs of FOLDER, with paired differences to the base, between the
marks ``<!-- measured: ablation -->`` of a file.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from earmark.compare import compare
from earmark.crossval import crossval
from earmark.dataset import Dataset, load_dataset
from earmark.folds import GROUPED, Fold, Protocol, make_protocol
from earmark.gtzan.facts import clip_facts
from earmark.metrics import Interval
from earmark.robustness.text import fill
from earmark.runs import load_run
from earmark.tuned_learner import FineTuneLearner

INNER_SIDES = ("train", "valid")
INNER_FOLDS = 4

# Dotted names lead into the learner: network, network.head, training, training.augment.
RECIPES: dict[str, dict[str, Any]] = {
    "base": {},
    "time2": {"network.stem_stride": (2, 1)},
    "relief": {"network.picture": "relief"},
    "crop256": {"training.crop_columns": 256},
    "epochs80": {"training.epochs": 80},
    "head-mean": {"network.head.kind": "mean"},
    "head-attention": {"network.head.kind": "attention"},
    "mixup1": {"training.augment.mixup": 1.0},
    "no-variation": {"training.augment.amount": 0.0},
    "rate-double": {"training.learning_rate": 2e-3},
    "rate-half": {"training.learning_rate": 5e-4},
    "time2-crop256": {"network.stem_stride": (2, 1), "training.crop_columns": 256},
    "stronger": {
        "training.augment.tilt": 6.0, "training.augment.equaliser": 4.0, "training.augment.contrast": 0.2,
        "training.augment.stretch": 0.2, "training.augment.pitch": 5.0, "training.augment.masks": 2,
    },
    "no-mixup": {"training.augment.mixup": 0.0},
    "double": {"network.stem_stride": (1, 1)},
    "head-deviation": {"network.head.kind": "mean-deviation"},
    "gru-beside-mean": {"network.head.beside_mean": True},
    "no-masks": {"training.augment.masks": 0},
    "crop384": {"training.crop_columns": 384},
    "frozen4": {"network.frozen_stages": 4},
    "frozen12": {"network.frozen_stages": 12},
    "frozen18": {"network.frozen_stages": 18},
    "epochs20": {"training.epochs": 20},
    "brief": {"training.epochs": 20, "training.augment.mixup": 0.0},
    "robust": {
        "training.augment.noise": 0.5, "training.augment.band_limit": 0.35, "training.augment.distortion": 0.3,
    },
    "robust-no-mixup": {
        "training.augment.noise": 0.5, "training.augment.band_limit": 0.35, "training.augment.distortion": 0.3,
        "training.augment.mixup": 0.0,
    },
}  # fmt: skip


def changed(learner: FineTuneLearner, changes: Mapping[str, Any]) -> FineTuneLearner:
    """The learner with fields replaced by dotted names."""
    for name, value in changes.items():
        learner = _with(learner, name.split("."), value)
    return learner


def _with(part: Any, names: list[str], value: Any) -> Any:
    first, *rest = names
    return replace(part, **{first: _with(getattr(part, first), rest, value) if rest else value})


def inner_clips(dataset: Dataset) -> Dataset:
    """The clips that recipes may be chosen on."""
    facts = clip_facts()
    return dataset.select([n for n, clip in enumerate(dataset.clips) if facts[clip.id].fault_filtered in INNER_SIDES])


def one_division(dataset: Dataset, seeds: Sequence[int]) -> Protocol:
    """The training side against the validation side, once for every seed."""
    facts = clip_facts()
    sides = np.array([facts[clip.id].fault_filtered for clip in dataset.clips])
    training, tested = (np.flatnonzero(sides == side) for side in INNER_SIDES)
    folds = tuple(Fold(repeat, 0, seed, training, np.empty(0, np.int64), tested) for repeat, seed in enumerate(seeds))
    return Protocol(
        "inner-division", "GTZAN's fault-filtered split: its training side against its validation side", True,
        tuple(seeds), folds,
    )  # fmt: skip


def table(folder: Path) -> str:
    """All finished runs of a folder against the base, on the same clips and seeds, as Markdown."""
    names = [name for name in RECIPES if (folder / name / "run.json").exists()]
    found = compare([load_run(folder / name) for name in names])
    lines = ["| recipe | what differs | accuracy | difference to the base | F1, macro |", "|---|---|---|---|---|"]
    base = names.index("base")
    for place, (name, entry) in enumerate(zip(names, found.entries, strict=True)):
        changes = ", ".join(f"`{key}` {value}" for key, value in RECIPES[name].items())
        difference = ""
        if place != base:
            pair = found.pair(base, place)
            sign = 1 if pair.second == place else -1
            value = pair.differences.accuracy
            ends = sorted((sign * value.low, sign * value.high))
            difference = f"{100 * sign * value.value:+.1f} ({100 * ends[0]:+.1f} to {100 * ends[1]:+.1f})"
        lines.append(
            f"| {name} | {changes} | {_percent(entry.accuracy)} | {difference} | {100 * entry.macro_f1.value:.1f} |"
        )
    seeds = len(load_run(folder / "base").protocol["seeds"])
    return "\n".join(lines) + f"\n\n{len(found.clips)} clips in {found.groups} groups, {seeds} seeds.\n"


def _percent(value: Interval) -> str:
    return f"{100 * value.value:.1f} ({100 * value.low:.1f} to {100 * value.high:.1f})"


def main() -> None:
    """Run the recipes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mel", type=Path)
    parser.add_argument("folder", nargs="?", type=Path, default=Path("runs/study"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--part", default="0/1", help="of several side by side: this one's number, and how many")
    parser.add_argument("--epochs", type=int, help="for all recipes that do not change them")
    parser.add_argument("--one-division", action="store_true", help="not 4 folds but one: a quarter of the work")
    parser.add_argument("--jobs", type=int, help="folds side by side")
    parser.add_argument("--into", type=Path, help="the file that gets the table")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no further recipe after so many")
    chosen = parser.parse_args()
    part, parts = map(int, chosen.part.split("/"))
    began = time.monotonic()
    dataset = inner_clips(load_dataset(chosen.mel))
    seeds = [int(seed) for seed in chosen.seeds.split(",")]
    protocol = (
        one_division(dataset, seeds)
        if chosen.one_division
        else make_protocol(dataset, GROUPED, folds=INNER_FOLDS, seeds=seeds)
    )
    for name in chosen.recipes.split(",")[part::parts]:
        if time.monotonic() - began > 60 * chosen.minutes:
            break
        start = time.monotonic()
        shorter = {} if chosen.epochs is None else {"training.epochs": chosen.epochs}
        learner = replace(changed(FineTuneLearner(), shorter | RECIPES[name]), title=name)
        run = crossval(
            dataset, learner, protocol, chosen.folder / name, jobs=chosen.jobs, device=chosen.device,
            leak_tests=False, command=["scripts/make_study.py"],
        )  # fmt: skip
        assert run.metrics is not None
        accuracy = run.metrics["accuracy"]
        print(
            f"{name:24s} {accuracy['value']:.3f} ({accuracy['low']:.3f} to {accuracy['high']:.3f})  "
            f"{time.monotonic() - start:.0f} s",
            flush=True,
        )
    if chosen.into is not None:
        fill(chosen.into, "ablation", table(chosen.folder))


if __name__ == "__main__":
    main()
