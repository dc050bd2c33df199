"""The settled judgement: every tick again, in source time, once what belongs to it has arrived.

The live engine judges a tick by what had arrived; pages come from it. This one judges the same tick a grace
later, in the order of source time, so it comes to the same whatever delayed a reading: a slow network, a cut
cable, a full disk, a paused machine, a restart. It closes demand blocks, and finds overdraws that a gap hid.

A tick is due a grace after the stream that is furthest behind has spoken of it; where the clock of a point
is slow by more than the grace, that much later. A stream that says nothing is waited for, at most for a
patience, and so is a slow clock; while our own connection to its broker is away, for a longer one, until what
the broker may keep has been read. Nothing is waited for beyond what memory is granted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from facility.names import TenantId
from facility.readings import Batch, BoolArray, Flag, IntArray, Quality
from facility.site import Site
from rules.base import Judgement, Rule
from rules.columns import Columns, named
from rules.draw.draw import Known as PointValues
from rules.draw.metering_boundary import LayoutBuilder
from rules.draw.summation_plan import Index, Layout
from rules.engine.engine import Engine, Step
from rules.engine.event_time_buffer import Queued, SourceQueue, date_doubts
from rules.engine.fingerprint import Edits
from rules.engine.judge import Judge, make_judge
from rules.engine.ongoing import Ongoing
from rules.engine.past import Past
from rules.telemetry.clocks import EVERY, Clocks
from rules.telemetry.liveness import NEVER
from rules.telemetry.timing import Timing
from rules.view import View
from store.journal.entries import Entry, Known, Mark, MarkKind
from store.series import DemandBlock, Rollup, TenantDraw

MOST_WAITING: Final = 4_000_000
"""Readings that may wait for a stream; with more, nothing is waited for (our choice: some 150 MB)."""
_TICK_BITS: Final = 44
"""Bits that the number of any tick since 1970 fits in."""
STALL_MS: Final = 5_000
"""When the journal was closed no further for so long, we stood still ourselves, and no stream is to blame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a tick is left open.

    Attributes:
        grace_ms: How long after its streams have spoken of it [ms].
        silent_ms: How long a stream is waited for that says nothing, or a clock that is slow [ms].
        away_ms: How long one is waited for while our connection to its broker is away [ms].
    """

    grace_ms: int = 60_000
    silent_ms: int = 120_000
    away_ms: int = 3_600_000


class SettledEngine(Engine):
    """Judges in source time. It takes the same entries as the live engine; its ticks come later.

    Args:
        site: What the site file declares.
        timings: When points are published, by the broker's name.
        rules: The rules that judge settled ticks.
        tick_ms: Event time between two ticks [ms].
        patience: How long a tick is left open.

    Attributes:
        past: Which of its alarms are told.
    """

    def __init__(
        self,
        site: Site,
        timings: Mapping[str, Timing],
        rules: Sequence[Rule],
        *,
        tick_ms: int,
        patience: Patience,
    ) -> None:
        super().__init__(site, timings, rules, tick_ms=tick_ms, lateness_ms=0)
        self._patience = patience
        self.past = Past({})
        self.queue: SourceQueue = SourceQueue(tick_ms)
        self._streams = _Reached()
        self._clocks = Clocks(patience.grace_ms)
        self._slow_ms = 0
        self._away = Ongoing(timings)
        self._closed_ms = 0

    def _make_judge(self, rule: Rule) -> Judge:
        # That nobody could tell at the time is told live, where the rule is judged live.
        return make_judge(rule, tells_unknown=Judgement.LIVE not in rule.judges)

    def take(self, entry: Entry) -> list[Step]:
        """Take the next entry of the journal, after the ticks that were settled before it.

        Args:
            entry: The entry after the last one that was taken.

        Returns:
            What those ticks brought.
        """
        self.seq = entry.seq
        if isinstance(entry.content, Mark) and entry.content.kind is MarkKind.STEPPED:
            return self._take_step(entry.content.since_ms, entry.stamp_ms)
        self._close(entry.stamp_ms - 1)
        match entry.content:
            case Batch() as batch:
                self._begin(entry.stamp_ms)
                self._hear(self._of_known_points(batch))
            case Mark() as mark:
                self._begin(entry.stamp_ms)
                self._note(mark, entry.stamp_ms)
            case points:
                self._describe(points, entry.stamp_ms)
        return self.hand_over()

    def _describe(self, points: tuple[Known, ...], stamp_ms: int) -> None:
        """Take in new points at once; those that a draw is summed of are what they were until then [ms]."""
        is_later = self.tick_ms is not None and stamp_ms > self.tick_ms
        again, now = list[Known](), list[Known]()
        for known in points:
            (again if is_later and self._is_summed(known.id) else now).append(known)
        if again:
            self.queue.put(Queued(tuple(again), stamp_ms))
        self.learn(now, stamp_ms)

    def _is_summed(self, number: int) -> bool:
        """Tell whether a draw may be summed of a point, as it is known."""
        point = self.points.get(number)
        return point is not None and point.is_boundary

    def _take_step(self, from_ms: int, to_ms: int) -> list[Step]:
        """Follow our own clock where it was set back, or forward so far that it was wrong.

        A machine that stood still for a while was as good as away: what sources stamp meanwhile is judged.
        Otherwise what comes is dated by another clock, so all before is judged by what has come, and told.
        """
        if not 0 <= to_ms - from_ms <= self._patience.away_ms:
            self._run(from_ms)
            for item in self.queue.items:
                if isinstance(item.content, tuple):
                    self.learn(item.content, item.from_ms)
            self._tell_rest()
            self._follow(from_ms, to_ms)
            self._streams, self._closed_ms = _Reached(), to_ms
            self._clocks.forget()
            self._away.clear()
        return self.hand_over()

    def _tell_rest(self) -> None:
        """Tell of the past what would be told once its end is known: it will not be."""
        if self.tick_ms is None:
            return
        changes = self.past.end(self.tick_ms)
        if changes:
            rest = Step(
                at_ms=self.tick_ms,
                seq=self.seq,
                changes=changes,
                draws=(),
                blocks=(),
                rollups=(),
                view=self.view,
                is_settled=True,
            )
            self._brought.append(rest)

    def advance(self, closed_ms: int) -> list[Step]:
        """Judge every tick that is settled once nothing will be stamped up to a moment any more.

        Args:
            closed_ms: That moment [ms].
        """
        self._close(closed_ms)
        return self.hand_over()

    def _close(self, closed_ms: int) -> None:
        if closed_ms - self._closed_ms > STALL_MS:
            self._streams.excuse_all(closed_ms)
        self._closed_ms = max(self._closed_ms, closed_ms)
        if self._clocks.begin_season(closed_ms):
            self._slow_ms = self._slowest_ms(closed_ms)
        self._run(self._horizon(closed_ms))

    def _slowest_ms(self, closed_ms: int) -> int:
        """Return how far the slowest clock is behind that is heard and waited for [ms]."""
        silent_ms = self._patience.silent_ms
        is_heard = self._clocks.is_heard(EVERY, closed_ms - silent_ms)
        behind_ms = self._clocks.behind_ms(np.flatnonzero(is_heard))
        return int(behind_ms[behind_ms <= silent_ms].max(initial=0))

    def _horizon(self, closed_ms: int) -> int:
        """Return up to when ticks are settled [ms]."""
        streams, until_ms = self._streams, closed_ms - self._slow_ms
        streams.grow(self.knowledge.stream_count)
        for scope, since_ms in self._away.items():
            if closed_ms - since_ms <= self._patience.away_ms:
                # However much of what it kept has come: that all of it has is proved by the mark alone.
                until_ms = min(until_ms, since_ms)
                streams.excuse(self.knowledge.streams_within(scope), closed_ms)
        streams.give_up(closed_ms - self._patience.silent_ms)
        if self.queue.size > MOST_WAITING:
            streams.give_up(closed_ms)
            until_ms = closed_ms
        return min(until_ms, streams.behind_ms(self.knowledge.watched_streams)) - self._patience.grace_ms

    def _hear(self, batch: Batch) -> None:
        """Queue readings: all of points that a draw is summed of; of the others, that their streams spoke."""
        knowledge, kept = self.knowledge, self._is_within(self._away, batch)
        batch = date_doubts(batch, kept)
        point: Index = batch.point.astype(np.intp)
        watched, stream = knowledge.is_watched[point], knowledge.stream_of[point]
        counts = watched | knowledge.is_heartbeat[point]
        spoke = ((batch.flags & Flag.RETAINED) == 0) & (batch.quality != Quality.REFUSED)
        self._streams.grow(knowledge.stream_count)
        self._streams.hear(stream[spoke], np.minimum(batch.source_ms, batch.received_ms)[spoke])
        # When something came that was kept for us says nothing of a clock.
        dates = np.flatnonzero(spoke & watched & ~kept)
        self._clocks.grow(knowledge.clock_count)
        received_ms = batch.received_ms[dates]
        lag_ms = received_ms - batch.source_ms[dates]
        self._clocks.hear(knowledge.clock_of[point[dates]], lag_ms, received_ms)
        rest = np.flatnonzero(spoke & ~counts)
        if len(rest):
            # One sign of life for each tick: a backlog holds those of many.
            ticks = batch.source_ms[rest] // self._period_ms
            _, last = np.unique(
                (stream[rest].astype(np.int64) << _TICK_BITS | ticks)[::-1], return_index=True
            )
            counts[rest[len(rest) - 1 - last]] = True
        self.queue.put_readings(batch if counts.all() else batch.take(counts))

    def _note(self, mark: Mark, stamp_ms: int) -> None:
        """Queue what a mark says of readings, at the time from which on it holds."""
        scope, since_ms = mark.scope, min(mark.since_ms, stamp_ms)
        self._streams.grow(self.knowledge.stream_count)
        match mark.kind:
            case MarkKind.STARTED | MarkKind.LOST:
                # Of several losses one after the other, the first began the gap.
                self._away.begin(scope, since_ms)
            case MarkKind.CAUGHT_UP:
                self._away.end(scope)
                self._streams.excuse(self.knowledge.streams_within(scope), stamp_ms)
            case MarkKind.CONNECTED | MarkKind.SESSION_LOST:
                away_ms = self._away.since_ms(scope)
                self._put_break(mark, since_ms if away_ms is None else min(since_ms, away_ms), since_ms)
            case MarkKind.STEPPED:
                pass
            case MarkKind.OVERLOADED | MarkKind.GAP:
                self._put_break(mark, since_ms, min(max(since_ms, mark.until_ms), stamp_ms))

    def _put_break(self, mark: Mark, from_ms: int, to_ms: int) -> None:
        """Queue what a gap may have swallowed at its beginning [ms], and at its end that we listen again."""
        self.queue.put(Queued(mark, from_ms))
        self.queue.put(Queued(replace(mark, kind=MarkKind.CAUGHT_UP, since_ms=to_ms), to_ms))

    def _tick(self, at_ms: int) -> Step:
        step = super()._tick(at_ms)
        changes = self.past.filter(step.changes, at_ms)
        return replace(step, changes=changes, view=self.view if changes else None, is_settled=True)

    def _apply(self, mark: Mark, *, is_recovery: bool) -> None:
        """Doubt what a gap may have swallowed; what publishers promised in it, they may have said.

        When we were connected says nothing else about source time.
        """
        del is_recovery
        if mark.kind is MarkKind.CAUGHT_UP:
            self.knowledge.heard.listen_anew(mark.scope, mark.since_ms)
            return
        is_lossless = mark.kind not in (MarkKind.SESSION_LOST, MarkKind.GAP)
        self.knowledge.heard.break_stream(
            mark.scope, is_lossless=is_lossless, until_ms=mark.until_ms or NEVER
        )
        self.knowledge.heard.listen_anew(mark.scope)

    def _arrange_series(self, builder: LayoutBuilder) -> None:
        """Arrange nothing, for the same reason as `_series`."""
        del builder

    def _series(
        self, view: View, layout: Layout, known: PointValues
    ) -> tuple[tuple[TenantDraw, ...], tuple[Rollup, ...]]:
        """Return nothing: the series of draws are those of the live engine."""
        del view, layout, known
        return (), ()

    def _close_blocks(
        self, tenants: Sequence[TenantId], before_ms: int, at_ms: int
    ) -> tuple[DemandBlock, ...]:
        blocks = super()._close_blocks(tenants, before_ms, at_ms)
        return tuple(msgspec.structs.replace(block, is_settled=True) for block in blocks)

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything, with what is waited for, as arrays and as plain values."""
        arrays, values = super().save()
        arrays |= {f"waited.{name}": column for name, column in self._streams.save().items()}
        clocks, clock_values = self._clocks.save()
        arrays |= {f"stamped.{name}": column for name, column in clocks.items()}
        return arrays, values | {
            "away": self._away.save(),
            "closed_ms": self._closed_ms,
            "clocks": clock_values,
            "slow_ms": self._slow_ms,
        }

    def load(
        self,
        arrays: Mapping[str, NDArray[Any]],
        values: Mapping[str, Any],
        known: Sequence[Entry],
        where: str,
    ) -> Edits:
        """Take in what `save` returned, as `Engine.load` does."""
        edits = super().load(arrays, values, known, where)
        self._streams = _Reached.load(named("waited.", arrays))
        self._clocks.load(named("stamped.", arrays), values["clocks"])
        self._slow_ms = values["slow_ms"]
        self._away.load(values["away"], self.tick_ms or 0)
        self._closed_ms = values["closed_ms"]
        return edits


