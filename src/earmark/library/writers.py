"""Results as JSON, JSON lines, CSV and Parquet: one class per format, one row per file, failed files among them.

A row has the path, then either what was heard or ``problem`` and ``reason``. Paths come out as they are; bytes that
are no UTF-8 become ``\\udcXX`` escapes in JSON (``os.fsencode`` gives the bytes back) and ``\\xXX`` in CSV and
Parquet, which know no other way.
"""

from __future__ import annotations

import csv
import io
import json
import os
from abc import ABC, abstractmethod
from array import array
from collections.abc import Sequence
from typing import Any, BinaryIO

from earmark.errors import InputError, MissingExtraError
from earmark.library.worker import Outcome
from earmark.music import MUSIC_FIELDS

FORMATS = ("table", "json", "jsonl", "csv", "parquet")
_COLUMNS = (
    "path",
    "label",
    "confidence",
    "unsure",
    "doubt",
    "heard",
    "decoded",
    "declared",
    "problems",
    *MUSIC_FIELDS,
    "problem",
    "reason",
    "bundle",
)
_ROW_GROUP = 1000


class Writer(ABC):
    """Writes outcomes to a binary stream, which stays open.

    Parameters
    ----------
    stream
        Where to.
    labels
        All genres, in the bundle's order.
    bundle
        Id of the bundle that heard, written with every row.
    top_k
        Only the probabilities of so many most probable genres; None: all.
    timeline
        Whether to write the probabilities of every window (JSON only).
    embedding
        Whether to write the embedding, float32 (d,) (JSON and Parquet only).
    """

    def __init__(
        self,
        stream: BinaryIO,
        labels: Sequence[str],
        *,
        bundle: str = "",
        top_k: int | None = None,
        timeline: bool = False,
        embedding: bool = False,
    ) -> None:
        self.stream = stream
        self.labels = tuple(labels)
        self.bundle = bundle
        self.top_k = top_k
        self.timeline = timeline
        self.embedding = embedding

    @abstractmethod
    def write(self, outcome: Outcome) -> None:
        """Add one file."""

    @abstractmethod
    def finish(self) -> None:
        """Write what has to stand at the end."""

    def probabilities(self, outcome: Outcome) -> dict[str, float]:
        """The probabilities to write, falling."""
        return dict(list((outcome.row or {}).get("probabilities", {}).items())[: self.top_k])

    def flat_row(self, outcome: Outcome) -> dict[str, Any]:
        """The columns that do not depend on the genres; None where nothing is known."""
        known: dict[str, Any] = outcome.row or {}
        row = {name: known.get(name) for name in _COLUMNS}
        path = os.fsencode(outcome.path).decode("utf-8", "backslashreplace")
        row |= {"path": path, "problem": outcome.problem, "reason": outcome.reason}
        return row | {"bundle": self.bundle if known else None}


class JsonLinesWriter(Writer):
    """One JSON object per line, written as soon as it is known."""

    def write(self, outcome: Outcome) -> None:
        self.stream.write(_json(self.row(outcome)) + b"\n")
        self.stream.flush()

    def finish(self) -> None:
        """The last line is complete already."""

    def row(self, outcome: Outcome) -> dict[str, Any]:
        """What is known of one file, as plain values."""
        if outcome.row is None:
            return {"path": outcome.path, "problem": outcome.problem, "reason": outcome.reason}
        row = {**outcome.row, "path": outcome.path, "probabilities": self.probabilities(outcome)}
        row["bundle"] = self.bundle
        if not self.timeline:
            row.pop("timeline", None)
        if self.embedding:
            row["embedding"] = unpacked(outcome)
        return row


class JsonWriter(JsonLinesWriter):
    """One JSON list with an object per file."""

    _started = False

    def write(self, outcome: Outcome) -> None:
        self.stream.write((b",\n  " if self._started else b"[\n  ") + _json(self.row(outcome)))
        self._started = True

    def finish(self) -> None:
        self.stream.write(b"\n]\n" if self._started else b"[]\n")


class CsvWriter(Writer):
    """Comma-separated values with a header, UTF-8; a column ``p:<genre>`` for each genre."""

    _started = False

    def write(self, outcome: Outcome) -> None:
        self._start()
        row = self.flat_row(outcome)
        row["heard"] = " ".join(f"{start:g}-{end:g}" for start, end in row["heard"] or ())
        row["problems"] = " ".join(row["problems"] or ())
        row["unsure"] = None if row["unsure"] is None else str(row["unsure"]).lower()
        chosen = self.probabilities(outcome)
        self._line([*(row[name] for name in _COLUMNS), *(chosen.get(label) for label in self.labels)])

    def finish(self) -> None:
        self._start()

    def _start(self) -> None:
        if not self._started:
            self._line([*_COLUMNS, *(f"p:{label}" for label in self.labels)])
            self._started = True

    def _line(self, values: Sequence[Any]) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(values)
        self.stream.write(line.getvalue().encode())


class ParquetWriter(Writer):
    """Apache Parquet, compressed, in row groups of 1000; a column ``p:<genre>`` for each genre.

    Raises
    ------
    MissingExtraError
        If pyarrow is not installed.
    """

    def __init__(self, stream: BinaryIO, labels: Sequence[str], **options: Any) -> None:
        super().__init__(stream, labels, **options)
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise MissingExtraError("Writing Parquet", "parquet") from error
        kinds: dict[str, Any] = dict.fromkeys(_COLUMNS, pa.string())
        numbers = ("confidence", "decoded", "declared", *(name for name in MUSIC_FIELDS if name != "key"))
        kinds |= dict.fromkeys(numbers, pa.float64())
        kinds |= {"unsure": pa.bool_(), "problems": pa.list_(pa.string())}
        kinds["heard"] = pa.list_(pa.struct([("start", pa.float64()), ("end", pa.float64())]))
        kinds |= {f"p:{label}": pa.float64() for label in self.labels}
        kinds |= {"embedding": pa.list_(pa.float32())} if self.embedding else {}
        self._schema = pa.schema(list(kinds.items()))
        self._pa = pa
        self._file = pq.ParquetWriter(stream, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []

    def write(self, outcome: Outcome) -> None:
        row = self.flat_row(outcome)
        if row["heard"] is not None:
            row["heard"] = [{"start": start, "end": end} for start, end in row["heard"]]
        chosen = self.probabilities(outcome)
        row |= {f"p:{label}": chosen.get(label) for label in self.labels}
        if self.embedding:
            row["embedding"] = unpacked(outcome)
        self._rows.append(row)
        if len(self._rows) >= _ROW_GROUP:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        if self._rows:
            self._file.write_table(self._pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


_WRITERS: dict[str, type[Writer]] = {
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
    "csv": CsvWriter,
    "parquet": ParquetWriter,
}


def open_writer(form: str, stream: BinaryIO, labels: Sequence[str], **options: Any) -> Writer:
    """A writer by the name of its format; `options` are those of :class:`Writer`.

    Raises
    ------
    InputError
        If there is no such format.
    MissingExtraError
        If the format needs a package that is not installed.
    """
    if form not in _WRITERS:
        raise InputError(f"There is no format {form!r}; choose one of {', '.join(FORMATS)}.")
    return _WRITERS[form](stream, labels, **options)


def unpacked(outcome: Outcome) -> list[float] | None:
    """The embedding of a file that was heard, as plain numbers."""
    return None if outcome.row is None else array("f", outcome.embedding).tolist()


def _json(value: Any) -> bytes:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    try:
        return text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, ensure_ascii=True, allow_nan=False).encode()
