"""What each distortion does to sound, by physics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.errors import InputError
from earmark.robustness import codecs, distortions
from earmark.robustness.versions import FIRST, MIDDLE, part, versions
from sounds import music, spectrum_peak, tone

RATE = 22050


def level(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.asarray(samples, np.float64) ** 2)))


def noise(seconds: float = 4.0, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(int(seconds * RATE))).astype(np.float32)


@given(st.floats(-40, 40))
@settings(max_examples=20, deadline=None)
def test_gain_is_exact_decibels_and_can_be_taken_back(decibels: float) -> None:
    sound = noise(0.5)
    changed = distortions.gain(sound, decibels)
    assert level(changed) - level(sound) == pytest.approx(decibels, abs=1e-4)
    np.testing.assert_allclose(distortions.gain(changed, -decibels), sound, rtol=1e-5)


def test_clipping_cuts_at_full_scale_whatever_the_level_was() -> None:
    sound = tone(1, RATE, 440, level=0.2)
    loud = distortions.clip(sound, 12)
    assert np.abs(loud).max() == 1.0
    # A sine 12 dB over full scale stays beyond it for all but asin(1/4) of each quarter.
    assert np.mean(np.abs(loud) == 1) == pytest.approx(1 - 2 / np.pi * np.arcsin(10 ** (-12 / 20)), abs=0.01)
    np.testing.assert_allclose(distortions.clip(5 * sound, 12), loud, atol=1e-6)
    assert not distortions.clip(np.zeros(10, np.float32), 12).any()


@given(st.floats(-10, 60), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_the_signal_to_noise_ratio_is_the_one_asked_for(decibels: float, seed: int) -> None:
    sound = tone(0.5, RATE, 300)
    changed = distortions.add_noise(sound, decibels, np.random.default_rng(seed))
    assert level(sound) - level(changed.astype(np.float64) - sound) == pytest.approx(decibels, abs=0.01)


def test_noise_is_the_generators() -> None:
    sound = tone(0.2, RATE)
    first, second, third = (distortions.add_noise(sound, 20, np.random.default_rng(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


@pytest.mark.parametrize("decibels", [6.0, -6.0])
def test_a_tilt_is_a_straight_line_over_the_octaves(decibels: float) -> None:
    low, high = 20.0, 11025.0
    for frequency in (100.0, 400.0, 1600.0, 6400.0):
        sound = tone(2, RATE, frequency)
        before, after = (spectrum_peak(s, RATE) for s in (sound, distortions.tilt(sound, RATE, decibels)))
        wanted = decibels * (2 * np.log(frequency / low) / np.log(high / low) - 1)
        assert 20 * np.log10(after[1] / before[1]) == pytest.approx(wanted, abs=0.02)
        assert after[0] == pytest.approx(before[0], abs=0.5)
    sound = noise()
    np.testing.assert_allclose(
        distortions.tilt(distortions.tilt(sound, RATE, decibels), RATE, -decibels)[2000:-2000],
        sound[2000:-2000],
        atol=1e-3,
    )
    with pytest.raises(InputError, match="two frequencies"):
        distortions.tilt(sound, RATE, 6, low=100, high=50)


def test_a_low_pass_lets_pass_what_is_below_and_nothing_above() -> None:
    for frequency, passes in ((1000, True), (3800, True), (4001, False), (9000, False)):
        sound = tone(2, RATE, frequency)
        middle = slice(RATE // 2, -RATE // 2)
        left = level(distortions.low_pass(sound, RATE, 4000)[middle]) - level(sound[middle])
        assert (abs(left) < 0.01) if passes else (left < -50), frequency


@pytest.mark.parametrize("factor", [0.96, 1.04])
def test_speed_shifts_a_tone_and_changes_the_length(factor: float) -> None:
    sound = tone(3, RATE, 1000)
    changed = distortions.speed(sound, RATE, factor)
    assert len(changed) == pytest.approx(len(sound) / factor, rel=1e-4)
    frequency, amplitude = spectrum_peak(changed, RATE)
    assert frequency == pytest.approx(1000 * factor, rel=1e-4)
    assert amplitude == pytest.approx(0.5, rel=0.01)
    with pytest.raises(InputError, match="ten times"):
        distortions.speed(sound, RATE, 0.0)


@pytest.mark.parametrize(("codec", "kbits"), [(codecs.mp3, 64), (codecs.opus, 24)])
def test_encoders_keep_what_is_heard_and_spend_the_bits_they_may(codec, kbits: int) -> None:
    sound = music(3, RATE, channels=1)[:, 0]
    coded = codec(sound, RATE, kbits)
    assert len(coded) == pytest.approx(len(sound), rel=0.02)
    assert level(coded) == pytest.approx(level(sound), abs=1)
    shared = min(len(sound), len(coded))
    assert np.corrcoef(sound[:shared], coded[:shared])[0, 1] > 0.8
    assert not np.allclose(sound[:shared], coded[:shared], atol=1e-4)


def test_an_encoded_file_is_as_large_as_its_rate_says() -> None:
    sound = music(4, RATE, channels=1)[:, 0]
    assert len(codecs.encode(sound, RATE, ("mp3", "libmp3lame", 44100), 64, "stereo")) == pytest.approx(
        64_000 / 8 * 4, rel=0.1
    )


def test_parts_are_windows_of_long_sound_and_halves_of_short() -> None:
    sound = np.arange(1000, dtype=np.float32)
    assert part(sound, 200, FIRST).tolist() == list(range(200))
    assert part(sound, 200, MIDDLE).tolist() == list(range(400, 600))
    assert part(sound, 800, FIRST).tolist() == list(range(500))
    assert part(sound, 800, MIDDLE).tolist() == list(range(250, 750))


def test_versions_have_names_of_their_own_and_leave_the_sound_alone() -> None:
    sound = music(2, RATE, channels=1)[:, 0]
    kept = sound.copy()
    every = versions(RATE)
    assert len({version.name for version in every}) == len(every)
    for version in every:
        changed = version.change(sound, RATE, np.random.default_rng(0))
        assert changed.dtype == np.float32
        assert np.isfinite(changed).all()
        np.testing.assert_array_equal(sound, kept)
    np.testing.assert_array_equal(every[0].change(sound, RATE, np.random.default_rng(0)), sound)
