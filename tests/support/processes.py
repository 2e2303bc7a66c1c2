"""Looks at and ends the processes that a test has started, and no others."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Whether the process exists and is not merely waiting to be reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def belonging_to(home: Path) -> list[int]:
    """Every process that carries this directory in its environment or on its command line."""
    mark = str(home).encode()
    return [pid for pid in _all_pids() if pid != os.getpid() and is_alive(pid) and mark in _traces(pid)]


def launches_in(home: Path) -> list[int]:
    """The processes of launches, and what they have forked; not those that wait for a launch."""
    return [pid for pid in belonging_to(home) if _name(pid).startswith("hero:")]


def waits_for_a_launch(pid: int) -> bool:
    """Whether it is a fork server, or a fork of one that has not become a launch."""
    return b"pyhero._fork_server" in _traces(pid) and not _name(pid).startswith("hero:")


def kill_all(home: Path) -> None:
    """Ends them, whatever they are doing."""
    kill(belonging_to(home))


def kill(pids: list[int], by: signal.Signals = signal.SIGKILL) -> int:
    """Ends these processes, in this order; returns how many were still there."""
    n_killed = 0
    for pid in pids:
        with suppress(ProcessLookupError):  # It may end by itself meanwhile.
            os.kill(pid, by)
            n_killed += 1
    return n_killed


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""


def _all_pids() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _traces(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
