"""Datasets: clips with labels, and the groups that no split may tear apart.

A dataset says which clips there are, what they are labelled and who belongs together; what was computed from them
(spectrograms, embeddings, thumbnails) rides along as arrays in the order of the clips. :func:`load_dataset` makes
one from whatever a user has.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.front_end import FrontEnd
from earmark.groups import artist_key, assign_groups


@dataclass(frozen=True)
class Clip:
    """One sound with one label, the unit of every score.

    Parameters
    ----------
    id
        Unique in its dataset, the same on every machine.
    label
        The genre.
    group
        Clips of one group stay on one side of every split. :func:`earmark.groups.assign_groups` fills it in: what the
        source said, else ``artist:...``, else ``clip:...`` (alone); merged where clips share a recording.
    path
        The sound file, where there is one.
    artist, title
        None where they are not known.
    recording
        The same name for clips that were found to be cut from one recording; None: shared with no other clip.
    """

    id: str
    label: str
    group: str | None = None
    path: Path | None = None
    artist: str | None = None
    title: str | None = None
    recording: str | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Clips, sorted by id, and arrays in the same order.

    Parameters
    ----------
    name
        For headings.
    clips
        Sorted by id, ids unique.
    labels
        All labels, sorted; a label's place is its number in :attr:`targets`.
    spectrograms
        (n, bins, columns) uint8, in memory or memory-mapped, made by `front_end`.
    features
        Name to (n, d) float32, for example ``{"mobilenet_v2": ...}``.
    thumbnails
        (n, height, width) uint8, low frequencies first.
    facts
        What else is known, ready for JSON. Loading fills in ``kind`` (``"folder"``, ``"manifest"``, ``"archive"`` or
        ``"gtzan"``), ``source``, ``without_artist`` (number of clips with neither artist nor group), ``notes``
        (sentences for a person, see :func:`with_notes`); comparing clips by sound adds ``repeats`` (see
        :func:`earmark.extract.with_repeats`).

    Raises
    ------
    InputError
        If ids are not unique, labels do not fit the clips, or an array has another number of rows.
    """

    name: str
    clips: tuple[Clip, ...]
    labels: tuple[str, ...]
    spectrograms: NDArray[np.uint8] | None = None
    front_end: FrontEnd | None = None
    features: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    thumbnails: NDArray[np.uint8] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids = self.ids
        if len(set(ids)) != len(ids):
            double = next(name for name, times in Counter(ids).items() if times > 1)
            raise InputError(f"{self.name}: the clip id {double!r} occurs more than once; ids must be unique.")
        if list(ids) != sorted(ids):
            raise InputError(f"{self.name}: the clips of a dataset must be sorted by id.")
        if list(self.labels) != sorted(set(self.labels)):
            raise InputError(f"{self.name}: the labels of a dataset must be sorted and unique.")
        foreign = next((clip for clip in self.clips if clip.label not in self.labels), None)
        if foreign is not None:
            raise InputError(f"{self.name}: the label {foreign.label!r} of the clip {foreign.id!r} is not listed.")
        arrays = {"spectrograms": self.spectrograms, "thumbnails": self.thumbnails, **self.features}
        for what, array in arrays.items():
            if array is not None and len(array) != len(self.clips):
                raise InputError(f"{self.name}: {len(self.clips)} clips but {len(array)} rows of {what}.")

    def __len__(self) -> int:
        return len(self.clips)

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """The clips' ids, sorted."""
        return tuple(clip.id for clip in self.clips)

    @cached_property
    def targets(self) -> NDArray[np.int64]:
        """Each clip's label as its number in :attr:`labels`, (n,)."""
        number = {label: k for k, label in enumerate(self.labels)}
        return np.array([number[clip.label] for clip in self.clips], dtype=np.int64)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Each clip's group; a clip that was given none stands alone."""
        return tuple(clip.group if clip.group is not None else f"clip:{clip.id}" for clip in self.clips)

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over ids, labels and groups: alike for the same clips, labelled and grouped alike."""
        digest = hashlib.sha256()
        for clip in self.clips:
            digest.update(json.dumps([clip.id, clip.label, clip.group]).encode())
        return digest.hexdigest()[:16]

    @property
    def is_gtzan(self) -> bool:
        """Whether every clip is one of GTZAN's, labelled as there."""
        table = _gtzan_facts().clip_facts()
        return bool(self.clips) and all(
            clip.id in table and table[clip.id].label == clip.label for clip in self.clips
        )

    def recording_of(self, clip: Clip) -> str:
        """The recording that a clip was cut from; its own id where no other clip shares it."""
        return clip.recording if clip.recording is not None else clip.id

    def label_counts(self) -> dict[str, int]:
        """Clips per label, every label included."""
        counts = Counter(clip.label for clip in self.clips)
        return {label: counts[label] for label in self.labels}

    def label_groups(self) -> dict[str, dict[str, int]]:
        """Per label, its groups and how many of its clips each holds, largest first."""
        found: dict[str, Counter[str]] = {label: Counter() for label in self.labels}
        for clip, group in zip(self.clips, self.groups, strict=True):
            found[clip.label][group] += 1
        return {
            label: dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
            for label, counts in found.items()
        }

    @property
    def most_folds(self) -> int:
        """The most folds that can each test every label with groups kept whole: the fewest groups of any label."""
        return min((len(groups) for groups in self.label_groups().values()), default=0)

    def select(self, rows: Sequence[int] | NDArray[np.integer[Any]]) -> Dataset:
        """The dataset of some of the clips; labels that lose all their clips go too."""
        order = np.unique(np.asarray(rows, dtype=np.int64))
        clips = tuple(self.clips[row] for row in order)
        return replace(
            self,
            clips=clips,
            labels=tuple(sorted({clip.label for clip in clips})),
            spectrograms=_take(self.spectrograms, order),
            thumbnails=_take(self.thumbnails, order),
            features={name: rows[order] for name, rows in self.features.items()},
        )


