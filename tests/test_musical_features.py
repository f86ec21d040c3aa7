"""Musical features of spectrograms: what they must follow, what they must not, and that they tell genres apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earmark import musical_features as module
from earmark.dataset import load_dataset
from earmark.features import MUSICAL
from earmark.musical_features import FAMILIES, SIZE, family_scale, musical_features

COLUMNS, RATE = 387, 22050 / 1709


def family(vector: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    sizes = list(FAMILIES.values())
    first = sum(sizes[: list(FAMILIES).index(name)])
    return vector[first : first + FAMILIES[name]]


def noise(seed: int = 0, bands: int = 128, columns: int = COLUMNS) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(60, 200, (bands, columns)).astype(np.uint8)


def pulsed(bpm: float) -> NDArray[np.uint8]:
    """All bands swell and fade once a beat."""
    time = np.arange(COLUMNS) / RATE
    swell = 100 * np.exp(-6 * ((time * bpm / 60) % 1))
    return (noise() * 0.5 + swell).clip(0, 255).astype(np.uint8)


@settings(max_examples=12, deadline=None)
@given(
    bands=st.integers(32, 140),
    columns=st.integers(30, 400),
    kind=st.sampled_from(["noise", "zeros", "full", "one", "steps"]),
)
def test_any_spectrogram_gives_finite_numbers_that_fit_half_precision(bands: int, columns: int, kind: str) -> None:
    levels = {
        "noise": noise(1, bands, columns),
        "zeros": np.zeros((bands, columns), np.uint8),
        "full": np.full((bands, columns), 255, np.uint8),
        "one": np.pad(np.full((1, 1), 255, np.uint8), ((0, bands - 1), (0, columns - 1))),
        "steps": np.tile((np.arange(columns) // 20 % 2 * 255).astype(np.uint8), (bands, 1)),
    }[kind]
    (vector,) = musical_features(levels[None])
    assert vector.shape == (SIZE,)
    assert np.isfinite(vector.astype(np.float16)).all()


def test_a_clip_stands_for_itself() -> None:
    both = musical_features(np.stack([noise(0), pulsed(90)]))
    np.testing.assert_array_equal(both[1], musical_features(pulsed(90)[None])[0])
    assert musical_features(np.empty((0, 128, COLUMNS), np.uint8)).shape == (0, SIZE)


@pytest.mark.parametrize("bpm", [60, 90, 120])
def test_the_beat_is_found_where_it_is(bpm: float) -> None:
    (vector,) = musical_features(pulsed(bpm)[None])
    rows = family(vector, "beat")[:42].reshape(7, 6)
    strength, per_second = rows[-1, 0], rows[-1, 1]
    ratio = per_second * 60 / bpm
    # Peaks of the autocorrelation lie at the period and its multiples, a column being 77 ms.
    assert min(abs(ratio * multiple - 1) for multiple in (1, 2, 3, 4)) < 0.09
    assert strength > family(musical_features(noise()[None])[0], "beat")[36] + 0.2


def test_modulation_rises_at_the_rate_of_the_swell() -> None:
    """One swell a second belongs to the group of 1.0 Hz, two to that of 2.0 Hz."""
    plain, slow, quick = (family(v, "modulation")[:24] for v in musical_features(
        np.stack([noise(), pulsed(60), pulsed(120)])
    ))  # fmt: skip
    one, two = slice(8, 10), slice(13, 15)
    assert (slow - plain)[one].max() > 1 and (quick - plain)[two].max() > 1
    assert (quick - plain)[one].max() < (slow - plain)[one].max() / 2


def test_harmony_is_the_same_in_every_key() -> None:
    """A tone and its octaves a fifth higher: other bands, the same statistics of pitch classes."""

    def chord(hertz: float) -> NDArray[np.uint8]:
        step = np.log(6.4) / 27
        mels = np.linspace(0, 15 + np.log(11.025) / step, 130)[1:-1]
        centres = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp(step * (mels - 15)))
        levels = np.full((128, COLUMNS), 20, np.uint8)
        for tone in (hertz, hertz * 5 / 4, hertz * 3 / 2):
            levels[np.abs(centres - tone).argmin()] = 240
        return levels

    # Above 1 kHz the bands are equally wide to the ear.
    low, high = (family(v, "chroma") for v in musical_features(np.stack([chord(1100), chord(1650)])))
    flat = family(musical_features(np.full((1, 128, COLUMNS), 100, np.uint8))[0], "chroma")
    assert np.linalg.norm(low - high) < 0.5 * np.linalg.norm(low - flat)


def test_loud_and_soft_parts_show_in_the_dynamics() -> None:
    steady = noise()
    stepped = steady.copy()
    stepped[:, : COLUMNS // 2] //= 2
    calm, moved = (family(v, "dynamics") for v in musical_features(np.stack([steady, stepped])))
    assert moved[0] > calm[0] + 5 and moved[1] > calm[1] + 10


def test_families_weigh_alike() -> None:
    scale = family_scale()
    assert scale.shape == (SIZE,)
    for name in FAMILIES:
        assert (family(scale, name) ** 2).sum() == pytest.approx(1 / len(FAMILIES), rel=1e-5)


def test_the_packages_features_are_those_of_the_real_clips(shared: Path) -> None:
    shipped = load_dataset("gtzan")
    with np.load(shared / "gtzan" / "mel.npz") as archive:
        rows = [0, 123, 456, 999]
        assert [str(archive["ids"][row]) for row in rows] == [shipped.ids[row] for row in rows]
        found = musical_features(archive["mel"][rows])
    np.testing.assert_allclose(shipped.features[MUSICAL][rows], found.astype(np.float16), rtol=2e-3, atol=2e-3)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 40),
    rows=st.integers(1, 4),
    percents=st.lists(st.floats(0, 100), min_size=1, max_size=4).map(tuple),
    seed=st.integers(0, 99),
)
def test_percentiles_are_those_of_numpy(n: int, rows: int, percents: tuple[float, ...], seed: int) -> None:
    values = np.random.default_rng(seed).normal(size=(rows, n)).astype(np.float32)
    expected = np.percentile(values.astype(float), percents, axis=1)
    np.testing.assert_allclose(module._percentiles(values, percents), expected, atol=1e-5)


@pytest.mark.parametrize("bands", [32, 70, 128, 300])
def test_contrast_is_between_the_quarters_at_either_end(bands: int) -> None:
    decibels = np.random.default_rng(bands).uniform(0, 80, (bands, 50)).astype(np.float32)
    ordered = np.sort(decibels[: bands // 16 * 16].reshape(16, bands // 16, 50), axis=1)
    quarter = max(1, bands // 64)
    expected = ordered[:, -quarter:].mean(axis=1) - ordered[:, :quarter].mean(axis=1)
    np.testing.assert_allclose(module._contrast(decibels)[0], expected.mean(axis=1), rtol=1e-5)
