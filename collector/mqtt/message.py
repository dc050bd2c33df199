"""What a session hands on: messages in columns, and what happened to the connection between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from facility.readings import ByteArray, IntArray

SpanArray = NDArray[np.int32]


class Message(msgspec.Struct, gc=False):
    """One MQTT message.

    Attributes:
        topic: Its topic; undecodable bytes are replaced, and then never match anything.
        payload: Its payload.
        received_ms: When it was received [ms].
        flags: `Flag` bits.
    """

    topic: str
    payload: bytes
    received_ms: int
    flags: int = 0


@dataclass(slots=True)
class Messages:
    """MQTT messages in columns, in the order in which they came: row `i` of each belongs to one message.

    A message costs no object of its own until somebody asks for it.

    Attributes:
        data: Bytes that hold every topic and payload.
        spans: Where in `data` each topic begins and ends and each payload begins and ends, shape (n, 4).
        received_ms: When each was received, shape (n,), int64 [ms].
        flags: `Flag` bits, shape (n,), uint8.
        number: Packet identifiers, shape (n,), int64; 0 at quality of service 0.
        generation: Connection on which each is acknowledged, shape (n,), int64; 0 for one that needs none.
    """

    data: bytes
    spans: SpanArray
    received_ms: IntArray
    flags: ByteArray
    number: IntArray
    generation: IntArray

    @classmethod
    def of(cls, messages: Iterable[Message], numbers: Iterable[int] | None = None) -> Self:
        """Return messages in columns.

        Args:
            messages: The messages, in order.
            numbers: Their packet identifiers; without, none of them is acknowledged.
        """
        found = list(messages)
        parts: list[bytes] = []
        lengths: list[tuple[int, int]] = []
        for message in found:
            topic = as_sent(message.topic)
            parts += (topic, message.payload)
            lengths.append((len(topic), len(message.payload)))
        ends = np.cumsum(np.array(lengths, np.int32).reshape(-1), dtype=np.int32).reshape(-1, 2)
        spans = np.empty((len(found), 4), np.int32)
        spans[:, 1], spans[:, 2], spans[:, 3] = ends[:, 0], ends[:, 0], ends[:, 1]
        spans[:1, 0], spans[1:, 0] = 0, ends[:-1, 1]
        count = len(found)
        return cls(
            data=b"".join(parts),
            spans=spans,
            received_ms=np.fromiter((m.received_ms for m in found), np.int64, count),
            flags=np.fromiter((m.flags for m in found), np.uint8, count),
            number=np.zeros(count, np.int64) if numbers is None else np.fromiter(numbers, np.int64, count),
            generation=np.zeros(count, np.int64),
        )

    @classmethod
    def of_one(cls, topic: bytes, payload: bytes, received_ms: int, flags: int, number: int) -> Self:
        """Return one message in columns; arguments as the attributes."""
        ends = [0, len(topic), len(topic), len(topic) + len(payload)]
        return cls(
            data=topic + payload,
            spans=np.array([ends], np.int32),
            received_ms=np.array([received_ms], np.int64),
            flags=np.array([flags], np.uint8),
            number=np.array([number], np.int64),
            generation=np.zeros(1, np.int64),
        )

    def __len__(self) -> int:
        return len(self.number)

    def __iter__(self) -> Iterator[Message]:
        return map(self.message, range(len(self)))

    def message(self, row: int) -> Message:
        """Return one message."""
        topic_at, topic_end, payload_at, payload_end = self.spans[row].tolist()
        return Message(
            self.data[topic_at:topic_end].decode("utf-8", "replace"),
            self.data[payload_at:payload_end],
            int(self.received_ms[row]),
            int(self.flags[row]),
        )

    def topic(self, row: int) -> bytes:
        """Return the topic of one message, as it came."""
        topic_at, topic_end, _, _ = self.spans[row].tolist()
        return self.data[topic_at:topic_end]

    def said(self, row: int) -> tuple[bytes, bytes]:
        """Return topic and payload of one message, as bytes."""
        topic_at, topic_end, payload_at, payload_end = self.spans[row].tolist()
        return self.data[topic_at:topic_end], self.data[payload_at:payload_end]

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """Return the messages of these rows: a mask or indices."""
        return type(self)(
            self.data,
            self.spans[rows],
            self.received_ms[rows],
            self.flags[rows],
            self.number[rows],
            self.generation[rows],
        )


def count_of(parts: Iterable[Messages]) -> int:
    """Return how many messages there are in all."""
    return sum(map(len, parts))


def as_sent(topic: str) -> bytes:
    """Return a topic as it comes on the wire."""
    return topic.encode("utf-8", "surrogatepass")


def text_of(topic: bytes) -> str:
    """Return the topic that `as_sent` was given."""
    return topic.decode("utf-8", "surrogatepass")


class ConnectionChange(StrEnum):
    """What happened to a connection."""

    RESUMED = "resumed"  # connected, and the broker kept our session
    RENEWED = "renewed"  # connected, and the broker had no session of ours
    LOST = "lost"
    PAUSED = "paused"  # we stood still: what came meanwhile waits in the socket, and at the broker
    OVERLOADED = "overloaded"  # messages of quality of service 0 were dropped: too many were waiting


class ConnectionEvent(msgspec.Struct, frozen=True):
    """Something that happened to a connection.

    Attributes:
        change: What happened.
        since_ms: Since when it holds [ms]: for a lost connection, when something was last received.
        detail: What was seen, for people.
        doubt: Of a session that was resumed: why the broker may not have kept everything, "" where nothing
            that was seen says so.
    """

    change: ConnectionChange
    since_ms: int
    detail: str = ""
    doubt: str = ""


Item = Messages | ConnectionEvent
