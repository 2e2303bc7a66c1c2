"""A supervisor that a test holds in its hands: it speaks the protocol with real launches."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyhero._inspect.__main__ import inspect

VERSION = "0001"
KILL = "kill"
"""The reply of a supervisor that kills the launch; an empty one hangs up."""
Event = tuple[str, dict[str, Any]]


class Launch:
    """What a launch said and how it ended."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.code = -1
        self.stdout = ""
        self.stderr = ""

    def of(self, word: str) -> list[dict[str, Any]]:
        """The events of a kind, in order."""
        return [event for said, event in self.events if said == word]

    def steps(self, *, replayed: bool = False) -> list[str]:
        """The names of the spans of steps that ran, or that were replayed."""
        starts = self.of("span_start")
        return [s["name"] for s in starts if s["kind"] == "step" and s.get("replayed", False) is replayed]

    @property
    def output(self) -> Any:
        """What the flow returned."""
        assert self.code == 0, f"exit {self.code}\n{self.stderr}"
        return self.of("result")[0]["outcome"]["returned"]

    @property
    def error(self) -> dict[str, Any]:
        """What the flow raised."""
        return self.of("result")[0]["outcome"]["raised"]


class Supervisor:
    """Launches one flow file as often as a test wants, and remembers between the launches."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.steps: dict[str, Any] = {}
        self.answers: dict[str, Any] = {}
        self.prefill: dict[str, Any] = {}
        self.asked: dict[str, dict[str, Any]] = {}
        self.completed: dict[str, dict[str, Any]] = {}
        self.idempotency_sid = "01play"
        self.inputs: dict[str, Any] = {}
        self.environment: dict[str, str | None] = {}
        self.is_conversing = True
        self.n_launches = 0
        self.reply_to: Callable[[str, dict[str, Any], int], str | None] = self.acknowledge

    def write(self, source: str, name: str = "flow.py") -> None:
        """Writes a file of the bundle."""
        path = self.directory / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(source))

    def answer(self, name: str, payload: Any) -> None:
        """Answers the one open question of this name."""
        (resume_id,) = [
            i for i, pause in self.asked.items() if pause["name"] == name and i not in self.answers
        ]
        self.answers[resume_id] = {"returned": payload}

    def open_requests(self) -> list[dict[str, Any]]:
        """What was asked and not answered."""
        return [pause for resume_id, pause in self.asked.items() if resume_id not in self.answers]

    def let_time_pass(self) -> None:
        """Every open request with a timeout expires."""
        for pause in self.open_requests():
            if "timeout_micros" in pause:
                timeout = {
                    "class": "pyhero:PauseTimeout",
                    "message": "nobody",
                    "traceback": "",
                    "args": ["nobody"],
                }
                expired = {"returned": pause["default"]} if "default" in pause else {"raised": timeout}
                self.answers[pause["id"]] = expired

    def run_to_the_end(self) -> Launch:
        """Launches again and again, with the time passing, until nothing is waited for."""
        for _ in range(50):
            launch = self.launch()
            if launch.code != 75:
                return launch
            self.let_time_pass()
        raise AssertionError("the play does not end")

    def acknowledge(self, word: str, event: dict[str, Any], seq: int) -> str | None:
        """The reply to an event, after remembering it."""
        ack: dict[str, Any] = {"seq": seq}
        if word == "step_output":
            self.steps.setdefault(event["key"], event["outcome"])
            if event.get("compensable") and "returned" in event["outcome"]:
                output = event["outcome"]["returned"]
                self.completed[event["key"]] = {"key": event["key"], "name": event["name"], "output": output}
        elif word == "pause":
            self.asked[event["id"]] = event
            if event["name"] in self.prefill:
                self.answers[event["id"]] = ack["answer"] = {"returned": self.prefill[event["name"]]}
        elif word not in ("hello", "play_deadline"):
            return None
        return json.dumps({"ack": ack})

    def launch(self) -> Launch:
        """Runs one launch to its end."""
        self.n_launches += 1
        launch = Launch()
        with (
            tempfile.TemporaryDirectory() as run_dir,
            socket.socket(socket.AF_UNIX) as listener,
            open(Path(run_dir, "out"), "w+") as out,
            open(Path(run_dir, "err"), "w+") as err,
        ):
            listener.bind(f"{run_dir}/span.sock")
            listener.listen()
            listener.settimeout(30)
            process = subprocess.Popen(
                [sys.executable, "-m", "pyhero._child"],
                env=self._environment(Path(run_dir)),
                cwd=self.directory,
                stdout=out,
                stderr=err,
            )
            if self.is_conversing:
                self._converse(listener, launch, process)
            launch.code = process.wait(timeout=30)
            launch.stdout, launch.stderr = Path(run_dir, "out").read_text(), Path(run_dir, "err").read_text()
        return launch

    def _environment(self, run_dir: Path) -> dict[str, str]:
        bundle_dir = self.directory / "bundle"
        flow = inspect(str(bundle_dir / "flow.py"), None)["bundle"]["flow"]
        order = {
            "bundle_dir": str(bundle_dir),
            "entry": "flow.py",
            "flow": flow,
            "inputs": self.inputs,
            "idempotency_sid": self.idempotency_sid,
            "compensations": list(self.completed.values()),
        }
        files = {
            "HERO_INPUT_FILE": {"token": "secret", **order},
            "HERO_REPLAY_STEP_OUTPUTS_FILE": self.steps,
            "HERO_REPLAY_RESUMES_FILE": self.answers,
        }
        for name, content in files.items():
            (run_dir / name).write_text(json.dumps(content))
        contract = {
            "HERO_PLAY_SID": "01play",
            "HERO_LAUNCH": str(self.n_launches),
            "HERO_WORKFLOW_VERSION_SID": VERSION,
            "HERO_SPAN_SOCKET": str(run_dir / "span.sock"),
            **{name: str(run_dir / name) for name in files},
            **self.environment,
        }
        return {**os.environ, **{name: value for name, value in contract.items() if value is not None}}

    def _converse(self, listener: socket.socket, launch: Launch, process: subprocess.Popen[bytes]) -> None:
        connection, _ = listener.accept()
        # A launch that ends itself leaves replies unread, and its socket says so.
        with connection, connection.makefile("r") as lines, contextlib.suppress(ConnectionError):
            for seq, line in enumerate(lines):
                frame = json.loads(line)
                assert frame["seq"] == seq, "frames are numbered without a gap"
                (word, event), *_ = frame["event"].items()
                launch.events.append((word, event))
                reply = self.reply_to(word, event, seq)
                if reply == KILL:
                    process.kill()
                if reply in ("", KILL):
                    return
                if reply is not None:
                    connection.sendall(reply.encode() + b"\n")
