"""What a session hands on: messages, and what happened to the connection between them."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Message(msgspec.Struct, gc=False):
    """One MQTT message.

    Attributes:
        topic: Its topic; undecodable bytes are replaced, and then never match anything.
        payload: Its payload.
        received_ms: When it was received [ms].
        flags: `Flag` bits.
        acknowledgement: Number and generation by which it is acknowledged; 0, 0 at quality of service 0.
    """

    topic: str
    payload: bytes
    received_ms: int
    flags: int = 0
    acknowledgement: tuple[int, int] = (0, 0)


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


Item = Message | ConnectionEvent
