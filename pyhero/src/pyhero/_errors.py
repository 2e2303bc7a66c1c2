"""Every error of the package, as one tree. Each also is the built-in that people already catch.

HeroError
├── NotInFlowError        RuntimeError     needs a running play, and there is none
├── DefinitionError       TypeError        a flow that cannot be defined like this
├── FlowNotFound          LookupError      no flow of this name
├── ArgumentError         TypeError        a call whose arguments do not fit or have no canonical form
├── EncodeError           TypeError        a result that cannot be stored
├── AnswerMismatch        ValueError       an answer that does not fit its pause
├── StepFailed            RuntimeError     a remembered exception that cannot be raised as itself
├── PlanMissing           RuntimeError     a plan that is not frozen, in a play that may not plan
├── StepInterrupted       RuntimeError     a step with retry="never" whose process ended in the middle
├── StepTimeout           TimeoutError     a step took longer than its timeout
├── PauseTimeout          TimeoutError     nobody answered a pause in time
├── CallbackFailed        RuntimeError     another system posted that it failed
├── PollTimeout           TimeoutError     flow.poll found nothing in time
├── FlowFailed            RuntimeError     a flow that was spawned has failed
├── FlowCancelled         RuntimeError     a flow that was spawned was cancelled
├── UnansweredPause       LookupError      pyhero.testing: no prefill for a pause
├── ReplayMismatch        AssertionError   pyhero.testing: a replay took another path
└── RpcError                               a server refused, or another service; see `kind`
    ├── ConnectionFailed  ConnectionError  nobody answers on the socket
    ├── PlayNotFound      LookupError
    ├── WorkflowNotFound  LookupError
    ├── RequestNotFound   LookupError
    ├── ResumeConflict                     the request holds another answer
    ├── PlayEnded                          the play takes no answers any more
    ├── PayloadMismatch   ValueError       the answer does not fit the question
    ├── InputMismatch     ValueError       the inputs do not fit the flow
    ├── InvalidName       ValueError
    ├── IdempotencyConflict                the key has started something else
    ├── ScheduleNotFound  LookupError
    ├── ScheduleInvalid   ValueError       it would never be due
    └── ScheduleExists                     another schedule has the name
"""

from __future__ import annotations


class HeroError(Exception):
    """The root of the tree.

    Attributes:
        hint: What to do about it; None where the message says it all.
    """

    hint: str | None = None

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint

    @property
    def message(self) -> str:
        """What was tried, on what, and why it failed."""
        return str(self.args[0]) if self.args else ""

    def __str__(self) -> str:
        return f"{self.message}\nhint: {self.hint}" if self.hint else self.message


class NotInFlowError(HeroError, RuntimeError):
    """What was called needs a running play, and there is none."""


class DefinitionError(HeroError, TypeError):
    """A flow that cannot be defined like this."""


class FlowNotFound(HeroError, LookupError):
    """No flow of this name."""


class ArgumentError(HeroError, TypeError):
    """A call whose arguments do not fit the flow, or have no canonical form to be recognised by."""


class EncodeError(HeroError, TypeError):
    """A result that cannot be stored. The message names the place, such as `return["items"][3]: socket`."""


class AnswerMismatch(HeroError, ValueError):
    """An answer that does not fit the pause that asked for it."""


class StepFailed(HeroError, RuntimeError):
    """A remembered exception that cannot be raised as itself.

    Its class cannot be imported, or its arguments have no JSON form.

    Attributes:
        class_name: Where the class was, as `module:Qualified.Name`.
        traceback: Where it was raised, formatted.
    """

    def __init__(self, class_name: str, message: str, traceback: str) -> None:
        super().__init__(message)
        self.args = (class_name, message, traceback)
        self.class_name = class_name
        self.traceback = traceback

    @property
    def message(self) -> str:
        """What the exception said."""
        return str(self.args[1])

    def __str__(self) -> str:
        name = self.class_name.rpartition(":")[2]
        return f"{name}: {self.message}" if self.message else name


class PlanMissing(HeroError, RuntimeError):
    """A step with `plan=True` has no frozen output, and the play may not plan anew: a schedule that does not
    allow it has started the play. Not remembered."""


