"""Flows that run as plays of their own."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from pyhero import ArgumentError, FlowCancelled, FlowFailed, NotInFlowError, UnansweredPause, flow
from pyhero.testing import run

from .support import VERSION, Supervisor
from .test_steps import key

SPAWNS = """
from datetime import date
from pyhero import FlowCancelled, FlowFailed, flow

@flow
def ship(to: str, on: date = date(2026, 1, 2)) -> date:
    print("never here")
    return on

@flow
async def ship_async(to: str) -> date:
    print("never here")

"""
TARGETS: dict[str, tuple[str, str, bool, dict[str, Any]]] = {
    "a flow": ("flow.invoke(ship, spawn=True, to='Oslo')", "ship", True, {"on": "2026-01-02", "to": "Oslo"}),
    "a name": (
        "flow.invoke('ship', spawn=True, to='Oslo')",
        "ship",
        True,
        {"on": "2026-01-02", "to": "Oslo"},
    ),
    "an async flow": (
        "await flow.invoke(ship_async, spawn=True, to='Oslo')",
        "ship_async",
        True,
        {"to": "Oslo"},
    ),
    "a saved workflow": (
        "flow.invoke('daily-report', spawn=True, to=['Oslo'])",
        "daily-report",
        False,
        {"to": ["Oslo"]},
    ),
}


@pytest.mark.parametrize("target", TARGETS)
def test_a_child_play_is_asked_for_and_its_output_is_the_answer(supervisor: Supervisor, target: str) -> None:
    call, name, is_in_bundle, inputs = TARGETS[target]
    word = "async def" if "await" in call else "def"
    supervisor.write(f"{SPAWNS}@flow\n{word} main() -> list:\n    found = {call}\n    return [str(found)]\n")
    first = supervisor.launch()
    assert first.code == 75, first.stderr
    step = key("main", name, inputs)
    (request,) = first.of("pause")
    path = f"main/{name}:{step[:8]}"
    assert request["id"] == hashlib.sha1(f"{VERSION}|{path}|{name}|1".encode()).hexdigest()
    assert (request["name"], request["kind"], request["span_id"]) == (name, "child", step[:16])
    assert request["spawn"] == {
        "target": name,
        "is_in_bundle": is_in_bundle,
        "inputs": inputs,
        "step_key": step,
    }
    spans = [(span["name"], span["kind"]) for span in first.of("span_start")]
    assert spans == [("main", "flow_root"), (name, "subflow")], "the pause is no span of its own"
    supervisor.answers[request["id"]] = {"returned": "2027-03-04"}
    second = supervisor.launch()
    assert (second.output, second.stdout) == (["2027-03-04"], "")
    (output,) = second.of("step_output")
    assert (output["key"], output["outcome"]) == (step, {"returned": "2027-03-04"})
    del supervisor.answers[request["id"]]
    assert supervisor.launch().output == ["2027-03-04"]


def test_children_that_did_not_succeed_raise(supervisor: Supervisor) -> None:
    supervisor.write(f"""{SPAWNS}
@flow
def main() -> list:
    told = []
    for to in ("failed", "cancelled"):
        try:
            flow.invoke(ship, spawn=True, to=to)
        except (FlowFailed, FlowCancelled) as error:
            told.append([type(error).__name__, str(error), error.message, error.play_sid])
    return told
""")
    for name in ("FlowFailed", "FlowCancelled"):
        (request,) = supervisor.launch().of("pause")
        attributes = {"play_sid": "01child", "message": f"it {name}"}
        args = {"args": [f"it {name}"], "attributes": attributes}
        supervisor.answers[request["id"]] = {
            "raised": {"class": f"pyhero:{name}", "message": f"it {name}", "traceback": "", "args": args}
        }
    assert supervisor.launch().output == [
        [name, f"it {name}", f"it {name}", "01child"] for name in ("FlowFailed", "FlowCancelled")
    ]
    supervisor.answers.clear()
    assert supervisor.launch().output[0][3] == "01child", "remembered with the step"
    assert issubclass(FlowFailed, RuntimeError) and issubclass(FlowCancelled, RuntimeError)


def test_children_of_a_fan_out_are_asked_for_at_once(supervisor: Supervisor) -> None:
    supervisor.write(f"""{SPAWNS}
@flow
def main() -> list[str]:
    days = flow.map(lambda to: flow.invoke(ship, spawn=True, to=to), ["Oslo", "Rome", "Oslo"])
    return [str(day) for day in days]
""")
    requests = supervisor.launch().of("pause")
    assert len({request["spawn"]["step_key"] for request in requests}) == 3
    for request in requests:
        supervisor.answers[request["id"]] = {"returned": "2027-01-01"}
    assert supervisor.launch().output == ["2027-01-01"] * 3


@flow(name="child")
def child(n: int) -> int:
    """A flow with a question."""
    if n < 0:
        raise KeyError(n)
    return n + int(flow.pause("more"))


@flow(name="async_child")
async def async_child(n: int) -> int:
    """An async one."""
    return n


def test_in_tests_a_spawned_flow_runs_here() -> None:
    @flow(name="root")
    async def root() -> list[Any]:
        outputs: list[Any] = [flow.invoke(child, spawn=True, n=1), flow.invoke("child", spawn=True, n=2)]
        outputs.append(await flow.invoke(async_child, spawn=True, n=3))
        try:
            flow.invoke(child, spawn=True, n=-1)
        except FlowFailed as error:
            outputs.append(str(error))
        return [*outputs, flow.invoke("saved", spawn=True, day="mon")]

    result = run(root, prefill={"more": 10, "saved": {"ok": True}}, replay="after_every_step")
    assert result.output == [11, 12, 3, "flow `child` failed: KeyError: -1", {"ok": True}]
    with pytest.raises(UnansweredPause, match="the flow stands at `saved`"):
        run(root, prefill={"more": 10})


def test_outside_a_play_a_flow_is_called_and_a_workflow_cannot_be() -> None:
    assert asyncio.run(flow.invoke(async_child, spawn=True, n=3)) == 3
    with pytest.raises(NotInFlowError, match="workflow `saved` cannot be spawned"):
        flow.invoke("saved", spawn=True)


def test_what_cannot_be_sent_to_a_child_is_refused() -> None:
    @flow(name="root")
    def root(target: str) -> None:
        flow.invoke(target, spawn=True, x={1})

    with pytest.raises(ArgumentError, match="workflow `saved` cannot be spawned with this: inputs"):
        run(root, {"target": "saved"})
    with pytest.raises(ArgumentError, match="no workflow can be called `a b`"):
        run(root, {"target": "a b"})
