"""Opening files with PyAV and reading their tags, the same with versions 18 and 19."""

from __future__ import annotations

import os
from typing import Any, BinaryIO, Final, cast

import av
from av.container import InputContainer

from earmark.audio.containers import Content
from earmark.audio.sniff import sniff

# From 19 on tags are always decoded so, and the argument is an error; before, it has to be asked for.
_DECODES_TAGS_ITSELF: Final = int(av.__version__.partition(".")[0]) >= 19


def open_input(file: Any, demuxer: str | None, timeout: float | None = None) -> InputContainer:
    """Open a binary file object for reading; tags that are no UTF-8 stop nothing."""
    extra: dict[str, Any] = {} if _DECODES_TAGS_ITSELF else {"metadata_errors": "surrogateescape"}
    return cast(InputContainer, av.open(file, "r", format=demuxer, timeout=timeout, **extra))


def read_tags(file: BinaryIO, content: Content | None = None) -> dict[str, str]:
    """The tags of an open sound file as FFmpeg names them; empty where they cannot be read.

    Bytes that are no UTF-8 come as U+FFFD.

    Parameters
    ----------
    content
        What the file is, where that is known already.

    Notes
    -----
    FFmpeg is only given what Earmark recognises as sound, with the container named: left to guess, it would take a
    text file for a playlist and open what that names. It keeps the tags of Ogg files with the stream and those of
    others with the container.
    """
    try:
        content = content or sniff(file, file.seek(0, os.SEEK_END))
        if content is None:
            return {}
        file.seek(0)
        with open_input(file, content.container.demuxer) as container:
            tags: dict[str, str] = {}
            for stream in container.streams.audio:
                tags.update(stream.metadata)
            tags.update(container.metadata)
    except (av.FFmpegError, OSError, ValueError, IndexError):
        return {}
    return {_readable(name): _readable(value) for name, value in tags.items()}


def _readable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
