"""Similar tracks: the search is exact, and a list holds no seed, no recording twice, and no artist too often."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bundles import BANDS, LABELS, tiny_bundle
from earmark.errors import InputError
from earmark.front_end import MEL, REPORT, FrontEnd
from earmark.library.details import Details
from earmark.library.index import DIRECTIONS, Index, fit_projection, normalised, open_index
from earmark.library.layout import layout
from earmark.library.ledger import Ledger
from earmark.library.library import Library
from earmark.library.prints import SAME, Print, agreement, make_print
from earmark.library.similar import Chooser, choose, ranked, song_name
from earmark.library.timbre import SIZE, Timbre
from earmark.library.track import FileState, Track
from earmark.library.worker import Outcome, Seen
from earmark.spectrogram import fit_window, spectrogram
from music import RATE, piece
from sounds import by_name, make


def outcome(number: int, embedding: NDArray[np.float32], details: Details, seconds: float = 200.0) -> Outcome:
    row = {
        "label": LABELS[number % 4],
        "confidence": 0.7,
        "unsure": False,
        "probabilities": {LABELS[number % 4]: 0.7} | {name: 0.1 for name in LABELS if name != LABELS[number % 4]},
        "heard": [[0.0, 30.0]],
        "decoded": 30.0,
        "declared": seconds,
        "problems": [],
    }
    # Prints of noise: no two recordings are the same unless a test says so.
    signs = np.sign(np.random.default_rng(number).normal(size=(16, 97))).astype(np.int8)
    print_ = Print(85.0, signs).pack()
    seen = Seen(number.to_bytes(16), details)
    timbre = np.random.default_rng(number + 10_000).normal(size=SIZE).astype(np.float32)
    return Outcome(f"/m/{number:05}.mp3", row, embedding.tobytes(), timbre.tobytes(), print_, seen=seen)


def fill(path: Path, embeddings: NDArray[np.float32], artists: int = 7) -> None:
    bundle = tiny_bundle(path.with_suffix(".earmark"))
    with Ledger(path, create=True) as ledger:
        ledger.use_bundle(bundle)
        for number, embedding in enumerate(embeddings):
            details = Details(f"Artist {number % artists}", f"Song {number}")
            ledger.write(outcome(number, embedding, details), FileState(1, 2, number), bundle=1, windows=3)


@pytest.fixture(scope="module")
def embeddings() -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    # A large common part, as networks give, and directions of very different strength.
    return (5 + rng.normal(size=(300, BANDS)) * np.geomspace(1, 0.05, BANDS)).astype(np.float32)


@pytest.fixture(scope="module")
def catalogue(embeddings: NDArray[np.float32], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("similar") / "c.db"
    fill(path, embeddings)
    return path


@pytest.fixture
def library(catalogue: Path) -> Iterator[Library]:
    with Library(catalogue, create=False) as opened:
        yield opened


def test_the_search_finds_exactly_the_nearest(
    library: Library, catalogue: Path, embeddings: NDArray[np.float32]
) -> None:
    def part(values: NDArray[np.float32], largest: int) -> NDArray[np.float64]:
        stored = values.astype(np.float16).astype(np.float64)
        left, deviations, _ = np.linalg.svd(stored - stored.mean(axis=0), full_matrices=False)
        projected = (left * np.sqrt(deviations))[:, :largest]
        return np.asarray(projected / np.linalg.norm(projected, axis=1, keepdims=True))

    outcomes = [outcome(number, embedding, Details()) for number, embedding in enumerate(embeddings)]
    timbres = np.stack([np.frombuffer(o.timbre, np.float32) for o in outcomes])
    roots = np.sqrt([[o.row["probabilities"][name] for name in LABELS] for o in outcomes])  # type: ignore[index]
    parts = [part(embeddings, DIRECTIONS[0]), part(timbres, DIRECTIONS[1]), roots]
    vectors = np.concatenate(parts, axis=1) / np.sqrt(3)
    for seeds in ([0], [5], [3, 90, 200]):
        names = [f"/m/{seed:05}.mp3" for seed in seeds]
        found = library.similar(*names, n=10, per_artist=0)
        scores = vectors @ vectors[seeds].mean(axis=0)
        scores[seeds] = -np.inf
        expected = np.argsort(-scores)[:10]
        assert [int(Path(match.track.path).stem) for match in found] == expected.tolist()
        assert [match.score for match in found] == pytest.approx(scores[expected].tolist(), abs=1e-4)


def test_minus_seeds_push_what_is_like_them_back(library: Library) -> None:
    def scores(*seeds: str) -> dict[str, float]:
        return {m.track.path: m.score for m in library.similar(*seeds, n=1000, per_artist=0)}

    like, unlike = scores("/m/00003.mp3"), scores("/m/00200.mp3")
    found = library.similar("/m/00003.mp3", minus=["/m/00200.mp3"], n=1000, per_artist=0)
    assert {m.track.path for m in found} == set(like) - {"/m/00200.mp3"}
    for match in found:
        assert match.score == pytest.approx(like[match.track.path] - 0.5 * unlike[match.track.path], abs=1e-4)
    assert [m.score for m in found] == sorted((m.score for m in found), reverse=True)
    plain = library.similar("/m/00003.mp3", n=20, per_artist=0)
    nearest = {m.track.path for m in library.similar("/m/00200.mp3", n=60, per_artist=0)}
    assert sum(m.track.path in nearest for m in found[:20]) < sum(m.track.path in nearest for m in plain)


def test_minus_seeds_must_be_known_and_go_with_seeds_alone(library: Library) -> None:
    with pytest.raises(InputError, match="neither a file nor a track"):
        library.similar("/m/00003.mp3", minus=["/nowhere.mp3"])
    for other in ({"to": "/m/00007.mp3"}, {"mood": "bass"}):
        with pytest.raises(InputError, match="stay away"):
            library.playlist("/m/00003.mp3", minus=["/m/00200.mp3"], **other)
    listed = library.playlist("/m/00003.mp3", minus=["/m/00200.mp3"], n=9)
    alike = library.similar("/m/00003.mp3", minus=["/m/00200.mp3"], n=9)
    assert {m.track.path for m in listed} == {m.track.path for m in alike}


def test_no_artist_comes_too_often(library: Library) -> None:
    found = library.similar("/m/00000.mp3", n=12, per_artist=2)
    artists = [match.track.details.artist for match in found]
    assert len(found) == 12
    assert max(artists.count(artist) for artist in artists) == 2
    assert len(library.similar("/m/00000.mp3", n=100, per_artist=2)) == 14


def test_more_than_there_is_gives_all_but_the_seeds(library: Library) -> None:
    found = library.similar("/m/00000.mp3", n=10_000, per_artist=0)
    assert len({match.track.id for match in found}) == 299
    scores = [match.score for match in found]
    assert scores == sorted(scores, reverse=True)


def test_unknown_seeds_are_refused(library: Library) -> None:
    with pytest.raises(InputError, match="neither a file nor a track"):
        library.similar("/nowhere.mp3")
    with pytest.raises(InputError, match="at least one"):
        library.similar()


def test_an_empty_catalogue_says_what_to_do(tmp_path: Path) -> None:
    with Library(tmp_path / "c.db") as empty, pytest.raises(InputError, match="earmark scan"):
        empty.similar("/m/a.mp3")
    fill(tmp_path / "none.db", np.zeros((0, BANDS), np.float32))
    with Library(tmp_path / "none.db") as empty, pytest.raises(InputError, match="earmark scan"):
        empty.similar("/m/a.mp3")


def index_of(path: Path) -> Index:
    with Ledger(path) as ledger:
        return open_index(ledger)


def test_the_index_is_mapped_and_follows_the_catalogue(tmp_path: Path, embeddings: NDArray[np.float32]) -> None:
    path = tmp_path / "c.db"
    fill(path, embeddings[:20])
    first, again = index_of(path), index_of(path)
    assert isinstance(again.vectors, np.memmap)
    assert np.array_equal(first.vectors, again.vectors)
    with Ledger(path) as ledger:
        ledger.mark_removed([1])
    assert index_of(path).numbers.tolist() == list(range(2, 21))
    assert len(list((tmp_path / "c.db.index").glob("*.npy"))) == 1, "what is stale is removed"


@pytest.mark.parametrize("spoil", ["truncate", "text", "remove"])
def test_a_damaged_index_is_made_anew(spoil: str, tmp_path: Path, embeddings: NDArray[np.float32]) -> None:
    path = tmp_path / "c.db"
    fill(path, embeddings[:20])
    expected = np.array(index_of(path).vectors)
    for file in (tmp_path / "c.db.index").iterdir():
        if spoil == "remove":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:50] if spoil == "truncate" else b"[1, 2")
    assert np.array_equal(index_of(path).vectors, expected)


def test_a_catalogue_of_the_same_name_made_anew_is_not_taken_for_the_old_one(
    tmp_path: Path, embeddings: NDArray[np.float32]
) -> None:
    path = tmp_path / "c.db"
    fill(path, embeddings[:20])
    before = np.array(index_of(path).vectors)
    for file in tmp_path.glob("c.db*"):
        if file.is_file():
            file.unlink()
    fill(path, embeddings[20:40])
    assert not np.array_equal(index_of(path).vectors, before)


def test_a_projection_needs_no_minimum_of_tracks() -> None:
    rng = np.random.default_rng(0)
    for count in (0, 1, 2, 5):
        fitted = fit_projection(rng.normal(size=(count, 40)).astype(np.float32), 3)
        assert fitted.directions.shape == (40, max(1, min(count - 1, 3)))
        assert np.isfinite(fitted.directions).all()
    same = np.ones((10, 40), np.float32)
    assert np.all(fit_projection(same, 3).apply(same) == 0)


@settings(deadline=None, max_examples=40)
@given(count=st.integers(1, 400), seed=st.integers(0, 1000), ties=st.booleans())
def test_ranking_in_portions_is_ranking(count: int, seed: int, ties: bool) -> None:
    class Everything:
        def by_id(self, numbers: list[int]) -> list[Track]:
            return [Track(number, str(number)) for number in numbers]

    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 5, count).astype(float) if ties else rng.normal(size=count)
    numbers = np.sort(rng.choice(10_000, count, replace=False))
    found = [m.track.id for m in ranked(Everything(), numbers, scores)]  # type: ignore[arg-type]
    assert sorted(found) == numbers.tolist()
    place = dict(zip(numbers.tolist(), scores, strict=True))
    assert [place[n] for n in found] == sorted(scores, reverse=True)


def test_the_same_song_is_known_by_its_tags() -> None:
    def name(artist: str, title: str) -> tuple[str, str] | None:
        return song_name(Track(1, "/x", details=Details(artist, title)))

    original = name("The Beatles", "Let It Be")
    for artist, title in (
        ("Beatles", "Let it be (Remastered 2009)"),
        ("THE BEATLES", "Let It Be - Remastered 2009"),
        ("The Beatles", "Let It Be [Live]"),
    ):
        assert name(artist, title) == original
    assert name("The Beatles", "Let It Be Me") != original
    assert name("Someone", "Let It Be") != original
    assert name("Sigur Rós", "( )") is None
    assert song_name(Track(1, "/x", details=Details(title="Let It Be"))) is None


def window(samples: NDArray[np.float32], front_end: FrontEnd = MEL, start: float = 0.0) -> Print:
    return make_print(start, spectrogram(fit_window(samples, front_end), front_end), front_end)


def altered(samples: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(5)
    return {
        "quieter": samples * 0.1,
        "clipped": np.clip(samples * 3, -0.5, 0.5),
        "noisy": samples + rng.normal(0, 0.01, len(samples)).astype(np.float32),
        "treble lost": np.convolve(samples, np.ones(4) / 4, "same").astype(np.float32),
        "begins later": np.concatenate([samples[RATE * 2 :], np.zeros(RATE * 2, np.float32)]),
    }


@pytest.mark.parametrize("front_end", [MEL, REPORT], ids=["mel", "stft"])
def test_prints_tell_recordings_apart_and_copies_together(front_end: FrontEnd) -> None:
    samples = piece(1)
    original = window(samples, front_end)
    for name, copy in altered(samples).items():
        assert agreement(original, window(copy, front_end)) > 1.3 * SAME, name
    for seed in range(2, 8):
        assert agreement(original, window(piece(seed), front_end)) < SAME / 1.3


def test_prints_of_other_places_in_the_track_find_each_other() -> None:
    samples = piece(3, 60.0)
    one, other = window(samples[: 30 * RATE]), window(samples[12 * RATE : 42 * RATE], start=12.0)
    assert agreement(one, other) > 2 * SAME
    assert agreement(one, Print(0.0, other.signs)) < SAME
    assert agreement(one, window(samples[30 * RATE :], start=30.0)) == 0, "too little in common"


def test_a_print_survives_packing() -> None:
    original = window(piece(2), start=12.5)
    packed = original.pack()
    copy = Print.unpack(packed)
    assert len(packed) < 420
    assert copy.start == 12.5
    assert np.array_equal(copy.signs, original.signs)
    assert set(np.unique(original.signs)) == {-1, 0, 1}


@pytest.mark.parametrize("front_end", [MEL, REPORT], ids=["mel", "stft"])
def test_timbre_tells_a_voice_from_another_and_not_the_tune(front_end: FrontEnd) -> None:
    def timbre(*sounds: NDArray[np.float32]) -> NDArray[np.float32]:
        kept = Timbre(front_end)
        for sound in sounds:
            kept.add(spectrogram(fit_window(sound, front_end), front_end))
        return kept.mean()

    dull = [np.convolve(piece(seed), np.ones(12) / 12, "same").astype(np.float32) for seed in (1, 2)]
    bright, dull_ones = [timbre(piece(seed)) for seed in (1, 2)], [timbre(sound) for sound in dull]
    inside = np.linalg.norm(bright[0] - bright[1]) + np.linalg.norm(dull_ones[0] - dull_ones[1])
    across = np.linalg.norm(bright[0] - dull_ones[0]) + np.linalg.norm(bright[1] - dull_ones[1])
    assert inside < across
    assert timbre(piece(1), piece(2)) == pytest.approx((bright[0] + bright[1]) / 2, abs=1e-4)
    assert timbre().shape == (SIZE,)


def test_the_same_recording_in_another_file_is_left_out_whatever_its_tags(tmp_path: Path) -> None:
    folder = tmp_path / "music"
    folder.mkdir()
    for seed in range(4):
        make(folder, by_name("flac"), piece(seed, 12.0), RATE, f"piece {seed}")
    make(folder, by_name("mp3"), piece(0, 12.0) * 0.3, RATE, "the first one again")
    soundfile.write(folder / "once more.ogg", piece(0, 12.0)[RATE // 2 :], RATE, format="OGG")
    tiny_bundle(tmp_path / "tiny.earmark")
    with Library(tmp_path / "c.db") as library:
        library.scan(folder, bundle=tmp_path / "tiny.earmark", jobs=1)
        assert library.stats().tracks == 6
        found = library.similar(folder / "piece 0.flac", n=10)
        assert sorted(Path(match.track.path).stem for match in found) == ["piece 1", "piece 2", "piece 3"]
        found = library.similar(folder / "piece 1.flac", n=10)
        assert len(found) == 3, "of the three files with one recording, one"
        # A file that was never scanned is heard; its copies are known all the same.
        stranger = make(tmp_path, by_name("mp3"), piece(0, 12.0), RATE, "stranger")
        found = library.similar(stranger, n=10, bundle=tmp_path / "tiny.earmark")
        assert sorted(Path(match.track.path).stem for match in found) == ["piece 1", "piece 2", "piece 3"]
        # Seeds may be folders; then everything in them is a seed.
        assert library.similar(folder, n=10) == []
        tiny_bundle(tmp_path / "other.earmark", name="other", unsure_below=0.1)
        with pytest.raises(InputError, match="filled by the bundle 'tiny'"):
            library.similar(stranger, bundle=tmp_path / "other.earmark")


def test_a_list_is_chosen_greedily_from_the_best() -> None:
    class NoPrints:
        def prints(self, numbers: list[int]) -> dict[int, bytes]:
            return {}

    tracks = [Track(i, f"/{i}", details=Details("A" if i < 5 else "B", f"T{i}")) for i in range(10)]
    from earmark.library.similar import Match

    chooser = Chooser(NoPrints(), [tracks[0]], per_artist=2)  # type: ignore[arg-type]
    chosen = choose([Match(track, 1.0 - i / 10) for i, track in enumerate(tracks)], chooser, 3)
    assert [match.track.id for match in chosen] == [1, 2, 5]


def clusters(count: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    rng = np.random.default_rng(0)
    member = np.arange(count) % 4
    centres = normalised(rng.normal(size=(4, 20)))
    return normalised(centres[member] + 0.15 * rng.normal(size=(count, 20))), member


@pytest.mark.parametrize("count", [150, 400])
def test_the_map_keeps_neighbours_together_and_is_the_same_every_time(count: int) -> None:
    vectors, member = clusters(count)
    places = layout(vectors, landmarks=150)
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()
    assert places.min() >= -1e-6
    assert places.max() <= 1 + 1e-6
    distance = ((places[:, None] - places[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = np.argsort(distance, axis=1)[:, :5]
    assert (member[nearest] == member[:, None]).mean() > 0.97
    assert np.array_equal(places, layout(vectors, landmarks=150))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 6])
def test_the_map_of_few_tracks_is_a_map(count: int) -> None:
    places = layout(clusters(max(count, 1))[0][:count])
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()
