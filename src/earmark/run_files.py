"""The files of a run folder: their columns, and reading and writing each with its checks."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import StoreError
from earmark.files import atomic_write

FORMAT = 1

CLIP_COLUMNS = ("clip", "label", "group", "artist", "title")
FOLD_COLUMNS = ("repeat", "fold", "clip", "role")
CURVE_COLUMNS = (
    "repeat",
    "fold",
    "epoch",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
)
INNER_FILE = "inner.csv"
INNER_COLUMNS = ("repeat", "fold", "clip")
PREDICTION_COLUMNS = ("repeat", "fold", "clip", "label", "group", "predicted", "confidence")

Place = tuple[int, int]


@dataclass(frozen=True)
class ClipInfo:
    """One row of ``clips.csv``; group, artist and title are None where they are not known."""

    clip: str
    label: str
    group: str | None = None
    artist: str | None = None
    title: str | None = None

    @property
    def name(self) -> str:
        """What a person calls it: title and artist where known, else the id."""
        return " – ".join(part for part in (self.artist, self.title) if part) or self.clip


@dataclass(frozen=True)
class Curves:
    """Learning curves of one fold.

    Parameters
    ----------
    epoch
        Shape (epochs,), int.
    train_loss, train_accuracy, validation_loss, validation_accuracy
        Shape (epochs,), float64; NaN where nothing was measured.
    """

    epoch: NDArray[np.int64]
    train_loss: NDArray[np.float64]
    train_accuracy: NDArray[np.float64]
    validation_loss: NDArray[np.float64]
    validation_accuracy: NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """Out-of-fold predictions, one row per repeat and tested clip.

    Parameters
    ----------
    repeat, fold
        Shape (n,), int.
    clips
        The clip of each row.
    y_true, predicted
        Shape (n,), label numbers.
    probabilities
        Shape (n, k), float64.
    """

    repeat: NDArray[np.int64]
    fold: NDArray[np.int64]
    clips: tuple[str, ...]
    y_true: NDArray[np.intp]
    predicted: NDArray[np.intp]
    probabilities: NDArray[np.float64]


@dataclass(frozen=True)
class Inner:
    """What a second training said of a fold's inner clips, which it was not trained on.

    Parameters
    ----------
    clips
        (n,): part of the fold's training clips.
    logs
        (n, k), logarithms of probabilities, before any temperature.
    """

    clips: tuple[str, ...]
    logs: NDArray[np.float64]


@dataclass(frozen=True)
class LeakTest:
    """One row of ``leaks.json``.

    Parameters
    ----------
    test
        Its name.
    passed
        None: not run, and the sentence says why.
    value, bound
        What was measured, and what it had to stay under or over; None where the test is a yes or no.
    sentence
        What it means, for a person.
    """

    test: str
    passed: bool | None
    value: float | None
    bound: float | None
    sentence: str


def damaged(path: Path, why: str) -> StoreError:
    return StoreError(f"The run {path.parent} is damaged: {path.name} {why}. Make the run again.")


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(path, f"cannot be read ({error})") from error


def read_info(path: Path) -> dict[str, Any]:
    info = _read_json(path)
    if not isinstance(info, dict) or not isinstance(info.get("format"), int):
        raise damaged(path, "is not a run's description")
    if info["format"] != FORMAT:
        raise StoreError(
            f"The run {path.parent} was written by earmark {info.get('earmark', 'of another version')} in format "
            f"{info['format']}; this version reads format {FORMAT}. Make the run again, or use that version."
        )
    wanted = {"kind": str, "labels": list, "dataset": dict, "protocol": dict}
    for key, kind in wanted.items():
        if not isinstance(info.get(key), kind):
            raise damaged(path, f"says nothing of the {key}")
    for key, inner in (("dataset", "name"), ("protocol", "name")):
        if inner not in info[key]:
            raise damaged(path, f"does not say the {inner} of the {key}")
    if len(info["labels"]) < 1 or len(set(info["labels"])) != len(info["labels"]):
        raise damaged(path, "lists no labels, or one twice")
    return info


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV file with their line numbers; a missing column or a torn row is damage."""
    try:
        with open(path, encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle)
            missing = [name for name in columns if name not in (reader.fieldnames or [])]
            if missing:
                raise damaged(path, f"lacks the column {missing[0]}")
            for row in reader:
                if None in row or None in row.values():
                    raise damaged(path, f"is torn at line {reader.line_num}")
                yield reader.line_num, row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise damaged(path, f"cannot be read ({error})") from error


