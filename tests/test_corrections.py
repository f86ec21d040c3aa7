"""What a person says of a track stays with its sound, counts everywhere, and can be trained on."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mutagen.flac import FLAC
from typer.testing import CliRunner

from bundles import LABELS, tiny_bundle
from earmark.cli import app
from earmark.dataset import load_dataset
from earmark.errors import InputError, StoreError
from earmark.library.details import Details
from earmark.library.ledger import Ledger
from earmark.library.library import Library
from earmark.library.listing import SORTS
from earmark.library.manifest import training_manifest
from earmark.library.migrations import VERSION, fold
from earmark.library.scan import ScanReport
from earmark.library.schema import lock_file
from earmark.library.track import FileState
from earmark.locks import exclusive
from music import RATE, piece
from test_catalogue import STATE, outcome

OLD = Path(__file__).parent / "data" / "catalogue-1.db.gz"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "tiny.earmark"
    tiny_bundle(path)
    return path


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "c.db") as opened:
        yield opened


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    folder.mkdir()
    for seed, name in enumerate(["a", "b"]):
        soundfile.write(folder / f"{name}.flac", piece(seed, 12.0), RATE)
    return folder


def scan(library: Library, music: Path, bundle: Path) -> ScanReport:
    return library.scan(music, bundle=bundle, jobs=1)


def test_a_correction_outlives_scans_moves_tags_copies_and_bundles(
    library: Library, music: Path, bundle: Path, tmp_path: Path
) -> None:
    scan(library, music, bundle)
    before = library.track(music / "a.flac")
    assert before is not None
    said = library.correct(music / "a.flac", "ska")
    assert (said.correction, said.answer, said.label) == ("ska", "ska", before.label)
    assert said.settled.confidence == 1.0

    scan(library, music, bundle)
    (music / "a.flac").rename(music / "moved.flac")
    tags = FLAC(music / "moved.flac")
    tags["title"] = "A new title"
    tags.save()
    report = scan(library, music, bundle)
    assert (report.moved, report.heard) == (1, 0)
    shutil.copy(music / "moved.flac", music / "twin.flac")
    scan(library, music, bundle)
    other = tmp_path / "other.earmark"
    tiny_bundle(other, name="other")
    assert scan(library, music, other).again >= 2
    answers = {Path(track.path).name: track.answer for track in library.tracks()}
    assert answers == {"moved.flac": "ska", "twin.flac": "ska", "b.flac": answers["b.flac"]}
    assert answers["b.flac"] != "ska"

    (music / "moved.flac").rename(tmp_path / "away.flac")
    scan(library, music, other)
    (tmp_path / "away.flac").rename(music / "back.flac")
    scan(library, music, other)
    back = library.track(music / "back.flac")
    assert back is not None
    assert back.correction == "ska"

    cleared = library.correct(back.id, None)
    assert (cleared.correction, cleared.answer) == (None, "unsure" if cleared.unsure else cleared.label)
    assert all(track.correction is None for track in library.tracks())


def test_the_same_recording_coded_anew_keeps_it_and_another_does_not(
    library: Library, music: Path, bundle: Path
) -> None:
    scan(library, music, bundle)
    library.correct(music / "a.flac", "bass")
    library.correct(music / "b.flac", "hiss")
    soundfile.write(music / "a.flac", 0.7 * piece(0, 12.0), RATE, subtype="PCM_24")
    soundfile.write(music / "b.flac", piece(7, 12.0), RATE)
    assert scan(library, music, bundle).changed == 2
    found = {Path(track.path).name: track.correction for track in library.tracks()}
    assert found == {"a.flac": "bass", "b.flac": None}


def test_a_scan_that_fails_to_hear_it_once_does_not_lose_it(library: Library, music: Path, bundle: Path) -> None:
    scan(library, music, bundle)
    library.correct(music / "a.flac", "ska")
    sound = (music / "a.flac").read_bytes()
    (music / "a.flac").write_bytes(b"")
    assert scan(library, music, bundle).failed == 1
    with pytest.raises(InputError, match="could not be heard"):
        library.correct(music / "a.flac", "pop")
    (music / "a.flac").write_bytes(sound)
    scan(library, music, bundle)
    assert [t.correction for t in library.tracks(corrected=True)] == ["ska"]


@pytest.fixture
def filled(library: Library, bundle: Path) -> Library:
    """Six tracks without files: 1 to 3 bass, 4 and 5 hiss, 6 gone."""
    from earmark.bundle import load_bundle

    with Ledger(library.path) as ledger:
        ledger.use_bundle(load_bundle(bundle))
        rows = [
            ("/m/1.mp3", "bass", Details("Zoé", "Ångström", "One", 1990)),
            ("/m/2.mp3", "bass", Details("abba", "50% _off_", "Two", 1975)),
            ("/m/sub/3.mp3", "bass", Details("Abba", "Beta", "Two", 1976)),
            ("/m/sub/4.mp3", "hiss", Details(None, "gamma \\ delta", None, None)),
            ("/m/sub/5.mp3", "hiss", Details()),
            ("/m/6.mp3", "hiss", Details("Gone", "Gone")),
        ]
        for number, (path, label, details) in enumerate(rows, 1):
            made = replace(outcome(path, label, details=details, key=bytes([number]) * 16), print=b"")
            assert made.row is not None
            confidence = number / 10
            made.row.update(confidence=confidence, unsure=confidence < 0.35)
            ledger.write(made, FileState(number, 1, 1), bundle=1, windows=3)
        ledger.mark_removed([6])
    return library


def ids(library: Library, **wanted: object) -> list[int]:
    return [track.id for track in library.tracks(**wanted)]  # type: ignore[arg-type]


def test_filters_and_search(filled: Library) -> None:
    assert ids(filled) == [1, 2, 3, 4, 5]
    assert ids(filled, removed=True) == [1, 2, 6, 3, 4, 5]
    assert ids(filled, label="bass") == [1, 2, 3]
    assert ids(filled, label=["bass", "hiss"]) == [1, 2, 3, 4, 5]
    assert ids(filled, label=[]) == []
    assert ids(filled, unsure=True) == [1, 2, 3]
    assert ids(filled, min_confidence=0.3) == [3, 4, 5]
    assert ids(filled, under="/m/sub") == [3, 4, 5]
    assert ids(filled, search="ABBA") == [2, 3]
    assert ids(filled, search="zoe angstrom") == [1], "accents and case do not count"
    assert ids(filled, search="beta abba") == [3], "all words, in any order"
    assert ids(filled, search="abba gamma") == []
    assert ids(filled, search="sub/") == [3, 4, 5]
    assert ids(filled, search="50%") == [2], "what has a meaning in SQL has none here"
    assert ids(filled, search="_") == [2]
    assert ids(filled, search="\\") == [4]
    assert ids(filled, search="  ") == [1, 2, 3, 4, 5]

    filled.correct(1, "HISS")
    filled.correct(4, "Ska punk")
    assert ids(filled, label="hiss") == [1, 5], "what was said has the spelling of the genre that is known"
    assert ids(filled, label="Ska punk") == [4]
    assert ids(filled, unsure=True) == [2, 3]
    assert ids(filled, min_confidence=0.95) == [1, 4]
    assert ids(filled, corrected=True) == [1, 4]
    assert ids(filled, corrected=False, label="bass") == [2, 3]
    assert filled.correct(5, "ska PUNK").correction == "Ska punk"


def test_orders_and_pages(filled: Library) -> None:
    assert ids(filled, sort="artist") == [5, 4, 2, 3, 1]
    assert ids(filled, sort="confidence", descending=True) == [5, 4, 3, 2, 1]
    assert ids(filled, sort="year", descending=True) == [1, 3, 2, 5, 4]
    for sort in SORTS:
        upward = ids(filled, sort=sort)
        assert sorted(upward) == [1, 2, 3, 4, 5]
        assert ids(filled, sort=sort, descending=True) == upward[::-1]
        pages = [filled.page(sort=sort, limit=2, offset=offset) for offset in (0, 2, 4, 6)]
        assert [track.id for page in pages for track in page.tracks] == upward
        assert {page.total for page in pages} == {5}
    page = filled.page(search="abba", limit=1)
    assert ([t.id for t in page.tracks], page.total, page.offset, page.limit) == ([2], 2, 0, 1)
    assert filled.page(search="nothing like it").total == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [({"sort": "size"}, "sorted by"), ({"limit": 0}, "1 track"), ({"offset": -1}, "0 or later"),
     ({"min_confidence": 1.5}, "between 0 and 1")],
)  # fmt: skip
def test_lists_that_make_no_sense_are_refused(options: dict[str, object], words: str, filled: Library) -> None:
    with pytest.raises(InputError, match=words):
        filled.page(**options)  # type: ignore[arg-type]


def test_indexes_alone_answer_for_a_page(filled: Library) -> None:
    """100,000 tracks take milliseconds only while no row of the table has to be read for a list."""
    connection = filled._catalogue._connection
    seen = []
    connection.set_trace_callback(seen.append)
    for sort in SORTS:
        for wanted in (
            {},
            {"search": "a"},
            {"label": "bass", "unsure": False},
            {"min_confidence": 0.5},
            {"corrected": False},
            {"under": "/m", "search": "a", "label": ["a", "b"]},
        ):
            if sort == "label" and "search" in wanted:
                continue
            filled.page(sort=sort, limit=2, **wanted)  # type: ignore[arg-type]
    connection.set_trace_callback(None)
    lists = [sql for sql in seen if sql.startswith(("SELECT id FROM", "SELECT count"))]
    assert len(lists) > 40
    for sql in lists:
        plan = [row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + sql)]
        assert "COVERING INDEX" in plan[0], (sql, plan)


def test_a_track_by_number_or_path(filled: Library) -> None:
    by_path = filled.track("/m/2.mp3")
    assert by_path is not None
    assert filled.track(by_path.id) == by_path
    assert filled.track(99) is None
    with pytest.raises(InputError, match="number 99"):
        filled.correct(99, "pop")
    with pytest.raises(InputError, match="earmark scan"):
        filled.correct("/m/none.mp3", "pop")
    for label in ("", "   ", "x" * 101, "a\x00b"):
        with pytest.raises(InputError, match="line of"):
            filled.correct(1, label)


def test_it_counts_in_statistics_moods_and_maps_and_leaves_the_index_alone(filled: Library) -> None:
    state = filled._catalogue.state
    filled.correct(1, "treble")
    filled.correct(2, "ska")
    assert filled._catalogue.state == state
    stats = filled.stats()
    assert (stats.tracks, stats.unsure, stats.corrected) == (5, 1, 2)
    assert {g.label: (g.tracks, g.unsure) for g in stats.genres} == {
        "hiss": (2, 0),
        "bass": (1, 1),
        "treble": (1, 0),
        "ska": (1, 0),
    }
    labels, numbers, matrix = filled._catalogue.probabilities(1)
    assert matrix[numbers.index(1)].tolist() == [float(label == "treble") for label in labels]
    assert matrix[numbers.index(2)].tolist() == [0.0] * 4, "a genre that the bundle does not know is none of its own"
    assert filled.playlist(mood="treble", n=1)[0].track.id == 1
    assert '"labels":["bass","hiss","ska","treble"]' in filled.map_page()


def test_tag_plans_take_it_for_certain(filled: Library) -> None:
    from earmark.cli.tag_sources import from_catalogue
    from earmark.library.tags.plan import decide
    from earmark.library.tags.plan_file import Options
    from earmark.library.vocabulary import BUILT_IN

    filled.correct(1, "ska")
    sources = dict(from_catalogue(filled.path, []).pairs)
    options = Options("keep", 0.9, 1, False, None, False, 4, None)
    assert decide((), sources["/m/1.mp3"], options, BUILT_IN)[0] == BUILT_IN.genres(["ska"])
    assert decide((), sources["/m/2.mp3"], options, BUILT_IN) == ((), "unsure (bass 0.20)")


def test_the_manifest_is_what_training_reads(library: Library, music: Path, bundle: Path, tmp_path: Path) -> None:
    tags = FLAC(music / "a.flac")
    tags["artist"], tags["title"] = 'The "Quoted", Band', "Größe"
    tags.save()
    shutil.copy(music / "a.flac", music / "twin.flac")
    odd = music / os.fsdecode(b"odd\xff.flac")
    soundfile.write(music / "odd.flac", piece(3, 12.0), RATE)
    (music / "odd.flac").rename(odd)
    scan(library, music, bundle)
    for name, label in (("a.flac", "ska"), ("b.flac", "=jazz"), (odd.name, "ska")):
        library.correct(music / name, label)
    data, left_out = training_manifest(library.corrections())
    assert [Path(name).name for name in left_out] == ["odd\\xff.flac"]
    (tmp_path / "manifest.csv").write_bytes(data)
    dataset = load_dataset(tmp_path / "manifest.csv")
    assert {(c.path and c.path.name, c.label, c.artist, c.title) for c in dataset.clips} == {
        ("a.flac", "ska", 'The "Quoted", Band', "Größe"),
        ("b.flac", "=jazz", None, None),
    }
    assert all(clip.path is not None and clip.path.is_file() for clip in dataset.clips)
    assert dataset.groups[0].startswith("artist:")


def earmark(*arguments: str, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_the_command_line(filled: Library, tmp_path: Path) -> None:
    at = ("--catalogue", str(filled.path))
    said, warned = earmark("correct", "/m/1.mp3", "hiss", *at)
    assert said == "Zoé - Ångström: hiss (heard as bass at 10%, unsure).\n"
    assert warned == ""
    said, warned = earmark("correct", "2", "ska", *at)
    assert "ska (heard as bass" in said
    assert warned == "The model does not know ska; it knows bass, hiss, middle, treble.\n"
    said, counted = earmark("corrections", *at)
    assert said == "hiss  /m/1.mp3  (heard as bass)\nska   /m/2.mp3  (heard as bass)\n"
    assert counted == "2 tracks were corrected.\n"
    assert [row["correction"] for row in json.loads(earmark("corrections", "--json", *at)[0])] == ["hiss", "ska"]
    assert "Corrected  2 by hand" in earmark("stats", *at)[0]
    earmark("corrections", "--output", str(tmp_path / "m.csv"), *at)
    assert (tmp_path / "m.csv").read_text().splitlines() == [
        "path,label,group,artist,title",
        "/m/1.mp3,hiss,,Zoé,Ångström",
        "/m/2.mp3,ska,,abba,50% _off_",
    ]
    assert (
        earmark("correct", "/m/1.mp3", "--clear", *at)[0]
        == "Zoé - Ångström: unsure (heard as bass at 10%, unsure).\n"
    )
    earmark("correct", "2", "--clear", *at)
    for wrong, words in (
        (("correct", "2"), "--clear"),
        (("correct", "2", "ska", "--clear"), "do not go together"),
        (("correct", "/none", "ska"), "earmark scan"),
        (("corrections", "--output", str(tmp_path / "n.csv")), "nothing to train on"),
    ):
        with pytest.raises(InputError, match=words):
            earmark(*wrong, *at)
    assert not (tmp_path / "n.csv").exists()


# ---------------------------------------------------------------------- catalogues of Earmark 0.1


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A catalogue that Earmark 0.1 wrote (format 1): three tracks, one of them gone, and a file that failed."""
    path = tmp_path / "old.db"
    path.write_bytes(gzip.decompress(OLD.read_bytes()))
    return path


