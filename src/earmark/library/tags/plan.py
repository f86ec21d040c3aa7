"""What to write where, and why: decided without touching a file."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from earmark.doubt import Doubt
from earmark.errors import EarmarkError, InputError
from earmark.library.tags.check import require_mutagen
from earmark.library.tags.edit import Editor, Wanted
from earmark.library.tags.formats import open_editor
from earmark.library.tags.plan_file import Entry, Mode, Options, Plan
from earmark.library.tags.rewrite import obstacle
from earmark.library.vocabulary import BUILT_IN, Vocabulary
from earmark.progress import Progress, Step, silent

HAS_ONE = "has a genre"
FURTHER = 0.2  # the probability that a second or third genre needs where no threshold was given
MODEL_DIGITS = 16  # of the bundle's 64 hexadecimal digits; enough to tell models apart
PROBABILITIES, MODEL = "EARMARK_PROBABILITIES", "EARMARK_MODEL"
_SEPARATORS = re.compile(r"[;/,|\x00]")


class Predicted(Protocol):
    """What of :class:`earmark.prediction.Prediction` is used here."""

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
        path = os.path.abspath(name)  # noqa: PTH100  Path.absolute keeps "..", which nobody should have to read
        real = os.path.realpath(path)
        if real in seen:
            entries.append(Entry(path, "leave", f"the same file as {seen[real]}"))
        else:
            seen[real] = path
            entries.append(_look(path, prediction, options, vocabulary))
        progress(Step("planning", len(entries), total))
    return Plan(tuple(entries), options)


def needs_hearing(path: str | os.PathLike[str], options: Options, vocabulary: Vocabulary = BUILT_IN) -> bool:
    """Whether a plan for this file depends on what is heard: not if it keeps its genre or its tags cannot be read."""
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
        return now, f"unsure ({label} {confidence:.2f}{_doubt(prediction)})"
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
    """What to do with a file."""
    if isinstance(source, EarmarkError):
        return Entry(path, "fail", str(source))
    try:
        if not _is_file(path):
            return Entry(path, "fail", "It is not a file.")
        with open(path, "rb") as handle:
            editor = open_editor(handle, id3=options.id3)
            entry = _compare(path, editor, source, options, vocabulary)
            if entry.action != "write":
                return entry
            facts = os.fstat(handle.fileno())
            entry = replace(entry, size=facts.st_size, mtime_ns=facts.st_mtime_ns, mark=editor.mark())
            problem = obstacle(path)
        if problem is not None:
            entry = replace(entry, notes=(*entry.notes, f"as it is now, it cannot be written: {problem}"))
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
        return Entry(path, "leave", HAS_ONE, editor.format, now, now)
    answer = source() if callable(source) else source
    genres, why = decide(now, answer, options, vocabulary)
    after = editor.genres if genres == now else editor.stored(genres, options.separator)
    fields: dict[str, str] = {}
    if options.fields and (options.unsure or not _facts(answer)[2]):
        fields = _fields(answer, options.model)
    if not editor.differs(Wanted(after, fields)):
        return Entry(path, "leave", why, editor.format, now, now)
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


def _doubt(prediction: Answer) -> str:
    """Why a prediction is unsure, where that is not plain from its probabilities."""
    said = prediction.get("doubt") if isinstance(prediction, Mapping) else getattr(prediction, "doubt", None)
    return "" if said in (None, Doubt.BETWEEN) else f"; {said}"


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
