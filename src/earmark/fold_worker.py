"""Fit the folds of a protocol, one after the other or side by side in worker processes, with the same numbers.

Each fold computes on one thread wherever it runs, so that the number of processes changes the time and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import EarmarkError, StoreError
from earmark.files import write_json
from earmark.folds import Fold, inner_split
from earmark.learners import EPOCH_COLUMNS, Features, Fitted, Learner, Targets
from earmark.metrics import fit_temperature
from earmark.progress import Progress, Step, silent


@dataclass(frozen=True)
class Work:
    """What all folds of one pass share.

    Parameters
    ----------
    learner
        What to train.
    features, targets, groups
        Of all clips: (n, ...), (n,) and (n,).
    labels
        Number of genres.
    calibrate
        Whether to fit a temperature, on an inner part of the training clips that a second model did not see.
    device
        To train on.
    """

    learner: Learner
    features: Features
    targets: Targets
    groups: NDArray[np.int64]
    labels: int
    calibrate: bool = False
    device: str = "cpu"


@dataclass(frozen=True)
class FoldResult:
    """What one fold gave; kept as a JSON file until all folds are done.

    Parameters
    ----------
    test
        Row numbers of the tested clips, (m,).
    log_probabilities
        (m, labels), before any temperature.
    temperature
        Fitted inside the training clips; 1 where none was asked for.
    inner, inner_log_probabilities
        Row numbers of the training clips that the temperature was fitted on, (h,), and what the second model, which
        did not see them, said of them, (h, labels); empty where no temperature was asked for.
    """

    name: str
    identity: str
    test: list[int]
    log_probabilities: list[list[float]]
    temperature: float
    initial_weights: str
    final_weights: str
    curves: list[dict[str, float | int | None]]
    seconds: float
    inner: list[int] = field(default_factory=list)
    inner_log_probabilities: list[list[float]] = field(default_factory=list)


def fit_fold(
    work: Work,
    fold: Fold,
    identity: str,
    *,
    checkpoint: Path | None = None,
    start_from: Fitted | None = None,
    progress: Progress = silent,
) -> tuple[FoldResult, Fitted]:
    """Train on a fold's training clips and predict its test clips."""
    began = time.monotonic()
    learner, features, targets = work.learner, work.features, work.targets
    shown = fold.validation if len(fold.validation) else fold.test
    fitted = learner.fit(
        features[fold.train],
        targets[fold.train],
        work.labels,
        seed=fold.seed,
        validation=(features[shown], targets[shown]),
        checkpoint=checkpoint,
        device=work.device,
        start_from=start_from,
        progress=progress,
    )
    temperature = 1.0
    held = fold.train[:0]
    said: NDArray[np.float64] = np.empty((0, work.labels))
    if work.calibrate:
        inner, held = inner_split(targets, work.groups, fold.train, fold.seed)
        second = learner.fit(
            features[inner], targets[inner], work.labels, seed=fold.seed, device=work.device, progress=progress
        )
        said = second.log_probabilities(features[held])
        temperature = fit_temperature(said, targets[held])
    result = FoldResult(
        name=fold.name,
        identity=identity,
        test=fold.test.tolist(),
        log_probabilities=fitted.log_probabilities(features[fold.test]).tolist(),
        temperature=temperature,
        initial_weights=fitted.initial_weights,
        final_weights=fitted.final_weights,
        curves=[{name: _finite(getattr(row, name)) for name in EPOCH_COLUMNS} for row in fitted.curves],
        seconds=time.monotonic() - began,
        inner=held.tolist(),
        inner_log_probabilities=said.tolist(),
    )
    return result, fitted


def _finite(value: float) -> float | int | None:
    return value if np.isfinite(value) else None


def fit_all(
    work: Work,
    folds: tuple[Fold, ...],
    identity: str,
    *,
    folder: Path | None = None,
    jobs: int = 1,
    progress: Progress = silent,
    task: str = "cross-validation",
) -> list[FoldResult]:
    """Fit every fold, each from a fresh model.

    Parameters
    ----------
    identity
        Names data, learner and folds; results in ``folder`` with another identity are refused.
    folder
        Where finished folds and checkpoints are kept, and taken up again after a kill.
    jobs
        Worker processes; 1 computes in this one.

    Returns
    -------
    list of FoldResult
        In the order of ``folds``.
    """
    finished: dict[str, FoldResult] = {}
    if folder is not None:
        for fold in folds:
            result = _load(folder / f"{fold.name}.json", identity)
            if result is not None:
                finished[fold.name] = result
    waiting = [fold for fold in folds if fold.name not in finished]
    tracker = _Tracker(task, len(folds), len(finished), progress)
    if jobs <= 1 or len(waiting) <= 1:
        with one_thread():
            for fold in waiting:
                finished[fold.name] = _fit_and_keep(work, fold, identity, folder, tracker.step)
                tracker.finished(fold.name)
    else:
        for result in _side_by_side(work, waiting, identity, folder, min(jobs, len(waiting)), tracker):
            finished[result.name] = result
    return [finished[fold.name] for fold in folds]


