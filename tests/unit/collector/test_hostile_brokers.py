"""A server that sends what it must not: the connection ends with a reason, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from collector.health import State
from collector.mqtt import session
from collector.mqtt.address import Address
from collector.mqtt.message import ConnectionChange, ConnectionEvent, Item, Messages
from collector.mqtt.session import Session
from facility.backoff import Backoff
from megawatch.run.process import end
from testing.fakes.mqtt_broker import Client, a_broker
from testing.waiting import until


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for hundredths of a second where a monitor waits for seconds."""
    monkeypatch.setattr(session, "BACKOFF", Backoff(first_s=0.01, longest_s=0.01))


def plain(payload: bytes, number: int) -> bytes:
    """Return a PUBLISH as every broker sends it, in MQTT 5."""
    body = b"\x00\x01t" + number.to_bytes(2, "big") + b"\x00" + payload
    return bytes([0x32, len(body)]) + body


# What must end the connection: the bytes, and what is told.
_FATAL = {
    "a length without an end": (b"\x32\xff\xff\xff\xff\x01", "Protocol error"),
    "no quality of service at all": (
        b"\x36\x06\x00\x01t\x00\x07\x00",
        "expected quality of service 1 at most, as it was granted, found 3",
    ),
    "a topic longer than its packet": (b"\x32\x06\x00\x09tt\x00\x07", "Protocol error"),
    "a packet that MQTT does not know": (b"\x00\x00", "Protocol error"),
    "properties longer than the packet": (b"\x32\x07\x00\x01t\x00\x07\x7f\x01", "Protocol error"),
    "a property that MQTT does not know": (b"\x32\x08\x00\x01t\x00\x07\x02\x7e\x01", "Protocol error"),
    "a request of a client": (
        b"\x82\x06\x00\x01\x00\x00\x01t",
        "expected no SUBSCRIBE of a broker, found one",
    ),
    "a client's question for a sign of life": (b"\xc0\x00", "expected no PINGREQ of a broker, found one"),
    "a second answer to a login": (
        b"\x20\x03\x00\x00\x00",
        "expected one CONNACK in a connection, found a second one",
    ),
    "a quality of service that was not granted": (
        b"\x34\x07\x00\x01t\x00\x07\x00z",
        "expected quality of service 1 at most, as it was granted, found 2",
    ),
    "a message without a number": (
        b"\x32\x07\x00\x01t\x00\x00\x00z",
        "expected a packet identifier at quality of service 1, found 0",
    ),
    "a message sent again at most once": (
        b"\x38\x05\x00\x01t\x00z",
        "expected no DUP at quality of service 0, found it set",
    ),
    "its own farewell": (b"\xe0\x01\x8b", "Server shutting down"),
    "an alias in place of a topic": (
        b"\x32\x08\x00\x00\x00\x07\x03\x23\x00\x01",
        "expected a topic, found none: we offered no alias for it",
    ),
}
# What is odd, and is survived: the bytes, and the payloads and topics that come of it.
_HARMLESS: dict[str, tuple[bytes, list[tuple[str, bytes]]]] = {
    "properties": (b"\x32\x0a\x00\x01t\x00\x07\x02\x01\x01xy", [("t", b"xy")]),
    "no payload": (b"\x32\x06\x00\x01t\x00\x07\x00", [("t", b"")]),
    "a topic that is no text": (
        b"\x32\x08\x00\x02t\xff\x00\x07\x00z",
        [("t\N{REPLACEMENT CHARACTER}", b"z")],
    ),
    "an answer that nobody waits for": (b"\xd0\x00", []),
}


def a_session(port: int) -> Session:
    """Return a session with whatever listens on a port."""
    return Session(
        "bus",
        Address(host="127.0.0.1", port=port, client_id="us"),
        [("t", 1)],
        now_ms=lambda: time.monotonic_ns() // 1_000_000,
        monotonic_s=time.monotonic,
        random_source=random.Random(1),  # noqa: S311 - jitter
    )


