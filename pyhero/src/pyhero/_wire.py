"""The frames of the span socket (`schema/src/frame.rs`) as JSON text.

Arguments and outcomes come here as text already and are set in as they are.
"""

from __future__ import annotations

import os
import time
from typing import Literal, NamedTuple

from . import _native
from ._codec import dumps

SpanKind = Literal["flow_root", "step", "rpc", "subflow", "pause", "other"]
RequestKind = Literal["pause", "callback", "timer", "child", "retry"]
LogLevel = Literal["debug", "info", "warning", "error"]


class Source(NamedTuple):
    """Where a function is defined: a file, and the first line of the definition."""

    file: str
    line: int

    def within(self, directory: str) -> Source | None:
        """The same place relative to a directory; None where it lies outside."""
        inside = self.file.startswith(directory + os.sep)
        return Source(self.file[len(directory) + 1 :], self.line) if inside else None


def _event(word: str, fields: dict[str, object], **texts: str | None) -> str:
    members = [f'"{name}":{dumps(value)}' for name, value in fields.items() if value is not None]
    members += [f'"{name}":{text}' for name, text in texts.items() if text is not None]
    return f'{{"{word}":{{{",".join(members)}}}}}'


def now_micros() -> int:
    """The time as the wire has it."""
    return time.time_ns() // 1000


def hello(protocol: int, play: str, launch: int, token: str) -> str:
    """Who speaks."""
    return _event("hello", {"protocol": protocol, "play": play, "launch": launch, "token": token})


def span_start(
    span_id: str,
    parent_id: str | None,
    name: str,
    kind: SpanKind,
    *,
    step_key: str | None = None,
    arguments: str | None = None,
    source: Source | None = None,
    replayed: bool = False,
) -> str:
    """A span begins; a replayed one is over at once."""
    return _native.span_start(
        span_id,
        parent_id,
        name,
        kind,
        step_key=step_key,
        arguments=arguments,
        source_file=source and source.file,
        source_line=source and source.line,
        replayed=replayed,
    )


def span_end(span_id: str, status: str, error: str | None = None) -> str:
    """A span ends. *error* is a raised exception as JSON text."""
    return _event("span_end", {"span_id": span_id, "status": status, "at": now_micros()}, error=error)


def span_log(span_id: str, level: str, text: str) -> str:
    """A line for the log."""
    return _event("span_log", {"span_id": span_id, "level": level, "text": text, "at": now_micros()})


def span_tag(span_id: str, tags: dict[str, object]) -> str:
    """Tags for a span."""
    return _event("span_tag", {"span_id": span_id, "tags": tags})


step_output = _native.step_output
"""A step has ended. *arguments* and *outcome* are JSON text."""


def step_deadline(timeout_micros: int, step_output_event: str) -> str:
    """A step must end in time, else what the other event says is stored for it."""
    output = step_output_event[len('{"step_output":') : -1]
    return _event("step_deadline", {"timeout_micros": timeout_micros}, output=output)


def play_deadline(timeout_micros: int) -> str:
    """The play must end in time."""
    return _event("play_deadline", {"timeout_micros": timeout_micros})


def pause(
    resume_id: str,
    name: str,
    kind: RequestKind,
    span_id: str,
    *,
    schema: str | None = None,
    ui: str | None = None,
    timeout_micros: int | None = None,
    default: str | None = None,
    spawn: str | None = None,
) -> str:
    """A question. *schema*, *ui*, *default* and *spawn* are JSON text."""
    fields: dict[str, object] = {
        "id": resume_id,
        "name": name,
        "kind": kind,
        "span_id": span_id,
        "timeout_micros": timeout_micros,
    }
    return _event("pause", fields, schema=schema, ui=ui, default=default, spawn=spawn)


def callback(
    resume_id: str, name: str, span_id: str, *, schema: str | None = None, timeout_micros: int | None = None
) -> str:
    """A question that is asked ahead; the answer that comes back is its URL. *schema* is JSON text."""
    fields: dict[str, object] = {
        "id": resume_id,
        "name": name,
        "kind": "callback",
        "span_id": span_id,
        "timeout_micros": timeout_micros,
    }
    return _event("callback", fields, schema=schema)


def spawn(target: str, *, is_in_bundle: bool, inputs: str, step_key: str) -> str:
    """The child play that a pause starts, as JSON text. *inputs* is JSON text."""
    return (
        f'{{"target":{dumps(target)},"is_in_bundle":{dumps(is_in_bundle)},'
        f'"inputs":{inputs},"step_key":{dumps(step_key)}}}'
    )


def result(outcome: str, *, is_definition_error: bool, left_over: list[str]) -> str:
    """How the root flow ended; the last frame. *outcome* is JSON text."""
    fields: dict[str, object] = {
        "is_definition_error": is_definition_error or None,
        "left_over": left_over or None,
    }
    return _event("result", fields, outcome=outcome)
