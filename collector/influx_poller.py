"""Readings that other software stores, taken into the journal as those of a broker are: poll, append, go on.

Everything behind the journal is the same as with a broker, and so are the marks: a database that does not
answer is a connection that was lost. Nothing is written to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from collector.continuity.continuity import PATIENCE_MS
from collector.health import Health, State
from collector.plausibility import Plausibility
from collector.row_builder import OLDEST_MS
from collector.source import Source
from facility.errors import StoreUnavailable
from facility.feedrule import FeedRule
from facility.instants import Clock
from facility.site import Site
from facility.sitefile.influxdb import rule_of
from facility.sitefile.tables import FeedTable, InfluxTable
from store.cputime import charged_to
from store.influx.feed import OVERLAP_MS, InfluxFeed
from store.influx.query import InfluxQuery
from store.journal.appender import Handover
from store.journal.entries import Mark, MarkKind
from store.journal.intake import Intake
from store.journal.journal import Journal
from store.retry import StoreBusy
from store.threads import in_thread

LOST_MS: Final = 5_000
"""A database that does not answer for so long is lost [ms] (our choice)."""
SAVE_MS: Final = 10_000
"""How often the place up to which was read is saved [ms]; what is read again after a crash is known."""
SETTLE_MS: Final = 60_000
"""How long after an outage of the database everything since its beginning is read once more [ms].

Several collectors hold lines back meanwhile, and store them one after the other (our choice).
"""
AGAIN_MS: Final = 60_000
"""How much of it is read at once, between two polls [ms] (our choice)."""
TIMEOUT_S: Final = 10.0
"""How long an answer of the database may take to begin [s] (our choice)."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Again:
    """A span that is to be read once more.

    Attributes:
        from_ms: Its start, which moves on as it is read [ms].
        to_ms: Its end [ms].
        due_ms: When [ms]; None while the database is away.
    """

    from_ms: int
    to_ms: int = 0
    due_ms: int | None = None


class Cursors(Protocol):
    """The ledger, as far as it keeps places."""

    def cursor(self, name: str) -> tuple[int, int]:
        """Return up to where a reader has read, 0 where it never did, and at which tick [ms]."""
        ...

    def set_cursor(self, name: str, seq: int) -> None:
        """Note up to where a reader has read.

        Raises:
            StoreUnavailable: Where the disk did not take it.
        """
        ...


