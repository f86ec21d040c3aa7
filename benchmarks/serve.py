"""The server under load from this process: requests per second, latencies, memory; against two plain alternatives.

    python benchmarks/serve.py [--rounds 40] [--seconds 8] [--jobs 2] [--json FILE]

30 s of made-up music go to `earmark serve` as WAV (22 050 Hz mono) and MP3 (44.1 kHz stereo, 192 kbit/s), from 1, 8
and 64 clients that each keep a connection. Then sound comes in live, at the speed of life. The alternatives, measured
in turns with ours: a plain FastAPI handler that decodes with librosa and hears the same windows with the same ONNX
model inside the request, and one `earmark classify` process per file.
"""

# ruff: noqa: E402  (the threads must be pinned before NumPy is imported)
from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

for _variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_variable] = "1"

import psutil
import soundfile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from music import piece
from serving import Socket

sys.path.insert(0, str(Path(__file__).resolve().parent))
from library import make_track

PLAIN = """
import io, sys
import librosa, numpy as np, uvicorn
from fastapi import FastAPI, UploadFile
from earmark.predict import Classifier

classifier = Classifier()
columns = classifier.bundle.front_end.frames
app = FastAPI()

@app.post("/v1/classify")
async def classify(file: UploadFile):
    samples, rate = librosa.load(io.BytesIO(await file.read()))
    samples = np.resize(samples, 30 * rate)
    mel = librosa.power_to_db(librosa.feature.melspectrogram(y=samples, sr=rate), ref=np.max)
    levels = (255 * (mel - mel.min()) / np.ptp(mel)).astype(np.uint8)[:, columns]
    logits, _ = classifier.logits_and_embeddings(levels[None])
    odds = np.exp(logits[0] - logits[0].max())
    return dict(zip(classifier.labels, (odds / odds.sum()).tolist()))

librosa.feature.melspectrogram(y=np.zeros(4096, np.float32), sr=22050)
uvicorn.run(app, port=int(sys.argv[1]), log_level="error")
"""


class Client:
    """One connection that sends one body over and over."""

    def __init__(self, port: int, path: Path) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{path.name}"\r\n\r\n'
        self._body = head.encode() + path.read_bytes() + b"\r\n--b--\r\n"

    def send(self) -> tuple[int, float, float]:
        """Status, seconds to the answer, and after how many seconds it is worth coming again."""
        begun = time.perf_counter()
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        self._connection.request("POST", "/v1/classify", self._body, headers)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status, time.perf_counter() - begun, float(answer.headers.get("Retry-After", 0))


def load(port: int, path: Path, clients: int, rounds: int) -> dict[str, float]:
    """Requests from several clients at once, `rounds` in all; who is refused comes again when told to."""
    served: list[float] = []
    refused: list[float] = []
    left = iter(range(rounds))
    gate = threading.Lock()

    def work() -> None:
        client = Client(port, path)
        while True:
            with gate:
                if next(left, None) is None:
                    return
            while True:
                status, seconds, again = client.send()
                if status == 200:
                    served.append(seconds)
                    break
                assert status == 503, status
                refused.append(seconds)
                time.sleep(again)

    begun = time.perf_counter()
    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = time.perf_counter() - begun
    served.sort()
    return {
        "requests/s": len(served) / spent,
        "p50 ms": 1000 * statistics.median(served),
        "p99 ms": 1000 * served[min(len(served) - 1, int(0.99 * len(served)))],
        "refused": len(refused),
        "refusal p50 ms": 1000 * statistics.median(refused) if refused else 0.0,
    }


