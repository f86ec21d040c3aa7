"""The catalogue keeps what it is given, and damage, locks and full disks are reported and harm nothing."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bundles import LABELS, tiny_bundle
from earmark.bundle import Bundle
from earmark.errors import EarmarkError, InputError, StoreError
from earmark.library.catalogue import Catalogue, default_catalogue
from earmark.library.details import Details, details_from
from earmark.library.ledger import Ledger
from earmark.library.library import Library
from earmark.library.listing import Wanted
from earmark.library.migrations import VERSION
from earmark.library.stats import stats
from earmark.library.track import FileState
from earmark.library.worker import Outcome, Seen
from earmark.locks import exclusive

STATE = FileState(10, 20, 30)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny.earmark")


def outcome(path: str, label: str = "bass", *, details: Details | None = None, key: bytes = b"k" * 16) -> Outcome:
    rest = [name for name in LABELS if name != label]
    row: dict[str, Any] = {
        "path": path,
        "label": label,
        "confidence": 0.7,
        "unsure": label == "hiss",
        "doubt": "between genres" if label == "hiss" else None,
        "probabilities": {label: 0.7} | dict.fromkeys(rest, 0.1),
        "heard": [[0.0, 30.0]],
        "decoded": 30.0,
        "declared": 30.1,
        "problems": ["truncated"],
    }
    embedding = np.arange(16, dtype=np.float32)
    timbre = np.ones(80, np.float32)
    return Outcome(path, row, embedding.tobytes(), timbre.tobytes(), b"print", seen=Seen(key, details or Details()))


@pytest.fixture
def ledger(tmp_path: Path, bundle: Bundle) -> Ledger:
    opened = Ledger(tmp_path / "c.db", create=True)
    assert opened.use_bundle(bundle) == 1
    return opened


def test_what_is_written_is_read_again(ledger: Ledger) -> None:
    details = Details("An Ärtist", "Title", None, 1999, "Jazz")
    number = ledger.write(outcome("/m/a\udcff\n.mp3", details=details), STATE, bundle=1, windows=3)
    track = ledger.track("/m/a\udcff\n.mp3")
    assert track is not None
    assert (track.id, track.path, track.label, track.details) == (number, "/m/a\udcff\n.mp3", "bass", details)
    assert track.probabilities is not None
    assert next(iter(track.probabilities)) == "bass"
    assert sum(track.probabilities.values()) == pytest.approx(1)
    assert track.heard == ((0.0, 30.0),)
    assert track.seconds == pytest.approx(30.1)
    assert track.warnings == ("truncated",)
    assert track.name == "An Ärtist - Title"
    [(numbers, embeddings, timbres, probabilities)] = ledger.sounds(1)
    assert numbers == [number]
    assert np.array_equal(embeddings[0], np.arange(16))
    assert np.array_equal(timbres[0], np.ones(80))
    assert probabilities[0].tolist() == pytest.approx([0.7, 0.1, 0.1, 0.1])
    assert ledger.prints([number]) == {number: b"print"}
    assert ledger.probabilities(1)[0] == LABELS


def test_why_a_track_is_unsure_is_kept_until_somebody_knows_better(ledger: Ledger) -> None:
    number = ledger.write(outcome("/m/a.mp3", "hiss"), STATE, bundle=1, windows=3)
    ledger.write(outcome("/m/b.mp3"), STATE, bundle=1, windows=3)
    assert [t.doubt for t in ledger.tracks()] == ["between genres", None]
    assert next(ledger.tracks()).to_dict()["doubt"] == "between genres"
    assert stats(ledger).doubts == {"between genres": 1}
    ledger.correct(b"k" * 16, "polka")
    [track] = ledger.by_id([number])
    assert (track.answer, track.settled.doubt) == ("polka", None)
    assert stats(ledger).doubts == {}


def test_a_file_that_does_not_tell_its_length_is_as_long_as_its_last_window_says(ledger: Ledger) -> None:
    made = outcome("/m/a.mp3")
    assert made.row is not None
    made.row.update(declared=None, decoded=60.0, heard=[[0.0, 30.0], [170.5, 200.5]])
    ledger.write(made, STATE, bundle=1, windows=2)
    assert [t.seconds for t in ledger.tracks()] == [200.5]


def test_a_file_has_one_row_and_its_last_outcome_counts(ledger: Ledger) -> None:
    ledger.write(outcome("/m/a.mp3"), STATE, bundle=1, windows=3)
    ledger.write(Outcome("/m/a.mp3", problem="empty", reason="It is empty."), STATE, bundle=1, windows=3)
    assert list(ledger.tracks()) == []
    [failure] = ledger.failures()
    assert (failure.problem, failure.reason, failure.label) == ("empty", "It is empty.", "")
    assert list(ledger.sounds(1)) == []
    ledger.write(outcome("/m/a.mp3", "hiss"), STATE, bundle=1, windows=3)
    assert [t.label for t in ledger.tracks()] == ["hiss"]
    assert list(ledger.failures()) == []


def test_tracks_can_be_narrowed_down(ledger: Ledger) -> None:
    for path, label in (("/m/a/1.mp3", "bass"), ("/m/a/2.mp3", "hiss"), ("/m/ab.mp3", "bass"), ("/m/a", "bass")):
        ledger.write(outcome(path, label), STATE, bundle=1, windows=3)
    assert [t.path for t in ledger.tracks(Wanted(label="bass"))] == ["/m/a", "/m/a/1.mp3", "/m/ab.mp3"]
    assert [t.path for t in ledger.tracks(Wanted(under="/m/a"))] == ["/m/a", "/m/a/1.mp3", "/m/a/2.mp3"]
    assert [t.path for t in ledger.tracks(Wanted(unsure=True))] == ["/m/a/2.mp3"]
    assert [t.path for t in ledger.by_id([3, 99, 1])] == ["/m/ab.mp3", "/m/a/1.mp3"]


def test_a_removed_track_is_out_of_sight_until_it_comes_back(ledger: Ledger) -> None:
    number = ledger.write(outcome("/m/a.mp3"), STATE, bundle=1, windows=3)
    ledger.mark_removed([number])
    assert list(ledger.tracks()) == []
    assert list(ledger.sounds(1)) == []
    assert [t.removed for t in ledger.tracks(Wanted(removed=True))] == [True]
    ledger.touch(number, STATE)
    assert [t.path for t in ledger.tracks()] == ["/m/a.mp3"]


def test_copies_and_moves_take_along_what_is_known(ledger: Ledger) -> None:
    number = ledger.write(outcome("/m/a.mp3"), STATE, bundle=1, windows=3)
    ledger.copy(number, "/m/copy.mp3", STATE, Details(title="Copy"))
    ledger.move(number, "/m/b.mp3", STATE, Details(title="Moved"))
    assert {t.path: (t.label, t.details.title) for t in ledger.tracks()} == {
        "/m/b.mp3": ("bass", "Moved"),
        "/m/copy.mp3": ("bass", "Copy"),
    }
    assert sum(len(numbers) for numbers, *_ in ledger.sounds(1)) == 2


def test_a_new_name_may_lie_about_the_format_or_stop_lying(ledger: Ledger) -> None:
    number = ledger.write(outcome("/m/a.mp3"), STATE, bundle=1, windows=3)
    ledger.copy(number, "/m/copy.ogg", STATE, Details(), misnamed=True)
    assert [t.warnings for t in ledger.tracks()] == [("truncated",), ("truncated", "wrong-suffix")]
    ledger.move(number, "/m/b.flac", STATE, Details(), misnamed=True)
    ledger.move(number, "/m/b.mp3", STATE, Details())
    assert [t.warnings for t in ledger.tracks()] == [("truncated",), ("truncated", "wrong-suffix")]


def test_every_change_is_noticed(ledger: Ledger) -> None:
    states = [ledger.state]
    number = ledger.write(outcome("/m/a.mp3"), STATE, bundle=1, windows=3)
    states.append(ledger.state)
    ledger.mark_removed([number])
    states.append(ledger.state)
    assert len(set(states)) == 3
    assert len({identity for identity, _ in states}) == 1


def test_half_a_transaction_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(KeyboardInterrupt), ledger.writing():
        ledger.write_root = None  # type: ignore[attr-defined]
        ledger._connection.execute("INSERT INTO roots VALUES (x'41', 0)")
        raise KeyboardInterrupt
    assert ledger.roots() == []


def test_the_place_can_be_named_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EARMARK_CATALOGUE", str(tmp_path / "mine.db"))
    assert default_catalogue() == tmp_path / "mine.db"
    monkeypatch.delenv("EARMARK_CATALOGUE")
    assert default_catalogue().name == "catalogue.db"


def test_a_catalogue_that_is_not_there_is_not_made_by_looking(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="earmark scan"):
        Catalogue(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()


def text_file(path: Path) -> None:
    path.write_text("my notes, not a database\n" * 10)


def other_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (name)")


def newer(path: Path) -> None:
    Ledger(path, create=True).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")


def cut_off(path: Path) -> None:
    filled(path)
    path.write_bytes(path.read_bytes()[:9000])


def scrambled(path: Path) -> None:
    filled(path)
    data = bytearray(path.read_bytes())
    data[8192:] = np.random.default_rng(0).bytes(len(data) - 8192)
    path.write_bytes(data)


def filled(path: Path) -> None:
    with Ledger(path, create=True) as ledger:
        ledger._connection.execute("INSERT INTO bundles VALUES (1, 's', 'b', '[\"bass\"]', 0.5, 16)")
        for number in range(200):
            failed = Outcome(f"/m/{number:03}.mp3", problem="empty", reason="It is empty. " * 20)
            ledger.write(failed, STATE, bundle=1, windows=3)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (text_file, "no catalogue"),
        (other_database, "another program"),
        (newer, "newer Earmark"),
        (cut_off, "damaged"),
        (scrambled, "damaged"),
    ],
)
@pytest.mark.parametrize("create", [False, True])
def test_a_file_that_cannot_be_used_is_reported_and_left_as_it_is(
    spoil: Callable[[Path], None], words: str, create: bool, tmp_path: Path
) -> None:
    path = tmp_path / "c.db"
    spoil(path)
    before = path.read_bytes()
    with pytest.raises(StoreError, match=words) as caught, Ledger(path, create=create) as ledger:
        ledger.check()
    assert "Traceback" not in str(caught.value)
    assert path.read_bytes() == before


def test_damage_that_shows_only_while_reading_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "c.db"
    scrambled(path)
    with pytest.raises(StoreError, match="damaged"):
        list(Catalogue(path).failures())


def test_a_locked_catalogue_is_reported(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger._connection.execute("PRAGMA busy_timeout = 50")
    other = sqlite3.connect(ledger.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        ledger.write(outcome("/m/a.mp3"), STATE, bundle=1, windows=3)
    assert list(ledger.tracks()) == [], "reading goes on"
    other.execute("ROLLBACK")
    other.close()
    ledger.write(outcome("/m/a.mp3"), STATE, bundle=1, windows=3)


def test_a_full_disk_is_reported_and_what_was_kept_stays(ledger: Ledger) -> None:
    ledger.write(outcome("/m/a.mp3"), STATE, bundle=1, windows=3)
    pages = ledger._connection.execute("PRAGMA page_count").fetchone()[0]
    ledger._connection.execute(f"PRAGMA max_page_count = {pages + 1}")
    with pytest.raises(InputError, match="disk is full") as caught:
        for number in range(500):
            ledger.write(outcome(f"/m/{number}" + "x" * 500), STATE, bundle=1, windows=3)
    assert "run the same command again" in str(caught.value)
    kept = {t.path for t in ledger.tracks()}
    assert "/m/a.mp3" in kept
    ledger.check()
    ledger._connection.execute("PRAGMA max_page_count = 100000")
    ledger.write(outcome("/m/last.mp3"), STATE, bundle=1, windows=3)
    assert {t.path for t in ledger.tracks()} == kept | {"/m/last.mp3"}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_a_full_disk_on_a_real_file_system_is_reported(tmp_path: Path) -> None:
    import subprocess

    script = """
