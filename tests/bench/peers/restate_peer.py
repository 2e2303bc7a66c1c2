"""Restate: a server (one node, as it comes), and a worker under hypercorn.

python -m bench.peers.restate_peer --directory DIR

The resume is that of a handler whose connection is still open, which is the quicker one.
"""
# mypy: disable-error-code="import-not-found, untyped-decorator, misc"

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from ..suite import Figure, Measure, Order, order, report
from .install import restate_server

ENVIRONMENT = Path(sys.prefix).parent
READY_SECONDS = 60.0


@dataclass
class Engine:
    """A server and a worker on a directory."""

    directory: Path
    marks: Marks
    variables: dict[str, str] = field(default_factory=dict)
    ingress: int = field(default_factory=free_port)
    admin: int = field(default_factory=free_port)
    node: int = field(default_factory=free_port)
    serving: int = field(default_factory=free_port)
    processes: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def start_processes(self) -> None:
        self.processes = [self._start_server(), self._start_worker()]

    def start(self) -> None:
        """Starts both and returns once a call goes through."""
        self.start_processes()
        for port in (self.admin, self.ingress, self.serving):
            wait_for_port(port)
        uri = {"uri": f"http://127.0.0.1:{self.serving}", "force": True}
        until_done(lambda: request(connect(self.admin), "/deployments", uri))
        until_done(lambda: Client(self).call("empty", "warm"))

    def kill(self) -> None:
        for process in self.processes:
            kill_family(process)

    @property
    def data_dir(self) -> Path:
        return self.directory / "restate"

    def _start_server(self) -> "subprocess.Popen[bytes]":
        self.data_dir.mkdir(exist_ok=True)
        settings = {
            "RESTATE_BASE_DIR": str(self.data_dir),
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RESTATE_LISTEN_MODE": "tcp",
            "RESTATE_BIND_IP": "127.0.0.1",
            "RESTATE_BIND_PORT": str(self.node),
            "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{self.ingress}",
            "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{self.admin}",
            "RESTATE_ADMIN__DISABLE_WEB_UI": "true",
            "RESTATE_LOG_FILTER": "error",
            "RESTATE_NODE_NAME": "bench",
            "RESTATE_CLUSTER_NAME": "bench",
        }
        command = [str(restate_server(ENVIRONMENT)), "--no-logo"]
        return self._start("server", command, settings | self.variables)

    def _start_worker(self) -> "subprocess.Popen[bytes]":
        serve = ["--bind", f"127.0.0.1:{self.serving}", "--log-level", "ERROR"]
        command = [sys.executable, "-m", "hypercorn", *serve, "bench.peers.restate_worker:app"]
        return self._start("worker", command, {"MARKS": str(self.marks.path)})

    def _start(self, name: str, command: list[str], variables: dict[str, str]) -> "subprocess.Popen[bytes]":
        with (self.directory / f"{name}.log").open("ab") as log:
            return subprocess.Popen(command, env=os.environ | variables, stdout=log, stderr=log)


class Client:
    """One kept connection to the ingress."""

    def __init__(self, engine: Engine) -> None:
        self._connection = connect(engine.ingress)

    def call(self, handler: str, inputs: Any, *, waits: bool = True) -> Any:
        """Calls a handler; without *waits* it returns once the call is accepted."""
        return request(self._connection, f"/Bench/{handler}{'' if waits else '/send'}", inputs)

    def resolve(self, awakeable: str) -> None:
        request(self._connection, f"/restate/awakeables/{awakeable}/resolve", True)


def connect(port: int) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    connection.connect()
    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def request(connection: http.client.HTTPConnection, path: str, body: Any) -> Any:
    connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
    response = connection.getresponse()
    text = response.read()
    if response.status >= 300:
        raise ConnectionError(f"{path}: {response.status} {text[:300]!r}")
    return json.loads(text) if text else None


