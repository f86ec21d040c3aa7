"""Threads that take turns: one at a time, in turn, each task once, and an error stops them all."""

from __future__ import annotations

import threading
import time

import pytest

from earmark.turns import current_slot, in_turns, pass_turn


def test_one_thread_runs_at_a_time_and_all_get_their_turn() -> None:
    awake, most, order = 0, 0, []

    def work(task: int) -> int:
        nonlocal awake, most
        for step in range(20):
            awake += 1
            most = max(most, awake)
            order.append((task, step))
            time.sleep(0.001)
            awake -= 1
            pass_turn()
        return task * 10

    assert sorted(in_turns(work, range(6), 3)) == [(task, task * 10) for task in range(6)]
    assert most == 1
    assert sorted(order) == [(task, step) for task in range(6) for step in range(20)]
    # Side by side, not one task after the other: the third task begins before the first one ends.
    assert order.index((2, 0)) < order.index((0, 19))


def test_slots_number_the_threads() -> None:
    def work(task: int) -> int:
        pass_turn()
        return current_slot()

    assert {slot for _, slot in in_turns(work, range(9), 3)} <= {0, 1, 2}
    assert current_slot() == 0


def test_an_error_reaches_the_caller_and_ends_the_others() -> None:
    def work(task: int) -> None:
        for _ in range(10**9 if task else 3):
            pass_turn()
        raise ValueError("planted")

    before = threading.active_count()
    with pytest.raises(ValueError, match="planted"):
        list(in_turns(work, range(4), 4))
    assert threading.active_count() == before


def test_a_caller_that_leaves_ends_the_threads() -> None:
    def work(task: int) -> int:
        for _ in range(10**9 if task else 1):
            pass_turn()
        return task

    before = threading.active_count()
    results = in_turns(work, range(3), 3)
    assert next(results) == (0, 0)
    results.close()
    assert threading.active_count() == before


def test_outside_of_turns_passing_on_does_nothing() -> None:
    pass_turn()
