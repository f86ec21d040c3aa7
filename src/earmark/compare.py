"""Compare runs on the same clips: differences with paired intervals, tests, and who wins which clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.metrics import (
    ClipScores,
    Differences,
    Interval,
    SignTest,
    Suspect,
    bootstrap_scores,
    holm,
    paired_bootstrap,
    per_clip,
    sign_test,
    sums_by_group,
    suspects,
)
from earmark.metrics.intervals import RESAMPLES
from earmark.run_files import Predictions
from earmark.runs import Run

# Fewer common clips than this say nothing that an interval could hold.
FEWEST = 10


@dataclass(frozen=True)
class Entry:
    """One run of a comparison.

    Parameters
    ----------
    run
        The run itself.
    name
        Unique in the comparison.
    accuracy, macro_f1
        On the common clips, means over repeats, with their intervals over groups.
    f1
        One per label.
    share_right
        Shape (clips,): in what share of repeats each common clip was right.
    predicted
        Shape (clips,): the label predicted most often.
    """

    run: Run
    name: str
    accuracy: Interval
    macro_f1: Interval
    f1: tuple[Interval, ...]
    share_right: NDArray[np.float64]
    predicted: NDArray[np.intp]


@dataclass(frozen=True)
class Pair:
    """Two runs of a comparison, by their place in it; differences are second less first.

    Parameters
    ----------
    first, second
        Places of the runs.
    differences
        In accuracy, macro F1 and F1 per label.
    test
        McNemar's, over clips.
    adjusted
        The test's mid p-value, adjusted for the number of pairs (Holm).
    """

    first: int
    second: int
    differences: Differences
    test: SignTest
    adjusted: float


@dataclass(frozen=True)
class Comparison:
    """What :func:`compare` finds.

    Parameters
    ----------
    entries
        The runs, in the order given.
    labels
        Their labels.
    clips
        The common clips, sorted.
    y_true
        Shape (clips,).
    groups
        How many groups the common clips belong to.
    pairs
        All pairs of runs, those with the first run first.
    reasons
        Sentences on what makes the runs differ in clips or folds; empty where nothing does.
    settings
        What else differs: rows ``(setting, value per run)``.
    suspects
        Clips that every prediction of every run contradicts.
    """

    entries: tuple[Entry, ...]
    labels: tuple[str, ...]
    clips: tuple[str, ...]
    y_true: NDArray[np.intp]
    groups: int
    pairs: tuple[Pair, ...]
    reasons: tuple[str, ...]
    settings: tuple[tuple[str, tuple[str, ...]], ...]
    suspects: tuple[Suspect, ...]

    def pair(self, first: int, second: int) -> Pair:
        """The pair of two places, in the order in which it was computed."""
        return next(item for item in self.pairs if {item.first, item.second} == {first, second})

    def won(self, pair: Pair) -> tuple[list[int], list[int]]:
        """Clips (as places in ``clips``) that only the first or only the second run tends to get right.

        Ordered by how far the two are apart.
        """
        gap = self.entries[pair.second].share_right - self.entries[pair.first].share_right
        order = np.argsort(-np.abs(gap), kind="stable")
        return (
            [int(i) for i in order if gap[i] < -1e-9],
            [int(i) for i in order if gap[i] > 1e-9],
        )

    def to_dict(self) -> dict[str, Any]:
        """The comparison as a JSON object."""
        names = [entry.name for entry in self.entries]
        return {
            "format": 1,
            "runs": [
                {
                    "name": entry.name,
                    "model": entry.run.model,
                    "protocol": entry.run.protocol["name"],
                    "accuracy": entry.accuracy.to_dict(),
                    "macro_f1": entry.macro_f1.to_dict(),
                    "f1": {label: f1.to_dict() for label, f1 in zip(self.labels, entry.f1, strict=True)},
                }
                for entry in self.entries
            ],
            "clips": len(self.clips),
            "groups": self.groups,
            "reasons": list(self.reasons),
            "pairs": [
                {
                    "first": names[pair.first],
                    "second": names[pair.second],
                    "accuracy": pair.differences.accuracy.to_dict(),
                    "macro_f1": pair.differences.macro_f1.to_dict(),
                    "f1": {label: f1.to_dict() for label, f1 in zip(self.labels, pair.differences.f1, strict=True)},
                    "mcnemar": {
                        "only_first": pair.test.first,
                        "only_second": pair.test.second,
                        "exact": pair.test.exact,
                        "mid_p": pair.test.mid_p,
                        "adjusted": pair.adjusted,
                    },
                    "won_by_first": [self.clips[i] for i in self.won(pair)[0]],
                    "won_by_second": [self.clips[i] for i in self.won(pair)[1]],
                }
                for pair in self.pairs
            ],
        }


def names_of(runs: Sequence[Run]) -> tuple[str, ...]:
    """A name per run: its folder's, with as many parents in front as it takes to be unique."""
    paths = [run.folder.resolve() for run in runs]
    for depth in range(1, max(len(path.parts) for path in paths)):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return tuple(names)
    raise InputError("The same run is given twice. Give every run once.")


