"""Rack documents: everything of a rack in one object, or a row of racks in one array.

What is wrong with one value does not take the others with it: each value is a reading of its own, kept or
refused by itself. What is wrong with the object as a whole refuses the object, and puts all points of its
rack in doubt: whatever they are now, the last values are not known to be it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import groupby
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from collector.decode.base import Context, Gathered, check_keys, check_topic, decode_in_turn, explain
from collector.decode.rackdocumentshapes import Shapes
from collector.kernels import read_documents
from collector.kernels.portable import MOST_DOCUMENT_BYTES
from collector.mqtt.message import Message, Messages
from collector.row_builder import Rows
from facility.instants import EARLIEST_MS, from_iso
from facility.names import NAME_LENGTH, AssetId, is_level, name_of, nearest
from facility.points import Asset, Cadence, Point
from facility.readings import Reason
from facility.sitefile.tables import BrokerTable
from facility.units import UNITS, Dimension
from formats.rackdoc import (
    FEED_KEYS,
    MOST_FEEDS,
    OTHER_KEYS,
    PHASES,
    PREFIX,
    RACK_KEYS,
    Key,
    point_key,
)

MOST_DOCUMENTS: Final = 2_000
"""The most documents of one message (our choice)."""
MOST_KEYS: Final = 500
"""The most keys of one object: several times what the schema knows (our choice)."""
MOST_MISSED: Final = 1_000_000
"""A sequence number that is further ahead than this was set anew: 11 days at one a second (our choice)."""
MOST_HINTS: Final = 200
"""How many unknown names are compared with the known ones; the rest get no hint."""

_DECODER: Final = msgspec.json.Decoder()


class _Value(NamedTuple):
    """One value of a document."""

    name: str
    key: Key
    found: object
    feed: str = ""
    phase: str = ""


class RackDocumentDecoder:
    """Decodes one broker's rack documents.

    Args:
        broker: Its `[[broker]]` table.
        context: What decoders share.

    Attributes:
        missed: Documents that never came, by the gaps in their sequence numbers.
    """

    def __init__(self, broker: BrokerTable, context: Context) -> None:
        self._broker = broker
        self._context = context
        self._numbers: dict[tuple[str, str, str, str], int] = {}
        self._of_rack: dict[str, set[int]] = {}  # the points of each rack
        self._doubted: set[str] = set()  # racks that a message has put in doubt, until it says more of them
        self._stream = f"{broker.name}:documents"
        register = context.register
        for number in register.numbers:
            if (point := register.point(number)) is not None and point.stream == self._stream:
                self._of_rack.setdefault(point.asset, set()).add(number)
        self._shapes = Shapes()
        self._place = f"{PREFIX}{context.site.name}"
        self._sequences: dict[str, int] = {}
        self._hints = _Hints()
        self.missed = 0

    def decode(self, messages: Messages, into: Gathered) -> Iterator[None]:
        """Decode messages, in order: those of a known shape in columns, all else one by one."""
        return decode_in_turn(
            messages,
            into,
            self._broker.name,
            plain=lambda first: self._decode_shaped(messages, first, into.rows),
            one=lambda message: self._decode(message, into.rows),
        )

    def complete(self) -> Iterator[None]:
        """Nothing is left open: a document explains itself."""
        return iter(())

    def settle(self, now_ms: int, into: Gathered) -> None:
        """Nothing waits here: a document explains itself."""

    def problems(self, now_ms: int) -> dict[str, str]:  # noqa: ARG002 - it is always well
        """Nothing is wrong: an undeclared rack is a dead letter."""
        return {}

    def _decode_shaped(self, messages: Messages, first: int, rows: Rows) -> int:
        """Decode messages of a known shape that follow one another; return how many there were."""
        row = len(rows)
        columns = rows.room(self._shapes.most_rows)
        points = columns.points[row:]
        sequences = np.empty(len(points), np.int64)
        shapes = read_documents(
            messages.data,
            messages.spans,
            first,
            self._shapes.known,
            points,
            columns.times[row:],
            columns.values[row:],
            sequences,
        )
        at = first
        for each, alike in groupby(shape.rows for shape in shapes):
            count = len(list(alike))
            rows.fill(messages, at, count, each)
            at += count
        columns.good[row : len(rows)] = True
        racks = [rack for shape in shapes for rack in shape.racks]
        for rack, sequence in zip(racks, sequences[: len(racks)].tolist(), strict=True):
            if sequence >= 0:
                self._note_sequence(rack, sequence)
        return len(shapes)

    def _decode(self, message: Message, rows: Rows) -> None:
        if (problem := check_topic(message.topic)) is not None:
            rows.refuse(message, *problem)
            return
        place, _, level = message.topic.rpartition("/")
        if place != self._place or not is_level(level):
            rows.refuse(message, Reason.UNKNOWN_TOPIC, f"expected {self._place}/{{rack}}")
            return
        self._doubted.clear()
        if len(message.payload) > MOST_DOCUMENT_BYTES:
            self._doubt_all(message, level, rows)
            detail = f"expected at most {MOST_DOCUMENT_BYTES} bytes, found {len(message.payload)}"
            rows.refuse(message, Reason.TOO_LARGE, detail)
            return
        try:
            found = _DECODER.decode(message.payload)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self._doubt_all(message, level, rows)
            rows.refuse(message, *explain(message.payload, _DECODER))
            return
        documents = found if isinstance(found, list) else [found]
        problem = _too_many(documents) or check_keys(message.payload)
        if problem is not None:
            self._doubt_all(message, level, rows)
            rows.refuse(message, *problem)
            return
        if not documents:
            rows.refuse(message, Reason.WRONG_TYPE, "expected at least one document, found none")
        name = name_of(level)
        # The topic of a row names a row; that of a rack speaks for this rack alone, in an array too.
        speaks_for_one = not isinstance(found, list) or name in self._context.site.racks
        self._hints.renew()
        first, refused = len(rows), len(rows.rejections)
        alone = name if speaks_for_one else None
        racks = [rack for document in documents if (rack := self._take(message, document, rows, alone=alone))]
        if len(rows.rejections) == refused and racks:
            self._shapes.learn(message.topic, message.payload, racks, rows.points(first))

    def _doubt_all(self, message: Message, level: str, rows: Rows) -> None:
        """Put in doubt what a message that is refused as a whole may have said something of.

        Args:
            message: What is refused.
            level: The last level of its topic, which names a rack or a row.
            rows: Takes the doubts.
        """
        name = name_of(level)
        racks = {name} if name in self._context.site.racks else self._shapes.racks(message.topic)
        for rack in sorted(racks):
            self._doubt(message, rack, rows)

    def _doubt(self, message: Message, rack: str | None, rows: Rows) -> None:
        """Put all points of a rack in doubt, once until more is said of it."""
        if rack is not None and rack not in self._doubted:
            self._doubted.add(rack)
            for number in sorted(self._of_rack.get(rack, ())):
                rows.doubt(number, message)

    def _take(self, message: Message, document: object, rows: Rows, *, alone: str | None) -> AssetId | None:
        """Take the values of a document; return its rack, None where the document is refused."""
        if not isinstance(document, dict):
            self._doubt(message, alone, rows)
            detail = f"expected an object, found {type(document).__name__}"
            rows.refuse(message, Reason.WRONG_TYPE, detail)
            return None
        rack = self._rack(document.get("rack"), alone) if "rack" in document or not alone else AssetId(alone)
        if not isinstance(rack, str):
            self._doubt(message, alone, rows)
            rows.refuse(message, *rack)
            return None
        if (problem := self._declared(rack)) is not None:
            rows.refuse(message, *problem)
            return None
        try:
            time_ms = _time(document.get("time"))
        except ValueError as error:
            self._doubt(message, rack, rows)
            rows.refuse(message, Reason.BAD_TIME, str(error))
            return None
        self._doubted.discard(rack)
        self._take_sequence(message, rack, document.get("seq"), rows)
        values = _Values(message, rows, self._hints)
        for value in values.of(document):
            self._add(message, rack, time_ms, value, rows)
        if not values.count:
            rows.refuse(message, Reason.MISSING_FIELD, f"expected values of {rack}, found none")
        return rack

    def _rack(self, found: object, alone: str | None) -> AssetId | tuple[Reason, str]:
        """Return the rack that a document is of, or what is wrong with the one that it names."""
        if not isinstance(found, str) or not found:
            return Reason.BAD_NAME, f"expected the rack's id, found {found!r}"[:NAME_LENGTH]
        rack = name_of(found)
        if alone is not None and rack != alone:
            return Reason.IDENTITY_CONFLICT, f"expected the rack of the topic, {alone}, found {rack}"
        return AssetId(rack)

    def _declared(self, rack: str) -> tuple[Reason, str] | None:
        """Say what is wrong with an undeclared rack; None for nothing."""
        racks = self._context.site.racks
        if rack in racks:
            return None
        hint = self._hints.of(rack, racks)
        return Reason.UNKNOWN_RACK, f"expected a declared rack, found {rack} {hint}".strip()

    def _add(self, message: Message, rack: AssetId, time_ms: int, value: _Value, rows: Rows) -> None:
        number = self._number(rack, value)
        found = value.found
        if isinstance(found, bool) and value.key.quantity.dimension is Dimension.STATE:
            found = int(found)
        if found is not None and (isinstance(found, bool) or not isinstance(found, (int, float))):
            detail = f"{value.name} of {rack}: expected a number or null, found {type(found).__name__}"
            rows.refuse(message, Reason.WRONG_TYPE, detail, number, time_ms=time_ms)
            return
        try:
            read = None if found is None else UNITS[value.key.unit].to_canonical(float(found))
        except OverflowError:
            detail = f"{value.name} of {rack}: too large"
            rows.refuse(message, Reason.OUT_OF_RANGE, detail, number, time_ms=time_ms)
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
                stream=self._stream,
                cadence=Cadence.PERIODIC,
                point_type=value.name,
                object_type="Rack",
                feed=value.feed,
                phase=value.phase,
            )
            register = self._context.register
            number = register.number(register.own(point), Asset(id=rack, kind="Rack"))
            rating = self._context.site.rack(rack).rating_milliwatts
            self._context.ranges.set(number, point, None if rating is None else rating / 1e6)
            self._numbers[identity] = number
            self._of_rack.setdefault(rack, set()).add(number)
        return number

    def _take_sequence(self, message: Message, rack: str, found: object, rows: Rows) -> None:
        """Take the number of a document; one that is none is refused by itself."""
        if isinstance(found, float) and found.is_integer():
            found = int(found)
        if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
            self._note_sequence(rack, found)
        elif found is not None:
            is_number = isinstance(found, (int, float)) and not isinstance(found, bool)
            shown = "one below 0 or with a fraction" if is_number else type(found).__name__
            detail = f"seq of {rack}: expected a whole number from 0 on, or none, found {shown}"
            rows.refuse(message, Reason.WRONG_TYPE, detail)

    def _note_sequence(self, rack: str, found: int) -> None:
        before = self._sequences.get(rack)
        if before is not None and before + 1 < found <= before + MOST_MISSED:
            self.missed += found - before - 1
        if before is None or found > before or found == 0:
            self._sequences[rack] = found


class _Hints:
    """The known name that is nearest to an unknown one, for people who write documents.

    Comparing a name with thousands takes tens of milliseconds, so that is done once for a name, once in a
    message, and for so many names at all.
    """

    def __init__(self) -> None:
        self._found: dict[str, str] = {}
        self._may_look = True

    def renew(self) -> None:
        """Begin another message."""
        self._may_look = True

    def of(self, name: str, known: Collection[str]) -> str:
        """Return the hint for a name, "" for none."""
        name = name[:NAME_LENGTH]
        hint = self._found.get(name)
        if hint is None and self._may_look and len(self._found) < MOST_HINTS:
            self._may_look = False
            alike = sorted(known, key=lambda other: -_alike(other, name))[:MOST_HINTS]
            hint = self._found[name] = nearest(name, alike)
        return hint or ""


def _alike(one: str, other: str) -> int:
    """Return with how many equal characters two names begin."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), len(one))


