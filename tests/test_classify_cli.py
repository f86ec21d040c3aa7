"""The library's commands as a person types them: output, exit codes, reasons."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile
import typer

from bundles import tiny_bundle
from commands import command
from earmark.cli.classify import parse_clock
from earmark.predict import Classifier
from music import RATE, piece
from sounds import by_name, make


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a bundle and four pieces, one of them twice, and an empty file."""
    folder = tmp_path_factory.mktemp("cli")
    tiny_bundle(folder / "tiny.earmark")
    (folder / "music" / "sub").mkdir(parents=True)
    for seed in range(3):
        soundfile.write(folder / "music" / f"piece {seed}.wav", piece(seed, 6.0), RATE)
    make(folder / "music" / "sub", by_name("mp3"), piece(3, 6.0), RATE, "piece 3")
    soundfile.write(folder / "music" / "sub" / "COPY.FLAC", piece(0, 6.0), RATE, format="FLAC")
    (folder / "music" / "bad.mp3").write_bytes(b"")
    return folder


def earmark(
    place: Path, *arguments: str, stdin: bytes = b"", bundle: bool = True
) -> subprocess.CompletedProcess[bytes]:
    """Run a command in the folder, as a pipe sees it."""
    words = [*arguments, *(["--bundle", "tiny.earmark"] if bundle else [])]
    environment = {"EARMARK_CATALOGUE": str(place / "c.db"), "NO_COLOR": "1"}
    return command(*words, stdin=stdin, cwd=place, environment=environment)


def lines(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


GOOD = ["music/piece 0.wav", "music/piece 1.wav", "music/piece 2.wav", "music/sub/COPY.FLAC", "music/sub/piece 3.mp3"]


def test_a_folder_is_heard_in_order_and_failures_are_listed(place: Path) -> None:
    done = earmark(place, "classify", "music", "--format", "jsonl")
    assert done.returncode == 1
    rows = lines(done)
    assert [row["path"] for row in rows] == ["music/bad.mp3", *GOOD]
    assert rows[0]["problem"] == "empty"
    assert rows[1]["probabilities"] == pytest.approx(rows[4]["probabilities"], abs=1e-3), "the same sound"
    errors = done.stderr.decode().splitlines()
    assert errors[0].startswith("failed: music/bad.mp3 is empty")
    assert errors[1].startswith("6 files: 5 heard")
    assert errors[1].endswith("1 failed.")


def test_one_good_file_says_nothing_but_its_line(place: Path) -> None:
    done = earmark(place, "classify", GOOD[0])
    assert (done.returncode, done.stderr) == (0, b"")
    header, line = done.stdout.decode().splitlines()
    assert header.split() == ["GENRE", "NEXT", "HEARD", "TRACK"]
    assert line.endswith(GOOD[0])
    assert "all of 0:06" in line
    assert "\x1b" not in line


def test_lists_on_standard_input_and_playlists(place: Path) -> None:
    (place / "list.m3u8").write_text("#EXTM3U\nmusic/piece 1.wav\nmusic/piece 0.wav\n")
    names = f"{GOOD[2]}\nlist.m3u8\nmissing.mp3\n".encode()
    done = earmark(place, "classify", "-", "-f", "jsonl", stdin=names)
    assert [row["path"] for row in lines(done)] == [GOOD[2], GOOD[1], GOOD[0], "missing.mp3"]
    assert lines(done)[3]["problem"] == "missing"
    assert done.returncode == 1
    done = earmark(place, "classify", "-", "-0", "-f", "jsonl", stdin=f"{GOOD[1]}\0{GOOD[0]}\0".encode())
    assert [row["path"] for row in lines(done)] == [GOOD[1], GOOD[0]]
    assert done.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_odd_names_are_printed_safely(place: Path, tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/a\nb \xff \x1b[31m.wav")
    soundfile.write(os.open(odd, os.O_RDWR | os.O_CREAT), piece(0, 3.0), RATE, format="WAV")
    done = earmark(place, "classify", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert done.stdout.endswith(rb"a\nb \xff \x1b[31m.wav" + b"\n")
    done = earmark(place, "classify", str(tmp_path), "-f", "jsonl")
    assert lines(done)[0]["path"] == odd
    done = earmark(place, "classify", str(tmp_path), "-f", "csv")
    assert len(list(csv.reader(io.StringIO(done.stdout.decode("utf-8"), newline="")))) == 2


def test_output_goes_to_a_file_whose_suffix_tells_the_format(place: Path) -> None:
    for name in ("r.json", "r.jsonl", "r.csv", "r.parquet", "r.txt"):
        done = earmark(place, "classify", GOOD[0], GOOD[1], "-o", name, "-j", "1")
        assert (done.returncode, done.stdout) == (0, b""), done.stderr
    assert [row["path"] for row in json.loads((place / "r.json").read_text())] == GOOD[:2]
    assert len((place / "r.jsonl").read_text().splitlines()) == 2
    assert [row["path"] for row in csv.DictReader((place / "r.csv").open(newline=""))] == GOOD[:2]
    assert pq.read_table(place / "r.parquet").num_rows == 2
    assert (place / "r.txt").read_text().startswith("GENRE")
    done = earmark(place, "classify", GOOD[0], "-o", "no/such\0place.csv" if os.name == "nt" else "/dev/null/x.csv")
    assert done.returncode == 2
    assert b"cannot be written" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("piped", "drawn"), [(False, True), (True, False)])
def test_the_bar_keeps_out_of_the_way_of_what_reads_a_pipe(
    place: Path, tmp_path: Path, piped: bool, drawn: bool
) -> None:
    ours, theirs = os.openpty()
    words = [sys.executable, "-m", "earmark", "classify", "music", "--format", "csv", "--bundle", "tiny.earmark"]
    with (tmp_path / "out.csv").open("wb") as file:
        running = subprocess.Popen(
            words,
            cwd=place,
            stderr=theirs,
            stdout=subprocess.PIPE if piped else file,
            env=os.environ | {"TERM": "xterm"},
        )
        os.close(theirs)
        if running.stdout is not None:
            file.write(running.stdout.read())
    said = b""
    # On Linux the end of a pseudo-terminal is an error.
    with contextlib.suppress(OSError):
        while part := os.read(ours, 4096):
            said += part
    os.close(ours)
    assert running.wait(60) == 1
    assert (b"hearing" in said) == drawn
    assert b"failed: music/bad.mp3 is empty" in said
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 7


def test_a_stretch_is_heard_and_its_embedding_written(place: Path, tmp_path: Path) -> None:
    asked = ("classify", GOOD[0], "music/bad.mp3", "--start", "0:02", "--seconds", "3", "--embedding")
    good, bad = lines(earmark(place, *asked, "--format", "jsonl"))
    expected = Classifier(place / "tiny.earmark").classify(place / GOOD[0], start=2, seconds=3)
    assert good == json.loads(json.dumps(expected.to_dict(embedding=True))) | {
        "path": GOOD[0],
        "bundle": good["bundle"],
    }
    assert "embedding" not in bad
    table = tmp_path / "out.parquet"
    assert earmark(place, *asked, "--output", str(table)).returncode == 1
    vectors = pq.read_table(table)["embedding"].to_pylist()
    assert vectors == [good["embedding"], None]


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90.0), ("1:30", 90.0), ("1:00:00.5", 3600.5), ("0", 0.0), (2.5, 2.5)]
)
def test_times_are_read_as_on_a_clock(text: str | float, seconds: float) -> None:
    assert parse_clock(text) == seconds


