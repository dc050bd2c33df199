"""What was taken from the journal and does not count yet, because event time has not come so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from facility.readings import Batch, Flag, IntArray, Quality
from store.entries import Mark


@dataclass(frozen=True, slots=True)
class Queued:
    """Readings or a mark.

    Attributes:
        content: Which.
        from_ms: When the first of it counts [ms].
        is_backlog: Whether the broker kept it while we were away; of a mark, whether the collector began
            anew and is reading what was kept.
    """

    content: Batch | Mark
    from_ms: int
    is_backlog: bool = False


class Queue:
    """What does not count yet, in the order of the journal.

    Args:
        lateness_ms: How long a tick waits for readings on their way [ms].

    Attributes:
        items: What it is.
    """

    def __init__(self, lateness_ms: int) -> None:
        self._lateness_ms = lateness_ms
        self.items: deque[Queued] = deque()

    def put(self, item: Queued) -> None:
        """Add what comes next."""
        self.items.append(item)

    def put_readings(self, batch: Batch, *, is_backlog: bool) -> None:
        """Add readings that come next.

        Args:
            batch: The readings.
            is_backlog: Whether the broker kept them while we were away.
        """
        self.put(Queued(batch, int(self._due_ms(batch).min()), is_backlog))

    def due(self, at_ms: int) -> Iterator[Queued]:
        """Yield what counts at a moment, and keep the rest.

        A mark waits for everything before it, and everything after it waits for the mark: what was heard
        before a break must not count as heard after it. Only what a broker kept for us passes: it is of the
        time of the break, and at least once, so that the break takes nothing of it.
        """
        kept: deque[Queued] = deque()
        is_held = False
        while self.items:
            item = self.items.popleft()
            if isinstance(item.content, Mark):
                is_held = is_held or bool(kept) or item.from_ms > at_ms
                if is_held:
                    kept.append(item)
                else:
                    yield item
                continue
            if item.from_ms > at_ms or (is_held and not item.is_backlog):
                kept.append(item)
                continue
            ready, later = self._split(item.content, item, at_ms, is_held=is_held)
            if len(ready):
                yield Queued(ready, item.from_ms, item.is_backlog)
            if later is not None:
                kept.append(later)
        self.items = kept

    def _split(self, batch: Batch, item: Queued, at_ms: int, *, is_held: bool) -> tuple[Batch, Queued | None]:
        """Part readings into those that count at a moment and those that do not yet."""
        due_ms = self._due_ms(batch)
        due = due_ms <= at_ms
        if is_held:
            due &= (batch.flags & Flag.AT_MOST_ONCE) == 0
        if due.all():
            return batch, None
        if not due.any():
            return Batch.empty(), item
        return batch.take(due), Queued(batch.take(~due), int(due_ms[~due].min()), item.is_backlog)

    def _due_ms(self, batch: Batch) -> IntArray:
        """Return when readings count: from their source time on, but not before they were received.

        Nobody knows of what time a refused value was; it may be as old as what a tick waits for.
        """
        due_ms: IntArray = np.minimum(batch.source_ms, batch.received_ms)
        refused = batch.quality == Quality.REFUSED
        return np.where(refused, due_ms - self._lateness_ms, due_ms) if refused.any() else due_ms
