"""Steps that are tried again, tried at most once, or limited in time."""

from __future__ import annotations

import hashlib
import signal
import time
from datetime import timedelta
from typing import Any

import pytest
from pyhero import DefinitionError, Retry, StepInterrupted, StepTimeout, flow
from pyhero.testing import run

from .support import KILL, VERSION, Supervisor
from .test_steps import key

# --- Attempts -----------------------------------------------------------------------------------

FAILS_TWICE = """
from pathlib import Path
from pyhero import Retry, flow

@flow(retry=Retry(on=ConnectionError{options}))
{word} fetch(n: int) -> dict:
    tries = Path("tries")
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    attempt = flow.current().attempt
    if attempt < 3:
        raise ConnectionResetError(f"attempt {{attempt}}")
    return {{"tries": len(tries.read_text()), "attempt": attempt, "key": flow.idempotency_key()}}

@flow
{word} main() -> list:
    return [{call}, flow.current().attempt]
"""
COLOURS = {"sync": ("def", "fetch(1)"), "async": ("async def", "await fetch(1)")}


def write(supervisor: Supervisor, colour: str, options: str) -> None:
    word, call = COLOURS[colour]
    supervisor.write(FAILS_TWICE.format(options=options, word=word, call=call))


@pytest.mark.parametrize("colour", COLOURS)
def test_a_step_is_tried_again_and_only_its_success_ends_it(supervisor: Supervisor, colour: str) -> None:
    write(supervisor, colour, ", wait_initial=0.01, wait_jitter=0")
    launch = supervisor.launch()
    (found, outside) = launch.output
    assert (found["tries"], found["attempt"], outside) == (3, 3, None)
    step = key("main", "fetch", {"n": 1})
    path = f"main/fetch:{step[:8]}"
    attempts = [key(path, "attempt", {"n": n}) for n in (1, 2, 3)]
    outputs = launch.of("step_output")
    assert [output["key"] for output in outputs] == [attempts[0], attempts[1], step]
    assert [output["parent_path"] for output in outputs] == [path, path, "main"]
    failed = outputs[0]["outcome"]["raised"]
    assert (failed["class"], failed["message"]) == ("builtins:ConnectionResetError", "attempt 1")
    spans = [span for span in launch.of("span_start") if span["kind"] == "other"]
    assert [(span["name"], span["arguments"], span["parent_id"]) for span in spans] == [
        ("attempt", {"n": n}, step[:16]) for n in (1, 2, 3)
    ]
    (end,) = launch.of("span_end")
    assert (end["span_id"], end["status"]) == (attempts[2][:16], "ok")
    assert found["key"] == hashlib.sha1(f"01play|{step}".encode()).hexdigest(), "one step from outside"
    assert supervisor.launch().output == launch.output


@pytest.mark.parametrize("colour", COLOURS)
def test_a_long_wait_holds_no_process_and_the_next_launch_goes_on(
    supervisor: Supervisor, colour: str
) -> None:
    write(supervisor, colour, ", wait_initial=3, wait_factor=10, wait_max=20, wait_jitter=0")
    for n, seconds in ((1, 3), (2, 20)):
        launch = supervisor.launch()
        assert launch.code == 75, launch.stderr
        (request,) = launch.of("pause")
        path = f"main/fetch:{key('main', 'fetch', {'n': 1})[:8]}"
        assert request["id"] == hashlib.sha1(f"{VERSION}|{path}|retry|{n}".encode()).hexdigest()
        assert (request["kind"], request["timeout_micros"]) == ("retry", seconds * 1_000_000)
        assert request["default"] is None and "default" in request
        supervisor.let_time_pass()
    assert supervisor.launch().output[0]["tries"] == 3


def test_a_launch_that_dies_in_an_attempt_goes_on_with_that_one(supervisor: Supervisor) -> None:
    write(supervisor, "sync", ", wait_initial=0")
    supervisor.reply_to = lambda word, event, seq: (
        "" if word == "span_start" and event.get("arguments") == {"n": 2} and event["name"] == "attempt"
        else supervisor.acknowledge(word, event, seq)
    )  # fmt: skip
    assert supervisor.launch().code == 70
    supervisor.reply_to = supervisor.acknowledge
    launch = supervisor.launch()
    assert launch.output[0]["attempt"] == 3
    replayed = [s["arguments"] for s in launch.of("span_start") if s.get("replayed")]
    assert replayed == [{"n": 1}], "what failed has failed"


