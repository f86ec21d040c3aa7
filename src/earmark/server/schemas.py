"""What the answers look like, for the OpenAPI description, with an example each."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

Pair = Annotated[list[float], Field(min_length=2, max_length=2)]


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
    unsure: bool = Field(description="Whether the answer is not to be relied on.")
    doubt: str | None = Field(
        description="Why it is unsure: between genres, unlike anything it has learnt, or hardly any sound."
    )
    probabilities: dict[str, float] = Field(description="Falling.")
    heard: list[Pair] = Field(description="Start and end of each window, in seconds.")
    decoded: float
    declared: float | None
    problems: list[str] = Field(description="What is wrong with the file without stopping its use.")
    tempo: float | None = Field(description="Beats per minute.")
    tempo_confidence: float | None
    beat_strength: float | None
    key: str | None
    key_confidence: float | None
    loudness: float | None = Field(description="LUFS.")
    loudness_range: float | None = Field(description="LU.")
    dynamics: float | None
    bundle: str
    timeline: list[TimelinePoint] | None = Field(None, description="With timeline=true.")
    embedding: list[float] | None = Field(None, description="With embedding=true.")
    spectrogram: Spectrogram | None = Field(None, description="With spectrogram=true.")


PREDICTION: dict[str, Any] = {
    "path": "song.mp3",
    "label": "jazz",
    "confidence": 0.71,
    "unsure": False,
    "doubt": None,
    "probabilities": {"jazz": 0.71, "blues": 0.2, "classical": 0.09},
    "heard": [[0.0, 30.0], [90.0, 120.0], [180.0, 210.0]],
    "decoded": 90.0,
    "declared": 210.0,
    "problems": [],
    "tempo": 118.4,
    "tempo_confidence": 0.8,
    "beat_strength": 0.4,
    "key": "F minor",
    "key_confidence": 0.7,
    "loudness": -14.2,
    "loudness_range": 5.1,
    "dynamics": 14.0,
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


class TrackRow(BaseModel):
    """A track of the library."""

    id: int
    name: str = Field(description="Artist and title, or the file's name.")
    path: str
    label: str
    confidence: float
    unsure: bool
    doubt: str | None = Field(description="Why it is unsure; null for tracks that were heard before this was kept.")
    probabilities: dict[str, float]
    heard: list[Pair]
    seconds: float | None
    artist: str | None
    title: str | None
    album: str | None
    year: int | None
    genre: str | None = Field(description="What the file's tags say.")
    warnings: list[str]
    removed: bool
    correction: str | None = Field(description="The genre that a person gave it; null: none.")


class TracksAnswer(BaseModel):
    """A page of tracks."""

    tracks: list[TrackRow]
    total: int
    offset: int
    limit: int
    corrections: int = Field(description="How many tracks of the library have a correction.")


class MatchRow(TrackRow):
    """A track that was found."""

    score: float = Field(description="Cosine similarity, less half of that to `minus`; for moods from 0 to 1.")


class MatchesAnswer(BaseModel):
    """Tracks that were found, in order."""

    tracks: list[MatchRow]


class MapPoint(TrackRow):
    """A track and its place."""

    x: float
    y: float


class MapAnswer(BaseModel):
    """The points of the map."""

    points: list[MapPoint]


class GenreRow(BaseModel):
    """One genre of the library."""

    label: str
    tracks: int
    unsure: int
    hours: float


class StatsAnswer(BaseModel):
    """The library in numbers."""

    tracks: int
    hours: float
    unsure: int
    doubts: dict[str, int] = Field(description="Unsure tracks by the reason.")
    corrected: int
    genres: list[GenreRow]
    decades: list[Pair]
    tagged_genre: int
    tagged_year: int
    failed: dict[str, int]
    removed: int
    outdated: int
    bundle: str | None
    roots: list[str]


class Interval(BaseModel):
    """A figure with its 95 % interval."""

    value: float
    low: float | None
    high: float | None


class RunRow(BaseModel):
    """A finished run."""

    name: str
    kind: str | None
    model: str | None
    dataset: str | None
    protocol: str | None
    grouped: bool | None = Field(description="Whether the folds keep artists on one side.")
    folds: int | None
    clips: int
    labels: int
    created: str | None
    accuracy: Interval | None
    report: bool = Field(description="Whether there is a report page.")
    error: str | None = Field(description="Why the run cannot be read.")


class RunsAnswer(BaseModel):
    """Finished runs by name."""

    runs: list[RunRow]


TRACK: dict[str, Any] = {
    "id": 1,
    "name": "Nina Simone - Feeling Good",
    "path": "/music/feeling-good.mp3",
    "label": "jazz",
    "confidence": 0.71,
    "unsure": False,
    "doubt": None,
    "probabilities": {"jazz": 0.71, "blues": 0.2, "classical": 0.09},
    "heard": [[0.0, 30.0], [72.0, 102.0], [144.0, 174.0]],
    "seconds": 174.0,
    "artist": "Nina Simone",
    "title": "Feeling Good",
    "album": None,
    "year": 1965,
    "genre": None,
    "warnings": [],
    "removed": False,
    "correction": None,
}
TRACKS: dict[str, Any] = {"tracks": [TRACK], "total": 1, "offset": 0, "limit": 50, "corrections": 0}
MATCHES: dict[str, Any] = {"tracks": [{"score": 0.83, **TRACK}]}
RUNS: dict[str, Any] = {
    "runs": [
        {
            "name": "tl-cnn-artist5",
            "kind": "crossval",
            "model": "tl-cnn",
            "dataset": "gtzan",
            "protocol": "artist5",
            "grouped": True,
            "folds": 5,
            "clips": 1000,
            "labels": 10,
            "created": "2026-11-27T00:00:00+00:00",
            "accuracy": {"value": 0.613, "low": 0.563, "high": 0.664},
            "report": True,
            "error": None,
        }
    ]
}
