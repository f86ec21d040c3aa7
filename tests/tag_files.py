"""Small sound files of every format with rich tags, made on the spot, and a reader that is not mutagen."""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import av
import numpy as np
import soundfile

PICTURE = (
    b"\x89PNG\r\n\x1a\n" + bytes(np.random.default_rng(5).integers(0, 256, 40_000, dtype=np.uint8)) + b"\xff\x00\xff"
)
TITLE = "Tïtle – 題名 🎵"


@cache
def tone(rate: int = 44100, seconds: float = 1.0) -> np.ndarray:
    """A mono tone with a little noise, as float32."""
    time = np.arange(int(rate * seconds)) / rate
    noise = np.random.default_rng(1).normal(0, 0.02, time.size)
    return (0.3 * np.sin(2 * np.pi * 440 * time) + noise).astype(np.float32)


@cache
def encoded(
    container: str,
    codec: str,
    options: tuple[tuple[str, str], ...] = (),
    rate: int = 44100,
    metadata: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """The tone, encoded by FFmpeg, without tags."""
    # A real file, because FFmpeg opens it a second time to put an MP4's header to the front.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sound"
        _encode(path, container, codec, dict(options), rate, dict(metadata))
        return path.read_bytes()


def _encode(
    path: Path, container: str, codec: str, options: dict[str, str], rate: int, metadata: dict[str, str]
) -> None:
    with av.open(str(path), "w", format=container, options=options) as out:
        out.metadata.update(metadata)
        stream = out.add_stream(codec, rate=rate)
        if codec == "wmav2":  # refuses what PyAV asks for by itself
            stream.bit_rate = 96_000
        stream.layout = "mono"
        stream.format = next(iter(av.Codec(codec, "w").audio_formats))
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=rate)
        samples = tone(rate)
        for start in range(0, len(samples), 4096):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 4096], format="flt", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            for piece in resampler.resample(frame):
                out.mux(stream.encode(piece))
        for piece in resampler.resample(None):
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))


@cache
def written(kind: str) -> bytes:
    """The tone, encoded by libsndfile, without tags."""
    buffer = io.BytesIO()
    soundfile.write(buffer, tone(), 44100, format=kind, subtype="PCM_16")
    return buffer.getvalue()


def packets(path: Path) -> str:
    """SHA-256 over all the sound's packets as FFmpeg takes them out of the file."""
    digest = hashlib.sha256()
    # A tag at the end that FFmpeg does not know ends its reading with an error.
    with av.open(str(path)) as container, contextlib.suppress(av.error.InvalidDataError):
        for packet in container.demux(audio=0):
            digest.update(bytes(packet))
    return digest.hexdigest()


def decoded(path: Path) -> str:
    """SHA-256 over the decoded samples as FFmpeg decodes them."""
    digest = hashlib.sha256()
    with av.open(str(path)) as container, contextlib.suppress(av.error.InvalidDataError):
        for decoded_frame in container.decode(audio=0):
            digest.update(decoded_frame.to_ndarray().tobytes())
    assert digest.digest() != hashlib.sha256().digest(), "something was decoded"
    return digest.hexdigest()


def ffmpeg_tags(path: Path) -> dict[str, str]:
    """All tags as FFmpeg reads them, names in small letters; attached pictures as their hashes."""
    found: dict[str, str] = {}
    with av.open(str(path)) as container:
        for metadata in (container.metadata, *(stream.metadata for stream in container.streams)):
            found |= {name.lower(): value for name, value in metadata.items()}
        for number, stream in enumerate(container.streams):
            if stream.type == "video":
                digest = hashlib.sha256()
                # The made-up sound in some files ends FFmpeg's reading; pictures come before it.
                with contextlib.suppress(av.error.InvalidDataError):
                    for packet in container.demux(stream):
                        digest.update(bytes(packet))
                found[f"picture {number}"] = digest.hexdigest()
    return found


# ID3v2 by hand, for what mutagen would not write