def _gtzan_facts() -> ModuleType:
    # Late, because the package around the facts loads datasets itself.
    from earmark.gtzan import facts

    return facts


def _take(rows: NDArray[np.uint8] | None, order: NDArray[np.int64]) -> NDArray[np.uint8] | None:
    if rows is None:
        return None
    whole = len(order) == len(rows)
    run = len(order) > 0 and order[-1] - order[0] == len(order) - 1
    # A slice of a memory map stays on the disk; an index would copy it.
    return rows if whole else rows[order[0] : order[-1] + 1] if run else rows[order]


def make_dataset(name: str, clips: Iterable[Clip], **rest: Any) -> Dataset:
    """A dataset of clips in any order: sorted, labels collected."""
    ordered = tuple(sorted(clips, key=lambda clip: clip.id))
    return Dataset(name=name, clips=ordered, labels=tuple(sorted({clip.label for clip in ordered})), **rest)


def with_notes(dataset: Dataset) -> Dataset:
    """The dataset with ``facts["without_artist"]`` and ``facts["notes"]`` brought up to date.

    The notes are what the source remarked (``facts["remarks"]``), then what clips, groups and labels show.
    """
    notes = list(dataset.facts.get("remarks", ()))
    clips, alone = dataset.clips, stand_alone(dataset)
    if clips and len(set(dataset.groups)) == len(clips):
        notes.append(
            "No two clips share an artist, a recording or a group: scores by group are no stricter than "
            "random folds. Name artists in the files' tags or in a manifest."
        )
    elif alone:
        notes.append(
            f"{len(alone)} of {len(clips)} clips have no artist; each is a group of its own, "
            "unless it shares a recording."
        )
    recordings = Counter(clip.recording for clip in clips if clip.recording is not None)
    if recordings:
        notes.append(
            f"{recordings.total()} clips are cut from {len(recordings)} recordings that occur more than once; "
            "they stay on one side of every split."
        )
    lonely = [label for label, times in dataset.label_counts().items() if times == 1]
    if lonely:
        listed = ", ".join(map(repr, lonely[:5])) + (" ..." if len(lonely) > 5 else "")
        notes.append(f"One clip only: {listed}. A genre needs at least 2, one to train and one to test.")
    if len(dataset.labels) == 1:
        notes.append(f"All clips are labelled {dataset.labels[0]!r}; learning needs at least 2 genres.")
    return replace(dataset, facts={**dataset.facts, "without_artist": len(alone), "notes": notes})


