"""What is wrong with a dataset, and what Earmark would do about it.

Every file is decoded from end to end, clips are compared by sound, and labels and groups are counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import combinations
from pathlib import Path
from typing import Any

from earmark.dataset import Clip, Dataset, load_dataset, stand_alone
from earmark.errors import InputError
from earmark.extract import Failure, extract
from earmark.front_end import MEL
from earmark.names import printable
from earmark.progress import Progress, Step, silent
from earmark.store import cache_folder
from earmark.workers import in_order

UNBALANCED = 1.5
"""The largest genre over the smallest from which on a dataset is called unbalanced."""
FEW_GROUPS = 5
"""Groups of a genre, below which the usual five grouped folds cannot test it in each."""
SAME_SOUND = 0.3
"""Score from which on two clips with the same start, length and speed are called copies, not cuts, of one sound."""
LARGE_GROUP = 0.3
"""Share of a genre's clips in one group from which on its score hangs on one artist."""


class Level(StrEnum):
    """How bad a finding is."""

    BAD = "bad"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Parameters
    ----------
    kind
        A stable code: one of :class:`earmark.audio.Problem`, ``"crashed"``, ``"short"``, ``"duplicate"``,
        ``"same-recording"``, ``"label-conflict"``, ``"unbalanced"``, ``"one-clip"``, ``"few-groups"``,
        ``"large-group"``, ``"no-artist"``, ``"unlabelled"`` or ``"one-label"``.
    level
        ``bad``: clips are left out; ``warning``: they are used, but look at it; ``note``: good to know.
    clips
        The clips' ids (for ``unlabelled`` the files).
    what, action
        What was found, and what Earmark does about it: a sentence each.
    """

    kind: str
    level: Level
    clips: tuple[str, ...]
    what: str
    action: str


@dataclass(frozen=True)
class Report:
    """All that a check has shown.

    Parameters
    ----------
    name, source
        Of the dataset.
    clips, used
        How many there are and how many are usable.
    seconds
        Sound decoded from the usable files; None where there are no files.
    labels
        Usable clips per label.
    groups
        Groups per label.
    most_folds
        The most folds by group that each test every label.
    findings
        Worst first.
    """

    name: str
    source: str
    clips: int
    used: int
    seconds: float | None
    labels: Mapping[str, int]
    groups: Mapping[str, int]
    most_folds: int
    findings: tuple[Finding, ...]

    @property
    def bad(self) -> bool:
        """Whether clips are left out."""
        return any(finding.level == Level.BAD for finding in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {**asdict(self), "labels": dict(self.labels), "groups": dict(self.groups)}


@dataclass(frozen=True)
class _Decoded:
    """What decoding a whole file has shown."""

    seconds: float
    problems: tuple[str, ...]
    sentences: tuple[str, ...]


def check_dataset(
    source: str | Path | Dataset,
    *,
    cache: Path | str | None = None,
    jobs: int = 1,
    progress: Progress = silent,
) -> Report:
    """Look for everything that is wrong with a dataset.

    Parameters
    ----------
    source
        See :func:`earmark.dataset.load_dataset`, or a loaded dataset.
    cache
        Where spectrograms are kept; None: :func:`earmark.store.cache_folder`.
    jobs
        Worker processes.

    Raises
    ------
    InputError
        If there is no dataset, or no clip of it can be used (the message says why the first cannot).
    """
    dataset = source if isinstance(source, Dataset) else load_dataset(source)
    findings: list[Finding] = []
    heard, seconds = dataset, None
    if dataset.clips and all(clip.path is not None for clip in dataset.clips):
        decoded = _decode(dataset, jobs, progress)
        seconds = sum(one.seconds for one in decoded.values())
        failures: list[Failure] = []
        try:
            heard, failures = extract(
                dataset, MEL, cache=Path(cache) if cache is not None else cache_folder(), jobs=jobs, progress=progress
            )
        except InputError:
            # No clip can be used; the list of what is wrong with each serves better than one sentence.
            if not all(one.problems for one in decoded.values()):
                raise
            failures = [
                Failure(name, dataset.clips[row].path or Path(), one.problems[-1], one.sentences[-1])
                for row, (name, one) in enumerate(decoded.items())
            ]
            heard = dataset.select([])
        findings += _file_findings(dataset, decoded, failures)
    elif dataset.spectrograms is not None and "repeats" not in dataset.facts and not dataset.is_gtzan:
        from earmark.extract import with_repeats

        heard = with_repeats(dataset, progress=progress)
    findings += _repeat_findings(heard)
    findings += _label_findings(heard)
    findings += _group_findings(heard)
    findings += _stray_findings(dataset)
    order = {Level.BAD: 0, Level.WARNING: 1, Level.NOTE: 2}
    return Report(
        name=dataset.name,
        source=str(dataset.facts.get("source", dataset.name)),
        clips=len(dataset),
        used=len(heard),
        seconds=None if seconds is None else round(seconds, 3),
        labels=heard.label_counts(),
        groups={label: len(groups) for label, groups in heard.label_groups().items()},
        most_folds=heard.most_folds,
        findings=tuple(sorted(findings, key=lambda finding: order[finding.level])),
    )


def _decode(dataset: Dataset, jobs: int, progress: Progress) -> dict[str, _Decoded]:
    paths = [clip.path for clip in dataset.clips if clip.path is not None]
    found = {}
    for number, (clip, one) in enumerate(
        zip(dataset.clips, in_order(_decode_one, paths, jobs, _decoding_crashed), strict=True), start=1
    ):
        found[clip.id] = one
        progress(Step("decoding files", number, len(paths), "" if clip.path is None else printable(clip.path.name)))
    return found


def _decode_one(path: Path) -> _Decoded:
    from earmark import audio

    try:
        check = audio.check(path)
    except Exception as error:
        # Whatever a library makes of a strange file, it costs this file only.
        sentence = f"{printable(path)} cannot be decoded ({type(error).__name__}: {error})."
        return _Decoded(0.0, ("unreadable",), (sentence,))
    return _Decoded(check.seconds, tuple(map(str, check.problems)), check.sentences)


def _decoding_crashed(path: Path) -> _Decoded:
    return _Decoded(0.0, ("crashed",), (f"Decoding {printable(path)} ended the process that did it.",))


def _file_findings(dataset: Dataset, decoded: Mapping[str, _Decoded], failures: Sequence[Failure]) -> list[Finding]:
    findings = []
    failed = {failure.clip: failure for failure in failures}
    for clip in dataset.clips:
        one, failure = decoded[clip.id], failed.get(clip.id)
        name = _name(dataset, clip)
        if failure is not None:
            what = _about(failure.message, clip, name)
            findings.append(Finding(failure.problem, Level.BAD, (clip.id,), what, "Left out."))
        for problem, sentence in zip(one.problems, one.sentences, strict=True):
            if failure is not None and problem != "wrong-suffix":
                continue
            action = (
                "Read by its content; rename it."
                if problem == "wrong-suffix"
                else "What can be decoded of it is used."
            )
            what = _about(sentence, clip, name)
            findings.append(Finding(problem, Level.WARNING, (clip.id,), what, action))
        if failure is None and one.seconds < MEL.seconds / 2:
            what = f"{name} is {one.seconds:.1f} s long, less than half of the {MEL.seconds:g} s looked at."
            findings.append(
                Finding("short", Level.WARNING, (clip.id,), what, "Its sound is repeated until they are full.")
            )
    return findings


def _name(dataset: Dataset, clip: Clip) -> str:
    """A clip's file as short as it can be told from others: its path below the dataset's folder."""
    root = Path(str(dataset.facts.get("root", dataset.facts.get("source", ""))))
    root = root if dataset.facts.get("kind") == "folder" else root.parent
    if clip.path is None:
        return clip.id
    return printable(clip.path.relative_to(root) if clip.path.is_relative_to(root) else clip.path)


def _about(sentence: str, clip: Clip, name: str) -> str:
    """A sentence about a file that names it shortly."""
    full = "" if clip.path is None else printable(clip.path)
    return sentence.replace(full, name) if full and full in sentence else f"{name}: {sentence}"


def _repeat_findings(dataset: Dataset) -> list[Finding]:
    together: dict[str, list[Clip]] = {}
    for clip in dataset.clips:
        if clip.recording is not None:
            together.setdefault(clip.recording, []).append(clip)
    pairs = _pairs(dataset)
    findings = []
    for clips in together.values():
        ids = tuple(clip.id for clip in clips)
        known = [pairs[pair] for pair in map(frozenset, combinations(ids, 2)) if pair in pairs]
        score = f" (score {max(one['score'] for one in known):.2f})" if known else ""
        names = f"{', '.join(ids[:-1])} and {ids[-1]}"
        kept = "One group: never on two sides of a split."
        labels = sorted({clip.label for clip in clips})
        if len(labels) > 1:
            what = f"{names} are one recording{score}, labelled {' and '.join(map(repr, labels))}."
            action = f"{kept} At most one label can be right: move or remove the others."
            findings.append(Finding("label-conflict", Level.WARNING, ids, what, action))
        elif any(map(_same_sound, known)):
            what = f"{names} hold the same sound{score}."
            findings.append(Finding("duplicate", Level.WARNING, ids, what, f"{kept} Remove all but one."))
        else:
            what = f"{names} are cut from one recording{score}."
            findings.append(Finding("same-recording", Level.NOTE, ids, what, kept))
    return findings


def _same_sound(pair: Mapping[str, float]) -> bool:
    whole = pair["overlap"] > 0.95 * MEL.seconds and abs(pair["offset"]) < 0.5 and abs(pair["speed"] - 1) < 0.01
    return whole and pair["score"] >= SAME_SOUND


def _pairs(dataset: Dataset) -> dict[frozenset[str], Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = list(dataset.facts.get("repeats", ()))
    if dataset.is_gtzan:
        from earmark.gtzan.facts import known_repeats

        found = [*map(asdict, known_repeats()), *found]
    return {frozenset((pair["first"], pair["second"])): pair for pair in found}


def _label_findings(dataset: Dataset) -> list[Finding]:
    counts = dataset.label_counts()
    findings = []
    for label, count in counts.items():
        if count == 1:
            only = tuple(clip.id for clip in dataset.clips if clip.label == label)
            what = f"The genre {label!r} has one clip."
            action = "It can be trained on or tested, not both: cross-validation will refuse it. Add clips."
            findings.append(Finding("one-clip", Level.WARNING, only, what, action))
    if len(counts) == 1:
        what = f"All clips are labelled {next(iter(counts))!r}."
        findings.append(Finding("one-label", Level.WARNING, (), what, "Learning needs at least 2 genres: add one."))
    if len(counts) > 1:
        most, least = max(counts, key=lambda k: counts[k]), min(counts, key=lambda k: counts[k])
        if counts[most] > UNBALANCED * counts[least]:
            what = f"Unbalanced: {counts[most]} clips of {most!r}, {counts[least]} of {least!r}."
            action = "Folds keep the proportions and scores are given per genre; nothing is dropped or doubled."
            findings.append(Finding("unbalanced", Level.NOTE, (), what, action))
    return findings


def _group_findings(dataset: Dataset) -> list[Finding]:
    findings = []
    for label, groups in dataset.label_groups().items():
        count = sum(groups.values())
        if count < 2:
            continue
        name, largest = next(iter(groups.items()))
        shown = name.partition(":")[2] or name
        if len(groups) < FEW_GROUPS:
            what = f"The genre {label!r} has {len(groups)} group{'s' * (len(groups) != 1)} (artists or recordings)."
            action = (
                f"At most {len(groups)} folds can keep groups whole."
                if len(groups) > 1
                else "It cannot be tested on an artist that was not trained on. Add artists."
            )
            findings.append(Finding("few-groups", Level.WARNING, (), what, action))
        elif largest > LARGE_GROUP * count:
            what = f"{largest} of the {count} clips of {label!r} are one group ({shown})."
            action = "They stay together, so the folds of this genre are of uneven size."
            findings.append(Finding("large-group", Level.NOTE, (), what, action))
    nobody = stand_alone(dataset)
    if nobody:
        what = f"{len(nobody)} of {len(dataset)} clips have no artist."
        action = "Each is a group of its own, unless it shares a recording."
        if not dataset.is_gtzan:
            action += " Name artists in the files' tags or in a manifest, so that scores can be by artist."
        findings.append(Finding("no-artist", Level.NOTE, nobody, what, action))
    return findings


def _stray_findings(dataset: Dataset) -> list[Finding]:
    stray: Iterable[str] = dataset.facts.get("unlabelled", ())
    return [
        Finding(
            "unlabelled",
            Level.WARNING,
            (name,),
            f"{name} lies beside the genre folders and has no label.",
            "Passed over. Move it into the folder of its genre.",
        )
        for name in stray
    ]
