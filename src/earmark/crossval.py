"""Run a protocol: fit every fold, gather out-of-fold predictions, test for leaks, write the run."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark import leaks
from earmark.dataset import Dataset
from earmark.errors import InputError
from earmark.features import SPECTROGRAM
from earmark.files import write_json
from earmark.fold_pool import Pass, fit_passes, fit_with_one_model
from earmark.fold_worker import FoldResult, Work, one_thread
from earmark.folds import Protocol, group_numbers, numbers
from earmark.learners import Features, Learner
from earmark.metrics import apply_temperature
from earmark.processors import usable_processors
from earmark.progress import Progress, Step, silent
from earmark.run_files import FORMAT, LeakTest
from earmark.run_writer import describe, folds_fingerprint, peak_memory_mb, write_tables
from earmark.runs import Run, evaluate_predictions, load_run


def crossval(
    dataset: Dataset,
    learner: Learner,
    protocol: Protocol,
    out: Path | str,
    *,
    jobs: int | None = None,
    device: str = "cpu",
    calibrate: bool = False,
    leak_tests: bool = True,
    one_model: bool = False,
    shuffle_labels: bool = False,
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> Run:
    """Cross-validate a learner and write the run to a folder.

    A run that was stopped, even by a kill, goes on where it was when the same call is made again, and ends with the
    same numbers. A finished run is read, not computed again.

    Parameters
    ----------
    out
        The run folder to write.
    jobs
        Folds that train side by side; None: as many as there are processors. The numbers do not depend on it.
    device
        ``cpu``, ``cuda`` or ``mps``; on anything but the CPU folds train one after the other.
    calibrate
        Fit a temperature inside each fold's training clips (a second training on a part of them).
    leak_tests
        Run :mod:`earmark.leaks` too; about a third more time.
    one_model
        Keep one model from fold to fold instead of beginning anew. This is the mistake that the leak tests are there
        to find; it exists to be shown.
    shuffle_labels
        Deal the labels to the clips at random first (with the first seed): the control experiment.
    command
        What the user typed, for the record.

    Raises
    ------
    InputError
        If the dataset does not have the learner's features, or ``out`` holds something else.
    """
    out = Path(out)
    began = time.monotonic()
    work = _prepare(dataset, learner, calibrate, device, shuffle_labels, protocol)
    identity = _identity(dataset, work, protocol, one_model, leak_tests)
    if (out / "run.json").exists():
        run = load_run(out)
        if run.info.get("identity") != identity:
            raise InputError(f"{out} holds another finished run. Choose another folder with -o, or delete that one.")
        return run
    kept = out / "folds"
    _claim(out, identity)
    if device != "cpu":
        jobs = 1
    jobs = jobs or usable_processors()
    passes = [Pass(work, protocol.folds, kept)]
    if leak_tests:
        passes += _leak_passes(work, protocol, kept)
    if one_model:
        # The mistake is made wherever labels are learnt; what is fitted outside training is another question.
        fitted = [fit_with_one_model(one, identity, progress=progress) for one in passes[:2]]
        fitted += fit_passes(passes[2:], identity, jobs=jobs, progress=progress)
    else:
        fitted = fit_passes(passes, identity, jobs=jobs, progress=progress)
    results = fitted[0]
    probabilities = [apply_temperature(np.array(r.log_probabilities), r.temperature) for r in results]
    tests = _verdicts(dataset, passes, fitted, protocol, probabilities) if leak_tests else []
    progress(Step("writing the run", 0, 1))
    write_tables(out, dataset, work, protocol, results, probabilities)
    write_json(out / "leaks.json", [asdict(test) for test in tests])
    info = describe(dataset, work, protocol, results, identity, command, one_model, shuffle_labels)
    info["seconds"] = time.monotonic() - began
    info["peak_memory_mb"] = peak_memory_mb()
    # run.json comes last and metrics.json with it: a folder without them is an unfinished run.
    write_json(out / "run.json", info)
    try:
        write_json(out / "metrics.json", evaluate_predictions(load_run(out)))
    except BaseException:
        (out / "run.json").unlink(missing_ok=True)
        raise
    shutil.rmtree(kept, ignore_errors=True)
    (out / "unfinished.json").unlink(missing_ok=True)
    progress(Step("writing the run", 1, 1))
    return load_run(out)


def features_of(dataset: Dataset, learner: Learner) -> Features:
    """What a learner learns from, (n, ...).

    Raises
    ------
    InputError
        If the dataset does not have it.
    """
    features: Features | None = dataset.features.get(learner.feature)
    if learner.feature == SPECTROGRAM:
        features = dataset.spectrograms
    if features is None:
        have = ", ".join(dataset.features) or "none"
        raise InputError(
            f"The model {learner.name} needs the features {learner.feature!r}, and {dataset.name} has {have}."
        )
    return features


def _prepare(
    dataset: Dataset, learner: Learner, calibrate: bool, device: str, shuffle_labels: bool, protocol: Protocol
) -> Work:
    features = features_of(dataset, learner)
    targets = dataset.targets
    if shuffle_labels:
        targets = _shuffled(targets, protocol.seeds[0])
    return Work(learner, features, targets, group_numbers(dataset), len(dataset.labels), calibrate, device)


def _shuffled(targets: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    return np.random.default_rng([seed, 77]).permutation(targets)


def _identity(dataset: Dataset, work: Work, protocol: Protocol, one_model: bool, leak_tests: bool) -> str:
    features = hashlib.sha256(np.ascontiguousarray(work.features).tobytes()).hexdigest()
    parts = [
        FORMAT, dataset.fingerprint, features, work.targets.tolist(), work.learner.describe(),
        folds_fingerprint(protocol.folds), [fold.seed for fold in protocol.folds], work.calibrate, work.device,
        one_model, leak_tests,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def _claim(out: Path, identity: str) -> None:
    marker = out / "unfinished.json"
    if marker.exists():
        try:
            before = json.loads(marker.read_text(encoding="utf-8")).get("identity")
        except (OSError, ValueError, AttributeError):
            before = None
        if before != identity:
            raise InputError(
                f"{out} holds another unfinished run (other clips, folds or settings). "
                "Choose another folder with -o, or delete that one."
            )
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out} is not an empty folder and not a run. Choose another folder with -o.")
    write_json(marker, {"identity": identity, "started": datetime.now(UTC).isoformat(timespec="seconds")})


# --- leak tests ---


# A learner's quick() does about this much of the work.
_QUICK = 0.2


def _leak_passes(work: Work, protocol: Protocol, kept: Path) -> list[Pass]:
    seed = protocol.seeds[0]
    first = tuple(fold for fold in protocol.folds if fold.repeat == 0)
    quick = replace(work, learner=work.learner.quick())
    shuffled = replace(quick, targets=_shuffled(work.targets, seed), calibrate=False)
    return [
        Pass(shuffled, first, kept / "shuffled", "shuffled labels,", share=_QUICK),
        Pass(quick, first[:1], kept / "as it is", "test clips as they are,", share=_QUICK),
        Pass(quick, first[:1], kept / "noise", "noise for test clips,", noise=seed, share=_QUICK),
    ]


def _verdicts(
    dataset: Dataset,
    passes: list[Pass],
    fitted: list[list[FoldResult]],
    protocol: Protocol,
    probabilities: list[NDArray[np.float64]],
) -> list[LeakTest]:
    measured, shuffled, _, _ = passes
    results, with_shuffled, (as_it_is,), (with_noise,) = fitted
    work = measured.work
    accuracies = [
        float((p.argmax(axis=1) == work.targets[f.test]).mean())
        for f, p in zip(protocol.folds, probabilities, strict=True)
    ]
    tested = sum(len(fold.test) for fold in protocol.folds)
    overall = sum(a * len(f.test) for a, f in zip(accuracies, protocol.folds, strict=True)) / tested
    # The first weights come from linear algebra that rounds by the number of threads.
    with one_thread():
        expected = [
            work.learner.expected_initial_weights(work.features[fold.train], work.labels, fold.seed)
            for fold in protocol.folds
        ]
    recordings = numbers([dataset.recording_of(clip) for clip in dataset.clips])
    hits = np.concatenate([
        np.array(r.log_probabilities).argmax(axis=1) == shuffled.work.targets[f.test]
        for f, r in zip(shuffled.folds, with_shuffled, strict=True)
    ])  # fmt: skip
    return [
        leaks.shuffled_labels(float(hits.mean()), work.targets, len(hits)),
        leaks.fold_order(accuracies[: len(shuffled.folds)], tested / len(protocol.folds)),
        leaks.fresh_models([f.name for f in protocol.folds], [r.initial_weights for r in results], expected),
        *leaks.disjoint_sides(protocol.folds, work.groups, recordings, grouped=protocol.grouped),
        leaks.nothing_from_test(*(f"{r.final_weights}/{r.temperature!r}" for r in (as_it_is, with_noise))),
        leaks.suspiciously_good(overall, dataset.is_gtzan),
    ]
