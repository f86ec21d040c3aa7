"""Tempo, key, loudness, dynamics: truth from synthesis, the standard's test signals, librosa where it agrees."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earmark.audio import Recording
from earmark.music import MUSIC_FIELDS, Music
from earmark.music.frames import frame_power, weighted_sums
from earmark.music.key import KEYS, key_of, pitch_classes
from earmark.music.loudness import Levels, k_weighting
from earmark.music.meter import MusicMeter
from earmark.music.onset import band_decibels, onset_envelope
from earmark.music.tempo import periodicity, tempo_of
from earmark.spectrogram import mel_filters

RATE = 22050


def measured(*windows: NDArray[np.float32], rate: int = RATE, gain: float = 0.0) -> Music:
    meter = MusicMeter(rate)
    for window in windows:
        meter.add(np.asarray(window, np.float32))
    return meter.music(channel_gain=gain)


def clicks(bpm: float, seconds: float = 30.0, *, rate: int = RATE, first: float = 0.1) -> NDArray[np.float32]:
    """A short knock on every beat, with a little noise below."""
    samples = 0.001 * np.random.default_rng(0).normal(size=round(seconds * rate))
    time = np.arange(round(0.05 * rate)) / rate
    knock = np.exp(-time * 150) * np.sin(2 * np.pi * 1800 * time)
    for beat in np.arange(first, seconds - 0.1, 60 / bpm):
        start = round(beat * rate)
        samples[start : start + len(knock)] += 0.5 * knock
    return samples.astype(np.float32)


def sine(hertz: float, dbfs: float, seconds: float = 20.0, *, rate: int = RATE) -> NDArray[np.float32]:
    return (10 ** (dbfs / 20) * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(
        np.float32
    )


def notes(midi: list[int], seconds: float, rate: int = RATE) -> NDArray[np.float64]:
    """A chord of plucked tones with six overtones."""
    time = np.arange(round(seconds * rate)) / rate
    hertz = [440 * 2 ** ((note - 69) / 12) for note in midi]
    tones = [np.sin(2 * np.pi * f * k * time) / k for f in hertz for k in range(1, 7) if f * k < rate / 2]
    return np.sum(tones, axis=0) * np.exp(-time * 1.5) * 0.05


def cadence(tonic: int, minor: bool, detune: float = 0.0) -> NDArray[np.float32]:
    """I IV V I (harmonic minor: the dominant is major), twice, from the tonic's pitch class."""
    third = 3 if minor else 4
    chords = [(0, third, 7, 12), (5, 5 + third, 12, 17), (7, 11, 14, 19), (0, third, 7, 12)]
    rate = RATE / 2 ** (detune / 12)
    played = [notes([48 + tonic + step for step in chord], 1.0, round(rate)) for chord in chords]
    return np.concatenate(played * 2).astype(np.float32)


# --- tempo ---


@pytest.mark.parametrize("bpm", [45, 60, 72, 85.5, 100, 120, 128, 140, 160, 174, 200])
def test_click_tracks_have_their_tempo(bpm: float) -> None:
    found = measured(clicks(bpm))
    assert found.tempo == pytest.approx(bpm, rel=0.002)
    assert found.beat_strength is not None and found.beat_strength > 0.85
    assert found.tempo_confidence is not None and found.tempo_confidence > 0.6


def test_what_is_too_fast_to_tap_is_given_at_half() -> None:
    assert measured(clicks(230)).tempo == pytest.approx(115, rel=0.002)


def test_accents_on_every_second_beat_do_not_halve_a_moderate_tempo() -> None:
    samples = clicks(100) + 0.4 * clicks(50)
    assert measured(samples).tempo == pytest.approx(100, rel=0.002)


def test_eighth_notes_between_do_not_double_a_moderate_tempo() -> None:
    samples = clicks(100) + 0.3 * clicks(200)
    assert measured(samples).tempo == pytest.approx(100, rel=0.002)


@settings(max_examples=8, deadline=None)
@given(gain=st.floats(-30, 5), bpm=st.integers(60, 180))
def test_gain_changes_loudness_alone(gain: float, bpm: int) -> None:
    samples = clicks(bpm, 12.0)
    plain, other = measured(samples), measured(samples * np.float32(10 ** (gain / 20)))
    for name in ("tempo", "tempo_confidence", "beat_strength", "dynamics"):
        assert getattr(plain, name) == pytest.approx(getattr(other, name), abs=0.011), name
    assert plain.loudness is not None and other.loudness is not None
    # Knocks at the edge of the relative gate fall to either side.
    assert other.loudness == pytest.approx(plain.loudness + gain, abs=0.4)


def test_tempo_follows_the_speed_of_real_sound(shared: Path) -> None:
    """Played 4 % faster, the tempo is 4 % higher."""
    import soxr

    with Recording(shared / "music" / "000010.mp3") as recording:
        samples = np.concatenate(list(recording.blocks(RATE)))
    faster = soxr.resample(samples, 1.04 * RATE, RATE)
    plain, quick = measured(samples), measured(faster)
    assert plain.tempo == pytest.approx(111.6, abs=0.5)
    assert quick.tempo == pytest.approx(1.04 * 111.6, abs=0.5)


