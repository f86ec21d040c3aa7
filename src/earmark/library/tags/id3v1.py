"""ID3v1, the 128 bytes at the end of a file: read to see what is there, never written.

The format: https://id3.org/ID3v1.
"""

from __future__ import annotations

LENGTH = 128


def read(tail: bytes) -> dict[str, str] | None:
    """The texts of an ID3v1 tag, or None if the bytes do not end with one.

    Returns
    -------
    dict
        Those of ``title``, ``artist``, ``album``, ``year``, ``comment`` and ``track`` that are not empty.
    """
    if len(tail) < LENGTH or tail[-LENGTH:][:3] != b"TAG":
        return None
    data = tail[-LENGTH:]
    comment, track = data[97:127], 0
    if comment[28] == 0 and comment[29]:
        comment, track = comment[:28], comment[29]
    found = {
        "title": data[3:33],
        "artist": data[33:63],
        "album": data[63:93],
        "year": data[93:97],
        "comment": comment,
    }
    texts = {name: raw.split(b"\x00")[0].decode("latin-1").strip() for name, raw in found.items()}
    if track:
        texts["track"] = str(track)
    return {name: text for name, text in texts.items() if text}


def genre_number(tail: bytes) -> int | None:
    """The genre's number in the ID3v1 table; None if there is no tag or the tag says that it has none."""
    if read(tail) is None or tail[-1] == 255:
        return None
    return tail[-1]
