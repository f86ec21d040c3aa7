"""``earmark listen``: PCM and WAV through real pipes, live lines, the end of the input and Ctrl-C."""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from typer.testing import CliRunner

from bundles import tiny_bundle
from commands import command
from earmark import Classifier, InputError
from earmark.audio.pcm import ENCODINGS, PcmStream
from earmark.cli import app
from music import RATE, piece

COMMAND = [sys.executable, "-c", "from earmark.cli import main; main()", "listen"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "tiny.earmark"
    tiny_bundle(path)
    return path


def listen(data: bytes, bundle: Path, *options: str) -> subprocess.CompletedProcess[str]:
    done = command("listen", "--bundle", str(bundle), *options, stdin=data)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def wav(samples: NDArray[Any], subtype: str = "PCM_16", container: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, RATE, format=container, subtype=subtype)
    return file.getvalue()


def test_raw_samples_as_json_lines_equal_the_file(bundle: Path) -> None:
    samples = np.round(piece(0, 4.5) * 32767).astype("<i2")
    stereo = np.repeat(samples, 2).tobytes()
    done = listen(stereo, bundle, "-r", str(RATE), "-c", "2", "-e", "S16_LE", "-f", "jsonl", "--top-k", "2")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(row["event"], row["at"]) for row in rows] == [
        ("now", 1),
        ("now", 2),
        ("now", 3),
        ("now", 4),
        ("whole", 4.5),
    ]
    whole = Classifier(bundle).classify(io.BytesIO(wav(samples)), full=True)
    assert rows[-1]["confidence"] == whole.confidence
    assert rows[-1]["label"] == whole.label
    assert all(len(row["probabilities"]) == 2 for row in rows)


def test_lines_for_people(bundle: Path) -> None:
    tone = 0.3 * np.sin(2 * np.pi * 150 * np.arange(2 * RATE) / RATE)
    done = listen(wav(np.concatenate([np.zeros(2 * RATE), tone])), bundle)
    assert (done.returncode, done.stderr) == (0, "")
    first, second, third, fourth, last = done.stdout.splitlines()
    assert first == "0:01  nothing to hear"
    assert second == "0:02  nothing to hear"
    assert third.startswith("0:03  bass ")
    assert third.endswith("(last 1 s)")
    assert fourth.startswith("0:04  bass ")
    assert last.startswith("0:04  in all: bass  bass ")


