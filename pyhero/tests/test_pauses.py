"""Pauses in real launches: the process unwinds, and the answer comes back to its place."""

from __future__ import annotations

import hashlib
import sys
from typing import Any

import pytest

from .support import VERSION, Supervisor


def test_a_pause_asks_once_and_returns_the_answer_on_replay(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow
    def main() -> list:
        try:
            return [flow.pause("approve", ui={"kind": "confirm"})]
        except Exception:
            print("caught")
        finally:
            print("finally")
    """)
    first = supervisor.launch()
    assert (first.code, first.stdout) == (75, "finally\n")
    (pause,) = first.of("pause")
    assert pause["id"] == hashlib.sha1(f"{VERSION}|main|approve|1".encode()).hexdigest()
    assert (pause["kind"], pause["ui"], "schema" in pause) == ("pause", {"kind": "confirm"}, False)
    assert first.of("result") == []
    span = next(start for start in first.of("span_start") if start["kind"] == "pause")
    assert span["span_id"] == pause["span_id"]
    supervisor.answer("approve", None)
    second = supervisor.launch()
    assert second.output == [None], "null is an answer"
    assert second.of("pause") == []
    assert next(start for start in second.of("span_start") if start["kind"] == "pause")["replayed"]


def test_an_answer_given_ahead_comes_with_the_acknowledgement(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow
    def main() -> list:
        return [flow.pause("q"), flow.pause("q")]
    """)
    supervisor.prefill["q"] = 0
    launch = supervisor.launch()
    assert launch.output == [0, 0]
    assert len({pause["id"] for pause in launch.of("pause")}) == 2


SWALLOWED = {
    "to the end": ("", 75, "swallowed\n"),
    "before a step": ("    step()", 75, "swallowed\n"),
    "before a pause": ("    flow.pause('r')", 75, "swallowed\n"),
    "before an error": ("    raise ValueError", 75, "swallowed\n"),
}


@pytest.mark.parametrize("where", SWALLOWED)
def test_a_swallowed_pause_still_pauses(supervisor: Supervisor, where: str) -> None:
    then, code, stdout = SWALLOWED[where]
    supervisor.write(f"""
from pyhero import flow

@flow
def step() -> None:
    print("step")

@flow
def main() -> str:
    try:
        flow.pause("q")
    except BaseException:
        print("swallowed")
{then}
    return "never an output"
""")
    launch = supervisor.launch()
    assert (launch.code, launch.stdout) == (code, stdout)
    assert [pause["name"] for pause in launch.of("pause")] == ["q"]
    assert launch.of("result") == []


