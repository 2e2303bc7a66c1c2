"""Fan-outs: threads in sync code, tasks in an event loop; and the pools that people bring themselves."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from pyhero import ArgumentError, DefinitionError, flow
from pyhero.testing import run

from .support import Launch, Supervisor

STEPS = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
from pyhero import flow

@flow
def square(n: int) -> int:
    return n * n

@flow
async def square_async(n: int) -> int:
    await asyncio.sleep(0.001)
    return n * n

@flow
def ask(name: str) -> str:
    return flow.pause(name)

@flow
async def ask_async(name: str) -> str:
    return flow.pause(name)

"""


def write(supervisor: Supervisor, body: str) -> None:
    lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
    word = "async def" if "await " in body else "def"
    supervisor.write(f"{STEPS}@flow\n{word} main() -> object:\n{lines}\n")


def asked(launch: Launch) -> list[str]:
    assert launch.code == 75, launch.stderr
    return sorted(pause["name"] for pause in launch.of("pause"))


BRANCHES = {
    "threads": "return flow.map(square, range(40), limit=3)",
    "threads without a limit": "return flow.map(square, range(40))",
    "thunks": "return flow.parallel(*(lambda n=n: square(n) for n in range(40)))",
    "tasks": "return await flow.map(square_async, range(40), limit=3)",
    "tasks without a limit": "return await flow.map(square_async, range(40))",
    "async thunks": "return await flow.parallel(*(lambda n=n: square_async(n) for n in range(40)))",
    "sync functions in an event loop": "return await flow.map(square, range(40))",
}


@pytest.mark.parametrize("how", BRANCHES)
def test_results_come_in_the_order_of_the_call(supervisor: Supervisor, how: str) -> None:
    write(supervisor, BRANCHES[how])
    first = supervisor.launch()
    assert first.output == [n * n for n in range(40)], first.stderr
    paths = {output["arguments_hash"]: output["parent_path"] for output in first.of("step_output")}
    assert sorted(paths.values()) == sorted(f"main[{index}]" for index in range(40))
    again = supervisor.launch()
    assert again.output == first.output
    assert again.of("step_output") == [] and again.of("result")[0].get("left_over") is None


def test_a_fan_out_is_one_span_around_its_calls(supervisor: Supervisor) -> None:
    write(supervisor, "with flow.step('block'):\n    flow.map(square, [1, 2])\nreturn flow.parallel()")
    launch = supervisor.launch()
    spans = {span["span_id"]: span for span in launch.of("span_start")}
    fan_out, empty = (span for span in spans.values() if span["kind"] == "other")
    assert (fan_out["name"], spans[fan_out["parent_id"]]["name"]) == ("map", "block")
    assert (empty["name"], launch.output) == ("parallel", [])
    inner = [span["parent_id"] for span in spans.values() if span["name"] == "square"]
    assert inner == [fan_out["span_id"]] * 2
    assert [end["status"] for end in launch.of("span_end")] == ["ok"] * 3


def test_equal_calls_in_later_fan_outs_are_calls_of_their_own(supervisor: Supervisor) -> None:
    write(supervisor, "return [flow.map(square, [2, 2]), flow.map(square, [2, 2]), square(2)]")
    launch = supervisor.launch()
    assert launch.output == [[4, 4], [4, 4], 4]
    assert len({output["key"] for output in launch.of("step_output")}) == 5
    assert supervisor.launch().of("step_output") == []


def test_fan_outs_nest(supervisor: Supervisor) -> None:
    write(
        supervisor,
        """
def row(n):
    return flow.map(lambda m: square(10 * n + m), range(3))
return flow.map(row, range(3))
""",
    )
    launch = supervisor.launch()
    assert launch.output == [[(10 * n + m) ** 2 for m in range(3)] for n in range(3)]
    paths = {output["parent_path"] for output in launch.of("step_output")}
    assert paths == {f"main[{n}][{m}]" for n in range(3) for m in range(3)}
    assert supervisor.launch().of("step_output") == []


