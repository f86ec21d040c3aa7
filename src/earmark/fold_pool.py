"""Fit the folds of all passes over a protocol, one after the other or side by side, with the same numbers.

Folds that are measured and folds of leak tests wait in one line, so that no processor idles while another is still at
the last fold of a pass.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from earmark.errors import EarmarkError, StoreError
from earmark.fold_worker import FoldResult, Work, fit_and_keep, fit_fold, kept_result, one_thread
from earmark.folds import Fold
from earmark.learners import Fitted
from earmark.progress import Progress, Step, silent

TASK = "cross-validation"


@dataclass(frozen=True)
class Pass:
    """Folds to fit in one way.

    Parameters
    ----------
    folder
        Where finished folds and checkpoints are kept, and taken up again after a kill; None: nowhere.
    title
        Stands before the folds' names in the progress; empty for the pass that is measured.
    noise
        Seed of noise to put in place of each fold's test clips; None: leave them.
    share
        About how long a fold takes, against one of the pass that is measured.
    """

    work: Work
    folds: tuple[Fold, ...]
    folder: Path | None = None
    title: str = ""
    noise: int | None = None
    share: float = 1.0


@dataclass(frozen=True)
class _Place:
    """One fold of one pass, by its numbers: all that travels to a worker for it."""

    row: int
    fold: int


def fit_passes(
    passes: Sequence[Pass], identity: str, *, jobs: int = 1, progress: Progress = silent
) -> list[list[FoldResult]]:
    """Fit every fold of every pass, each from a fresh model.

    Parameters
    ----------
    identity
        Names data, learner and folds; kept results with another identity are refused.
    jobs
        Worker processes; 1 computes in this one.

    Returns
    -------
    list of list of FoldResult
        In the order of the passes and of their folds.
    """
    finished: dict[_Place, FoldResult] = {}
    waiting = []
    for row, one in enumerate(passes):
        for number, fold in enumerate(one.folds):
            result = kept_result(one.folder, fold, identity) if one.folder is not None else None
            if result is None:
                waiting.append(_Place(row, number))
            else:
                finished[_Place(row, number)] = result
    tracker = _Tracker(passes, progress)
    for place in finished:
        tracker.finished(place)
    if jobs <= 1 or len(waiting) <= 1:
        with one_thread():
            for place in waiting:
                finished[place] = _fit(passes, place, identity, partial(tracker.step, place))
                tracker.finished(place)
    else:
        finished.update(_side_by_side(passes, waiting, identity, min(jobs, len(waiting)), tracker))
    return [[finished[_Place(row, number)] for number in range(len(one.folds))] for row, one in enumerate(passes)]


def fit_with_one_model(one: Pass, identity: str, *, progress: Progress = silent) -> list[FoldResult]:
    """Fit the folds one after the other with one model that is never made anew: the leak to show, not to use."""
    results = []
    tracker = _Tracker([one], progress)
    kept: Fitted | None = None
    with one_thread():
        for number, fold in enumerate(one.folds):
            step = partial(tracker.step, _Place(0, number))
            result, kept = fit_fold(one.work, fold, identity, start_from=kept, progress=step)
            results.append(result)
            tracker.finished(_Place(0, number))
    return results


class _Tracker:
    """Turns the steps of single folds into the progress of all."""

    def __init__(self, passes: Sequence[Pass], progress: Progress) -> None:
        self.passes, self.progress = passes, progress
        self.folds = sum(len(one.folds) for one in passes)
        self.total = sum(one.share * len(one.folds) for one in passes)
        self.done: set[_Place] = set()
        self.parts: dict[_Place, float] = {}
        # Worker processes take some seconds to start.
        self._tell("")

    def step(self, place: _Place, step: Step) -> None:
        # A worker's last steps may arrive behind its result.
        if place in self.done:
            return
        self.parts[place] = step.done / step.total if step.total else 0.0
        one = self.passes[place.row]
        name = f"{one.title} {one.folds[place.fold].name}".strip()
        self._tell(f"{name} epoch {step.done}, {step.note}" if step.note else name)

    def finished(self, place: _Place) -> None:
        self.parts.pop(place, None)
        self.done.add(place)
        self._tell(f"{len(self.done)} of {self.folds} folds")

    def _tell(self, note: str) -> None:
        # In thousandths of a fold: a bar that moves within a fold, whatever its epochs.
        done = sum(self.passes[place.row].share for place in self.done)
        within = sum(self.passes[place.row].share * part for place, part in self.parts.items())
        total = round(1000 * self.total)
        reached = total if len(self.done) == self.folds else min(round(1000 * (done + within)), total - 1)
        self.progress(Step(TASK, reached, total, note))


def _fit(passes: Sequence[Pass], place: _Place, identity: str, progress: Progress) -> FoldResult:
    one = passes[place.row]
    fold = one.folds[place.fold]
    return fit_and_keep(one.work, fold, identity, one.folder, noise=one.noise, progress=progress)


# What a worker process was given when it started; one fold's call carries its numbers alone.
_shared: dict[str, Any] = {}


def _start_worker(passes: Sequence[Pass], identity: str, steps: Any, parent: int) -> None:
    _shared.update(passes=passes, identity=identity, steps=steps)
    # Steps that nobody reads any more must not keep a worker from ending.
    steps.cancel_join_thread()
    threading.Thread(target=_leave_with_parent, args=(parent,), daemon=True).start()


def _leave_with_parent(parent: int) -> None:
    # A parent that was killed cannot stop its workers, and they must not go on writing into its run.
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _in_worker(place: _Place) -> tuple[_Place, FoldResult]:
    def step(report: Step) -> None:
        _shared["steps"].put((place, report))

    with one_thread():
        return place, _fit(_shared["passes"], place, _shared["identity"], step)


def _side_by_side(
    passes: Sequence[Pass], waiting: list[_Place], identity: str, jobs: int, tracker: _Tracker
) -> Iterator[tuple[_Place, FoldResult]]:
    # spawn, not fork: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    steps = context.Queue()
    pool = ProcessPoolExecutor(
        jobs, context, initializer=_start_worker, initargs=(passes, identity, steps, os.getpid())
    )
    # Long folds first: what is short fills the gaps at the end.
    ordered = sorted(waiting, key=lambda place: -passes[place.row].share)
    with pool:
        try:
            pending: set[Future[tuple[_Place, FoldResult]]] = {pool.submit(_in_worker, place) for place in ordered}
            while pending:
                ready, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
                with contextlib.suppress(queue.Empty):
                    while True:
                        tracker.step(*steps.get_nowait())
                for future in ready:
                    place, result = future.result()
                    tracker.finished(place)
                    yield place, result
        except BaseException as error:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list((pool._processes or {}).values()):
                process.terminate()
            if isinstance(error, (EarmarkError, KeyboardInterrupt, GeneratorExit)):
                raise
            if type(error).__name__ == "BrokenProcessPool":
                raise StoreError(
                    "A worker process was stopped from outside (perhaps for want of memory). Run the same command "
                    "again to go on where it was, with --jobs 1 to need less."
                ) from error
            raise
