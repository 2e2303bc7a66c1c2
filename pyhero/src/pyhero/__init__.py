"""Hero Logic: flows that can be stopped anywhere and go on later.

A flow is a function decorated with `flow`. `flow.pause` and `ask_user` wait for people without holding a
process, `Client` talks to a running server, and `pyhero.testing` runs flows in the test process.

Importing this package loads nothing: each name is fetched from its module when it is first used, because
every launch of a play and every look at a flow file pays for what is imported here.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._ask_user import ask_user
    from ._callback import Callback
    from ._client import Client
    from ._current import CurrentPlay
    from ._errors import (
        AnswerMismatch,
        ArgumentError,
        CallbackFailed,
        ConnectionFailed,
        DefinitionError,
        EncodeError,
        FlowCancelled,
        FlowFailed,
        FlowNotFound,
        HeroError,
        IdempotencyConflict,
        InputMismatch,
        InvalidName,
        NotInFlowError,
        PauseTimeout,
        PayloadMismatch,
        PlanMissing,
        PlayEnded,
        PlayNotFound,
        PollTimeout,
        ReplayMismatch,
        RequestNotFound,
        ResumeConflict,
        RpcError,
        ScheduleExists,
        ScheduleInvalid,
        ScheduleNotFound,
        StepFailed,
        StepInterrupted,
        StepTimeout,
        UnansweredPause,
        WorkflowNotFound,
    )
    from ._flow import Flow
    from ._flow_api import flow
    from ._retry import Retry

__all__ = [
    "AnswerMismatch",
    "ArgumentError",
    "Callback",
    "CallbackFailed",
    "Client",
    "ConnectionFailed",
    "CurrentPlay",
    "DefinitionError",
    "EncodeError",
    "Flow",
    "FlowCancelled",
    "FlowFailed",
    "FlowNotFound",
    "HeroError",
    "IdempotencyConflict",
    "InputMismatch",
    "InvalidName",
    "NotInFlowError",
    "PauseTimeout",
    "PayloadMismatch",
    "PlanMissing",
    "PlayEnded",
    "PlayNotFound",
    "PollTimeout",
    "ReplayMismatch",
    "RequestNotFound",
    "ResumeConflict",
    "Retry",
    "RpcError",
    "ScheduleExists",
    "ScheduleInvalid",
    "ScheduleNotFound",
    "StepFailed",
    "StepInterrupted",
    "StepTimeout",
    "UnansweredPause",
    "WorkflowNotFound",
    "ask_user",
    "flow",
]

_HOMES = {
    "Callback": "_callback",
    "Client": "_client",
    "CurrentPlay": "_current",
    "Flow": "_flow",
    "Retry": "_retry",
    "ask_user": "_ask_user",
    "flow": "_flow_api",
}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module `pyhero` has no attribute `{name}`")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, '_errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
