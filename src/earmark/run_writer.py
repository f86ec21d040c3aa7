"""What a cross-validation leaves behind: its tables, and the description of how it came about."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark import __version__
from earmark.dataset import Dataset
from earmark.files import atomic_write
from earmark.fold_worker import FoldResult, Work
from earmark.folds import Fold, Protocol
from earmark.run_files import (
    CLIP_COLUMNS,
    CURVE_COLUMNS,
    FOLD_COLUMNS,
    FORMAT,
    INNER_COLUMNS,
    INNER_FILE,
    ClipInfo,
    write_predictions,
    write_rows,
)

RECORDED_PACKAGES = ("numpy", "torch", "scikit-learn", "transformers", "onnxruntime", "soundfile", "av", "soxr")


def folds_fingerprint(folds: Iterable[Fold]) -> str:
    """16 hexadecimal digits over who trains, validates and is tested: runs that can be compared have the same."""
    digest = hashlib.sha256()
    for fold in folds:
        for side in (fold.train, fold.validation, fold.test):
            digest.update(np.ascontiguousarray(side, dtype="<i8").tobytes() + b"|")
    return digest.hexdigest()[:16]


def write_tables(
    out: Path,
    dataset: Dataset,
    work: Work,
    protocol: Protocol,
    results: list[FoldResult],
    probabilities: list[NDArray[np.float64]],
) -> None:
    """Write clips, folds, curves, predictions and thumbnails.

    Parameters
    ----------
    results, probabilities
        In the order of the protocol's folds; probabilities (m, labels) of each fold's m tested clips.
    """
    clips, labels = dataset.clips, dataset.labels
    told = {
        clip.id: ClipInfo(clip.id, labels[target], clip.group, clip.artist, clip.title)
        for clip, target in zip(clips, work.targets, strict=True)
    }
    write_rows(
        out / "clips.csv",
        CLIP_COLUMNS,
        ((c.clip, c.label, c.group, c.artist, c.title) for c in told.values()),
    )
    roles: list[tuple[Any, ...]] = []
    curves: list[tuple[Any, ...]] = []
    rows: list[tuple[int, int, str, str, Sequence[float]]] = []
    for fold, result, table in zip(protocol.folds, results, probabilities, strict=True):
        place = (fold.repeat, fold.fold)
        for role, side in (("validation", fold.validation), ("test", fold.test)):
            roles.extend((*place, clips[row].id, role) for row in side)
        for epoch in result.curves:
            curves.append((*place, *(epoch[name] for name in CURVE_COLUMNS[2:])))
        for row, p in zip(fold.test, table, strict=True):
            rows.append((*place, clips[row].id, labels[int(p.argmax())], p.tolist()))
    write_rows(out / "folds.csv", FOLD_COLUMNS, roles)
    write_rows(out / "curves.csv", CURVE_COLUMNS, curves)
    write_predictions(out / "predictions.csv", labels, told, rows)
    inner = [
        (fold.repeat, fold.fold, clips[row].id, *logs)
        for fold, result in zip(protocol.folds, results, strict=True)
        for row, logs in zip(result.inner, result.inner_log_probabilities, strict=True)
    ]
    if inner:
        write_rows(out / INNER_FILE, (*INNER_COLUMNS, *(f"l:{label}" for label in labels)), inner)
    if dataset.thumbnails is not None:
        with atomic_write(out / "thumbnails.npz") as handle:
            np.savez_compressed(
                handle, ids=np.array([clip.id for clip in clips]), thumbnails=np.asarray(dataset.thumbnails)
            )


def describe(
    dataset: Dataset,
    work: Work,
    protocol: Protocol,
    results: list[FoldResult],
    identity: str,
    command: Sequence[str],
    one_model: bool,
    shuffle_labels: bool,
) -> dict[str, Any]:
    """What ``run.json`` says, but for time and memory."""
    return {
        "format": FORMAT,
        "identity": identity,
        "earmark": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "kind": "crossval",
        "dataset": {
            "name": dataset.name,
            "clips": len(dataset.clips),
            "fingerprint": dataset.fingerprint,
            "groups": len(set(work.groups.tolist())),
            "is_gtzan": dataset.is_gtzan,
            "facts": dict(dataset.facts),
        },
        "labels": list(dataset.labels),
        "protocol": {
            "name": protocol.name,
            "description": protocol.description,
            "folds": protocol.folds_per_repeat,
            "repeats": len(protocol.seeds),
            "seeds": list(protocol.seeds),
            "grouped": protocol.grouped,
            "fingerprint": folds_fingerprint(protocol.folds),
            "one_model": one_model,
            "shuffled_labels": shuffle_labels,
        },
        "model": work.learner.describe(),
        "training": {
            "calibrated": work.calibrate,
            "curves": "the validation curve shows the fold's held-out clips; nothing is chosen by it",
        },
        "front_end": work.learner.describe().get("front_end")
        or (dataset.front_end.to_dict() if dataset.front_end is not None else None),
        "versions": versions(),
        "machine": {
            "system": platform.platform(),
            "cpu": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "device": work.device,
        },
        "folds": [
            {
                "repeat": fold.repeat,
                "fold": fold.fold,
                "seed": fold.seed,
                "train": len(fold.train),
                "validation": len(fold.validation),
                "test": len(fold.test),
                "initial_weights": result.initial_weights,
                "temperature": result.temperature,
                "epochs": len(result.curves),
                "seconds": result.seconds,
            }
            for fold, result in zip(protocol.folds, results, strict=True)
        ],
    }


def versions() -> dict[str, str]:
    """Versions of Python, Earmark and the packages that decide numbers, as far as they are installed."""
    found = {"python": platform.python_version(), "earmark": __version__}
    for package in RECORDED_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def peak_memory_mb() -> float | None:
    """The most memory that this process or one it waited for has held, in MB; None where nobody can tell."""
    if sys.platform == "win32":
        return None
    import resource

    scale = 1 / 1024**2 if sys.platform == "darwin" else 1 / 1024
    usages = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(usages) * scale