import resource, signal, sys
from test_catalogue import filled
from earmark.errors import EarmarkError
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (120000, 120000))
try:
    filled(Path(sys.argv[1]))
except EarmarkError as error:
    print(error)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "c.db")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=True)
    assert "disk" in done.stdout, done
    Catalogue(tmp_path / "c.db").check()


def test_a_place_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(EarmarkError, match="cannot be"):
        Ledger(tmp_path / "file" / "c.db", create=True)
    with pytest.raises(EarmarkError, match="cannot be"):
        Ledger(tmp_path, create=True)


def test_only_one_scan_at_a_time(tmp_path: Path) -> None:
    words = "It is being filled"
    with (
        exclusive(tmp_path / "lock", words),
        pytest.raises(StoreError, match="It is being filled by process"),
        exclusive(tmp_path / "lock", words),
    ):
        pass
    with exclusive(tmp_path / "lock", words):
        pass


def test_statistics_add_up(ledger: Ledger) -> None:
    ledger.write(outcome("/m/1.mp3", "bass", details=Details(year=1969, genre="Jazz")), STATE, bundle=1, windows=3)
    ledger.write(outcome("/m/2.mp3", "bass", details=Details(year=1971)), STATE, bundle=1, windows=3)
    ledger.write(outcome("/m/3.mp3", "hiss"), STATE, bundle=1, windows=3)
    ledger.write(Outcome("/m/4.mp3", problem="empty", reason="It is empty."), STATE, bundle=1, windows=3)
    ledger.note_root("/m")
    ledger.close()
    with Library(ledger.path) as library:
        stats = library.stats()
    assert (stats.tracks, stats.unsure, stats.tagged_genre, stats.tagged_year) == (3, 1, 1, 2)
    assert [(g.label, g.tracks) for g in stats.genres] == [("bass", 2), ("hiss", 1)]
    assert stats.decades == ((1960, 1), (1970, 1))
    assert stats.failed == {"empty": 1}
    assert stats.hours == pytest.approx(3 * 30.1 / 3600)
    assert stats.roots == ("/m",)
    assert stats.bundle == "tiny"


def test_tags_are_understood_however_formats_spell_them() -> None:
    found = details_from({"ARTIST": "A\x00B", "Title": " two\n lines ", "date": "12.05.1987", "WM/Genre": "Rock"})
    assert found == Details("A; B", "two lines", None, 1987, "Rock")
    assert details_from({"album_artist": "X", "TYER": "0000", "genre": " "}) == Details(artist="X")
    assert len(str(details_from({"title": "x" * 10000}).title)) == 500
