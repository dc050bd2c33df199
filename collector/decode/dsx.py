"""The DSX BMS bus: values by the metadata of their topic.

A value's topic says nothing by itself. The metadata of a point says which topic its values come on (the
building system's own, or that of the integration it names), which asset it is of, and in which unit. A value
that comes before its metadata waits for it, on disk.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import msgspec
import structlog

from collector.decode.base import Context, Gathered, check_keys, explain
from collector.decode.dsxmetadata import Described, Refusal, describe
from collector.decode.dsxpark import MOST_ON_TOPIC, MOST_WAITING, MOST_WAITING_BYTES, WAIT_MS, Park
from collector.decode.dsxscopes import ScopeIndex, Scopes
from collector.gather import Rows
from collector.message import Message
from facility import dsx
from facility.readings import Reason
from facility.sitetables import BrokerTable
from store.journalfile import Waiting

MOST_BYTES: Final = 65_536
"""The longest payload that is looked at: a value has some 60 bytes, metadata some 300."""

_QUOTES: Final = 6
"""Quotation marks in a value with its three keys once each; more may hide a key that stands twice."""


class _Value(msgspec.Struct, gc=False):
    """The payload of a value message."""

    value: float | None
    timestamp: int
    quality: int


_DECODER: Final = msgspec.json.Decoder(_Value)
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Refused:
    """Metadata that can not be used.

    Attributes:
        detail: What was expected and what was found.
    """

    detail: str


@dataclass(frozen=True, slots=True)
class _Entry:
    """What one publisher's metadata says of a point.

    Attributes:
        value_topic: On which topic the values come.
        said: What they are.
    """

    value_topic: str
    said: Described | Refused

    @property
    def publisher(self) -> str:
        """Who publishes the values."""
        topic = dsx.parse_topic(self.value_topic)
        return "" if topic is None else topic.publisher


class DsxDecoder:
    """Decodes one broker's DSX bus.

    The building system alone says who publishes a point's values. Metadata under another name describes
    what is published under that name, and only where the building system says nothing else of it.

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
        self._entries: dict[str, dict[str, _Entry]] = {}
        self._topics: dict[str, set[str]] = {}
        self._scopes = Scopes()
        self._changed: set[str] = set()
        self._park = Park(item for item in waiting if item.broker == broker.name)
        for text, payload in metadata.items():
            topic = dsx.parse_topic(text)
            found = None if topic is None else describe(topic, payload, broker.name)
            if topic is not None and isinstance(found, Described):
                self._metadata[text] = payload
                self._entries.setdefault(topic.key, {})[topic.publisher] = _Entry(found.value_topic, found)
                self._scopes.set(text, found.publisher, found.scope, found.point.stream)
        for key in self._entries:
            self._route(key, Rows())

    @property
    def topics(self) -> tuple[str, ...]:
        """The topic filters to subscribe to."""
        return tuple(self._broker.topics or (dsx.TOPICS,))

    def decode(self, messages: list[Message], into: Gathered) -> None:
        """Decode messages, in order."""
        self._decode_all(messages, into)
        if self._changed:
            self._regroup(into.rows)

    def settle(self, now_ms: int, into: Gathered) -> None:
        """Give up on values whose metadata has not come for too long."""
        for waiting in self._park.give_up(now_ms):
            into.settled.append(waiting.id)
            detail = f"expected metadata of this point within {WAIT_MS // 60_000} minutes, found none"
            into.rows.refuse(_message(waiting), Reason.NO_METADATA, detail)

    def _decode_all(self, messages: list[Message], into: Gathered) -> None:
        rest = iter(messages)
        while not self._decode(rest, into):
            pass

    def _decode(self, rest: Iterator[Message], into: Gathered) -> bool:
        """Decode messages up to the end, or up to one at which this fails; tell whether it was the end."""
        routes, rows, decode = self._routes, into.rows, _DECODER.decode
        message: Message | None = None
        try:
            for message in rest:  # noqa: B007, RUF100 - asked for below
                route = routes.get(message.topic)
                if not isinstance(route, int):
                    self._decode_other(message, route, into)
                    continue
                payload = message.payload
                if len(payload) > MOST_BYTES:
                    rows.refuse(message, *_too_large(payload), route)
                    continue
                try:
                    read = decode(payload)
                except (msgspec.MsgspecError, RecursionError, ValueError):
                    rows.refuse(message, *explain(payload, _DECODER), route)
                    continue
                if payload.count(b'"') != _QUOTES and (problem := check_keys(payload)) is not None:
                    rows.refuse(message, *problem, route)
                    continue
                rows.add(route, read.timestamp, read.value, is_good=read.quality == dsx.GOOD, message=message)
        except Exception as error:
            if message is None:
                raise
            _log.exception("decoder failed", broker=self._broker.name, topic=message.topic[:200])
            rows.refuse(message, Reason.DECODER_FAILED, repr(error))
            return False
        return True

    # What is not a value of a known point ---------------------------------------------

    def _decode_other(self, message: Message, route: Refused | None, into: Gathered) -> None:
        rows = into.rows
        if route is not None:
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
            rows.refuse(message, *_too_large(message.payload))
        elif topic.type == "Metadata":
            self._take_metadata(message, topic, into)
        elif (owner := self._entries.get(topic.key, {}).get(dsx.BUILDING_SYSTEM)) is not None:
            detail = f"expected values from {owner.publisher}, found {topic.publisher}"
            rows.refuse(message, Reason.WRONG_PUBLISHER, detail)
        else:
            self._wait(message, into)

    def _wait(self, message: Message, into: Gathered) -> None:
        if (length := len(message.payload)) > MOST_WAITING_BYTES:
            detail = (
                f"expected at most {MOST_WAITING_BYTES} bytes before the metadata has come, found {length}"
            )
            into.rows.refuse(message, Reason.TOO_LARGE, detail)
            return
        if not self._park.has_room(message.topic):
            detail = f"expected metadata before {MOST_ON_TOPIC} values of a point, {MOST_WAITING} of all wait"
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
        self._park.add(waiting)
        into.waiting.append(waiting)

    # Metadata -------------------------------------------------------------------------

    def _take_metadata(self, message: Message, topic: dsx.Topic, into: Gathered) -> None:
        text, payload = message.topic, message.payload
        if self._metadata.get(text) == payload:
            into.unchanged += 1
            return
        entries = self._entries.setdefault(topic.key, {})
        before = entries.pop(topic.publisher, None)
        if self._metadata.pop(text, None) is not None:
            into.metadata[text] = b""
        publisher = scope = stream = ""
        if payload:
            found = describe(topic, payload, self._broker.name)
            if isinstance(found, Refusal):
                into.rows.refuse(message, found.reason, found.detail)
                # What can not be read does not say who publishes: that is who did before.
                usual = before.value_topic if before else dsx.value_topic(topic.publisher, topic.key)
                entries[topic.publisher] = _Entry(found.value_topic or usual, Refused(found.detail))
            else:
                self._metadata[text] = into.metadata[text] = payload
                entries[topic.publisher] = _Entry(found.value_topic, found)
                publisher, scope, stream = found.publisher, found.scope, found.point.stream
        elif text not in into.metadata:
            into.unchanged += 1
        if not entries:
            del self._entries[topic.key]
        self._changed |= set(self._scopes.set(text, publisher, scope, stream))
        for value_topic in self._route(topic.key, into.rows):
            self._release(value_topic, into)

    def _route(self, key: str, rows: Rows) -> Iterable[str]:
        """Say what the values of a point are, for every topic on which they may come; return those topics."""
        entries = self._entries.get(key, {})
        found = {entry.value_topic: entry for entry in entries.values()}
        if (first := entries.get(dsx.BUILDING_SYSTEM)) is not None:
            found[first.value_topic] = first
        for value_topic in self._topics.pop(key, set()) - found.keys():
            del self._routes[value_topic]
        for value_topic, entry in found.items():
            said = entry.said
            self._routes[value_topic] = said if isinstance(said, Refused) else self._declare(said, rows)
        if found:
            self._topics[key] = set(found)
        return found

    def _declare(self, found: Described, rows: Rows) -> int:
        """Put a point into the register, with the stream that a heartbeat's scope gives it."""
        point = found.point
        stream = None if point.is_heartbeat else self._scopes.stream_of(found.value_topic, found.publisher)
        if stream is not None:
            point = replace(point, stream=stream)
        number = self._context.register.number(point, found.asset)
        rating = self._context.site.rack(point.asset).rating_milliwatts
        rating_kw = None if rating is None else rating / 1e6
        ranges = self._context.ranges
        if rows.points and ranges.contradicts(number, point, rating_kw):
            rows.seal(ranges)
        ranges.set(number, point, rating_kw)
        return number

    def _regroup(self, rows: Rows) -> None:
        """Find the stream anew of every point that a changed scope covers, or covered.

        Once for all messages of a call: when a monitor starts, hundreds of scopes become known at once.
        """
        changed = ScopeIndex[None]()
        for scope in self._changed:
            changed.put(scope, "", None)
        self._changed.clear()
        covered = [
            key
            for key, topics in self._topics.items()
            if any(True for topic in topics for _ in changed.covering(topic))
        ]
        for key in covered:
            self._route(key, rows)

    def _release(self, value_topic: str, into: Gathered) -> None:
        """Decode what waited for this metadata."""
        waited = self._park.release(value_topic)
        into.settled += [item.id for item in waited]
        self._decode_all([_message(item) for item in waited], into)


def _message(waiting: Waiting) -> Message:
    return Message(waiting.topic, waiting.payload, waiting.received_ms, waiting.flags)


def _too_large(payload: bytes) -> tuple[Reason, str]:
    return Reason.TOO_LARGE, f"expected at most {MOST_BYTES} bytes, found {len(payload)}"
