"""Where datasets come from: a folder per genre, a CSV manifest, an ``.npz``.

:func:`earmark.dataset.load_dataset` chooses among these.
"""

from __future__ import annotations

import csv
import io
import os
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from earmark.dataset import Clip, Dataset, gtzan_groups, make_dataset, with_notes
from earmark.errors import AudioError, InputError, StoreError
from earmark.front_end import MEL
from earmark.gtzan.facts import is_gtzan_id

_COLUMNS = ("path", "label", "group", "artist", "title", "id")
_NEEDED = ("path", "label")


def load_folder(root: Path) -> Dataset:
    """A folder with a folder of sound files per genre.

    The label is the name of the first folder under the root; below it any depth will do. Where the root holds nothing
    but one folder, and that one the genres (``genres_original/``), it counts as the root, at any depth, and
    ``facts["root"]`` says so.
    Hidden files and folders are passed over; sound files beside the genre folders have no label and are left out,
    which ``facts["unlabelled"]`` lists.

    A clip's id is its path under the root without suffix (with it, where two files differ in nothing else);
    GTZAN's own files keep GTZAN's ids, and get the artists that the package knows. Otherwise artist and title are
    the files' own tags.

    Raises
    ------
    InputError
        If there is no sound file, or none in a genre folder.
    """
    from earmark.audio import find_audio

    top = root
    files = [path for path in find_audio(root) if not _hidden(path, root)]
    if not files:
        raise InputError(
            f"There are no sound files in {root}. A dataset is a folder with a folder of sound files per genre."
        )
    root = _genre_root(files, root)
    unlabelled = [path for path in files if path.parent == root]
    labelled = [path for path in files if path.parent != root]
    if not labelled:
        raise InputError(
            f"The {len(files)} sound files in {root} have no labels: they lie beside each other. "
            "Put each into a folder named after its genre, or write a CSV manifest with the columns path and label."
        )
    clips = [
        Clip(id=name, label=_printable(path.relative_to(root).parts[0]), path=path)
        for path, name in zip(labelled, _ids(labelled, root), strict=True)
    ]
    facts: dict[str, Any] = {"kind": "folder", "source": str(top)}
    if root != top:
        facts["root"] = str(root)
    if unlabelled:
        facts["unlabelled"] = [_printable(str(path.relative_to(top))) for path in unlabelled]
    return _finish(_printable(top.resolve().name) or "dataset", clips, facts)


def _genre_root(files: Sequence[Path], root: Path) -> Path:
    """Where the genre folders lie: the root, or further down if nothing but single folders comes before them."""
    place = root
    while True:
        inside = {path.relative_to(place).parts[0] for path in files}
        if any(path.parent == place for path in files):
            # A single folder of files is a genre, not a wrapper of one.
            return root
        if len(inside) > 1:
            return place
        place = place / inside.pop()


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _printable(name: str) -> str:
    """A file's name as text that can be written anywhere: one form of accents, foreign bytes escaped."""
    text = os.fsencode(name).decode("utf-8", "backslashreplace") if os.sep == "/" else name
    return unicodedata.normalize("NFC", text)


def _ids(files: Sequence[Path], root: Path) -> list[str]:
    long = [PurePosixPath(_printable(path.relative_to(root).as_posix())) for path in files]
    short = [
        name.stem if is_gtzan_id(name.stem) and name.parts[0].casefold() == name.stem.partition(".")[0] else None
        for name in long
    ]
    ids = [gtzan or str(name.with_suffix("")) for gtzan, name in zip(short, long, strict=True)]
    times = Counter(ids)
    return [str(name) if times[chosen] > 1 else chosen for chosen, name in zip(ids, long, strict=True)]


