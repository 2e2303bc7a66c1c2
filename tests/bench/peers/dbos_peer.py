"""DBOS Transact, a library inside the process, on SQLite or PostgreSQL.

python -m bench.peers.dbos_peer --directory DIR {sqlite|postgres}

A pause is `DBOS.recv`; the workflow stays in memory as a thread, so its resume replays nothing.
"""
# mypy: disable-error-code="import-not-found, untyped-decorator, misc"

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from dbos import DBOS

from ..marks import Marker, Marks
from ..measuring import (
    disk_bytes,
    family_memory_kib,
    kill_family,
    latency,
    memory_kib,
    now_ns,
    of_runs,
    payload,
    step_figure,
    within,
)
from ..suite import Figure, Measure, Order, order, report
from . import postgres

# What flows of this process passed: key → instant.
SEEN: dict[str, int] = {}


@DBOS.step()
def step(index: int) -> dict[str, Any]:
    return payload(index)


@DBOS.workflow()
def steps(n: int) -> list[int]:
    instants = [now_ns()]
    for index in range(n):
        step(index)
        instants.append(now_ns())
    return instants


@DBOS.workflow()
def empty(key: str) -> None:
    SEEN[key] = now_ns()


@DBOS.workflow()
def pauses(key: str) -> None:
    for index in range(10):
        step(index)
    SEEN[f"asked {key}"] = now_ns()
    DBOS.recv("go", timeout_seconds=3600)
    SEEN[key] = now_ns()


@DBOS.step()
def last_step(marks: str) -> None:
    now = now_ns()
    Marker(marks).send("last", "", now)
    time.sleep(3600)


@DBOS.workflow()
def is_killed(marks: str, n: int) -> None:
    for index in range(n):
        step(index)
    last_step(marks)


def launch(url: str) -> None:
    """Starts DBOS in this process; it takes up what is unfinished."""
    DBOS(
        config={
            "name": "bench",
            "system_database_url": url,
            "log_level": "ERROR",
            "application_version": "1",
            "executor_id": "bench",
        }
    )
    DBOS.launch()


