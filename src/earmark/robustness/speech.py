"""Speech to test with, synthesised by espeak-ng, a free program that most systems have as a package."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.audio import load
from earmark.errors import InputError
from earmark.robustness.sounds import RATE, SECONDS, Half

# The first article of the Universal Declaration of Human Rights: the same content in many languages.
_TEXTS: dict[str, str] = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and "
    "conscience and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen "
    "begabt und sollen einander im Geist der Brüderlichkeit begegnen.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de "
    "conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y "
    "conciencia, deben comportarse fraternalmente los unos con los otros.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di "
    "coscienza e devono agire gli uni verso gli altri in spirito di fratellanza.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni obdarzeni rozumem "
    "i sumieniem i powinni postępować wobec innych w duchu braterstwa.",
    "sv": "Alla människor är födda fria och lika i värde och rättigheter. De är utrustade med förnuft och samvete "
    "och bör handla gentemot varandra i en anda av broderskap.",
    "tr": "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana sahiptirler ve "
    "birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler.",
}
# (language, variant, words per minute, pitch)
_DEVELOPMENT = (
    ("en", "m3", 160, 40), ("en", "f2", 180, 60), ("en", "m7", 130, 30), ("en", "f5", 200, 70),
    ("en", "croak", 150, 35), ("de", "m1", 150, 45), ("de", "f4", 170, 55), ("de", "m4", 190, 50),
    ("de", "f1", 140, 50), ("de", "m6", 165, 40),
)  # fmt: skip
_TEST = (
    ("fr", "m3", 165, 45), ("fr", "f2", 175, 55), ("es", "m1", 170, 40), ("es", "f3", 160, 60),
    ("it", "m2", 155, 50), ("it", "f4", 180, 65), ("pl", "m5", 160, 35), ("sv", "f1", 150, 55),
    ("tr", "m8", 165, 45), ("tr", "f5", 185, 60),
)  # fmt: skip


@dataclass(frozen=True)
class Voice:
    """One speaker: language, espeak-ng's variant, words per minute, pitch (0 to 99), and the half it belongs to."""

    language: str
    variant: str
    speed: int
    pitch: int
    half: Half

    @property
    def name(self) -> str:
        """For example ``fr+m3``."""
        return f"{self.language}+{self.variant}"


VOICES: tuple[Voice, ...] = (
    *(Voice(*parts, "development") for parts in _DEVELOPMENT),
    *(Voice(*parts, "test") for parts in _TEST),
)


def available() -> bool:
    """Whether espeak-ng is installed."""
    return shutil.which("espeak-ng") is not None


def speak(voice: Voice, *, seconds: float = SECONDS, rate: int = RATE) -> NDArray[np.float32]:
    """A text in one voice, again and again until it is long enough: float32 (n,) at `rate`.

    Raises
    ------
    InputError
        If espeak-ng is not installed or fails.
    """
    if not available():
        raise InputError(
            "Speech is synthesised with espeak-ng, which is not installed. Install it (apt install espeak-ng), or "
            "measure without speech."
        )
    command = [
        "espeak-ng", "-v", voice.name, "-s", str(voice.speed), "-p", str(voice.pitch), "--stdout",
        _TEXTS[voice.language],
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode or not done.stdout:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise InputError(f"espeak-ng cannot speak with the voice {voice.name} ({' '.join(reason[:1])}).")
    return np.resize(load(io.BytesIO(done.stdout), rate).samples, round(seconds * rate))


def speeches(half: Half) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """All voices of one half with their speech."""
    for voice in VOICES:
        if voice.half == half:
            yield voice.name, speak(voice)
