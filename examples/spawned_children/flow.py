"""A survey of several regions, each in a play of its own.

A spawned play has its own process, its own history and its own end: it can be looked at, cancelled and
deleted by itself. This one waits for all of them without a process, and goes on whatever became of them.
"""

from pyhero import FlowFailed, flow

ANSWERS = {"north": 120, "south": 80}


@flow
def ask_households(region: str, n: int) -> int:
    """Asks around. A real survey would wait for weeks here."""
    if region not in ANSWERS:
        raise LookupError(f"nobody lives in {region!r}")
    return ANSWERS[region] * n


@flow
def survey(region: str, n: int = 1) -> int:
    """The survey of one region; run it alone as well."""
    flow.annotate(region=region)
    return ask_households(region, n)


def result_of(region: str) -> tuple[str, object]:
    """What a play of its own has found out, or that it has failed."""
    try:
        return region, flow.invoke(survey, spawn=True, region=region, n=2)
    except FlowFailed:
        return region, "no result"


@flow
def spawned_children(regions: list[str] | None = None) -> dict[str, object]:
    """Surveys all regions at once."""
    return dict(flow.map(result_of, regions or ["north", "south", "atlantis"]))