def version(path: Path) -> int:
    with sqlite3.connect(path) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_an_old_catalogue_is_upgraded_with_all_that_is_in_it(old: Path) -> None:
    assert version(old) == 1
    with Library(old, create=False) as library:
        assert [t.path for t in library.tracks(removed=True)] == [
            "/m/Björk/Jóga.mp3",
            "/m/a\udcff\n.flac",
            "/m/gone.flac",
        ]
        assert [t.path for t in library.tracks()] == ["/m/Björk/Jóga.mp3", "/m/a\udcff\n.flac"]
        [joga] = library.tracks(search="bjork joga")
        assert (joga.label, joga.details, joga.correction) == (
            "bass",
            Details("Björk", "Jóga", "Homogenic", 1997, "Pop"),
            None,
        )
        assert joga.probabilities is not None
        assert set(joga.probabilities) == set(LABELS)
        assert [(t.path, t.problem) for t in library.errors()] == [("/m/broken.mp3", "empty")]
        assert library.stats().removed == 1
        assert library.correct(joga, "pop").answer == "pop"
    assert version(old) == VERSION
    with Library(old, create=False) as library:
        assert [t.correction for t in library.tracks()] == ["pop", None]


def test_an_upgraded_catalogue_has_the_tables_of_a_new_one(old: Path, tmp_path: Path) -> None:
    for path in (old, tmp_path / "new.db"):
        Library(path).close()

    def tables(path: Path) -> list[tuple[object, ...]]:
        with sqlite3.connect(path) as connection:
            return connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").fetchall()

    assert tables(old) == tables(tmp_path / "new.db")


