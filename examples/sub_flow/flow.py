"""The total of an order, with a flow inside a flow.

`quote` prices one line and is a flow of its own: run it alone, or let `sub_flow` invoke it for every
line of an order.
"""

from dataclasses import dataclass
from decimal import Decimal

from pyhero import flow

PRICES = {"chair": Decimal("49.90"), "table": Decimal("189.00"), "lamp": Decimal("24.50")}


@dataclass
class Quote:
    """What one line of an order costs."""

    item: str
    quantity: int
    price: Decimal


@flow
def unit_price(item: str) -> Decimal:
    """Looks a price up. A real shop would ask a service here, and it would be asked only once."""
    if item not in PRICES:
        raise ValueError(f"no price for {item!r}; there are prices for {', '.join(sorted(PRICES))}")
    return PRICES[item]


@flow
def discount(quantity: int) -> Decimal:
    """A tenth off from four pieces on."""
    return Decimal("0.10") if quantity >= 4 else Decimal(0)


@flow
def quote(item: str, quantity: int = 1) -> Quote:
    """Prices one line of an order."""
    full = unit_price(item) * quantity
    price = full * (1 - discount(quantity))
    return Quote(item, quantity, price.quantize(Decimal("0.01")))


@flow
def sub_flow(order: dict[str, int] | None = None) -> dict[str, Decimal]:
    """Prices every line of an order and adds them up."""
    order = order or {"table": 1, "chair": 4, "lamp": 2}
    quotes = [flow.invoke(quote, item=item, quantity=quantity) for item, quantity in order.items()]
    prices = {line.item: line.price for line in quotes}
    return prices | {"total": sum(prices.values(), Decimal(0))}
