"""The array store: what survives a kill, a torn tail, damage, a full disk and a second writer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.errors import InputError, StoreError
from earmark.store import ArrayStore

SHAPE = (4, 9)


def open_store(folder: Path, mode: str = "a", **options) -> ArrayStore:
    return ArrayStore(folder, **{"key": "k", "shape": SHAPE, "dtype": np.uint8, "mode": mode, **options})


def row(number: int) -> np.ndarray:
    return np.full(SHAPE, number % 251, np.uint8)


def run(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_rows_come_back_with_their_notes(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        for number in range(5):
            store.add(f"key{number}", row(number), {"seconds": number / 2})
        assert "key3" in store and "key9" not in store
        np.testing.assert_array_equal(store.get("key3"), row(3))
    again = open_store(tmp_path / "s", "r")
    assert again.keys() == [f"key{n}" for n in range(5)] and len(again) == 5
    assert again.meta("key4") == {"seconds": 2.0}
    np.testing.assert_array_equal(again.rows, np.stack([row(n) for n in range(5)]))
    with pytest.raises(KeyError):
        again.get("key9")


def test_neighbours_are_read_without_copying_and_others_in_the_asked_order(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        for number in range(6):
            store.add(str(number), row(number))
        part = store.take(["2", "3", "4"])
        assert isinstance(part, np.memmap) and not part.flags.writeable
        np.testing.assert_array_equal(store.take(["5", "0", "0"])[:, 0, 0], [5, 0, 0])
        assert store.take([]).shape == (0, *SHAPE)


def test_a_reader_sees_what_was_there_when_it_opened(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as writer:
        writer.add("a", row(1))
        reader = open_store(tmp_path / "s", "r")
        writer.add("b", row(2))
        assert reader.keys() == ["a"] and open_store(tmp_path / "s", "r").keys() == ["a", "b"]


@settings(deadline=None, max_examples=40)
@given(rows_cut=st.integers(0, 40), index_cut=st.integers(0, 200))
def test_whatever_is_missing_at_the_end_only_the_last_rows_go(
    tmp_path_factory: pytest.TempPathFactory, rows_cut: int, index_cut: int
) -> None:
    folder = tmp_path_factory.mktemp("store") / "s"
    with open_store(folder) as store:
        for number in range(6):
            store.add(str(number), row(number))
    for name, cut in (("rows.bin", rows_cut), ("index.jsonl", index_cut)):
        size = (folder / name).stat().st_size
        os.truncate(folder / name, max(0, size - cut))
    with open_store(folder) as store:
        kept = len(store)
        assert store.keys() == [str(number) for number in range(kept)]
        np.testing.assert_array_equal(store.rows, np.stack([row(n) for n in range(kept)]) if kept else store.rows)
        for number in range(kept, 6):
            store.add(str(number), row(number))
    np.testing.assert_array_equal(open_store(folder, "r").rows, np.stack([row(n) for n in range(6)]))


def test_damage_before_the_end_is_an_error_not_a_loss(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        for number in range(4):
            store.add(str(number), row(number))
    index = tmp_path / "s" / "index.jsonl"
    good = index.read_bytes()
    index.write_bytes(good.replace(b'"row":1', b'"row":7', 1))
    with pytest.raises(StoreError, match="line 2 of its index"):
        open_store(tmp_path / "s", "r")
    index.write_bytes(good)
    rows = tmp_path / "s" / "rows.bin"
    data = bytearray(rows.read_bytes())
    data[2 * 36 + 5] ^= 1
    rows.write_bytes(bytes(data))
    store = open_store(tmp_path / "s", "r")
    np.testing.assert_array_equal(store.get("1"), row(1))
    with pytest.raises(StoreError, match="row 2"):
        store.get("2")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"key": "other"}, "another key"),
        ({"shape": (4, 8)}, "another shape"),
        ({"dtype": np.float32}, "another dtype"),
    ],
)
def test_a_store_of_other_parameters_is_refused(tmp_path: Path, options: dict, word: str) -> None:
    open_store(tmp_path / "s").close()
    with pytest.raises(StoreError, match=word):
        open_store(tmp_path / "s", "r", **options)


def test_other_versions_and_things_that_are_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no store"):
        open_store(tmp_path / "none", "r")
    with pytest.raises(StoreError, match="not a store"):
        open_store(tmp_path, "r")
    open_store(tmp_path / "s").close()
    header = tmp_path / "s" / "store.json"
    header.write_text(header.read_text().replace('"format": 1', '"format": 9'))
    with pytest.raises(StoreError, match="another format"):
        open_store(tmp_path / "s", "r")
    header.write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        open_store(tmp_path / "s", "a")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        open_store(tmp_path / "file")


def test_wrong_rows_are_refused_and_cost_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        store.add("a", row(1))
        with pytest.raises(InputError, match="already"):
            store.add("a", row(1))
        with pytest.raises(InputError, match="shape"):
            store.add("b", np.zeros((9, 4), np.uint8))
        with pytest.raises(InputError, match="type"):
            store.add("b", np.zeros(SHAPE, np.int8))
        store.add("b", row(2))
    with pytest.raises(InputError, match="reading only"):
        open_store(tmp_path / "s", "r").add("c", row(3))


def test_a_second_writer_is_told_who_holds_the_store(tmp_path: Path) -> None:
    with open_store(tmp_path / "s") as store:
        store.add("a", row(1))
        with pytest.raises(StoreError, match=rf"being written by process {os.getpid()} on "):
            open_store(tmp_path / "s")
        np.testing.assert_array_equal(open_store(tmp_path / "s", "r").get("a"), row(1))
    open_store(tmp_path / "s").close()


WRITER = """
    import sys, numpy as np
    from earmark.store import ArrayStore
    store = ArrayStore(sys.argv[1], key="k", shape=(300, 1000), dtype=np.uint8, mode="a")
    start = len(store)
    print(start, flush=True)
    for number in range(start, 1_000_000):
        store.add(str(number), np.full((300, 1000), number % 251, np.uint8))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9")
def test_kill_9_loses_nothing_that_was_added(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    least = 0
    for pause in (0.05, 0.11, 0.02):
        process = run(WRITER, folder)
        assert process.stdout is not None
        assert int(process.stdout.readline()) >= least
        time.sleep(pause)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        reader = ArrayStore(folder, key="k", shape=(300, 1000), dtype=np.uint8)
        assert len(reader) >= least
        least = len(reader)
        assert reader.keys() == [str(number) for number in range(least)]
        reader.take(reader.keys())  # every checksum holds
        np.testing.assert_array_equal(reader.rows[:, 0, 0], np.arange(least) % 251)
    assert least > 3


FULL = """
    import resource, sys, numpy as np
    from earmark.errors import InputError
    from earmark.store import ArrayStore
    with ArrayStore(sys.argv[1], key="k", shape=(300, 1000), dtype=np.uint8, mode="a") as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        try:
            for number in range(9):
                store.add(str(number), np.full((300, 1000), number, np.uint8))
        except InputError as error:
            print(error)
        print(len(store))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.add("3", np.full((300, 1000), 3, np.uint8))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on file sizes")
def test_a_full_disk_is_a_sentence_and_the_store_goes_on_afterwards(tmp_path: Path) -> None:
    process = run(FULL, tmp_path / "s")
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    sentence, count = out.splitlines()
    assert "disk is full" in sentence and "kept 3 rows" in sentence and count == "3"
    store = ArrayStore(tmp_path / "s", key="k", shape=(300, 1000), dtype=np.uint8)
    np.testing.assert_array_equal(store.take(store.keys())[:, 0, 0], [0, 1, 2, 3])
