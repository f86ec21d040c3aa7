"""Makes a plausible run folder from simulated predictions, in the format that a cross-validation writes."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from earmark.files import write_json
from earmark.metrics import softmax
from earmark.run_files import CLIP_COLUMNS, CURVE_COLUMNS, FOLD_COLUMNS, ClipInfo, write_predictions, write_rows
from earmark.runs import evaluate_predictions, load_run

GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")


def simulated_clips(labels: tuple[str, ...], per_label: int, per_group: int) -> list[ClipInfo]:
    """Clips with made-up artists, ``per_group`` each; some without artist or title."""
    clips = []
    for label in labels:
        for i in range(per_label):
            artist = f"Artist {label[:2]}{i // per_group}" if i % 11 else None
            clips.append(ClipInfo(f"{label}.{i:05d}", label, artist or None, artist, f"Song {i}" if artist else None))
    return clips


def simulate(
    folder: Path,
    *,
    labels: tuple[str, ...] = GENRES,
    per_label: int = 20,
    per_group: int = 4,
    repeats: int = 1,
    folds: int = 5,
    epochs: int = 12,
    skill: float = 2.2,
    seed: int = 0,
    fold_seed: int = 0,
    protocol: str = "artist5",
    grouped: bool = True,
    dataset: str = "simulated",
    model: str = "tl-cnn-gru",
    clips: list[ClipInfo] | None = None,
    thumbnails: np.ndarray | None = None,
    leaks: list[dict[str, Any]] | None = None,
    metrics: bool = True,
    **protocol_more: Any,
) -> Path:
    """Write the run. Clips and artists have their own difficulty, shared by all seeds; rock sounds like country.

    ``seed`` makes the predictions, ``fold_seed`` the folds, ``skill`` how good the model is (0: guessing).
    """
    folder.mkdir(parents=True)
    clips = clips if clips is not None else simulated_clips(labels, per_label, per_group)
    by_id = {clip.clip: clip for clip in clips}
    y = np.array([labels.index(clip.label) for clip in clips])
    n, k = len(clips), len(labels)
    nature = np.random.default_rng(1234)
    artists = {name: nature.normal(size=k) * 0.9 for name in sorted({clip.group or clip.clip for clip in clips})}
    hidden = np.array([artists[clip.group or clip.clip] for clip in clips]) + nature.normal(size=(n, k)) * 0.8
    likeness = nature.normal(size=(k, k)) * 0.5
    if "rock" in labels and "country" in labels:
        likeness[labels.index("rock"), labels.index("country")] = 1.6
    random = np.random.default_rng([seed, 5])
    deal = np.random.default_rng([fold_seed, 6])
    rows, roles, curves, told = [], [], [], []
    for repeat in range(repeats):
        units = [c.group or c.clip if grouped else c.clip for c in clips]
        names = sorted(set(units))
        place = dict(zip(names, deal.permutation(len(names)) % folds, strict=True))
        fold_of = np.array([place[name] for name in units])
        for fold in range(folds):
            test = np.flatnonzero(fold_of == fold)
            validation = np.flatnonzero(fold_of == (fold + 1) % folds)[:40]
            logits = hidden[test] + likeness[y[test]] + random.normal(size=(len(test), k)) * 0.5
            logits[np.arange(len(test)), y[test]] += skill
            p = softmax(1.3 * logits)
            for i, row in zip(test, p, strict=True):
                rows.append((repeat, fold, clips[i].clip, labels[int(row.argmax())], row))
            roles += [(repeat, fold, clips[i].clip, "validation") for i in validation]
            roles += [(repeat, fold, clips[i].clip, "test") for i in test]
            shape = np.exp(-np.arange(epochs) / max(2, epochs / 6))
            noise = random.normal(size=(4, epochs)) * 0.012
            fine = float(np.mean(p.argmax(axis=1) == y[test])) if len(test) else 0.5
            for e in range(epochs):
                curves.append(
                    (
                        repeat,
                        fold,
                        e + 1,
                        2.2 * shape[e] + 0.05 + abs(noise[0, e]),
                        min(1.0, 0.99 - 0.85 * shape[e] + noise[1, e]),
                        1.0 + 1.2 * shape[e] + 0.2 * e / epochs + noise[2, e],
                        min(1.0, fine - (fine - 0.1) * shape[e] + noise[3, e]),
                    )
                )
            told.append(
                {
                    "repeat": repeat,
                    "fold": fold,
                    "seed": 10 * repeat + 7,
                    "train": n - len(test) - len(validation),
                    "validation": len(validation),
                    "test": len(test),
                    "initial_weights": f"{random.integers(2**60):015x}",
                    "epochs": epochs,
                    "seconds": float(2 + random.random()),
                }
            )
    write_rows(folder / "clips.csv", CLIP_COLUMNS, [(c.clip, c.label, c.group, c.artist, c.title) for c in clips])
    write_rows(folder / "folds.csv", FOLD_COLUMNS, roles)
    if epochs:
        write_rows(folder / "curves.csv", CURVE_COLUMNS, curves)
    write_predictions(folder / "predictions.csv", labels, by_id, rows)
    if thumbnails is None:
        ramp = np.linspace(255, 0, 24)[:, None] * np.ones((1, 48))
        thumbnails = (ramp[None] * nature.random((n, 24, 48))).astype(np.uint8)
    np.savez_compressed(folder / "thumbnails.npz", ids=np.array([c.clip for c in clips]), thumbnails=thumbnails)
    write_json(folder / "leaks.json", LEAKS if leaks is None else leaks)
    write_json(
        folder / "run.json",
        {
            "format": 1,
            "earmark": "0.1.0",
            "created": "2026-11-23T09:00:00+00:00",
            "command": ["earmark", "crossval", dataset, "--model", model, "--protocol", protocol],
            "kind": "crossval",
            "dataset": {"name": dataset, "clips": n, "fingerprint": "0123456789abcdef"},
            "labels": list(labels),
            "protocol": {
                "name": protocol,
                "folds": folds,
                "repeats": repeats,
                "seeds": [10 * r + 7 for r in range(repeats)],
                "grouped": grouped,
                **protocol_more,
            },
            "model": {"name": model, "hidden": 512, "optimiser": {"name": "adam", "rate": 0.001}},
            "training": {"epochs": epochs, "batch": 32, "calibrated": False},
            "front_end": {"kind": "mel", "n_mels": 128},
            "versions": {"python": "3.11.9", "numpy": np.__version__},
            "machine": {"system": "Linux", "cpu": "x86_64", "cores": 2, "device": "cpu"},
            "seconds": 83.2,
            "peak_memory_mb": 611.4,
            "folds": told,
        },
    )
    if metrics:
        write_json(folder / "metrics.json", evaluate_predictions(load_run(folder)))
    return folder


LEAKS: list[dict[str, Any]] = [
    {
        "test": "shuffled labels give chance",
        "passed": True,
        "value": 0.094,
        "bound": 0.13,
        "sentence": "Trained on shuffled labels, the same procedure scores 9.4%, as it must.",
    },
    {
        "test": "accuracy does not climb with fold order",
        "passed": True,
        "value": 0.012,
        "bound": 0.1,
        "sentence": "The later folds are on average 1.2 points above the first: no trend.",
    },
    {
        "test": "every fold begins from a fresh model",
        "passed": True,
        "value": 0.0,
        "bound": 0.0,
        "sentence": "All folds began from the fresh weights of their seed (SHA-256 compared).",
    },
    {
        "test": "not better than the labels allow",
        "passed": None,
        "value": 0.72,
        "bound": None,
        "sentence": "No bound is known for this dataset.",
    },
]


def rewrite_csv(path: Path, change: Any) -> None:
    """Apply ``change(rows)`` to a CSV file's rows (lists, heading first) and write what it returns."""
    with open(path, newline="", encoding="utf-8") as handle:
        rows = list(csv.reader(handle))
    with open(path, "w", newline="", encoding="utf-8") as handle:
        csv.writer(handle, lineterminator="\n").writerows(change(rows))