@pytest.mark.parametrize("text", ["", "abc", "1:2:3:4", "-1", "1:-1", "nan", "inf", "1::2"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="m:ss"):
        parse_clock(text)


def test_a_timeline_is_drawn_and_hears_all(place: Path) -> None:
    long = np.concatenate([piece(0, 30.0), piece(1, 80.0)])
    soundfile.write(place / "long.wav", long, RATE)
    done = earmark(place, "classify", "long.wav", "--timeline")
    text = done.stdout.decode()
    assert "all of 1:50" in text
    assert text.count("|") >= 2
    assert "1:50" in text.splitlines()[-1]
    done = earmark(place, "classify", "long.wav", "--windows", "2", "-f", "json")
    [row] = json.loads(done.stdout)
    assert row["heard"] == [[0.0, 30.0], [80.0, 110.0]]
    done = earmark(place, "classify", "long.wav", "--full", "--top-k", "1", "-f", "json")
    [row] = json.loads(done.stdout)
    assert len(row["heard"]) == 4
    assert len(row["probabilities"]) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["classify", "empty"], "no sound files"),
        (["classify", "none.mp3"], "none.mp3 does not exist"),
        (["classify", GOOD[0], "--embedding"], "json, jsonl and parquet"),
        (["classify", GOOD[0], "--start", "soon"], "h:mm:ss"),
        (["classify", GOOD[0], "--seconds", "0"], "more than 0"),
        (["classify", "none.mp3", "none.flac"], "None of the 2 files"),
        (["classify", GOOD[0], "--bundle", "none.earmark"], "no bundle"),
        (["errors", "--catalogue", "none.db"], "earmark scan"),
        (["similar", GOOD[0], "--catalogue", "none.db"], "earmark scan"),
        (["scan", "nowhere", "--catalogue", "new.db"], "not a folder"),
        (["scan", GOOD[0], "--catalogue", "new.db"], "is a file: name the folder"),
        (["scan", "--catalogue", "new.db"], "Name the folders"),
        (["playlist", "--catalogue", "tiny.earmark"], "no catalogue"),
    ],
)
def test_what_cannot_start_says_why_in_one_line(arguments: list[str], words: str, place: Path) -> None:
    (place / "empty").mkdir(exist_ok=True)
    done = earmark(place, *arguments, bundle=arguments[0] in ("scan", "classify") and "--bundle" not in arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.startswith(b"earmark: ")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr.decode()


@pytest.fixture(scope="module")
def scanned(place: Path) -> Path:
    done = earmark(place, "scan", "music")
    assert done.returncode == 1, done.stderr
    assert done.stdout.decode().startswith("6 files: 5 new, 1 failed, in ")
    assert done.stderr.decode().startswith("failed: ")
    return place


def test_a_scan_again_has_nothing_to_do(scanned: Path) -> None:
    done = earmark(scanned, "scan")
    assert done.returncode == 0
    assert "6 files: 6 unchanged" in done.stdout.decode()


def test_errors_are_listed_in_every_form(scanned: Path) -> None:
    bad = str(scanned / "music" / "bad.mp3")
    done = earmark(scanned, "errors", bundle=False)
    assert done.stdout.decode().split()[:2] == ["empty", bad]
    assert earmark(scanned, "errors", "-0", bundle=False).stdout == os.fsencode(bad) + b"\0"
    [row] = json.loads(earmark(scanned, "errors", "--json", bundle=False).stdout)
    assert (row["path"], row["problem"], row["heard"]) == (bad, "empty", False)


def test_files_heard_only_in_part_are_listed_too(place: Path, tmp_path: Path) -> None:
    (tmp_path / "music").mkdir()
    soundfile.write(tmp_path / "whole.flac", piece(0, 20.0), RATE)
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "music" / "cut.flac").write_bytes(data[: len(data) * 97 // 100])
    (tmp_path / "music" / "stub.flac").write_bytes(data[: len(data) // 2])
    done = earmark(tmp_path, "scan", "music", "--bundle", str(place / "tiny.earmark"), bundle=False)
    assert done.returncode == 1
    assert b"1 was heard though something is wrong with the file" in done.stdout
    assert b"stub.flac is cut off: " in done.stderr
    stub, cut = earmark(tmp_path, "errors", bundle=False).stdout.decode().splitlines()
    assert stub.startswith("truncated  ") and "s are there. Get it again." in stub
    assert cut.startswith("truncated  ") and "cut.flac was heard, but: The end is missing" in cut
    rows = json.loads(earmark(tmp_path, "errors", "--json", bundle=False).stdout)
    assert [row["heard"] for row in rows] == [False, True]
    assert earmark(tmp_path, "errors", "-0", bundle=False).stdout.endswith(b"stub.flac\0")
    done = earmark(tmp_path, "tags", "plan", "music", "--scanned", "--unsure", bundle=False)
    plan = [json.loads(line) for line in (tmp_path / "earmark-tags.jsonl").read_text().splitlines()]
    assert [(Path(entry["path"]).name, entry["action"]) for entry in plan[1:]] == [("cut.flac", "write")]
    done = earmark(tmp_path, "tags", "plan", "music/stub.flac", "--bundle", str(place / "tiny.earmark"), bundle=False)
    assert done.returncode == 1
    assert b"stub.flac: " in done.stderr and b"is cut off" in done.stderr


def test_stats_are_shown(scanned: Path) -> None:
    text = earmark(scanned, "stats", bundle=False).stdout.decode()
    assert "Tracks     5, 0 min; " in text
    assert "█" in text
    assert "empty" in text
    summed = json.loads(earmark(scanned, "stats", "--json", bundle=False).stdout)
    assert summed["tracks"] == 5
    assert sum(genre["tracks"] for genre in summed["genres"]) == 5


def test_lines_fit_a_terminal_of_80_columns(scanned: Path) -> None:
    """As a person sees them: sentences go on below, between words, and paths show their end."""
    pty = pytest.importorskip("pty")

    def shown(*arguments: str) -> list[str]:
        ours, theirs = pty.openpty()
        code = "from earmark.cli import main; main()"
        environment = os.environ | {"COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "1"}
        command = [sys.executable, "-c", code, *arguments, "--catalogue", str(scanned / "c.db")]
        with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=environment) as process:
            os.close(theirs)
            said = b""
            while block := _read(ours):
                said += block
            assert process.wait() == 0, said
        plain = re.sub("\x1b\\[[0-9;?]*[a-zA-Z]", "", said.decode())
        return plain.replace("\r", "").splitlines()

    lines = shown("errors")
    assert max(map(len, lines)) <= 80
    assert "(0 bytes)." in " ".join(" ".join(lines).split())
    assert any(line.startswith("       ") for line in lines), "the sentence goes on below, indented"
    lines = shown("similar", str(scanned / GOOD[0]), "--bundle", str(scanned / "tiny.earmark"))
    found = [line for line in lines if re.match(r"0\.\d\d  ", line)]
    assert len(found) == 3
    assert all(line.endswith((".wav", ".mp3")) and len(line) <= 80 for line in found)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says that the other side of a terminal is closed
        return b""


def test_similar_tracks_playlists_and_the_map(scanned: Path) -> None:
    done = earmark(scanned, "similar", GOOD[0])
    found = [line.split("/")[-1] for line in done.stdout.decode().splitlines()]
    assert sorted(found) == ["piece 1.wav", "piece 2.wav", "piece 3.mp3"], "neither the seed nor its copy"
    rows = json.loads(earmark(scanned, "similar", GOOD[0], "-n", "2", "--json").stdout)
    assert len(rows) == 2
    assert rows[0]["score"] >= rows[1]["score"]
    done = earmark(scanned, "similar", GOOD[0], "--minus", rows[0]["path"], "--minus", rows[1]["path"], "--json")
    assert [row["path"] for row in json.loads(done.stdout)] not in ([], [row["path"] for row in rows])
    assert not {row["path"] for row in rows} & {row["path"] for row in json.loads(done.stdout)}
    done = earmark(scanned, "playlist", GOOD[0], "--to", GOOD[1], "-n", "3", "-o", "lists/way.m3u8")
    assert done.returncode == 0, done.stderr
    names = [line for line in (scanned / "lists" / "way.m3u8").read_text().splitlines() if line[0] != "#"]
    assert (names[0], names[2]) == ("../" + GOOD[0], "../" + GOOD[1])
    heard = earmark(scanned, "classify", "lists/way.m3u8", "-f", "jsonl")
    assert len(lines(heard)) == 3
    assert heard.returncode == 0
    done = earmark(scanned, "playlist", "--mood", "bass:1,hiss:1", bundle=False)
    assert done.stdout.startswith(b"#EXTM3U\n")
    done = earmark(scanned, "map", "-o", "map.html", bundle=False)
    assert done.returncode == 0, done.stderr
    assert "piece 3.mp3" in (scanned / "map.html").read_text("utf-8")


def test_an_answer_waits_for_nothing_that_is_slow_to_load(place: Path) -> None:
    slow = "torch", "transformers", "sklearn", "scipy", "pandas", "matplotlib", "pyarrow", "jinja2", "onnxruntime"
    code = (
        "import sys; from earmark.cli import main\ntry: main()\n"
        f"finally: print([m for m in {slow!r} if m in sys.modules], file=sys.stderr)"
    )
    words = [sys.executable, "-c", code, "classify", GOOD[4], "--bundle", "tiny.earmark"]
    done = subprocess.run(words, capture_output=True, cwd=place, timeout=100)
    assert GOOD[4] in done.stdout.decode()
    assert done.stderr == b"[]\n"


def test_stopping_leaves_no_worker_and_no_half_file(place: Path) -> None:
    import signal

    import psutil

    (place / "endless").mkdir()
    first = place / "endless" / "0.wav"
    soundfile.write(first, np.tile(piece(0, 30.0), 10), RATE)
    for number in range(1, 100):
        os.link(first, place / "endless" / f"{number}.wav")
    # A shell's background job ignores Ctrl-C, and so would what it starts.
    code = "import signal; signal.signal(2, signal.default_int_handler); from earmark.cli import main; main()"
    words = ["classify", "endless", "--full", "--bundle", "tiny.earmark", "-o", "x.json"]
    running = subprocess.Popen([sys.executable, "-c", code, *words], cwd=place, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    workers: list[psutil.Process] = []
    while time.monotonic() < deadline and not workers:
        children = psutil.Process(running.pid).children()
        workers = [c for c in children if any("endless" in f.path for f in c.open_files())]
        time.sleep(0.01)
    assert workers
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate(timeout=30)
    assert running.returncode == 130
    assert errors.decode().startswith("earmark: ")
    assert not psutil.wait_procs(workers, timeout=10)[1]
    assert not (place / "x.json").exists()
    assert not list(place.glob(".x.json*"))
