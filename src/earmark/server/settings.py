"""What a server is started with, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from earmark.errors import InputError

MEGABYTE = 1_000_000
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to serve.

    Parameters
    ----------
    host, port
        Where to listen; port 0: any that is free.
    bundle
        The model; None: the packaged one.
    catalogue
        The library; None: ``EARMARK_CATALOGUE``, or the one in the platform's data folder.
    runs
        A folder of run folders; None: no runs are shown.
    jobs
        Worker processes.
    token
        What every request must carry; None: nothing.
    max_upload
        Megabytes that one uploaded file may have.
    max_seconds
        Seconds of sound that are decoded of one file at most.
    time_limit
        Seconds that one file may take.
    allow_remote
        Whether `host` may be another than the loopback interface.
    allow_hosts
        Further names under which the server is reached (behind a proxy).
    max_waiting
        Requests with sound that are received, wait or are heard at one time; further ones are refused with 503.
    max_jobs, max_job_files
        Batch jobs that are not done, and files in one of them.
    max_listeners
        Live connections.
    max_memory
        Megabytes by which a worker process may grow while it hears one file.
    upload_seconds
        Seconds without a byte after which an upload is given up.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    bundle: Path | None = None
    catalogue: Path | None = None
    runs: Path | None = None
    jobs: int = 1
    token: str | None = None
    max_upload: float = 200.0
    max_seconds: float = 3600.0
    time_limit: float = 60.0
    allow_remote: bool = False
    allow_hosts: tuple[str, ...] = ()
    max_waiting: int = 32
    max_jobs: int = 8
    max_job_files: int = 500
    max_listeners: int = 8
    max_memory: float = 1500.0
    upload_seconds: float = 20.0

    def __post_init__(self) -> None:
        if self.host not in LOOPBACK and not self.allow_remote:
            raise InputError(
                f"{self.host} can be reached from other machines. If that is what you want, add --allow-remote, and "
                "--token with a secret text, without which everyone there can use this server and its library."
            )
        if self.runs is not None and not self.runs.is_dir():
            raise InputError(f"There is no folder {self.runs} with runs to show.")
        if self.token is not None and (not self.token.isascii() or not self.token.isprintable() or " " in self.token):
            raise InputError("A token is made of letters, digits and signs of ASCII, without blanks.")
        if self.token is not None and len(self.token) < 8:
            raise InputError("A token of fewer than 8 characters is soon guessed; take a longer one.")

    @property
    def upload_bytes(self) -> int:
        """Bytes that one uploaded file may have."""
        return round(self.max_upload * MEGABYTE)

    @property
    def spool_bytes(self) -> int:
        """Bytes that all uploads on disk may have together."""
        return max(20 * self.upload_bytes, 4000 * MEGABYTE)
