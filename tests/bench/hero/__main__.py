"""Measures this project: `python -m bench.hero --directory DIR [--size quick] PROGRAMS`.

PROGRAMS is the `bin` of an environment that the wheel is installed in.
"""

import subprocess
from pathlib import Path

from ..suite import Measure, order, report
from .launches import Launches
from .recovery import Recovery
from .steps import Steps
from .stored import Stored


def main() -> None:
    asked = order()
    # Not resolved: an environment's `python` is a link to the one it was made from.
    programs = Path(asked.rest[0]).absolute()
    steps, launches = Steps(programs, asked), Launches(programs, asked)
    recovery, stored = Recovery(programs, asked), Stored(programs, asked)
    measures: dict[str, Measure] = {
        "step": steps.sequential,
        "parallel": steps.parallel,
        "start": launches.start,
        "start_cold": launches.start_cold,
        "resume": launches.resume,
        "flows": launches.flows,
        "replay": launches.replay,
        "restart": recovery.restart,
        "disk": stored.disk,
        "paused": stored.paused,
        "many": stored.many,
    }
    report("hero_logic", {"hero_logic": version(programs)}, measures, asked)


def version(programs: Path) -> str:
    asked = [str(programs / "hero_logic"), "--version"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
