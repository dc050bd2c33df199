"""The engine: entries of the journal in, alarms and series out, tick by tick of event time.

It is a pure function of the entries: a tick at event time T uses exactly what was stamped up to T plus the
lateness, so live, caught up and replayed it comes to the same alarms with the same ids. It has no clock: the
service tells it how far the journal is closed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from facility.invariants import InvariantBroken
from facility.names import CANARY, OPERATOR, TenantId
from facility.points import Point
from facility.readings import Batch, BoolArray, IntArray
from facility.room import room_for
from facility.site import Site
from rules.alarms.carried import Carried
from rules.alarms.states import Bank, Transition
from rules.base import Block, Findings, Rule
from rules.columns import named
from rules.draw.demand import Demand
from rules.draw.draw import Compared, Draw, find_draw
from rules.draw.draw import Known as PointValues
from rules.draw.metering_boundary import LayoutBuilder
from rules.draw.meters import meter_view
from rules.draw.summation_plan import Index, Layout
from rules.draw.tenants import tenant_series, tenant_view
from rules.engine.arrangement import Arrangement
from rules.engine.damper import Damper
from rules.engine.event_time_buffer import Queue, Queued, SourceQueue, date_doubts
from rules.engine.fingerprint import Edits, Fingerprint, Fingerprints
from rules.engine.judge import Judge, doubt_of, make_judge
from rules.engine.ongoing import Ongoing
from rules.engine.rollups import Rollups
from rules.model.rows import Topology
from rules.model.tables import NOTHING_AGREED, Agreed, Tables
from rules.model.windows import Windows
from rules.subject import SubjectKind
from rules.telemetry.liveness import NEVER, broker_of
from rules.telemetry.starting import Awaited
from rules.telemetry.state import Knowledge
from rules.telemetry.timing import Timing
from rules.telemetry.trust import Memory
from rules.view import NO_METERS, NO_PUBLISHERS, PublisherView, View
from store.journal.entries import Content, Entry, Known, Mark, MarkKind, kind_of, pack, unpack
from store.series import DemandBlock, Rollup, TenantDraw

STEP_TOLD_MS: Final = 60_000
"""How long after our own clock was set that is an alarm [ms] (our choice)."""
RECOVERY_MS: Final = 150_000
"""How long a broker whose collector began anew is waited for at most [ms]: its collector gives up before that
(our choice)."""
SHARED_RECOVERY_MS: Final = 30_000
"""The same where another broker has sent what it kept, and waits as well [ms]: longer than a collector waits
for an answer (our choice)."""
BEGINNING_MS: Final = 30_000
"""How long the first ticks of all wait at most for what describes the site [ms]: no page is later for it than
that (our choice)."""
SERIES_MS: Final = 1_000
"""How often the engine's own series have a value [ms]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one tick brought.

    Attributes:
        at_ms: The tick [ms].
        seq: The last entry that it may have used.
        changes: What happened to alarms.
        draws: The draw of every tenant, on whole seconds.
        blocks: The demand blocks that closed.
        rollups: Those of racks, feeds and the site over a minute, when it is over.
        view: The site at the tick, where something changed that people may be told.
        is_settled: Whether the settled judgement brought it, of a tick that was judged live before.
    """

    at_ms: int
    seq: int
    changes: tuple[Transition, ...]
    draws: tuple[TenantDraw, ...]
    blocks: tuple[DemandBlock, ...]
    rollups: tuple[Rollup, ...]
    view: View | None
    is_settled: bool = False


NO_ALARM: Final = np.zeros(0, np.bool_)
_Stepped = tuple[Judge, Bank, Findings, list[Transition]]
"""A rule, its alarms or those of not being able to tell, what it found, and what that changed."""


class Engine:
    """The engine.

    Args:
        site: What the site file declares.
        timings: When points are published, by the broker's name.
        rules: The rules that it judges by, with their parameters.
        tick_ms: Event time between two ticks [ms].
        lateness_ms: How long a tick waits for readings on their way [ms].

    Attributes:
        site: What the site file declares.
        seq: The last entry that was taken.
        tick_ms: The last tick that was evaluated [ms]; None before the first.
        view: The site at that tick; None before the first.
        draw: What each tenant drew at that tick; None before the first.
        rollups: What is added up of the minute that is not over.
        memory: What judgements of draws remember from tick to tick.
        recovering: Where a collector began anew and has not read yet what was kept for it: until it has,
            or was waited for long enough, no tick is evaluated.
        beginning: Where a collector began for the first time, and has not read yet what describes the site:
            the first ticks wait for that as well, so that each part of it is not laid out one by one.
        behind: Where what arrives may be old.
        connected: Where a collector has reached its broker since it began.
        began_ms: The first tick [ms]: what was never heard has been silent since then.
        has_moved: Whether a point that a draw may be summed of was described as something else.
        stepped_ms: When our own clock was last set, as it says since then [ms]; `NEVER` where it never was.
        step_ms: By how much that was [ms], above zero where it was set forward.
    """

    def __init__(
        self,
        site: Site,
        timings: Mapping[str, Timing],
        rules: Sequence[Rule],
        *,
        tick_ms: int,
        lateness_ms: int,
    ) -> None:
        self.site = site
        self._period_ms = tick_ms
        self._lateness_ms = lateness_ms
        self.judges = tuple(self._make_judge(rule) for rule in rules)
        self._by_name = {judge.rule.name: judge for judge in self.judges}
        self._damper = Damper(self._by_name)
        self._kinds = frozenset(rule.kind for rule in rules)
        self._quantities = frozenset[str]().union(
            *(rule.judged_quantities() for rule in rules if rule.is_used(site))
        )
        self.windows = Windows(
            (
                (kind, window)
                for rule in rules
                for kind, windows in (
                    (rule.kind, rule.windows),
                    (SubjectKind.FEED, rule.feed_windows),
                    (SubjectKind.RACK, rule.rack_windows),
                )
                for window in windows
            ),
            tick_ms=tick_ms,
        )
        self._topology: Topology | None = None
        self._tables: Tables | None = None
        self._is_rearranged = True
        self._fingerprints = Fingerprints(site, rules, timings)
        self.knowledge = Knowledge(timings, lateness_ms)
        self.demand = Demand(site)
        self.memory = Memory()
        self.points: dict[int, Point] = {}
        self._arrangement = Arrangement(site, self.points, self._arranged)
        self._met_ms = np.full(1, NEVER, np.int64)
        self._withdrawn = set[int]()
        self.rollups = Rollups(site)
        self.draw: Draw | None = None
        self.began_ms = 0
        self.has_moved = False
        self.stepped_ms = NEVER
        self.step_ms = 0
        self.queue: Queue | SourceQueue = Queue(lateness_ms)
        self.recovering = Ongoing(timings)
        self.beginning = Ongoing(timings)
        self.behind = Ongoing(timings)
        self.connected = Ongoing(timings)
        self.seq = 0
        self.tick_ms: int | None = None
        self.view: View | None = None
        self._publishers: PublisherView | None = None
        self._hides: dict[str, dict[tuple[str, str], int]] = {}  # by the rule that is hidden
        self._standing: dict[str, BoolArray] = {}  # which alarms stand that others hide, by rule
        self._carried: Mapping[str, Sequence[Carried]] = {}
        self._brought: list[Step] = []

    def _make_judge(self, rule: Rule) -> Judge:
        return make_judge(rule, tells_unknown=True)

    @property
    def tenants(self) -> tuple[TenantId, ...]:
        """The tenant of each place of a tenant's array, the operator's own load last."""
        return (*(tenant.id for tenant in self.site.tenants), OPERATOR)

    def share(self, other: Engine) -> None:
        """Use what another engine of the same site made of the site file, and of what it knows as well."""
        self._fingerprints.share(other._fingerprints)
        self._arrangement.share(other._arrangement)

    @property
    def is_held(self) -> bool:
        """Whether ticks wait for what brokers have kept."""
        return bool(self.recovering or self.beginning)

    # Taking entries -------------------------------------------------------------------

    def take(self, entry: Entry) -> list[Step]:
        """Take the next entry of the journal, after the ticks that do not use it any more.

        Args:
            entry: The entry after the last one that was taken.

        Returns:
            What those ticks brought.
        """
        until_ms = _until_ms(entry) - 1
        self._end_overdue(until_ms)
        if not self.is_held:
            self._run(until_ms - self._lateness_ms)
        self.seq = entry.seq
        match entry.content:
            case Batch() as batch:
                self._begin(entry.stamp_ms)
                self._put(self._of_known_points(batch))
            case Mark(kind=MarkKind.STEPPED) as mark:
                self._follow(mark.since_ms, entry.stamp_ms)
            case Mark() as mark:
                if mark.kind is MarkKind.STARTED:
                    held = self.beginning if self.tick_ms is None else self.recovering
                    held.end(mark.scope)  # a start that was not finished is followed by another
                    held.begin(mark.scope, entry.stamp_ms)
                self._begin(entry.stamp_ms)
                self._take_mark(mark, entry.stamp_ms)
            case points:
                self._describe(points, entry.stamp_ms)
        return self.hand_over()

    def advance(self, closed_ms: int) -> list[Step]:
        """Evaluate every tick that uses nothing stamped after `closed_ms`.

        Args:
            closed_ms: Nothing will be stamped at or before this any more [ms].
        """
        self._end_overdue(closed_ms)
        if not self.is_held:
            self._run(closed_ms - self._lateness_ms)
        return self.hand_over()

    def hand_over(self) -> list[Step]:
        """Return what ticks brought that nobody was given yet: also after a tick that could not be judged."""
        brought, self._brought = self._brought, []
        return brought

    def _describe(self, points: tuple[Known, ...], stamp_ms: int) -> None:
        """Take in what points are described as since a moment [ms]: ticks before it are over."""
        self.learn(points, stamp_ms)

    def learn(self, points: Sequence[Known], at_ms: int) -> None:
        """Take in points that became known, or known better.

        Args:
            points: Points, with their numbers and assets.
            at_ms: When that was written down [ms].
        """
        if CANARY not in self.site.racks:
            # Of one that the site file has no longer.
            points = [known for known in points if known.point.asset != CANARY]
        changed: dict[int, Point] = {}
        self._meet(np.fromiter((known.id for known in points), np.intp), at_ms)
        for known in points:
            before, point = changed.get(known.id) or self.points.get(known.id), known.point
            if before != point:
                changed[known.id] = point
                if before is not None and before.is_boundary and before.meaning != point.meaning:
                    self.has_moved = True
        # Most assets are described by each of their points, in one object.
        for asset in {id(known.asset): known.asset for known in points}.values():
            if asset is not None:
                self._arrangement.add(asset)
        self._know(changed)

    def _know(self, points: Mapping[int, Point]) -> None:
        """Let what is known of points be kept, by their numbers."""
        self.points.update(points)
        self._arrangement.know(points)
        withdrawn = {number for number, point in points.items() if point.is_withdrawn}
        self._withdrawn = (self._withdrawn - points.keys()) | withdrawn
        judged = {number for number, point in points.items() if point.quantity in self._quantities}
        if judged:
            self._topology, self._is_rearranged = None, True
        self.knowledge.add_all(points, judged)

    def _take_mark(self, mark: Mark, stamp_ms: int) -> None:
        """Queue a mark; while a collector recovers, hold the ticks until it has what was kept for it."""
        is_end = mark.kind in (MarkKind.CAUGHT_UP, MarkKind.LOST)
        if is_end:
            self.behind.end(mark.scope)
            self.beginning.end(mark.scope)
        elif mark.kind not in (MarkKind.GAP, MarkKind.OVERLOADED):
            self.behind.begin(mark.scope, stamp_ms)
        if mark.kind in (MarkKind.STARTED, MarkKind.LOST):
            self.connected.end(mark.scope)
        elif mark.kind in (MarkKind.CONNECTED, MarkKind.SESSION_LOST):
            self.connected.begin(mark.scope, stamp_ms)
        is_recovery = self.recovering.since_ms(mark.scope) is not None
        effective_ms = min(mark.since_ms, stamp_ms) if is_recovery else stamp_ms
        if is_recovery and mark.kind is MarkKind.SESSION_LOST:
            # What was lost is of the time since the collector was away.
            away_ms = self._away_ms(mark.scope, effective_ms)
            gap = replace(mark, kind=MarkKind.GAP, since_ms=away_ms, until_ms=away_ms)
            self.queue.put(Queued(gap, away_ms, is_recovery, mark.broker))
        self.queue.put(Queued(mark, effective_ms, is_recovery, mark.broker))
        if is_recovery and is_end:
            self.recovering.end(mark.scope)
            self._end_overdue(stamp_ms, at_ms=stamp_ms)
            if not self.is_held:
                self._run(stamp_ms - self._lateness_ms - 1)

    def _end_overdue(self, closed_ms: int, at_ms: int = NEVER) -> None:
        """End recoveries that were waited for long enough: the others' ticks go on, and this one is late.

        Args:
            closed_ms: Nothing will be stamped at or before this any more [ms].
            at_ms: When that came about, where something else did [ms].
        """
        for scope, since_ms in self.beginning.items():
            if since_ms + BEGINNING_MS <= closed_ms:
                self.beginning.end(scope)
        is_shared = any(self.recovering.since_ms(scope) is None for scope in self.connected)
        bound_ms = SHARED_RECOVERY_MS if is_shared else RECOVERY_MS
        for scope, since_ms in self.recovering.items():
            due_ms = max(since_ms + bound_ms, at_ms)
            if due_ms <= closed_ms and self.recovering.since_ms(scope) is not None:
                for mark in self._ends_of(scope, due_ms):
                    self._take_mark(mark, due_ms)

    def _ends_of(self, scope: str, at_ms: int) -> list[Mark]:
        """Return what ends a recovery that goes on for too long, as its collector would have said it."""
        mark = Mark(MarkKind.LOST, broker_of(scope), at_ms, stream=scope if ":" in scope else "")
        if self.connected.since_ms(scope) is not None:
            return [mark, replace(mark, kind=MarkKind.CONNECTED)]
        return [replace(mark, since_ms=self._away_ms(scope, at_ms))]

    def _away_ms(self, scope: str, at_ms: int) -> int:
        """Return up to when all was heard before a recovery: what waits since then says it [ms]."""
        marks = [item.content for item in self.queue.items if isinstance(item.content, Mark)]
        return min((each.since_ms for each in marks if each.scope == scope), default=at_ms)

    def _put(self, batch: Batch) -> None:
        """Queue readings; those of streams that are behind are what was kept for us."""
        if not len(batch):
            return
        broker, is_behind = self._broker_of(batch), self._is_within(self.behind, batch)
        batch = date_doubts(batch, is_behind)
        for is_backlog, rows in ((True, is_behind), (False, ~is_behind)):
            if rows.any():
                part = batch if rows.all() else batch.take(rows)
                self.queue.put_readings(part, broker=broker, is_backlog=is_backlog)

    def _is_within(self, ongoing: Ongoing, batch: Batch) -> BoolArray:
        """Tell which readings come by streams for which something holds."""
        if not ongoing:
            return np.zeros(len(batch), np.bool_)
        return np.isin(self.knowledge.stream_of[batch.point], self.knowledge.streams_within(*ongoing))

    def _follow(self, from_ms: int, to_ms: int) -> None:
        """Go on where our own clock was set to: nothing that was dated by it before means anything now.

        No tick between the two is judged, and nobody is silent for what the clock left out: all begins as it
        does at a first start, but for alarms that are active.
        """
        if self.tick_ms is None:
            return
        for bank in self._banks().values():
            bank.begin_anew()
        self._damper.begin_anew(to_ms)
        self.knowledge = self.knowledge.anew()
        self._know(self.points)
        self._met_ms = np.where(self._met_ms == NEVER, NEVER, to_ms)
        self.demand, self.rollups = Demand(self.site), Rollups(self.site)
        self._arrangement.begin_anew()
        self.draw = self._tables = None
        self.queue.clear()
        self.recovering.begin_anew(to_ms)
        self.beginning.begin_anew(to_ms)
        self.stepped_ms, self.step_ms, self._publishers = to_ms, to_ms - from_ms, None
        self.tick_ms = self.began_ms = to_ms // self._period_ms * self._period_ms

    def _meet(self, numbers: NDArray[np.intp], at_ms: int) -> None:
        # The last place is that of no point: numbers beyond the end are clipped to it.
        have = len(self._met_ms)
        if (more := room_for(int(numbers.max(initial=-1)) + 2, have) - have) > 0:
            self._met_ms = np.append(self._met_ms, np.full(more, NEVER))
        self._met_ms[numbers[self._met_ms[numbers] == NEVER]] = at_ms

    def _of_known_points(self, batch: Batch) -> Batch:
        """Return the readings of a batch whose points are known: what described the others may be damaged."""
        is_known = self._met_ms.take(batch.point, mode="clip") != NEVER
        return batch if is_known.all() else batch.take(is_known)

    def _broker_of(self, batch: Batch) -> str:
        """Return the broker that a batch came through: a collector appends what one broker sent."""
        point = self.points.get(int(batch.point[0])) if len(batch) else None
        return "" if point is None else broker_of(point.stream)

    def _begin(self, stamp_ms: int) -> None:
        if self.tick_ms is None:
            self.tick_ms = self.began_ms = stamp_ms // self._period_ms * self._period_ms

    # Ticks ----------------------------------------------------------------------------

    def _run(self, until_ms: int) -> None:
        # The last tick may have been one of another period, before the site file was edited.
        while (
            self.tick_ms is not None
            and (next_ms := (self.tick_ms // self._period_ms + 1) * self._period_ms) <= until_ms
        ):
            self._brought.append(self._tick(next_ms))

    def _tick(self, at_ms: int) -> Step:
        before_ms = at_ms if self.tick_ms is None else self.tick_ms
        for item in self.queue.due(at_ms):
            match item.content:
                case Batch() as batch:
                    self.knowledge.heard.hear(batch, is_backlog=item.is_backlog)
                case Mark() as mark:
                    self._apply(mark, is_recovery=item.is_backlog)
                case points:
                    self.learn(points, item.from_ms)
        layout = self._arrangement.layout_at(at_ms)
        blocks = self._close_blocks(layout.tenants, before_ms, at_ms)
        self.draw, compared, known, merged = self._find_draw(layout, at_ms)
        self.tick_ms = at_ms
        awaited = Awaited(
            self.knowledge,
            self._met_ms,
            self.began_ms,
            at_ms,
            has_moved=self.has_moved,
            withdrawn=self._withdrawn,
        )
        # What is measured is judged once a second, for it lasts for longer; and where its rows are others.
        is_judged, self._is_rearranged = self._is_rearranged or at_ms % SERIES_MS == 0, False
        tenants = tenant_view(layout, self.draw, known, awaited)
        racks = self._arrangement.racks.view(self.knowledge, known, awaited)
        view = self.view = View(
            at_ms=at_ms,
            tenants=tenants,
            demand=self.demand.view(layout.tenants, self.draw, at_ms),
            racks=racks,
            meters=meter_view(layout, self._arrangement.sources, compared, merged, self.memory, known)
            if SubjectKind.COMPARISON in self._kinds
            else NO_METERS,
            tables=self._tables_at(at_ms, racks.holders, tenants.rack_cap, known, is_judged=is_judged),
            publishers=self._publishers_at(at_ms) if SubjectKind.PUBLISHER in self._kinds else NO_PUBLISHERS,
        )
        changes = self._judge(view, with_tables=is_judged)
        if self._hides:
            view = replace(view, hides=self._hidden_by_cause(), carried=self._carried)
        view, found = self._damper.judge(view)
        self.view, changes = view, changes + found
        view.tables.close()
        draws, rollups = self._series(view, layout, known)
        return Step(
            at_ms=at_ms,
            seq=self.seq,
            changes=changes,
            draws=draws,
            blocks=blocks,
            rollups=rollups,
            view=view if changes else None,
        )

    def _find_draw(
        self, layout: Layout, at_ms: int
    ) -> tuple[Draw, tuple[Compared, ...], PointValues, Compared | None]:
        """Return every tenant's draw, what was compared for it, and what is known of points and of twins."""
        known, merged = self._arrangement.sources.merge(self.knowledge.at(at_ms), self.memory, at_ms)
        return *find_draw(layout, known, self.memory, at_ms), known, merged

    def _draw_at(self, at_ms: int) -> Draw:
        return self._find_draw(self._arrangement.layout_at(at_ms), at_ms)[0]

    def _tables_at(
        self,
        at_ms: int,
        holders: NDArray[np.intp],
        rack_cap: IntArray,
        known: PointValues,
        *,
        is_judged: bool,
    ) -> Tables:
        """Return the tables of measured quantities: new ones where they are judged, else those before."""
        if self._topology is None:
            arrangement, racks = self._arrangement, self._arrangement.racks
            self._topology = Topology(
                self.site,
                arrangement.graph,
                self.points,
                self._quantities,
                racks.power_points,
                racks.sharing,
            )
        if is_judged or self._tables is None:
            before = self._tables
            agreed = Agreed.of(holders, rack_cap, NOTHING_AGREED if before is None else before.moment.agreed)
            proved = partial(self._arrangement.racks.proved, self.memory, known)
            self._tables = Tables(
                at_ms, self._topology, self.knowledge, self.windows, agreed, before, proved=proved
            )
        if is_judged:
            self._tables.note()
        return self._tables

    def _publishers_at(self, at_ms: int) -> PublisherView:
        """Return every publisher's clock, looked at once a second: clocks are off for longer."""
        if self._publishers is None or at_ms % SERIES_MS == 0:
            lately = at_ms - self.stepped_ms <= STEP_TOLD_MS
            self._publishers = self.knowledge.publishers(at_ms, self.step_ms if lately else 0)
        return self._publishers

    def _close_blocks(
        self, tenants: Sequence[TenantId], before_ms: int, at_ms: int
    ) -> tuple[DemandBlock, ...]:
        """Integrate what was drawn since the tick before, and return the demand blocks that ended."""
        if self.draw is None:
            return ()
        return self.demand.advance(tenants, self.draw, before_ms, at_ms)

    def _arranged(self, builder: LayoutBuilder) -> None:
        """Take in that the site is described otherwise."""
        self._topology, self._is_rearranged = None, True
        self._arrange_series(builder)

    def _arrange_series(self, builder: LayoutBuilder) -> None:
        """Take the site as it is known now into what is kept of it as series."""
        self.rollups.arrange(builder)

    def _series(
        self, view: View, layout: Layout, known: PointValues
    ) -> tuple[tuple[TenantDraw, ...], tuple[Rollup, ...]]:
        """Return what is kept of the moment as series."""
        if view.at_ms % SERIES_MS:
            return (), ()
        return tenant_series(view), self.rollups.hear(view, layout, self.knowledge, known)

    def _apply(self, mark: Mark, *, is_recovery: bool) -> None:
        match mark.kind:
            case MarkKind.STARTED:
                self.knowledge.heard.break_stream(mark.scope, is_lossless=True)
            case MarkKind.OVERLOADED:
                self.knowledge.heard.break_stream(mark.scope, is_lossless=True)
                self.knowledge.heard.listen_anew(mark.scope, mark.since_ms)
            case MarkKind.CONNECTED:
                self.knowledge.heard.break_stream(mark.scope, is_lossless=True)
                if is_recovery:
                    self.knowledge.heard.resume(mark.scope)
                else:
                    self.knowledge.heard.connect(mark.scope, is_connected=True, at_ms=mark.since_ms)
            case MarkKind.SESSION_LOST:
                self.knowledge.heard.break_stream(mark.scope, is_lossless=False)
                self.knowledge.heard.connect(mark.scope, is_connected=True, at_ms=mark.since_ms)
            case MarkKind.GAP:
                self.knowledge.heard.break_stream(mark.scope, is_lossless=False, until_ms=mark.until_ms)
                # In a recovery it counts from its beginning on, and its end says when we listened again.
                self.knowledge.heard.listen_anew(mark.scope, NEVER if is_recovery else mark.until_ms)
            case MarkKind.LOST:
                self.knowledge.heard.connect(mark.scope, is_connected=False, at_ms=mark.since_ms)
            case MarkKind.CAUGHT_UP if is_recovery:
                self.knowledge.heard.listen_anew(mark.scope, mark.since_ms)
            case MarkKind.CAUGHT_UP | MarkKind.STEPPED:
                pass

    def _judge(self, view: View, *, with_tables: bool) -> tuple[Transition, ...]:
        """Let the rules judge, those of measured quantities only where their tables are new."""
        stepped: list[_Stepped] = []
        for judge in self.judges:
            if judge is self._damper.health or (judge.rule.is_of_tables and not with_tables):
                continue
            subjects, found = judge.find(view)
            judge.verdict = found.verdict
            if not subjects and not judge.bank.subjects:
                continue  # as of most rules at most sites
            stepped.append((judge, judge.bank, found, judge.bank.step(subjects, found, view.at_ms)))
            if judge.unverified is not None:
                doubt = doubt_of(found, _starting(judge.rule, view))
                changes = judge.unverified.step(subjects, doubt, view.at_ms)
                stepped.append((judge, judge.unverified, doubt, changes))
        hiding = [
            judge.hidden(bank, self._by_name, view) if changes or bank.has_untold else None
            for judge, bank, _, changes in stepped
        ]
        if self._is_otherwise(stepped, hiding) or with_tables:
            self._carried = self._find_carried(stepped, hiding, view)
        told: list[Transition] = []
        self._damper.begin(view.at_ms)
        for (_, bank, found, happened), hidden in zip(stepped, hiding, strict=True):
            changes = bank.rise(happened, self._carried.get(bank.rule, ()), found, view.at_ms)
            if not changes and not bank.has_untold:
                self._damper.pass_over(bank)
                continue
            damped = self._damper.damp(bank, hidden, view.at_ms)
            told += bank.tell(changes, hidden, found, view.at_ms, damped)
        return tuple(told)

    def _is_otherwise(self, stepped: Sequence[_Stepped], hiding: Sequence[BoolArray | None]) -> bool:
        """Tell whether an alarm changed, or whether others stand that are hidden, than at the tick before.

        Where nothing of that is so, what hides which alarm is found out once a second, for it takes long.

        Args:
            stepped: What the rules found.
            hiding: Which alarms of each others hide, shape (subjects,); None for none.
        """
        is_otherwise = False
        for (_, bank, _, changes), hidden in zip(stepped, hiding, strict=True):
            before = self._standing.get(bank.rule, NO_ALARM)
            stands = self._standing[bank.rule] = NO_ALARM if hidden is None else bank.stands & hidden
            is_otherwise |= bool(changes) or not (stands is before or np.array_equal(stands, before))
        return is_otherwise

    def _find_carried(
        self, stepped: Sequence[_Stepped], hiding: Sequence[BoolArray | None], view: View
    ) -> Mapping[str, Sequence[Carried]]:
        """Return what alarms hide that is graver than they are, by their rule; count all that each hides.

        Args:
            stepped: What the rules found.
            hiding: Which alarms of each others hide, shape (subjects,); None for none.
            view: The site at the moment.
        """
        carried: dict[str, list[Carried]] = {}
        if not self._hides and all(hidden is None for hidden in hiding):
            return carried  # as nearly always
        masks = {bank.rule: hidden for (_, bank, _, _), hidden in zip(stepped, hiding, strict=True)}
        for judge, bank, _, _ in stepped:
            self._hides.pop(bank.rule, None)
            if not (stands := self._standing[bank.rule]).any():
                continue
            for other, places, causes in judge.causes(bank, stands, self._by_name, view):
                found = judge.carried(bank, places, other, causes)
                if len(found.places):
                    carried.setdefault(other.rule, []).append(found)
                self._count_hidden(bank, other, causes, masks.get(other.rule))
        return carried

    def _count_hidden(self, bank: Bank, other: Bank, causes: Index, hidden: BoolArray | None) -> None:
        """Count how many alarms of a bank each alarm of another hides that is not hidden itself.

        Args:
            bank: The alarms that are hidden.
            other: Those that hide them.
            causes: The place of the cause in each pair of the two, shape (pairs,).
            hidden: Which of the causes others hide, shape (subjects,); None for none.
        """
        counts = np.bincount(causes, minlength=len(other.subjects))
        if hidden is not None:
            counts[other.is_untold & hidden] = 0
        found = self._hides.setdefault(bank.rule, {})
        for row in np.flatnonzero(counts).tolist():
            found[other.rule, other.subjects[row]] = int(counts[row])

    def _hidden_by_cause(self) -> Mapping[tuple[str, str], Mapping[str, int]]:
        """Return how many alarms each cause hides, as the view has it."""
        found: defaultdict[tuple[str, str], dict[str, int]] = defaultdict(dict)
        for rule, causes in self._hides.items():
            for cause, count in causes.items():
                found[cause][rule] = count
        return found

    # A snapshot -----------------------------------------------------------------------

    def save(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Return everything as arrays and as plain values, each tenant, rule and point with its id."""
        points, knowledge = self.knowledge.save()
        columns, rollups = self.rollups.save()
        over_time, windows = self.windows.save()
        arrays = {f"point.{name}": column for name, column in points.items()}
        arrays |= {f"rollup.{name}": column for name, column in columns.items()}
        arrays |= {f"window.{name}": column for name, column in over_time.items()}
        banks: dict[str, Any] = {}
        for name, bank in self._banks().items():
            columns, banks[name] = bank.save()
            arrays |= {f"bank.{name}.{column}": array for column, array in columns.items()}
        # Points come again with the entries that make them known.
        items = [item for item in self.queue.items if not isinstance(item.content, tuple)]
        for i, item in enumerate(items):
            arrays[f"queue.{i}"] = np.frombuffer(pack(item.content), np.uint8)
        if self.draw is not None:
            arrays |= {f"draw.{name}": column for name, column in self.draw.columns().items()}
        return arrays, {
            "fingerprint": asdict(self._fingerprint()),
            "tenants": self.tenants,
            "seq": self.seq,
            "tick_ms": self.tick_ms,
            "began_ms": self.began_ms,
            "stepped_ms": self.stepped_ms,
            "step_ms": self.step_ms,
            "recovering": self.recovering.save(),
            "beginning": self.beginning.save(),
            "behind": self.behind.save(),
            "connected": self.connected.save(),
            "knowledge": knowledge,
            "demand": self.demand.save(),
            "memory": self.memory.save(),
            "rollups": rollups,
            "windows": windows,
            "banks": banks,
            "openings": self._damper.save(),
            "queue": [(kind_of(q.content), q.from_ms, q.is_backlog) for q in items],
        }

    def load(
        self,
        arrays: Mapping[str, NDArray[Any]],
        values: Mapping[str, Any],
        known: Sequence[Entry],
        where: str,
    ) -> Edits:
        """Take in what `save` returned; of a tenant or a rule that was not there, nothing is known.

        Args:
            arrays: Arrays by name.
            values: Plain values by name.
            known: Entries of the journal that make points known, in order.
            where: What to call the source in an error.

        Returns:
            How the site file was edited since.
        """
        self.knowledge.load(named("point.", arrays), values["knowledge"])
        self.seq, self.tick_ms = values["seq"], values["tick_ms"]
        for entry in known:
            if entry.seq <= self.seq and isinstance(entry.content, tuple):
                self._describe(entry.content, entry.stamp_ms)
        self.began_ms = values["began_ms"]
        self.stepped_ms, self.step_ms = values["stepped_ms"], values["step_ms"]
        self.recovering.load(values["recovering"], self.tick_ms or 0)
        self.beginning.load(values.get("beginning", ()), self.tick_ms or 0)
        self.behind.load(values["behind"], self.tick_ms or 0)
        self.connected.load(values.get("connected", ()), self.tick_ms or 0)
        for i, (kind, from_ms, is_backlog) in enumerate(values["queue"]):
            content = unpack(kind, arrays[f"queue.{i}"].tobytes(), where)
            self.queue.put(self._queued(content, from_ms, is_backlog=is_backlog))
        self.demand.load(values["demand"])
        edits = Edits(Fingerprint(**values["fingerprint"]), self._fingerprint())
        self.memory.load(values["memory"])
        for tenant in self.tenants:
            if not edits.is_integrated_alike(tenant):
                self.demand.begin_anew(tenant)
        self.windows.load(named("window.", arrays), values.get("windows", {}))
        self.rollups.load(named("rollup.", arrays), values["rollups"], is_same_site=edits.is_same_site)
        if columns := named("draw.", arrays):
            is_alike = list(self.tenants) == values["tenants"] and all(
                map(edits.is_summed_alike, self.tenants)
            )
            tick_ms: int = values["tick_ms"]
            self.draw = Draw(**columns) if is_alike else self._draw_at(tick_ms)
        for judge in self.judges:
            for bank in judge.banks():
                if bank.rule in values["banks"]:
                    bank.load(named(f"bank.{bank.rule}.", arrays), values["banks"][bank.rule])
                    bank.note_edits(partial(edits.reason, judge.rule))
        self._damper.load(values.get("openings", {}), self._banks().keys())
        self._is_rearranged = self._is_described_otherwise(known) or not edits.is_same_site
        return edits

    def _is_described_otherwise(self, known: Sequence[Entry]) -> bool:
        """Arrange the site as the journal describes it; tell whether the last tick knew less of it."""
        tick_ms = self.tick_ms or 0
        self._arrangement.layout_at(tick_ms)
        return any(entry.seq <= self.seq and entry.stamp_ms > tick_ms for entry in known)

    def _queued(self, content: Content, from_ms: int, *, is_backlog: bool) -> Queued:
        if isinstance(content, tuple):
            raise InvariantBroken("expected readings or a mark in the queue, found points")
        broker = content.broker if isinstance(content, Mark) else self._broker_of(content)
        return Queued(content, from_ms, is_backlog, broker)

    def _fingerprint(self) -> Fingerprint:
        """Return what the site file says of the last tick, and of what is added up by then."""
        return self._fingerprints.at(self.tick_ms or 0, self.demand.since_ms())

    def _banks(self) -> dict[str, Bank]:
        return {bank.rule: bank for judge in self.judges for bank in judge.banks()}


def _until_ms(entry: Entry) -> int:
    """Return up to when ticks use nothing of an entry, nor of what comes because of it [ms].

    Where a collector begins anew, that is from when it was away on: what the broker kept is of that time.
    """
    if isinstance(entry.content, Mark) and entry.content.kind in (MarkKind.STARTED, MarkKind.STEPPED):
        return min(entry.stamp_ms, entry.content.since_ms)
    return entry.stamp_ms


def _starting(rule: Rule, view: View) -> BoolArray | None:
    """Return which subjects of a rule have not had the time to speak yet, None where that says nothing.

    How a block closed is a fact, whatever is still to come: the next one may have closed by then.
    """
    is_of_now = rule.kind is SubjectKind.TENANT and rule.block is not Block.CLOSED
    return view.tenants.is_starting if is_of_now else None
