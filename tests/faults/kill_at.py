"""Runs a program and kills it at the N-th system call that changes something outside of it.

    python kill_at.py LOG N PROGRAM [ARGUMENT…]

The call is stopped before it has done anything, in whichever thread it comes from, and SIGKILL is the next
thing that the program sees. The calls are counted over all its threads and none of its children: those run
untraced. Each one is told in LOG, a line each; with N = 0 the program is only watched. When this process ends
the program is killed as well (`PTRACE_O_EXITKILL`).
"""

import contextlib
import ctypes
import os
import platform
import signal
import sys
from pathlib import Path

CALLS = {
    "x86_64": {
        1: "write", 18: "pwrite64", 20: "writev", 44: "sendto", 46: "sendmsg", 74: "fsync", 75: "fdatasync",
        76: "truncate", 77: "ftruncate", 82: "rename", 83: "mkdir", 84: "rmdir", 86: "link", 87: "unlink",
        88: "symlink", 90: "chmod", 91: "fchmod", 258: "mkdirat", 263: "unlinkat", 264: "renameat",
        277: "sync_file_range", 285: "fallocate", 296: "pwritev", 316: "renameat2",
    },
    "aarch64": {
        33: "mknodat", 34: "mkdirat", 35: "unlinkat", 36: "symlinkat", 37: "linkat", 38: "renameat",
        45: "truncate", 46: "ftruncate", 47: "fallocate", 52: "fchmod", 53: "fchmodat", 64: "write",
        66: "writev", 68: "pwrite64", 70: "pwritev", 82: "fsync", 83: "fdatasync", 84: "sync_file_range",
        206: "sendto", 211: "sendmsg", 276: "renameat2",
    },
}[platform.machine()]  # fmt: skip
"""The calls that change something outside of the process, by number."""

# From <sys/ptrace.h> and <linux/ptrace.h>.
TRACEME, CONT, SYSCALL, SETOPTIONS, GET_SYSCALL_INFO = 0, 7, 24, 0x4200, 0x420E
OPTIONS = 0x1 | 0x8 | 0x10 | 0x100000
"""TRACESYSGOOD, TRACECLONE (threads; a child is a fork or a vfork), TRACEEXEC, EXITKILL."""

WAIT_FOR_THREADS = 0x40000000
SYSCALL_STOP = signal.SIGTRAP | 0x80
ENTRY = 1


class SyscallInfo(ctypes.Structure):
    """The beginning of `struct ptrace_syscall_info`, as it is at the entry of a call."""

    _fields_ = (
        ("op", ctypes.c_uint8),
        ("arch", ctypes.c_uint32),
        ("instruction_pointer", ctypes.c_uint64),
        ("stack_pointer", ctypes.c_uint64),
        ("number", ctypes.c_uint64),
        ("arguments", ctypes.c_uint64 * 6),
    )


_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)


def ptrace(request: int, pid: int, address: int = 0, data: int = 0) -> None:
    """`ptrace(2)`. Raises `OSError`; `ProcessLookupError` where the thread was killed meanwhile."""
    if _libc.ptrace(request, pid, address, data) < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace request {request:#x} of {pid}: {os.strerror(error)}")


def start(command: list[str]) -> int:
    """Starts the program, stopped before its first instruction, and returns its process id."""
    pid = os.fork()
    if pid == 0:
        ptrace(TRACEME, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.execv(command[0], command)
    os.waitpid(pid, WAIT_FOR_THREADS)
    ptrace(SETOPTIONS, pid, 0, OPTIONS)
    ptrace(SYSCALL, pid)
    return pid


def watch(pid: int, log: Path, kill_at: int) -> int:
    """Counts until the program has ended; returns its wait status."""
    n_calls = 0
    threads = {pid}
    with log.open("w", buffering=1) as lines:
        while True:
            thread, status = os.waitpid(-1, WAIT_FOR_THREADS)
            if not os.WIFSTOPPED(status):
                if thread == pid:
                    return status
                continue
            stopped_by = os.WSTOPSIG(status)
            deliver = 0
            if stopped_by == SYSCALL_STOP:
                call = counted_call(thread)
                if call:
                    n_calls += 1
                    lines.write(f"{call}\n")
                    if n_calls == kill_at:
                        os.kill(pid, signal.SIGKILL)
            elif status >> 16 == 0 and thread in threads:
                deliver = stopped_by  # A signal from outside.
            threads.add(thread)  # A new thread begins with a stop that is not to be delivered.
            with contextlib.suppress(ProcessLookupError):  # Killed; its end is seen above.
                ptrace(SYSCALL, thread, 0, deliver)


def counted_call(thread: int) -> str:
    """The name of the call that the thread is about to make, or nothing if it does not count."""
    info = SyscallInfo()
    try:
        ptrace(GET_SYSCALL_INFO, thread, ctypes.sizeof(info), ctypes.addressof(info))
        name = CALLS.get(info.number, "") if info.op == ENTRY else ""
        # How the threads wake each other concerns nobody outside.
        wakes = name == "write" and "eventfd" in os.readlink(f"/proc/{thread}/fd/{info.arguments[0]}")
    except OSError:
        return ""  # Killed meanwhile, or the descriptor is no longer there.
    return "" if wakes else name


if __name__ == "__main__":
    log, kill_at, *command = sys.argv[1:]
    pid = start(command)
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
    sys.exit(os.waitstatus_to_exitcode(watch(pid, Path(log), int(kill_at))) % 256)
