"""From clips to spectrograms: in worker processes, kept by content, resumable, one bad file costing one file.

A spectrogram is kept under the SHA-256 of its file's bytes in a store of its front end, so moving or renaming files
costs nothing, a changed file is computed again, and a run that was killed goes on where it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark import files
from earmark.dataset import Dataset, with_notes
from earmark.errors import AudioError, InputError
from earmark.front_end import FrontEnd
from earmark.groups import assign_groups
from earmark.progress import Progress, Step, silent
from earmark.spectrogram import fit_window, spectrogram
from earmark.store import ArrayStore, cache_folder
from earmark.workers import in_order

LEAST_SECONDS = 1.0
"""Sound shorter than this is left out."""
# Raised when another stretch of the same file is looked at.
_POLICY = 1


@dataclass(frozen=True)
class Failure:
    """A clip that was left out.

    Parameters
    ----------
    clip
        Its id.
    path
        Its file.
    problem
        One of :class:`earmark.audio.Problem`, or ``"crashed"`` where decoding ended the process.
    message
        One sentence for a person.
    """

    clip: str
    path: Path
    problem: str
    message: str


@dataclass(frozen=True)
class _Heard:
    """What a worker has made of a file: a spectrogram and notes, or a problem and a sentence."""

    spectrogram: NDArray[np.uint8] | None
    meta: dict[str, Any]
    problem: str = ""
    message: str = ""


def extract(
    dataset: Dataset,
    front_end: FrontEnd,
    *,
    cache: Path | str | None = None,
    jobs: int = 1,
    repeats: bool = True,
    progress: Progress = silent,
) -> tuple[Dataset, list[Failure]]:
    """Compute, or fetch from the cache, the spectrogram of every clip.

    Of a file longer than two windows the one in its middle is taken, of others the first; shorter sound is repeated
    (:func:`earmark.spectrogram.fit_window`). Left out is what cannot be decoded, is silent, is shorter than a
    second, or is so truncated or damaged that less than half a window is left.

    Parameters
    ----------
    dataset
        Clips with paths. One that already has spectrograms of this front end comes back as it is.
    front_end
        What to compute.
    cache
        Folder of the stores; None: :func:`earmark.store.cache_folder`.
    jobs
        Worker processes; 1 computes in this one. (Called from a script with more, the script needs the usual
        ``if __name__ == "__main__":``.)
    repeats
        Also find clips that share a recording and put them into one group.
    progress
        Told of files read, spectrograms made and clips compared.

    Returns
    -------
    (dataset, failures)
        The clips that worked, in order, with ``spectrograms`` (a memory map into the cache where the rows lie
        together, else a copy); and those that did not. ``facts["left_out"]`` lists the latter as well,
        ``facts["flawed"]`` the problems of clips that are used all the same, ``facts["seconds"]`` the sound decoded.

    Raises
    ------
    InputError
        If a clip has no file, no clip worked, or the cache cannot be written.
    StoreError
        If the cache is damaged, or another process is writing it.
    """
    if dataset.spectrograms is not None and dataset.front_end == front_end:
        return dataset, []
    paths = [clip.path for clip in dataset.clips if clip.path is not None]
    if len(paths) < len(dataset):
        raise InputError(
            f"{dataset.name} has no sound files to compute spectrograms from"
            + (", and its spectrograms were made by another front end." if dataset.spectrograms is not None else ".")
        )
    root = Path(cache) if cache is not None else cache_folder()
    folder = root / "spectrograms" / f"{front_end.key()}-{_POLICY}"
    keys = content_keys(paths, jobs, progress)
    # One content is looked at once, under the last of its names.
    looked_at = dict(zip(keys, paths, strict=True))
    failed = _fill(folder, front_end, looked_at, jobs, progress)
    store = _store(folder, front_end, "r") if folder.exists() else None
    good = [row for row, key in enumerate(keys) if store is not None and key in store]
    failures = [
        Failure(clip.id, path, failed[key].problem, failed[key].message.replace(str(looked_at[key]), str(path)))
        for clip, path, key in zip(dataset.clips, paths, keys, strict=True)
        if key in failed
    ]
    if store is None or not good:
        reason = f" The first: {failures[0].message}" if failures else ""
        raise InputError(f"None of the {len(dataset)} sound files of {dataset.name} can be used.{reason}")
    used = [keys[row] for row in good]
    clips = tuple(dataset.clips[row] for row in good)
    metas = [store.meta(key) for key in used]
    facts = {
        **dataset.facts,
        "left_out": [{"clip": f.clip, "problem": f.problem, "message": f.message} for f in failures],
        "flawed": {c.id: m["problems"] for c, m in zip(clips, metas, strict=True) if m["problems"]},
        "seconds": round(float(sum(m["seconds"] for m in metas)), 3),
    }
    heard = replace(
        dataset,
        clips=clips,
        labels=tuple(sorted({clip.label for clip in clips})),
        spectrograms=store.take(used),
        front_end=front_end,
        features={},
        thumbnails=None,
        facts=facts,
    )
    if repeats:
        heard = with_repeats(heard, cache=root, keys=used, progress=progress)
    return with_notes(heard), failures


def with_repeats(
    dataset: Dataset, *, cache: Path | str | None = None, keys: Sequence[str] = (), progress: Progress = silent
) -> Dataset:
    """Put clips that share a recording, as far as their spectrograms tell, into one group.

    Parameters
    ----------
    dataset
        With spectrograms.
    cache, keys
        Where to keep the result, and what stands for each spectrogram's content; without keys nothing is kept.

    Returns
    -------
    The dataset with groups and recordings joined, and ``facts["repeats"]``: the ids (``first``, ``second``) and
    numbers of :class:`earmark.recordings.Repeat`, a dictionary for each pair.
    A front end too short or coarse to tell recordings apart leaves all as it was.
    """
    from earmark import recordings

    if dataset.spectrograms is None or dataset.front_end is None or not recordings.can_compare(dataset.front_end):
        return dataset
    kept: Path | None = None
    if keys:
        settings = [recordings.VERSION, dataset.front_end.key(), *keys]
        name = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:16]
        kept = (Path(cache) if cache is not None else cache_folder()) / "repeats" / f"{name}.json"
    found: list[recordings.Repeat] | None = None
    if kept is not None and kept.is_file():
        with contextlib.suppress(ValueError, TypeError, OSError):
            found = [recordings.Repeat(**one) for one in json.loads(kept.read_text("utf-8"))]
    if found is None:
        found = recordings.find_repeats(dataset.spectrograms, dataset.front_end, progress=progress)
        if kept is not None:
            files.write_json(kept, [asdict(one) for one in found])
    ids = dataset.ids
    repeats = [
        {
            "first": ids[one.first],
            "second": ids[one.second],
            "score": round(one.score, 4),
            "offset": round(one.offset, 2),
            "overlap": round(one.overlap, 2),
            "speed": one.speed,
        }
        for one in found
    ]
    clips = assign_groups(dataset.clips, [(ids[one.first], ids[one.second]) for one in found])
    return replace(dataset, clips=clips, facts={**dataset.facts, "repeats": repeats})


def listen(path: Path, front_end: FrontEnd) -> tuple[NDArray[np.uint8], dict[str, Any]]:
    """The spectrogram of one file's window, and ``{"seconds": ..., "start": ..., "problems": [...]}``.

    Raises
    ------
    AudioError
        If the file cannot be used (see :func:`extract`).
    """
    samples, notes = hear_window(path, front_end.sample_rate, front_end.seconds)
    return spectrogram(fit_window(samples, front_end), front_end), notes


def hear_window(path: Path, sample_rate: int, window: float) -> tuple[NDArray[np.float32], dict[str, Any]]:
    """The stretch of a file that a clip stands for, at most `window` seconds, and notes; see :func:`listen`."""
    from earmark.audio import Problem, Recording, printable

    with Recording(path) as recording:
        declared = recording.info.seconds
        start = (declared - window) / 2 if declared is not None and declared >= 2 * window else 0.0
        try:
            sound = recording.load(sample_rate, start=start, seconds=window)
        except AudioError as error:
            if start == 0 or error.problem != Problem.TOO_SHORT:
                raise
            # The file promised more than it holds.
            start = 0.0
            sound = recording.load(sample_rate, start=start, seconds=window)
    if sound.decoded < LEAST_SECONDS:
        raise AudioError(
            f"{printable(path)} holds {sound.decoded:.2f} s of sound; a clip needs at least {LEAST_SECONDS:g} s.",
            Problem.TOO_SHORT,
        )
    ruined = {Problem.TRUNCATED, Problem.DAMAGED}.intersection(sound.problems)
    if ruined and sound.decoded < window / 2:
        problem = min(ruined)
        raise AudioError(
            f"{printable(path)} is {problem}: {sound.decoded:.1f} s can be decoded, and less than half of the "
            f"{window:g} s that are looked at is too little. Get it again.",
            problem,
        )
    if not np.any(sound.samples):
        raise AudioError(f"{printable(path)} is silent in the {window:g} s that are looked at.", Problem.SILENT)
    notes = {
        "seconds": round(sound.decoded, 3),
        "start": round(start, 3),
        # What is wrong with the name is not kept: the same content may bear another.
        "problems": [str(problem) for problem in sound.problems if problem is not Problem.WRONG_SUFFIX],
    }
    return sound.samples, notes


def _store(folder: Path, front_end: FrontEnd, mode: Any) -> ArrayStore:
    return ArrayStore(folder, key=front_end.key(), shape=front_end.shape, dtype=np.uint8, mode=mode)


def content_keys(paths: Sequence[Path], jobs: int, progress: Progress) -> list[str]:
    """The SHA-256 of each file; for what cannot be read something that no content has."""

    def key(path: Path) -> str:
        try:
            return files.sha256(path) if path.is_file() else f"unreadable:{path}"
        except OSError:
            return f"unreadable:{path}"

    found = []
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        for number, value in enumerate(pool.map(key, paths), start=1):
            found.append(value)
            progress(Step("reading files", number, len(paths)))
    return found


def _fill(
    folder: Path, front_end: FrontEnd, wanted: dict[str, Path], jobs: int, progress: Progress
) -> dict[str, _Heard]:
    """Add what the store lacks; the answer holds what failed, by key."""
    present = set(_store(folder, front_end, "r").keys()) if (folder / "store.json").exists() else set()
    missing = [(key, path) for key, path in wanted.items() if key not in present]
    if not missing:
        return {}
    failed: dict[str, _Heard] = {}
    with _store(folder, front_end, "a") as store:
        # Another process may have added some since.
        missing = [(key, path) for key, path in missing if key not in store]
        tasks = [(path, front_end) for _, path in missing]
        done = len(wanted) - len(missing)
        for (key, path), heard in zip(missing, in_order(_work, tasks, jobs, _crashed), strict=True):
            if heard.spectrogram is not None:
                store.add(key, heard.spectrogram, heard.meta)
            else:
                failed[key] = heard
            done += 1
            progress(Step("making spectrograms", done, len(wanted), path.name))
    return failed


def _work(task: tuple[Path, FrontEnd]) -> _Heard:
    path, front_end = task
    try:
        made, notes = listen(path, front_end)
    except AudioError as error:
        return _Heard(None, {}, str(error.problem), str(error))
    except Exception as error:
        # Whatever a library makes of a strange file, it costs this file only.
        return _Heard(None, {}, "unreadable", f"{path} cannot be used ({type(error).__name__}: {error}).")
    return _Heard(made, notes)


def _crashed(task: tuple[Path, FrontEnd]) -> _Heard:
    return _Heard(None, {}, "crashed", f"Decoding {task[0]} ended the process that did it. Leave the file out.")