def until_done(attempt: Callable[[], Any]) -> None:
    """Tries until it goes through."""
    deadline = time.monotonic() + READY_SECONDS
    while True:
        try:
            attempt()
            return
        except (OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


@dataclass(frozen=True)
class Peer:
    """Measures on an engine of their own."""

    order: Order
    marks: Marks

    @contextmanager
    def engine(self, **variables: str) -> Iterator[Engine]:
        engine = Engine(self.order.directory, self.marks, variables)
        shutil.rmtree(engine.data_dir, ignore_errors=True)
        try:
            engine.start()
            yield engine
        finally:
            engine.kill()

    def sequential(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        with self.engine() as engine:
            client = Client(engine)
            client.call("steps", 100)
            for name, n_steps in (("step_1000", sizes.short_flow), ("step_10000", sizes.long_flow)):
                counts = within(sizes.n_runs, sizes.budget_seconds)
                yield name, step_figure([client.call("steps", n_steps) for _ in counts])

    def parallel(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        n_steps = sizes.branches * sizes.branch_steps
        with self.engine() as engine, callers(engine, sizes.branches) as call_all:
            call_all("steps", [10] * sizes.branches)
            rates = []
            for _ in within(sizes.n_runs, sizes.budget_seconds):
                began = now_ns()
                call_all("steps", [sizes.branch_steps] * sizes.branches)
                rates.append(n_steps / ((now_ns() - began) / 1e9))
        yield "parallel_steps", of_runs(rates, "steps/s")

    def start(self) -> Iterator[Figure]:
        taken = []
        with self.engine() as engine:
            client = Client(engine)
            for index in within(self.order.sizes.n_latencies + 20, self.order.sizes.budget_seconds):
                began = now_ns()
                client.call("empty", f"start {index}")
                taken.append(self.marks.wait("first", f"start {index}").at_ns - began)
        yield "start", latency(taken[min(20, len(taken) // 2) :])

    def flows(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        with self.engine() as engine, callers(engine, sizes.branches) as call_all:
            call_all("empty", [""] * sizes.branches)
            rates = []
            for _ in within(sizes.n_runs, sizes.budget_seconds):
                began = now_ns()
                call_all("empty", [""] * sizes.n_flows)
                rates.append(sizes.n_flows / ((now_ns() - began) / 1e9))
        yield "empty_flows", of_runs(rates, "flows/s")

    def resume(self) -> Iterator[Figure]:
        taken = []
        with self.engine() as engine:
            client = Client(engine)
            for index in within(self.order.sizes.n_latencies, self.order.sizes.budget_seconds):
                client.call("pauses", f"{index}", waits=False)
                awakeable = self.marks.wait("asked", index).extra
                time.sleep(0.05)
                began = now_ns()
                client.resolve(awakeable)
                taken.append(self.marks.wait("resumed", index).at_ns - began)
        yield "resume", latency(taken[min(10, len(taken) // 2) :])

    def paused(self) -> Iterator[Figure]:
        n_plays = self.order.sizes.n_paused
        with self.engine(RESTATE_WORKER__INVOKER__INACTIVITY_TIMEOUT="1s") as engine:
            client = Client(engine)
            time.sleep(2)
            before = sum(family_memory_kib(process.pid) for process in engine.processes)
            yield "rss_idle", of_runs([before / 1024], "MiB")
            for index in range(n_plays):
                client.call("pauses", f"{index}", waits=False)
            for _ in range(n_plays):
                self.marks.wait("asked")
            time.sleep(5)  # Until they are suspended.
            after = sum(family_memory_kib(process.pid) for process in engine.processes)
        yield "paused_memory", of_runs([(after - before) / n_plays], "KiB")

    def disk(self) -> Iterator[Figure]:
        n_steps = self.order.sizes.disk_flow
        with self.engine() as engine:
            client = Client(engine)
            client.call("steps", 100)
            before = disk_bytes(engine.data_dir)
            client.call("steps", n_steps)
            time.sleep(1)
            yield "disk_step", of_runs([(disk_bytes(engine.data_dir) - before) / n_steps], "bytes")

    def restart(self) -> Iterator[Figure]:
        """`kill -9` of server and worker, and their start until the last step runs."""
        for name, n_steps in (("restart_0", 0), ("restart_10000", self.order.sizes.long_flow)):
            with self.engine() as engine:
                Client(engine).call("is_killed", {"key": name, "n": n_steps}, waits=False)
                self.marks.wait("last", name)
                taken = []
                for _ in within(self.order.sizes.n_runs, self.order.sizes.budget_seconds):
                    engine.kill()
                    began = now_ns()
                    engine.start_processes()
                    taken.append((self.marks.wait("last", name).at_ns - began) / 1e6)
            yield name, of_runs(taken, "ms")


@contextmanager
def callers(engine: Engine, n: int) -> Iterator[Callable[[str, list[Any]], None]]:
    """Calls a handler with each of the inputs, so many at a time, and waits for all."""
    local = threading.local()

    def connect_once() -> None:
        local.client = Client(engine)

    with ThreadPoolExecutor(n, initializer=connect_once) as pool:

        def call_all(handler: str, inputs: list[Any]) -> None:
            for _ in pool.map(lambda one: local.client.call(handler, one), inputs):
                pass

        yield call_all


def main() -> None:
    asked = order()
    peer = Peer(asked, Marks(asked.directory / "marks"))
    measures: dict[str, Measure] = {
        "step": peer.sequential,
        "parallel": peer.parallel,
        "start": peer.start,
        "flows": peer.flows,
        "resume": peer.resume,
        "disk": peer.disk,
        "restart": peer.restart,
        "paused": peer.paused,
    }
    told = [str(restate_server(ENVIRONMENT)), "--version"]
    server = subprocess.run(told, capture_output=True, text=True).stdout.strip()
    report("restate", {"restate-server": server, "restate_sdk": version("restate_sdk")}, measures, asked)


if __name__ == "__main__":
    main()
