"""Means over minutes and quarter-hours, weighed by time, with how much of each was covered. Pure.

A good reading stands from its time to the next reading of its point, and no longer than its source may be
silent; a reading that is not good ends the one before and stands for nothing. The mean of a step is that of
the values that stood in it, each weighed by how long; the coverage is the share of the step in which one did.
So a source that publishes on change and one that publishes every second have the same mean, on every server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
import structlog
from numpy.typing import NDArray

from facility.instants import MINUTE_MS
from facility.points import Cadence, Point
from facility.readings import Batch, BoolArray, FloatArray, IntArray, Quality
from facility.sitefile.tables import Pace

_log = structlog.get_logger(__name__)

QUARTER_MS: Final = 15 * MINUTE_MS
STEPS_MS: Final = (MINUTE_MS, QUARTER_MS)
"""The steps that means are kept of, the shortest first [ms]."""

_ON_CHANGE_MS: Final = 110_000
_PERIODIC_MS: Final = 5_000


def hold_ms(point: Point) -> int:
    """Return how long a value stands for its point, where its source says nothing [ms].

    On change: 100 s, after which the DSX BMS bus repeats an unchanged value, and a tenth. Periodic: 5 s.
    """
    return _ON_CHANGE_MS if point.cadence is Cadence.ON_CHANGE else _PERIODIC_MS


def holds(brokers: Iterable[Pace]) -> Callable[[Point], int]:
    """Return what tells how long a value stands for its point [ms], by how often its broker's sources speak.

    On change: the repeat time and a tenth. Periodic: three periods, and at least 5 s.
    """
    table = {
        broker.name: {
            Cadence.ON_CHANGE: round(broker.repeat_s * 1_100),
            Cadence.PERIODIC: max(_PERIODIC_MS, round(broker.period_s * 3_000)),
        }
        for broker in brokers
    }

    def hold(point: Point) -> int:
        known = table.get(point.stream.partition(":")[0])
        return hold_ms(point) if known is None else known[point.cadence]

    return hold


def is_new(*columns: NDArray[Any]) -> BoolArray:
    """Tell which rows differ from the one before."""
    new = np.zeros(len(columns[0]), np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new


@dataclass(frozen=True, slots=True)
class Means:
    """Means over steps of one length, in columns; a row for each point and step, by point and time.

    Attributes:
        step_ms: Length of a step [ms].
        point: Which point, shape (n,), int64.
        start_ms: When the step begins, shape (n,), int64 [ms].
        covered_ms: How much of it a good value stood for, shape (n,), int64 [ms].
        total: Values times the share of the step that they stood for, shape (n,), float64 [canonical unit].
        low: The lowest value that stood in it, shape (n,), float64; infinite where none did.
        high: The highest value, likewise.
        last: The last value; NaN where none did.
        count: How many good readings were made in it, shape (n,), int64.
    """

    step_ms: int
    point: IntArray
    start_ms: IntArray
    covered_ms: IntArray
    total: FloatArray
    low: FloatArray
    high: FloatArray
    last: FloatArray
    count: IntArray

    def __len__(self) -> int:
        return len(self.point)

    @property
    def mean(self) -> FloatArray:
        """The means; NaN where nothing stood. That of one value is this value, to the last bit."""
        with np.errstate(invalid="ignore"):
            return np.clip(self.total / self.coverage, self.low, self.high)

    @property
    def coverage(self) -> FloatArray:
        """The share of each step that is covered, 0 to 1."""
        return self.covered_ms / self.step_ms

    def take(self, rows: BoolArray | IntArray) -> Self:
        """Return these rows: a mask or indices."""
        columns = (self.point, self.start_ms, *self.columns())
        return type(self)(self.step_ms, *(column[rows] for column in columns))  # type: ignore[arg-type]  # types differ by column

    def followed_by(self, other: Self) -> Self:
        """Return these rows and others of steps of the same length."""
        mine, theirs = (self.point, self.start_ms, *self.columns()), (other.point, other.start_ms)
        pairs = zip(mine, (*theirs, *other.columns()), strict=True)
        return type(self)(self.step_ms, *(np.concatenate(pair) for pair in pairs))  # type: ignore[arg-type]  # types differ by column

    def sound(self) -> Self:
        """Return the steps that can be: covered for no longer than they last, with their bounds in order.

        Another one is a fault of ours; it is left out, and holds up nothing else.
        """
        is_covered = (self.covered_ms > 0) & (self.covered_ms <= self.step_ms) & (self.low <= self.high)
        is_sound = is_covered | (self.covered_ms == 0)
        if is_sound.all():
            return self
        _log.error("means that cannot be are left out", steps=int((~is_sound).sum()), step_ms=self.step_ms)
        return self.take(is_sound)

    def columns(self) -> tuple[IntArray | FloatArray, ...]:
        """Return what is known of each step."""
        return (self.covered_ms, self.total, self.low, self.high, self.last, self.count)


def good_values(batch: Batch) -> FloatArray:
    """Return the values that are good; NaN for those that are not."""
    return np.where((batch.quality == Quality.GOOD) & np.isfinite(batch.value), batch.value, np.nan)


def means_of(batch: Batch, hold: int, span: tuple[int, int], step_ms: int) -> Means:
    """Return the means of one point over steps of a span, of those that anything of is known.

    Args:
        batch: Its readings in order of time, from `hold` before the span on.
        hold: How long a value stands [ms].
        span: Start and end [ms].
        step_ms: Length of a step [ms]; steps are counted from the start.
    """
    start, end = span
    value = good_values(batch)
    until = np.minimum(np.append(batch.source_ms[1:], end), batch.source_ms + hold)
    begin, until = np.maximum(batch.source_ms, start) - start, np.minimum(until, end) - start
    zero = np.zeros(len(value), np.int64)
    inside = (batch.source_ms >= start) & ~np.isnan(value)
    found = add_up(
        step_ms, [stood(step_ms, zero, begin, until, value), made(step_ms, zero[inside], begin[inside])]
    )
    found.start_ms[:] += start
    return found


def stood(step_ms: int, point: IntArray, begin: IntArray, until: IntArray, value: FloatArray) -> Means:
    """Return values that stand for a while, cut where steps begin; by point and time as they were."""
    rows = np.flatnonzero((until > begin) & ~np.isnan(value))
    first, last = begin[rows] // step_ms, (until[rows] - 1) // step_ms
    counts = last - first + 1
    ends = np.cumsum(counts)
    step = np.arange(ends[-1] if len(ends) else 0) - np.repeat(ends - counts - first, counts)
    rows = np.repeat(rows, counts)
    start, held = step * step_ms, value[rows]
    covered = np.minimum(until[rows], start + step_ms) - np.maximum(begin[rows], start)
    zero = np.zeros(len(rows), np.int64)
    return Means(step_ms, point[rows], start, covered, covered / step_ms * held, held, held, held, zero)


def made(step_ms: int, point: IntArray, time_ms: IntArray) -> Means:
    """Return good readings as such, whatever they say."""
    new = np.flatnonzero(is_new(point, time_ms // step_ms))
    count = np.diff(new, append=len(point))
    zero, none = np.zeros(len(new), np.int64), np.full(len(new), np.inf)
    start = time_ms[new] // step_ms * step_ms
    return Means(step_ms, point[new], start, zero, zero.astype(float), none, -none, none * np.nan, count)


def add_up(step_ms: int, parts: Iterable[Means]) -> Means:
    """Return parts added up by point and step; of values that stood in one, the last part's is the last."""
    tables = list(parts)
    point = np.concatenate([table.point for table in tables])
    start = np.concatenate([table.start_ms for table in tables])
    columns = [np.concatenate(column) for column in zip(*(t.columns() for t in tables), strict=True)]
    order = np.lexsort((start, point))
    point, start = point[order], start[order]
    covered, total, low, high, last, count = (column[order] for column in columns)
    new = np.flatnonzero(is_new(point, start))
    # What stood last: the last row of each group in which anything did.
    known = np.maximum.accumulate(np.where(np.isnan(last), -1, np.arange(len(last))))
    final = known[np.append(new[1:], len(point)) - 1] if len(new) else new
    return Means(
        step_ms,
        point[new],
        start[new],
        np.add.reduceat(covered, new) if len(new) else covered,
        np.add.reduceat(total, new) if len(new) else total,
        np.minimum.reduceat(low, new) if len(new) else low,
        np.maximum.reduceat(high, new) if len(new) else high,
        np.where(final >= new, last[final], np.nan),
        np.add.reduceat(count, new) if len(new) else count,
    )


