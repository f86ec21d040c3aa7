"""Worker processes that hear files side by side, and what happens when one of them hangs or dies.

Each worker process (:mod:`earmark.library.worker`) is looked after by one thread here. A file that takes too long or
takes its worker down costs that worker, which is replaced, and is reported with the reason.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, cast

from earmark.errors import StoreError
from earmark.library.worker import Alive, Outcome, Ready, Seen, Start, Task, failed
from earmark.processors import usable_processors

# A four-minute song takes a fifth of a second, an hour of sound a few. The limit is far above both and counts anew
# with every window that is heard, so that long sound on a slow machine or from a slow disk is not taken for a hang.
BASE_SECONDS = 60.0
SECONDS_PER_MB = 1.0
_STARTING_SECONDS = 120.0
_DYING_SECONDS = 2.0
# Finished before their turn: so many outcomes per worker may wait, then the workers do.
_AHEAD = 32

Wanted = Callable[[Task, Seen], bool]


default_jobs = usable_processors
"""How many workers there are where nobody says otherwise."""


def threads_beside(workers: int) -> int:
    """In how many threads each of so many busy workers may decode, so that no processor has more than one to run."""
    return 2 if default_jobs() >= 2 * workers else 1


def usual_limit(path: str) -> float:
    """Seconds that a file may take unless somebody said otherwise: a minute, and one for each megabyte."""
    try:
        size = Path(path).stat().st_size
    except (OSError, ValueError):
        size = 0
    return BASE_SECONDS + SECONDS_PER_MB * size / 1e6


class Pool:
    """Several workers for one bundle. Use it as a context manager; leaving it ends the workers at once.

    Parameters
    ----------
    bundle
        Path of the bundle; None: the packaged one.
    jobs
        Number of worker processes.
    time_limit
        Seconds that one file may take in all; None: a minute and a second per megabyte, without another window heard.

    Attributes
    ----------
    ready
        The bundle's id and genres; known once the first outcome is there.
    """

    def __init__(self, bundle: Path | str | None = None, *, jobs: int = 1, time_limit: float | None = None) -> None:
        self._bundle = None if bundle is None else str(bundle)
        self._time_limit = time_limit
        self._stop = threading.Event()
        self.ready: Ready | None = None
        # Started here, so that they load the model while the caller looks for files.
        self._workers = [Worker(self._bundle) for _ in range(max(1, jobs))]

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        self._stop.set()
        for worker in self._workers:
            worker.kill()
        for worker in self._workers:
            worker.bury()

    def run(self, tasks: Iterable[Task], *, wanted: Wanted | None = None, ordered: bool = False) -> Iterator[Outcome]:
        """Hear files.

        Parameters
        ----------
        tasks
            Taken one at a time, as workers become free.
        wanted
            Called, from several threads, for tasks with ``look`` once the file was looked at: whether to hear it.
        ordered
            Outcomes come in the order of the tasks; otherwise as they are finished.

        Raises
        ------
        StoreError
            If the bundle cannot be used or no worker can be started.
        """
        results: queue.Queue[tuple[int, Outcome | BaseException | None]] = queue.Queue()
        room = threading.Semaphore(_AHEAD * len(self._workers))
        source, gate = enumerate(tasks), threading.Lock()

        def serve(worker: Worker) -> None:
            try:
                while not self._stop.is_set():
                    room.acquire()
                    with gate:
                        number, task = next(source, (-1, None))
                    if task is None or self._stop.is_set():
                        break
                    outcome = worker.hear(task, wanted, self._limit(task), patient=self._time_limit is None)
                    self.ready = worker.ready or self.ready
                    results.put((number, outcome))
                results.put((-1, None))
            except BaseException as error:
                results.put((-1, error))

        threads = [threading.Thread(target=serve, args=(w,), daemon=True) for w in self._workers]
        for thread in threads:
            thread.start()
        waiting: dict[int, Outcome] = {}
        upcoming, serving = 0, len(threads)
        try:
            while serving:
                number, outcome = results.get()
                if isinstance(outcome, BaseException):
                    raise outcome
                if outcome is None:
                    serving -= 1
                    continue
                if not ordered:
                    room.release()
                    yield outcome
                    continue
                waiting[number] = outcome
                while upcoming in waiting:
                    room.release()
                    yield waiting.pop(upcoming)
                    upcoming += 1
        finally:
            if serving:
                self._stop.set()
                for worker in self._workers:
                    worker.kill()
                for _ in threads:
                    room.release()
            for thread in threads:
                thread.join()

    def _limit(self, task: Task) -> float:
        return self._time_limit if self._time_limit is not None else usual_limit(task.path)


_GONE = (EOFError, OSError, ValueError, pickle.UnpicklingError)


class Worker:
    """One worker process, replaced when it dies; for one thread, but for :meth:`kill`.

    Parameters
    ----------
    bundle
        Path of the bundle; None: the packaged one.
    memory
        By how many bytes the process may grow while it hears; None: without limit (see
        :func:`earmark.library.worker.limit_memory`).

    Attributes
    ----------
    ready
        The bundle's id and genres, once the process has loaded it.
    starts
        How often a process was started.
    """

    def __init__(self, bundle: str | None, *, memory: int | None = None) -> None:
        self._bundle = bundle
        self._memory = memory
        self.ready: Ready | None = None
        self.starts = 0
        self._gate = threading.Lock()
        self._dismissed = False
        self._process: subprocess.Popen[bytes] | None = None
        self._begin()

    def hear(self, task: Task, wanted: Wanted | None, limit: float, *, patient: bool) -> Outcome:
        """Exchange one task; whatever the file does to the process ends in the outcome.

        The limit in seconds is for all of it or, if `patient`, for the time without a sign of life.
        """
        self.prepare()
        late = threading.Event()
        try:
            with contextlib.ExitStack() as limited:
                limited.enter_context(self._time_limit(limit, late))
                self._send(replace(task, seconds=2 * limit))
                answer = self._receive()
                if isinstance(answer, Seen):
                    self._send(wanted is None or wanted(task, answer))
                    answer = self._receive()
                while isinstance(answer, Alive):
                    if patient:
                        limited.pop_all().close()
                        limited.enter_context(self._time_limit(limit, late))
                    answer = self._receive()
                return cast(Outcome, answer)
        except _GONE:
            code = self.bury()
            if self._dismissed:
                return failed(task.path, "stopped", "it was not heard to the end.")
            self._begin()
            if late.is_set():
                return failed(task.path, "too-slow", f"it was given up after {limit:.0f} seconds.")
            return failed(task.path, "crashed", f"decoding it crashed ({_ending(code)}).")

    def prepare(self) -> None:
        """Wait until the process has loaded its bundle.

        Raises
        ------
        StoreError
            If the bundle cannot be used or the process does not start.
        """
        if self.ready is not None and self._process is not None and self._process.poll() is not None:
            # It died between two files, for which the next one is not to blame.
            self.bury()
            self._begin()
        self._await_ready()

    def kill(self) -> None:
        """End the process for good; :meth:`bury` cleans up."""
        with self._gate:
            self._dismissed = True
            if self._process is not None:
                self._process.kill()

    def bury(self) -> int:
        """Wait for the dying process, close what was open, and give its exit code."""
        process = self._process
        if process is None:
            return 0
        try:
            # It may be dying by itself, and its own exit code says more than our signal.
            process.wait(0 if self._dismissed else _DYING_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
        code = process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(*_GONE):
                cast(IO[bytes], stream).close()
        return code

    def _begin(self) -> None:
        # One thread each: several workers share the processors better than the threads of one.
        environment = os.environ | dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        # Looking for plugins of pydantic takes a fiftieth of a worker's start, and there are none that concern us.
        environment["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
        # -P: nothing is imported from the folder that happens to be current.
        command = [sys.executable, "-P", "-c", "from earmark.library.worker import main; main()"]
        pipe = subprocess.PIPE
        with self._gate:
            if self._dismissed:
                return
            try:
                self._process = subprocess.Popen(
                    command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, env=environment
                )
            except OSError as error:
                raise StoreError(f"No process can be started to hear with ({error.strerror or error}).") from error
        self.ready = None
        self.starts += 1
        # If it died already, the first exchange finds out.
        with contextlib.suppress(*_GONE):
            self._send(Start(self._bundle, self._memory))

    def _await_ready(self) -> None:
        if self.ready is not None:
            return
        try:
            with self._time_limit(_STARTING_SECONDS, threading.Event()):
                ready = cast(Ready, self._receive())
        except _GONE as error:
            code = self.bury()
            if self._dismissed:
                return
            raise StoreError(
                f"The process that hears ended while it started ({_ending(code)}). "
                "Check the installation with: python -c 'import earmark.predict'"
            ) from error
        if ready.refused is not None:
            raise StoreError(ready.refused)
        self.ready = ready

    @contextlib.contextmanager
    def _time_limit(self, seconds: float, late: threading.Event) -> Iterator[None]:
        """Kill the process when the block takes longer, and say so in the event."""
        process = self._process

        def give_up() -> None:
            late.set()
            if process is not None:
                process.kill()

        timer = threading.Timer(seconds, give_up)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _send(self, message: object) -> None:
        stream = self._stream("stdin")
        pickle.dump(message, stream, protocol=pickle.HIGHEST_PROTOCOL)
        stream.flush()

    def _receive(self) -> Any:
        return pickle.load(self._stream("stdout"))

    def _stream(self, name: str) -> IO[bytes]:
        if self._process is None:
            raise EOFError
        return cast(IO[bytes], getattr(self._process, name))


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
