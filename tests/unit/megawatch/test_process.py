"""What holds for a process that runs until it is stopped."""

from __future__ import annotations

import asyncio
import sys

from megawatch.run.process import TURN_S, run_until_stopped


def test_the_loop_waits_for_other_threads_for_a_millisecond_at_a_time() -> None:
    """Python's own 5 ms, once for each thread at work, are a stop that others notice."""
    before, found = sys.getswitchinterval(), []

    async def look() -> None:
        found.append(sys.getswitchinterval())

    try:
        asyncio.run(run_until_stopped(look))
    finally:
        sys.setswitchinterval(before)

    assert found == [TURN_S]