def nothing(count: int) -> dict[str, NDArray[Any]]:
    """Return the columns of steps without any reading yet, by name."""
    return {
        "covered_ms": np.zeros(count, np.int64),
        "total": np.zeros(count),
        "low": np.full(count, np.inf),
        "high": np.full(count, -np.inf),
        "last": np.full(count, np.nan),
        "count": np.zeros(count, np.int64),
    }


def empty(step_ms: int) -> Means:
    """Return the means of no step."""
    none = np.empty(0, np.int64)
    return Means(step_ms, none, none, *(column for column in nothing(0).values()))


def kept_means(
    step_ms: int,
    start_ms: IntArray,
    mean: FloatArray,
    covered_ms: IntArray,
    range_: tuple[FloatArray, FloatArray],
) -> Means:
    """Return means of one point as they are kept, to go on with.

    Args:
        step_ms: Length of a step [ms].
        start_ms: When each step begins [ms].
        mean: Its mean; NaN where nothing stood.
        covered_ms: How much of it is covered [ms].
        range_: The lowest and the highest value that stood in it; NaN where none did.
    """
    zero = np.zeros(len(start_ms), np.int64)
    total = np.where(covered_ms > 0, mean * (covered_ms / step_ms), 0.0)
    low = np.where(covered_ms > 0, range_[0], np.inf)
    high = np.where(covered_ms > 0, range_[1], -np.inf)
    return Means(step_ms, zero, start_ms, covered_ms, total, low, high, np.full(len(zero), np.nan), zero)


