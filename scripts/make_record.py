"""Make the runs of the table of record on GTZAN, then write the table.

Run it again after a stop: finished runs are read and unfinished ones go on where they were.

    python scripts/make_record.py [FOLDER] [--jobs N]
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from earmark.crossval import crossval
from earmark.dataset import load_dataset
from earmark.folds import make_protocol
from earmark.learners import make_learner

# Cheapest first, so that a stopped making leaves as many finished runs as it can.
MODELS = ("majority", "nearest", "mel-logistic", "mfcc-svm", "musical-svm", "tl-cnn", "tl-cnn-gru")
PROTOCOLS = ("artist5", "fault-filtered", "random10")
SEEDS = (0, 1, 2)


def make_runs(folder: Path, jobs: int) -> list[Path]:
    """Cross-validate every model under every protocol; the folders, in the order of the table."""
    dataset = load_dataset("gtzan")
    made = []
    for model in MODELS:
        learner = make_learner(model)
        for name in PROTOCOLS:
            began = time.monotonic()
            out = folder / f"{model}-{name}"
            # The headline protocol is tested for leaks; the others are made by the same code.
            run = crossval(
                dataset,
                learner,
                make_protocol(dataset, name, seeds=SEEDS),
                out,
                jobs=jobs,
                leak_tests=name == PROTOCOLS[0],
                command=["scripts/make_record.py"],
            )
            metrics = run.metrics
            assert metrics is not None
            accuracy = metrics["accuracy"]
            seconds = time.monotonic() - began
            print(
                f"{out.name}: {accuracy['value']:.3f} ({accuracy['low']:.3f} to {accuracy['high']:.3f}), "
                f"{seconds:.0f} s",
                flush=True,
            )
            made.append(out)
    return made


def main() -> None:
    """Make the runs and write ``docs/table-of-record.md``, its JSON and the README's block."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=root / "runs" / "record")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    chosen = parser.parse_args()
    made = make_runs(chosen.folder, chosen.jobs)

    from earmark.record import make_record, update_readme, write_record
    from earmark.runs import load_run

    record = make_record([load_run(folder) for folder in made])
    print(write_record(record, root / "docs" / "table-of-record.md"))
    update_readme(record, root / "README.md")


if __name__ == "__main__":
    main()
