"""What is known of one file of a library."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from earmark.library.details import Details
from earmark.music import Music
from earmark.names import printable

_NO_DETAILS = Details()
_NO_MUSIC = Music()


@dataclass(frozen=True, slots=True)
class Track:
    """One file of the library and what is known of it.

    Parameters
    ----------
    id
        Its number in the catalogue.
    path
        Absolute; odd bytes as :func:`os.fsdecode` writes them.
    label, confidence, unsure, probabilities
        As in :class:`earmark.prediction.Prediction`, probabilities falling; a track that could not be heard has
        an empty label and none.
    doubt
        Why it is unsure, as in :class:`earmark.prediction.Prediction`; None where it is sure, and for tracks from
        before this was kept.
    correction
        The genre that a person said it is; None if nobody did.
    music
        Tempo, key, loudness and dynamics of what was heard; empty for tracks from before these were measured.
    heard, seconds
        The windows that were heard and the length of the track, in seconds.
    details
        What its tags say.
    problem, reason
        Code and sentence if it could not be heard.
    warnings
        Codes of problems that did not stop it from being heard.
    removed
        Whether the file was gone at the last scan.
    """

    id: int
    path: str
    label: str = ""
    confidence: float = 0.0
    unsure: bool = False
    probabilities: Mapping[str, float] | None = None
    heard: tuple[tuple[float, float], ...] = ()
    seconds: float | None = None
    details: Details = _NO_DETAILS
    problem: str | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    removed: bool = False
    correction: str | None = None
    doubt: str | None = None
    music: Music = _NO_MUSIC

    @property
    def answer(self) -> str:
        """The genre, or ``unsure``: what a person said, else what was heard."""
        settled = self.settled
        return "unsure" if settled.unsure else settled.label

    @property
    def settled(self) -> Track:
        """The track with what a person said in the place of what was heard, and certain; itself if nobody did."""
        if self.correction is None:
            return self
        said = {self.correction: 1.0}
        return replace(self, label=self.correction, confidence=1.0, unsure=False, doubt=None, probabilities=said)

    @property
    def name(self) -> str:
        """Artist and title, or the file's name without its suffix."""
        if self.details.title:
            return f"{self.details.artist} - {self.details.title}" if self.details.artist else self.details.title
        return printable(Path(self.path).stem)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        row: dict[str, Any] = {"path": self.path}
        if self.problem is not None:
            row |= {"problem": self.problem, "reason": self.reason}
        else:
            row |= {"label": self.label, "confidence": self.confidence, "unsure": self.unsure, "doubt": self.doubt}
            row["correction"] = self.correction
            row |= {"probabilities": dict(self.probabilities or {}), "heard": [list(h) for h in self.heard]}
            row |= self.music.to_dict()
        row["seconds"] = self.seconds
        row |= {name: getattr(self.details, name) for name in Details.__slots__}
        return row | {"warnings": list(self.warnings), "removed": self.removed}


def length_of(row: Mapping[str, Any]) -> float:
    """Length in seconds of a track from a prediction's row: as declared, else to the end of what was heard last."""
    declared: float | None = row["declared"]
    return max((end for _, end in row["heard"]), default=0.0) if declared is None else declared


class Known(NamedTuple):
    """What decides whether a file has to be heard again."""

    id: int
    size: int
    mtime_ns: int
    inode: int
    content: bytes | None
    bundle: int
    windows: int
    problem: str | None
    removed: bool


class FileState(NamedTuple):
    """Size, modification time and number of a file, by which a change is noticed."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> FileState:
        """From ``os.stat``; SQLite's integers have a sign."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ino & 0x7FFFFFFFFFFFFFFF)