QUESTIONS = {
    "threads": 'return flow.map(ask, ["a", "b", "c"])',
    "one thread": 'return flow.map(ask, ["a", "b", "c"], limit=1)',
    "tasks": 'return await flow.map(ask_async, ["a", "b", "c"])',
    "one task at a time": 'return await flow.map(ask_async, ["a", "b", "c"], limit=1)',
    "no steps": 'return flow.map(flow.pause, ["a", "b", "c"], limit=1)',
    "nested": 'return [x for xs in flow.map(lambda ns: flow.map(ask, ns), [["a", "b"], ["c"]]) for x in xs]',
    "threads in a pool": """
with ThreadPoolExecutor(1) as pool:
    branches = [pool.submit(ask, name) for name in ("a", "b", "c")]
return [branch.result() for branch in branches]
""",
}


@pytest.mark.parametrize("how", QUESTIONS)
def test_all_questions_are_asked_at_once(supervisor: Supervisor, how: str) -> None:
    write(supervisor, QUESTIONS[how])
    assert asked(supervisor.launch()) == ["a", "b", "c"]
    supervisor.answer("b", "B")
    assert asked(supervisor.launch()) == ["a", "c"]
    supervisor.answer("a", "A")
    supervisor.answer("c", "C")
    assert supervisor.launch().output == ["A", "B", "C"]


def test_a_pool_that_a_pause_would_hang_is_refused(supervisor: Supervisor) -> None:
    write(
        supervisor,
        """
from multiprocessing.pool import ThreadPool
with ThreadPool(1) as pool:
    return [*pool.map(square, [1, 2]), *pool.map(ask, ["a", "b"])]
""",
    )
    launch = supervisor.launch()
    assert (launch.code, launch.error["class"]) == (1, "pyhero:DefinitionError")
    assert "which does not know of pauses" in launch.error["message"]
    assert launch.of("pause") == [] and launch.steps() == ["square"] * 2 + ["ask"] * 2


SIBLINGS = {
    "threads": "return flow.parallel(lambda: ask('q'), lambda: square(2), lambda: square(3), limit=1)",
    "tasks": """
return await flow.parallel(lambda: ask_async('q'), lambda: square_async(2), lambda: square_async(3))
""",
    "swallowed": """
def swallows():
    try:
        ask('q')
    except BaseException:
        return "made up"
return flow.parallel(swallows, lambda: square(2), lambda: square(3))
""",
    "a failure beside it": """
def fails():
    square(2)
    square(3)
    raise ValueError
def asks():
    return ask('q')
return flow.parallel(fails, asks)
""",
}


@pytest.mark.parametrize("how", SIBLINGS)
def test_siblings_of_a_pause_run_on_to_their_end(supervisor: Supervisor, how: str) -> None:
    write(supervisor, SIBLINGS[how])
    launch = supervisor.launch()
    assert asked(launch) == ["q"]
    assert [output["name"][:6] for output in launch.of("step_output")] == ["square"] * 2
    assert launch.of("result") == []


FAILURES = {
    "threads": "flow.parallel(works, lambda: fails(1), lambda: fails(2), limit=1)",
    "tasks": "await flow.parallel(works, lambda: fails(1), lambda: fails(2))",
}


@pytest.mark.parametrize("how", FAILURES)
def test_the_first_failure_in_call_order_is_raised_and_the_others_are_told(
    supervisor: Supervisor, how: str
) -> None:
    write(
        supervisor,
        f"""
import time
def works():
    return square(1)
def fails(n):
    time.sleep(0.05 if n == 1 else 0)
    raise KeyError(n)
try:
    {FAILURES[how]}
except KeyError as error:
    return error.args
""",
    )
    launch = supervisor.launch()
    assert launch.output == [1], launch.stderr
    assert [output["name"] for output in launch.of("step_output")] == ["square"]
    (log,) = launch.of("span_log")
    assert (log["level"], log["text"]) == ("warning", "another branch failed too: KeyError: 2")
    (end,) = [end for end in launch.of("span_end") if end["span_id"] == log["span_id"]]
    assert (end["status"], end["error"]["message"]) == ("failed", "1")


