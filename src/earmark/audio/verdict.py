"""What is wrong with a file, told from what was decoded of it against what it declares."""

from __future__ import annotations

import math
from typing import Final

from earmark.audio.containers import Content
from earmark.audio.ending import early_end
from earmark.audio.problems import Problem, explain
from earmark.audio.readers import TOLERANCE, Reader
from earmark.audio.results import Tally
from earmark.errors import AudioError

# Half of the shortest frame of the formats that libsndfile can stumble over, in seconds.
_FRAME: Final = 0.005


class Verdict:
    """The problems of one file, which grow with what is decoded of it.

    Parameters
    ----------
    name
        The file in sentences.
    content
        What kind of file it is, and whether its structure shows that the end is missing.

    Attributes
    ----------
    found
        What was found so far that does not stop use.
    stumbled
        Whether libsndfile gave up on the file and FFmpeg went on.
    """

    def __init__(self, name: str, content: Content) -> None:
        self.found: set[Problem] = set()
        self.stumbled = False
        self._name = name
        self._content = content
        self._ended: float | None = None

    def promised(self, reader: Reader, declared: float | None) -> float | None:
        """Seconds of sound that the file says it has; None: it does not say, or only the film does that it is in."""
        return declared if reader.promised or self._content.whole is False else None

    def conclude(self, tally: Tally, reader: Reader, declared: float | None, *, whole: bool) -> None:
        """Compare what was decoded of a stretch with what was declared, and remember what is wrong.

        Parameters
        ----------
        tally
            The sum over the stretch; is told whether it was the whole file, and whether that ended.
        reader
            Stands behind the stretch.
        declared
            Seconds of sound as in :class:`~earmark.audio.AudioInfo`.
        whole
            Whether the stretch began at the beginning.
        """
        promised = self.promised(reader, declared)
        if tally.repaired:
            self.found.add(Problem.NOT_FINITE)
        if reader.errors:
            self.found.add(Problem.DAMAGED)
        if tally.ended:
            self._ended = max(reader.reached, self._ended or 0.0)
            if reader.reached - reader.position > TOLERANCE:
                self.found.add(Problem.DAMAGED)
            if promised is not None and promised - reader.reached > TOLERANCE:
                self.found.add(Problem.DAMAGED if self._content.whole else Problem.TRUNCATED)
            elif promised is not None and self.stumbled and promised - reader.position > _FRAME:
                # libsndfile counts exactly; other data behind the last frame also stops it, but takes nothing away.
                self.found.add(Problem.DAMAGED)
        elif promised is not None and promised - reader.position <= TOLERANCE:
            tally.ended = True
        tally.whole = whole and tally.ended
        if tally.whole and tally.samples and tally.silent:
            self.found.add(Problem.SILENT)

    def require(self, tally: Tally, reader: Reader, declared: float | None, start: float) -> None:
        """Raise AudioError if a pass over a stretch gave nothing to work with: no sample, or a silent whole file."""
        if tally.samples:
            if tally.silent and tally.whole:
                problem = Problem.NOT_FINITE if tally.repaired else Problem.SILENT
                raise AudioError(f"{self._name} cannot be used. {explain(problem)}", problem)
            return
        promised = self.promised(reader, declared)
        if promised is not None and promised - start > TOLERANCE:
            problem = Problem.DAMAGED if self._content.whole else Problem.TRUNCATED
            what = f"nothing can be decoded at {start:g} s, though it promises {promised:.1f} s of sound"
        elif start:
            problem = Problem.TOO_SHORT
            what = f"it ends at {reader.reached:.1f} s, before the {start:g} s that were asked for"
        else:
            problem = Problem.EMPTY
            what = "it holds no sound"
        raise AudioError(f"{self._name} cannot be used: {what}.", problem)

    def require_end(self, reader: Reader, declared: float | None, start: float, seconds: float | None) -> None:
        """Raise AudioError if a stretch that was decoded, or the file, ends long before it should."""
        if self._ended is None:
            return
        wanted = math.inf if seconds is None else start + seconds
        wrong = early_end(self._content, self.promised(reader, declared), self._ended, start, wanted)
        if wrong is not None:
            raise AudioError(f"{self._name} {wrong[1]}. Get it again.", wrong[0])
