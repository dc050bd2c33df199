"""How the connection with a source does, for people and for what watches it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a connection is doing."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    REFUSED = "refused"


@dataclass(slots=True)
class Health:
    """How a connection is doing.

    Attributes:
        state: What it is doing.
        detail: What was last seen, for people.
        version: The version of MQTT that is spoken: 5, or 4 for 3.1.1; None where it is not MQTT.
        connections: How often a connection was made.
        stale: Acknowledgements that came too late for their connection.
        repeated: Messages that came again while they were in hand, or safe already.
        contested: Whether another client seems to have our client id, and takes our place again and again.
        trouble: What people must put right: why the broker refuses us, or gives our client id away; else "".
        dropped: Messages of quality of service 0 that were dropped because too many waited.
    """

    state: State = State.CONNECTING
    detail: str = ""
    version: int | None = None
    connections: int = 0
    stale: int = 0
    repeated: int = 0
    contested: bool = False
    trouble: str = ""
    dropped: int = 0
