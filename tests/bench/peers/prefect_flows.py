"""The flows of Prefect; a task's result is kept, and taken from the cache when it runs again."""
# mypy: disable-error-code="import-not-found, untyped-decorator, misc"

import os
import time
from typing import Any

from prefect import flow, task
from prefect.cache_policies import INPUTS, TASK_SOURCE
from prefect.flow_runs import pause_flow_run
from prefect.runtime import flow_run

from ..marks import Marker
from ..measuring import now_ns, payload

# `pause_flow_run` may be answered for so long.
PAUSE_SECONDS = 3600
marker = Marker(os.environ["MARKS"])


@task(persist_result=True, cache_policy=INPUTS + TASK_SOURCE)
def step(run: str, index: int) -> dict[str, Any]:
    return payload(index)


@task(persist_result=True, cache_policy=INPUTS + TASK_SOURCE)
def last_step(run: str) -> None:
    now = now_ns()
    marker.send("last", run, now)
    time.sleep(3600)


@flow(persist_result=False)
def steps(run: str, n: int) -> list[int]:
    instants = [now_ns()]
    for index in range(n):
        step(run, index)
        instants.append(now_ns())
    return instants


@flow
def empty(key: str) -> None:
    now = now_ns()
    marker.send("first", key, now)


@flow
def pauses(key: str) -> None:
    for index in range(10):
        step(key, index)
    marker.send("asked", key, now_ns(), str(flow_run.id))
    pause_flow_run(timeout=PAUSE_SECONDS)
    now = now_ns()
    marker.send("resumed", key, now)


@flow(persist_result=False)
def is_killed(run: str, n: int) -> None:
    for index in range(n):
        step(run, index)
    last_step(run)
