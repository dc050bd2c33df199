"""The DSX BMS bus: values by the metadata of their topic.

A value's topic says nothing by itself. The metadata of a point says which topic its values come on (the
building system's own, or that of the integration it names), which asset it is of, and in which unit. A value
that comes before its metadata waits for it, on disk.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec

from collector.decode.base import Context, Gathered, explain
from collector.decode.dsxmetadata import Refusal, describe
from collector.gather import Rows
from collector.message import Message
from facility import dsx
from facility.points import Asset, Point
from facility.readings import Reason
from facility.sitetables import BrokerTable
from store.journalfile import Waiting

MOST_BYTES: Final = 65_536
"""The longest payload that is looked at: a value has some 60 bytes, metadata some 300."""
WAIT_MS: Final = 600_000
"""How long a value waits for its metadata: six times the 100 s after which that is repeated."""
MOST_WAITING: Final = 200_000
"""How many values wait at most; more are refused at once."""

_QUOTES: Final = 6
"""Quotation marks in a value with its three keys once each; more may hide a key that stands twice."""


class _Value(msgspec.Struct, gc=False):
    """The payload of a value message."""

    value: float | None
    timestamp: int
    quality: int


_DECODER: Final = msgspec.json.Decoder(_Value)


@dataclass(frozen=True, slots=True)
class Refused:
    """Metadata that can not be used.

    Attributes:
        detail: What was expected and what was found.
    """

    detail: str


class DsxDecoder:
    """Decodes one broker's DSX bus.

    Args:
        broker: The broker.
        context: What decoders share.
        metadata: The metadata that was kept, payload by topic.
        waiting: What waits for its metadata.
    """

    def __init__(
        self,
        broker: BrokerTable,
        context: Context,
        metadata: Mapping[str, bytes],
        waiting: Iterable[Waiting] = (),
    ) -> None:
        self._broker = broker
        self._context = context
        self._metadata: dict[str, bytes] = {}
        self._routes: dict[str, int | Refused] = {}
        self._owners: dict[str, str] = {}
        self._points: dict[str, tuple[Point, Asset | None]] = {}
        self._scopes: dict[str, str] = {}
        self._parked: dict[str, deque[Waiting]] = defaultdict(deque)
        self._parked_count = 0
        for topic, payload in metadata.items():
            message = Message(topic, payload, 0)
            self._take_metadata(message, dsx.parse_topic(topic), Gathered())
        for item in waiting:
            if item.broker == broker.name:
                self._parked[item.topic].append(item)
                self._parked_count += 1

    @property
    def topics(self) -> tuple[str, ...]:
        """The topic filters to subscribe to."""
        return tuple(self._broker.topics or (dsx.TOPICS,))

    def decode(self, messages: list[Message], into: Gathered) -> None:
        """Decode messages, in order."""
        routes, rows, decode = self._routes, into.rows, _DECODER.decode
        for message in messages:
            route = routes.get(message.topic)
            if isinstance(route, int):
                payload = message.payload
                try:
                    read = decode(payload)
                except (msgspec.MsgspecError, RecursionError, ValueError):
                    self._refuse_value(message, route, rows)
                    continue
                if payload.count(b'"') != _QUOTES and repeats_key(payload):
                    rows.refuse(message, Reason.DUPLICATE_KEY, "expected each key once", route)
                    continue
                rows.add(route, read.timestamp, read.value, is_good=read.quality == dsx.GOOD, message=message)
            else:
                self._decode_other(message, route, into)

    def settle(self, now_ms: int, into: Gathered) -> None:
        """Give up on values whose metadata has not come for too long."""
        for topic in list(self._parked):
            queue = self._parked[topic]
            while queue and (queue[0].received_ms < now_ms - WAIT_MS):
                self._give_up(queue.popleft(), into)
            if not queue:
                del self._parked[topic]

    # What is not a value of a known point ---------------------------------------------

    def _decode_other(self, message: Message, route: int | Refused | None, into: Gathered) -> None:
        rows = into.rows
        if isinstance(route, Refused):
            rows.refuse(message, Reason.METADATA_REFUSED, route.detail)
            return
        topic = dsx.parse_topic(message.topic)
        if topic is None:
            expected = "expected a topic of the DSX bus, BMS/v1/{publisher}/Value|Metadata/..."
            rows.refuse(message, Reason.UNKNOWN_TOPIC, expected)
        elif not topic.is_allowed:
            expected = "expected letters, digits, '.', '_' and '-' between the slashes"
            rows.refuse(message, Reason.BAD_TOPIC, expected)
        elif len(message.payload) > MOST_BYTES:
            detail = f"expected at most {MOST_BYTES} bytes, found {len(message.payload)}"
            rows.refuse(message, Reason.TOO_LARGE, detail)
        elif topic.type == "Metadata":
            self._take_metadata(message, topic, into)
        elif topic.key in self._owners:
            detail = f"expected values from {self._owners[topic.key]}, found {topic.publisher}"
            rows.refuse(message, Reason.WRONG_PUBLISHER, detail)
        else:
            self._park(message, into)

    def _take_metadata(self, message: Message, topic: dsx.Topic | None, into: Gathered) -> None:
        if topic is None:
            return
        if self._metadata.get(message.topic) == message.payload:
            into.unchanged += 1
            return
        known = describe(topic, message.payload, self._broker.name)
        if isinstance(known, Refusal):
            into.rows.refuse(message, known.reason, known.detail)
            if known.value_topic:
                self._routes[known.value_topic] = Refused(known.detail)
                self._release(known.value_topic, into)
            return
        self._metadata[message.topic] = into.metadata[message.topic] = message.payload
        if known.scope:
            self._scopes[known.scope] = known.point.stream
            self._rescope()
        self._owners[topic.key] = known.publisher
        self._points[known.value_topic] = (known.point, known.asset)
        self._routes[known.value_topic] = self._declare(known.value_topic)
        self._release(known.value_topic, into)

    def _declare(self, value_topic: str) -> int:
        """Put a point into the register, with the stream that its heartbeat's scope gives it."""
        point, asset = self._points[value_topic]
        for scope, stream in self._scopes.items():
            if not point.is_heartbeat and dsx.covers(scope, value_topic):
                point = replace(point, stream=stream)
        number = self._context.register.number(point, asset)
        rating = self._context.site.rack(point.asset).rating_milliwatts
        self._context.ranges.set(number, point, None if rating is None else rating / 1e6)
        return number

    def _rescope(self) -> None:
        for value_topic in self._points:
            self._declare(value_topic)

    # Waiting for metadata -------------------------------------------------------------

    def _park(self, message: Message, into: Gathered) -> None:
        if self._parked_count >= MOST_WAITING:
            detail = f"expected at most {MOST_WAITING} values that wait for their metadata"
            into.rows.refuse(message, Reason.NO_METADATA, detail)
            return
        waiting = Waiting(
            broker=self._broker.name,
            topic=message.topic,
            payload=message.payload,
            received_ms=message.received_ms,
            flags=message.flags,
            id=next(self._context.waiting_numbers),
        )
        self._parked[message.topic].append(waiting)
        self._parked_count += 1
        into.waiting.append(waiting)

    def _release(self, value_topic: str, into: Gathered) -> None:
        """Decode what waited for this metadata."""
        for waiting in self._parked.pop(value_topic, ()):
            into.settled.append(waiting.id)
            self._parked_count -= 1
            message = Message(waiting.topic, waiting.payload, waiting.received_ms, waiting.flags)
            self.decode([message], into)

    def _give_up(self, waiting: Waiting, into: Gathered) -> None:
        into.settled.append(waiting.id)
        self._parked_count -= 1
        message = Message(waiting.topic, waiting.payload, waiting.received_ms, waiting.flags)
        detail = f"expected metadata of this point within {WAIT_MS // 60_000} minutes, found none"
        into.rows.refuse(message, Reason.NO_METADATA, detail)

    # A value that can not be read -----------------------------------------------------

    @staticmethod
    def _refuse_value(message: Message, point: int, rows: Rows) -> None:
        payload = message.payload
        if len(payload) > MOST_BYTES:
            detail = f"expected at most {MOST_BYTES} bytes, found {len(payload)}"
            rows.refuse(message, Reason.TOO_LARGE, detail, point)
            return
        reason, detail = explain(payload, _DECODER)
        rows.refuse(message, reason, detail, point)


def repeats_key(payload: bytes) -> bool:
    """Tell whether an object has a key twice; its text was read as JSON before."""
    repeated = False

    def note(pairs: list[tuple[str, object]]) -> dict[str, object]:
        nonlocal repeated
        repeated = repeated or len(dict(pairs)) < len(pairs)
        return dict(pairs)

    try:
        json.loads(payload, object_pairs_hook=note)
    except (ValueError, RecursionError):
        return True
    return repeated
