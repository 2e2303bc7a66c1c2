"""Checked by mypy and pyright, never run: what the public API promises to type checkers."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pyhero import (
    Client,
    CurrentPlay,
    Flow,
    FlowCancelled,
    FlowFailed,
    HeroError,
    PauseTimeout,
    PlayNotFound,
    PollTimeout,
    Retry,
    RpcError,
    StepInterrupted,
    StepTimeout,
    ask_user,
    flow,
)
from pyhero.testing import RunResult, run

if TYPE_CHECKING:
    from typing_extensions import assert_type


@dataclass
class Order:
    """What is ordered."""

    amount: int


@flow
def plain(order: Order, *, note: str = "") -> list[int]:
    """A flow without options."""
    return [order.amount]


@flow(name="named", outputs={"total": int})
def with_options(order: Order) -> dict[str, int]:
    """A flow with options."""
    return {"total": order.amount}


@flow
async def asynchronous(seconds: float) -> str:
    """An async flow."""
    return f"{seconds}"


def uses_of_flows() -> None:
    """A flow is called like the function that it was made of."""
    assert_type(plain(Order(1), note="x"), list[int])
    assert_type(with_options(order=Order(1)), dict[str, int])
    awaitable: Coroutine[Any, Any, str] = asynchronous(1.5)
    awaitable.close()
    assert_type(flow(sorted)([3, 1]), list[int])
    assert_type(plain.name, str)
    accepted: Flow[..., list[int]] = plain
    accepted(Order(1))
    plain("not an order")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    plain(Order(1), "note is keyword-only")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    plain()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]


async def uses_of_async_flows() -> None:
    """An async flow is awaited, also where it is invoked."""
    assert_type(await asynchronous(1), str)
    assert_type(await flow.invoke(asynchronous, seconds=1), str)


def uses_of_pauses() -> None:
    """A pause gives what its schema says."""
    assert_type(flow.pause("order", schema=Order), Order)
    assert_type(flow.pause("anything"), Any)
    assert_type(flow.pause("fits", schema={"type": "integer"}, ui={"kind": "number"}), Any)
    assert_type(ask_user.text("name", "Who?"), str)
    assert_type(ask_user.number("age", "How old?", min=0), float)
    assert_type(ask_user.number("guests", "How many?", integer=True), int)
    assert_type(ask_user.choice("colour", "Which?", options=["red", "blue"]), str)
    assert_type(ask_user.multi_choice("days", "When?", options=["mon"]), list[str])
    assert_type(ask_user.confirm("sure", "Sure?"), bool)
    assert_type(flow.pause("order", schema=Order, timeout=60), Order)
    assert_type(flow.pause("order", schema=Order, timeout=timedelta(days=1), default=None), Order | None)
    assert_type(flow.pause("order", schema=int, timeout=1.5, default=0), int)
    assert_type(flow.pause("order", timeout=60, default="late"), Any)
    assert_type(ask_user.confirm("sure", default=False, timeout=timedelta(days=1)), bool)
    assert_type(ask_user.number("guests", integer=True, default=1, timeout=60), int)
    assert_type(flow.callback("paid", schema=Order).wait(), Order)
    assert_type(flow.callback("paid", timeout=timedelta(days=1)).wait(), Any)
    assert_type(flow.callback("paid").url, str)
    flow.pause("name", Order)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


@flow(retry=Retry(on=(OSError, KeyError), attempts=5, wait_max=timedelta(hours=1), timeout=10))
def tried_again(n: int) -> str:
    """A step that is tried again."""
    return f"{n} {flow.current().attempt}"


@flow(
    name="guarded",
    retry="never",
    timeout=timedelta(minutes=1),
    compensate=lambda order: print(order),
    memory="2GB",
    env=["API_KEY"],
    plan=True,
)
async def guarded(order: Order) -> Order:
    """A step with all options."""
    return order


def uses_of_options() -> None:
    """Options do not change what a flow takes and gives."""
    assert_type(tried_again(1), str)
    made: Coroutine[Any, Any, Order] = guarded(Order(1))
    made.close()
    Retry()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    flow(retry="always")  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue, reportArgumentType]


def looks() -> str | None:
    """Finds something, or nothing yet."""
    return "found"


async def looks_async() -> int | None:
    """Finds something, or nothing yet."""
    return 1


def uses_of_time_and_branches() -> None:
    """In sync code nothing is awaited."""
    flow.sleep(1.5)
    flow.sleep(timedelta(days=1))
    flow.sleep_until(flow.now() + timedelta(days=1))
    assert_type(flow.poll(looks, every=60), str)
    assert_type(flow.parallel(lambda: tried_again(1), lambda: "x", limit=2), list[str])
    assert_type(flow.map(tried_again, range(3), limit=2), list[str])
    assert_type(flow.map(lambda n: n * 2, [1.5]), list[float])
    assert_type(flow.rpc("https://example.org/rpc", "add", a=1, b=2), Any)
    flow.sleep("1s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    flow.map(tried_again, ["x"])  # type: ignore[arg-type, unused-coroutine]  # pyright: ignore[reportArgumentType]


async def uses_of_time_and_branches_async() -> None:
    """Of async functions the whole is awaited."""
    assert_type(await flow.poll(looks_async, every=timedelta(minutes=1), timeout=3600), int)
    assert_type(await flow.parallel(lambda: asynchronous(1), lambda: asynchronous(2)), list[str])
    assert_type(await flow.map(asynchronous, [1.5, 2.5], limit=2), list[str])
    assert_type(await flow.invoke(asynchronous, spawn=True, seconds=1), str)


def uses_of_errors() -> None:
    """What can be caught."""
    try:
        assert_type(flow.invoke(plain, spawn=True, order=Order(1)), list[int])
    except (FlowFailed, FlowCancelled) as error:
        assert_type(error.play_sid, str)
        failed: RuntimeError = error
        print(failed)
    except (PauseTimeout, PollTimeout, StepTimeout) as error:
        late: TimeoutError = error
        print(late, error.message)
    except StepInterrupted as error:
        interrupted: RuntimeError = error
        print(interrupted)


def uses_of_the_rest() -> None:
    """Everything else that a flow may call."""
    assert_type(flow.invoke(plain, order=Order(1)), list[int])
    assert_type(flow.invoke("by_name", order=1), Any)
    with flow.step("block"):
        flow.log("text", level="warning")
        flow.log("text", "loud")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    flow.progress(1, 10)
    flow.annotate(cost_usd=0.5, model="large")
    assert_type(flow.now(), datetime)
    assert_type(flow.uuid4(), UUID)
    assert_type(flow.random(), float)
    assert_type(flow.current(), CurrentPlay)
    assert_type(flow.current().launch, int)
    assert_type(flow.current().attempt, int | None)
    assert_type(flow.idempotency_key(), str)
    flow.current().launch = 2  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def uses_of_client_and_testing() -> None:
    """Programs around flows."""
    client = Client()
    play = client.start(file="flow.py", inputs={"n": 1}, prefill={"approve": True})
    assert_type(play, dict[str, Any])
    assert_type(client.run_async("workflow", timeout=timedelta(days=1)), str)
    assert_type(client.retry("sid"), dict[str, Any])
    assert_type(client.restart("sid"), dict[str, Any])
    assert_type(client.fork("sid", from_span="span", answers={"q": 1}, outputs={"span": 2}), dict[str, Any])
    client.delete("sid")
    assert_type(client.pending_resumes(play["sid"]), list[dict[str, Any]])
    try:
        client.resume("sid", "id", None)
    except PlayNotFound as error:
        assert_type(error.kind, str)
        assert_type(error.hint, str | None)
        base: RpcError = error
        root: HeroError = base
        lookup: LookupError = error
        print(root, lookup)
    assert_type(run(plain, {"order": {"amount": 1}}, replay="after_every_step"), RunResult)