Ask = Callable[[tuple[int, int]], Batch]
"""Gives the readings of a point in a span, in order of time."""
AskMeans = Callable[[int, tuple[int, int]], Means]
"""Gives the means that are kept of a point, by the length of the step and the span."""


def means_over(ask: Ask, kept: AskMeans, hold: int, span: tuple[int, int], step_ms: int) -> Means:
    """Return means over a span: of means that are kept where the steps are made of such, else of readings.

    The last step that is kept may have got more readings since: it and all after it are made of readings,
    where these are still there.

    Args:
        ask: Gives readings.
        kept: Gives means.
        hold: How long a value stands [ms].
        span: Start, a multiple of the step, and end [ms].
        step_ms: Length of a step [ms].
    """
    start, end = span
    grain = max((g for g in STEPS_MS if step_ms % g == 0 and start % g == 0), default=0)
    if not grain or start >= end:
        return _measured(ask, hold, span, step_ms)
    found = kept(grain, (start, end))
    border = int(found.start_ms.max()) if len(found) else start
    rest = _measured(ask, hold, (border, end), grain)
    covered = int(rest.covered_ms[rest.start_ms == border].sum())
    is_kept = border + grain <= end and bool(np.any(found.covered_ms[found.start_ms == border] > covered))
    found = found.take(found.start_ms < border + is_kept)
    rest = rest.take(rest.start_ms >= border + is_kept)
    both = found.followed_by(rest)
    longer = replace(
        both,
        step_ms=step_ms,
        start_ms=(both.start_ms - start) // step_ms * step_ms + start,
        total=both.total * (grain / step_ms),
    )
    means = add_up(step_ms, [longer])
    return means.take(means.covered_ms > 0)


def _measured(ask: Ask, hold: int, span: tuple[int, int], step_ms: int) -> Means:
    if span[0] >= span[1]:
        return empty(step_ms)
    found = means_of(ask((span[0] - hold, span[1])), hold, span, step_ms)
    return found.take(found.covered_ms > 0)
