"""The kinds of sound file that Earmark knows: their first bytes, suffixes and readers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True)
class Container:
    """A kind of file.

    Parameters
    ----------
    name
        Short name, as in ``AudioInfo.container``.
    title
        Name for sentences.
    demuxer
        FFmpeg's name for its reader of this container.
    suffixes
        Suffixes that go with it.
    soundfile
        Whether libsndfile reads it.
    declares
        Whether such a file states its length; otherwise FFmpeg's figure is a guess from the bit rate.
    """

    name: str
    title: str
    demuxer: str
    suffixes: tuple[str, ...]
    soundfile: bool = False
    declares: bool = True


@dataclass(frozen=True)
class Content:
    """What :func:`sniff` found.

    Parameters
    ----------
    container
        The kind of file.
    soundfile
        Whether libsndfile should be the first to try; it is not where it is known to lose sound (see :func:`sniff`).
    present
        The part of the promised bytes that is there, up to 1 (None: the container does not promise any).
    whole
        False: the structure shows that the end is missing; True: that it is there; None: the structure does not tell.
    declares
        Whether the length that a reader finds can be believed.
    offset
        Bytes of tags in front that the readers must not see.
    seconds
        Length that the structure gives, where a reader would only guess it.
    """

    container: Container
    soundfile: bool
    present: float | None = None
    whole: bool | None = None
    declares: bool = True
    offset: int = 0
    seconds: float | None = None


WAV = Container("wav", "WAV", "wav", (".wav", ".wave", ".bwf", ".rf64"), True)
W64 = Container("w64", "Wave64", "w64", (".w64",), True)
AIFF = Container("aiff", "AIFF", "aiff", (".aif", ".aiff", ".aifc", ".afc"), True)
AU = Container("au", "AU", "au", (".au", ".snd"), True)
CAF = Container("caf", "CAF", "caf", (".caf",), True)
FLAC = Container("flac", "FLAC", "flac", (".flac", ".fla"), True)
OGG = Container("ogg", "Ogg", "ogg", (".ogg", ".oga", ".opus", ".spx", ".ogv", ".ogx"), True)
MP3 = Container("mp3", "MP3", "mp3", (".mp3", ".mp2", ".mp1", ".mpa", ".m2a", ".mpga"), True)
MP4 = Container(
    "mp4",
    "MP4",
    "mov",
    (".m4a", ".m4b", ".m4p", ".m4r", ".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".alac", ".aac"),
)
ADTS = Container("adts", "AAC", "aac", (".aac", ".adts"), declares=False)
ASF = Container("asf", "WMA", "asf", (".wma", ".asf", ".wmv"))
APE = Container("ape", "Monkey's Audio", "ape", (".ape",))
WAVPACK = Container("wavpack", "WavPack", "wv", (".wv",))
MUSEPACK7 = Container("musepack", "Musepack", "mpc", (".mpc", ".mp+", ".mpp"))
MUSEPACK8 = replace(MUSEPACK7, demuxer="mpc8")
TTA = Container("tta", "True Audio", "tta", (".tta",))
TAK = Container("tak", "TAK", "tak", (".tak",))
DSF = Container("dsf", "DSF", "dsf", (".dsf",))
DFF = Container("dff", "DSDIFF", "iff", (".dff",))
MATROSKA = Container("matroska", "Matroska", "matroska", (".mka", ".mkv", ".webm", ".weba"))
AC3 = Container("ac3", "AC-3", "ac3", (".ac3",), declares=False)
EAC3 = Container("eac3", "E-AC-3", "eac3", (".eac3", ".ec3"), declares=False)
DTS = Container("dts", "DTS", "dts", (".dts",), declares=False)
AMR = Container("amr", "AMR", "amr", (".amr", ".awb"), declares=False)
SVX = Container("svx", "IFF/8SVX", "iff", (".8svx", ".svx", ".iff"), True)
VOC = Container("voc", "VOC", "voc", (".voc",), True)
NIST = Container("nist", "NIST Sphere", "nistsphere", (".nist", ".sph"), True)
SHORTEN = Container("shorten", "Shorten", "shn", (".shn",), declares=False)
QOA = Container("qoa", "QOA", "qoa", (".qoa",))
REAL = Container("real", "RealMedia", "rm", (".ra", ".rm", ".ram"))
# FFmpeg works its length out from the index, frames and padding together.
AVI = Container("avi", "AVI", "avi", (".avi",), declares=False)
FLV = Container("flv", "Flash Video", "flv", (".flv",))
MPEG_TS = Container("mpegts", "MPEG-TS", "mpegts", (".ts", ".m2ts", ".mts"), declares=False)
MPEG_PS = Container("mpeg", "MPEG-PS", "mpeg", (".mpg", ".mpeg", ".vob"), declares=False)

# (offset, magic bytes, container); the first that fits decides.
MAGIC: tuple[tuple[int, bytes, Container], ...] = (
    (0, b"fLaC", FLAC),
    (0, b"OggS", OGG),
    (0, b".snd", AU),
    (0, b"dns.", AU),
    (0, b"caff\x00\x01", CAF),
    (0, b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00", W64),
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", ASF),
    (0, b"MAC ", APE),
    (0, b"wvpk", WAVPACK),
    (0, b"MP+", MUSEPACK7),
    (0, b"MPCK", MUSEPACK8),
    (0, b"TTA1", TTA),
    (0, b"TTA2", TTA),
    (0, b"tBaK", TAK),
    (0, b"DSD \x1c", DSF),
    (0, b"FRM8", DFF),
    (0, b"\x1a\x45\xdf\xa3", MATROSKA),
    (0, b"\x7f\xfe\x80\x01", DTS),
    (0, b"#!AMR", AMR),
    (0, b"Creative Voice File\x1a", VOC),
    (0, b"NIST_1A\n", NIST),
    (0, b"ajkg", SHORTEN),
    (0, b"qoaf", QOA),
    (0, b".RMF", REAL),
    (0, b".ra\xfd", REAL),
    (0, b"FLV\x01", FLV),
    (0, b"\x00\x00\x01\xba", MPEG_PS),
    (4, b"ftyp", MP4),
    (4, b"moov", MP4),
    (4, b"mdat", MP4),
    (4, b"wide", MP4),
    (4, b"free", MP4),
    (4, b"skip", MP4),
)
FORMS = {
    (b"RIFF", b"WAVE"): WAV,
    (b"RIFX", b"WAVE"): WAV,
    (b"RF64", b"WAVE"): WAV,
    (b"BW64", b"WAVE"): WAV,
    (b"RIFF", b"AVI "): AVI,
    (b"FORM", b"AIFF"): AIFF,
    (b"FORM", b"AIFC"): AIFF,
    (b"FORM", b"8SVX"): SVX,
    (b"FORM", b"16SV"): SVX,
}
_BARE = (ADTS, AC3, EAC3)
_CONTAINERS = tuple(dict.fromkeys([c for _, _, c in MAGIC] + list(FORMS.values()) + [MP3, MPEG_TS, *_BARE]))
_VIDEO = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".3gp", ".3g2", ".wmv", ".asf", ".avi", ".flv", ".mkv", ".webm", ".ts", ".m2ts"}
    | {".mts", ".mpg", ".mpeg", ".vob", ".ogv", ".ogx", ".iff", ".rm"}
)

KNOWN_SUFFIXES: frozenset[str] = frozenset(s for c in _CONTAINERS for s in c.suffixes)
AUDIO_SUFFIXES: frozenset[str] = KNOWN_SUFFIXES - _VIDEO
"""Suffixes (lower case, with the dot) that a walk through a folder takes as sound.

