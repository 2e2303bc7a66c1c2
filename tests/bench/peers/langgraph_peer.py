"""LangGraph with its SQLite checkpointer, a library inside the process.

python -m bench.peers.langgraph_peer --directory DIR {functional|graph}

`functional`: an entry point that calls one task per step. `graph`: one node that loops, a checkpoint a step.
Both with `durability="sync"`, the strictest there is. A step of the graph is stored before the next one
begins; a task's result is stored by a thread beside, which the flow does not wait for.
"""
# mypy: disable-error-code="import-not-found, untyped-decorator, misc, no-any-return"

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any, TypedDict

os.environ |= {"LANGSMITH_TRACING": "false", "LANGCHAIN_TRACING_V2": "false"}

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from ..marks import Marker, Marks
from ..measuring import (
    disk_bytes,
    kill_family,
    latency,
    memory_kib,
    now_ns,
    of_runs,
    payload,
    step_figure,
    within,
)
from ..suite import SIZES, Figure, Measure, Order, order, report

# What flows of this process passed: word → instants.
INSTANTS: list[int] = []
SEEN: dict[str, int] = {}


def last(marks: str) -> None:
    now = now_ns()
    Marker(marks).send("last", "", now)
    time.sleep(3600)


@dataclass(frozen=True)
class Flows:
    """The four flows, in one of the two ways to write them."""

    steps: Any
    empty: Any
    pauses: Any
    is_killed: Any


def functional(saver: Any) -> Flows:
    @task
    def step(index: int) -> dict[str, Any]:
        return payload(index)

    @task
    def last_step(marks: str) -> None:
        last(marks)

    @entrypoint(checkpointer=saver)
    def steps(inputs: dict[str, Any]) -> None:
        INSTANTS[:] = [now_ns()]
        for index in range(inputs["n"]):
            step(index).result()
            INSTANTS.append(now_ns())

    @entrypoint(checkpointer=saver)
    def empty(inputs: dict[str, Any]) -> None:
        SEEN["first"] = now_ns()

    @entrypoint(checkpointer=saver)
    def pauses(inputs: dict[str, Any]) -> None:
        for index in range(inputs["n"]):
            step(index).result()
        interrupt("go")
        SEEN["resumed"] = now_ns()

    @entrypoint(checkpointer=saver)
    def is_killed(inputs: dict[str, Any]) -> None:
        for index in range(inputs["n"]):
            step(index).result()
        last_step(inputs["marks"]).result()

    return Flows(steps, empty, pauses, is_killed)


class State(TypedDict, total=False):
    n: int
    done: int
    outcome: dict[str, Any]
    marks: str


def graph(saver: Any) -> Flows:
    def step(state: State) -> State:
        # The instant before this step is the one after the step before it was stored.
        INSTANTS.append(now_ns())
        done = state.get("done", 0)
        return {"done": done + 1, "outcome": payload(done)}

    def empty(state: State) -> State:
        SEEN["first"] = now_ns()
        return {}

    def ask(state: State) -> State:
        interrupt("go")
        SEEN["resumed"] = now_ns()
        return {}

    def last_step(state: State) -> State:
        last(state["marks"])
        return {}

    def loop(then: Callable[[State], State]) -> Any:
        def where_to(state: State) -> str:
            return "step" if state.get("done", 0) < state.get("n", 0) else "then"

        builder = StateGraph(State)
        builder.add_node("step", step)
        builder.add_node("then", then)
        builder.add_conditional_edges(START, where_to, ["step", "then"])
        builder.add_conditional_edges("step", where_to, ["step", "then"])
        builder.add_edge("then", END)
        return builder.compile(checkpointer=saver)

    def end(state: State) -> State:
        INSTANTS.append(now_ns())
        return {}

    alone = StateGraph(State)
    alone.add_node("empty", empty)
    alone.add_edge(START, "empty")
    return Flows(loop(end), alone.compile(checkpointer=saver), loop(ask), loop(last_step))


STYLES = {"functional": functional, "graph": graph}


