"""The front end against librosa, against the real mel spectrograms, and against physics."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark import spectrogram as module
from earmark.errors import InputError
from earmark.spectrogram import (
    MEL,
    REPORT,
    FrontEnd,
    clip_spectrogram,
    fit_window,
    mel_filters,
    spectrogram,
    spectrogram_db,
)

RATE = 22050
SMALL = FrontEnd(seconds=2.0)
SMALL_STFT = FrontEnd(kind="stft", seconds=2.0)


def noise(n: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n)).astype(np.float32)


def tone(frequency: float, n: int, rate: int = RATE) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(n) / rate)).astype(np.float32)


def every_frame(front_end: FrontEnd) -> FrontEnd:
    return replace(front_end, frame_offset=0, frame_step=1)


def librosa_db(samples: np.ndarray, front_end: FrontEnd) -> np.ndarray:
    """What librosa makes of the same parameters, at the columns."""
    import librosa

    n_fft, hop = front_end.n_fft, front_end.hop_length
    if front_end.kind == "stft":
        power = np.abs(librosa.stft(samples, n_fft=n_fft, hop_length=hop)) ** 2
    else:
        power = librosa.feature.melspectrogram(
            y=samples, sr=front_end.sample_rate, n_fft=n_fft, hop_length=hop, n_mels=front_end.n_mels
        )
    if front_end.scale == "columns":
        power = power[:, front_end.frames]
    if front_end.kind == "stft":
        decibels = librosa.amplitude_to_db(np.sqrt(power), ref=np.max, top_db=front_end.top_db)
    else:
        decibels = librosa.power_to_db(power, ref=np.max, top_db=front_end.top_db)
    return decibels if front_end.scale == "columns" else decibels[:, front_end.frames]


# --- against the real data ---------------------------------------------------------------------------------------


def real_clips(shared: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    with np.load(shared / "gtzan" / "mel.npz", allow_pickle=False) as archive:
        rows = dict(zip(archive["ids"].tolist(), archive["mel"], strict=True))
    paths = sorted((shared / "gtzan" / "audio").glob("*/*.flac"))
    assert len(paths) == 100
    for path in paths:
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == RATE
        yield path.stem, samples, rows[path.stem]


def compare(pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Equal but for rounding ties: no byte off by more than one level, fewer than 1 in 100 000 off at all."""
    off = np.array([np.abs(ours.astype(int) - theirs).ravel() for ours, theirs in pairs])
    assert off.max() <= 1
    assert np.count_nonzero(off) < 1e-5 * off.size


@pytest.mark.shared
def test_every_real_clip_gives_the_bytes_of_the_mel_file(shared: Path) -> None:
    compare([(clip_spectrogram(samples, MEL), row) for _, samples, row in real_clips(shared)])


@pytest.mark.shared
def test_the_first_window_of_a_clip_of_usual_length_gives_the_bytes_of_the_mel_file(shared: Path) -> None:
    pairs = [
        (spectrogram(fit_window(samples, MEL), MEL), row)
        for _, samples, row in real_clips(shared)
        if 1 + len(samples) // 512 == 1293
    ]
    assert len(pairs) == 86
    compare(pairs)


@pytest.mark.shared
def test_the_default_columns_are_those_of_the_mel_file(shared: Path) -> None:
    with np.load(shared / "gtzan" / "mel.npz", allow_pickle=False) as archive:
        assert np.array_equal(MEL.frames, archive["frames"])


@pytest.mark.shared
def test_looking_at_columns_alone_hardly_changes_a_real_clip(shared: Path) -> None:
    _, samples, _ = next(real_clips(shared))
    samples = fit_window(samples, MEL)
    columns = spectrogram(samples, replace(MEL, scale="columns")).astype(int)
    assert np.abs(columns - spectrogram(samples, MEL)).mean() < 3