def load_manifest(path: Path) -> Dataset:
    """A CSV file with a line per clip.

    Columns, in any order: ``path`` (relative to the CSV file, or absolute) and ``label``; if wanted ``group``
    (clips that must stay together), ``artist``, ``title``, ``id``. Comma, semicolon or tab. A file that is not
    there is not an error here, since one bad file must not cost the rest; that all are missing is.

    Raises
    ------
    InputError
        If a line or the header is not understood (with its line number), an id occurs twice, or no file exists.
    """
    rows = _read_table(path, _COLUMNS, _NEEDED)
    lines, files = [line for line, _ in rows], [_find(row["path"], path.parent) for _, row in rows]
    if not any(file.exists() for file in files):
        raise InputError(
            f"None of the {len(files)} files that {path} names exists, the first being {files[0]}. "
            "Paths in a manifest are relative to the manifest's own folder."
        )
    given = [unicodedata.normalize("NFC", row.get("id") or "") for _, row in rows]
    made = _manifest_ids([row["path"] for _, row in rows])
    clips, seen = [], dict[str, int]()
    for number, (line, row) in enumerate(rows):
        name = given[number] or made[number]
        if name in seen:
            raise InputError(f"{path}, line {line}: the clip {name!r} stands in line {seen[name]} already.")
        seen[name] = line
        clips.append(
            Clip(
                id=name,
                label=row["label"],
                group=row.get("group") or None,
                path=files[number],
                artist=row.get("artist") or None,
                title=row.get("title") or None,
            )
        )
    facts: dict[str, Any] = {"kind": "manifest", "source": str(path)}
    missing = [line for line, file in zip(lines, files, strict=True) if not file.exists()]
    if missing:
        facts["remarks"] = [f"{len(missing)} of {len(files)} files are missing, the first in line {missing[0]}."]
    return _finish(path.stem, clips, facts)


def _manifest_ids(paths: Sequence[str]) -> list[str]:
    long = [PurePosixPath(unicodedata.normalize("NFC", PureWindowsPath(name).as_posix())) for name in paths]
    short = [name.stem if is_gtzan_id(name.stem) else str(name.with_suffix("")) for name in long]
    times = Counter(short)
    # A line that repeats another's path keeps its id and is refused later, with its number.
    whole = {chosen: len({str(name) for name, s in zip(long, short, strict=True) if s == chosen}) for chosen in times}
    return [str(name) if whole[chosen] > 1 else chosen for chosen, name in zip(short, long, strict=True)]


def _find(name: str, folder: Path) -> Path:
    path = folder / Path(name).expanduser()
    if not path.exists() and "\\" in name and os.sep == "/":
        return folder / PureWindowsPath(name).as_posix()
    return path


