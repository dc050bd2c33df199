"""The engine: entries of the journal in, alarms and series out, tick by tick of event time.

It is a pure function of the entries: a tick at event time T uses exactly what was stamped up to T plus the
lateness, so live, caught up and replayed it comes to the same alarms with the same ids. It has no clock: the
service tells it how far the journal is closed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from facility.graph import Graph
from facility.names import OPERATOR, TenantId
from facility.points import Point
from facility.readings import Batch, BoolArray
from facility.site import Site
from rules.alarms import Bank, Transition
from rules.base import CANNOT_VERIFY, Active, Findings, Rule, Severity, Verdict
from rules.demand import Demand
from rules.draw import Draw, find_draw
from rules.knowledge import Knowledge, Timing
from rules.layout import Layout
from rules.meters import meter_view
from rules.queue import Queue, Queued
from rules.racks import Racks
from rules.rollups import Rollups
from rules.sources import Sources
from rules.tenants import tenant_series, tenant_view
from rules.trust import Memory
from rules.units import LayoutBuilder
from rules.view import UNBOUNDED, View
from store.entries import Entry, Known, Mark, MarkKind
from store.series import Rollup, TenantDraw

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
        rollups: Those of racks, feeds and the site over a minute, when it is over.
        view: The site at the tick, where something changed that people may be told.
    """

    at_ms: int
    seq: int
    changes: tuple[Transition, ...]
    draws: tuple[TenantDraw, ...]
    rollups: tuple[Rollup, ...]
    view: View | None


@dataclass(slots=True)
class Judge:
    """A rule and its machines.

    Attributes:
        rule: The rule.
        bank: Its alarms.
        unverified: Its alarms of not being able to tell, None where that is no alarm.
        judging_error: What the rule raised when it judged last, "" where it judged.
        telling_error: What it raised when it said last what is held back, "" where it could say.
    """

    rule: Rule
    bank: Bank
    unverified: Bank | None
    judging_error: str = ""
    telling_error: str = ""

    @property
    def error(self) -> str:
        """What the rule raised last, "" while it is healthy."""
        return self.judging_error or self.telling_error

    def active_ids(self) -> set[str]:
        """Return the identities of the alarms that it has now."""
        found = self.bank.active_ids()
        return found if self.unverified is None else found | self.unverified.active_ids()

    def find(self, view: View) -> tuple[tuple[str, ...], Findings]:
        """Let the rule judge: return its subjects, and what it found of each.

        Where it raises, its alarms stay as they are: nothing opens, worsens or returns.
        """
        subjects = self.bank.subjects
        try:
            subjects = self.rule.subjects(view)
            found = self.rule.judge(view)
            found.check(len(subjects))
        except Exception as error:  # noqa: BLE001 - no fault of one rule may end the others
            self.judging_error = f"{type(error).__name__}: {error}"
            return subjects, Findings.nothing(len(subjects))
        self.judging_error = ""
        return subjects, found

    def suppressed(self, view: View, active: Active) -> BoolArray | None:
        """Return whose alarm says nothing new; nobody where the rule can not tell."""
        try:
            held_back = self.rule.suppressed(view, active)
        except Exception as error:  # noqa: BLE001 - no fault of one rule may end the others
            self.telling_error = f"{type(error).__name__}: {error}"
            return None
        self.telling_error = ""
        return held_back


