"""The process that hears: it decodes and classifies one file after the other, and may crash without doing harm.

Decoders are large C libraries that meet hostile files. They run here, started by :mod:`earmark.library.pool`, and
talk to it in pickled messages through standard input and output (between two processes of one program, never from a
file). One file is one exchange:

    pool      Task
    worker    Seen (content key and tags), if the task asks for it; the pool answers whether to hear the file
    worker    Outcome

The worker ends when its input does, so that it does not outlive a killed parent.
"""

from __future__ import annotations

import contextlib
import math
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from earmark.errors import AudioError, EarmarkError
from earmark.library.details import Details
from earmark.names import printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from earmark.library.overview import Overview
    from earmark.predict import Classifier

DEFAULT_WINDOWS = 3
"""How many windows of a track are heard unless somebody said otherwise."""


@dataclass(frozen=True, slots=True)
class Start:
    """The first message: which bundle to load (None: the packaged one), and the limit for :func:`limit_memory`."""

    bundle: str | None
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class Ready:
    """The answer to :class:`Start`: the bundle's id and genres, or the sentence why it cannot be used."""

    bundle: str = ""
    labels: tuple[str, ...] = ()
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """One file to hear.

    Parameters
    ----------
    path
        The file; odd bytes as :func:`os.fsdecode` writes them.
    windows
        How many windows, spread over the track; 0: all of it.
    look
        Whether to tell the content key and the tags, to ask before hearing, and to make a print.
    seconds
        The worker ends itself if so long passes without another window heard, in case nobody else can.
    stretch
        Start and length in seconds of what to hear; a length of None: to the end.
    longest
        Refuse to decode more seconds of sound than this; None: any number.
    picture
        Whether to draw the spectrogram of the stretch (:mod:`earmark.library.overview`).
    convert
        Write the file's sound there as WAV instead of hearing it (:mod:`earmark.library.convert`).
    threads
        How many threads may decode; more than one only where there are processors that no other worker uses.
    music
        Whether to measure tempo, key and loudness, too.
    """

    path: str
    windows: int = 3
    look: bool = False
    seconds: float = 600.0
    stretch: tuple[float, float | None] = (0.0, None)
    longest: float | None = None
    picture: bool = False
    convert: str | None = None
    threads: int = 1
    music: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """What a file is, before it is heard: its content key, its tags, and whether its suffix is another format's."""

    content: bytes
    details: Details
    misnamed: bool = False


@dataclass(frozen=True, slots=True)
class Alive:
    """A sign of life: another window was heard."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one task.

    Parameters
    ----------
    path
        That of the task.
    row
        :meth:`earmark.prediction.Prediction.to_dict`, with the timeline unless the task asks for a look; ``seconds``
        alone if it was converted; None if the file failed or was not heard.
    embedding, timbre
        float32, as bytes; the second only if the task asks for a look (see :mod:`earmark.library.timbre`).
    print
        :meth:`earmark.library.prints.Print.pack` of the middle window, if the task asks for a look.
    problem, reason
        Code and sentence if the file failed.
    seen
        What the file is, if the task asked and it could be read.
    picture
        If the task asked for it.
    """

    path: str
    row: dict[str, Any] | None = None
    embedding: bytes = b""
    timbre: bytes = b""
    print: bytes = b""
    problem: str | None = None
    reason: str | None = None
    seen: Seen | None = None
    picture: Overview | None = None


def failed(path: str, problem: str, reason: str, seen: Seen | None = None) -> Outcome:
    """The outcome of a file that cannot be heard; `reason` is a sentence without the path."""
    return Outcome(path, problem=problem, reason=f"{printable(path)}: {reason}", seen=seen)


def main() -> None:
    """Answer tasks until the input ends."""
    import pickle
    import signal

    # Ctrl-C reaches the whole group of processes; the parent decides what becomes of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    incoming, outgoing = _private_streams()

    def send(message: object) -> None:
        pickle.dump(message, outgoing, protocol=pickle.HIGHEST_PROTOCOL)
        outgoing.flush()

    with contextlib.suppress(EOFError, BrokenPipeError):
        start: Start = pickle.load(incoming)
        try:
            from earmark.predict import Classifier

            classifier = Classifier(start.bundle)
        except EarmarkError as error:
            send(Ready(refused=str(error)))
            return
        if start.memory is not None:
            limit_memory(start.memory)
        send(Ready(classifier.bundle.id, classifier.labels))
        while True:
            task: Task = pickle.load(incoming)
            with _deadline(task.seconds) as put_off:
                seen = look(task.path) if task.look else None
                if seen is not None:
                    send(seen)
                    if not pickle.load(incoming):
                        send(Outcome(task.path, seen=seen))
                        continue

                def alive() -> None:
                    put_off()
                    send(Alive())

                send(hear(classifier, task, seen, alive))


