"""Who may talk to the server, and what browsers may do with its answers.

A server on the loopback interface can be reached by every page that the person opens in a browser. So each request
is checked before anything else: the host it was meant for (against DNS rebinding), where it comes from (against other
sites' pages), and the token if there is one. Every answer carries headers that keep browsers from loading anything
from elsewhere.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from earmark.server.headers import ALWAYS, PAGE_POLICY
from earmark.server.problems import ProblemError
from earmark.server.settings import LOOPBACK, Settings

COOKIE = "earmark-token"
# Needed by those who watch over the server, and by the page to ask for the token.
OPEN_PATHS = frozenset({"/", "/v1/health", "/v1/ready", "/v1/session", "/favicon.ico"})
OPEN_PREFIX = "/static/"


class Guard:
    """ASGI middleware that refuses what must not be answered.

    Parameters
    ----------
    app
        What to protect.
    settings
        Host, token and further names.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._token = settings.token
        self._remote = settings.host not in LOOPBACK
        self._names = frozenset(name.lower() for name in _own_names(settings))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in ALWAYS.items():
                    headers.setdefault(name, value)
                # Browsers refuse to open what is both sandboxed and isolated.
                if headers["content-security-policy"] == PAGE_POLICY:
                    headers["cross-origin-opener-policy"] = "same-origin"
            await send(message)

        try:
            self._check(scope)
        except ProblemError as problem:
            await _refuse(problem, scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        host = self._check_host(headers.getlist("host"))
        self._check_origin(headers, scope, host)
        path = scope["path"]
        if self._token is not None and path not in OPEN_PATHS and not path.startswith(OPEN_PREFIX):
            self.check_token(headers)

    def _check_host(self, hosts: list[str]) -> str:
        name = _host_name(hosts[0]) if len(hosts) == 1 else None
        if name is None or not (name in self._names or (self._remote and _is_address(name))):
            raise ProblemError(
                "wrong-host",
                "The request's Host header names none of this server's hosts. Use the address that `earmark serve` "
                "printed, or start it with --allow-host NAME.",
            )
        return hosts[0].lower()

    def _check_origin(self, headers: Headers, scope: Scope, host: str) -> None:
        origin = headers.get("origin")
        foreign = origin is not None and urlsplit(origin).netloc.lower() != host
        site = headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin"):
            # Following a link from another site to the page is all that is left.
            link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
            foreign = foreign or not (link and scope.get("method") == "GET" and scope["path"] == "/")
        if foreign:
            raise ProblemError("forbidden", "Pages of other sites may not use this server.")

    def check_token(self, headers: Headers) -> None:
        """Whether a request carries the token, as ``Authorization: Bearer`` or in the cookie of the page.

        Raises
        ------
        ProblemError
            401 if it does not.
        """
        if self._token is None:
            return
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _equal(given.strip(), self._token):
            return
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        if cookie is not None and _equal(cookie.value, session_of(self._token)):
            return
        raise ProblemError(
            "token",
            "This server wants its token: send it as Authorization: Bearer TOKEN.",
            headers={"WWW-Authenticate": 'Bearer realm="earmark"'},
        )


def session_of(token: str) -> str:
    """What the page's cookie holds: proof of the token without the token."""
    return hmac.new(token.encode(), b"earmark page", hashlib.sha256).hexdigest()


def is_token(given: str, settings: Settings) -> bool:
    """Whether a text is the server's token."""
    return settings.token is not None and _equal(given, settings.token)


def _equal(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())


def _own_names(settings: Settings) -> Iterable[str]:
    yield from LOOPBACK
    yield from settings.allow_hosts
    if settings.host not in LOOPBACK:
        yield settings.host
        name = socket.gethostname()
        yield from (name, f"{name}.local", socket.getfqdn())


def _host_name(host: str) -> str | None:
    """The name or address in a Host header, without the port; None if it is malformed."""
    if host.startswith("["):
        name, bracket, port = host[1:].partition("]")
        if not bracket or not (port == "" or (port[0] == ":" and port[1:].isdecimal())):
            return None
        return name.lower()
    name, colon, port = host.partition(":")
    if colon and not port.isdecimal():
        return None
    return name.lower() or None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


async def _refuse(problem: ProblemError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        # Closed before it was accepted: the client sees 403.
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": problem.detail[:120]})
        return
    await problem.answer()(scope, receive, send)