def read_clips(path: Path, labels: set[str]) -> Iterator[ClipInfo]:
    seen: set[str] = set()
    for line, row in _rows(path, CLIP_COLUMNS):
        if row["clip"] in seen:
            raise damaged(path, f"names {row['clip']} twice (line {line})")
        if row["label"] not in labels:
            raise damaged(path, f"has the label {row['label']!r} at line {line}, which run.json does not know")
        seen.add(row["clip"])
        yield ClipInfo(row["clip"], row["label"], row["group"] or None, row["artist"] or None, row["title"] or None)


def read_roles(path: Path, clips: Mapping[str, ClipInfo]) -> dict[Place, dict[str, tuple[str, ...]]]:
    if not path.exists():
        return {}
    found: dict[Place, dict[str, list[str]]] = {}
    for line, row in _rows(path, FOLD_COLUMNS):
        if row["clip"] not in clips:
            raise damaged(path, f"names the clip {row['clip']} at line {line}, which clips.csv does not know")
        if row["role"] not in ("train", "validation", "test"):
            raise damaged(path, f"has the role {row['role']!r} at line {line}")
        found.setdefault(_place(path, line, row), {}).setdefault(row["role"], []).append(row["clip"])
    return {place: {role: tuple(names) for role, names in roles.items()} for place, roles in found.items()}


def _place(path: Path, line: int, row: Mapping[str, str]) -> Place:
    try:
        return int(row["repeat"]), int(row["fold"])
    except ValueError as error:
        raise damaged(path, f"has no whole number for repeat or fold at line {line}") from error


def read_curves(path: Path) -> dict[Place, Curves]:
    if not path.exists():
        return {}
    found: dict[Place, list[list[float]]] = {}
    for line, row in _rows(path, CURVE_COLUMNS):
        try:
            # An empty cell: that fold has no validation clips.
            values = [float(row[name]) if row[name] else float("nan") for name in CURVE_COLUMNS[2:]]
        except ValueError as error:
            raise damaged(path, f"holds something other than a number at line {line}") from error
        found.setdefault(_place(path, line, row), []).append(values)
    curves = {}
    for place, rows in sorted(found.items()):
        table = np.array(rows, dtype=np.float64)
        curves[place] = Curves(table[:, 0].astype(np.int64), *(table[:, i].copy() for i in range(1, 5)))
    return curves


def read_predictions(path: Path, labels: tuple[str, ...], clips: Mapping[str, ClipInfo]) -> Predictions | None:
    if not path.exists():
        return None
    number = {label: index for index, label in enumerate(labels)}
    columns = [f"p:{label}" for label in labels]
    places: list[Place] = []
    names: list[str] = []
    answers: list[tuple[int, int]] = []
    probabilities: list[list[float]] = []
    for line, row in _rows(path, (*PREDICTION_COLUMNS, *columns)):
        if row["clip"] not in clips:
            raise damaged(path, f"names the clip {row['clip']} at line {line}, which clips.csv does not know")
        if row["predicted"] not in number or row["label"] != clips[row["clip"]].label:
            raise damaged(path, f"has a label at line {line} that does not fit run.json or clips.csv")
        try:
            probabilities.append([float(row[name]) for name in columns])
        except ValueError as error:
            raise damaged(path, f"holds something other than a probability at line {line}") from error
        places.append(_place(path, line, row))
        names.append(row["clip"])
        answers.append((number[row["label"]], number[row["predicted"]]))
    if not names:
        raise damaged(path, "holds no predictions")
    table = np.array(probabilities, dtype=np.float64)
    off = ~(np.abs(table.sum(axis=1) - 1) <= 1e-3)
    if off.any() or table.min() < 0:
        worst = names[int(np.argmax(off))]
        raise damaged(path, f"holds probabilities that do not sum to 1 (clip {worst})")
    if len(set(zip(places, names, strict=True))) != len(names):
        raise damaged(path, "predicts a clip twice in one fold")
    where, label = np.array(places, dtype=np.int64), np.array(answers, dtype=np.intp)
    return Predictions(where[:, 0], where[:, 1], tuple(names), label[:, 0], label[:, 1], table)