def look(path: str) -> Seen | None:
    """Content key and tags of a file; None if it cannot be read, for hearing to say why."""
    from earmark.audio.containers import suffix_fits
    from earmark.audio.sniff import sniff
    from earmark.library.content import content_key
    from earmark.library.details import read_details

    try:
        # Without O_NONBLOCK, opening a pipe would wait for its other end for ever.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            content = sniff(file, file.seek(0, os.SEEK_END))
            misnamed = content is not None and not suffix_fits(os.path.basename(path), content.container)  # noqa: PTH119
            return Seen(content_key(file), read_details(file, content), misnamed)
    except Exception:
        # Whatever a hostile file does to those who look at its tags; hearing it is tried all the same.
        return None


def hear(
    classifier: Classifier, task: Task, seen: Seen | None = None, alive: Callable[[], None] | None = None
) -> Outcome:
    """Classify one file; whatever is wrong with it ends in the outcome. `alive` is called for each window."""
    from earmark.library.convert import write_wav
    from earmark.library.overview import overview
    from earmark.library.prints import Print, make_print
    from earmark.library.timbre import Timbre

    front_end = classifier.bundle.front_end
    prints: list[Print] = []
    timbre = Timbre(front_end)

    def note(start: float, spectrogram: NDArray[np.uint8]) -> None:
        if alive is not None:
            alive()
        if task.look:
            prints.append(make_print(start, spectrogram, front_end))
            timbre.add(spectrogram)

    begin, length = task.stretch
    try:
        if task.convert is not None:
            return Outcome(task.path, {"seconds": write_wav(task.path, task.convert, longest=task.longest)})
        if task.longest is not None:
            length = _bounded(task, classifier.window_seconds)
        prediction = classifier.classify(
            task.path,
            windows=max(1, task.windows),
            full=task.windows == 0,
            start=begin,
            seconds=length,
            threads=task.threads,
            music=task.music,
            on_window=note,
        )
        picture = overview(task.path, start=begin, seconds=length) if task.picture else None
    except AudioError as error:
        return Outcome(task.path, problem=str(error.problem), reason=str(error), seen=seen)
    except OSError as error:
        return failed(task.path, "unreadable", f"it cannot be read ({error.strerror or error}).", seen)
    except MemoryError:
        return failed(task.path, "memory", "it claims more memory than there is.", seen)
    except Exception as error:
        # A decoder's surprise must cost one file, not the scan; the sentence says enough to report it.
        return failed(task.path, "error", f"it cannot be heard ({type(error).__name__}: {error}).", seen)
    lengths = {start: end - start for start, end in prediction.heard}
    last = max(end for _, end in prediction.heard) - classifier.window_seconds
    middle = min(prints, key=lambda p: abs(p.start - last / 2), default=None)
    return Outcome(
        task.path,
        prediction.to_dict(timeline=not task.look),
        prediction.embedding.tobytes(),
        timbre.mean().tobytes(),
        b"" if middle is None else middle.first(lengths[middle.start]).pack(),
        seen=seen,
        picture=picture,
    )


def windows_to_hear(windows: int | None, *, full: bool = False, timeline: bool = False) -> int:
    """The number for :class:`Task` from what people ask for: a timeline alone asks for all of the track."""
    return 0 if full or (timeline and windows is None) else windows or DEFAULT_WINDOWS


def limit_memory(growth: int) -> None:
    """Let this process grow by so many bytes from here on; beyond, memory errors are raised. Only where Linux is."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + growth
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
        # A crash is reported as such; a core file of a gigabyte would fill the disk.
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError):
        return


def _bounded(task: Task, window: float) -> float | None:
    """How much of a file to decode at most, from the task's start on; None: what it has.

    Raises
    ------
    AudioError
        If it is longer than the task allows.
    """
    from earmark.audio import Recording

    start, seconds = task.stretch
    longest = task.longest or math.inf
    spread = math.inf if task.windows == 0 or task.picture else task.windows * window
    if min(spread, math.inf if seconds is None else seconds) <= longest:
        return seconds
    with Recording(task.path) as recording:
        length = recording.measure() - start
    if length > longest + 1:
        raise AudioError(
            f"{printable(task.path)} has {length:.0f} s of sound to hear, and at most {longest:.0f} s are heard "
            "here. Ask for fewer windows, or for a stretch of it with start and seconds.",
            "too-long",
        )
    # A file may hold more than it says.
    return longest if seconds is None else min(seconds, longest)


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[Callable[[], None]]:
    """End this process after so many seconds, even while a decoder hangs in C; calling what it gives starts anew."""
    import faulthandler

    with open(os.devnull, "w") as nowhere:

        def start() -> None:
            faulthandler.dump_traceback_later(seconds, exit=True, file=nowhere)

        start()
        try:
            yield start
        finally:
            faulthandler.cancel_dump_traceback_later()


def _private_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep the pipes for messages, and give everyone else (C libraries that print) the null device."""
    incoming = os.fdopen(os.dup(0), "rb")
    outgoing = os.fdopen(os.dup(1), "wb")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    return incoming, outgoing
