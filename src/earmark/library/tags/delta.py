"""Making one file from another by copying stretches of it: forwards for writing tags, backwards for undoing.

A recipe is a list of operations that, one after another, give the new file: a pair ``(start, length)`` copies from
the old file, bytes stand for themselves.
"""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from earmark.errors import StoreError
from earmark.library.tags.edit import Range, Splice, damaged

Operation = tuple[int, int] | bytes
_COPY = 1 << 18  # larger blocks do not fit the processor's cache and take twice as long
_BLOCK = 32  # shortest run of equal bytes that is worth finding again


def forward(splices: Sequence[Splice], size: int) -> list[Operation]:
    """The recipe for the new file: the old one with the splices in place."""
    recipe: list[Operation] = []
    position = 0
    for splice in splices:
        if splice.start < position or splice.end > size:
            raise damaged("the places to change overlap")
        recipe += [(position, splice.start - position), splice.new]
        position = splice.end
    recipe.append((position, size - position))
    return _merged(recipe)


def backward(splices: Sequence[Splice], old: BinaryIO, size: int) -> list[Operation]:
    """The recipe for the old file from the new one; bytes that both have anywhere near are copied, not kept."""
    recipe: list[Operation] = []
    position = moved = 0
    for splice in splices:
        recipe.append((position + moved, splice.start - position))
        old.seek(splice.start)
        recipe += _match(old.read(splice.length), splice.new, splice.start + moved)
        position = splice.end
        moved += len(splice.new) - splice.length
    recipe.append((position + moved, size - position))
    return _merged(recipe)


def moved_ranges(ranges: Sequence[Range], splices: Sequence[Splice]) -> list[Range]:
    """Where stretches of the old file lie in the new one.

    Raises
    ------
    TagError
        If a splice reaches into one of them.
    """
    result: list[Range] = []
    index = shift = 0
    for start, end in sorted(ranges):
        while index < len(splices) and splices[index].end <= start:
            shift += len(splices[index].new) - splices[index].length
            index += 1
        if index < len(splices) and splices[index].start < end:
            raise damaged("a change would reach into the sound")
        result.append((start + shift, end + shift))
    return result


def compose(recipe: Sequence[Operation], source: BinaryIO, target: BinaryIO) -> None:
    """Write what a recipe makes from ``source``."""
    for operation in recipe:
        if isinstance(operation, bytes):
            target.write(operation)
            continue
        start, left = operation
        source.seek(start)
        while left:
            block = source.read(min(left, _COPY))
            if not block:
                raise damaged("it became shorter while it was read")
            target.write(block)
            left -= len(block)


def makes(recipe: Sequence[Operation], source: BinaryIO, result: BinaryIO) -> bool:
    """Whether a recipe makes from ``source`` exactly the bytes of ``result``; that is quicker told than hashed."""
    place = 0
    for operation in recipe:
        if isinstance(operation, bytes):
            result.seek(place)
            if result.read(len(operation)) != operation:
                return False
        elif not _equal(source, operation[0], result, place, operation[1]):
            return False
        place += _length(operation)
    return result.seek(0, os.SEEK_END) == place


def unmakes(undo: Sequence[Operation], recipe: Sequence[Operation], old: BinaryIO, new: BinaryIO) -> bool:
    """Whether ``undo`` makes from ``new`` exactly the bytes of ``old``, where :func:`makes` holds for ``recipe``.

    What goes back to the very place that it came from has been compared by that and is not read again.
    """
    copies: list[tuple[int, int, int]] = []  # from where to where in the new file, and by how much it was moved
    place = 0
    for operation in recipe:
        if not isinstance(operation, bytes):
            copies.append((place, place + operation[1], place - operation[0]))
        place += _length(operation)
    place = 0
    for operation in undo:
        if isinstance(operation, bytes):
            old.seek(place)
            if old.read(len(operation)) != operation:
                return False
        else:
            start, length = operation
            back = [(begin, end) for begin, end, moved in copies if moved == start - place]
            for begin, end in _outside(start, start + length, back):
                if not _equal(new, begin, old, begin - start + place, end - begin):
                    return False
        place += _length(operation)
    return old.seek(0, os.SEEK_END) == place


