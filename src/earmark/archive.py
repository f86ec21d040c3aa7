"""A whole dataset in one ``.npz``: clips, groups, spectrograms and what was computed from them.

The members are plain arrays (no pickle), so NumPy alone can open it::

    np.load("my.npz")["spectrograms"]        # (n, bins, columns) uint8
    np.load("my.npz")["ids"], ...["labels"]  # and groups, recordings, artists, titles ("" where not known)

``earmark`` holds a JSON object as bytes: format, name, front end, facts. Nothing is compressed: 8-bit spectrograms
shrink by an eighth only, and without compression they are read through a memory map.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from earmark.dataset import Clip, Dataset
from earmark.errors import InputError, StoreError
from earmark.files import atomic_write
from earmark.front_end import FrontEnd

FORMAT = 1
# What reading a torn or foreign ZIP raises; zipfile answers an unknown compression with the last one.
DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, OSError, NotImplementedError)
_FEATURE = "feature."
_TEXTS = ("ids", "labels", "groups", "recordings", "artists", "titles")
_CHUNK = 1 << 20


def save_archive(dataset: Dataset, path: Path | str) -> Path:
    """Write a dataset with its spectrograms, features and thumbnails as one ``.npz``, atomically.

    Paths of sound files are not kept: an archive is what can be given to somebody else.

    Returns
    -------
    Where it was written.

    Raises
    ------
    InputError
        If the dataset has neither spectrograms nor features, or the place cannot be written.
    """
    path = Path(path)
    if dataset.spectrograms is None and not dataset.features:
        raise InputError(f"{dataset.name} has no spectrograms yet; nothing to put into {path}.")
    info = {
        "format": FORMAT,
        "name": dataset.name,
        "front_end": None if dataset.front_end is None else dataset.front_end.to_dict(),
        "facts": dict(dataset.facts),
    }
    text = json.dumps(info, ensure_ascii=True, sort_keys=True, allow_nan=False)
    members: dict[str, NDArray[Any]] = {"earmark": np.frombuffer(text.encode(), np.uint8)}
    columns = {
        "ids": dataset.ids,
        "labels": [clip.label for clip in dataset.clips],
        "groups": dataset.groups,
        "recordings": [clip.recording or "" for clip in dataset.clips],
        "artists": [clip.artist or "" for clip in dataset.clips],
        "titles": [clip.title or "" for clip in dataset.clips],
    }
    for name, values in columns.items():
        members[name] = np.array(values, dtype=np.str_)
    members.update({_FEATURE + name: np.asarray(rows, np.float32) for name, rows in dataset.features.items()})
    if dataset.thumbnails is not None:
        members["thumbnails"] = np.asarray(dataset.thumbnails, np.uint8)
    if dataset.spectrograms is not None:
        members["spectrograms"] = dataset.spectrograms
    with atomic_write(path) as handle, zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in members.items():
            # A fixed date: the same dataset gives the same bytes.
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            with archive.open(member, "w", force_zip64=True) as out:
                _write_array(out, array)
    return path


def is_archive(path: Path | str) -> bool:
    """Whether a file is an archive made by :func:`save_archive` (of any version)."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "earmark.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def load_archive(path: Path | str, *, check: bool = True) -> Dataset:
    """Read what :func:`save_archive` wrote; the spectrograms stay on the disk, memory-mapped.

    Parameters
    ----------
    path
        The ``.npz``.
    check
        Compare the spectrograms with their checksum, which reads them once (about a second per gigabyte). All
        other parts are always checked.

    Raises
    ------
    InputError
        If there is no such file.
    StoreError
        If it is damaged, was not made by Earmark, or comes from another version.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no archive at {path}.")
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            if "earmark" not in names:
                raise StoreError(f"{path} was not made by earmark data build.")
            info = json.loads(read_member(archive, "earmark").tobytes())
            if not isinstance(info, dict) or info.get("format") != FORMAT:
                made = info.get("format") if isinstance(info, dict) else None
                raise StoreError(f"{path} has format {made}, and this Earmark reads format {FORMAT}. Build it again.")
            texts = {name: _texts(archive, name) for name in _TEXTS}
            if len({len(values) for values in texts.values()}) != 1:
                raise StoreError(f"{path} is damaged: its lists of clips differ in length. Build it again.")
            features = {
                name.removeprefix(_FEATURE): read_member(archive, name)
                for name in sorted(names)
                if name.startswith(_FEATURE)
            }
            thumbnails = read_member(archive, "thumbnails") if "thumbnails" in names else None
            spectrograms = map_member(path, archive, "spectrograms", check) if "spectrograms" in names else None
    except DAMAGE as error:
        raise StoreError(f"{path} is damaged ({error}). Build it again with earmark data build.") from error
    front_end = None if info.get("front_end") is None else FrontEnd.from_dict(info["front_end"])
    if spectrograms is not None and (
        front_end is None or spectrograms.dtype != np.uint8 or spectrograms.shape[1:] != front_end.shape
    ):
        raise StoreError(
            f"{path} is damaged: its spectrograms do not have the shape of their front end. Build it again."
        )
    clips = tuple(
        Clip(id=i, label=lab, group=g or None, recording=r or None, artist=a or None, title=t or None)
        for i, lab, g, r, a, t in zip(*(texts[name] for name in _TEXTS), strict=True)
    )
    try:
        return Dataset(
            name=str(info.get("name", path.stem)),
            clips=clips,
            labels=tuple(sorted({clip.label for clip in clips})),
            spectrograms=spectrograms,
            front_end=front_end,
            features=features,
            thumbnails=thumbnails,
            facts=info.get("facts", {}),
        )
    except InputError as error:
        raise StoreError(f"{path} is damaged ({error}). Build it again with earmark data build.") from error


def read_member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """One array of an open ``.npz`` into memory, checked against its CRC-32; pickles are refused.

    Raises
    ------
    KeyError, ValueError, zipfile.BadZipFile
        If it is not there, not an array, or damaged.
    """
    with archive.open(f"{name}.npy") as member:
        array: NDArray[Any] = npy.read_array(member, allow_pickle=False)
        # Reading to the end is what makes zipfile compare the checksum.
        if member.read(1):
            raise ValueError(f"{name} is longer than its header says")
    return array


def map_member(path: Path, archive: zipfile.ZipFile, name: str, check: bool) -> NDArray[Any]:
    """One array of an open ``.npz``, memory-mapped if it is not compressed, else read."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type != zipfile.ZIP_STORED:
        return read_member(archive, name)
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = reader(stream)
        header = stream.tell()
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if dtype.hasobject or fortran or header + size != member.file_size:
            raise ValueError(f"{name} is not a plain array of the size that its header says")
        if check:
            while stream.read(_CHUNK):
                pass
    with open(path, "rb") as handle:
        # The local header repeats the name and may carry another extra field than the directory says.
        handle.seek(member.header_offset + 26)
        lengths = np.frombuffer(handle.read(4), "<u2")
        start = member.header_offset + 30 + int(lengths.sum()) + header
    if not size:
        return np.empty(shape, dtype)
    return np.memmap(path, dtype=dtype, mode="r", offset=start, shape=shape)


def _texts(archive: zipfile.ZipFile, name: str) -> Sequence[str]:
    array = read_member(archive, name)
    if array.ndim != 1 or array.dtype.kind != "U":
        raise ValueError(f"{name} is not a list of texts")
    values: list[str] = array.tolist()
    return values


def _write_array(out: IO[bytes], array: NDArray[Any]) -> None:
    header = {"descr": npy.dtype_to_descr(array.dtype), "fortran_order": False, "shape": array.shape}
    npy.write_array_header_1_0(out, header)
    # Row by row, so that a memory map larger than the memory passes through.
    rows = max(1, _CHUNK // max(1, array[:1].nbytes))
    for first in range(0, len(array), rows):
        out.write(np.ascontiguousarray(array[first : first + rows]).tobytes())