# --- against librosa ---------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    kind=st.sampled_from(["mel", "stft"]),
    scale=st.sampled_from(["window", "columns"]),
    rate=st.sampled_from([8000, 16000, 22050, 44100]),
    n_fft=st.sampled_from([256, 500, 512, 2048]),
    hop=st.integers(50, 700),
    n_mels=st.integers(1, 128),
    n=st.integers(2048, 20_000),
    step=st.floats(1, 5),
    seed=st.integers(0, 99),
)
@pytest.mark.filterwarnings("ignore:Empty filters:UserWarning")
def test_decibels_equal_librosas(
    kind: str, scale: str, rate: int, n_fft: int, hop: int, n_mels: int, n: int, step: float, seed: int
) -> None:
    front_end = FrontEnd(
        kind=kind, scale=scale, sample_rate=rate, n_fft=n_fft, hop_length=hop, n_mels=n_mels, seconds=n / rate,
        frame_offset=0, frame_step=step,
    )  # fmt: skip
    samples = noise(n, seed)
    expected = librosa_db(samples, front_end)
    assert expected.shape == front_end.shape
    # Bins that a dip of the noise leaves 60 dB down carry the rounding of single precision.
    tolerance = 1e-3 if scale == "window" else 2e-2
    np.testing.assert_allclose(spectrogram_db(samples, front_end), expected, atol=tolerance)


@pytest.mark.parametrize("rate", [1800, 8000, 22050, 44100])
@pytest.mark.parametrize("n_mels", [1, 10, 128])
@pytest.mark.filterwarnings("ignore:Empty filters:UserWarning")
def test_mel_filters_equal_librosas(rate: int, n_mels: int) -> None:
    import librosa

    ours, theirs = mel_filters(rate, 2048, n_mels), librosa.filters.mel(sr=rate, n_fft=2048, n_mels=n_mels)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_the_levels_follow_the_rule_of_the_mel_file() -> None:
    samples = noise(MEL.window_samples)
    every = librosa_db(samples, every_frame(MEL))
    expected = np.minimum((every - every.min()) / (every.max() - every.min()) * 256, 255).astype(np.uint8)
    levels = spectrogram(samples, MEL)
    assert levels.dtype == np.uint8
    assert levels.shape == (128, 387)
    assert levels.flags.c_contiguous
    difference = np.abs(levels.astype(int) - expected[:, MEL.frames])
    assert difference.max() <= 1
    assert np.count_nonzero(difference) < 20


# --- physics -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bin_", [10, 100, 512, 1000])
def test_a_tone_lands_in_its_bin(bin_: int) -> None:
    levels = spectrogram(tone(bin_ * RATE / 2048, SMALL_STFT.window_samples), SMALL_STFT)
    inner = levels[:, 4:-4]
    assert (inner.argmax(axis=0) == bin_).all()
    # A Hann window spreads a tone on a bin's middle over its two neighbours (-6 dB) and no further.
    assert (inner[[bin_ - 1, bin_ + 1]] > 200).all()
    assert (inner[: bin_ - 3] == 0).all()
    assert (inner[bin_ + 4 :] == 0).all()


@pytest.mark.parametrize("band", [5, 40, 90, 125])
def test_a_tone_lands_in_its_mel_band(band: int) -> None:
    peak = int(mel_filters(RATE, 2048, 128)[band].argmax()) * RATE / 2048
    levels = spectrogram(tone(peak, SMALL.window_samples), SMALL)
    assert (levels[:, 2:-2].argmax(axis=0) == band).all()


@pytest.mark.parametrize("front_end", [SMALL, SMALL_STFT, replace(SMALL, scale="columns")])
def test_loudness_makes_no_difference(front_end: FrontEnd) -> None:
    samples = noise(front_end.window_samples)
    np.testing.assert_allclose(spectrogram_db(samples * 2, front_end), spectrogram_db(samples, front_end), atol=1e-4)


@pytest.mark.parametrize("front_end", [every_frame(SMALL), SMALL_STFT])
def test_a_hop_later_is_a_column_later(front_end: FrontEnd) -> None:
    samples = noise(front_end.window_samples + 512)
    # The same loudest moment inside both windows gives both the same reference.
    samples[20_000:21_000] *= 50
    early = spectrogram_db(samples[:-512], front_end)
    late = spectrogram_db(samples[512:], front_end)
    np.testing.assert_allclose(late[:, 3:-4], early[:, 4:-3], atol=1e-4)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 99), n_fft=st.sampled_from([64, 300, 2048]))
