"""What can be wrong with a sound file, and how to say it."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import Final


class Problem(StrEnum):
    """What can be wrong with a sound file; the values are stable codes."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    NOT_AUDIO = "not-audio"
    WRONG_SUFFIX = "wrong-suffix"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    NOT_FINITE = "not-finite"
    SILENT = "silent"
    TOO_SHORT = "too-short"


_EXPLANATIONS: Final = {
    Problem.MISSING: "There is no such file.",
    Problem.UNREADABLE: "The file cannot be read.",
    Problem.EMPTY: "The file holds no sound at all.",
    Problem.NOT_AUDIO: "The content is not a kind of sound file that can be decoded.",
    Problem.WRONG_SUFFIX: "The content is another kind of file than the name says.",
    Problem.TRUNCATED: "The end is missing: the file breaks off before its sound is complete.",
    Problem.DAMAGED: "Parts in the middle cannot be decoded and were left out.",
    Problem.NOT_FINITE: "Some samples are not numbers (NaN or infinite) and were replaced by silence.",
    Problem.SILENT: "There is nothing to hear.",
    Problem.TOO_SHORT: "The sound ends before the place that was asked for.",
}


def explain(problem: Problem | str) -> str:
    """One sentence for a person about a problem (or its code)."""
    return _EXPLANATIONS[Problem(problem)]


def printable(path: str | os.PathLike[str]) -> str:
    """A path as text that can always be printed on one line.

    Control characters (newlines among them) and bytes that are not UTF-8 are written as backslash escapes.
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
