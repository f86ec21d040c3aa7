"""What a pretrained backbone makes of every clip, computed once: pictures or sound in, one vector a clip out.

The vectors of all layers are kept, so that ``--layer`` can be tried without hearing anything again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.dataset import Dataset
from earmark.errors import AudioError, InputError, MissingExtraError
from earmark.extract import Failure, content_keys, hear_window
from earmark.features import thumbnails
from earmark.progress import Progress, Step, silent
from earmark.sound_front_end import SoundFrontEnd
from earmark.sound_input import fit_sound, sound_input
from earmark.store import ArrayStore
from earmark.workers import in_order

try:
    import torch

    from earmark.models.encoder import Encoder, WindowEncoder
except ImportError as error:
    raise MissingExtraError("A pretrained backbone", "train") from error

# Windows encoded at once; a window of sound is several segments.
_CPU_BATCH, _DEVICE_BATCH = 1, 8
# Raised when another stretch of the same file is heard.
_POLICY = 1


class WindowExtractor:
    """Computes the vectors of all layers for windows, batch by batch.

    Parameters
    ----------
    encoder
        With its weights.
    shape
        See :class:`earmark.models.encoder.WindowEncoder`.
    device
        ``cpu``, ``cuda`` or ``mps``.
    """

    def __init__(self, encoder: Encoder, shape: tuple[int, ...], *, device: str = "cpu") -> None:
        self.batch = _CPU_BATCH if device == "cpu" else _DEVICE_BATCH
        self._device = device
        self._module = WindowEncoder(encoder, shape).to(device).eval()

    def __call__(self, numbers: NDArray[Any]) -> NDArray[np.float32]:
        """(n, *shape) -> float32 (n, rows, size)."""
        out = []
        for first in range(0, len(numbers), self.batch):
            batch = torch.from_numpy(np.ascontiguousarray(numbers[first : first + self.batch])).to(self._device)
            with torch.inference_mode():
                out.append(self._module.summaries(batch).float().cpu().numpy())
        return np.concatenate(out)

    def close(self) -> None:
        """Bring the encoder back to the processor."""
        self._module.to("cpu")


def with_encoder_features(
    dataset: Dataset,
    encoder: Encoder,
    *,
    cache: Path,
    jobs: int = 1,
    device: str = "cpu",
    progress: Progress = silent,
) -> tuple[Dataset, list[Failure]]:
    """The dataset with the backbone's vector of every clip, under ``features[encoder.feature]``.

    Parameters
    ----------
    dataset
        With spectrograms for a backbone that looks, with sound files for one that hears.
    encoder
        Which layer is taken, it says itself; the cache holds all of them.
    cache
        Folder where they are kept, by the content of picture or sound, weights and front end.
    jobs
        Worker processes that decode sound.

    Returns
    -------
    dataset, failures
        The failures are clips whose sound could not be heard; they are left out.

    Raises
    ------
    InputError
        If there is nothing to compute them from.
    """
    if encoder.front_end is None:
        rows = _seen(dataset, encoder, cache, device, progress)
        return _with(dataset, encoder, rows), []
    rows, heard, failures = _heard(dataset, encoder, encoder.front_end, cache, jobs, device, progress)
    return _with(dataset.select(heard) if failures else dataset, encoder, rows), failures


def with_sound(
    dataset: Dataset, front_end: SoundFrontEnd, *, cache: Path, jobs: int = 1, progress: Progress = silent
) -> tuple[Dataset, list[Failure]]:
    """The dataset with what a front end makes of every clip, under ``features[sound_feature(front_end)]``.

    It is what a backbone that hears is fine-tuned on: float32 (n, *front_end.shape), 2 MB a clip of 30 s at 16 kHz,
    memory-mapped from the cache.

    Raises
    ------
    InputError
        If the dataset has no sound files.
    """
    keys = _keys(dataset, jobs, progress)
    folder = cache / "sound" / f"{front_end.key()}-{_POLICY}"
    with ArrayStore(folder, key=front_end.key(), shape=front_end.shape, dtype=np.float32, mode="a") as store:
        missing = _first_of_each(keys, store)
        failures = {}
        for row, heard in _listen(dataset, missing, front_end, jobs, progress):
            if heard.numbers is not None:
                store.add(keys[row], heard.numbers)
            else:
                failures[keys[row]] = heard
        good = [row for row, key in enumerate(keys) if key in store]
        if not good:
            raise _nothing(dataset, failures)
        rows = store.take([keys[row] for row in good])
    left = _failures(dataset, keys, failures)
    heard_set = dataset.select(good) if left else dataset
    return replace(heard_set, features={**heard_set.features, sound_feature(front_end): rows}), left


def sound_feature(front_end: SoundFrontEnd) -> str:
    """What the numbers of a front end are called among a dataset's features."""
    return f"{front_end.kind}-{front_end.key()[:8]}"


@dataclass(frozen=True)
class _Heard:
    numbers: NDArray[np.float32] | None
    problem: str = ""
    message: str = ""


def _with(dataset: Dataset, encoder: Encoder, rows: NDArray[np.float32]) -> Dataset:
    found: NDArray[np.float32] = np.ascontiguousarray(encoder.pick(rows), np.float32)
    pictures = dataset.thumbnails
    if pictures is None and dataset.spectrograms is not None:
        pictures = thumbnails(dataset.spectrograms)
    return replace(dataset, features={**dataset.features, encoder.feature: found}, thumbnails=pictures)


