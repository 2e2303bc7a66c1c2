"""The worker of Absurd.

python -m bench.peers.absurd_worker URL MARKS CONCURRENCY CLAIM_SECONDS POLL_SECONDS
"""
# mypy: disable-error-code="import-not-found, untyped-decorator, misc"

import sys
import time
from typing import Any

from absurd_sdk import Absurd

from ..marks import Marker
from ..measuring import now_ns, payload

QUEUE = "bench"


def main(url: str, marks: str, concurrency: str, claim_seconds: str, poll_seconds: str) -> None:
    app = Absurd(url, queue_name=QUEUE)
    marker = Marker(marks)

    def run_steps(context: Any, n: int) -> list[int]:
        instants = [now_ns()]
        for index in range(n):
            context.step("step", lambda index=index: payload(index))
            instants.append(now_ns())
        return instants

    @app.register_task(name="steps")
    def steps(inputs: Any, context: Any) -> None:
        instants = run_steps(context, inputs["n"])
        if inputs.get("times"):
            with open(inputs["times"], "w") as times:
                times.write(repr(instants))
        marker.send("done", inputs["key"], instants[-1])

    @app.register_task(name="empty")
    def empty(inputs: Any, context: Any) -> None:
        now = now_ns()
        marker.send("first", inputs["key"], now)

    @app.register_task(name="pauses")
    def pauses(inputs: Any, context: Any) -> None:
        run_steps(context, 10)
        marker.send("asked", inputs["key"], now_ns())
        context.await_event(f"go {inputs['key']}")
        now = now_ns()
        marker.send("resumed", inputs["key"], now)

    @app.register_task(name="is_killed")
    def is_killed(inputs: Any, context: Any) -> None:
        run_steps(context, inputs["n"])

        def last() -> None:
            now = now_ns()
            marker.send("last", inputs["key"], now)
            time.sleep(3600)

        context.step("last", last)

    app.start_worker(
        concurrency=int(concurrency), claim_timeout=int(claim_seconds), poll_interval=float(poll_seconds)
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
