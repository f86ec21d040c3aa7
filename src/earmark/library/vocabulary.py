"""What genres are called: from a model's labels to the words in a library.

A vocabulary file is TOML, one table per label; ``ignored`` stands before them:

    ignored = ["Other", "Unknown"]

    [hiphop]
    name = "Hip-Hop"
    aliases = ["Hip Hop", "Rap & Hip-Hop"]

    [disco]
    parents = ["Electronic"]

``name`` is what is written. ``aliases`` are other spellings that a library may hold for it: a file that has one has
the genre already. ``parents`` are written after it. What is in ``ignored`` counts as no genre at all, whether a
model says it or a file has it.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from earmark.errors import InputError

_KEYS = ("name", "aliases", "parents")


@dataclass(frozen=True)
class Term:
    """One genre: what it is called, other spellings, and what it belongs to."""

    name: str
    aliases: tuple[str, ...] = ()
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """The words for a model's labels.

    Parameters
    ----------
    terms
        By label, in any case of letters. A label without a term is written as it is, with a capital letter if it
        has none.
    ignored
        Genres that count as none.
    """

    terms: Mapping[str, Term] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        object.__setattr__(self, "terms", {_plain(label): term for label, term in self.terms.items()})
        object.__setattr__(self, "ignored", frozenset(_plain(genre) for genre in self.ignored))

    def name(self, label: str) -> str:
        """What a label is called: "hiphop" is "Hip-Hop"."""
        term = self.terms.get(_plain(label))
        if term is not None:
            return term.name
        return " ".join(word.capitalize() for word in label.split()) if label.islower() else label

    def is_ignored(self, genre: str) -> bool:
        """Whether a label or a file's genre counts as none; also if only its name or label is listed."""
        return not self.spellings(genre).isdisjoint(self.ignored)

    def spellings(self, genre: str) -> frozenset[str]:
        """All that a genre may be called, in a form that is only good for comparing."""
        plain = _plain(genre)
        found = {plain}
        for label, term in self.terms.items():
            same = {label, _plain(term.name), *map(_plain, term.aliases)}
            if plain in same:
                found |= same
        return frozenset(found)

    def genres(self, labels: Iterable[str]) -> tuple[str, ...]:
        """The genres to write for these labels: their names, each followed by its parents; no word twice."""
        found: dict[str, str] = {}
        for label in labels:
            if self.is_ignored(label):
                continue
            term = self.terms.get(_plain(label))
            for genre in (self.name(label), *(term.parents if term else ())):
                if not self.is_ignored(genre):
                    found.setdefault(_plain(genre), genre)
        return tuple(found.values())

    def to_toml(self) -> str:
        """The vocabulary as a file that :func:`load_vocabulary` reads."""
        lines = ["# What a genre is called, other spellings of it, and what it belongs to.", ""]
        lines += [f"ignored = {_array(sorted(self.ignored))}", ""]
        for label, term in self.terms.items():
            lines += [f"[{_key(label)}]", f"name = {_quoted(term.name)}"]
            lines += [f"aliases = {_array(term.aliases)}", f"parents = {_array(term.parents)}", ""]
        return "\n".join(lines)


def load_vocabulary(path: Path | str) -> Vocabulary:
    """Read a vocabulary file; what it does not mention keeps its built-in name.

    Raises
    ------
    InputError
        If it cannot be read or says something that is not understood.
    """
    path = Path(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(f"The vocabulary {path} cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"The vocabulary {path} is not valid TOML: {error}.") from error
    ignored = frozenset(_strings(content.pop("ignored", []), "ignored", path))
    terms = dict(BUILT_IN.terms)
    for label, table in content.items():
        if not isinstance(table, dict):
            raise InputError(
                f"The vocabulary {path} gives {label!r} a value; it needs a table: [{_key(label)}] and then "
                "name, aliases or parents."
            )
        terms[_plain(label)] = _term(label, table, path)
    return Vocabulary(terms, ignored)


def _term(label: str, table: dict[str, Any], path: Path) -> Term:
    for key in table:
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, 1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            raise InputError(f"The vocabulary {path} has an unknown key {key!r} in [{label}].{hint}")
    known = BUILT_IN.terms.get(_plain(label))
    name = table.get("name", known.name if known else BUILT_IN.name(label))
    if not isinstance(name, str) or not _is_writable(name):
        raise InputError(f"The vocabulary {path}: the name in [{label}] must be one line of text, not only digits.")
    aliases = _strings(table.get("aliases", list(known.aliases) if known else []), f"aliases in [{label}]", path)
    parents = _strings(table.get("parents", []), f"parents in [{label}]", path)
    return Term(name, aliases, parents)


def _strings(value: Any, what: str, path: Path) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, list) or not all(isinstance(text, str) and _is_writable(text) for text in value):
        raise InputError(f"The vocabulary {path}: {what} must be a list of texts, each one line.")
    return tuple(value)


def _is_writable(genre: str) -> bool:
    # In ID3 a number is a reference to a table, and a zero separates values.
    return bool(genre.strip()) and genre == genre.strip() and genre.isprintable() and not genre.isdigit()


def _plain(genre: str) -> str:
    """A genre in the form in which spellings are compared: case, spaces and signs between words do not count."""
    return re.sub(r"[\W_]+", " ", genre.casefold()).strip() or genre.casefold()


def _key(label: str) -> str:
    return label if re.fullmatch(r"[A-Za-z0-9_-]+", label) else _quoted(label)


def _quoted(text: str) -> str:
    # JSON's strings are TOML's, but for this one character.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _array(texts: Iterable[str]) -> str:
    return "[" + ", ".join(map(_quoted, texts)) + "]"


BUILT_IN = Vocabulary({"hiphop": Term("Hip-Hop", ("Hip Hop", "Hip-Hop/Rap", "Rap/Hip Hop", "Rap & Hip-Hop"))})
