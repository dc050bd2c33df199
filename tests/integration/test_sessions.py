"""Sessions with real brokers: what is acknowledged when, over restarts of either side (row 5)."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

import collector.mqtt.session
from collector.kernels.portable import MOST_DOCUMENT_BYTES
from collector.mqtt.address import Address
from collector.mqtt.message import ConnectionChange, ConnectionEvent, Item, Message, Messages
from collector.mqtt.protocol import MOST_PACKET_BYTES
from collector.mqtt.session import Session
from facility.backoff import Backoff
from facility.readings import Flag
from megawatch.run.process import end
from store.journal.entries import MarkKind
from testing.collector.publishing import Publisher
from testing.fakes.proxy import network
from testing.megawatch.monitoring import Watch, marks, watching
from testing.servers.brokers import BROKERS, Mosquitto
from testing.waiting import until

TOPIC = "readings/r1"


@asynccontextmanager
async def a_session(port: int, *, receive_maximum: int = 5_000) -> AsyncIterator[Session]:
    """Run a session with a broker."""
    session = Session(
        "bus",
        Address(
            host="127.0.0.1",
            port=port,
            client_id="session-test",
            keepalive_s=2,
            receive_maximum=receive_maximum,
        ),
        [("readings/#", 1)],
        now_ms=lambda: time.monotonic_ns() // 1_000_000,
        monotonic_s=time.monotonic,
        random_source=random.Random(1),  # noqa: S311 - jitter
    )
    running = asyncio.create_task(session.run())
    try:
        yield session
    finally:
        await end(running)


async def collect(session: Session, enough: int) -> list[Item]:
    """Take items until there are enough."""
    taken: list[Item] = []

    def is_enough() -> bool:
        taken.extend(session.take(1_000))
        return size(taken) >= enough

    await until(is_enough, f"{enough} messages and events", lambda: size(taken))
    return taken


def size(items: list[Item]) -> int:
    """Return how many messages and events there are among items."""
    return sum(len(item) if isinstance(item, Messages) else 1 for item in items)


def messages(items: list[Item]) -> list[Message]:
    """Return the messages among items."""
    return [message for item in items if isinstance(item, Messages) for message in item]


def numbers(items: list[Item]) -> set[int]:
    """Return the packet identifiers of the messages among items."""
    return {number for item in items if isinstance(item, Messages) for number in item.number.tolist()}


def acknowledge(session: Session, items: list[Item]) -> None:
    """Acknowledge the messages among items."""
    for item in items:
        if isinstance(item, Messages):
            session.acknowledge(item)


@pytest.mark.parametrize("version", [5, 4])
def test_one_message_that_is_too_long_ends_nothing(version: int, tmp_path: Path) -> None:
    """Its beginning comes, to be refused for its length; what is behind it comes over the same connection."""

    async def story() -> list[Item]:
        with Mosquitto(tmp_path / "broker") as broker, Publisher(broker.port) as publisher:
            async with a_session(broker.port) as session:
                session._versions._known = version
                taken = await collect(session, 1)
                for payload in (b"before", b"x" * 6_000_000, b"after"):
                    publisher.publish(TOPIC, payload)
                publisher.flush()
                taken += await collect(session, 3)
                acknowledge(session, taken)
                return taken

    connected, *taken = asyncio.run(story())
    before, long, after = messages(taken)

    assert (before.payload, after.payload) == (b"before", b"after")
    assert long.topic == TOPIC
    assert MOST_DOCUMENT_BYTES < len(long.payload) < MOST_PACKET_BYTES
    assert isinstance(connected, ConnectionEvent)
    assert not any(isinstance(item, ConnectionEvent) for item in taken)


def changes(items: list[Item]) -> list[ConnectionChange]:
    """Return what happened to the connection, in order."""
    return [item.change for item in items if isinstance(item, ConnectionEvent)]


async def subscribed(session: Session, connections: int = 1) -> list[Item]:
    """Take what comes until the session is connected so often, and the broker confirmed its subscriptions.

    A connection is noted in the inbox before that: what is published in between reaches nobody.
    """
    await until(lambda: session.health.connections >= connections, f"{connections} connections")
    taken: list[Item] = []
    while items := session.take(1_000):
        taken += items
    return taken


async def publish(port: int, payloads: list[bytes], client_id: str = "test-publisher") -> None:
    """Publish messages at least once, and wait until the broker has them."""

    def work() -> None:
        with Publisher(port, client_id) as publisher:
            for payload in payloads:
                publisher.publish(TOPIC, payload)
            publisher.flush()

    await asyncio.to_thread(work)


@pytest.mark.servers
@pytest.mark.parametrize("broker", BROKERS)
def test_what_is_not_acknowledged_comes_again(broker: str, tmp_path: Path) -> None:
    """Messages that were taken and not acknowledged are delivered to the next session, and no others."""

    async def story() -> None:
        with BROKERS[broker](tmp_path / "broker") as server:
            async with a_session(server.port) as session:
                assert changes(await subscribed(session)) == [ConnectionChange.RENEWED]
                await publish(server.port, [b"%d" % i for i in range(4)])
                safe = await collect(session, 4)
                await publish(server.port, [b"%d" % i for i in range(4, 10)])
                first = messages(safe + await collect(session, 6))
                acknowledge(session, safe)
                await asyncio.sleep(0.3)
            async with a_session(server.port) as session:
                again = await collect(session, 7)
                await asyncio.sleep(0.3)
                again += session.take(1_000)

        assert [message.payload for message in first] == [b"%d" % i for i in range(10)]
        assert changes(again) == [ConnectionChange.RESUMED]
        assert [message.payload for message in messages(again)] == [b"%d" % i for i in range(4, 10)]
        assert all(message.flags & Flag.REDELIVERED for message in messages(again))

    asyncio.run(story())


@pytest.mark.servers
def test_a_late_acknowledgement_never_reaches_another_session(tmp_path: Path) -> None:
    """When a broker comes back without sessions, numbers begin anew; old acknowledgements are thrown away."""

    async def story() -> None:
        server = Mosquitto(tmp_path / "broker", keeps_sessions=False)
        with server:
            async with a_session(server.port) as session:
                await subscribed(session)
                await publish(server.port, [b"old 1", b"old 2", b"old 3"])
                old = await collect(session, 3)
                await asyncio.to_thread(server.stop, signal.SIGKILL)
                await asyncio.to_thread(server.start)
                seen = await subscribed(session, connections=2)
                await publish(server.port, [b"new 1", b"new 2", b"new 3"])
                new = await collect(session, 3)
                acknowledge(session, old)
                await asyncio.sleep(0.3)
                stale = session.health.stale
            async with a_session(server.port) as session:
                again = messages(await collect(session, 4))

        assert [message.payload for message in messages(new)] == [b"new 1", b"new 2", b"new 3"]
        assert numbers(old) == numbers(new)
        assert stale == 3
        assert [message.payload for message in again] == [b"new 1", b"new 2", b"new 3"]
        assert changes(seen) == [ConnectionChange.LOST, ConnectionChange.RENEWED]

    asyncio.run(story())


@pytest.mark.servers
def test_the_broker_holds_back_what_is_not_acknowledged(tmp_path: Path) -> None:
    """The receive maximum is the back-pressure: no more than that many are on their way, and none is lost.

    Mosquitto 2.0.11 keeps to it only until the first are acknowledged: how many come then is its own choice.
    """

    async def story() -> None:
        with Mosquitto(tmp_path / "broker") as server:
            async with a_session(server.port, receive_maximum=50) as session:
                await subscribed(session)
                await publish(server.port, [b"%d" % i for i in range(1_000)])
                came = await collect(session, 50)
                await asyncio.sleep(1)
                came += session.take(1_000)
                held, taken = size(came), messages(came)
                while len(taken) < 1_000:
                    acknowledge(session, came)
                    came = await collect(session, 50)
                    taken += messages(came)

        assert held == 50
        assert [message.payload for message in taken] == [b"%d" % i for i in range(1_000)]

    asyncio.run(story())


async def left(port: int) -> list[Message]:
    """Return what a broker still has for a session, and acknowledge it."""
    async with a_session(port) as session:
        found = await subscribed(session)
        await asyncio.sleep(0.3)
        found += session.take(100_000)
        acknowledge(session, found)
        await asyncio.sleep(0.3)
    return messages(found)


@pytest.mark.servers
@pytest.mark.parametrize("broker", BROKERS)
def test_breaks_in_a_flood_lose_nothing(broker: str, tmp_path: Path) -> None:
    """What is acknowledged is what was safe, also where a broker gives a number twice after a reconnect.

    What was acknowledged into a break is handed on twice: the journal knows a reading by its time.
    """
    part, count, source = 400, 2_000, random.Random(7)  # noqa: S311 - which moments, not a secret

    async def story() -> None:
        with BROKERS[broker](tmp_path / "broker", repeats_s=5) as server:
            async with network(server.port) as way:
                async with a_session(way.port, receive_maximum=20) as session:
                    await subscribed(session)
                    breaks: list[int] = []
                    handed: list[Message] = []
                    unsafe: list[Item] = []

                    def is_whole(goal: int) -> bool:
                        came = session.take(100)
                        handed.extend(messages(came))
                        unsafe.extend(came)
                        if len({message.payload for message in handed}) > len(breaks) * part:
                            breaks.append(len(handed))
                            way.drop()
                        safe = unsafe[: source.randrange(3)]
                        acknowledge(session, safe)
                        del unsafe[: len(safe)]
                        return len({message.payload for message in handed}) >= goal

                    for first in range(0, count, part):  # a flood each, with a break once it begins to come
                        await publish(server.port, [b"%d" % i for i in range(first, first + part)])
                        await until(partial(is_whole, first + part), "every message", lambda: len(handed))
                    acknowledge(session, unsafe)
                    await publish(server.port, [b"end"])  # comes behind what comes again
                    last: list[Item] = []

                    def has_ended() -> bool:
                        came = session.take(1_000)
                        acknowledge(session, came)
                        last.extend(came)
                        return b"end" in {message.payload for message in messages(last)}

                    await until(has_ended, "what was published last")
                    await asyncio.sleep(0.3)
                # Acknowledgements that a break took with it are given again, once their messages come again.
                lives = 0
                while lives < 10 and (again := await left(server.port)):
                    lives += 1

        assert len(breaks) >= 5
        assert {message.payload for message in handed} == {b"%d" % i for i in range(count)}
        assert b"end" in {message.payload for message in messages(last)}
        assert not again

    asyncio.run(story())


@pytest.mark.servers
@pytest.mark.parametrize("broker", BROKERS)
def test_what_is_in_hand_when_a_connection_breaks_is_known_by_its_number(broker: str, tmp_path: Path) -> None:
    """However often everything comes again, none of it is handed on twice."""

    async def story() -> None:
        with BROKERS[broker](tmp_path / "broker", repeats_s=5) as server:
            async with network(server.port) as way, a_session(way.port) as session:
                await subscribed(session)
                await publish(server.port, [b"%d" % i for i in range(50)])
                came = await collect(session, 50)
                for again in (50, 100):
                    way.drop()
                    await until(lambda: session.health.repeated >= again, "it comes again")  # noqa: B023 - at once
                acknowledge(session, came)
                assert not messages(session.take(1_000))
                await asyncio.sleep(0.3)
            assert not await left(server.port)

    asyncio.run(story())


@pytest.mark.servers
@pytest.mark.parametrize("broker", BROKERS)
def test_two_monitors_with_one_client_id_know_of_each_other(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither fights for ever: both say what is wrong, and each holds back longer and longer."""
    monkeypatch.setattr(collector.mqtt.session, "BACKOFF", Backoff(first_s=0.1, longest_s=0.5))

    async def story() -> None:
        with BROKERS[broker](tmp_path / "broker") as server:
            async with a_session(server.port) as one, a_session(server.port) as other:
                told = ["", ""]

                def are_told() -> bool:
                    for place, session in enumerate((one, other)):
                        told[place] = (
                            told[place] or (session.health.contested and session.health.detail) or ""
                        )
                    return all(told)

                await until(are_told, "both are told")
                reconnects = one.health.connections + other.health.connections

        assert all("another client seems to connect as 'session-test'" in text for text in told)
        assert reconnects < 40

    asyncio.run(story())


