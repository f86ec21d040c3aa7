"""What can be asked of a sound: the options of `earmark classify` under the same names."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from earmark.library.worker import DEFAULT_WINDOWS, Outcome, Task, windows_to_hear
from earmark.library.writers import unpacked


class HearOptions(BaseModel):
    """Query options of everything that hears."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    windows: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description=f"How many windows to hear, spread over the track. Default: {DEFAULT_WINDOWS}.",
    )
    full: bool = Field(False, description="Hear all of the track.")
    start: float = Field(0.0, ge=0, le=1e6, description="Hear only from here on, in seconds.")
    seconds: float | None = Field(None, gt=0, le=1e6, description="Hear only so many seconds.")
    top_k: int | None = Field(None, ge=1, le=10_000, description="How many genres to give. Default: all.")
    timeline: bool = Field(
        False, description="Give the genres over time; hears all of the track unless windows says otherwise."
    )
    music: bool = Field(
        True, description="Measure tempo, key and loudness; without, it takes a tenth less time and they are null."
    )
    embedding: bool = Field(False, description="Give the embedding.")
    spectrogram: bool = Field(
        False, description="Give the spectrogram of the stretch as a PNG (data address), up to 1500 columns wide."
    )

    def task(self, path: str, *, longest: float) -> Task:
        """What a worker has to do."""
        return Task(
            path,
            windows_to_hear(self.windows, full=self.full, timeline=self.timeline),
            stretch=(self.start, self.seconds),
            longest=longest,
            picture=self.spectrogram,
            music=self.music,
        )

    def row(self, outcome: Outcome, *, name: str, bundle: str) -> dict[str, Any]:
        """The answer: what `earmark classify --format json` writes, and what else was asked for."""
        row = dict(outcome.row or {})
        row["path"] = name
        row["probabilities"] = dict(list(row["probabilities"].items())[: self.top_k])
        if not self.timeline:
            row.pop("timeline", None)
        row["bundle"] = bundle
        if self.embedding:
            row["embedding"] = unpacked(outcome)
        if self.spectrogram and outcome.picture is not None:
            row["spectrogram"] = outcome.picture.to_dict()
        return row
