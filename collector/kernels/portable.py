"""The loops over messages in Python: what they give is what the compiled ones give."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from facility.instants import EARLIEST_MS, from_iso
from facility.readings import ByteArray, Flag, FloatArray, IntArray, PointArray
from formats import dsx

PUBLISH: Final = 0x30
"""First byte of a PUBLISH packet, its flags taken off (MQTT 5.0, 3.3)."""
LONGEST_LENGTH: Final = 4
"""Bytes of a remaining length at most (MQTT 5.0, 1.5.5)."""
MOST_VALUE_BYTES: Final = 65_536
"""The longest payload of the DSX bus that is looked at: a value has some 60 bytes, metadata some 300."""
QUOTES: Final = 6
"""Quotation marks in a value with its three keys once each and a number as quality; more may hide a key that
stands twice."""
_LARGEST: Final = 10**18
"""Whole numbers below this fit 64 bits with room to reckon."""


class Value(msgspec.Struct, gc=False):
    """The payload of a value of the DSX bus."""

    value: float | None
    timestamp: int
    quality: int | str


VALUES: Final = msgspec.json.Decoder(Value)


def packet_end(data: bytes | bytearray, at: int, end: int) -> tuple[int, int] | None:
    """Return where the body of a packet begins, and where it ends, which may be beyond `end`.

    Args:
        data: What was received.
        at: Where the packet begins.
        end: Where what was received ends.

    Returns:
        The two places; None where the length of the packet has not come yet.

    Raises:
        ValueError: Where the length is longer than MQTT allows.
    """
    length = 0
    for i in range(LONGEST_LENGTH):
        if at + 1 + i >= end:
            return None
        byte = data[at + 1 + i]
        length |= (byte & 127) << (7 * i)
        if byte < 128:  # noqa: PLR2004 - the top bit says that more follow
            body = at + 2 + i
            return body, body + length
    raise ValueError("expected a remaining length of at most four bytes")


def frame(
    data: bytes | bytearray,
    at: int,
    end: int,
    has_properties: bool,  # noqa: FBT001 - called once, by position
    spans: NDArray[np.int32],
    flags: ByteArray,
    numbers: IntArray,
) -> tuple[int, int]:
    """Find the plain PUBLISH packets that follow one another, up to whatever is none or is not there whole.

    A packet is plain at quality of service 0 or 1, with a topic, a number where one is due and no properties.

    Args:
        data: What was received.
        at: Where a packet begins.
        end: Where what was received ends.
        has_properties: Whether packets have a length of properties, as they have in MQTT 5.
        spans: Takes where each topic begins and ends and each payload begins and ends, shape (most, 4).
        flags: Takes `Flag` bits, shape (most,).
        numbers: Takes packet identifiers, 0 at quality of service 0, shape (most,).

    Returns:
        How many there were, and where the last of them ends.
    """
    count = 0
    while count < len(numbers) and at < end and data[at] & 0xF0 == PUBLISH:
        first = data[at]
        quality = (first >> 1) & 3
        try:
            found = packet_end(data, at, end)
        except ValueError:
            break
        if found is None or found[1] > end or quality > 1 or (first & 8 and not quality):
            break
        body, last = found
        fixed = 2 + 2 * quality + has_properties
        if last - body < fixed:
            break
        topic_at = body + 2
        topic_end = topic_at + (data[body] << 8 | data[body + 1])
        payload_at = body + fixed + (topic_end - topic_at)
        if topic_end == topic_at or payload_at > last:
            break
        number = data[topic_end] << 8 | data[topic_end + 1] if quality else 0
        if (quality and not number) or (has_properties and data[payload_at - 1]):
            break
        spans[count] = topic_at, topic_end, payload_at, last
        flag = Flag.NONE if quality else Flag.AT_MOST_ONCE
        if first & 1:
            flag |= Flag.RETAINED
        if first & 8:
            flag |= Flag.REDELIVERED
        flags[count], numbers[count] = flag, number
        count, at = count + 1, last
    return count, at


def read_values(
    data: bytes,
    spans: NDArray[np.int32],
    first: int,
    routes: Mapping[bytes, object],
    points: PointArray,
    times: IntArray,
    values: FloatArray,
    good: ByteArray,
) -> int:
    """Read the values of the DSX bus that follow one another, up to a message that is anything else.

    A message is a value where its topic leads to a number of a point, and its payload is an object of
    `value`, a number or null, `timestamp`, a whole number, and `quality`, a whole number or a text, once
    each. What is left to the decoder may be a value all the same: it is read there, or it is said what is
    wrong with it.

    Args:
        data: Bytes that hold every topic and payload.
        spans: Where in `data` each topic begins and ends and each payload begins and ends, shape (n, 4).
        first: The message to begin with.
        routes: The number of the point whose values come on a topic; what is no integer leads nowhere.
        points: Takes numbers of points, shape (at least n - first,).
        times: Takes source times [ms], likewise.
        values: Takes values, NaN for null, likewise.
        good: Takes whether the source trusts each value, likewise.

    Returns:
        How many values there were.
    """
    count = 0
    for topic_at, topic_end, payload_at, payload_end in spans[first:].tolist():
        route = routes.get(data[topic_at:topic_end])
        payload = data[payload_at:payload_end]
        if type(route) is not int or len(payload) > MOST_VALUE_BYTES or payload.count(b'"') != QUOTES:
            break
        try:
            read = VALUES.decode(payload)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            break
        if not -_LARGEST < read.timestamp < _LARGEST:
            break
        points[count], times[count] = route, read.timestamp
        values[count] = np.nan if read.value is None else read.value
        good[count] = read.quality in dsx.GOOD_FORMS
        count += 1
    return count


# Documents ----------------------------------------------------------------------------

MOST_DOCUMENT_BYTES: Final = 131_072
"""The longest payload of documents that is looked at: 300 racks with all that a rack has. One that is all new
takes some 0.08 s, and nothing else is decoded meanwhile (our choice)."""

_SCALAR: Final = re.compile(
    rb"(-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)(?![0-9])|(null)|(true)|(false)"
)
_WHOLE: Final = re.compile(rb"(?:0|[1-9][0-9]{0,17})(?![0-9])")
_INSTANT: Final = re.compile(
    rb'"(\d{4}-\d\d-\d\d[T ](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d))"'
)
_EXACT: Final = 2**53
"""Whole numbers below this are exact as floats."""


class Kind(IntEnum):
    """What stands in a slot of a `Shape`."""

    NUMBER = 0  # or null
    STATE = 1  # a number, null, true or false
    TIME = 2  # milliseconds, or ISO 8601
    SEQUENCE = 3


class Shape(NamedTuple):
    """How the messages of one topic are written: the same text but for its slots.

    Attributes:
        text: A payload of the shape.
        slots: The slots in order, shape (n, 5), int32: where each begins and ends in `text`, its `Kind`, the
            number of its point, and its document.
        conversions: Factor and offset from what is written to the canonical unit, shape (n, 2).
        racks: The rack of each document.
        rows: How many values there are.
    """

    text: bytes
    slots: NDArray[np.int32]
    conversions: FloatArray
    racks: tuple[str, ...]
    rows: int


class _Read(NamedTuple):
    """What was read of one message: the columns of its rows, and the sequence number of each document."""

    points: list[int]
    times: list[int]
    values: list[float]
    sequences: list[int]


def read_documents(
    data: bytes,
    spans: NDArray[np.int32],
    first: int,
    shapes: Mapping[bytes, tuple[Shape, ...]],
    points: PointArray,
    times: IntArray,
    values: FloatArray,
    sequences: IntArray,
) -> list[Shape]:
    """Read messages of rack documents that follow one another, up to one whose shape is not known.

    Args:
        data: Bytes that hold every topic and payload.
        spans: Where in `data` each topic begins and ends and each payload begins and ends, shape (n, 4).
        first: The message to begin with.
        shapes: The shapes of each topic; each has at least one value in each document.
        points: Takes numbers of points, shape (room,). Reading ends where a message has no room.
        times: Takes source times [ms], likewise.
        values: Takes values in canonical units, NaN for null, likewise.
        sequences: Takes the sequence number of each document, -1 without one, likewise.

    Returns:
        The shape of each message that was read.
    """
    found: list[Shape] = []
    row = document = 0
    for topic_at, topic_end, payload_at, payload_end in spans[first:].tolist():
        known = shapes.get(data[topic_at:topic_end], ())
        if payload_end - payload_at > MOST_DOCUMENT_BYTES:
            break
        payload = data[payload_at:payload_end]
        for shape in known:
            read = _read_message(payload, shape) if row + shape.rows <= len(points) else None
            if read is not None:
                break
        else:
            break
        rows = slice(row, row + shape.rows)
        points[rows], times[rows], values[rows] = read.points, read.times, read.values
        sequences[document : document + len(shape.racks)] = read.sequences
        row, document = rows.stop, document + len(shape.racks)
        found.append(shape)
    return found


def _read_message(payload: bytes, shape: Shape) -> _Read | None:
    """Read a message; None where it is not plainly of that shape."""
    read = _Read([], [], [], [-1] * len(shape.racks))
    instants = [0] * len(shape.racks)
    documents: list[int] = []
    at = before = 0
    found: tuple[float, int] | None
    for (begin, end, kind, point, document), (factor, offset) in zip(
        shape.slots.tolist(), shape.conversions.tolist(), strict=True
    ):
        if not payload.startswith(shape.text[before:begin], at):
            return None
        at, before = at + begin - before, end
        if kind == Kind.TIME:
            found = _read_time(payload, at)
        elif kind == Kind.SEQUENCE:
            found = _read_whole(payload, at)
        else:
            found = _read_scalar(payload, at, is_state=kind == Kind.STATE)
        if found is None:
            return None
        number, at = found
        if kind == Kind.TIME:
            instants[document] = int(number)
        elif kind == Kind.SEQUENCE:
            read.sequences[document] = int(number)
        else:
            read.points.append(point)
            read.values.append(number * factor + offset)
            documents.append(document)
    read.times.extend(instants[document] for document in documents)
    return read if payload[at:] == shape.text[before:] else None


def _read_time(payload: bytes, at: int) -> tuple[int, int] | None:
    """Return an instant [ms] and where it ends; None where there is none, or one that is too early."""
    text = _INSTANT.match(payload, at)
    if text is None:
        found = _read_whole(payload, at)
        return found if found is not None and found[0] >= EARLIEST_MS else None
    try:
        time_ms = from_iso(text[1].decode())
    except ValueError:
        return None
    return (time_ms, text.end()) if time_ms >= EARLIEST_MS else None


def _read_whole(payload: bytes, at: int) -> tuple[int, int] | None:
    """Return a whole number that is not negative, and where it ends."""
    text = _WHOLE.match(payload, at)
    return None if text is None else (int(text[0]), text.end())


def _read_scalar(payload: bytes, at: int, *, is_state: bool) -> tuple[float, int] | None:
    """Return a value, and where it ends; None for a whole number that a float does not hold."""
    text = _SCALAR.match(payload, at)
    if text is None:
        return None
    number, null, true, _ = text.groups()
    if number is None:
        if null is None and not is_state:
            return None
        return np.nan if null else float(true is not None), text.end()
    value = float(number)
    is_whole = number.lstrip(b"-").isdigit()
    if np.isinf(value) or (is_whole and (number == b"-0" or abs(value) >= _EXACT)):
        return None
    return value, text.end()
