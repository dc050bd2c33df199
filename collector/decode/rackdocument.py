"""Rack documents: everything of a rack in one object, or a row of racks in one array.

What is wrong with one value does not take the others with it: each value is a reading of its own, kept or
refused by itself. What is wrong with the object as a whole refuses the object.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from collector.decode.base import Context, Gathered, explain
from collector.decode.dsx import repeats_key
from collector.gather import Rows
from collector.message import Message
from facility.instants import EARLIEST_MS, from_iso
from facility.names import AssetId, is_name, nearest
from facility.points import Asset, Cadence, Point
from facility.rackdoc import (
    FEED_KEYS,
    MOST_FEEDS,
    OTHER_KEYS,
    PHASES,
    PREFIX,
    RACK_KEYS,
    Key,
    point_key,
    topic_filter,
)
from facility.readings import Reason
from facility.sitetables import BrokerTable
from facility.units import UNITS, Dimension

MOST_BYTES: Final = 1_048_576
"""The longest payload that is looked at: a row of a thousand racks."""

_DECODER: Final = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class _Value:
    """One value of a document."""

    name: str
    key: Key
    found: object
    feed: str = ""
    phase: str = ""


class RackDocumentDecoder:
    """Decodes one broker's rack documents.

    Args:
        broker: The broker.
        context: What decoders share.

    Attributes:
        missed: Documents that never came, by the gaps in their sequence numbers.
    """

    def __init__(self, broker: BrokerTable, context: Context) -> None:
        self._broker = broker
        self._context = context
        self._numbers: dict[tuple[str, str, str, str], int] = {}
        self._sequences: dict[str, int] = {}
        self.missed = 0

    @property
    def topics(self) -> tuple[str, ...]:
        """The topic filters to subscribe to."""
        return tuple(self._broker.topics or (topic_filter(self._context.site.name),))

    def decode(self, messages: list[Message], into: Gathered) -> None:
        """Decode messages, in order."""
        for message in messages:
            self._decode(message, into.rows)

    def settle(self, now_ms: int, into: Gathered) -> None:
        """Nothing waits here: a document explains itself."""

    def _decode(self, message: Message, rows: Rows) -> None:
        parts = message.topic.split("/")
        prefix = [*PREFIX.strip("/").split("/"), self._context.site.name]
        if parts[:-1] != prefix or not is_name(parts[-1]):
            expected = f"expected {'/'.join(prefix)}/{{rack}}"
            rows.refuse(message, Reason.UNKNOWN_TOPIC, expected)
            return
        if len(message.payload) > MOST_BYTES:
            detail = f"expected at most {MOST_BYTES} bytes, found {len(message.payload)}"
            rows.refuse(message, Reason.TOO_LARGE, detail)
            return
        try:
            found = _DECODER.decode(message.payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            rows.refuse(message, *explain(message.payload, _DECODER))
            return
        if repeats_key(message.payload):
            rows.refuse(message, Reason.DUPLICATE_KEY, "expected each key once")
            return
        documents = found if isinstance(found, list) else [found]
        if not documents:
            rows.refuse(message, Reason.WRONG_TYPE, "expected at least one document, found none")
        for document in documents:
            self._take(message, document, rows, alone=None if isinstance(found, list) else parts[-1])

    def _take(self, message: Message, document: object, rows: Rows, *, alone: str | None) -> None:
        if not isinstance(document, dict):
            detail = f"expected an object, found {type(document).__name__}"
            rows.refuse(message, Reason.WRONG_TYPE, detail)
            return
        rack = document.get("rack", alone)
        if not isinstance(rack, str) or not is_name(rack):
            rows.refuse(message, Reason.BAD_NAME, f"expected the rack's id, found {str(rack)[:80]!r}")
            return
        if alone is not None and rack != alone:
            detail = f"expected the rack of the topic, {alone}, found {rack}"
            rows.refuse(message, Reason.IDENTITY_CONFLICT, detail)
            return
        if rack not in self._context.site.racks:
            hint = nearest(rack, self._context.site.racks)
            rows.refuse(
                message, Reason.UNKNOWN_RACK, f"expected a declared rack, found {rack} {hint}".strip()
            )
            return
        try:
            time_ms = _time(document.get("time"))
        except ValueError as error:
            rows.refuse(message, Reason.BAD_TIME, str(error))
            return
        self._note_sequence(rack, document.get("seq"))
        before = len(rows.points) + len(rows.rejections)
        for value in _values(message, document, rows):
            self._add(message, AssetId(rack), time_ms, value, rows)
        if len(rows.points) + len(rows.rejections) == before:
            rows.refuse(message, Reason.MISSING_FIELD, f"expected values of {rack}, found none")

    def _add(self, message: Message, rack: AssetId, time_ms: int, value: _Value, rows: Rows) -> None:
        number = self._number(rack, value)
        found = value.found
        if isinstance(found, bool) and value.key.quantity.dimension is Dimension.STATE:
            found = int(found)
        if found is not None and (isinstance(found, bool) or not isinstance(found, (int, float))):
            detail = f"{value.name} of {rack}: expected a number or null, found {type(found).__name__}"
            rows.refuse(message, Reason.WRONG_TYPE, detail, number)
            return
        try:
            read = None if found is None else UNITS[value.key.unit].to_canonical(float(found))
        except OverflowError:
            rows.refuse(message, Reason.OUT_OF_RANGE, f"{value.name} of {rack}: too large", number)
            return
        rows.add(number, time_ms, read, is_good=True, message=message)

    def _number(self, rack: AssetId, value: _Value) -> int:
        identity = (rack, value.name, value.feed, value.phase)
        number = self._numbers.get(identity)
        if number is None:
            point = Point(
                key=point_key(rack, value.key.quantity.name, value.feed, value.phase),
                asset=rack,
                quantity=value.key.quantity.name,
                unit=value.key.quantity.unit,
                stream=f"{self._broker.name}:documents",
                cadence=Cadence.PERIODIC,
                point_type=value.name,
                object_type="Rack",
                feed=value.feed,
                phase=value.phase,
            )
            number = self._context.register.number(point, Asset(id=rack, kind="Rack"))
            rating = self._context.site.rack(rack).rating_milliwatts
            self._context.ranges.set(number, point, None if rating is None else rating / 1e6)
            self._numbers[identity] = number
        return number

    def _note_sequence(self, rack: str, found: object) -> None:
        if not isinstance(found, int) or isinstance(found, bool):
            return
        before = self._sequences.get(rack)
        if before is not None and found > before + 1:
            self.missed += found - before - 1
        if before is None or found > before or found == 0:
            self._sequences[rack] = found


def _time(found: object) -> int:
    if isinstance(found, str):
        return from_iso(found)
    if not isinstance(found, int) or isinstance(found, bool) or found < EARLIEST_MS:
        kind = found if isinstance(found, int) else type(found).__name__
        raise ValueError(f"expected time as ISO 8601 with an offset or as Unix milliseconds, found {kind}")
    return found


def _values(message: Message, document: dict[str, Any], rows: Rows) -> Iterator[_Value]:
    for name, found in document.items():
        key = RACK_KEYS.get(name)
        if key is not None:
            yield _Value(name, key, found)
        elif name == "feeds":
            yield from _feed_values(message, found, rows)
        elif name not in OTHER_KEYS:
            hint = nearest(name, RACK_KEYS)
            detail = f"expected a key of the rack document schema, found {name[:60]!r} {hint}".strip()
            rows.refuse(message, Reason.UNKNOWN_QUANTITY, detail)


def _feed_values(message: Message, feeds: object, rows: Rows) -> Iterator[_Value]:
    if not isinstance(feeds, dict) or len(feeds) > MOST_FEEDS:
        detail = f"feeds: expected an object with at most {MOST_FEEDS} feeds, found {type(feeds).__name__}"
        rows.refuse(message, Reason.WRONG_TYPE, detail)
        return
    for feed, values in feeds.items():
        if feed not in ("a", "b", "c", "d") or not isinstance(values, dict):
            detail = f"feeds: expected an object for each of a to d, found {feed[:20]!r}"
            rows.refuse(message, Reason.UNKNOWN_QUANTITY, detail)
            continue
        for name, found in values.items():
            key = FEED_KEYS.get(name)
            if key is None:
                hint = nearest(name, FEED_KEYS)
                detail = f"feeds.{feed}: expected a key of the schema, found {name[:60]!r} {hint}".strip()
                rows.refuse(message, Reason.UNKNOWN_QUANTITY, detail)
            elif key.has_phases and isinstance(found, list) and len(found) == len(PHASES):
                for phase, value in zip(PHASES, found, strict=True):
                    yield _Value(name, key, value, feed, phase)
            else:
                yield _Value(name, key, found, feed)
