"""Making means of readings as they come. Pure: what a mean is, `store.means.means` says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facility.readings import Batch, IntArray, Quality
from facility.room import room_for
from store.means.means import STEPS_MS, Means, add_up, empty, good_values, is_new, made, nothing, stood

SETTLE_MS: Final = 60_000
"""How long after a silent point's value stopped to hold its last steps are closed [ms]: our choice."""

_NEVER: Final = -(2**62)
_STATE: Final = ("covered_ms", "total", "low", "high", "last", "count")


class Meaner:
    """Makes means of readings as they come, chunk by chunk; the same whatever chunks they come in.

    The steps of a point are closed as its readings pass their end, in whatever order points come; those of a
    point that fell silent, once nothing of it holds any more. A step that gets more readings afterwards, as
    when a backlog comes, is given again, whole. A reading that is older than one that was taken of the same
    point in an earlier chunk is in no mean.

    Attributes:
        late: How many readings were too late.
        now_ms: When the newest reading was received [ms].
    """

    def __init__(self) -> None:
        self._last_ms = np.full(64, _NEVER)
        self._value = np.full(64, np.nan)
        self._hold_ms = np.zeros(64, np.int64)
        self._is_closed = np.ones(64, np.bool_)
        self._open = {step_ms: nothing(64) for step_ms in STEPS_MS}
        self.late = 0
        self.now_ms = _NEVER

    def learn(self, number: int, hold: int) -> None:
        """Take in a point, and how long its values stand [ms]."""
        have = len(self._last_ms)
        if (more := room_for(number + 1, have) - have) > 0:
            self._last_ms = np.append(self._last_ms, np.full(more, _NEVER))
            self._value = np.append(self._value, np.full(more, np.nan))
            self._hold_ms = np.append(self._hold_ms, np.zeros(more, np.int64))
            self._is_closed = np.append(self._is_closed, np.ones(more, np.bool_))
            for step_ms, state in self._open.items():
                added = nothing(more)
                self._open[step_ms] = {name: np.append(state[name], added[name]) for name in _STATE}
        self._hold_ms[number] = hold

    def take(self, batch: Batch) -> list[Means]:
        """Take in readings of points that were learned; return the steps that are closed, for each length."""
        if len(batch):
            self.now_ms = max(self.now_ms, int(batch.received_ms.max()))
        pairs = zip(self._hear(batch), self._close_silent(), strict=True)
        found = [heard.followed_by(silent) for heard, silent in pairs]
        return [means.take(np.lexsort((means.start_ms, means.point))).sound() for means in found]

    def _hear(self, batch: Batch) -> list[Means]:
        batch = batch.take(batch.quality != Quality.REFUSED)
        batch = batch.take(np.lexsort((batch.source_ms, batch.point)))
        late = batch.source_ms < self._last_ms[batch.point]
        self.late += int(late.sum())
        is_taken = is_new(batch.point, batch.source_ms) & (batch.source_ms > self._last_ms[batch.point])
        if not is_taken.any():
            return [empty(step_ms) for step_ms in STEPS_MS]
        point, time_ms = batch.point[is_taken].astype(np.int64), batch.source_ms[is_taken]
        value = good_values(batch)[is_taken]
        first = np.flatnonzero(is_new(point))
        heard = point[first]
        # What stood before each point's first reading comes before it.
        carried = np.where(self._last_ms[heard] == _NEVER, time_ms[first], self._last_ms[heard])
        all_points = np.insert(point, first, heard)
        begin = np.insert(time_ms, first, carried)
        stands = np.insert(value, first, self._value[heard])
        until = np.minimum(np.append(begin[1:], 0), begin + self._hold_ms[all_points])
        final = np.append(first[1:], len(point)) + np.arange(len(first))
        until[final] = begin[final]
        good = ~np.isnan(value)
        # A backlog may end what was given as standing when its point was thought to be silent.
        ends = np.where(self._is_closed[heard], self._last_ms[heard] + self._hold_ms[heard], _NEVER)
        found = []
        for step_ms in STEPS_MS:
            pieces = stood(step_ms, all_points, begin, until, stands)
            readings = made(step_ms, point[good], time_ms[good])
            given = stood(step_ms, heard, time_ms[first], ends, np.zeros(len(heard)))
            found.append(self._close(step_ms, heard, begin[final], [pieces, readings], given))
        self._last_ms[heard] = begin[final]
        self._value[heard] = stands[final]
        self._is_closed[heard] = False
        return found

    def _close_silent(self) -> list[Means]:
        """Return the last steps of points that have no value which still holds."""
        ends = self._last_ms + self._hold_ms + SETTLE_MS
        found = []
        silent = np.flatnonzero(~self._is_closed & (ends <= self.now_ms))
        for step_ms in STEPS_MS:
            begin = self._last_ms[silent]
            until = begin + self._hold_ms[silent]
            pieces = stood(step_ms, silent, begin, until, self._value[silent])
            found.append(add_up(step_ms, [self._state(step_ms, silent), pieces]))
        self._is_closed[silent] = True
        return [means.take((means.covered_ms > 0) | (means.count > 0)) for means in found]

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that is known, to go on from."""
        state = {"last_ms": self._last_ms, "value": self._value, "hold_ms": self._hold_ms}
        columns = {f"{step}.{name}": self._open[step][name] for step in STEPS_MS for name in _STATE}
        return {**state, "is_closed": self._is_closed, **columns}

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what was known.

        Raises:
            KeyError: Where it is not what `state` returns.
        """
        opened = {step: {name: state[f"{step}.{name}"] for name in _STATE} for step in STEPS_MS}
        points = [state[name] for name in ("last_ms", "value", "hold_ms", "is_closed")]
        self._last_ms, self._value, self._hold_ms, self._is_closed = points
        self._open = opened

    def _close(
        self, step_ms: int, heard: IntArray, last_ms: IntArray, parts: list[Means], given: Means
    ) -> Means:
        """Add to what is open; return what is closed by the last reading of each point [ms].

        Steps that were given before are given again at once, even where nothing is left of them.
        """
        nothing_of = Means(step_ms, given.point, given.start_ms, **nothing(len(given)))
        means = add_up(step_ms, [self._state(step_ms, heard), *parts, nothing_of])
        place = np.searchsorted(heard, means.point)
        is_open = means.start_ms == (last_ms // step_ms * step_ms)[place]
        state, fresh = self._open[step_ms], nothing(len(heard))
        for name in _STATE:
            state[name][heard] = fresh[name]
            state[name][means.point[is_open]] = getattr(means, name)[is_open]
        was_given = np.isin(_place(means), _place(given))
        return means.take(was_given | ~is_open & ((means.covered_ms > 0) | (means.count > 0)))

    def _state(self, step_ms: int, points: IntArray) -> Means:
        points = points[self._last_ms[points] != _NEVER]
        start = self._last_ms[points] // step_ms * step_ms
        return Means(step_ms, points, start, *(self._open[step_ms][name][points] for name in _STATE))


def _place(means: Means) -> IntArray:
    """Return a number for each point and step."""
    return means.point << 34 | means.start_ms // means.step_ms
