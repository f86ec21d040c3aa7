"""The reader that uses FFmpeg (through PyAV)."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, Final, Literal

import av
import numpy as np

from earmark.audio.containers import Content
from earmark.audio.pyav import open_input
from earmark.audio.readers import CHUNK, Chunk, QuietBytes, ReadError, mix, sentence
from earmark.products import energy

# Scale to [-1, 1] and offset by sample format, as FFmpeg names them (without the "p" of planar ones).
_SCALES: dict[str, tuple[float, float]] = {
    "u8": (1 / 128, -128.0),
    "s16": (1 / 32768, 0.0),
    "s32": (1 / 2147483648, 0.0),
    "s64": (1 / 9223372036854775808, 0.0),
    "flt": (1.0, 0.0),
    "dbl": (1.0, 0.0),
}
# Seconds decoded before the place that was asked for and thrown away: MP3 takes bits from frames before, AAC and
# Vorbis overlap, Opus converges in 80 ms, and Ogg needs some pages to know where it is.
_PREROLL: Final = 0.5
_PREROLL_OGG: Final = 1.5
# A call into FFmpeg that takes longer than this many seconds is given up; ordinary ones take milliseconds.
_TIMEOUT: Final = 60.0
# The demuxer is asked again after an error, but not for ever.
_DEMUX_ERRORS: Final = 16


class AvReader:
    """FFmpeg: everything else, and what libsndfile gives up on.

    Decoding goes on behind a damaged packet. PyAV's log is off unless a program turns it on; that is left alone.
    """

    name: Literal["soundfile", "av"] = "av"

    def __init__(self, file: QuietBytes, content: Content) -> None:
        self._file = file
        self._content = content
        self._held: av.AudioFrame | None
        self._open()
        context = self._stream.codec_context
        self.codec = str(context.name)
        # The first frame knows better than the header: HE-AAC may announce half its rate.
        first = self._next()
        if first is None and self._failed:
            self._container.close()
            raise ReadError("Nothing in it can be decoded.")
        self._held = first
        # The clock counts from the first frame that comes out: WMA starts with two that do not.
        self._origin = 0.0 if first is None or first.time is None else first.time
        self._first = 0 if first is None else int(first.samples)
        self.rate = int(context.sample_rate if first is None else first.sample_rate)
        self.channels = int(context.channels if first is None else first.layout.nb_channels)
        self.frames = self._declared()

    def _open(self) -> None:
        self._file.seek(0)
        try:
            self._container = open_input(self._file, self._content.container.demuxer, _TIMEOUT)
        except Exception as error:
            raise ReadError(sentence(error)) from error
        try:
            self._stream = self._choose()
        except Exception as error:
            self._container.close()
            raise ReadError(sentence(error)) from error
        self.errors = 0
        self._decoded = 0
        self._drop = 0
        self._clock = 0.0
        self._restart()

    def _choose(self) -> av.AudioStream:
        best = self._container.streams.best("audio")
        if not isinstance(best, av.AudioStream):
            raise ReadError("There is no sound in it.")
        # Without a decoder there is no context either, whatever the type says.
        context: Any = best.codec_context
        if context is None or not context.sample_rate or not context.channels:
            raise ReadError("Its sound cannot be decoded: the codec is unknown or the file is encrypted.")
        # Callers that want more cores run more processes; a decoder's own threads would only get in their way.
        context.thread_count = 1
        if context.name == "flac":
            # Otherwise a frame that fails its checksum is played as noise.
            context.options = {"err_detect": "crccheck+explode"}
        return best

    def _restart(self) -> None:
        """Forget everything decoded so far; packets come from where the container stands."""
        self._packets = self._container.demux(self._stream)
        self._frames: list[av.AudioFrame] = []
        self._held = None
        self._fifo = av.AudioFifo()
        self._kind: tuple[str, int, int, Fraction | None] | None = None
        self._failed = 0
        self._demux_errors = 0
        self._ended = False

    def _declared(self) -> int | None:
        self.promised = True
        if not self._content.declares:
            return None
        if self._stream.duration and self._stream.time_base:
            return round(float(self._stream.duration * self._stream.time_base) * self.rate)
        if self._container.duration:
            # FLV has no second sound; of a file cut within a tag FFmpeg 8.1 believes the opposite.
            sounds = 1 if self._content.container.name == "flv" else len(self._container.streams.audio)
            self.promised = sounds + len(self._container.streams.video) == 1
            return round(self._container.duration * self.rate / av.time_base)
        return None

    def _next(self) -> av.AudioFrame | None:
        """Decode the next frame; None at the end."""
        while True:
            if self._held is not None:
                frame, self._held = self._held, None
                return frame
            if self._frames:
                return self._frames.pop(0)
            if self._ended:
                return None
            try:
                packet = next(self._packets, None)
            except Exception:
                self._failed += 1
                self._demux_errors += 1
                self._ended = self._demux_errors > _DEMUX_ERRORS
                self._packets = self._container.demux(self._stream)
                continue
            if packet is None:
                self._ended = True
                continue
            try:
                self._frames = packet.decode()
            except EOFError:
                self._ended = True
            except Exception:
                self._failed += 1
            if self._frames:
                self._frames = [f for f in self._frames if f.samples and f.sample_rate]
                # What fails with nothing behind it is an end, not damage.
                self.errors += self._failed
                self._failed = 0

    def _fill(self, count: int) -> None:
        """Decode until the queue holds `count` samples, the end, or sound of another kind."""
        while self._fifo.samples < count:
            frame = self._next()
            if frame is None:
                return
            # PyAV's queue does not look at the number of channels and would read past the frame.
            kind = (frame.format.name, frame.sample_rate, frame.layout.nb_channels, frame.time_base)
            if kind != self._kind:
                if self._fifo.samples:
                    self._held = frame
                    return
                self._fifo = av.AudioFifo()
                self._kind = kind
            time = frame.time
            if time is not None:
                self._clock = time - self._origin + frame.samples / frame.sample_rate
            frame.pts = None
            self._fifo.write(frame)

    @property
    def position(self) -> float:
        return self._decoded / self.rate

    @property
    def reached(self) -> float:
        return max(self._clock, self.position)

    def seek(self, frame: int) -> None:
        if frame == self._decoded and not self._drop:
            return
        target = frame / self.rate - (_PREROLL_OGG if self._content.container.name == "ogg" else _PREROLL)
        if target > 0 and self._seek_by_time(frame, target):
            return
        # Too near the beginning, or seeking failed: decode from the beginning and throw away.
        self._container.close()
        self._open()
        self._drop = frame

    def _seek_by_time(self, frame: int, target: float) -> bool:
        base = self._stream.time_base
        if base is None:
            return False
        try:
            self._container.seek(int((target + self._origin) / base), stream=self._stream)
        except Exception:
            return False
        self._restart()
        # Every frame on the way tells the time anew: in Ogg the first ones behind a seek are wrong about it.
        while (held := self._next()) is not None:
            if held.time is None:
                return False
            begin = self._place(held, held.time - self._origin)
            if begin > frame or begin < 0:
                return False
            if begin + held.samples * self.rate / held.sample_rate > frame:
                self._held = held
                self._decoded = begin
                self._drop = frame - begin
                # Decoders complain while they find their feet.
                self.errors = 0
                return True
        return False

    def _place(self, held: av.AudioFrame, time: float) -> int:
        """Where a frame begins, to the sample, even where the container's clock is not that fine.

        ASF, Matroska and FLV tell the time in milliseconds, and in bare AC-3 the rounding of every frame adds up. But
        frames are nearly always of one length, behind a first one that may be shorter.
        """
        begin = round(time * self.rate)
        base = self._stream.time_base
        if base is None or held.sample_rate != self.rate:
            return begin
        if self._content.container.name in ("ac3", "eac3") and held.duration:
            return round(time / float(held.duration * base)) * held.samples
        doubt = math.ceil(base * self.rate)
        exact = self._first + round((begin - self._first) / held.samples) * held.samples
        return exact if doubt > 1 and abs(exact - begin) <= doubt < held.samples // 2 else begin

    def read(self, frames: int, weigh: bool = True) -> Chunk | None:
        count = max(1, min(frames, CHUNK // self.channels))
        while True:
            self._fill(count)
            wanted = min(count, self._fifo.samples)
            if not wanted or self._kind is None:
                return None
            name, rate, channels, _ = self._kind
            if self._drop > 0:
                # Counted in frames of the first rate, should it change.
                wanted = min(wanted, max(1, self._drop * rate // self.rate))
            block = self._fifo.read(wanted)
            assert block is not None
            passed = max(1, wanted * self.rate // rate) if rate != self.rate else wanted
            self._decoded += passed
            if self._drop > 0:
                self._drop -= passed
                continue
            scale, offset = _SCALES[name.removesuffix("p")]
            values = block.to_ndarray()
            planar = name.endswith("p")
            with np.errstate(all="ignore"):
                values = (values if planar else values.reshape(-1, channels)).astype(np.float32)
            if scale != 1:
                values += np.float32(offset)
                values *= np.float32(scale)
            mono, repaired = mix(values, 0 if planar else 1)
            return Chunk(mono, rate, repaired, energy(values) if weigh else math.nan)

    def measure(self) -> float:
        """Seconds of sound by the clock of the packets, without decoding; the place of reading is lost."""
        self._container.close()
        self._open()
        end = 0.0
        for _ in range(_DEMUX_ERRORS):
            try:
                for packet in self._container.demux(self._stream):
                    if packet.pts is not None and packet.size:
                        end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                break
            except Exception:
                continue
        self._container.close()
        self._open()
        return max(0.0, end - self._origin)

    def close(self) -> None:
        self._container.close()