def syncsafe(value: int) -> bytes:
    return bytes((value >> shift) & 0x7F for shift in (21, 14, 7, 0))


def frame(version: int, name: str, payload: bytes, flags: bytes = b"\x00\x00", plain: bool = False) -> bytes:
    if version == 2:
        return name.encode() + len(payload).to_bytes(3, "big") + payload
    size = syncsafe(len(payload)) if version == 4 and not plain else len(payload).to_bytes(4, "big")
    return name.encode() + size + flags + payload


def id3(version: int, body: bytes, flags: int = 0) -> bytes:
    tag = b"ID3" + bytes((version, 0, flags)) + syncsafe(len(body)) + body
    return tag + (b"3DI" + tag[3:10] if flags & 0x10 else b"")


_APIC = b"\x00image/png\x00\x03cover\x00" + PICTURE


def rich_frames(version: int, genre: bytes | None = b"\x00Pop") -> bytes:
    """Frames of all sorts: texts, a picture, an unknown frame, one with flags, a private one, two comments."""
    text = b"\x01\xff\xfe" + TITLE.encode("utf-16-le")
    if version == 2:
        frames = [
            ("TT2", text),
            ("TP1", b"\x00Artist"),
            ("PIC", b"\x00PNG\x03cover\x00" + PICTURE),
            ("XZY", b"odd\xff\x00"),
        ]
        frames += [("COM", b"\x00engc\x00a comment"), ("TXX", b"\x00mood\x00calm")]
        frames[2:2] = [("TCO", genre)] if genre is not None else []
        return b"".join(frame(2, name, payload) for name, payload in frames)
    frames = [("TIT2", text), ("TPE1", b"\x00Artist"), ("APIC", _APIC), ("XZYQ", b"an unknown frame \xff\xe0")]
    frames += [
        ("PRIV", b"owner\x00\xff\xfb\x90\x00data"),
        ("COMM", b"\x00engc\x00a comment"),
        ("TXXX", b"\x00mood\x00calm"),
    ]
    frames += [("POPM", b"a@b\x00\xc8\x00\x00\x00\x05"), ("TDRC" if version == 4 else "TYER", b"\x001999")]
    frames[2:2] = [("TCON", genre)] if genre is not None else []
    grouped = b"\x00\x40" if version == 4 else b"\x00\x20"
    return b"".join(frame(version, *pair) for pair in frames) + frame(version, "TENC", b"\x07\x00grouped", grouped)


def unsync(data: bytes) -> bytes:
    out = bytearray()
    for index, byte in enumerate(data):
        out.append(byte)
        following = data[index + 1] if index + 1 < len(data) else 0
        if byte == 0xFF and (following == 0 or following >= 0xE0):
            out.append(0)
    return bytes(out)


def id3v1(genre: int = 255) -> bytes:
    texts = [(b"Old title", 30), (b"Old artist", 30), (b"Old album", 30), (b"1987", 4), (b"Old comment", 28)]
    return b"TAG" + b"".join(text.ljust(size, b"\x00") for text, size in texts) + b"\x00\x07" + bytes((genre,))


def apev2(items: list[tuple[str, bytes, int]], header: bool = True) -> bytes:
    data = b"".join(struct.pack("<II", len(v), f) + k.encode() + b"\x00" + v for k, v, f in items)
    facts = struct.pack("<III", 2000, len(data) + 32, len(items))
    flags = 1 << 31 if header else 0
    head = b"APETAGEX" + facts + struct.pack("<I", flags | 1 << 29) + bytes(8) if header else b""
    return head + data + b"APETAGEX" + facts + struct.pack("<I", flags) + bytes(8)


def rich_ape(genre: bytes | None = b"Pop") -> bytes:
    items = [
        ("Title", TITLE.encode(), 0),
        ("Artist", b"One\x00Two", 0),
        ("Cover Art (Front)", b"cover.png\x00" + PICTURE, 2),
    ]
    items += [("mood", b"calm", 0), ("Link", b"http://example.org", 4)]
    items[1:1] = [("genre", genre, 0)] if genre is not None else []
    return apev2(items)


