"""A report that a schedule prints every night: read the orders, sum them up, put a file in its place."""

import json
from dataclasses import dataclass
from pathlib import Path

from pyhero import flow


@dataclass
class Order:
    """One order of a shop."""

    item: str
    amount: int


ORDERS = [Order("lamp", 40), Order("chair", 85), Order("lamp", 40)]


@flow
def read_orders(file: str) -> list[Order]:
    """What was ordered; a few orders of our own where no file is named."""
    if not file:
        return ORDERS
    return [Order(**order) for order in json.loads(Path(file).read_text())]


@flow
def sum_up(orders: list[Order]) -> dict[str, int]:
    """How much each item has brought in, the best one first."""
    totals: dict[str, int] = {}
    for order in orders:
        totals[order.item] = totals.get(order.item, 0) + order.amount
    return dict(sorted(totals.items(), key=lambda total: (-total[1], total[0])))


@flow
def publish(totals: dict[str, int], directory: str) -> str:
    """Writes the report, under a name of this very play: there is one, however often this runs."""
    name = f"report_{flow.idempotency_key()[:8]}.json"
    Path(directory, name).write_text(json.dumps(totals))
    return name


@flow
def scheduled_report(orders: str = "", directory: str = "") -> dict[str, int]:
    """Sums the orders up, and writes a report where a directory is named."""
    totals = sum_up(read_orders(orders))
    if directory:
        flow.log(f"wrote {publish(totals, directory)}")
    return totals
