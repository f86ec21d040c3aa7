"""Datasets: where they come from, how clips are grouped, and what is said about sources that will not do."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
import unicodedata
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.archive import load_archive, save_archive
from earmark.dataset import Clip, Dataset, gtzan_clips, load_dataset, make_dataset
from earmark.errors import InputError, StoreError
from earmark.front_end import MEL, FrontEnd
from earmark.groups import artist_key, assign_groups
from earmark.gtzan import facts

SMALL = FrontEnd(seconds=1.0, frame_step=1.0, frame_offset=0.0, n_mels=16)


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"RIFF")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return path


# --- folders -----------------------------------------------------------------------------------------------------


def test_the_first_folder_is_the_label_whatever_the_depth_and_case(tmp_path: Path) -> None:
    touch(tmp_path / "Rock" / "a.wav", tmp_path / "Rock" / "x" / "y" / "b.MP3", tmp_path / "hip hop" / "c.FlAc")
    touch(tmp_path / "Rock" / "cover.jpg", tmp_path / "Rock" / ".hidden.wav", tmp_path / ".trash" / "d.wav")
    dataset = load_dataset(tmp_path)
    assert [(clip.id, clip.label) for clip in dataset.clips] == [
        ("Rock/a", "Rock"),
        ("Rock/x/y/b", "Rock"),
        ("hip hop/c", "hip hop"),
    ]
    assert dataset.labels == ("Rock", "hip hop") and dataset.targets.tolist() == [0, 0, 1]
    assert all(clip.path is not None and clip.path.exists() for clip in dataset.clips)
    assert dataset.facts["kind"] == "folder"


def test_wrapping_folders_are_looked_through(tmp_path: Path) -> None:
    touch(
        tmp_path / "Data" / "genres_original" / "jazz" / "a.wav",
        tmp_path / "Data" / "genres_original" / "pop" / "b.wav",
    )
    touch(tmp_path / "Data" / "images" / "jazz.png")
    dataset = load_dataset(tmp_path)
    assert dataset.ids == ("jazz/a", "pop/b")
    assert dataset.facts["root"] == str(tmp_path / "Data" / "genres_original")


def test_a_single_genre_is_no_wrapper(tmp_path: Path) -> None:
    touch(tmp_path / "jazz" / "a.wav", tmp_path / "jazz" / "b.wav")
    dataset = load_dataset(tmp_path)
    assert dataset.labels == ("jazz",) and any("at least 2 genres" in note for note in dataset.facts["notes"])


def test_files_without_a_genre_folder_are_left_out_and_listed(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav", tmp_path / "jazz" / "b.wav", tmp_path / "pop" / "c.wav")
    dataset = load_dataset(tmp_path)
    assert dataset.ids == ("jazz/b", "pop/c") and dataset.facts["unlabelled"] == ["a.wav"]


def test_names_that_differ_only_by_suffix_keep_it(tmp_path: Path) -> None:
    touch(tmp_path / "pop" / "a.wav", tmp_path / "pop" / "a.mp3", tmp_path / "rock" / "a.wav")
    assert load_dataset(tmp_path).ids == ("pop/a.mp3", "pop/a.wav", "rock/a")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names must be Unicode there")
def test_ids_are_the_same_on_every_machine_and_always_printable(tmp_path: Path) -> None:
    touch(tmp_path / "pop" / unicodedata.normalize("NFD", "é.wav"), tmp_path / "rock" / os.fsdecode(b"\xff.wav"))
    ids = load_dataset(tmp_path).ids
    assert ids == ("pop/é", "rock/\\xff")
    "".join(ids).encode("utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_loops_of_links_end(tmp_path: Path) -> None:
    touch(tmp_path / "pop" / "a.wav", tmp_path / "rock" / "b.wav")
    (tmp_path / "pop" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert load_dataset(tmp_path).ids == ("pop/a", "rock/b")


def test_a_gtzan_folder_gets_ids_artists_and_repeats_from_the_package(tmp_path: Path) -> None:
    names = ("blues.00000.wav", "blues.00001.au", "metal.00058.wav", "rock.00016.wav", "rock.00001.wav")
    touch(*(tmp_path / "genres" / name.split(".")[0] / name for name in names))
    dataset = load_dataset(tmp_path)
    assert dataset.ids == ("blues.00000", "blues.00001", "metal.00058", "rock.00001", "rock.00016")
    assert dataset.is_gtzan
    clips = dict(zip(dataset.ids, dataset.clips, strict=True))
    assert clips["blues.00000"].artist == "John Lee Hooker"
    assert clips["blues.00000"].group == clips["blues.00001"].group == "artist:john lee hooker"
    assert dataset.recording_of(clips["metal.00058"]) == dataset.recording_of(clips["rock.00016"])
    assert dataset.recording_of(clips["rock.00001"]) == "rock.00001"


def test_artists_come_from_the_files_own_tags(tmp_path: Path) -> None:
    for number, artist in enumerate(["The Beatles", "Beatles, The", "Nina Simone", ""]):
        path = tmp_path / ("pop" if number < 2 else "jazz") / f"{number}.flac"
        path.parent.mkdir(exist_ok=True)
        with soundfile.SoundFile(path, "w", 8000, 1, format="FLAC") as file:
            if artist:
                file.artist, file.title = artist, f"Song {number}"
            file.write(np.zeros(800))
    dataset = load_dataset(tmp_path)
    groups = dict(zip(dataset.ids, dataset.groups, strict=True))
    assert groups == {
        "jazz/2": "artist:nina simone",
        "jazz/3": "clip:jazz/3",
        "pop/0": "artist:beatles",
        "pop/1": "artist:beatles",
    }
    assert dataset.clips[2].title == "Song 0" and dataset.facts["without_artist"] == 1


def test_folders_that_will_not_do_are_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dataset at"):
        load_dataset(tmp_path / "none")
    with pytest.raises(InputError, match="empty"):
        load_dataset("")
    with pytest.raises(InputError, match="no sound files"):
        load_dataset(tmp_path)
    touch(tmp_path / "a.wav", tmp_path / "b.wav")
    with pytest.raises(InputError, match="have no labels"):
        load_dataset(tmp_path)
    with pytest.raises(InputError, match="neither a folder"):
        load_dataset(tmp_path / "a.wav")


def test_a_genre_with_one_clip_is_noted(tmp_path: Path) -> None:
    touch(tmp_path / "pop" / "a.wav", tmp_path / "rock" / "b.wav", tmp_path / "rock" / "c.wav")
    assert any("One clip only: 'pop'" in note for note in load_dataset(tmp_path).facts["notes"])


# --- manifests ---------------------------------------------------------------------------------------------------


def test_a_manifest_with_all_columns(tmp_path: Path) -> None:
    touch(tmp_path / "music" / "a.wav", tmp_path / "music" / "b.wav", tmp_path / "music" / "c.wav")
    text = (
        "\ufefflabel,path,artist,group,title,id\r\n"
        'rock,music/a.wav,"Simon, Paul",,One,first\r\n'
        "\r\n"
        "jazz,music/b.wav,Someone,album 1,Two,\r\n"
        f"jazz,{tmp_path / 'music' / 'c.wav'},,,,\r\n"
    )
    dataset = load_dataset(write(tmp_path / "list.csv", text))
    absolute = (tmp_path / "music" / "c").as_posix()
    clips = dict(zip(dataset.ids, dataset.clips, strict=True))
    assert set(clips) == {"first", "music/b", absolute}
    assert clips["first"].artist == "Simon, Paul" and clips["first"].group == "artist:simon paul"
    assert clips["music/b"].group == "album 1" and clips["music/b"].path == tmp_path / "music" / "b.wav"
    assert clips[absolute].group == f"clip:{absolute}"


def test_semicolons_tabs_and_windows_paths(tmp_path: Path) -> None:
    touch(tmp_path / "m" / "a.wav", tmp_path / "m" / "b.wav")
    for separator in (";", "\t"):
        rows = ["path;label", "m\\a.wav;pop", "m/b.wav;rock"]
        dataset = load_dataset(write(tmp_path / "x.csv", "\n".join(rows).replace(";", separator)))
        assert dataset.ids == ("m/a", "m/b") and dataset.labels == ("pop", "rock")
        assert dataset.clips[0].path is not None and dataset.clips[0].path.exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("path,label\nm/a.wav\n", "line 2: 1 cells where the header has 2"),
        ("path,label\nm/a.wav,pop\nm/b.wav,\n", "line 3: the label is empty"),
        ("path,label\nm/a.wav,pop\n\nm/a.wav,rock\n", "line 4: the clip 'm/a' stands in line 2 already"),
        ("path,label,id\nm/a.wav,pop,x\nm/b.wav,pop,x\n", "line 3: the clip 'x' stands in line 2 already"),
        ("path,label,genre\nm/a.wav,pop,1\n", "line 1: unknown column 'genre'"),
        ("path,label,label\nm/a.wav,pop,pop\n", "the column occurs twice"),
        ("path\nm/a.wav\n", "line 1: no column label"),
        ("m/a.wav,pop\n", "no column path and no column label"),
        ("path,label\n", "has no lines"),
        ("", "has no lines"),
        ('path,label\n"m/a.wav,pop\n', "this is not CSV"),
        ("path,label\nnowhere/a.wav,pop\n", "None of the 1 files"),
    ],
)
def test_a_bad_manifest_gets_a_sentence_with_the_line(tmp_path: Path, text: str, sentence: str) -> None:
    touch(tmp_path / "m" / "a.wav", tmp_path / "m" / "b.wav")
    with pytest.raises(InputError) as caught:
        load_dataset(write(tmp_path / "list.csv", text))
    assert sentence in str(caught.value) and str(tmp_path / "list.csv") in str(caught.value)


def test_a_manifest_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"path,label\n\xe9.wav,pop\n")
    with pytest.raises(InputError, match="not UTF-8"):
        load_dataset(tmp_path / "list.csv")


def test_one_missing_file_is_noted_not_refused(tmp_path: Path) -> None:
    touch(tmp_path / "a.wav")
    dataset = load_dataset(write(tmp_path / "list.csv", "path,label\na.wav,pop\nb.wav,rock\n"))
    assert len(dataset) == 2 and "1 of 2 files are missing, the first in line 3." in dataset.facts["notes"]


NAMES = st.text(
    st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="/\\\0"), min_size=1, max_size=12
)


@settings(deadline=None, max_examples=30)
@given(names=st.lists(NAMES.filter(lambda name: name.strip() == name), min_size=1, max_size=6, unique=True))
def test_whatever_the_names_a_written_manifest_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    (folder / "x.wav").write_bytes(b"RIFF")
    with (folder / "list.csv").open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(["path", "label", "id"])
        writer.writerows(["x.wav", name, f"clip {number}"] for number, name in enumerate(names))
    dataset = load_dataset(folder / "list.csv")
    assert [clip.label for clip in dataset.clips] == names


# --- groups ------------------------------------------------------------------------------------------------------


def test_spellings_of_one_artist_are_one() -> None:
    same = ["The Beatles", "Beatles, The", "BEATLES feat. Billy Preston", "the  beatles (ft. X)", "Beatles"]
    assert {artist_key(name) for name in same} == {"beatles"}
    assert artist_key("Simon & Garfunkel") == artist_key("Simon and Garfunkel") == "simon and garfunkel"
    assert artist_key("Björk") == artist_key("BJORK") and artist_key("A.B.C.") == artist_key("ABC")
    assert artist_key("The The") and artist_key("!!!") == "!!!" and artist_key("東京事変") == "東京事変"
    assert {artist_key(name) for name in (None, "", " ", "Various Artists", "unknown")} == {None}
    assert artist_key("The Who") != artist_key("Who Else")


def test_a_shared_recording_joins_groups() -> None:
    clips = [
        Clip("a", "x", artist="Queen"),
        Clip("b", "y"),
        Clip("c", "x", artist="Someone"),
        Clip("d", "x", group="album"),
        Clip("e", "x", artist="Queen"),
        Clip("f", "x"),
    ]
    grouped = {clip.id: clip for clip in assign_groups(clips, [("b", "c"), ("c", "a"), ("f", "nowhere")])}
    assert grouped["a"].group == grouped["b"].group == grouped["c"].group == grouped["e"].group
    assert grouped["a"].recording == grouped["b"].recording == grouped["c"].recording == "a"
    assert grouped["d"].group == "album" and grouped["f"].group == "clip:f"
    assert grouped["e"].recording is grouped["f"].recording is None


@settings(deadline=None, max_examples=50)
@given(
    artists=st.lists(st.sampled_from([None, "A", "B", "C", "D"]), min_size=2, max_size=12),
    pairs=st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)), max_size=8),
)
def test_groups_are_the_finest_that_keep_artists_and_recordings_whole(
    artists: list[str | None], pairs: list[tuple[int, int]]
) -> None:
    clips = [Clip(f"{row:02d}", "x", artist=artist) for row, artist in enumerate(artists)]
    joined = [(f"{a:02d}", f"{b:02d}") for a, b in pairs if max(a, b) < len(clips) and a != b]
    first = assign_groups(clips, joined)
    # By brute force: the reachable clips.
    reach = [{row} for row in range(len(clips))]
    links = [(int(a), int(b)) for a, b in joined]
    links += [(a, b) for a in range(len(clips)) for b in range(a) if artists[a] and artists[a] == artists[b]]
    for _ in clips:
        for a, b in links:
            union = reach[a] | reach[b]
            for row in union:
                reach[row] = union | reach[row]
    for a in range(len(clips)):
        for b in range(len(clips)):
            assert (first[a].group == first[b].group) == (b in reach[a])
    assert assign_groups(first, joined) == first
    assert assign_groups(reversed(clips), reversed(joined)) == tuple(reversed(first))


def test_folds_that_groups_allow() -> None:
    clips = [Clip(f"{n}", "ab"[n % 2], group=f"g{n // 3}") for n in range(9)]
    dataset = make_dataset("test", clips)
    assert dataset.label_counts() == {"a": 5, "b": 4}
    assert dataset.label_groups()["a"] == {"g0": 2, "g2": 2, "g1": 1} and dataset.most_folds == 3


# --- the dataset itself ------------------------------------------------------------------------------------------


def small() -> Dataset:
    clips = [Clip(f"clip{n}", "ab"[n % 2], group=f"g{n}", artist="X" if n else None, title="T") for n in range(6)]
    clips[1] = replace(clips[1], recording="r")
    random = np.random.default_rng(0)
    return make_dataset(
        "small",
        clips,
        spectrograms=random.integers(0, 256, (6, *SMALL.shape), dtype=np.uint8),
        front_end=SMALL,
        features={"some": random.standard_normal((6, 3)).astype(np.float32)},
        thumbnails=random.integers(0, 256, (6, 4, 5), dtype=np.uint8),
        facts={"kind": "test", "notes": ["é"]},
    )


def test_a_dataset_that_contradicts_itself_is_refused() -> None:
    one = Clip("a", "x")
    with pytest.raises(InputError, match="more than once"):
        make_dataset("test", [one, one])
    with pytest.raises(InputError, match="sorted by id"):
        Dataset("test", (Clip("b", "x"), one), ("x",))
    with pytest.raises(InputError, match="not listed"):
        Dataset("test", (one,), ("y",))
    with pytest.raises(InputError, match="2 rows of some"):
        Dataset("test", (one,), ("x",), features={"some": np.zeros((2, 3), np.float32)})


def test_a_selection_takes_its_rows_along() -> None:
    dataset = small()
    part = dataset.select([4, 0, 2])
    assert part.ids == ("clip0", "clip2", "clip4") and part.labels == ("a",)
    assert part.spectrograms is not None and dataset.spectrograms is not None
    np.testing.assert_array_equal(part.spectrograms, dataset.spectrograms[[0, 2, 4]])
    np.testing.assert_array_equal(part.features["some"], dataset.features["some"][[0, 2, 4]])
    assert np.shares_memory(dataset.select([1, 2, 3]).spectrograms, dataset.spectrograms)


def test_fingerprints_see_clips_and_labels() -> None:
    dataset = small()
    assert dataset.fingerprint == replace(dataset, name="other", features={}).fingerprint
    relabelled = tuple(replace(clip, label="b") for clip in dataset.clips)
    assert (
        len({dataset.fingerprint, dataset.select([0, 1]).fingerprint, replace(dataset, clips=relabelled).fingerprint})
        == 3
    )


# --- archives ----------------------------------------------------------------------------------------------------


def test_an_archive_gives_the_dataset_back(tmp_path: Path) -> None:
    dataset = small()
    path = save_archive(dataset, tmp_path / "deep" / "x.npz")
    again = load_dataset(path)
    assert again.clips == dataset.clips and again.labels == dataset.labels and again.name == dataset.name
    assert again.front_end == SMALL and dict(again.facts) == dict(dataset.facts)
    assert isinstance(again.spectrograms, np.memmap) and not again.spectrograms.flags.writeable
    np.testing.assert_array_equal(again.spectrograms, dataset.spectrograms)
    np.testing.assert_array_equal(again.features["some"], dataset.features["some"])
    np.testing.assert_array_equal(again.thumbnails, dataset.thumbnails)
    with np.load(path, allow_pickle=False) as plain:
        np.testing.assert_array_equal(plain["spectrograms"], dataset.spectrograms)
    assert path.read_bytes() == save_archive(again, tmp_path / "again.npz").read_bytes()


def test_a_compressed_copy_of_an_archive_is_read_too(tmp_path: Path) -> None:
    dataset = small()
    path = save_archive(dataset, tmp_path / "x.npz")
    with np.load(path, allow_pickle=False) as arrays:
        np.savez_compressed(tmp_path / "y.npz", **dict(arrays))
    np.testing.assert_array_equal(load_archive(tmp_path / "y.npz").spectrograms, dataset.spectrograms)


def test_damaged_archives_are_refused_with_a_sentence(tmp_path: Path) -> None:
    path = save_archive(small(), tmp_path / "x.npz")
    good = path.read_bytes()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(60):
        data = bytearray(good)
        data[random.integers(len(data))] ^= 1 << random.integers(8)
        path.write_bytes(bytes(data))
        try:
            changed = load_dataset(path)
        except (StoreError, InputError):
            refused += 1
        else:  # a byte that nobody reads, such as a date
            assert changed.clips == small().clips
            np.testing.assert_array_equal(changed.spectrograms, small().spectrograms)
    assert refused > 50
    for size in (0, 10, len(good) // 2, len(good) - 5):
        path.write_bytes(good[:size])
        with pytest.raises(StoreError, match="damaged"):
            load_dataset(path)


def test_archives_of_other_versions_and_other_files(tmp_path: Path) -> None:
    dataset = small()
    path = save_archive(dataset, tmp_path / "x.npz")
    with np.load(path, allow_pickle=False) as arrays:
        parts = dict(arrays)
    info = json.loads(parts["earmark"].tobytes())
    info["format"] = 7
    np.savez(path, **{**parts, "earmark": np.frombuffer(json.dumps(info).encode(), np.uint8)})
    with pytest.raises(StoreError, match="format 7"):
        load_dataset(path)
    np.savez(path, **{**parts, "ids": np.array([{"a": 1}] * 6, dtype=object)})
    with pytest.raises(StoreError, match="damaged"):
        load_dataset(path)
    np.savez(path, **{**parts, "spectrograms": parts["spectrograms"][:, :, :-1]})
    with pytest.raises(StoreError, match="do not have the shape"):
        load_dataset(path)
    np.savez(path, stuff=np.zeros(3))
    with pytest.raises(InputError, match=r"is not a dataset: it holds stuff"):
        load_dataset(path)
    with pytest.raises(InputError, match="no spectrograms yet"):
        save_archive(make_dataset("none", [Clip("a", "x")]), path)


def test_a_large_archive_is_checked_unless_told_not_to(tmp_path: Path) -> None:
    path = save_archive(small(), tmp_path / "x.npz")
    with zipfile.ZipFile(path) as archive:
        offset = archive.getinfo("spectrograms.npy").header_offset
    data = bytearray(path.read_bytes())
    data[offset + 600] ^= 255
    path.write_bytes(bytes(data))
    with pytest.raises(StoreError, match="damaged"):
        load_archive(path)
    assert len(load_archive(path, check=False)) == 6


# --- GTZAN and the layout of its mel file ------------------------------------------------------------------------


def test_the_facts_of_gtzan() -> None:
    table = facts.clip_facts()
    assert len(table) == 1000 and list(table) == sorted(table)
    split = list(facts.fault_filtered_split().values())
    assert [split.count(part) for part in ("train", "valid", "test", "excluded")] == [443, 197, 290, 70]
    assert sum(clip.artist is None for clip in table.values()) == 81
    assert all(facts.is_gtzan_id(name) for name in table)
    assert not any(map(facts.is_gtzan_id, ["blues.00100", "blues.0000", "opera.00000", "blues.00000.wav"]))
    repeats = facts.known_repeats()
    assert len(repeats) == 70 and all(pair.first < pair.second for pair in repeats)
    found = {name for pair in repeats for name in (pair.first, pair.second)}
    excluded = {name for name, part in facts.fault_filtered_split().items() if part == "excluded"}
    # The split leaves repeats out by ear and catalogue; the sound alone shows nearly all of them.
    assert len(excluded & found) == 62


def test_groups_of_gtzan() -> None:
    clips = gtzan_clips()
    dataset = make_dataset("GTZAN", clips)
    assert dataset.is_gtzan and dataset.most_folds == 9 == len(dataset.label_groups()["blues"])
    assert {clip.group for clip in clips if clip.artist == "Queen"} == {"artist:queen"}
    assert all(clip.group == f"clip:{clip.id}" for clip in clips if clip.artist is None)
    with pytest.raises(InputError, match=r"no clip 'blues\.00100'"):
        gtzan_clips(["blues.00100"])


@pytest.mark.shared
def test_the_shared_mel_file(shared: Path) -> None:
    dataset = load_dataset(shared / "gtzan" / "mel.npz")
    assert dataset.is_gtzan and dataset.facts["kind"] == "gtzan" and dataset.facts["without_artist"] == 81
    assert dataset.clips == gtzan_clips()
    assert dataset.facts["notes"] == [
        "81 of 1000 clips have no artist; each is a group of its own, unless it shares a recording.",
        "122 clips are cut from 58 recordings that occur more than once; they stay on one side of every split.",
    ]
    assert dataset.front_end == MEL and dataset.spectrograms is not None
    assert dataset.spectrograms.shape == (1000, 128, 387)


def test_spectrograms_in_the_layout_of_the_mel_file(tmp_path: Path) -> None:
    mel = np.arange(3, dtype=np.uint8)[:, None, None] * np.ones((1, *MEL.shape), np.uint8)
    path = tmp_path / "mine.npz"
    np.savez(path, mel=mel, ids=np.array(["rock.b", "jazz.a", "rock.a"]), frames=MEL.frames)
    dataset = load_dataset(path)
    assert dataset.ids == ("jazz.a", "rock.a", "rock.b") and dataset.labels == ("jazz", "rock")
    assert dataset.spectrograms is not None and dataset.spectrograms[:, 0, 0].tolist() == [1, 2, 0]
    write(tmp_path / "index.csv", "id,label,artist\nrock.b,metal,Someone\n")
    assert load_dataset(path).clips[2].label == "metal" and load_dataset(path).clips[2].artist == "Someone"
    np.savez(path, mel=mel, ids=np.array(["a", "b", "c"]))
    with pytest.raises(InputError, match="'a' has no label"):
        load_dataset(path)
    np.savez(path, mel=mel[:, :, 1:], ids=np.array(["x.a", "x.b", "x.c"]))
    with pytest.raises(InputError, match="must be uint8 of shape"):
        load_dataset(path)
    np.savez(path, mel=mel, ids=np.array(["x.a", "x.b", "x.c"]), frames=MEL.frames + 1)
    with pytest.raises(InputError, match="other frames"):
        load_dataset(path)
    np.savez(path, mel=mel, ids=np.array(["x.a", "x.b", "x.b"]))
    with pytest.raises(InputError, match="more than once"):
        load_dataset(path)


def test_the_bare_word_is_the_packages_own_gtzan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    touch(tmp_path / "gtzan" / "pop" / "a.wav", tmp_path / "gtzan" / "rock" / "b.wav")
    assert load_dataset("gtzan").is_gtzan and len(load_dataset("gtzan")) == 1000
    assert load_dataset("./gtzan").ids == ("pop/a", "rock/b")
    assert load_dataset(Path("gtzan")).ids == ("pop/a", "rock/b")
    shutil.rmtree(tmp_path / "gtzan")
    assert len(load_dataset(Path("gtzan"))) == 1000