def what_differs(runs: Sequence[Run]) -> tuple[str, ...]:
    """Sentences on how runs differ from the first in clips, their labels, groups or folds; empty if they do not."""
    names = names_of(runs)
    first, reasons = runs[0], []
    for run, name in zip(runs[1:], names[1:], strict=True):
        pair = f"{names[0]} and {name}"
        only_first, only_second = set(first.clips) - set(run.clips), set(run.clips) - set(first.clips)
        if only_first or only_second:
            example = sorted(only_first or only_second)[0]
            reasons.append(
                f"{pair} were made on other clips: {len(only_first)} only in the first, {len(only_second)} only in "
                f"the second (for example {example})."
            )
        both = [clip for clip in first.clips if clip in run.clips]
        relabelled = [clip for clip in both if first.clips[clip].label != run.clips[clip].label]
        if relabelled:
            reasons.append(f"{pair} label {len(relabelled)} clips differently (for example {relabelled[0]}).")
        if _tested(first) != _tested(run):
            reasons.append(_folds_differ(first, run, pair))
        if any(first.group_of(clip) != run.group_of(clip) for clip in both):
            reasons.append(f"{pair} group their clips differently; the groups of {names[0]} are used.")
    return tuple(reasons)


def _tested(run: Run) -> set[tuple[int, frozenset[str]]]:
    """Which clips were tested together, per repeat; the numbering of folds does not matter."""
    found = run.predictions
    if found is None:
        return set()
    parts: dict[tuple[int, int], set[str]] = {}
    for repeat, fold, clip in zip(found.repeat.tolist(), found.fold.tolist(), found.clips, strict=True):
        parts.setdefault((repeat, fold), set()).add(clip)
    return {(repeat, frozenset(clips)) for (repeat, _), clips in parts.items()}


def _folds_differ(first: Run, second: Run, pair: str) -> str:
    protocols = first.protocol["name"], second.protocol["name"]
    if protocols[0] != protocols[1]:
        return f"{pair} were made under other protocols: {protocols[0]} and {protocols[1]}."
    repeats = [len({repeat for repeat, _ in _tested(run)}) for run in (first, second)]
    if repeats[0] != repeats[1]:
        return f"{pair} have another number of repeats: {repeats[0]} and {repeats[1]}."
    return f"{pair} were made on other folds: the same clips are dealt differently."


