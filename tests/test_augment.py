"""Varied spectrograms: shapes, identities, and what each change means physically."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.augment import RANGE_DB, blank, crop, distort, rescale, vary, warp
from earmark.errors import InputError
from earmark.models.convnet_config import AugmentConfig
from earmark.robustness.distortions import clip as cut_off
from earmark.spectrogram import MEL, spectrogram

NOTHING = AugmentConfig(
    amount=1,
    stretch=0,
    pitch=0,
    contrast=0,
    tilt=0,
    equaliser=0,
    noise=0,
    band_limit=0,
    distortion=0,
    masks=0,
    mixup=0,
)


def _pictures(seed: int = 0, count: int = 3, bins: int = 32, columns: int = 60) -> torch.Tensor:
    """Spectrograms that use the whole range, as the front end makes them."""
    levels = np.random.default_rng(seed).integers(0, 256, (count, bins, columns), dtype=np.uint8)
    levels[:, 0, 0], levels[:, -1, -1] = 255, 0
    return torch.from_numpy(levels)


def _chance(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _only(**amounts: float) -> AugmentConfig:
    return AugmentConfig(**{**vars(NOTHING), **amounts})


def test_no_amounts_change_nothing() -> None:
    pictures = _pictures()
    assert torch.allclose(vary(pictures, _chance(), NOTHING), pictures / 255.0, atol=1e-4)
    everything = AugmentConfig(amount=0.0)
    assert torch.allclose(vary(pictures, _chance(), everything), pictures / 255.0, atol=1e-4)


def test_the_same_generator_gives_the_same_version_and_another_gives_another() -> None:
    pictures, config = _pictures(), AugmentConfig()
    first = vary(pictures, _chance(3), config)
    assert torch.equal(first, vary(pictures, _chance(3), config))
    assert not torch.equal(first, vary(pictures, _chance(4), config))


@given(bins=st.integers(1, 12), columns=st.integers(1, 12), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_any_shape_keeps_its_shape_and_its_range(bins: int, columns: int, seed: int) -> None:
    varied = vary(_pictures(seed, 2, bins, columns), _chance(seed), AugmentConfig(amount=1, pitch=5, noise=1))
    assert varied.shape == (2, bins, columns)
    assert bool(torch.isfinite(varied).all())
    assert float(varied.min()) >= 0
    assert float(varied.max()) <= 1


def test_a_filter_adds_the_same_decibels_in_every_column() -> None:
    pictures = _pictures()
    for amounts in ({"tilt": 6.0}, {"equaliser": 6.0}):
        varied = vary(pictures, _chance(), _only(**amounts))
        inside = (varied > 0.02) & (varied < 0.98) & (pictures > 5) & (pictures < 250)
        for clip in range(3):
            # Scaling to its own range is one factor per clip, so what a band gained is the same line in all columns.
            for band in range(4, 28):
                kept = inside[clip, band]
                before, after = pictures[clip, band, kept].double() / 255, varied[clip, band, kept].double()
                slope = np.polyfit(before.numpy(), after.numpy(), 1)
                assert np.abs(np.polyval(slope, before.numpy()) - after.numpy()).max() < 1e-3


def test_a_noise_floor_fills_the_gaps_and_leaves_the_loud_parts() -> None:
    pictures = torch.zeros(64, 32, 60, dtype=torch.uint8)
    pictures[:, :, ::2] = 255
    varied = vary(pictures, _chance(), _only(noise=1.0))
    assert float(varied[:, :, ::2].mean()) > 0.9
    # Levels are scaled to the range that is left, so the floor scatters above 0 and stays below the sound.
    assert 0.05 < float(varied[:, :, 1::2].mean()) < 0.8


def test_a_band_limit_silences_what_lies_above_and_nothing_below() -> None:
    pictures = torch.full((16, 64, 20), 200, dtype=torch.uint8)
    varied = vary(pictures, _chance(), _only(band_limit=1.0))
    kept = varied[:, :, 0]
    assert torch.allclose(kept[:, :28], torch.ones(16, 28), atol=1e-4)
    assert torch.all(kept[:, 1:] - kept[:, :-1] <= 1e-5)
    assert float(kept[:, -1].median()) < 0.2


def test_distortion_adds_as_much_power_as_it_says_near_the_sound_and_leaves_the_rest() -> None:
    decibels = torch.full((2, 64, 20), -120.0)
    decibels[:, 20] = 0.0
    found = distort(decibels, torch.tensor([1.0, 0.0]), torch.full((2,), -10.0), torch.zeros(2))
    assert torch.allclose(found[1], decibels[1], atol=1e-3)
    power, before = 10 ** (found[0] / 10), 10 ** (decibels[0] / 10)
    assert torch.allclose((power - before).sum(dim=0), torch.full((20,), 0.1), rtol=0.03)
    assert float(found[0, 25, 0]) > -30 > float(found[0, 60, 0])


def test_distortion_brings_soft_moments_nearer_to_the_loudest() -> None:
    decibels = torch.zeros(1, 8, 4)
    decibels[:, :, 1] = -40.0
    found = distort(decibels, torch.ones(1), torch.full((1,), -60.0), torch.full((1,), 0.5))
    assert torch.allclose(found[0, :, 0], torch.zeros(8), atol=0.01)
    assert torch.allclose(found[0, :, 1], torch.full((8,), -20.0), atol=0.01)


def test_distortion_looks_like_samples_that_were_cut_off() -> None:
    random = np.random.default_rng(0)
    time = np.arange(MEL.window_samples) / MEL.sample_rate
    sound = sum(
        np.sin(2 * np.pi * pitch * time + random.uniform(0, 6)) / pitch for pitch in (110.0, 277.0, 830.0, 2500.0)
    )
    sound = (sound * (1.2 + np.sin(2 * np.pi * 1.5 * time))).astype(np.float32)
    clean, cut = (torch.from_numpy(spectrogram(x, MEL))[None].float() / 255 for x in (sound, cut_off(sound, 12)))
    decibels = RANGE_DB * (clean - 1)
    made = rescale(distort(decibels, torch.ones(1), torch.full((1,), -12.0), torch.full((1,), 0.3)))
    assert float((made - cut).abs().mean()) < 0.7 * float((clean - cut).abs().mean())


def test_a_clip_is_varied_as_before_where_none_is_distorted() -> None:
    pictures = _pictures()
    plain, some = AugmentConfig(amount=1), AugmentConfig(amount=1, distortion=0.5)
    same = (vary(pictures, _chance(), plain) - vary(pictures, _chance(), some)).abs().amax(dim=(1, 2)) < 1e-6
    assert bool(same.any())
    assert not bool(same.all())


def test_a_click_comes_earlier_when_played_faster_and_a_tone_moves_up() -> None:
    click = torch.zeros(2, 1, 101)
    click[:, 0, 50] = 1
    played = warp(click, torch.tensor([1.25, 0.8]), torch.zeros(2), torch.zeros(2))
    assert int(played[0, 0].argmax()) == 40
    assert abs(int(played[1, 0].argmax()) - 62) <= 1
    tone = torch.zeros(3, 8, 5)
    tone[:, 2] = 1
    moved = warp(tone, torch.ones(3), torch.tensor([3.0, -1.0, 0.5]), torch.zeros(3))
    assert moved[:, :, 0].argmax(dim=1).tolist()[:2] == [5, 1]
    assert torch.allclose(moved[2, 2:4, 0], torch.tensor([0.5, 0.5]), atol=1e-5)
    ramp = torch.arange(5.0)[None, :, None].expand(1, 5, 3)
    edges = warp(ramp, torch.ones(1), torch.tensor([2.0]), torch.zeros(1))
    assert torch.allclose(edges[0, :, 0], torch.tensor([0.0, 0, 0, 1, 2]), atol=1e-5)


def test_scaling_spans_the_range_and_forgets_the_level() -> None:
    decibels = torch.randn(4, 8, 9) * 10
    scaled = rescale(decibels)
    assert torch.allclose(scaled.amin(dim=(1, 2)), torch.zeros(4))
    assert torch.allclose(scaled.amax(dim=(1, 2)), torch.ones(4))
    assert torch.allclose(scaled, rescale(decibels + 12.0), atol=1e-5)
    deep = torch.tensor([[[0.0, -200.0, -RANGE_DB / 2]]])
    assert torch.allclose(rescale(deep), torch.tensor([[[1.0, 0.0, 0.5]]]))


def test_crops_begin_where_they_are_told() -> None:
    pictures = torch.arange(40.0).reshape(1, 1, 1, 40).expand(3, 2, 4, 40)
    found = crop(pictures, torch.tensor([0, 7, 30]), 10)
    assert found.shape == (3, 2, 4, 10)
    assert found[:, 0, 0, 0].tolist() == [0, 7, 30]
    assert found[:, 1, 3, -1].tolist() == [9, 16, 39]


@given(rows=st.integers(1, 20), columns=st.integers(1, 20), most=st.integers(0, 30), seed=st.integers(0, 50))
@settings(deadline=None, max_examples=60)
def test_blanked_stretches_are_never_longer_than_asked(rows: int, columns: int, most: int, seed: int) -> None:
    pictures = torch.rand(2, 1, rows, columns, generator=_chance(seed))
    found = blank(pictures, _chance(seed), AugmentConfig(masks=1, mask_bands=most, mask_columns=most))
    changed = found != pictures
    # What lies in no blanked column was blanked as a whole band, and the other way about.
    bands, times = changed[:, 0].all(dim=2), changed[:, 0].all(dim=1)
    assert torch.equal(changed[:, 0] & ~bands[:, :, None] & ~times[:, None, :], torch.zeros_like(changed[:, 0]))
    if rows > most:
        assert bool(((bands.sum(dim=1) <= most) | times.all(dim=1)).all())
    assert torch.allclose(found[changed], pictures.mean(dim=(2, 3), keepdim=True).expand_as(pictures)[changed])


def test_what_is_not_a_spectrogram_is_refused() -> None:
    with pytest.raises(InputError, match="8 bits"):
        vary(torch.zeros(1, 4, 4), _chance(), AugmentConfig())


@pytest.mark.parametrize(
    "wrong", [{"amount": 1.5}, {"stretch": 0.6}, {"tilt": -1.0}, {"mixup": -0.1}, {"noise": 2.0}]
)
def test_amounts_that_mean_nothing_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError):
        AugmentConfig(**wrong)  # type: ignore[arg-type]
