"""Ogg Vorbis, Opus, Speex and FLAC: the comment packet is replaced, the pages that carry it are dealt anew.

The format: RFC 3533 (pages), the Vorbis I specification, RFC 7845 (Opus). If the number of pages stays the same,
no other page changes; else every later page gets a new sequence number and checksum, and nothing more.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, ClassVar

from earmark.library.tags.comments import Comments
from earmark.library.tags.edit import Editor, Range, Splice, Wanted, damaged, unsupported

_HEAD = 27
_CONTINUED, _FIRST, _LAST = 1, 2, 4
_NOTHING_ENDS = b"\xff" * 8  # granule position of a page on which no packet ends
_SEGMENT = 255
_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def checksum(page: bytes) -> bytes:
    """The CRC of a page whose checksum field is zero: polynomial 0x04c11db7, no inversion, as four bytes.

    zlib computes the same polynomial with the bits of every byte reversed and inverted at both ends.
    """
    mirrored = ~zlib.crc32(page.translate(_REVERSED), 0xFFFFFFFF) & 0xFFFFFFFF
    return mirrored.to_bytes(4, "big").translate(_REVERSED)


@dataclass(frozen=True)
class _Page:
    start: int
    flags: int
    granule: bytes
    serial: bytes
    number: int
    lacing: bytes

    @property
    def head(self) -> int:
        return _HEAD + len(self.lacing)

    @property
    def length(self) -> int:
        return self.head + sum(self.lacing)

    @property
    def end(self) -> int:
        return self.start + self.length


class OggEditor(Editor):
    """The Vorbis comment of the first stream in an Ogg file."""

    # What the first packet begins with: name of the codec, and what its comment packet begins with.
    CODECS: ClassVar[dict[bytes, tuple[str, bytes]]] = {
        b"\x01vorbis": ("Ogg Vorbis", b"\x03vorbis"),
        b"OpusHead": ("Ogg Opus", b"OpusTags"),
        b"\x7fFLAC": ("Ogg FLAC", b""),
        b"Speex   ": ("Ogg Speex", b""),
    }

    def __init__(self, handle: BinaryIO) -> None:
        super().__init__(handle)
        first = self._page(0)
        if not first.flags & _FIRST:
            raise damaged("the Ogg stream does not begin with its first page")
        opening = self.read(first.head, min(sum(first.lacing), 16))
        known = [value for key, value in self.CODECS.items() if opening.startswith(key)]
        if not known:
            raise unsupported("It is an Ogg file, but its first stream is not Vorbis, Opus, FLAC or Speex")
        self.format, magic = known[0]
        self._pages, packets = self._headers(first)
        self._others = packets[1:]
        packet = packets[0]
        if self.format == "Ogg FLAC":
            if not packet or packet[0] & 0x7F != 4 or int.from_bytes(packet[1:4], "big") != len(packet) - 4:
                raise damaged("the Vorbis comment is not where it should be")
            self._prefix, body = packet[:1], packet[4:]
        else:
            if not packet.startswith(magic):
                raise damaged("the Vorbis comment is not where it should be")
            self._prefix, body = magic, packet[len(magic) :]
        self._length = len(packet)
        self._comments = Comments(body)
        self.genres, self.fields = self._comments.genres, self._comments.fields

    def splices(self, wanted: Wanted) -> list[Splice]:
        if not self.differs(wanted):
            return []
        packet = self._packet(wanted)
        pages = self._deal([packet, *self._others], len(self._pages))
        start, end = self._pages[0].start, self._pages[-1].end
        splices = [Splice(start, end - start, b"".join(pages))]
        shift = len(pages) - len(self._pages)
        if shift:
            splices += self._renumbered(shift)
        return splices

    def _renumbered(self, shift: int) -> list[Splice]:
        """New numbers and checksums for the pages behind the headers of the same stream, to its end."""
        broken = unsupported("Its sound is damaged, and its pages would have to be numbered anew")
        splices: list[Splice] = []
        end = self._pages[-1].end
        for page in self._walk(end):
            end = page.end
            if page.serial != self._pages[0].serial:
                continue
            if page.flags & _FIRST:
                return splices
            number = ((page.number + shift) % (1 << 32)).to_bytes(4, "little")
            data = self.read(page.start, page.length)
            if checksum(data[:22] + bytes(4) + data[26:]) != data[22:26]:
                raise broken  # with a new checksum a player would no longer know that the page is damaged
            splices.append(Splice(page.start + 18, 8, number + checksum(data[:18] + number + bytes(4) + data[26:])))
            if page.flags & _LAST:
                return splices
        if end != self.size:
            raise broken
        return splices

    def sound(self) -> list[Range]:
        return [(page.start + page.head, page.end) for page in self._walk(self._pages[-1].end)]

    def others(self) -> list[bytes]:
        end = self._pages[-1].end
        facts = [page.granule + page.serial + bytes((page.flags,)) + page.lacing for page in self._walk(end)]
        first = self.read(0, self._pages[0].start)
        return [first, self._prefix, *self._comments.others(), self._kept_rest(), *self._others, *facts]

    # Reading

    def _page(self, start: int) -> _Page:
        head = self.read(start, _HEAD)
        if head[:5] != b"OggS\x00":
            raise damaged("an Ogg page does not begin where it should")
        lacing = self.read(start + _HEAD, head[26])
        page = _Page(start, head[5], head[6:14], head[14:18], int.from_bytes(head[18:22], "little"), lacing)
        if page.end > self.size:
            raise damaged("the last Ogg page is cut off")
        return page

    def _walk(self, start: int) -> Iterator[_Page]:
        # Behind the headers a broken page is the business of the sound; the walk just ends there.
        while start + _HEAD <= self.size and self.read(start, 5) == b"OggS\x00":
            lacing = self.read(start + 26, 1)[0]
            if start + _HEAD + lacing > self.size:
                return
            head = self.read(start, _HEAD)
            page = _Page(
                start,
                head[5],
                head[6:14],
                head[14:18],
                int.from_bytes(head[18:22], "little"),
                self.read(start + _HEAD, lacing),
            )
            if page.end > self.size:
                return
            yield page
            start = page.end

    def _headers(self, first: _Page) -> tuple[list[_Page], list[bytes]]:
        """The pages from the comment packet on, up to one that ends with the end of a packet, and the packets."""
        pages: list[_Page] = []
        packets: list[bytes] = []
        open_packet = b""
        start = first.end
        if sum(size < _SEGMENT for size in first.lacing) != 1 or first.lacing[-1] == _SEGMENT:
            raise unsupported("Its Ogg stream has more than one packet on the first page")
        while True:
            page = self._page(start)
            if page.serial != first.serial:
                raise unsupported("Several streams are interleaved in this Ogg file")
            if page.flags & (_FIRST | _LAST) or page.number != first.number + 1 + len(pages):
                raise damaged("the Ogg pages of the headers are out of order")
            if page.granule not in (bytes(8), _NOTHING_ENDS) or bool(page.flags & _CONTINUED) != bool(open_packet):
                raise damaged("sound begins on an Ogg page of the headers")
            pages.append(page)
            data = self.read(page.start, page.length)
            if checksum(data[:22] + bytes(4) + data[26:]) != data[22:26]:
                raise damaged("an Ogg page of the headers has a wrong checksum")
            position = page.head
            for size in page.lacing:
                open_packet += data[position : position + size]
                position += size
                if size < _SEGMENT:
                    packets.append(open_packet)
                    open_packet = b""
            start = page.end
            if packets and page.lacing and page.lacing[-1] < _SEGMENT:
                return pages, packets
            if start - first.end > 1 << 26:
                raise damaged("the Ogg headers do not end")

    # Writing

    def _kept_rest(self) -> bytes:
        """What follows the comments and has a meaning: Vorbis' framing bit, or what Opus says shall be kept."""
        rest = self._comments.rest
        if self.format == "Ogg Opus" and rest and rest[0] & 1:  # RFC 7845, section 5.2
            return rest
        return rest.rstrip(b"\x00")

    def _packet(self, wanted: Wanted) -> bytes:
        rest = self._comments.rest
        body = self._comments.render(wanted)
        prefix = self._prefix
        if self.format == "Ogg FLAC":
            prefix = self._prefix + len(body + rest).to_bytes(3, "big")
            if len(body) + len(rest) >= 1 << 24:
                raise unsupported("Its Vorbis comment would become longer than the 16 MB that FLAC allows")
            return prefix + body + rest
        kept = self._kept_rest()
        padding = len(rest) - len(kept)
        room = self._length - len(prefix) - len(body) - len(kept)
        if padding:
            # Zeros behind the comments are padding in both formats; they take up the difference if they can.
            rest = kept + bytes(room if room >= 0 else padding)
        return prefix + body + rest

    def _deal(self, packets: list[bytes], pages: int) -> list[bytes]:
        """Pages that carry these packets; as many as before, if that is possible."""
        lacing: list[int] = []
        for packet in packets:
            whole, part = divmod(len(packet), _SEGMENT)
            lacing += [_SEGMENT] * whole + [part]
        data = b"".join(packets)
        count = min(max(pages, -(-len(lacing) // 255)), len(lacing))
        first = self._pages[0]
        if count == pages and sum(len(page.lacing) for page in self._pages) == len(lacing):
            shares = [len(page.lacing) for page in self._pages]
        else:
            shares = [len(lacing) * (i + 1) // count - len(lacing) * i // count for i in range(count)]
        dealt: list[bytes] = []
        position = segment = 0
        for index, share in enumerate(shares):
            sizes = lacing[segment : segment + share]
            continued = segment > 0 and lacing[segment - 1] == _SEGMENT
            ends = any(size < _SEGMENT for size in sizes)
            page = (
                b"OggS\x00"
                + bytes((_CONTINUED if continued else 0,))
                + (bytes(8) if ends else _NOTHING_ENDS)
                + first.serial
                + ((first.number + index) % (1 << 32)).to_bytes(4, "little")
                + bytes(4)
                + bytes((share,))
                + bytes(sizes)
                + data[position : position + sum(sizes)]
            )
            dealt.append(page[:22] + checksum(page) + page[26:])
            position += sum(sizes)
            segment += share
        return dealt
