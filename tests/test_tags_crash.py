"""A kill at any line of the code loses nothing: each file is the old or the new one, and all can be finished."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tag_files import content, make

pytest.importorskip("mutagen")

from earmark.library import tags

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

ROCK = {"label": "rock", "confidence": 0.8, "probabilities": {"rock": 0.8, "pop": 0.2}}
FILES = ("none.mp3", "small.ogg", "bare.m4a")
CODE = str(Path(tags.__file__).parent)


def run_and_die(action: Callable[[], Any], line: int) -> int:
    """Run in a child process that is killed when it comes to its so-many-th line; lines it came to if it lived."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        reached = 0

        def trace(frame: Any, event: str, argument: Any) -> Any:
            nonlocal reached
            if not frame.f_code.co_filename.startswith(CODE):
                return None
            if event == "line":
                reached += 1
                if reached == line:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        try:
            sys.settrace(trace)
            action()
            sys.settrace(None)
            os.write(writer, str(reached).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return int(said) if said else 0


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def library(tmp_path: Path) -> tuple[list[Path], Path]:
    (tmp_path / "music").mkdir()
    return [make(name, tmp_path / "music") for name in FILES], tmp_path / "journal"


def steps(total: int, count: int) -> list[int]:
    return sorted({1 + total * i // count for i in range(count)} | {total - 8, total})


def test_killed_while_applying(library: tuple[list[Path], Path]) -> None:
    paths, journal = library
    plan = tags.plan([(path, ROCK) for path in paths])
    total = run_and_die(lambda: tags.apply(plan, journal=journal, jobs=1), -1)
    assert total > 2000
    new = {path: path.read_bytes() for path in paths}
    tags.undo(journal)
    old = {path: content(path.name) for path in paths}
    seen = set()
    for line in steps(total, 30):
        journal.unlink(missing_ok=True)
        lived = run_and_die(lambda: tags.apply(plan, journal=journal, jobs=1), line)
        assert not lived or line > 0.99 * total, "it was killed; the number of lines differs a little between runs"
        changed = [path for path in paths if path.read_bytes() == new[path]]
        assert all(path.read_bytes() == old[path] for path in paths if path not in changed)
        seen.add(len(changed))
        if line % 2:  # finish, then take it back
            report = tags.apply(plan, journal=journal)
            assert report.complete
            assert sorted(report.already) == sorted(map(str, changed))
            assert all(path.read_bytes() == new[path] for path in paths)
        if journal.exists() and journal.read_bytes().count(b"\n"):
            assert tags.undo(journal).complete
        assert all(path.read_bytes() == old[path] for path in paths)
        assert names(paths[0].parent) == sorted(FILES), "nothing is left behind"
    assert seen == {0, 1, 2, 3}, "kills came before, between and after the files"


def test_killed_while_undoing(library: tuple[list[Path], Path]) -> None:
    paths, journal = library
    plan = tags.plan([(path, ROCK) for path in paths])
    tags.apply(plan, journal=journal)
    written = journal.read_bytes()
    new = {path: path.read_bytes() for path in paths}
    total = run_and_die(lambda: tags.undo(journal, jobs=1), -1)
    assert total > 200
    seen = set()
    for line in steps(total, 25):
        journal.write_bytes(written)
        for path in paths:
            path.write_bytes(new[path])
        lived = run_and_die(lambda: tags.undo(journal, jobs=1), line)
        assert not lived or line > 0.99 * total
        restored = [path for path in paths if path.read_bytes() == content(path.name)]
        assert all(path.read_bytes() == new[path] for path in paths if path not in restored)
        seen.add(len(restored))
        report = tags.undo(journal)
        assert report.complete
        assert all(path.read_bytes() == content(path.name) for path in paths)
        assert names(paths[0].parent) == sorted(FILES)
    assert seen == {0, 1, 2, 3}


def test_killed_between_rename_and_note(library: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The one moment in which the journal does not know what happened."""
    paths, journal = library
    plan = tags.plan([(paths[0], ROCK)])
    from earmark.library.tags.journal import Journal

    child = os.fork()
    if not child:
        monkeypatch.setattr(Journal, "finish", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        try:
            tags.apply(plan, journal=journal)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert paths[0].read_bytes() != content(paths[0].name)
    assert b'"done"' not in journal.read_bytes()
    assert tags.apply(plan, journal=journal).already == [str(paths[0])]
    assert tags.undo(journal).done == [str(paths[0])]
    assert paths[0].read_bytes() == content(paths[0].name)


@pytest.mark.parametrize("moment", ["half written", "before the rename", "after the rename"])
def test_killed_while_several_are_written(
    moment: str, library: tuple[list[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths, journal = library
    from earmark.library.tags import rewrite
    from earmark.library.tags.journal import Journal

    plan = tags.plan([(path, ROCK) for path in paths])
    child = os.fork()
    if not child:
        together = threading.Barrier(2, lambda: os.kill(os.getpid(), signal.SIGKILL))
        compose = rewrite.compose

        def half(recipe: Any, source: Any, target: Any) -> str:
            compose(recipe[:1], source, target)
            target.flush()
            together.wait(60)
            raise AssertionError

        try:
            if moment == "half written":
                monkeypatch.setattr(rewrite, "compose", half)
            elif moment == "before the rename":
                monkeypatch.setattr(rewrite, "_replace", lambda *_: together.wait(60))
            else:
                monkeypatch.setattr(Journal, "finish", lambda *_: together.wait(60))
            tags.apply(plan, journal=journal, jobs=2)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    changed = [path for path in paths if path.read_bytes() != content(path.name)]
    assert changed == (paths[:2] if moment == "after the rename" else [])
    left = [name for name in names(paths[0].parent) if name not in FILES]
    assert len(left) == (0 if changed else 2)
    report = tags.apply(plan, journal=journal)
    assert report.complete
    assert report.already == list(map(str, changed))
    assert names(paths[0].parent) == sorted(FILES), "nothing is left behind"
    assert len(tags.undo(journal).done) == len(paths)
    assert all(path.read_bytes() == content(path.name) for path in paths)
