"""A film whose pictures a render farm makes: it is told where to tell when each is done."""

import json
from pathlib import Path

from pyhero import CallbackFailed, flow


@flow
def order(shot: str, tell: str) -> None:
    """Leaves an order where the farm looks for them, with the URL at which it tells how that went."""
    orders = Path("orders")
    orders.mkdir(exist_ok=True)
    draft = orders / f"{shot}.draft"
    draft.write_text(json.dumps({"shot": shot, "tell": tell}))
    draft.rename(orders / f"{shot}.json")  # the farm never sees half an order


def render(shot: str) -> str:
    rendered = flow.callback(f"rendered[{shot}]", schema=str, timeout=7 * 24 * 3600)
    order(shot, tell=rendered.url)
    try:
        return rendered.wait()
    except CallbackFailed as failed:
        return f"no picture of the {shot}: {failed.error}"


@flow
def film(shots: str = "sunrise,storm,harbour") -> list[str]:
    """Has all shots rendered at once, and returns their pictures."""
    return flow.map(render, shots.split(","))