class _Values:
    """Takes the values out of one document.

    Args:
        message: The message that the document came in.
        rows: Takes what can be no value.
        hints: What names may have been meant.

    Attributes:
        count: How many values and refusals there were.
    """

    def __init__(self, message: Message, rows: Rows, hints: _Hints) -> None:
        self._message = message
        self._rows = rows
        self._hints = hints
        self.count = 0

    def of(self, document: dict[str, Any]) -> Iterator[_Value]:
        """Yield the values of a document."""
        for name, found in document.items():
            key = RACK_KEYS.get(name)
            if key is not None:
                self.count += 1
                yield _Value(name, key, found)
            elif name == "feeds":
                yield from self._of_feeds(found)
            elif name not in OTHER_KEYS:
                self._refuse_key("", name, RACK_KEYS)

    def _of_feeds(self, feeds: object) -> Iterator[_Value]:
        if not isinstance(feeds, dict) or len(feeds) > MOST_FEEDS:
            found = type(feeds).__name__ if not isinstance(feeds, dict) else f"one with {len(feeds)}"
            detail = f"feeds: expected an object with at most {MOST_FEEDS} feeds, found {found}"
            self._refuse(Reason.WRONG_TYPE, detail)
            return
        for feed, values in feeds.items():
            if feed not in ("a", "b", "c", "d") or not isinstance(values, dict):
                detail = f"feeds: expected an object for each of a to d, found {feed[:20]!r}"
                self._refuse(Reason.UNKNOWN_QUANTITY, detail)
                continue
            for name, found in values.items():
                key = FEED_KEYS.get(name)
                if key is None:
                    self._refuse_key(f"feeds.{feed}: ", name, FEED_KEYS)
                elif key.has_phases and isinstance(found, list) and len(found) == len(PHASES):
                    self.count += len(PHASES)
                    for phase, value in zip(PHASES, found, strict=True):
                        yield _Value(name, key, value, feed, phase)
                else:
                    self.count += 1
                    yield _Value(name, key, found, feed)

    def _refuse_key(self, where: str, name: str, known: Collection[str]) -> None:
        hint = self._hints.of(name, known)
        detail = f"{where}expected a key of the rack document schema, found {name[:60]!r} {hint}".strip()
        self._refuse(Reason.UNKNOWN_QUANTITY, detail)

    def _refuse(self, reason: Reason, detail: str) -> None:
        self.count += 1
        self._rows.refuse(self._message, reason, detail)


def _too_many(documents: list[object]) -> tuple[Reason, str] | None:
    """Say what a message has too many of; None for nothing."""
    if len(documents) > MOST_DOCUMENTS:
        return Reason.TOO_LARGE, f"expected at most {MOST_DOCUMENTS} documents, found {len(documents)}"
    objects = [found for found in documents if isinstance(found, dict)]
    for document in objects:
        feeds = document.get("feeds")
        inner = feeds.values() if isinstance(feeds, dict) else ()
        for found in (document, feeds, *inner):
            if isinstance(found, dict) and len(found) > MOST_KEYS:
                return Reason.TOO_LARGE, f"expected at most {MOST_KEYS} keys of an object, found {len(found)}"
    return None


def _time(found: object) -> int:
    if isinstance(found, str):
        return from_iso(found)
    # JSON has one kind of number: 1.78e12 is an integer too.
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if not isinstance(found, int) or isinstance(found, bool) or found < EARLIEST_MS:
        kind = found if isinstance(found, int) else type(found).__name__
        raise ValueError(f"expected time as ISO 8601 with an offset or as Unix milliseconds, found {kind}")
    return found