def live(host: str, seconds: float) -> list[float]:
    """Milliseconds from the moment at which a second of sound was complete here to its answer here."""
    samples, rate, block = piece(3, 30.0), 22050, 2205
    delays: list[float] = []
    complete: dict[float, float] = {}
    with Socket(host) as socket:
        socket.say({"sample_rate": rate, "format": "f32le"})
        socket.hear()
        expected = int(seconds) - 1

        def listen() -> None:
            while len(delays) < expected:
                said = socket.hear()
                assert said is not None
                delays.append(1000 * (time.perf_counter() - complete[said["at"]]))

        listener = threading.Thread(target=listen)
        listener.start()
        begun = time.perf_counter()
        for number in range(int(10 * seconds)):
            time.sleep(max(0.0, begun + (number + 1) / 10 - time.perf_counter()))
            if (number + 1) % 10 == 0:
                complete[float((number + 1) // 10)] = time.perf_counter()
            socket.say(samples[number * block : (number + 1) * block].tobytes())
        listener.join(30)
    return delays


@contextlib.contextmanager
def running(*command: str) -> Iterator[psutil.Process]:
    """A server process, ended with all that it started."""
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(20)


def wait_for(port: int, path: str) -> None:
    """Until a server answers."""
    for _ in range(600):
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            if connection.getresponse().status < 500:
                return
        time.sleep(0.1)
    raise SystemExit("the server did not start")


def memory(process: psutil.Process) -> tuple[float, float]:
    """MB of the server, and of its workers together."""
    workers = sum(child.memory_info().rss for child in process.children(recursive=True))
    return process.memory_info().rss / 1e6, workers / 1e6


def processor_time(process: psutil.Process) -> float:
    """Seconds of all processors that a server and its workers have used."""
    family = [process, *process.children(recursive=True)]
    return sum(sum(member.cpu_times()[:2]) for member in family)


def free_port() -> int:
    import socket

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40, help="requests per measurement")
    parser.add_argument("--seconds", type=float, default=8.0, help="of live sound")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, Any] = {"jobs": options.jobs, "rounds": options.rounds}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_track(folder / "song.mp3", 30.0, 0)
        soundfile.write(folder / "song.wav", piece(0, 30.0), 22050)
        (folder / "plain.py").write_text(PLAIN)
        ours, plain = free_port(), free_port()
        serve = ["-c", "from earmark.cli import main; main()", "serve", "--jobs", str(options.jobs)]
        with (
            running(*serve, "--port", str(ours)) as process,
            running(str(folder / "plain.py"), str(plain)) as other,
        ):
            wait_for(ours, "/v1/ready")
            wait_for(plain, "/")
            for path in (folder / "song.wav", folder / "song.mp3"):
                for port in (ours, plain):
                    load(port, path, 2, 6)
            names = ("requests/s", "p50 ms", "p99 ms", "CPU ms", "refused")
            print(f"{'':38s} " + " ".join(f"{name:>10s}" for name in (*names, "MB")))
            for path in (folder / "song.wav", folder / "song.mp3"):
                for clients in (1, 8, 64):
                    pair = []
                    for title, port, server in (
                        ("ours", ours, process),
                        ("plain FastAPI and librosa", plain, other),
                    ):
                        count, used = max(options.rounds, clients), processor_time(server)
                        found = load(port, path, clients, count)
                        found["CPU ms"] = 1000 * (processor_time(server) - used) / count
                        pair.append(found)
                        figures[f"{path.suffix} {clients} {title}"] = found
                        size = " + ".join(f"{mb:.0f}" for mb in memory(process)) if port == ours else ""
                        print(
                            f"{path.suffix} {clients:2d} clients, {title:25s} "
                            + " ".join(f"{found[name]:10.1f}" for name in names)
                            + f" {size:>10s}"
                        )
                    ratios = {name: pair[1][name] / pair[0][name] for name in ("p50 ms", "p99 ms", "CPU ms")}
                    ratios["requests/s"] = pair[0]["requests/s"] / pair[1]["requests/s"]
                    figures[f"{path.suffix} {clients} ratios"] = ratios
                    print("    we are better by: " + ", ".join(f"{n} {r:.2f}" for n, r in ratios.items()))
            figures["memory MB, server and workers"] = memory(process)
            delays = live(f"127.0.0.1:{ours}", options.seconds)
            figures["live ms"] = delays
            print(f"live: {statistics.median(delays):.0f} ms (at most {max(delays):.0f}) from a second to its answer")
        begun = time.perf_counter()
        subprocess.run([sys.executable, *serve[:2], "classify", folder / "song.wav"], check=True, capture_output=True)
        spent = time.perf_counter() - begun
        figures["a process per file, ms"] = 1000 * spent
        once = figures[".wav 1 ours"]["p50 ms"]
        print(f"a process per file: {1000 * spent:.0f} ms, {1000 * spent / once:.0f} times as long")
        print(f"({os.cpu_count()} processors, {os.getloadavg()[0]:.1f} on average busy or wanted)")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
