"""One sound file: open it, decode stretches of it at any rate, and say what is wrong with it."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from earmark.audio.containers import Content, describe_other, suffix_fits
from earmark.audio.halves import HalvesReader, in_halves
from earmark.audio.opening import check_disk, ffmpeg_reader, open_reader, open_regular
from earmark.audio.problems import Problem, explain, printable
from earmark.audio.readers import CHUNK, RATES, TOLERANCE, Chunk, QuietBytes, ReadError
from earmark.audio.resample import Converter, grid
from earmark.audio.results import AudioInfo, ChannelPower, Sound, Tally
from earmark.audio.sniff import sniff
from earmark.audio.verdict import Verdict
from earmark.errors import AudioError, InputError
from earmark.products import energy

Source = str | os.PathLike[str] | BinaryIO
"""A path, or a seekable binary file object, which is read from its beginning and left open."""

# Samples to make room for at first, whatever length a header claims; room that is not used costs nothing.
_RESERVE: Final = 1 << 24
# From 4 MiB on NumPy asks the kernel for huge pages: one page fault in place of 512, 3 % of the time of loading MP3.
_HUGE: Final = 1 << 20
# Frames read beyond the stretch at once, for what the resampler holds back.
_AHEAD: Final = 4096
# Headers of these state the bytes of the samples, so the seconds that are missing follow from the bytes.
_PCM: Final = frozenset({"wav", "w64", "aiff", "au", "caf", "voc"})


class Recording:
    """An open sound file, to look at and to decode stretches of.

    Parameters
    ----------
    source
        A path or a seekable binary file object.
    threads
        How many threads may decode; with 2, the halves of longer MP3s at a path are decoded side by side, which gives
        the same samples to the bit (see :mod:`earmark.audio.halves`). For one file at a time: where other processes
        keep the processors busy, it only costs.

    Raises
    ------
    AudioError
        If it is missing, unreadable (a folder, a FIFO, a device, no permission), empty, no sound, or beyond decoding.

    Attributes
    ----------
    info
        What the file says about itself.

    Notes
    -----
    An object belongs to one thread at a time; different objects may be used in different threads and processes.
    """

    def __init__(self, source: Source, *, threads: int = 1) -> None:
        if threads < 1:
            raise InputError(f"At least one thread must decode, not {threads}.")
        self._threads = threads
        self._closing = contextlib.ExitStack()
        try:
            self._open(source)
        except BaseException:
            self.close()
            raise

    def _open(self, source: Source) -> None:
        self.path: Path | None = None
        if isinstance(source, str | os.PathLike):
            self.path = Path(source)
            self.name = printable(self.path)
            file = self._closing.enter_context(open_regular(self.path, self.name))
            self._file = QuietBytes(file, file.fileno() if os.name == "posix" else None)
        else:
            self.name = "The given data"
            self._file = QuietBytes(source)
        try:
            size = self._file.size()
        except (OSError, ValueError, AttributeError) as error:
            raise AudioError(
                f"{self.name} cannot be read ({error}). A file object must be open, binary and seekable.",
                Problem.UNREADABLE,
            ) from error
        if not size:
            raise AudioError(f"{self.name} is empty (0 bytes). Copy it again from its source.", Problem.EMPTY)
        content = sniff(self._file, size)
        check_disk(self._file, self.name)
        if content is None:
            self._file.seek(0)
            looks = describe_other(self._file.read(4096))
            raise AudioError(
                f"{self.name} is not a sound file that Earmark knows: it looks like {looks}.", Problem.NOT_AUDIO
            )
        self._content: Content = content
        if content.offset:
            self._file.skip(content.offset)
        self._verdict = Verdict(self.name, content)
        self._power = ChannelPower()
        if self.path is not None and not suffix_fits(self.path.name, content.container):
            self._verdict.found.add(Problem.WRONG_SUFFIX)
        reader = open_reader(self._file, content, self.name)
        self._reader = reader if self.path is None or self._threads < 2 else in_halves(reader, self.path, content)
        self._closing.callback(self._reader.close)
        if content.whole is False and not (content.present and self._missing_by_bytes() <= TOLERANCE):
            self._verdict.found.add(Problem.TRUNCATED)
        self.info = AudioInfo(
            path=self.path,
            sample_rate=self._reader.rate,
            channels=self._reader.channels,
            seconds=self._declared(),
            container=content.container.name,
            codec=self._reader.codec,
            reader=self._reader.name,
        )

    def _declared(self) -> float | None:
        if self._content.seconds is not None:
            return self._content.seconds
        if self._reader.frames is None:
            return None
        seconds = self._reader.frames / self._reader.rate
        # Both readers take the length of cut PCM from what is there; the header knows what there was.
        if self._content.present and self._content.container.name in _PCM:
            seconds /= self._content.present
        return seconds

    def _missing_by_bytes(self) -> float:
        return (self._declared() or math.inf) * (1 - (self._content.present or 0))

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What was found so far that does not stop use; decoding to the end finds the rest."""
        return tuple(p for p in Problem if p in self._verdict.found)

    def sentences(self) -> tuple[str, ...]:
        """One sentence for each of :attr:`problems`."""
        suffix = self.path.suffix if self.path is not None else ""
        mismatch = f"The name ends in {suffix}, but the content is {self._content.container.title}."
        return tuple(mismatch if p is Problem.WRONG_SUFFIX else explain(p) for p in self.problems)

    def blocks(
        self,
        sample_rate: int | None = None,
        *,
        start: float = 0.0,
        seconds: float | None = None,
        block_seconds: float = 10.0,
        weigh: bool = True,
    ) -> Iterator[NDArray[np.float32]]:
        """Decode a stretch in blocks of one size (the last may be shorter).

        Parameters
        ----------
        sample_rate
            In Hz; None: that of the file.
        start
            Where to begin, in seconds.
        seconds
            How much to decode; None: to the end.
        block_seconds
            Length of a block; it bounds the memory, about 4 bytes per sample plus a few MB.
        weigh
            Whether :attr:`channel_gain` takes this stretch into account, which costs 2 to 3 % of the time.

        Yields
        ------
        NDArray[np.float32]
            (n,) float32 mono.

        Raises
        ------
        InputError
            If an argument makes no sense.
        AudioError
            If the disk fails while reading.
        """
        rate = self.info.sample_rate if sample_rate is None else sample_rate
        _validate(rate, start, seconds)
        if not 0 < block_seconds < math.inf:
            raise InputError(f"block_seconds must be a positive number, not {block_seconds}.")
        size = max(1, round(block_seconds * rate))
        block, filled = np.empty(size, np.float32), 0
        for piece in self.pieces(rate, start=start, seconds=seconds, weigh=weigh):
            while len(piece):
                taken = piece[: size - filled]
                block[filled : filled + len(taken)] = taken
                piece, filled = piece[len(taken) :], filled + len(taken)
                if filled == size:
                    yield block
                    block, filled = np.empty(size, np.float32), 0
        if filled:
            yield block[:filled].copy()

    def pieces(
        self,
        sample_rate: int,
        *,
        start: float = 0.0,
        seconds: float | None = None,
        tally: Tally | None = None,
        weigh: bool = True,
    ) -> Iterator[NDArray[np.float32]]:
        """Decode a stretch in pieces as they come, some seconds each; as :meth:`blocks` otherwise.

        A piece is to be used before the next one is taken: its memory is used again.

        Parameters
        ----------
        tally
            Is kept up to date with what has been decoded.
        """
        _validate(sample_rate, start, seconds)
        tally = Tally() if tally is None else tally
        native = self._reader.rate
        first = round(start * sample_rate)
        left = math.inf if seconds is None else round(seconds * sample_rate)
        begin, skip = grid(first, native, sample_rate)
        converter = Converter(sample_rate)
        # Neither what is read nor what comes of it is more than a chunk.
        most = max(1.0, CHUNK * min(1.0, native / sample_rate))
        self._seek(begin)
        halves = self._reader if isinstance(self._reader, HalvesReader) else None
        if halves is not None:
            halves.expect((left + skip) * native / sample_rate + _AHEAD, math.ceil(most), weigh)
        try:
            while left > 0:
                chunk = self._read(math.ceil(min(most, (left + skip) * native / sample_rate + _AHEAD)), weigh)
                if chunk is None:
                    tally.ended = True
                    piece = converter.finish()
                else:
                    tally.repaired += chunk.repaired
                    if weigh:
                        self._power.add(chunk.energy, energy(chunk.samples))
                    piece = converter.feed(chunk)
                if skip:
                    piece, skip = piece[skip:], max(0, skip - len(piece))
                if len(piece) > left:
                    piece = piece[: int(left)]
                if len(piece):
                    left -= len(piece)
                    tally.count(piece)
                    yield piece
                if chunk is None:
                    break
        finally:
            if halves is not None:
                halves.rest()
        self._verdict.conclude(tally, self._reader, self.info.seconds, whole=start == 0)

    @property
    def channel_gain(self) -> float:
        """Power of all channels over that of their mono mean in all blocks decoded so far, in dB, 0 to 20."""
        return self._power.gain

    def _seek(self, frame: int) -> None:
        try:
            self._reader.seek(frame)
        except ReadError:
            check_disk(self._file, self.name)
            self._give_up_on_soundfile(frame)

    def _read(self, frames: int, weigh: bool) -> Chunk | None:
        try:
            chunk = self._reader.read(frames, weigh)
        except ReadError:
            check_disk(self._file, self.name)
            if not self._give_up_on_soundfile(round(self._reader.position * self._reader.rate)):
                return None
            chunk = self._reader.read(frames, weigh)
        check_disk(self._file, self.name)
        return chunk

    def _give_up_on_soundfile(self, frame: int) -> bool:
        """Go on with FFmpeg where libsndfile stopped; False if that does not help."""
        if self._reader.name == "av":
            return False
        try:
            reader = ffmpeg_reader(self._file, self._content)
            self._closing.callback(reader.close)
            reader.seek(round(frame * reader.rate / self._reader.rate))
        except ReadError:
            return False
        self._reader = reader
        self._verdict.stumbled = True
        return True

    def load(self, sample_rate: int = 22050, *, start: float = 0.0, seconds: float | None = None) -> Sound:
        """Decode a stretch into memory.

        Parameters
        ----------
        sample_rate
            In Hz.
        start, seconds
            The stretch; by default everything.

        Returns
        -------
        Sound
            Its `problems` are those of :attr:`problems`, and SILENT for a silent stretch of a longer file.

        Raises
        ------
        InputError
            If an argument makes no sense.
        AudioError
            If there is no sound in the stretch, or the whole file is silent.
        """
        _validate(sample_rate, start, seconds)
        tally = Tally()
        expected = self.info.seconds or 0.0 if seconds is None else seconds
        room = min(_RESERVE, math.ceil((expected + 1) * sample_rate))
        samples = np.empty(_HUGE if _HUGE // 2 < room < _HUGE else room, np.float32)
        for piece in self.pieces(sample_rate, start=start, seconds=seconds, tally=tally, weigh=False):
            if tally.samples > len(samples):
                samples.resize(tally.samples * 3 // 2, refcheck=False)
            samples[tally.samples - len(piece) : tally.samples] = piece
        self.require(tally, start)
        problems = self._verdict.found | ({Problem.SILENT} if tally.silent else set())
        samples.resize(tally.samples, refcheck=False)
        return Sound(
            samples=samples,
            sample_rate=sample_rate,
            declared=self.info.seconds,
            decoded=len(samples) / sample_rate,
            problems=tuple(p for p in Problem if p in problems),
        )

    def require(self, tally: Tally, start: float = 0.0) -> None:
        """Raise AudioError if a pass over a stretch gave nothing to work with: no sample, or a silent whole file."""
        self._verdict.require(tally, self._reader, self.info.seconds, start)

    def require_end(self, start: float = 0.0, seconds: float | None = None) -> None:
        """Raise AudioError if a stretch that was decoded, or the file, ends long before it should.

        A twentieth may be missing. What does not tell its length (MP3 without a Xing or VBRI header, bare AAC) ends
        where it ends; an Ogg file that breaks off tells that much, but not how far from the end.

        Parameters
        ----------
        start, seconds
            The stretch; by default everything.
        """
        self._verdict.require_end(self._reader, self.info.seconds, start, seconds)

    def measure(self) -> float:
        """Seconds of sound: as declared, or else counted by reading the file through without decoding it."""
        return self._reader.measure() if self.info.seconds is None else self.info.seconds

    def close(self) -> None:
        """Close the file (a file object that was given stays open)."""
        self._closing.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _validate(sample_rate: int, start: float, seconds: float | None) -> None:
    if not 1 <= sample_rate <= RATES[1]:
        raise InputError(f"The sample rate must be between 1 and {RATES[1]} Hz, not {sample_rate}.")
    if not (0 <= start < math.inf and (seconds is None or 0 < seconds < math.inf)):
        raise InputError(f"A stretch of sound needs start >= 0 and seconds > 0, not {start} and {seconds}.")
