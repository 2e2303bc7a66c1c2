"""Durable steps: one flow alone, and many flows at once."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..floor import Floor
from ..measuring import now_ns, of_runs, step_figure, within
from ..suite import Figure, Order
from .rpc import Job, run_all
from .server import Server, running


@dataclass(frozen=True)
class Steps:
    """Measures on a server of their own."""

    programs: Path
    order: Order

    def sequential(self) -> Iterator[Figure]:
        """One flow of so many steps; the floor is sampled between the runs."""
        sizes = self.order.sizes
        floor = Floor(self.order.directory)
        with running(self.programs, self.order.directory) as server:
            workflow = server.workflow("steps")
            self._one_flow(server, workflow, 100)
            for name, n_steps in (("step_1000", sizes.short_flow), ("step_10000", sizes.long_flow)):
                runs = []
                for _ in within(sizes.n_runs, sizes.budget_seconds):
                    floor.sample()
                    runs.append(self._one_flow(server, workflow, n_steps))
                yield name, step_figure(runs)
            floor.sample()
        yield from floor.figures()

    def parallel(self) -> Iterator[Figure]:
        """Many flows at once, from the first start to the last end."""
        sizes = self.order.sizes
        n_steps = sizes.branches * sizes.branch_steps
        rates = []
        with running(self.programs, self.order.directory) as server:
            workflow = server.workflow("steps")
            self._one_flow(server, workflow, 10)
            for _ in within(sizes.n_runs, sizes.budget_seconds):
                began = now_ns()
                jobs = [play_to_end(workflow, {"n": sizes.branch_steps}) for _ in range(sizes.branches)]
                run_all(server.place.socket, jobs, sizes.branches)
                rates.append(n_steps / ((now_ns() - began) / 1e9))
        yield "parallel_steps", of_runs(rates, "steps/s")

    def _one_flow(self, server: Server, workflow: str, n_steps: int) -> list[int]:
        times = self.order.directory / "times.json"
        server.run(workflow, n=n_steps, times=str(times))
        instants: list[int] = json.loads(times.read_text())
        return instants


def play_to_end(workflow_sid: str, inputs: dict[str, Any]) -> Job:
    """Starts a play and waits until it has ended, as it must, with success."""
    play_sid = yield "play_run_async", {"workflow_sid": workflow_sid, "input_data": inputs}
    waited = {"play_sid": play_sid, "until": "ended", "timeout_ms": 0}
    play = yield "play_wait", waited
    if play["status"] != "success":
        raise RuntimeError(f"play {play_sid} is {play['status']}: {play.get('failure')}")
