"""What goes on for a while over HTTP: batch jobs with events, and live sound over a WebSocket."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import soundfile

import earmark
from bundles import LABELS, tiny_bundle
from music import RATE, piece
from serving import Server, Socket, events, served


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("live")
    tiny_bundle(folder / "tiny.earmark")
    for seed in range(2):
        soundfile.write(folder / f"{seed}.wav", piece(seed, 4.0), RATE)
    (folder / "spool").mkdir()
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    options = {"max_jobs": 2, "max_job_files": 4, "max_listeners": 1}
    with served(place / "spool", bundle=place / "tiny.earmark", **options) as running:
        yield running


def start(server: Server, place: Path, *names: str, **options: Any) -> httpx.Response:
    files = [("files", (name, (place / name).read_bytes() if name.endswith("wav") else b"text")) for name in names]
    return server.client.post("/v1/jobs", files=files, params=options)


def follow(server: Server, number: str, **headers: str) -> list[tuple[int, str, Any]]:
    with server.client.stream("GET", f"/v1/jobs/{number}/events", headers=headers) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        return list(events(stream.iter_lines()))


def test_a_job_is_followed_to_its_end(server: Server, place: Path) -> None:
    answer = start(server, place, "0.wav", "notes.txt", "1.wav", top_k=1)
    assert answer.status_code == 202
    job = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    assert job["files"] == ["0.wav", "notes.txt", "1.wav"]
    said = follow(server, job["id"])
    assert [number for number, _, _ in said] == list(range(1, len(said) + 1))
    assert said[0][1:] == ("progress", {"done": 0, "total": 3, "failed": 0})
    assert said[-1][1:] == ("done", {"state": "done", "done": 3, "total": 3, "failed": 1})
    done = [data["done"] for _, name, data in said if name == "progress"]
    assert done == [0, 1, 2, 3]
    rows = {data["place"]: data for _, name, data in said if name in ("result", "failed")}
    assert [name for _, name, data in said if data.get("place") == 1] == ["failed"]
    assert rows[1]["problem"] == "not-audio"
    assert rows[1]["reason"].startswith("notes.txt ")
    heard = earmark.classify(place / "1.wav", bundle=place / "tiny.earmark")
    assert rows[2]["probabilities"] == {heard.label: heard.confidence}
    state = server.client.get(f"/v1/jobs/{job['id']}").json()
    assert state["state"] == "done"
    assert state["results"] == [rows[0], rows[1], rows[2]]
    # Whoever comes back goes on behind what was seen.
    assert follow(server, job["id"], **{"Last-Event-ID": str(said[3][0])}) == said[4:]
    assert follow(server, job["id"], **{"Last-Event-ID": "nonsense"}) == said
    assert server.client.get(f"/v1/jobs/{job['id']}/events?after=999").text == "retry: 2000\n\n"
    assert server.context.spool.used == 0
    assert [path.name for path in server.context.spool.folder.iterdir()] == ["lock"]


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_jobs_give_way_end_and_are_limited(server: Server, place: Path) -> None:
    assert start(server, place, *["0.wav"] * 5).status_code == 413
    assert start(server, place, "0.wav", spectrogram=True).json()["detail"].startswith("spectrogram: ")
    assert server.client.post("/v1/jobs", data={"files": "text"}).status_code == 415
    assert server.client.post("/v1/jobs", files={"file": ("0.wav", b"x")}).status_code == 422
    hearing = server.context.hearing
    worker = hearing._workers[0]._process.pid
    os.kill(worker, 19)
    try:
        jobs = [start(server, place, "0.wav", "1.wav").json() for _ in range(2)]
        refused = start(server, place, "0.wav")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert server.client.delete(f"/v1/jobs/{jobs[1]['id']}").status_code == 204
        for method, tail in (("GET", ""), ("DELETE", ""), ("GET", "/events")):
            assert server.client.request(method, f"/v1/jobs/{jobs[1]['id']}{tail}").status_code == 404
    finally:
        os.kill(worker, 18)
    # A single file comes before what waits of the job.
    with (place / "1.wav").open("rb") as file:
        assert server.client.post("/v1/classify", files={"file": file}).status_code == 200
    assert follow(server, jobs[0]["id"])[-1][1] == "done"
    end = time.monotonic() + 10
    while server.context.spool.used:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert server.client.get("/v1/jobs/none").status_code == 404


def test_old_jobs_are_forgotten(place: Path) -> None:
    """However many jobs there were, what is kept of them is bounded, and the latest is among it."""
    from earmark.server.jobs import _KEPT_JOBS, _KEPT_ROWS, Job, Jobs

    jobs = Jobs(None, None)  # type: ignore[arg-type]
    now = time.time()
    for number in range(100):
        jobs._jobs[str(number)] = Job(str(number), ["x"] * 100, now, "done", ended=now - 100 + number)
    jobs._jobs["old"] = Job("old", ["x"], now, "done", ended=now - 4000)
    jobs._jobs["running"] = Job("running", ["x"], now - 9000)
    assert jobs.get("99") is not None
    assert jobs.get("old") is None
    assert jobs.get("running") is not None
    assert len(jobs._jobs) == 1 + min(_KEPT_JOBS, _KEPT_ROWS // 100)


def test_live_sound_is_named_every_second(server: Server, place: Path) -> None:
    """The moments and the whole answer are those of earmark.Listener and of the file."""
    samples = piece(5, 7.5)
    listener = earmark.Listener(place / "tiny.earmark", sample_rate=RATE)
    expected = [moment.to_dict() for moment in listener.feed(samples)]
    whole = listener.finish(name="live sound").to_dict(timeline=True)
    with Socket(server.host) as socket:
        socket.say({"sample_rate": RATE, "format": "f32le"})
        ready = socket.hear()
        assert ready is not None
        assert ready["labels"] == list(LABELS)
        data = samples.astype("<f4").tobytes()
        rng = np.random.default_rng(0)
        while data:
            # Blocks of any size, that end within samples too.
            size = int(rng.integers(1, 40_000))
            socket.say(data[:size])
            data = data[size:]
        socket.say({"end": True})
        moments = []
        while (said := socket.hear()) is not None and "whole" not in said:
            assert 0 <= said.pop("latency_ms") < 20_000
            moments.append(said)
        assert moments == expected
        assert [moment["at"] for moment in moments] == [1, 2, 3, 4, 5, 6, 7]
        assert said is not None
        bundle = said["whole"].pop("bundle")
        assert bundle == server.context.bundle.id
        assert said["whole"] == json.loads(json.dumps(whole))
        assert socket.hear() is None
        assert socket.closed == 1000
    _until_free(server)


def test_live_sound_of_other_kinds(server: Server) -> None:
    _until_free(server)
    with Socket(server.host) as socket:
        socket.say({"sample_rate": 48000, "format": "s16le", "channels": 2, "every": 0.5, "top_k": 2})
        socket.hear()
        stereo = np.repeat((piece(1, 5.0) * 32767).astype("<i2"), 2)
        socket.say(stereo.tobytes())
        said = socket.hear()
        assert said is not None
        assert said["at"] == 0.5
        assert said["problem"] == "too-short"
        assert (socket.hear() or {})["problem"] is None
        named = socket.hear()
        assert named is not None
        assert named["at"] == 1.5
        assert len(named["probabilities"]) == 2


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (["no json"], "Begin with a message"),
        ([{"format": "f32le"}], "sample_rate"),
        ([{"sample_rate": 44100, "format": "mp3"}], "format"),
        ([{"sample_rate": 44100, "chanels": 2}], "chanels"),
        ([{"sample_rate": 10}], "sample rate"),
        ([{"sample_rate": 44100, "span": 1000}], "rest on"),
        ([b"\x00" * 100], "the JSON"),
        ([{"sample_rate": 44100}, "hello"], "come samples"),
        ([{"sample_rate": 44100}, {"end": True}], "sound"),
    ],
)
def test_live_mistakes_are_told_and_end_it(server: Server, messages: list[Any], words: str) -> None:
    _until_free(server)
    with Socket(server.host) as socket:
        for message in messages:
            socket.say(message)
        said = socket.hear()
        while said is not None and "ready" in said:
            said = socket.hear()
        assert said is not None
        assert said["type"].startswith("urn:earmark:problem:")
        assert words in said["detail"]
        assert socket.hear() is None
        assert socket.closed == 1008


def test_live_connections_are_limited_and_freed(server: Server) -> None:
    _until_free(server)
    with Socket(server.host) as first:
        first.say({"sample_rate": RATE})
        assert first.hear() is not None
        with Socket(server.host) as second:
            said = second.hear()
            assert said is not None
            assert said["status"] == 503
            assert second.hear() is None
            assert second.closed == 1013
    _until_free(server)
    with Socket(server.host) as third:
        third.say({"sample_rate": RATE})
        assert "ready" in (third.hear() or {})


def _until_free(server: Server) -> None:
    """Until the server has noticed that earlier connections are gone."""
    end = time.monotonic() + 10
    while server.context.listeners:
        assert time.monotonic() < end
        time.sleep(0.01)
