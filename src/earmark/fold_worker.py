"""Fit one fold of a protocol, and keep what came of it.

Each fold computes on one thread wherever it runs, so that the number of processes changes the time and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.errors import StoreError
from earmark.files import write_json
from earmark.folds import Fold, inner_split
from earmark.learners import EPOCH_COLUMNS, Features, Fitted, Learner, Targets
from earmark.metrics import fit_temperature
from earmark.progress import Progress, silent


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


def fit_and_keep(
    work: Work,
    fold: Fold,
    identity: str,
    folder: Path | None,
    *,
    noise: int | None = None,
    progress: Progress = silent,
) -> FoldResult:
    """:func:`fit_fold`, its checkpoint and its result kept in a folder.

    Parameters
    ----------
    folder
        Takes a file per finished fold, and a checkpoint until then; None: nothing is kept.
    noise
        Replace the fold's test clips by noise of this seed before anything is fitted: the leak test's poison.
    """
    if noise is not None:
        work = _with_noise(work, fold, noise)
    checkpoint = folder / f"{fold.name}.checkpoint" if folder is not None else None
    result, _ = fit_fold(work, fold, identity, checkpoint=checkpoint, progress=progress)
    if folder is not None:
        write_json(folder / f"{fold.name}.json", asdict(result))
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return result


def _with_noise(work: Work, fold: Fold, seed: int) -> Work:
    generator = np.random.default_rng([seed, 78])
    features, targets = np.array(work.features), work.targets.copy()
    features[fold.test] = generator.integers(0, 7, features[fold.test].shape).astype(features.dtype)
    targets[fold.test] = generator.integers(0, work.labels, len(fold.test))
    return replace(work, features=features, targets=targets)


def kept_result(folder: Path, fold: Fold, identity: str) -> FoldResult | None:
    """What :func:`fit_and_keep` left of this fold; None: nothing yet.

    Raises
    ------
    StoreError
        If the file is damaged, or another run's.
    """
    path = folder / f"{fold.name}.json"
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
