"""Work shared among processes: results in order, a crash costs one task, and nobody outlives the parent."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

# Starting processes takes longer than fewer tasks than this.
_WORTH_WORKERS = 8
# What a worker keeps open until it ends.
_open = contextlib.ExitStack()


def in_order(work: Callable[[T], R], tasks: Sequence[T], jobs: int, crashed: Callable[[T], R]) -> Iterator[R]:
    """Results of `work` on every task, in the order of the tasks, from up to `jobs` processes.

    Parameters
    ----------
    work
        A function of a module (it is sent to other processes by name) that catches what a bad task raises.
    tasks
        Each small enough to be sent.
    jobs
        1, or few tasks: all is done in this process.
    crashed
        Gives the result of a task that killed its process (a fault in a decoder's native code). The other tasks of
        that moment are done again.
    """
    if jobs <= 1 or len(tasks) < _WORTH_WORKERS:
        yield from map(work, tasks)
        return
    left = deque(tasks)
    while left:
        yield from _until_broken(work, left, jobs, crashed)


def _until_broken(work: Callable[[T], R], left: deque[T], jobs: int, crashed: Callable[[T], R]) -> Iterator[R]:
    """Results of the tasks that are left, which are taken away; at a broken pool, of those that it had begun."""
    waiting: deque[tuple[T, Future[R]]] = deque()
    with _pool(jobs) as pool, contextlib.suppress(BrokenProcessPool):
        while left or waiting:
            while left and len(waiting) < 4 * jobs:
                waiting.append((left[0], pool.submit(work, left[0])))
                left.popleft()
            result = waiting[0][1].result()
            waiting.popleft()
            yield result
    # Only alone can a task be blamed.
    alone: ProcessPoolExecutor | None = None
    with contextlib.ExitStack() as pools:
        for task, future in waiting:
            if future.done() and not future.cancelled() and future.exception() is None:
                yield future.result()
                continue
            if alone is None:
                alone = pools.enter_context(_pool(1))
            try:
                yield alone.submit(work, task).result()
            except BrokenProcessPool:
                alone = None
                yield crashed(task)


@contextlib.contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    # Spawned, not forked: the caller may have threads (torch, a server).
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin() -> None:
    """In a worker: leave Ctrl-C to the parent, end with it, and keep decoders from writing to the terminal."""
    from earmark.audio import quiet_decoders

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _open.enter_context(quiet_decoders())
    parent = multiprocessing.parent_process()
    if parent is not None:

        def follow() -> None:
            parent.join()
            os._exit(1)

        threading.Thread(target=follow, daemon=True).start()
