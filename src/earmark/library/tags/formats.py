"""Which editor a file needs, told from its first bytes and not from its name."""

from __future__ import annotations

from collections.abc import Callable
from typing import BinaryIO

from earmark.library.content import ASF_HEADER
from earmark.library.tags.ape import MAGIC, ApeEditor
from earmark.library.tags.asf import AsfEditor
from earmark.library.tags.chunks import ChunkEditor
from earmark.library.tags.edit import Editor, unsupported
from earmark.library.tags.flac import FlacEditor
from earmark.library.tags.id3 import HEADER, tag_length
from earmark.library.tags.mp3 import Mp3Editor
from earmark.library.tags.mp4 import Mp4Editor
from earmark.library.tags.ogg import OggEditor

_APE_FORMATS = {b"MAC ": "Monkey's Audio", b"wvpk": "WavPack", b"MP+": "Musepack", b"MPCK": "Musepack"}
_KNOWN_OTHERS = {
    b"RF64": "RF64 (WAV beyond 4 GB)",
    b"BW64": "BW64 (WAV beyond 4 GB)",
    b"\x1aE\xdf\xa3": "Matroska",
    b"TTA1": "TrueAudio",
    b"ADIF": "AAC without a container",
    b".snd": "AU",
    b"caff": "CAF",
}


def open_editor(handle: BinaryIO, *, id3: int = 4) -> Editor:
    """Read a file's tags.

    Parameters
    ----------
    handle
        The file, open for reading; it has to stay open while the editor is used.
    id3
        The version (3 or 4) of an ID3v2 tag that would have to be made because there is none.

    Raises
    ------
    TagError
        If the format has no tags that can be written, or if the tags are damaged.
    """
    handle.seek(0)
    start = handle.read(HEADER)
    skipped = tag_length(start)
    handle.seek(skipped)
    behind = handle.read(12)
    if start[:4] == b"RIFF" and behind[8:] == b"WAVE":
        return ChunkEditor(handle, id3)
    if start[:4] == b"FORM" and behind[8:] in (b"AIFF", b"AIFC"):
        return ChunkEditor(handle, id3)
    exact: list[tuple[bytes, Callable[[BinaryIO], Editor]]] = [(b"fLaC", FlacEditor), (b"OggS", OggEditor)]
    for magic, editor in exact:
        if behind.startswith(magic) and (not skipped or magic == b"fLaC"):
            return editor(handle)
    if start[4:8] == b"ftyp":
        return Mp4Editor(handle)
    if not skipped and behind == ASF_HEADER[:12]:
        return AsfEditor(handle)
    for magic, name in _APE_FORMATS.items():
        if behind.startswith(magic):
            return ApeEditor(handle, name)
    for magic, name in _KNOWN_OTHERS.items():
        if behind.startswith(magic):
            raise unsupported(f"Tags of {name} files cannot be written")
    if len(behind) > 2 and behind[0] == 0xFF and behind[1] & 0xF6 == 0xF0:
        raise unsupported("Tags of AAC files without a container cannot be written")
    if (len(behind) > 2 and behind[0] == 0xFF and behind[1] & 0xE0 == 0xE0) or skipped:
        if not skipped:
            ape = ApeEditor(handle, "MP3")
            if ape.present:
                return ape
        return Mp3Editor(handle, id3)
    if start.startswith(MAGIC):
        raise unsupported("It has an APE tag at its beginning")
    raise unsupported("It is none of MP3, FLAC, Ogg, MP4, WavPack, Monkey's Audio, Musepack, WMA, AIFF and WAV")
