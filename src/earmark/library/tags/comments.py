"""Vorbis comments, as FLAC, Ogg Vorbis, Opus, Speex and Ogg FLAC carry them.

The format: https://xiph.org/vorbis/doc/v-comment.html. Comments are kept as bytes, in their order, with their
spelling; only ``GENRE`` and ``EARMARK_...`` are made anew.
"""

from __future__ import annotations

from earmark.library.tags.edit import FIELD_PREFIX, Wanted, damaged

OUR_VENDOR = b"Earmark"


class Comments:
    """One comment header, from the length of the vendor string to the last comment.

    Parameters
    ----------
    data
        Bytes that begin with the comment header; what follows it is kept as :attr:`rest`.

    Raises
    ------
    TagError
        If a length in it points outside.
    """

    def __init__(self, data: bytes) -> None:
        self.vendor, position = _item(data, 0)
        if position + 4 > len(data):
            raise damaged("the Vorbis comment ends too early")
        count = int.from_bytes(data[position : position + 4], "little")
        position += 4
        if count > (len(data) - position) // 4:
            raise damaged("the Vorbis comment ends too early")
        self.items: list[bytes] = []
        for _ in range(count):
            item, position = _item(data, position)
            self.items.append(item)
        self.rest = data[position:]

    @classmethod
    def empty(cls) -> Comments:
        """A comment header without comments, for a file that has none."""
        return cls(_sized(OUR_VENDOR) + bytes(4))

    @property
    def genres(self) -> tuple[str, ...]:
        return tuple(value for item in self.items if _key(item) == "GENRE" and (value := _value(item)))

    @property
    def fields(self) -> dict[str, str]:
        return {key: _value(item) for item in self.items if (key := _key(item)).startswith(FIELD_PREFIX)}

    def others(self) -> list[bytes]:
        """The vendor string (unless it is ours) and all comments that are not ours to change."""
        vendor = b"" if self.vendor == OUR_VENDOR else self.vendor
        return [vendor, *(item for item in self.items if not _is_ours(_key(item)))]

    def render(self, wanted: Wanted) -> bytes:
        """The comment header with the wanted genre and fields, without :attr:`rest`."""
        items: list[bytes] = []
        genre_due = wanted.genres is not None
        fields = dict(wanted.fields)
        for item in self.items:
            key = _key(item)
            if key == "GENRE" and wanted.genres is not None:
                if genre_due:
                    spelling = item.partition(b"=")[0]
                    items += [spelling + b"=" + genre.encode() for genre in wanted.genres]
                genre_due = False
            elif key in wanted.fields:
                if key in fields:
                    items.append(f"{key}={fields.pop(key)}".encode())
            else:
                items.append(item)
        if genre_due and wanted.genres:
            items += [f"GENRE={genre}".encode() for genre in wanted.genres]
        items += [f"{name}={value}".encode() for name, value in fields.items()]
        return _sized(self.vendor) + len(items).to_bytes(4, "little") + b"".join(map(_sized, items))


def _item(data: bytes, position: int) -> tuple[bytes, int]:
    start = position + 4
    end = start + int.from_bytes(data[position:start], "little")
    if start > len(data) or end > len(data):
        raise damaged("the Vorbis comment ends too early")
    return data[start:end], end


def _sized(data: bytes) -> bytes:
    return len(data).to_bytes(4, "little") + data


def _key(item: bytes) -> str:
    name, equals, _ = item.partition(b"=")
    return name.decode("ascii", "replace").upper() if equals else ""


def _value(item: bytes) -> str:
    return item.partition(b"=")[2].decode("utf-8", "replace")


def _is_ours(key: str) -> bool:
    return key == "GENRE" or key.startswith(FIELD_PREFIX)
