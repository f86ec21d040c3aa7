"""Files, folders, playlists and lists: everything is found once, in order, whatever it is called."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.errors import InputError
from earmark.library.inputs import find_inputs, read_playlist
from earmark.library.playlist import write_m3u8
from earmark.library.track import Track


def paths(arguments: list[str], **options: object) -> list[str]:
    found = list(find_inputs(arguments, **options))  # type: ignore[arg-type]
    assert all(item.problem is None for item in found), found
    return [item.path for item in found]


def touch(*files: Path) -> None:
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"x")


def test_files_come_in_the_order_in_which_they_are_named_with_any_suffix(tmp_path: Path) -> None:
    names = [str(tmp_path / name) for name in ("b.mp3", "a.txt", "none.flac")]
    touch(*map(Path, names[:2]))
    assert paths(names) == names


def test_nothing_comes_twice(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp3", tmp_path / "b.mp3")
    one = str(tmp_path / "b.mp3")
    assert paths([one, str(tmp_path), os.path.relpath(one)]) == [one, str(tmp_path / "a.mp3")]


def test_folders_are_walked_with_any_case_of_suffix_and_through_loops(tmp_path: Path) -> None:
    touch(tmp_path / "B" / "z.FLAC", tmp_path / "a.Mp3", tmp_path / "cover.jpg")
    (tmp_path / "B" / "loop").symlink_to(tmp_path)
    assert paths([str(tmp_path)]) == [str(tmp_path / "B" / "z.FLAC"), str(tmp_path / "a.Mp3")]


def test_a_folder_that_cannot_be_read_is_listed(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is forbidden to root")
    touch(tmp_path / "secret" / "a.mp3")
    (tmp_path / "secret").chmod(0)
    found = list(find_inputs([str(tmp_path)]))
    (tmp_path / "secret").chmod(0o700)
    assert [(item.path, item.problem) for item in found] == [(str(tmp_path / "secret"), "unreadable")]


def test_a_playlist_is_read_relative_to_its_own_folder(tmp_path: Path) -> None:
    touch(tmp_path / "music" / "ä b.mp3", tmp_path / "music" / "sub" / "c.mp3", tmp_path / "d.mp3")
    (tmp_path / "music" / "list.m3u8").write_text(
        "\ufeff#EXTM3U\r\n#EXTINF:3,Someone - Something\r\nä b.mp3\r\n\r\nsub\\c.mp3\r\n"
        f"{(tmp_path / 'd.mp3').as_uri()}\r\nhttp://radio.example/stream\r\ngone.mp3\r\n",
        encoding="utf-8",
    )
    found = list(find_inputs([str(tmp_path / "music" / "list.m3u8")]))
    assert [item.path for item in found] == [
        str(tmp_path / "music" / "ä b.mp3"),
        str(tmp_path / "music" / "sub/c.mp3"),
        str(tmp_path / "d.mp3"),
        "http://radio.example/stream",
        str(tmp_path / "music" / "gone.mp3"),
    ]
    assert [item.problem for item in found] == [None, None, None, "missing", None]


def test_an_old_playlist_in_the_windows_code_page_is_understood(tmp_path: Path) -> None:
    touch(tmp_path / "Björk" / "Jóga.mp3")
    (tmp_path / "old.m3u").write_bytes("Björk\\Jóga.mp3\r\n".encode("cp1252"))
    assert paths([str(tmp_path / "old.m3u")]) == [str(tmp_path / "Björk/Jóga.mp3")]


def test_playlists_in_a_circle_end(tmp_path: Path) -> None:
    touch(tmp_path / "a.mp3", tmp_path / "b.mp3")
    (tmp_path / "one.m3u").write_text("a.mp3\ntwo.m3u\n")
    (tmp_path / "two.m3u").write_text("one.m3u\nb.mp3\n")
    assert [Path(p).name for p in paths([str(tmp_path / "one.m3u")])] == ["a.mp3", "b.mp3"]


def test_a_playlist_that_is_none_is_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "binary.m3u").write_bytes(b"\x00\x01\x02")
    found = list(find_inputs([str(tmp_path / "binary.m3u"), str(tmp_path / "none.m3u8")]))
    assert [item.problem for item in found] == ["unreadable", "unreadable"]
    assert "not text" in str(found[0].reason)
    assert "does not exist" in str(found[1].reason)


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_names_with_line_breaks_and_broken_utf8_survive(tmp_path: Path) -> None:
    odd = [os.fsencode(tmp_path) + b"/" + name for name in (b"a\nb.mp3", b"\xff\xfe.mp3", b"quote'\".mp3")]
    for name in odd:
        Path(os.fsdecode(name)).write_bytes(b"x")
    listed = io.BytesIO(b"\0".join(odd) + b"\0")
    assert [os.fsencode(path) for path in paths(["-"], stdin=listed, nul=True)] == odd
    assert {os.fsencode(path) for path in paths([str(tmp_path)])} == set(odd)


def test_a_list_on_standard_input_has_one_name_a_line(tmp_path: Path) -> None:
    touch(tmp_path / "a b.mp3", tmp_path / "c.mp3")
    listed = io.BytesIO(f"{tmp_path}/a b.mp3\r\n\n{tmp_path}/c.mp3".encode())
    assert paths(["-"], stdin=listed) == [f"{tmp_path}/a b.mp3", f"{tmp_path}/c.mp3"]


def test_standard_input_must_be_there() -> None:
    with pytest.raises(InputError, match="standard input"):
        list(find_inputs(["-"]))


@pytest.mark.skipif(sys.platform == "win32", reason="names like these are not allowed there")
@settings(deadline=None, max_examples=60)
@given(names=st.lists(st.binary(min_size=1, max_size=20).filter(lambda b: not {0, 47} & set(b)), max_size=5))
def test_a_written_playlist_names_the_same_files_when_it_is_read(
    names: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("lists")
    files = [os.path.join(folder, "sub", os.fsdecode(name) + ".mp3") for name in names]  # noqa: PTH118
    tracks = [Track(number, path, seconds=3.4) for number, path in enumerate(files)]
    (folder / "list.m3u8").write_bytes(write_m3u8(tracks, folder))
    read = read_playlist(folder / "list.m3u8")
    assert [os.path.normpath(path) for path in read] == [os.path.normpath(path) for path in files]
