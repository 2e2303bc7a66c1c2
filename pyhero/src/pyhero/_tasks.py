"""Time in an event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable

T = TypeVar("T")

sleep = asyncio.sleep


async def within(seconds: float | None, timeout: Exception | None, awaitable: Awaitable[T]) -> T:
    """Awaits; once *seconds* have passed the task is cancelled, and what it leaves raises *timeout*."""
    if seconds is None or timeout is None:
        return await awaitable
    task: Any = asyncio.current_task()
    # Someone else may cancel the task at the same time, and that goes before. Python 3.10 cannot tell.
    was_cancelling = task.cancelling() if hasattr(task, "cancelling") else 0
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        task.cancel()

    handle = asyncio.get_running_loop().call_later(max(seconds, 0.0), expire)
    try:
        return await awaitable
    except asyncio.CancelledError:
        if expired and (not hasattr(task, "uncancel") or task.uncancel() <= was_cancelling):
            raise timeout from None
        raise
    finally:
        handle.cancel()