class Peer:
    """Measures in this process, but for the restarts."""

    def __init__(self, order: Order, style: str, file: Path) -> None:
        self.order = order
        self.style = style
        self.file = file
        saver = SqliteSaver(sqlite3.connect(file, check_same_thread=False))
        saver.setup()
        self.connection = saver.conn
        self.flows = STYLES[style](saver)
        self._threads = count()

    def new(self, flow: Any, **inputs: Any) -> str:
        """Runs a flow anew; returns its thread."""
        thread = str(next(self._threads))
        self.invoke(flow, inputs, thread)
        return thread

    def invoke(self, flow: Any, inputs: Any, thread: str) -> None:
        config = {"configurable": {"thread_id": thread}, "recursion_limit": 10**6}
        flow.invoke(inputs, config, durability="sync")

    def sequential(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        self.new(self.flows.steps, n=100)
        for name, n_steps in (("step_1000", sizes.short_flow), ("step_10000", sizes.long_flow)):
            runs = []
            for _ in within(sizes.n_runs, sizes.budget_seconds):
                INSTANTS.clear()
                self.new(self.flows.steps, n=n_steps)
                runs.append(list(INSTANTS))
            yield name, step_figure(runs)

    def parallel(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        rates = []
        with ThreadPoolExecutor(sizes.branches) as pool:
            for _ in within(sizes.n_runs, sizes.budget_seconds):
                began = now_ns()
                begun = [
                    pool.submit(self.new, self.flows.steps, n=sizes.branch_steps)
                    for _ in range(sizes.branches)
                ]
                for one in begun:
                    one.result()
                rates.append(sizes.branches * sizes.branch_steps / ((now_ns() - began) / 1e9))
        yield "parallel_steps", of_runs(rates, "steps/s")

    def start(self) -> Iterator[Figure]:
        taken = []
        for _ in within(self.order.sizes.n_latencies + 20, self.order.sizes.budget_seconds):
            began = now_ns()
            self.new(self.flows.empty, n=0)
            taken.append(SEEN["first"] - began)
        yield "start", latency(taken[min(20, len(taken) // 2) :])

    def many_flows(self) -> Iterator[Figure]:
        sizes = self.order.sizes
        rates = []
        for _ in within(sizes.n_runs, sizes.budget_seconds):
            began = now_ns()
            for _ in range(sizes.n_flows):
                self.new(self.flows.empty, n=0)
            rates.append(sizes.n_flows / ((now_ns() - began) / 1e9))
        yield "empty_flows", of_runs(rates, "flows/s")

    def resume(self) -> Iterator[Figure]:
        taken = []
        for _ in within(self.order.sizes.n_latencies, self.order.sizes.budget_seconds):
            thread = self.new(self.flows.pauses, n=10)
            began = now_ns()
            self.invoke(self.flows.pauses, Command(resume=True), thread)
            taken.append(SEEN["resumed"] - began)
        yield "resume", latency(taken[min(5, len(taken) // 2) :])

    def paused(self) -> Iterator[Figure]:
        n_plays = self.order.sizes.n_paused
        before = memory_kib(os.getpid())
        yield "rss_idle", of_runs([before / 1024], "MiB")
        for _ in range(n_plays):
            self.new(self.flows.pauses, n=10)
        yield "paused_memory", of_runs([(memory_kib(os.getpid()) - before) / n_plays], "KiB")

    def disk(self) -> Iterator[Figure]:
        n_steps = self.order.sizes.disk_flow
        before = self._disk_bytes()
        self.new(self.flows.steps, n=n_steps)
        yield "disk_step", of_runs([(self._disk_bytes() - before) / n_steps], "bytes")

    def _disk_bytes(self) -> int:
        self.connection.execute("pragma wal_checkpoint(truncate)")
        return disk_bytes(self.file.parent)

    def restart(self) -> Iterator[Figure]:
        """`kill -9` of the process that carries the flow, and its start until the last step runs."""
        marks = Marks(self.order.directory / "marks")
        for name, n_steps in (("restart_0", 0), ("restart_10000", self.order.sizes.long_flow)):
            process = self._carrier(name, marks, "begin", n_steps)
            marks.wait("last")
            taken = []
            for _ in within(self.order.sizes.n_runs, self.order.sizes.budget_seconds):
                kill_family(process)
                began = now_ns()
                process = self._carrier(name, marks, "go on", n_steps)
                taken.append((marks.wait("last").at_ns - began) / 1e6)
            kill_family(process)
            yield name, of_runs(taken, "ms")

    def _carrier(self, name: str, marks: Marks, how: str, n_steps: int) -> "subprocess.Popen[bytes]":
        file = self.order.directory / f"{name}.sqlite"
        command = [sys.executable, "-m", "bench.peers.langgraph_peer", "carry", self.style, str(file)]
        return subprocess.Popen([*command, str(marks.path), how, str(n_steps)])


def carry(style: str, file: str, marks: str, how: str, n_steps: str) -> None:
    peer = Peer(Order(SIZES["smoke"], Path()), style, Path(file))
    inputs = {"n": int(n_steps), "marks": marks} if how == "begin" else None
    peer.invoke(peer.flows.is_killed, inputs, "one")


def main() -> None:
    asked = order()
    (style,) = asked.rest
    folder = asked.directory / "store"
    folder.mkdir(exist_ok=True)
    peer = Peer(asked, style, folder / "checkpoints.sqlite")
    measures: dict[str, Measure] = {
        "step": peer.sequential,
        "parallel": peer.parallel,
        "start": peer.start,
        "flows": peer.many_flows,
        "resume": peer.resume,
        "disk": peer.disk,
        "restart": peer.restart,
        "paused": peer.paused,
    }
    packages = ("langgraph", "langgraph-checkpoint-sqlite")
    report(f"langgraph-{style}", {name: version(name) for name in packages}, measures, asked)


if __name__ == "__main__":
    if sys.argv[1] == "carry":
        carry(*sys.argv[2:])
    else:
        main()
