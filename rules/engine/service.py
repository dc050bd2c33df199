"""Judging, as it runs: the journal is read, every tick that is due is judged, and what it brings is saved.

The engine runs beside the event loop in a thread that keeps the rhythm itself: a tick does not wait for the
loop, and a site at rest wakes it for none. What a step brings is in the ledger before anybody is told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event
from typing import Final, Protocol

import structlog

from facility.errors import StoreCorrupt, StoreUnavailable
from facility.instants import Clock
from facility.sitefile.tables import EngineTable
from rules.alarms.openings import DAMPED, ToldAs
from rules.alarms.states import Change
from rules.base import Verdict
from rules.engine import snapshot
from rules.engine.engine import Engine, Step
from rules.engine.judging import Judging
from rules.notify.telling import Teller, Telling, Told
from rules.view import View
from store.cputime import CpuTime
from store.journal.entries import Entry
from store.ledger.alarms import AlarmChange, Progress, rule_of
from store.series import AnyDraw
from store.threads import in_thread

READER: Final = "rules"
SAVE_MS: Final = 1_000
"""How often progress is saved when nothing happens to any alarm [ms]."""
MOST_ENTRIES: Final = 500
"""Entries that are taken before what they bring is saved."""
PAUSE_S: Final = 1.0
"""How long to wait before a disk that refused is tried again."""

_log = structlog.get_logger(__name__)


class Source(Protocol):
    """The journal, as the engine follows it."""

    def read(self, after_seq: int, most: int = 1_000) -> list[Entry]:
        """Return the entries after `after_seq`, in order."""
        ...

    def promise(self, floor_ms: int) -> None:
        """Promise that nothing will be stamped at or before `floor_ms` from now on."""
        ...

    def set_reader(self, name: str, seq: int) -> None:
        """Note that a reader needs nothing up to `seq` any more."""
        ...

    def point_entries(self) -> list[Entry]:
        """Return every entry that makes points known."""
        ...


class Book(Told, Protocol):
    """The ledger, as judging keeps it: on a disk, or in memory where it is rehearsed."""

    def cursor(self) -> tuple[int, int]:
        """Return up to which entry and which tick [ms] was judged; zeros before that began."""
        ...

    def save(self, progress: Progress) -> None:
        """Save what ticks brought: all of it, or nothing.

        Raises:
            StoreUnavailable: Where it was not taken; the same progress may be saved again.
        """
        ...


@dataclass(slots=True)
class Lag:
    """How far judging is behind.

    Attributes:
        tick_ms: The last tick that was judged [ms], 0 before the first.
        seq: Number of the last journal entry that was taken.
        steps_ms: How long the last step took [ms].
        is_recovering: Whether it waits for what brokers have kept.
        store_error: What the disk said, "" while it takes everything.
        snapshot_error: Why the state was not saved last, "" where it was: the journal keeps what it lacks.
        error: What kept ticks from being judged, "" while they are.
        failing: What rules raised at the last tick, by their names.
    """

    tick_ms: int = 0
    seq: int = 0
    step_ms: float = 0.0
    is_recovering: bool = False
    store_error: str = ""
    snapshot_error: str = ""
    error: str = ""
    failing: Mapping[str, str] = field(default_factory=dict)


class RulesService:
    """Runs an engine on a journal.

    Args:
        judging: Engines that have taken nothing.
        source: The journal, as it is read.
        ledger: Where what it brings is saved.
        teller: Decides what is told of what happens to alarms.
        folder: The data folder, where the snapshot is; None where none is kept.
        clock: Gives wall time [ms] and monotonic time [s].
        rhythm: When to judge and to save.
        told: Is called when something is to be told.

    Attributes:
        lag: How far it is behind.
        watch: Is given every step before it is saved; None for none.
        judging_cpu: CPU time of its steps, while it runs.
        openings: How many alarms opened since the start, by rule and by what became of telling them.
    """

    def __init__(
        self,
        judging: Judging,
        source: Source,
        ledger: Book,
        *,
        teller: Teller,
        folder: Path | None,
        clock: Clock,
        rhythm: EngineTable,
        told: Callable[[], None],
    ) -> None:
        self._judging = judging
        self._source = source
        self._ledger = ledger
        self._path = None if folder is None else folder / snapshot.FILE
        self._clock = clock
        self._rhythm = rhythm
        self._told = told
        self.watch: Callable[[Step], None] | None = None
        self._teller = teller
        self._unsaved: list[Step] = []
        self._composed = 0  # of so many of them it is known what is told
        self._tellings: list[Telling] = []
        self._saved = ledger.cursor()
        self._orphans: set[str] | None = None
        self._next_snapshot_s = clock.monotonic_s() + rhythm.snapshot_s
        self._rounds = 0
        self.lag = Lag()
        self.judging_cpu = CpuTime()
        self.openings = Counter[tuple[str, ToldAs]]()

    @property
    def _engine(self) -> Engine:
        return self._judging.live

    @property
    def rounds(self) -> object:
        """What changes while this part goes on: also within a step that judges much at once."""
        return self._rounds, self._engine.seq, self._engine.tick_ms

    @property
    def view(self) -> View | None:
        """The site at the last tick, None before the first."""
        return self._engine.view

    def verdicts(self, rule: str) -> Mapping[str, Verdict]:
        """Return what a rule found of each subject at the last tick; nothing where it is off.

        Args:
            rule: Its name.
        """
        for judge in self._judging.judges:
            if judge.rule.name == rule and judge.verdict is not None:
                return dict(zip(judge.bank.subjects, map(Verdict, judge.verdict.tolist()), strict=False))
        return {}

    def start(self) -> None:
        """Go on from the snapshot, where there is one that can be read."""
        if self._path is None:
            return
        try:
            found = snapshot.load(self._judging, self._path, self._source.point_entries())
        except StoreCorrupt as error:
            _log.warning("snapshot not used", error=str(error))
            found = False
        _log.info("rules start", snapshot=found, seq=self._engine.seq)

    async def run(self) -> None:
        """Judge until cancelled; a step that was begun is ended first."""
        is_over = Event()
        judging = asyncio.ensure_future(in_thread(self._judge_until, is_over))
        try:
            await asyncio.shield(judging)
        finally:
            is_over.set()
            await judging

    def _judge_until(self, is_over: Event) -> None:
        """Judge whenever a tick is due, until told that it is over."""
        while True:
            self._rounds += 1
            with self.judging_cpu.measure():
                self.step(self._clock.now_ms())
            if is_over.wait(self._rest_s()):
                return

    def _rest_s(self) -> float:
        """Return how long it is until a tick is due, or until a disk that refused is tried again [s]."""
        if self.lag.store_error or self.lag.error:
            return PAUSE_S
        period_ms = self._rhythm.tick_ms
        if self._engine.tick_ms is None:
            return period_ms / 1_000
        due_ms = self._engine.tick_ms + period_ms + self._rhythm.lateness_ms
        return min(max(due_ms - self._clock.now_ms(), 1), period_ms) / 1_000

    def step(self, now_ms: int) -> None:
        """Judge every tick that is due.

        Args:
            now_ms: The time [ms].
        """
        began_s = self._clock.monotonic_s()
        try:
            self._judge(now_ms)
            if not self.lag.error and self._clock.monotonic_s() >= self._next_snapshot_s:
                self.save_snapshot()
        except StoreUnavailable as error:
            if not self.lag.store_error:
                _log.error("the ledger does not take what was judged", error=str(error))
            self.lag.store_error = str(error)
        else:
            self.lag.store_error = ""
        self.lag.tick_ms = self._engine.tick_ms or 0
        self.lag.seq = self._engine.seq
        self.lag.is_recovering = self._engine.is_held
        self._note_failing()
        self.lag.step_ms = (self._clock.monotonic_s() - began_s) * 1_000

    def _judge(self, now_ms: int) -> None:
        """Judge and save; what was judged before a fault is saved and told too."""
        self._source.promise(now_ms)
        try:
            self._end_orphans(now_ms)
            self.take(now_ms)
            self._hold(self._judging.advance(now_ms))
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - tried again, shown and told: everything else goes on
            if not self.lag.error:
                _log.exception("judging stands still")
            self.lag.error = f"{type(error).__name__}: {error}"
            self._hold(self._judging.hand_over())
        else:
            self.lag.error = ""
        self._save(now_ms)

    def take(self, now_ms: int) -> None:
        """Take what the journal holds, judge the ticks that it ends, and save what they bring.

        Args:
            now_ms: The time [ms].

        Raises:
            StoreUnavailable: Where the disk did not take it; the next call tries again.
        """
        while entries := self._source.read(self._engine.seq, MOST_ENTRIES):
            for entry in entries:
                self._hold(self._judging.take(entry))
            self._save(now_ms)

    def advance(self, now_ms: int) -> None:
        """Judge every tick that uses nothing which can still come, and save what they bring.

        Args:
            now_ms: The time [ms].

        Raises:
            StoreUnavailable: Where the disk did not take it; the next call tries again.
        """
        self._source.promise(now_ms)
        self._hold(self._judging.advance(now_ms))
        self._save(now_ms)

    def _hold(self, steps: Sequence[Step]) -> None:
        """Keep steps until they are saved."""
        self._unsaved += steps
        if self.watch is not None:
            for step in steps:
                self.watch(step)

    def _end_orphans(self, now_ms: int) -> None:
        """After a start, end the alarms that no rule can end: it is off, or what it knew is lost.

        An alarm that opened after what the snapshot knows is found again by then, or not: another site file
        may judge otherwise what was judged before.

        Args:
            now_ms: The time [ms].
        """
        if self._orphans is None:
            begin_ms = self._engine.tick_ms
            if begin_ms is None:
                first = self._source.read(self._engine.seq, 1)
                begin_ms = first[0].stamp_ms if first else now_ms
            self._orphans = {alarm.id for alarm in self._ledger.alarms(only_open=True)}
        elif not self._orphans or any(step.changes for step in self._unsaved):
            return
        else:
            begin_ms = self._judging.judged_ms
        active = self._judging.active_ids()
        changes, notices, later = [], [], set[str]()
        for alarm in self._ledger.alarms(only_open=True):
            if alarm.id not in self._orphans or alarm.returned_ms is not None or alarm.id in active:
                continue
            if alarm.rule in self._judging.rules:
                if alarm.opened_ms > begin_ms:
                    later.add(alarm.id)
                    continue
                reason = "it is not found again under this site file, or what was known of it is lost"
            else:
                reason = f"rule {rule_of(alarm.rule)} is switched off"
            _log.warning("alarm ended", alarm=alarm.id, rule=alarm.rule, reason=reason)
            ended = replace(alarm, returned_ms=now_ms)
            changes.append(AlarmChange(alarm=ended, change="returned", at_ms=now_ms, reason=reason))
            notices += self._teller.endings(ended, reason, now_ms)
        if changes:
            seq, tick_ms = self._ledger.cursor()
            self._ledger.save(Progress(seq=seq, tick_ms=tick_ms, changes=changes, notices=notices))
            self._told()
        self._orphans = later

    def _note_failing(self) -> None:
        before, failing = self.lag.failing, self._judging.failing
        for name, error in failing.items():
            if name not in before:
                _log.error("a rule fails; its alarms stay as they are", rule=name, error=error)
        self.lag.failing = failing

    def save_snapshot(self) -> None:
        """Save the engine's state; what it has taken is then needed no more."""
        self._next_snapshot_s = self._clock.monotonic_s() + self._rhythm.snapshot_s
        if self._path is None or self._engine.tick_ms is None or self.lag.error:
            return  # a tick that could not be judged is half in the engine: the snapshot before it stays
        self._save(self._clock.now_ms(), at_once=True)
        try:
            snapshot.save(self._judging, self._path)
        except OSError as error:
            if not self.lag.snapshot_error:
                _log.warning("snapshot not saved", error=str(error))
            self.lag.snapshot_error = str(error)
            return
        self.lag.snapshot_error = ""
        self._source.set_reader(READER, self._engine.seq)

    def _save(self, now_ms: int, *, at_once: bool = False) -> None:
        """Save what is not saved yet: at once where an alarm changed, else from time to time."""
        steps = self._unsaved
        has_blocks = any(step.blocks for step in steps)
        seq, tick_ms = next(((s.seq, s.at_ms) for s in reversed(steps) if not s.is_settled), self._saved)
        # A clock that was set back takes event time back with it.
        is_due = bool(steps) and abs(tick_ms - self._saved[1]) >= SAVE_MS
        has_changes = any(step.changes for step in steps)
        if not (has_changes or has_blocks or is_due or (at_once and steps)):
            return
        for step in steps[self._composed :]:
            if step.changes:
                self._tellings.append(self._teller.tell(step.changes, step.view, now_ms))
        self._composed = len(steps)
        self._tellings.append(self._teller.follow(self._engine.view, now_ms))
        series: dict[int, Sequence[AnyDraw]] = {
            step.at_ms: (*step.draws, *step.rollups) for step in steps if step.draws
        }
        changes = [change for telling in self._tellings for change in telling.changes]
        self._ledger.save(
            Progress(
                seq=seq,
                tick_ms=tick_ms,
                changes=changes,
                notices=[notice for telling in self._tellings for notice in telling.notices],
                series=series,
                blocks=[block for step in steps for block in step.blocks],
            )
        )
        self._saved = (seq, tick_ms)
        self.openings.update((c.alarm.rule, _told_as(c)) for c in changes if c.change == Change.OPENED)
        is_told = any(telling.notices for telling in self._tellings)
        self._unsaved, self._tellings, self._composed = [], [], 0
        self._teller.saved()
        if is_told:
            self._told()


def _told_as(opening: AlarmChange) -> ToldAs:
    if opening.alarm.is_told:
        return "told"
    return "damped" if opening.reason.startswith(DAMPED) else "suppressed"