def test_a_catalogue_of_format_2_hears_files_again_that_are_cut_off(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from earmark.library import migrations, schema

    with monkeypatch.context() as patch:
        for module in (migrations, schema):
            patch.setattr(module, "VERSION", 2)
        Library(old).close()
    assert version(old) == 2
    with sqlite3.connect(old) as connection:
        connection.create_function("search_words", 4, lambda *_: "")
        connection.execute("UPDATE tracks SET windows = 3, warnings = 'damaged' WHERE problem IS NULL")
        connection.execute("UPDATE tracks SET warnings = 'damaged truncated' WHERE title = 'Jóga'")
    with Library(old, create=False) as library:
        windows = {os.fsdecode(path): known.windows for path, known in library._catalogue.known().items()}
        assert windows["/m/Björk/Jóga.mp3"] == -1, "it counts as heard with too little"
        assert sorted(windows.values())[1:] == [3, 3, 3]
        assert [t.doubt for t in library.tracks()] == [None, None]
    assert version(old) == VERSION


def test_a_kill_in_the_middle_of_the_upgrade_leaves_the_old_catalogue(old: Path) -> None:
    script = """
import os, signal, sys
from earmark.library import migrations
from earmark.library.library import Library
steps = list(migrations._STEPS[1])
migrations.search_words = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Library(sys.argv[1])
"""
    done = subprocess.run([sys.executable, "-c", script, str(old)], capture_output=True, text=True)
    assert done.returncode == -9, done.stderr
    assert version(old) == 1
    with Library(old, create=False) as library:
        assert len(list(library.tracks(removed=True))) == 3


def test_damage_locks_and_full_disks_leave_the_old_catalogue(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from earmark.library import migrations

    whole = old.read_bytes()
    with exclusive(lock_file(old), "x"), pytest.raises(StoreError, match="being filled by process"):
        Library(old)
    assert old.read_bytes() == whole

    def full(*_: object) -> str:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "search_words", full)
        with pytest.raises(StoreError):
            Library(old)
    assert version(old) == 1

    spoiled = bytearray(whole)
    spoiled[8192:] = np.random.default_rng(0).bytes(len(spoiled) - 8192)
    old.write_bytes(bytes(spoiled))
    with pytest.raises(StoreError, match="damaged"):
        Library(old)
    assert old.read_bytes() == bytes(spoiled)


def test_folding() -> None:
    assert fold("Motörhead ÆØÅ ﬁ ẞ ｱ") == "motorhead æøa fi ss ア"
    assert fold("a\udcff") == "a?"


def test_what_was_said_stays_when_a_track_is_written_again(filled: Library) -> None:
    filled.correct(1, "ska")
    with Ledger(filled.path) as ledger:
        ledger.write(outcome("/m/1.mp3", "treble", key=b"\x01" * 16), STATE, bundle=1, windows=0)
        ledger.write(outcome("/m/new.mp3", "treble", key=b"\x01" * 16), STATE, bundle=1, windows=0)
    assert [(t.path, t.label, t.correction) for t in filled.tracks(corrected=True)] == [
        ("/m/1.mp3", "treble", "ska"),
        ("/m/new.mp3", "treble", "ska"),
    ]
    assert [t.path for t in filled.corrections()] == ["/m/1.mp3"], "one of each sound is enough to train on"
