"""Protocols: which clips train, which validate and which are tested."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.dataset import Dataset
from earmark.errors import InputError, MissingExtraError

RANDOM, GROUPED, FAULT_FILTERED, HOLDOUT, LEAVE_ONE_OUT = (
    "random10",
    "artist5",
    "fault-filtered",
    "holdout",
    "leave-one-group-out",
)
PROTOCOLS: dict[str, str] = {
    RANDOM: "stratified folds (10 by default), groups ignored: as the literature and the report do it; optimistic",
    GROUPED: "stratified folds (5 by default) that keep every artist and recording on one side",
    FAULT_FILTERED: "GTZAN's fault-filtered split by artist: 443 train, 197 validation, 290 test, 70 left out",
    HOLDOUT: "one split of 80 to 20, stratified; by group where groups are known",
    LEAVE_ONE_OUT: "as many folds as groups: each group is tested once",
}


@dataclass(frozen=True)
class Fold:
    """One division of the clips.

    Parameters
    ----------
    repeat, fold
        Its number within the repeats and within the folds, both from 0.
    seed
        What a model trained on this fold starts from.
    train, validation, test
        Row numbers of the dataset's clips, ascending; the three do not overlap. ``validation`` may be empty.
    """

    repeat: int
    fold: int
    seed: int
    train: NDArray[np.int64]
    validation: NDArray[np.int64]
    test: NDArray[np.int64]

    @property
    def name(self) -> str:
        """For example ``r0-f03``."""
        return f"r{self.repeat}-f{self.fold:02d}"


@dataclass(frozen=True)
class Protocol:
    """All folds of an evaluation.

    Parameters
    ----------
    name
        One of :data:`PROTOCOLS`, or the name of a fold file.
    description
        In words, for the report.
    grouped
        Whether every group is kept on one side.
    seeds
        One per repeat.
    """

    name: str
    description: str
    grouped: bool
    seeds: tuple[int, ...]
    folds: tuple[Fold, ...]

    @property
    def folds_per_repeat(self) -> int:
        """Number of folds in one repeat."""
        return len(self.folds) // len(self.seeds)


def default_protocol(dataset: Dataset) -> str:
    """``artist5`` where some clips share a group, else ``random10``."""
    groups = [clip.group for clip in dataset.clips if clip.group is not None]
    return GROUPED if len(set(groups)) < len(groups) else RANDOM


def make_protocol(
    dataset: Dataset, protocol: str | Path | None = None, *, folds: int | None = None, seeds: Sequence[int] = (0,)
) -> Protocol:
    """Deal the clips of a dataset to training, validation and test.

    Parameters
    ----------
    protocol
        A name in :data:`PROTOCOLS`, or the path of a CSV file with the columns ``clip`` and ``fold`` (any names;
        ``train`` marks clips that are never tested, ``exclude`` clips that are left out). None:
        :func:`default_protocol`.
    folds
        How many, where the protocol lets one choose.
    seeds
        One repeat per seed: another shuffle and other first weights.

    Raises
    ------
    InputError
        If the clips cannot be dealt so; the message says what would do.
    """
    if not seeds or len(set(seeds)) != len(seeds):
        raise InputError("Give at least one seed, each once.")
    if len(dataset.labels) < 2:
        raise InputError(
            f"All clips of {dataset.name} have one label, {''.join(dataset.labels)!r}; learning needs at least 2 "
            "genres. A dataset is a folder with a folder of sound files for each."
        )
    name = str(protocol) if protocol is not None else default_protocol(dataset)
    if folds is not None and name not in (RANDOM, GROUPED):
        raise InputError(
            f"The protocol {name} has its own number of folds; --folds goes with {RANDOM} and {GROUPED}."
        )
    targets = dataset.targets
    groups = group_numbers(dataset)
    dealt: list[Fold] = []
    grouped = name in (GROUPED, FAULT_FILTERED, LEAVE_ONE_OUT)
    description = PROTOCOLS.get(name, "")
    for repeat, seed in enumerate(seeds):
        if name == RANDOM:
            pairs = _stratified(dataset, folds or 10, seed)
        elif name == GROUPED:
            pairs = _grouped(dataset, groups, folds or 5, seed)
        elif name == HOLDOUT:
            grouped = len(set(groups)) < len(groups)
            pairs = (_grouped(dataset, groups, 5, seed) if grouped else _stratified(dataset, 5, seed))[:1]
        elif name == LEAVE_ONE_OUT:
            pairs = _leave_one_out(dataset, groups)
        elif name == FAULT_FILTERED:
            dealt.append(_fault_filtered(dataset, repeat, seed))
            continue
        elif Path(name).suffix.lower() == ".csv":
            pairs, description = _from_file(dataset, Path(name))
            grouped = all(not set(groups[train]) & set(groups[test]) for train, test in pairs)
        else:
            known = ", ".join(PROTOCOLS)
            raise InputError(f"There is no protocol {name!r}. Choose one of {known}, or a CSV file of clip and fold.")
        for number, (train, test) in enumerate(pairs):
            dealt.append(Fold(repeat, number, _fold_seed(seed, number), train, test[:0], test))
    for fold in dealt:
        missing = set(range(len(dataset.labels))) - set(targets[fold.train].tolist())
        if missing:
            label = dataset.labels[min(missing)]
            raise InputError(
                f"Fold {fold.fold + 1} of {name} leaves no clip of {label!r} to train on. "
                "Use fewer folds or add clips of that genre."
            )
    return Protocol(Path(name).name, description, grouped, tuple(seeds), tuple(dealt))


def group_numbers(dataset: Dataset) -> NDArray[np.int64]:
    """A number per clip, equal for clips of one group; clips without a group stand alone."""
    return numbers(dataset.groups)


def numbers(names: Sequence[str]) -> NDArray[np.int64]:
    """A number per name, equal for equal names."""
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def one_random_split(dataset: Dataset, seed: int) -> Protocol:
    """One random stratified split of 80 to 20, groups ignored, as the report seems to have made it.

    It is the first of five random stratified folds.
    """
    first = make_protocol(dataset, RANDOM, folds=5, seeds=[seed]).folds[0]
    return Protocol(HOLDOUT, "one random stratified split of 80 to 20, groups ignored", False, (seed,), (first,))


def _fold_seed(seed: int, fold: int) -> int:
    return seed * 1000 + fold


def _stratified(dataset: Dataset, folds: int, seed: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    smallest = _check_folds(dataset, folds, Counter(dataset.targets.tolist()), "clips")
    if folds > smallest[1]:
        raise InputError(
            f"{folds} folds need {folds} clips of every genre, and {smallest[0]!r} has {smallest[1]}. "
            f"Use --folds {smallest[1]} or fewer, or add clips."
        )
    splitter = _sklearn().StratifiedKFold(folds, shuffle=True, random_state=seed)
    return [(train, test) for train, test in splitter.split(np.zeros(len(dataset.clips)), dataset.targets)]


def _grouped(
    dataset: Dataset, groups: NDArray[np.int64], folds: int, seed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    per_label = {
        label: len(set(groups[dataset.targets == label].tolist())) for label in set(dataset.targets.tolist())
    }
    smallest = _check_folds(dataset, folds, Counter(per_label), "groups")
    if folds > smallest[1]:
        raise InputError(
            f"{folds} folds by group need {folds} groups (artists) in every genre, and {smallest[0]!r} has "
            f"{smallest[1]}. Use --folds {smallest[1]} or fewer, or --protocol {RANDOM} (optimistic)."
        )
    splitter = _sklearn().StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return [(train, test) for train, test in splitter.split(np.zeros(len(groups)), dataset.targets, groups)]


def _check_folds(dataset: Dataset, folds: int, counts: Counter[int], what: str) -> tuple[str, int]:
    if folds < 2:
        raise InputError(f"Cross-validation needs at least 2 folds, not {folds}.")
    label, smallest = min(counts.items(), key=lambda item: (item[1], item[0]))
    if smallest < 2:
        other = f", or use --protocol {RANDOM} (optimistic)" if what == "groups" else ""
        raise InputError(
            f"The genre {dataset.labels[label]!r} has {smallest} of the {what} that folds are made of; at least 2 "
            f"are needed, one to train and one to test. Add clips or leave that genre out{other}."
        )
    return dataset.labels[label], smallest


def _leave_one_out(dataset: Dataset, groups: NDArray[np.int64]) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    if len(set(groups.tolist())) < 2:
        raise InputError("Leaving one group out needs at least two groups. Give groups or artists in a manifest.")
    return [
        (np.flatnonzero(groups != group), np.flatnonzero(groups == group)) for group in sorted(set(groups.tolist()))
    ]


def _fault_filtered(dataset: Dataset, repeat: int, seed: int) -> Fold:
    from earmark.gtzan import facts

    places = facts.fault_filtered_split()
    parts = [places.get(clip.id) for clip in dataset.clips]
    unknown = next((clip.id for clip, part in zip(dataset.clips, parts, strict=True) if part is None), None)
    if unknown is not None:
        raise InputError(
            f"The fault-filtered split knows only GTZAN's clips, not {unknown!r}. Use --protocol {GROUPED}."
        )
    train, validation, test = (np.flatnonzero([p == part for p in parts]) for part in ("train", "valid", "test"))
    if not len(train) or not len(test):
        raise InputError("Of the fault-filtered split's training or test clips none is here. Use the whole of GTZAN.")
    return Fold(repeat, 0, _fold_seed(seed, 0), np.union1d(train, validation), test[:0], test)


def _from_file(dataset: Dataset, path: Path) -> tuple[list[tuple[NDArray[np.int64], NDArray[np.int64]]], str]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            rows = list(csv.DictReader(handle))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"The fold file {path} cannot be read ({error}).") from error
    if not rows or not {"clip", "fold"} <= set(rows[0]):
        raise InputError(f"The fold file {path} needs the columns clip and fold, and a row per clip.")
    index = {clip.id: number for number, clip in enumerate(dataset.clips)}
    place: dict[int, str] = {}
    for line, row in enumerate(rows, start=2):
        clip, fold = row["clip"], row["fold"]
        if clip not in index:
            raise InputError(f"{path}, line {line}: the dataset has no clip {clip!r}. Remove the line or correct it.")
        if not fold:
            raise InputError(f"{path}, line {line}: the clip {clip!r} has no fold.")
        if place.setdefault(index[clip], fold) != fold:
            raise InputError(f"{path}, line {line}: the clip {clip!r} stands in two folds. Keep one of the lines.")
    left_out = [clip.id for clip, number in zip(dataset.clips, range(len(index)), strict=True) if number not in place]
    if left_out:
        raise InputError(
            f"{path} leaves out {len(left_out)} of {len(index)} clips, the first of them {left_out[0]!r}. "
            "Give each a fold, or the word exclude."
        )
    names = sorted({fold for fold in place.values() if fold not in ("train", "exclude")}, key=_natural)
    folds = np.array([place[number] for number in range(len(index))])
    if not names or (len(names) < 2 and "train" not in place.values()):
        raise InputError(
            f"{path} names fewer than two folds. Number them, or mark training clips with the word train."
        )
    kept = folds != "exclude"
    pairs = [(np.flatnonzero(kept & (folds != name)), np.flatnonzero(folds == name)) for name in names]
    return pairs, f"the {len(names)} folds of {path.name}"


def _natural(name: str) -> tuple[int, int, str]:
    return (0, int(name), name) if name.isdigit() else (1, 0, name)


def inner_split(
    targets: NDArray[np.int64], groups: NDArray[np.int64], train: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide a fold's training clips once more, about 80 to 20, groups kept whole, to fit or choose something.

    Returns
    -------
    (inner_train, inner_validation)
        Row numbers of the dataset, both taken from ``train``.
    """
    least = min(len(set(groups[train][targets[train] == t].tolist())) for t in set(targets[train].tolist()))
    parts = max(2, min(5, least))
    splitter = _sklearn().StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    first, second = next(splitter.split(np.zeros(len(train)), targets[train], groups[train]))
    return train[first], train[second]


def _sklearn() -> Any:
    try:
        from sklearn import model_selection
    except ImportError as error:
        raise MissingExtraError("Dealing clips to folds", "train") from error
    return model_selection
