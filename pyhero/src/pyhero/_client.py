"""Starting and answering plays from Python: the methods of the server, one for one."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Literal

from . import _native
from ._codec import Misfit, codec_for, dumps
from ._durations import micros, seconds_of
from ._errors import RPC_ERRORS, ArgumentError, RpcError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from ._durations import Duration

Object = dict[str, Any]
Objects = list[dict[str, Any]]


class Client:
    """A client of a running server. Cheap to make, shared by threads, connects with the first call.

    Objects come as `dict`, with the fields that the server's `/openrpc.json` describes. Times are whole
    microseconds since the epoch, UTC. Every method raises `ConnectionFailed` where nobody answers, and
    `RpcError` or one of its subclasses where the server refuses.
    """

    def __init__(self, socket: str | os.PathLike[str] | None = None) -> None:
        """Remembers where the server listens.

        Args:
            socket: Its Unix socket. None looks at $HERO_RPC_SOCKET, then $HERO_SOCKET_DIR, then the data
                directory ($HERO_HOME or ~/hero).
        """
        self.socket = default_socket() if socket is None else os.fspath(socket)
        self._native = _native.Client(self.socket)

    def start(
        self,
        workflow: str | None = None,
        *,
        file: str | os.PathLike[str] | None = None,
        flow: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        name: str | None = None,
        prefill: Mapping[str, Any] | None = None,
        prefill_only: bool = False,
        python: str | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        timeout: Duration | None = None,
        budget: Mapping[str, float] | None = None,
        idempotency_key: str | None = None,
        final_callback_url: str | None = None,
    ) -> Object:
        """Start a play of a saved workflow or of a file; it is stored before this returns.

        Args:
            workflow: A saved workflow, its sid or its name. Give this or *file*.
            file: A file to run directly.
            flow: Which flow of the file. None where there is one root flow.
            inputs: Its arguments, JSON by name.
            name: What people call the play. None takes the flow's name.
            prefill: Answers given ahead, pause name or glob → payload.
            prefill_only: Whether a pause that *prefill* does not cover fails the play by name.
            python: The interpreter. None takes the server's.
            working_dir: Where its processes run. None gives each a private directory.
            timeout: Seconds (or a `timedelta`) from now, pauses included; a play that takes longer ends as
                ``timed_out``. None leaves that to the flow.
            budget: `{"cost_usd": 0.5, "tokens": 20_000}`, one or both: at the first step after it has spent
                more the play fails, and nothing is lost. None sets no bound.
            idempotency_key: One line that stands for this start, such as the number of an order. The play
                that was started with it is returned, whatever has become of its file or workflow since. A
                key lives as long as its play. None starts a play in any case.
            final_callback_url: Where the outcome of the play is posted once it has ended, signed: an https
                URL of the public internet, or one that the operator allows. None posts it nowhere.
        Returns:
            The play; `created` tells whether this call has started it.
        Raises:
            WorkflowNotFound, InputMismatch: nothing was stored.
            IdempotencyConflict: the key has started a play of something else, or with other inputs.
        """
        params = _start_params(
            workflow, file, flow, inputs, name, prefill, prefill_only, python, working_dir, timeout
        ) | {
            "idempotency_key": idempotency_key,
            "budget": budget and dict(budget),
            "final_callback_url": final_callback_url,
        }
        play: Object = self._call("play_start", **params)
        return play

    def run_async(
        self,
        workflow: str | None = None,
        *,
        file: str | os.PathLike[str] | None = None,
        flow: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        name: str | None = None,
        prefill: Mapping[str, Any] | None = None,
        prefill_only: bool = False,
        python: str | None = None,
        working_dir: str | os.PathLike[str] | None = None,
        timeout: Duration | None = None,
        budget: Mapping[str, float] | None = None,
        idempotency_key: str | None = None,
        final_callback_url: str | None = None,
    ) -> str:
        """As `start`, and return only the sid of the play."""
        params = _start_params(
            workflow, file, flow, inputs, name, prefill, prefill_only, python, working_dir, timeout
        ) | {
            "idempotency_key": idempotency_key,
            "budget": budget and dict(budget),
            "final_callback_url": final_callback_url,
        }
        sid: str = self._call("play_run_async", **params)
        return sid

    def get(self, play_sid: str) -> Object:
        """A play with its questions. Raises `PlayNotFound`."""
        play: Object = self._call("play_get", play_sid=play_sid)
        return play

    def list(
        self,
        *,
        status: str | None = None,
        workflow: str | None = None,
        tags: Mapping[str, Any] | None = None,
        text: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        parent: str | None = None,
        started_by: str | None = None,
        cursor: str | None = None,
        limit: int | None = None,
    ) -> Object:
        """The plays that fit all that is asked for, newest first, a page at a time.

        Args:
            status: Only plays in this status.
            workflow: Only plays of this workflow, its sid or its name.
            tags: Only plays whose root flow was annotated with all of these.
            text: Only plays with this text in their name, upper and lower case alike.
            since: Only plays that were accepted then or later; aware.
            until: Only plays that were accepted before; aware.
            parent: Only plays that this one spawned.
            started_by: Only plays started by `"rpc"`, `"schedule"`, `"parent"`, `"retry"`, `"restart"` or
                `"fork"`, perhaps with `:` and the user id, schedule or play.
            cursor: The `next_cursor` of the page before. None begins.
            limit: At most so many. None takes what the server allows.
        Returns:
            `{"items": […], "next_cursor": …}`; no cursor at the end. Where few plays fit, one may be short.
        """
        page: Object = self._call(
            "play_list",
            status=status,
            workflow=workflow,
            tags=dict(tags or {}),
            text=text,
            since=since and _micros(since),
            until=until and _micros(until),
            parent=parent,
            started_by=started_by,
            cursor=cursor,
            limit=limit,
        )
        return page

    def wait(
        self, play_sid: str, *, timeout: float | None = None, until: Literal["ended", "settled"] = "ended"
    ) -> Object:
        """Wait for a play and return it.

        Args:
            play_sid: The play.
            timeout: Seconds. When they have passed, the play is returned as it is. None waits for ever.
            until: `"ended"`, or `"settled"`: ended or waiting for an answer.
        """
        timeout_ms = 0 if timeout is None else max(1, round(timeout * 1000))
        play: Object = self._call("play_wait", play_sid=play_sid, timeout_ms=timeout_ms, until=until)
        return play

    def resume(self, play_sid: str, resume_id: str, payload: Any) -> Object:
        """Answer a question of a play.

        Args:
            play_sid: The play.
            resume_id: The `id` of the request.
            payload: The answer, any JSON; `None` is an answer.
        Returns:
            `{"ok": true, "resumed_at": …}`, with `"already": true` where the same answer was given before.
        Raises:
            PlayNotFound, RequestNotFound, PlayEnded: there is nothing to answer.
            ResumeConflict: the request holds another answer, which stands.
            PayloadMismatch: the answer does not fit the schema of the request.
        """
        resumed: Object = self._call(
            "play_resume", play_sid=play_sid, resume_id=resume_id, payload_json=_json(payload)
        )
        return resumed

    def pending_resumes(self, play_sid: str) -> Objects:
        """The open questions of a play, oldest first."""
        requests: Objects = self._call("play_pending_resumes", play_sid=play_sid)
        return requests

    def prefill(self, play_sid: str, entries: Mapping[str, Any]) -> Object:
        """Give answers ahead to a play that has not ended; open questions that match are answered at once.

        Args:
            play_sid: The play.
            entries: Pause name or glob → payload.
        Returns:
            The play.
        """
        play: Object = self._call("play_prefill", play_sid=play_sid, prefill_resumes=dict(entries))
        return play

    def cancel(self, play_sid: str) -> Object:
        """End a play from outside, and the plays that it spawned, and return it."""
        play: Object = self._call("play_cancel", play_sid=play_sid)
        return play

    def retry(self, play_sid: str, *, budget: Mapping[str, float] | None = None) -> Object:
        """Start a play anew that did not succeed.

        What succeeded and was answered is kept; what failed runs again, and so does what was undone, what
        ran out of time, and what must run at most once and was interrupted: the decision is yours. The
        `flow.idempotency_key()`s are those of the first play.

        Args:
            play_sid: The play.
            budget: As of `start`; counts what the earlier play has spent. None takes the budget of that.
        Returns:
            The new play.
        """
        play: Object = self._call("play_retry", play_sid=play_sid, budget=budget and dict(budget))
        return play

    def restart(self, play_sid: str) -> Object:
        """Start a play anew with its inputs and what was given ahead, and return the new play."""
        play: Object = self._call("play_restart", play_sid=play_sid)
        return play

    def fork(
        self,
        play_sid: str,
        *,
        from_span: str | None = None,
        answers: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> Object:
        """Start a play anew with part of what a play remembers.

        Args:
            play_sid: The play.
            from_span: The span to begin at: what completed before it first began is kept, it and all after
                it run anew. None begins at the first change, and keeps everything where there is none.
            answers: Other answers than those given, name or id of an answered request → payload.
            outputs: Other outputs than those remembered, id of the span of a completed step → what it is to
                return.
        Returns:
            The new play.
        """
        play: Object = self._call(
            "play_fork",
            play_sid=play_sid,
            from_span=from_span,
            answers=dict(answers or {}),
            outputs=dict(outputs or {}),
        )
        return play

    def delete(self, play_sid: str) -> None:
        """Remove all that is stored of a play that has ended. Raises `PlayNotFound`."""
        self._call("play_delete", play_sid=play_sid)

    def logs(
        self, play_sid: str, *, level: str | None = None, cursor: str | None = None, limit: int | None = None
    ) -> Object:
        """The log lines of a play, oldest first, a page at a time.

        Args:
            play_sid: The play.
            level: Only lines at least this loud: `"debug"`, `"info"`, `"warning"`, `"error"`.
            cursor: The `next_cursor` of the page before; handed back later it gives what is new. None begins.
            limit: At most so many. None takes what the server allows.
        Returns:
            `{"items": […], "next_cursor": …, "has_more": …}`.
        """
        page: Object = self._call("play_logs", play_sid=play_sid, level=level, cursor=cursor, limit=limit)
        return page

    def spans(self, play_sid: str, *, cursor: str | None = None, limit: int | None = None) -> Object:
        """The spans of a play, launch by launch, a page at a time; see `list` for the page."""
        page: Object = self._call("play_spans", play_sid=play_sid, cursor=cursor, limit=limit)
        return page

    def workflow_save(
        self, name: str, file: str | os.PathLike[str], *, flow: str | None = None, python: str | None = None
    ) -> Object:
        """Store a file as the current version of a workflow; the same content again changes nothing.

        Args:
            name: What the workflow is called.
            file: The file with the flow. It is read, not run.
            flow: Which flow of the file. None where there is one root flow.
            python: The interpreter that reads it. None takes the server's.
        Returns:
            The workflow.
        Raises:
            InvalidName: nothing can be called that.
        """
        workflow: Object = self._call(
            "workflow_save", name=name, file=_absolute(file), flow=flow, python=python
        )
        return workflow

    def workflow_get(self, workflow: str) -> Object:
        """A workflow (its sid or name) with its current version: `{"workflow": …, "version": …}`."""
        detail: Object = self._call("workflow_get", workflow=workflow)
        return detail

    def workflow_list(self, *, cursor: str | None = None, limit: int | None = None) -> Object:
        """The workflows by name, a page at a time; see `list` for the page."""
        page: Object = self._call("workflow_list", cursor=cursor, limit=limit)
        return page

    def schedule_add(
        self,
        workflow: str,
        *,
        cron: str | None = None,
        time_zone: str | None = None,
        every: Duration | None = None,
        at: datetime | None = None,
        name: str | None = None,
        inputs: Mapping[str, Any] | None = None,
        overlap: Literal["skip", "queue", "allow", "cancel_previous"] = "skip",
        catch_up: Duration | None = None,
        jitter: Duration = 0,
        allow_replan: bool = False,
        paused: bool = False,
    ) -> Object:
        """Make a schedule, which starts plays of a workflow by the clock while a server runs.

        Args:
            workflow: A saved workflow, its sid or its name. The version that is current then is started.
            cron: Minute, hour, day of the month, month, day of the week. Give exactly one of this,
                *every* and *at*.
            time_zone: The zone whose clock *cron* is about, as ``"Europe/Berlin"``. None takes UTC.
            every: Seconds (or a `timedelta`) between due times, from now on, at least 1.
            at: An aware moment to come, once.
            name: What the schedule is called. None takes the name of the workflow.
            inputs: The arguments of its plays, JSON by name.
            overlap: What happens at a due time while an earlier play has not ended.
            catch_up: How late a due time still fires, in seconds, at least 1. None takes an hour, and however
                late for *at*.
            jitter: Puts each due time off by up to so many seconds, always the same for the same one.
            allow_replan: Whether plays may plan anew where the workflow has not frozen all plans.
            paused: Whether it fires nothing before it is unpaused.
        Returns:
            `{"schedule": …, "upcoming": […]}`.
        Raises:
            WorkflowNotFound, InputMismatch, InvalidName, ScheduleInvalid, ScheduleExists: nothing was stored.
        """
        detail: Object = self._call(
            "schedule_add",
            workflow=workflow,
            cron=cron,
            time_zone=time_zone,
            every_ms=None if every is None else _milliseconds(every, "the distance of due times"),
            at=None if at is None else _micros(at),
            name=name,
            input_data=dict(inputs or {}),
            overlap=overlap,
            catch_up_ms=None if catch_up is None else _milliseconds(catch_up, "the catch-up window"),
            jitter_ms=_milliseconds(jitter, "the jitter") if jitter else 0,
            allow_replan=allow_replan,
            paused=paused,
        )
        return detail

    def schedule_get(self, schedule: str) -> Object:
        """A schedule (its sid or name) with the next times at which it is due. Raises `ScheduleNotFound`."""
        detail: Object = self._call("schedule_get", schedule=schedule)
        return detail

    def schedule_list(self, *, cursor: str | None = None, limit: int | None = None) -> Object:
        """The schedules by name, as `schedule_get` gives them, a page at a time; see `list` for the page."""
        page: Object = self._call("schedule_list", cursor=cursor, limit=limit)
        return page

    def schedule_history(
        self, schedule: str, *, cursor: str | None = None, limit: int | None = None
    ) -> Object:
        """What became of its due times, latest first, a page at a time; see `list` for the page.

        Returns:
            `{"items": [{"firing": …, "play_status": …}], "next_cursor": …}`; the status is that of the play
            now, None where the firing has started none or the play was deleted.
        """
        page: Object = self._call("schedule_history", schedule=schedule, cursor=cursor, limit=limit)
        return page

    def schedule_pause(self, schedule: str) -> Object:
        """Let a schedule fire no more, and return it."""
        detail: Object = self._call("schedule_pause", schedule=schedule)
        return detail

    def schedule_unpause(self, schedule: str) -> Object:
        """Let a schedule fire again, and return it; what was due meanwhile is recorded as skipped.

        Raises:
            ScheduleInvalid: its last time is over.
        """
        detail: Object = self._call("schedule_unpause", schedule=schedule)
        return detail

    def schedule_run(self, schedule: str) -> Object:
        """Fire a schedule now, beside its due times and by its overlap policy.

        Returns:
            `{"firing": …, "play_status": …}`.
        """
        item: Object = self._call("schedule_run", schedule=schedule)
        return item

    def schedule_delete(self, schedule: str) -> None:
        """Remove a schedule with its history. Its plays stay."""
        self._call("schedule_delete", schedule=schedule)

    def _call(self, method: str, **params: object) -> Any:
        given = {name: value for name, value in params.items() if value is not None}
        try:
            return json.loads(self._native.call(method, _json(given)))
        except _native.CallFailed as failure:
            kind, code, message, hint = failure.args
            raise RPC_ERRORS.get(kind, RpcError)(message, hint, kind=kind, code=code) from None


def default_socket() -> str:
    """Where the server listens, as the environment says."""
    given = os.environ.get("HERO_RPC_SOCKET")
    if given:
        return given
    data_dir = os.environ.get("HERO_HOME") or os.path.expanduser("~/hero")
    sockets = os.environ.get("HERO_SOCKET_DIR") or os.path.join(data_dir, "var", "sockets")
    return os.path.join(sockets, "hero_logic", "rpc.sock")


def _start_params(
    workflow: str | None,
    file: str | os.PathLike[str] | None,
    flow: str | None,
    inputs: Mapping[str, Any] | None,
    name: str | None,
    prefill: Mapping[str, Any] | None,
    prefill_only: bool,
    python: str | None,
    working_dir: str | os.PathLike[str] | None,
    timeout: Duration | None,
) -> dict[str, Any]:
    if (workflow is None) == (file is None):
        raise ArgumentError("a play is started from a workflow or from a file", "give one of the two")
    return {
        "workflow_sid": workflow,
        "file": _absolute(file),
        "flow": flow,
        "input_data": dict(inputs or {}),
        "name": name,
        "prefill_resumes": dict(prefill or {}),
        "prefill_only": prefill_only,
        "python": python,
        "working_dir": _absolute(working_dir),
        "timeout_ms": None if timeout is None else _milliseconds(timeout),
    }


def _milliseconds(time: Duration, what: str = "the timeout of a play") -> int:
    return max(1, round(seconds_of(time, what) * 1000))


def _micros(when: datetime) -> int:
    if when.tzinfo is None:
        raise ArgumentError(f"{when!r} has no time zone", "give it one, such as `tzinfo=timezone.utc`")
    return micros(when.timestamp())


def _absolute(path: str | os.PathLike[str] | None) -> str | None:
    """The server has another working directory."""
    return None if path is None else os.path.abspath(path)


def _json(value: object) -> str:
    try:
        return dumps(codec_for(Any).encode(value))
    except Misfit as misfit:
        raise ArgumentError(f"what is sent to the server must be JSON: {misfit.seen_from('value')}") from None
