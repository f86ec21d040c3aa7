"""Make the runs of the table of record on GTZAN, then write the table.

Run it again after a stop: finished runs are read and unfinished ones go on where they were.

    python scripts/make_record.py [FOLDER] [--jobs N] [--mel MEL.npz --device cuda --tuned-seeds 0,1,2]

The fine-tuned models need MEL.npz, the mel spectrograms of all clips, the ImageNet weights and, for a bearable
time, a GPU (on two cores a seed takes three quarters of an hour by artist5, and an hour by random10). Without it
their finished runs in FOLDER are read, and there are no rows for those that are missing. What the fine-tuned models
answered to each clip goes to docs/runs, for comparing other runs with them.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from earmark.crossval import crossval
from earmark.dataset import Dataset, load_dataset
from earmark.embeddings import with_features
from earmark.features import SPECTROGRAM
from earmark.files import write_json
from earmark.folds import make_protocol
from earmark.fused_learner import FUSED, WEIGHTS
from earmark.fusion import fuse
from earmark.learners import Learner, make_learner
from earmark.processors import usable_processors
from earmark.runs import Run, load_run
from earmark.tuned_learner import FineTuneLearner
from earmark.varied_machine import VariedMachine

# Cheapest first, so that a stopped making leaves as many finished runs as it can.
MODELS = ("majority", "nearest", "mel-logistic", "mfcc-svm", "musical-svm", "tl-cnn", "tl-cnn-gru")
MACHINE = VariedMachine()
PROTOCOLS = ("artist5", "fault-filtered", "random10")
SEEDS = (0, 1, 2)
# What `earmark compare` and `earmark report` need of a run beside run.json; the rest can be made from it.
PUBLISHED = ("clips.csv", "folds.csv", "predictions.csv", "metrics.json", "leaks.json")


class Maker:
    """Makes runs in a folder, or reads those that are there."""

    def __init__(self, folder: Path, jobs: int, device: str, mel: Path | None) -> None:
        self.folder, self.jobs, self.device = folder, jobs, device
        self.features = load_dataset("gtzan")
        self.spectrograms = None if mel is None else with_features(load_dataset(mel), needed=SPECTROGRAM)
        self.made: list[Path] = []

    def learn(self, dataset: Dataset, learner: Learner, protocol: str, seeds: Sequence[int], name: str) -> Run:
        """Cross-validate one model under one protocol."""
        # The headline protocol is tested for leaks; the others are made by the same code.
        return crossval(
            dataset, learner, make_protocol(dataset, protocol, seeds=seeds), self.folder / name, jobs=self.jobs,
            device=self.device if learner.feature == SPECTROGRAM else "cpu", leak_tests=protocol == PROTOCOLS[0],
            command=["scripts/make_record.py"],
        )  # fmt: skip

    def note(self, run: Run, began: float) -> None:
        """Say what was made and keep it for the table."""
        assert run.metrics is not None
        accuracy = run.metrics["accuracy"]
        print(
            f"{run.folder.name}: {accuracy['value']:.3f} ({accuracy['low']:.3f} to {accuracy['high']:.3f}), "
            f"{time.monotonic() - began:.0f} s",
            flush=True,
        )
        self.made.append(run.folder)

    def classic(self) -> None:
        """The report's models and the baselines."""
        for model in MODELS:
            for protocol in PROTOCOLS:
                began = time.monotonic()
                name = f"{model}-{protocol}"
                self.note(self.learn(self.features, make_learner(model), protocol, SEEDS, name), began)

    def tuned(self, seeds: Sequence[int], protocols: Sequence[str], most: int) -> None:
        """The machine on musical features, the fine-tuned network, `most` of them, and the one with the machine."""
        for protocol in protocols:
            began = time.monotonic()
            alone = self._found_or_learnt(MACHINE, protocol, SEEDS, f"{MACHINE.name}-{protocol}")
            if alone is not None:
                self.note(alone, began)
        # The first member of two is the single network: it is trained once for both.
        kept = self.folder / "networks"
        for learner in (FineTuneLearner(members=members, kept=kept) for members in range(1, most + 1)):
            for protocol in protocols:
                began = time.monotonic()
                run = self._found_or_learnt(learner, protocol, seeds, f"{learner.name}-{protocol}")
                if run is None:
                    continue
                self.note(run, began)
                if learner.members == 1 and (fused := self._fused(run, protocol)) is not None:
                    self.note(fused, began)

    def _fused(self, run: Run, protocol: str) -> Run | None:
        out = self.folder / f"{FUSED}-{protocol}"
        if (out / "run.json").exists():
            return load_run(out)
        seeds = tuple(int(seed) for seed in run.protocol["seeds"])
        # With the usual seeds it is the one that has a row of its own.
        told = "" if seeds == SEEDS else "-s" + "".join(map(str, seeds))
        beside = self._found_or_learnt(MACHINE, protocol, seeds, f"{MACHINE.name}-{protocol}{told}")
        if beside is None:
            return None
        return fuse([run, beside], out, weights=WEIGHTS, name=FUSED, command=["scripts/make_record.py"])

    def _found_or_learnt(self, learner: Learner, protocol: str, seeds: Sequence[int], name: str) -> Run | None:
        """The finished run of that name, or a new one where there are spectrograms to learn from."""
        if (self.folder / name / "run.json").exists():
            return load_run(self.folder / name)
        return None if self.spectrograms is None else self.learn(self.spectrograms, learner, protocol, seeds, name)


