"""Where ``earmark tags plan`` takes genres from: the sound, a file of predictions, or the catalogue."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from earmark.errors import EarmarkError, InputError

if TYPE_CHECKING:
    from earmark.library.inputs import Input


@dataclass
class Sources:
    """Pairs of a path and what was heard, and how many there are."""

    pairs: Iterator[tuple[str, Any]]
    total: int


def from_file(path: Path, wanted: Sequence[str]) -> Sources:
    """Predictions from JSON lines; only of the wanted files and folders, if any are named."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"The predictions {path} cannot be read ({error.strerror}).") from error
    places = [os.path.realpath(place) for place in wanted]
    found: list[tuple[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            name = row["path"]
            real = os.path.realpath(name)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(
                f"Line {number} of {path} is no prediction; it should come from `earmark classify --format jsonl`."
            ) from error
        if places and not any(real == place or real.startswith(place.rstrip(os.sep) + os.sep) for place in places):
            continue
        if row.get("label"):
            found.append((name, row))
        else:
            found.append((name, InputError(_without_path(row.get("reason"), name))))
    return Sources(iter(found), len(found))


def from_catalogue(catalogue: Path | None, wanted: Sequence[str]) -> Sources:
    """What a scan heard; only below the wanted folders, if any are named."""
    from earmark.library.library import Library

    with Library(catalogue, create=False) as library:
        places: list[str | None] = [*wanted] or [None]
        # What a person said is certain, whatever was heard.
        found = {track.path: track.settled for place in places for track in library.tracks(under=place)}
    return Sources(iter(found.items()), len(found))


def from_sound(
    names: Sequence[str],
    needs_hearing: Callable[[str], bool],
    *,
    bundle: Path | None,
    windows: int,
    jobs: int | None,
    time_limit: float | None,
) -> Sources:
    """Files and folders, heard by worker processes, but only where ``needs_hearing`` says so."""
    from earmark.library.inputs import find_inputs

    found = list(find_inputs(names, stdin=cast(BinaryIO, sys.stdin.buffer)))
    return Sources(_heard(found, needs_hearing, bundle, windows, jobs, time_limit), len(found))


def _heard(
    found: Sequence[Input],
    needs_hearing: Callable[[str], bool],
    bundle: Path | None,
    windows: int,
    jobs: int | None,
    time_limit: float | None,
) -> Iterator[tuple[str, Any]]:
    from earmark.library.pool import Pool, default_jobs
    from earmark.library.worker import Task

    due: list[bool] = []
    with contextlib.ExitStack() as stack:
        pool: Pool | None = None
        for number, item in enumerate(found):
            due.append(item.problem is None and needs_hearing(item.path))
            if due[-1] and pool is None:
                # The workers load the model while the tags of the others are looked at.
                workers = min(jobs or default_jobs(), len(found) - number)
                pool = stack.enter_context(Pool(bundle, jobs=workers, time_limit=time_limit))
        # Tags get genres alone.
        tasks = (Task(item.path, windows, music=False) for item, is_due in zip(found, due, strict=True) if is_due)
        outcomes = iter(()) if pool is None else pool.run(tasks, ordered=True)
        for item, is_due in zip(found, due, strict=True):
            if not is_due:
                yield item.path, _unheard(item)
                continue
            outcome = next(outcomes)
            if outcome.row is None:
                yield item.path, InputError(_without_path(outcome.reason, item.path))
            else:
                yield item.path, outcome.row | {"bundle": pool.ready.bundle if pool and pool.ready else None}


def _unheard(item: Input) -> EarmarkError | Callable[[], Any]:
    if item.problem is not None:
        return InputError(_without_path(item.reason, item.path))

    def changed() -> Any:
        raise InputError("It was changed while the plan was made.")

    return changed


def _without_path(reason: str | None, path: str) -> str:
    """The sentence alone; the path stands before it in every list of failures."""
    from earmark.names import printable

    sentence = (reason or "It was not heard.").removeprefix(f"{printable(path)}: ")
    return sentence[:1].upper() + sentence[1:]
