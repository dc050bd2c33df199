"""The loops over messages in Python: what they give is what the compiled ones give."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from facility.readings import ByteArray, Flag, FloatArray, IntArray, PointArray

PUBLISH: Final = 0x30
"""First byte of a PUBLISH packet, its flags taken off (MQTT 5.0, 3.3)."""
LONGEST_LENGTH: Final = 4
"""Bytes of a remaining length at most (MQTT 5.0, 1.5.5)."""
MOST_BYTES: Final = 65_536
"""The longest payload of a value that is looked at: it has some 60 bytes."""
_QUOTES: Final = 6
"""Quotation marks in a value with its three keys once each and a number as quality."""
_LARGEST: Final = 10**18
"""Whole numbers below this fit 64 bits with room to reckon."""


class _Value(msgspec.Struct, gc=False):
    value: float | None
    timestamp: int
    quality: int | str


_DECODE: Final = msgspec.json.Decoder(_Value).decode


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
        if type(route) is not int or len(payload) > MOST_BYTES or payload.count(b'"') != _QUOTES:
            break
        try:
            read = _DECODE(payload)
        except (msgspec.MsgspecError, RecursionError, ValueError):
            break
        if not -_LARGEST < read.timestamp < _LARGEST:
            break
        points[count], times[count] = route, read.timestamp
        values[count] = np.nan if read.value is None else read.value
        good[count] = read.quality == 1
        count += 1
    return count
