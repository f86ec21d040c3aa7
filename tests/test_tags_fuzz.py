"""Damaged files: never a crash, never a file that is worse than before, always a way back."""

from __future__ import annotations

import io
import os
import struct
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tag_files import MAKERS, content, packets

pytest.importorskip("mutagen")

from earmark.errors import StoreError
from earmark.library import tags
from earmark.library.tags.delta import backward, compose, forward, from_json, makes, to_json, unmakes
from earmark.library.tags.edit import Splice, TagError, Wanted
from earmark.library.tags.formats import open_editor

ROCK = {"label": "rock", "confidence": 0.8, "probabilities": {"rock": 0.6, "blues": 0.4}}


# FFmpeg takes tags for sound when the lengths that tell them apart are damaged.
NO_WITNESS = {"ape-v1.mp3", "id3v24-ape.mp3", "tagged.wv", "v1.wv", "tagged.ape", "tagged.mpc", "fragments.mp4"}


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file with bits flipped, bytes lost, doubled or invented, most of it where tags are."""
    name = draw(st.sampled_from(sorted(MAKERS)))
    data = bytearray(content(name))
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        near = draw(st.sampled_from(["start", "start", "end", "any"]))
        reach = min(len(data), 400 if near == "start" else 300)
        place = draw(st.integers(0, (len(data) if near == "any" else reach) - 1))
        place = len(data) - 1 - place if near == "end" else place
        what = draw(st.sampled_from(["flip", "flip", "byte", "cut", "drop", "double", "insert"]))
        if what == "flip":
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif what == "byte":
            data[place] = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]))
        elif what == "cut":
            del data[place:]
        elif what == "drop":
            del data[place : place + draw(st.integers(1, 40))]
        elif what == "double":
            data[place:place] = data[place : place + draw(st.integers(1, 40))]
        else:
            data[place:place] = draw(st.binary(min_size=1, max_size=8))
    return name, bytes(data)


@settings(deadline=None, max_examples=100)
@given(damaged(), st.booleans())
@pytest.mark.filterwarnings("ignore:Generating overly large repr")
def test_damaged_files(case: tuple[str, bytes], fields: bool) -> None:
    name, data = case
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(os, "fsync", lambda descriptor: None):
        path = Path(folder) / name
        path.write_bytes(data)
        before = _packets(path)
        plan = tags.plan([(path, ROCK)], mode="replace", top_k=2, fields=fields)
        assert path.read_bytes() == data
        report = tags.apply(plan, journal=Path(folder) / "journal")
        if report.done:
            if before and name not in NO_WITNESS:
                assert _packets(path) == before, "the sound that was left is still there"
            assert tags.undo(report.journal).done == report.done
        assert path.read_bytes() == data
        assert {entry.name for entry in Path(folder).iterdir()} <= {name, "journal"}


def _packets(path: Path) -> str | None:
    try:
        return packets(path)
    except Exception:  # FFmpeg and PyAV may say whatever they like about a damaged file
        return None


MAGIC = [
    b"ID3\x03\x00\x00",
    b"fLaC",
    b"OggS\x00\x02",
    b"RIFF",
    b"FORM",
    b"wvpk",
    b"APETAGEX",
    b"\xff\xfb\x90\x00",
    b"",
]
MAGIC += [b"\x00\x00\x00\x18ftypM4A "]
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
MAGIC += [ASF, ASF + struct.pack("<QIH", 60, 1, 0x201) + bytes.fromhex("40a4d0d207e3d21197f000a0c95ea850")]


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200), st.sampled_from(MAGIC))
def test_noise_behind_a_magic_number(noise: bytes, magic: bytes) -> None:
    """Opening either works or is refused with a sentence."""
    handle = io.BytesIO(magic + noise)
    try:
        editor = open_editor(handle)
        editor.splices(Wanted(("Rock",)))
        editor.others()
        editor.sound()
    except TagError as error:
        assert str(error).endswith("the file was left as it is.")


TEXT = st.text(st.characters(exclude_categories=["C"]), min_size=1)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(sorted(MAKERS)), st.lists(TEXT, max_size=3))
def test_any_genre_in_any_file(name: str, genres: list[str]) -> None:
    """What is written is read back by the editor, and the way back gives the old bytes."""
    data = content(name)
    old = io.BytesIO(data)
    editor = open_editor(old)
    genres = [genre for genre in genres if not genre.isdigit() and genre not in ("RX", "CR") and genre[0] != "("]
    wanted = Wanted(editor.stored(genres))
    splices = editor.splices(wanted)
    new = io.BytesIO()
    compose(forward(splices, len(data)), old, new)
    changed = open_editor(new)
    assert changed.genres == wanted.genres
    assert changed.others() == editor.others()
    again = io.BytesIO()
    compose(from_json(to_json(backward(splices, old, len(data)))), new, again)
    assert again.getvalue() == data


@st.composite
def spliced(draw: st.DrawFn) -> tuple[bytes, list[Splice]]:
    """Bytes with many repetitions, and splices that move some of them."""
    alphabet = [b"a" * 50, bytes(range(64)), b"\x00" * 90, b"xyz", b""]
    data = b"".join(draw(st.lists(st.sampled_from(alphabet), max_size=12)))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=6)))
    splices = []
    for start, end in zip(cuts[::2], cuts[1::2], strict=False):
        new = draw(st.sampled_from([data[start:end] + b"more", b"less" + data[start + 3 : end], b"", bytes(200)]))
        splices.append(Splice(start, end - start, new))
    return data, splices


@settings(deadline=None, max_examples=200)
@given(spliced())
def test_the_way_back_always_leads_back(case: tuple[bytes, list[Splice]]) -> None:
    data, splices = case
    old, new, again = io.BytesIO(data), io.BytesIO(), io.BytesIO()
    compose(forward(splices, len(data)), old, new)
    expected, position = b"", 0
    for splice in splices:
        expected += data[position : splice.start] + splice.new
        position = splice.end
    assert new.getvalue() == expected + data[position:]
    compose(backward(splices, old, len(data)), new, again)
    assert again.getvalue() == data


@settings(deadline=None, max_examples=300)
@given(spliced(), st.data())
def test_a_wrong_way_back_is_told(case: tuple[bytes, list[Splice]], draw: st.DataObject) -> None:
    data, splices = case
    old, new, again = io.BytesIO(data), io.BytesIO(), io.BytesIO()
    recipe = forward(splices, len(data))
    compose(recipe, old, new)
    assert makes(recipe, old, new)
    undo = backward(splices, old, len(data))
    assert unmakes(undo, recipe, old, new)
    size = len(new.getvalue())
    for place, operation in enumerate(undo):
        if isinstance(operation, bytes):
            undo[place] = draw.draw(st.sampled_from([operation, operation[::-1]]))
        else:
            shift = draw.draw(st.integers(-operation[0], size - sum(operation)))
            undo[place] = (operation[0] + draw.draw(st.sampled_from([0, shift])), operation[1])
    undo += draw.draw(st.sampled_from([[], [(0, size)], [b"x"]]))
    compose(undo, new, again)
    assert unmakes(undo, recipe, old, new) == (again.getvalue() == data)


def test_a_way_back_may_not_reach_beyond_the_new_file() -> None:
    old, recipe, new = io.BytesIO(b"sound"), [(0, 5)], io.BytesIO(b"sound")
    assert unmakes([(0, 5)], recipe, old, new)
    assert not unmakes([(0, 6)], recipe, old, new)
    assert not unmakes([(0, 5), (5, 1)], recipe, old, new)
    assert not unmakes([(0, 4)], recipe, old, new)


def test_a_way_back_may_lie_partly_on_the_way_there() -> None:
    old, recipe, new = io.BytesIO(b"abcdefgh"), [(0, 4), b"?", (4, 4)], io.BytesIO(b"abcd?efgh")
    assert unmakes([(0, 4), (5, 4)], recipe, old, new)
    assert not unmakes([(0, 3), (4, 5)], recipe, old, new)
    assert not unmakes([(0, 5), (6, 3)], recipe, old, new)
    assert unmakes([(0, 3), (3, 1), b"ef", (7, 2)], recipe, old, new)


def test_moved_bytes_are_not_kept_twice() -> None:
    noise = os.urandom(100_000)
    old = b"head" + noise + b"tail"
    new = b"HEAD, longer" + noise[:50_000] + b"something between" + noise[50_000:] + b"tail"
    recipe = backward([Splice(0, len(old), new)], io.BytesIO(old), len(old))
    kept = sum(len(operation) for operation in recipe if isinstance(operation, bytes))
    assert kept < 100
    again = io.BytesIO()
    compose(recipe, io.BytesIO(new), again)
    assert again.getvalue() == old


@pytest.mark.parametrize("value", [None, 3, [[1]], [[1, -2]], [["a", 1]], ["not base64!"], ["AAAA"], [[1, 2, 3]]])
def test_recipes_that_are_none(value: Any) -> None:
    with pytest.raises(StoreError):
        from_json(value)
