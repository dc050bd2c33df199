"""The publisher against real brokers: what arrives, what is counted, and what happens when one goes away."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulators.publish.link import BrokerLost, BrokerRefused
from simulators.publish.pace import Pace, perform
from simulators.publish.publisher import Change, Options, Publisher, address_of
from simulators.run import Second
from simulators.wire.bus import Publication
from simulators.wire.rows import Rows
from testing.servers.brokers import BROKERS, Broker, Mosquitto
from testing.servers.guarded import USER, Guarded, make_authority, make_certificate
from testing.simulators.simulated import a_scenario, lines, run
from testing.waiting import PATIENCE_S, until
from tests.integration.subscribing import Subscriber

pytestmark = pytest.mark.servers


def _now_ms() -> float:
    return time.monotonic() * 1_000


@contextmanager
def _broker(folder: Path, name: str = "mosquitto") -> Iterator[Broker]:
    with BROKERS[name](folder / "broker", keeps_sessions=False) as broker:
        yield broker


def _publish(
    url: str, seconds: list[Second], topics: list[str], *, qos: int = 1, connections: int = 1
) -> Publisher:
    async def act() -> Publisher:
        async with Publisher(
            address_of(url), Options(qos=qos, connections=connections), topics=topics
        ) as publisher:
            await perform(seconds, publisher, now_ms=_now_ms, speed=None)
            assert await publisher.settle(PATIENCE_S)
            return publisher

    return asyncio.run(act())


@pytest.mark.parametrize("name", sorted(BROKERS))
@pytest.mark.parametrize(("qos", "connections"), [(0, 1), (1, 1), (1, 3)])
def test_everything_arrives_as_it_was_said(name: str, qos: int, connections: int, tmp_path: Path) -> None:
    """A subscriber gets every byte, the messages of each topic in their order, over any connections."""
    simulation, seconds = run(a_scenario(seconds=5))
    said = [line for second in seconds for line in lines(second.rows, simulation.topics)]
    with _broker(tmp_path, name) as broker, Subscriber(broker.port) as subscriber:
        publisher = _publish(broker.url, seconds, simulation.topics, qos=qos, connections=connections)
        subscriber.wait(len(said))
    tally = publisher.tally
    assert (tally.published, tally.acknowledged) == (len(said), len(said))
    assert (tally.repeated, tally.refused, publisher.undelivered) == (0, 0, [])
    expected: dict[str, list[bytes]] = {}
    found: dict[str, list[bytes]] = {}
    for topic, payload, *_ in said:
        expected.setdefault(topic, []).append(payload)
    for topic, payload, _ in subscriber.taken:
        found.setdefault(topic, []).append(payload)
    assert found == expected
    if name == "nats" and qos == 0:
        return  # it stores what is of quality of service 1 before it hands it on, and lets the rest pass
    described = set()
    for topic, *_ in subscriber.taken:
        if "/Metadata/" in topic:
            described.add(topic.split("/", 4)[4])
        assert topic.split("/", 4)[4] in described, "a value came before its metadata"


def test_metadata_stay_until_they_are_withdrawn(tmp_path: Path) -> None:
    """Who subscribes late gets the metadata; after a withdrawal nothing is left on the broker."""
    simulation, seconds = run(a_scenario(seconds=2))
    described = len(simulation.catalogue.spoken)

    async def act(url: str, *, withdraws: bool) -> None:
        async with Publisher(address_of(url), topics=simulation.topics) as publisher:
            await perform(seconds, publisher, now_ms=_now_ms, speed=None)
            if withdraws:
                await publisher.withdraw()

    with _broker(tmp_path) as broker:
        asyncio.run(act(broker.url, withdraws=False))
        with Subscriber(broker.port) as late:
            late.wait(described)
        assert all(retained and "/Metadata/" in topic for topic, _, retained in late.taken)
        asyncio.run(act(broker.url, withdraws=True))
        with Subscriber(broker.port) as later:
            asyncio.run(act(broker.url, withdraws=True))
            later.wait(1)
        assert not any(retained for *_, retained in later.taken)


def test_messages_of_any_topic(tmp_path: Path) -> None:
    """Messages that nobody announced are published as well, long ones included."""
    messages = [Publication(f"some/topic/{i % 3}", b"x" * (i * 700)) for i in range(6)]

    async def act(url: str) -> None:
        async with Publisher(address_of(url)) as publisher:
            await publisher.publish(messages)
            assert publisher.published == 6

    with _broker(tmp_path) as broker, Subscriber(broker.port, "some/#") as subscriber:
        asyncio.run(act(broker.url))
        subscriber.wait(6)
    assert [(topic, payload) for topic, payload, _ in subscriber.taken] == [
        (m.topic, m.payload) for m in messages
    ]


def test_tls_and_password(tmp_path: Path) -> None:
    """A broker behind TLS and a password takes us with both, and says no to a wrong password or authority."""
    authority = make_authority(tmp_path / "authority")
    make_certificate(authority, "localhost")
    stranger = make_authority(tmp_path / "stranger")
    password = secrets.token_hex(8)
    simulation, seconds = run(a_scenario(seconds=2))
    said = sum(len(second.rows) for second in seconds)

    async def act(url: str, trusted: str) -> int:
        async with Publisher(address_of(url, authority=trusted), topics=simulation.topics) as publisher:
            await perform(seconds, publisher, now_ms=_now_ms, speed=None)
            await publisher.settle()
            return publisher.tally.acknowledged

    with Guarded(tmp_path / "broker", authority=authority, password=password) as broker:
        where = f"localhost:{broker.port}"
        assert asyncio.run(act(f"mqtts://{USER}:{password}@{where}", authority.read_text())) == said
        with pytest.raises(BrokerRefused, match="refused with code"):
            asyncio.run(act(f"mqtts://{USER}:wrong@{where}", authority.read_text()))
        with pytest.raises(BrokerLost, match="certificate verify failed"):
            asyncio.run(act(f"mqtts://{USER}:{password}@{where}", stranger.read_text()))


def test_nobody_there() -> None:
    """A broker that cannot be reached is an error that says so, and an address that is none as well."""

    async def act() -> None:
        async with Publisher(address_of("mqtt://127.0.0.1:1")):
            pass

    with pytest.raises(BrokerLost, match=r"127\.0\.0\.1"):
        asyncio.run(act())
    with pytest.raises(ValueError, match="expected mqtt://host:port or mqtts://host:port, found 'http://x'"):
        address_of("http://x")


@pytest.mark.parametrize("qos", [0, 1])
def test_a_broker_that_goes_away_pauses_the_run(qos: int, tmp_path: Path) -> None:
    """The run waits and says so; afterwards every message is acknowledged, or known not to be."""
    simulation, seconds = run(a_scenario(16, seconds=40))
    changes: list[Change] = []

    async def act(broker: Broker) -> Publisher:
        async with Publisher(
            address_of(broker.url), Options(qos=qos), topics=simulation.topics, told=changes.append
        ) as publisher:
            task = asyncio.create_task(perform(seconds, publisher, now_ms=_now_ms, speed=20.0))
            await until(lambda: publisher.published > 0, "the first is published")
            await asyncio.to_thread(broker.stop, signal.SIGKILL)
            before = publisher.published
            await until(lambda: publisher.is_paused, "the run waits")
            standing = publisher.published
            await asyncio.sleep(0.5)
            assert publisher.published == standing < before + 3_000
            await asyncio.to_thread(broker.start)
            await until(task.done, "the run ends")
            pace = task.result()
            assert pace.seconds == 40
            assert pace.most_behind_ms > 500
            await publisher.settle(PATIENCE_S)
            return publisher

    with _broker(tmp_path) as broker:
        publisher = asyncio.run(act(broker))
    assert [change.is_lost for change in changes] == [True, False]
    assert changes[0].cause
    said = sum(len(second.rows) for second in seconds)
    tally, unsure = publisher.tally, sum(map(len, publisher.undelivered))
    assert tally.published == said
    assert tally.acknowledged + unsure == said
    assert publisher.is_paused is False
    assert unsure == 0 if qos else unsure < said / 4


def test_what_a_dead_broker_had_not_read_is_known(tmp_path: Path) -> None:
    """At quality of service 0, what a broker did not read is recorded, and nothing else."""
    simulation, seconds = run(a_scenario(seconds=4))

    async def act(broker: Broker) -> Publisher:
        async with Publisher(address_of(broker.url), Options(qos=0), topics=simulation.topics) as publisher:
            await publisher.publish_rows(seconds[0].rows)
            assert await publisher.settle()
            assert broker.process is not None
            broker.process.send_signal(signal.SIGSTOP)
            await publisher.publish_rows(seconds[1].rows)
            await asyncio.to_thread(broker.stop, signal.SIGKILL)
            await asyncio.to_thread(broker.start)
            for second in seconds[2:]:
                await publisher.publish_rows(second.rows)
            assert await publisher.settle()
            return publisher

    with _broker(tmp_path) as broker:
        publisher = asyncio.run(act(broker))
    values = [line for line in lines(seconds[1].rows, simulation.topics) if not line[3]]
    lost = [line for rows in publisher.undelivered for line in lines(rows, simulation.topics)]
    assert lost == values
    assert publisher.tally.repeated == int(seconds[1].rows.is_retained.sum()) > 0
    assert publisher.tally.acknowledged + len(lost) == publisher.published


def test_patience_ends(tmp_path: Path) -> None:
    """A broker that stays away for too long ends the run, and what was on its way is accounted for."""
    simulation, seconds = run(a_scenario(seconds=3))

    async def act(broker: Broker) -> Publisher:
        publisher = Publisher(address_of(broker.url), Options(patience_s=0.3), topics=simulation.topics)
        async with publisher:
            await publisher.publish_rows(seconds[0].rows)
            await asyncio.to_thread(broker.stop, signal.SIGKILL)
            rest = Rows.joined([second.rows for second in seconds[1:]])
            with pytest.raises(BrokerLost, match=r"away for more than 0\.3 s"):
                await publisher.publish_rows(rest)
        return publisher

    with _broker(tmp_path) as broker:
        publisher = asyncio.run(act(broker))
    tally = publisher.tally
    assert tally.acknowledged + sum(map(len, publisher.undelivered)) == tally.published


def test_a_broker_that_dies_at_the_end(tmp_path: Path) -> None:
    """What was on its way when everything ended is accounted for, and waits for nobody.

    Over one connection: over several, values wait until the broker has answered that it has the metadata.
    """
    simulation, seconds = run(a_scenario(seconds=2))

    async def act(broker: Broker) -> Publisher:
        options = Options(connections=1, patience_s=0.2)
        async with Publisher(address_of(broker.url), options, topics=simulation.topics) as publisher:
            assert broker.process is not None
            broker.process.send_signal(signal.SIGSTOP)
            await publisher.publish_rows(seconds[0].rows)
            await asyncio.to_thread(broker.stop, signal.SIGKILL)
        with pytest.raises(BrokerLost):
            await publisher.publish_rows(seconds[1].rows)
        return publisher

    with _broker(tmp_path) as broker:
        publisher = asyncio.run(act(broker))
    assert publisher.tally.acknowledged == 0
    assert sum(map(len, publisher.undelivered)) == publisher.published == len(seconds[0].rows)


class _NoWriting(Mosquitto):
    """Mosquitto that lets nobody write to the values of racks."""

    def command(self) -> list[str]:
        """Return how it is started."""
        command = Mosquitto.command(self)
        rules = self.folder / "rules"
        rules.write_text("topic readwrite BMS/v1/PUB/Metadata/#\ntopic readwrite BMS/v1/PUB/Value/Sensor/#\n")
        with (self.folder / "conf").open("a") as conf:
            conf.write(f"acl_file {rules}\n")
        return command


def test_a_refusal_is_no_delivery(tmp_path: Path) -> None:
    """A broker that does not let us write says so in MQTT 5: counted, and not taken for delivered."""
    simulation, seconds = run(a_scenario(seconds=2))
    said = [line for second in seconds for line in lines(second.rows, simulation.topics)]
    allowed = ("BMS/v1/PUB/Metadata/", "BMS/v1/PUB/Value/Sensor/")
    barred = [line for line in said if not line[0].startswith(allowed)]
    with _NoWriting(tmp_path / "broker", keeps_sessions=False) as broker:
        publisher = _publish(broker.url, seconds, simulation.topics)
    assert publisher.tally.refused == len(barred) > 0
    assert publisher.tally.acknowledged == len(said) - len(barred)
    refused = [line for rows in publisher.undelivered for line in lines(rows, simulation.topics)]
    assert sorted(refused) == sorted(barred)


def test_the_pace_follows_the_clock(tmp_path: Path) -> None:
    """At a speed of ten, twenty seconds take two; nothing goes out before it is due."""
    simulation, seconds = run(a_scenario(seconds=20))
    moments: list[float] = []

    async def act(url: str) -> Pace:
        async with Publisher(address_of(url), topics=simulation.topics) as publisher:
            return await perform(
                seconds, publisher, now_ms=_now_ms, speed=10.0, said=lambda *_: moments.append(_now_ms())
            )

    with _broker(tmp_path) as broker:
        begin = _now_ms()
        pace = asyncio.run(act(broker.url))
    last = int(seconds[-1].rows.sent_ms[-1] - seconds[0].time_ms)
    assert moments[-1] - begin >= (last - 50) / 10
    assert pace.seconds == 20
    assert pace.messages == sum(len(second.rows) for second in seconds)


def test_no_rows_are_no_work(tmp_path: Path) -> None:
    """Nothing to publish is nothing published."""

    async def act(url: str) -> int:
        async with Publisher(address_of(url)) as publisher:
            await publisher.publish_rows(Rows.none())
            await publisher.publish([])
            return publisher.published

    with _broker(tmp_path) as broker:
        assert asyncio.run(act(broker.url)) == 0
