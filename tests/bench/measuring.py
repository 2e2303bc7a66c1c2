"""Clocks, medians, memory and disk. Standard library only: every peer runs this in its own environment."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

now_ns = time.monotonic_ns
"""The same clock in every process of the machine."""


def payload(index: int) -> dict[str, Any]:
    """What every step returns: about 100 bytes of JSON."""
    return {
        "order": index,
        "customer": "c-20417",
        "state": "accepted",
        "total": 1249.5,
        "lines": ["bolt", "nut", "washer"],
        "note": "in stock",
    }


OUTCOME_BYTES = len(json.dumps({"returned": payload(1000)}, separators=(",", ":")))
"""What one remembered step has to hold, at the least."""


# --- Figures --------------------------------------------------------------------------------------


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which *share* of them lie, interpolated."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def median(values: Sequence[float]) -> float:
    return quantile(values, 0.5)


def latency(nanoseconds: Sequence[float]) -> dict[str, Any]:
    """A figure made of single latencies, in ms."""
    ms = [value / 1e6 for value in nanoseconds]
    return {
        "unit": "ms",
        "median": round(median(ms), 4),
        "p99": round(quantile(ms, 0.99), 4),
        "n": len(ms),
        "min": round(min(ms), 4),
        "max": round(max(ms), 4),
    }


def of_runs(values: Sequence[float], unit: str, **more: Any) -> dict[str, Any]:
    """A figure that is the median of whole runs."""
    return {"unit": unit, "median": round(median(values), 4), "runs": [round(v, 4) for v in values], **more}


def step_figure(runs: Sequence[Sequence[int]]) -> dict[str, Any]:
    """A figure from the instants before the first and after each step, as the flow itself saw them.

    `median` is the time a whole flow takes per step, in ms; `p50` and `p99` are of single steps.
    """
    singles = [(b - a) / 1e6 for run in runs for a, b in pairwise(run)]
    means = [(run[-1] - run[0]) / (len(run) - 1) / 1e6 for run in runs]
    quantiles = {"p50": round(quantile(singles, 0.5), 4), "p99": round(quantile(singles, 0.99), 4)}
    return of_runs(means, "ms", **quantiles, steps_per_second=round(1000 / median(means), 1))


def within(n_max: int, seconds: float, at_least: int = 1) -> Iterator[int]:
    """Counts up to *n_max*, and stops earlier when the time is used up."""
    deadline = time.monotonic() + seconds
    for index in range(n_max):
        if index >= at_least and time.monotonic() > deadline:
            return
        yield index


# --- Processes ------------------------------------------------------------------------------------


def family(pid: int) -> list[int]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue  # It has ended meanwhile.
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found, left = [], [pid]
    while left:
        found.append(parent := left.pop())
        left += children.get(parent, [])
    return found


def memory_kib(pid: int, kind: str = "Rss") -> int:
    """`Rss` or `Pss` of one process (with Pss, shared pages count once over all processes)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{kind}:")), 0)


def family_memory_kib(pid: int) -> int:
    """What a process and all its descendants take together."""
    return sum(memory_kib(member, "Pss") for member in family(pid))


def kill_family(process: "subprocess.Popen[Any]") -> None:
    """The power fails for a process that this one started, and for all that it started."""
    if process.poll() is None:
        process.send_signal(signal.SIGSTOP)  # So that it starts no other while the list is read.
        for member in reversed(family(process.pid)):
            try:
                os.kill(member, signal.SIGKILL)
            except ProcessLookupError:
                continue
    process.wait()


# --- Places ---------------------------------------------------------------------------------------


def disk_bytes(directory: Path) -> int:
    """What the files of a directory take on the disk, in whole blocks."""
    total = 0
    for path, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
            except OSError:
                continue  # It was a temporary one.
    return total


def free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    with closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for_port(port: int, seconds: float = 120) -> None:
    """Returns once something listens there."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
