"""Sound through a lossy encoder and back, in memory, as a file from the web has gone through."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

import numpy as np
import soxr
from numpy.typing import NDArray

from earmark.audio import load

if TYPE_CHECKING:
    from av import AudioStream

# (container, encoder, the rate that it is fed)
_MP3 = ("mp3", "libmp3lame", 44100)
_OPUS = ("ogg", "libopus", 48000)


def mp3(samples: NDArray[np.float32], rate: int, kbits: int) -> NDArray[np.float32]:
    """Encode as MP3 and decode again.

    The encoder gets what files in libraries are, 44.1 kHz in two channels (here alike), so that it saves where it
    does in life: at 64 kbit/s LAME throws away all above 11 kHz and much of what is masked below.

    Parameters
    ----------
    samples
        Mono, float32 (n,), at `rate`.
    kbits
        Kilobits per second, constant.

    Returns
    -------
    float32 (about n,) at `rate`: decoders do not all agree on the padding at the ends.
    """
    return load(io.BytesIO(encode(samples, rate, _MP3, kbits, "stereo")), rate).samples


def opus(samples: NDArray[np.float32], rate: int, kbits: int) -> NDArray[np.float32]:
    """Encode as Opus in Ogg, mono at 48 kHz, and decode again; parameters as for :func:`mp3`."""
    return load(io.BytesIO(encode(samples, rate, _OPUS, kbits, "mono")), rate).samples


def encode(samples: NDArray[np.float32], rate: int, kind: tuple[str, str, int], kbits: int, layout: str) -> bytes:
    """The bytes of an encoded file.

    Parameters
    ----------
    kind
        Container, encoder and the sample rate that it works at, by FFmpeg's names.
    layout
        ``mono`` or ``stereo`` (both channels alike).
    """
    import av

    container, codec, wanted = kind
    # Above full scale an encoder's behaviour is its own; sound in files is below.
    sound = np.clip(soxr.resample(samples, rate, wanted, quality="HQ"), -1.0, 1.0).astype(np.float32)
    channels = 2 if layout == "stereo" else 1
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as target:
        stream = cast("AudioStream", target.add_stream(codec, rate=wanted, layout=layout))
        context = stream.codec_context
        context.bit_rate = 1000 * kbits
        context.open()
        frame = av.AudioFrame.from_ndarray(np.tile(sound, (channels, 1)), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = wanted, 0
        cut = av.AudioResampler(context.format, layout, wanted, frame_size=context.frame_size or 4096)
        for part in [*cut.resample(frame), *cut.resample(None)]:
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    return buffer.getvalue()
