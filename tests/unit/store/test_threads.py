"""Work in a thread ends before its caller does, and gives way to others where it is told to."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from store.threads import NICENESS, give_way, in_thread
from testing.waiting import PATIENCE_S


def test_it_gives_what_the_work_gives() -> None:
    """A result, or what was raised."""
    assert asyncio.run(in_thread(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread(divmod, 7, 0))


@pytest.mark.parametrize("times", [1, 3])
def test_whoever_is_cancelled_waits_for_the_work(times: int) -> None:
    """However often it is cancelled: what the work uses may be closed right after."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert may_end.wait(PATIENCE_S)
        ended.set()
        raise ValueError("nobody waits for this")

    async def story() -> None:
        task = asyncio.create_task(in_thread(work))
        while not begun.is_set():  # noqa: ASYNC110 - set by a thread
            await asyncio.sleep(0)
        for _ in range(times):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(story())


def test_work_that_hangs_holds_up_no_other() -> None:
    """However much of it: each has a thread, also where a part waits for a ledger that answers nothing."""
    may_end = threading.Event()

    def hang() -> None:
        assert may_end.wait(60)

    async def story() -> tuple[int, int]:
        stuck = [asyncio.create_task(in_thread(hang)) for _ in range(40)]
        try:
            return await in_thread(divmod, 7, 2)
        finally:
            may_end.set()
            await asyncio.wait(stuck)

    assert asyncio.run(story()) == (3, 1)


@pytest.mark.skipif(sys.platform != "linux", reason="threads have priorities of their own on Linux only")
def test_a_thread_that_gives_way_does_so_alone() -> None:
    """Its priority is lower, and that of the others stays."""

    def priority() -> int:
        give_way()
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(priority).result()

    assert found >= max(before, NICENESS)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before
