"""Two brokers and a disk that refuses: no reading is stored before its point, or under another number."""

from __future__ import annotations

import asyncio
import math
import random
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import store.journal.appender
from collector.decode.base import Context
from collector.decode.dsx import DsxDecoder
from collector.mqtt.address import Address
from collector.mqtt.message import Message, Messages
from collector.mqtt.session import Session
from collector.register import Register
from collector.row_builder import Ranges
from collector.service import Collector
from facility.errors import StoreUnavailable
from facility.readings import Batch
from megawatch.run.process import end
from store.journal.file import Account
from store.journal.intake import Intake
from store.journal.journal import Journal
from testing.builders import T0_MS
from testing.collector.hearing import a_broker, a_site, metadata, value

RACKS = tuple(f"r{number}" for number in range(6))
NAMES = ("one", "two")


class StoppedClock:
    """A clock that stands still."""

    def now_ms(self) -> int:
        """Return the time [ms]."""
        return T0_MS + 100

    def monotonic_s(self) -> float:
        """Return seconds since some moment [s]."""
        return 0.0


class ASession(Session):
    """A session without a broker."""

    more = 0

    @property
    def waiting(self) -> int:
        """How many messages there are after those that were taken."""
        return self.more

    def acknowledge(self, messages: Messages) -> None:
        """Nobody waits for it."""


class Site:
    """Two collectors on one journal whose disk refuses now and then.

    Args:
        folder: The journal's folder.
        refusals: Whether the disk refuses each append, in turn; after them it takes all.
    """

    def __init__(self, folder: Path, refusals: list[bool]) -> None:
        self.journal = Journal(folder)
        assert self.journal._connection is not None
        self.journal._connection.execute("PRAGMA synchronous = OFF")
        self._whole, self._refusals = self.journal.append, iter(refusals)
        self.journal.append = self._append  # type: ignore[method-assign]
        self._context = Context(a_site(RACKS), Register(self.journal.known(), NAMES), Ranges(), count(1))
        self._times = count(T0_MS - 50_000)
        self.collectors: dict[str, Collector] = {}
        for name in NAMES:
            self.begin(name)

    def begin(self, name: str) -> None:
        """Begin a collector, or another one after it failed."""
        self._context.register.restore(self.journal.known())
        session = ASession(
            name,
            Address(host="127.0.0.1", port=1, client_id="test"),
            [],
            now_ms=StoppedClock().now_ms,
            monotonic_s=StoppedClock().monotonic_s,
            random_source=random.Random(1),  # noqa: S311 - a test
        )
        kept = {topic: payload for topic, payload in self.journal.metadata().items() if f"{name}-" in topic}
        decoder = DsxDecoder(a_broker(name), self._context, kept)
        self.collectors[name] = Collector(
            session, decoder, self._context, self.journal, clock=StoppedClock(), since_ms=0
        )

    def _append(self, intake: Intake, now_ms: int) -> Account:
        if next(self._refusals, False):
            raise StoreUnavailable("journal", "database or disk is full")
        return self._whole(intake, now_ms)

    def message(self, name: str, kind: str, place: int) -> Message:
        """Return a message of a broker: a rack's power is its place in the list, in kW."""
        path, rack = f"{name}-{place}", RACKS[place]
        if kind == "value":
            return value(path, place + 10 * NAMES.index(name), next(self._times), received_ms=T0_MS)
        return metadata(path, rackLocationId=rack, rackLocationName=kind)

    async def play(self, name: str, steps: list[Step]) -> None:
        """Let a collector take messages in turn; where it is cancelled, another one goes on."""
        for kind, places, waits, cancelled_s in steps:
            collector = self.collectors[name]
            session = collector._session
            assert isinstance(session, ASession)
            session.more = int(waits)
            messages = [self.message(name, kind, place) for place in places]
            taking = asyncio.create_task(collector._take([Messages.of(messages, range(1, len(places) + 1))]))
            if cancelled_s is None:
                await taking
                continue
            await asyncio.sleep(cancelled_s)
            if not taking.done():
                await end(taking)
                await asyncio.sleep(0.001)
                self.begin(name)

    def check(self) -> None:
        """Check that each reading stands behind its point, and is of the point that it was sent of."""
        known: dict[int, str] = {}
        for entry in self.journal.read(0, 1_000_000):
            if isinstance(entry.content, tuple):
                known.update((described.id, described.point.key) for described in entry.content)
            elif isinstance(entry.content, Batch):
                for number, read in zip(
                    entry.content.point.tolist(), entry.content.value.tolist(), strict=True
                ):
                    assert number in known, "a reading before its point"
                    if not math.isnan(read):
                        name, place = NAMES[int(read // 10)], int(read % 10)
                        assert known[number].endswith(f"/{name}-{place}")


Step = tuple[str, list[int], bool, float | None]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["value", "value", "metadata", "metadata", "other"]),
        st.lists(st.integers(0, len(RACKS) - 1), min_size=1, max_size=3),
        st.booleans(),
        st.sampled_from([None, None, None, None, 0.0, 0.002]),
    ),
    max_size=6,
)


HELD: Step = ("metadata", [2, 0], True, None)
"""Two points become known, and are held back while more waits."""
SAID: Step = ("value", [2], False, None)


@settings(max_examples=200)
@example(one=[HELD, SAID], two=[("metadata", [1], False, None)], refusals=[False, True])
@example(one=[HELD, SAID], two=[("metadata", [1], False, 0.001)], refusals=[False, True])
@given(one=STEPS, two=STEPS, refusals=st.lists(st.booleans(), max_size=12))
def test_no_reading_is_stored_before_its_point(
    one: list[Step], two: list[Step], refusals: list[bool]
) -> None:
    """Whatever the order of brokers, refused appends and collectors that are cancelled."""

    async def story(site: Site) -> None:
        await asyncio.gather(site.play("one", one), site.play("two", two))
        for name in NAMES:
            await site.play(name, [("value", [*range(len(RACKS))], False, None)])

    with TemporaryDirectory() as folder:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store.journal.appender, "PAUSE_S", 0.003)
            site = Site(Path(folder), refusals)
            asyncio.run(story(site))
        site.check()
        site.journal.close()
