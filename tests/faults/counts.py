"""How many faults a run brings about, and the seed that it takes all its chances from.

`HERO_TORTURE=1` (`make torture`) takes the counts of a release; `HERO_SEED=n` repeats a run.
"""

import os
import random

IS_TORTURE = os.environ.get("HERO_TORTURE") == "1"

SEED = int(os.environ.get("HERO_SEED") or random.SystemRandom().randrange(1_000_000))


def faults(quick: int, torture: int) -> int:
    """The number for this run."""
    return torture if IS_TORTURE else quick


def chances(name: str) -> random.Random:
    """A source of chance of its own for each test, so that one test alone repeats as well."""
    return random.Random(f"{SEED} {name}")


SUPERVISOR_KILLS = faults(50, 2_000)
EMBEDDED_KILLS = faults(8, 100)
POINTS = faults(100, 1_000_000)
"""At how many system calls a server is killed; never more than a run of the scenario has."""
POINT_ROUNDS = faults(1, 20)
"""How often at each."""
SCHEDULE_POINTS = faults(40, 1_000_000)
"""The same, between the firing of a schedule and the first step of its play."""
SCHEDULE_POINT_ROUNDS = faults(1, 20)
CHILD_DEATHS = faults(60, 2_000)
EXIT_CODES = faults(50, 256)
KILLS_BEFORE_ACK = faults(50, 1_000)
KILLS_BEHIND_ACK = faults(50, 1_000)
KILLS_OF_BOTH = faults(20, 300)
SERVER_RACES = faults(20, 200)
RESUME_RACES = faults(200, 20_000)
WAIT_RACES = faults(24, 2_000)
ODD_RESUMES = faults(50, 500)
TRICK_ROUNDS = faults(1, 20)
"""How often each trick of a flow is played."""
MANGLED_CONVERSATIONS = faults(100, 5_000)
ORPHAN_ROUNDS = faults(1, 5)
"""A round has about 70 processes that hide."""
