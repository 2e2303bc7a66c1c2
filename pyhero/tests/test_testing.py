"""`pyhero.testing.run`: flows in the test process."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pyhero import (
    AnswerMismatch,
    ArgumentError,
    NotInFlowError,
    PauseTimeout,
    ReplayMismatch,
    UnansweredPause,
    ask_user,
    flow,
)
from pyhero.testing import run

ran: list[str] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@flow
def step(name: str) -> str:
    """Leaves a mark."""
    ran.append(name)
    return name


@flow
def asks(version: str = "1.0") -> str:
    """Two steps around two questions."""
    step("before")
    if not ask_user.confirm("approve", f"Ship {version}?"):
        return "rejected"
    return step(f"to {flow.pause('where')}")


def test_a_run_tells_what_happened() -> None:
    result = run(asks, {"version": "2.0"}, {"app*": True, "where": "eu", "unused": 1})
    assert result.output == "to eu"
    assert result.steps == ["step", "step"]
    assert [(pause.name, pause.payload) for pause in result.pauses] == [("approve", True), ("where", "eu")]
    assert result.pauses[0].ui == {"kind": "confirm", "prompt": "Ship 2.0?"}
    assert result.pauses[0].schema == {"type": "boolean"}
    assert result.unused_prefill == ["unused"]
    assert ran == ["before", "to eu"]


def test_a_pause_that_the_prefill_does_not_cover_is_named() -> None:
    with pytest.raises(UnansweredPause, match="the flow stands at `where`"):
        run(asks, prefill={"approve": True})
    with pytest.raises(AnswerMismatch, match="the prefill entry `approve` does not fit"):
        run(asks, prefill={"approve": "yes"})


def test_replay_after_every_step_runs_each_body_once_more() -> None:
    result = run(asks, prefill={"approve": True, "where": "eu"}, replay="after_every_step")
    assert result.output == "to eu"
    assert sorted(ran) == sorted(["before", "to eu"] * 2)


def test_recorded_time_and_chance_survive_replay() -> None:
    @flow(name="draws")
    def draws() -> list[Any]:
        return [flow.now().isoformat(), str(flow.uuid4()), flow.random(), step("x")]

    assert len(run(draws, replay="after_every_step").output) == 4


def test_a_callback_is_prefilled_and_its_url_is_the_same_on_replay() -> None:
    @flow(name="told")
    def told(url: str) -> None: ...

    @flow(name="pays")
    def pays() -> list[Any]:
        callback = flow.callback("paid", schema=int)
        told(callback.url)
        return [callback.wait(), callback.wait(), callback.name, callback.url]

    result = run(pays, prefill={"paid": 7}, replay="after_every_step")
    assert result.output == [7, 7, "paid", "https://callbacks.invalid/paid"]
    assert [pause.name for pause in result.pauses] == ["paid"]


def test_a_callback_that_nobody_answers_expires_or_is_told_of() -> None:
    @flow(name="waits")
    def waits() -> Any:
        return flow.callback("paid", timeout=60).wait()

    with pytest.raises(PauseTimeout, match="paid"):
        run(waits)

    @flow(name="waits_for_ever")
    def waits_for_ever() -> Any:
        return flow.callback("paid").wait()

    with pytest.raises(UnansweredPause, match="paid"):
        run(waits_for_ever)


def test_outside_of_a_play_there_is_no_callback() -> None:
    with pytest.raises(NotInFlowError, match="nobody could post to it"):
        flow.callback("paid")


def unrecorded_argument() -> str:
    return step(f"{random.random()}")


def unrecorded_output() -> float:
    step("x")
    return random.random()


calls = 0


def unrecorded_path() -> None:
    global calls
    calls += 1
    if calls == 1:
        step("first time only")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (unrecorded_argument, "again: it was called with other arguments"),
        (unrecorded_output, "and not"),
        (unrecorded_path, "did not come to"),
    ],
)
def test_a_flow_that_replay_would_break_is_found(function: Any, message: str) -> None:
    with pytest.raises(ReplayMismatch, match=message) as caught:
        run(flow(function), replay="after_every_step")
    assert isinstance(caught.value, AssertionError)


def test_what_the_flow_raises_is_raised() -> None:
    @flow(name="fails")
    def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        run(fails)


def test_an_async_flow_runs_and_a_handled_failure_replays() -> None:
    @flow
    async def charge(amount: int) -> None:
        ran.append("charge")
        raise ValueError(f"no {amount}")

    @flow(name="root")
    async def root() -> str:
        try:
            await charge(3)
        except ValueError as error:
            return str(error)
        return "never"

    assert run(root, replay="after_every_step").output == "no 3"
    assert ran == ["charge"] * 2


def test_a_failure_that_hides_the_interruption_of_another_branch_is_no_other_path() -> None:
    @flow(name="odd")
    def odd(n: int) -> int:
        ran.append(f"odd {n}")
        if n % 2 == 0:
            raise ValueError(f"{n} is even")
        return n

    @flow(name="root")
    def root() -> str:
        with ThreadPoolExecutor(1) as pool:
            results = [pool.submit(odd, n) for n in (1, 2, 3)]
        try:
            return str(sum(result.result() for result in results))
        except ValueError as error:
            return str(error)

    assert run(root, replay="after_every_step").output == "2 is even"
    assert sorted(ran) == sorted(["odd 1", "odd 2", "odd 3"] * 2)


def test_inputs_may_be_values_of_the_annotated_types() -> None:
    @flow(name="root")
    def root(ids: set[int]) -> list[int]:
        return sorted(ids)

    assert run(root, {"ids": {2, 1}}).output == [1, 2]
    assert run(root, {"ids": [2, 1]}).output == [1, 2]
    with pytest.raises(ArgumentError, match="ids: str where set is expected"):
        run(root, {"ids": "12"})


def test_runs_do_not_nest() -> None:
    @flow(name="outer")
    def outer() -> None:
        run(asks)

    with pytest.raises(ArgumentError, match="cannot be tested from inside of a play"):
        run(outer)
