"""Steady noise is told from music by its bands, whatever its colour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from earmark.noise import LEAST, togetherness
from earmark.predict import Classifier
from earmark.robustness.sounds import coloured_noise
from earmark.spectrogram import MEL, spectrogram

RATE = MEL.sample_rate


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 1.0, 1.5, 2.0])
def test_noise_of_any_colour_has_independent_bands(exponent: float) -> None:
    for seed in range(3):
        sound = coloured_noise(np.random.default_rng(seed), MEL.window_samples, exponent, RATE).astype(np.float32)
        assert 1.0 < togetherness(spectrogram(sound, MEL)) < 0.8 * LEAST


def test_independent_bands_give_one_and_bands_that_move_alike_their_number() -> None:
    random = np.random.default_rng(0)
    alone = random.normal(128, 20, (128, 4000)).clip(0, 255).astype(np.uint8)
    assert togetherness(alone) == pytest.approx(1.0, abs=0.1)
    alike = np.tile(random.integers(0, 255, (1, 387)), (128, 1)).astype(np.uint8)
    assert togetherness(alike) == pytest.approx(128, rel=1e-3)


def test_silence_and_a_single_band_are_not_called_noise() -> None:
    assert togetherness(np.zeros((128, 387), np.uint8)) == float("inf")
    single = np.zeros((128, 387), np.uint8)
    single[40] = np.random.default_rng(0).integers(0, 255, 387)
    assert togetherness(single) == float("inf")


@pytest.mark.shared
def test_no_clip_of_music_is_called_noise(shared: Path) -> None:
    with np.load(shared / "gtzan" / "mel.npz") as archive:
        found = [togetherness(levels) for levels in archive["mel"]]
    assert min(found) > 2 * LEAST


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_bundle_that_ships_is_unsure_of_noise(exponent: float) -> None:
    sound = coloured_noise(np.random.default_rng(5), MEL.window_samples, exponent, RATE)
    sound = (0.3 * sound / np.abs(sound).max()).astype(np.float32)
    found = Classifier().classify_samples(sound, RATE)
    assert found.unsure
    assert found.doubt == "unlike anything it has learnt"