def test_parseval_the_spectrum_holds_the_energy_of_the_windowed_frame(seed: int, n_fft: int) -> None:
    front_end = FrontEnd(kind="stft", n_fft=n_fft, hop_length=n_fft // 2, seconds=n_fft * 8 / RATE)
    samples = noise(front_end.window_samples, seed)
    power = module._power(samples, front_end, np.array([3]), np.float64).astype(float)[0]
    energy = power[0] + power[-1] + 2 * power[1:-1].sum()
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    start = 3 * front_end.hop_length - n_fft // 2
    assert energy == pytest.approx(n_fft * ((window * samples[start : start + n_fft]) ** 2).sum(), rel=1e-5)


def test_white_noise_is_flat_over_frequency() -> None:
    front_end = FrontEnd(kind="stft", n_fft=256, hop_length=128)
    power = module._power(noise(front_end.window_samples), front_end, front_end.frames, np.float64)[2:-2, 1:-1].mean(
        axis=0
    )
    assert np.abs(10 * np.log10(power / power.mean())).max() < 0.5


def test_a_click_is_a_vertical_line() -> None:
    samples = np.zeros(SMALL_STFT.window_samples, np.float32)
    samples[20 * 512] = 1
    levels = spectrogram(samples, SMALL_STFT)
    lit = np.flatnonzero(levels.max(axis=0))
    assert lit.tolist() == [19, 20, 21]
    assert len(np.unique(levels[:, 20])) == 1


def test_the_floor_is_top_db_below_the_loudest() -> None:
    samples = tone(1000, SMALL.window_samples)
    for top_db in (30.0, 80.0):
        decibels = spectrogram_db(samples, replace(SMALL, top_db=top_db, scale="columns"))
        assert decibels.max() == 0
        assert decibels.min() == -top_db


# --- windows -----------------------------------------------------------------------------------------------------


def test_silence_is_all_zeros() -> None:
    for front_end in (SMALL, SMALL_STFT, replace(SMALL, scale="columns")):
        levels = spectrogram(np.zeros(front_end.window_samples, np.float32), front_end)
        assert levels.shape == front_end.shape
        assert not levels.any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("make", [spectrogram, spectrogram_db, clip_spectrogram])
def test_samples_that_are_no_numbers_are_refused(bad: float, make: object) -> None:
    samples = noise(SMALL.window_samples)
    samples[[7, 8]] = bad
    with pytest.raises(InputError, match="2 of 44100 samples are not finite"):
        make(samples, SMALL)  # type: ignore[operator]


def test_samples_that_overflow_are_refused() -> None:
    for scale in ("window", "columns"):
        with pytest.raises(InputError, match="too large"):
            spectrogram(np.full(SMALL.window_samples, 1e30, np.float32), replace(SMALL, scale=scale))


@pytest.mark.parametrize("make", [spectrogram, spectrogram_db])
def test_another_length_is_refused_with_both_lengths(make: object) -> None:
    with pytest.raises(InputError, match=r"661500 samples.*not of 661499"):
        make(noise(661_499), MEL)  # type: ignore[operator]


def test_stereo_is_refused() -> None:
    with pytest.raises(InputError, match="one axis"):
        spectrogram(np.zeros((2, SMALL.window_samples), np.float32), SMALL)
    with pytest.raises(InputError, match="one axis"):
        fit_window(np.zeros((2, 5), np.float32), SMALL)


def test_no_sound_is_refused() -> None:
    for use in (fit_window, clip_spectrogram):
        with pytest.raises(InputError, match="no samples"):
            use(np.zeros(0, np.float32), SMALL)


@settings(deadline=None, max_examples=30)
@given(n=st.integers(1, 100_000))
def test_any_sound_fits_the_window(n: int) -> None:
    samples = noise(n)
    fitted = fit_window(samples, SMALL)
    assert fitted.shape == (SMALL.window_samples,)
    assert fitted.dtype == np.float32
    short = min(n, SMALL.window_samples)
    assert np.array_equal(fitted[:short], samples[:short])
    if n < SMALL.window_samples - 512:
        assert np.array_equal(fitted, np.resize(samples, SMALL.window_samples))


@pytest.mark.parametrize("missing", [1, 92, 400])
@pytest.mark.parametrize("front_end", [MEL, REPORT])
def test_a_clip_short_by_less_than_a_hop_keeps_the_spectrogram_it_has_alone(
    missing: int, front_end: FrontEnd
) -> None:
    samples = noise(front_end.window_samples - missing)
    fitted = fit_window(samples, front_end)
    assert not fitted[-missing:].any()
    alone = librosa_db(samples, front_end)
    np.testing.assert_allclose(spectrogram_db(fitted, front_end), alone, atol=1e-3)


def test_a_repeated_sound_repeats_its_spectrogram() -> None:
    front_end = every_frame(FrontEnd(seconds=512 * 60 / RATE))
    levels = spectrogram(fit_window(noise(512 * 20), front_end), front_end).astype(int)
    assert np.abs(levels[:, 22:38] - levels[:, 2:18]).max() <= 1


def test_a_whole_clip_of_usual_length_has_the_columns_of_the_window() -> None:
    samples = noise(661_794)
    whole, window = clip_spectrogram(samples, MEL), spectrogram(fit_window(samples, MEL), MEL)
    # The whole clip has one frame more, whose quietest band may be the quietest of all.
    assert np.abs(whole.astype(int) - window).max() <= 1


def test_a_whole_clip_of_any_length_has_the_shape_of_the_window() -> None:
    for n in (1, 511, 30_000, 1_000_000):
        assert clip_spectrogram(noise(n), MEL).shape == MEL.shape


@pytest.mark.parametrize("front_end", [MEL, REPORT, replace(MEL, scale="columns")])
def test_the_block_size_changes_nothing(front_end: FrontEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = fit_window(noise(MEL.window_samples), front_end)
    expected = spectrogram(samples, front_end)
    # A product of another shape may be summed in another order: that shows in single precision only.
    ties = 5 if front_end.scale == "columns" else 0
    for block in (1, 7, 50, 5000):
        monkeypatch.setattr(module, "BLOCK", block)
        difference = np.abs(spectrogram(samples, front_end).astype(int) - expected)
        assert difference.max() <= 1
        assert np.count_nonzero(difference) <= ties


@pytest.mark.parametrize("front_end", [SMALL, replace(SMALL, scale="columns")])
def test_the_input_is_left_alone_and_may_be_any_view(front_end: FrontEnd) -> None:
    wide = noise(2 * front_end.window_samples)
    before = wide.copy()
    view = wide[::2]
    assert np.array_equal(spectrogram(view, front_end), spectrogram(view.copy(), front_end))
    reverse = wide[::-2]
    assert np.array_equal(spectrogram(reverse, front_end), spectrogram(reverse.copy(), front_end))
    wide.flags.writeable = False
    spectrogram(wide[: front_end.window_samples], front_end)
    assert np.array_equal(wide, before)


def test_a_window_shorter_than_a_frame_works() -> None:
    front_end = FrontEnd(seconds=0.02, frame_offset=0, frame_step=1)
    assert front_end.shape == (128, 1)
    samples = noise(front_end.window_samples)
    with pytest.warns(UserWarning, match="n_fft"):
        expected = librosa_db(samples, front_end)
    np.testing.assert_allclose(spectrogram_db(samples, front_end), expected, atol=1e-3)


# --- the parameters ----------------------------------------------------------------------------------------------


def test_the_two_front_ends() -> None:
    assert MEL.window_samples == REPORT.window_samples == 661_500
    assert MEL.shape == (128, 387)
    assert MEL.frames[[0, 1, -1]].tolist() == [1, 5, 1289]
    assert REPORT.shape == (1025, 1292)
    assert np.array_equal(REPORT.frames, np.arange(1292))


def test_the_keys_do_not_change_between_versions() -> None:
    # Every cache and bundle is named after them: a change here must be meant, and raise the format.
    assert MEL.key() == "106d056cc170a4e5"
    assert REPORT.key() == "51eab4aa67efd657"


def test_the_key_follows_every_parameter() -> None:
    changes = {
        "kind": "stft", "sample_rate": 16000, "n_fft": 1024, "hop_length": 256, "n_mels": 64, "seconds": 10.0,
        "frame_offset": 1.0, "frame_step": 2.0, "top_db": 60.0, "scale": "columns",
    }  # fmt: skip
    assert set(changes) == set(MEL.to_dict()) - {"format"}
    others = [replace(MEL, **{name: value}) for name, value in changes.items()]
    assert len({MEL.key(), *(other.key() for other in others)}) == len(changes) + 1
    assert len({MEL, *others}) == len(changes) + 1


def test_equal_parameters_are_equal_however_they_are_written() -> None:
    assert FrontEnd(seconds=30, top_db=80) == MEL
    assert FrontEnd(seconds=30, top_db=80).key() == MEL.key()
    assert FrontEnd(kind="stft", n_mels=64) == REPORT


@given(
    kind=st.sampled_from(["mel", "stft"]),
    seconds=st.floats(0.1, 600),
    step=st.floats(1, 50),
    scale=st.sampled_from(["window", "columns"]),
)
@settings(deadline=None, max_examples=30)
def test_a_front_end_survives_json_and_pickle(kind: str, seconds: float, step: float, scale: str) -> None:
    front_end = FrontEnd(kind=kind, seconds=seconds, frame_offset=0.5, frame_step=step, scale=scale)
    again = FrontEnd.from_dict(json.loads(json.dumps(front_end.to_dict())))
    assert again == front_end
    assert again.key() == front_end.key()
    assert pickle.loads(pickle.dumps(front_end)) == front_end
    # Exactly the frames that exist, once each.
    last = np.floor(0.5 + step * len(front_end.frames))
    assert front_end.frames[-1] < front_end.n_frames <= last
    assert (np.diff(front_end.frames) > 0).all()


def test_a_front_end_is_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        MEL.n_fft = 1024  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        MEL.frames[0] = 3
    with pytest.raises(ValueError, match="read-only"):
        mel_filters(RATE, 2048, 128)[0, 0] = 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "cqt"), ("scale", "clip"), ("sample_rate", 0), ("sample_rate", 22050.0), ("n_fft", 1),
        ("n_fft", 2047), ("hop_length", 0), ("n_mels", 0), ("n_mels", True), ("seconds", 0.0), ("seconds", 1e-9),
        ("seconds", float("nan")), ("seconds", "30"), ("top_db", 0), ("top_db", float("inf")), ("frame_step", 0.5),
        ("frame_offset", -2.0), ("frame_offset", 1292.0),
    ],
)  # fmt: skip
def test_parameters_out_of_range_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InputError, match=name.replace("seconds", "seconds|window")):
        replace(MEL, **{name: value})


