"""A music library sown with bad files of every kind, and what is to become of each."""

from __future__ import annotations

import io
import os
import socket
import struct
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

from sounds import by_name, make

FORMATS = {
    "wav": by_name("wav"),
    "flac": by_name("flac"),
    "mp3": by_name("mp3", writer="av"),
    "ogg": by_name("ogg", "vorbis"),
    "opus": by_name("ogg", "libopus"),
    "m4a": by_name("mp4", "aac"),
    "aiff": by_name("aiff"),
    "wma": by_name("asf"),
    "wv": by_name("wavpack"),
}
SUFFIXES = (*FORMATS, "aac", "ape", "mpc")


@dataclass
class Sown:
    """Names below the folder, by what is to become of the files.

    ``good`` are heard, ``noted`` are heard with a note of what is wrong, ``bad`` are listed and never heard,
    ``either`` are one or the other (a few bits of them are turned over, and the rest may still be music), and
    ``forbidden`` are bad to everybody but a user who may do anything.
    """

    good: set[str] = field(default_factory=set)
    noted: set[str] = field(default_factory=set)
    bad: set[str] = field(default_factory=set)
    either: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)


def write_good(folder: Path, sounds: list[tuple[NDArray[np.float32], int]]) -> list[Path]:
    """Every sound, mono, in one of the formats, the formats in turn."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = list(FORMATS.values())
    return [
        make(folder, kinds[number % len(kinds)], samples, kinds[number % len(kinds)].rate or rate, f"good {number}")
        for number, (samples, rate) in enumerate(sounds)
    ]


def sow(folder: Path, good: list[Path], seed: int = 0) -> Sown:
    """Put more than 200 bad files beside the good ones, of which there is at least one of each format."""
    rng = np.random.default_rng(seed)
    sown = Sown(good={str(path.relative_to(folder)) for path in good})
    of = {name: next(path for path in good if path.suffix == kind.suffix) for name, kind in FORMATS.items()}
    content = {name: path.read_bytes() for name, path in of.items()}

    def put(kind: str, name: str, data: bytes, group: set[str]) -> Path:
        place = folder / kind
        place.mkdir(exist_ok=True)
        path = place / name
        path.write_bytes(data)
        group.add(f"{kind}/{name}")
        return path

    for suffix in SUFFIXES:
        put("zero bytes", f"empty.{suffix}", b"", sown.bad)
        put("noise", f"noise.{suffix}", rng.bytes(20_000), sown.bad)
        put("zeros", f"zeros.{suffix}", bytes(20_000), sown.bad)
    content["faststart.m4a"] = _index_first(of["m4a"])
    for name, data in content.items():
        suffix = name.rpartition(".")[2]
        for tenth in range(1, 10):
            put("cut", f"{name} {tenth} tenths.{suffix}", data[: len(data) * tenth // 10], sown.bad)
        put("cut", f"{name} head.{suffix}", data[:60], sown.bad)
    for name, data in _no_sound().items():
        for suffix in ("mp3", "flac", "m4a"):
            put("no sound", f"{name}.{suffix}", data, sown.bad)
    for name, data in _huge(content).items():
        put("huge headers", name, data, sown.bad)
    for name, other in zip(FORMATS, [*list(FORMATS)[1:], "wav"], strict=True):
        # FFmpeg and players go by what is in a file, and so do we; the name is mentioned.
        wrong = "aac" if (name, other) in (("ogg", "opus"), ("opus", "m4a")) else other
        put("wrong suffix", f"{name}.{wrong}", content[name], sown.noted)
        for number in range(4):
            flipped = bytearray(content[name])
            places = rng.integers(0, 200 if number < 2 else len(flipped), 8 if number < 2 else 40)
            for place in places:
                flipped[place] ^= 1 << int(rng.integers(8))
            put("bit flips", f"{name} {number}.{FORMATS[name].suffix[1:]}", bytes(flipped), sown.either)
    _names(folder, content, sown)
    _no_files(folder, sown)
    silence = put("nothing to hear", "silent.wav", b"", sown.bad)
    soundfile.write(silence, np.zeros(88_200), 44100)
    soundfile.write(put("nothing to hear", "short.wav", b"", sown.bad), rng.normal(0, 0.1, 9000), 44100)
    for number in range(5):
        put("no permission", f"secret {number}.mp3", content["mp3"] + bytes(number), sown.forbidden).chmod(0)
    return sown


def _index_first(path: Path) -> bytes:
    """An MP4 file again, with the index in front, so that a part of it can be decoded."""
    other = path.with_name("faststart.tmp")
    with (
        av.open(str(path)) as source,
        av.open(str(other), "w", format="ipod", options={"movflags": "faststart"}) as target,
    ):
        stream = target.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    data = other.read_bytes()
    other.unlink()
    return data


def _no_sound() -> dict[str, bytes]:
    """Files that are something else than sound."""
    rng = np.random.default_rng(1)
    return {
        "text": "Ein Brief an die Hörer. ".encode() * 300,
        "lyrics": b"[00:12.00]La la la\n" * 200,
        "web page": b"<!DOCTYPE html><html><body>404 Not Found</body></html>\n" * 20,
        "playlist": b"#EXTM3U\n/etc/passwd\nhttp://example.com/a.mp3\n" * 20,
        "list": b"ffconcat version 1.0\nfile /etc/passwd\n",
        "jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + rng.bytes(9000),
        "png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + rng.bytes(9000),
        "gif": b"GIF89a" + rng.bytes(9000),
        "bmp": b"BM" + struct.pack("<IIIIII", 9054, 0, 54, 40, 50, 60) + rng.bytes(9000),
        "pdf": b"%PDF-1.7\n" + rng.bytes(9000),
        "zip": b"PK\x03\x04" + rng.bytes(9000),
        "program": b"\x7fELF\x02\x01\x01" + bytes(9) + rng.bytes(9000),
        "midi": b"MThd\x00\x00\x00\x06\x00\x01\x00\x02\x01\xe0MTrk" + rng.bytes(900),
        "database": b"SQLite format 3\x00" + rng.bytes(9000),
    }


def _huge(content: dict[str, bytes]) -> dict[str, bytes]:
    """Headers that promise what no disk holds, with a little behind them."""
    rng = np.random.default_rng(2)
    rest = rng.bytes(3000)
    # Sound of their own: what is, to the byte, the sound of a file that was heard counts as a copy of that one.
    for name in ("wav", "flac"):
        made = io.BytesIO()
        soundfile.write(made, rng.normal(0, 0.1, 3 * 44100), 44100, format=name)
        content = content | {name: made.getvalue()}

    def wav(channels: int, rate: int, bits: int, size: int) -> bytes:
        block = min(65535, channels * bits // 8)
        form = struct.pack("<HHIIHH", 1, channels, rate, (rate * block) & 0xFFFFFFFF, block, bits)
        return b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + form + b"data" + struct.pack("<I", size) + rest

    def changed(name: str, place: int, data: bytes) -> bytes:
        return content[name][:place] + data + content[name][place + len(data) :]

    return {
        "hours.wav": changed("wav", content["wav"].index(b"data") + 4, struct.pack("<I", 0x7FFF_0000)),
        "channels.wav": wav(65535, 44100, 16, 3000),
        "rate.wav": wav(2, 0xFFFF_FFF0, 16, 3000),
        "no rate.wav": wav(2, 0, 16, 3000),
        "no channels.wav": wav(0, 44100, 16, 3000),
        "bits.wav": wav(2, 44100, 65535, 3000),
        "long.flac": changed("flac", 21, bytes([content["flac"][21] | 0x0F, 0xFF, 0xFF, 0xFF, 0xFF])),
        "block.flac": b"fLaC\x84\xff\xff\xff" + rest,
        "picture.flac": b"fLaC\x86\xff\xff\xff" + struct.pack(">II", 3, 0xFFFF_FFFF) + rest,
        "id3.mp3": b"ID3\x04\0\0\x7f\x7f\x7f\x7f" + rest,
        "id3 in id3.mp3": b"ID3\x04\0\0\0\0\0\0" * 300 + rest,
        "frames.mp3": _many_frames(content["mp3"]),
        "atom.m4a": b"\0\0\0\x20ftypM4A \0\0\0\0M4A mp42isom\0\0\0\0\x7f\xff\xff\xffmoov" + rest,
        "long atom.m4a": b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom\0\0\0\x01mdat\x7f" + b"\xff" * 7 + rest,
        "nothing but atoms.m4a": b"\0\0\0\x18ftypM4A \0\0\0\0M4A isom" + b"\0\0\0\x08free" * 5000,
        "comment.ogg": content["ogg"][:58] + b"OggS\0\0" + b"\xff" * 20 + b"\xff" * 255 + rest,
        "chunk.aiff": b"FORM\xff\xff\xff\xffAIFFCOMM\xff\xff\xff\xff" + rest,
        "header.wma": content["wma"][:16] + b"\xff" * 8 + rest,
        "tag.ape": b"MAC \x96\x0f\0\0" + b"\xff" * 60 + rest,
        "block.wv": b"wvpk\xff\xff\xff\x7f\x10\x04\0\0" + b"\xff" * 20 + rest,
    }


def _many_frames(data: bytes) -> bytes:
    """An MP3 whose header counts two billion frames."""
    at = max(data.find(b"Xing"), data.find(b"Info"))
    return data[: at + 8] + struct.pack(">II", 0x7FFF_FFFF, 0x7FFF_FFFF) + data[at + 16 :]


def _names(folder: Path, content: dict[str, bytes], sown: Sown) -> None:
    """Odd names, over good sound and over none."""
    names = [
        b"line\nbreak",
        b"broken \xff\xfe utf-8",
        b"\x1b[31mred",
        b" blank ",
        b"-rf",
        b"x" * 240,
        b"quo\"te's",
        b"\x01",
    ]
    place = folder / "names"
    place.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        for data, suffix, group in (
            (content["mp3"] + b"TAG" + bytes([number]) * 125, b".mp3", sown.good),
            (b"no sound", b".wav", sown.bad),
        ):
            path = os.fsencode(place) + b"/" + name + suffix
            with open(path, "wb") as file:
                file.write(data)
            group.add(os.fsdecode(os.path.relpath(path, os.fsencode(folder))))


def _no_files(folder: Path, sown: Sown) -> None:
    """Pipes, sockets, links that lead nowhere: none may be waited for."""
    place = folder / "no files"
    place.mkdir(exist_ok=True)
    for suffix in ("mp3", "wav", "flac"):
        os.mkfifo(place / f"pipe.{suffix}")
        sown.bad.add(f"no files/pipe.{suffix}")
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as made:
        # The path of a socket may not be long.
        os.chdir(place)
        try:
            made.bind("socket.mp3")
        finally:
            os.chdir(here)
    (place / "nowhere.mp3").symlink_to("there is nothing")
    (place / "round.mp3").symlink_to("round.mp3")
    (place / "device.mp3").symlink_to("/dev/zero")
    sown.bad |= {f"no files/{name}.mp3" for name in ("socket", "nowhere", "round", "device")}
    # Folders that lead back to themselves are left alone.
    (place / "again").symlink_to("..")
