"""The rows that are reported, what each is held to, and how they are printed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

# Peer → name → figure.
Results: TypeAlias = Mapping[str, Mapping[str, Mapping[str, Any]]]

OURS = "hero_logic"
IN_PROCESS = ("dbos-sqlite", "dbos-postgres", "langgraph-functional", "langgraph-graph")
# What LangGraph's graph stores is its state, not what the steps returned: it replays nothing.
REPLAYING = ("dbos-sqlite", "dbos-postgres", "absurd", "restate", "langgraph-functional")


@dataclass(frozen=True)
class Row:
    """One measure: a statistic of a figure, and up to three ways to hold it to something."""

    title: str
    figure: str
    statistic: str = "median"
    is_better_when: str = "less"
    # So many times better than the best of these peers; None are compared where it is empty.
    peers: Sequence[str] | None = None
    times_better: float | None = None
    limit: float | None = None
    # At most so many times another figure of ours.
    times_ours: tuple[float, str] | None = None
    # The figure that tells how many plays there were, and how many there should be.
    amount: tuple[str, int] | None = None


MILLION = ("stored_plays", 1_000_000)

ROWS = (
    Row("floor: a flushed write and a round trip (ms)", "floor_step", peers=()),
    Row("step, one flow of 1,000 (ms)", "step_1000", times_better=3, times_ours=(1.5, "floor_step")),
    Row("step, one flow of 10,000 (ms)", "step_10000", times_better=3, times_ours=(1.5, "floor_step")),
    Row("  p50 of single steps (ms)", "step_10000", "p50"),
    Row("  p99 of single steps (ms)", "step_10000", "p99"),
    Row("64 flows x 100 steps (steps/s)", "parallel_steps", is_better_when="more", times_better=10),
    Row("start → first line, p50 (ms)", "start", peers=IN_PROCESS, times_better=1),
    Row("start → first line, p99 (ms)", "start", "p99", peers=IN_PROCESS, times_better=1 / 3),
    Row("start → first line, first play of a server (ms)", "start_cold", peers=()),
    Row("resume → first line, 10 steps before, p50 (ms)", "resume", times_better=1),
    Row("resume → first line, 10 steps before, p99 (ms)", "resume", "p99"),
    Row("empty flows (flows/s)", "empty_flows", is_better_when="more", times_better=1.5),
    Row("replay of 1,000 beyond the launch (ms)", "replay_1000", peers=(), limit=3),
    Row("replay of 10,000 (ms)", "replay_10000", peers=REPLAYING, times_better=5, limit=15),
    Row("replay of 100,000 (ms)", "replay_100000", peers=(), limit=120),
    Row("kill -9, 10,000 steps done → new step (ms)", "restart_10000"),
    Row("  beyond the processes' start (ms)", "restart_10000", "beyond_process_start_ms", peers=(), limit=50),
    Row("paused play, memory (KiB)", "paused_memory"),
    Row("paused play, disk (bytes)", "paused_disk", peers=(), limit=2048),
    Row("supervisor idle, RSS (MiB)", "rss_idle", peers=(), limit=25),
    Row(
        "supervisor with 100,000 paused plays, RSS (MiB)",
        "rss_paused_many",
        peers=(),
        limit=60,
        amount=("paused_many_plays", 100_000),
    ),
    Row("1 M plays: slowest page of a list (ms)", "stored_page", "max", peers=(), limit=20, amount=MILLION),
    Row("1 M plays: open (ms)", "stored_open", peers=(), limit=5_000, amount=MILLION),
    Row(
        "1 M plays: start, x of an empty store", "stored_start", "ratio", peers=(), limit=1.2, amount=MILLION
    ),
    Row("disk per step (bytes)", "disk_step"),
    Row("disk, compacted, x of the outcomes", "disk_step_compacted", "ratio_to_outcome", peers=(), limit=3),
    Row(
        "disk per step, deleted (bytes)",
        "disk_step_deleted",
        peers=(),
        times_ours=(0.1, "disk_step_compacted"),
    ),
)


def derived(figures: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """With the replay of a peer: what remembered steps add to its restart."""
    more: dict[str, Mapping[str, Any]] = dict(figures)
    bare, full = statistic_of(figures, "restart_0"), statistic_of(figures, "restart_10000")
    if "replay_10000" not in figures and bare is not None and full is not None:
        more["replay_10000"] = {"unit": "ms", "median": max(0.0, round(full - bare, 3)), "derived": True}
    return more


def statistic_of(
    figures: Mapping[str, Mapping[str, Any]], name: str, statistic: str = "median"
) -> float | None:
    value = figures.get(name, {}).get(statistic)
    return None if value is None else float(value)


def judged(row: Row, results: Results) -> dict[str, Any]:
    """Our value, the best peer's, the ratio (above 1: we are better), and which goals are met."""
    figures = results.get(OURS, {})
    ours = statistic_of(figures, row.figure, row.statistic)
    peer, theirs = _best_peer(row, results)
    line: dict[str, Any] = {"row": row.title, "ours": ours, "peer": peer, "theirs": theirs}
    line |= {"ratio": None, "goals": []}
    if ours is None:
        return line
    if theirs is not None:
        line["ratio"] = _ratio(row, ours, theirs)
    line["goals"] = list(_goals(row, figures, ours, line["ratio"]))
    if row.amount and (count := statistic_of(figures, row.amount[0])) and count < row.amount[1]:
        line["at"] = int(count)
    return line


