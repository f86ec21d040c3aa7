"""The content key: the same sound under any tags and names, another key for other sound."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import mutagen.flac
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from mutagen.id3 import ID3, TIT2
from mutagen.mp4 import MP4
from mutagen.oggvorbis import OggVorbis

from earmark.library.content import content_key, sound_stretch
from sounds import by_name, make, music


def key(path: Path) -> bytes:
    with path.open("rb") as file:
        return content_key(file)


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return music(3.0)


@pytest.mark.parametrize("container", ["mp3", "flac", "mp4", "ogg", "wav", "aiff", "wavpack"])
def test_new_tags_and_a_new_name_leave_the_key_and_other_sound_changes_it(
    container: str, samples: np.ndarray, tmp_path: Path
) -> None:
    kind = by_name(container)
    path = make(tmp_path, kind, samples)
    before = key(path)
    other = make(tmp_path, kind, samples[::-1].copy(), name="other")
    assert key(other) != before
    _tag(path, "A title that takes some room " * 20)
    assert key(path) == before
    moved = path.rename(tmp_path / "moved.bin")
    assert key(moved) == before


def _tag(path: Path, title: str) -> None:
    match path.suffix:
        case ".mp3":
            tags = ID3()
            tags.add(TIT2(encoding=3, text=title))
            tags.save(path, v1=2)
        case ".flac":
            flac = mutagen.flac.FLAC(path)
            flac["title"] = title
            flac.save()
        case ".m4a":
            mp4 = MP4(path)
            mp4["\xa9nam"] = title
            mp4.save()
        case ".ogg":
            ogg = OggVorbis(path)
            ogg["title"] = title
            ogg.save()
        case ".wv":
            path.write_bytes(path.read_bytes() + _ape(b"title", title.encode()))
        case ".wav" | ".aiff":
            big = path.suffix == ".aiff"
            chunk = title.encode() + b" " * (len(title) % 2)
            data = path.read_bytes() + b"NAME" + struct.pack(">I" if big else "<I", len(chunk)) + chunk
            path.write_bytes(data[:4] + struct.pack(">I" if big else "<I", len(data) - 8) + data[8:])


def _ape(name: bytes, value: bytes) -> bytes:
    item = struct.pack("<II", len(value), 0) + name + b"\0" + value
    return item + b"APETAGEX" + struct.pack("<IIII8x", 2000, len(item) + 32, 1, 0)


def test_a_long_file_is_told_by_beginning_middle_and_end(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(-9000, 9000, 400_000).astype(np.int16)
    keys = set()
    for change in (None, 10, 200_000, 399_990):
        changed = data.copy()
        if change is not None:
            changed[change] += 1
        soundfile.write(tmp_path / "x.wav", changed, 22050)
        keys.add(key(tmp_path / "x.wav"))
    assert len(keys) == 4


@settings(deadline=None, max_examples=300)
@given(
    head=st.sampled_from([b"", b"ID3\x04\0\0\0\0\1\0", b"fLaC", b"\0\0\0\x20ftypM4A ", b"RIFF\0\0\0\0WAVE", b"OggS"]),
    body=st.binary(max_size=400),
    tail=st.sampled_from([b"", b"TAG" + b"x" * 125, b"APETAGEX" + b"\xff" * 24, b"000900LYRICS200"]),
)
def test_any_bytes_have_a_key(head: bytes, body: bytes, tail: bytes) -> None:
    data = head + body + tail
    start, end = sound_stretch(io.BytesIO(data))
    assert 0 <= start <= end <= len(data)
    assert len(content_key(io.BytesIO(data))) == 16
