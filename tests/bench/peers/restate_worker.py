"""The handlers of Restate, served by hypercorn; the variable `MARKS` names the socket for marks."""
# mypy: disable-error-code="import-not-found, untyped-decorator, misc"

import os
import time
from typing import Any

import restate

from ..marks import Marker
from ..measuring import now_ns, payload

marker = Marker(os.environ["MARKS"])
service = restate.Service("Bench")


@service.handler()
async def steps(context: restate.Context, n: int) -> list[int]:
    instants = [now_ns()]
    for index in range(n):
        await context.run_typed("step", payload, index=index)
        instants.append(now_ns())
    return instants


@service.handler()
async def empty(context: restate.Context, key: str) -> None:
    now = now_ns()
    marker.send("first", key, now)


@service.handler()
async def pauses(context: restate.Context, key: str) -> None:
    for index in range(10):
        await context.run_typed("step", payload, index=index)
    name, answer = context.awakeable()
    marker.send("asked", key, now_ns(), name)
    await answer
    now = now_ns()
    marker.send("resumed", key, now)


@service.handler()
async def is_killed(context: restate.Context, inputs: dict[str, Any]) -> None:
    for index in range(inputs["n"]):
        await context.run_typed("step", payload, index=index)

    def last() -> None:
        now = now_ns()
        marker.send("last", inputs["key"], now)
        time.sleep(3600)

    await context.run_typed("last", last)


app = restate.app([service])
