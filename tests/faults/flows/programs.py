"""The plays that faults happen to: each way of calling steps that a flow has, with every effect reported."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import reporting
from pyhero import flow

# --- Steps that report ----------------------------------------------------------------------------


@flow
def work(label: str, value: int) -> tuple[int, str]:
    return value, reporting.effect(label)


@flow
async def work_in_task(label: str, value: int) -> tuple[int, str]:
    await asyncio.sleep(0)
    return value, reporting.effect(label)


def done(label: str, value: int) -> int:
    """Calls the step and reports that the call went on."""
    value, nonce = work(label, value)
    reporting.acked(label, nonce)
    return value


async def done_in_task(label: str, value: int) -> int:
    value, nonce = await work_in_task(label, value)
    reporting.acked(label, nonce)
    return value


def asked(name: str) -> int:
    """Pauses and reports the answer."""
    answer = flow.pause(name, schema=int)
    reporting.answered(name, answer)
    return answer


# --- Flows ------------------------------------------------------------------------------------------


@flow
def sequence(ledger: str, n: int) -> int:
    """Different steps one after the other."""
    reporting.open_ledger(ledger)
    return sum(done(f"step {index}", index) for index in range(n))


_round = 0


@flow
def equal(value: int) -> tuple[int, str]:
    return value, reporting.effect(f"round {_round}")


@flow
def rounds(ledger: str, n: int) -> int:
    """The same call with the same arguments, over and over."""
    global _round
    reporting.open_ledger(ledger)
    total = 0
    for _round in range(n):
        value, nonce = equal(1)
        reporting.acked(f"round {_round}", nonce)
        total += value
    return total


@flow
def outer(label: str, value: int) -> tuple[int, str]:
    nonce = reporting.effect(label)
    inner = [done(f"{label}, inner {index}", value) for index in range(2)]
    return sum(inner), nonce


@flow
def nested(ledger: str, n: int) -> int:
    """Steps in steps."""
    reporting.open_ledger(ledger)
    total = 0
    for index in range(n):
        value, nonce = outer(f"outer {index}", index)
        reporting.acked(f"outer {index}", nonce)
        total += value
    return total


@flow
def threads(ledger: str, n: int) -> int:
    """Steps in several threads at once."""
    reporting.open_ledger(ledger)
    with ThreadPoolExecutor(3) as pool:
        branches = [pool.submit(copy_context().run, done, f"branch {index}", index) for index in range(n)]
    return sum(branch.result() for branch in branches)


@flow
async def gathered(ledger: str, n: int) -> int:
    """Steps in several tasks at once."""
    reporting.open_ledger(ledger)
    return sum(await asyncio.gather(*(done_in_task(f"task {index}", index) for index in range(n))))


@flow
def questions(ledger: str, n: int) -> int:
    """A pause between steps, and two in threads at the end."""
    reporting.open_ledger(ledger)
    total = sum(done(f"before {index}", index) + asked(f"q.{index}") for index in range(n))
    with ThreadPoolExecutor(2) as pool:
        last = [pool.submit(copy_context().run, asked, f"last[{index}]") for index in range(2)]
    return total + sum(question.result() for question in last) + done("after", n)


@flow
def three_steps_and_a_question(ledger: str) -> int:
    """Small and always the same, for faults at every single point of it."""
    reporting.open_ledger(ledger)
    before = done("one", 1) + done("two", 2)
    answer = asked("approve")
    return before + answer + done("three", 3)
