"""The collector's promise: an acknowledgement follows the journal, and stops with it."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count, pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

import collector.service
import store.journal.appender
from collector.decode import dsx
from collector.decode.base import Context, Decoder, Gathered
from collector.decode.dsx import DsxDecoder
from collector.decode.dsxmetadata import Described, Refusal, describe
from collector.mqtt.address import Address
from collector.mqtt.message import ConnectionChange, ConnectionEvent, Item, Message, Messages
from collector.mqtt.session import Session
from collector.register import Register
from collector.row_builder import Ranges, Rows
from collector.service import HELD_MS, Collector
from facility.errors import StoreUnavailable
from facility.readings import Flag, Quality, Reason
from formats.dsx import Topic
from store.journal.entries import Mark, MarkKind
from store.journal.file import Account
from store.journal.intake import Intake
from store.journal.journal import Journal
from testing.builders import T0_MS
from testing.collector.hearing import (
    LAG_MS,
    a_broker,
    a_site,
    describing,
    document_topic,
    heartbeat,
    metadata,
    raw,
    value,
)
from testing.waiting import until


class StoppedClock:
    """A clock that stands still."""

    def now_ms(self) -> int:
        """Return the time [ms]."""
        return T0_MS + LAG_MS

    def monotonic_s(self) -> float:
        """Return seconds since some moment [s]."""
        return 0.0


class Broken:
    """A decoder whose rows can make no batch."""

    missed = 0

    def decode(self, messages: Messages, into: Gathered) -> Iterator[None]:
        """Add rows of a point that nobody declared."""
        for message in messages:
            into.rows.add(10**6, T0_MS, 1.0, is_good=True, message=message)
            yield

    def complete(self) -> Iterator[None]:
        """Nothing is left open."""
        return iter(())

    def settle(self, now_ms: int, into: Gathered) -> None:
        """Nothing waits."""

    def problems(self, now_ms: int) -> dict[str, str]:  # noqa: ARG002 - it is always well
        """Nothing is wrong."""
        return {}


class ASession(Session):
    """A session without a broker, which remembers what was acknowledged."""

    def __init__(self) -> None:
        address = Address(host="127.0.0.1", port=1, client_id="test")
        clock = StoppedClock()
        super().__init__(
            "bus",
            address,
            [],
            now_ms=clock.now_ms,
            monotonic_s=clock.monotonic_s,
            random_source=random.Random(1),  # noqa: S311 - a test
        )
        self.acknowledged: list[Message] = []
        self.more = 0

    @property
    def waiting(self) -> int:
        """How many messages there are after those that were taken."""
        return self.more

    def acknowledge(self, messages: Messages) -> None:
        """Note messages that are safe."""
        self.acknowledged += messages


@dataclass(slots=True)
class Bench:
    """A collector and all around it."""

    collector: Collector
    session: ASession
    journal: Journal

    async def take(self, *items: Message | ConnectionEvent) -> None:
        """Let the collector take items at once."""
        taken: list[Item] = [item for item in items if isinstance(item, ConnectionEvent)]
        messages = [item for item in items if isinstance(item, Message)]
        await self.collector._take(taken or [Messages.of(messages, range(1, len(messages) + 1))])

    def marks(self) -> list[MarkKind]:
        """Return the marks of the journal."""
        return [e.content.kind for e in self.journal.read(0) if isinstance(e.content, Mark)]

    def known(self) -> list[tuple[str, str]]:
        """Return each entry of a point in the journal, as its asset and its stream."""
        entries = [e.content for e in self.journal.read(0) if isinstance(e.content, tuple)]
        points = [known.point for known in chain.from_iterable(entries)]
        return [(point.asset, point.stream) for point in points]


def make(journal: Journal, decoder: Decoder | None = None, *, since_ms: int = 0) -> Bench:
    """Return a collector on a journal."""
    context = Context(a_site(), Register(journal.known()), Ranges(), count(1))
    session = ASession()
    made = decoder or DsxDecoder(a_broker(), context, journal.metadata(), journal.waiting())
    made_of = Collector(session, made, context, journal, clock=StoppedClock(), since_ms=since_ms)
    made_of._continuity._backlog = None  # until a connection is made
    return Bench(made_of, session, journal)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Return an empty journal."""
    opened = Journal(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def bench(journal: Journal) -> Bench:
    """Return a collector of a DSX bus."""
    return make(journal)


def test_everything_is_in_the_journal_before_it_is_acknowledged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readings, metadata, dead letters and what waits: one append, then all acknowledgements, in order."""
    messages = [metadata("r1"), value("r1", 90), raw("odd", b""), value("r2", 80), metadata("r1")]
    seen: list[tuple[int, int]] = []
    append = bench.journal.append

    def watched(intake: Intake, now_ms: int) -> Account:
        assert not bench.session.acknowledged
        added = append(intake, now_ms)
        seen.append((added.received, len(bench.session.acknowledged)))
        return added

    monkeypatch.setattr(bench.journal, "append", watched)

    asyncio.run(bench.take(*messages))

    assert seen == [(3, 0)]
    assert bench.session.acknowledged == messages
    counters = bench.collector.counters
    assert counters.account == Account(stored=1, dead_lettered={"unknown-topic": 1}, waiting=1)
    assert (counters.received, counters.in_hand, counters.messages) == (3, 0, 5)
    assert (counters.metadata, counters.metadata_unchanged) == (1, 1)


def test_points_are_written_down_once_although_their_scope_becomes_known_later(bench: Bench) -> None:
    """While more waits, what becomes known is held back, and its metadata are kept and acknowledged."""

    async def story() -> None:
        bench.session.more = 1
        await bench.take(metadata("r1"), metadata("r2"))
        assert bench.known() == []
        assert (len(bench.journal.metadata()), len(bench.session.acknowledged)) == (2, 2)
        bench.session.more = 0
        await bench.take(heartbeat("gw", scope="r1"))

    asyncio.run(story())

    assert bench.known() == [("r1", "bus:PUB:gw"), ("r2", "bus:PUB"), ("gw", "bus:PUB:gw")]


def test_what_is_held_back_is_written_before_anything_is_said_of_it(bench: Bench) -> None:
    """A value needs its point in the journal; more may wait or not."""
    bench.session.more = 1

    async def story() -> None:
        await bench.take(metadata("r1"))
        assert bench.known() == []
        await bench.take(value("r1", 90))

    asyncio.run(story())

    assert bench.known() == [("r1", "bus:PUB")]
    assert bench.collector.counters.account == Account(stored=1)


def test_what_was_held_back_at_a_crash_is_known_by_its_metadata(bench: Bench) -> None:
    """They were acknowledged, so none is sent again; what starts next reads them in the journal."""
    bench.session.more = 1
    asyncio.run(bench.take(metadata("r1"), heartbeat("gw", scope="r1")))
    assert bench.known() == []

    again = make(bench.journal)
    asyncio.run(again.take(value("r1", 90)))

    assert again.known() == [("r1", "bus:PUB:gw"), ("gw", "bus:PUB:gw")]
    assert again.collector.counters.account == Account(stored=1)


def test_a_doubt_is_said_of_a_point_too(bench: Bench) -> None:
    """A value that cannot be used is no reading, and its point is in the journal all the same."""
    bench.session.more = 1

    async def story() -> None:
        await bench.take(metadata("r1"))
        await bench.take(replace(value("r1", 90), payload=b"{}"))

    asyncio.run(story())

    assert bench.known() == [("r1", "bus:PUB")]


def test_nothing_is_held_back_for_long(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where descriptions do not end they are written down from time to time, and where nothing follows."""
    bench.session.more = 1
    now_ms = T0_MS + LAG_MS
    monkeypatch.setattr(bench.collector, "_now_ms", lambda: now_ms)

    async def story() -> None:
        nonlocal now_ms
        await bench.take(metadata("r1"))
        now_ms += HELD_MS - 1
        await bench.take(metadata("r2"))
        assert bench.known() == []
        now_ms += 1
        await bench.take(metadata("r3"))
        assert len(bench.known()) == 3
        await bench.take(metadata("r4"))
        assert len(bench.known()) == 3
        bench.session.more = 0
        await bench.collector._settle()

    asyncio.run(story())

    assert [rack for rack, _ in bench.known()] == ["r1", "r2", "r3", "r4"]


def test_a_disk_that_refuses_stops_acknowledgements_until_it_takes_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is acknowledged meanwhile, it is said why, and everything adds up at every moment."""
    monkeypatch.setattr(store.journal.appender, "PAUSE_S", 0.001)
    append, refusals = bench.journal.append, 3
    states: list[tuple[str, int, int, int]] = []

    def refusing(intake: Intake, now_ms: int) -> Account:
        nonlocal refusals
        counters = bench.collector.counters
        assert counters.received == counters.account.received + counters.in_hand
        states.append((counters.store_error, counters.in_hand, len(bench.session.acknowledged), refusals))
        if refusals:
            refusals -= 1
            raise StoreUnavailable("journal", "database or disk is full")
        return append(intake, now_ms)

    monkeypatch.setattr(bench.journal, "append", refusing)

    asyncio.run(bench.take(metadata("r1"), value("r1", 90)))

    error = "journal cannot store now: database or disk is full"
    assert states == [("", 1, 0, 3), (error, 1, 0, 2), (error, 1, 0, 1), (error, 1, 0, 0)]
    assert len(bench.session.acknowledged) == 2
    counters = bench.collector.counters
    assert (counters.store_error, counters.in_hand, counters.refused_by_disk) == ("", 0, 3)
    assert bench.journal.account().stored == 1


def test_who_waits_for_another_collector_does_not_hang(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk refuses, one collector tries again and the others wait for it; all of them are alive."""
    monkeypatch.setattr(store.journal.appender, "PAUSE_S", 0.001)
    monkeypatch.setattr(collector.service, "QUIET_S", 0.001)
    append, is_full, first = bench.journal.append, True, bench.collector
    second = Collector(
        ASession(), first._decoder, first._context, bench.journal, clock=StoppedClock(), since_ms=0
    )

    def refusing(intake: Intake, now_ms: int) -> Account:
        if is_full:
            raise StoreUnavailable("journal", "database or disk is full")
        return append(intake, now_ms)

    monkeypatch.setattr(bench.journal, "append", refusing)

    async def story() -> None:
        nonlocal is_full
        taking = [
            asyncio.create_task(each._take([Messages.of([metadata(rack)], [1])]))
            for each, rack in ((first, "r1"), (second, "r2"))
        ]
        before = first.rounds, second.rounds
        await until(lambda: first.rounds != before[0] and second.rounds != before[1], "both go on")
        is_full = False
        await asyncio.gather(*taking)

    asyncio.run(story())

    assert [rack for rack, _ in bench.known()] == ["r1", "r2"]


def test_what_is_said_to_be_stored_is_what_the_disk_holds(bench: Bench) -> None:
    """The counters are those of the file, also for what is delivered twice or in conflict."""
    asyncio.run(bench.take(metadata("r1"), value("r1", 90), value("r1", 90), value("r1", 91)))

    account = bench.collector.counters.account
    assert account == bench.journal.account()
    assert (account.stored, account.duplicates) == (1, 1)
    assert account.dead_lettered == {Reason.CONFLICTING_VALUE: 1}
    assert bench.collector.counters.received == account.received == 3


def test_reading_and_appending_are_measured_apart(bench: Bench) -> None:
    """Each grows with what is taken, by no more than the process needs, and with what the session read."""
    counters, before_s = bench.collector.counters, time.process_time()
    spent_s = [(0.0, 0.0)]
    for second in range(3):
        asyncio.run(bench.take(metadata("r1"), value("r1", 90, T0_MS + second)))
        spent_s.append((counters.reading.seconds, counters.appending.seconds))
    whole_s = time.process_time() - before_s

    assert all(a < b and c < d for (a, c), (b, d) in pairwise(spent_s))
    assert counters.reading.seconds + counters.appending.seconds <= whole_s

    bench.session.reading.add(1.0)
    asyncio.run(bench.take(value("r1", 90, T0_MS + 9)))
    assert counters.reading.seconds > 1
    assert bench.session.reading.seconds == 0


def test_a_flood_of_refusals_in_one_message_adds_up(journal: Journal) -> None:
    """What is refused in one for many counts as one: received is what has an end."""
    bench = make(journal)
    messages = [metadata("r1"), *(value("r1", 1e9, T0_MS + i) for i in range(50))]

    asyncio.run(bench.take(*messages, raw(document_topic("r1"), b"{}")))

    counters = bench.collector.counters
    assert counters.received == counters.account.received == 51


def test_rows_that_make_no_batch_are_dead_letters(journal: Journal) -> None:
    """A fault of our own refuses what it met, is acknowledged, and does not come again for ever."""
    bench = make(journal, Broken())
    messages = [value("r1", 90), value("r2", 91)]

    asyncio.run(bench.take(*messages))

    assert bench.journal.account() == Account(dead_lettered={Reason.DECODER_FAILED: 2})
    assert bench.collector.counters.received == 2
    assert bench.session.acknowledged == messages


def test_a_message_whose_rows_make_no_batch_takes_no_other_with_it() -> None:
    """Each message is tried by itself then; doubts stay where they arose."""
    hearing = describing(metadata("r1"), metadata("r2"))
    rows, ranges = Rows(), hearing.context.ranges
    rows.add(0, T0_MS, 90.0, is_good=True, message=value("r1", 90))
    rows.add(10**6, T0_MS, 1.0, is_good=True, message=value("r3"))
    rows.refuse(value("r2", "x"), Reason.WRONG_TYPE, "text", point=1)
    rows.add(1, T0_MS, 91.0, is_good=True, message=value("r2", 91))
    rows.add(0, T0_MS, 1e9, is_good=True, message=value("r1", 1e9))

    batch = rows.batch(ranges)

    assert [(p, q) for p, q in zip(batch.point.tolist(), batch.quality.tolist(), strict=True)] == [
        (0, Quality.GOOD),
        (1, Quality.REFUSED),
        (1, Quality.GOOD),
        (0, Quality.REFUSED),
    ]
    reasons = [rejection.reason for rejection in rows.rejections]
    assert sorted(reasons) == [Reason.DECODER_FAILED, Reason.OUT_OF_RANGE, Reason.WRONG_TYPE]


@pytest.mark.shows(Reason.DECODER_FAILED)
def test_a_message_at_which_a_decoder_fails_takes_no_other_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Metadata, readings and waiting values around it are kept as if it had not been there."""

    def failing(topic: Topic, payload: bytes, broker: str) -> Described | Refusal:
        if b"poison" in payload:
            raise ZeroDivisionError("a fault of our own")
        return describe(topic, payload, broker)

    monkeypatch.setattr(dsx, "describe", failing)
    poison = metadata("r3", rackLocationName="poison")

    asyncio.run(bench.take(value("r2", 80), metadata("r1"), poison, value("r1", 90), metadata("r2"), poison))

    account = bench.journal.account()
    assert (account.stored, account.waiting) == (2, 0)
    assert account.dead_lettered == {Reason.DECODER_FAILED: 2}
    assert set(bench.journal.metadata()) == {metadata("r1").topic, metadata("r2").topic}


# Connections --------------------------------------------------------------------------


def test_new_readings_end_the_backlog_and_refused_ones_do_not(bench: Bench) -> None:
    """Only a reading that was kept says that what arrives is new; a clock that is years ahead does not."""

    async def take() -> None:
        await bench.take(ConnectionEvent(ConnectionChange.RESUMED, T0_MS))
        await bench.take(metadata("r1"), value("r1", 80, T0_MS - 60_000, received_ms=T0_MS))
        await bench.take(value("r1", 90, T0_MS + 10**10, received_ms=T0_MS), raw(value("r1").topic, b"{"))
        assert MarkKind.CAUGHT_UP not in bench.marks()
        await bench.take(value("r1", 90, T0_MS))

    asyncio.run(take())

    assert bench.marks() == [MarkKind.CONNECTED, MarkKind.CAUGHT_UP]


def test_what_overtakes_a_backlog_does_not_end_it(bench: Bench) -> None:
    """Readings at most once are never kept, and are sent while others are held back."""

    async def take() -> None:
        await bench.take(ConnectionEvent(ConnectionChange.RESUMED, T0_MS))
        live = value("r1", 80, T0_MS)
        live.flags |= Flag.AT_MOST_ONCE
        await bench.take(metadata("r1"), live)

    asyncio.run(take())

    assert bench.marks() == [MarkKind.CONNECTED]


def test_one_fast_clock_among_many_makes_a_backlog_no_news(bench: Bench) -> None:
    """What counts is what most of a batch says of its age."""

    async def take() -> None:
        await bench.take(ConnectionEvent(ConnectionChange.RESUMED, T0_MS))
        await bench.take(*(metadata(rack) for rack in ("r1", "r2", "r3")))
        old = [value(rack, 80, T0_MS - 60_000, received_ms=T0_MS) for rack in ("r1", "r2")]
        await bench.take(*old, value("r3", 80, T0_MS + 500, received_ms=T0_MS))

    asyncio.run(take())

    assert bench.marks() == [MarkKind.CONNECTED]


def test_a_gap_is_marked_counted_and_told_with_its_ends(journal: Journal) -> None:
    """Nobody said what the broker's queue can hold, so that a break proves nothing."""
    bench = make(journal, since_ms=T0_MS - 5_000)

    asyncio.run(bench.take(ConnectionEvent(ConnectionChange.RESUMED, T0_MS)))

    gap = [e.content for e in journal.read(0) if isinstance(e.content, Mark)][-1]
    assert (gap.kind, gap.since_ms, gap.until_ms) == (MarkKind.GAP, T0_MS - 5_000, T0_MS)
    assert "away for 5.0 s" in gap.detail
    assert bench.collector.counters.gaps == 1
