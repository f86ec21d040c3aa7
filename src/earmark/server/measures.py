"""Counts and times of the server in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Measures:
    """Requests by route, method and status, and how long they took; bounded, as routes are templates."""

    def __init__(self) -> None:
        self.began = time.time()
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.refused = 0
        self.uploaded_bytes = 0
        self.heard = 0
        self.failed: Counter[str] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._sums: Counter[str] = Counter()

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Note one finished request."""
        self.requests[route, method, status] += 1
        buckets = self._buckets.setdefault(route, [0] * (len(_BUCKETS) + 1))
        for place, bound in enumerate(_BUCKETS):
            buckets[place] += seconds <= bound
        buckets[-1] += 1
        self._sums[route] += seconds  # type: ignore[assignment]

    def text(self, gauges: Iterable[tuple[str, str, float]], info: Mapping[str, str]) -> str:
        """All measures, with gauges (name, help, value) that are read at this moment."""
        lines = [
            "# HELP earmark_info Version and bundle.",
            "# TYPE earmark_info gauge",
            f"earmark_info{_labels(info)} 1",
            "# HELP earmark_requests_total Finished requests.",
            "# TYPE earmark_requests_total counter",
        ]
        for (route, method, status), count in sorted(self.requests.items()):
            lines.append(
                f"earmark_requests_total{_labels({'route': route, 'method': method, 'status': str(status)})} {count}"
            )
        lines += ["# HELP earmark_request_seconds Time from request to the end of the answer."]
        lines += ["# TYPE earmark_request_seconds histogram"]
        for route, buckets in sorted(self._buckets.items()):
            for bound, value in zip((*map(str, _BUCKETS), "+Inf"), buckets, strict=True):
                lines.append(f"earmark_request_seconds_bucket{_labels({'route': route, 'le': bound})} {value}")
            lines.append(f"earmark_request_seconds_sum{_labels({'route': route})} {self._sums[route]:.6f}")
            lines.append(f"earmark_request_seconds_count{_labels({'route': route})} {buckets[-1]}")
        lines += ["# HELP earmark_failed_total Files that could not be heard, by reason."]
        lines += ["# TYPE earmark_failed_total counter"]
        lines += [f"earmark_failed_total{_labels({'problem': name})} {n}" for name, n in sorted(self.failed.items())]
        counters = (
            ("earmark_heard_total", "Files that were heard.", self.heard),
            ("earmark_refused_total", "Requests refused because of too much load.", self.refused),
            ("earmark_uploaded_bytes_total", "Bytes of sound received.", self.uploaded_bytes),
        )
        for name, words, value in counters:
            lines += [f"# HELP {name} {words}", f"# TYPE {name} counter", f"{name} {value}"]
        own = (
            ("process_start_time_seconds", "When the server began, in seconds since 1970.", self.began),
            ("process_resident_memory_bytes", "Memory of the server without its workers.", _resident()),
        )
        for name, words, number in (*gauges, *own):
            lines += [f"# HELP {name} {words}", f"# TYPE {name} gauge", f"{name} {number:.15g}"]
        return "\n".join(lines) + "\n"


def _labels(values: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in values.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _resident() -> float:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return 0.0
