"""A play whose process dies exactly where it is told to, and only once there."""

import os
import signal
import threading

import reporting
from pyhero import flow

_deaths_dir = ""
_coming: list[threading.Timer] = []


def die_once(place: str) -> None:
    """Ends the process without a word, the first time that a launch comes here."""
    try:
        os.close(os.open(f"{_deaths_dir}/{place}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


@flow
def fragile(step: str, dies: str, after_seconds: float) -> str:
    nonce = reporting.effect(step)
    if dies == "before the acknowledgement":
        die_once(step)
    if dies == "about the acknowledgement":
        death = threading.Timer(after_seconds, die_once, [step])
        death.start()
        _coming.append(death)
    return nonce


@flow
def mortal(ledger: str, deaths_dir: str, plan: list[tuple[str, float]]) -> int:
    """One step for each entry of the plan, which says where the process dies at it."""
    global _deaths_dir
    reporting.open_ledger(ledger)
    _deaths_dir = deaths_dir
    for index, (dies, after_seconds) in enumerate(plan):
        step = f"step {index}"
        reporting.acked(step, fragile(step, dies, after_seconds))
        if dies == "behind the acknowledgement":
            die_once(step)
        if _coming:
            _coming.pop().join()  # Each death belongs to its own step.
    return len(plan)