SITE = """
[site]
name = "session-site"
[[broker]]
url = "{url}"
format = "rack-documents"
keepalive_s = 2
[[rack]]
ids = "r[1-4]"
rating_kw = 100
"""


@pytest.mark.servers
@pytest.mark.parametrize("keeps", [True, False], ids=["sessions saved", "sessions gone"])
def test_a_broker_that_did_not_run_leaves_a_gap(keeps: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    """Without our session or with it: whoever publishes had nobody to say it to. It is marked and counted."""

    async def story() -> None:
        server = Mosquitto(tmp_path / "broker", keeps_sessions=keeps)
        with server:
            async with watching(tmp_path / "site", SITE.format(url=server.url)) as watch:
                await watch.until_connected()
                await asyncio.to_thread(server.stop, signal.SIGTERM)
                await watch.until(lambda: _state(watch) != "connected", "the loss is noticed")
                await asyncio.to_thread(server.start)
                await watch.until(lambda: _state(watch) == "connected", "connected again")
                await watch.until(lambda: _gaps(watch) == 1, "a gap")
                await watch.until(lambda: _is_marked(watch), "marked")

            kinds = [mark.kind for mark in marks(watch.data)]
            assert (MarkKind.GAP in kinds) is keeps
            assert (MarkKind.SESSION_LOST in kinds) is not keeps
            assert MarkKind.LOST in kinds

    asyncio.run(story())


def _is_marked(watch: Watch) -> bool:
    """Tell whether the journal has both ends of the break."""
    kinds = [mark.kind for mark in marks(watch.data)]
    after = kinds[kinds.index(MarkKind.LOST) :] if MarkKind.LOST in kinds else []
    return bool({MarkKind.CONNECTED, MarkKind.SESSION_LOST} & set(after))


def _gaps(watch: Watch) -> int:
    gaps: int = watch.monitor.status.document()["brokers"][0]["gaps"]
    return gaps


def _state(watch: object) -> str:
    return str(watch.monitor.status.document()["brokers"][0]["state"])  # type: ignore[attr-defined]
