"""What the answers look like, for the OpenAPI description, with an example each."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

Probability = float


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(description="A stable name: urn:earmark:problem:KIND.")
    title: str
    status: int
    detail: str = Field(description="The sentence for a person; the same as the command line's.")
    problem: str | None = Field(None, description="For sound that cannot be used: empty, not-audio, truncated ...")


class TimelinePoint(BaseModel):
    """What one window was heard as."""

    start: float
    seconds: float
    probabilities: dict[str, float]


class Spectrogram(BaseModel):
    """A picture of the stretch that was asked for."""

    png: str = Field(description="data:image/png;base64,...; low frequencies at the bottom.")
    start: float = Field(description="Time of the left edge, in seconds.")
    seconds: float = Field(description="Time from the left to the right edge.")
    columns: int
    bins: int
    lowest_hz: float
    highest_hz: float


class Prediction(BaseModel):
    """The answer for one track."""

    path: str = Field(description="The file's name as it was sent, or the track's path.")
    label: str
    confidence: float
    unsure: bool = Field(description="Whether the confidence is below the bundle's threshold.")
    probabilities: dict[str, float] = Field(description="Falling.")
    heard: list[tuple[float, float]] = Field(description="Start and end of each window, in seconds.")
    decoded: float
    declared: float | None
    problems: list[str] = Field(description="What is wrong with the file without stopping its use.")
    bundle: str
    timeline: list[TimelinePoint] | None = Field(None, description="With timeline=true.")
    embedding: list[float] | None = Field(None, description="With embedding=true.")
    spectrogram: Spectrogram | None = Field(None, description="With spectrogram=true.")


PREDICTION: dict[str, Any] = {
    "path": "song.mp3",
    "label": "jazz",
    "confidence": 0.71,
    "unsure": False,
    "probabilities": {"jazz": 0.71, "blues": 0.2, "classical": 0.09},
    "heard": [[0.0, 30.0], [90.0, 120.0], [180.0, 210.0]],
    "decoded": 90.0,
    "declared": 210.0,
    "problems": [],
    "bundle": "5a0c...",
}


class Health(BaseModel):
    """A sign of life."""

    status: str
    version: str


class Model(BaseModel):
    """The bundle's card."""

    name: str
    id: str
    labels: list[str]
    unsure_below: float
    window_seconds: float
    sample_rate: int
    embedding_size: int
    scores: dict[str, Any]
    provenance: dict[str, Any]
    licence: str
    limits: str


class ServerLimits(BaseModel):
    """What this server takes."""

    upload_bytes: int
    seconds: float
    time_limit: float
    job_files: int
    waiting: int
    listeners: int


class About(BaseModel):
    """What the server is."""

    version: str
    model: Model
    catalogue: bool = Field(description="Whether there is a library to search.")
    runs: bool = Field(description="Whether a folder of runs was given.")
    limits: ServerLimits
    workers: int


class JobState(BaseModel):
    """A batch job."""

    id: str
    state: str = Field(description="running, done or cancelled.")
    created: float = Field(description="Seconds since 1970.")
    ended: float | None
    done: int
    total: int
    failed: int
    files: list[str]
    results: list[dict[str, Any]] = Field(
        description="Predictions, or path, problem and reason; each with its place."
    )


JOB: dict[str, Any] = {
    "id": "q3Jr0m7yPZ1c5A2d",
    "state": "running",
    "created": 1794000000.0,
    "ended": None,
    "done": 1,
    "total": 2,
    "failed": 1,
    "files": ["song.mp3", "notes.txt"],
    "results": [
        {
            "place": 1,
            "path": "notes.txt",
            "problem": "not-audio",
            "reason": "notes.txt is not a sound file that Earmark knows: it looks like text.",
        }
    ],
}
