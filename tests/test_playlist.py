"""Playlists: moods, ways between songs, smooth order, and M3U8 files that players and Earmark read alike."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from bundles import BANDS, LABELS, tiny_bundle
from earmark.errors import InputError
from earmark.library.details import Details
from earmark.library.ledger import Ledger
from earmark.library.library import Library
from earmark.library.map_page import map_page
from earmark.library.playlist import parse_mood, write_m3u8
from earmark.library.track import FileState, Track
from earmark.library.worker import Outcome, Seen
from page_checks import Page

COUNT = 60


def angle(number: int) -> float:
    return 2 * np.pi * number / COUNT


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tracks on a circle: neighbours in number are neighbours in sound, and two genres mix as it turns."""
    path = tmp_path_factory.mktemp("playlist") / "c.db"
    bundle = tiny_bundle(path.with_suffix(".earmark"))
    with Ledger(path, create=True) as ledger:
        ledger.use_bundle(bundle)
        for number in range(COUNT):
            embedding = np.zeros(BANDS, np.float32)
            embedding[:2] = np.cos(angle(number)), np.sin(angle(number))
            share = 0.5 + 0.5 * np.cos(angle(number))
            known = {"bass": 0.9 * share + 0.01, "hiss": 0.9 * (1 - share) + 0.01, "middle": 0.04, "treble": 0.04}
            ordered = dict(sorted(known.items(), key=lambda pair: -pair[1]))
            row = {
                "label": next(iter(ordered)),
                "confidence": max(known.values()),
                "unsure": False,
                "probabilities": ordered,
                "heard": [[0.0, 30.0]],
                "decoded": 30.0,
                "declared": 100.0 + 20 * number,
                "problems": [],
            }
            details = Details(f"Artist {number % 20}", f"Song {number}", year=1950 + number)
            seen = Seen(number.to_bytes(16), details)
            path_ = f"/music/{number:02}.mp3"
            timbre = np.zeros(80, np.float32).tobytes()
            outcome = Outcome(path_, row, embedding.tobytes(), timbre, seen=seen)
            ledger.write(outcome, FileState(1, 2, 3), bundle=1, windows=3)
    return path


@pytest.fixture
def library(catalogue: Path) -> Iterator[Library]:
    with Library(catalogue, create=False) as opened:
        yield opened


def numbers(matches: list) -> list[int]:  # type: ignore[type-arg]
    return [int(Path(match.track.path).stem) for match in matches]


def test_a_way_leads_from_one_song_to_the_other_without_a_jump(library: Library) -> None:
    way = numbers(library.playlist("/music/05.mp3", to="/music/25.mp3", n=6, per_artist=0))
    assert (way[0], way[-1], len(way)) == (5, 25, 6)
    assert all(2 <= step <= 6 for step in np.diff(way)), way
    assert numbers(library.playlist("/music/25.mp3", to="/music/05.mp3", n=6, per_artist=0)) == way[::-1]
    assert numbers(library.playlist("/music/05.mp3", to="/music/07.mp3", n=2)) == [5, 7]


def test_a_way_between_opposites_or_equals_is_still_a_way(library: Library) -> None:
    for last in ("/music/30.mp3", "/music/00.mp3"):
        way = numbers(library.playlist("/music/00.mp3", to=last, n=5))
        assert (way[0], way[-1], len(way)) == (0, int(last[7:9]), 5)


def test_seeds_make_a_smooth_list_without_them(library: Library) -> None:
    found = numbers(library.playlist("/music/10.mp3", n=6, per_artist=0))
    assert sorted(found) == [7, 8, 9, 11, 12, 13]
    assert found in ([9, 8, 7, 11, 12, 13], [11, 12, 13, 9, 8, 7]), "each next to the one before"
    both = numbers(library.playlist("/music/10.mp3", "/music/20.mp3", n=3, per_artist=0))
    assert sorted(both) == [14, 15, 16]


def test_a_mood_is_a_mixture(library: Library) -> None:
    found = library.playlist(mood="bass", n=5, per_artist=0)
    assert set(numbers(found)) == {58, 59, 0, 1, 2}
    found = library.playlist(mood={"BASS": 3, "hiss": 3}, n=4, per_artist=0)
    assert {min(n, 60 - n) for n in numbers(found)} <= {14, 15, 16}, "a quarter of the circle away from both"
    assert all(0 <= match.score <= 1 for match in found)
    assert numbers(library.playlist(mood="bass:0.5,hiss:.5", n=4, per_artist=0)) == numbers(found)