def _store(cache: Path, encoder: Encoder, name: str) -> ArrayStore:
    folder = cache / "encoded" / name
    return ArrayStore(folder, key=name, shape=(encoder.rows, encoder.size), dtype=np.float32, mode="a")


def _seen(dataset: Dataset, encoder: Encoder, cache: Path, device: str, progress: Progress) -> NDArray[np.float32]:
    pictures = dataset.spectrograms
    if pictures is None:
        raise InputError(
            f"{dataset.name} has neither sound nor spectrograms that {encoder.source} could look at; give a folder, "
            "a manifest or an archive."
        )
    shape = (int(pictures.shape[1]), int(pictures.shape[2]))
    keys = [hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest() for row in pictures]
    with _store(cache, encoder, f"{encoder.key()}-{shape[0]}x{shape[1]}") as store:
        missing = _first_of_each(keys, store)
        extract = WindowExtractor(encoder, shape, device=device) if missing else None
        for first in range(0, len(missing), _DEVICE_BATCH):
            rows = missing[first : first + _DEVICE_BATCH]
            assert extract is not None
            for row, vectors in zip(rows, extract(pictures[rows]), strict=True):
                store.add(keys[row], vectors)
            progress(Step("backbone", first + len(rows), len(missing)))
        if extract is not None:
            extract.close()
        return np.array(store.take(keys))


def _heard(
    dataset: Dataset,
    encoder: Encoder,
    front_end: SoundFrontEnd,
    cache: Path,
    jobs: int,
    device: str,
    progress: Progress,
) -> tuple[NDArray[np.float32], list[int], list[Failure]]:
    keys = _keys(dataset, jobs, progress)
    failures: dict[str, _Heard] = {}
    with _store(cache, encoder, f"{encoder.key()}-{_POLICY}") as store:
        missing = _first_of_each(keys, store)
        extract = WindowExtractor(encoder, front_end.shape, device=device) if missing else None
        waiting: list[tuple[str, NDArray[np.float32]]] = []

        def encode() -> None:
            if not waiting:
                return
            assert extract is not None
            numbers = np.stack([numbers for _, numbers in waiting])
            for (key, _), vectors in zip(waiting, extract(numbers), strict=True):
                store.add(key, vectors)
            waiting.clear()

        for row, heard in _listen(dataset, missing, front_end, jobs, progress):
            if heard.numbers is None:
                failures[keys[row]] = heard
                continue
            waiting.append((keys[row], heard.numbers))
            if extract is not None and len(waiting) >= extract.batch:
                encode()
        encode()
        if extract is not None:
            extract.close()
        good = [row for row, key in enumerate(keys) if key in store]
        if not good:
            raise _nothing(dataset, failures)
        return np.array(store.take([keys[row] for row in good])), good, _failures(dataset, keys, failures)


def _keys(dataset: Dataset, jobs: int, progress: Progress) -> list[str]:
    paths = [clip.path for clip in dataset.clips if clip.path is not None]
    if len(paths) < len(dataset):
        raise InputError(
            f"A backbone that hears needs the sound files of {dataset.name}, which names none. Give the folder or "
            "manifest of sound, or choose a backbone that looks at pictures."
        )
    return content_keys(paths, jobs, progress)


def _first_of_each(keys: Sequence[str], store: ArrayStore) -> list[int]:
    """Rows that the store lacks, ascending; the same content once."""
    return sorted({key: row for row, key in enumerate(keys) if key not in store}.values())


def _listen(
    dataset: Dataset, rows: Sequence[int], front_end: SoundFrontEnd, jobs: int, progress: Progress
) -> Iterator[tuple[int, _Heard]]:
    tasks = [(Path(str(dataset.clips[row].path)), front_end) for row in rows]
    for number, (row, heard) in enumerate(zip(rows, in_order(_work, tasks, jobs, _crashed), strict=True), start=1):
        yield row, heard
        progress(Step("hearing", number, len(rows), tasks[number - 1][0].name))


def _work(task: tuple[Path, SoundFrontEnd]) -> _Heard:
    path, front_end = task
    try:
        samples, _ = hear_window(path, front_end.sample_rate, front_end.seconds)
        return _Heard(sound_input(fit_sound(samples, front_end), front_end))
    except AudioError as error:
        return _Heard(None, str(error.problem), str(error))
    except Exception as error:
        # Whatever a library makes of a strange file, it costs this file only.
        return _Heard(None, "unreadable", f"{path} cannot be used ({type(error).__name__}: {error}).")


def _crashed(task: tuple[Path, SoundFrontEnd]) -> _Heard:
    return _Heard(None, "crashed", f"Decoding {task[0]} ended the process that did it. Leave the file out.")


def _failures(dataset: Dataset, keys: Sequence[str], failed: dict[str, _Heard]) -> list[Failure]:
    return [
        Failure(clip.id, Path(str(clip.path)), failed[key].problem, failed[key].message)
        for clip, key in zip(dataset.clips, keys, strict=True)
        if key in failed
    ]


def _nothing(dataset: Dataset, failed: dict[str, _Heard]) -> InputError:
    first = next(iter(failed.values()), None)
    reason = f" The first: {first.message}" if first is not None else ""
    return InputError(f"None of the {len(dataset)} sound files of {dataset.name} can be used.{reason}")
