"""The beets plugin in real beets: its own command line, library and importer, on real files."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("beets", reason="beets is not installed")
pytest.importorskip("mutagen")
pytest.importorskip("onnx", reason="the small model for tests is made with onnx")

from mutagen.flac import FLAC

import tag_files
from bundles import tiny_bundle


class Beets:
    """A library of its own with three short songs: a low tone, a high tone, and noise that has a genre already."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        tiny_bundle(folder / "tiny.earmark")
        self.music = folder / "new"
        self.music.mkdir()
        time = np.arange(22050 * 3) / 22050
        noise = np.random.default_rng(0).normal(0, 0.1, time.size)
        sounds = {"low": np.sin(2 * np.pi * 110 * time), "high": np.sin(2 * np.pi * 7000 * time), "noise": noise}
        for name, sound in sounds.items():
            path = self.music / f"{name}.flac"
            soundfile.write(path, 0.3 * sound, 22050)
            tags = FLAC(path)
            tags["artist"], tags["title"], tags["album"] = "Artist", name, "Album"
            if name == "noise":
                tags["genre"] = "Polka"
            tags.save()
        self.configure()

    def configure(self, **options: object) -> None:
        own = "".join(f"  {name}: {value}\n" for name, value in options.items())
        (self.folder / "config.yaml").write_text(
            f"directory: {self.folder / 'library'}\nlibrary: {self.folder / 'library.db'}\nplugins: earmark\n"
            f"import: {{copy: yes, write: yes}}\nearmark:\n  bundle: {self.folder / 'tiny.earmark'}\n{own}"
        )

    def __call__(self, *arguments: str) -> str:
        environment = {**os.environ, "BEETSDIR": str(self.folder), "HOME": str(self.folder), "PYTHONUTF8": "1"}
        command = [sys.executable, "-m", "beets", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def genres(self, table: str = "items") -> dict[str, str]:
        """What stands in beets' database (a list of genres is one text there)."""
        with contextlib.closing(sqlite3.connect(self.folder / "library.db")) as database:
            name = "title" if table == "items" else "album"
            rows = database.execute(f"SELECT {name}, genres FROM {table}").fetchall()
        return {name: (genres or "").replace("\\␀", "; ") for name, genres in rows}

    def written(self, title: str) -> str | None:
        (path,) = (self.folder / "library").rglob(f"*{title}.flac")
        return tag_files.ffmpeg_tags(path).get("genre")


@pytest.fixture
def beets(tmp_path: Path) -> Beets:
    return Beets(tmp_path)


def test_genres_on_import(beets: Beets) -> None:
    beets("import", "-qA", str(beets.music))
    assert beets.genres() == {"low": "Bass", "high": "Treble", "noise": "Polka"}
    assert beets.genres("albums")["Album"] in ("Bass", "Treble", "Polka"), "the album has one too"
    beets("write")
    assert [beets.written(title) for title in ("low", "high", "noise")] == ["Bass", "Treble", "Polka"]
    assert tag_files.ffmpeg_tags(beets.music / "low.flac").get("genre") is None, "the original was only copied"


def test_singletons(beets: Beets) -> None:
    beets("import", "-qAs", str(beets.music / "low.flac"))
    assert beets.genres() == {"low": "Bass"}


def test_command_with_pretend_and_modes(beets: Beets) -> None:
    beets.configure(auto="no")
    beets("import", "-qA", str(beets.music))
    assert beets.genres() == {"low": "", "high": "", "noise": "Polka"}

    said = beets("earmark", "--pretend")
    assert "low: no genre -> Bass" in said
    assert "noise" not in said
    assert beets.genres() == {"low": "", "high": "", "noise": "Polka"}
    assert beets.written("low") is None

    beets("earmark", "title:low")
    assert beets.genres() == {"low": "Bass", "high": "", "noise": "Polka"}
    assert beets.written("low") == "Bass"
    assert beets.written("high") is None

    beets("earmark", "--mode", "add", "title:noise")
    assert beets.genres()["noise"] == "Polka; Hiss"
    beets("earmark", "--mode", "replace", "title:noise")
    assert beets.genres()["noise"] == "Hiss"
    assert beets.written("noise") == "Hiss"


def test_vocabulary_pretend_and_a_file_that_cannot_be_heard(beets: Beets) -> None:
    (beets.folder / "words.toml").write_text('ignored = ["treble"]\n[bass]\nname = "Low End"\nparents = ["Deep"]\n')
    silent = beets.music / "silent.flac"
    soundfile.write(silent, np.zeros(22050 * 3), 22050)
    tags = FLAC(silent)
    tags["title"] = "silent"
    tags.save()
    beets.configure(vocabulary="words.toml", pretend="yes")
    said = beets("import", "-qAs", str(beets.music))
    assert "no genre -> Low End; Deep" in said
    assert "silent" in said
    assert beets.genres() == {"low": "", "high": "", "noise": "Polka", "silent": ""}
    beets.configure(vocabulary="words.toml")
    beets("earmark")
    assert beets.genres()["low"] == "Low End; Deep"
    assert beets.genres()["high"] == ""
