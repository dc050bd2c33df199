"""Memory is bounded in bytes: whatever is sent, however long topics and payloads are."""

from __future__ import annotations

import random
import time

import pytest

from collector.decode import dsx, rackdocumentshapes
from collector.decode.base import MOST_TOPIC_BYTES
from collector.decode.dsx import DsxDecoder
from collector.decode.rackdocument import RackDocumentDecoder
from collector.mqtt import inbox, session
from collector.mqtt.address import Address
from collector.mqtt.inbox import Inbox, size_of
from collector.mqtt.message import ConnectionChange, ConnectionEvent, Item, Message, Messages
from collector.mqtt.session import Session
from facility.readings import Flag, Reason
from testing.builders import T0_MS
from testing.collector.hearing import (
    Hearing,
    describing,
    document_topic,
    key_of,
    listening,
    metadata,
    raw,
    value,
    withdrawn,
)


def messages(*payloads: bytes, number: int = 0) -> Messages:
    """Return messages that were read at once: at most once without a number, else at least once."""
    flags = int(Flag.NONE if number else Flag.AT_MOST_ONCE)
    return Messages.of(
        [Message("t", payload, T0_MS, flags) for payload in payloads], [number] * len(payloads)
    )


def a_session() -> Session:
    """Return a session that nobody connects."""
    return Session(
        "bus",
        Address(host="127.0.0.1", port=1, client_id="us"),
        [("t", 1)],
        now_ms=lambda: T0_MS,
        monotonic_s=time.monotonic,
        random_source=random.Random(1),  # noqa: S311 - jitter
    )


# Messages that wait to be taken -------------------------------------------------------


def test_an_inbox_knows_how_much_memory_it_needs() -> None:
    """What is taken needs none of it any more."""
    waiting = Inbox()
    items: list[Item] = [
        messages(b"x" * 1_000),
        ConnectionEvent(ConnectionChange.LOST, T0_MS),
        messages(b"y"),
    ]
    for item in items:
        waiting.put(item)

    assert waiting.waiting_bytes == sum(map(size_of, items)) > 1_000
    for _ in items:
        waiting.take(10)
    assert waiting.waiting_bytes == 0


def test_only_so_much_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is decoded at once would be as large as what may wait."""
    monkeypatch.setattr(inbox, "MOST_TAKEN_BYTES", 6_000)
    waiting = Inbox()
    for _ in range(3):
        waiting.put(messages(b"x" * 1_500))
    waiting.put(messages(b"x" * 9_000))

    assert [len(waiting.take(100)) for _ in range(3)] == [2, 1, 1]


def test_long_messages_are_dropped_before_there_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most once nothing is held back; what comes at least once is kept, and nothing more is read."""
    monkeypatch.setattr(session, "MOST_WAITING_BYTES", 100_000)
    made = a_session()
    for _ in range(200):
        made._receive(messages(b"x" * 10_000))
    assert made._inbox.waiting_bytes < 110_000
    assert made.health.dropped > 180
    assert not made._is_full()

    for number in range(1, 12):
        made._receive(messages(b"x" * 10_000, number=number))
    assert made._is_full()
    taken: list[object] = []
    while made.waiting:
        taken += made.take(1_000)
    events = [item.change for item in taken if isinstance(item, ConnectionEvent)]
    assert events == [ConnectionChange.OVERLOADED] * 2
    assert sum(len(item) for item in taken if isinstance(item, Messages) and item.number.any()) == 11
    assert not made._is_full()


# Topics -------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [MOST_TOPIC_BYTES + 1, 60_000])
def test_a_topic_that_is_too_long_is_a_dead_letter(length: int) -> None:
    """Of values, metadata and documents; the dead letter has its beginning."""
    long = "é" * (length // 2)
    for hearing, message in (
        (Hearing(), value(long)),
        (Hearing(), metadata(long, rackLocationId="r1")),
        (listening(), raw(document_topic(long), b"{}")),
    ):
        outcome = hearing.hear(message)
        assert outcome.reasons == [Reason.BAD_TOPIC]
        assert f"at most {MOST_TOPIC_BYTES} bytes" in outcome.rejections[0].detail
        assert len(outcome.rejections[0].topic) <= 512
        assert not outcome.waiting
        assert not outcome.metadata


def test_a_topic_may_be_long() -> None:
    """Longer than those of any contract."""
    path = "x" * (MOST_TOPIC_BYTES - 100)
    hearing = Hearing()

    assert len(hearing.hear(value(path)).waiting) == 1
    assert not hearing.hear(metadata(path, rackLocationId="r1")).rejections


# Metadata -----------------------------------------------------------------------------


def test_metadata_that_cannot_be_used_is_remembered_of_so_many_topics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beyond that it is a dead letter and no more; one that is put right, or taken away, makes room."""
    monkeypatch.setattr(dsx, "MOST_REFUSED", 2)
    hearing = Hearing()
    refused = [metadata(rack, engUnit="furlong") for rack in ("r1", "r2", "r3")]

    assert hearing.hear(*refused).reasons == [Reason.UNKNOWN_UNIT] * 3
    decoder = hearing.decoder
    assert isinstance(decoder, DsxDecoder)
    assert len(decoder._entries) == len(decoder._routes) == 2
    outcome = hearing.hear(metadata("r1"), withdrawn(refused[1]), refused[2], value("r1", 90))
    assert outcome.reasons == [Reason.UNKNOWN_UNIT]
    assert [key for key, _, _ in outcome.rows] == [key_of("r1")]
    assert set(decoder._entries) == {key_of("r1"), key_of("r3")}


def test_topics_of_metadata_are_so_much_text_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known may change; what is taken away makes room."""
    monkeypatch.setattr(dsx, "MOST_TEXT_BYTES", 2 * len(key_of("r1")))
    hearing = describing(metadata("r1"), metadata("r2"))

    assert hearing.hear(metadata("r3")).reasons == [Reason.TOO_LARGE]
    assert not hearing.hear(metadata("r1", engUnit="W")).rejections
    assert not hearing.hear(withdrawn(metadata("r1")), metadata("r3")).rejections


# Documents ----------------------------------------------------------------------------


def test_shapes_count_all_that_they_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Anyone may name rows: short documents on many topics need more than their text."""
    monkeypatch.setattr(rackdocumentshapes, "MOST_BYTES", 20_000)
    hearing = listening()
    for i in range(100):
        payload = b'[{"rack":"r1","time":%d,"leak":0}]' % (T0_MS + i)
        assert not hearing.hear(raw(document_topic(f"w{i}"), payload)).rejections

    assert isinstance(hearing.decoder, RackDocumentDecoder)
    assert len(hearing.decoder._shapes.known) < 20
