"""One launch of a play: `python -m pyhero._child`, started by the supervisor (`schema/PROTOCOL.md`, the child
contract).

What cannot be read ends the launch loudly: a launch with half a memory would repeat side effects.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.util
import json
import os
import signal
import stat
import sys
import threading
from importlib.machinery import SourceFileLoader
from typing import TYPE_CHECKING, Any, NoReturn

from . import _native, _outcome, _play, _wire
from ._codec import dumps
from ._errors import DefinitionError, FlowNotFound
from ._names import Names, real_path
from ._play import Completed, Paused, Plans, Play
from ._runner import run_root

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from types import CodeType, ModuleType

    from ._flow import Flow

EXIT_SUCCESS, EXIT_FAILED, EXIT_USAGE, EXIT_PAUSED = 0, 1, 2, 75
"""The exit codes of a launch (`schema/src/exit.rs`)."""


class BrokenLaunch(Exception):
    """The supervisor did not hand over what the contract promises."""


def main() -> int:
    """Runs the launch that the environment describes and returns its exit code."""
    leave_last_words()
    return launch()


def launch() -> int:
    """As `main`, in a process that leaves last words already."""
    _show_play()
    try:
        order = _read_order()
        channel = _native.Channel(_variable("HERO_SPAN_SOCKET"))
        play_sid, number = _variable("HERO_PLAY_SID"), int(_variable("HERO_LAUNCH"))
        channel.request(_wire.hello(_native.PROTOCOL, play_sid, number, order["token"]))
    except (BrokenLaunch, OSError, ValueError, KeyError) as error:
        print(f"pyhero: the launch cannot begin: {error}", file=sys.stderr)
        return EXIT_USAGE
    try:
        play = _make_play(order, channel, play_sid, number)
    except (BrokenLaunch, OSError, ValueError) as error:
        return _report_failure(channel, error, EXIT_USAGE, [])
    return _run(play, order)


def leave_last_words() -> None:
    """A launch that crashes, or is ended for whatever reason, says on standard error where it stood."""
    with contextlib.suppress(OSError, ValueError, AttributeError, RuntimeError):
        faulthandler.enable()
        faulthandler.register(signal.SIGTERM, all_threads=True, chain=True)


def _show_play() -> None:
    """Calls the process after its play: in lists of processes, and to tell whose the forks of it are."""
    with contextlib.suppress(OSError), open("/proc/self/comm", "wb", buffering=0) as name:
        name.write(f"hero:{os.environ.get('HERO_PLAY_SID', '')[-10:]}".encode())


def _variable(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise BrokenLaunch(f"{name} is not set; launches are started by the supervisor") from None


def _read_order() -> dict[str, Any]:
    path = _variable("HERO_INPUT_FILE")
    if not stat.S_ISREG(os.stat(path).st_mode):  # to open a pipe is to wait for whoever writes to it
        raise BrokenLaunch(f"`{path}` is no regular file")
    with open(path, "rb", buffering=0) as file:
        order = json.loads(file.read())
    if not isinstance(order, dict) or not {"token", "bundle_dir", "entry", "flow", "inputs"} <= order.keys():
        raise BrokenLaunch(f"`{path}` holds no launch order")
    return order


def _make_play(order: Mapping[str, Any], channel: _native.Channel, play_sid: str, launch: int) -> Play:
    bundle_dir = real_path(order["bundle_dir"])
    completed = [
        Completed(step["key"], step["name"], dumps(step["output"])) for step in order.get("compensations", ())
    ]
    plans = order.get("plans")
    return Play(
        sid=play_sid,
        version=_variable("HERO_WORKFLOW_VERSION_SID"),
        code_version=order.get("version_sid"),
        workflow=order["flow"],
        launch=launch,
        bundle_dir=bundle_dir,
        journal=channel,
        steps=_native.ReplayCache(os.environ.get("HERO_REPLAY_STEP_OUTPUTS_FILE")),
        answers=_native.ReplayCache(os.environ.get("HERO_REPLAY_RESUMES_FILE")),
        names=Names(os.path.join(bundle_dir, order["entry"])),
        idempotency_sid=order.get("idempotency_sid"),
        completed=completed,
        plans=plans and Plans(plans["frozen"], may_plan=plans["may_plan"]),
    )


def _run(play: Play, order: Mapping[str, Any]) -> int:
    _play.running = play
    play.leave = _leave_paused
    threading.excepthook = _except_hook
    channel = play.journal
    try:
        flow = _load_flow(play, order["entry"], order["flow"])
        with _memory_limit(flow.options.memory_bytes):
            output = run_root(play, flow, order["inputs"])
    except Paused:
        return EXIT_PAUSED
    except (KeyboardInterrupt, SystemExit):
        raise
    except (DefinitionError, FlowNotFound, SyntaxError) as error:
        is_defined = play.root is not None  # then the flow was found, and something in it went wrong
        return _report_failure(channel, error, EXIT_FAILED if is_defined else EXIT_USAGE, play.left_over())
    except BaseException as error:
        return _report_failure(channel, error, EXIT_FAILED, play.left_over())
    outcome = _outcome.returned(output)
    channel.send(_wire.result(outcome, is_definition_error=False, left_over=play.left_over()))
    return EXIT_SUCCESS


@contextlib.contextmanager
def _memory_limit(limit_bytes: int | None) -> Iterator[None]:
    """Limits the address space of this process for as long as the flow runs: what is told of it afterwards
    may need more."""
    if limit_bytes is None:
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = limit_bytes if hard == resource.RLIM_INFINITY else min(limit_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _report_failure(channel: _play.Journal, error: BaseException, code: int, left_over: list[str]) -> int:
    print(_outcome.formatted(error), end="", file=sys.stderr)
    is_definition_error = code == EXIT_USAGE
    channel.send(
        _wire.result(_outcome.raised(error), is_definition_error=is_definition_error, left_over=left_over)
    )
    return code


def _load_flow(play: Play, entry: str, name: str) -> Flow[Any, Any]:
    """Imports the entry file and finds the flow in it."""
    # The working directory, which `-m` has put first, is no place for modules of a bundle.
    sys.path[: 0 if getattr(sys.flags, "safe_path", False) else 1] = [play.bundle_dir]
    # It was meant for this interpreter alone, not for those that the flow may start.
    os.environ.pop("PYTHONSAFEPATH", None)
    import_entry(os.path.join(play.bundle_dir, entry), _module_name(entry))
    return play.names.find(name)


def _module_name(entry: str) -> str:
    """The entry as a module: by its path, unless something else is called that already."""
    name = entry.removesuffix(".py").replace("/", ".")
    return f"{name}_flow" if name in sys.modules or name in sys.stdlib_module_names else name


compiled: dict[str, CodeType] = {}
"""What files of a bundle were compiled to, by path, where that was done before the launch."""


class _Loader(SourceFileLoader):
    """Takes what is compiled already."""

    def get_code(self, fullname: str) -> CodeType | None:
        return compiled.get(self.path) or super().get_code(fullname)


def import_entry(path: str, name: str) -> ModuleType:
    """Imports the entry file of a bundle."""
    loader = _Loader(name, path)
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    if spec is None or not path.endswith(".py"):
        raise DefinitionError(f"`{path}` is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    loader.exec_module(module)
    return module


def _leave_paused() -> None:
    """Ends a launch whose flow catches its pause for ever."""
    _flush()
    os._exit(EXIT_PAUSED)


def _leave_play() -> None:
    """A forked process is no part of the launch: what it calls is plain Python."""
    _play.running = None


os.register_at_fork(after_in_child=_leave_play)


def _except_hook(args: threading.ExceptHookArgs, /) -> None:
    """A pause in a thread is no crash: the play notices by itself."""
    if not (args.exc_type and issubclass(args.exc_type, Paused)):
        threading.__excepthook__(args)


def _flush() -> None:
    if _play.running is not None:
        _play.running.journal.flush()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def end_process(code: int) -> NoReturn:
    """Ends the process as the interpreter does, with threads joined, exit handlers run and output flushed,
    but leaves it to the kernel to take its memory apart, which is quicker."""
    import atexit

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    _flush()
    os._exit(code)


def close_inherited_files() -> None:
    """Closes what whoever started the server had open: it is none of a flow's business."""
    for fd in os.listdir("/proc/self/fd"):
        if int(fd) > 2:
            with contextlib.suppress(OSError):  # that of the list itself
                os.close(int(fd))


if __name__ == "__main__":
    close_inherited_files()
    end_process(main())
