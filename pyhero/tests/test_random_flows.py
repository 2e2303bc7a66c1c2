"""Flows made at random, in sync code and in an event loop: both say the same, and so does every replay."""

from __future__ import annotations

import random
from typing import Any

import pytest
from pyhero import Retry, flow
from pyhero.testing import run

Plan = list[Any]
"""A kind of call, and its number, or the plans of what it calls."""

LEAVES = ["leaf", "leaf", "flaky", "pause", "bad", "sleep", "poll"]
BRANCHES = ["parallel", "map", "node", "block", "spawn"]
PREFILL = {"q[0]": "a", "q[1]": None, "q[2]": [2]}


def make(chance: random.Random, depth: int) -> Plan:
    kind = chance.choice(LEAVES + (BRANCHES * 2 if depth else []))
    if kind in BRANCHES:
        return [kind, [make(chance, depth - 1) for _ in range(chance.randint(0, 3))]]
    return [kind, chance.randint(0, 2)]


@flow(name="leaf")
def leaf(n: int) -> int:
    return n


@flow(name="bad")
def bad(n: int) -> None:
    raise KeyError(n)


@flow(name="flaky", retry=Retry(on=ValueError, wait_initial=0))
def flaky(n: int) -> int:
    return fail_at_first(n)


@flow(name="flaky_async", retry=Retry(on=ValueError, wait_initial=60))
async def flaky_async(n: int) -> int:
    return fail_at_first(n)


def fail_at_first(n: int) -> int:
    leaf(n)
    if (flow.current().attempt or 0) <= n:
        raise ValueError(n)
    return n


def carry_out(plan: Plan) -> Any:
    kind, content = plan
    if kind == "leaf":
        return leaf(content)
    if kind == "flaky":
        return flaky(content)
    if kind == "pause":
        return flow.pause(f"q[{content}]")
    if kind == "sleep":
        return flow.sleep(60 * content)
    if kind == "poll":
        return flow.poll(lambda: leaf(content) or None if content else "at once", every=60)
    if kind == "bad":
        try:
            bad(content)
        except KeyError as error:
            return ["bad", *error.args]
    if kind == "parallel":
        return flow.parallel(*(lambda plan=plan: carry_out(plan) for plan in content))
    if kind == "map":
        return flow.map(carry_out, content, limit=2)
    if kind == "node":
        return node(content)
    if kind == "spawn":
        return flow.invoke(node, spawn=True, plans=content)
    with flow.step("block"):
        return [carry_out(plan) for plan in content]


async def carry_out_async(plan: Plan) -> Any:
    kind, content = plan
    if kind == "flaky":
        return await flaky_async(content)
    if kind == "parallel":
        return await flow.parallel(*(lambda plan=plan: carry_out_async(plan) for plan in content))
    if kind == "map":
        return await flow.map(carry_out_async, content, limit=2)
    if kind == "node":
        return await node_async(content)
    if kind == "spawn":
        return await flow.invoke(node_async, spawn=True, plans=content)
    if kind == "block":
        with flow.step("block"):
            return [await carry_out_async(plan) for plan in content]
    return carry_out(plan)


@flow(name="node")
def node(plans: list[Plan]) -> list[Any]:
    return [carry_out(plan) for plan in plans]


@flow(name="node_async")
async def node_async(plans: list[Plan]) -> list[Any]:
    return [await carry_out_async(plan) for plan in plans]


@pytest.mark.parametrize("seed", range(30))
def test_every_replay_of_a_random_flow_says_the_same(seed: int) -> None:
    chance = random.Random(seed)
    plans = [make(chance, 3) for _ in range(chance.randint(1, 4))]
    sync = run(node, {"plans": plans}, PREFILL, replay="after_every_step")
    in_loop = run(node_async, {"plans": plans}, PREFILL, replay="after_every_step")
    assert in_loop.output == sync.output