def test_the_last_failure_is_what_the_step_raises(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import Retry, flow

    @flow(retry=Retry(on=(OSError, KeyError), attempts=2, wait_initial=0, wait_jitter=0))
    def fails() -> None:
        raise KeyError(flow.current().attempt)

    @flow
    def main() -> list:
        try:
            fails()
        except KeyError as error:
            return list(error.args)
    """)
    launch = supervisor.launch()
    assert launch.output == [2]
    assert len(launch.of("step_output")) == 2
    assert supervisor.launch().output == [2]


tried: list[int | None] = []


def test_what_on_does_not_name_is_raised_at_once() -> None:
    tried.clear()

    @flow(name="fails", retry=Retry(on=ConnectionError))
    def fails() -> None:
        tried.append(flow.current().attempt)
        raise ValueError("x")

    @flow(name="root")
    def root() -> str:
        try:
            fails()
        except ValueError as error:
            return f"{error}"
        return "never"

    assert run(root).output == "x"
    assert tried == [1]


def test_each_attempt_calls_and_asks_anew() -> None:
    tried.clear()

    @flow(name="inner")
    def inner() -> int:
        tried.append(1)
        return len(tried)

    @flow(name="outer", retry=Retry(on=ValueError, wait_initial=1000, attempts=5))
    def outer() -> str:
        if inner() < 3:
            raise ValueError
        return f"{flow.pause('q')} {flow.current().attempt}"

    @flow(name="root")
    def root() -> str:
        return outer()

    begin = time.monotonic()
    result = run(root, prefill={"q": "a"})
    assert result.output == "a 3" and tried == [1, 1, 1]
    assert result.steps == ["inner", "inner", "inner", "outer"], "attempts are no steps"
    assert time.monotonic() - begin < 1


def test_attempts_replay() -> None:
    @flow(name="flaky", retry=Retry(on=ValueError, wait_initial=5))
    async def flaky() -> int | None:
        if flow.current().attempt != 3:
            raise ValueError
        return flow.current().attempt

    @flow(name="root")
    async def root() -> list[int | None]:
        return await flow.map(lambda _: flaky(), range(3))

    assert run(root, replay="after_every_step").output == [3, 3, 3]


def test_waits_grow_up_to_their_maximum() -> None:
    retry = Retry(on=OSError, wait_initial=timedelta(seconds=1), wait_factor=3, wait_max=20)
    assert [retry.wait_after(n) for n in (1, 2, 3, 4, 5000)] == [1, 3, 9, 20, 20]


BAD_OPTIONS: list[tuple[Any, str]] = [
    (lambda: Retry(on=()), r"Retry cannot be on `\(\)`"),
    (lambda: Retry(on=BaseException), "Retry cannot be on"),  # type: ignore[arg-type]
    (lambda: Retry(on="OSError"), "Retry cannot be on"),  # type: ignore[arg-type]
    (lambda: Retry(on=OSError, attempts=0), "cannot make 0 attempts"),
    (lambda: Retry(on=OSError, wait_factor=0.5), "grow by 0.5"),
    (lambda: Retry(on=OSError, wait_max=-1), "`wait_max` of Retry cannot be -1"),
    (lambda: Retry(on=OSError, timeout=0), "timeout of 0"),
    (lambda: flow(retry=OSError), "`retry` cannot be"),  # type: ignore[call-overload]
    (lambda: flow(retry="always"), "`retry` cannot be"),  # type: ignore[call-overload]
    (lambda: flow(timeout=0), "`timeout` cannot be 0"),
    (lambda: flow(timeout="1h"), "`timeout` cannot be"),  # type: ignore[call-overload]
    (lambda: flow(compensate="undo"), "`compensate` cannot be"),  # type: ignore[call-overload]
    (lambda: flow(memory=0), "`memory` cannot be"),
    (lambda: flow(memory="1 potato"), "`memory` cannot be"),
    (lambda: flow(env=["A=b"]), "`env` cannot name `A=b`"),
    (lambda: flow(env="HOME"), "`env` cannot be `HOME`"),
]


@pytest.mark.parametrize(("option", "message"), BAD_OPTIONS, ids=[m for _, m in BAD_OPTIONS])
def test_bad_options_are_refused_at_the_definition(option: Any, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        option()


def test_good_options_are_kept() -> None:
    made = flow(memory="512MB", env=("A", "_b1"), timeout=timedelta(minutes=1), plan=True)(lambda_named)
    assert made.options.memory_bytes == 512 * 1024 * 1024
    assert made.options.env == ("A", "_b1")
    assert (made.options.timeout_seconds, made.options.is_plan) == (60, True)
    assert flow(memory=1000)(lambda_named).options.memory_bytes == 1000
    assert flow(memory="2 GB")(lambda_named).options.memory_bytes == 2 << 30


def lambda_named() -> None:
    """Anything."""


# --- At most once -------------------------------------------------------------------------------

ONCE = """
import os, signal
from pathlib import Path
from pyhero import StepInterrupted, flow

@flow(retry="never")
{word} charge() -> int:
    if not Path("survive").exists():
        os.kill(os.getpid(), signal.SIGKILL)
    return 7

@flow
{word} main() -> object:
    try:
        return {call}
    except StepInterrupted as error:
        return str(error)
"""
ONCE_COLOURS = {"sync": ("def", "charge()"), "async": ("async def", "await charge()")}


@pytest.mark.parametrize("colour", ONCE_COLOURS)
def test_a_body_with_retry_never_runs_at_most_once(supervisor: Supervisor, colour: str) -> None:
    word, call = ONCE_COLOURS[colour]
    supervisor.write(ONCE.format(word=word, call=call))
    assert supervisor.launch().code == -signal.SIGKILL
    path = f"main/charge:{key('main', 'charge', {})[:8]}"
    assert list(supervisor.steps) == [key(f"{path}/~", "started", {})], "acknowledged before the body began"
    (supervisor.directory / "survive").touch()
    launch = supervisor.launch()
    assert launch.output.startswith("step `charge` was begun by an earlier launch")
    (output,) = launch.of("step_output")
    assert output["outcome"]["raised"]["class"] == "pyhero:StepInterrupted"
    again = supervisor.launch()
    assert again.output == launch.output and again.of("step_output") == []


def test_a_body_with_retry_never_that_ends_is_remembered(supervisor: Supervisor) -> None:
    supervisor.write(ONCE.format(word="def", call="charge()"))
    (supervisor.directory / "survive").touch()
    assert supervisor.launch().output == 7
    assert supervisor.launch().output == 7


def test_a_pause_in_a_body_that_runs_at_most_once_is_refused() -> None:
    @flow(name="asks")
    def asks() -> None:
        flow.pause("q")

    @flow(name="once", retry="never")
    def once() -> None:
        asks()

    @flow(name="root")
    def root() -> None:
        once()

    with pytest.raises(DefinitionError, match='pause `q` stands in a step with retry="never"'):
        run(root, prefill={"q": 1})
    assert issubclass(StepInterrupted, RuntimeError)


# --- Timeouts -----------------------------------------------------------------------------------


def test_a_sync_step_announces_what_is_to_be_stored_when_its_time_is_over(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pathlib import Path
    import time
    from pyhero import StepTimeout, flow

    @flow(timeout=30)
    def hangs() -> int:
        if Path("hang").exists():
            time.sleep(600)
        return 1

    @flow
    def main() -> object:
        try:
            return hangs()
        except TimeoutError as error:
            return [type(error).__name__, str(error)]
    """)
    (supervisor.directory / "hang").touch()
    deadlines: list[dict[str, Any]] = []

    def watch(word: str, event: dict[str, Any], seq: int) -> str | None:
        if word == "step_deadline":
            deadlines.append(event)
            return KILL  # the time is over: the outcome is stored, and the launch is ended
        return supervisor.acknowledge(word, event, seq)

    supervisor.reply_to = watch
    assert supervisor.launch().code == -signal.SIGKILL
    (deadline,) = deadlines
    assert deadline["timeout_micros"] == pytest.approx(30_000_000, abs=1_000_000)
    output = deadline["output"]
    assert output["key"] == key("main", "hangs", {}) and output["span_id"] == output["key"][:16]
    assert output["outcome"]["raised"]["class"] == "pyhero:StepTimeout"
    supervisor.acknowledge("step_output", output, 0)
    supervisor.reply_to = supervisor.acknowledge
    assert supervisor.launch().output == ["StepTimeout", "step `hangs` took longer than 30 s"]


