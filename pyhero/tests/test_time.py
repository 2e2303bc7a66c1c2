"""Waiting for a time, and for an answer no longer than that."""

from __future__ import annotations

import json
import time
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pyhero import ArgumentError, PauseTimeout, PollTimeout, ask_user, flow
from pyhero.testing import run

from .support import Supervisor

DAY_MICROS = 24 * 3600 * 1_000_000

# --- Pauses with a timeout ----------------------------------------------------------------------

TIMEOUTS: list[tuple[str, int, Any]] = [
    ('flow.pause("q", timeout=1.5, default=None)', 1_500_000, None),
    ('flow.pause("q", schema=int, timeout=timedelta(days=1), default=None)', DAY_MICROS, None),
    ('flow.pause("q", schema=Decimal, timeout=1, default=Decimal("1.50"))', 1_000_000, "1.50"),
    ('flow.pause("q", timeout=0, default=[])', 0, []),
    ('ask_user.text("q", timeout=1, default="d")', 1_000_000, "d"),
    ('ask_user.number("q", timeout=1, default=2.5)', 1_000_000, 2.5),
    ('ask_user.number("q", integer=True, timeout=1, default=2)', 1_000_000, 2),
    ('ask_user.choice("q", options=["a", "b"], timeout=1, default="b")', 1_000_000, "b"),
    ('ask_user.multi_choice("q", options=["a", "b"], timeout=1, default=["b"])', 1_000_000, ["b"]),
    ('ask_user.confirm("q", timeout=1, default=False)', 1_000_000, False),
]


@pytest.mark.parametrize(("pause", "timeout_micros", "default"), TIMEOUTS, ids=[q for q, *_ in TIMEOUTS])
def test_a_pause_that_expires_returns_its_default(
    supervisor: Supervisor, pause: str, timeout_micros: int, default: Any
) -> None:
    supervisor.write(f"""
    from datetime import timedelta
    from decimal import Decimal
    from pyhero import ask_user, flow

    @flow
    def main() -> object:
        answer = {pause}
        return str(answer) if isinstance(answer, Decimal) else answer
    """)
    first = supervisor.launch()
    assert first.code == 75, first.stderr
    (asked,) = first.of("pause")
    assert (asked["kind"], asked["timeout_micros"], asked["default"]) == ("pause", timeout_micros, default)
    supervisor.let_time_pass()
    assert supervisor.launch().output == default


def test_a_pause_that_expires_without_a_default_raises(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import PauseTimeout, flow

    @flow
    def main() -> str:
        try:
            return flow.pause("q", timeout=3600)
        except TimeoutError as error:
            assert type(error) is PauseTimeout
            return f"{error} / {error.message} / {error.hint}"
    """)
    (asked,) = supervisor.launch().of("pause")
    assert "default" not in asked
    supervisor.let_time_pass()
    assert supervisor.launch().output == "nobody / nobody / None"


def test_the_default_of_a_question_without_a_timeout_only_fills_its_form(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import ask_user, flow

    @flow
    def main() -> bool:
        return ask_user.confirm("q", default=True)
    """)
    (asked,) = supervisor.launch().of("pause")
    assert asked["ui"]["default"] is True
    assert "default" not in asked and "timeout_micros" not in asked


BAD_PAUSES: list[tuple[Any, str]] = [
    (lambda: flow.pause("q", default=1), "has a default and would never take it"),
    (lambda: flow.pause("q", schema=int, timeout=1, default="x"), "cannot have this default: default: str"),
    (
        lambda: flow.pause("q", schema={"minimum": 3}, timeout=1, default=2),
        "default that does not fit its schema",
    ),
    (
        lambda: ask_user.choice("q", options=["a"], timeout=1, default="b"),
        "default that does not fit its schema",
    ),
    (lambda: flow.pause("q", timeout=-1), "pause `q`: `timeout` cannot be -1"),
    (lambda: flow.pause("q", timeout=float("nan")), "cannot be nan"),
    (lambda: flow.pause("q", timeout=10**400), "at most a hundred years"),
    (lambda: flow.pause("q", timeout=True), "cannot be `True`"),
    (lambda: flow.pause("q", timeout="1h"), "cannot be `'1h'`"),
]


