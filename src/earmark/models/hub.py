"""The Hugging Face hub: is it there, and quietly."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

_PROXIES = ("https_proxy", "http_proxy", "all_proxy")


def hub_reachable() -> bool:
    """Whether the hub's name can be looked up; behind a proxy nobody here can tell, so then it is taken to be.

    Without this, the hub's client tries for half a minute where there is no network at all.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return False
    if any(os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES):
        return True
    try:
        socket.getaddrinfo(urlsplit(constants.ENDPOINT).hostname, 443)
    except OSError:
        return False
    return True


@contextlib.contextmanager
def quiet_hub() -> Iterator[None]:
    """Keep the client's remarks on retries off the terminal; what fails in the end is raised all the same."""
    logger = logging.getLogger("huggingface_hub")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
