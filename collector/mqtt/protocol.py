"""What a broker must not send: breaches that end a connection, beside those that paho knows."""

from __future__ import annotations

from typing import Final

from collector.kernels.portable import packet_end

MOST_PACKET_BYTES: Final = 262_144
"""The longest body of a packet that is read whole: a topic, and more than any payload that is looked at."""

_CONNACK: Final = 2
_PUBLISH: Final = 3
_OF_CLIENTS: Final = {1: "CONNECT", 8: "SUBSCRIBE", 10: "UNSUBSCRIBE", 12: "PINGREQ"}
"""Packets that only clients send, by their kind (MQTT 5.0, 2.1.2)."""


class Breach(ValueError):  # noqa: N818 - says what happened
    """A broker does not keep to the protocol, and the connection has to end."""


def cut(first: int, body: bytes | bytearray, length: int) -> bytes:
    """Return a message that is too long as one that is not: its beginning, to be refused for its length.

    Args:
        first: The first byte of its packet.
        body: The beginning of its body, `MOST_PACKET_BYTES` of it.
        length: How long its body is [bytes].

    Raises:
        Breach: Where it is no message: no other packet is as long.
    """
    if first >> 4 != _PUBLISH:
        raise Breach(f"expected packets of at most {MOST_PACKET_BYTES} bytes but messages, found {length}")
    size, lengths = len(body), bytearray()
    while size:
        size, low = size >> 7, size & 127
        lengths.append(low | (128 if size else 0))
    return bytes([first]) + bytes(lengths) + bytes(body)


def check_packet(packet: bytes | bytearray, *, is_accepted: bool) -> None:
    """Check a packet that is no plain message.

    Args:
        packet: The packet, whole.
        is_accepted: Whether the broker has let us in over this connection.

    Raises:
        Breach: Where it must end the connection, and paho would take it.
    """
    first = packet[0]
    kind, quality = first >> 4, (first >> 1) & 3
    if kind in _OF_CLIENTS:
        raise Breach(f"expected no {_OF_CLIENTS[kind]} of a broker, found one")
    if kind == _CONNACK and is_accepted:
        raise Breach("expected one CONNACK in a connection, found a second one")
    if kind != _PUBLISH:
        return
    if quality > 1:
        raise Breach(f"expected quality of service 1 at most, as it was granted, found {quality}")
    if first & 8 and not quality:
        raise Breach("expected no DUP at quality of service 0, found it set")
    if quality and _number(packet) == 0:
        raise Breach("expected a packet identifier at quality of service 1, found 0")


def _number(packet: bytes | bytearray) -> int | None:
    """Return the packet identifier of a PUBLISH; None where it does not fit in, which paho says."""
    try:
        found = packet_end(packet, 0, len(packet))
    except ValueError:
        return None
    if found is None or found[0] + 2 > len(packet):
        return None
    body = found[0]
    at = body + 2 + (packet[body] << 8 | packet[body + 1])
    return packet[at] << 8 | packet[at + 1] if at + 2 <= len(packet) else None
