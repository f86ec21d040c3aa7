"""Sound in: any file to mono float32 blocks at a sample rate, and what is wrong with a file.

WAV, FLAC, Ogg (Vorbis, Opus), MP3, AIFF, AU, CAF and Wave64 are decoded by libsndfile (soundfile), all others (M4A
with AAC or ALAC, WMA, APE, WavPack, Musepack, True Audio, Matroska ...) and what libsndfile gives up on by FFmpeg
(PyAV). The content decides, not the name.

>>> from earmark.audio import load
>>> sound = load("song.mp3", 22050, start=30, seconds=30)  # doctest: +SKIP
>>> sound.samples.shape, sound.problems  # doctest: +SKIP
((661500,), ())
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.audio.containers import AUDIO_SUFFIXES
from earmark.audio.halves import default_threads
from earmark.audio.problems import Problem, explain, printable
from earmark.audio.recording import Recording, Source
from earmark.audio.results import AudioInfo, Check, Sound, Tally
from earmark.errors import AudioError, InputError

__all__ = [
    "AUDIO_SUFFIXES",
    "AudioInfo",
    "Check",
    "Problem",
    "Recording",
    "Sound",
    "Source",
    "blocks",
    "check",
    "explain",
    "find_audio",
    "load",
    "printable",
    "probe",
    "quiet_decoders",
]


def probe(source: Source) -> AudioInfo:
    """Open a file and say what it is, without decoding it.

    Raises
    ------
    AudioError
        If it cannot be opened as sound.
    """
    with Recording(source) as recording:
        return recording.info


def blocks(
    source: Source,
    sample_rate: int | None = None,
    *,
    start: float = 0.0,
    seconds: float | None = None,
    block_seconds: float = 10.0,
) -> Iterator[NDArray[np.float32]]:
    """Decode a file in blocks, in bounded memory; see :meth:`Recording.blocks`.

    The file is opened with the first block. Use a :class:`Recording` to see its `problems` afterwards.

    Raises
    ------
    AudioError
        If the file cannot be decoded.
    """
    with Recording(source) as recording:
        yield from recording.blocks(sample_rate, start=start, seconds=seconds, block_seconds=block_seconds)


def load(
    source: Source,
    sample_rate: int = 22050,
    *,
    start: float = 0.0,
    seconds: float | None = None,
    threads: int | None = None,
) -> Sound:
    """Decode a file, or a stretch of it, to mono float32; see :meth:`Recording.load`.

    Parameters
    ----------
    threads
        As for :class:`Recording`; None: two where this process may use two processors. Say 1 in programs that load
        files in several processes or threads at once. The samples are the same.

    Raises
    ------
    AudioError
        If it cannot be opened or decoded, there is no sound in the stretch, or the whole file is silent.
    """
    with Recording(source, threads=default_threads() if threads is None else threads) as recording:
        return recording.load(sample_rate, start=start, seconds=seconds)


def check(source: Source) -> Check:
    """Decode all of a file in blocks and report what is wrong with it; never raises AudioError."""
    path = Path(source) if isinstance(source, str | os.PathLike) else None
    info, tally = None, Tally(full=True)
    problems: tuple[Problem, ...] = ()
    sentences: tuple[str, ...] = ()
    usable = False
    try:
        with Recording(source) as recording:
            info = recording.info
            for _ in recording.pieces(info.sample_rate, tally=tally):
                pass
            problems, sentences = recording.problems, recording.sentences()
            recording.require(tally)
            usable = True
    except AudioError as error:
        problem = Problem(error.problem)
        sentences = (*(s for p, s in zip(problems, sentences, strict=True) if p is not problem), str(error))
        problems = (*(p for p in problems if p is not problem), problem)
    samples = max(1, tally.samples)
    return Check(
        path=path,
        info=info,
        usable=usable,
        seconds=tally.samples / info.sample_rate if info else 0.0,
        problems=problems,
        sentences=sentences,
        peak=max(0.0, tally.high, -tally.low),
        rms=float(np.sqrt(tally.energy / samples)),
    )


def find_audio(
    folder: str | os.PathLike[str], *, on_error: Callable[[OSError], None] | None = None
) -> Iterator[Path]:
    """Walk through a folder and all below it and give the files with a suffix of :data:`AUDIO_SUFFIXES`.

    Sorted by name within each folder; the suffix may be in any case. Links are followed, but no folder is entered
    twice, so loops end. Whatever bears such a name is given, be it broken; macOS's ``._`` companions are not.

    Parameters
    ----------
    on_error
        Is called for a folder below that cannot be read (it is left out).

    Raises
    ------
    InputError
        If `folder` is not a folder that can be read.
    """
    root = Path(folder)
    seen: set[tuple[int, int]] = set()
    waiting = [root]
    while waiting:
        path = waiting.pop()
        try:
            if path is root or path.is_dir():
                status = path.stat()
                entries = (
                    [] if (key := (status.st_dev, status.st_ino)) in seen else sorted(p.name for p in path.iterdir())
                )
                seen.add(key)
                waiting.extend(path / name for name in reversed(entries))
                continue
        except OSError as error:
            if path is root:
                reason = error.strerror or str(error)
                raise InputError(f"{printable(root)} is not a folder that can be read ({reason}).") from error
            if on_error is not None:
                on_error(error)
            continue
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith("._"):
            yield path


@contextlib.contextmanager
def quiet_decoders() -> Iterator[None]:
    """Keep what C libraries write to standard error from the terminal, for a whole process.

    The MP3 decoder inside libsndfile complains there about damaged files, past Python and with no switch. Its words
    are no use beside :attr:`Recording.problems`, and they tear progress bars. This points descriptor 2 at the null
    device and lets ``sys.stderr`` write to where it went before. It is for programs (worker processes, a command
    line); the library never does so by itself.
    """
    try:
        original = sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        original = 2
    if original != 2 or sys.stderr is None:
        yield
        return
    sys.stderr.flush()
    kept = os.dup(2)
    before = sys.stderr
    with (
        open(os.devnull, "wb") as null,
        os.fdopen(os.dup(kept), "w", buffering=1, errors="backslashreplace") as stderr,
    ):
        os.dup2(null.fileno(), 2)
        sys.stderr = stderr
        try:
            yield
        finally:
            sys.stderr = before
            os.dup2(kept, 2)
            os.close(kept)
