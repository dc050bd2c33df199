"""What a broker has sent and was not told to be safe yet: over a reconnect, and with numbers used twice.

A broker sends again what was not acknowledged when a connection broke. It is in our hands still, or stored
already with an acknowledgement that came too late: neither needs to be decoded and stored once more.

mosquitto 2.0.11 sends more than the receive maximum after a reconnect, and gives a number to a second message
while the first that had it waits. An acknowledgement may then take either off its list, so it is sent only
when both are safe.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

from collector.mqtt.message import Message
from facility.readings import Flag

Token = tuple[int, int]
"""Number and generation by which a message is acknowledged."""
MOST_REMEMBERED: Final = 5_000
"""Acknowledgements whose way to the broker a break may cut off: as many as are on their way by default."""


class Unacknowledged:
    """The messages of a session that the broker waits for us to acknowledge.

    Attributes:
        late: Acknowledgements that came too late for their connection.
        repeated: Messages that came again while they were in hand, or safe already.
        due: Acknowledgements of those that were safe already.
        waiting: How many messages of this connection are not safe yet.
    """

    def __init__(self) -> None:
        self.late = 0
        self.repeated = 0
        self.due: list[Token] = []
        self.waiting = 0
        self._generation = 0
        self._open: dict[int, list[Message]] = {}
        self._held: Counter[int] = Counter()
        self._sent = deque[tuple[str, bytes]](maxlen=MOST_REMEMBERED)
        # What came over an earlier connection and may come again; None for what is safe.
        self._carried: dict[tuple[str, bytes], Message | None] = {}

    def begin(self, generation: int) -> None:
        """Begin another connection: what is open of the one before may come again.

        Args:
            generation: Number of the connection.
        """
        self._carried.update(dict.fromkeys(self._sent))
        self._sent.clear()
        for messages in self._open.values():
            # A message in hand is not safe, whatever said the same before it.
            self._carried.update(((m.topic, m.payload), m) for m in messages)
        self._generation = generation
        self._open.clear()
        self._held.clear()
        self.due.clear()
        self.waiting = 0

    def forget(self) -> None:
        """Note that the broker has forgotten the session: nothing comes again."""
        self._carried.clear()
        self._sent.clear()

    def come(self, message: Message) -> bool:
        """Note a message that came at least once; return whether it is new to us."""
        first: Message | None = message
        if message.flags & Flag.REDELIVERED and self._carried:
            first = self._carried.pop((message.topic, message.payload), message)
        if first is None:
            self.due.append(message.acknowledgement)
            self._sent.append((message.topic, message.payload))
        else:
            first.acknowledgement = message.acknowledgement
            self._open.setdefault(message.acknowledgement[0], []).append(first)
            self.waiting += 1
        self.repeated += first is not message
        return first is message

    def settle(self, messages: Iterable[Message]) -> list[Token]:
        """Return the acknowledgements that may be sent, in order, now that messages are safe.

        Args:
            messages: Which; those of quality of service 0 need none.
        """
        tokens: list[Token] = []
        for message in messages:
            number, generation = message.acknowledgement
            if generation != self._generation:
                self._settle_late(message)
                continue
            self._sent.append((message.topic, message.payload))
            waiting = self._open[number]
            waiting.remove(message)
            self.waiting -= 1
            if waiting:
                self._held[number] += 1
            else:
                del self._open[number]
                tokens += [message.acknowledgement] * (1 + self._held.pop(number, 0))
        return tokens

    def _settle_late(self, message: Message) -> None:
        if message.acknowledgement[1]:
            self.late += 1
            key = message.topic, message.payload
            if key in self._carried:
                self._carried[key] = None