def said(items: list[Item]) -> list[tuple[str, bytes]]:
    """Return topic and payload of the messages among items."""
    return [(m.topic, m.payload) for item in items if isinstance(item, Messages) for m in item]


async def play(odd: bytes, *, is_cut: bool) -> tuple[list[Item], list[Client]]:
    """Let a broker send something odd between plain messages; return what came, and who came."""

    async def behave(client: Client, place: int) -> None:
        await client.introduced()
        client.accept(session_present=place > 0)
        asked = asyncio.Event()

        def grant(body: bytes) -> None:
            client.confirm(body)
            asked.set()

        client.serve_aside(grant)
        await asked.wait()
        if place:
            client.writer.write(plain(b"last", 9))
        else:
            stream = plain(b"before", 1) + odd + plain(b"after", 2)
            for part in (stream[:12], stream[12:]) if is_cut else (stream,):
                client.writer.write(part)
                await client.writer.drain()
                await asyncio.sleep(0.08 if is_cut else 0)
        await asyncio.Event().wait()

    items: list[Item] = []

    def is_over() -> bool:
        nonlocal items
        items += made.take(1_000)
        return {b"last", b"after"} & {payload for _, payload in said(items)} != set()

    async with a_broker(behave) as broker:
        made = a_session(broker.port)
        running = asyncio.create_task(made.run())
        try:
            await until(is_over, "what comes last", lambda: (items, made.health.detail))
            assert made.health.state is not State.REFUSED
        finally:
            await end(running)
        return items, broker.clients


@pytest.mark.parametrize("is_cut", [False, True], ids=["at one go", "cut in two"])
@pytest.mark.parametrize(("odd", "reason"), _FATAL.values(), ids=_FATAL)
def test_what_breaks_the_protocol_ends_the_connection_with_a_reason(
    odd: bytes,
    reason: str,
    is_cut: bool,  # noqa: FBT001 - a parameter
) -> None:
    """What came before it is handed on, nothing after it is, and none of it is acknowledged unasked."""
    items, clients = asyncio.run(play(odd, is_cut=is_cut))

    assert said(items) == [("t", b"before"), ("t", b"last")]
    lost = [i for i in items if isinstance(i, ConnectionEvent) and i.change is ConnectionChange.LOST]
    assert len(lost) == 1
    assert len(clients) == 2
    assert clients[0].acknowledged == []
    assert lost[0].detail == reason


@pytest.mark.parametrize("is_cut", [False, True], ids=["at one go", "cut in two"])
@pytest.mark.parametrize(("odd", "expected"), _HARMLESS.values(), ids=_HARMLESS)
def test_what_is_odd_keeps_its_place(odd: bytes, expected: list[tuple[str, bytes]], is_cut: bool) -> None:  # noqa: FBT001 - a parameter
    """It takes the slow way between what takes the fast one."""
    items, clients = asyncio.run(play(odd, is_cut=is_cut))

    assert said(items) == [("t", b"before"), *expected, ("t", b"after")]
    assert len(clients) == 1


def test_a_broker_that_sends_the_same_again_is_asked_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What breaks the protocol may come again at each connection."""
    counts: list[int] = []

    class Noted(Backoff):
        def pause_s(
            self, failures: int, random_source: random.Random, *, asked_s: float | None = None
        ) -> float:
            counts.append(failures)
            return super().pause_s(failures, random_source, asked_s=asked_s)

    monkeypatch.setattr(session, "BACKOFF", Noted(first_s=0.001, longest_s=0.001))

    async def behave(client: Client, _place: int) -> None:
        await client.introduced()
        client.accept(session_present=True)

        def grant(body: bytes) -> None:
            client.confirm(body)
            client.writer.write(_FATAL["a quality of service that was not granted"][0])

        client.serve_aside(grant)
        await asyncio.Event().wait()

    async def story() -> None:
        async with a_broker(behave) as broker:
            running = asyncio.create_task(a_session(broker.port).run())
            try:
                await until(lambda: len(counts) >= 4, "it is tried again")
            finally:
                await end(running)

    asyncio.run(story())

    assert counts[:4] == [1, 2, 3, 4]
