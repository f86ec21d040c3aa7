"""Varying spectrograms for training: other tempo, pitch, equaliser, noise floor; blanked stretches; mixed pairs.

What a faster, higher, noisier or differently equalised recording would look like is drawn in the spectrogram itself,
on the decibel scale that its levels stand for: a filter adds a curve over the bands, noise adds power, and the result
is scaled to its own range again, as the front end does with sound. All clips at once, on whatever device they are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from earmark.errors import InputError
from earmark.models.convnet_config import AugmentConfig

RANGE_DB = 80.0
"""What the levels 0 to 255 span in the front ends that training uses, as far as the sound has it."""
_EQUALISER_POINTS = 9
_NOISE_DB = (-60.0, -20.0)
# Share of the bands that a band limit leaves, and how fast it falls beyond: as steep as coders' filters.
_KEPT_BANDS = (0.45, 0.95)
_FALL_DB_PER_BAND = 12.0
# Sound cut off 12 dB above full scale holds distortion 9 to 18 dB below it (14 songs), spread over the spectrum about
# as the sound itself is, smoothed; and its loud moments are less loud than they were.
_DISTORTION_DB = (-20.0, -6.0)
_DISTORTION_BANDS = 10.0
_SQUASHED = (0.0, 0.5)
_TO_DB = 10.0 / math.log(10.0)


def vary(spectrograms: Tensor, generator: torch.Generator, config: AugmentConfig) -> Tensor:
    """One version of each spectrogram, as another recording of the same music might look.

    Parameters
    ----------
    spectrograms
        uint8 (n, bins, columns), low frequencies first, in which the levels 0 to 255 stand for 80 dB.
    generator
        Of the same device; their number of draws does not depend on the configuration's amounts.

    Returns
    -------
    float32 (n, bins, columns), 0 to 1, each scaled to its own range.

    Raises
    ------
    InputError
        If `spectrograms` are not matrices of 8-bit levels.
    """
    if spectrograms.dtype != torch.uint8 or spectrograms.ndim != 3 or not spectrograms.numel():
        raise InputError(
            f"Only spectrograms of 8 bits, (n, bins, columns), can be varied, not {spectrograms.dtype} of shape "
            f"{tuple(spectrograms.shape)}."
        )
    count, bins, _ = spectrograms.shape
    device = spectrograms.device

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return torch.rand((count, *shape), generator=generator, device=device) * (high - low) + low

    def normal(*shape: int) -> Tensor:
        return torch.randn((count, *shape), generator=generator, device=device)

    # 1 for a clip that is varied, 0 for one that stays: every amount is multiplied by it.
    chosen = (uniform(0, 1) < config.amount).float()
    speed = 1.0 + chosen * uniform(-config.stretch, config.stretch)
    bands = chosen * uniform(-config.pitch, config.pitch)
    levels = warp(spectrograms.float() / 255.0, speed, bands, uniform(0, 1))

    decibels = RANGE_DB * (levels - 1.0)
    decibels = decibels * (1.0 + chosen * config.contrast * normal())[:, None, None]
    slope = torch.linspace(-1.0, 1.0, bins, device=device)
    points = config.equaliser * normal(1, _EQUALISER_POINTS)
    curve = nn.functional.interpolate(points, size=bins, mode="linear", align_corners=True)[:, 0]
    curve = curve + config.tilt * normal(1) * slope
    place = torch.arange(bins, device=device)
    edge = bins * uniform(*_KEPT_BANDS, 1)
    limited = (uniform(0, 1, 1) < config.band_limit).float()
    curve = curve - limited * _FALL_DB_PER_BAND * (place - edge).clamp_min(0.0)

    noisy = (uniform(0, 1) < config.noise).float() * chosen
    floor = uniform(*_NOISE_DB, 1) + 10.0 * normal(1) * slope
    # The power of a noise in a band of a few bins scatters like a mean of that many exponential variables.
    scatter = -torch.log(torch.rand((2, *levels.shape), generator=generator, device=device).clamp_min(1e-6)).mean(0)
    clipped = (uniform(0, 1) < config.distortion).float() * chosen
    below, squashed = uniform(*_DISTORTION_DB), uniform(*_SQUASHED)
    if config.distortion:
        decibels = distort(decibels, clipped, below, squashed)
    decibels = decibels + (chosen[:, None] * curve)[:, :, None]
    power = torch.exp(decibels / _TO_DB) + noisy[:, None, None] * torch.exp(floor / _TO_DB)[:, :, None] * scatter
    return rescale(_TO_DB * torch.log(power.clamp_min(1e-12)))


def distort(decibels: Tensor, clipped: Tensor, below: Tensor, squashed: Tensor) -> Tensor:
    """What cutting samples off at full scale adds and takes: harmonics of everything, and the loudest moments.

    Parameters
    ----------
    decibels
        (n, bins, columns).
    clipped
        (n,): 1 for those that are distorted, 0 for the others, which stay as they are.
    below
        (n,): how much fainter the distortion is than the sound, in dB; below 0.
    squashed
        (n,): by which share columns come nearer to the loudest one.
    """
    power = torch.exp(decibels / _TO_DB)
    reach = math.ceil(2.5 * _DISTORTION_BANDS)
    place = torch.arange(-reach, reach + 1, device=decibels.device)
    kernel = torch.exp(-0.5 * (place / _DISTORTION_BANDS) ** 2)
    padded = nn.functional.pad(power[:, None], (0, 0, reach, reach), "replicate")
    smooth = nn.functional.conv2d(padded, (kernel / kernel.sum())[None, None, :, None])[:, 0]
    added = clipped * torch.exp(below / _TO_DB)
    found = _TO_DB * torch.log((power + added[:, None, None] * smooth).clamp_min(1e-12))
    loudness = _TO_DB * torch.log(power.sum(dim=1, keepdim=True).clamp_min(1e-12))
    missing = (loudness.amax(dim=2, keepdim=True) - loudness).clamp_max(RANGE_DB)
    return found + (clipped * squashed)[:, None, None] * missing


def warp(levels: Tensor, speed: Tensor, bands: Tensor, place: Tensor) -> Tensor:
    """Play spectrograms faster and higher, as many columns and bands as before, linear between them.

    Parameters
    ----------
    levels
        float32 (n, bins, columns).
    speed
        (n,): above 1 is faster; where more columns are needed than there are, it goes back from the last one.
    bands
        (n,): how far everything moves up; the edge is continued where nothing moved in.
    place
        (n,), 0 to 1: from which part the columns are taken where fewer are needed than there are.
    """
    count, bins, columns = levels.shape
    last = columns - 1
    wanted = torch.arange(columns, device=levels.device) * speed[:, None]
    wanted = wanted + place[:, None] * (last - wanted[:, -1:]).clamp_min(0.0)
    wanted = torch.where(wanted > last, 2 * last - wanted, wanted)
    source = torch.arange(bins, device=levels.device) - bands[:, None]
    # grid_sample's coordinates run from -1 to 1 between the middles of the first and the last value.
    along = (2.0 * wanted / max(last, 1) - 1.0)[:, None, :].expand(count, bins, columns)
    up = (2.0 * source / max(bins - 1, 1) - 1.0)[:, :, None].expand(count, bins, columns)
    grid = torch.stack([along, up], dim=3)
    found = nn.functional.grid_sample(levels[:, None], grid, "bilinear", "border", align_corners=True)
    return found[:, 0]


def rescale(decibels: Tensor) -> Tensor:
    """(n, bins, columns) in dB -> 0 to 1: against the maximum, at most 80 dB deep, from the least to the greatest."""
    decibels = (decibels - decibels.amax(dim=(1, 2), keepdim=True)).clamp_min(-RANGE_DB)
    least = decibels.amin(dim=(1, 2), keepdim=True)
    return (decibels - least) / (-least).clamp_min(1e-3)


def crop(pictures: Tensor, starts: Tensor, columns: int) -> Tensor:
    """(n, channels, bins, all) -> (n, channels, bins, columns), each from its own start (n,)."""
    index = starts[:, None] + torch.arange(columns, device=pictures.device)
    return pictures.gather(3, index[:, None, None, :].expand(*pictures.shape[:3], columns))


def blank(pictures: Tensor, generator: torch.Generator, config: AugmentConfig) -> Tensor:
    """Blank stretches of bands and of columns with each channel's mean (SpecAugment; Park et al., 2019).

    Parameters
    ----------
    pictures
        (n, channels, bins, columns).
    """
    count, _, bins, columns = pictures.shape
    if not config.masks:
        return pictures
    rows = _stretches(count, bins, config.mask_bands, config.masks, generator, pictures.device)
    places = _stretches(count, columns, config.mask_columns, config.masks, generator, pictures.device)
    blanked = rows[:, None, :, None] | places[:, None, None, :]
    return torch.where(blanked, pictures.mean(dim=(2, 3), keepdim=True), pictures)


def _stretches(
    count: int, size: int, longest: int, number: int, generator: torch.Generator, device: torch.device
) -> Tensor:
    """(count, size) of bool: inside one of `number` stretches of 0 to `longest` places each."""
    draws = torch.rand((2, count, number, 1), generator=generator, device=device)
    lengths = (draws[0] * (min(longest, size) + 1)).floor()
    firsts = (draws[1] * (size - lengths + 1)).floor()
    place = torch.arange(size, device=device)
    return ((place >= firsts) & (place < firsts + lengths)).any(dim=1)
