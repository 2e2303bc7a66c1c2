"""Prefect 3: its server on loopback with its SQLite database, flows in this process.

python -m bench.peers.prefect_peer --directory DIR
"""
# mypy: disable-error-code="import-not-found, untyped-decorator, misc"

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..marks import Marks
from ..measuring import (
    disk_bytes,
    family_memory_kib,
    free_port,
    kill_family,
    latency,
    now_ns,
    of_runs,
    step_figure,
    wait_for_port,
    within,
)
from ..suite import Figure, Measure, Order, order, report, skipped

# A step takes some 30 ms: longer flows would take the whole time of the others together.
STEPS_MAX = 1_000
N_THREADS = 16
N_RESUMES = 10


@dataclass(frozen=True)
class Peer:
    """Measures in this process, but for the restarts."""

    order: Order
    marks: Marks
    home: Path
    server: "subprocess.Popen[bytes]"
    flows: Any

    def sequential(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        self.flows.steps("warm", 10)
        n_steps = min(sizes.short_flow, STEPS_MAX)
        counts = within(sizes.n_runs, sizes.budget_seconds)
        yield "step_1000", step_figure([self.flows.steps(f"step {run}", n_steps) for run in counts])
        yield "step_10000", skipped(f"flows of more than {STEPS_MAX} steps take minutes")

    def parallel(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        began = now_ns()
        with ThreadPoolExecutor(sizes.branches) as pool:
            names = [f"branch {index}" for index in range(sizes.branches)]
            list(pool.map(lambda name: self.flows.steps(name, sizes.branch_steps), names))
        rate = sizes.branches * sizes.branch_steps / ((now_ns() - began) / 1e9)
        yield "parallel_steps", of_runs([rate], "steps/s")

    def start(self) -> Iterator[Figure]:
        taken = []
        for index in within(self.order.sizes.n_latencies, self.order.sizes.budget_seconds):
            began = now_ns()
            self.flows.empty(f"start {index}")
            taken.append(self.marks.wait("first", f"start {index}").at_ns - began)
        yield "start", latency(taken[min(10, len(taken) // 2) :])

    def many_flows(self) -> Iterator[Figure]:
        n_flows = max(10, self.order.sizes.n_flows // 10)
        began = now_ns()
        with ThreadPoolExecutor(N_THREADS) as pool:
            list(pool.map(self.flows.empty, [""] * n_flows))
        yield "empty_flows", of_runs([n_flows / ((now_ns() - began) / 1e9)], "flows/s")

    def resume(self) -> Iterator[Figure]:
        from prefect.flow_runs import resume_flow_run

        taken = []
        for index in within(min(N_RESUMES, self.order.sizes.n_latencies), self.order.sizes.budget_seconds):
            runner = threading.Thread(target=self.flows.pauses, args=(f"{index}",))
            runner.start()
            flow_run = self.marks.wait("asked", index).extra
            # The answer is polled for every 10 s; let it come at any point between two looks.
            time.sleep(1.5 + index)
            began = now_ns()
            resume_flow_run(flow_run)
            taken.append(self.marks.wait("resumed", index).at_ns - began)
            runner.join()
        yield "resume", latency(taken)

    def disk(self) -> Iterator[Figure]:
        n_steps = min(self.order.sizes.disk_flow, STEPS_MAX)
        before = disk_bytes(self.home)
        self.flows.steps("disk", n_steps)
        time.sleep(5)
        yield "disk_step", of_runs([(disk_bytes(self.home) - before) / n_steps], "bytes")

    def memory(self) -> Iterator[Figure]:
        yield "rss_idle", of_runs([family_memory_kib(self.server.pid) / 1024], "MiB")
        yield "paused_memory", skipped("a paused flow keeps its process")

    def restart(self) -> Iterator[Figure]:
        """`kill -9` of the process that carries the flow, and its start until the last step runs."""
        n_many = min(self.order.sizes.long_flow, STEPS_MAX)
        for name, n_steps in (("restart_0", 0), ("restart_1000", n_many)):
            process = self._carrier(name, n_steps)
            self.marks.wait("last", name)
            taken = []
            for _ in within(self.order.sizes.n_runs, self.order.sizes.budget_seconds):
                kill_family(process)
                began = now_ns()
                process = self._carrier(name, n_steps)
                taken.append((self.marks.wait("last", name).at_ns - began) / 1e6)
            kill_family(process)
            yield name, of_runs(taken, "ms")
        yield "restart_10000", skipped(f"flows of more than {STEPS_MAX} steps take minutes")

    def _carrier(self, run: str, n_steps: int) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-m", "bench.peers.prefect_peer", "carry", run, str(n_steps)]
        )


def settings(home: Path, port: int, marks: Path) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
        "PREFECT_LOGGING_LEVEL": "ERROR",
        "PREFECT_LOGGING_SERVER_LEVEL": "ERROR",
        "DO_NOT_TRACK": "1",
        "MARKS": str(marks),
    }


def start_server(directory: Path, port: int) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "prefect", "server", "start"]
    where = ["--host", "127.0.0.1", "--port", str(port), "--no-ui"]
    with (directory / "server.log").open("ab") as log:
        process = subprocess.Popen([*command, *where], stdout=log, stderr=log)
    wait_for_port(port)
    return process


def carry(run: str, n_steps: str) -> None:
    from . import prefect_flows

    prefect_flows.is_killed(run, int(n_steps))


def main() -> None:
    asked = order()
    home, port = asked.directory / "home", free_port()
    marks = Marks(asked.directory / "marks")
    os.environ.update(settings(home, port, marks.path))
    server = start_server(asked.directory, port)
    try:
        # Its settings are read when it is imported.
        from . import prefect_flows

        peer = Peer(asked, marks, home, server, prefect_flows)
        measures: dict[str, Measure] = {
            "step": peer.sequential,
            "parallel": peer.parallel,
            "start": peer.start,
            "flows": peer.many_flows,
            "resume": peer.resume,
            "disk": peer.disk,
            "restart": peer.restart,
            "paused": peer.memory,
        }
        report("prefect", {"prefect": version("prefect")}, measures, asked)
    finally:
        kill_family(server)


if __name__ == "__main__":
    if sys.argv[1] == "carry":
        carry(*sys.argv[2:])
    else:
        main()
