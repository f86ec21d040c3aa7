"""Who may talk to the server, and what it leaves behind, however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles import tiny_bundle
from earmark.errors import InputError
from earmark.server.app import create_app
from earmark.server.run import listen
from earmark.server.security import session_of
from earmark.server.settings import Settings
from earmark.server.spool import PREFIX, Spool, sweep
from earmark.server.uploads import display_name, known_suffix
from music import RATE, piece
from serving import Process, Server, Socket, served

TOKEN = "a-long-secret"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("guard")
    tiny_bundle(folder / "tiny.earmark")
    soundfile.write(folder / "song.wav", piece(0, 4.0), RATE)
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[Server]:
    with served(place, bundle=place / "tiny.earmark") as running:
        yield running


@pytest.fixture(scope="module")
def locked(place: Path) -> Iterator[Server]:
    with served(place, bundle=place / "tiny.earmark", token=TOKEN) as running:
        yield running


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "192.168.0.7", "localhost:x", "", "[::1", "a:b:c", "0"]
)
def test_other_hosts_are_refused(server: Server, host: str) -> None:
    answer = server.client.get("/v1/about", headers={"host": host})
    assert answer.status_code in (400, 421)
    if host:
        assert answer.json()["type"] == "urn:earmark:problem:wrong-host"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:1234", "[::1]:8765", "LOCALHOST"])
def test_own_hosts_are_not(server: Server, host: str) -> None:
    assert server.client.get("/v1/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors", "sec-fetch-dest": "image"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"},
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
    ],
)
def test_pages_of_others_are_refused(server: Server, headers: dict[str, str]) -> None:
    for method, path in (("GET", "/v1/about"), ("POST", "/v1/classify"), ("OPTIONS", "/v1/classify")):
        answer = server.client.request(method, path, headers=headers)
        assert answer.status_code == 403, (method, path)
        assert "access-control-allow-origin" not in answer.headers


def test_the_own_page_and_links_to_it_are_answered(server: Server) -> None:
    own = {"origin": server.address.rstrip("/"), "sec-fetch-site": "same-origin"}
    assert server.client.get("/v1/about", headers=own).status_code == 200
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert server.client.get("/", headers=link).status_code in (200, 404)


def test_every_answer_carries_its_policy(server: Server) -> None:
    for path in ("/v1/about", "/v1/none", "/metrics", "/v1/openapi.json"):
        answer = server.client.get(path)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in answer.headers
    assert server.client.get("/docs").status_code == 404


@pytest.mark.parametrize("path", ["/static/../settings.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/../x"])
def test_no_path_leads_out_of_the_page(server: Server, path: str) -> None:
    import socket

    host, port = server.host.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {server.host}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404")


def test_a_token_is_wanted_everywhere_else(locked: Server) -> None:
    client = locked.client
    for path in ("/v1/health", "/v1/ready"):
        assert client.get(path).status_code in (200, 503)
    for path in ("/v1/about", "/v1/tracks", "/metrics", "/v1/openapi.json", "/v1/map", "/v1/jobs/x/events"):
        answer = client.get(path)
        assert answer.status_code == 401, path
        assert answer.headers["www-authenticate"].startswith("Bearer")
    for value in (f"Bearer {TOKEN}x", f"Bearer {TOKEN[:-1]}", "Bearer", f"Basic {TOKEN}", TOKEN, "Bearer \xe9"):
        wrong = client.get("/v1/about", headers={"authorization": value.encode("latin-1")})
        assert wrong.status_code == 401
    assert client.get("/v1/about", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert client.get(f"/v1/about?token={TOKEN}").status_code == 401, "a query is seen by too many"


def test_the_page_gets_a_cookie_for_the_token(locked: Server) -> None:
    for ask in (
        lambda client: client.get(f"/?token={TOKEN}"),
        lambda client: client.post("/v1/session", headers={"authorization": f"Bearer {TOKEN}"}),
    ):
        with httpx.Client(base_url=locked.address) as client:
            answer = ask(client)
            assert answer.status_code in (303, 204)
            cookie = answer.headers["set-cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=strict" in cookie
            assert TOKEN not in cookie
            assert client.get("/v1/about").status_code == 200
    with httpx.Client(base_url=locked.address) as client:
        assert "set-cookie" not in client.get("/?token=wrong-secret").headers
        assert client.post("/v1/session", headers={"authorization": "Bearer wrong"}).status_code == 401


def test_live_sound_is_guarded_too(server: Server, locked: Server) -> None:
    with Socket(server.host) as socket:
        assert socket.accepted
    for headers in ((("Origin", "http://evil.example"),), (("Sec-Fetch-Site", "cross-site"),)):
        with Socket(server.host, headers=headers) as socket:
            assert socket.status == 403
    with Socket(locked.host) as socket:
        assert socket.status == 403
    with Socket(locked.host, headers=(("Authorization", f"Bearer {TOKEN}"),)) as socket:
        assert socket.accepted
    with Socket(locked.host, headers=(("Cookie", f"earmark-token={session_of(TOKEN)}"),)) as socket:
        assert socket.accepted


def test_other_machines_only_on_purpose() -> None:
    with pytest.raises(InputError, match="--allow-remote"):
        Settings(host="0.0.0.0")
    with pytest.raises(InputError, match="guessed"):
        Settings(token="abc")
    with pytest.raises(InputError, match="ASCII"):
        Settings(token="ein langes Geheimnis")


def test_a_remote_server_answers_addresses_and_its_own_names(place: Path) -> None:
    import socket

    options = {"host": "0.0.0.0", "allow_remote": True, "allow_hosts": ("music.lan",)}
    with served(place, bundle=place / "tiny.earmark", **options) as s:
        for host in ("192.168.0.7:8765", "[fe80::1]:1", socket.gethostname(), "music.lan", "127.0.0.1"):
            assert s.client.get("/v1/health", headers={"host": host}).status_code == 200, host
        assert s.client.get("/v1/health", headers={"host": "rebound.example"}).status_code == 421


@given(st.text())
@settings(max_examples=300, deadline=None)
def test_any_name_is_one_harmless_line(name: str) -> None:
    shown = display_name(name)
    assert shown
    assert shown.isprintable()
    assert "/" not in shown
    assert len(shown) <= 255
    assert known_suffix(shown) in {"", Path(shown).suffix.lower()}


def test_the_spool_is_private_bounded_and_swept(tmp_path: Path) -> None:
    stranger = tmp_path / (PREFIX + "linked")
    (tmp_path / "elsewhere").mkdir()
    stranger.symlink_to(tmp_path / "elsewhere")
    with Spool(100, tmp_path) as spool:
        assert oct(spool.folder.stat().st_mode & 0o777) == "0o700"
        assert spool.new(".mp3").parent == spool.folder
        assert spool.take(60)
        assert not spool.take(41)
        (spool.folder / "file").write_bytes(b"x")
        assert sweep(tmp_path) == [], "it is in use"
        assert spool.folder.is_dir()
    assert not spool.folder.exists()
    left = tmp_path / (PREFIX + "left")
    left.mkdir()
    (left / "lock").touch()
    (left / "upload").write_bytes(b"x")
    assert sweep(tmp_path) == [left]
    assert stranger.is_symlink()
    assert (tmp_path / "elsewhere").is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_after_a_kill_it_starts_clean(place: Path, tmp_path: Path) -> None:
    """Killed while a job runs and an upload comes in: no process stays, and the next server removes the files."""
    with Process(tmp_path, "--bundle", str(place / "tiny.earmark"), "--jobs", "1") as first:
        server = psutil.Process(first.process.pid)
        with httpx.Client(base_url=first.address, timeout=30) as client:
            while client.get("/v1/ready").status_code != 200:
                time.sleep(0.05)
            workers = server.children()
            assert len(workers) == 1
            # Stopped, so that the job is surely not done.
            workers[0].suspend()
            files = [("files", ("song.wav", (place / "song.wav").read_bytes())) for _ in range(3)]
            job = client.post("/v1/jobs", files=files).json()
            assert job["state"] == "running"
            assert len(list(tmp_path.rglob("*.wav"))) == 3

            def body() -> Iterator[bytes]:
                yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\nabc'
                server.kill()
                yield b"def"

            with pytest.raises(httpx.TransportError):
                client.post(
                    "/v1/classify", content=body(), headers={"content-type": "multipart/form-data; boundary=b"}
                )
        first.process.wait(10)
        workers[0].resume()
        assert psutil.wait_procs(workers, timeout=20)[1] == [], "a worker outlived its server"
    [folder] = tmp_path.glob(PREFIX + "*")
    with Process(tmp_path, "--bundle", str(place / "tiny.earmark"), "--jobs", "1") as second:
        assert not folder.exists()
        assert len(list(tmp_path.glob(PREFIX + "*"))) == 1
        answer = httpx.get(second.address + f"v1/jobs/{job['id']}")
        assert answer.status_code == 404
        second.process.send_signal(signal.SIGINT)
        _, err = second.process.communicate(timeout=20)
        assert second.process.returncode == 0, err
        assert err == ""
    assert list(tmp_path.glob(PREFIX + "*")) == []


def test_what_keeps_it_from_starting_is_told(place: Path, server: Server) -> None:
    with pytest.raises(InputError, match="Choose another with --port"):
        listen("127.0.0.1", int(server.host.split(":")[1]))
    with pytest.raises(InputError, match="no host"):
        listen("no such host", 0)
    with pytest.raises(InputError, match="There is no bundle"):
        create_app(Settings(bundle=place / "none.earmark"))
    with pytest.raises(InputError, match="no folder"):
        Settings(runs=place / "none")
    command = [sys.executable, "-c", "from earmark.cli import main; main()", "serve", "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "--allow-remote" in done.stderr


def test_a_worker_that_cannot_start_is_no_silence(place: Path, tmp_path: Path) -> None:
    """The bundle goes away under the server: requests are refused with the reason, and it recovers by itself."""
    bundle = tmp_path / "tiny.earmark"
    bundle.write_bytes((place / "tiny.earmark").read_bytes())
    with served(tmp_path, bundle=bundle) as server:
        hearing = server.context.hearing
        _until(lambda: hearing.ready is not None)
        content = bundle.read_bytes()
        bundle.unlink()
        process = hearing._workers[0]._process
        process.kill()
        process.wait(20)
        files = {"file": ("song.wav", (place / "song.wav").read_bytes())}
        answers: list[httpx.Response] = []
        thread = threading.Thread(target=lambda: answers.append(server.client.post("/v1/classify", files=files)))
        thread.start()
        thread.join(30)
        assert answers[0].status_code == 503
        assert "bundle" in answers[0].json()["detail"]
        bundle.write_bytes(content)
        _until(lambda: server.client.post("/v1/classify", files=files).status_code == 200)


def _until(true: object, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)
