"""The native half; see `pyhero/rust`. Nothing outside this package imports it."""

from collections.abc import Callable
from typing import Any, final

__all__ = [
    "PROTOCOL",
    "CallFailed",
    "Channel",
    "Client",
    "Occurrences",
    "PlainForm",
    "Recognized",
    "Recognizer",
    "ReplayCache",
    "Signature",
    "canonical_json",
    "check_answer",
    "check_schema",
    "die_with_the_parent",
    "is_name",
    "is_pause_name",
    "match_prefill",
    "resume_id",
    "sha1_hex",
    "span_start",
    "step_key",
    "step_output",
    "step_path",
]

PROTOCOL: int

def step_key(version: str, parent_path: str, name: str, arguments_json: str, occurrence: int) -> str: ...
def step_path(parent_path: str, name: str, key: str) -> str: ...
def resume_id(version: str, span_path: str, name: str, n: int) -> str: ...
def canonical_json(text: str) -> str: ...
def sha1_hex(text: str) -> str: ...
def is_name(text: str) -> bool: ...
def is_pause_name(text: str) -> bool: ...
def match_prefill(entries_json: str, name: str) -> tuple[str, str] | None: ...
def die_with_the_parent() -> None: ...
def check_schema(schema_json: str) -> str | None: ...
def check_answer(schema_json: str | None, payload_json: str) -> str | None: ...
def span_start(
    span_id: str,
    parent_id: str | None,
    name: str,
    kind: str,
    *,
    step_key: str | None = None,
    arguments: str | None = None,
    source_file: str | None = None,
    source_line: int | None = None,
    replayed: bool = False,
) -> str: ...
def step_output(
    key: str,
    parent_path: str,
    name: str,
    arguments: str,
    source_hash: str,
    span_id: str,
    outcome: str,
    *,
    compensable: bool = False,
    plan: bool = False,
    place: str | None = None,
) -> str: ...

@final
class PlainForm:
    def __new__(cls, described: str) -> PlainForm: ...
    def returned(self, value: object) -> str | None: ...
    def open(self, outcome: str) -> Any: ...

@final
class Signature:
    def __new__(cls, parameters: list[tuple[str, str, bool, bool, tuple[Any, ...]]]) -> Signature: ...
    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None: ...

@final
class Occurrences:
    def __new__(cls) -> Occurrences: ...
    def next_call(self, key: str) -> int: ...
    def next(self, kind: str, what: str) -> int: ...
    def branch(self, index: int) -> Occurrences: ...

@final
class Recognized:
    parent: Any
    name: str
    key: str
    path: str
    arguments: str
    outcome: str | None

@final
class Recognizer:
    def __new__(
        cls,
        version: str,
        channel: Channel,
        memory: ReplayCache,
        name: str,
        signature: Signature,
        returns: str,
        source: tuple[str, int] | None,
        get_frame: Callable[[], object],
        get_branch: Callable[[], object],
    ) -> Recognizer: ...
    def call(self, play: object, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any: ...

@final
class ReplayCache:
    def __new__(cls, path: str | None = None) -> ReplayCache: ...
    def take(self, key: str) -> str | None: ...
    def ran_as(self, key: str) -> tuple[int, int] | None: ...
    def left_over(self) -> list[str]: ...
    def n_left(self) -> int: ...

@final
class Channel:
    def __new__(cls, socket_path: str) -> Channel: ...
    def send(self, event_json: str) -> int: ...
    def post(self, event_json: str, more: bool) -> int: ...
    def post_replayed(self, parent_id: str, launch: int, seq: int, more: bool) -> None: ...
    def flush(self) -> None: ...
    def wait(self, seq: int) -> str | None: ...
    def request(self, event_json: str) -> str | None: ...

class CallFailed(Exception): ...

@final
class Client:
    def __new__(cls, socket_path: str) -> Client: ...
    def call(self, method: str, params_json: str) -> str: ...