# Files


def _mp3(tag: bytes = b"", tail: bytes = b"") -> bytes:
    return tag + encoded("mp3", "libmp3lame", (("id3v2_version", "0"), ("write_xing", "1"))) + tail


def _wave_id3(data: bytes, tag: bytes, order: str, name: bytes) -> bytes:
    data += name + len(tag).to_bytes(4, order) + tag + bytes(len(tag) % 2)
    return data[:4] + (len(data) - 8).to_bytes(4, order) + data[8:]


def _mutagen(data: bytes, opener: Callable[[io.BytesIO], object], genre: bool, picture: bool = True) -> bytes:
    """Vorbis comments with several artists, strange names and a picture, written by mutagen."""
    from mutagen.flac import FLAC, Picture

    buffer = io.BytesIO(data)
    file = opener(buffer)
    if file.tags is None:
        file.add_tags()
    file.tags.extend([("Title", TITLE), ("ARTIST", "One"), ("artist", "Two"), ("x odd }key", "a=b=c")])
    if genre:
        file.tags.append(("Genre", "Pop"))
        file.tags.append(("COMMENT", "after the genre"))
    image = Picture()
    image.data, image.type, image.mime, image.width = PICTURE, 3, "image/png", 7
    if isinstance(file, FLAC):
        file.add_picture(image)
    elif picture:
        import base64

        file.tags.append(("METADATA_BLOCK_PICTURE", base64.b64encode(image.write()).decode()))
    buffer.seek(0)
    file.save(buffer, padding=lambda info: 300 if genre else 0)
    return buffer.getvalue()


def _flac(genre: bool) -> bytes:
    from mutagen.flac import FLAC

    return _mutagen(written("FLAC"), FLAC, genre)


def _ogg(kind: str, genre: bool, picture: bool = True) -> bytes:
    from mutagen.oggflac import OggFLAC
    from mutagen.oggopus import OggOpus
    from mutagen.oggvorbis import OggVorbis

    if kind == "vorbis":
        buffer = io.BytesIO()
        soundfile.write(buffer, tone(), 44100, format="OGG", subtype="VORBIS")
        return _mutagen(buffer.getvalue(), OggVorbis, genre, picture)
    if kind == "opus":
        return _mutagen(encoded("ogg", "libopus", rate=48000), OggOpus, genre, picture)
    return _mutagen(encoded("ogg", "flac"), OggFLAC, genre, picture)


def ogg_crc(data: bytes) -> int:
    """The checksum of an Ogg page, bit by bit as RFC 3533 describes it."""
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 1 << 31 else 0)) & 0xFFFFFFFF
    return crc


