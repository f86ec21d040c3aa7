"""How long one protocol takes, with every leak test and the report page, once embeddings are at hand.

    python benchmarks/protocol.py [--model tl-cnn-gru] [--protocol artist5] [--epochs 100] [--jobs N] [--sequence]

On the features of GTZAN's 1000 clips that ship with the package. Asked for: under 2 minutes on two cores. With
``--sequence`` the same folds are trained once more one after the other, and the numbers of both are compared.
"""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
import time
from pathlib import Path

from earmark.crossval import crossval
from earmark.folds import make_protocol
from earmark.learners import make_learner
from earmark.models.config import TrainingConfig
from earmark.prepare import prepare
from earmark.progress import Step
from earmark.report import write_report

TARGET = 120.0


class Clock:
    """Adds up the seconds of each task that progress is told of; the rest of the time goes to the task before."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}
        self._task, self._since = "start", time.monotonic()

    def __call__(self, step: Step) -> None:
        self.switch(step.task)

    def switch(self, task: str) -> None:
        """From now on seconds belong to this task."""
        now = time.monotonic()
        self.spent[self._task] = self.spent.get(self._task, 0.0) + now - self._since
        self._task, self._since = task, now


def main() -> None:
    """Run one protocol as ``earmark crossval`` does, and print where the time went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tl-cnn-gru")
    parser.add_argument("--protocol", default="artist5")
    parser.add_argument("--epochs", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=None)
    parser.add_argument("--sequence", action="store_true", help="also one fold after the other, and compare")
    options = parser.parse_args()
    dataset, _ = prepare("gtzan")
    learner = make_learner(options.model, TrainingConfig(epochs=options.epochs))
    protocol = make_protocol(dataset, options.protocol, seeds=[0])
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f} at the start"
    )
    with tempfile.TemporaryDirectory() as folder:
        clock, began, used = Clock(), time.monotonic(), os.times()
        run = crossval(
            dataset, learner, protocol, Path(folder) / "run", jobs=options.jobs, calibrate=True, progress=clock
        )
        clock.switch("report page")
        page = write_report(run)
        clock.switch("end")
        seconds, now = time.monotonic() - began, os.times()
        work = sum(now[:4]) - sum(used[:4])
        size = page.stat().st_size / 1e6
        print(
            f"{options.model}, {protocol.name}, {len(protocol.folds)} folds of {options.epochs} epochs, temperature "
            f"and {len(run.leaks)} leak tests included, page of {size:.1f} MB"
        )
        print(f"  {seconds:.0f} s (asked for: under {TARGET:.0f} s), {work:.0f} s of processor time")
        print("  of that: " + ", ".join(f"{task} {spent:.1f} s" for task, spent in clock.spent.items()))
        for test in run.leaks:
            verdict = {True: "passed", False: "FAILED", None: "no verdict"}[test.passed]
            print(f"  {test.test}: {verdict}")
        if options.sequence:
            began = time.monotonic()
            alone = crossval(dataset, learner, protocol, Path(folder) / "alone", jobs=1, calibrate=True)
            same = (run.folder / "predictions.csv").read_bytes() == (alone.folder / "predictions.csv").read_bytes()
            print(
                f"  one fold after the other: {time.monotonic() - began:.0f} s, "
                f"predictions {'equal to the byte' if same else 'DIFFERENT'}"
            )


if __name__ == "__main__":
    main()
