"""What was taken from the journal and does not count yet, because event time has not come so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from numpy import minimum

from facility.readings import Batch, IntArray
from store.entries import Mark


@dataclass(frozen=True, slots=True)
class Queued:
    """Readings or a mark.

    Attributes:
        content: Which.
        from_ms: When the first of it counts [ms].
        is_backlog: Whether the broker kept it while we were away.
    """

    content: Batch | Mark
    from_ms: int
    is_backlog: bool = False

    @classmethod
    def readings(cls, batch: Batch, *, is_backlog: bool) -> Queued:
        """Return readings, which count from their source time on, but not before they were received."""
        return cls(batch, int(_due_ms(batch).min()), is_backlog)

    def split(self, at_ms: int) -> tuple[Batch, Queued | None]:
        """Part readings into those that count at a moment and those that do not yet."""
        assert isinstance(self.content, Batch)  # noqa: S101 - marks are not split
        due = _due_ms(self.content) <= at_ms
        if due.all():
            return self.content, None
        if not due.any():
            return Batch.empty(), self
        later = Queued.readings(self.content.take(~due), is_backlog=self.is_backlog)
        return self.content.take(due), later


class Queue:
    """What does not count yet, in the order of the journal."""

    def __init__(self) -> None:
        self.items: deque[Queued] = deque()

    def put(self, item: Queued) -> None:
        """Add what comes next."""
        self.items.append(item)

    def due(self, at_ms: int) -> Iterator[Queued]:
        """Yield what counts at a moment, and keep the rest.

        A mark waits for everything before it, and everything after it waits for the mark: what was heard
        before a break must not count as heard after it.
        """
        kept: deque[Queued] = deque()
        while self.items:
            item = self.items.popleft()
            if isinstance(item.content, Mark):
                if kept or item.from_ms > at_ms:
                    kept.append(item)
                    break
                yield item
                continue
            ready, later = item.split(at_ms)
            if len(ready):
                yield Queued(ready, item.from_ms, item.is_backlog)
            if later is not None:
                kept.append(later)
        self.items.extendleft(reversed(kept))


def _due_ms(batch: Batch) -> IntArray:
    return minimum(batch.source_ms, batch.received_ms)
