"""Undoing completed steps once the root flow has failed."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from pyhero import flow
from pyhero.testing import run

from .support import KILL, Supervisor
from .test_steps import key

TRIP = """
from dataclasses import dataclass
from pathlib import Path
from pyhero import flow

@dataclass
class Booking:
    what: str

def cancel(booking):
    print("cancel", booking.what)
    {cancel}

@flow
async def cancel_async(booking: Booking) -> None:
    cancel(booking)

@flow(compensate=cancel)
def book(what: str) -> Booking:
    return Booking(what)

@flow(compensate=lambda booking: cancel_async(booking))
async def book_later(what: str) -> Booking:
    return Booking(what)

@flow(compensate=cancel_async)
async def book_async(what: str) -> Booking:
    return Booking(what)

@flow(compensate=lambda booking: print("never"))
def refuses() -> None:
    raise KeyError("no room")

@flow
def together() -> None:
    book("car")

@flow
def main() -> None:
    book("hotel")
    together()
    try:
        refuses()
    except KeyError:
        pass
    book("flight")
    flow.pause("q")
    if not Path("recovered").exists():
        raise ValueError("no money")
"""


def write(supervisor: Supervisor, cancel: str = "") -> None:
    supervisor.write(TRIP.format(cancel=cancel))
    assert supervisor.launch().code == 75
    supervisor.answer("q", None)


def undone(stdout: str) -> list[str]:
    return [line.removeprefix("cancel ") for line in stdout.splitlines()]


def test_completed_steps_are_undone_in_reverse_also_those_of_earlier_launches(supervisor: Supervisor) -> None:
    write(supervisor)
    launch = supervisor.launch()
    assert (launch.code, launch.error["message"]) == (1, "no money")
    assert undone(launch.stdout) == ["flight", "car", "hotel"]
    failure, *undos = launch.of("step_output")
    assert (failure["name"], failure["parent_path"]) == ("failure", "main/~")
    assert failure["outcome"]["raised"]["message"] == "no money"
    booked = [key("main", "book", {"what": what}) for what in ("flight", "hotel")]
    assert undos[0]["parent_path"] == f"main/~{booked[0]}"
    assert undos[2]["parent_path"] == f"main/~{booked[1]}"
    assert undos[0]["key"] == key(f"main/~{booked[0]}", "book.undo", {"output": {"what": "flight"}})
    again = supervisor.launch()
    assert (again.code, again.error["message"], undone(again.stdout)) == (1, "no money", [])
    assert again.of("step_output") == []


def test_a_flow_that_succeeds_undoes_nothing(supervisor: Supervisor) -> None:
    write(supervisor)
    (supervisor.directory / "recovered").touch()
    launch = supervisor.launch()
    assert (launch.code, launch.stdout) == (0, "")


@pytest.mark.parametrize("n_outputs", [1, 2, 3])
def test_a_launch_that_dies_while_undoing_goes_on_where_it_stood(
    supervisor: Supervisor, n_outputs: int
) -> None:
    write(supervisor)
    left = n_outputs

    def kill_after(word: str, event: dict[str, Any], seq: int) -> str | None:
        nonlocal left
        reply = supervisor.acknowledge(word, event, seq)
        left -= word == "step_output"
        return KILL if left == 0 and word == "step_output" else reply

    supervisor.reply_to = kill_after
    assert supervisor.launch().code == -signal.SIGKILL
    supervisor.reply_to = supervisor.acknowledge
    # What made the flow fail is gone: it has failed nevertheless, since its steps are undone.
    (supervisor.directory / "recovered").touch()
    second = supervisor.launch()
    assert (second.code, second.error["message"]) == (1, "no money")
    assert undone(second.stdout) == ["flight", "car", "hotel"][n_outputs - 1 :]
    assert second.of("result")[0].get("left_over") is None
    assert "where an earlier" not in second.error["message"]


def test_an_undo_that_raises_is_recorded_and_the_others_run(supervisor: Supervisor) -> None:
    write(supervisor, cancel="if booking.what == 'car': raise OSError('no line')")
    launch = supervisor.launch()
    assert (launch.code, launch.error["message"]) == (1, "no money")
    assert undone(launch.stdout) == ["flight", "car", "hotel"]
    (log,) = launch.of("span_log")
    assert (log["level"], log["text"]) == ("error", "undoing `book` failed: OSError: no line")


def test_an_undo_may_pause(supervisor: Supervisor) -> None:
    write(supervisor, cancel="print(flow.pause(f'cancel[{booking.what}]'))")
    for what in ("flight", "car", "hotel"):
        launch = supervisor.launch()
        assert launch.code == 75, launch.stderr
        assert [pause["name"] for pause in launch.of("pause")] == [f"cancel[{what}]"]
        supervisor.answer(f"cancel[{what}]", "done")
    launch = supervisor.launch()
    assert (launch.code, launch.error["message"], launch.stdout) == (1, "no money", "cancel hotel\ndone\n")


def test_async_steps_are_undone_too(supervisor: Supervisor) -> None:
    supervisor.write(
        TRIP.format(cancel="").partition("@flow\ndef together")[0]
        + """
@flow
async def main() -> None:
    await book_async("hotel")
    await book_later("boat")
    book("car")
    await flow.map(book_async, ["a", "b"], limit=1)
    raise ValueError("no money")
"""
    )
    launch = supervisor.launch()
    assert (launch.code, launch.error["message"]) == (1, "no money"), launch.stderr
    assert undone(launch.stdout) == ["b", "a", "car", "boat", "hotel"]
    assert supervisor.launch().stdout == ""


def test_what_an_undo_does_is_not_undone(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow(compensate=lambda output: print("undo", output))
    def step(name: str) -> str:
        return name

    @flow(compensate=lambda output: step("while undoing"))
    def last() -> int:
        return 1

    @flow
    def main() -> None:
        step("first")
        last()
        raise ValueError("x")
    """)
    launch = supervisor.launch()
    assert launch.stdout == "undo first\n"
    assert list(supervisor.completed) == [key("main", "step", {"name": "first"}), key("main", "last", {})]
    assert supervisor.launch().stdout == ""


def test_flows_that_only_the_root_defines_are_found_by_running_it_again(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow
    def main() -> None:
        @flow(compensate=lambda output: [print("undo", output), flow.pause("q")])
        def local() -> int:
            return 1

        local()
        raise ValueError("x")
    """)
    assert supervisor.launch().code == 75
    supervisor.answer("q", None)
    launch = supervisor.launch()
    assert (launch.code, launch.stdout) == (1, "undo 1\n"), launch.stderr
    assert "main.local" in launch.steps(replayed=True)


def test_a_result_that_cannot_be_stored_is_a_failure(supervisor: Supervisor) -> None:
    supervisor.write("""
    from pyhero import flow

    @flow(compensate=lambda output: print("undo"))
    def step() -> int:
        return 1

    @flow
    def main() -> object:
        step()
        return object()
    """)
    launch = supervisor.launch()
    assert (launch.code, launch.error["class"], launch.stdout) == (1, "pyhero:EncodeError", "undo\n")


def test_undos_run_in_tests() -> None:
    undone: list[Any] = []

    @flow(name="step", compensate=undone.append)
    def step(n: int) -> int:
        return n

    @flow(name="root")
    def root() -> None:
        flow.map(step, range(3), limit=1)
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        run(root)
    assert undone == [2, 1, 0]