def publish(run: Run, into: Path) -> None:
    """Copy what a run says of every clip."""
    shutil.rmtree(into / run.name, ignore_errors=True)
    (into / run.name).mkdir(parents=True)
    for name in PUBLISHED:
        shutil.copyfile(run.folder / name, into / run.name / name)
    # Where the archive lay on the machine that trained is nobody's business.
    dataset = run.info["dataset"]
    facts = dataset["facts"] | {"source": Path(dataset["facts"]["source"]).name}
    write_json(into / run.name / "run.json", {**run.info, "dataset": dataset | {"facts": facts}})


def main() -> None:
    """Make the runs and write ``docs/table-of-record.md``, its JSON and the README's block."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=root / "runs" / "record")
    parser.add_argument("--jobs", type=int, default=usable_processors())
    parser.add_argument("--mel", type=Path, help="mel spectrograms of all clips")
    parser.add_argument("--device", default="cpu", help="to fine-tune on")
    parser.add_argument("--tuned-seeds", default="0,1,2")
    parser.add_argument("--tuned-protocols", default=",".join(PROTOCOLS))
    parser.add_argument("--members", type=int, default=2, help="networks at most whose answers are averaged")
    parser.add_argument("--keep", action="store_true", help="keep the other rows of the table as they are")
    parser.add_argument("--forget", default="", help="rows not to keep, by comma: models that are others now")
    chosen = parser.parse_args()
    maker = Maker(chosen.folder, chosen.jobs, chosen.device, chosen.mel)
    if not chosen.keep:
        maker.classic()
    seeds = [int(seed) for seed in chosen.tuned_seeds.split(",")]
    maker.tuned(seeds, chosen.tuned_protocols.split(","), chosen.members)

    from earmark.record import make_record, read_record, update_readme, write_record

    table = root / "docs" / "table-of-record.md"
    kept = read_record(table.with_suffix(".json")) if chosen.keep else None
    if kept is not None:
        forgotten = set(chosen.forget.split(","))
        kept = replace(kept, cells={place: score for place, score in kept.cells.items() if place[0] not in forgotten})
    runs = [load_run(folder) for folder in maker.made]
    record = make_record(runs, kept)
    for run in runs:
        if run.name.startswith("tuned-"):
            publish(run, root / "docs" / "runs")
    print(write_record(record, table))
    update_readme(record, root / "README.md")


if __name__ == "__main__":
    main()