@pytest.mark.parametrize(
    ("data", "options", "code", "words"),
    [
        (b"", (), 1, "failed: standard input gave 0.0 s of sound; at least 1 s is needed."),
        (bytes(200_000), ("--every", "9"), 1, "failed: standard input is silent"),
        (b"ID3\x04" + bytes(100), (), 2, "This is an MP3 file, not PCM."),
        (bytes(100), ("-e", "mp3"), 2, "There is no encoding 'mp3' here; known are s16le"),
        (bytes(100), ("-r", "10"), 2, "The sample rate lies between"),
        (wav(np.zeros(100)), ("-r", "8000"), 2, "The WAV stream says sample rate 22050, not 8000."),
        (wav(np.zeros(100))[:30], (), 2, "The WAV stream ends in its header."),
    ],
    ids=["nothing", "silence", "mp3", "encoding", "rate", "other rate", "cut header"],
)
def test_what_cannot_be_heard_is_said(
    data: bytes, options: tuple[str, ...], code: int, words: str, bundle: Path
) -> None:
    done = CliRunner().invoke(app, ["listen", "--bundle", str(bundle), *options], input=data)
    if code == 2:
        assert isinstance(done.exception, InputError)
        assert str(done.exception).startswith(words)
    else:
        assert done.exit_code == code
        assert done.stderr.startswith(words)
        assert done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_answers_come_while_the_sound_comes_and_ctrl_c_sums_up(bundle: Path) -> None:
    data = np.round(piece(1, 3.0) * 32767).astype("<i2").tobytes()
    words = [*COMMAND, "--bundle", str(bundle), "-r", str(RATE), "-f", "jsonl"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdin is not None
        assert running.stdout is not None
        running.stdin.write(data)
        running.stdin.flush()
        rows = [json.loads(running.stdout.readline()) for _ in range(2)]
        assert [row["at"] for row in rows] == [1, 2], "long before the input ends"
        time.sleep(0.2)
        running.send_signal(signal.SIGINT)
        rest, errors = running.communicate(timeout=30)
    assert (running.returncode, errors) == (0, b"")
    assert json.loads(rest.splitlines()[-1])["event"] == "whole"


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo terminals")
def test_a_terminal_without_sound_is_told_what_to_do(bundle: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    try:
        done = subprocess.run([*COMMAND], stdin=theirs, capture_output=True, text=True, timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2
    assert "arecord -f cd | earmark listen" in done.stderr


# ---------------------------------------------------------------------- PCM from pipes


class Trickle(io.RawIOBase):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data: bytes, sizes: list[int]) -> None:
        self._data, self._sizes, self._turn = data, sizes, 0

    def read1(self, _: int) -> bytes:
        size = self._sizes[self._turn % len(self._sizes)]
        self._turn += 1
        given, self._data = self._data[:size], self._data[size:]
        return given


def every(data: bytes, *sizes: int, **options: Any) -> tuple[PcmStream, NDArray[Any]]:
    stream = PcmStream(Trickle(data, list(sizes)), **options)  # type: ignore[arg-type]
    blocks = list(stream.blocks())
    return stream, np.concatenate(blocks) if blocks else np.empty(0)


def scaled(samples: NDArray[Any]) -> NDArray[np.float64]:
    return samples / {"int16": 1 << 15, "int32": 1 << 31}.get(samples.dtype.name, 1)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_through_a_slow_pipe(encoding: str) -> None:
    sound = piece(2, 0.2).astype(np.float64)
    subtype = {"s16": "PCM_16", "s24": "PCM_24", "s32": "PCM_32", "f32": "FLOAT", "f64": "DOUBLE"}[encoding[:3]]
    file = io.BytesIO()
    endian = "LITTLE" if encoding.endswith("le") else "BIG"
    soundfile.write(file, sound, RATE, format="RAW", subtype=subtype, endian=endian)
    stream, samples = every(file.getvalue(), 1, 7, 1000, encoding=encoding)
    assert (stream.sample_rate, stream.channels) == (44100, 1)
    assert samples.dtype.isnative
    assert scaled(samples) == pytest.approx(sound, abs=2**-15 if "16" in encoding else 1e-6)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("container", ["WAV", "WAVEX"])
def test_wav_says_itself_what_it_holds(subtype: str, container: str) -> None:
    sound = np.stack([piece(3, 0.2), piece(4, 0.2)], axis=1).astype(np.float64)
    stream, samples = every(wav(sound, subtype, container), 5, 333)
    assert (stream.sample_rate, stream.channels) == (RATE, 2)
    assert scaled(samples).reshape(-1, 2) == pytest.approx(sound, abs=2**-15)


def test_wav_of_unknown_length_goes_on_and_of_known_length_ends() -> None:
    data = wav(np.full(1000, 0.5))
    at = data.index(b"data")
    assert len(every(data + b"LIST\x04\0\0\0junk", 100)[1]) == 1000
    for endless in (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF):
        stream = data[: at + 4] + struct.pack("<I", endless) + data[at + 8 :] * 2
        assert len(every(stream, 100)[1]) == 2000
    before = data[:12] + b"LIST" + struct.pack("<I", 5) + b"hello\0" + data[12:]
    assert len(every(before, 3)[1]) == 1000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (wav(np.zeros(10), "PCM_U8"), "8 bits"),
        (wav(np.zeros(10), "ULAW"), "format 7"),
        (b"RIFF\0\0\0\0WAVEdata\x04\0\0\0\0\0\0\0", "no usable header"),
        (b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\xff" + bytes(100), "no usable header"),
    ],
    ids=["8 bit", "mu-law", "no format", "huge chunk"],
)
def test_wav_that_cannot_be_used_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        every(data, 50)
