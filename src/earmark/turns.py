"""Threads that take turns: one runs at a time and passes on where it says so.

For trainings on a GPU: a small network keeps only a part of it busy, and several networks whose steps are issued in
turn, each on a stream of its own, run side by side. As only one thread is ever awake, nothing needs to be safe
against others, and the numbers are those of one training after the other.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_local = threading.local()


def pass_turn() -> None:
    """Let the other threads run before this one goes on; returns at once where nobody takes turns."""
    ring: _Ring | None = getattr(_local, "ring", None)
    if ring is not None:
        ring.pass_on()


def current_slot() -> int:
    """Which of the threads that take turns this is, from 0; 0 outside of them."""
    return int(getattr(_local, "slot", 0))


def in_turns(work: Callable[[T], R], tasks: Sequence[T], threads: int) -> Iterator[tuple[T, R]]:
    """Results of `work` on every task as they come, from up to `threads` threads that take turns.

    Parameters
    ----------
    work
        Calls :func:`pass_turn` now and then.

    Raises
    ------
    Exception
        What the first task that failed raised, once the others have stopped at their next turn.
    """
    ring = _Ring()
    left, done = deque(tasks), deque[tuple[T, R]]()
    failed: list[BaseException] = []

    def run(slot: int) -> None:
        _local.ring, _local.slot = ring, slot
        try:
            with ring:
                while left and not failed:
                    task = left.popleft()
                    done.append((task, work(task)))
                    ring.pass_on()
        except _StoppedError:
            pass
        except BaseException as error:
            failed.append(error)
            ring.stop()

    pool = [threading.Thread(target=run, args=(slot,), daemon=True) for slot in range(min(threads, len(tasks)))]
    for thread in pool:
        thread.start()
    try:
        while any(thread.is_alive() for thread in pool) or done:
            while done:
                yield done.popleft()
            for thread in pool:
                thread.join(0.01)
    finally:
        ring.stop()
        for thread in pool:
            thread.join()
    if failed:
        raise failed[0]


class _StoppedError(Exception):
    """Unwinds a thread whose work is no longer wanted."""


class _Ring:
    """Who is next, each asleep on a lock of its own; entering waits for the first turn, leaving hands the turn on."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        # The first one is awake.
        self._members: deque[threading.Semaphore] = deque()
        self._stopped = False

    def __enter__(self) -> None:
        me = threading.Semaphore(0)
        with self._guard:
            self._members.append(me)
            alone = len(self._members) == 1
        if not alone:
            me.acquire()
        if self._stopped:
            self.__exit__()
            raise _StoppedError

    def __exit__(self, *error: object) -> None:
        with self._guard:
            self._members.popleft()
            if self._members:
                self._members[0].release()

    def pass_on(self) -> None:
        with self._guard:
            me = self._members[0]
            self._members.rotate(-1)
            after = self._members[0]
        if after is not me:
            after.release()
            me.acquire()
        if self._stopped:
            raise _StoppedError

    def stop(self) -> None:
        self._stopped = True
