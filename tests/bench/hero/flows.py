"""The flows that are measured. Each takes `marks`, the path of a datagram socket.

Not part of the package around it: the server bundles this file alone.
"""

import json
import socket
import time
from pathlib import Path
from typing import Any

from pyhero import flow


def send(marks: str, word: str, key: str, at_ns: int) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(json.dumps([word, key, at_ns]).encode(), marks)


def payload(index: int) -> dict[str, Any]:
    """The same as the steps of the peers return."""
    return {
        "order": index,
        "customer": "c-20417",
        "state": "accepted",
        "total": 1249.5,
        "lines": ["bolt", "nut", "washer"],
        "note": "in stock",
    }


@flow
def step(index: int) -> dict[str, Any]:
    return payload(index)


@flow
def steps(n: int, times: str = "") -> int:
    """Writes the instants before the first and after each step to the file *times*."""
    instants = [time.monotonic_ns()]
    for index in range(n):
        step(index)
        instants.append(time.monotonic_ns())
    if times:
        Path(times).write_text(json.dumps(instants))
    return n


@flow
def first_line(marks: str, key: str) -> None:
    now = time.monotonic_ns()
    send(marks, "first", key, now)


@flow
def empty() -> None:
    pass


@flow
def pauses(marks: str, key: str, n: int, times: int) -> None:
    """Remembers *n* steps, then waits *times* times for an answer."""
    for index in range(n):
        step(index)
    for turn in range(times):
        flow.pause(f"go{turn}")
        now = time.monotonic_ns()
        send(marks, "resumed", f"{key}-{turn}", now)


@flow
def waits() -> Any:
    return flow.pause("go")


@flow
def last_step(marks: str, key: str) -> None:
    now = time.monotonic_ns()
    send(marks, "last", key, now)
    time.sleep(3600)


@flow
def is_killed(marks: str, key: str, n: int) -> None:
    for index in range(n):
        step(index)
    last_step(marks, key)
