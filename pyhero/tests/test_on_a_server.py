"""What only a real supervisor shows: that time passes, processes are ended, and child plays run."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
from pyhero import Client


def run(client: Client, tmp_path: Path, source: str, **inputs: Any) -> dict[str, Any]:
    """The play of a flow, once it has ended."""
    file = tmp_path / "flow.py"
    file.write_text(textwrap.dedent(source))
    return client.wait(client.run_async(file=file, inputs=inputs), timeout=120)


def spans(client: Client, play: dict[str, Any]) -> list[tuple[int, str, str]]:
    return [
        (span["launch"], span["name"], span["status"])
        for span in client.spans(play["sid"], limit=500)["items"]
    ]


def test_time_passes_without_a_process(client: Client, tmp_path: Path) -> None:
    play = run(
        client,
        tmp_path,
        """
        from pyhero import PauseTimeout, Retry, flow

        @flow(retry=Retry(on=ValueError, attempts=2, wait_initial=2.1))
        def fails_once() -> int:
            if flow.current().attempt == 1:
                raise ValueError
            return flow.current().launch

        @flow
        def main() -> list:
            flow.sleep(2.1)
            found = [fails_once(), flow.pause("default", timeout=0.1, default="late")]
            try:
                flow.pause("expires", timeout=0.1)
            except PauseTimeout as error:
                found.append(error.message)
            return found
        """,
    )
    assert play["output_data"] == [3, "late", "nobody answered `expires` in time"], play
    assert play["launch"] == 5


def test_a_step_that_hangs_is_ended_and_the_play_goes_on(client: Client, tmp_path: Path) -> None:
    play = run(
        client,
        tmp_path,
        """
        import ctypes
        from pyhero import Retry, StepTimeout, flow

        def hang_in_c() -> None:
            ctypes.PyDLL(None).sleep(600)  # not even a signal handler of Python would run

        @flow(timeout=0.5)
        def hangs() -> None:
            hang_in_c()

        @flow(retry=Retry(on=KeyError, attempts=2, wait_initial=0, timeout=0.5))
        def hangs_at_first() -> int | None:
            if flow.current().attempt == 1:
                hang_in_c()
            return flow.current().attempt

        @flow
        def main() -> list:
            try:
                hangs()
            except StepTimeout as error:
                return [str(error), hangs_at_first()]
        """,
    )
    assert play["output_data"] == ["step `hangs` took longer than 0.5 s", 2], play
    told = spans(client, play)
    assert (1, "hangs", "timed_out") in told and (2, "hangs", "replayed") in told
    assert (2, "attempt", "timed_out") in told and (3, "attempt", "ok") in told
    stood = [line["text"] for line in client.logs(play["sid"], limit=500)["items"]]
    assert any("in hang_in_c" in line for line in stood), "its last words say where"


def test_an_attempt_that_ended_in_time_is_never_late(client: Client, tmp_path: Path) -> None:
    play = run(
        client,
        tmp_path,
        """
        import time
        from pyhero import Retry, flow

        @flow(retry=Retry(on=KeyError, timeout=0.5))
        def quick() -> int:
            return 1

        @flow(timeout=0.5)
        async def quick_async() -> int:
            return 2

        @flow
        async def main() -> list:
            found = [quick(), await quick_async()]
            time.sleep(2.5)
            return [*found, flow.current().launch]
        """,
    )
    assert play["output_data"] == [1, 2, 1], play


def test_child_plays_end_under_their_parent(client: Client, tmp_path: Path) -> None:
    saved = tmp_path / "saved.py"
    saved.write_text("from pyhero import flow\n@flow\ndef main(n: int) -> int:\n    return n + 1\n")
    client.workflow_save("add-one", saved)
    play = run(
        client,
        tmp_path,
        """
        from datetime import date, timedelta
        from pyhero import FlowFailed, flow

        @flow
        def later(day: date, fail: bool = False) -> date:
            if fail:
                raise KeyError("no")
            return day + timedelta(days=1)

        @flow
        def main(day: date) -> list:
            try:
                flow.invoke(later, spawn=True, day=day, fail=True)
            except FlowFailed as error:
                found = ["KeyError" in str(error), len(error.play_sid)]
            days = flow.map(lambda n: flow.invoke("later", spawn=True, day=day + timedelta(days=n)), range(3))
            return [*found, *(str(day) for day in days), flow.invoke("add-one", spawn=True, n=41)]
        """,
        day="2026-02-27",
    )
    assert play["output_data"] == [True, 26, "2026-02-28", "2026-03-01", "2026-03-02", 42], play


def test_a_flow_that_fails_is_undone_and_tried_again_from_there(client: Client, tmp_path: Path) -> None:
    marks = tmp_path / "marks"
    play = run(
        client,
        tmp_path,
        """
        from pathlib import Path
        from pyhero import flow

        def mark(marks: str, text: str) -> None:
            with open(marks, "a") as file:
                file.write(text + " ")

        @flow(compensate=lambda booked: mark(booked[0], "cancel-" + booked[1]))
        def book(marks: str, what: str) -> list[str]:
            mark(marks, "book-" + what)
            return [marks, what]

        @flow
        def both(marks: str) -> None:
            flow.map(lambda what: book(marks, what), ["b", "c"], limit=1)

        @flow
        def other(marks: str) -> None:
            mark(marks, "other")

        @flow
        def main(marks: str) -> str:
            other(marks)
            book(marks, "a")
            both(marks)
            if len(Path(marks).read_text().split()) < 10:
                raise ValueError("no money")
            return "booked"
        """,
        marks=str(marks),
    )
    assert (play["status"], play["error"]["message"]) == ("failed", "ValueError: no money")
    booked, undone = ["book-a", "book-b", "book-c"], ["cancel-c", "cancel-b", "cancel-a"]
    assert marks.read_text().split() == ["other", *booked, *undone]
    again = client.wait(client.retry(play["sid"])["sid"], timeout=60)
    assert (again["status"], again["output_data"]) == ("success", "booked"), again
    assert marks.read_text().split() == ["other", *booked, *undone, *booked], "what was undone runs again"


def test_what_ran_out_of_time_has_it_again_in_a_retry(client: Client, tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    play = run(
        client,
        tmp_path,
        """
        from pathlib import Path
        from pyhero import Retry, flow

        @flow(timeout=0.5, retry=Retry(on=ValueError, attempts=100, wait_initial=0.1))
        def fails(ready: str) -> str:
            if not Path(ready).exists():
                raise ValueError
            return "worked"

        @flow
        def main(ready: str) -> list[str]:
            outcomes = []
            for step in (lambda: fails(ready), lambda: poll(ready)):
                try:
                    outcomes.append(step())
                except TimeoutError as error:
                    outcomes.append(type(error).__name__)
            if "worked" not in outcomes:
                raise RuntimeError(" ".join(outcomes))
            return outcomes

        def poll(ready: str) -> str:
            return flow.poll(lambda: "there" if Path(ready).exists() else None, every=0.1, timeout=0.5)
        """,
        ready=str(ready),
    )
    assert play["error"]["message"] == "RuntimeError: StepTimeout PollTimeout", play
    ready.touch()
    again = client.wait(client.retry(play["sid"])["sid"], timeout=60)
    assert again["output_data"] == ["worked", "there"], again


def test_a_fork_runs_again_what_was_undone(client: Client, tmp_path: Path) -> None:
    play = run(
        client,
        tmp_path,
        """
        from pyhero import flow

        @flow(compensate=lambda room: None)
        def book() -> str:
            return str(flow.uuid4())

        @flow
        def main() -> str:
            room = book()
            if not flow.pause("sure", timeout=0.1, default=False):
                raise ValueError("not sure")
            return room
        """,
    )
    assert play["status"] == "failed"
    forked = client.wait(client.fork(play["sid"], answers={"sure": True})["sid"], timeout=60)
    assert forked["status"] == "success", forked
    booked = [status for _, name, status in spans(client, forked) if name == "book"]
    assert booked == ["ok"], "it runs again, and is no memory of what is cancelled"


def test_a_play_that_takes_too_long_ends(client: Client, tmp_path: Path) -> None:
    play = run(
        client,
        tmp_path,
        "from pyhero import flow\n@flow(timeout=0.5)\ndef main() -> None:\n    flow.sleep(600)\n",
    )
    assert play["status"] == "timed_out"


@pytest.mark.parametrize("memory", ["700MB", "30MB"])
def test_a_play_that_takes_too_much_memory_fails(client: Client, tmp_path: Path, memory: str) -> None:
    play = run(
        client,
        tmp_path,
        f"""
        from pyhero import flow

        @flow(memory="{memory}")
        def main() -> int:
            return len(bytearray(1 << 30))
        """,
    )
    assert (play["status"], play["error"]["message"]) == ("failed", "MemoryError"), play


def test_steps_that_lie_in_the_branches_of_a_completed_step_are_not_left_over(
    client: Client, tmp_path: Path
) -> None:
    play = run(
        client,
        tmp_path,
        """
        from pyhero import flow

        @flow
        def square(n: int) -> int:
            return n * n

        @flow
        def squares() -> list[int]:
            return flow.map(square, range(3))

        @flow
        def main() -> list[int]:
            found = squares()
            flow.pause("q", timeout=0.1, default=None)
            return found
        """,
    )
    assert (play["output_data"], play["launch"], play["left_over"]) == ([0, 1, 4], 2, [])
