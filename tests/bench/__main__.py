"""One run of everything: `python -m bench --programs BIN --output DIR [--size full|short|quick|smoke]`.

Measures this project, then, unless it is to be quick, each peer, in turn. Prints the table and writes
DIR/results.json, or results-SIZE.json where the run was not a full one. `make bench` calls it.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from .measuring import kill_family
from .peers.install import PEERS, Missing, Peer, install
from .suite import SIZES
from .table import OURS, ROWS, derived, judged, printed

TESTS = Path(__file__).parent.parent
SCRIPT_SECONDS_MAX = 3_600
# What a script that is ended early has for ending its servers.
TIDY_SECONDS = 30
# More than this before the run, by other processes, and the figures mean little.
BUSY_SHARE_MAX = 0.1


def main() -> None:
    # So that a run that is ended from outside ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    asked = arguments()
    asked.output.mkdir(parents=True, exist_ok=True)
    run = Run(asked.output.resolve(), asked.size)
    chosen = set(filter(None, asked.peers.split(",")))
    run.script(OURS, Path(sys.executable), "bench.hero", [str(asked.programs.absolute())])
    if asked.size != "quick":
        for peer in PEERS:
            if not chosen or peer.name in chosen:
                run.peer(peer)
    run.write()
    print(run.summary())


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=Path, required=True, help="the `bin` with hero_logic_server")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--peers", default="", help="only these, with commas between them; all if empty")
    return parser.parse_args()


class Run:
    """What was measured so far."""

    def __init__(self, output: Path, size: str) -> None:
        self.output = output
        self.size = size
        # A short run must not take away what a whole one has found.
        self.results = output / ("results.json" if size == "full" else f"results-{size}.json")
        self.lines: dict[str, dict[str, Any]] = {}
        self.missing: dict[str, str] = {}

    def peer(self, peer: Peer) -> None:
        """Installs and measures a peer; what is in the way is noted."""
        try:
            python = install(peer, self.output / "peers")
        except Missing as reason:
            self.missing[peer.name] = f"not installed: {reason}"
            print(f"{peer.name}: {self.missing[peer.name]}", file=sys.stderr, flush=True)
            return
        self.script(peer.name, python, f"bench.peers.{peer.module}", list(peer.arguments))

    def script(self, name: str, python: Path, module: str, rest: list[str]) -> None:
        """Runs a script in an empty directory and keeps the line that it prints."""
        directory = self.output / "data" / name
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        command = [str(python), "-m", module, "--size", self.size, "--directory", str(directory), *rest]
        busy = busy_share()
        if busy > BUSY_SHARE_MAX:
            print(f"{name}: the machine is {busy:.0%} busy with other things", file=sys.stderr)
        log = self.output / "logs" / f"{name}.log"
        log.parent.mkdir(exist_ok=True)
        print(f"{name}: measuring, see {log}", file=sys.stderr, flush=True)
        began = time.monotonic()
        try:
            line = json.loads(last_line(command, log))
        except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
            self.missing[name] = f"no figures: {type(error).__name__}, see {log}"
        else:
            took = round(time.monotonic() - began, 1)
            self.lines[name] = line | {"busy_before": round(busy, 3), "took_seconds": took}
        shutil.rmtree(directory, ignore_errors=True)
        self.write()

    def judged(self) -> list[dict[str, Any]]:
        results = {name: line["figures"] for name, line in self.lines.items()}
        results |= {name: derived(figures) for name, figures in results.items() if name != OURS}
        return [judged(row, results) for row in ROWS]

    def write(self) -> None:
        """Writes what is known so far: a run that is interrupted leaves what it has."""
        whole = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "size": self.size,
            "machine": machine(),
            "table": self.judged(),
            "scripts": self.lines,
            "missing": self.missing,
        }
        unfinished = self.results.with_suffix(".new")
        unfinished.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
        unfinished.replace(self.results)

    def summary(self) -> str:
        """The table, and what is not in it."""
        notes = [f"{name}: {reason}" for name, reason in self.missing.items()]
        for name, line in self.lines.items():
            if line["busy_before"] > BUSY_SHARE_MAX:
                notes.append(f"{name}: measured while other processes kept the machine busy")
            notes += [f"{name}: {measure} failed: {why}" for measure, why in line["failures"].items()]
        where = f"{machine()['cores']} cores, {self.size} run; all figures: {self.results}"
        return "\n".join([printed(self.judged()), "", where, *notes])


def last_line(command: list[str], log: Path) -> str:
    """The last line that a script prints. Whatever ends this, ends all that the script has started."""
    with log.open("w") as err:
        process = subprocess.Popen(command, cwd=TESTS, stdout=subprocess.PIPE, stderr=err, text=True)
    try:
        printed, _ = process.communicate(timeout=SCRIPT_SECONDS_MAX)
    finally:
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(TIDY_SECONDS)
        kill_family(process)
    lines: list[str] = printed.strip().splitlines() or [""]
    return lines[-1]


def busy_share(seconds: float = 1.0) -> float:
    """The share of the cores that was used during this time."""

    def ticks() -> tuple[int, int]:
        first = Path("/proc/stat").read_text().splitlines()[0]
        numbers = [int(number) for number in first.split()[1:9]]
        return sum(numbers), numbers[3] + numbers[4]

    all_before, idle_before = ticks()
    time.sleep(seconds)
    all_after, idle_after = ticks()
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


def machine() -> dict[str, Any]:
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {"cores": os.cpu_count(), "cpu": models[0] if models else "", "kernel": platform.release()}


if __name__ == "__main__":
    main()
