"""Workers for a server: tasks one by one, urgent ones first, with a bounded queue."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from pathlib import Path

from earmark.errors import StoreError
from earmark.library.pool import Worker, threads_beside
from earmark.library.worker import Outcome, Ready, Task

_RETRY_SECONDS = 1.0
_FIRST, _URGENT, _PATIENT = range(3)


@dataclass(order=True)
class _Entry:
    """A task in the queue; no task: the end."""

    rank: int
    number: int
    task: Task | None = field(default=None, compare=False)
    future: Future[Outcome] = field(default_factory=Future, compare=False)


class Hearing:
    """Several worker processes that stay. Use it as a context manager; leaving it ends them at once.

    Parameters
    ----------
    bundle
        Path of the bundle; None: the packaged one.
    jobs
        Number of worker processes.
    time_limit
        Seconds that one file may take.
    memory
        Bytes by which a worker may grow while it hears.

    Attributes
    ----------
    ready
        The bundle's id and genres; None until the first worker has loaded it.
    replaced
        How many workers had to be replaced.
    """

    def __init__(self, bundle: Path | None, *, jobs: int, time_limit: float, memory: int | None) -> None:
        self._bundle = None if bundle is None else str(bundle)
        self._time_limit = time_limit
        self._memory = memory
        self._queue: queue.PriorityQueue[_Entry] = queue.PriorityQueue()
        self._numbers = itertools.count()
        self._stop = threading.Event()
        self._gate = threading.Lock()
        self.jobs = jobs
        self.ready: Ready | None = None
        self.busy = 0
        self.replaced = 0
        self.done = 0
        self.spent = 0.0
        self._workers = [self._start() for _ in range(jobs)]
        self._threads = [
            threading.Thread(target=self._serve, args=(place,), daemon=True, name=f"hearing-{place}")
            for place in range(jobs)
        ]

    def __enter__(self) -> Hearing:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        with self._gate:
            workers = list(self._workers)
        for worker in workers:
            worker.kill()
        for _ in self._threads:
            self._queue.put(_Entry(_FIRST, next(self._numbers)))
        for thread in self._threads:
            thread.join(10)
        for worker in workers:
            worker.bury()
        for entry in self._drain():
            entry.future.cancel()

    def submit(self, task: Task, *, urgent: bool = True) -> Future[Outcome]:
        """Hear a file; urgent tasks come before all others. A waiting task can be taken back with ``cancel``."""
        future: Future[Outcome] = Future()
        self._queue.put(_Entry(_URGENT if urgent else _PATIENT, next(self._numbers), task, future))
        return future

    @property
    def waiting(self) -> int:
        """Tasks in the queue."""
        return self._queue.qsize()

    @property
    def seconds_per_task(self) -> float:
        """What a task took so far, on average."""
        return self.spent / self.done if self.done else 0.3

    def _start(self) -> Worker:
        return Worker(self._bundle, memory=self._memory)

    def _serve(self, place: int) -> None:
        """One thread's work: hear what comes, with a worker that is replaced whenever it is lost."""
        while not self._stop.is_set():
            worker = self._workers[place]
            try:
                worker.prepare()
                self.ready = worker.ready
            except StoreError as error:
                self._replace(place, error)
                continue
            entry = self._queue.get()
            if entry.task is None:
                return
            if not entry.future.set_running_or_notify_cancel():
                continue
            begun, before = time.monotonic(), worker.starts
            with self._gate:
                self.busy += 1
                # Whoever comes while this file is heard shares the processors with it for that little while.
                threads = threads_beside(self.busy + self.waiting)
            task = replace(entry.task, threads=threads)
            try:
                entry.future.set_result(worker.hear(task, None, self._time_limit, patient=False))
            except BaseException as error:
                entry.future.set_exception(error)
            with self._gate:
                self.busy -= 1
                self.done += 1
                self.spent += time.monotonic() - begun
                self.replaced += worker.starts - before

    def _replace(self, place: int, error: StoreError) -> None:
        """A worker that does not start: refuse what waits, as it would wait in vain, and try again a little later."""
        for entry in self._drain():
            if entry.future.set_running_or_notify_cancel():
                entry.future.set_exception(error)
        if self._stop.wait(_RETRY_SECONDS):
            return
        with self._gate:
            if not self._stop.is_set():
                self._workers[place].kill()
                self._workers[place].bury()
                self._workers[place] = self._start()
                self.replaced += 1

    def _drain(self) -> Iterator[_Entry]:
        """Take all tasks out of the queue."""
        while True:
            try:
                entry = self._queue.get_nowait()
            except queue.Empty:
                return
            if entry.task is not None:
                yield entry