def _read_table(path: Path, known: Sequence[str], needed: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """The rows of a CSV file with their line numbers, blank lines skipped, cells stripped."""
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text (byte {error.start}). Save it as CSV in UTF-8.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from error
    first = text.split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    rows: list[tuple[int, dict[str, str]]] = []
    header: list[str] | None = None
    try:
        for cells in reader:
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = [cell.casefold() for cell in cells]
                _check_header(path, header, known, needed)
                continue
            line = reader.line_num
            if len(cells) != len(header):
                raise InputError(
                    f"{path}, line {line}: {len(cells)} cells where the header has {len(header)}. "
                    'Put text that contains the separator into "quotes".'
                )
            row = dict(zip(header, cells, strict=True))
            empty = next((name for name in needed if not row[name]), None)
            if empty is not None:
                raise InputError(f"{path}, line {line}: the {empty} is empty.")
            rows.append((line, row))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: this is not CSV ({error}).") from error
    if header is None or not rows:
        raise InputError(f"{path} has no lines. It needs a header ({','.join(needed)}) and a line per clip.")
    return rows


def _check_header(path: Path, header: Sequence[str], known: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in header]
    if missing:
        raise InputError(
            f"{path}, line 1: no column {' and no column '.join(missing)}. "
            f"A manifest begins with a header: {','.join(needed)}, then if wanted {', '.join(known[len(needed) :])}."
        )
    odd = [name for name in header if name not in known]
    if odd or len(set(header)) != len(header):
        word = odd[0] if odd else next(name for name in header if header.count(name) > 1)
        what = "unknown column" if odd else "the column occurs twice:"
        raise InputError(f"{path}, line 1: {what} {word!r}. The columns are {', '.join(known)}.")


def load_npz(path: Path) -> Dataset:
    """An archive made by ``earmark data build``, or spectrograms in the layout of ``gtzan/mel.npz``.

    That layout has ``mel`` (n, 128, 387) uint8, ``ids`` (n,) and ``frames`` (387,). A label is the id up to its
    first dot, unless an ``index.csv`` beside it says otherwise (columns ``id``, ``genre`` or ``label``, ``artist``,
    ``title``); what the package knows of GTZAN's clips is added.

    Raises
    ------
    StoreError
        If it is damaged.
    InputError
        If it is an ``.npz`` of some other kind, or its clips have no labels.
    """
    from earmark.archive import DAMAGE, is_archive, load_archive, read_member

    if is_archive(path):
        return load_archive(path)
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            if not {"mel", "ids"} <= names:
                raise InputError(
                    f"{path} is not a dataset: it holds {', '.join(sorted(names)[:6]) or 'nothing'}. Earmark "
                    "reads the archives that earmark data build writes, and files with the arrays mel and ids."
                )
            mel, ids = read_member(archive, "mel"), read_member(archive, "ids")
            frames = read_member(archive, "frames") if "frames" in names else None
    except DAMAGE as error:
        raise StoreError(f"{path} is damaged or not an .npz file ({error}).") from error
    expected = f"(n, {MEL.shape[0]}, {MEL.shape[1]})"
    if mel.dtype != np.uint8 or mel.ndim != 3 or mel.shape[1:] != MEL.shape or len(mel) != len(ids):
        raise InputError(f"{path}: mel must be uint8 of shape {expected}, not {mel.dtype} of shape {mel.shape}.")
    if frames is not None and not np.array_equal(frames, MEL.frames):
        raise InputError(f"{path}: its time columns are other frames than those of Earmark's mel front end.")
    clips = _npz_clips(path, [str(name) for name in ids.tolist()])
    order = sorted(range(len(clips)), key=lambda row: clips[row].id)
    rows = mel if order == list(range(len(clips))) else mel[order]
    kind = "gtzan" if all(is_gtzan_id(clip.id) for clip in clips) else "archive"
    facts = {"kind": kind, "source": str(path)}
    return _finish(path.stem if kind != "gtzan" else "GTZAN", clips, facts, spectrograms=rows, front_end=MEL)


def _npz_clips(path: Path, ids: Sequence[str]) -> list[Clip]:
    index = path.parent / "index.csv"
    table: dict[str, dict[str, str]] = {}
    if index.is_file():
        known = ("id", "genre", "label", "artist", "title", "group", "fault_filtered")
        table = {row["id"]: row for _, row in _read_table(index, known, ("id",))}
    clips = []
    for name in ids:
        row = table.get(name, {})
        label = row.get("label") or row.get("genre") or name.partition(".")[0]
        if not label or (label == name and not row):
            raise InputError(
                f"{path}: the clip {name!r} has no label. Labels are the ids up to the first dot, "
                "or stand in an index.csv beside the file (columns id and label)."
            )
        artist, title, group = (row.get(key) or None for key in ("artist", "title", "group"))
        clips.append(Clip(id=name, label=label, group=group, artist=artist, title=title))
    return clips


def _finish(name: str, clips: Iterable[Clip], facts: dict[str, Any], **arrays: Any) -> Dataset:
    """Artists, groups and the sentences about them: what every source ends with."""
    clips = list(clips)
    tagged = 0
    for number, clip in enumerate(clips):
        if clip.path is not None and clip.artist is None and clip.group is None and not is_gtzan_id(clip.id):
            artist, title = read_tags(clip.path)
            tagged += artist is not None
            clips[number] = replace(clip, artist=artist, title=clip.title or title)
    if tagged:
        remarks = [
            *facts.get("remarks", ()),
            f"{tagged} of {len(clips)} clips have their artist from their own tags.",
        ]
        facts = {**facts, "remarks": remarks}
    return with_notes(make_dataset(name, gtzan_groups(clips), facts=facts, **arrays))


def read_tags(path: Path) -> tuple[str | None, str | None]:
    """Artist and title as the file's own tags say, None where they do not (about half a millisecond)."""
    from earmark.audio.opening import open_regular
    from earmark.audio.pyav import read_tags as tags_of

    try:
        with open_regular(path, str(path)) as file:
            tags = {key.casefold(): value for key, value in tags_of(file).items()}
    except AudioError:
        # Whatever is wrong with the file is found and said where it is decoded.
        return None, None
    artist = (tags.get("artist") or tags.get("album_artist") or "").strip()
    return artist or None, (tags.get("title") or "").strip() or None
