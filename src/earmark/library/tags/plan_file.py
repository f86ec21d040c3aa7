"""What a plan is, and the file that holds it: JSON lines that a person can read and edit."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from earmark import __version__
from earmark.errors import InputError, StoreError
from earmark.files import atomic_write
from earmark.library.tags.edit import FIELD_PREFIX, Wanted

FORMAT = 2
Mode = Literal["keep", "add", "replace"]
Action = Literal["write", "leave", "fail"]


@dataclass(frozen=True)
class Options:
    """How genres are chosen and written; see :func:`plan`."""

    mode: Mode = "keep"
    threshold: float | None = None
    top_k: int = 1
    unsure: bool = False
    separator: str | None = None
    fields: bool = False
    id3: int = 4
    model: str | None = None

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise InputError(f"There is no mode {self.mode!r}; choose keep, add or replace.")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise InputError("The threshold is a probability: choose a number from 0 to 1.")
        if self.top_k < 1:
            raise InputError("At least one genre has to be written: choose top_k from 1 on.")
        if self.id3 not in (3, 4):
            raise InputError("New ID3 tags can be of version 2.3 or 2.4.")
        if self.separator is not None and (not self.separator or not self.separator.isprintable()):
            raise InputError("The separator must be text that can be printed, such as '; '.")


@dataclass(frozen=True)
class Entry:
    """One file in a plan.

    Parameters
    ----------
    path
        The file's absolute path.
    action
        ``write`` changes it, ``leave`` does not, ``fail`` could not be looked at.
    why
        The reason in half a sentence.
    format
        Container and kind of tag.
    now, after
        The genre field's values, before and after.
    fields
        Earmark's own fields that will be written.
    notes
        What else there is to know about this file's tags.
    size, mtime_ns, mark
        The file that was looked at: bytes, modification time in nanoseconds, and
        :meth:`earmark.library.tags.edit.Editor.mark`. Only for ``write``.
    """

    path: str
    action: Action
    why: str
    format: str = ""
    now: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    size: int = 0
    mtime_ns: int = 0
    mark: str = ""

    @property
    def wanted(self) -> Wanted:
        """What its tags shall say."""
        return Wanted(self.after if self.after != self.now else None, self.fields)


@dataclass(frozen=True)
class Plan:
    """What would be written where."""

    entries: tuple[Entry, ...]
    options: Options = Options()

    @cached_property
    def id(self) -> str:
        """16 hexadecimal digits that change with anything in the plan."""
        content = json.dumps(self._lines(), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(content.encode("ascii")).hexdigest()[:16]

    @property
    def to_write(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.action == "write")

    def save(self, path: Path | str) -> None:
        """Write the plan as JSON lines: first what it is, then one line per file."""
        with atomic_write(path) as handle:
            for line in self._lines():
                text = json.dumps(line, ensure_ascii=False)
                try:
                    encoded = text.encode()
                except UnicodeEncodeError:  # a file name that is not valid UTF-8
                    encoded = json.dumps(line, ensure_ascii=True).encode("ascii")
                handle.write(encoded + b"\n")

    @classmethod
    def load(cls, path: Path | str) -> Plan:
        """Read a plan; lines may have been edited or removed by hand.

        Raises
        ------
        InputError
            If there is no such file.
        StoreError
            If it is no plan, is damaged or comes from another version.
        """
        try:
            lines = Path(path).read_bytes().splitlines()
        except OSError as error:
            raise InputError(f"The plan {path} cannot be read ({error.strerror}).") from error
        reading = 1
        try:
            header = json.loads(lines[0]) if lines else {}
            if not isinstance(header, dict) or "earmark_tag_plan" not in header:
                raise StoreError(f"{path} is not a plan of earmark tags.")
            if header["earmark_tag_plan"] != FORMAT:
                raise StoreError(f"The plan {path} comes from another version of Earmark ({header.get('earmark')}).")
            options = Options(**header["options"])
            entries = []
            for reading, line in enumerate(lines[1:], 2):  # noqa: B007  the error names the line
                if line.strip():
                    entries.append(_entry(json.loads(line)))
        except InputError as error:
            raise StoreError(f"The plan {path} has a wrong option: {error}") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(f"Line {reading} of the plan {path} is damaged.") from error
        return cls(tuple(entries), options)

    def _lines(self) -> list[dict[str, Any]]:
        header = {"earmark_tag_plan": FORMAT, "earmark": __version__, "options": dataclasses.asdict(self.options)}
        return [header, *(_line(entry) for entry in self.entries)]


def _line(entry: Entry) -> dict[str, Any]:
    line: dict[str, Any] = {"path": entry.path, "action": entry.action, "why": entry.why}
    if entry.format:
        line |= {"format": entry.format, "genre": list(entry.now), "genre_after": list(entry.after)}
    if entry.fields:
        line["fields"] = dict(entry.fields)
    if entry.notes:
        line["notes"] = list(entry.notes)
    if entry.action == "write":
        line |= {"size": entry.size, "mtime_ns": entry.mtime_ns, "mark": entry.mark}
    return line


def _entry(line: Mapping[str, Any]) -> Entry:
    action = line["action"]
    if action not in get_args(Action) or not isinstance(line["path"], str):
        raise ValueError
    now, after, notes = (tuple(line.get(key, ())) for key in ("genre", "genre_after", "notes"))
    fields = dict(line.get("fields", {}))
    texts = [text for values in (now, after, notes, fields, fields.values()) for text in values]
    if isinstance(line.get("genre_after"), str) or not all(isinstance(t, str) and "\x00" not in t for t in texts):
        raise ValueError
    if not all(text.strip() and text.isprintable() for text in after):
        raise ValueError
    if any(not name.startswith(FIELD_PREFIX) for name in fields):
        raise ValueError
    why, kind = str(line.get("why", "")), str(line.get("format", ""))
    if action != "write":
        return Entry(line["path"], action, why, kind, now, after, fields, notes)
    size, mtime_ns, mark = int(line["size"]), int(line["mtime_ns"]), str(line["mark"])
    return Entry(line["path"], action, why, kind, now, after, fields, notes, size, mtime_ns, mark)
