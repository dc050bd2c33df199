"""Running until a signal says stop."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final

AGAIN_S: Final = 0.5
"""How long a task may take to end before it is asked again."""


NEW_OBJECTS: Final = 20_000
"""So many objects are new between two searches for cycles of references among them (our choice)."""


def collect_seldom() -> None:
    """Let cycles of references be searched for less often than Python does by itself.

    What is known of a large site are a million objects that stay. A start makes them one after the other, and
    would look at all of them again and again; each look stops the event loop.
    """
    gc.set_threshold(NEW_OBJECTS)


ARENA_MAX, MMAP_THRESHOLD, TRIM_THRESHOLD = -8, -3, -1
"""Settings of `mallopt`, as glibc's malloc.h numbers them."""
ARENAS: Final = 2
BLOCK_BYTES: Final = 1_048_576
"""Blocks from this size on are given back to the system once they are free (our choice): columns of 100,000
racks are smaller. At glibc's own first value, 128 KB, half of a tick were pages that come and go."""


def give_back_memory() -> None:
    """Let the C library give back what is free, where it is glibc; elsewhere nothing is done.

    By itself glibc has an arena for each thread, up to eight a core, and keeps what becomes free in each of
    them; and the larger the blocks were that became free, the larger are those that it keeps.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    for setting, value in (
        (ARENA_MAX, ARENAS),
        (MMAP_THRESHOLD, BLOCK_BYTES),
        (TRIM_THRESHOLD, BLOCK_BYTES),
    ):
        mallopt(setting, value)


def give_back_pages() -> None:
    """Give the pages back to the system that are free between others, where the C library is glibc.

    What a minute needs for a moment, such as the means of all points, lies among what stays; by itself glibc
    gives back what is free at the end of its heaps only, so that a process that runs for hours grows.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


TURN_S: Final = 0.001
"""How long a thread may go on while another one waits for its turn [s] (our choice)."""


def take_turns_often() -> None:
    """Let threads take their turns more often than Python does by itself, which is each 5 ms.

    The event loop waits for a turn after each look at its sockets, once for each thread at work beside
    it: judging, the journal, the writer. It would stand still for tens of milliseconds.
    """
    sys.setswitchinterval(TURN_S)


def stop_signals() -> asyncio.Event:
    """Return an event that an interrupt, a termination or a closed terminal sets, instead of ending us."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup asks for
            loop.add_signal_handler(number, stop.set)
    return stop


async def run_until_stopped(start: Callable[[], Awaitable[None]]) -> None:
    """Run something until it ends, or until a signal asks it to.

    Args:
        start: Begins it.
    """
    take_turns_often()
    stop = stop_signals()
    running = asyncio.ensure_future(start())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if running.done():
        running.result()
    await end(running)


async def end(task: asyncio.Future[Any] | None) -> None:
    """Cancel a task and wait until it has ended.

    Args:
        task: The task; None for nothing to do.
    """
    while task is not None and not task.done():
        # One cancellation may be lost in a wait that was over in the same moment.
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN_S)
