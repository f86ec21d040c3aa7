"""Paths as text that can be shown anywhere."""

from __future__ import annotations

import os


def printable(path: str | os.PathLike[str]) -> str:
    """A path as text that can always be printed on one line.

    Control characters (newlines among them) and bytes that are not UTF-8 are written as backslash escapes.
    """
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
