"""What a broker has sent and was not told to be safe yet: over a reconnect, and with numbers used twice.

A broker sends again what was not acknowledged when a connection broke, under the same packet identifier. What
is in our hands still is known by that number, which cannot be another message's before we acknowledge it, and
need not be decoded and stored once more. What was acknowledged is not remembered: its number may be given
anew, to a message that says the same. Where the acknowledgement was lost it is handed on again, and all that
is sent again behind it as well, so that the last word on each topic stays the last.

mosquitto 2.0.11 sends more than the receive maximum after a reconnect, and gives a number to a second message
while the first that had it waits. An acknowledgement may then take either off its list, so it is sent only
when both are safe.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np

from collector.mqtt.message import Messages
from facility.readings import Flag, IntArray

_NUMBERS: Final = 65_536
"""How many packet identifiers there are."""

Sent = tuple[int, bytes, bytes]
"""Packet identifier, topic and payload: how a message that comes again is known."""


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
        self._hands: dict[int, Messages] = {}  # what is not safe, by identity
        # What was in hand when an earlier connection broke; None for what became safe since.
        self._carried: dict[Sent, tuple[Messages, int] | None] = {}
        self._is_anew = False  # whether this connection brought something again that was not in hand
        self._has_come = False

    def begin(self, generation: int) -> None:
        """Begin another connection: what is in hand of the one before may come again.

        Args:
            generation: Number of the connection, above 0.
        """
        if self._has_come:
            # A broker sends everything again as soon as it resumes a session: what did not come will not.
            self._carried = {sent: first for sent, first in self._carried.items() if first is not None}
        for messages in self._hands.values():
            for row in np.flatnonzero(messages.generation == self._generation).tolist():
                self._carried[_sent(messages, row)] = messages, row
        self._generation = generation
        self._open[:] = 0
        self._held[:] = 0
        self._has_twins = self._has_come = self._is_anew = False
        self.due.clear()
        self.waiting = 0

    def forget(self) -> None:
        """Note that the broker has forgotten the session: nothing comes again."""
        self._carried.clear()

    def come(self, messages: Messages) -> Messages:
        """Note messages that came over this connection; return those that are new to us, which are in hand.

        Args:
            messages: What came, in order; what came at most once is new, and waits for nothing.
        """
        is_counted = messages.number > 0
        messages.generation = np.where(is_counted, self._generation, 0)
        again = is_counted & ((messages.flags & Flag.REDELIVERED) != 0)
        self._has_come = self._has_come or bool(is_counted.any())
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
        sent = _sent(messages, row)
        # Behind one that is handed on again all are, as they would else be said before it.
        self._is_anew = self._is_anew or sent not in self._carried
        if self._is_anew:
            return True
        first, number = self._carried.pop(sent), sent[0]
        self.repeated += 1
        if first is None:
            self.due.append(number)
        else:
            before, at = first
            before.generation[at] = self._generation
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

    def _settle_late(self, messages: Messages, row: int) -> None:
        self.late += 1
        sent = _sent(messages, row)
        first = self._carried.get(sent)
        if first is not None and first[0] is messages and first[1] == row:
            self._carried[sent] = None


def _sent(messages: Messages, row: int) -> Sent:
    return int(messages.number[row]), *messages.said(row)


def packets(numbers: Iterable[int] | IntArray) -> bytes:
    """Return the PUBACK packets of such numbers, one after the other (MQTT 5.0, 3.4)."""
    found = np.asarray(numbers, np.int64)
    sent = np.empty((len(found), 4), np.uint8)
    sent[:, 0], sent[:, 1] = 0x40, 2
    sent[:, 2], sent[:, 3] = found >> 8, found & 0xFF
    return sent.tobytes()
