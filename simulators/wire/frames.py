"""MQTT packets of a client that only publishes: just enough of 3.1.1 and 5, as bytes.

A general client spends tens of microseconds on a message. Here topics are framed once for all, and a message
is three or four pieces joined with thousands of others into one write.

Source: OASIS MQTT Version 3.1.1 and MQTT Version 5.0, chapters 2 and 3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MQTT_3: Final = 4
"""Protocol level of MQTT 3.1.1."""
MQTT_5: Final = 5

PING: Final = b"\xc0\x00"
GOODBYE: Final = b"\xe0\x00"

CONNACK: Final = 0x20
PUBACK: Final = 0x40
PONG: Final = 0xD0
SERVER_GOODBYE: Final = 0xE0

MOST_IDS: Final = 65_535
"""Packet ids run from 1 to this."""
REFUSALS_FROM: Final = 0x80
"""Reason codes of MQTT 5 from here on say that a packet was not accepted."""

_PUBLISH: Final = 0x30
_RETAIN: Final = 0x01
_AT_LEAST_ONCE: Final = 0x02
_RECEIVE_MAXIMUM: Final = 0x21
_CLEAN: Final = 0x02
_PASSWORD: Final = 0x40
_USERNAME: Final = 0x80
_COMMON_LENGTH: Final = 1_024


class BadPacket(ValueError):  # noqa: N818 - says what it is
    """The broker said what no broker may say."""


def varint(number: int) -> bytes:
    """Return a variable byte integer, of at most 268,435,455."""
    found = bytearray()
    while True:
        number, low = divmod(number, 128)
        found.append(low | 0x80 if number else low)
        if not number:
            return bytes(found)


def text(value: str) -> bytes:
    """Return a UTF-8 string with its length before it."""
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def connect(
    version: int, client_id: str, keepalive_s: int, username: str | None, password: str | None
) -> bytes:
    """Return a CONNECT with a clean session: nothing is to be kept for one who only publishes."""
    flags = _CLEAN | (_USERNAME if username is not None else 0) | (_PASSWORD if password is not None else 0)
    body = text("MQTT") + bytes([version, flags]) + struct.pack(">H", keepalive_s)
    if version == MQTT_5:
        body += b"\x00"
    body += b"".join(text(part) for part in (client_id, username, password) if part is not None)
    return b"\x10" + varint(len(body)) + body


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a CONNACK says.

    Attributes:
        code: 0 for accepted.
        receive_maximum: How many messages may be on their way unacknowledged.
    """

    code: int
    receive_maximum: int


def welcome(body: bytes, version: int) -> Welcome:
    """Read a CONNACK.

    Raises:
        BadPacket: Where it is none.
    """
    if len(body) < 2:  # noqa: PLR2004 - flags and code
        raise BadPacket(f"expected a CONNACK of at least two bytes, found {body!r}")
    if version != MQTT_5 or len(body) == 2:  # noqa: PLR2004 - no properties follow
        return Welcome(body[1], MOST_IDS)
    try:
        return Welcome(body[1], _receive_maximum(body[2:]))
    except (IndexError, struct.error) as error:
        raise BadPacket(f"expected the properties of a CONNACK, found {body!r}") from error


# Identifiers of the properties of a CONNACK, and how many bytes each takes; -1 for a string or binary data
# with its length before it, -2 for a pair of strings (MQTT 5, section 2.2.2.2).
_SIZES: Final = {
    0x11: 4, 0x12: -1, 0x13: 2, 0x15: -1, 0x16: -1, 0x1A: -1, 0x1C: -1, 0x1F: -1, 0x21: 2, 0x22: 2,
    0x24: 1, 0x25: 1, 0x26: -2, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1,
}  # fmt: skip


def _receive_maximum(properties: bytes) -> int:
    end, at = _read_varint(properties, 0)
    end += at
    while at < end:
        name = properties[at]
        at += 1
        size = _SIZES.get(name)
        if size is None:
            raise BadPacket(f"expected a property of CONNACK, found {name:#04x}")
        if name == _RECEIVE_MAXIMUM:
            number: int = struct.unpack_from(">H", properties, at)[0]
            return number
        for _ in range(-size):
            at += 2 + int(struct.unpack_from(">H", properties, at)[0])
        at += max(size, 0)
    return MOST_IDS


def _read_varint(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return a variable byte integer and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:  # noqa: PLR2004 - the last byte of the integer
            return number, at
        shift += 7
        if shift > 21:  # noqa: PLR2004 - four bytes at most
            raise BadPacket("expected a length of at most four bytes")


def packets(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take every whole packet off the front of a buffer: its type and its body.

    Raises:
        BadPacket: Where a length is none.
    """
    at = 0
    try:
        while at < len(buffer):
            try:
                length, start = _read_varint(buffer, at + 1)
            except IndexError:
                break  # the length is still on its way
            if start + length > len(buffer):
                break
            kind, body = buffer[at] & 0xF0, bytes(buffer[start : start + length])
            at = start + length
            yield kind, body
    finally:
        del buffer[:at]


class Framer:
    """Frames messages for one version of MQTT.

    Args:
        version: `MQTT_3` or `MQTT_5`.
        topics: The topic of each channel; may grow.
    """

    def __init__(self, version: int, topics: Sequence[str]) -> None:
        self._version = version
        self._all = topics
        self._topics: list[bytes] = []
        properties = b"\x00" if version == MQTT_5 else b""
        self._properties = properties
        self._ids = [struct.pack(">H", number) + properties for number in range(MOST_IDS + 1)]
        self._heads = {
            first: [bytes([first]) + varint(length) for length in range(_COMMON_LENGTH)]
            for first in (
                _PUBLISH,
                _PUBLISH | _RETAIN,
                _PUBLISH | _AT_LEAST_ONCE,
                _PUBLISH | _AT_LEAST_ONCE | _RETAIN,
            )
        }

    def frames(
        self,
        channels: Sequence[int],
        payloads: Sequence[bytes],
        ids: Sequence[int] | None,
        *,
        is_retained: bool = False,
    ) -> bytes:
        """Return PUBLISH packets, one after the other.

        Args:
            channels: Channel of each message.
            payloads: Its payload.
            ids: Its packet id; None for quality of service 0.
            is_retained: Whether the broker is asked to keep them.
        """
        self._learn()
        topics = self._topics
        first = _PUBLISH | (_RETAIN if is_retained else 0) | (0 if ids is None else _AT_LEAST_ONCE)
        heads = self._heads[first]
        pieces: list[bytes] = []
        add = pieces.append
        if ids is None:
            between = self._properties
            for channel, payload in zip(channels, payloads, strict=True):
                topic = topics[channel]
                length = len(topic) + len(between) + len(payload)
                add(heads[length] if length < _COMMON_LENGTH else bytes([first]) + varint(length))
                add(topic)
                add(between)
                add(payload)
            return b"".join(pieces)
        marks = self._ids
        for channel, payload, number in zip(channels, payloads, ids, strict=True):
            topic, mark = topics[channel], marks[number]
            length = len(topic) + len(mark) + len(payload)
            add(heads[length] if length < _COMMON_LENGTH else bytes([first]) + varint(length))
            add(topic)
            add(mark)
            add(payload)
        return b"".join(pieces)

    def _learn(self) -> None:
        if len(self._topics) < len(self._all):
            self._topics += [text(topic) for topic in self._all[len(self._topics) :]]