def read_inner(path: Path, labels: tuple[str, ...], clips: Mapping[str, ClipInfo]) -> dict[Place, Inner]:
    columns = [f"l:{label}" for label in labels]
    found: dict[Place, tuple[list[str], list[list[float]]]] = {}
    for line, row in _rows(path, (*INNER_COLUMNS, *columns)):
        if row["clip"] not in clips:
            raise damaged(path, f"names the clip {row['clip']} at line {line}, which clips.csv does not know")
        try:
            values = [float(row[name]) for name in columns]
        except ValueError as error:
            raise damaged(path, f"holds something other than a number at line {line}") from error
        if not all(map(math.isfinite, values)):
            raise damaged(path, f"holds a number that is not finite at line {line}")
        names, table = found.setdefault(_place(path, line, row), ([], []))
        names.append(row["clip"])
        table.append(values)
    return {place: Inner(tuple(names), np.array(table, dtype=np.float64)) for place, (names, table) in found.items()}


def read_leaks(path: Path) -> tuple[LeakTest, ...]:
    if not path.exists():
        return ()
    try:
        return tuple(
            LeakTest(
                str(row["test"]),
                None if row["passed"] is None else bool(row["passed"]),
                None if row.get("value") is None else float(row["value"]),
                None if row.get("bound") is None else float(row["bound"]),
                str(row["sentence"]),
            )
            for row in _read_json(path)
        )
    except (TypeError, KeyError, ValueError) as error:
        raise damaged(path, f"is not a list of leak tests ({error!r})") from error


def read_metrics(path: Path, labels: tuple[str, ...], predictions: Predictions | None) -> dict[str, Any] | None:
    if not path.exists():
        return None
    stored = _read_json(path)
    if not isinstance(stored, dict):
        raise damaged(path, "is not a set of scores")
    if stored.get("format") != FORMAT or predictions is None:
        # Scores of another version are computed anew from the predictions, which say everything.
        return None
    if stored.get("labels") != list(labels) or stored.get("predictions") != len(predictions.clips):
        raise damaged(path, "does not belong to predictions.csv")
    return stored


def write_rows(path: Path | str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write one of the run's CSV files, atomically; None becomes an empty cell."""
    with atomic_write(path, "w") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([["" if cell is None else cell for cell in row] for row in rows])


def write_predictions(
    path: Path | str,
    labels: Sequence[str],
    clips: Mapping[str, ClipInfo],
    rows: Iterable[tuple[int, int, str, str, Sequence[float]]],
) -> None:
    """Write ``predictions.csv``.

    Parameters
    ----------
    labels
        In the order of the probabilities.
    clips
        By id: each row's label and group come from here.
    rows
        ``(repeat, fold, clip, predicted label, probabilities)``. Probabilities come back as they were, to the bit.
    """
    write_rows(
        path,
        (*PREDICTION_COLUMNS, *(f"p:{label}" for label in labels)),
        (
            (
                repeat,
                fold,
                clip,
                clips[clip].label,
                clips[clip].group,
                predicted,
                probabilities[list(labels).index(predicted)],
                *probabilities,
            )
            for repeat, fold, clip, predicted, probabilities in rows
        ),
    )
