"""What genres are called, and the file that says so."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.errors import InputError
from earmark.library.vocabulary import BUILT_IN, Term, Vocabulary, load_vocabulary

EXAMPLE = """
ignored = ["Other", "unknown genre"]

[hiphop]
name = "Hip-Hop"
aliases = ["Rap"]
parents = ["Urban"]

[disco]
parents = ["Electronic", "Dance"]

[Metal]
name = "Heavy Metal"
"""


@pytest.fixture
def words(tmp_path: Path) -> Vocabulary:
    (tmp_path / "words.toml").write_text(EXAMPLE)
    return load_vocabulary(tmp_path / "words.toml")


def test_names() -> None:
    assert [BUILT_IN.name(label) for label in ("hiphop", "rock", "R&B", "drum and bass", "électro")] == [
        "Hip-Hop",
        "Rock",
        "R&B",
        "Drum And Bass",
        "Électro",
    ]


def test_a_file_of_names(words: Vocabulary) -> None:
    assert words.genres(["hiphop"]) == ("Hip-Hop", "Urban")
    assert words.genres(["disco", "metal", "jazz"]) == ("Disco", "Electronic", "Dance", "Heavy Metal", "Jazz")
    assert words.genres(["other", "Unknown-Genre", "rock"]) == ("Rock",)
    assert words.genres([]) == ()


def test_spellings_ignore_case_and_signs(words: Vocabulary) -> None:
    for genre in ("Hip-Hop", "hip hop", "HIPHOP", "rap", "Hip_Hop"):
        assert "hiphop" in words.spellings(genre), genre
    assert words.spellings("hip-hop") == words.spellings("RAP")
    assert words.spellings("Rapture").isdisjoint(words.spellings("rap"))
    assert words.spellings("Jazz") == {"jazz"}


def test_no_genre_twice() -> None:
    words = Vocabulary({"a": Term("Rock", parents=("Pop",)), "b": Term("rock"), "c": Term("Pop", parents=("ROCK",))})
    assert words.genres(["a", "b", "c"]) == ("Rock", "Pop")


def test_ignored_by_label_name_or_alias() -> None:
    for word in ("hiphop", "Hip-Hop", "rap"):
        words = Vocabulary({"hiphop": Term("Hip-Hop", ("Rap",))}, frozenset([word]))
        assert words.genres(["hiphop"]) == ()
        assert words.is_ignored("RAP")
    parents = Vocabulary({"disco": Term("Disco", parents=("Dance", "Other"))}, frozenset(["other"]))
    assert parents.genres(["disco"]) == ("Disco", "Dance")


def test_built_in_vocabulary_can_be_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / "words.toml"
    path.write_text(BUILT_IN.to_toml())
    assert load_vocabulary(path) == BUILT_IN


@given(
    st.dictionaries(st.text(min_size=1).filter(lambda label: "ignored" not in label.casefold()), st.text()),
    st.lists(st.text()),
)
def test_any_vocabulary_makes_valid_toml(names: dict[str, str], ignored: list[str]) -> None:
    words = Vocabulary({label: Term(name, (name,)) for label, name in names.items()}, frozenset(ignored))
    content = tomllib.loads(words.to_toml())
    assert set(content.pop("ignored")) == words.ignored
    assert {label: table["name"] for label, table in content.items()} == {
        label: term.name for label, term in words.terms.items()
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[rock\n", "not valid TOML"),
        ("\x80", "not valid TOML"),
        ('rock = "Rock"', "needs a table"),
        ('[rock]\nnmae = "Rock"', "Did you mean 'name'"),
        ("[rock]\ncolour = 3", "unknown key 'colour'"),
        ("[rock]\nname = 3", "one line of text"),
        ('[rock]\nname = ""', "one line of text"),
        ('[rock]\nname = "17"', "not only digits"),
        ('[rock]\nname = "a\\nb"', "one line of text"),
        ("[rock]\naliases = [1]", r"aliases in \[rock\]"),
        ('[rock]\nparents = ["a", ""]', r"parents in \[rock\]"),
        ("ignored = 3", "ignored must be"),
    ],
)
def test_mistakes_are_explained(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "words.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=said):
        load_vocabulary(tmp_path / "words.toml")


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_vocabulary(tmp_path / "words.toml")
