"""Two halves of an MP3 decoded side by side, with the samples that one thread gives, to the bit.

Half of the time of loading an MP3 is Huffman decoding that nobody can leave out, but soundfile lets other threads run
while libsndfile decodes. So a stretch is cut in two: one reader decodes the first half, and a second one, with a file
of its own, the second half at the same time. Its chunks are handed on behind those of the first, cut where one reader
alone would have cut them, so that nothing behind the readers can tell the difference.

A decoder set down in the middle of an MP3 is not at once where one is that came all the way: frames borrow bits from
frames before, overlap with the next one, and the order in which the last filter adds up its terms goes round every
few frames. So the second reader begins some frames early, and only takes over if

- the last frames before the cut are the same from both, to the bit, and not silent (silence agrees in any state),
- both have then read the file up to the same byte, and
- from before those frames to the end of the second half the file is a chain of frames of one kind, of which none
  takes bits that it does not own (:class:`~earmark.audio.mpeg.Chain`). A decoder that is the same at the cut gives
  the same from there on; only a damaged frame can make it use remains of what it read long before.

If any of that fails, or whatever else is odd, the second half is forgotten and the first reader goes on.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
from pathlib import Path
from typing import Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.audio.containers import Content
from earmark.audio.mpeg import Chain
from earmark.audio.opening import open_regular
from earmark.audio.readers import Chunk, QuietBytes, Reader, ReadError, SoundfileReader
from earmark.audio.sniff import trailing_tags
from earmark.processors import usable_processors

# A shorter stretch is not worth a thread.
_LEAST_SECONDS: Final = 8.0
# Cut in two at once at most: 13 chunks of at most 1 MiB wait in memory, decoded in less than a tenth of a second.
_MOST_CHUNKS: Final = 24
# The share of the first reader, whose thread also resamples.
_FIRST_SHARE: Final = 0.47
# Four frames of MPEG-1 or eight of MPEG-2, after which the order of the last filter's sums comes round.
_ROUND: Final = 4608
# How far before its half the second reader begins at least: until older bits are used up, and frames to compare.
_OVERLAP: Final = 6 * _ROUND
_COMPARED: Final = _ROUND
# So many of the compared samples must be other than zero.
_HEARD: Final = 1024


def default_threads() -> int:
    """How many threads one file is decoded in: two, if there are processors for them."""
    return min(2, usable_processors())


def in_halves(reader: Reader, path: Path, content: Content) -> Reader:
    """A reader that decodes in two threads where that can be done, or else the one that is given.

    Parameters
    ----------
    reader
        Of the file at `path`, at its beginning.
    content
        What the file was recognised as.
    """
    if not isinstance(reader, SoundfileReader) or reader.codec != "mp3" or reader.file.descriptor is None:
        return reader
    return HalvesReader(reader, path, content)


class _Plan(NamedTuple):
    """What will be read: chunks of `size` frames, weighed or not, up to a frame (None: the end of the file)."""

    size: int
    until: int | None
    weigh: bool


class _FailedError(Exception):
    """The second half cannot be used."""


class HalvesReader:
    """Reads an MP3 like the :class:`~earmark.audio.readers.SoundfileReader` that it is given, with two of them.

    Reading ahead begins once it is told what will be read (:meth:`expect`) and ends with :meth:`rest`.
    """

    name: Literal["soundfile", "av"] = "soundfile"

    def __init__(self, reader: SoundfileReader, path: Path, content: Content) -> None:
        self.rate, self.channels, self.codec = reader.rate, reader.channels, reader.codec
        self.frames, self.promised, self.errors = reader.frames, reader.promised, 0
        self._reader = reader
        self._other: SoundfileReader | None = None
        self._path, self._content = path, content
        self._closing = contextlib.ExitStack()
        self._closing.callback(reader.close)
        self._size = reader.file.length
        self._end = 0
        # Where the decoder last began with nothing.
        self._base = 0
        self._plan: _Plan | None = None
        self._half: _Half | None = None
        # What was handed on of the second half, in chunks and in frames.
        self._chunks = self._frames = 0
        self.taken = 0
        """Chunks that came from a second thread so far."""

    @property
    def position(self) -> float:
        return (self._reader.frame + self._frames) / self.rate

    @property
    def reached(self) -> float:
        return self.position

    def measure(self) -> float:
        return self._reader.measure()

    def seek(self, frame: int) -> None:
        self._settle()
        self._plan = None
        before = self._reader.frame
        self._reader.seek(frame)
        if self._reader.frame != before:
            self._base = self._reader.frame

    def expect(self, frames: float, most: int, weigh: bool) -> None:
        """Tell what will be read from here on.

        Parameters
        ----------
        frames
            How many at least, unless the file ends before; infinite: all.
        most
            How many at once, until fewer are left.
        weigh
            Whether the chunks will be weighed.
        """
        # A few less: the resampler may give a sample earlier than the ratio of the rates says.
        until = None if math.isinf(frames) else self._reader.frame + int(frames) - 16
        self._plan = _Plan(min(most, self._reader.most), until, weigh)

    def read(self, frames: int, weigh: bool = True) -> Chunk | None:
        frames = max(1, min(frames, self._reader.most))
        plan = self._plan
        if plan is None or (frames, weigh) != (plan.size, plan.weigh):
            self._settle()
            return self._reader.read(frames, weigh)
        if self._half is None:
            self._half = self._begin(plan)
        half = self._half
        if half is None:
            self._plan = None
            return self._reader.read(frames, weigh)
        try:
            if self._reader.frame < half.cut:
                return self._read_first(half, plan)
            chunk = half.take()
        except _FailedError:
            self._plan = None
            self._settle()
            return self._reader.read(frames, weigh)
        except BaseException:
            self._plan = None
            half.stop()
            raise
        if chunk is not None:
            self.taken += 1
            self._chunks += 1
            self._frames += len(chunk.samples)
        if chunk is None or self._chunks == half.count:
            self._change_over(half)
        return chunk

    def rest(self) -> None:
        """End reading ahead: what was expected has been read, or will not be."""
        self._plan = None
        if self._half is not None:
            self._half.stop()

    def close(self) -> None:
        self.rest()
        self._half = None
        self._closing.close()

    def _begin(self, plan: _Plan) -> _Half | None:
        """Start on the second half of what comes; None if it is not worth it."""
        first, end = self._reader.frame, self._reader.length
        to_end = plan.until is None or plan.until >= end + plan.size
        left = end - first if plan.until is None or to_end else min(end, plan.until) - first
        if left < _LEAST_SECONDS * self.rate:
            return None
        # As many chunks each time, so that no little rest remains.
        chunks = left / plan.size
        now = math.ceil(chunks / math.ceil(chunks / _MOST_CHUNKS))
        to_end = to_end and now >= chunks
        whole = now if to_end else min(now, int(chunks))
        mine = max(1, round(_FIRST_SHARE * min(whole, chunks)))
        if mine >= whole:
            return None
        cut = first + mine * plan.size
        start = cut - _OVERLAP - (cut - _OVERLAP - self._base) % _ROUND
        if start < first or plan.size < _COMPARED:
            return None
        half = _Half(self, start, cut, None if to_end else whole - mine, plan)
        try:
            half.thread.start()
        except RuntimeError:
            # There are too many threads already.
            return None
        return half

    def _read_first(self, half: _Half, plan: _Plan) -> Chunk | None:
        """Read on in the first half; behind its last chunk, find out whether the second half fits."""
        chunk = self._reader.read(plan.size, plan.weigh)
        odd = chunk is None or len(chunk.samples) < plan.size
        if chunk is not None and self._reader.frame == half.cut:
            odd = odd or not half.fits(chunk.samples, self._reader.file.place())
        if odd:
            self._plan = None
            self._settle()
        return chunk

    def second(self) -> tuple[SoundfileReader, int]:
        """The reader that is free, opened if need be, and where the frames in the file end; for the second thread.

        Raises
        ------
        AudioError, OSError, ReadError
            If the file cannot be opened again.
        """
        if self._other is None:
            with contextlib.ExitStack() as opened:
                raw = opened.enter_context(open_regular(self._path, self._path.name))
                descriptor = self._reader.file.descriptor
                if descriptor is None or not os.path.sameopenfile(raw.fileno(), descriptor):
                    raise ReadError("It is another file now.")
                file = QuietBytes(raw, raw.fileno())
                if file.size() != self._size:
                    raise ReadError("It has changed.")
                self._end = self._size - trailing_tags(raw, self._size)
                self._other = SoundfileReader(file, self._content)
                opened.callback(self._other.close)
                self._closing.push(opened.pop_all())
        return self._other, self._end

    def _change_over(self, half: _Half) -> None:
        """All of the second half was handed on: its reader stands where one alone would, and goes on."""
        half.thread.join()
        if self._other is not None:
            self._reader, self._other = self._other, self._reader
        self._half, self._chunks, self._frames = None, 0, 0

    def _settle(self) -> None:
        """Forget the second half; the first reader decodes again what was handed on of it."""
        half, self._half = self._half, None
        if half is None:
            return
        half.stop()
        chunks, self._chunks, self._frames = self._chunks, 0, 0
        for _ in range(chunks):
            self._reader.read(half.plan.size, False)


class _Half:
    """The second half: a thread that decodes it, and what it has decoded so far.

    Parameters
    ----------
    owner
        Has the reader to use.
    start
        The frame to begin at, some way before the cut.
    cut
        Where the half begins.
    count
        How many whole chunks it has; None: up to the end of the file.
    plan
        How to read.
    """

    def __init__(self, owner: HalvesReader, start: int, cut: int, count: int | None, plan: _Plan) -> None:
        self.cut, self.count, self.plan = cut, count, plan
        self._owner, self._start = owner, start
        self._stop = False
        self._changed = threading.Condition()
        self._tail: NDArray[np.float32] | None = None
        self._place = 0
        self._ready: list[Chunk | None] = []
        self._done = False
        self.thread = threading.Thread(target=self._run, name="earmark-second-half")

    def stop(self) -> None:
        """End the thread, at the latest when the chunk that it decodes is ready; in vain if it never started."""
        self._stop = True
        self.thread.join()

    def fits(self, chunk: NDArray[np.float32], place: int) -> bool:
        """Whether the second half goes on where the first one ends.

        Parameters
        ----------
        chunk
            The last samples of the first half.
        place
            Up to which byte of the file they were read.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._tail is not None or self._done)
        tail = self._tail
        if tail is None or self._place != place or np.count_nonzero(tail) < _HEARD:
            return False
        return chunk[-len(tail) :].tobytes() == tail.tobytes()

    def take(self) -> Chunk | None:
        """The next chunk, once it is there; None behind the last one of the file.

        Raises
        ------
        _FailedError
            If it will never be there.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._done)
            if not self._ready:
                raise _FailedError
            return self._ready.pop(0)

    def _run(self) -> None:
        try:
            self._decode()
        except Exception:
            # Whatever it is: the first reader meets it again, in its turn, or does not.
            pass
        finally:
            with self._changed:
                self._done = True
                self._changed.notify()

    def _decode(self) -> None:
        reader, end = self._owner.second()
        reader.seek(self._start)
        chain = Chain(reader.file.place())
        while reader.frame < self.cut - _COMPARED:
            if self._stop or reader.read(self.cut - _COMPARED - reader.frame, False) is None:
                return
        _follow(chain, reader.file, end)
        tail = reader.read(_COMPARED, False)
        if tail is None or reader.frame != self.cut or chain.broken or not chain.full:
            return
        with self._changed:
            self._place = reader.file.place()
            self._tail = tail.samples.copy()
            self._changed.notify()
        read = 0
        while not self._stop and read != self.count:
            chunk = reader.read(self.plan.size, self.plan.weigh)
            _follow(chain, reader.file, end)
            if chunk is None:
                # Anything but the end where it should be is for the first reader to find out about.
                good = self.count is None and reader.frame == reader.length
            else:
                good = not chunk.repaired and (self.count is None or len(chunk.samples) == self.plan.size)
                chunk = chunk._replace(samples=chunk.samples.copy())
            if chain.broken or not good:
                return
            read += 1
            with self._changed:
                self._ready.append(chunk)
                self._changed.notify()
            if chunk is None:
                return


def _follow(chain: Chain, file: QuietBytes, end: int) -> None:
    """Go on along the frames up to where the file was read, but not behind its last frame."""
    size = min(file.place(), end) - chain.place
    if size > 0 and file.descriptor is not None:
        chain.follow(os.pread(file.descriptor, size, chain.place))
