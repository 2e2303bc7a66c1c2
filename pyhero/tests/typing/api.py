"""Checked by mypy and pyright, never run: what the public API promises to type checkers."""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pyhero import Client, CurrentPlay, Flow, HeroError, PlayNotFound, RpcError, ask_user, flow
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
    flow.pause("name", Order)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]


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
    assert_type(flow.idempotency_key(), str)
    flow.current().launch = 2  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]


def uses_of_client_and_testing() -> None:
    """Programs around flows."""
    client = Client()
    play = client.start(file="flow.py", inputs={"n": 1}, prefill={"approve": True})
    assert_type(play, dict[str, Any])
    assert_type(client.run_async("workflow"), str)
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
