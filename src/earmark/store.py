"""Arrays on disk: rows of one shape, keyed by the content that they were computed from.

An :class:`ArrayStore` is the cache of everything slow (spectrograms, embeddings). It only ever grows, is read
through a memory map, and survives being killed at any byte: a row counts only once its line in the index is
complete. The index is text, one line per row: a CRC-32 of the line's JSON, a space, the JSON.

    folder/store.json    format, key, shape and type of a row
    folder/rows.bin      the rows, one after another
    folder/index.jsonl   which row holds which key, and the row's own CRC-32
    folder/lock          who is writing
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from earmark.errors import InputError, StoreError
from earmark.files import DISK_FULL, write_json
from earmark.locks import exclusive

FORMAT = 1
_SYNC_EVERY = 64


def cache_folder() -> Path:
    """Where what can be computed again is kept: EARMARK_CACHE in the environment, else the user's cache folder."""
    chosen = os.environ.get("EARMARK_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("earmark")


class ArrayStore:
    """Append-only rows of one shape and type, keyed by strings.

    Parameters
    ----------
    folder
        Where the store lives; made when it is opened for writing.
    key
        What every row was computed with (for spectrograms: the front end's key). A store made with another key
        is refused, so that results of two front ends never mix.
    shape, dtype
        Of one row.
    mode
        ``"r"`` reads what is there; ``"a"`` also adds. Any number of readers, one writer.

    Raises
    ------
    StoreError
        If the store is damaged, was made by another version or with other parameters, or is being written by
        another process.
    InputError
        If the folder is not there (``"r"``) or cannot be written (``"a"``).

    Notes
    -----
    Rows are flushed to the operating system at once (enough for kill -9) and to the disk every 64 rows and on
    closing (enough for a power cut to cost at most those). What is missing at the end after such a cut is
    dropped and can be computed again; damage anywhere else is an error.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        key: str,
        shape: Sequence[int],
        dtype: DTypeLike = np.uint8,
        mode: Literal["r", "a"] = "r",
    ) -> None:
        self.folder = Path(folder)
        self.key = key
        self.shape = tuple(int(n) for n in shape)
        self.dtype = np.dtype(dtype)
        self._row_bytes = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        if self._row_bytes <= 0 or self.dtype.hasobject:
            raise InputError(f"A store row cannot have the shape {self.shape} and type {self.dtype}.")
        self._order: list[str] = []
        self._entries: dict[str, dict[str, Any]] = {}
        self._map: NDArray[Any] | None = None
        self._rows_file: _Whole | None = None
        self._index_file: _Whole | None = None
        self._index_bytes = 0
        self._lock = contextlib.ExitStack()
        if mode == "a":
            self._open_for_writing()
        else:
            if not self.folder.is_dir():
                raise InputError(f"There is no store at {self.folder}.")
            self._check_header()
            self._read_index()

    # ------------------------------------------------------------------ reading

    def __len__(self) -> int:
        return len(self._order)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def keys(self) -> list[str]:
        """The keys in the order in which their rows were added."""
        return list(self._order)

    def meta(self, key: str) -> dict[str, Any]:
        """What was noted beside a row when it was added."""
        return dict(self._entry(key)["meta"])

    @property
    def rows(self) -> NDArray[Any]:
        """All rows in the order of :meth:`keys`, (n, \\*shape), read-only and memory-mapped."""
        if self._map is None or len(self._map) != len(self._order):
            if not self._order:
                return np.empty((0, *self.shape), self.dtype)
            self._map = np.memmap(
                self._path("rows.bin"), dtype=self.dtype, mode="r", shape=(len(self._order), *self.shape)
            )
        return self._map

    def get(self, key: str) -> NDArray[Any]:
        """One row, read-only, checked against its checksum.

        Raises
        ------
        KeyError
            If there is no such row.
        StoreError
            If the row's bytes are not those that were written.
        """
        return np.asarray(self.take([key])[0])

    def take(self, keys: Sequence[str], *, check: bool = True) -> NDArray[Any]:
        """Several rows (n, \\*shape): a view into the memory map where they lie one after another, else a copy."""
        numbers = [int(self._entry(key)["row"]) for key in keys]
        rows = self.rows
        if check:
            for key, number in zip(keys, numbers, strict=True):
                if zlib.crc32(np.ascontiguousarray(rows[number]).data) != self._entries[key]["crc"]:
                    raise self._damaged(f"row {number}")
        if numbers and numbers == list(range(numbers[0], numbers[0] + len(numbers))):
            return rows[numbers[0] : numbers[0] + len(numbers)]
        return rows[np.asarray(numbers, dtype=np.int64)]

    # ------------------------------------------------------------------ writing

    def add(self, key: str, row: NDArray[Any], meta: Mapping[str, Any] | None = None) -> None:
        """Append a row; it is there for good once this returns (see the class notes).

        Raises
        ------
        InputError
            If the row has another shape or type, the key is taken, or the disk is full. The store stays usable.
        """
        if self._rows_file is None or self._index_file is None:
            raise InputError(f"The store {self.folder} is open for reading only.")
        if key in self._entries:
            raise InputError(f"The store {self.folder} already has a row for {key}.")
        row = np.ascontiguousarray(row)
        if row.shape != self.shape or row.dtype != self.dtype:
            raise InputError(
                f"The store {self.folder} holds rows of shape {self.shape} and type {self.dtype}, "
                f"not {row.shape} and {row.dtype}."
            )
        number = len(self._order)
        entry = {"key": key, "row": number, "crc": zlib.crc32(row.data), "meta": dict(meta or {})}
        line = _line(entry)
        try:
            self._rows_file.seek(number * self._row_bytes)
            self._rows_file.write(row.data)
            end = self._index_file.seek(0, os.SEEK_END)
            try:
                self._index_file.write(line)
            except OSError:
                self._index_file.truncate(end)
                raise
        except OSError as error:
            raise self._cannot_write(error) from error
        self._order.append(key)
        self._entries[key] = entry
        if len(self._order) % _SYNC_EVERY == 0:
            self.sync()

    def sync(self) -> None:
        """Force what was added to the disk, rows before the lines that vouch for them."""
        if self._rows_file is None or self._index_file is None:
            return
        try:
            os.fsync(self._rows_file.fileno())
            os.fsync(self._index_file.fileno())
        except OSError as error:
            raise self._cannot_write(error) from error

    def close(self) -> None:
        """Flush and let go of the lock; rows taken before stay readable."""
        try:
            self.sync()
        finally:
            for handle in (self._rows_file, self._index_file):
                if handle is not None:
                    handle.close()
            self._rows_file = self._index_file = None
            self._lock.close()

    def __enter__(self) -> ArrayStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ inside

    def _path(self, name: str) -> Path:
        return self.folder / name

    def _entry(self, key: str) -> dict[str, Any]:
        try:
            return self._entries[key]
        except KeyError:
            raise KeyError(f"the store {self.folder} has no row for {key}") from None

    def _open_for_writing(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock.enter_context(exclusive(self._path("lock"), f"The store {self.folder} is being written"))
            if not self._path("store.json").exists():
                write_json(self._path("store.json"), self._header())
            self._check_header()
            self._read_index()
            # Without buffers, so that a kill loses nothing that add() has returned from.
            for name in ("rows.bin", "index.jsonl"):
                self._path(name).touch()
            self._rows_file = _Whole(self._path("rows.bin"))
            self._index_file = _Whole(self._path("index.jsonl"))
            self._index_file.truncate(self._index_bytes)
        except OSError as error:
            self.close()
            raise self._cannot_write(error) from error
        except BaseException:
            self.close()
            raise

    def _header(self) -> dict[str, Any]:
        return {"format": FORMAT, "key": self.key, "shape": list(self.shape), "dtype": self.dtype.str}

    def _check_header(self) -> None:
        path = self._path("store.json")
        try:
            header = json.loads(path.read_text("utf-8"))
            found = {name: header[name] for name in ("format", "key", "shape", "dtype")}
        except OSError as error:
            raise StoreError(f"{self.folder} is not a store: its {path.name} cannot be read.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged("store.json") from error
        for name, wanted in self._header().items():
            if found[name] != wanted:
                raise StoreError(
                    f"The store {self.folder} was made with another {name} ({found[name]} instead of {wanted}). "
                    "Remove the folder or give another one."
                )

    def _read_index(self) -> None:
        try:
            data = self._path("index.jsonl").read_bytes() if self._path("index.jsonl").exists() else b""
            stored = self._path("rows.bin").stat().st_size if self._path("rows.bin").exists() else 0
        except OSError as error:
            raise StoreError(f"The store {self.folder} cannot be read ({error.strerror}).") from error
        self._index_bytes = 0
        lines = data.split(b"\n")
        torn = lines.pop()
        complete = stored // self._row_bytes
        for number, line in enumerate(lines):
            entry = _entry(line)
            if entry is None and number == len(lines) - 1 and not torn:
                break  # the last line was cut inside the disk's block and padded: as good as torn
            if entry is None or entry.get("row") != number or entry.get("key") in self._entries:
                raise self._damaged(f"line {number + 1} of its index")
            if number >= complete:
                break
            self._order.append(entry["key"])
            self._entries[entry["key"]] = entry
            self._index_bytes += len(line) + 1

    def _damaged(self, what: str) -> StoreError:
        return StoreError(
            f"The store {self.folder} is damaged ({what}). "
            "Remove the folder; it is a cache and will be computed again."
        )

    def _cannot_write(self, error: OSError) -> InputError:
        if error.errno in DISK_FULL:
            return InputError(
                f"The disk is full, or a limit on file sizes is reached: the store {self.folder} kept "
                f"{len(self._order)} rows. Free some space and run the same command again; it goes on from there."
            )
        return InputError(f"The store {self.folder} cannot be written ({error.strerror or error}).")


class _Whole(io.FileIO):
    """An unbuffered file whose ``write`` writes everything or raises (a raw write may stop early)."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "r+")

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        while view:
            view = view[super().write(view) :]
        return size


def _line(entry: Mapping[str, Any]) -> bytes:
    text = json.dumps(entry, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _entry(line: bytes) -> dict[str, Any] | None:
    check, _, text = line.partition(b" ")
    try:
        if int(check, 16) != zlib.crc32(text):
            return None
        entry = json.loads(text)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