Those that are mostly video (``.mp4``, ``.mkv``, ``.webm``, ``.mov`` ...) are not among them; such a file is decoded
when it is named itself.
"""

# What is often found under a sound file's name and is none, for the sentence that says so.
OTHER: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3", "an SQLite database"),
    (b"MThd", "a MIDI file, which holds notes and no sound"),
    (b"#EXTM3U", "a playlist"),
    (b"[playlist]", "a playlist"),
    (b"\x00\x05\x16\x07", "macOS file information without the sound"),
)


def describe_other(head: bytes) -> str:
    """Say what bytes that are no sound look like: "a JPEG image", "text", "zeros only", "unknown data"."""
    for magic, title in OTHER:
        if head.startswith(magic):
            return title
    if not head.strip(b"\x00"):
        return "zeros only"
    start = head[:512]
    if start.lstrip()[:1] == b"<":
        return "a web page or XML"
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        text = start[: error.start].decode("utf-8") if error.start > len(start) - 4 else "\x00"
    return "text" if text and all(c.isprintable() or c.isspace() for c in text) else "unknown data"


def suffix_fits(name: str, container: Container) -> bool:
    """Whether a file's name goes with its content; a name that promises no sound promises nothing wrong."""
    suffix = Path(name).suffix.lower()
    return suffix not in KNOWN_SUFFIXES or suffix in container.suffixes
