"""What every script here does: takes its measures in turn and prints one line of JSON.

A measure that fails is reported with its reason, and the others go on.
"""

import argparse
import json
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

# A name of `table.ROWS`, and its unit, median and what else is known of it.
Figure: TypeAlias = tuple[str, dict[str, Any]]
# A measure yields each figure as soon as it is known, so that what fails after it does not take it away.
Measure: TypeAlias = Callable[[], Iterator[Figure]]


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    n_runs: int = 3
    short_flow: int = 1_000
    long_flow: int = 10_000
    branches: int = 64
    branch_steps: int = 100
    n_latencies: int = 200
    n_flows: int = 2_000
    replays: tuple[int, ...] = (1_000, 10_000, 100_000)
    disk_flow: int = 10_000
    n_paused: int = 1_000
    n_paused_many: int = 100_000
    n_stored: int = 1_000_000
    # A measure ends its repetitions after this time, with at least one.
    budget_seconds: float = 120.0
    # A store that has not shrunk for so long is taken to be compacted.
    unchanged_seconds: float = 5.0


SIZES = {
    "full": Sizes(),
    # This project alone, in under a minute.
    "quick": Sizes(
        n_latencies=50,
        n_flows=300,
        replays=(1_000, 10_000),
        disk_flow=1_000,
        n_paused=100,
        n_paused_many=0,
        n_stored=0,
        budget_seconds=2.0,
        unchanged_seconds=1.0,
    ),
    # With the peers, in about half an hour: fewer repetitions, and none of the large stores.
    "short": Sizes(
        n_latencies=100,
        n_flows=500,
        replays=(1_000, 10_000),
        disk_flow=2_000,
        n_paused=200,
        n_paused_many=0,
        n_stored=0,
        budget_seconds=8.0,
        unchanged_seconds=2.0,
    ),
    # Shows that the scripts work; its figures mean nothing.
    "smoke": Sizes(
        n_runs=1,
        short_flow=20,
        long_flow=40,
        branches=4,
        branch_steps=5,
        n_latencies=3,
        n_flows=10,
        replays=(20,),
        disk_flow=40,
        n_paused=5,
        n_paused_many=20,
        n_stored=50,
        budget_seconds=5.0,
        unchanged_seconds=1.0,
    ),
}


@dataclass(frozen=True)
class Order:
    """What a script was asked to do, and in which empty directory."""

    sizes: Sizes
    directory: Path
    only: frozenset[str] = frozenset()
    rest: tuple[str, ...] = ()


def skipped(reason: str) -> dict[str, Any]:
    """A figure that is not taken, and why."""
    return {"unit": "", "median": None, "skipped": reason}


def order() -> Order:
    """Reads `--size SIZE --directory DIR [--only MEASURE,…] [REST…]` from the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", choices=SIZES, default="full")
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("rest", nargs="*")
    asked = parser.parse_args()
    asked.directory.mkdir(parents=True, exist_ok=True)
    # So that a script that is ended from outside ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended from outside"))
    only = frozenset(filter(None, asked.only.split(",")))
    return Order(SIZES[asked.size], asked.directory.resolve(), only, tuple(asked.rest))


def report(peer: str, versions: Mapping[str, str], measures: Mapping[str, Measure], order: Order) -> None:
    """Takes the measures and prints the line."""
    figures: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}
    seconds: dict[str, float] = {}
    for name, measure in measures.items():
        if order.only and name not in order.only:
            continue
        began = time.monotonic()
        try:
            for figure_name, figure in measure():
                figures[figure_name] = figure
        except Exception as error:
            traceback.print_exc()
            failures[name] = f"{type(error).__name__}: {error}"
        seconds[name] = round(time.monotonic() - began, 1)
        print(f"{peer}: {name} took {seconds[name]} s", file=sys.stderr, flush=True)
    line = {
        "peer": peer,
        "versions": dict(versions) | {"python": sys.version.split()[0]},
        "sizes": asdict(order.sizes),
        "figures": figures,
        "failures": failures,
        "seconds": seconds,
    }
    print(json.dumps(line), flush=True)