def test_an_async_step_is_cancelled_and_unwinds(supervisor: Supervisor) -> None:
    supervisor.write("""
    import asyncio
    from pyhero import StepTimeout, flow

    @flow(timeout=0.1)
    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            print("unwound")

    @flow
    async def main() -> str:
        try:
            await hangs()
        except StepTimeout as error:
            return str(error)
    """)
    launch = supervisor.launch()
    assert (launch.output, launch.stdout) == ("step `hangs` took longer than 0.1 s", "unwound\n")
    (deadline,) = launch.of("step_deadline")
    assert deadline["timeout_micros"] > 1_000_000, "the launch is ended only if it does not unwind"
    (output,) = launch.of("step_output")
    told, stored = deadline["output"]["outcome"]["raised"], output["outcome"]["raised"]
    assert (told["class"], told["message"], told["args"]) == (
        stored["class"],
        stored["message"],
        stored["args"],
    )
    assert supervisor.launch().output == launch.output


def test_a_timeout_of_its_own_is_told_from_one_inside() -> None:
    @flow(name="inner")
    async def inner() -> None:
        raise TimeoutError("its own")

    @flow(name="outer", timeout=60)
    async def outer() -> None:
        await inner()

    @flow(name="root")
    async def root() -> str:
        try:
            await outer()
        except StepTimeout:
            return "wrong"
        except TimeoutError as error:
            return str(error)
        return "never"

    assert run(root).output == "its own"


