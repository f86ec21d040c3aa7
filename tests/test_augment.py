"""Varied spectrograms: shapes, identities, and what each change means physically."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.augment import masks, mixing, shift_bands, stretch_time, vary
from earmark.errors import InputError
from earmark.models.convnet_config import AugmentConfig

NOTHING = AugmentConfig(
    stretch=0, pitch=0, gain=0, contrast=0, tilt=0, equaliser=0, noise=0, mask_bands=0, mask_columns=0, mixup=0
)


def _picture(seed: int = 0, bins: int = 32, columns: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (bins, columns), dtype=np.uint8)


def test_no_amounts_change_nothing() -> None:
    picture = _picture()
    assert np.array_equal(vary(picture, np.random.default_rng(1), NOTHING), picture)


def test_the_same_generator_gives_the_same_version_and_another_gives_another() -> None:
    picture, config = _picture(), AugmentConfig()
    first = vary(picture, np.random.default_rng(3), config)
    assert np.array_equal(first, vary(picture, np.random.default_rng(3), config))
    assert not np.array_equal(first, vary(picture, np.random.default_rng(4), config))


@given(bins=st.integers(1, 12), columns=st.integers(1, 12), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_any_shape_keeps_its_shape_and_type(bins: int, columns: int, seed: int) -> None:
    varied = vary(_picture(seed, bins, columns), np.random.default_rng(seed), AugmentConfig(pitch=5, stretch=0.3))
    assert varied.shape == (bins, columns)
    assert varied.dtype == np.uint8


def test_a_gain_moves_all_levels_alike_and_a_tilt_turns_them() -> None:
    flat = np.full((33, 8), 128, np.uint8)
    louder = vary(flat, np.random.default_rng(0), AugmentConfig(**{**vars(NOTHING), "gain": 0.1}))
    assert len(np.unique(louder)) == 1
    assert louder[0, 0] != 128
    tilted = vary(flat, np.random.default_rng(0), AugmentConfig(**{**vars(NOTHING), "tilt": 0.1})).astype(int)
    steps = np.diff(tilted[:, 0])
    assert abs(tilted[0, 0] + tilted[-1, 0] - 256) <= 1
    assert np.all(steps >= 0) or np.all(steps <= 0)
    assert np.ptp(tilted[0]) == 0


def test_a_click_comes_earlier_when_played_faster() -> None:
    click = np.zeros((1, 101), np.float32)
    click[0, 50] = 1
    faster, slower = stretch_time(click, 1.25, 0.0), stretch_time(click, 0.8, 0.0)
    assert faster[0].argmax() == 40
    assert abs(int(slower[0].argmax()) - 62) <= 1
    assert np.array_equal(stretch_time(click, 1.0, 0.7), click)


def test_a_tone_moves_by_whole_bands_and_edges_are_continued() -> None:
    tone = np.zeros((8, 3), np.float32)
    tone[2] = 1
    assert shift_bands(tone, 3)[:, 0].argmax() == 5
    ramp = np.arange(5, dtype=np.float32)[:, None]
    assert shift_bands(ramp, 2)[:, 0].tolist() == [0, 0, 0, 1, 2]
    assert shift_bands(ramp, -2)[:, 0].tolist() == [2, 3, 4, 4, 4]


@given(rows=st.integers(1, 20), columns=st.integers(1, 20), most=st.integers(0, 30), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=60)
def test_masks_stay_inside_and_are_never_longer_than_asked(rows: int, columns: int, most: int, seed: int) -> None:
    bands, times = masks(np.random.default_rng(seed), rows, columns, (most, most))
    for found, size in ((bands, rows), (times, columns)):
        assert 0 <= found.start <= found.stop <= size
        assert found.stop - found.start <= min(most, size)


def test_mixing_keeps_the_larger_share_for_a_clips_own_label() -> None:
    partners, shares = mixing(np.random.default_rng(0), 1000, 0.4)
    assert sorted(partners.tolist()) == list(range(1000))
    assert shares.min() >= 0.5
    assert shares.max() <= 1
    assert mixing(np.random.default_rng(0), 5, 0.0)[1].tolist() == [1] * 5


def test_what_is_not_a_spectrogram_is_refused() -> None:
    with pytest.raises(InputError, match="8 bits"):
        vary(np.zeros((4, 4), np.float32), np.random.default_rng(0), AugmentConfig())  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"variants": 0}, {"stretch": 0.6}, {"gain": -1.0}, {"mixup": -0.1}])
def test_amounts_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        AugmentConfig(**wrong)  # type: ignore[arg-type]
