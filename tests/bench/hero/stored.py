"""What plays take while nothing runs: memory, disk, and the time of reads among many."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from ..measuring import (
    OUTCOME_BYTES,
    disk_bytes,
    family_memory_kib,
    latency,
    memory_kib,
    now_ns,
    of_runs,
    within,
)
from ..suite import Figure, Order
from .launches import start_to_first_line
from .rpc import Job, run_all
from .server import Place, Server, place

PAGE_ITEMS = 100
N_READS = 50
# How long a store is filled; the figures say how far it came.
FILL_SECONDS = 1_200.0
COMPACTED_WITHIN_SECONDS = 30.0


@dataclass(frozen=True)
class Stored:
    """Measures on data directories of their own."""

    programs: Path
    order: Order

    def paused(self) -> Iterator[Figure]:
        """Plays that wait for an answer: what each adds to the memory and to the disk."""
        sizes = self.order.sizes
        with place(self.programs, self.order.directory) as where:
            server = where.start()
            pause_some(server, 5)
            yield "rss_idle", megabytes(memory_kib(server.process.pid))
            yield "family_idle", megabytes(family_memory_kib(server.process.pid))
            for name, n_plays in (("", sizes.n_paused), ("_many", sizes.n_paused_many)):
                if n_plays:
                    yield from paused_figures(server, n_plays, name)
            server.stop()

    def many(self) -> Iterator[Figure]:
        """A store with very many plays: open, a page of any list, a start."""
        n_plays = self.order.sizes.n_stored
        if not n_plays:
            return
        with place(self.programs, self.order.directory) as where:
            server = where.start()
            workflow = server.workflow("first_line")
            few = [start_to_first_line(server, workflow) for _ in range(N_READS)]
            n_stored = fill(server, workflow, n_plays)
            server.stop()
            opened = [open_ms(where) for _ in range(self.order.sizes.n_runs)]
            server = where.start()
            many = [start_to_first_line(server, workflow) for _ in range(N_READS)]
            pages = latency(list(page_times(server)))
            server.stop()
        yield "stored_plays", of_runs([n_stored], "plays")
        yield "stored_open", of_runs(opened, "ms")
        yield "stored_page", pages
        ratio = latency(many)["median"] / latency(few)["median"]
        yield "stored_start", latency(many) | {"ratio": round(ratio, 3)}

    def disk(self) -> Iterator[Figure]:
        """Bytes a step, beside those of the outcome itself, and what is left after deleting."""
        n_steps, unchanged = self.order.sizes.disk_flow, self.order.sizes.unchanged_seconds
        with place(self.programs, self.order.directory) as where:
            server = where.start()
            workflow = server.workflow("steps")
            server.stop()
            empty = disk_bytes(where.data_dir)
            server = where.start()
            plays = [server.run(workflow, n=n_steps) for _ in range(3)]
            full = disk_bytes(where.data_dir)
            compacted = after_compaction(where, server, unchanged)
            yield "disk_step", of_runs([(full - empty) / (3 * n_steps)], "bytes")
            of_step = (compacted - empty) / (3 * n_steps)
            ratio = round(of_step / OUTCOME_BYTES, 2)
            yield "disk_step_compacted", of_runs([of_step], "bytes", ratio_to_outcome=ratio)
            server = where.start()
            for play in plays:
                server.call("play_delete", play_sid=play["sid"])
            left = after_compaction(where, server, unchanged)
        yield "disk_step_deleted", of_runs([(left - empty) / (3 * n_steps)], "bytes")


def pause_some(server: Server, n_plays: int) -> None:
    workflow = server.workflow("waits")
    run_all(server.place.socket, (play_to_pause(workflow) for _ in range(n_plays)))


def play_to_pause(workflow_sid: str) -> Job:
    """Starts a play and waits until it waits, as it must, for an answer."""
    play_sid = yield "play_run_async", {"workflow_sid": workflow_sid}
    play = yield "play_wait", {"play_sid": play_sid, "until": "settled", "timeout_ms": 0}
    if play["status"] != "awaiting_resume":
        raise RuntimeError(f"play {play_sid} is {play['status']}: {play.get('failure')}")


def paused_figures(server: Server, n_plays: int, name: str) -> Iterator[Figure]:
    """Adds so many paused plays, as far as the time allows."""
    pid, data_dir = server.process.pid, server.place.data_dir
    memory, disk = memory_kib(pid), disk_bytes(data_dir)
    workflow, n_done = server.workflow("waits"), 0
    for _ in within(max(1, n_plays // 1_000), FILL_SECONDS):
        n_some = min(1_000, n_plays)
        run_all(server.place.socket, (play_to_pause(workflow) for _ in range(n_some)))
        n_done += n_some
    yield f"paused{name}_plays", of_runs([n_done], "plays")
    yield f"rss_paused{name}", megabytes(memory_kib(pid))
    yield f"paused{name}_memory", of_runs([(memory_kib(pid) - memory) / n_done], "KiB")
    yield f"paused{name}_disk", of_runs([(disk_bytes(data_dir) - disk) / n_done], "bytes")


def fill(server: Server, workflow: str, n_plays: int) -> int:
    """Stores plays that end at once, because their interpreter does not exist; returns how many."""
    inputs = {"marks": "", "key": ""}
    nobody = {"workflow_sid": workflow, "python": "/nonexistent/python", "input_data": inputs}
    n_done = count()

    def start() -> Job:
        play_sid = yield "play_run_async", nobody
        yield "play_wait", {"play_sid": play_sid, "until": "ended", "timeout_ms": 0}
        next(n_done)

    run_all(server.place.socket, (start() for _ in within(n_plays, FILL_SECONDS)))
    return next(n_done)


def open_ms(where: Place) -> float:
    """From the start of the program to its first answer."""
    began = now_ns()
    server = where.start()
    taken = (now_ns() - began) / 1e6
    server.stop()
    return taken


def page_times(server: Server) -> Iterator[int]:
    """Nanoseconds of pages of every list: the first ones, and on by their cursors."""
    lists: list[dict[str, Any]] = [
        {},
        {"status": "failed"},
        {"status": "success"},
        {"workflow": "first_line"},
    ]
    for asked in lists:
        cursor: dict[str, str] = {}
        for _ in range(N_READS):
            began = now_ns()
            page = server.call("play_list", limit=PAGE_ITEMS, **asked, **cursor)
            yield now_ns() - began
            if not page.get("next_cursor"):
                break
            cursor = {"cursor": page["next_cursor"]}


def after_compaction(where: Place, server: Server, unchanged_seconds: float) -> int:
    """Stops the server, gives a new one time to tidy up, and returns the bytes that are left."""
    server.stop()
    server = where.start()
    smallest, deadline = disk_bytes(where.data_dir), time.monotonic() + COMPACTED_WITHIN_SECONDS
    unchanged_since = time.monotonic()
    while time.monotonic() < min(deadline, unchanged_since + unchanged_seconds):
        time.sleep(0.2)
        if (now := disk_bytes(where.data_dir)) < smallest:
            smallest, unchanged_since = now, time.monotonic()
    server.stop()
    return min(smallest, disk_bytes(where.data_dir))


def megabytes(kib: float) -> dict[str, Any]:
    return of_runs([kib / 1024], "MiB")
