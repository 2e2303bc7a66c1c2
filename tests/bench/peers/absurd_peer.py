"""Absurd, functions inside PostgreSQL and a worker that polls them.

python -m bench.peers.absurd_peer --directory DIR [tuned]

The worker looks every 250 ms unless `tuned`, which looks every 5 ms and measures only what depends on it.
"""
# mypy: disable-error-code="import-not-found, untyped-decorator, misc"

import ast
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from absurd_sdk import Absurd

from ..marks import Marks
from ..measuring import family_memory_kib, kill_family, latency, now_ns, of_runs, step_figure, within
from ..suite import Figure, Measure, Order, order, report
from . import postgres
from .absurd_worker import QUEUE

POLL_SECONDS, TUNED_POLL_SECONDS = 0.25, 0.005
# How long a worker holds what it has claimed. Only the restart waits for the end of a claim.
CLAIM_SECONDS, SHORT_CLAIM_SECONDS = 3600, 2


@dataclass(frozen=True)
class Peer:
    """Measures with a worker of their own."""

    order: Order
    server: postgres.Postgres
    marks: Marks
    app: Any
    poll_seconds: float

    def spawn(self, task: str, **inputs: Any) -> None:
        self.app.spawn(task, inputs, queue=QUEUE, max_attempts=100)

    def start_worker(
        self, concurrency: int = 1, claim_seconds: int = CLAIM_SECONDS
    ) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "bench.peers.absurd_worker", self.server.url, str(self.marks.path)]
        numbers = (concurrency, claim_seconds, self.poll_seconds)
        return subprocess.Popen([*command, *map(str, numbers)])

    @contextmanager
    def worker(self, concurrency: int = 1) -> "Iterator[subprocess.Popen[bytes]]":
        """A worker that has done something already."""
        process = self.start_worker(concurrency)
        try:
            self.spawn("empty", key="warm")
            self.marks.wait("first", "warm")
            yield process
        finally:
            kill_family(process)

    def one_flow(self, n_steps: int) -> list[int]:
        times = self.order.directory / "times"
        self.spawn("steps", key="one", n=n_steps, times=str(times))
        self.marks.wait("done", "one")
        instants: list[int] = ast.literal_eval(times.read_text())
        return instants

    def sequential(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        with self.worker():
            self.one_flow(100)
            for name, n_steps in (("step_1000", sizes.short_flow), ("step_10000", sizes.long_flow)):
                counts = within(sizes.n_runs, sizes.budget_seconds)
                yield name, step_figure([self.one_flow(n_steps) for _ in counts])

    def parallel(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        rates = []
        with self.worker(sizes.branches):
            for _ in within(sizes.n_runs, sizes.budget_seconds):
                began = now_ns()
                for index in range(sizes.branches):
                    self.spawn("steps", key=f"{index}", n=sizes.branch_steps)
                ends = [self.marks.wait("done").at_ns for _ in range(sizes.branches)]
                rates.append(sizes.branches * sizes.branch_steps / ((max(ends) - began) / 1e9))
        yield "parallel_steps", of_runs(rates, "steps/s")

    def start(self) -> Iterator[Figure]:
        taken = []
        with self.worker():
            for index in within(self.order.sizes.n_latencies, self.order.sizes.budget_seconds):
                # Let it come at any point between two looks.
                time.sleep(0.01 + 0.0037 * (index % 71))
                began = now_ns()
                self.spawn("empty", key=f"start {index}")
                taken.append(self.marks.wait("first", f"start {index}").at_ns - began)
        yield "start", latency(taken)

    def flows(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        rates = []
        with self.worker(sizes.branches):
            for _ in within(sizes.n_runs, sizes.budget_seconds):
                began = now_ns()
                for _ in range(sizes.n_flows):
                    self.spawn("empty", key="flow")
                ends = [self.marks.wait("first", "flow").at_ns for _ in range(sizes.n_flows)]
                rates.append(sizes.n_flows / ((max(ends) - began) / 1e9))
        yield "empty_flows", of_runs(rates, "flows/s")

    def resume(self) -> Iterator[Figure]:
        taken = []
        with self.worker():
            for index in within(self.order.sizes.n_latencies // 2, self.order.sizes.budget_seconds):
                self.spawn("pauses", key=f"{index}")
                self.marks.wait("asked", index)
                time.sleep(0.3 + 0.0037 * (index % 71))
                began = now_ns()
                self.app.emit_event(f"go {index}", True)
                taken.append(self.marks.wait("resumed", index).at_ns - began)
        yield "resume", latency(taken)

    def paused(self) -> Iterator[Figure]:
        n_plays = self.order.sizes.n_paused
        with self.worker(self.order.sizes.branches) as process:
            before = self._memory_kib(process.pid)
            yield "rss_idle", of_runs([before / 1024], "MiB")
            for index in range(n_plays):
                self.spawn("pauses", key=f"paused {index}")
            for _ in range(n_plays):
                self.marks.wait("asked")
            time.sleep(2)
            per_play = (self._memory_kib(process.pid) - before) / n_plays
        yield "paused_memory", of_runs([per_play], "KiB")

    def disk(self) -> Iterator[Figure]:
        n_steps = self.order.sizes.disk_flow
        with self.worker():
            before = self.server.data_bytes()
            self.one_flow(n_steps)
            yield "disk_step", of_runs([(self.server.data_bytes() - before) / n_steps], "bytes")

    def restart(self) -> Iterator[Figure]:
        """`kill -9` of the worker, and its start, its claim being over, until the last step runs."""
        for name, n_steps in (("restart_0", 0), ("restart_10000", self.order.sizes.long_flow)):
            process = self.start_worker(claim_seconds=SHORT_CLAIM_SECONDS)
            self.spawn("is_killed", key=name, n=n_steps)
            self.marks.wait("last", name)
            taken = []
            for _ in within(self.order.sizes.n_runs, self.order.sizes.budget_seconds):
                kill_family(process)
                time.sleep(SHORT_CLAIM_SECONDS + 1)
                began = now_ns()
                process = self.start_worker(claim_seconds=SHORT_CLAIM_SECONDS)
                taken.append((self.marks.wait("last", name).at_ns - began) / 1e6)
            kill_family(process)
            self.server.ask(f"delete from absurd.t_{QUEUE}; delete from absurd.r_{QUEUE}")
            yield name, of_runs(taken, "ms")

    def _memory_kib(self, pid: int) -> int:
        return family_memory_kib(pid) + family_memory_kib(self.server.pid)


def prepare(server: postgres.Postgres) -> None:
    """Creates the schema and the queue."""
    control = Path(sys.executable).with_name("absurdctl")
    environment = os.environ | {"PATH": f"{postgres.programs()}:{os.environ['PATH']}"}
    for arguments in (["init", "-d", server.url], ["create-queue", "-d", server.url, QUEUE]):
        command = [sys.executable, str(control), *arguments]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)


def main() -> None:
    asked = order()
    is_tuned = "tuned" in asked.rest
    with postgres.running(asked.directory / "postgres") as server:
        prepare(server)
        app = Absurd(server.url, queue_name=QUEUE)
        poll_seconds = TUNED_POLL_SECONDS if is_tuned else POLL_SECONDS
        peer = Peer(asked, server, Marks(asked.directory / "marks"), app, poll_seconds)
        measures: dict[str, Measure] = {"start": peer.start, "flows": peer.flows, "resume": peer.resume}
        if not is_tuned:
            measures |= {
                "step": peer.sequential,
                "parallel": peer.parallel,
                "disk": peer.disk,
                "restart": peer.restart,
                "paused": peer.paused,
            }
        versions = {"absurd-sdk": version("absurd-sdk"), "postgresql": server.ask("show server_version")}
        report("absurd-tuned" if is_tuned else "absurd", versions, measures, asked)


if __name__ == "__main__":
    main()
