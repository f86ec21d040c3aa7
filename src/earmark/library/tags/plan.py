"""What would be written where, and why: made without touching a file, kept as a file that a person can read."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from earmark import __version__
from earmark.errors import EarmarkError, InputError, StoreError
from earmark.files import atomic_write
from earmark.library.tags.check import require_mutagen
from earmark.library.tags.edit import Editor, Wanted
from earmark.library.tags.formats import open_editor
from earmark.library.tags.rewrite import state_of
from earmark.library.vocabulary import BUILT_IN, Vocabulary
from earmark.progress import Progress, Step, silent

FORMAT = 1
Mode = Literal["keep", "add", "replace"]
Action = Literal["write", "leave", "fail"]
HAS_ONE = "has a genre"
FURTHER = 0.2  # the probability that a second or third genre needs where no threshold was given
MODEL_DIGITS = 16  # of the bundle's 64 hexadecimal digits; enough to tell models apart
PROBABILITIES, MODEL = "EARMARK_PROBABILITIES", "EARMARK_MODEL"
_SEPARATORS = re.compile(r"[;/,|\x00]")


class Predicted(Protocol):
    """What of :class:`earmark.predict.Prediction` is used here."""

    @property
    def label(self) -> str: ...
    @property
    def confidence(self) -> float: ...
    @property
    def unsure(self) -> bool: ...
    @property
    def probabilities(self) -> Mapping[str, float] | None: ...


Answer = Predicted | Mapping[str, Any]
Source = Answer | EarmarkError | Callable[[], Answer]


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
    size, mtime_ns, sha256
        The file that was looked at: bytes, modification time in nanoseconds, content. Only for ``write``.
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
    sha256: str = ""

    @property
    def wanted(self) -> Wanted:
        """What its tags shall say."""
        return Wanted(self.after if self.after != self.now else None, self.fields)


@dataclass(frozen=True)
class Plan:
    """What would be written where."""

    entries: tuple[Entry, ...]
    options: Options = Options()

    @property
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


def plan(
    predictions: Iterable[tuple[str | os.PathLike[str], Source]],
    *,
    mode: Mode = "keep",
    threshold: float | None = None,
    top_k: int = 1,
    unsure: bool = False,
    vocabulary: Vocabulary = BUILT_IN,
    separator: str | None = None,
    fields: bool = False,
    id3: int = 4,
    model: str | None = None,
    progress: Progress = silent,
    total: int | None = None,
) -> Plan:
    """Compare predictions with what the files' tags say, and plan what to write.

    Parameters
    ----------
    predictions
        Pairs of a path and a prediction: an object with ``label``, ``confidence``, ``unsure`` and
        ``probabilities``, a mapping with these keys, the error for a file that could not be classified, or a
        function that gives one of the first two or raises that error; it is only called where the answer matters.
    mode
        ``keep`` writes only where no genre is, ``add`` puts new genres behind those that are there, ``replace``
        puts new ones in their place.
    threshold
        The probability from which on a genre is written. None: no limit for the first, 0.2 for further ones.
    top_k
        How many genres may be written.
    unsure
        Whether predictions that are marked as unsure are written too.
    vocabulary
        What the labels are called.
    separator
        Joins several genres to one value; None makes a list where the format has lists, else "/".
    fields
        Whether the probabilities are written into ``EARMARK_PROBABILITIES`` and ``model``, if given, into
        ``EARMARK_MODEL``; also where the genre stays as it is.
    id3
        The version, 3 or 4, for ID3v2 tags that have to be made. Those that exist keep theirs.
    model
        The id of the bundle that made the predictions, unless they say it themselves under ``bundle``.
    progress
        Called after each file.
    total
        How many predictions there will be, for ``progress``.

    Raises
    ------
    MissingExtraError
        If mutagen is not installed.
    InputError
        If an option makes no sense.
    """
    require_mutagen()
    options = Options(mode, threshold, top_k, unsure, separator, fields, id3, model)
    entries: list[Entry] = []
    seen: dict[str, str] = {}
    for name, prediction in predictions:
        path = os.path.abspath(name)  # noqa: PTH100  Path.absolute keeps "..", which a person should not have to read
        real = os.path.realpath(path)
        if real in seen:
            entries.append(Entry(path, "leave", f"the same file as {seen[real]}"))
        else:
            seen[real] = path
            entries.append(_look(path, prediction, options, vocabulary))
        progress(Step("reading tags", len(entries), total))
    return Plan(tuple(entries), options)


def needs_hearing(path: str | os.PathLike[str], options: Options, vocabulary: Vocabulary = BUILT_IN) -> bool:
    """Whether a plan for this file depends on what is heard: not if its genre is kept, nor if it has no tags to read."""
    try:
        if not _is_file(path):
            return False
        with open(path, "rb") as handle:
            return _is_open(_now(open_editor(handle, id3=options.id3), options), options, vocabulary)
    except (OSError, EarmarkError):
        return False


def decide(
    now: tuple[str, ...], prediction: Answer, options: Options, vocabulary: Vocabulary
) -> tuple[tuple[str, ...], str]:
    """The genres that a file shall have, given those that it has, and why.

    Returns
    -------
    tuple
        The genres one by one (not yet joined); those that the file has, unchanged, if nothing is to be written.
    """
    if options.mode == "keep" and _valid(now, vocabulary):
        return now, HAS_ONE
    label, confidence, is_unsure, probabilities = _facts(prediction)
    if is_unsure and not options.unsure:
        return now, f"unsure ({label} {confidence:.2f})"
    ranked = sorted(probabilities.items(), key=lambda item: -item[1]) or [(label, confidence)]
    limits = (0.0, FURTHER) if options.threshold is None else (options.threshold, options.threshold)
    chosen = [(name, p) for i, (name, p) in enumerate(ranked[: options.top_k]) if p >= limits[min(i, 1)]]
    if not chosen:
        return now, f"below the threshold ({label} {confidence:.2f})"
    said = ", ".join(f"{name} {p:.2f}" for name, p in chosen)
    genres = vocabulary.genres(name for name, _ in chosen)
    if not genres:
        return now, f"ignored ({said})"
    if options.mode == "add":
        valid = _valid(now, vocabulary)
        there = {word for genre in valid for part in _parts(genre) for word in vocabulary.spellings(part)}
        missing = tuple(genre for genre in genres if vocabulary.spellings(genre).isdisjoint(there))
        if not missing:
            return now, f"has this genre ({said})"
        genres = valid + missing
    return genres, said


def _valid(genres: tuple[str, ...], vocabulary: Vocabulary) -> tuple[str, ...]:
    return tuple(genre for genre in genres if not vocabulary.is_ignored(genre))


def _parts(genre: str) -> list[str]:
    """A value as it stands, and its parts if it looks like several genres in one."""
    return [genre, *_SEPARATORS.split(genre)]


def _now(editor: Editor, options: Options) -> tuple[str, ...]:
    if not editor.genres and editor.other_genre is not None and options.mode != "replace":
        return (editor.other_genre,)  # players show it as long as no other tag has one
    return editor.genres


def _is_open(now: tuple[str, ...], options: Options, vocabulary: Vocabulary) -> bool:
    return options.mode != "keep" or options.fields or not _valid(now, vocabulary)


def _is_file(path: str | os.PathLike[str]) -> bool:
    # A pipe would block for ever when it is opened.
    return stat.S_ISREG(os.stat(path).st_mode)  # noqa: PTH116


def _look(path: str, source: Source, options: Options, vocabulary: Vocabulary) -> Entry:
    if isinstance(source, EarmarkError):
        return Entry(path, "fail", str(source))
    try:
        if not _is_file(path):
            return Entry(path, "fail", "It is not a file.")
        with open(path, "rb") as handle:
            editor = open_editor(handle, id3=options.id3)
            entry = _compare(path, editor, source, options, vocabulary)
            if entry.action == "write":
                entry = dataclasses.replace(entry, **vars(state_of(handle)))
            return entry
    except OSError as error:
        return Entry(path, "fail", f"It cannot be read ({error.strerror or error}).")
    except EarmarkError as error:
        return Entry(path, "fail", str(error))


def _compare(
    path: str, editor: Editor, source: Answer | Callable[[], Answer], options: Options, vocabulary: Vocabulary
) -> Entry:
    now = _now(editor, options)
    if not _is_open(now, options, vocabulary):
        return Entry(path, "leave", HAS_ONE, editor.format, editor.genres, editor.genres)
    answer = source() if callable(source) else source
    genres, why = decide(now, answer, options, vocabulary)
    after = editor.genres if genres == now else editor.stored(genres, options.separator)
    fields: dict[str, str] = {}
    if options.fields and (options.unsure or not _facts(answer)[2]):
        fields = _fields(answer, options.model)
    if not editor.differs(Wanted(after, fields)):
        return Entry(path, "leave", why, editor.format, editor.genres, after)
    return Entry(path, "write", why, editor.format, editor.genres, after, fields, tuple(editor.notes))


def _facts(prediction: Answer) -> tuple[str, float, bool, dict[str, float]]:
    try:
        if isinstance(prediction, Mapping):
            label, confidence = str(prediction["label"]), float(prediction["confidence"])
            unsure, raw = bool(prediction.get("unsure", False)), prediction.get("probabilities") or {}
        else:
            label, confidence = prediction.label, float(prediction.confidence)
            unsure, raw = bool(prediction.unsure), prediction.probabilities or {}
        return label, confidence, unsure, {str(name): float(p) for name, p in dict(raw).items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError("A prediction needs a label, a confidence and probabilities.") from error


def _fields(prediction: Answer, model: str | None) -> dict[str, str]:
    label, confidence, _, probabilities = _facts(prediction)
    ranked = sorted((probabilities or {label: confidence}).items(), key=lambda item: -item[1])
    # Rounded to 0.00 a probability says nothing; the first is always said.
    said = [f"{name} {p:.2f}" for i, (name, p) in enumerate(ranked) if not i or p >= 0.005]
    found = {PROBABILITIES: ", ".join(said)}
    if isinstance(prediction, Mapping) and prediction.get("bundle"):
        model = str(prediction["bundle"])
    if model is not None:
        found[MODEL] = model[:MODEL_DIGITS]
    return found


def _line(entry: Entry) -> dict[str, Any]:
    line: dict[str, Any] = {"path": entry.path, "action": entry.action, "why": entry.why}
    if entry.format:
        line |= {"format": entry.format, "genre": list(entry.now), "genre_after": list(entry.after)}
    if entry.fields:
        line["fields"] = dict(entry.fields)
    if entry.notes:
        line["notes"] = list(entry.notes)
    if entry.action == "write":
        line |= {"size": entry.size, "mtime_ns": entry.mtime_ns, "sha256": entry.sha256}
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
    if any(not name.startswith("EARMARK_") for name in fields):
        raise ValueError
    why, kind = str(line.get("why", "")), str(line.get("format", ""))
    if action != "write":
        return Entry(line["path"], action, why, kind, now, after, fields, notes)
    size, mtime_ns, sha256 = int(line["size"]), int(line["mtime_ns"]), str(line["sha256"])
    return Entry(line["path"], action, why, kind, now, after, fields, notes, size, mtime_ns, sha256)
