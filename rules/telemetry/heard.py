"""What was heard of every point and by every stream, as readings arrive and streams break.

Two times count. A value is dated by its source, as far as that can be true: nothing is measured after it
arrives, so what is stamped in the future is dated by its arrival and outranks nothing that comes later, and a
clock that is always off is put right (`rules.telemetry.clocks`). Silence is told by arrivals alone: who
speaks late is late, not silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facility.readings import Batch, BoolArray, Flag, IntArray, Quality
from rules.columns import named
from rules.draw.summation_plan import Index
from rules.telemetry.clocks import Clocks
from rules.telemetry.columns import FIRST_PLACES, PointState, Terms
from rules.telemetry.liveness import LEAST_GAP_MS, NEVER, Streams


@dataclass(frozen=True, slots=True)
class _Dated:
    """Whose readings are and when they were; arrays of shape (readings,).

    Attributes:
        point: Their points, as numpy indexes with them: anything else it converts each time.
        stamped: When their source says that they were measured [ms], or their arrival where that was before.
        measured: When they were measured, as far as the source's clock is known [ms].
        heard: When they were heard [ms].
    """

    point: Index
    stamped: IntArray
    measured: IntArray
    heard: IntArray

    def take(self, rows: Index | BoolArray) -> _Dated:
        """Return the same of some readings."""
        return _Dated(self.point[rows], self.stamped[rows], self.measured[rows], self.heard[rows])


class Heard:
    """What was heard of every point.

    Args:
        lateness_ms: How long a tick waits for readings on their way [ms].

    Attributes:
        points: What was last said of each point.
        terms: Until when that holds; what is heard makes it stale.
        streams: What was heard of each stream.
        clocks: How far what each clock stamps is off.
        conflict_until_ms: Up to when any point is in doubt because it said two values of one time [ms].
    """

    def __init__(self, lateness_ms: int) -> None:
        self._lateness_ms = lateness_ms
        self.points = PointState(FIRST_PLACES)
        self.terms = Terms(FIRST_PLACES)
        self.streams = Streams()
        self.clocks = Clocks(lateness_ms)
        self.conflict_until_ms = NEVER

    def grow(self, places: int) -> None:
        """Make room for at least so many points."""
        self.points.grow(places)
        self.terms.grow(places)

    def hear(self, batch: Batch, *, is_backlog: bool = False) -> None:
        """Take in readings, in the order in which they came.

        Args:
            batch: Readings of points that were added.
            is_backlog: Whether the broker kept them while we were away: then the source's time counts.
        """
        refused = batch.quality == Quality.REFUSED
        readings = batch.take(~refused) if refused.any() else batch
        if len(readings):
            dated = self._date(readings, is_backlog=is_backlog)
            self._hear_streams(readings, dated)
            self._hear(readings, dated)
        if len(readings) < len(batch):
            self._doubt(batch, refused, is_backlog=is_backlog)

    def _date(self, batch: Batch, *, is_backlog: bool) -> _Dated:
        """Return when readings were stamped, measured and heard; learn whose clocks are off by how much."""
        point: Index = batch.point.astype(np.intp)
        self.terms.is_stale[point] = True
        clock, source, received = self.points.clock[point], batch.source_ms, batch.received_ms
        ahead = self.clocks.ahead_ms(clock)
        # When something came that was kept for us, or for anybody, says nothing of a clock.
        is_kept = np.ones(len(point), np.bool_) if is_backlog else (batch.flags & Flag.RETAINED) != 0
        has_kept = is_kept.any()
        if not has_kept:
            self.clocks.hear(clock, received - source, received)
        elif not is_kept.all():
            is_live = ~is_kept
            self.clocks.hear(clock[is_live], (received - source)[is_live], received[is_live])
        measured = np.minimum(source - ahead + self.clocks.behind_ms(clock), received)
        return _Dated(
            point=point,
            stamped=np.minimum(source, received),
            measured=measured,
            heard=np.where(is_kept, measured, received) if has_kept else received,
        )

    def _hear(self, batch: Batch, dated: _Dated) -> None:
        points = self.points
        self._learn_habits(dated.point, dated.stamped)
        point = dated.point
        points.heard_ms[point] = np.maximum(points.heard_ms[point], dated.heard)
        # Within a batch the newest of a point is last after a stable sort by time, and numpy keeps the last
        # of several values assigned to one place.
        if (dated.stamped[1:] < dated.stamped[:-1]).any():
            rows = np.argsort(dated.stamped, kind="stable")
            batch, dated = batch.take(rows), dated.take(rows)
            point = dated.point
        is_newest = dated.stamped >= points.stamped_ms[point]
        if not is_newest.all():
            rows = np.flatnonzero(is_newest)
            batch, dated = batch.take(rows), dated.take(rows)
            point = dated.point
        # A value that was received before one that was refused does not take the doubt away.
        quality, in_doubt = batch.quality, batch.received_ms < points.doubted_ms[point]
        if in_doubt.any():
            quality = np.where(in_doubt, np.uint8(Quality.REFUSED), quality)
        points.stamped_ms[point] = dated.stamped
        points.measured_ms[point] = dated.measured
        points.quality[point] = quality
        points.at_most_once[point] = (batch.flags & Flag.AT_MOST_ONCE) != 0
        points.is_retained[point] = (batch.flags & Flag.RETAINED) != 0
        # What a gap lacks says nothing of a periodic source: each value that is there holds for its period.
        broken = np.flatnonzero(~points.heard_since_break[point])
        if len(broken):
            again = point[broken]
            is_after = dated.measured[broken] > points.gap_until_ms[again]
            points.heard_since_break[again] = points.is_periodic[again] | is_after
        valued = ~np.isnan(batch.value)
        points.value[point[valued]] = batch.value[valued]
        good = batch.quality == Quality.GOOD
        if not good.all():
            # Out of its rating's range on either side: whichever it is, the rating bounds nothing then.
            points.beyond_rating[point[quality == Quality.IMPLAUSIBLE]] = True
            batch, dated = batch.take(good), dated.take(good)
            point = dated.point
        points.beyond_rating[point] = False
        points.trusted_ms[point] = np.maximum(points.trusted_ms[point], dated.heard)
        is_power = points.is_power[point]
        points.power[point[is_power]] = np.rint(batch.value[is_power] * 1e6).astype(np.int64)

    def _hear_streams(self, batch: Batch, dated: _Dated) -> None:
        """Note which publishers spoke; what the broker retained for anybody is no sign of life."""
        points = self.points
        is_retained = (batch.flags & Flag.RETAINED) != 0
        if is_retained.any():
            dated = dated.take(~is_retained)
            if not len(dated.point):
                return
        point, measured, heard = dated.point, dated.measured, dated.heard
        is_late = heard - measured > max(self._lateness_ms, LEAST_GAP_MS)
        back, risen = self.streams.hear(
            points.stream[point], measured, heard, is_late, points.is_heartbeat[point]
        )
        if len(back):
            # What it sent at most once meanwhile is gone: each of its points must be heard again.
            gone = np.isin(points.stream, back) & points.at_most_once
            gone |= np.isin(points.stream, risen)
            gone &= ~points.is_periodic
            points.heard_since_break[gone] = False
            self.terms.is_stale |= gone

    def _learn_habits(self, point: Index, stamped: IntArray) -> None:
        """Note how long points pause between two readings.

        What was longer than a periodic source may be late was a loss; and what was missed while the stream
        was not sure, or before the first reading, is not known. None of these is a habit.
        """
        points = self.points
        judged = points.is_judged[point]
        if not judged.all():
            point, stamped = point[judged], stamped[judged]
        if (point[1:] <= point[:-1]).any():
            order = np.lexsort((stamped, point))
            point, stamped = point[order], stamped[order]
        # What was refused was said all the same.
        before = np.maximum(points.stamped_ms[point], points.doubted_ms[point])
        again = np.flatnonzero(point[1:] == point[:-1]) + 1
        before[again] = stamped[again - 1]
        gap = stamped - before
        longer = np.flatnonzero(gap > points.gap_ms[point])
        point, before, gap = point[longer], before[longer], gap[longer]
        is_loss = (before == NEVER) | (before < self.streams.unsure_ms[points.stream[point]])
        is_habit = ~np.where(points.is_periodic[point], gap > points.certain_ms[point], is_loss)
        habitual = point[is_habit]
        np.maximum.at(points.gap_ms, habitual, gap[is_habit])
        # How long a value stands is a habit of periodic points alone.
        self.terms.is_habit_stale[habitual[points.is_periodic[habitual]]] = True

    def _doubt(self, batch: Batch, refused: BoolArray, *, is_backlog: bool) -> None:
        """Note values that were refused, unless a good one of the point came after them."""
        points = self.points
        self.terms.is_stale[batch.point[refused]] = True
        # Whoever sends what is refused lives all the same.
        lives = refused & ((batch.flags & Flag.RETAINED) == 0)
        heard = batch.received_ms
        if is_backlog:
            clock = points.clock[batch.point]
            behind = self.clocks.behind_ms(clock) - self.clocks.ahead_ms(clock)
            heard = np.minimum(batch.source_ms + behind, heard)
        self.streams.notice(
            points.stream[batch.point[lives]], heard[lives], points.is_heartbeat[batch.point[lives]]
        )
        np.maximum.at(points.heard_ms, batch.point[refused], heard[refused])
        # What was refused keeps its stamp: it tells of the clock, unless it was kept for us.
        lag = batch.received_ms - batch.source_ms
        off = lives & (lag != 0)
        if off.any() and not is_backlog:
            self.clocks.hear(points.clock[batch.point[off]], lag[off], batch.received_ms[off])
        alike = refused & ((batch.flags & Flag.CONFLICT) != 0)
        if alike.any():
            conflicting = batch.point[alike]
            np.maximum.at(points.conflict_ms, conflicting, batch.received_ms[alike])
            lasts_ms = int((points.conflict_ms[conflicting] + points.fresh_ms[conflicting]).max())
            self.conflict_until_ms = max(self.conflict_until_ms, lasts_ms)
        for row in np.flatnonzero(refused):
            point = batch.point[row]
            later = (batch.point[row + 1 :] == point) & ~refused[row + 1 :]
            if not later.any():
                points.quality[point] = Quality.REFUSED
                points.doubted_ms[point] = batch.received_ms[row]

    def break_stream(self, scope: str, *, is_lossless: bool, until_ms: int = NEVER) -> None:
        """Note that part of a stream, or of all those of a broker, was not received.

        Args:
            scope: The stream, or the broker.
            is_lossless: Whether what is published at least once is whole nevertheless.
            until_ms: Up to when it may lack something [ms]: what was measured by then and comes late does
                not count as heard again.
        """
        points = self.points
        touched = np.isin(points.stream, self.streams.within(scope))
        if is_lossless:
            touched &= points.at_most_once
        points.heard_since_break[touched] = False
        points.gap_until_ms[touched] = np.maximum(points.gap_until_ms[touched], until_ms)
        self.terms.is_stale |= touched

    def listen_anew(self, scope: str, at_ms: int = NEVER) -> None:
        """Note that what publishers promise counts from a moment on: what was missed before was our loss.

        It concerns streams of which a value must be heard again: their heartbeats may be lost with the rest.

        Args:
            scope: The stream, or the broker.
            at_ms: The moment [ms]; `NEVER` where it is still to come.
        """
        points = self.points
        lacks = ~points.heard_since_break & (points.heard_ms != NEVER)
        streams = np.intersect1d(points.stream[lacks], self.streams.within(scope))
        self.streams.listen_anew(streams, at_ms)
        self.terms.is_stale |= np.isin(points.stream, streams)

    def connect(self, scope: str, *, is_connected: bool, at_ms: int = NEVER) -> None:
        """Note that a broker or a stream is connected, or since when it is not [ms]."""
        self.streams.connect(scope, is_connected=is_connected, at_ms=at_ms)
        if is_connected:
            self.terms.is_stale |= np.isin(self.points.stream, self.streams.within(scope))

    def resume(self, scope: str) -> None:
        """Note that a collector goes on with a broker's session, of which nothing at least once is lost."""
        self.streams.resume(scope)

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything as arrays and as plain values."""
        clocks, clock_values = self.clocks.save()
        arrays = self.points.save() | {f"clock.{name}": column for name, column in clocks.items()}
        return arrays, self.streams.save() | {"clocks": clock_values}

    def load(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take in what `save` returned."""
        self.points = points = PointState.load(arrays)
        points.is_judged |= points.is_watched
        self.streams.load(values)
        self.clocks.load(named("clock.", arrays), values["clocks"])
        self.terms = Terms(len(points))
        self.terms.channel = 2 * points.stream + points.is_periodic
        self.conflict_until_ms = int((points.conflict_ms + points.fresh_ms).max(initial=NEVER))
