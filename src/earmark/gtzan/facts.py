"""What is known about GTZAN's 1000 clips: artists, titles, the fault-filtered split, repeated recordings.

Two small tables lie beside this module. ``facts.csv`` (one row per clip) is made by ``scripts/make_gtzan_facts.py``
from an index of GTZAN; its artists and titles go back to the catalogue of Sturm (2013, arXiv:1306.1461), its
split to Kereliuk, Sturm and Larsen (2015, "Deep Learning and Music Adversaries"): 443 clips to train, 197 to
validate, 290 to test, 70 left out. ``repeats.csv`` (one row per pair) is found from sound by the same script with
:mod:`earmark.recordings`.
"""

from __future__ import annotations

import csv
import functools
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from types import MappingProxyType

LABELS = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
_ID = re.compile(rf"({'|'.join(LABELS)})\.(\d{{5}})")


@dataclass(frozen=True)
class ClipFacts:
    """One clip of GTZAN.

    Parameters
    ----------
    id, label
        ``"blues.00000"`` and ``"blues"``.
    artist, title
        None where nobody has named them (81 clips have no artist).
    fault_filtered
        Its place in the fault-filtered split: ``"train"``, ``"valid"``, ``"test"`` or ``"excluded"``.
    """

    id: str
    label: str
    artist: str | None
    title: str | None
    fault_filtered: str


@dataclass(frozen=True)
class KnownRepeat:
    """Two clips cut from one recording with some sound in common, as found by :mod:`earmark.recordings`.

    ``offset`` and ``overlap`` are in seconds, ``speed`` is how much faster the second one runs.
    """

    first: str
    second: str
    score: float
    offset: float
    overlap: float
    speed: float


def is_gtzan_id(name: str) -> bool:
    """Tell whether a name is that of a GTZAN clip (``"blues.00000"``)."""
    match = _ID.fullmatch(name)
    return match is not None and int(match[2]) < 100


@functools.cache
def clip_facts() -> Mapping[str, ClipFacts]:
    """The facts of all 1000 clips by id, sorted."""
    table = {
        row["id"]: ClipFacts(
            id=row["id"],
            label=row["id"].partition(".")[0],
            artist=row["artist"] or None,
            title=row["title"] or None,
            fault_filtered=row["fault_filtered"],
        )
        for row in _rows("facts.csv")
    }
    return MappingProxyType(table)


@functools.cache
def fault_filtered_split() -> Mapping[str, str]:
    """Clip id to ``"train"`` (443), ``"valid"`` (197), ``"test"`` (290) or ``"excluded"`` (70)."""
    return MappingProxyType({name: clip.fault_filtered for name, clip in clip_facts().items()})


@functools.cache
def known_repeats() -> tuple[KnownRepeat, ...]:
    """Pairs of clips that share sound, surest first."""
    return tuple(
        KnownRepeat(
            first=row["first"],
            second=row["second"],
            score=float(row["score"]),
            offset=float(row["offset"]),
            overlap=float(row["overlap"]),
            speed=float(row["speed"]),
        )
        for row in _rows("repeats.csv")
    )


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text("utf-8")
    return list(csv.DictReader(io.StringIO(text, newline="")))