class _Reached(Columns):
    """How far each stream has spoken, in source time; arrays with at least one place for each."""

    reached_ms: IntArray
    excused_ms: IntArray
    is_waited: BoolArray

    FILL: ClassVar[Mapping[str, tuple[Any, Any]]] = {
        "reached_ms": (np.int64, NEVER),
        "excused_ms": (np.int64, NEVER),
        "is_waited": (np.bool_, False),
    }

    def hear(self, streams: Index, times_ms: IntArray) -> None:
        """Note that streams spoke of some moments [ms]."""
        np.maximum.at(self.reached_ms, streams, times_ms)
        self.is_waited[streams] = True

    def excuse(self, streams: Index, at_ms: int) -> None:
        """Note that streams could not be heard up to a moment [ms]."""
        self.excused_ms[streams] = at_ms

    def excuse_all(self, at_ms: int) -> None:
        """Note that none could."""
        self.excused_ms[:] = at_ms

    def give_up(self, before_ms: int) -> None:
        """Wait no more for streams that have said nothing since a moment [ms], until they are heard again."""
        self.is_waited &= np.maximum(self.reached_ms, self.excused_ms) >= before_ms

    def behind_ms(self, watched: Index) -> int:
        """Return how far the last of the watched streams that are waited for has spoken [ms]."""
        waited = watched[self.is_waited[watched]]
        return int(self.reached_ms[waited].min()) if len(waited) else -NEVER
