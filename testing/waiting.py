"""Waiting in tests: for a condition, never for a time; a bound is there only to end a test that hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

PATIENCE_S: Final = 180.0
"""How long anything is waited for [s]: longer than any machine takes, however busy it is."""
PAUSE_S: Final = 0.005
"""How long after a look the next one follows at the soonest [s]; not before twice what the look took."""


def wait_until(condition: Callable[[], bool], what: str, shown: Callable[[], object] = str) -> None:
    """Wait until something holds.

    Args:
        condition: What is waited for.
        what: How it is called where it does not come.
        shown: Returns what is shown beside that.

    Raises:
        AssertionError: It did not hold within `PATIENCE_S`.
    """
    for pause_s in _pauses(condition, what, shown):
        time.sleep(pause_s)


async def until(condition: Callable[[], bool], what: str, shown: Callable[[], object] = str) -> None:
    """Wait until something holds, and let other tasks run meanwhile.

    Args:
        condition: What is waited for.
        what: How it is called where it does not come.
        shown: Returns what is shown beside that.

    Raises:
        AssertionError: It did not hold within `PATIENCE_S`.
    """
    for pause_s in _pauses(condition, what, shown):
        await asyncio.sleep(pause_s)


def _pauses(condition: Callable[[], bool], what: str, shown: Callable[[], object]) -> Iterator[float]:
    """Yield how long to pause before the next look [s], until the condition holds."""
    begin_s = looked_s = time.monotonic()
    while not condition():
        now_s = time.monotonic()
        assert now_s < begin_s + PATIENCE_S, f"not within {PATIENCE_S:g} s: {what}; {shown()}"
        yield max(PAUSE_S, 2 * (now_s - looked_s))
        looked_s = time.monotonic()
