"""Keeping time: a simulated run, published as its seconds come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from simulators.publish.publisher import Publisher, slices
from simulators.run import Second

SLICE_MS: Final = 50
"""Messages go out in slices of a second: what a gateway's own buffering would do [ms]."""


@dataclass(slots=True)
class Pace:
    """How a run kept its time.

    Attributes:
        seconds: Seconds that were published.
        messages: Messages of them.
        behind_ms: How far behind its clock the run is now [ms].
        most_behind_ms: The furthest that it was behind at the end of a second [ms].
    """

    seconds: int = 0
    messages: int = 0
    behind_ms: float = 0.0
    most_behind_ms: float = 0.0


async def perform(
    seconds: Iterable[Second],
    publisher: Publisher,
    *,
    now_ms: Callable[[], float],
    speed: float | None = 1.0,
    said: Callable[[Second, Pace], None] | None = None,
    pace: Pace | None = None,
) -> Pace:
    """Publish a run in its own time.

    Its first second begins now. Where publishing has to wait, for a slow broker or for one that is away, the
    run stands still; afterwards it goes on as fast as it can until it has caught up with its clock.

    Args:
        seconds: Seconds of the run, in order.
        publisher: Where it is published.
        now_ms: A clock that runs evenly [ms].
        speed: How many times as fast as real time; None for as fast as possible.
        said: Is told of each second once it is published.
        pace: Where to keep account, if it is watched; None for a new one.

    Returns:
        How it kept its time.
    """
    kept = pace or Pace()
    start_ms = first_ms = 0.0
    for second in seconds:
        if not kept.seconds:
            start_ms, first_ms = now_ms(), float(second.time_ms)
        for due_ms, rows in slices(second.rows, second.time_ms, SLICE_MS):
            if speed is not None:
                wait_ms = start_ms + (due_ms - first_ms) / speed - now_ms()
                if wait_ms > 0:
                    await asyncio.sleep(wait_ms / 1_000)
            await publisher.publish_rows(rows)
        publisher.fence()
        kept.seconds += 1
        kept.messages += len(second.rows)
        if speed is not None:
            end_ms = start_ms + (second.time_ms + 1_000 - first_ms) / speed
            kept.behind_ms = max(0.0, now_ms() - end_ms)
            kept.most_behind_ms = max(kept.most_behind_ms, kept.behind_ms)
        if said is not None:
            said(second, kept)
        await asyncio.sleep(0)
    return kept
