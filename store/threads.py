"""Blocking work beside the event loop."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Final, ParamSpec, TypeVar

from store.cputime import work as charged_work

NICENESS: Final = 10
"""The priority of a thread that gives way: a tenth of a core where others want all of it (our choice)."""

MOST_THREADS: Final = 256
"""More than there is ever work at once: work that hangs holds up none of another part. A thread is only made
where no other is idle."""

P = ParamSpec("P")
T = TypeVar("T")

_threads: Final = ThreadPoolExecutor(MOST_THREADS, thread_name_prefix="beside")


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run work in a thread; a caller that is cancelled meanwhile ends once the work has ended.

    Its CPU time is charged to the stage that the caller works for (`store.cputime`).
    A thread cannot be stopped: what it works with must not be closed under it.
    """

    def run() -> T:
        with charged_work():
            return work(*args, **kwargs)

    working = asyncio.get_running_loop().run_in_executor(_threads, copy_context().run, run)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        while not working.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({working})
        if not working.cancelled():
            working.exception()  # nobody waits for it any more
        raise


def give_way() -> None:
    """Let the calling thread have what others leave of the processor (on Linux: threads have priorities)."""
    if sys.platform == "linux":
        me = threading.get_native_id()
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, me, max(NICENESS, os.getpriority(os.PRIO_PROCESS, me)))