def test_an_attempt_that_takes_too_long_is_tried_again(supervisor: Supervisor) -> None:
    supervisor.write("""
    import asyncio
    from pyhero import Retry, flow

    @flow(retry=Retry(on=KeyError, attempts=2, wait_initial=0, wait_jitter=0, timeout=0.1))
    async def hangs(times: int) -> int:
        if flow.current().attempt <= times:
            await asyncio.Event().wait()
        return flow.current().attempt

    @flow
    async def main() -> list:
        try:
            return [await hangs(1), await hangs(2)]
        except TimeoutError as error:
            return [str(error)]
    """)
    launch = supervisor.launch()
    assert launch.output == ["attempt 2 at step `hangs` took longer than 0.1 s"]
    step = key("main", "hangs", {"times": 1})
    keys = [deadline["output"]["key"] for deadline in launch.of("step_deadline")]
    assert keys[0] == key(f"main/hangs:{step[:8]}", "attempt", {"n": 1})
    assert len(keys) == 4
    # What a supervisor stores for an attempt that it had to end is tried again in the next launch.
    for output in launch.of("step_output"):
        if output["name"] == "hangs":
            del supervisor.steps[output["key"]]
    again = supervisor.launch()
    assert again.output == launch.output


def test_the_timeout_of_a_step_covers_its_attempts_and_waits(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import Retry, StepTimeout, flow

    often = Retry(on=ValueError, attempts=100, wait_initial=0.1, wait_factor=1, wait_jitter=0)

    @flow(timeout=0.5, retry=often)
    def fails() -> None:
        raise ValueError

    @flow(timeout=3, retry=Retry(on=ValueError, attempts=100, wait_initial=60))
    def waits() -> None:
        raise ValueError

    @flow
    def main() -> list:
        told = []
        for step in (fails, waits):
            try:
                step()
            except StepTimeout as error:
                told.append(str(error))
        return told
    """)
    first = supervisor.launch()
    assert first.code == 75
    n_attempts = sum(span["name"] == "attempt" for span in first.of("span_start"))
    assert 3 <= n_attempts <= 7
    (request,) = first.of("pause")
    assert request["timeout_micros"] <= 3_000_000, "no longer than there is time"
    supervisor.let_time_pass()
    second = supervisor.launch()
    assert second.output == [
        f"step `{name}` took longer than {s} s" for name, s in (("fails", 0.5), ("waits", 3))
    ]


def test_the_time_of_a_step_is_that_of_its_waits_and_not_that_of_its_pauses(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import Retry, flow

    @flow(timeout=8, retry=Retry(on=ValueError, attempts=9, wait_initial=3, wait_factor=1, wait_jitter=0))
    def waits() -> None:
        if flow.current().attempt == 2:
            flow.pause("q")
        raise ValueError

    @flow
    def main() -> str:
        try:
            waits()
        except TimeoutError as error:
            return str(error)
    """)
    waited = []
    for _ in range(2):
        (request,) = supervisor.launch().of("pause")
        waited.append(request.get("timeout_micros"))
        supervisor.let_time_pass()
    supervisor.answer("q", None)
    for _ in range(2):
        (request,) = supervisor.launch().of("pause")
        waited.append(request["timeout_micros"])
        supervisor.let_time_pass()
    assert waited[:3] == [3_000_000, None, 3_000_000]
    assert 0 < waited[3] <= 2_000_000, "what is left of the time"
    assert supervisor.launch().output == "step `waits` took longer than 8 s"


