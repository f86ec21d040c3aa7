"""Whether sound ends long before it should: files that were cut off, and such as cannot be decoded to their end."""

from __future__ import annotations

import math
from typing import Final

from earmark.audio.containers import Content
from earmark.audio.problems import Problem

MISSING_SHARE: Final = 0.05
"""Of a stretch may be missing at its end, and what is there still speaks for it."""
# Nothing but frames: without a header in the first one there is no length, and many a whole file ends within a frame.
_FRAMES: Final = frozenset({"mp3", "adts", "ac3", "eac3"})


def early_end(
    content: Content, promised: float | None, there: float, start: float, wanted: float
) -> tuple[Problem, str] | None:
    """What is wrong, as a code and half a sentence, if too much of a stretch is missing; None if nothing is.

    Parameters
    ----------
    content
        What kind of file it is, and whether its structure shows that the end is missing.
    promised
        Seconds of sound that the file says it has; None: it does not say.
    there
        Where decoding it ended.
    start, wanted
        Where the stretch begins and ends; infinite: with the file.
    """
    if promised is None:
        # How much is missing remains open, except that something is.
        if content.whole is not False or content.container.name in _FRAMES:
            return None
        promised = math.inf
    end = min(wanted, promised)
    if there >= end or end - there <= MISSING_SHARE * (end - start) < math.inf:
        return None
    if math.isinf(promised):
        return Problem.TRUNCATED, f"is cut off after {there:.1f} s, and does not tell how much is missing"
    if content.whole:
        return Problem.DAMAGED, f"is damaged: after {there:.1f} of its {promised:.1f} s nothing can be decoded"
    return Problem.TRUNCATED, f"is cut off: {there:.1f} of its {promised:.1f} s are there"
