"""Plans: what is decided, what stands in the file, what happens to odd files; applying and undoing."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import threading
import time
import wave
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tag_files import content, make

pytest.importorskip("mutagen")

from earmark.errors import AudioError, InputError, MissingExtraError, StoreError
from earmark.library import tags
from earmark.library.tags import Options
from earmark.library.tags.edit import Editor
from earmark.library.tags.formats import open_editor
from earmark.library.vocabulary import BUILT_IN, Term, Vocabulary
from earmark.progress import Step

ROCK = {
    "label": "rock",
    "confidence": 0.8,
    "unsure": False,
    "probabilities": {"rock": 0.7, "blues": 0.25, "pop": 0.05},
}
UNSURE = ROCK | {"unsure": True}


@pytest.fixture(autouse=True)
def own_journals(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("journals")
    monkeypatch.setattr("earmark.library.tags.journal.folder", lambda: folder)
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def decided(now: Any = (), prediction: Any = ROCK, vocabulary: Vocabulary = BUILT_IN, **options: Any) -> Any:
    return tags.decide(now, prediction, Options(**options), vocabulary)


# Deciding


def test_keep_writes_only_where_there_is_nothing() -> None:
    assert decided() == (("Rock",), "rock 0.70")
    assert decided(("Jazz",)) == (("Jazz",), "has a genre")


def test_add_puts_the_new_genre_behind() -> None:
    assert decided(("Jazz",), mode="add")[0] == ("Jazz", "Rock")
    assert decided(("ROCK",), mode="add") == (("ROCK",), "has this genre (rock 0.70)")
    assert decided(("Jazz; Rock",), mode="add")[0] == ("Jazz; Rock",), "a list in one value is understood"
    assert decided(("Rock/Pop",), mode="add")[0] == ("Rock/Pop",)
    assert decided(("Rockabilly",), mode="add")[0] == ("Rockabilly", "Rock")


def test_replace_forgets_the_old_one() -> None:
    assert decided(("Jazz", "Pop"), mode="replace")[0] == ("Rock",)
    assert decided(("Rock",), mode="replace")[0] == ("Rock",)


def test_unsure_ones_are_never_written_unless_asked_for() -> None:
    for mode in ("keep", "add", "replace"):
        assert decided((), UNSURE, mode=mode) == ((), "unsure (rock 0.80)")
    assert decided((), UNSURE, unsure=True)[0] == ("Rock",)


def test_threshold_and_number_of_genres() -> None:
    assert decided(threshold=0.7)[0] == ("Rock",)
    assert decided(threshold=0.71) == ((), "below the threshold (rock 0.80)")
    assert decided(top_k=3)[0] == ("Rock", "Blues"), "a further genre needs 0.2"
    assert decided(top_k=3, threshold=0.01)[0] == ("Rock", "Blues", "Pop")
    assert decided(top_k=3, threshold=0.5)[0] == ("Rock",)


def test_vocabulary_in_decisions() -> None:
    words = Vocabulary(
        {"rock": Term("Rock & Roll", ("Rock'n'Roll", "R+R"), ("Popular",))}, frozenset(["Other", "blues"])
    )
    assert decided(vocabulary=words)[0] == ("Rock & Roll", "Popular")
    assert decided(("Other",), vocabulary=words)[0] == ("Rock & Roll", "Popular"), "an ignored genre counts as none"
    assert decided(("Other", "Jazz"), vocabulary=words)[0] == ("Other", "Jazz")
    assert decided(("Rock'n'Roll",), vocabulary=words, mode="add")[0] == ("Rock'n'Roll", "Popular")
    assert decided(("Rock", "popular"), vocabulary=words, mode="add")[0] == ("Rock", "popular")
    assert decided(("other", "Jazz"), vocabulary=words, mode="add")[0] == ("Jazz", "Rock & Roll", "Popular")
    assert decided((), ROCK | {"label": "blues", "probabilities": {"blues": 1.0}}, vocabulary=words) == (
        (),
        "ignored (blues 1.00)",
    )


def test_predictions_may_be_objects_and_may_lack_probabilities() -> None:
    thing = SimpleNamespace(label="jazz", confidence=0.6, unsure=False, probabilities={"jazz": 0.6, "pop": 0.4})
    assert decided((), thing)[0] == ("Jazz",)
    assert decided((), {"label": "hiphop", "confidence": 0.6})[0] == ("Hip-Hop",)
    with pytest.raises(InputError, match="needs a label"):
        decided((), {"confidence": 0.6})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mode": "overwrite"}, "keep, add or replace"),
        ({"threshold": 1.5}, "from 0 to 1"),
        ({"threshold": float("nan")}, "from 0 to 1"),
        ({"top_k": 0}, "from 1 on"),
        ({"id3": 2}, "2.3 or 2.4"),
        ({"separator": "\x00"}, "can be printed"),
        ({"separator": ""}, "can be printed"),
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        tags.plan([], **options)


# Planning


def test_plan_touches_nothing_and_says_what_was_there(tmp_path: Path) -> None:
    path = make("id3v24.mp3", tmp_path)
    facts = path.stat()
    entry = tags.plan([(path, ROCK)], mode="add").entries[0]
    assert path.stat().st_mtime_ns == facts.st_mtime_ns
    assert path.read_bytes() == content("id3v24.mp3")
    assert (entry.action, entry.now, entry.after) == ("write", ("Pop",), ("Pop", "Rock"))
    assert (entry.size, entry.mtime_ns, len(entry.mark)) == (facts.st_size, facts.st_mtime_ns, 64)
    assert entry.format == "MP3, ID3v2.4"


def test_files_are_heard_only_where_it_matters(tmp_path: Path) -> None:
    heard = []

    def hear(name: str) -> Any:
        return lambda: heard.append(name) or ROCK

    files = [(make(name, tmp_path), hear(name)) for name in ("id3v24.mp3", "none.mp3", "tagged.wav")]
    (tmp_path / "text.mp3").write_text("hello")
    files.append((tmp_path / "text.mp3", hear("text")))
    plan = tags.plan(files)
    assert heard == ["none.mp3"]
    assert [e.action for e in plan.entries] == ["leave", "write", "leave", "fail"]
    tags.plan(files, mode="add")
    assert heard == ["none.mp3", "id3v24.mp3", "none.mp3", "tagged.wav"]


def test_one_bad_file_costs_one_file(tmp_path: Path) -> None:
    good = make("none.mp3", tmp_path)
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "folder.mp3").mkdir()
    os.mkfifo(tmp_path / "pipe.mp3")
    (tmp_path / "loop.mp3").symlink_to(tmp_path / "loop.mp3")

    def silent() -> Any:
        raise AudioError("a.flac is silent.", "silent")

    flac = make("bare.flac", tmp_path)
    steps: list[Step] = []
    names = ["empty.mp3", "folder.mp3", "pipe.mp3", "loop.mp3", "missing.mp3"]
    sources: list[Any] = [(tmp_path / name, ROCK) for name in names]
    sources += [(flac, silent), (tmp_path / "x.mp3", InputError("It was not classified.")), (good, ROCK)]
    plan = tags.plan(sources, progress=steps.append, total=len(sources))
    assert [e.action for e in plan.entries] == ["fail"] * 7 + ["write"]
    reasons = [e.why for e in plan.entries]
    assert "none of MP3" in reasons[0]
    assert reasons[1] == reasons[2] == "It is not a file."
    assert "Too many levels" in reasons[3]
    assert "No such file" in reasons[4]
    assert reasons[5:7] == ["a.flac is silent.", "It was not classified."]
    assert (steps[-1].done, steps[-1].total) == (8, 8)


def test_a_file_that_is_named_twice_is_planned_once(tmp_path: Path) -> None:
    path = make("none.mp3", tmp_path)
    link = tmp_path / "link.mp3"
    link.symlink_to(path)
    plan = tags.plan([(path, ROCK), (link, ROCK), (str(path), ROCK)])
    assert [e.action for e in plan.entries] == ["write", "leave", "leave"]
    assert plan.entries[1].why == f"the same file as {path}"


def test_plan_file_is_readable_and_reads_back(tmp_path: Path) -> None:
    plan = tags.plan(
        [(make("id3v23.mp3", tmp_path), ROCK), (make("none.mp3", tmp_path), UNSURE)], mode="add", fields=True
    )
    plan.save(tmp_path / "plan.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "plan.jsonl").read_text().splitlines()]
    assert lines[0]["options"]["mode"] == "add"
    assert lines[1]["genre"] == ["Pop"]
    assert lines[1]["genre_after"] == ["Pop/Rock"]
    assert lines[1]["fields"] == {"EARMARK_PROBABILITIES": "rock 0.70, blues 0.25, pop 0.05"}
    assert (lines[2]["action"], lines[2]["why"]) == ("leave", "unsure (rock 0.80)")
    again = tags.Plan.load(tmp_path / "plan.jsonl")
    assert again == plan
    assert again.id == plan.id


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    name = os.fsencode(tmp_path) + b"/br\xf6ken\n\xe9.mp3"
    path = Path(os.fsdecode(name))
    path.write_bytes(content("none.mp3"))
    tags.plan([(path, ROCK)]).save(tmp_path / "plan")
    report = tags.apply(tags.Plan.load(tmp_path / "plan"))
    assert report.done == [str(path)]
    assert tags.undo().done == [str(path)]
    assert path.read_bytes() == content("none.mp3")


HEADER = '{"earmark_tag_plan": 2, "options": {}}\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not a plan"),
        ("{}\n", "is not a plan"),
        ("[1]\n", "is not a plan"),
        ("not json\n", "Line 1"),
        ('{"earmark_tag_plan": 99, "earmark": "9.9"}\n', "another version"),
        ('{"earmark_tag_plan": 2, "options": {"mode": "eat"}}\n', "wrong option"),
        ('{"earmark_tag_plan": 2, "options": {"colour": 1}}\n', "Line 1"),
        (HEADER + '{"path": 3, "action": "write"}\n', "Line 2"),
        (HEADER + '{"path": "a", "action": "erase"}\n', "Line 2"),
        (HEADER + '\n{"path": "a", "action": "write"}\n', "Line 3"),
        (
            '{"earmark_tag_plan": 2, "options": {}}\n{"path": "a", "action": "leave", "genre_after": "Pop"}\n',
            "Line 2",
        ),
        (
            '{"earmark_tag_plan": 2, "options": {}}\n{"path": "a", "action": "leave", "genre_after": [" "]}\n',
            "Line 2",
        ),
        (
            '{"earmark_tag_plan": 2, "options": {}}\n{"path": "a", "action": "leave", "fields": {"TITLE": ""}}\n',
            "Line 2",
        ),
    ],
)
def test_damaged_plans_are_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "plan").write_text(text)
    with pytest.raises(StoreError, match=said):
        tags.Plan.load(tmp_path / "plan")


def test_a_missing_plan_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        tags.Plan.load(tmp_path / "plan")


def test_a_plan_may_be_edited_by_hand(tmp_path: Path) -> None:
    paths = [make(name, tmp_path) for name in ("none.mp3", "id3v23.mp3", "bare.flac")]
    tags.plan([(path, ROCK) for path in paths], mode="replace").save(tmp_path / "plan")
    lines = (tmp_path / "plan").read_text().splitlines()
    lines[2] = lines[2].replace('"genre_after": ["Rock"]', '"genre_after": ["Krautrock", "Dub"]')
    (tmp_path / "plan").write_text("\n".join(lines[:3]) + "\n\n")
    report = tags.apply(tags.Plan.load(tmp_path / "plan"))
    assert report.done == [str(path) for path in paths[:2]]
    assert tags.plan([(paths[1], ROCK)]).entries[0].now == ("Krautrock/Dub",)
    assert paths[2].read_bytes() == content("bare.flac")


# Applying and undoing


def test_undo_gives_bytes_and_times_back(tmp_path: Path) -> None:
    paths = [make(name, tmp_path) for name in ("id3v24.mp3", "tight.flac", "pages.ogg", "front.m4a", "tagged.wv")]
    for path in paths:
        os.utime(path, ns=(10**18, 10**18 + 123_456_700))
    report = tags.apply(tags.plan([(path, ROCK) for path in paths], mode="replace"))
    assert report.complete
    assert len(report.done) == 5
    assert all(path.stat().st_mtime_ns > 10**18 + 10**9 for path in paths), "players see the change"
    back = tags.undo()
    assert sorted(back.done) == sorted(map(str, paths))
    for path in paths:
        assert path.read_bytes() == content(path.name)
        assert path.stat().st_mtime_ns == 10**18 + 123_456_700
    with pytest.raises(InputError, match="nothing to undo"):
        tags.undo()
    assert tags.undo(report.journal).done == []


def test_apply_undo_apply_undo(tmp_path: Path) -> None:
    path = make("padded.flac", tmp_path)
    plan = tags.plan([(path, ROCK)], mode="replace")
    for _ in range(3):
        assert tags.apply(plan).done == [str(path)]
        assert tags.apply(plan).already == [str(path)]
        assert tags.undo().done == [str(path)]
        assert path.read_bytes() == content("padded.flac")


def test_two_plans_are_undone_one_after_the_other(tmp_path: Path) -> None:
    path = make("none.mp3", tmp_path)
    first = tags.apply(tags.plan([(path, ROCK)]), journal=tmp_path / "first")
    second = tags.apply(
        tags.plan([(path, ROCK)], mode="add", top_k=2),
        journal=tmp_path / "second",
    )
    assert second.done
    early = tags.undo(first.journal)
    assert early.skipped == [(str(path), "it was changed after its tags were written")]
    assert tags.undo(second.journal).done
    assert tags.undo(first.journal).done
    assert path.read_bytes() == content("none.mp3")


def test_permissions_attributes_and_time_are_kept(tmp_path: Path) -> None:
    path = make("padded.flac", tmp_path)
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18))
    try:
        os.setxattr(path, "user.comment", b"mine")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    tags.apply(tags.plan([(path, ROCK)], mode="replace"), keep_mtime=True)
    facts = path.stat()
    assert stat.S_IMODE(facts.st_mode) == 0o640
    assert facts.st_mtime_ns == 10**18
    assert os.getxattr(path, "user.comment") == b"mine"
    tags.undo()
    assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_mtime_ns) == (0o640, 10**18)
    assert os.getxattr(path, "user.comment") == b"mine"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_is_kept(tmp_path: Path) -> None:
    path = make("none.mp3", tmp_path)
    os.chown(path, 1234, 2345)
    assert tags.apply(tags.plan([(path, ROCK)])).done
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    path = make("none.mp3", tmp_path / "real")
    link = tmp_path / "link.mp3"
    link.symlink_to(Path("real") / "none.mp3")
    report = tags.apply(tags.plan([(link, ROCK)]))
    assert report.done == [str(link)]
    assert link.is_symlink()
    assert tags.plan([(path, ROCK)]).entries[0].now == ("Rock",)
    assert names(tmp_path / "real") == ["none.mp3"]
    tags.undo()
    assert path.read_bytes() == content("none.mp3")


def test_hard_links_fail_unless_they_may_be_split(tmp_path: Path) -> None:
    path = make("none.mp3", tmp_path)
    other = tmp_path / "other.mp3"
    other.hardlink_to(path)
    plan = tags.plan([(path, ROCK)])
    report = tags.apply(plan)
    assert report.done == []
    assert "2 names (hard links)" in report.failed[0][1]
    assert path.samefile(other)
    assert tags.apply(plan, split_hard_links=True).done == [str(path)]
    assert other.read_bytes() == content("none.mp3")
    assert path.read_bytes() != content("none.mp3")
    tags.undo()
    assert path.read_bytes() == content("none.mp3")


def test_read_only_files_and_folders_fail(tmp_path: Path) -> None:
    path = make("none.mp3", tmp_path)
    path.chmod(0o444)
    good = make("bare.flac", tmp_path)
    report = tags.apply(tags.plan([(path, ROCK), (good, ROCK)]))
    assert report.failed == [(str(path), "It is read-only.")]
    assert report.done == [str(good)]
    assert path.read_bytes() == content("none.mp3")


def test_a_file_that_changed_since_the_plan_is_skipped(tmp_path: Path) -> None:
    path, touched, gone = (make(name, tmp_path) for name in ("none.mp3", "bare.flac", "bare.wav"))
    plan = tags.plan([(path, ROCK), (touched, ROCK), (gone, ROCK)])
    path.write_bytes(path.read_bytes() + b"\x00")
    touched.touch()
    gone.unlink()
    report = tags.apply(plan)
    assert report.skipped == [(str(path), "it was changed after the plan was made")]
    assert report.failed == [(str(gone), "It cannot be opened (No such file or directory).")]
    assert report.done == [str(touched)], "a new time with the same bytes is no change"


def test_a_file_that_changed_since_it_was_written_is_not_undone(tmp_path: Path) -> None:
    path = make("none.mp3", tmp_path)
    tags.apply(tags.plan([(path, ROCK)]))
    changed = path.read_bytes() + b"\x00"
    path.write_bytes(changed)
    report = tags.undo()
    assert report.skipped == [(str(path), "it was changed after its tags were written")]
    assert path.read_bytes() == changed


def test_a_change_at_the_same_moment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program saves the file while the new one is being made."""
    path = make("none.mp3", tmp_path)
    plan = tags.plan([(path, ROCK)])
    from earmark.library.tags import rewrite

    compare = rewrite.check.compare

    def meddle(*arguments: Any) -> None:
        compare(*arguments)
        path.write_bytes(b"somebody else's")

    monkeypatch.setattr(rewrite.check, "compare", meddle)
    report = tags.apply(plan)
    assert report.skipped == [(str(path), "it was changed by another program at the same moment")]
    assert path.read_bytes() == b"somebody else's"
    assert names(tmp_path) == ["none.mp3"]


