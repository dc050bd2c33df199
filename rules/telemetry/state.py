"""What is known of every point: its last value, when that was measured, and whether it still holds.

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
from facility.readings import BoolArray, FloatArray, IntArray, Quality
from facility.units import Dimension
from rules.draw.draw import Known
from rules.draw.summation_plan import Index
from rules.telemetry.cause import Cause
from rules.telemetry.clocks import REFUSED_MS
from rules.telemetry.columns import PointState, Terms
from rules.telemetry.heard import Heard
from rules.telemetry.liveness import NEVER, SEASON_MS, broker_of
from rules.telemetry.news import News
from rules.telemetry.publishers import Clocked
from rules.telemetry.timing import GONE, LEAST_FRESH_MS, Timing
from rules.view import PublisherView

NOTHING: Final = np.zeros(0, np.bool_)


@dataclass(frozen=True, slots=True)
class Life:
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

    def differs_from(self, before: Life) -> BoolArray:
        """Tell of which channels points may be known otherwise than they were, shape (channels,)."""
        if len(self.alive) != len(before.alive):
            return np.ones(len(self.alive), np.bool_)
        differs: BoolArray = (self.alive != before.alive) | (self.speaks != before.speaks)
        differs |= self.may_speak | before.may_speak
        differs |= np.repeat(self.connected != before.connected, 2)
        return differs


@dataclass(frozen=True, slots=True)
class Values:
    """What is known of some points at a moment; arrays of their shape.

    Attributes:
        value: The last value [canonical unit], NaN where there was none.
        cause: `Cause` codes: why that is not the value now, int8; `NONE` where it is.
    """

    value: FloatArray
    cause: NDArray[np.int8]


class _Watched:
    """The points that a draw may be summed of, and until when what is known of them holds, side by side.

    Between all other points they lie far apart, and every one of them is looked at in every tick.

    Args:
        points: What is known of every point.
        terms: Until when that holds.

    Attributes:
        points: Which they are, rising, shape (watched,).
        certain_until_ms: Before when the value of each is the value now [ms], shape (watched,).
        fresh_until_ms: Up to when each counts as heard [ms], shape (watched,).
    """

    def __init__(self, points: PointState, terms: Terms) -> None:
        self.points: Index = np.flatnonzero(points.is_watched)
        self.certain_until_ms = terms.certain_until_ms[self.points]
        self.fresh_until_ms = terms.fresh_until_ms[self.points]
        self._row_of = np.full(len(points), -1, np.int32)
        self._row_of[self.points] = np.arange(len(self.points))

    def put(self, points: Index, certain_until_ms: IntArray, fresh_until_ms: IntArray) -> None:
        """Take in the terms of some points [ms], watched or not, arrays of shape (n,)."""
        rows = self._row_of[points]
        are_watched = rows >= 0
        rows = rows[are_watched]
        self.certain_until_ms[rows] = certain_until_ms[are_watched]
        self.fresh_until_ms[rows] = fresh_until_ms[are_watched]


class Knowledge:
    """What is known of every point.

    Args:
        timings: When points are published, by the broker's name.
        lateness_ms: How long a tick waits for readings on their way [ms].

    Attributes:
        heard: What was heard of them; it takes in what arrives.
    """

    def __init__(self, timings: Mapping[str, Timing], lateness_ms: int = 0) -> None:
        self._timings = timings
        self._lateness_ms = lateness_ms
        self.heard = Heard(lateness_ms)
        self._life = Life(NOTHING, NOTHING, NOTHING, has_doubt=False, connected=NOTHING, is_whole=False)
        self._clock_count = 0
        self._season_ms = NEVER
        self._watched: _Watched | None = None
        self._unheard: Index | None = None
        self._judged_channels: Index | None = None
        self._judged_by_channel: tuple[Index, Index] | None = None
        self._watched_by_channel: tuple[Index, Index] | None = None
        self._what_is_new = News()
        self._clocked: Clocked | None = None
        self._watched_streams: Index | None = None

    def anew(self) -> Knowledge:
        """Return what knows of the same connections, and of nothing that comes by them."""
        knowledge = Knowledge(self._timings, self._lateness_ms)
        for scope, is_connected in self.heard.streams.connected.items():
            knowledge.heard.connect(scope, is_connected=is_connected)
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
        self.heard.grow(max(points) + 1)
        alike: dict[tuple[object, ...], list[int]] = {}
        for number, point in points.items():
            kind = point.stream, point.quantity, point.cadence, point.is_boundary, number in judged
            alike.setdefault(kind, []).append(number)
        for numbers in alike.values():
            first = numbers[0]
            self._add(np.array(numbers, np.intp), points[first], is_judged=first in judged)
        self._forget_places()

    def _forget_places(self) -> None:
        """Forget which points are of which kind: other points are known."""
        self._watched = self._unheard = self._watched_streams = self._clocked = self._judged_channels = None
        self._judged_by_channel = self._watched_by_channel = None

    def _add(self, numbers: Index, point: Point, *, is_judged: bool) -> None:
        """Take in points of one stream, quantity and cadence, as this one of them is."""
        points, timing = self.heard.points, self._timings.get(broker_of(point.stream), GONE)
        stream = self.heard.streams.get(
            point.stream, heartbeat_period_ms=timing.heartbeat_ms, repeat_ms=timing.repeated_ms
        )
        points.stream[numbers] = stream
        is_boundary, is_periodic = point.is_boundary, point.cadence is Cadence.PERIODIC
        points.is_power[numbers] = point.measures.dimension is Dimension.POWER
        points.is_watched[numbers] = is_boundary
        points.is_judged[numbers] = is_boundary or is_judged
        points.is_heartbeat[numbers] = point.is_heartbeat
        points.is_periodic[numbers] = is_periodic
        self._give_clocks(numbers, stream, is_periodic=is_periodic)
        if is_periodic:
            points.fresh_ms[numbers] = timing.missed_ms
            points.certain_ms[numbers] = timing.certain_ms
            points.period_ms[numbers] = min(timing.period_ms, timing.certain_ms)
            self.heard.streams.set_patience(stream, timing.missed_ms)
        else:
            points.fresh_ms[numbers] = points.certain_ms[numbers] = timing.repeated_ms
        if point.is_heartbeat:
            self.heard.streams.set_heartbeat(stream)
        self.heard.terms.channel[numbers] = 2 * stream + is_periodic
        self.heard.terms.is_stale[numbers] = self.heard.terms.is_habit_stale[numbers] = True

    def _set_terms(self, at_ms: int) -> None:
        """Reckon until when what is known of judged points holds, of those where that may have changed.

        Args:
            at_ms: The moment [ms].
        """
        points, terms = self.heard.points, self.heard.terms
        habits = np.flatnonzero(terms.is_habit_stale)
        if len(habits):
            terms.is_habit_stale[:] = False
            # How long after a periodic reading the next may come.
            pause = np.maximum(points.gap_ms[habits], points.gap_before_ms[habits])
            pause = np.maximum(pause, points.period_ms[habits])
            terms.lasts_ms[habits] = np.where(points.is_periodic[habits], pause, points.certain_ms[habits])
        point = np.flatnonzero(terms.is_stale)
        is_judged = points.is_judged[point]
        if not is_judged.all():
            point = point[is_judged]
        if not len(point):
            return
        terms.is_stale[:] = False
        good = points.quality[point] == Quality.GOOD
        # What was heard of a point before a break is no measure of its silence.
        since = np.maximum(points.heard_ms[point], self.heard.streams.listening_ms[points.stream[point]])
        since += points.fresh_ms[point]
        terms.fresh_until_ms[point] = fresh_until = np.where(good, since, NEVER)
        good &= points.heard_since_break[point]
        until = points.measured_ms[point] + terms.lasts_ms[point]
        terms.certain_until_ms[point] = until = np.where(good, until, NEVER)
        self._watched_points().put(point, until, fresh_until)
        self._what_is_new.put(point, until, len(points), at_ms)

    def _give_clocks(self, numbers: Index, stream: int, *, is_periodic: bool) -> None:
        """Say whose clocks stamp points: each its own where they are periodic, else that of their stream."""
        clock, streams = self.heard.points.clock, self.heard.streams
        if is_periodic:
            new = numbers[clock[numbers] < 0]
            clock[new] = self._clock_count + np.arange(len(new))
            self._clock_count += len(new)
        else:
            if streams.clock_of(stream) < 0:
                streams.set_clock(stream, self._clock_count)
                self._clock_count += 1
            clock[numbers] = streams.clock_of(stream)
        self.heard.clocks.grow(self._clock_count)

    # What is known --------------------------------------------------------------------

    def at(self, at_ms: int) -> Known:
        """Return what is known of every point at a moment [ms].

        Only points that a draw may be summed of are looked at; the others count as neither certain nor fresh.
        """
        points = self.heard.points
        self._begin_season(at_ms)
        self._set_terms(at_ms)
        self._life = self._life_at(at_ms)
        certain, fresh = np.zeros((2, len(points.power)), np.bool_)
        watched = self._watched_points()
        certain[watched.points] = at_ms < watched.certain_until_ms
        fresh[watched.points] = at_ms <= watched.fresh_until_ms
        # Of most channels nothing else counts.
        other = watched.points if at_ms <= self.heard.conflict_until_ms else self._of_doubtful_channels()
        certain[other], fresh[other] = self._are_certain(other, at_ms), self._are_fresh(other, at_ms)
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
        points = self.heard.points
        cause = np.zeros(len(numbers), np.int8)
        rows = np.flatnonzero(~self._are_certain(numbers, at_ms))
        if len(rows):
            cause[rows] = self.causes_of(numbers[rows], at_ms)
        return Values(points.value[numbers], cause)

    def pauses_ms(self, numbers: Index) -> IntArray:
        """Return how long after a reading of some points the next may come, by their habit [ms].

        0 of a point whose source tells of each change.
        """
        pauses: IntArray = np.where(
            self.heard.points.is_periodic[numbers], self.heard.terms.lasts_ms[numbers], 0
        )
        return pauses

    def take_news(self, at_ms: int) -> BoolArray | None:
        """Return which judged points may be known otherwise than at the call before; None for any of them.

        Args:
            at_ms: The moment of the last `at` [ms].
        """
        if self._judged_by_channel is None:
            judged = np.flatnonzero(self.heard.points.is_judged)
            self._judged_by_channel = self._sorted_by_channel(judged)
        is_disputed = at_ms <= self.heard.conflict_until_ms
        return self._what_is_new.take(
            self._life, self.heard.terms, self._judged_by_channel, at_ms, is_disputed=is_disputed
        )

    def _of_doubtful_channels(self) -> Index:
        """Return the points that a draw may be summed of, of channels whose life their values hang on."""
        if self._life.is_whole:
            return self._watched_points().points[:0]
        if self._watched_by_channel is None:
            self._watched_by_channel = self._sorted_by_channel(self._watched_points().points)
        points, starts = self._watched_by_channel
        doubtful = np.flatnonzero(~(self._life.alive & self._life.speaks))
        parts = [points[starts[channel] : starts[channel + 1]] for channel in doubtful.tolist()]
        return np.concatenate(parts) if parts else points[:0]

    def _sorted_by_channel(self, points: Index) -> tuple[Index, Index]:
        """Return points, those of one channel after those of another, and where those of each begin."""
        channel = self.heard.terms.channel[points]
        order = np.argsort(channel, kind="stable")
        starts = np.searchsorted(channel[order], np.arange(len(self._life.alive) + 1))
        return points[order], starts

    def _life_at(self, at_ms: int) -> Life:
        """Return what each channel is worth at a moment [ms]."""
        sure, talking, alive = self.heard.streams.at(at_ms)
        connected = self.heard.streams.is_connected.copy()
        if not len(alive):  # a point that is not there has the first stream, which lives no more than it
            sure = talking = alive = connected = np.zeros(1, np.bool_)
        speaks, may_speak = np.zeros((2, 2 * len(alive)), np.bool_)
        # A periodic value needs nothing but its own time; of the others, silence must be news.
        speaks[0::2], speaks[1::2] = talking & sure, alive
        may_speak[0::2] = talking & ~sure
        alive = np.repeat(alive, 2)
        if self._judged_channels is None:
            self._judged_channels = np.unique(self.heard.terms.channel[self.heard.points.is_judged])
        judged = self._judged_channels
        is_whole = bool(alive[judged].all() and speaks[judged].all())
        return Life(alive, speaks, may_speak, bool(may_speak.any()), connected, is_whole)

    def _are_certain(self, numbers: Index, at_ms: int) -> BoolArray:
        """Return which judged points are certain at a moment [ms]."""
        points, terms, life = self.heard.points, self.heard.terms, self._life
        certain: BoolArray = at_ms < terms.certain_until_ms[numbers]
        if not life.is_whole:
            channel = terms.channel[numbers]
            may_be = np.flatnonzero(certain & life.may_speak[channel]) if life.has_doubt else ()
            certain &= life.speaks[channel]
            if len(may_be):
                certain[may_be] = self._is_usual(numbers[may_be], points.stream[numbers[may_be]], at_ms)
        return certain & self._agree(numbers, at_ms)

    def _are_fresh(self, numbers: Index, at_ms: int) -> BoolArray:
        """Return which judged points count as heard at a moment [ms]."""
        terms, life = self.heard.terms, self._life
        fresh: BoolArray = at_ms <= terms.fresh_until_ms[numbers]
        if not life.is_whole:
            fresh &= life.alive[terms.channel[numbers]]
        return fresh

    def _agree(self, numbers: Index, at_ms: int) -> BoolArray | bool:
        """Return which points have not said two values of one time lately; True for all of them."""
        if at_ms > self.heard.conflict_until_ms:
            return True
        points = self.heard.points
        agree: BoolArray = at_ms - points.conflict_ms[numbers] > points.fresh_ms[numbers]
        return agree

    def causes_of(self, numbers: Index, at_ms: int) -> NDArray[np.int8]:
        """Return why judged points that are not certain are not, at the moment of the last `at`.

        Args:
            numbers: The points, shape (n,).
            at_ms: The moment [ms].

        Returns:
            `Cause` codes, shape (n,).
        """
        points, life = self.heard.points, self._life
        channel, quality = self.heard.terms.channel[numbers], points.quality[numbers]
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
            (Cause.QUIET, at_ms < self.heard.terms.certain_until_ms[numbers]),
        )
        cause: NDArray[np.int8] = np.select(
            [holds for _, holds in conditions], [int(one) for one, _ in conditions], int(Cause.LATE)
        ).astype(np.int8)
        return cause

    def _arrives(self, at_ms: int) -> BoolArray:
        """Return for each point whether something of it arrived within its patience before a moment [ms]."""
        arrives: BoolArray = at_ms - self.heard.points.heard_ms <= self.heard.points.fresh_ms
        return arrives

    def _news(self) -> tuple[IntArray, BoolArray]:
        """Return when something of each point last arrived [ms], and whether that was to be trusted."""
        return self.heard.points.heard_ms, self.heard.points.quality == Quality.GOOD

    def _times(self, at_ms: int) -> tuple[IntArray, IntArray]:
        """Return when every point was as it is known at a moment, and for how long that lasts [ms].

        What is published on change would have been heard by now, while its stream is sure. Once it is not,
        that a value is still so is a habit: it lasts for no time beside another reading.
        """
        points, watched = self.heard.points, self._watched_points().points
        periodic = points.is_periodic[watched]
        as_of_ms, lasts_ms = np.full((2, len(points.power)), at_ms, np.int64)
        as_of_ms[watched] = np.where(periodic, points.measured_ms[watched], at_ms)
        lasts_ms[watched] = self.heard.terms.lasts_ms[watched]
        if not self._life.is_whole:
            lasts_ms[watched[~periodic & ~self._life.speaks[self.heard.terms.channel[watched]]]] = 0
        return as_of_ms, lasts_ms

    def _is_usual(self, watched: Index, stream: Index, at_ms: int) -> BoolArray:
        """Tell which points usually say nothing for as long as their stream is silent now."""
        points, said = self.heard.points, self.heard.streams.said_ms[stream]
        habit = np.maximum(points.gap_ms[watched], points.gap_before_ms[watched])
        usual: BoolArray = at_ms - said < np.maximum(habit, said - points.measured_ms[watched])
        return usual & ~self.heard.streams.is_late[stream]

    def _begin_season(self, at_ms: int) -> None:
        points = self.heard.points
        self.heard.clocks.begin_season(at_ms)
        if at_ms - self._season_ms < SEASON_MS:
            return
        self._season_ms = at_ms
        points.gap_before_ms, points.gap_ms = points.gap_ms, np.zeros_like(points.gap_ms)
        self.heard.terms.is_stale |= points.is_periodic
        self.heard.terms.is_habit_stale |= points.is_periodic

    def _watched_points(self) -> _Watched:
        if self._watched is None:
            self._watched = _Watched(self.heard.points, self.heard.terms)
        return self._watched

    def last_values(self, numbers: IntArray, at_ms: int) -> FloatArray:
        """Return the last values of some points [canonical units], NaN where they do not count as heard.

        Args:
            numbers: Which points, judged or not.
            at_ms: The moment [ms].
        """
        points = self.heard.points
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
            self._clocked = Clocked.of(self.heard.points)
        return self._clocked.view(self.heard, at_ms, own_step_ms)

    def is_misdated(self, numbers: IntArray, at_ms: int) -> BoolArray:
        """Tell of which points values come lately, and are refused or doubted for their stamps."""
        misdated: BoolArray = self.heard.points.quality[numbers] == Quality.REFUSED
        rows = np.flatnonzero(misdated)
        if len(rows):
            ahead, behind = self.heard.clocks.offsets_ms(self.heard.points.clock[numbers[rows]], at_ms)
            misdated[rows] = np.maximum(ahead, behind) > REFUSED_MS
        return misdated

    @property
    def trusted_ms(self) -> IntArray:
        """When each point was last heard with a value to be trusted [ms], `NEVER` where it never was."""
        return self.heard.points.trusted_ms

    @property
    def heard_ms(self) -> IntArray:
        """When something of each point last arrived [ms], `NEVER` where nothing ever did."""
        return self.heard.points.heard_ms

    @property
    def has_unheard(self) -> bool:
        """Whether any point that a draw may be summed of was never heard with a value to be trusted."""
        if self._unheard is None:
            self._unheard = self._watched_points().points
        self._unheard = self._unheard[self.heard.points.trusted_ms[self._unheard] == NEVER]
        return len(self._unheard) > 0

    @property
    def is_watched(self) -> BoolArray:
        """Of which points a draw may be summed, shape (points,)."""
        return self.heard.points.is_watched

    @property
    def is_heartbeat(self) -> BoolArray:
        """Which points are heartbeats, shape (points,)."""
        return self.heard.points.is_heartbeat

    @property
    def stream_of(self) -> Index:
        """The stream that each point comes by, shape (points,)."""
        return self.heard.points.stream

    @property
    def clock_of(self) -> Index:
        """Whose clock stamps each point, shape (points,)."""
        return self.heard.points.clock

    @property
    def clock_count(self) -> int:
        """How many clocks there are."""
        return self._clock_count

    @property
    def stream_count(self) -> int:
        """How many streams there are."""
        return len(self.heard.streams.said_ms)

    @property
    def watched_streams(self) -> Index:
        """The streams by which a point comes that a draw may be summed of."""
        if self._watched_streams is None:
            self._watched_streams = np.unique(self.heard.points.stream[self._watched_points().points])
        return self._watched_streams

    def streams_within(self, *scopes: str) -> Index:
        """Return the streams within scopes: each a stream, a broker with all of its streams, or every one."""
        return np.concatenate([self.heard.streams.within(scope) for scope in scopes])

    @property
    def patience_ms(self) -> IntArray:
        """How long each point may say nothing before it is silent [ms]."""
        return self.heard.points.fresh_ms

    @property
    def longest_patience_ms(self) -> int:
        """How long a point of which nothing is known yet may say nothing before it is silent [ms]."""
        return max((timing.patience_ms for timing in self._timings.values()), default=LEAST_FRESH_MS)

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything as arrays and as plain values."""
        arrays, values = self.heard.save()
        return arrays, values | {"season_ms": self._season_ms, "clock_count": self._clock_count}

    def load(self, arrays: Mapping[str, NDArray[Any]], values: Mapping[str, Any]) -> None:
        """Take in what `save` returned."""
        self.heard.load(arrays, values)
        self._clock_count = values["clock_count"]
        self._season_ms = values["season_ms"]
        self._what_is_new = News()
        self._forget_places()