def stand_alone(dataset: Dataset) -> tuple[str, ...]:
    """The ids of clips that neither an artist nor the source has put into a group."""
    return tuple(
        clip.id
        for clip in dataset.clips
        if artist_key(clip.artist) is None and (clip.group or "clip:").startswith("clip:")
    )


def gtzan_clips(ids: Iterable[str] | None = None) -> tuple[Clip, ...]:
    """GTZAN's clips with all that the package knows of them: artists, titles, groups, repeated recordings.

    A clip that nobody has named an artist for (81 of 1000) is a group of its own. How it sounds does not tell whose
    it is: the clip nearest in timbre and genre is by the same artist for 46 % of those with a known one, and at a
    distance where 90 % are, 5 of the 81 would find a place.

    Raises
    ------
    InputError
        If an id is not one of GTZAN's.
    """
    table = _gtzan_facts().clip_facts()
    names = list(table) if ids is None else list(ids)
    unknown = next((name for name in names if name not in table), None)
    if unknown is not None:
        raise InputError(f"GTZAN has no clip {unknown!r}.")
    return gtzan_groups(Clip(id=name, label=table[name].label) for name in names)


def gtzan_groups(clips: Iterable[Clip]) -> tuple[Clip, ...]:
    """Give clips that bear GTZAN's ids the artist, title and group that the package knows; others keep theirs."""
    facts = _gtzan_facts()
    table = facts.clip_facts()
    known = []
    for clip in clips:
        fact = table.get(clip.id)
        if fact is not None and fact.label == clip.label:
            clip = replace(clip, artist=clip.artist or fact.artist, title=clip.title or fact.title)
        known.append(clip)
    return assign_groups(known, [(pair.first, pair.second) for pair in facts.known_repeats()])


def load_dataset(source: str | Path) -> Dataset:
    """Load a dataset from whatever a user has.

    Parameters
    ----------
    source
        - ``"gtzan"``: the real GTZAN's embeddings that ship with the package (no sound, no spectrograms);
        - a folder with a folder of sound files per genre (see :func:`earmark.sources.load_folder`);
        - a CSV manifest with the columns path and label (see :func:`earmark.sources.load_manifest`);
        - an ``.npz`` archive made by ``earmark data build``, or spectrograms in the layout of ``gtzan/mel.npz``
          (see :func:`earmark.sources.load_npz`).

    Raises
    ------
    InputError
        If there is nothing usable there.
    StoreError
        If an archive is damaged.
    """
    from earmark import sources

    # The bare word always means the package's own; a folder of that name is ./gtzan or a Path.
    if source == "gtzan" or (str(source) == "gtzan" and not Path(source).exists()):
        import earmark.gtzan

        return earmark.gtzan.load()
    path = Path(source).expanduser()
    if not str(source).strip():
        raise InputError("The name of the dataset is empty.")
    if path.is_dir():
        return sources.load_folder(path)
    if not path.exists():
        raise InputError(
            f"There is no dataset at {source}. Give a folder with a folder per genre, a CSV manifest "
            "(path,label), an .npz archive, or the word gtzan."
        )
    if path.suffix.lower() == ".npz":
        return sources.load_npz(path)
    if path.suffix.lower() in (".csv", ".tsv", ".txt"):
        return sources.load_manifest(path)
    raise InputError(
        f"{source} is neither a folder, a CSV manifest nor an .npz archive. "
        "A dataset is a folder with a folder of sound files per genre, a .csv or an .npz."
    )