@dataclass(frozen=True)
class Dbos:
    """Measures in this process, but for the restarts."""

    order: Order
    url: str
    server: postgres.Postgres | None

    def sequential(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        DBOS.start_workflow(steps, 100).get_result()
        for name, n_steps in (("step_1000", sizes.short_flow), ("step_10000", sizes.long_flow)):
            counts = within(sizes.n_runs, sizes.budget_seconds)
            runs = [DBOS.start_workflow(steps, n_steps).get_result() for _ in counts]
            yield name, step_figure(runs)

    def parallel(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        rates = []
        for _ in within(sizes.n_runs, sizes.budget_seconds):
            began = now_ns()
            handles = [DBOS.start_workflow(steps, sizes.branch_steps) for _ in range(sizes.branches)]
            for handle in handles:
                handle.get_result()
            rates.append(sizes.branches * sizes.branch_steps / ((now_ns() - began) / 1e9))
        yield "parallel_steps", of_runs(rates, "steps/s")

    def start(self) -> Iterator[Figure]:
        taken = []
        for index in within(self.order.sizes.n_latencies + 10, self.order.sizes.budget_seconds):
            began = now_ns()
            DBOS.start_workflow(empty, key := f"start {index}").get_result()
            taken.append(SEEN[key] - began)
        yield "start", latency(taken[min(10, len(taken) // 2) :])

    def flows(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        rates = []
        for _ in within(sizes.n_runs, sizes.budget_seconds):
            began = now_ns()
            handles = [DBOS.start_workflow(empty, "flows") for _ in range(sizes.n_flows)]
            for handle in handles:
                handle.get_result()
            rates.append(sizes.n_flows / ((now_ns() - began) / 1e9))
        yield "empty_flows", of_runs(rates, "flows/s")

    def resume(self) -> Iterator[Figure]:
        taken = []
        for index in within(self.order.sizes.n_latencies // 2, self.order.sizes.budget_seconds):
            handle = DBOS.start_workflow(pauses, key := f"resume {index}")
            seen(f"asked {key}")
            # On SQLite the answer is polled for; let it come at any point between two looks.
            time.sleep(0.05 + 0.013 * (index % 77))
            began = now_ns()
            DBOS.send(handle.workflow_id, True, "go")
            handle.get_result()
            taken.append(SEEN[key] - began)
        yield "resume", latency(taken)

    def paused(self) -> Iterator[Figure]:
        n_plays = self.order.sizes.n_paused
        before = self._memory_kib()
        yield "rss_idle", of_runs([before / 1024], "MiB")
        for index in range(n_plays):
            DBOS.start_workflow(pauses, f"paused {index}")
        for index in range(n_plays):
            seen(f"asked paused {index}")
        time.sleep(2)
        yield "paused_memory", of_runs([(self._memory_kib() - before) / n_plays], "KiB")

    def disk(self) -> Iterator[Figure]:
        n_steps = self.order.sizes.disk_flow
        before = self._disk_bytes()
        DBOS.start_workflow(steps, n_steps).get_result()
        yield "disk_step", of_runs([(self._disk_bytes() - before) / n_steps], "bytes")

    def restart(self) -> Iterator[Figure]:
        """`kill -9` of the process that carries the workflow, and its start until the last step runs."""
        marks = Marks(self.order.directory / "marks")
        for name, n_steps in (("restart_0", 0), ("restart_10000", self.order.sizes.long_flow)):
            process = self._carrier(marks, "begin", n_steps)
            marks.wait("last")
            taken = []
            for _ in within(self.order.sizes.n_runs, self.order.sizes.budget_seconds):
                kill_family(process)
                began = now_ns()
                process = self._carrier(marks, "go on", n_steps)
                taken.append((marks.wait("last").at_ns - began) / 1e6)
            process = self._end_all(process)
            yield name, of_runs(taken, "ms")

    def _carrier(self, marks: Marks, how: str, n_steps: int) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "bench.peers.dbos_peer", "carry", self.url]
        return subprocess.Popen([*command, str(marks.path), how, str(n_steps)])

    def _end_all(self, process: "subprocess.Popen[bytes]") -> "subprocess.Popen[bytes]":
        """Ends the carrier and cancels what it carried, so that the next one finds nothing to do."""
        kill_family(process)
        canceller = [sys.executable, "-m", "bench.peers.dbos_peer", "cancel", self.url]
        subprocess.run(canceller, check=True)
        return process

    def _memory_kib(self) -> int:
        return memory_kib(os.getpid()) + (family_memory_kib(self.server.pid) if self.server else 0)

    def _disk_bytes(self) -> int:
        return self.server.data_bytes() if self.server else disk_bytes(self.order.directory)


def seen(key: str) -> None:
    """Waits until a flow of this process has passed this."""
    while key not in SEEN:
        time.sleep(0.001)


def carry(url: str, marks: str, how: str, n_steps: str) -> None:
    launch(url)
    if how == "begin":
        DBOS.start_workflow(is_killed, marks, int(n_steps))
    time.sleep(3600)


def cancel(url: str) -> None:
    from dbos import DBOSClient

    client = DBOSClient(system_database_url=url)
    for workflow in client.list_workflows(status="PENDING"):
        client.cancel_workflow(workflow.workflow_id)


def main() -> None:
    asked = order()
    measures: dict[str, Callable[[Dbos], Iterator[Figure]]] = {
        # Before this process launches: two that carry would take each other's workflows.
        "restart": Dbos.restart,
        "step": Dbos.sequential,
        "parallel": Dbos.parallel,
        "start": Dbos.start,
        "flows": Dbos.flows,
        "resume": Dbos.resume,
        "disk": Dbos.disk,
        "paused": Dbos.paused,
    }
    database = asked.rest[0]
    versions = {"dbos": version("dbos")}
    with ExitStack() as stack:
        server = None
        url = f"sqlite:///{asked.directory / 'dbos.sqlite'}"
        if database == "postgres":
            server = stack.enter_context(postgres.running(asked.directory / "postgres"))
            url, versions["postgresql"] = server.url, server.ask("show server_version")
        dbos = Dbos(asked, url, server)
        launched: set[str] = set()

        def taking(measure: Callable[[Dbos], Iterator[Figure]]) -> Measure:
            def take() -> Iterator[Figure]:
                if measure is not Dbos.restart and url not in launched:
                    launch(url)
                    launched.add(url)
                yield from measure(dbos)

            return take

        taken = {name: taking(measure) for name, measure in measures.items()}
        report(f"dbos-{database}", versions, taken, asked)
    # Its threads would wait for the answers of the paused ones.
    os._exit(0)


if __name__ == "__main__":
    if sys.argv[1] == "carry":
        carry(*sys.argv[2:])
    elif sys.argv[1] == "cancel":
        cancel(*sys.argv[2:])
    else:
        main()
