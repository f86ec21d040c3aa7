"""A real server on the loopback interface, in a thread or as the process that a person starts; a small WebSocket."""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import httpx
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)

from earmark.server.run import address_of, listen, prepare
from earmark.server.settings import Settings


class Server:
    """A server in this process."""

    def __init__(self, client: httpx.Client, context: Any, address: str) -> None:
        self.client = client
        self.context = context
        self.address = address
        self.host = httpx.URL(address).netloc.decode()


@contextlib.contextmanager
def served(folder: Path, **options: Any) -> Iterator[Server]:
    """Serve in a thread; `folder` is where uploads lie."""
    settings = Settings(**{"port": 0, "jobs": 1, **options})
    sock = listen(settings.host, settings.port)
    began = threading.Event()
    server = prepare(settings, began.set, folder)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        assert began.wait(30)
        with httpx.Client(base_url=address_of(sock), timeout=60) as client:
            app = server.config.app
            yield Server(client, app.state.context, address_of(sock))  # type: ignore[union-attr]
    finally:
        server.should_exit = True
        thread.join(20)
        sock.close()
    assert not thread.is_alive()


class Process:
    """`earmark serve` as a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        command = [sys.executable, "-c", "from earmark.cli import main; main()", "serve", "--port", "0", *arguments]
        environment = os.environ | {"TMPDIR": str(folder), "EARMARK_CATALOGUE": str(folder / "no.db")}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        said = self.process.stdout.readline()
        found = re.search(r"http://\S+", said)
        assert found, self.process.communicate()
        self.address = found.group()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Socket:
    """A WebSocket client, as plain as can be."""

    def __init__(self, host: str, path: str = "/v1/listen", headers: tuple[tuple[str, str], ...] = ()) -> None:
        name, _, port = host.partition(":")
        self._socket = socket.create_connection((name, int(port)), timeout=30)
        self._protocol = WSConnection(ConnectionType.CLIENT)
        extra = [(key.encode(), value.encode()) for key, value in headers]
        self._send(Request(host=host, target=path, extra_headers=extra))
        self._events: list[Event] = []
        first = self.next()
        self.accepted = isinstance(first, AcceptConnection)
        self.status = first.status_code if isinstance(first, RejectConnection) else None
        self.closed: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def next(self) -> Event:
        while not self._events:
            data = self._socket.recv(65536)
            self._protocol.receive_data(data or None)
            for event in self._protocol.events():
                if isinstance(event, Ping):
                    self._send(event.response())
                else:
                    self._events.append(event)
        return self._events.pop(0)

    def say(self, message: Any) -> None:
        """Send bytes as they are, all else as JSON."""
        if isinstance(message, bytes):
            self._send(BytesMessage(message))
        else:
            self._send(TextMessage(message if isinstance(message, str) else json.dumps(message)))

    def hear(self) -> dict[str, Any] | None:
        """The next JSON message; None once the server has closed."""
        text = ""
        while True:
            event = self.next()
            if isinstance(event, CloseConnection):
                self.closed = int(event.code)
                return None
            if isinstance(event, TextMessage):
                text += event.data
                if event.message_finished:
                    said: dict[str, Any] = json.loads(text)
                    return said

    def _send(self, event: Event) -> None:
        self._socket.sendall(self._protocol.send(event))


def events(lines: Iterator[str]) -> Iterator[tuple[int, str, Any]]:
    """Number, name and data of server-sent events."""
    number, name = 0, ""
    for line in lines:
        key, _, value = line.partition(": ")
        if key == "id":
            number = int(value)
        elif key == "event":
            name = value
        elif key == "data":
            yield number, name, json.loads(value)