class Engine:
    """The engine.

    Args:
        site: The site.
        timings: When points are published, by the broker's name.
        rules: The rules.
        tick_ms: Event time between two ticks [ms].
        lateness_ms: How long a tick waits for readings on their way [ms].

    Attributes:
        site: The site.
        seq: The last entry that was taken.
        tick_ms: The last tick that was evaluated [ms]; None before the first.
        view: The site at that tick; None before the first.
        draw: What each tenant drew at that tick; None before the first.
        rollups: What is added up of the minute that is not over.
        memory: What judgements of draws remember from tick to tick.
        recovering: Brokers whose collector began anew and has not read yet what was kept for it: until
            it has, no tick is evaluated.
        behind: Brokers of which what arrives may be old.
        began_ms: The first tick [ms]: what was never heard has been silent since then.
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
        self.judges = tuple(_judge(rule) for rule in rules)
        self._rule_banks = {judge.rule.name: judge.bank for judge in self.judges}
        self.knowledge = Knowledge(timings, lateness_ms)
        self.demand = Demand(site)
        self.memory = Memory()
        self.points: dict[int, Point] = {}
        self._graph = Graph()
        for asset in site.assets:
            self._graph.add(asset)
        self._builder: LayoutBuilder | None = None
        self._racks: Racks | None = None
        self._sources = Sources((), {})
        self._layout: Layout | None = None
        self._layout_until_ms = 0
        self.rollups = Rollups(site)
        self.draw: Draw | None = None
        self.began_ms = 0
        self.queue = Queue(lateness_ms)
        self.recovering: set[str] = set()
        self.behind: set[str] = set()
        self.seq = 0
        self.tick_ms: int | None = None
        self.view: View | None = None
        self._brought: list[Step] = []

    @property
    def tenants(self) -> tuple[TenantId, ...]:
        """Whom each place of a tenant's array is about, the operator's own load last."""
        return (*(tenant.id for tenant in self.site.tenants), OPERATOR)

    # Taking entries -------------------------------------------------------------------

    def take(self, entry: Entry) -> list[Step]:
        """Take the next entry of the journal, after the ticks that do not use it any more.

        Args:
            entry: The entry after the last one that was taken.

        Returns:
            What those ticks brought.
        """
        if not self.recovering:
            self._run(_until_ms(entry) - self._lateness_ms - 1)
        self.seq = entry.seq
        match entry.content:
            case Batch() as batch:
                self._begin(entry.stamp_ms)
                self.queue.put_readings(batch, is_backlog=bool(self.behind))
            case Mark() as mark:
                if mark.kind is MarkKind.STARTED and self.tick_ms is not None:
                    self.recovering.add(mark.broker)
                self._begin(entry.stamp_ms)
                self._take_mark(mark, entry.stamp_ms)
            case points:
                self.learn(points)
        return self.hand_over()

    def advance(self, closed_ms: int) -> list[Step]:
        """Evaluate every tick that uses nothing stamped after `closed_ms`.

        Args:
            closed_ms: Nothing will be stamped at or before this any more [ms].
        """
        if not self.recovering:
            self._run(closed_ms - self._lateness_ms)
        return self.hand_over()

    def hand_over(self) -> list[Step]:
        """Return what ticks brought that nobody was given yet: also after a tick that could not be judged."""
        brought, self._brought = self._brought, []
        return brought

    def learn(self, points: Sequence[Known]) -> None:
        """Take in points that became known, or known better."""
        for known in points:
            if self.points.get(known.id) != known.point:
                self.points[known.id] = known.point
                self.knowledge.add(known.id, known.point)
                point = known.point
                if point.is_boundary or point.is_line_current or point.is_current_limit:
                    self._builder = None
            if known.asset is not None and self._graph.add(known.asset):
                self._builder = None

    def _take_mark(self, mark: Mark, stamp_ms: int) -> None:
        """Queue a mark; while a collector recovers, hold the ticks until it has what was kept for it."""
        if mark.kind in (MarkKind.CAUGHT_UP, MarkKind.LOST):
            self.behind.discard(mark.broker)
        elif mark.kind is not MarkKind.GAP:
            self.behind.add(mark.broker)
        is_recovery = mark.broker in self.recovering
        effective_ms = min(mark.since_ms, stamp_ms) if is_recovery else stamp_ms
        self.queue.put(Queued(mark, effective_ms, is_recovery))
        if is_recovery and mark.kind in (MarkKind.CAUGHT_UP, MarkKind.LOST):
            self.recovering.discard(mark.broker)
            if not self.recovering:
                self._run(stamp_ms - self._lateness_ms - 1)

    def _begin(self, stamp_ms: int) -> None:
        if self.tick_ms is None:
            self.tick_ms = self.began_ms = stamp_ms // self._period_ms * self._period_ms

    # Ticks ----------------------------------------------------------------------------

    def _run(self, until_ms: int) -> None:
        while self.tick_ms is not None and self.tick_ms + self._period_ms <= until_ms:
            self._brought.append(self._tick(self.tick_ms + self._period_ms))

    def _tick(self, at_ms: int) -> Step:
        before_ms = at_ms if self.tick_ms is None else self.tick_ms
        for item in self.queue.due(at_ms):
            if isinstance(item.content, Mark):
                self._apply(item.content, is_recovery=item.is_backlog)
            else:
                self.knowledge.hear(item.content, is_backlog=item.is_backlog)
        layout = self._layout_at(at_ms)
        if self.draw is not None:
            self.demand.advance(layout.tenants, self.draw, before_ms, at_ms)
        assert self._racks is not None  # noqa: S101 - made with the layout
        known, merged = self._sources.merge(self.knowledge.at(at_ms), self.memory, at_ms)
        self.draw, compared = find_draw(layout, known, self.memory, at_ms)
        self.tick_ms = at_ms
        view = self.view = View(
            at_ms=at_ms,
            tenants=tenant_view(layout, self.draw, at_ms),
            demand=self.demand.view(layout.tenants, self.draw, at_ms),
            racks=self._racks.view(self.knowledge, known, at_ms, self.began_ms),
            meters=meter_view(layout, self._sources, compared, merged, self.memory, known),
        )
        changes = self._judge(view)
        draws: tuple[TenantDraw, ...] = ()
        rollups: tuple[Rollup, ...] = ()
        if at_ms % SERIES_MS == 0:
            draws = tenant_series(view)
            rollups = self.rollups.hear(view, layout, self.knowledge, known)
        return Step(
            at_ms=at_ms,
            seq=self.seq,
            changes=changes,
            draws=draws,
            rollups=rollups,
            view=view if changes else None,
        )

    def _apply(self, mark: Mark, *, is_recovery: bool) -> None:
        match mark.kind:
            case MarkKind.STARTED | MarkKind.OVERLOADED:
                self.knowledge.break_stream(mark.broker, is_lossless=True)
            case MarkKind.CONNECTED:
                self.knowledge.break_stream(mark.broker, is_lossless=True)
                if is_recovery:
                    self.knowledge.resume(mark.broker)
                else:
                    self.knowledge.connect(mark.broker, is_connected=True)
            case MarkKind.SESSION_LOST:
                self.knowledge.break_stream(mark.broker, is_lossless=False)
                self.knowledge.connect(mark.broker, is_connected=True)
            case MarkKind.GAP:
                self.knowledge.break_stream(mark.broker, is_lossless=False, until_ms=mark.until_ms)
            case MarkKind.LOST:
                self.knowledge.connect(mark.broker, is_connected=False)
            case MarkKind.CAUGHT_UP:
                pass

    def _layout_at(self, at_ms: int) -> Layout:
        if self._builder is None:
            self._builder = LayoutBuilder(self.site, self._graph, self.points)
            self._racks = Racks(self._builder, self.points)
            self._sources = Sources(self._builder.twins(), self.points)
            self.rollups.arrange(self._builder)
            self._layout = None
        if self._layout is None or at_ms >= self._layout_until_ms:
            self._layout = self._builder.build(at_ms)
            later = [change for change in self.site.changes_ms() if change > at_ms]
            self._layout_until_ms = min(later, default=UNBOUNDED)
        return self._layout

    def _judge(self, view: View) -> tuple[Transition, ...]:
        stepped = []
        for judge in self.judges:
            subjects, found = judge.find(view)
            stepped.append((judge, judge.bank, found, judge.bank.step(subjects, found, view.at_ms)))
            if judge.unverified is not None:
                doubt = _doubt(found)
                changes = judge.unverified.step(subjects, doubt, view.at_ms)
                stepped.append((judge, judge.unverified, doubt, changes))
        told: list[Transition] = []
        for judge, bank, found, changes in stepped:
            if not changes and not bank.has_untold:
                continue
            told += bank.tell(changes, self._suppressed(judge, bank, view), found, view.at_ms)
        return tuple(told)

    def _suppressed(self, judge: Judge, bank: Bank, view: View) -> BoolArray | None:
        if bank is judge.bank:
            return judge.suppressed(view, self._is_active)
        teller = judge.rule.unknown_told_by
        if teller not in self._rule_banks:
            return None
        other = self._rule_banks[teller]
        return other.is_active | other.is_pending

    def _is_active(self, rule: str) -> BoolArray | None:
        bank = self._rule_banks.get(rule)
        return None if bank is None else bank.is_active


def _until_ms(entry: Entry) -> int:
    """Return up to when ticks use nothing of an entry, nor of what comes because of it [ms].

    Where a collector begins anew, that is from when it was away on: what the broker kept is of that time.
    """
    if isinstance(entry.content, Mark) and entry.content.kind is MarkKind.STARTED:
        return min(entry.stamp_ms, entry.content.since_ms)
    return entry.stamp_ms


def _judge(rule: Rule) -> Judge:
    bank = Bank(rule.name, rule.severity, round(rule.on_delay_s * 1_000), round(rule.off_delay_s * 1_000))
    unverified = None
    if rule.unknown_pages:
        name = f"{rule.name}-{CANNOT_VERIFY}"
        unverified = Bank(name, Severity.MEDIUM, round(rule.unknown_delay_s * 1_000), 0)
    return Judge(rule, bank, unverified)


def _doubt(found: Findings) -> Findings:
    """Return findings of which not being able to tell is the breach."""
    unknown = found.verdict == Verdict.UNKNOWN
    return replace(
        found,
        verdict=np.where(unknown, Verdict.BREACH, Verdict.CLEAR).astype(np.int8),
        returned=~unknown,
        severity=None,
        on_delay_ms=None,
    )