def _goals(
    row: Row, figures: Mapping[str, Mapping[str, Any]], ours: float, ratio: float | None
) -> list[dict[str, Any]]:
    goals: list[dict[str, Any]] = []
    if row.times_better is not None:
        met = None if ratio is None else ratio >= row.times_better
        goals.append({"goal": _compared(row.times_better), "met": met})
    if row.limit is not None:
        goals.append({"goal": f"≤ {row.limit:,.4g}", "met": ours <= row.limit})
    if row.times_ours is not None:
        times, name = row.times_ours
        other = statistic_of(figures, name)
        met = None if other is None else ours <= times * other
        shown = "?" if other is None else f"{other:.4g}"
        goals.append({"goal": f"≤ {times:g} x {name} ({shown})", "met": met})
    return goals


def _compared(times_better: float) -> str:
    if times_better < 1:
        return f"≤ {1 / times_better:.3g} x the best peer"
    return f"≥ {times_better:.3g} x better than the best peer"


def _best_peer(row: Row, results: Results) -> tuple[str | None, float | None]:
    names = [name for name in results if name != OURS] if row.peers is None else row.peers
    found = [(statistic_of(results.get(name, {}), row.figure, row.statistic), name) for name in names]
    values = [(value, name) for value, name in found if value is not None]
    if not values:
        return None, None
    best = min(values) if row.is_better_when == "less" else max(values)
    return best[1], best[0]


def _ratio(row: Row, ours: float, theirs: float) -> float | None:
    """None where one of them is too small to be told from nothing."""
    if min(ours, theirs) <= 0:
        return None
    return round(theirs / ours if row.is_better_when == "less" else ours / theirs, 3)


# --- Printing -------------------------------------------------------------------------------------


def printed(lines: Sequence[Mapping[str, Any]]) -> str:
    """A table of what `judged` says, in plain text."""
    head = ("measure", "this project", "best peer", "ratio", "goal")
    rows = [head, *map(_cells, lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    rows.insert(1, tuple("-" * width for width in widths))
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _cells(line: Mapping[str, Any]) -> tuple[str, ...]:
    peer = "" if line["peer"] is None else f"{_number(line['theirs'])}  {line['peer']}"
    ratio = "" if line["ratio"] is None else f"{line['ratio']:.3g} x"
    at = f"  (at {line['at']:,})" if "at" in line else ""
    marks = {True: "met", False: "MISSED", None: "not compared"}
    goals = "; ".join(f"{goal['goal']}: {marks[goal['met']]}" for goal in line["goals"])
    return (line["row"], _number(line["ours"]) + at, peer, ratio, goals)


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