def test_noise_and_a_held_tone_have_no_beat_to_speak_of() -> None:
    noise = measured(np.random.default_rng(1).normal(0, 0.1, 20 * RATE))
    assert noise.tempo is None or (noise.tempo_confidence or 0) < 0.3
    tone = measured(sine(440, -20))
    assert tone.tempo is None and tone.beat_strength is None


def test_windows_of_one_track_speak_together_and_short_ones_stand_back() -> None:
    track = clicks(126, 60)
    first, second = track[: 30 * RATE], track[30 * RATE :]
    assert measured(first, second, track[-2 * RATE :]).tempo == pytest.approx(126, rel=0.002)


def test_the_envelope_is_the_rise_and_gain_does_not_show() -> None:
    """The definition of ``librosa.onset.onset_strength``, whose compiler would take half a minute here."""
    weights = np.ascontiguousarray(mel_filters(RATE, 1024, 32).T)
    knock = clicks(60, 3.0, first=1.0)
    rises = [onset_envelope(band_decibels(weighted_sums(gain * knock, 1024, 512, weights))) for gain in (1, 0.1)]
    np.testing.assert_allclose(rises[0], rises[1], atol=1e-2)
    begins = {round((0.5 + frame) * 512 / RATE) for frame in np.flatnonzero(rises[0] > 0.5 * rises[0].max())}
    assert begins == {1, 2}


def test_periodicity_of_a_period_is_one_there() -> None:
    envelope = np.zeros(1000, np.float32)
    envelope[::20] = 1
    found = periodicity(envelope, 40.0)
    assert found is not None
    assert found[0] == 1 and found[20] == pytest.approx(1, abs=0.03) and found[10] < 0
    tempo = tempo_of(found, 40.0)
    assert tempo is not None and tempo.bpm == pytest.approx(120, abs=0.1)
    assert periodicity(envelope[:100], 40.0) is None
    assert periodicity(np.ones(1000, np.float32), 40.0) is None


# --- key ---


@pytest.mark.parametrize("minor", [False, True])
@pytest.mark.parametrize("tonic", range(12))
def test_cadences_name_their_key(tonic: int, minor: bool) -> None:
    found = key_of(pitch_classes(cadence(tonic, minor), RATE))
    assert found is not None
    assert found.name == KEYS[tonic + 12 * minor]
    assert found.confidence > 1 / 6


@pytest.mark.parametrize("detune", [-0.3, 0.25])
def test_tuning_does_not_matter(detune: float) -> None:
    found = key_of(pitch_classes(cadence(9, True, detune), RATE))
    assert found is not None and found.name == "A minor"


def test_gain_leaves_the_key() -> None:
    samples = cadence(4, True)
    keys = [key_of(pitch_classes(samples * np.float32(gain), RATE)) for gain in (1.0, 0.013, 1.7)]
    assert all(key is not None and key.name == "E minor" for key in keys)
    assert [key.confidence for key in keys if key] == pytest.approx([keys[0].confidence] * 3, abs=0.02)  # type: ignore[union-attr]


def test_pitch_classes_are_where_librosa_hears_them() -> None:
    librosa = pytest.importorskip("librosa")
    samples = cadence(2, False)
    mine = pitch_classes(samples, RATE)
    # What librosa.feature.chroma_stft applies to its spectrogram.
    chroma = librosa.filters.chroma(sr=RATE, n_fft=8192, tuning=0.0)
    theirs = (chroma @ np.sqrt(frame_power(samples, 8192, 4096)).T).mean(axis=1)
    assert np.corrcoef(mine, theirs)[0, 1] > 0.9
    assert mine.sum() == pytest.approx(1)


def test_transposing_turns_the_pitch_classes() -> None:
    low, high = (pitch_classes(cadence(tonic, False), RATE) for tonic in (0, 5))
    np.testing.assert_allclose(np.roll(low, 5), high, atol=0.03)


def test_noise_speaks_for_no_key() -> None:
    found = measured(np.random.default_rng(1).normal(0, 0.1, 20 * RATE))
    assert found.key is None or (found.key_confidence or 0) < 0.5
    assert key_of(np.full(12, 1 / 12)) is None
    assert key_of(np.zeros(12)) is None


# --- loudness ---


def test_the_filter_has_the_standards_response() -> None:
    """BS.1770: 0 dBFS at 997 Hz in one channel reads -3.01 LKFS, so the filter takes 0.691 dB less than it adds."""
    response = 10 * np.log10(k_weighting(np.array([997.0, 10_000.0, 40.0])))
    assert response[0] == pytest.approx(0.691, abs=0.005)
    assert response[1] == pytest.approx(4.0, abs=0.1)
    assert response[2] < -5


@pytest.mark.parametrize("rate", [16000, 22050, 44100, 48000])
def test_the_reference_tone(rate: int) -> None:
    assert measured(sine(997, -20, rate=rate), rate=rate).loudness == pytest.approx(-23.01, abs=0.03)