@pytest.mark.parametrize(("pause", "message"), BAD_PAUSES, ids=[m for _, m in BAD_PAUSES])
def test_a_pause_that_cannot_be_asked_like_this_is_refused(pause: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        pause()


# --- Sleeps -------------------------------------------------------------------------------------


def test_a_long_sleep_holds_no_process(supervisor: Supervisor) -> None:
    supervisor.write("""
    from datetime import timedelta
    from pyhero import flow

    @flow
    def main() -> str:
        flow.sleep(timedelta(days=1))
        flow.sleep(2.5)
        return "rested"
    """)
    first = supervisor.launch()
    (timer,) = first.of("pause")
    assert (timer["name"], timer["kind"], timer["timeout_micros"]) == ("sleep", "timer", DAY_MICROS)
    assert timer["default"] is None and "default" in timer
    supervisor.let_time_pass()
    second = supervisor.launch()
    assert [pause["timeout_micros"] for pause in second.of("pause")] == [2_500_000]
    assert supervisor.run_to_the_end().output == "rested"


def test_a_short_sleep_is_a_remembered_step(supervisor: Supervisor) -> None:
    supervisor.write("""
    import time
    from pyhero import flow

    @flow
    def main() -> float:
        begin = time.monotonic()
        flow.sleep(0.2)
        flow.sleep(0.2)
        flow.sleep(0)
        slept = time.monotonic() - begin
        flow.pause("q")
        return slept
    """)
    first = supervisor.launch()
    assert (first.code, first.steps()) == (75, ["pyhero.sleep"] * 2)
    supervisor.answer("q", 1)
    second = supervisor.launch()
    assert second.output < 0.2, "what is remembered is not slept again"
    assert second.steps(replayed=True) == ["pyhero.sleep"] * 2


def test_in_an_event_loop_every_sleep_is_a_timer_and_siblings_run_on(supervisor: Supervisor) -> None:
    supervisor.write("""
    import asyncio
    from pyhero import flow

    @flow
    async def naps() -> str:
        flow.sleep(0.01)
        return "slept"

    @flow
    async def works() -> str:
        await asyncio.sleep(0.05)
        return "worked"

    @flow
    async def main() -> list[str]:
        return list(await asyncio.gather(naps(), works()))
    """)
    first = supervisor.launch()
    assert first.code == 75
    assert [pause["timeout_micros"] for pause in first.of("pause")] == [10_000]
    assert [output["name"] for output in first.of("step_output")] == ["works"]
    supervisor.let_time_pass()
    assert supervisor.launch().output == ["slept", "worked"]


def test_sleep_until_waits_for_its_moment_only(supervisor: Supervisor) -> None:
    supervisor.write("""
    from datetime import datetime, timedelta
    from pyhero import flow

    @flow
    def main(moment: datetime) -> str:
        flow.sleep_until(moment - timedelta(days=2))  # over
        flow.sleep_until(moment)
        return "there"
    """)
    supervisor.inputs = {"moment": (datetime.now(timezone.utc) + timedelta(days=1)).isoformat()}
    first = supervisor.launch()
    (timer,) = first.of("pause")
    assert timer["kind"] == "timer"
    assert DAY_MICROS - 60_000_000 < timer["timeout_micros"] <= DAY_MICROS
    supervisor.let_time_pass()
    assert supervisor.launch().output == "there"


def test_sleep_until_a_moment_that_comes_is_slept_once(supervisor: Supervisor) -> None:
    supervisor.write("""
    from datetime import datetime, timezone
    from pyhero import flow

    @flow
    def main(moment: datetime) -> float:
        flow.sleep_until(moment)
        return (datetime.now(timezone.utc) - moment).total_seconds()
    """)
    supervisor.inputs = {"moment": (datetime.now(timezone.utc) + timedelta(seconds=1)).isoformat()}
    launch = supervisor.launch()
    assert launch.output >= 0 and launch.of("pause") == []


BAD_SLEEPS: list[tuple[Any, str]] = [
    (lambda: flow.sleep(-1), "flow.sleep cannot be -1"),
    (lambda: flow.sleep(timedelta(seconds=-1)), "cannot be -1 day"),
    (lambda: flow.sleep("1"), "cannot be `'1'`"),  # type: ignore[arg-type]
    (lambda: flow.sleep_until(datetime(2026, 1, 1)), "cannot tell which moment"),
    (lambda: flow.sleep_until("2026-01-01"), "cannot tell which moment"),  # type: ignore[arg-type]
    (lambda: flow.poll(lambda: 1, every=-1), "`every` cannot be -1"),
]


@pytest.mark.parametrize(("sleep", "message"), BAD_SLEEPS, ids=[m for _, m in BAD_SLEEPS])
def test_a_time_that_is_none_is_refused(sleep: Any, message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        sleep()


def test_outside_a_play_a_sleep_is_a_sleep() -> None:
    begin = time.monotonic()
    flow.sleep(timedelta(milliseconds=20))
    flow.sleep_until(datetime.now(timezone.utc) + timedelta(milliseconds=20))
    flow.sleep_until(datetime.now(timezone.utc) - timedelta(days=1))
    assert 0.04 <= time.monotonic() - begin < 5


# --- Polls --------------------------------------------------------------------------------------

POLLS = """
import json
from pathlib import Path
from pyhero import PollTimeout, flow

def look() -> dict | None:
    print("look")
    found = Path("found.json")
    return json.loads(found.read_text()) if found.exists() else None

@flow
def main() -> list:
    return [flow.poll(look, every=60), flow.poll(lambda: "at once", every=60)]
"""


def test_a_poll_looks_once_a_launch_and_holds_no_process_between(supervisor: Supervisor) -> None:
    supervisor.write(POLLS)
    for _ in range(3):
        launch = supervisor.launch()
        assert (launch.code, launch.stdout) == (75, "look\n")
        (timer,) = launch.of("pause")
        assert (timer["kind"], timer["timeout_micros"]) == ("timer", 60_000_000)
        supervisor.let_time_pass()
    (supervisor.directory / "found.json").write_text(json.dumps({"n": 1}))
    assert supervisor.launch().output == [{"n": 1}, "at once"]
    supervisor.directory.joinpath("found.json").unlink()
    again = supervisor.launch()
    assert (again.output, again.stdout) == ([{"n": 1}, "at once"], ""), "what was found stays found"


looks: list[int] = []


@flow
def look(after: int = 3) -> str | None:
    """Finds something at last."""
    looks.append(1)
    return "found" if len(looks) % after == 0 else None


def test_polls_replay() -> None:
    looks.clear()

    @flow(name="root")
    def root() -> str:
        return flow.poll(look, every=3600, timeout=timedelta(days=1))

    looked = run(root)
    assert looked.output == "found"
    assert looked.steps == ["look"] * 3 + ["poll"]


def test_an_async_poll_is_awaited() -> None:
    looks.clear()

    async def looks_async() -> int | None:
        looks.append(1)
        return len(looks) if len(looks) == 3 else None

    @flow(name="root")
    async def root() -> int:
        return await flow.poll(looks_async, every=3600)

    assert run(root).output == 3


def test_a_poll_that_finds_nothing_in_time_gives_up(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import PollTimeout, flow

    @flow
    def main() -> str:
        try:
            return flow.poll(lambda: None, every=0.2, timeout=0.5)
        except TimeoutError as error:
            assert isinstance(error, PollTimeout)
            return str(error)
    """)
    launch = supervisor.launch()
    assert launch.output == "flow.poll found nothing in 0.5 s"
    assert launch.steps().count("look") == 4, "now, after 0.2 s, after 0.4 s, and when the time is over"
    assert supervisor.launch().steps() == []


def test_outside_a_play_a_poll_polls() -> None:
    found = iter([None, None, "x"])
    assert flow.poll(lambda: next(found), every=0.001) == "x"
    with pytest.raises(PollTimeout):
        flow.poll(lambda: None, every=0.001, timeout=0.01)


# --- pyhero.testing -----------------------------------------------------------------------------


def test_in_tests_time_passes_at_once() -> None:
    @flow(name="root")
    def root() -> list[Any]:
        flow.sleep(timedelta(days=365))
        flow.sleep(1.5)
        flow.sleep_until(flow.now() + timedelta(days=365))
        answers: list[Any] = [
            flow.pause("answered", timeout=60),
            flow.pause("default", timeout=60, default=2),
        ]
        try:
            flow.pause("expires", timeout=60)
        except PauseTimeout as error:
            answers.append(str(error))
        return answers

    begin = time.monotonic()
    result = run(root, prefill={"answered": 1}, replay="after_every_step")
    assert time.monotonic() - begin < 1
    assert result.output == [1, 2, "nobody answered pause `expires` in time"]
    assert [(pause.name, pause.payload, pause.is_expired) for pause in result.pauses] == [
        ("answered", 1, False),
        ("default", 2, True),
        ("expires", None, True),
    ]


def test_in_tests_a_clock_runs_with_the_sleeps() -> None:
    @flow(name="root")
    def root() -> list[Any]:
        began = flow.now()
        flow.sleep(timedelta(days=1))
        flow.sleep(1.5)
        flow.sleep_until(began + timedelta(days=3))
        flow.sleep_until(began + timedelta(days=2))
        try:
            flow.poll(lambda: None, every=timedelta(hours=7), timeout=timedelta(days=1))
        except PollTimeout as error:
            return [str(error), round((flow.now() - began) / timedelta(days=1))]
        return []

    result = run(root)
    assert result.output == ["flow.poll found nothing in 86400 s", 4]
    assert result.steps.count("look") == 5
