"""What a broker has sent and was not told to be safe yet: over a reconnect, and with numbers used twice.

A broker sends again what was not acknowledged when a connection broke. It is in our hands still, or stored
already with an acknowledgement that came too late: neither needs to be decoded and stored once more.

mosquitto 2.0.11 sends more than the receive maximum after a reconnect, and gives a number to a second message
while the first that had it waits. An acknowledgement may then take either off its list, so it is sent only
when both are safe.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

import numpy as np

from collector.mqtt.message import Messages
from facility.readings import Flag, IntArray

MOST_REMEMBERED: Final = 5_000
"""Acknowledgements whose way to the broker a break may cut off: as many as are on their way by default."""
LONGEST_REMEMBERED: Final = 4_194_304
"""What was read at once and is longer is not remembered [bytes]: it holds a message that is refused for its
length, which may be refused once more (our choice)."""
_NUMBERS: Final = 65_536
"""How many packet identifiers there are."""

Said = tuple[bytes, bytes]
"""Topic and payload: how a message that comes again is known."""


class Unacknowledged:
    """The messages of a session that the broker waits for us to acknowledge.

    Attributes:
        late: Acknowledgements that came too late for their connection.
        repeated: Messages that came again while they were in hand, or safe already.
        due: Numbers of those that were safe already.
        waiting: How many messages of this connection are not safe yet.
    """

    def __init__(self) -> None:
        self.late = 0
        self.repeated = 0
        self.due: list[int] = []
        self.waiting = 0
        self._generation = 0
        self._open = np.zeros(_NUMBERS, np.int64)  # messages that have a number and are not safe
        self._held = np.zeros(_NUMBERS, np.int64)  # those that are safe, while another of their number is not
        self._has_twins = False
        self._hands: dict[int, Messages] = {}  # what is not safe, by identity, in the order it came
        self._sent = deque[Messages]()
        self._sent_count = 0
        # What came over an earlier connection and may come again; None for what is safe.
        self._carried: dict[Said, tuple[Messages, int] | None] = {}

    def begin(self, generation: int) -> None:
        """Begin another connection: what is open of the one before may come again.

        Args:
            generation: Number of the connection, above 0.
        """
        sent = [
            messages.said(row) for messages in self._sent for row in np.flatnonzero(messages.number).tolist()
        ]
        self._carried.update(dict.fromkeys(sent[-MOST_REMEMBERED:]))
        self._sent.clear()
        self._sent_count = 0
        for messages in self._hands.values():
            # A message in hand is not safe, whatever said the same before it.
            for row in np.flatnonzero(messages.generation == self._generation).tolist():
                self._carried[messages.said(row)] = messages, row
        self._generation = generation
        self._open[:] = 0
        self._held[:] = 0
        self._has_twins = False
        self.due.clear()
        self.waiting = 0

    def forget(self) -> None:
        """Note that the broker has forgotten the session: nothing comes again."""
        self._carried.clear()
        self._sent.clear()
        self._sent_count = 0

    def come(self, messages: Messages) -> Messages:
        """Note messages that came over this connection; return those that are new to us, which are in hand.

        Args:
            messages: What came, in order; what came at most once is new, and waits for nothing.
        """
        is_counted = messages.number > 0
        messages.generation = np.where(is_counted, self._generation, 0)
        again = is_counted & ((messages.flags & Flag.REDELIVERED) != 0)
        if self._carried and again.any():
            is_new = np.ones(len(messages), np.bool_)
            for row in np.flatnonzero(again).tolist():
                is_new[row] = self._is_new(messages, row)
            if not is_new.all():
                messages = messages.take(is_new)
        numbers = messages.number[messages.number > 0]
        if len(numbers):
            self._hands[id(messages)] = messages
            self._note(numbers)
        return messages

    def _is_new(self, messages: Messages, row: int) -> bool:
        """Tell whether a message that is sent again is new to us; one that is not is noted."""
        said, number = messages.said(row), int(messages.number[row])
        if said not in self._carried:
            return True
        first = self._carried.pop(said)
        self.repeated += 1
        if first is None:
            self.due.append(number)
            self._remember(messages.take(np.array([row])))
        else:
            before, at = first
            before.number[at], before.generation[at] = number, self._generation
            self._note(np.array([number]))
        return False

    def _note(self, numbers: IntArray) -> None:
        """Count messages that are not safe, by their numbers."""
        np.add.at(self._open, numbers, 1)
        self._has_twins = self._has_twins or bool((self._open[numbers] > 1).any())
        self.waiting += len(numbers)

    def settle(self, messages: Messages) -> IntArray:
        """Return the numbers that may be acknowledged, in order, now that messages are safe.

        Args:
            messages: What is safe, as it was in hand.
        """
        self._hands.pop(id(messages), None)
        is_late = (messages.generation > 0) & (messages.generation != self._generation)
        if is_late.any():
            for row in np.flatnonzero(is_late).tolist():
                self._settle_late(messages, row)
            messages = messages.take(~is_late)
        numbers = messages.number[messages.generation > 0]
        if not len(numbers):
            return numbers
        self._remember(messages)
        self.waiting -= len(numbers)
        if not self._has_twins:
            self._open[numbers] = 0
            return numbers
        tokens: list[int] = []
        for number in numbers.tolist():
            self._open[number] -= 1
            if self._open[number]:
                self._held[number] += 1
            else:
                tokens += [number] * (1 + int(self._held[number]))
                self._held[number] = 0
        self._has_twins = bool(self._held.any() or (self._open > 1).any())
        return np.array(tokens, np.int64)

    def _remember(self, messages: Messages) -> None:
        """Keep what is acknowledged now: the broker may never hear of it."""
        if len(messages.data) > LONGEST_REMEMBERED:
            return
        self._sent.append(messages)
        self._sent_count += len(messages)
        while self._sent_count - len(self._sent[0]) >= MOST_REMEMBERED:
            self._sent_count -= len(self._sent.popleft())

    def _settle_late(self, messages: Messages, row: int) -> None:
        self.late += 1
        said = messages.said(row)
        if said in self._carried:
            self._carried[said] = None


def packets(numbers: Iterable[int] | IntArray) -> bytes:
    """Return the PUBACK packets of such numbers, one after the other (MQTT 5.0, 3.4)."""
    found = np.asarray(numbers, np.int64)
    sent = np.empty((len(found), 4), np.uint8)
    sent[:, 0], sent[:, 1] = 0x40, 2
    sent[:, 2], sent[:, 3] = found >> 8, found & 0xFF
    return sent.tobytes()