@pytest.mark.parametrize("lie", ["genre", "other", "sound"])
def test_a_failed_check_leaves_the_file(lie: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If mutagen reads something else than was meant, the new file is thrown away."""
    path = make("id3v24.mp3", tmp_path)
    plan = tags.plan([(path, ROCK)], mode="replace")
    from dataclasses import replace

    from earmark.library.tags import check

    honest = check.opinion

    def lying(handle: Any, kind: str) -> check.Opinion:
        said = honest(handle, kind)
        if "Rock" not in said.genres:
            return said
        changes = {"genre": {"genres": ("Polka",)}, "other": {"others": {}}, "sound": {"facts": (1.0, 44100, 2)}}
        return replace(said, **changes[lie])

    monkeypatch.setattr(check, "opinion", lying)
    report = tags.apply(plan)
    assert "The check after writing failed" in report.failed[0][1]
    assert path.read_bytes() == content("id3v24.mp3")
    assert names(tmp_path) == ["id3v24.mp3"]


def test_full_disk_stops_with_everything_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = make("none.mp3", tmp_path), make("bare.flac", tmp_path)
    plan = tags.plan([(first, ROCK), (second, ROCK)])
    from earmark.library.tags import rewrite

    compose = rewrite.compose

    def full(recipe: Any, source: Any, target: Any) -> str:
        if target is not None and source.name.endswith(".flac"):
            target.write(b"half a fi")
            raise OSError(28, "No space left on device")
        return compose(recipe, source, target)

    with monkeypatch.context() as patch, pytest.raises(InputError, match="disk is full"):
        patch.setattr(rewrite, "compose", full)
        tags.apply(plan)
    assert names(tmp_path) == ["bare.flac", "none.mp3"]
    assert second.read_bytes() == content("bare.flac")
    report = tags.apply(plan)
    assert (report.already, report.done) == ([str(first)], [str(second)])


def test_stopping_begins_nothing_more(tmp_path: Path) -> None:
    places = [tmp_path / str(number) for number in range(30)]
    for place in places:
        place.mkdir()
    paths = [make("none.mp3", place) for place in places]
    plan = tags.plan([(path, ROCK) for path in paths])

    def stop(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tags.apply(plan, jobs=4, progress=stop)
    written = [path for path in paths if path.read_bytes() != content("none.mp3")]
    assert 1 <= len(written) <= 9, "no more than were waiting for their turn"
    time.sleep(0.2)
    assert written == [path for path in paths if path.read_bytes() != content("none.mp3")]
    report = tags.apply(plan)
    assert (len(report.already), len(report.done)) == (len(written), len(paths) - len(written))


def test_a_file_that_a_plan_names_twice_is_written_once(tmp_path: Path) -> None:
    path = make("none.mp3", tmp_path)
    plan = tags.plan([(path, ROCK)])
    twice = replace(plan, entries=plan.entries * 2)
    report = tags.apply(twice, journal=tmp_path / "journal")
    assert (report.done, report.already, report.complete) == ([str(path)], [str(path)], True)
    assert tags.undo(tmp_path / "journal").done == [str(path)]
    assert path.read_bytes() == content("none.mp3")


def test_results_come_in_the_order_of_the_plan_whatever_fails(tmp_path: Path) -> None:
    kinds = ["none.mp3", "bare.flac", "small.ogg", "bare.m4a", "id3v24.mp3", "tagged.wav"]
    paths = [make(kind, tmp_path) for kind in kinds]
    plan = tags.plan([(path, ROCK) for path in paths], mode="replace")
    assert [entry.path for entry in plan.to_write] == list(map(str, paths))
    paths[2].write_bytes(paths[2].read_bytes() + b"more")
    paths[3].unlink()
    report = tags.apply(plan, journal=tmp_path / "journal", jobs=4)
    rest = [str(path) for path in (*paths[:2], *paths[4:])]
    assert report.done == rest
    assert [path for path, _ in report.skipped] == [str(paths[2])]
    assert [path for path, _ in report.failed] == [str(paths[3])]
    paths[0].write_bytes(b"another one")
    report = tags.undo(tmp_path / "journal", jobs=4)
    assert sorted(report.done) == sorted(rest[1:])
    assert [path for path, _ in report.skipped] == [str(paths[0])]
    assert all(path.read_bytes() == content(path.name) for path in (paths[1], *paths[4:]))


def test_a_disk_that_fails_while_planning_costs_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [make(name, tmp_path) for name in ("none.mp3", "bare.flac", "small.ogg")]
    mark = Editor.mark

    def failing(self: Editor) -> str:
        if self.handle.name == str(paths[1]):
            raise OSError(5, "Input/output error")
        return mark(self)

    monkeypatch.setattr(Editor, "mark", failing)
    plan = tags.plan([(path, ROCK) for path in paths])
    assert [entry.action for entry in plan.entries] == ["write", "fail", "write"]
    assert "Input/output error" in plan.entries[1].why
    assert tags.apply(plan, journal=tmp_path / "journal").done == [str(paths[0]), str(paths[2])]


def test_planning_does_not_read_the_sound_and_undoing_does(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(bytes(8_000_000))

    class Counted(io.BytesIO):
        taken = 0

        def read(self, size: int | None = -1, /) -> bytes:
            found = super().read(size)
            self.taken += len(found)
            return found

    data = path.read_bytes()
    handle = Counted(data)
    assert len(open_editor(handle).mark()) == 64
    assert handle.taken < 150_000
    plan = tags.plan([(path, ROCK)])
    with path.open("r+b") as file:
        file.seek(44)
        file.write(b"\x01")
    assert len(tags.apply(plan, journal=tmp_path / "journal").skipped) == 1
    path.write_bytes(data)
    assert len(tags.apply(plan, journal=tmp_path / "journal").done) == 1
    with path.open("r+b") as file:
        file.seek(4_000_000)
        file.write(b"\x01")
    changed = path.read_bytes()
    assert "its sound was changed" in tags.undo(tmp_path / "journal").skipped[0][1]
    assert path.read_bytes() == changed
    with path.open("r+b") as file:
        file.seek(4_000_000)
        file.write(b"\x00")
    assert len(tags.undo(tmp_path / "journal").done) == 1
    assert path.read_bytes() == data


def test_a_really_full_disk(tmp_path: Path) -> None:
    """On a real, tiny file system, where the machine allows to make one."""
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=120k", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    try:
        path = make("bare.flac", place)
        with pytest.raises(InputError, match="disk is full"):
            tags.apply(tags.plan([(path, ROCK)]))
        assert names(place) == ["bare.flac"]
        assert path.read_bytes() == content("bare.flac")
    finally:
        subprocess.run(["umount", place], check=True)


# Journals


def test_journal_belongs_to_one_plan_and_one_process(tmp_path: Path) -> None:
    path = make("none.mp3", tmp_path)
    plan = tags.plan([(path, ROCK)])
    report = tags.apply(plan, journal=tmp_path / "journal")
    other = tags.plan([(make("bare.flac", tmp_path), ROCK)])
    with pytest.raises(StoreError, match="another plan"):
        tags.apply(other, journal=report.journal)
    from earmark.library.tags.journal import Journal

    with Journal(report.journal), pytest.raises(InputError, match="Another process"):
        tags.undo(report.journal)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "not a journal"),
        (b"[]\n", "not a journal"),
        (b"{}\n", "not a journal"),
        (b"nonsense\n", "Line 1"),
        (b'{"earmark_tag_journal": 9, "plan": "x", "earmark": "9.9"}\n', "another version"),
        (b'{"earmark_tag_journal": 2, "plan": "x"}\n{"event": "done", "path": "a"}\n', "Line 2"),
        (b'{"earmark_tag_journal": 2, "plan": "x"}\n{"event": "ready", "path": "a", "undo": ["!"]}\n', "Line 2"),
    ],
)
def test_damaged_journals_are_refused_and_not_changed(text: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(text)
    with pytest.raises(StoreError, match=said):
        tags.undo(path)
    assert path.read_bytes() == text


def test_a_missing_journal_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no journal"):
        tags.undo(tmp_path / "journal")
    assert not (tmp_path / "journal").exists()


def test_lines_of_several_threads_go_to_the_disk_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from earmark.library.tags.journal import Journal, State

    path, state, calls, go = tmp_path / "journal", State(1, "0" * 64, 1), [], threading.Event()
    with Journal(path, "plan") as book:

        def fsync(descriptor: int) -> None:
            calls.append(path.read_bytes().count(b"\n"))
            assert go.wait(60)

        monkeypatch.setattr(os, "fsync", fsync)
        with ThreadPoolExecutor(3) as pool:
            made = [pool.submit(book.ready, str(number), state, state, []) for number in range(3)]
            while path.read_bytes().count(b"\n") < 4:
                time.sleep(0.01)
            assert not any(job.done() for job in made), "none goes on before its line is on the disk"
            go.set()
        assert [job.result() for job in made] == [None] * 3
        assert len(calls) <= 2
        assert calls[-1] == 4


def test_a_disk_that_failed_once_is_not_believed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [make("none.mp3", tmp_path), make("bare.flac", tmp_path), make("small.ogg", tmp_path)]
    plan = tags.plan([(path, ROCK) for path in paths])
    fsync, failed = os.fsync, []

    def once(descriptor: int) -> None:
        is_journal = os.path.samestat(os.fstat(descriptor), journal.stat())
        if is_journal and b"ready" in journal.read_bytes():
            failed.append(descriptor)
            if len(failed) == 1:
                raise OSError(5, "Input/output error")
        fsync(descriptor)

    journal = tmp_path / "journal"
    with monkeypatch.context() as patch, pytest.raises(InputError, match=r"journal .* cannot be written"):
        patch.setattr(os, "fsync", once)
        tags.apply(plan, journal=journal)
    assert len(failed) == 1
    assert all(path.read_bytes() == content(path.name) for path in paths)
    assert tags.apply(plan, journal=journal).done == list(map(str, paths))


def test_damaged_old_bytes_in_a_journal_never_reach_a_file(tmp_path: Path) -> None:
    path = make("id3v24.mp3", tmp_path)
    report = tags.apply(tags.plan([(path, ROCK)], mode="replace"), journal=tmp_path / "journal")
    new = path.read_bytes()
    lines = report.journal.read_text().splitlines()
    event = json.loads(lines[2])
    event["undo"][0] = [0, 7]
    report.journal.write_text("\n".join([*lines[:2], json.dumps(event), *lines[3:]]) + "\n")
    back = tags.undo(report.journal)
    assert "the journal is damaged" in back.skipped[0][1]
    assert path.read_bytes() == new


def test_journal_survives_being_cut_anywhere_in_its_last_line(tmp_path: Path) -> None:
    """What a power failure does to a file that was being appended to."""
    path = make("none.mp3", tmp_path)
    plan = tags.plan([(path, ROCK)])
    report = tags.apply(plan, journal=tmp_path / "journal")
    whole, new = report.journal.read_bytes(), path.read_bytes()
    ready = whole.rindex(b"\n", 0, -1) + 1
    for cut in range(ready, len(whole), 7):
        path.write_bytes(new)
        report.journal.write_bytes(whole[:cut])
        assert tags.undo(report.journal).done == [str(path)]
        assert path.read_bytes() == content("none.mp3")


def test_without_mutagen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make("none.mp3", tmp_path)
    plan = tags.plan([(path, ROCK)])
    monkeypatch.setitem(sys.modules, "mutagen", None)
    for action in (lambda: tags.plan([(path, ROCK)]), lambda: tags.apply(plan)):
        with pytest.raises(MissingExtraError, match=r"earmark\[tag\]"):
            action()


def test_importing_is_light() -> None:
    heavy = "mutagen", "numpy", "av", "soundfile", "rich", "platformdirs"
    code = f"import sys, earmark.library.tags, earmark.cli.tags; print([m for m in {heavy!r} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == "[]"