def test_a_description_with_other_keys_is_refused() -> None:
    values = MEL.to_dict()
    with pytest.raises(InputError, match="n_mels"):
        FrontEnd.from_dict({name: value for name, value in values.items() if name != "n_mels"})
    with pytest.raises(InputError, match="window_type"):
        FrontEnd.from_dict({**values, "window_type": "hann"})
    with pytest.raises(InputError, match="format 2"):
        FrontEnd.from_dict({**values, "format": 2})


@pytest.mark.parametrize(
    "front_end",
    [MEL, FrontEnd(n_fft=1024, hop_length=256), FrontEnd(n_fft=2000, hop_length=500), FrontEnd(hop_length=500)],
    ids=lambda front_end: f"{front_end.n_fft}-{front_end.hop_length}",
)
@pytest.mark.parametrize("gain", [1.0, 1e-4, 1e-7])
def test_frames_that_are_left_out_could_not_have_changed_the_range(
    monkeypatch: pytest.MonkeyPatch, front_end: FrontEnd, gain: float
) -> None:
    rng = np.random.default_rng(3)
    time = np.arange(front_end.window_samples) / front_end.sample_rate
    beat = np.exp(-20 * (time % 0.37)) * rng.standard_normal(len(time))
    click = np.where(np.arange(len(time)) == 300_123, 1.0, 0.0)
    sounds = {
        "music": 0.2 * np.sin(2 * np.pi * 220 * time) * (1 + np.sin(7 * time)) + 0.2 * beat,
        "tone": 0.5 * np.sin(2 * np.pi * (100 + 10 * time) * time),
        "click": click,
        "gaps": beat * (time % 4 < 2),
    }
    checked = []
    bound = module._most_power

    def noted(samples: np.ndarray, used: FrontEnd, frames: np.ndarray) -> np.ndarray:
        most = bound(samples, used, frames)
        power = module.frame_power(samples, used, frames)
        assert (power.max(axis=1) <= most).all()
        checked.append((most > power.max()).mean())
        return most

    for samples in sounds.values():
        samples = (gain * samples).astype(np.float32)
        monkeypatch.setattr("earmark.spectrogram._most_power", noted)
        made = spectrogram(samples, front_end)
        monkeypatch.setattr("earmark.spectrogram._most_power", lambda s, f, frames: np.full(len(frames), np.inf))
        np.testing.assert_array_equal(made, spectrogram(samples, front_end))
    assert checked
    if front_end is MEL:
        assert np.mean(checked) < 0.9, "some frames are left out"
