"""One recording is found again in altered copies, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr

from earmark.audio import load
from earmark.dataset import load_dataset
from earmark.errors import InputError
from earmark.front_end import MEL, REPORT, FrontEnd
from earmark.gtzan.facts import known_repeats
from earmark.recordings import PROMINENCE, THRESHOLD, can_compare, compare, find_repeats
from earmark.spectrogram import fit_window, spectrogram
from music import RATE, piece

PIECES = 9


def see(samples: np.ndarray, front_end: FrontEnd = MEL) -> np.ndarray:
    return spectrogram(fit_window(np.asarray(samples, np.float32), front_end), front_end)


@pytest.fixture(scope="module")
def pieces() -> np.ndarray:
    return np.stack([see(piece(seed)) for seed in range(PIECES)])


def noisy(samples: np.ndarray, decibels: float) -> np.ndarray:
    # Other noise for other samples: clips with the same noise do share a recording.
    noise = np.random.default_rng(int(1e6 * np.abs(samples).sum())).standard_normal(len(samples))
    return samples + noise * np.sqrt(np.mean(samples**2) / 10 ** (decibels / 10))


ALTERED = {
    "quieter": lambda s: 0.05 * s,
    "clipped": lambda s: np.clip(4 * s, -1, 1),
    "noise": lambda s: noisy(s, 10),
    "shifted": lambda s: s[int(4.321 * RATE) :],
    "excerpt": lambda s: s[9 * RATE : 17 * RATE],
    "bandwidth": lambda s: soxr.resample(soxr.resample(s, RATE, 8000), 8000, RATE),
    "8 bit": lambda s: np.round(s * 64) / 64,
    "faster": lambda s: soxr.resample(s, 1.015 * RATE, RATE),
    "followed": lambda s: np.concatenate([s[20 * RATE :], piece(99)]),
}


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_copy_is_found_and_nothing_else(pieces: np.ndarray, name: str) -> None:
    copies = np.stack([see(ALTERED[name](piece(seed))) for seed in range(0, PIECES, 3)])
    if name == "followed":
        copies = copies[:1]  # the others share what follows with each other
    pairs = find_repeats(np.concatenate([pieces, copies]), MEL)
    assert {(pair.first, pair.second) for pair in pairs} == {(3 * row, PIECES + row) for row in range(len(copies))}
    assert all(pair.score >= THRESHOLD and pair.prominence >= PROMINENCE for pair in pairs)


def test_offset_overlap_and_speed_are_measured() -> None:
    whole = piece(1)
    later = compare(see(whole), see(whole[5 * RATE :]), MEL)
    assert later.offset == pytest.approx(5.0, abs=0.1) and later.overlap == pytest.approx(25.0, abs=0.2)
    assert later.speed == 1.0
    back = compare(see(whole[5 * RATE :]), see(whole), MEL)
    assert back.offset == pytest.approx(-5.0, abs=0.1)
    fast = compare(see(whole), see(soxr.resample(whole, 1.02 * RATE, RATE)), MEL)
    assert fast.speed == pytest.approx(1.02, abs=0.0051)
    same = compare(see(whole), see(whole), MEL)
    assert (same.offset, same.speed) == (0.0, 1.0)
    assert same.score == pytest.approx(same.agreement, abs=1e-3) and same.score > 0.8
    assert same.overlap == pytest.approx(30.0, abs=0.1)


def test_silence_and_tones_resemble_nothing() -> None:
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(30 * RATE) / RATE)
    silence = np.zeros(30 * RATE)
    noise = np.random.default_rng(1).standard_normal((2, 30 * RATE)) * 0.1
    rows = np.stack([see(s) for s in (tone, 0.5 * tone, silence, silence, *noise, piece(0))])
    assert find_repeats(rows, MEL) == []


def test_the_reports_spectrograms_tell_recordings_apart_too() -> None:
    sounds = [piece(0), piece(1), noisy(piece(0)[3 * RATE :], 20), 0.1 * piece(1)]
    pairs = find_repeats(np.stack([see(s, REPORT) for s in sounds]), REPORT)
    assert {(pair.first, pair.second) for pair in pairs} == {(0, 2), (1, 3)}


def test_many_blocks_give_what_one_gives(pieces: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = np.concatenate([pieces, pieces[::-1]])
    whole = find_repeats(rows, MEL)
    monkeypatch.setattr("earmark.recordings._BLOCK", 5)
    steps = []
    parts = find_repeats(rows, MEL, progress=steps.append)
    assert [(p.first, p.second) for p in parts] == [(p.first, p.second) for p in whole]
    assert {p.first + p.second for p in whole} == {2 * PIECES - 1}
    assert {step.task for step in steps} == {"making prints", "comparing clips", "checking repeats"}
    assert all(step.total is not None and step.done <= step.total for step in steps)


def test_few_clips_and_windows_that_are_too_short() -> None:
    assert find_repeats(np.empty((0, *MEL.shape), np.uint8), MEL) == []
    assert find_repeats(see(piece(0))[None], MEL) == []
    short = FrontEnd(seconds=3.0)
    assert (
        not can_compare(short) and can_compare(FrontEnd(seconds=10.0)) and not can_compare(FrontEnd(frame_step=9.0))
    )
    with pytest.raises(InputError, match="at least 5 s"):
        find_repeats(np.zeros((2, *short.shape), np.uint8), short)
    with pytest.raises(InputError, match="were not made by"):
        find_repeats(np.zeros((2, 3, 4), np.uint8), MEL)


@pytest.mark.shared
def test_the_shipped_repeats_of_gtzan_are_what_is_found(shared: Path) -> None:
    dataset = load_dataset(shared / "gtzan" / "mel.npz")
    assert dataset.spectrograms is not None
    named = {name for pair in known_repeats() for name in (pair.first, pair.second)}
    rows = [row for row, name in enumerate(dataset.ids) if name in named or row % 8 == 0]
    part = dataset.select(rows)
    assert part.spectrograms is not None
    found = {(part.ids[p.first], part.ids[p.second]): p.score for p in find_repeats(part.spectrograms, MEL)}
    assert set(found) == {(pair.first, pair.second) for pair in known_repeats()}
    for pair in known_repeats():
        assert found[pair.first, pair.second] == pytest.approx(pair.score, abs=0.005)


@pytest.mark.shared
def test_real_clips_share_nothing_and_their_copies_all(shared: Path) -> None:
    paths = sorted((shared / "gtzan" / "audio").glob("*/*3.flac"))
    sounds = [load(path).samples for path in paths]
    copies = [see(noisy(0.3 * sound[int(6.4 * RATE) :], 15)) for sound in sounds]
    rows = np.concatenate([[see(sound) for sound in sounds], copies])
    pairs = {(pair.first, pair.second) for pair in find_repeats(rows, MEL)}
    assert pairs == {(row, row + len(sounds)) for row in range(len(sounds))}
