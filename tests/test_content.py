"""The content key: the same sound under any tags and names, another key for other sound."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import mutagen.asf
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

ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c") + struct.pack("<QIH", 60, 1, 0x201)


def key(path: Path) -> bytes:
    with path.open("rb") as file:
        return content_key(file)


@pytest.fixture(scope="module")
def samples() -> np.ndarray:
    return music(3.0)


@pytest.mark.parametrize("container", ["mp3", "flac", "mp4", "ogg", "wav", "aiff", "wavpack", "asf"])
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
        case ".wma":
            asf = mutagen.asf.ASF(path)
            asf["Title"] = title
            asf.save()
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


def _at(data: bytes, mark: bytes, offset: int, length: int) -> slice:
    place = data.index(mark) + offset
    return slice(place, place + length)


LIES = [
    ("wav", b"data", 4, 4),  # how many bytes of sound
    ("wav", b"fmt ", 12, 4),  # rate
    ("aiff", b"COMM", 10, 4),  # how many samples
    ("aiff", b"SSND", 4, 4),
    ("flac", b"fLaC", 18, 3),  # rate and channels
    ("flac", b"fLaC", 22, 4),  # how many samples
    ("mp4", b"mdhd", 16, 4),  # rate
    ("mp4", b"mdhd", 20, 4),  # length
    ("mp4", b"stsd", 36, 2),  # channels
    ("mp4", b"mdat", -4, 4),
    ("ogg", b"\x01vorbis", 12, 4),  # rate
    ("asf", bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365"), 64, 8),  # length
    ("asf", bytes.fromhex("9107dcb7b7a9cf118ee600c00c205365"), 82, 4),  # rate
    ("asf", bytes.fromhex("3626b2758e66cf11a6d900aa0062ce6c"), 16, 8),  # how many bytes of sound
]


@pytest.mark.parametrize(("container", "mark", "offset", "length"), LIES)
def test_the_same_bytes_under_a_header_that_lies_are_another_sound(
    container: str, mark: bytes, offset: int, length: int, samples: np.ndarray, tmp_path: Path
) -> None:
    """They are heard otherwise, or are cut off: as copies of the good file they would pass unseen."""
    path = make(tmp_path, by_name(container), samples)
    before, data = key(path), bytearray(path.read_bytes())
    part = _at(bytes(data), mark, offset, length)
    data[part] = bytes(byte ^ 2 for byte in data[part])
    path.write_bytes(data)
    assert key(path) != before


def test_the_dates_of_mp4_tracks_are_no_part_of_the_sound(samples: np.ndarray, tmp_path: Path) -> None:
    path = make(tmp_path, by_name("mp4"), samples)
    before, data = key(path), bytearray(path.read_bytes())
    data[_at(bytes(data), b"mdhd", 8, 8)] = b"whenever"
    path.write_bytes(data)
    assert key(path) == before


@pytest.mark.parametrize("nested", [b"trak", b"moov"])
def test_atoms_within_atoms_end_somewhere(nested: bytes) -> None:
    body = b""
    for _ in range(3000):
        body = struct.pack(">I", len(body) + 8) + nested + body
    ftyp, mdat = b"\0\0\0\x0cftypM4A ", b"\0\0\0\x0cmdatsong"
    moov = struct.pack(">I", len(body) + 8) + b"moov" + body
    assert sound_stretch(io.BytesIO(ftyp + moov + mdat)) == (20 + len(moov), 24 + len(moov))


@settings(deadline=None, max_examples=300)
@given(
    head=st.sampled_from(
        [b"", b"ID3\x04\0\0\0\0\1\0", b"fLaC", b"\0\0\0\x20ftypM4A ", b"RIFF\0\0\0\0WAVE", b"OggS", ASF]
    ),
    body=st.binary(max_size=400),
    tail=st.sampled_from([b"", b"TAG" + b"x" * 125, b"APETAGEX" + b"\xff" * 24, b"000900LYRICS200"]),
)
def test_any_bytes_have_a_key(head: bytes, body: bytes, tail: bytes) -> None:
    data = head + body + tail
    start, end = sound_stretch(io.BytesIO(data))
    assert 0 <= start <= end <= len(data)
    assert len(content_key(io.BytesIO(data))) == 16
