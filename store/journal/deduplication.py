"""Which readings were stored already: a reading is its point and its source time.

A broker delivers again what was not acknowledged in time, sometimes much later. The last few readings of
each point are kept in memory; almost every reading is newer than these and is told apart by one comparison.
One that is not is looked for in memory and then on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from facility.readings import Batch, BoolArray, FloatArray, IntArray

DEPTH: Final = 8
"""Readings of each point that are remembered: 8 s of a point at 1 Hz, 10 MB for 76,000 points. What is older
is looked for on disk, and only where it is no newer than the newest that came."""

NEVER: Final = np.iinfo(np.int64).min

Find = Callable[[IntArray, IntArray], tuple[BoolArray, FloatArray]]
"""Looks readings up on disk by points and source times: which are there, and their values."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What is new in a batch.

    Attributes:
        fresh: Which readings are new, shape (n,).
        conflicting: Which were stored with another value, shape (n,). The rest are repetitions.
    """

    fresh: BoolArray
    conflicting: BoolArray


class Seen:
    """The last few readings of each point.

    Args:
        newest_ms: By the points' numbers, a time that none of their readings are later than which are not
            remembered here, shape (n,) [ms]; `NEVER` for a point that has none.
    """

    def __init__(self, newest_ms: IntArray | None = None) -> None:
        self._newest: IntArray = np.empty(0, np.int64)
        self._times: IntArray = np.empty((0, DEPTH), np.int64)
        self._values = np.empty((0, DEPTH))
        self._next: IntArray = np.empty(0, np.int64)
        if newest_ms is not None and len(newest_ms):
            self._grow(len(newest_ms))
            self._newest[: len(newest_ms)] = newest_ms

    @property
    def newest_ms(self) -> IntArray:
        """The newest source time of each point by its number, shape (n,) [ms]; `NEVER` where none came."""
        return self._newest

    def judge(self, batch: Batch, find: Find) -> Verdicts:
        """Tell what is new in a batch, without remembering it.

        Args:
            batch: Readings in the order in which they came.
            find: Looks for a reading on disk.
        """
        count = len(batch)
        fresh, conflicting = np.ones(count, np.bool_), np.zeros(count, np.bool_)
        if not count:
            return Verdicts(fresh, conflicting)
        self._grow(int(batch.point.max()) + 1)
        order, starts = _by_point(batch)
        point, time = batch.point[order], batch.source_ms[order]
        before = np.empty(count, np.int64)
        before[1:] = time[:-1]
        before[starts] = self._newest[point[starts]]
        suspects = point[time <= before]
        if len(suspects):
            self._judge_points(batch, np.unique(suspects), find, fresh, conflicting)
        return Verdicts(fresh, conflicting)

    def remember(self, batch: Batch) -> None:
        """Remember readings that have been stored."""
        if not len(batch):
            return
        self._grow(int(batch.point.max()) + 1)
        order, starts = _by_point(batch)
        point, time = batch.point[order], batch.source_ms[order]
        counts = np.diff(np.append(starts, len(point)))
        rank = np.arange(len(point)) - np.repeat(starts, counts)
        slot = (self._next[point] + rank) % DEPTH
        self._times[point, slot] = time
        self._values[point, slot] = batch.value[order]
        unique = point[starts]
        self._next[unique] = (self._next[unique] + counts) % DEPTH
        self._newest[unique] = np.maximum(self._newest[unique], np.maximum.reduceat(time, starts))

    def _judge_points(
        self, batch: Batch, suspects: IntArray, find: Find, fresh: BoolArray, conflicting: BoolArray
    ) -> None:
        """Tell what is new of some points: what neither was stored before nor came before in the batch."""
        rows = np.flatnonzero(np.isin(batch.point, suspects))
        rows = rows[np.lexsort((batch.source_ms[rows], batch.point[rows]))]
        point, time = batch.point[rows].astype(np.int64), batch.source_ms[rows]
        value = batch.value[rows]
        is_first = np.ones(len(rows), np.bool_)
        is_first[1:] = (point[1:] != point[:-1]) | (time[1:] != time[:-1])
        reading = np.cumsum(is_first) - 1
        firsts = np.flatnonzero(is_first)
        is_known, known = self._recall(point[firsts], time[firsts], find)
        is_fresh = is_first & ~is_known[reading]
        kept = np.where(is_known, known, value[firsts])[reading]
        fresh[rows] = is_fresh
        conflicting[rows] = ~is_fresh & ~_same(kept, value)

    def _recall(self, point: IntArray, time: IntArray, find: Find) -> tuple[BoolArray, FloatArray]:
        """Return which readings were stored, and their values."""
        is_known, value = np.zeros(len(point), np.bool_), np.full(len(point), np.nan)
        old = np.flatnonzero(time <= self._newest[point])
        match = self._times[point[old]] == time[old, np.newaxis]
        slot, is_here = match.argmax(axis=1), match.any(axis=1)
        here = old[is_here]
        is_known[here], value[here] = True, self._values[point[here], slot[is_here]]
        # The last few by arrival are not the last few by time: what came out of order may lie on disk.
        rest = old[~is_here]
        if len(rest):
            is_known[rest], value[rest] = find(point[rest], time[rest])
        return is_known, value

    def _grow(self, points: int) -> None:
        have = len(self._newest)
        if points <= have:
            return
        more = max(points, 2 * have, 64) - have
        self._newest = np.concatenate([self._newest, np.full(more, NEVER)])
        self._times = np.concatenate([self._times, np.full((more, DEPTH), NEVER)])
        self._values = np.concatenate([self._values, np.full((more, DEPTH), np.nan)])
        self._next = np.concatenate([self._next, np.zeros(more, np.int64)])


def _by_point(batch: Batch) -> tuple[IntArray, IntArray]:
    """Return the rows in the order of their points, and where each point begins in it."""
    order = np.argsort(batch.point, kind="stable")
    point = batch.point[order]
    starts = np.flatnonzero(np.concatenate([[True], point[1:] != point[:-1]]))
    return order, starts


def _same(one: FloatArray, other: FloatArray) -> BoolArray:
    same: BoolArray = (one == other) | (np.isnan(one) & np.isnan(other))
    return same
