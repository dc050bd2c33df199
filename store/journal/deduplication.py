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

from facility.readings import Batch, BoolArray, IntArray

DEPTH: Final = 8
"""Readings of each point that are remembered: 8 s of a point at 1 Hz, 10 MB for 76,000 points. What is older
is looked for on disk, and only where it is no newer than the newest that came."""

NEVER: Final = np.iinfo(np.int64).min

Find = Callable[[int, int], float | None]
"""Looks a reading up on disk by point and source time: its value, or None where it is not there."""


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
        old_points: Points with a lower number may have readings that are not remembered here.
        until_ms: None of those is later than this [ms].
    """

    def __init__(self, old_points: int = 0, until_ms: int = NEVER) -> None:
        self._old_points = old_points
        self._until_ms = until_ms
        self._newest: IntArray = np.empty(0, np.int64)
        self._times: IntArray = np.empty((0, DEPTH), np.int64)
        self._values = np.empty((0, DEPTH))
        self._next: IntArray = np.empty(0, np.int64)

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
            self._judge_one_by_one(batch, set(suspects.tolist()), find, fresh, conflicting)
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

    def _judge_one_by_one(
        self, batch: Batch, suspects: set[int], find: Find, fresh: BoolArray, conflicting: BoolArray
    ) -> None:
        within: dict[tuple[int, int], float] = {}
        for row in np.flatnonzero(np.isin(batch.point, list(suspects))):
            point, time = int(batch.point[row]), int(batch.source_ms[row])
            value = float(batch.value[row])
            known = within.get((point, time))
            if known is None:
                known = self._recall(point, time, find)
            if known is None:
                within[point, time] = value
                continue
            fresh[row] = False
            conflicting[row] = not _same(known, value)

    def _recall(self, point: int, time: int, find: Find) -> float | None:
        if time > self._newest[point]:
            return None
        times = self._times[point]
        match = np.flatnonzero(times == time)
        if len(match):
            return float(self._values[point, match[0]])
        # The last few by arrival are not the last few by time: what came out of order may lie on disk.
        return find(point, time)

    def _grow(self, points: int) -> None:
        have = len(self._newest)
        if points <= have:
            return
        more = max(points, 2 * have, 64) - have
        self._newest = np.concatenate([self._newest, np.full(more, NEVER)])
        self._newest[have : self._old_points] = self._until_ms
        self._times = np.concatenate([self._times, np.full((more, DEPTH), NEVER)])
        self._values = np.concatenate([self._values, np.full((more, DEPTH), np.nan)])
        self._next = np.concatenate([self._next, np.zeros(more, np.int64)])


def _by_point(batch: Batch) -> tuple[IntArray, IntArray]:
    """Return the rows in the order of their points, and where each point begins in it."""
    order = np.argsort(batch.point, kind="stable")
    point = batch.point[order]
    starts = np.flatnonzero(np.concatenate([[True], point[1:] != point[:-1]]))
    return order, starts


def _same(one: float, other: float) -> bool:
    return one == other or (one != one and other != other)  # noqa: PLR0124 - both NaN