def compare(
    runs: Sequence[Run], *, allow_different: bool = False, seed: int = 0, resamples: int = RESAMPLES
) -> Comparison:
    """Compare two or more runs, the first being the one that the others are held against.

    Parameters
    ----------
    runs
        With predictions.
    allow_different
        Compare runs made on other clips or folds too, on the clips they have in common; what makes them differ is in
        ``reasons``.
    seed, resamples
        Of the bootstrap over groups (the first run's).

    Raises
    ------
    InputError
        If there are fewer than two runs, one has no predictions, their labels differ, or (without
        ``allow_different``) their clips or folds differ.
    """
    if len(runs) < 2:
        raise InputError("A comparison needs at least two runs.")
    names = names_of(runs)
    found = []
    for run, name in zip(runs, names, strict=True):
        if run.predictions is None:
            raise InputError(f"The run {name} holds no predictions, so it cannot be compared.")
        found.append(run.predictions)
        if run.labels != runs[0].labels:
            raise InputError(
                f"{names[0]} and {name} have other labels ({', '.join(runs[0].labels)} and {', '.join(run.labels)}), "
                "so they cannot be compared."
            )
    reasons = what_differs(runs)
    if reasons and not allow_different:
        raise InputError(
            f"{' '.join(reasons)} Differences would not be theirs alone. Give --allow-different to compare what "
            "they have in common all the same."
        )
    common = _common(runs, found)
    labels = runs[0].labels
    order = {name: i for i, name in enumerate(sorted({runs[0].group_of(clip) for clip in common}))}
    entries, sums, rows = [], [], []
    for run, name, predictions in zip(runs, names, found, strict=True):
        kept, joint = _kept(predictions, common)
        groups = [runs[0].group_of(clip) for clip in kept.clips]
        repeats = kept.repeat.tolist()
        scores = bootstrap_scores(
            kept.y_true, kept.predicted, len(labels), groups, repeats=repeats, seed=seed, resamples=resamples
        )
        entries.append(
            Entry(run, name, scores.accuracy, scores.macro_f1, scores.f1, joint.share_right, joint.predicted)
        )
        sums.append(sums_by_group(kept.y_true, kept.predicted, groups, repeats, len(labels), order))
        rows.append(kept)
    places = list(combinations(range(len(runs)), 2))
    tests = [sign_test(entries[a].share_right, entries[b].share_right) for a, b in places]
    pairs = [
        Pair(a, b, paired_bootstrap(sums[a], sums[b], seed=seed, resamples=resamples), test, adjusted)
        for (a, b), test, adjusted in zip(places, tests, holm([test.mid_p for test in tests]), strict=True)
    ]
    everything = per_clip(
        [clip for kept in rows for clip in kept.clips],
        np.concatenate([kept.y_true for kept in rows]),
        np.concatenate([kept.probabilities for kept in rows]),
        np.concatenate([kept.predicted for kept in rows]),
    )
    return Comparison(
        entries=tuple(entries),
        labels=labels,
        clips=tuple(common),
        y_true=np.array([labels.index(runs[0].clips[clip].label) for clip in common], dtype=np.intp),
        groups=len(order),
        pairs=tuple(pairs),
        reasons=reasons,
        settings=tuple(_settings(runs)),
        suspects=tuple(suspects(everything)),
    )


def _common(runs: Sequence[Run], found: Sequence[Predictions]) -> list[str]:
    """Clips that every run predicts under the same label, sorted."""
    tested = [
        {(clip, run.clips[clip].label) for clip in predictions.clips}
        for run, predictions in zip(runs, found, strict=True)
    ]
    common = sorted(clip for clip, _ in set.intersection(*tested))
    if len(common) < FEWEST:
        raise InputError(f"The runs have only {len(common)} clips in common, too few to compare them.")
    return common


def _kept(found: Predictions, common: Sequence[str]) -> tuple[Predictions, ClipScores]:
    """The predictions of some clips, ordered by clip and repeat, and what they say together, in the clips' order."""
    place = {clip: i for i, clip in enumerate(common)}
    rows = [i for i, clip in enumerate(found.clips) if clip in place]
    rows.sort(key=lambda i: (place[found.clips[i]], int(found.repeat[i]), int(found.fold[i])))
    kept = Predictions(
        found.repeat[rows],
        found.fold[rows],
        tuple(found.clips[i] for i in rows),
        found.y_true[rows],
        found.predicted[rows],
        found.probabilities[rows],
    )
    return kept, per_clip(kept.clips, kept.y_true, kept.probabilities, kept.predicted)


def _settings(runs: Sequence[Run]) -> list[tuple[str, tuple[str, ...]]]:
    """Settings that are not the same in all runs."""
    tables = [
        {
            f"{part}: {key}": value
            for part in ("dataset", "protocol", "model", "training", "front_end", "machine", "versions")
            for key, value in _flat(run.info.get(part) or {})
        }
        for run in runs
    ]
    keys = dict.fromkeys(key for table in tables for key in table)
    rows = [(key, tuple(table.get(key, "–") for table in tables)) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1]


def _flat(value: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, item in value.items():
        if isinstance(item, Mapping):
            rows += _flat(item, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", "–" if item is None else str(item)))
    return rows
