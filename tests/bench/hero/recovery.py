"""`kill -9` of the supervisor, and what it takes until the play that it carried does something new."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..measuring import median, now_ns, of_runs, within
from ..suite import Figure, Order
from .server import place


@dataclass(frozen=True)
class Recovery:
    """Measures on data directories of their own."""

    programs: Path
    order: Order

    def restart(self) -> Iterator[Figure]:
        """From the start of a new server to the step that was under way when the old one died."""
        sizes = self.order.sizes
        start = self._process_start_ms()
        yield "process_start", of_runs(start, "ms")
        for name, n_steps in (("restart_0", 0), ("restart_10000", sizes.long_flow)):
            taken = self._restarts(n_steps)
            beyond = round(median(taken) - median(start), 3)
            yield name, of_runs(taken, "ms", beyond_process_start_ms=beyond)

    def _restarts(self, n_steps: int) -> list[float]:
        taken = []
        with place(self.programs, self.order.directory) as where:
            server = where.start()
            marks = where.marks
            workflow = server.workflow("is_killed")
            inputs = {"marks": str(marks.path), "key": "", "n": n_steps}
            server.call("play_start", workflow_sid=workflow, input_data=inputs)
            marks.wait("last")
            for _ in within(self.order.sizes.n_runs, self.order.sizes.budget_seconds):
                server.kill()
                began = now_ns()
                server = where.start()
                taken.append((marks.wait("last").at_ns - began) / 1e6)
            server.kill()
        return taken

    def _process_start_ms(self) -> list[float]:
        """A server on an empty data directory until it answers, and an interpreter that knows `pyhero`."""
        taken = []
        for _ in range(5):
            with place(self.programs, self.order.directory) as where:
                began = now_ns()
                server = where.start()
                taken.append((now_ns() - began) / 1e6)
                server.stop()
            began = now_ns()
            subprocess.run([self.programs / "python", "-c", "import pyhero"], check=True)
            taken[-1] += (now_ns() - began) / 1e6
        return taken
