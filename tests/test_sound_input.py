"""The front ends of networks that hear, against the feature extractors that those networks were trained with."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.sound_front_end import LogMel, SoundFrontEnd, graph_input, picture_front_end, read_front_end
from earmark.sound_input import fit_sound, log_mel, network_input, sound_input
from earmark.spectrogram import MEL

hf = pytest.importorskip("transformers")

AST = LogMel(
    frame_length=400, n_fft=512, hop_length=160, n_mels=128, low=20, high=8000, frames=1024, scale="kaldi",
    centred=False, symmetric=True, preemphasis=0.97, without_mean=True, floor=2.0**-23, mean=-4.2677393,
    deviation=2 * 4.5689974,
)  # fmt: skip
WHISPER = LogMel(
    frame_length=400, n_fft=400, hop_length=160, n_mels=80, low=0, high=8000, frames=3000, scale="slaney", area=True,
    logarithm="log10", below_maximum=8, mean=-4, deviation=4,
)  # fmt: skip
FRONT_END = SoundFrontEnd(16000, 30.0, 160000, True)
SMALL = SoundFrontEnd(1000, 2.5, 1000, True)


def sound(samples: int, rate: int, seed: int = 0) -> NDArray[np.float32]:
    """A tone in noise with an offset and a quiet end."""
    t = np.arange(samples) / rate
    noise = np.random.default_rng(seed).standard_normal(samples)
    heard = 0.3 * np.sin(2 * np.pi * 440 * t) + 0.1 * noise + 0.05
    heard[samples // 2 :] *= 1e-3
    return heard.astype(np.float32)


def extracted(extractor: Any, samples: NDArray[np.float32], rate: int, name: str) -> NDArray[np.float32]:
    found: NDArray[np.float32] = extractor(samples, sampling_rate=rate, return_tensors="np")[name][0]
    return found


@pytest.mark.filterwarnings("ignore:At least one mel filter has all zero values")
@pytest.mark.parametrize("samples", [400 + 160 * 1023, 5000])
def test_ast_frames_are_those_of_transformers(samples: int) -> None:
    heard = sound(samples, 16000)
    theirs = extracted(hf.ASTFeatureExtractor(), heard, 16000, "input_values")
    np.testing.assert_allclose(log_mel(heard.astype(float), 16000, AST), theirs, atol=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_clap_frames_are_those_of_transformers(fused: bool) -> None:
    heard = sound(96000, 48000)
    extractor = hf.ClapFeatureExtractor(
        max_length_s=2, frequency_min=50, truncation="fusion" if fused else "rand_trunc"
    )
    theirs = extracted(extractor, heard, 48000, "input_features")
    bands = LogMel(
        frame_length=1024, n_fft=1024, hop_length=480, n_mels=64, low=50, high=14000, frames=201,
        scale="htk" if fused else "slaney", area=not fused, logarithm="decibel",
    )  # fmt: skip
    ours = log_mel(heard.astype(float), 48000, bands)
    assert len(theirs) == (4 if fused else 1)
    for channel in theirs:
        np.testing.assert_allclose(ours, channel, atol=1e-3)  # decibels


def test_whisper_frames_are_those_of_transformers() -> None:
    heard = sound(480000, 16000)
    theirs = extracted(hf.WhisperFeatureExtractor(), heard, 16000, "input_features")
    np.testing.assert_allclose(log_mel(heard.astype(float), 16000, WHISPER), theirs.T, atol=1e-4)


@pytest.mark.parametrize("normalise", [False, True])
def test_waveforms_are_those_of_transformers(normalise: bool) -> None:
    front_end = SoundFrontEnd(24000, 1.0, 24000, normalise)
    heard = sound(24000, 24000)
    extractor = hf.Wav2Vec2FeatureExtractor(sampling_rate=24000, do_normalize=normalise)
    theirs = extracted(extractor, heard, 24000, "input_values")
    np.testing.assert_allclose(sound_input(heard, front_end)[0], theirs, atol=2e-6)


def test_each_segment_is_scaled_by_itself() -> None:
    heard = np.concatenate([np.full(1000, 0.5), np.tile([0.001, -0.001], 750)]).astype(np.float32)
    first, _, last = sound_input(heard, SMALL)
    assert not first.any(), "a constant has no deviation to be scaled by"
    assert last.std() == pytest.approx(1, abs=0.1)


@settings(max_examples=50, deadline=None)
@given(samples=st.integers(1, 5000), segment=st.integers(1, 5000))
def test_segments_cover_the_window_and_are_as_few_as_can(samples: int, segment: int) -> None:
    if segment > samples:
        with pytest.raises(InputError, match="shorter"):
            SoundFrontEnd(1000, samples / 1000, segment)
        return
    starts = SoundFrontEnd(1000, samples / 1000, segment).starts
    assert starts[0] == 0
    assert starts[-1] + segment == samples
    assert (np.diff(starts) <= segment).all(), "a gap that is not heard"
    assert (len(starts) - 1) * segment < samples


def test_short_sound_is_repeated_and_nearly_whole_sound_followed_by_silence() -> None:
    tick = np.array([1, 0, 0], np.float32)
    assert fit_sound(tick, SMALL).sum() == np.ceil(2500 / 3)
    fitted = fit_sound(np.ones(2450, np.float32), SMALL)
    assert fitted.sum() == 2450
    assert not fitted[2450:].any()
    assert network_input(tick, SMALL).shape == SMALL.shape == (3, 1000)


def test_a_front_end_survives_json_and_its_key_tells_it_apart() -> None:
    ast = SoundFrontEnd(16000, 30.0, 164080, mel=AST)
    keys = set()
    for front_end in (FRONT_END, SMALL, ast, SoundFrontEnd(16000, 30.0, 160000, False), MEL):
        again = read_front_end(json.loads(json.dumps(front_end.to_dict())))
        assert again == front_end
        assert again.key() == front_end.key()
        keys.add(front_end.key())
    assert len(keys) == 5
    assert SoundFrontEnd(16000, 30, 160000, True).key() == FRONT_END.key(), "30 and 30.0 are one"
    assert graph_input(ast) == ("sound", "tensor(float)", (3, 1024, 128))
    assert graph_input(MEL)[0] == "spectrogram"


@pytest.mark.parametrize("rate", [16000, 22050, 24000, 48000])
def test_the_picture_of_a_window_covers_it(rate: int) -> None:
    front_end = SoundFrontEnd(rate, 30.0, rate, False)
    drawn = picture_front_end(front_end)
    assert (drawn.window_samples, drawn.sample_rate) == (front_end.window_samples, rate)
    assert abs(drawn.shape[1] - MEL.shape[1]) <= 1
    assert picture_front_end(MEL) is MEL


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": 2}, "format 2"),
        ({"kind": "log-mel"}, "calls itself"),
        ({"sample_rate": 0}, "sample_rate"),
        ({"sample_rate": True}, "sample_rate"),
        ({"seconds": float("nan")}, "seconds"),
        ({"segment": 480001}, "shorter"),
        ({"normalise": 1}, "yes or no"),
        ({"mel": {}}, "mel bands"),
        ({"more": 1}, "more"),
    ],
)
def test_impossible_front_ends_are_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_front_end({**FRONT_END.to_dict(), **change})


@pytest.mark.parametrize(
    "change",
    [{"n_fft": 401}, {"n_fft": 300}, {"low": 9000.0}, {"scale": "bark"}, {"logarithm": "2"}, {"deviation": 0.0}],
)
def test_impossible_bands_are_refused(change: dict[str, Any]) -> None:
    front_end = SoundFrontEnd(16000, 30.0, 480000, mel=WHISPER).to_dict()
    with pytest.raises(InputError):
        read_front_end({**front_end, "mel": {**front_end["mel"], **change}})


def test_sound_that_is_none_is_refused() -> None:
    with pytest.raises(InputError, match="no samples"):
        fit_sound(np.empty(0, np.float32), SMALL)
    with pytest.raises(InputError, match="one axis"):
        fit_sound(np.zeros((2, 3), np.float32), SMALL)
    with pytest.raises(InputError, match="not finite"):
        sound_input(np.full(2500, np.nan, np.float32), SMALL)
    with pytest.raises(InputError, match="see fit_sound"):
        sound_input(np.zeros(10, np.float32), SMALL)
