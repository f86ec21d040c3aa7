"""The library over HTTP: find tracks, play, hear and correct them, make lists of them; runs and their reports."""

from __future__ import annotations

import csv
import inspect
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

import earmark
from bundles import tiny_bundle
from earmark.runs import load_run
from music import RATE, piece
from serving import Server, served
from simulated_run import simulate
from sounds import by_name, make


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scanned folder of six pieces of several kinds, and two runs, one of them damaged."""
    folder = tmp_path_factory.mktemp("served")
    tiny_bundle(folder / "tiny.earmark")
    (folder / "music").mkdir()
    for seed in range(3):
        make(folder / "music", by_name("mp3"), piece(seed, 6.0), RATE, f"Pièce {seed}")
    make(folder / "music", by_name("flac"), piece(3, 6.0), RATE, "piece 3")
    make(folder / "music", by_name("mp4", "aac"), piece(4, 6.0), RATE, "piece 4")
    make(folder / "music", by_name("aiff"), piece(5, 6.0), RATE, "piece 5")
    (folder / "music" / "bad.mp3").write_bytes(b"")
    with earmark.Library(folder / "c.db") as library:
        library.scan(folder / "music", bundle=folder / "tiny.earmark", jobs=1)
    (folder / "spool").mkdir()
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    with served(place / "spool", bundle=place / "tiny.earmark", catalogue=place / "c.db") as running:
        yield running


@pytest.fixture
def library(place: Path) -> Iterator[earmark.Library]:
    with earmark.Library(place / "c.db", create=False) as opened:
        yield opened


def get(server: Server, path: str, status: int = 200, **options: Any) -> Any:
    answer = server.client.get(f"/v1/{path}", params=options)
    assert answer.status_code == status, answer.text
    return answer.json()


def number_of(server: Server, name: str) -> int:
    [number] = [track["id"] for track in get(server, "tracks")["tracks"] if Path(track["path"]).stem == name]
    return int(number)


def test_tracks_are_found_sorted_and_paged(server: Server, library: earmark.Library) -> None:
    everything = get(server, "tracks")
    assert everything["total"] == 6
    assert [track["path"] for track in everything["tracks"]] == [track.path for track in library.tracks()]
    for row, track in zip(everything["tracks"], library.tracks(), strict=True):
        assert row == {"id": track.id, "name": track.name, **track.to_dict()}
        assert get(server, f"tracks/{track.id}") == row
    falling = get(server, "tracks", sort="-confidence", limit=4)["tracks"]
    rest = get(server, "tracks", sort="-confidence", limit=4, offset=4)["tracks"]
    values = [track["confidence"] for track in falling + rest]
    assert values == sorted(values, reverse=True)
    assert len({track["id"] for track in falling + rest}) == 6
    assert get(server, "tracks", search="PIECE")["total"] == 6
    assert get(server, "tracks", search="pièce")["total"] == 6
    assert get(server, "tracks", search="3.flac PIE")["total"] == 1
    assert get(server, "tracks", search="%")["total"] == 0
    label = everything["tracks"][0]["label"]
    same = get(server, "tracks", label=label)
    assert same["total"] == sum(track["label"] == label for track in everything["tracks"])
    assert get(server, "tracks", min_confidence=1.0, unsure=True)["total"] == 0
    assert get(server, "tracks", under="/nowhere")["total"] == 0


def test_stats_and_what_is_not_there(server: Server, library: earmark.Library) -> None:
    stats = get(server, "stats")
    assert stats["tracks"] == library.stats().tracks == 6
    assert stats["failed"] == {"empty": 1}
    [failed] = library.errors()
    for number in (0, 10**30, "x"):
        get(server, f"tracks/{number}", 422)
    for number in (999, failed.id, 2**63 - 1):
        said = get(server, f"tracks/{number}", 404)
        assert str(number) in said["detail"]
        get(server, f"tracks/{number}/audio", 404)
    for wrong in ({"sort": "size"}, {"limit": 0}, {"offset": -1}, {"min_confidence": 2}, {"labels": "x"}):
        get(server, "tracks", 422, **wrong)


def test_a_track_is_played_in_parts(server: Server) -> None:
    number = number_of(server, "Pièce 1")
    whole = server.client.get(f"/v1/tracks/{number}/audio")
    assert whole.headers["content-type"] == "audio/mpeg"
    assert whole.headers["accept-ranges"] == "bytes"
    content = Path(get(server, f"tracks/{number}")["path"]).read_bytes()
    assert whole.content == content

    def part(text: str) -> httpx.Response:
        return server.client.get(f"/v1/tracks/{number}/audio", headers={"range": text})

    for text, expected in (("bytes=0-9", content[:10]), ("bytes=100-", content[100:]), ("bytes=-7", content[-7:])):
        answer = part(text)
        assert answer.status_code == 206
        assert answer.content == expected
        assert answer.headers["content-range"].endswith(f"/{len(content)}")
    for text in (f"bytes={len(content)}-", "bytes=99999999999999999999999-", "bytes=-0"):
        answer = part(text)
        assert answer.status_code == 416
        assert answer.headers["content-range"] == f"bytes */{len(content)}"
    for text in ("bytes=9-5", "bytes=-", "lines=1-2", "bytes=a-b"):
        assert part(text).status_code == 400


def test_what_browsers_do_not_play_becomes_wav(server: Server) -> None:
    for name, kind in (("piece 3", "audio/flac"), ("piece 4", "audio/mp4"), ("piece 5", "audio/wav")):
        answer = server.client.get(f"/v1/tracks/{number_of(server, name)}/audio")
        assert answer.headers["content-type"] == kind, name
    samples, rate = soundfile.read(io.BytesIO(answer.content))
    assert rate == RATE
    assert np.abs(samples - piece(5, 6.0)).max() < 1e-3
    number = number_of(server, "piece 4")
    wav = server.client.get(f"/v1/tracks/{number}/audio?format=wav", headers={"range": "bytes=0-3"})
    assert (wav.status_code, wav.content) == (206, b"RIFF")
    kept = server.context.spool.used
    assert kept > 2 * 6 * RATE * 2
    server.client.get(f"/v1/tracks/{number}/audio?format=wav")
    assert server.context.spool.used == kept, "it was turned into WAV once"


def test_a_track_is_heard_again(server: Server, library: earmark.Library, place: Path) -> None:
    number = number_of(server, "piece 3")
    [track] = library.by_id(number)
    answer = server.client.post(f"/v1/tracks/{number}/classify?timeline=true&spectrogram=true")
    row = answer.json()
    assert row["path"] == track.path
    heard = earmark.classify(track.path, bundle=place / "tiny.earmark", full=True)
    assert row["probabilities"] == heard.probabilities
    assert row["spectrogram"]["png"].startswith("data:image/png")


def test_a_correction_is_kept_counted_and_taken_back(server: Server, place: Path) -> None:
    number = number_of(server, "Pièce 0")
    heard = get(server, f"tracks/{number}")
    put = server.client.put(f"/v1/tracks/{number}/correction", json={"label": "bossa nova"})
    assert put.status_code == 200, put.text
    assert put.json() == {**heard, "correction": "bossa nova"}
    assert get(server, "tracks", corrected=True)["total"] == get(server, "tracks")["corrections"] == 1
    assert get(server, "tracks", label=["bossa nova", "nothing"])["tracks"] == [put.json()]
    manifest = server.client.get("/v1/corrections")
    assert manifest.headers["content-type"].startswith("text/csv")
    [row] = csv.DictReader(io.StringIO(manifest.text, newline=""))
    assert (row["path"], row["label"]) == (heard["path"], "bossa nova")
    with earmark.Library(place / "c.db", create=False) as library:
        assert [track.correction for track in library.corrections()] == ["bossa nova"]
    for wrong in ({"label": ""}, {"label": "x" * 101}, {"label": "two\nlines"}, {"label": 3}, {}, {"lable": "jazz"}):
        answer = server.client.put(f"/v1/tracks/{number}/correction", json=wrong)
        assert answer.status_code in (200, 422)
        assert (answer.status_code == 200) == (wrong == {"label": "two\nlines"})
    assert server.client.put(f"/v1/tracks/{number}/correction", content=b"{").status_code == 415
    headers = {"content-type": "application/json"}
    assert server.client.put(f"/v1/tracks/{number}/correction", content=b"{", headers=headers).status_code == 400
    huge = b'{"label": "' + b"x" * 2_000_000 + b'"}'
    assert server.client.put(f"/v1/tracks/{number}/correction", content=huge, headers=headers).status_code == 413
    assert server.client.put("/v1/tracks/999/correction", json={"label": "jazz"}).status_code == 404
    assert server.client.delete(f"/v1/tracks/{number}/correction").json() == heard
    assert get(server, "tracks")["corrections"] == 0


def test_similar_tracks_by_number_and_by_upload(server: Server, library: earmark.Library, tmp_path: Path) -> None:
    number = number_of(server, "Pièce 1")
    [seed] = library.by_id(number)
    answer = server.client.post("/v1/similar", json={"tracks": [number], "n": 3})
    found = answer.json()["tracks"]
    assert [(row["path"], row["score"]) for row in found] == [
        (match.track.path, match.score) for match in library.similar(seed.path, n=3)
    ]
    # The same sound under another name is recognised, and left out.
    with open(seed.path, "rb") as file:
        answer = server.client.post("/v1/similar", params={"n": 5}, files={"file": ("other.mp3", file)})
    assert answer.status_code == 200, answer.text
    assert seed.path not in [row["path"] for row in answer.json()["tracks"]]
    assert len(answer.json()["tracks"]) == 5
    soundfile.write(tmp_path / "new.wav", piece(9, 8.0), RATE)
    with open(tmp_path / "new.wav", "rb") as file:
        answer = server.client.post("/v1/similar", params={"n": 2}, files={"file": ("new.wav", file)})
    expected = library.similar(tmp_path / "new.wav", n=2, bundle=server.context.settings.bundle)
    assert [row["path"] for row in answer.json()["tracks"]] == [match.track.path for match in expected]
    away = number_of(server, "Pièce 2")
    [far] = library.by_id(away)
    expected = library.similar(seed.path, minus=[far.path], n=3)
    answer = server.client.post("/v1/similar", json={"tracks": [number], "minus": [away], "n": 3})
    assert [row["score"] for row in answer.json()["tracks"]] == [match.score for match in expected]
    assert far.path not in [row["path"] for row in answer.json()["tracks"]]
    answer = server.client.post("/v1/playlist", json={"tracks": [number], "minus": [away], "n": 3})
    assert {row["path"] for row in answer.json()["tracks"]} == {match.track.path for match in expected}
    with open(tmp_path / "new.wav", "rb") as file:
        asked = {"n": 3, "minus": [away, number]}
        answer = server.client.post("/v1/similar", params=asked, files={"file": ("new.wav", file)})
    assert answer.status_code == 200, answer.text
    assert not {far.path, seed.path} & {row["path"] for row in answer.json()["tracks"]}
    for status, body in (
        (404, {"tracks": [999]}),
        (404, {"tracks": [number], "minus": [999]}),
        (422, {"tracks": []}),
        (422, {"tracks": ["x"]}),
        (422, {"tracks": [1], "n": 0}),
        (422, {"seeds": [1]}),
    ):
        assert server.client.post("/v1/similar", json=body).status_code == status
    assert server.client.post("/v1/similar", files={"file": ("a.mp3", b"text")}).json()["problem"] == "not-audio"
    assert server.client.post("/v1/similar", content=b"x").status_code == 415


def test_searches_have_the_same_options_everywhere() -> None:
    from earmark.cli import similar as commands
    from earmark.server.routes.lists import PlaylistRequest, SimilarRequest

    for name, body, files in (
        ("similar", SimilarRequest, set()),
        ("playlist", PlaylistRequest, {"output", "absolute"}),
    ):
        python = set(inspect.signature(getattr(earmark.Library, name)).parameters)
        command = set(inspect.signature(getattr(commands, name)).parameters)
        # A list as it is needs no search: on a page, the user's own order is sent back for the file.
        http = set(body.model_fields) - {"list"}
        assert python - {"self", "seeds", "bundle", "hear", "progress"} == http - {"tracks"}
        assert (
            python - {"self", "seeds", "hear", "progress"}
            == command - {"tracks", "songs", "catalogue", "as_json"} - files
        )


def test_playlists_in_both_forms(server: Server, library: earmark.Library) -> None:
    tracks = list(library.tracks())
    first, last = tracks[0], tracks[-1]

    def paths(body: dict[str, Any]) -> list[str]:
        answer = server.client.post("/v1/playlist", json=body)
        assert answer.status_code == 200, answer.text
        return [row["path"] for row in answer.json()["tracks"]]

    way = library.playlist(first.path, to=last.path, n=4)
    assert paths({"tracks": [first.id], "to": last.id, "n": 4}) == [match.track.path for match in way]
    like = library.playlist(first.path, n=3)
    assert paths({"tracks": [first.id], "n": 3}) == [match.track.path for match in like]
    mood = library.playlist(mood="bass:0.7,hiss:0.3", n=3)
    assert paths({"mood": "bass:0.7,hiss:0.3", "n": 3}) == [match.track.path for match in mood]
    assert paths({"mood": {"bass": 0.7, "hiss": 0.3}, "n": 3}) == [match.track.path for match in mood]
    assert paths({"list": [last.id, first.id]}) == [last.path, first.path]
    for ask in ({"headers": {"accept": "audio/x-mpegurl"}}, {"params": {"format": "m3u8"}}):
        answer = server.client.post("/v1/playlist", json={"list": [last.id, first.id]}, **ask)
        assert answer.headers["content-type"].startswith("audio/x-mpegurl")
        lines = answer.text.splitlines()
        assert lines[0] == "#EXTM3U"
        assert [line for line in lines if not line.startswith("#")] == [last.path, first.path]
    for status, body in (
        (422, {}),
        (422, {"mood": "polka"}),
        (422, {"mood": ":::"}),
        (422, {"mood": {"bass": 0.0}}),
        (422, {"mood": {"bass": -1.0, "hiss": 1.0}}),
        (422, {"mood": "bass", "tracks": [first.id]}),
        (422, {"tracks": [first.id, last.id], "to": last.id}),
        (422, {"list": [first.id], "mood": "bass"}),
        (404, {"tracks": [first.id], "to": 999}),
        (404, {"list": [999]}),
    ):
        answer = server.client.post("/v1/playlist", json=body)
        assert answer.status_code == status, (body, answer.text)


def test_the_map_as_page_and_as_points(server: Server) -> None:
    page = server.client.get("/v1/map")
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-scripts;")
    assert "allow-same-origin" not in policy
    assert "frame-ancestors 'self'" in policy
    assert "piece 3" in page.text
    for ask in ({"params": {"format": "json"}}, {"headers": {"accept": "application/json"}}):
        points = server.client.get("/v1/map", **ask).json()["points"]
        assert len(points) == 6
        assert all(0 <= point["x"] <= 1 and 0 <= point["y"] <= 1 for point in points)
    # A change of the library changes the map.
    number = points[0]["id"]
    server.client.put(f"/v1/tracks/{number}/correction", json={"label": "polka"})
    after = server.client.get("/v1/map", params={"format": "json"}).json()["points"]
    assert [point["correction"] for point in after if point["id"] == number] == ["polka"]
    server.client.delete(f"/v1/tracks/{number}/correction")


def test_a_track_whose_file_is_gone_is_told(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "music", tmp_path / "music")
    with earmark.Library(tmp_path / "c.db") as library:
        library.scan(tmp_path / "music", bundle=place / "tiny.earmark", jobs=1)
        tracks = list(library.tracks())
    for track in tracks:
        Path(track.path).unlink()
    with served(tmp_path, bundle=place / "tiny.earmark", catalogue=tmp_path / "c.db") as server:
        for track in tracks:
            for answer in (
                server.client.get(f"/v1/tracks/{track.id}/audio"),
                server.client.post(f"/v1/tracks/{track.id}/classify"),
            ):
                assert answer.status_code in (404, 422)
                assert Path(track.path).name in answer.json()["detail"]


def test_without_a_library_each_says_so(place: Path, tmp_path: Path) -> None:
    with served(tmp_path, bundle=place / "tiny.earmark", catalogue=tmp_path / "no.db") as server:
        for path in ("tracks", "tracks/1", "tracks/1/audio", "stats", "map", "corrections"):
            assert "earmark scan" in get(server, path, 404)["detail"]
        for path, body in (("similar", {"tracks": [1]}), ("playlist", {"mood": "bass"})):
            assert server.client.post(f"/v1/{path}", json=body).status_code == 404
        assert "--runs" in get(server, "runs", 404)["detail"]
        assert not (tmp_path / "no.db").exists()
        (tmp_path / "no.db").write_bytes(b"no database at all")
        assert get(server, "tracks", 503)["type"] == "urn:earmark:problem:unavailable"


def test_runs_side_by_side_with_their_reports(place: Path, tmp_path: Path) -> None:
    simulate(tmp_path / "runs" / "deep" / "artist 5")
    simulate(tmp_path / "runs" / "broken")
    (tmp_path / "runs" / "broken" / "predictions.csv").write_text("nonsense\n")
    (tmp_path / "secret.html").write_text("secret")
    with served(tmp_path, bundle=place / "tiny.earmark", runs=tmp_path / "runs") as server:
        broken, good = get(server, "runs")["runs"]
        assert broken["name"] == "broken"
        assert "predictions.csv" in broken["error"]
        run = load_run(tmp_path / "runs" / "deep" / "artist 5")
        assert run.metrics is not None
        assert good["name"] == "deep/artist 5"
        assert good["model"] == run.model
        assert good["accuracy"]["value"] == run.metrics["accuracy"]["value"]
        assert good["clips"] == len(run.clips)
        report = server.client.get("/v1/runs/deep/artist%205/report")
        assert report.status_code == 200
        assert "<html" in report.text
        assert report.headers["content-security-policy"].startswith("sandbox")
        assert server.client.get("/v1/runs/broken/report").status_code == 503
        for name in ("none", "..", "../secret.html", "%2e%2e", "deep", "/etc"):
            assert server.client.get(f"/v1/runs/{name}/report").status_code == 404, name