def _length(operation: Operation) -> int:
    return len(operation) if isinstance(operation, bytes) else operation[1]


def _equal(a: BinaryIO, i: int, b: BinaryIO, j: int, length: int) -> bool:
    """Whether two files have the same bytes at two places."""
    a.seek(i)
    b.seek(j)
    while length:
        block = a.read(min(length, _COPY))
        if not block or b.read(len(block)) != block:
            return False
        length -= len(block)
    return True


def _outside(begin: int, end: int, stretches: Sequence[Range]) -> Iterator[Range]:
    """The parts of a stretch that lie in none of others, which are in order and apart."""
    for first, last in stretches:
        if begin < last and first < end:
            if begin < first:
                yield begin, first
            begin = last
    if begin < end:
        yield begin, end


def to_json(recipe: Sequence[Operation]) -> list[Any]:
    """A recipe as JSON: pairs stay pairs, bytes become Base64 of their zlib compression."""
    return [_packed(operation) if isinstance(operation, bytes) else list(operation) for operation in recipe]


def _packed(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")


def from_json(value: Any) -> list[Operation]:
    """The recipe that :func:`to_json` wrote.

    Raises
    ------
    StoreError
        If it is not one.
    """
    recipe: list[Operation] = []
    try:
        for operation in value:
            if isinstance(operation, str):
                recipe.append(zlib.decompress(base64.b64decode(operation, validate=True)))
            else:
                start, length = operation
                if not (isinstance(start, int) and isinstance(length, int) and start >= 0 and length >= 0):
                    raise ValueError
                recipe.append((start, length))
    except (TypeError, ValueError, zlib.error) as error:
        raise StoreError("The journal's record of a file's old bytes is damaged.") from error
    return recipe


def _match(old: bytes, new: bytes, base: int) -> list[Operation]:
    """A recipe for ``old`` from ``new``, which stands at ``base`` in its file."""
    head = _common(old, 0, new, 0)
    recipe: list[Operation] = [(base, head)]
    known = {new[at : at + _BLOCK]: at for at in range(0, len(new) - _BLOCK + 1, _BLOCK)}
    kept = at = head
    while at + _BLOCK <= len(old):
        found = known.get(old[at : at + _BLOCK])
        if found is None:
            at += 1
            continue
        while at > kept and found > 0 and old[at - 1] == new[found - 1]:
            at, found = at - 1, found - 1
        length = _common(old, at, new, found)
        recipe += [old[kept:at], (base + found, length)]
        kept = at = at + length
    recipe.append(old[kept:])
    return recipe


def _common(a: bytes, i: int, b: bytes, j: int) -> int:
    """How many bytes from ``a[i:]`` and ``b[j:]`` on are equal."""
    limit = min(len(a) - i, len(b) - j)
    length, step = 0, 64
    while length < limit:
        step = min(step, limit - length)
        if a[i + length : i + length + step] == b[j + length : j + length + step]:
            length += step
            step *= 2
        elif step == 1:
            break
        else:
            step //= 2
    return length


def _merged(recipe: Sequence[Operation]) -> list[Operation]:
    merged: list[Operation] = []
    for operation in recipe:
        if isinstance(operation, bytes):
            if operation and merged and isinstance(merged[-1], bytes):
                merged[-1] += operation
            elif operation:
                merged.append(operation)
        elif operation[1]:
            last = merged[-1] if merged else b""
            if not isinstance(last, bytes) and last[0] + last[1] == operation[0]:
                merged[-1] = (last[0], last[1] + operation[1])
            else:
                merged.append(operation)
    return merged