def ogg_pages(data: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """An Ogg file's pages as (header, lacing, body)."""
    pages = []
    position = 0
    while position < len(data):
        count = data[position + 26]
        lacing = data[position + 27 : position + 27 + count]
        body = position + 27 + count
        pages.append((data[position : position + 27], lacing, data[body : body + sum(lacing)]))
        position = body + sum(lacing)
    return pages


def _full_page() -> bytes:
    """Ogg Vorbis whose header page is full to its last segment, so that one byte more needs another page."""
    sound = io.BytesIO()
    soundfile.write(sound, np.tile(tone(), 6), 44100, format="OGG", subtype="VORBIS")
    first, headers, *later = ogg_pages(sound.getvalue())
    assert headers[0][18] == 1 and later[0][0][18] == 2, "comment and setup stand on one page"
    lacing, body = headers[1], headers[2]
    length = next(i + 1 for i, size in enumerate(lacing) if size < 255)
    comment, setup = body[: sum(lacing[:length])], body[sum(lacing[:length]) :]
    setup_lacing = lacing[length:]
    vendor = 11 + int.from_bytes(comment[7:11], "little")
    size = 255 * (254 - len(setup_lacing)) + 250
    fill = b"FILL=" + b"x" * (size - vendor - 4 - 4 - 5 - 1)
    comment = comment[:vendor] + b"\x01\x00\x00\x00" + len(fill).to_bytes(4, "little") + fill + b"\x01"
    assert len(comment) == size
    lacing = bytes([255] * (size // 255) + [size % 255]) + setup_lacing
    page = headers[0][:22] + bytes(4) + bytes((len(lacing),)) + lacing + comment + setup
    assert len(lacing) == 255
    page = page[:22] + ogg_crc(page).to_bytes(4, "little") + page[26:]
    return b"".join(first) + page + b"".join(b"".join(each) for each in later)


def _mp4(codec: str, genre: bytes | None, *options: tuple[str, str], padding: int = 0) -> bytes:
    from mutagen.mp4 import MP4, AtomDataType, MP4Cover, MP4FreeForm

    buffer = io.BytesIO(encoded("ipod", codec, options))
    file = MP4(buffer)
    if file.tags is None:
        file.add_tags()
    file.tags["\xa9nam"], file.tags["\xa9ART"], file.tags["trkn"] = TITLE, ["One", "Two"], [(3, 9)]
    if genre is not None:
        file.tags["\xa9gen"] = genre.decode()
    file.tags["covr"] = [MP4Cover(PICTURE, MP4Cover.FORMAT_PNG)]
    file.tags["----:com.apple.iTunes:mood"] = MP4FreeForm(b"calm", AtomDataType.UTF8)
    file.tags["----:org.other:mood"] = MP4FreeForm(b"not ours", AtomDataType.UTF8)
    buffer.seek(0)
    file.save(buffer, padding=lambda info: padding)
    return buffer.getvalue()


def _old_genre(data: bytes) -> bytes:
    """An MP4 whose genre is the number of iTunes' first versions: Rock, 18th of the ID3v1 table."""
    gen = data.index(b"\xa9gen") - 4
    length = int.from_bytes(data[gen : gen + 4], "big")
    atom = struct.pack(">I4sI4sIIH", 26, b"gnre", 18, b"data", 0, 0, 18)
    assert length - len(atom) == 0, length
    return data[:gen] + atom + data[gen + length :]


def _wavpack() -> bytes:
    """WavPack without the APE tag that FFmpeg puts behind it."""
    data = encoded("wv", "wavpack")
    tag = data.rfind(b"APETAGEX", 0, len(data) - 40)
    return data[:tag] if tag > 0 else data


def monkeys() -> bytes:
    """A Monkey's Audio header (3.99) with one frame of noise: readers of tags do not decode it."""
    noise = bytes(np.random.default_rng(2).integers(0, 256, 4000, dtype=np.uint8))
    descriptor = (
        b"MAC " + struct.pack("<HH", 3990, 0) + struct.pack("<IIIIIII", 52, 24, 4, 44, len(noise), 0, 0) + bytes(16)
    )
    header = struct.pack("<HHIIIHHI", 2000, 0, 73728, 9000, 1, 16, 1, 44100)
    wave = (
        b"RIFF" + struct.pack("<I", 36 + 18000) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 44100, 88200, 2, 16)
    )
    wave += b"data" + struct.pack("<I", 18000)
    seek = struct.pack("<I", 52 + 24 + 4 + 44)
    return descriptor + header + seek + wave + noise


def musepack() -> bytes:
    """A Musepack SV7 header with a few frames of noise."""
    noise = bytes(np.random.default_rng(3).integers(0, 256, 4000, dtype=np.uint8))
    return b"MP+\x07" + struct.pack("<II", 20, 0) + bytes(16) + noise


def _fragmented(**metadata: str) -> bytes:
    # Tagged by FFmpeg: after mutagen 1.48 has tagged such a file, its sound can no longer be decoded.
    options = (("movflags", "frag_keyframe+empty_moov"), ("frag_duration", "200000"))
    return encoded("mp4", "aac", options, metadata=tuple(metadata.items()))


def with_co64(data: bytes) -> bytes:
    """An MP4 whose header stands before the sound, with 64-bit offsets and a 64-bit length instead of 32-bit ones."""

    def widened(atoms: bytes, growth: int) -> bytes:
        out, position = b"", 0
        while position < len(atoms):
            length = int.from_bytes(atoms[position : position + 4], "big")
            name, body = atoms[position + 4 : position + 8], atoms[position + 8 : position + length]
            if name in (b"moov", b"trak", b"mdia", b"minf", b"stbl"):
                body = widened(body, growth)
            elif name == b"stco":
                offsets = [int.from_bytes(body[i : i + 4], "big") + growth for i in range(8, len(body), 4)]
                name, body = b"co64", body[:8] + b"".join(offset.to_bytes(8, "big") for offset in offsets)
            if name == b"moov":
                out += (1).to_bytes(4, "big") + name + (len(body) + 16).to_bytes(8, "big") + body
            else:
                out += (len(body) + 8).to_bytes(4, "big") + name + body
            position += length
        return out

    return widened(data, len(widened(data, 0)) - len(data))


FASTSTART = ("movflags", "+faststart")


def asf_object(kind: str, data: bytes) -> bytes:
    """An object of ASF, its kind as 32 hexadecimal digits in the order in which they stand."""
    return bytes.fromhex(kind) + struct.pack("<Q", 24 + len(data)) + data


def _rich_wma() -> bytes:
    """Values that are no texts, a picture, fields in the extension, padding, and an index behind the sound."""
    data = encoded("asf", "wmav2", metadata=(("title", TITLE), ("artist", "Artist")))
    length, count = struct.unpack("<QI", data[16:28])
    values = b""
    picture = b"\x03" + struct.pack("<I", len(PICTURE)) + "image/png\0\0".encode("utf-16-le") + PICTURE
    for name, kind, value in (
        ("WM/TrackNumber", 3, struct.pack("<I", 7)),
        ("wm/genre", 0, "Pop\0".encode("utf-16-le")),
        ("IsVBR", 2, struct.pack("<I", 1)),
        ("WM/Picture", 1, picture),
    ):
        named = f"{name}\0".encode("utf-16-le")
        values += struct.pack("<H", len(named)) + named + struct.pack("<HH", kind, len(value)) + value
    holder = "40a4d0d207e3d21197f000a0c95ea850"
    place, start = data.index(bytes.fromhex(holder), 0, length), 0
    start = place + 24
    size = int.from_bytes(data[place + 16 : start], "little")
    (number,) = struct.unpack("<H", data[start : start + 2])
    merged = struct.pack("<H", number + 4) + data[start + 2 : place + size] + values
    padding = asf_object("74d40618dfca0945a4ba9aabcb96aae8", bytes(500))
    header = data[30:place] + asf_object(holder, merged) + data[place + size : length] + padding
    index = asf_object("90080033b1e5cf1189f400a0c90349cb", bytes(24) + struct.pack("<II", 1, 0))
    head = data[:16] + struct.pack("<QI", 30 + len(header), count + 1) + data[28:30]
    return head + header + data[length:] + index


MAKERS: dict[str, Callable[[], bytes]] = {
    "id3v24.mp3": lambda: _mp3(id3(4, rich_frames(4) + bytes(200))),
    "id3v23.mp3": lambda: _mp3(id3(3, rich_frames(3, b"\x01\xff\xfeP\x00o\x00p\x00") + bytes(200))),
    "id3v22.mp3": lambda: _mp3(id3(2, rich_frames(2))),
    "id3v23-unsync.mp3": lambda: _mp3(
        # FFmpeg takes the sizes of frames for those after unsynchronisation, so what it shall read comes first.
        id3(3, unsync(frame(3, "TCON", b"\x00Pop") + frame(3, "APIC", _APIC) + frame(3, "PRIV", b"a\x00\xff")), 0x80)
    ),
    "id3v24-footer.mp3": lambda: _mp3(id3(4, rich_frames(4), 0x10)),
    "id3v23-extended.mp3": lambda: _mp3(id3(3, struct.pack(">IHI", 6, 0, 50) + rich_frames(3) + bytes(50), 0x40)),
    "id3v24-extended.mp3": lambda: _mp3(id3(4, b"\x00\x00\x00\x06\x01\x00" + rich_frames(4) + bytes(10), 0x40)),
    "id3v24-itunes.mp3": lambda: _mp3(
        id3(4, frame(4, "TCON", b"\x00Pop") + frame(4, "APIC", _APIC, plain=True) + frame(4, "TIT2", b"\x03Title"))
    ),
    "id3v24-v1.mp3": lambda: _mp3(id3(4, rich_frames(4)), id3v1(17)),
    "id3v24-ape.mp3": lambda: _mp3(id3(4, rich_frames(4)), rich_ape(b"Old")),
    "none.mp3": lambda: _mp3(),
    "v1.mp3": lambda: _mp3(b"", id3v1()),
    "ape-v1.mp3": lambda: _mp3(b"", rich_ape() + id3v1(17)),
    "padded.flac": lambda: _flac(True),
    "tight.flac": lambda: _flac(False),
    "bare.flac": lambda: written("FLAC"),
    "id3.flac": lambda: id3(3, rich_frames(3)) + _flac(True),
    "padded.ogg": lambda: _ogg("vorbis", True),
    "tight.ogg": lambda: _ogg("vorbis", False),
    "small.ogg": lambda: _ogg("vorbis", False, picture=False),
    "padded.opus": lambda: _ogg("opus", True),
    "tight.opus": lambda: _ogg("opus", False),
    "pages.ogg": lambda: _full_page(),
    "flac.oga": lambda: _ogg("flac", True),
    "end.m4a": lambda: _mp4("aac", b"Pop"),
    "front.m4a": lambda: _mp4("aac", b"Pop", FASTSTART),
    "front-free.m4a": lambda: _mp4("aac", None, FASTSTART, padding=500),
    "alac.m4a": lambda: _mp4("alac", None, FASTSTART),
    "co64.m4a": lambda: with_co64(_mp4("aac", b"Pop", FASTSTART)),
    "old-genre.m4a": lambda: _old_genre(_mp4("aac", b"Po", FASTSTART)),
    "bare.m4a": lambda: encoded("ipod", "aac", (FASTSTART, ("fflags", "+bitexact"))),
    "fragments.mp4": lambda: _fragmented(genre="Pop", title=TITLE, artist="Artist"),
    "bare.wma": lambda: encoded("asf", "wmav2"),
    "tagged.wma": lambda: encoded(
        "asf", "wmav2", metadata=(("genre", "Pop"), ("title", TITLE), ("artist", "Artist"), ("WM/Mood", "calm"))
    ),
    "rich.wma": lambda: _rich_wma(),
    "tagged.wv": lambda: _wavpack() + rich_ape(),
    "v1.wv": lambda: _wavpack() + id3v1(),
    "tagged.ape": lambda: monkeys() + rich_ape(),
    "tagged.mpc": lambda: musepack() + rich_ape(None),
    "tagged.aiff": lambda: _wave_id3(written("AIFF"), id3(3, rich_frames(3)), "big", b"ID3 "),
    "bare.aiff": lambda: written("AIFF"),
    "tagged.wav": lambda: _wave_id3(written("WAV"), id3(4, rich_frames(4) + bytes(100)), "little", b"id3 "),
    "bare.wav": lambda: written("WAV"),
}


@cache
def content(name: str) -> bytes:
    return MAKERS[name]()


def make(name: str, folder: Path) -> Path:
    """Write one of :data:`MAKERS` into a folder; a copy beside it with "again-" before the name."""
    path = folder / name
    path.write_bytes(content(name.removeprefix("again-")))
    return path
