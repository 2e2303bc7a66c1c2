"""A client that keeps plays in flight and answers what they ask, however often the server goes away."""

import http.client
import itertools
import random
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support import rpc
from support.hero import Hero, Json, items
from support.waiting import eventually

from .history import Ledger

PROGRAMS = Path(__file__).parent / "flows" / "programs.py"

OUTPUTS: dict[str, Callable[[int], int]] = {
    "sequence": lambda n: sum(range(n)),
    "rounds": lambda n: n,
    "nested": lambda n: sum(2 * index for index in range(n)),
    "threads": lambda n: sum(range(n)),
    "gathered": lambda n: sum(range(n)),
    "questions": lambda n: (
        sum(index + answer_to(f"q.{index}") for index in range(n))
        + sum(answer_to(f"last[{index}]") for index in range(2))
        + n
    ),
}
"""What each flow of `flows/programs.py` returns."""

ENDED = {"success", "failed", "cancelled", "timed_out"}

_LOOK_SECONDS = 0.02
_SETTLE_SECONDS_MAX = 120.0


def answer_to(pause: str) -> int:
    """What the client answers to a pause of this name, whenever and however often it has to."""
    return zlib.crc32(pause.encode()) % 1_000


class Crowd:
    """Starts plays and answers pauses in a thread of its own."""

    def __init__(
        self, hero: Hero, ledger: Ledger, chances: random.Random, n_plays: int, n_steps: range
    ) -> None:
        self._hero = hero
        self._ledger = ledger
        self._chances = chances
        self._n_plays = n_plays
        self._n_steps = n_steps
        self._flows = itertools.cycle(OUTPUTS)
        self._is_starting = True
        self._must_end = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="crowd")

    def settle(self) -> list[Json]:
        """Starts no more plays and waits until all have ended; returns them as `play_get` shows them."""
        self._is_starting = False
        eventually(
            lambda: self._failure or not self._unended(),
            "every play to end",
            deadline_seconds=_SETTLE_SECONDS_MAX,
        )
        return [self._call("play_get", play_sid=play["sid"]) for play in self._plays()]

    # --- The thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._must_end.wait(_LOOK_SECONDS):
                try:
                    self._keep_plays_in_flight()
                    self._answer_questions()
                except (OSError, http.client.HTTPException):
                    pass  # The server is gone, and comes back.
        except BaseException as failure:
            self._failure = failure

    def _keep_plays_in_flight(self) -> None:
        for _ in range(self._n_plays - len(self._unended()) if self._is_starting else 0):
            name, n = next(self._flows), self._chances.choice(self._n_steps)
            play = self._call(
                "play_start",
                file=str(PROGRAMS),
                flow=name,
                input_data={"ledger": str(self._ledger.socket), "n": n},
            )
            self._ledger.report("started", play=play["sid"], flow=name, expected=OUTPUTS[name](n))

    def _answer_questions(self) -> None:
        for item in items(self._call("inbox_list")):
            play, request = item["play_sid"], item["request"]
            answer = answer_to(request["name"])
            self._call("play_resume", play_sid=play, resume_id=request["id"], payload_json=str(answer))
            self._ledger.report("resumed", play=play, pause=request["name"], answer=answer)

    # --- Calls ------------------------------------------------------------------------------------

    def _unended(self) -> list[Json]:
        return [play for play in self._plays() if play["status"] not in ENDED]

    def _plays(self) -> list[Json]:
        return list(all_items(self._hero.socket, "play_list"))

    def _call(self, method: str, **params: Json) -> Json:
        return rpc.call(self._hero.socket, method, **params)


@contextmanager
def crowd(
    hero: Hero, ledger: Ledger, chances: random.Random, n_plays: int, n_steps: range = range(3, 13)
) -> Iterator[Crowd]:
    """A crowd at work, until the end of the block. What it failed of is raised there.

    Args:
        n_plays: How many are in flight at any time.
        n_steps: How many steps, rounds or questions each may have.
    """
    crowd = Crowd(hero, ledger, chances, n_plays, n_steps)
    crowd._thread.start()
    try:
        yield crowd
    finally:
        crowd._must_end.set()
        crowd._thread.join()
    if crowd._failure is not None:
        raise crowd._failure


def all_items(socket: Path, method: str, **params: Json) -> Iterator[Json]:
    """Everything that a list holds, page by page."""
    cursor: dict[str, Json] = {}
    while True:
        page = rpc.call(socket, method, limit=1_000, **params, **cursor)
        yield from page["items"]
        # A list of log lines always has a next cursor, for what is still to come.
        if not page.get("has_more", page.get("next_cursor")):
            return
        cursor = {"cursor": page["next_cursor"]}
