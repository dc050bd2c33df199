"""The poller marks what happened to the database, and refuses what no rack can draw."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from collector.continuity.continuity import PATIENCE_MS
from collector.influx_poller import LOST_MS, SETTLE_MS, InfluxPoller
from facility.errors import StoreUnavailable
from facility.feedrule import FeedRule
from facility.sitefile.reader import read_site
from facility.sitefile.tables import FeedTable
from store.influx.feed import OVERLAP_MS, InfluxFeed
from store.influx.query import InfluxQuery, Parameters, Rows
from store.journal.entries import Mark, MarkKind
from store.journal.intake import Intake
from store.journal.journal import Journal
from store.ledger.ledger import Ledger
from store.retry import StoreBusy
from testing.builders import T0_MS

RULE = FeedRule(measurement="m", field="kw", tag="rack", quantity="rack.power.active", unit="kW")
SITE = '[site]\nname = "hall"\n[[rack]]\nids = "r1"\nrating_kw = 100\n'
TABLE = FeedTable.model_validate({"url": "http://db", "bucket": "b", "delay_s": 2, "poll_s": 1})


class Memory(InfluxQuery):
    """A database in memory: values of one rack by time, or an error."""

    def __init__(self) -> None:
        self.values: dict[int, float] = {}
        self.error: StoreUnavailable | None = None
        self.spans: list[tuple[int, int]] = []

    def sources(self, measurement: str, policy: str = "") -> list[str]:
        """Return the measurement."""
        return [measurement + policy]

    def numbers(self, questions: object, parameters: Parameters) -> list[list[Rows]]:
        """Return what lies in the span that is asked for."""
        assert questions
        if self.error is not None:
            raise self.error
        first, last = (int(parameters[name]) // 1_000_000 for name in ("from", "to"))
        self.spans.append((first, last))
        found = sorted((at, value) for at, value in self.values.items() if first <= at < last)
        times, values = np.array([at for at, _ in found], np.int64), np.array([v for _, v in found])
        return [[Rows({"rack": "r1"}, times, [values])]]


@dataclass
class StillClock:
    """A clock that stands."""

    at_ms: int = T0_MS

    def now_ms(self) -> int:
        """Return when it stands."""
        return self.at_ms

    def monotonic_s(self) -> float:
        """Return the same in seconds."""
        return self.at_ms / 1_000


@dataclass
class Fed:
    """A feeder of a database in memory, and what it says."""

    database: Memory
    poller: InfluxPoller
    marks: list[MarkKind] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def step(self, now_ms: int) -> list[Intake]:
        """Poll once, and keep what comes."""
        found = self.poller.step(now_ms)
        for intake in found:
            self.marks += [mark.kind for mark in intake.marks]
            self.times += intake.batch.source_ms.tolist()
        return found


@pytest.fixture
def fed(tmp_path: Path) -> Iterator[Fed]:
    """Return a feeder that has asked for nothing yet."""
    database, site = Memory(), read_site(SITE).site
    with closing(Journal(tmp_path)) as journal, closing(Ledger(tmp_path)) as ledger:
        feed = InfluxFeed(database, [RULE], TABLE.name, {})
        yield Fed(database, InfluxPoller(TABLE, feed, site, journal, ledger, clock=StillClock(), since_ms=0))


def test_a_failed_poll_is_no_loss_and_five_seconds_of_them_are(fed: Fed) -> None:
    """One answer that does not come says nothing yet; then the connection is lost since the last that did."""
    fed.step(T0_MS)
    fed.database.error = StoreBusy("http://db", "connection refused")

    fed.step(T0_MS + LOST_MS - 1)
    assert fed.marks == [MarkKind.CONNECTED, MarkKind.CAUGHT_UP]
    (lost,) = fed.step(T0_MS + LOST_MS)
    assert [(mark.kind, mark.since_ms) for mark in lost.marks] == [(MarkKind.LOST, T0_MS)]
    assert fed.step(T0_MS + LOST_MS + 1_000) == []


def test_a_database_that_is_away_at_the_start_holds_up_judging_for_a_while_only(fed: Fed) -> None:
    """Judging waits for what was stored meanwhile; not for ever, and then nothing is known."""
    fed.database.error = StoreBusy("http://db", "connection refused")
    opening = fed.poller.opening()

    assert [(mark.kind, mark.since_ms) for mark in opening.marks] == [(MarkKind.STARTED, T0_MS)]
    assert fed.step(T0_MS + PATIENCE_MS - 1) == []
    (lost,) = fed.step(T0_MS + PATIENCE_MS)
    assert [(mark.kind, mark.since_ms) for mark in lost.marks] == [(MarkKind.LOST, T0_MS)]
    fed.database.error, fed.database.values = None, {T0_MS: 50.0}
    fed.step(T0_MS + PATIENCE_MS + 1_000)
    assert fed.times == [T0_MS]
    assert fed.marks[1:] == [MarkKind.CONNECTED, MarkKind.CAUGHT_UP]


def test_what_is_stored_after_an_outage_is_read_whoever_was_first(fed: Fed) -> None:
    """One collector is back at once, another much later: both say what they held, each reading once."""
    fed.step(T0_MS)
    fed.database.error = StoreUnavailable("http://db", "the token may not read")
    fed.step(T0_MS + 300_000)
    fed.database.error = None
    back_ms = T0_MS + 301_000
    fed.database.values = {T0_MS + second * 1_000 + 1: 1.0 for second in range(300)}
    for second in range(10):
        fed.step(back_ms + second * 1_000)
    fed.database.values |= {T0_MS + second * 1_000 + 2: 2.0 for second in range(300)}
    for second in range(10, SETTLE_MS // 1_000 + 20):
        fed.step(back_ms + second * 1_000)

    assert sorted(fed.times) == sorted(fed.database.values)
    assert fed.marks[2:] == [MarkKind.LOST, MarkKind.CONNECTED, MarkKind.CAUGHT_UP]
    assert fed.database.spans[-1][0] > T0_MS + 300_000 - 2 * OVERLAP_MS


def test_what_is_impossible_is_refused_and_what_the_rating_does_not_allow_is_marked(fed: Fed) -> None:
    """The same as what a broker brings: a dead letter and a doubt, or a reading that enters no sum."""
    fed.database.values = {T0_MS - 3: 90.0, T0_MS - 2: 900.0, T0_MS - 1: 1e9}

    intake, _ = fed.step(T0_MS)

    assert intake.batch.quality.tolist() == [0, 3, 4]
    assert [letter.reason.value for letter in intake.rejections] == ["out-of-range"]
    assert intake.rejections[0].payload == b"1000000000.0"
    assert np.isnan(intake.batch.value[2])
    assert fed.poller.counters.received == 3


def test_a_database_is_silent_once_the_longest_time_between_two_values_is_over(fed: Fed) -> None:
    """The site file says how often an unchanged value is stored again."""
    assert fed.poller.patience_s == TABLE.repeat_s


def test_another_poller_goes_on_where_one_failed(tmp_path: Path) -> None:
    """The journal says that the database counts as lost, and why; what was stored meanwhile is read."""
    database, clock, site = Memory(), StillClock(), read_site(SITE).site

    def make() -> InfluxPoller:
        feed = InfluxFeed(database, [RULE], TABLE.name, {})
        return InfluxPoller(TABLE, feed, site, journal, ledger, clock=clock, since_ms=0)

    with closing(Journal(tmp_path)) as journal, closing(Ledger(tmp_path)) as ledger:
        first = make()
        asyncio.run(first.announce())
        first.step(T0_MS)
        database.values = {T0_MS + second * 1_000: 1.0 for second in range(60)}
        clock.at_ms += 60_000

        second = make()
        second.succeed(first.hand_over("it failed: a fault"))
        asyncio.run(second.announce())
        found = Fed(database, second)
        for _ in range(10):
            found.step(clock.at_ms)
        marks = [entry.content for entry in journal.read(0) if isinstance(entry.content, Mark)]

    assert [(mark.kind, mark.since_ms, mark.detail) for mark in marks] == [
        (MarkKind.STARTED, T0_MS, "collector started"),
        (MarkKind.LOST, T0_MS, "it failed: a fault"),
    ]
    assert second.announced is first.announced
    assert set(found.times) == set(database.values)