def test_a_step_that_swallowed_its_pause_is_not_remembered(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow
    def asks() -> str:
        try:
            return flow.pause("q")
        except BaseException:
            return "made up"

    @flow
    def main() -> str:
        return asks()
    """)
    launch = supervisor.launch()
    assert (launch.code, launch.of("step_output")) == (75, [])
    supervisor.answer("q", "real")
    assert supervisor.launch().output == "real"


def test_exit_by_the_flow_itself_keeps_its_code(supervisor: Supervisor) -> None:
    supervisor.write("""
    import sys
    from pyhero import flow

    @flow
    def main() -> None:
        sys.exit(7)
    """)
    launch = supervisor.launch()
    assert (launch.code, launch.of("result")) == (7, [])


BRANCHES = {
    "gather": """
        return list(await asyncio.gather(ask("a"), ask("b"), work()))
    """,
    "gather that collects exceptions": """
        found = await asyncio.gather(ask("a"), ask("b"), work(), return_exceptions=True)
        print("never" if any(isinstance(f, BaseException) for f in found) and await work() else "ended")
        return found
    """,
    "tasks awaited in turn": """
        tasks = [asyncio.create_task(t) for t in (ask("a"), ask("b"), work())]
        return [await task for task in tasks]
    """,
}


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.TaskGroup is new in Python 3.11")
def test_a_pause_in_a_task_group_pauses(supervisor: Supervisor) -> None:
    supervisor.write("""
    import asyncio
    from pyhero import flow

    @flow
    async def ask(name: str) -> str:
        return flow.pause(name)

    @flow
    async def main() -> list:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(name)) for name in ("a", "b")]
        return [task.result() for task in tasks]
    """)
    supervisor.prefill["b"] = "2"
    first = supervisor.launch()
    assert (first.code, first.of("result")) == (75, [])
    supervisor.answer("a", "1")
    assert supervisor.launch().output == ["1", "2"]


@pytest.mark.parametrize("how", BRANCHES)
def test_tasks_ask_at_once_and_their_siblings_run_on(supervisor: Supervisor, how: str) -> None:
    supervisor.write(f"""
    import asyncio
    from pyhero import flow

    @flow
    async def ask(name: str) -> str:
        await asyncio.sleep(0)
        return flow.pause(name)

    @flow
    async def work() -> str:
        await asyncio.sleep(0.05)
        return "done"

    async def idle():
        await asyncio.Event().wait()

    @flow
    async def main() -> list:
        background = asyncio.create_task(idle())
{BRANCHES[how]}
    """)
    first = supervisor.launch()
    assert first.code == 75, first.stderr
    assert sorted(pause["name"] for pause in first.of("pause")) == ["a", "b"]
    assert [output["name"] for output in first.of("step_output")] == ["work"], (
        "siblings end and are remembered"
    )
    assert "never" not in first.stdout
    supervisor.answer("b", "2")
    second = supervisor.launch()
    assert second.code == 75
    supervisor.answer("a", "1")
    assert supervisor.launch().output == ["1", "2", "done"]


def test_threads_ask_at_once(supervisor: Supervisor) -> None:
    supervisor.write("""
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context
    from pyhero import flow

    @flow
    def ask(team: str) -> str:
        return flow.pause(f"review[{team}]")

    @flow
    def main() -> list[str]:
        with ThreadPoolExecutor(2) as pool:
            branches = [pool.submit(copy_context().run, ask, team) for team in ("legal", "security")]
        return [branch.result() for branch in branches]
    """)
    first = supervisor.launch()
    assert first.code == 75
    assert sorted(pause["name"] for pause in first.of("pause")) == ["review[legal]", "review[security]"]


def test_a_pause_in_a_thread_nobody_joins_still_pauses(supervisor: Supervisor) -> None:
    supervisor.write("""
    import threading
    from pyhero import flow

    @flow
    def main() -> str:
        thread = threading.Thread(target=lambda: flow.pause("q"))
        thread.start()
        thread.join()
        return "made up"
    """)
    launch = supervisor.launch()
    assert (launch.code, launch.stderr) == (75, "")


# --- Questions ----------------------------------------------------------------------------------

QUESTIONS: list[tuple[str, dict[str, Any] | None, Any, Any]] = [
    ('ask_user.text("q", "?")', {"type": "string"}, "a", 1),
    ('ask_user.number("q", "?", min=1)', {"type": "number", "minimum": 1}, 1.5, 0),
    ('ask_user.number("q", "?", integer=True)', {"type": "integer"}, 3, 1.5),
    ('ask_user.choice("q", "?", options=["a", "b"])', {"type": "string", "enum": ["a", "b"]}, "b", "c"),
    (
        'ask_user.multi_choice("q", "?", options=["a", "b"], min=1)',
        {
            "type": "array",
            "items": {"type": "string", "enum": ["a", "b"]},
            "uniqueItems": True,
            "minItems": 1,
        },
        ["b", "a"],
        [],
    ),
    ('ask_user.confirm("q", "?")', {"type": "boolean"}, False, "yes"),
    ('flow.pause("q", schema=int)', {"type": "integer"}, 4, "4"),
    ('flow.pause("q", schema={"minimum": 3})', {"minimum": 3}, 4, 2),
]


@pytest.mark.parametrize(
    ("question", "schema", "payload", "misfit"), QUESTIONS, ids=[q for q, *_ in QUESTIONS]
)
def test_a_question_carries_a_schema_that_its_answer_is_held_to(
    supervisor: Supervisor, question: str, schema: dict[str, Any] | None, payload: Any, misfit: Any
) -> None:
    supervisor.write(f"""
    from pyhero import ask_user, flow

    @flow
    def main():
        return {question}
    """)
    (pause,) = supervisor.launch().of("pause")
    assert pause["schema"] == schema
    if "ask_user" in question:
        assert pause["ui"]["kind"] in question
        assert pause["ui"]["prompt"] == "?"
    supervisor.answers[pause["id"]] = {"returned": misfit}
    refused = supervisor.launch()
    assert refused.code == 1
    assert "pause `q` holds an answer that does not fit its schema" in refused.error["message"]
    supervisor.answers[pause["id"]] = {"returned": payload}
    assert supervisor.launch().output == payload