class StepInterrupted(HeroError, RuntimeError):
    """A step with `retry="never"` began in an earlier launch, and how it ended is not known.

    Its effect may have happened or not. Remembered: a replay raises it again.
    """


class StepTimeout(HeroError, TimeoutError):
    """A step, or one attempt at it, took longer than its timeout. Remembered like any other failure."""


class PauseTimeout(HeroError, TimeoutError):
    """Nobody answered a pause in time, and it has no default."""


class CallbackFailed(HeroError, RuntimeError):
    """Another system posted ``"success": false`` to a callback.

    Attributes:
        error: Why, as it was posted: text or any JSON; None where it did not say.
        task_id: What the other system calls its work; None where it did not say.
    """

    error: object = None
    task_id: str | None = None


class PollTimeout(HeroError, TimeoutError):
    """`flow.poll` found nothing in time."""


class FlowFailed(HeroError, RuntimeError):
    """A flow that was spawned has failed, or ran out of time.

    Attributes:
        play_sid: The play that ran it; empty in `pyhero.testing`, where it has none of its own.
    """

    play_sid: str = ""


class FlowCancelled(HeroError, RuntimeError):
    """A flow that was spawned was cancelled.

    Attributes:
        play_sid: The play that ran it.
    """

    play_sid: str = ""


class UnansweredPause(HeroError, LookupError):
    """`pyhero.testing.run` stands at pauses that its prefill does not cover."""


class ReplayMismatch(HeroError, AssertionError):
    """`pyhero.testing.run` replayed a flow and it took another path or gave another result."""


class RpcError(HeroError):
    """A call was refused: by the server, to a `Client`; by whatever service, to `flow.rpc`.

    Attributes:
        kind: What went wrong, in one word to branch on, such as `"play_not_found"`; `"internal"` where the
            service says none.
        code: The JSON-RPC error code.
    """

    kind: str = "internal"
    code: int = -32603

    def __init__(
        self, message: str, hint: str | None = None, *, kind: str = "internal", code: int = -32603
    ) -> None:
        super().__init__(message, hint)
        self.kind = kind
        self.code = code


class ConnectionFailed(RpcError, ConnectionError):
    """Nobody answers on the socket."""


class PlayNotFound(RpcError, LookupError):
    """There is no such play."""


class WorkflowNotFound(RpcError, LookupError):
    """There is no such workflow."""


class RequestNotFound(RpcError, LookupError):
    """The play has asked no such question."""


class ResumeConflict(RpcError):
    """The request already holds another answer, which stands."""


class PlayEnded(RpcError):
    """The play has ended and takes no answer any more."""


class PayloadMismatch(RpcError, ValueError):
    """The payload does not fit the schema of the request."""


class InputMismatch(RpcError, ValueError):
    """The inputs do not fit the flow's signature."""


class InvalidName(RpcError, ValueError):
    """Nothing can be called that."""


class IdempotencyConflict(RpcError):
    """The idempotency key has started a play with other inputs, which stands."""


class ScheduleNotFound(RpcError, LookupError):
    """There is no such schedule."""


class ScheduleInvalid(RpcError, ValueError):
    """When the schedule is to be due cannot be, or is over."""


class ScheduleExists(RpcError):
    """Another schedule has this name."""


RPC_ERRORS: dict[str, type[RpcError]] = {
    "server_unreachable": ConnectionFailed,
    "play_not_found": PlayNotFound,
    "workflow_not_found": WorkflowNotFound,
    "request_not_found": RequestNotFound,
    "resume_conflict": ResumeConflict,
    "play_ended": PlayEnded,
    "payload_mismatch": PayloadMismatch,
    "input_mismatch": InputMismatch,
    "invalid_name": InvalidName,
    "idempotency_conflict": IdempotencyConflict,
    "schedule_not_found": ScheduleNotFound,
    "schedule_invalid": ScheduleInvalid,
    "schedule_exists": ScheduleExists,
}
"""The class for each kind that callers branch on; every other kind is a plain `RpcError`."""


for _name in [name for name, value in vars().items() if isinstance(value, type)]:
    vars()[_name].__module__ = "pyhero"  # where people import it from; it is part of what is remembered
