"""A trip that is booked as a whole or not at all.

Each booking says how it is undone. When the flow `trip` fails, what was booked is cancelled in reverse
order; a crash in the middle of that goes on where it stood. `saga` starts the trip as a play of its own
and tells what became of it.
"""

from pathlib import Path

from pyhero import FlowFailed, flow

LIMIT = 1500


def note(play_sid: str, line: str) -> None:
    """Stands for the systems of the airline and the hotel: a list of what they were told."""
    with Path(f"bookings-{play_sid}.txt").open("a") as ledger:
        ledger.write(f"{line}\n")


def cancel(booking: str) -> None:
    """Undoes a booking; it gets what the step returned."""
    note(flow.current().sid, f"cancelled {booking}")


@flow(compensate=cancel)
def book(what: str) -> str:
    """Books something."""
    note(flow.current().sid, f"booked {what}")
    return what


@flow(retry="never")
def pay(amount: int) -> None:
    """Pays, at most once."""
    if amount > LIMIT:
        raise ValueError(f"the card does not pay {amount}")


@flow
def trip(amount: int) -> list[str]:
    """Books all, and pays."""
    booked = [book(what) for what in ("flight", "hotel", "car")]
    pay(amount)
    return booked


@flow
def ledger_of(play_sid: str) -> list[str]:
    """What the systems were told."""
    return Path(f"bookings-{play_sid}.txt").read_text().splitlines()


@flow
def saga(amount: int = 2000) -> dict[str, object]:
    """Books a trip, and tells what became of it."""
    try:
        return {"booked": flow.invoke(trip, spawn=True, amount=amount)}
    except FlowFailed as failure:
        return {"booked": [], "ledger": ledger_of(failure.play_sid)}
