"""Which flow of a file is the one to run."""

from __future__ import annotations

from collections import Counter

from .flows import FlowDefinition, flows_of, is_referred_to
from .problem import Problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .bundle import Bundle


def choose_root(bundle: Bundle, shown_path: str, wanted: str | None) -> FlowDefinition:
    """The flow that is asked for; else the one flow of the entry file that no other code of the bundle uses;
    of several such, the one called `main`. Raises `Problem`."""
    flows = flows_of(bundle.entry)
    if not flows:
        raise Problem(
            f"there is no flow in `{shown_path}`", "decorate a function with @flow (from pyhero import flow)"
        )
    _refuse_twins(flows, shown_path)
    if wanted is not None:
        return _named(wanted, flows, shown_path)
    candidates = [flow for flow in flows if not is_referred_to(flow, bundle.modules)] or flows
    if len(candidates) == 1:
        return candidates[0]
    main = [flow for flow in candidates if flow.name == "main"]
    if main:
        return main[0]
    raise Problem(
        f"`{shown_path}` has {len(candidates)} flows that could be meant: {_listed(candidates)}",
        f"name one: {shown_path}:{candidates[0].name}",
    )


def _named(wanted: str, flows: list[FlowDefinition], shown_path: str) -> FlowDefinition:
    for flow in flows:
        if wanted in (flow.name, flow.function.name):
            return flow
    raise Problem(f"there is no flow `{wanted}` in `{shown_path}`", f"its flows are {_listed(flows)}")


def _refuse_twins(flows: list[FlowDefinition], shown_path: str) -> None:
    name, n_flows = Counter(flow.name for flow in flows).most_common(1)[0]
    if n_flows > 1:
        lines = " and ".join(str(flow.function.lineno) for flow in flows if flow.name == name)
        raise Problem(
            f"`{shown_path}` has {n_flows} flows called `{name}`, on lines {lines}",
            "name one of them with @flow(name=…)",
        )


def _listed(flows: list[FlowDefinition]) -> str:
    return ", ".join(f"`{flow.name}`" for flow in flows)
