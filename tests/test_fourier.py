"""Frames and the squared magnitudes of their transforms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.fourier import frame_view, squared_magnitudes
from earmark.music.frames import frame_power


@settings(max_examples=50, deadline=None)
@given(n=st.integers(8, 300), n_fft=st.integers(1, 8), hop=st.integers(1, 9), step=st.sampled_from([1, 2, -1]))
def test_frames_are_the_samples_at_their_places(n: int, n_fft: int, hop: int, step: int) -> None:
    samples = np.arange(n * abs(step), dtype=np.float32)[::step]
    frames = frame_view(samples, n_fft, hop)
    assert frames.tolist() == [samples[k : k + n_fft].tolist() for k in range(0, len(samples) - n_fft + 1, hop)]


@pytest.mark.parametrize("writeable", [True, False])
def test_frames_are_for_reading(writeable: bool) -> None:
    samples = np.arange(16, dtype=np.float32)
    samples.flags.writeable = writeable
    frames = frame_view(samples, 4, 4)
    assert np.shares_memory(frames, samples)
    with pytest.raises(ValueError, match="read-only"):
        frames[0, 0] = 1


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [None, slice(3, 17)])
def test_squared_magnitudes_are_those_of_the_transform(precision: type, bins: slice | None) -> None:
    rows = np.random.default_rng(0).standard_normal((5, 64)).astype(precision)
    expected = np.abs(np.fft.rfft(rows.astype(np.float64))) ** 2 / 64**2
    expected = expected if bins is None else expected[:, bins]
    spectra = np.empty((5, 33), np.result_type(precision, np.complex64))
    power = np.empty(expected.shape, precision)
    squared_magnitudes(rows, spectra, power, bins)
    np.testing.assert_allclose(power, expected, rtol=0, atol=1e-6 if precision is np.float32 else 1e-15)


def test_a_part_of_the_bins_is_that_part_of_all_whatever_the_size_of_the_blocks() -> None:
    samples = np.random.default_rng(1).standard_normal(400_000).astype(np.float32)
    for n_fft in (512, 8192, 131_072):
        everything = frame_power(samples, n_fft, n_fft // 2)
        np.testing.assert_array_equal(frame_power(samples, n_fft, n_fft // 2, slice(5, 100)), everything[:, 5:100])