def test_ebu_3341_case_1_and_2_stereo_sines() -> None:
    """1 kHz in both channels at -23 and -33 dBFS reads -23 and -33 LUFS; two equal channels gain 3.01 dB."""
    for level in (-23.0, -33.0):
        assert measured(sine(1000, level), gain=3.01).loudness == pytest.approx(level, abs=0.1)


def test_ebu_3341_case_3_the_relative_gate() -> None:
    """10 s at -36, 60 s at -23, 10 s at -36 dBFS: the soft parts are gated."""
    parts = [sine(1000, level, seconds) for level, seconds in ((-36, 10), (-23, 60), (-36, 10))]
    assert measured(np.concatenate(parts), gain=3.01).loudness == pytest.approx(-23.0, abs=0.1)


def test_ebu_3341_case_4_the_absolute_gate() -> None:
    levels = ((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10))
    parts = [sine(1000, level, seconds) for level, seconds in levels]
    assert measured(np.concatenate(parts), gain=3.01).loudness == pytest.approx(-23.0, abs=0.1)


def test_ebu_3341_case_5_levels_that_average() -> None:
    parts = [sine(1000, level, seconds) for level, seconds in ((-26, 20), (-20, 20.1), (-26, 20))]
    assert measured(np.concatenate(parts), gain=3.01).loudness == pytest.approx(-23.0, abs=0.1)


@pytest.mark.parametrize(
    ("levels", "wanted"), [((-20, -30), 10), ((-20, -15), 5), ((-40, -20), 20), ((-50, -35, -20, -35, -50), 15)]
)
def test_ebu_3342_loudness_range(levels: tuple[int, ...], wanted: float) -> None:
    parts = [sine(1000, level, 20) for level in levels]
    assert measured(np.concatenate(parts), gain=3.01).loudness_range == pytest.approx(wanted, abs=1.0)


def test_silence_and_what_is_under_the_gate_have_no_loudness() -> None:
    levels = Levels()
    assert levels.integrated() is None and levels.range() is None
    levels.add(np.zeros(100))
    assert levels.integrated() is None
    assert measured(sine(1000, -90)).loudness is None


def test_real_songs_read_as_ffmpegs_meter_has_them(shared: Path) -> None:
    """What FFmpeg's ``ebur128`` says of the whole stereo file; we hear the mono sum up to 11 kHz."""
    for name, loudness, span in (("000010", -9.584, 1.83), ("000666", -16.809, 0.44), ("000777", -14.558, 13.56)):
        with Recording(shared / "music" / f"{name}.mp3") as recording:
            samples = np.concatenate(list(recording.blocks(RATE)))
            found = measured(samples, gain=recording.channel_gain)
        assert found.loudness == pytest.approx(loudness, abs=0.4)
        assert found.loudness_range == pytest.approx(span, abs=1.3)


def test_channels_that_are_equal_add_three_decibels(tmp_path: Path) -> None:
    import soundfile

    tone = sine(1000, -20, 5.0)
    other = np.random.default_rng(0).normal(0, tone.std(), len(tone)).astype(np.float32)
    for channels, gain in (((tone,), 0.0), ((tone, tone), 3.01), ((tone, other), 6.02)):
        path = tmp_path / "tone.wav"
        soundfile.write(path, np.stack(channels, 1), RATE, subtype="FLOAT")
        with Recording(path) as recording:
            for _ in recording.blocks(RATE):
                pass
            assert recording.channel_gain == pytest.approx(gain, abs=0.1)


# --- the rest ---


def test_dynamics_of_sine_and_square() -> None:
    tone = sine(440, -10)
    assert measured(tone).dynamics == pytest.approx(3.01, abs=0.02)
    assert measured(np.sign(tone)).dynamics == pytest.approx(0.0, abs=0.05)


def test_power_of_frames_sums_to_the_mean_square() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 200_000).astype(np.float32)
    power = frame_power(noise, 1024, 512)
    assert power.sum(axis=1).mean() == pytest.approx(0.01, rel=0.01)
    weights = np.ones((513, 1), np.float32)
    np.testing.assert_allclose(weighted_sums(noise, 1024, 512, weights)[:, 0], power.sum(axis=1), rtol=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    seconds=st.floats(0.05, 6.0),
    rate=st.sampled_from([8000, 16000, 22050, 44100]),
    kind=st.sampled_from(["noise", "zeros", "constant", "impulse", "huge"]),
)
def test_any_sound_gives_plain_numbers_or_none(seconds: float, rate: int, kind: str) -> None:
    count = max(1, round(seconds * rate))
    samples = {
        "noise": np.random.default_rng(0).normal(size=count),
        "zeros": np.zeros(count),
        "constant": np.full(count, 0.5),
        "impulse": np.eye(1, count, count // 2)[0],
        "huge": 1e6 * np.random.default_rng(0).normal(size=count),
    }[kind].astype(np.float32)
    row = measured(samples, rate=rate).to_dict()
    assert tuple(row) == MUSIC_FIELDS
    for name, value in row.items():
        assert value is None or value in KEYS or math.isfinite(float(value)), name
    for name in ("tempo_confidence", "beat_strength", "key_confidence"):
        value = row[name]
        assert value is None or 0 <= float(value) <= 1