def test_the_artists_are_limited(library: Library) -> None:
    found = library.playlist(mood="bass", n=40, per_artist=1)
    artists = [match.track.details.artist for match in found]
    assert len(artists) == len(set(artists)) == 20


@pytest.mark.parametrize("text", ["", "bass:", "bass:x", "bass:-1", ":3", "bass:inf", "bass,,hiss", "bass:nan"])
def test_a_mood_that_makes_no_sense_is_refused(text: str) -> None:
    if text == "bass:":
        assert parse_mood(text) == {"bass": 1.0}
    else:
        with pytest.raises(InputError, match=re.escape("jazz:0.7")):
            parse_mood(text)


def test_what_does_not_go_together_is_refused(library: Library) -> None:
    with pytest.raises(InputError, match=", ".join(LABELS)):
        library.playlist(mood="polka")
    with pytest.raises(InputError, match="do not go together"):
        library.playlist("/music/00.mp3", mood="bass")
    with pytest.raises(InputError, match="Name songs"):
        library.playlist()
    with pytest.raises(InputError, match="exactly one"):
        library.playlist("/music/00.mp3", "/music/01.mp3", to="/music/02.mp3")


def test_a_written_playlist_has_relative_paths_lengths_and_names(tmp_path: Path) -> None:
    tracks = [
        Track(1, str(tmp_path / "a" / "ü b.mp3"), seconds=201.6, details=Details("An Artist", "A Title")),
        Track(2, str(tmp_path / "lists" / "#1.mp3"), seconds=None),
        Track(3, str(tmp_path / "two\nlines.mp3"), seconds=9.0),
        Track(4, str(tmp_path / "broken \udcff.mp3"), seconds=9.0),
        Track(5, str(tmp_path / "blank .mp3 "), seconds=9.0),
    ]
    lines = write_m3u8(tracks, tmp_path / "lists").decode("utf-8").splitlines()
    assert lines[:5] == ["#EXTM3U", "#EXTINF:202,An Artist - A Title", "../a/ü b.mp3", "#EXTINF:-1,#1", "./#1.mp3"]
    assert lines[5] == r"#EXTINF:9,two\nlines"
    assert lines[6] == f"file://{tmp_path}/two%0Alines.mp3"
    assert lines[8] == f"file://{tmp_path}/broken%20%FF.mp3"
    assert lines[10] == f"file://{tmp_path}/blank%20.mp3%20"
    assert write_m3u8(tracks[:1], None).decode().splitlines()[2] == os.fspath(tmp_path / "a" / "ü b.mp3")


def test_the_map_is_one_safe_page_that_holds_every_track(library: Library) -> None:
    html = library.map_page(title="All <b>of</b> it")
    page = Page(html)
    assert page.errors == []
    assert not re.search(r"""(src|href)\s*=\s*["']?(https?:)?//""", html), "nothing is loaded"
    data = json.loads(re.search(r"const D = (\{.*\});\n", html).group(1))  # type: ignore[union-attr]
    assert len(data["x"]) == len(data["y"]) == len(data["name"]) == COUNT
    assert data["labels"] == ["bass", "hiss"]
    assert sorted(data["path"])[0] == "00.mp3"
    assert data["folder"] == "/music"
    assert data["title"] == "All <b>of</b> it"
    assert "<b>of</b>" not in html
    # Neighbours in sound are neighbours on the map.
    order = np.argsort([int(p[:2]) for p in data["path"]])
    places = np.stack([data["x"], data["y"]], 1)[order]
    near = np.linalg.norm(places - np.roll(places, 1, axis=0), axis=1)
    far = np.linalg.norm(places - np.roll(places, COUNT // 2, axis=0), axis=1)
    assert np.median(near) < np.median(far) / 3


def test_text_from_tags_cannot_become_markup() -> None:
    evil = "</script><script>alert(1)</script>"
    track = Track(1, f"/m/{evil}.mp3", "rock", 0.5, details=Details(evil, evil))
    html = map_page([(track, (0.5, 0.5))], title=evil)
    assert html.count("</script>") == 1
    assert "alert(1)</script>" not in html
    assert map_page([]).count("</script>") == 1