PAUSES_IN_TIME = """
import asyncio
from pyhero import Retry, flow

@flow(timeout=30, retry=Retry(on=ValueError, timeout=20))
{word} asks() -> int:
    return flow.pause("q")

@flow(timeout=30, retry=Retry(on=ValueError, wait_initial=10))
{word} waits() -> int:
    raise ValueError

@flow
{word} main() -> list:
    return {call}flow.parallel(asks, waits)
"""


@pytest.mark.parametrize(("word", "call"), [("def", ""), ("async def", "await ")])
def test_a_pause_stops_the_clock_while_siblings_run_on(supervisor: Supervisor, word: str, call: str) -> None:
    supervisor.write(PAUSES_IN_TIME.format(word=word, call=call))
    launch = supervisor.launch()
    assert launch.code == 75, launch.stderr
    limited = {deadline["output"]["span_id"] for deadline in launch.of("step_deadline")}
    ended = {end["span_id"] for end in launch.of("span_end") if end["status"] == "paused"}
    assert limited == ended and len(limited) == 3


def test_the_timeout_of_a_root_flow_is_that_of_the_play(supervisor: Supervisor) -> None:
    supervisor.write("""
    from datetime import timedelta
    from pyhero import flow

    @flow(timeout=timedelta(hours=1))
    def main() -> int:
        return 1
    """)
    launch = supervisor.launch()
    assert launch.output == 1
    assert launch.of("play_deadline") == [{"timeout_micros": 3_600_000_000}]
    assert [word for word, _ in launch.events] == ["hello", "span_start", "play_deadline", "result"]


# --- The other options --------------------------------------------------------------------------


def test_plans_and_compensable_steps_are_marked(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow(plan=True)
    def plans() -> int:
        return 1

    @flow(compensate=print)
    def books() -> int:
        return 2

    @flow
    def main() -> int:
        return plans() + books()
    """)
    plan, booking = supervisor.launch().of("step_output")
    assert (plan["plan"], plan.get("compensable", False)) == (True, False)
    assert (booking.get("plan", False), booking["compensable"]) == (False, True)


def test_a_play_that_takes_more_memory_than_it_may_fails(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow(memory="1GB")
    def main() -> int:
        return len(bytearray(2 << 30))
    """)
    launch = supervisor.launch()
    assert (launch.code, launch.error["class"]) == (1, "builtins:MemoryError")


def test_the_idempotency_key_is_that_of_the_play_that_is_tried_again(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow
    def main() -> list:
        return [flow.idempotency_key(), flow.current().sid]
    """)
    first = supervisor.launch().output
    supervisor.environment["HERO_PLAY_SID"] = "02play"
    assert supervisor.launch().output == [first[0], "02play"]
    supervisor.idempotency_sid = "02play"
    assert supervisor.launch().output[0] != first[0]


def test_a_launch_that_is_ended_says_where_it_stood(supervisor: Supervisor) -> None:
    supervisor.write("""
    import os, signal, time
    from pyhero import flow

    def stands_here() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    @flow
    def main() -> None:
        stands_here()
    """)
    launch = supervisor.launch()
    assert launch.code == -signal.SIGTERM
    assert "in stands_here" in launch.stderr and 'flow.py", line' in launch.stderr
