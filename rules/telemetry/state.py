"""What is known of every point: its last value, when that was measured, and whether it still holds.

Two times count. A value is dated by its source, as far as that can be true: nothing is measured after it
arrives, so what is stamped in the future is dated by its arrival and outranks nothing that comes later, and a
clock that is always off is put right (`rules.telemetry.clocks`). Silence is told by arrivals alone: who
speaks late is late, not silent.

A value is *certain* while it is the value now, and *fresh* while its point counts as heard:

- a source that publishes on change is fresh while its broker is connected, its publisher is alive and
  something of it arrived within its repeat time and a tenth; its value is certain while, besides, its stream
  is sure: what it said last came in time, and so lately that a change would have come
  (`rules.telemetry.liveness`). Once it is not, the value stays certain for as long as the point itself
  usually lets pass between two values: who speaks every minute is not missed after a second;
- a periodic source is fresh for three periods and at least 5 s; its value is certain until the next is due,
  which its own habit tells: a period, and as much more as it usually pauses, at most its jitter. However long
  a reading is on its way, it says nothing of what was measured since.

After a break in a stream of quality of service 0, and after the silence of a publisher, a value is not
certain until it is heard again. Where two values were stamped alike, none is for as long as a point counts as
heard.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facility.points import Cadence, Point
from facility.readings import Batch, BoolArray, Flag, FloatArray, IntArray, Quality
from facility.units import Dimension
from rules.columns import named
from rules.draw.draw import Known
from rules.draw.summation_plan import Index
from rules.telemetry.cause import Cause
from rules.telemetry.clocks import EVERY, REFUSED_MS, Clocks
from rules.telemetry.columns import FIRST_PLACES, PointState, Terms
from rules.telemetry.liveness import LEAST_GAP_MS, NEVER, SEASON_MS, Stream, Streams, broker_of
from rules.view import MONITOR, PublisherView

REPEAT_MARGIN: Final = 1.1
"""How much later than promised a repeated value may come: 110 s for the 100 s of the DSX bus (our choice)."""
MISSED_PERIODS: Final = 3
LEAST_FRESH_MS: Final = 5_000


@dataclass(frozen=True, slots=True)
class Timing:
    """When the points of a broker are published.

    Attributes:
        repeat_ms: How often an unchanged value is repeated [ms].
        heartbeat_ms: How often a heartbeat comes [ms].
        period_ms: How often a periodic source publishes [ms].
        certain_ms: How long a periodic value stands for the power now, at most [ms].
    """

    repeat_ms: int
    heartbeat_ms: int
    period_ms: int
    certain_ms: int


CLOCK_MS: Final = 120_000
"""How long what a clock stamped tells whether it is off; half as long that it was ahead (our choice)."""
NOTHING: Final = np.zeros(0, np.bool_)

GONE: Final = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=1_000, certain_ms=1_000)
"""Of a broker that the site file names no longer: its points are only ever silent."""


def _patience_ms(timing: Timing) -> int:
    """Return after how long every point of a broker must have spoken [ms]."""
    return max(round(timing.repeat_ms * REPEAT_MARGIN), MISSED_PERIODS * timing.period_ms, LEAST_FRESH_MS)


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


@dataclass(frozen=True, slots=True)
class _Life:
    """What streams are worth at one moment; arrays of shape (channels,).

    Attributes:
        alive: Whether nothing is missed that the publisher promised.
        speaks: Whether silence is news: of a periodic point where its stream is alive, else where it is sure.
        may_speak: Whether the stream is talking and not sure, so that a point's own habit decides.
        has_doubt: Whether there is any such.
        connected: Whether we are connected to the broker of each stream, shape (streams,).
        is_whole: Whether every channel of a judged point is alive, and its silence news.
    """

    alive: BoolArray
    speaks: BoolArray
    may_speak: BoolArray
    has_doubt: bool
    connected: BoolArray
    is_whole: bool


@dataclass(frozen=True, slots=True)
class _Clocked:
    """The points by which clocks are told; arrays of shape (points,) if not said otherwise.

    Attributes:
        points: The points that a draw may be summed of, and heartbeats.
        streams: The stream that each comes by.
        clocks: Whose clock stamps each.
        publishers: These streams, each once, shape (publishers,).
        last_of: The clock of the last of the points of each stream, shape (streams up to the last of them,).
    """

    points: Index
    streams: Index
    clocks: Index
    publishers: Index
    last_of: Index


def _clocked(points: PointState) -> _Clocked:
    rows = np.flatnonzero(points.is_watched | points.is_heartbeat)
    stream, clock = points.stream[rows], points.clock[rows]
    last_of = np.zeros(stream.max(initial=-1) + 1, np.intp)
    last_of[stream] = clock
    return _Clocked(rows, stream, clock, np.unique(stream), last_of)


@dataclass(frozen=True, slots=True)
class Values:
    """What is known of some points at a moment; arrays of their shape.

    Attributes:
        value: The last value [canonical unit], NaN where there was none.
        is_certain: Whether that is the value now.
        is_fresh: Whether the point counts as heard.
        measured_ms: When the value was measured [ms], `NEVER` where it never was.
        cause: `Cause` codes: why the value is not known, int8.
    """

    value: FloatArray
    is_certain: BoolArray
    is_fresh: BoolArray
    measured_ms: IntArray
    cause: NDArray[np.int8]


class Knowledge:
    """What is known of every point.

    Args:
        timings: When points are published, by the broker's name.
        lateness_ms: How long a tick waits for readings on their way [ms].
    """

    def __init__(self, timings: Mapping[str, Timing], lateness_ms: int = 0) -> None:
        self._timings = timings
        self._lateness_ms = lateness_ms
        self._points = PointState(FIRST_PLACES)
        self._terms = Terms(FIRST_PLACES)
        self._streams = Streams()
        self._life = _Life(NOTHING, NOTHING, NOTHING, has_doubt=False, connected=NOTHING, is_whole=False)
        self._conflict_until_ms = NEVER
        self._clocks = Clocks(lateness_ms)
        self._clock_count = 0
        self._season_ms = NEVER
        self._watched: Index | None = None
        self._unheard: Index | None = None
        self._judged_channels: Index | None = None
        self._clocked: _Clocked | None = None
        self._watched_streams: Index | None = None

    def anew(self) -> Knowledge:
        """Return what knows of the same connections, and of nothing that comes by them."""
        knowledge = Knowledge(self._timings, self._lateness_ms)
        for scope, is_connected in self._streams.connected.items():
            knowledge.connect(scope, is_connected=is_connected)
        return knowledge

    # What becomes known ---------------------------------------------------------------

    def add(self, number: int, point: Point, *, is_judged: bool = False) -> None:
        """Take in a point, or what became known better of it.

        Args:
            number: Its number.
            point: What it is.
            is_judged: Whether a rule judges its value.
        """
        self.add_all({number: point}, {number} if is_judged else set())

    def add_all(self, points: Mapping[int, Point], judged: Container[int]) -> None:
        """Take in points, or what became known better of them.

        Args:
            points: What they are, by number.
            judged: Numbers of those whose values a rule judges.
        """
        if not points:
            return
        places = max(points) + 1
        self._points.grow(places)
        self._terms.grow(places)
        alike: dict[tuple[object, ...], list[int]] = {}
        for number, point in points.items():
            kind = point.stream, point.quantity, point.cadence, point.is_boundary, number in judged
            alike.setdefault(kind, []).append(number)
        for numbers in alike.values():
            first = numbers[0]
            self._add(np.array(numbers, np.intp), points[first], is_judged=first in judged)
        self._watched = self._unheard = self._watched_streams = self._clocked = self._judged_channels = None

    def _add(self, numbers: Index, point: Point, *, is_judged: bool) -> None:
        """Take in points of one stream, quantity and cadence, as this one of them is."""
        points, stream = self._points, self._stream(point.stream)
        timing = self._timings.get(stream.broker, GONE)
        points.stream[numbers] = stream.place
        is_boundary, is_periodic = point.is_boundary, point.cadence is Cadence.PERIODIC
        points.is_power[numbers] = point.measures.dimension is Dimension.POWER
        points.is_watched[numbers] = is_boundary
        points.is_judged[numbers] = is_boundary or is_judged
        points.is_heartbeat[numbers] = point.is_heartbeat
        points.is_periodic[numbers] = is_periodic
        self._give_clocks(numbers, stream, is_periodic=is_periodic)
        if is_periodic:
            fresh_ms = max(MISSED_PERIODS * timing.period_ms, LEAST_FRESH_MS)
            points.fresh_ms[numbers] = fresh_ms
            points.certain_ms[numbers] = timing.certain_ms
            points.period_ms[numbers] = min(timing.period_ms, timing.certain_ms)
            self._streams.set_patience(stream, fresh_ms)
        else:
            repeat_ms = round(timing.repeat_ms * REPEAT_MARGIN)
            points.fresh_ms[numbers] = points.certain_ms[numbers] = repeat_ms
        if point.is_heartbeat:
            self._streams.set_heartbeat(stream)
        self._terms.channel[numbers] = 2 * stream.place + is_periodic
        self._terms.is_stale[numbers] = self._terms.is_habit_stale[numbers] = True

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

    def _set_terms(self) -> None:
        """Reckon until when what is known of judged points holds, of those where that may have changed."""
        points, terms = self._points, self._terms
        habits = np.flatnonzero(terms.is_habit_stale & points.is_judged)
        if len(habits):
            terms.is_habit_stale[:] = False
            # How long after a periodic reading the next may come.
            pause = np.maximum(points.gap_ms[habits], points.gap_before_ms[habits])
            pause = np.maximum(pause, points.period_ms[habits])
            terms.lasts_ms[habits] = np.where(points.is_periodic[habits], pause, points.certain_ms[habits])
        point = np.flatnonzero(terms.is_stale & points.is_judged)
        if not len(point):
            return
        terms.is_stale[:] = False
        good = points.quality[point] == Quality.GOOD
        # What was heard of a point before a break is no measure of its silence.
        since = np.maximum(points.heard_ms[point], self._streams.listening_ms[points.stream[point]])
        since += points.fresh_ms[point]
        terms.fresh_until_ms[point] = np.where(good, since, NEVER)
        good &= points.heard_since_break[point]
        until = points.measured_ms[point] + terms.lasts_ms[point]
        terms.certain_until_ms[point] = np.where(good, until, NEVER)

    def _give_clocks(self, numbers: Index, stream: Stream, *, is_periodic: bool) -> None:
        """Say whose clocks stamp points: each its own where they are periodic, else that of their stream."""
        clock = self._points.clock
        new = numbers[clock[numbers] < 0] if is_periodic else numbers[:0]
        if is_periodic:
            clock[new] = self._clock_count + np.arange(len(new))
        elif stream.clock < 0:
            new, stream.clock = numbers[:1], self._clock_count
        self._clock_count += len(new)
        self._clocks.grow(self._clock_count)
        if not is_periodic:
            clock[numbers] = stream.clock

    def _date(self, batch: Batch, *, is_backlog: bool) -> _Dated:
        """Return when readings were stamped, measured and heard; learn whose clocks are off by how much."""
        point: Index = batch.point.astype(np.intp)
        self._terms.is_stale[point] = True
        clock, source, received = self._points.clock[point], batch.source_ms, batch.received_ms
        ahead = self._clocks.ahead_ms(clock)
        # When something came that was kept for us, or for anybody, says nothing of a clock.
        is_kept = np.ones(len(point), np.bool_) if is_backlog else (batch.flags & Flag.RETAINED) != 0
        has_kept = is_kept.any()
        if not has_kept:
            self._clocks.hear(clock, received - source, received)
        elif not is_kept.all():
            is_live = ~is_kept
            self._clocks.hear(clock[is_live], (received - source)[is_live], received[is_live])
        measured = np.minimum(source - ahead + self._clocks.behind_ms(clock), received)
        return _Dated(
            point=point,
            stamped=np.minimum(source, received),
            measured=measured,
            heard=np.where(is_kept, measured, received) if has_kept else received,
        )

    def _hear(self, batch: Batch, dated: _Dated) -> None:
        points = self._points
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
        points = self._points
        is_retained = (batch.flags & Flag.RETAINED) != 0
        if is_retained.any():
            dated = dated.take(~is_retained)
            if not len(dated.point):
                return
        point, measured, heard = dated.point, dated.measured, dated.heard
        is_late = heard - measured > max(self._lateness_ms, LEAST_GAP_MS)
        back, risen = self._streams.hear(
            points.stream[point], measured, heard, is_late, points.is_heartbeat[point]
        )
        if len(back):
            # What it sent at most once meanwhile is gone: each of its points must be heard again.
            gone = np.isin(points.stream, back) & points.at_most_once
            gone |= np.isin(points.stream, risen)
            gone &= ~points.is_periodic
            points.heard_since_break[gone] = False
            self._terms.is_stale |= gone

    def _learn_habits(self, point: Index, stamped: IntArray) -> None:
        """Note how long points pause between two readings.

        What was longer than a periodic source may be late was a loss; and what was missed while the stream
        was not sure, or before the first reading, is not known. None of these is a habit.
        """
        points = self._points
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
        is_loss = (before == NEVER) | (before < self._streams.unsure_ms[points.stream[point]])
        is_habit = ~np.where(points.is_periodic[point], gap > points.certain_ms[point], is_loss)
        np.maximum.at(points.gap_ms, point[is_habit], gap[is_habit])
        self._terms.is_habit_stale[point[is_habit]] = True

    def _doubt(self, batch: Batch, refused: BoolArray, *, is_backlog: bool) -> None:
        """Note values that were refused, unless a good one of the point came after them."""
        points = self._points
        self._terms.is_stale[batch.point[refused]] = True
        # Whoever sends what is refused lives all the same.
        lives = refused & ((batch.flags & Flag.RETAINED) == 0)
        heard = batch.received_ms
        if is_backlog:
            clock = points.clock[batch.point]
            behind = self._clocks.behind_ms(clock) - self._clocks.ahead_ms(clock)
            heard = np.minimum(batch.source_ms + behind, heard)
        self._streams.notice(
            points.stream[batch.point[lives]], heard[lives], points.is_heartbeat[batch.point[lives]]
        )
        np.maximum.at(points.heard_ms, batch.point[refused], heard[refused])
        # What was refused keeps its stamp: it tells of the clock, unless it was kept for us.
        lag = batch.received_ms - batch.source_ms
        off = lives & (lag != 0)
        if off.any() and not is_backlog:
            self._clocks.hear(points.clock[batch.point[off]], lag[off], batch.received_ms[off])
        alike = refused & ((batch.flags & Flag.CONFLICT) != 0)
        if alike.any():
            conflicting = batch.point[alike]
            np.maximum.at(points.conflict_ms, conflicting, batch.received_ms[alike])
            lasts_ms = int((points.conflict_ms[conflicting] + points.fresh_ms[conflicting]).max())
            self._conflict_until_ms = max(self._conflict_until_ms, lasts_ms)
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
        points = self._points
        touched = np.isin(points.stream, self._streams.within(scope))
        if is_lossless:
            touched &= points.at_most_once
        points.heard_since_break[touched] = False
        points.gap_until_ms[touched] = np.maximum(points.gap_until_ms[touched], until_ms)
        self._terms.is_stale |= touched

    def listen_anew(self, scope: str, at_ms: int = NEVER) -> None:
        """Note that what publishers promise counts from a moment on: what was missed before was our loss.

        It concerns streams of which a value must be heard again: their heartbeats may be lost with the rest.

        Args:
            scope: The stream, or the broker.
            at_ms: The moment [ms]; `NEVER` where it is still to come.
        """
        points = self._points
        lacks = ~points.heard_since_break & (points.heard_ms != NEVER)
        streams = np.intersect1d(points.stream[lacks], self._streams.within(scope))
        self._streams.listen_anew(streams.tolist(), at_ms)
        self._terms.is_stale |= np.isin(points.stream, streams)

    def connect(self, scope: str, *, is_connected: bool, at_ms: int = NEVER) -> None:
        """Note that a broker or a stream is connected, or since when it is not [ms]."""
        self._streams.connect(scope, is_connected=is_connected, at_ms=at_ms)
        if is_connected:
            self._terms.is_stale |= np.isin(self._points.stream, self._streams.within(scope))

    def resume(self, scope: str) -> None:
        """Note that a collector goes on with a broker's session, of which nothing at least once is lost."""
        self._streams.resume(scope)

    # What is known --------------------------------------------------------------------

    def at(self, at_ms: int) -> Known:
        """Return what is known of every point at a moment [ms].

        Only points that a draw may be summed of are looked at; the others count as neither certain nor fresh.
        """
        points = self._points
        self._begin_season(at_ms)
        self._set_terms()
        self._life = self._life_at(at_ms)
        certain, fresh = np.zeros((2, len(points.power)), np.bool_)
        watched = self._watched_points()
        if len(watched):
            certain[watched], fresh[watched] = self._hold(watched, at_ms)
        return Known(
            power=points.power,
            is_certain=certain,
            is_fresh=fresh,
            beyond_rating=points.beyond_rating,
            times=partial(self._times, at_ms),
            arrives=partial(self._arrives, at_ms),
            news=self._news,
            measured_ms=points.measured_ms,
            least=points.power,
            most=points.power,
        )

    def values_at(self, numbers: Index, at_ms: int) -> Values:
        """Return what is known of some judged points, at the moment of the last `at`.

        Args:
            numbers: The points, shape (n,).
            at_ms: The moment [ms].
        """
        points = self._points
        certain, fresh = self._hold(numbers, at_ms)
        cause = np.zeros(len(numbers), np.int8)
        if not certain.all():
            rows = np.flatnonzero(~certain)
            cause[rows] = self.causes_of(numbers[rows], at_ms)
        return Values(points.value[numbers], certain, fresh, points.measured_ms[numbers], cause)

    def _life_at(self, at_ms: int) -> _Life:
        """Return what each channel is worth at a moment [ms]."""
        sure, talking, alive = self._streams.at(at_ms)
        connected = self._streams.is_connected
        if not len(alive):  # a point that is not there has the first stream, which lives no more than it
            sure = talking = alive = connected = np.zeros(1, np.bool_)
        speaks, may_speak = np.zeros((2, 2 * len(alive)), np.bool_)
        # A periodic value needs nothing but its own time; of the others, silence must be news.
        speaks[0::2], speaks[1::2] = talking & sure, alive
        may_speak[0::2] = talking & ~sure
        alive = np.repeat(alive, 2)
        if self._judged_channels is None:
            self._judged_channels = np.unique(self._terms.channel[self._points.is_judged])
        judged = self._judged_channels
        is_whole = bool(alive[judged].all() and speaks[judged].all())
        return _Life(alive, speaks, may_speak, bool(may_speak.any()), connected, is_whole)

    def _hold(self, numbers: Index, at_ms: int) -> tuple[BoolArray, BoolArray]:
        """Return which judged points are certain at a moment, and which are fresh."""
        points, terms, life = self._points, self._terms, self._life
        fresh: BoolArray = at_ms <= terms.fresh_until_ms[numbers]
        certain: BoolArray = at_ms < terms.certain_until_ms[numbers]
        if not life.is_whole:
            channel = terms.channel[numbers]
            fresh &= life.alive[channel]
            may_be = np.flatnonzero(certain & life.may_speak[channel]) if life.has_doubt else ()
            certain &= life.speaks[channel]
            if len(may_be):
                certain[may_be] = self._is_usual(numbers[may_be], points.stream[numbers[may_be]], at_ms)
        if at_ms <= self._conflict_until_ms:
            certain &= at_ms - points.conflict_ms[numbers] > points.fresh_ms[numbers]
        return certain, fresh

    def causes_of(self, numbers: Index, at_ms: int) -> NDArray[np.int8]:
        """Return why judged points that are not certain are not, at the moment of the last `at`.

        Args:
            numbers: The points, shape (n,).
            at_ms: The moment [ms].

        Returns:
            `Cause` codes, shape (n,).
        """
        points, life = self._points, self._life
        channel, quality = self._terms.channel[numbers], points.quality[numbers]
        stream = points.stream[numbers]
        conditions = (
            (Cause.NEVER_HEARD, points.heard_ms[numbers] == NEVER),
            (Cause.DISCONNECTED, ~life.connected[stream]),
            (Cause.PUBLISHER_DEAD, ~life.alive[channel]),
            (Cause.CONFLICT, at_ms - points.conflict_ms[numbers] <= points.fresh_ms[numbers]),
            (Cause.REFUSED, quality == Quality.REFUSED),
            (Cause.IMPLAUSIBLE, quality == Quality.IMPLAUSIBLE),
            (Cause.SOURCE_DOUBTS, quality == Quality.SOURCE_DOUBTS),
            (Cause.NO_VALUE, quality == Quality.NO_VALUE),
            (Cause.RETAINED, points.is_retained[numbers]),
            (Cause.STREAM_BROKEN, ~points.heard_since_break[numbers]),
            (Cause.QUIET, at_ms < self._terms.certain_until_ms[numbers]),
        )
        cause: NDArray[np.int8] = np.select(
            [holds for _, holds in conditions], [int(one) for one, _ in conditions], int(Cause.LATE)
        ).astype(np.int8)
        return cause

    def _arrives(self, at_ms: int) -> BoolArray:
        """Return for each point whether something of it arrived within its patience before a moment [ms]."""
        arrives: BoolArray = at_ms - self._points.heard_ms <= self._points.fresh_ms
        return arrives

    def _news(self) -> tuple[IntArray, BoolArray]:
        """Return when something of each point last arrived [ms], and whether that was to be trusted."""
        return self._points.heard_ms, self._points.quality == Quality.GOOD

    def _times(self, at_ms: int) -> tuple[IntArray, IntArray]:
        """Return when every point was as it is known at a moment, and for how long that lasts [ms].

        What is published on change would have been heard by now, while its stream is sure. Once it is not,
        that a value is still so is a habit: it lasts for no time beside another reading.
        """
        points, watched = self._points, self._watched_points()
        periodic = points.is_periodic[watched]
        as_of_ms, lasts_ms = np.full((2, len(points.power)), at_ms, np.int64)
        as_of_ms[watched] = np.where(periodic, points.measured_ms[watched], at_ms)
        lasts_ms[watched] = self._terms.lasts_ms[watched]
        if not self._life.is_whole:
            lasts_ms[watched[~periodic & ~self._life.speaks[self._terms.channel[watched]]]] = 0
        return as_of_ms, lasts_ms

    def _is_usual(self, watched: Index, stream: Index, at_ms: int) -> BoolArray:
        """Tell which points usually say nothing for as long as their stream is silent now."""
        points, said = self._points, self._streams.said_ms[stream]
        habit = np.maximum(points.gap_ms[watched], points.gap_before_ms[watched])
        usual: BoolArray = at_ms - said < np.maximum(habit, said - points.measured_ms[watched])
        return usual & ~self._streams.is_late[stream]

    def _begin_season(self, at_ms: int) -> None:
        points = self._points
        self._clocks.begin_season(at_ms)
        if at_ms - self._season_ms < SEASON_MS:
            return
        self._season_ms = at_ms
        points.gap_before_ms, points.gap_ms = points.gap_ms, np.zeros_like(points.gap_ms)
        self._terms.is_stale[:] = self._terms.is_habit_stale[:] = True

    def _watched_points(self) -> Index:
        if self._watched is None:
            self._watched = np.flatnonzero(self._points.is_watched)
        return self._watched

    def last_values(self, numbers: IntArray, at_ms: int) -> FloatArray:
        """Return the last values of some points [canonical units], NaN where they do not count as heard.

        Args:
            numbers: Which points, judged or not.
            at_ms: The moment [ms].
        """
        points = self._points
        is_fresh = points.quality[numbers] == Quality.GOOD
        is_fresh &= at_ms - points.trusted_ms[numbers] <= points.fresh_ms[numbers]
        return np.where(is_fresh, points.value[numbers], np.nan)

    def publishers(self, at_ms: int, own_step_ms: int) -> PublisherView:
        """Return the clock of every publisher of which a draw may be summed, or that beats.

        Args:
            at_ms: The moment [ms].
            own_step_ms: By how much our own clock was set lately [ms].
        """
        if self._clocked is None:
            self._clocked = _clocked(self._points)
        points, clocked = self._points, self._clocked
        rows, stream, clock = clocked.points, clocked.streams, clocked.clocks
        lead, lag = self._offsets(EVERY, at_ms)
        offset = np.where(lead >= lag, lead, -lag)
        # Of several clocks of a publisher the worst is told: the last one put in its place stays.
        worst_of = clocked.last_of.copy()
        if offset.any():
            own = offset[clock]
            is_off = np.flatnonzero(own)
            order = is_off[np.lexsort((own[is_off], np.abs(own[is_off])))]
            worst_of[stream[order]] = clock[order]
        worst = worst_of[clocked.publishers]
        alike = np.zeros(self.stream_count, np.bool_)
        if at_ms <= self._conflict_until_ms:
            alike[stream[at_ms - points.conflict_ms[rows] <= points.fresh_ms[rows]]] = True
        names = self._streams.names
        return PublisherView(
            ids=(MONITOR, *(names[place] for place in clocked.publishers.tolist())),
            offset_ms=np.append(own_step_ms, offset[worst]),
            jumped_ms=np.append(0, self._clocks.jumped_ms(worst, at_ms)),
            drift_ppm=np.append(0, self._clocks.drift_ppm(worst)),
            is_watched=np.append(False, self._clocks.is_watched(worst)),
            says_two=np.append(False, alike[clocked.publishers]),
        )

    def _offsets(self, clock: Index | slice, at_ms: int) -> tuple[IntArray, IntArray]:
        """Return how far clocks are ahead and how far behind [ms], 0 for those not heard lately."""
        heard = self._clocks.is_heard(clock, at_ms - CLOCK_MS)
        ahead = self._clocks.last_ahead_ms(clock, at_ms - CLOCK_MS // 2)
        return np.where(heard, ahead, 0), np.where(heard, self._clocks.behind_ms(clock), 0)

    def is_misdated(self, numbers: IntArray, at_ms: int) -> BoolArray:
        """Tell of which points values come lately, and are refused or doubted for their stamps."""
        misdated: BoolArray = self._points.quality[numbers] == Quality.REFUSED
        rows = np.flatnonzero(misdated)
        if len(rows):
            ahead, behind = self._offsets(self._points.clock[numbers[rows]], at_ms)
            misdated[rows] = np.maximum(ahead, behind) > REFUSED_MS
        return misdated

    @property
    def trusted_ms(self) -> IntArray:
        """When each point was last heard with a value to be trusted [ms], `NEVER` where it never was."""
        return self._points.trusted_ms

    @property
    def heard_ms(self) -> IntArray:
        """When something of each point last arrived [ms], `NEVER` where nothing ever did."""
        return self._points.heard_ms

    @property
    def has_unheard(self) -> bool:
        """Whether any point that a draw may be summed of was never heard with a value to be trusted."""
        if self._unheard is None:
            self._unheard = self._watched_points()
        self._unheard = self._unheard[self._points.trusted_ms[self._unheard] == NEVER]
        return len(self._unheard) > 0

    @property
    def is_watched(self) -> BoolArray:
        """Of which points a draw may be summed, shape (points,)."""
        return self._points.is_watched

    @property
    def is_heartbeat(self) -> BoolArray:
        """Which points are heartbeats, shape (points,)."""
        return self._points.is_heartbeat

    @property
    def stream_of(self) -> Index:
        """The stream that each point comes by, shape (points,)."""
        return self._points.stream

    @property
    def clock_of(self) -> Index:
        """Whose clock stamps each point, shape (points,)."""
        return self._points.clock

    @property
    def clock_count(self) -> int:
        """How many clocks there are."""
        return self._clock_count

    @property
    def stream_count(self) -> int:
        """How many streams there are."""
        return len(self._streams.said_ms)

    @property
    def watched_streams(self) -> Index:
        """The streams by which a point comes that a draw may be summed of."""
        if self._watched_streams is None:
            self._watched_streams = np.unique(self._points.stream[self._watched_points()])
        return self._watched_streams

    def streams_within(self, *scopes: str) -> list[int]:
        """Return the streams within scopes: each a stream, a broker with all of its streams, or every one."""
        return [place for scope in scopes for place in self._streams.within(scope)]

    @property
    def patience_ms(self) -> IntArray:
        """How long each point may say nothing before it is silent [ms]."""
        return self._points.fresh_ms

    @property
    def longest_patience_ms(self) -> int:
        """How long a point of which nothing is known yet may say nothing before it is silent [ms]."""
        return max((_patience_ms(timing) for timing in self._timings.values()), default=LEAST_FRESH_MS)

    def _stream(self, name: str) -> Stream:
        timing = self._timings.get(broker_of(name), GONE)
        return self._streams.get(
            name,
            heartbeat_period_ms=timing.heartbeat_ms,
            repeat_ms=round(timing.repeat_ms * REPEAT_MARGIN),
        )

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything as arrays and as plain values."""
        clocks, clock_values = self._clocks.save()
        arrays = self._points.save() | {f"clock.{name}": column for name, column in clocks.items()}
        values = {"season_ms": self._season_ms, "clocks": clock_values, "clock_count": self._clock_count}
        return arrays, self._streams.save() | values

    def load(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take in what `save` returned."""
        self._points = PointState.load(arrays)
        self._points.is_judged |= self._points.is_watched
        self._streams.load(values)
        self._clocks.load(named("clock.", arrays), values["clocks"])
        self._clock_count = values["clock_count"]
        self._season_ms = values["season_ms"]
        points = self._points
        self._terms = Terms(len(points))
        self._terms.channel = 2 * points.stream + points.is_periodic
        self._conflict_until_ms = int((points.conflict_ms + points.fresh_ms).max(initial=NEVER))
        self._watched = self._unheard = self._watched_streams = self._clocked = self._judged_channels = None