class InfluxPoller(Source):
    """Takes what a database holds into the journal.

    Args:
        table: What the site file says of it.
        feed: Reads it.
        site: The site, for what its racks are rated.
        journal: Where readings go.
        ledger: Where the place is kept up to which was read.
        clock: Gives wall time [ms] and monotonic time [s].
        since_ms: Up to when the journal knows what happened before this start [ms], 0 for never.
    """

    def __init__(
        self,
        table: FeedTable,
        feed: InfluxFeed,
        site: Site,
        journal: Journal,
        ledger: Cursors,
        *,
        clock: Clock,
        since_ms: int,
    ) -> None:
        # Each value is repeated sooner than the database counts as silent.
        super().__init__(
            table.name, Health(), journal, clock, patience_s=table.repeat_s, whole_ms=clock.now_ms()
        )
        self._table = table
        self._feed = feed
        self._ledger = ledger
        self._clock = clock
        self._since_ms = since_ms
        self._started_ms = self.whole_ms
        self._is_connected = self._was_lost = False
        self._is_behind = True
        self._again: _Again | None = None
        self._saved_ms = 0
        self._plausibility = Plausibility(site, journal.known().values())
        self._opening = self.opening().marks

    def _resume(self, left: Handover) -> list[Mark]:
        self._feed.go_back(left.since_ms - self._table.lateness_ms - OVERLAP_MS)
        return [Mark(MarkKind.LOST, self.name, left.since_ms, left.cause)]

    @property
    def waiting(self) -> int:
        """Nothing waits: nothing is sent unasked."""
        return 0

    @property
    def rate_per_s(self) -> float | None:
        """How much is stored there is not known."""
        return None

    @property
    def missed(self) -> int:
        """Rows have no numbers, so none is known to be missing."""
        return 0

    def problems(self, now_ms: int) -> dict[str, str]:  # noqa: ARG002 - `check` says what is wrong with series
        """Nothing is said that could be in doubt: `[[influxdb.series]]` names who is believed."""
        return {}

    async def forget(self) -> None:
        """Do nothing: the database knows nothing of us."""

    async def run(self) -> None:
        """Poll until cancelled."""
        await self.announce()
        while True:
            self._rounds += 1
            begin_s = self._clock.monotonic_s()
            with charged_to(self.counters.reading):
                intakes = await in_thread(self.step, self._clock.now_ms())
            for intake in intakes:
                await self._appender.append(intake)
            await self._save()
            if not (self._is_connected and self._feed.is_behind):
                await asyncio.sleep(max(0.0, begin_s + self._table.poll_s - self._clock.monotonic_s()))

    def opening(self) -> Intake:
        """Return what the journal is told at the start."""
        since_ms = self._since_ms or self._started_ms
        return self._appender.mark(MarkKind.STARTED, since_ms, "collector started")

    def step(self, now_ms: int) -> list[Intake]:
        """Ask once.

        Args:
            now_ms: The time [ms].

        Returns:
            What is to be appended to the journal, in order.
        """
        try:
            intake = self._feed.poll(now_ms, self._table.lateness_ms)
            late = self._read_again(now_ms)
        except StoreUnavailable as error:
            return self._failed(error, now_ms)
        return [*self._answered(intake, now_ms), *late]

    def _read_again(self, now_ms: int) -> list[Intake]:
        again = self._again
        if again is None or again.due_ms is None or now_ms < again.due_ms or self._feed.is_behind:
            return []
        end_ms = min(again.from_ms + AGAIN_MS, again.to_ms)
        intake = self._feed.again(again.from_ms, end_ms, now_ms)
        again.from_ms = end_ms
        if end_ms == again.to_ms:
            self._again = self._feed.keep_ms = None
        self._judge(intake)
        return [intake]

    def _failed(self, error: StoreUnavailable, now_ms: int) -> list[Intake]:
        health = self.health
        if health.detail != error.cause:
            _log.warning("not read", source=self._table.name, error=str(error))
        health.detail = error.cause
        most_ms = LOST_MS if self._is_connected else PATIENCE_MS
        if self._was_lost or now_ms - self.whole_ms < most_ms:
            return []
        since_ms = self.whole_ms if self._is_connected else self._since_ms or self._started_ms
        begin_ms = self.whole_ms if self._is_connected else self._feed.newest_ms or self._started_ms
        begin_ms -= self._table.lateness_ms + OVERLAP_MS
        self._is_connected, self._was_lost, self._is_behind = False, True, True
        if self._again is not None:
            begin_ms = min(begin_ms, self._again.from_ms)
        self._again, self._feed.keep_ms = _Again(begin_ms), begin_ms
        self._feed.go_back(begin_ms)
        health.state = State.CONNECTING if isinstance(error, StoreBusy) else State.REFUSED
        return [self._appender.mark(MarkKind.LOST, since_ms, error.cause)]

    def _answered(self, intake: Intake, now_ms: int) -> list[Intake]:
        self.whole_ms = now_ms
        health = self.health
        if not self._is_connected:
            self._is_connected = True
            health.connections += 1
            health.state, health.detail = State.CONNECTED, f"reads {self._table.url}"
            intake.marks += self._appender.mark(MarkKind.CONNECTED, now_ms, health.detail).marks
            if self._again is not None:
                self._again.to_ms, self._again.due_ms = now_ms, now_ms + SETTLE_MS
        elif not self._is_behind:
            health.detail = f"reads {self._table.url}"
        self._was_lost = False
        self._judge(intake)
        found = [intake]
        if self._is_behind and not self._feed.is_behind:
            self._is_behind = False
            found.append(
                self._appender.mark(MarkKind.CAUGHT_UP, now_ms, "everything that is stored has been read")
            )
        return found

    def _judge(self, intake: Intake) -> None:
        self.counters.messages += len(intake.batch)
        self._plausibility.judge(intake)
        self._appender.count(intake)

    # Keeping it -----------------------------------------------------------------------

    async def _save(self) -> None:
        """Save from time to time up to when it was read; after a crash a little is read again."""
        newest_ms, now_ms = self._feed.newest_ms, self._clock.now_ms()
        if newest_ms is None or now_ms - self._saved_ms < SAVE_MS:
            return
        try:
            await in_thread(self._ledger.set_cursor, cursor_of(self._table), newest_ms)
        except StoreUnavailable:
            return  # the ledger's own trouble is told by those who need it
        self._saved_ms = now_ms


def cursor_of(table: FeedTable) -> str:
    """Return under which name the ledger keeps up to when a feed was read."""
    return f"feed.{table.name}"


def make_poller(
    table: FeedTable,
    query: InfluxQuery,
    site: Site,
    journal: Journal,
    ledger: Cursors,
    *,
    clock: Clock,
    since_ms: int,
) -> InfluxPoller:
    """Return what reads a database, from where it was before, at most a week back.

    Args:
        table: What the site file says of it.
        query: Asks the database.
        site: The site, for what its racks are rated.
        journal: Where readings go.
        ledger: Where the place is kept up to which was read.
        clock: Gives wall time [ms] and monotonic time [s].
        since_ms: Up to when the journal knows what happened before this start [ms], 0 for never.
    """
    newest_ms, _ = ledger.cursor(cursor_of(table))
    begin_ms = max(newest_ms, clock.now_ms() - OLDEST_MS) if newest_ms else None
    feed = InfluxFeed(query, rules_of(table), table.name, journal.known(), begin_ms)
    return InfluxPoller(table, feed, site, journal, ledger, clock=clock, since_ms=since_ms)


def rules_of(table: FeedTable) -> list[FeedRule]:
    """Return which series are which points."""
    return [rule_of(series) for series in table.series if series is not None]


def query_of(table: FeedTable, token: Callable[[], str]) -> InfluxQuery:
    """Return the way to the database that a site reads, not open yet.

    Args:
        table: What the site file says of it.
        token: Gives its token, anew whenever the one before was refused.
    """
    place = InfluxTable(url=table.url, org=table.org, bucket=table.bucket)
    return InfluxQuery(place, token, TIMEOUT_S)
