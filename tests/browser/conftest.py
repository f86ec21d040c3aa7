"""A real server on the loopback interface with a small library and runs, and one Chromium for a session of tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from chromium import Page, chromium, missing

from earmark.library.library import Library
from earmark.report import write_report
from music import RATE, piece
from serving import Process
from simulated_run import simulate

TITLES = ("Morning Ferry", "Nine Lanterns", "Copper Rain", "Slow Harbour", "Paper Moon", "The Long Way Down")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder, and say why it is skipped where Chromium is not."""
    reason = missing()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            if reason is not None:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twelve made-up pieces by three artists, with tags, and one file that is no music."""
    folder = tmp_path_factory.mktemp("Music")
    for number in range(12):
        artist = f"Artist {'ABC'[number % 3]}"
        path = folder / artist / f"{number:02d} piece.flac"
        path.parent.mkdir(exist_ok=True)
        with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC", subtype="PCM_16") as handle:
            handle.artist = artist
            handle.title = f"{TITLES[number % 6]}{' II' if number > 5 else ''}"
            handle.date = str(1968 + 4 * number)
            handle.write(piece(number, 6.0))
    (folder / "broken.mp3").write_bytes(b"no music at all " * 64)
    return folder


@pytest.fixture(scope="session")
def catalogue(music: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a scan of that folder knows."""
    path = tmp_path_factory.mktemp("catalogue") / "music.db"
    with Library(path) as library:
        assert library.scan(music, jobs=1).failed
    return path


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs with reports, and one that is damaged."""
    folder = tmp_path_factory.mktemp("runs")
    for name, skill, grouped in (("by artist", 2.2, True), ("dealt at random", 3.0, False)):
        protocol = "artist5" if grouped else "random10"
        write_report(simulate(folder / name, per_label=6, epochs=3, skill=skill, grouped=grouped, protocol=protocol))
    simulate(folder / "torn", per_label=4, epochs=1)
    (folder / "torn" / "run.json").write_text("{", encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def server(catalogue: Path, runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with that library and those runs."""
    given = ("--jobs", "1", "--catalogue", str(catalogue), "--runs", str(runs), "--max-upload", "4")
    with Process(tmp_path_factory.mktemp("server"), *given) as running:
        yield running.address


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 80 seconds that changes on the way; its third window reaches back over the second."""
    path = tmp_path_factory.mktemp("songs") / "Summer night.wav"
    parts = [piece(40, 40.0), 0.3 * np.random.default_rng(0).standard_normal(40 * RATE).astype(np.float32)]
    soundfile.write(path, np.concatenate(parts), RATE, subtype="PCM_16")
    return path


@pytest.fixture(scope="session")
def window(song: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[object, Path]]:
    """Chromium, with a microphone that hears a piece of music."""
    folder = tmp_path_factory.mktemp("chromium")
    microphone = folder / "microphone.wav"
    soundfile.write(microphone, piece(7, 20.0), RATE, subtype="PCM_16")
    with chromium(folder, microphone=microphone) as browser:
        yield browser, folder / "saved"


@pytest.fixture
def page(server: str, window: tuple[object, Path]) -> Page:
    """The page, as for somebody new."""
    browser, saved = window
    fresh = Page(browser, server, saved)  # type: ignore[arg-type]
    fresh.reset()
    return fresh
