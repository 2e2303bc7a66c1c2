"""Servers that die at a point: at one of the system calls that change something outside of them."""

import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from support.hero import SCRIPTS, Hero, Server
from support.waiting import eventually

from . import kill_at

NEVER = 0


def spread(n_calls: int, n_points: int, chances: random.Random) -> list[int]:
    """So many of the calls 1, 2, … *n_calls*, evenly spread, and other ones in each run.

    The threads do not take the very same number of calls each time: the last few may not be reached.
    """
    last = n_calls * 95 // 100
    distance = last / min(n_points, last)
    first = chances.uniform(0, distance)
    return [1 + int(first + index * distance) for index in range(min(n_points, last))]


@dataclass(frozen=True)
class Death:
    """Where a server was to die, and in which call it did; None where it came to its end before."""

    point: int
    call: str | None

    def __str__(self) -> str:
        return f"point {self.point} ({self.call or 'not reached'})"


class Traced:
    """A server that dies at a point, once it answers or has died."""

    def __init__(self, hero: Hero, point: int) -> None:
        self._log = hero.home / "calls"
        command = [str(SCRIPTS / "hero_logic_server")]
        with (hero.home / "hero_logic_server.log").open("a") as out:
            process = subprocess.Popen(
                [sys.executable, kill_at.__file__, str(self._log), str(point), *command],
                cwd=hero.work_dir,
                env=hero.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                text=True,
            )
        self.server = Server(hero, process)
        self._point = point
        eventually(self.server.answers_or_died, "the server to answer or to die")

    def calls(self) -> list[str]:
        """What it has done."""
        return self._log.read_text().splitlines()

    def death(self) -> Death:
        """Waits for its end."""
        self.server.process.wait(timeout=60)
        calls = self.calls()
        return Death(self._point, calls[self._point - 1] if len(calls) >= self._point else None)


@contextmanager
def another_home() -> Iterator[Hero]:
    home = Path(tempfile.mkdtemp(prefix="hero_", dir="/tmp"))
    hero = Hero(home)
    try:
        yield hero
    finally:
        hero.tidy_up()
        shutil.rmtree(home, ignore_errors=True)
