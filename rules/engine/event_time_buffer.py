"""What was taken from the journal and does not count yet, because event time has not come so far.

`Queue` keeps the order of the journal, for judging live; `SourceQueue` that of source time, for judging what
has settled.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush

import numpy as np

from facility.readings import Batch, BoolArray, Flag, IntArray, Quality
from store.journal.entries import Content, Mark, MarkKind


@dataclass(frozen=True, slots=True)
class Queued:
    """Readings, a mark, or points that are described anew.

    Attributes:
        content: What it is.
        from_ms: When the first of it counts [ms].
        is_backlog: Whether the broker kept it while we were away; of a mark, whether the collector began
            anew and is reading what was kept.
        broker: The broker that it came through, or that it happened to.
    """

    content: Content
    from_ms: int
    is_backlog: bool = False
    broker: str = ""


def date_doubts(batch: Batch, kept: BoolArray) -> Batch:
    """Return a batch in which refused values that a broker kept are dated, for it keeps their order.

    One whose stamp is not known is as old as the value before it, but not older than the last of its point.

    Args:
        batch: Readings and doubts, in the order in which they came.
        kept: Which of them a broker kept for us, shape (n,).
    """
    refused = batch.quality == Quality.REFUSED
    is_undated = kept & refused
    if not is_undated.any():
        return batch
    undated = np.flatnonzero(is_undated & (batch.source_ms >= batch.received_ms))
    if not len(undated):
        return batch
    stamped_ms, source_ms = np.minimum(batch.source_ms, batch.received_ms), batch.source_ms.copy()
    before = np.maximum.accumulate(np.where(refused, -1, np.arange(len(batch))))
    for row in undated[before[undated] >= 0].tolist():
        own = ~refused[:row] & (batch.point[:row] == batch.point[row])
        source_ms[row] = stamped_ms[:row][own].max(initial=stamped_ms[before[row]])
    return replace(batch, source_ms=source_ms)


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

    def clear(self) -> None:
        """Drop everything."""
        self.items.clear()

    def put(self, item: Queued) -> None:
        """Add what comes next."""
        self.items.append(item)

    def put_readings(self, batch: Batch, *, broker: str = "", is_backlog: bool) -> None:
        """Add readings that come next.

        Args:
            batch: The readings.
            broker: The broker that they came through.
            is_backlog: Whether it kept them while we were away.
        """
        if len(batch):
            self.put(Queued(batch, int(self._due_ms(batch).min()), is_backlog, broker))

    def due(self, at_ms: int) -> Iterator[Queued]:
        """Yield what counts at a moment, and keep the rest.

        A mark waits for everything of its broker before it, and everything after it waits for the mark: what
        was heard before a break must not count as heard after it. Only what a broker kept for us passes: it
        is of the time of the break, and at least once, so that the break takes nothing of it. And so does
        that part of it may be missing, which is of that time too.
        """
        kept: deque[Queued] = deque()
        waiting, held = set[str](), set[str]()
        while self.items:
            item = self.items.popleft()
            broker = item.broker
            is_held = broker in held
            if not isinstance(item.content, Batch):
                passes = item.is_backlog and _is_gap(item.content)
                if item.from_ms > at_ms or (broker in waiting and not passes):
                    held.add(broker)
                    waiting.add(broker)
                    kept.append(item)
                else:
                    yield item
                continue
            if item.from_ms > at_ms or (is_held and not item.is_backlog):
                waiting.add(broker)
                kept.append(item)
                continue
            ready, later = self._split(item.content, item, at_ms, is_held=is_held)
            if len(ready):
                yield Queued(ready, item.from_ms, item.is_backlog, broker)
            if later is not None:
                waiting.add(broker)
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
        return batch.take(due), Queued(
            batch.take(~due), int(due_ms[~due].min()), item.is_backlog, item.broker
        )

    def _due_ms(self, batch: Batch) -> IntArray:
        """Return when readings count: from their source time on, but not before they were received.

        A refused value whose stamp is not known may be as old as what a tick waits for.
        """
        due_ms: IntArray = np.minimum(batch.source_ms, batch.received_ms)
        refused = batch.quality == Quality.REFUSED
        if not refused.any():
            return due_ms
        undated = refused & (batch.source_ms >= batch.received_ms)
        return np.where(undated, due_ms - self._lateness_ms, due_ms)


def _is_gap(content: Content) -> bool:
    return isinstance(content, Mark) and content.kind is MarkKind.GAP


class SourceQueue:
    """What does not count yet, in the order of source time.

    Args:
        tick_ms: Event time between two ticks [ms]; what counts at one tick is taken out together.
    """

    def __init__(self, tick_ms: int) -> None:
        self._tick_ms = tick_ms
        self._ticks: dict[int, list[Queued]] = {}
        self._order: list[int] = []
        self._next_ms: int | None = None
        self.size = 0

    @property
    def items(self) -> Iterable[Queued]:
        """Everything, by the tick at which it counts."""
        return [item for tick_ms in sorted(self._order) for item in self._ticks[tick_ms]]

    def clear(self) -> None:
        """Drop everything."""
        self._ticks, self._order, self._next_ms, self.size = {}, [], None, 0

    def put(self, item: Queued) -> None:
        """Add something."""
        if isinstance(item.content, Batch):
            self.put_readings(item.content)
        else:
            self._add(self._tick_of(item.from_ms), item)

    def put_readings(self, batch: Batch, *, broker: str = "", is_backlog: bool = True) -> None:
        """Add readings; each counts from its source time on, or from its arrival where that was before."""
        del broker  # source time is one order for all
        if not len(batch):
            return
        self.size += len(batch)
        due_ms = np.minimum(batch.source_ms, batch.received_ms)
        first_ms, last_ms = int(due_ms.min()), int(due_ms.max())
        if self._tick_of(first_ms) == self._tick_of(last_ms):  # as nearly always
            self._add(self._tick_of(first_ms), Queued(batch, first_ms, is_backlog))
            return
        ticks = -(-due_ms // self._tick_ms) * self._tick_ms
        if self._next_ms is not None:
            ticks = np.maximum(ticks, self._next_ms)
        for tick_ms in np.unique(ticks).tolist():
            rows = ticks == tick_ms
            self._add(tick_ms, Queued(batch.take(rows), int(due_ms[rows].min()), is_backlog))

    def due(self, at_ms: int) -> Iterator[Queued]:
        """Yield what counts at a tick in the order of source time, all but readings at its place.

        Args:
            at_ms: The tick, after that of the call before [ms].
        """
        self._next_ms = at_ms + self._tick_ms
        found: list[Queued] = []
        while self._order and self._order[0] <= at_ms:
            found += self._ticks.pop(heappop(self._order))
        batch = Batch.concatenate([item.content for item in found if isinstance(item.content, Batch)])
        self.size -= len(batch)
        due_ms = np.minimum(batch.source_ms, batch.received_ms)
        if (due_ms[1:] < due_ms[:-1]).any():
            order = np.argsort(due_ms, kind="stable")
            batch, due_ms = batch.take(order), due_ms[order]
        start = 0
        others = [item for item in found if not isinstance(item.content, Batch)]
        for other in sorted(others, key=lambda item: item.from_ms):
            end = int(np.searchsorted(due_ms, other.from_ms, side="right"))
            if end > start:
                yield Queued(batch.take(np.arange(start, end)), other.from_ms, is_backlog=True)
                start = end
            yield other
        if start < len(batch):
            rest = batch.take(np.arange(start, len(batch))) if start else batch
            yield Queued(rest, at_ms, is_backlog=True)

    def _tick_of(self, due_ms: int) -> int:
        """Return the tick at which something counts that is due at a moment [ms]."""
        tick_ms = -(-due_ms // self._tick_ms) * self._tick_ms
        return tick_ms if self._next_ms is None else max(tick_ms, self._next_ms)

    def _add(self, tick_ms: int, item: Queued) -> None:
        if tick_ms not in self._ticks:
            self._ticks[tick_ms] = []
            heappush(self._order, tick_ms)
        self._ticks[tick_ms].append(item)
