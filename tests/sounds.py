"""Real sound files of every kind that the installed libraries can write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 44100


@dataclass(frozen=True)
class Kind:
    """One way to write a file.

    ``writer``: "soundfile" (``format`` and ``codec`` are then libsndfile's format and subtype) or "av" (FFmpeg's
    muxer and encoder); ``container``: what Earmark calls it; ``level``: by how much the level of a tone may change;
    ``exact``: whether the number of samples stays the same; ``rate``: the only rate that it knows, if any.
    """

    suffix: str
    writer: str
    format: str
    codec: str
    container: str
    level: float = 0.03
    exact: bool = True
    rate: int | None = None

    @property
    def id(self) -> str:
        return f"{self.container}-{self.codec}-{self.writer}".lower()


KINDS = (
    Kind(".wav", "soundfile", "WAV", "PCM_16", "wav"),
    Kind(".wav", "soundfile", "WAV", "PCM_U8", "wav"),
    Kind(".wav", "soundfile", "WAV", "PCM_24", "wav"),
    Kind(".wav", "soundfile", "WAV", "PCM_32", "wav"),
    Kind(".wav", "soundfile", "WAV", "FLOAT", "wav"),
    Kind(".wav", "soundfile", "WAV", "DOUBLE", "wav"),
    Kind(".wav", "soundfile", "WAV", "ULAW", "wav"),
    Kind(".wav", "soundfile", "WAV", "IMA_ADPCM", "wav", exact=False),
    Kind(".wav", "soundfile", "WAVEX", "PCM_16", "wav"),
    Kind(".rf64", "soundfile", "RF64", "PCM_16", "wav"),
    Kind(".w64", "soundfile", "W64", "PCM_16", "w64"),
    Kind(".aiff", "soundfile", "AIFF", "PCM_16", "aiff"),
    Kind(".au", "soundfile", "AU", "PCM_16", "au"),
    Kind(".caf", "soundfile", "CAF", "PCM_16", "caf"),
    Kind(".caf", "soundfile", "CAF", "ALAC_16", "caf"),
    Kind(".voc", "soundfile", "VOC", "PCM_16", "voc"),
    Kind(".flac", "soundfile", "FLAC", "PCM_16", "flac"),
    Kind(".flac", "soundfile", "FLAC", "PCM_24", "flac"),
    Kind(".ogg", "soundfile", "OGG", "VORBIS", "ogg"),
    Kind(".opus", "soundfile", "OGG", "OPUS", "ogg", rate=48000),
    Kind(".mp3", "soundfile", "MP3", "MPEG_LAYER_III", "mp3", exact=False),
    Kind(".mp3", "av", "mp3", "libmp3lame", "mp3", exact=False),
    Kind(".mp2", "av", "mp2", "mp2", "mp3", exact=False),
    Kind(".m4a", "av", "ipod", "aac", "mp4", exact=False),
    Kind(".m4a", "av", "ipod", "alac", "mp4"),
    Kind(".mp4", "av", "mp4", "aac", "mp4", exact=False),
    Kind(".aac", "av", "adts", "aac", "adts", exact=False),
    Kind(".wma", "av", "asf", "wmav2", "asf", level=0.05, exact=False),
    Kind(".wv", "av", "wv", "wavpack", "wavpack"),
    Kind(".tta", "av", "tta", "tta", "tta"),
    Kind(".mka", "av", "matroska", "flac", "matroska"),
    Kind(".webm", "av", "webm", "libopus", "matroska", exact=False, rate=48000),
    Kind(".opus", "av", "ogg", "libopus", "ogg", exact=False, rate=48000),
    Kind(".ogg", "av", "ogg", "flac", "ogg"),
    Kind(".ac3", "av", "ac3", "ac3", "ac3", level=0.05, exact=False),
    Kind(".eac3", "av", "eac3", "eac3", "eac3", level=0.05, exact=False),
    Kind(".avi", "av", "avi", "pcm_s16le", "avi"),
    Kind(".ts", "av", "mpegts", "aac", "mpegts", exact=False),
    Kind(".flv", "av", "flv", "aac", "flv", exact=False),
)


# Encoders that would take 8 bits if nobody asked for more.
_INTEGERS = {"wavpack": "s16p", "tta": "s16"}


def by_name(container: str, codec: str = "", writer: str = "") -> Kind:
    """The first of :data:`KINDS` with that container (and codec, and writer)."""
    return next(
        k
        for k in KINDS
        if k.container == container and codec.lower() in k.codec.lower() and (not writer or k.writer == writer)
    )


def tone(seconds: float, rate: int = RATE, frequency: float = 1000.0, level: float = 0.5) -> NDArray[np.float32]:
    """(n,) sine."""
    time = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * frequency * time)).astype(np.float32)


def music(seconds: float, rate: int = RATE, channels: int = 2, seed: int = 0) -> NDArray[np.float32]:
    """(n, channels) chords, beats and noise: something that an encoder has work with."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    chord = sum(np.sin(2 * np.pi * f * time * (1 + 1e-4 * np.sin(5 * time))) for f in (196.0, 246.9, 293.7, 1174.7))
    beat = np.exp(-12 * (time % 0.5)) * rng.standard_normal(len(time))
    mono = 0.1 * np.asarray(chord) + 0.15 * beat + 0.005 * rng.standard_normal(len(time))
    parts = [np.roll(mono, 37 * c) * (1 - 0.1 * c) for c in range(channels)]
    return np.clip(np.stack(parts, 1), -0.95, 0.95).astype(np.float32)


def write(path: Path, samples: NDArray[np.float32], kind: Kind, rate: int = RATE) -> Path:
    """Write (n,) or (n, channels) samples."""
    samples = samples if samples.ndim == 2 else samples[:, None]
    if kind.writer == "soundfile":
        soundfile.write(path, samples, rate, format=kind.format, subtype=kind.codec)
        return path
    layout = {1: "mono", 2: "stereo", 6: "5.1"}[samples.shape[1]]
    with av.open(str(path), "w", format=kind.format) as target:
        # Without noise substitution, which the decoder fills in by dice.
        options = {"aac_pns": "0"} if kind.codec == "aac" else {}
        stream = target.add_stream(kind.codec, rate=rate, layout=layout, options=options)
        stream.codec_context.bit_rate = 192_000
        if kind.codec in _INTEGERS:
            stream.codec_context.format = _INTEGERS[kind.codec]
        stream.codec_context.open()
        context = stream.codec_context
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(context.format, layout, rate, frame_size=context.frame_size or 4096)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    return path


def make(folder: Path, kind: Kind, samples: NDArray[np.float32], rate: int = RATE, name: str = "sound") -> Path:
    """Write samples under the kind's own suffix."""
    return write(folder / (name + kind.suffix), samples, kind, rate)


def spectrum_peak(samples: NDArray[np.float32], rate: int) -> tuple[float, float]:
    """Frequency in Hz and amplitude of the strongest sine in the middle of a sound (parabola through three bins)."""
    quarter = len(samples) // 4
    middle = samples[quarter : 3 * quarter].astype(np.float64)
    window = np.hanning(len(middle))
    levels = np.abs(np.fft.rfft(middle * window)) / (window.sum() / 2)
    at = int(levels[1:-1].argmax()) + 1
    a, b, c = np.log(np.maximum(levels[at - 1 : at + 2], 1e-12))
    shift = 0.5 * (a - c) / (a - 2 * b + c)
    return (at + shift) * rate / len(middle), float(np.exp(b - 0.25 * (a - c) * shift))
