"""Serving until somebody ends it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from earmark.errors import InputError
from earmark.server.app import create_app
from earmark.server.settings import Settings

# A request that is still being served when the server is asked to end may take so long.
_GRACE_SECONDS = 3
# Far above what the places for sound, events and live connections add up to.
_MOST_CONNECTIONS = 1000


def serve(settings: Settings, *, started: Callable[[str], None] | None = None, temporary: Path | None = None) -> None:
    """Serve until SIGINT or SIGTERM.

    Parameters
    ----------
    settings
        What to serve.
    started
        Called with the server's address (``http://127.0.0.1:8765/``) once it answers.
    temporary
        Where to make the folder for uploads; None: the system's folder for temporary files.

    Raises
    ------
    InputError
        If the address cannot be used, or the bundle is none.
    StoreError
        If the bundle is damaged.
    """
    with contextlib.closing(listen(settings.host, settings.port)) as sock:
        server = prepare(settings, lambda: started(address_of(sock)) if started is not None else None, temporary)
        server.run(sockets=[sock])


def prepare(settings: Settings, started: Callable[[], None], temporary: Path | None = None) -> uvicorn.Server:
    """The server, to be run with a socket of :func:`listen`; ``should_exit`` ends it."""
    config = uvicorn.Config(
        create_app(settings, temporary=temporary),
        http="h11",
        ws="wsproto",
        ws_max_size=1 << 20,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        timeout_keep_alive=30,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        limit_concurrency=_MOST_CONNECTIONS,
    )
    return _Server(config, started)


class _Server(uvicorn.Server):
    """uvicorn's server, with word of when it has started."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._told = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._told()


def address_of(sock: socket.socket) -> str:
    """The address for a browser on this machine."""
    host, port = sock.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes any that is free.

    Raises
    ------
    InputError
        If there is no such host, or the port is taken.
    """
    try:
        [family, kind, protocol, _, address], *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        sock = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InputError(f"There is no host {host} to listen on ({error.strerror or error}).") from error
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen(256)
        sock.set_inheritable(False)
    except OSError as error:
        sock.close()
        raise InputError(
            f"Port {port} of {host} cannot be used ({error.strerror or error}). Choose another with --port."
        ) from error
    return sock
