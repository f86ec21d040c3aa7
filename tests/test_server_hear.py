"""Hearing over HTTP: the same answers under the same names as the command line and Python; whatever is sent."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import threading
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
from commands import command
from earmark.library.worker import DEFAULT_WINDOWS
from earmark.server.options import HearOptions
from music import RATE, piece
from serving import Server, served
from sounds import by_name, make


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hear")
    tiny_bundle(folder / "tiny.earmark")
    (folder / "spool").mkdir()
    long = np.concatenate([piece(0, 30.0), piece(1, 50.0), piece(2, 45.0)])
    soundfile.write(folder / "long.flac", long, RATE)
    make(folder, by_name("mp3"), piece(3, 6.0), RATE, "short")
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    options = {"bundle": place / "tiny.earmark", "max_upload": 8.0, "max_seconds": 200.0, "time_limit": 30.0}
    with served(place / "spool", **options, upload_seconds=1.0) as running:
        yield running


def send(server: Server, path: Path, name: str | None = None, **options: Any) -> httpx.Response:
    with path.open("rb") as file:
        return server.client.post("/v1/classify", files={"file": (name or path.name, file)}, params=options)


def spooled(place: Path) -> list[Path]:
    return [path for path in (place / "spool").rglob("*") if path.is_file() and path.name != "lock"]


OPTIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"timeline": True, "top_k": 2}, ["--timeline", "--top-k", "2"]),
    ({"windows": 1, "timeline": True}, ["--timeline", "--windows", "1"]),
    ({"windows": 1, "music": False}, ["--windows", "1", "--no-music"]),
]


@pytest.mark.parametrize(("options", "arguments"), OPTIONS)
def test_three_faces_one_answer(server: Server, place: Path, options: dict[str, Any], arguments: list[str]) -> None:
    names = ["long.flac", "short.mp3"]
    words = ["classify", *names, *arguments, "--format", "json", "--bundle", "tiny.earmark", "--jobs", "1"]
    done = command(*words, cwd=place)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    full = options.get("timeline", False) and "windows" not in options
    classifier = earmark.Classifier(place / "tiny.earmark")
    for name, row in zip(names, rows, strict=True):
        answer = send(server, place / name, **options)
        assert answer.status_code == 200, answer.text
        assert answer.json() == row
        assert (row["loudness"] is None) == (not options.get("music", True))
        heard = classifier.classify(
            place / name, windows=options.get("windows", DEFAULT_WINDOWS), full=full, music=options.get("music", True)
        )
        python = heard.to_dict(top_k=options.get("top_k"), timeline=options.get("timeline", False))
        assert {**python, "path": name, "bundle": row["bundle"]} == row


def test_options_have_the_same_names_everywhere() -> None:
    import inspect

    from earmark import predict
    from earmark.cli.classify import classify

    http = set(HearOptions.model_fields)
    # In how many threads a file is decoded changes no answer; whoever runs the server or command says so.
    python = set(inspect.signature(earmark.Classifier.classify).parameters) - {"self", "path", "on_window", "threads"}
    python |= set(inspect.signature(earmark.Prediction.to_dict).parameters) - {"self"}
    assert http - {"spectrogram"} == python
    of_files = {"paths", "form", "output", "bundle", "jobs", "time_limit", "null"}
    # A picture in a line of text is nothing for a terminal; `earmark spectrogram` draws it.
    assert set(inspect.signature(classify).parameters) - of_files == http - {"spectrogram"}
    assert predict.DEFAULT_WINDOWS == DEFAULT_WINDOWS


def test_a_stretch_and_the_embedding(server: Server, place: Path) -> None:
    row = send(server, place / "long.flac", start=30, seconds=50, full=True, embedding=True).json()
    heard = earmark.classify(place / "long.flac", bundle=place / "tiny.earmark", start=30, seconds=50, full=True)
    assert row["heard"] == [list(window) for window in heard.heard]
    assert row["embedding"] == [float(value) for value in heard.embedding]


def test_the_spectrogram_covers_the_stretch(server: Server, place: Path) -> None:
    import base64
    import zlib

    for options, start, seconds in (({}, 0.0, 125.0), ({"start": 100, "seconds": 10}, 100.0, 10.0)):
        picture = send(server, place / "long.flac", spectrogram=True, **options).json()["spectrogram"]
        assert picture["start"] == start
        assert picture["seconds"] == pytest.approx(seconds, abs=2 * seconds / picture["columns"])
        assert 400 < picture["columns"] <= 1500
        head, _, data = picture["png"].partition(",")
        assert head == "data:image/png;base64"
        png = base64.b64decode(data)
        assert struct.unpack(">II", png[16:24]) == (picture["columns"], picture["bins"])
        at = png.index(b"IDAT")
        pixels = zlib.decompress(png[at + 4 : at + 4 + int.from_bytes(png[at - 4 : at])])
        assert len(pixels) == picture["bins"] * (picture["columns"] + 1)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd.mp3", "passwd.mp3"),
        ("/tmp/evil.mp3", "evil.mp3"),
        ("C:\\music\\song.mp3", "song.mp3"),
        ("Björk – Jóga.mp3", "Björk – Jóga.mp3"),
        ("a\x1b[31m\x07.mp3", "a\\x1b[31m\\x07.mp3"),
        ("x" * 3000 + ".mp3", "x" * 251 + ".mp3"),
        ("..", ".."),
    ],
)
def test_names_are_only_shown(server: Server, place: Path, name: str, shown: str) -> None:
    # By hand, as clients escape what is odd.
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="' + name.replace("\\", "\\\\").encode()
    body += b'"\r\n\r\n' + (place / "short.mp3").read_bytes() + b"\r\n--b--\r\n"
    before = set(place.parent.rglob("*"))
    answer = server.client.post(
        "/v1/classify", content=body, headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["path"] == shown
    assert answer.json()["problems"] == []
    assert set(place.parent.rglob("*")) == before
    assert server.context.spool.used == 0


def test_a_wrong_suffix_is_told_as_on_the_command_line(server: Server, place: Path) -> None:
    assert send(server, place / "short.mp3", "short.flac").json()["problems"] == ["wrong-suffix"]
    assert send(server, place / "short.mp3", "short").json()["problems"] == []


def wav_header(seconds: float, rate: int = 44100, channels: int = 2) -> bytes:
    size = int(seconds * rate) * channels * 2
    return (
        b"RIFF" + struct.pack("<I", min(size + 36, 0xFFFFFFFF)) + b"WAVEfmt "
        + struct.pack("<IHHIIHH", 16, 1, channels, rate, rate * channels * 2 & 0xFFFFFFFF, channels * 2, 16)
        + b"data" + struct.pack("<I", min(size, 0xFFFFFFFF))
    )  # fmt: skip


HOSTILE: dict[str, tuple[bytes, set[str]]] = {
    "empty.mp3": (b"", {"empty"}),
    "text.mp3": (b"This is no music.\n" * 100, {"not-audio"}),
    "zeros.wav": (b"\x00" * 5000, {"not-audio"}),
    "page.mp3": (b"<html><script>alert(1)</script></html>", {"not-audio"}),
    "huge.wav": (wav_header(20_000) + b"\x01\x02" * 500, {"truncated", "too-short", "too-long"}),
    "rate.wav": (wav_header(10, rate=0xFFFFFFF0, channels=1) + b"\x01\x02" * 5000, {"damaged", "not-audio"}),
    "channels.wav": (wav_header(1, channels=0) + b"\x01\x02" * 5000, {"damaged", "not-audio"}),
    "atom.m4a": (struct.pack(">I", 24) + b"ftypM4A \x00\x00\x00\x00isom" + b"\xff" * 3000, {"damaged", "truncated"}),
    "list.m3u8": (b"#EXTM3U\nfile:///etc/passwd\n", {"not-audio"}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_cost_a_sentence(server: Server, place: Path, name: str) -> None:
    content, codes = HOSTILE[name]
    for options in ({}, {"full": True, "spectrogram": True}):
        answer = server.client.post("/v1/classify", files={"file": (name, content)}, params=options)
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        said = answer.json()
        assert said["status"] == 422
        assert said["problem"] in codes
        assert name in said["detail"]
        assert str(place) not in said["detail"]
        assert "\n" not in said["detail"]
    assert spooled(place) == []


def test_a_file_that_is_cut_off_is_refused_but_a_stretch_of_it_is_heard(
    server: Server, place: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.flac"
    cut.write_bytes((place / "long.flac").read_bytes()[:600_000])
    for options in ({}, {"full": True}, {"windows": 1}):
        said = send(server, cut, **options).json()
        assert (said["status"], said["problem"]) == (422, "truncated")
        assert "cut.flac is cut off: " in said["detail"]
    assert send(server, cut, start=1, seconds=2).json()["decoded"] == 2.0


def test_too_much_sound_is_refused_not_cut(server: Server, tmp_path: Path) -> None:
    # A little file of much silence, with a note at its end.
    samples = np.zeros(RATE * 300, np.float32)
    samples[-RATE * 40 :] = piece(0, 40.0)
    soundfile.write(tmp_path / "much.flac", samples, RATE)
    for options in ({"full": True}, {"windows": 100}, {"spectrogram": True}):
        said = send(server, tmp_path / "much.flac", **options).json()
        assert said["problem"] == "too-long"
        assert "300 s" in said["detail"]
        assert "200 s" in said["detail"]
    assert send(server, tmp_path / "much.flac", windows=1, start=260).json()["decoded"] == 30.0
    assert send(server, tmp_path / "much.flac", full=True, start=260).status_code == 200


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"windows": 0}, "windows: "),
        ({"windows": "many"}, "windows: "),
        ({"start": -1}, "start: "),
        ({"start": "nan"}, "start: "),
        ({"seconds": 0}, "seconds: "),
        ({"top_k": 0}, "top_k: "),
        ({"widnows": 3}, "widnows: "),
    ],
)
def test_impossible_options_are_named(server: Server, place: Path, options: dict[str, Any], words: str) -> None:
    answer = send(server, place / "short.mp3", **options)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(words)


def test_forms_that_are_none(server: Server) -> None:
    post = server.client.post
    form = {"content-type": "multipart/form-data; boundary=b"}
    good = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nabc\r\n--b--\r\n'
    expected: list[tuple[int, bytes, dict[str, str]]] = [
        (415, good, {"content-type": "audio/wav"}),
        (415, good, {}),
        (415, good, {"content-type": "application/json"}),
        (400, good, {"content-type": "multipart/form-data"}),
        (400, good[:60], form),
        (400, good[:-6], form),
        (400, b"no form at all", form),
        (400, b"--b\r\n\r\nabc\r\n--b--\r\n", form),
        (422, b"--b--\r\n", form),
        (422, good.replace(b'"file"', b'"song"'), form),
        (422, good.replace(b'; filename="a.wav"', b""), form),
        (400, good.replace(b"\r\n\r\n", b"\r\nX: " + b"x" * 20_000 + b"\r\n\r\n", 1), form),
        (413, b"--b\r\n" + good[5:-7] + b"\r\n" + good, form),
    ]
    for status, body, headers in expected:
        answer = post("/v1/classify", content=body, headers=headers)
        assert answer.status_code == status, (body, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert server.context.inside == 0


@pytest.mark.parametrize("declared", [True, False])
def test_too_large_uploads_end_early(server: Server, place: Path, declared: bool) -> None:
    """With a length, the body is not even read; without, it is cut off at the limit."""
    block = b"x" * 65536
    sent = 0

    def body() -> Iterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        while sent < 40_000_000:
            sent += len(block)
            yield block

    headers = {"content-type": "multipart/form-data; boundary=b"} | (
        {"content-length": "90000000"} if declared else {}
    )
    try:
        answer = server.client.post("/v1/classify", content=body(), headers=headers)
    except httpx.RemoteProtocolError:
        pytest.fail("the answer was lost")
    assert answer.status_code == 413
    assert "8 MB" in answer.json()["detail"]
    assert sent < 30_000_000
    assert spooled(place) == []
    assert server.context.spool.used == 0


def test_a_slow_upload_is_given_up(server: Server, place: Path) -> None:
    def body() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nabc'
        time.sleep(2)
        yield b"def"

    answer = server.client.post(
        "/v1/classify", content=body(), headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert answer.status_code == 408
    assert spooled(place) == []


def test_a_client_that_leaves_leaves_nothing(server: Server, place: Path) -> None:
    import socket

    host, port = server.host.split(":")
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST /v1/classify HTTP/1.1\r\nHost: {server.host}\r\nContent-Length: 100000\r\n"
        head += "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        part = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nabc'
        connection.sendall((head + part).encode())
        _until(lambda: server.context.inside == 1)
    _until(lambda: server.context.inside == 0)
    assert spooled(place) == []


@pytest.mark.skipif(not hasattr(os, "kill"), reason="needs signals")
def test_a_killed_worker_costs_one_file(server: Server, place: Path) -> None:
    worker = server.context.hearing._workers[0]
    _until(lambda: worker.ready is not None)
    first = worker._process.pid
    answers: list[httpx.Response] = []
    # Stopped, so that the kill surely comes while the file is heard.
    os.kill(first, 19)
    thread = threading.Thread(target=lambda: answers.append(send(server, place / "short.mp3")))
    thread.start()
    _until(lambda: server.context.hearing.busy == 1)
    time.sleep(0.1)
    os.kill(first, 9)
    thread.join(30)
    assert answers[0].status_code == 422
    assert answers[0].json()["problem"] == "crashed"
    assert "SIGKILL" in answers[0].json()["detail"]
    # The next file has a new worker, and a worker that dies idle is nobody's fault.
    assert send(server, place / "short.mp3").status_code == 200
    idle = worker._process
    second = idle.pid
    os.kill(second, 9)
    # The thread that serves may have noticed already and started another one.
    _until(lambda: idle.poll() is not None)
    assert send(server, place / "short.mp3").status_code == 200
    assert len({first, second, worker._process.pid}) == 3


def test_a_file_that_takes_too_long_is_given_up(place: Path, tmp_path: Path) -> None:
    with served(tmp_path, bundle=place / "tiny.earmark", time_limit=0.5) as server:
        hearing = server.context.hearing
        _until(lambda: hearing.ready is not None)
        os.kill(hearing._workers[0]._process.pid, 19)
        answer = send(server, place / "short.mp3")
        assert answer.status_code == 422
        assert answer.json()["problem"] == "too-slow"
        assert send(server, place / "short.mp3").status_code == 200


@pytest.mark.skipif(sys.platform != "linux", reason="memory limits are set on Linux")
def test_memory_has_a_limit(place: Path) -> None:
    code = (
        "import sys\n"
        "from earmark.library.worker import limit_memory\n"
        "limit_memory(200_000_000)\n"
        "held = bytearray(100_000_000)\n"
        "try:\n    more = bytearray(300_000_000)\n"
        "except MemoryError:\n    sys.exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7


def test_overload_is_told_at_once(place: Path, tmp_path: Path) -> None:
    with served(tmp_path, bundle=place / "tiny.earmark", max_waiting=2) as server:
        worker = server.context.hearing._workers[0]
        _until(lambda: worker.ready is not None)
        os.kill(worker._process.pid, 19)
        answers: list[httpx.Response] = []
        threads = [
            threading.Thread(target=lambda: answers.append(send(server, place / "short.mp3"))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        _until(lambda: server.context.inside == 2)
        refused = send(server, place / "short.mp3")
        assert not answers, "it waited for those before it"
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert server.client.get("/v1/ready").status_code == 503
        assert server.client.get("/v1/health").status_code == 200
        os.kill(worker._process.pid, 18)
        for thread in threads:
            thread.join(30)
        assert [answer.status_code for answer in answers] == [200, 200]
        assert send(server, place / "short.mp3").status_code == 200
        assert "earmark_refused_total 1" in server.client.get("/metrics").text


def test_about_and_metrics_say_what_is(server: Server, place: Path) -> None:
    about = server.client.get("/v1/about").json()
    assert about["version"] == earmark.__version__
    assert tuple(about["model"]["labels"]) == LABELS
    assert about["model"]["window_seconds"] == 30.0
    assert about["limits"]["upload_bytes"] == 8_000_000
    assert about["catalogue"] is False
    before = _measure(server, "earmark_heard_total")
    send(server, place / "short.mp3")
    assert _measure(server, "earmark_heard_total") == before + 1
    text = server.client.get("/metrics").text
    assert 'route="/v1/classify",method="POST",status="200"' in text
    for line in text.splitlines():
        assert line.startswith("#") or len(line.rsplit(" ", 1)) == 2, line
        if not line.startswith("#"):
            float(line.rsplit(" ", 1)[1])


def _measure(server: Server, name: str) -> float:
    [line] = [one for one in server.client.get("/metrics").text.splitlines() if one.startswith(name + " ")]
    return float(line.split()[1])


def _until(true: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)
