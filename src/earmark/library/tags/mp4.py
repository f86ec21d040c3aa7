"""MP4: the item list ``moov.udta.meta.ilst``.

A change of length is taken up by a ``free`` atom where one is near. Where none is and the sound lies behind, it
moves, and every absolute offset in the file (``stco``, ``co64``, ``tfhd``, ``tfra``) moves with it.

The format: ISO/IEC 14496-12 (boxes) and Apple's iTunes metadata; offsets as mutagen and AtomicParsley know them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from earmark.library.tags.edit import (
    FIELD_PREFIX,
    Editor,
    Range,
    Splice,
    Wanted,
    damaged,
    genre_name,
    unsupported,
)

GENRE, OLD_GENRE, FREEFORM = b"\xa9gen", b"gnre", b"----"
_MEAN = b"com.apple.iTunes"  # what other taggers use for fields of their own
_UTF8 = 1
_ATOMS = 100_000
_TABLES = (b"trak", b"mdia", b"minf", b"stbl")
_CONTAINERS = frozenset(
    [b"/moov", b"/moov/udta", b"/moov/udta/meta", b"/moof", b"/moof/traf", b"/mfra"]
    + [b"/moov/" + b"/".join(_TABLES[:depth]) for depth in range(1, 5)]
)


@dataclass(frozen=True)
class Atom:
    """One box: its name, where it begins, how long its header is, where it ends."""

    name: bytes
    start: int
    header: int
    end: int
    to_the_end: bool = False  # its length is written as zero

    @property
    def body(self) -> int:
        return self.start + self.header


class Mp4Editor(Editor):
    """The item list of an MP4 file (M4A, M4B, MP4)."""

    format = "MP4"

    def __init__(self, handle: BinaryIO) -> None:
        super().__init__(handle)
        self._top = self._atoms(0, self.size, top=True)
        moov = [atom for atom in self._top if atom.name == b"moov"]
        if len(moov) != 1:
            raise damaged("it has no movie header" if not moov else "it has two movie headers")
        self._moov = moov[0]
        self._path, self._missing = self._find()
        self._items: list[tuple[Atom, bytes]] = []
        if not self._missing:
            ilst = self._path[-1]
            data = self.read(ilst.body, ilst.end - ilst.body)
            for atom in self._atoms(ilst.body, ilst.end):
                self._items.append((atom, data[atom.start - ilst.body : atom.end - ilst.body]))
        new = [text for atom, raw in self._items if atom.name == GENRE for text in _texts(raw, atom.header)]
        old = [name for atom, raw in self._items if atom.name == OLD_GENRE and (name := _numbered(raw, atom.header))]
        self.genres = tuple(new or old)
        if old:
            self.notes.append("the old genre number gives way to the genre's name when it is written")
        self.fields = {
            name: value
            for atom, raw in self._items
            if (pair := _freeform(atom, raw)) is not None
            for name, value in [pair]
            if name.startswith(FIELD_PREFIX)
        }

    # Reading

    def _atoms(self, start: int, end: int, *, top: bool = False) -> list[Atom]:
        atoms: list[Atom] = []
        position = start
        while position + 8 <= end:
            header = self.read(position, 8)
            length, size, to_the_end = int.from_bytes(header[:4], "big"), 8, False
            if length == 1:
                if position + 16 > end:
                    raise damaged("an atom is cut off")
                length, size = int.from_bytes(self.read(position + 8, 8), "big"), 16
            elif length == 0:
                if not top:
                    if header[4:] == bytes(4):
                        break  # QuickTime ends some lists of atoms with zeros
                    raise damaged("an atom inside another has no length")
                length, to_the_end = end - position, True
            if length < size or position + length > end:
                raise damaged("an atom does not end inside the one around it")
            if len(atoms) >= _ATOMS:
                raise damaged("it has more than 100,000 atoms in one list")
            atoms.append(Atom(header[4:], position, size, position + length, to_the_end))
            position += length
        return atoms

    def _children(self, atom: Atom) -> list[Atom]:
        skip = 0
        if atom.name == b"meta":
            # ISO gives it four bytes of version and flags, QuickTime does not.
            if atom.end - atom.body < 8:
                raise damaged("the metadata atom is too short")
            skip = 0 if self.read(atom.body, 8)[4:] == b"hdlr" else 4
        return self._atoms(atom.body + skip, atom.end)

    def _find(self) -> tuple[list[Atom], list[bytes]]:
        """The atoms from ``moov`` towards ``ilst`` that exist, and the names of those that are missing."""
        path, names = [self._moov], [b"udta", b"meta", b"ilst"]
        while names:
            found = [atom for atom in self._children(path[-1]) if atom.name == names[0]]
            if not found:
                break
            if len(found) > 1:
                raise unsupported("It has two lists of tags")
            path.append(found[0])
            names.pop(0)
        if len(path) == 3 and names:
            handler = [atom for atom in self._children(path[-1]) if atom.name == b"hdlr"]
            if not handler or self.read(handler[0].body, 12)[8:] != b"mdir":
                raise unsupported("Its metadata is not of the kind that holds tags")
        return path, names

    def _all(self, atoms: list[Atom], *names: bytes) -> Iterator[Atom]:
        for atom in atoms:
            if atom.name == names[0]:
                if len(names) == 1:
                    yield atom
                else:
                    yield from self._all(self._atoms(atom.body, atom.end), *names[1:])

    # Writing

    def splices(self, wanted: Wanted) -> list[Splice]:
        if not self.differs(wanted):
            return []
        splices = self._item_splices(wanted)
        growth = sum(len(splice.new) - splice.length for splice in splices)
        if growth:
            splices += self._make_room(growth)
        return sorted(splices, key=lambda splice: splice.start)

    def _item_splices(self, wanted: Wanted) -> list[Splice]:
        fields = dict(wanted.fields)
        genre = None if wanted.genres is None else _genre_atom(wanted.genres)
        splices: list[Splice] = []
        for atom, raw in self._items:
            pair = _freeform(atom, raw)
            if atom.name in (GENRE, OLD_GENRE) and wanted.genres is not None:
                splices.append(Splice(atom.start, len(raw), genre or b""))
                genre = b""
            elif pair is not None and pair[0] in wanted.fields:
                new = _freeform_atom(pair[0], fields.pop(pair[0])) if pair[0] in fields else b""
                splices.append(Splice(atom.start, len(raw), new))
        added = (genre or b"") + b"".join(_freeform_atom(name, value) for name, value in fields.items())
        if added:
            for name in reversed(self._missing):
                if name == b"meta":
                    handler = bytes(8) + b"mdirappl" + bytes(9)
                    added = bytes(4) + _atom(b"hdlr", handler) + added
                added = _atom(name, added)
            parent = self._path[-1]
            if self._missing:
                end = parent.end
                children = self._children(parent)
                # Zeros that end a list of atoms have to stay behind them.
                end = children[-1].end if children else parent.body
                if self.read(end, parent.end - end).strip(b"\x00"):
                    raise damaged("an atom does not end inside the one around it")
            else:
                end = self._items[-1][0].end if self._items else parent.body
            splices.append(Splice(end, 0, added))
        return splices

    def _make_room(self, growth: int) -> list[Splice]:
        """What else changes when the item list grows by so many bytes (or shrinks, if negative)."""
        free = self._free_behind_list()
        if free is not None and self._fits(free, growth):
            grown = [self._path[3]] if not self._missing else []
            return [*self._sizes(grown, growth), self._resized(free, growth)]
        sizes = self._sizes(self._path, growth)
        index = self._top.index(self._moov)
        behind = self._top[index + 1 :]
        if behind and behind[0].name in (b"free", b"skip") and self._fits(behind[0], growth):
            return [*sizes, self._resized(behind[0], growth)]
        if any(atom.name not in (b"free", b"skip", b"wide", b"uuid") for atom in behind):
            sizes += self._shift_offsets(growth)
        return sizes

    def _free_behind_list(self) -> Atom | None:
        if self._missing:
            return None
        siblings = self._children(self._path[2])
        index = siblings.index(self._path[3]) + 1
        return siblings[index] if index < len(siblings) and siblings[index].name == b"free" else None

    def _fits(self, free: Atom, growth: int) -> bool:
        left = free.end - free.start - growth
        return free.header == 8 and not free.to_the_end and (left == 0 or 8 <= left < 1 << 32)

    def _resized(self, free: Atom, growth: int) -> Splice:
        left = free.end - free.start - growth
        new = left.to_bytes(4, "big") + free.name + bytes(left - 8) if left else b""
        return Splice(free.start, free.end - free.start, new)

    def _sizes(self, atoms: list[Atom], growth: int) -> list[Splice]:
        splices = []
        for atom in atoms:
            if atom.to_the_end:
                continue
            length = atom.end - atom.start + growth
            if atom.header == 16:
                splices.append(Splice(atom.start + 8, 8, length.to_bytes(8, "big")))
            elif length < 1 << 32:
                splices.append(Splice(atom.start, 4, length.to_bytes(4, "big")))
            else:
                raise unsupported("Its movie header would become longer than 4 GB")
        return splices

    def _shift_offsets(self, growth: int) -> list[Splice]:
        inside = self._atoms(self._moov.body, self._moov.end)
        if next(self._all(inside, *_TABLES, b"saio"), None) is not None:
            raise unsupported("Its sound is encrypted and would have to move")
        splices: list[Splice] = []
        for start, width, offset in self._offsets():
            if offset < self._moov.end:
                continue
            moved = offset + growth
            if moved >= 1 << (8 * width):
                raise unsupported("Its sound would move beyond what its offsets can say")
            splices.append(Splice(start, width, moved.to_bytes(width, "big")))
        return _joined(splices)

    def _offsets(self) -> Iterator[tuple[int, int, int]]:
        """Every absolute offset in the file, as (where it stands, its width in bytes, its value)."""
        inside = self._atoms(self._moov.body, self._moov.end)
        for name, width in ((b"stco", 4), (b"co64", 8)):
            for atom in self._all(inside, *_TABLES, name):
                count = int.from_bytes(self.read(atom.body, 8)[4:], "big")
                if 8 + count * width > atom.end - atom.body:
                    raise damaged("a table of offsets is cut off")
                data = self.read(atom.body + 8, count * width)
                for i in range(0, len(data), width):
                    yield atom.body + 8 + i, width, int.from_bytes(data[i : i + width], "big")
        for atom in self._all(self._top, b"moof", b"traf", b"tfhd"):
            head = self.read(atom.body, min(16, atom.end - atom.body))
            if len(head) == 16 and head[3] & 1:
                yield atom.body + 8, 8, int.from_bytes(head[8:], "big")
        for atom in self._all(self._top, b"mfra", b"tfra"):
            yield from self._fragment_offsets(atom)

    def _fragment_offsets(self, atom: Atom) -> Iterator[tuple[int, int, int]]:
        data = self.read(atom.body, atom.end - atom.body)
        if len(data) < 16:
            raise damaged("a table of offsets is cut off")
        width = 8 if data[0] == 1 else 4
        numbers = sum((data[11] >> shift & 3) + 1 for shift in (4, 2, 0))
        position = 16
        for _ in range(int.from_bytes(data[12:16], "big")):
            place = position + width
            if place + width + numbers > len(data):
                raise damaged("a table of offsets is cut off")
            yield atom.body + place, width, int.from_bytes(data[place : place + width], "big")
            position = place + width + numbers

    # Checking

    def sound(self) -> list[Range]:
        return [(atom.body, atom.end) for atom in self._top if atom.name == b"mdat"]

    def others(self) -> list[bytes]:
        kept = [
            raw
            for atom, raw in self._items
            if atom.name not in (GENRE, OLD_GENRE)
            and ((pair := _freeform(atom, raw)) is None or not pair[0].startswith(FIELD_PREFIX))
        ]
        return [*kept, *self._rest(), *self._targets()]

    def _rest(self) -> list[bytes]:
        """All atoms but the sound, the tags, free space, lengths and offsets."""
        kept: list[bytes] = []
        changing = (b"mdat", b"free", b"skip", b"stco", b"co64", b"tfhd", b"tfra")

        def visit(atoms: list[Atom], inside: bytes) -> None:
            for atom in atoms:
                place = inside + b"/" + atom.name
                if atom.name in changing or place in (b"/moov/udta/meta/hdlr", b"/moov/udta/meta/ilst"):
                    continue
                if place in _CONTAINERS:
                    visit(self._children(atom), place)
                else:
                    kept.append(place + self.read(atom.body, atom.end - atom.body))

        visit(self._top, b"")
        return kept

    def _targets(self) -> list[bytes]:
        """Where each offset points, as the distance from the atom that it points into."""
        tops = [atom for atom in self._top if atom.name not in (b"free", b"skip")]
        starts = [atom.start for atom in tops]
        facts = []
        for _, _, offset in self._offsets():
            index = bisect_right(starts, offset) - 1
            inside = index >= 0 and offset < tops[index].end
            facts.append(b"%d+%d" % (index, offset - starts[index]) if inside else b"=%d" % offset)
        return [b" ".join(facts)]


def _joined(splices: list[Splice]) -> list[Splice]:
    """Splices that touch each other as one."""
    joined: list[Splice] = []
    run: list[Splice] = []
    for splice in [*sorted(splices, key=lambda s: s.start), None]:
        if run and (splice is None or splice.start != run[-1].end):
            joined.append(Splice(run[0].start, run[-1].end - run[0].start, b"".join(s.new for s in run)))
            run = []
        if splice is not None:
            run.append(splice)
    return joined


def _atom(name: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + name + body


def _data(text: str) -> bytes:
    return _atom(b"data", _UTF8.to_bytes(4, "big") + bytes(4) + text.encode())


def _genre_atom(genres: tuple[str, ...]) -> bytes:
    return _atom(GENRE, b"".join(map(_data, genres))) if genres else b""


def _freeform_atom(name: str, value: str) -> bytes:
    mean = _atom(b"mean", bytes(4) + _MEAN)
    return _atom(FREEFORM, mean + _atom(b"name", bytes(4) + name.encode()) + _data(value))


def _parts(raw: bytes, header: int) -> list[tuple[bytes, bytes]]:
    """The atoms inside one item, as (name, body)."""
    parts = []
    position = header
    while position + 8 <= len(raw):
        length = int.from_bytes(raw[position : position + 4], "big")
        if length < 8 or position + length > len(raw):
            raise damaged("an atom does not end inside the one around it")
        parts.append((raw[position + 4 : position + 8], raw[position + 8 : position + length]))
        position += length
    return parts


def _texts(raw: bytes, header: int) -> list[str]:
    texts = []
    for name, body in _parts(raw, header):
        if name == b"data" and len(body) >= 8:
            codec = "utf-16-be" if body[3] == 2 else "utf-8"
            texts.append(body[8:].decode(codec, "replace"))
    return [text for text in texts if text]


def _numbered(raw: bytes, header: int) -> str | None:
    for name, body in _parts(raw, header):
        if name == b"data" and len(body) >= 10:
            return genre_name(int.from_bytes(body[8:10], "big") - 1)
    return None


def _freeform(atom: Atom, raw: bytes) -> tuple[str, str] | None:
    if atom.name != FREEFORM:
        return None
    parts = dict(_parts(raw, atom.header))
    if parts.get(b"mean", b"")[4:] != _MEAN or b"name" not in parts:
        return None
    texts = _texts(raw, atom.header)
    return parts[b"name"][4:].decode("utf-8", "replace"), texts[0] if texts else ""