def test_a_limit_limits() -> None:
    at_once, most, lock = 0, 0, threading.Lock()

    def work(n: int) -> int:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        time.sleep(0.002)
        with lock:
            at_once -= 1
        return n

    assert flow.map(work, range(20), limit=3) == list(range(20))
    assert most <= 3


def test_branches_really_run_at_once() -> None:
    together = threading.Barrier(5, timeout=30)
    assert len(flow.map(lambda _: together.wait(), range(5))) == 5

    async def main() -> int:
        arrived = 0

        async def arrive(n: int) -> int:
            nonlocal arrived
            arrived += 1
            while arrived < 5:
                await asyncio.sleep(0.001)
            return n

        return len(await flow.map(arrive, range(5)))

    assert asyncio.run(asyncio.wait_for(main(), 30)) == 5


def test_a_fan_out_that_is_cancelled_cancels_its_branches() -> None:
    ended: list[str] = []

    async def waits(n: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(f"{n}")

    async def main() -> None:
        task = asyncio.ensure_future(flow.map(waits, range(3)))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert sorted(ended) == ["0", "1", "2"]


@pytest.mark.parametrize("limit", [0, -1, True, 1.5, "3"])
def test_a_limit_below_one_is_refused(limit: Any) -> None:
    with pytest.raises(ArgumentError, match="cannot have the limit"):
        flow.map(print, [], limit=limit)
    with pytest.raises(ArgumentError, match="cannot call `4`"):
        flow.parallel(4)  # type: ignore[call-overload]


def test_a_fan_out_at_import_is_refused(supervisor: Supervisor) -> None:
    supervisor.write(f"{STEPS}\nflow.map(square, [1])\n@flow\ndef main() -> None: ...\n")
    launch = supervisor.launch()
    assert (launch.code, launch.error["class"]) == (2, f"pyhero:{DefinitionError.__name__}")


def test_the_branches_of_a_step_have_idempotency_keys_of_their_own(supervisor: Supervisor) -> None:
    write(supervisor, "return flow.map(lambda _: flow.idempotency_key(), range(3))")
    keys = supervisor.launch().output
    assert len(set(keys)) == 3
    assert supervisor.launch().output == keys


def test_a_long_queue_in_a_pool_of_one_thread_stays_cheap(supervisor: Supervisor) -> None:
    write(
        supervisor,
        """
with ThreadPoolExecutor(1) as pool:
    branches = [pool.submit(square, n) for n in range(300)]
from pyhero import _play
play = _play.running
with ThreadPoolExecutor(1) as pool:
    pool.submit(square, 1).result()
    def depth():
        square(0)
        branch, n = _play.current_branch(play), 0
        while branch is not None:
            branch, n = branch.parent, n + 1
        return n
    for _ in range(50):
        pool.submit(square, 5).result()
    return [len([b.result() for b in branches]), pool.submit(depth).result()]
""",
    )
    assert supervisor.launch().output == [300, 2]


@flow
def doubled(n: int) -> int:
    """Doubles."""
    return 2 * n


def test_fan_outs_replay_in_tests() -> None:
    @flow(name="root")
    def root() -> list[int]:
        return flow.map(doubled, range(4)) + [flow.pause(f"q[{n}]") for n in flow.map(doubled, range(2))]

    prefill = {"q[*]": 7, "q[0]": 1, "q[2]": 2}
    assert run(root, prefill=prefill, replay="after_every_step").output == [0, 2, 4, 6, 1, 2]

    @flow(name="root_async")
    async def root_async() -> list[int]:
        async def branch(n: int) -> int:
            return doubled(n) + int(flow.pause(f"q[{n}]"))

        return await flow.map(branch, range(3))

    assert run(root_async, prefill=prefill, replay="after_every_step").output == [1, 9, 6]