def fit_with_one_model(
    work: Work, folds: tuple[Fold, ...], identity: str, *, progress: Progress = silent, task: str = "one model kept"
) -> list[FoldResult]:
    """Fit the folds one after the other with one model that is never made anew: the leak to show, not to use."""
    results = []
    tracker = _Tracker(task, len(folds), 0, progress)
    kept: Fitted | None = None
    with one_thread():
        for fold in folds:
            result, kept = fit_fold(work, fold, identity, start_from=kept, progress=partial(tracker.step, fold))
            results.append(result)
            tracker.finished(fold.name)
    return results


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread inside the block, in torch and in the BLAS and OpenMP libraries, where they are there."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError):
            from threadpoolctl import threadpool_limits

            stack.enter_context(threadpool_limits(1))
        with contextlib.suppress(ImportError):
            import torch

            stack.callback(torch.set_num_threads, torch.get_num_threads())
            torch.set_num_threads(1)
        yield


class _Tracker:
    """Turns the steps of single folds into the progress of all."""

    def __init__(self, task: str, folds: int, finished: int, progress: Progress) -> None:
        self.task, self.folds, self.progress = task, folds, progress
        self.done = finished
        self.parts: dict[str, float] = {}
        self._tell("")

    def step(self, fold: Fold, step: Step) -> None:
        self.parts[fold.name] = step.done / step.total if step.total else 0.0
        self._tell(f"{fold.name} epoch {step.done}, {step.note}" if step.note else fold.name)

    def finished(self, name: str) -> None:
        self.parts.pop(name, None)
        self.done += 1
        self._tell(f"{self.done} of {self.folds} folds")

    def _tell(self, note: str) -> None:
        # In thousandths of a fold: a bar that moves within a fold, whatever its epochs.
        within = min(sum(self.parts.values()), max(0.0, self.folds - self.done - 0.001))
        self.progress(Step(self.task, round(1000 * (self.done + within)), 1000 * self.folds, note))


def _fit_and_keep(
    work: Work, fold: Fold, identity: str, folder: Path | None, step: Callable[[Fold, Step], None]
) -> FoldResult:
    checkpoint = folder / f"{fold.name}.checkpoint" if folder is not None else None
    result, _ = fit_fold(work, fold, identity, checkpoint=checkpoint, progress=partial(step, fold))
    if folder is not None:
        write_json(folder / f"{fold.name}.json", asdict(result))
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return result


def _load(path: Path, identity: str) -> FoldResult | None:
    if not path.exists():
        return None
    try:
        result = FoldResult(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise StoreError(f"{path} is damaged. Delete it and that fold will be trained again.") from error
    if result.identity != identity:
        raise StoreError(
            f"{path.parent.parent} holds folds of another run (other clips, folds or settings). "
            "Choose another folder with -o, or delete that one."
        )
    return result


# What a worker process was given when it started; one fold's call carries the fold alone.
_shared: dict[str, Any] = {}


def _start_worker(work: Work, identity: str, folder: Path | None, steps: Any, parent: int) -> None:
    _shared.update(work=work, identity=identity, folder=folder, steps=steps)
    # Steps that nobody reads any more must not keep a worker from ending.
    steps.cancel_join_thread()
    threading.Thread(target=_leave_with_parent, args=(parent,), daemon=True).start()


def _leave_with_parent(parent: int) -> None:
    # A parent that was killed cannot stop its workers, and they must not go on writing into its run.
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _in_worker(fold: Fold) -> FoldResult:
    def step(which: Fold, report: Step) -> None:
        _shared["steps"].put((which, report))

    with one_thread():
        return _fit_and_keep(_shared["work"], fold, _shared["identity"], _shared["folder"], step)


def _side_by_side(
    work: Work, folds: list[Fold], identity: str, folder: Path | None, jobs: int, tracker: _Tracker
) -> Iterator[FoldResult]:
    # spawn, not fork: torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    steps = context.Queue()
    pool = ProcessPoolExecutor(
        jobs, context, initializer=_start_worker, initargs=(work, identity, folder, steps, os.getpid())
    )
    with pool:
        try:
            pending: set[Future[FoldResult]] = {pool.submit(_in_worker, fold) for fold in folds}
            while pending:
                ready, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
                with contextlib.suppress(queue.Empty):
                    while True:
                        tracker.step(*steps.get_nowait())
                for future in ready:
                    result = future.result()
                    tracker.finished(result.name)
                    yield result
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
