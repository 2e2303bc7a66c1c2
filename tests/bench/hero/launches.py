"""How soon a flow runs: after its start, after an answer; and how many flows a second."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..measuring import latency, median, now_ns, of_runs, within
from ..suite import Figure, Order
from .rpc import run_all
from .server import Server, place, running
from .steps import play_to_end

STEPS_BEFORE_PAUSE = 10


@dataclass(frozen=True)
class Launches:
    """Measures on a server of their own."""

    programs: Path
    order: Order

    def start(self) -> Iterator[Figure]:
        """From just before `play_start` to the first statement of the flow."""
        sizes = self.order.sizes
        with running(self.programs, self.order.directory) as server:
            workflow = server.workflow("first_line")
            for _ in range(5):
                start_to_first_line(server, workflow)
            counts = within(sizes.n_latencies, sizes.budget_seconds, at_least=3)
            taken = [start_to_first_line(server, workflow) for _ in counts]
        yield "start", latency(taken)

    def start_cold(self) -> Iterator[Figure]:
        """The same for the first play after the start of the server."""
        sizes = self.order.sizes
        taken = []
        with place(self.programs, self.order.directory) as where:
            server = where.start()
            workflow = server.workflow("first_line")
            for _ in within(sizes.n_runs * 3, sizes.budget_seconds):
                server.stop()
                server = where.start()
                taken.append(start_to_first_line(server, workflow))
            server.stop()
        yield "start_cold", latency(taken)

    def resume(self) -> Iterator[Figure]:
        """From just before `play_resume` to the first statement after the pause."""
        sizes = self.order.sizes
        with running(self.programs, self.order.directory) as server:
            workflow = server.workflow("pauses")
            pause_and_resume(server, workflow, STEPS_BEFORE_PAUSE, times=3)
            taken = pause_and_resume(
                server,
                workflow,
                STEPS_BEFORE_PAUSE,
                plays=sizes.n_latencies,
                seconds=sizes.budget_seconds,
            )
        yield "resume", latency(taken)

    def replay(self) -> Iterator[Figure]:
        """What so many remembered steps add to a launch that was resumed."""
        sizes = self.order.sizes
        with running(self.programs, self.order.directory) as server:
            workflow = server.workflow("pauses")
            times = max(2, 2 * sizes.n_runs)
            # The first turn of each play finds nothing warm for it.
            launch = median(pause_and_resume(server, workflow, 0, times=times)[1:])
            for n_steps in sizes.replays:
                resumed = pause_and_resume(server, workflow, n_steps, times=times)[1:]
                beyond = [(taken - launch) / 1e6 for taken in resumed]
                yield f"replay_{n_steps}", of_runs(beyond, "ms", launch_ms=round(launch / 1e6, 3))

    def flows(self) -> Iterator[Figure]:
        """Empty flows, from the first start to the last end, 64 at a time."""
        sizes = self.order.sizes
        rates = []
        with running(self.programs, self.order.directory) as server:
            workflow = server.workflow("empty")
            run_all(server.place.socket, [play_to_end(workflow, {}) for _ in range(5)])
            for _ in within(sizes.n_runs, sizes.budget_seconds):
                began = now_ns()
                run_all(server.place.socket, (play_to_end(workflow, {}) for _ in range(sizes.n_flows)))
                rates.append(sizes.n_flows / ((now_ns() - began) / 1e9))
        yield "empty_flows", of_runs(rates, "flows/s")


def start_to_first_line(server: Server, workflow: str) -> int:
    """Nanoseconds; returns once the play has ended."""
    marks = server.place.marks
    inputs = {"marks": str(marks.path), "key": ""}
    began = now_ns()
    play = server.call("play_start", workflow_sid=workflow, input_data=inputs)
    at_ns = marks.wait("first").at_ns
    server.wait(play["sid"], "success")
    return at_ns - began


def pause_and_resume(
    server: Server, workflow: str, n_steps: int, *, times: int = 1, plays: int = 1, seconds: float = 1e9
) -> list[int]:
    """Nanoseconds of each resume, of plays with so many pauses after so many steps."""
    marks = server.place.marks
    taken = []
    for key in within(plays, seconds, at_least=3):
        inputs = {"marks": str(marks.path), "key": str(key), "n": n_steps, "times": times}
        play = server.call("play_start", workflow_sid=workflow, input_data=inputs)
        for turn in range(times):
            play = server.wait(play["sid"], "awaiting_resume")
            began = now_ns()
            server.resume(play)
            taken.append(marks.wait("resumed", f"{key}-{turn}").at_ns - began)
        server.wait(play["sid"], "success")
    return taken
