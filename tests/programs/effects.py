"""Reads what a program has left behind, and says whether each effect came once."""

from collections import Counter
from pathlib import Path

FILE = "effects.txt"


def launches(directory: Path) -> list[list[str]]:
    """For each launch in order, the idempotency keys of the effects that it had."""
    found: list[list[str]] = []
    for line in (directory / FILE).read_text().splitlines():
        if line == "begins":
            found.append([])
        else:
            found[-1].append(line.split()[0])
    return found


def check_replays(found: list[list[str]], n_remembered: int, *, is_concurrent: bool) -> None:
    """Holds the launches of `pyhero.testing.run(…, replay="after_every_step")` to "once remembered, never
    again": one launch in full; one for each thing remembered, which starts with all before it; a last one.
    """
    full, *interrupted, last = found
    assert len(interrupted) == n_remembered, f"{len(interrupted)} launches for {n_remembered} moments"
    for launch in found:
        assert len(set(launch)) == len(launch), "one call had two effects in one launch"
    assert last == [], "a step ran again though all was remembered"
    again = [effect for launch in interrupted for effect in launch]
    if not is_concurrent:
        assert again == full, "not each effect once and in the same order"
        return
    assert set(again) <= set(full), "an effect that plain Python does not have"
    # What is cut off before it is remembered may run again, and which of two comes first may change. But what
    # runs in a launch or in a later one was not remembered when that began, and there is only so much of it.
    last_seen = {effect: number for number, effects in enumerate(interrupted) for effect in effects}
    seen_at = Counter(last_seen.values())
    n_seen = 0
    for number in reversed(range(n_remembered)):
        n_seen += seen_at[number]
        assert n_seen <= n_remembered - number, f"launch {number} ran what was remembered"
