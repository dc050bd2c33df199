"""What is on its way to a broker: packet ids, and which messages it has not been heard to take. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulators.wire.frames import MOST_IDS
from simulators.wire.rows import Rows


@dataclass(slots=True)
class Tally:
    """What became of messages.

    Attributes:
        published: Handed to a broker, repetitions not counted again.
        acknowledged: Taken by it for sure: acknowledged, or read before an answered ping.
        repeated: Sent again, because the connection broke before the acknowledgement.
        refused: Answered with a refusal.
    """

    published: int = 0
    acknowledged: int = 0
    repeated: int = 0
    refused: int = 0


@dataclass(slots=True)
class Outstanding:
    """What was on its way when a connection ended.

    Attributes:
        unacknowledged: Of quality of service 1, in order; it may have arrived.
        unsure: Of quality of service 0, in order; it may have arrived.
    """

    unacknowledged: Rows = field(default_factory=Rows.none)
    unsure: Rows = field(default_factory=Rows.none)


@dataclass(slots=True)
class _Chunk:
    """Messages of one write; `ids` is None for quality of service 0."""

    number: int
    rows: Rows
    ids: NDArray[np.int64] | None


class Window:
    """What is on its way over one connection.

    Args:
        most: Messages of quality of service 1 that may be on their way.
        tally: Where messages are counted.

    Attributes:
        most: Messages of quality of service 1 that may be on their way.
        in_flight: Messages of quality of service 1 that are on their way.
        refused: Rows that the broker answered with a refusal.
    """

    def __init__(self, most: int, tally: Tally) -> None:
        self.most = most
        self.in_flight = 0
        self.refused: list[Rows] = []
        self._tally = tally
        self._unacked = np.zeros(MOST_IDS + 1, np.bool_)
        self._next_id = 1
        self._chunks: deque[_Chunk] = deque()
        self._number = 0
        self._fences: deque[int] = deque()
        self._confirmed = 0

    def claim(self, most: int) -> NDArray[np.int64]:
        """Return packet ids that are free and inside the window, at most so many; maybe none."""
        count = max(0, min(most, self.most - self.in_flight))
        ids = (self._next_id - 1 + np.arange(count)) % MOST_IDS + 1
        busy = np.flatnonzero(self._unacked[ids])
        if len(busy):
            ids = ids[: busy[0]]
        if len(ids):
            self._unacked[ids] = True
            self.in_flight += len(ids)
            self._next_id = int(ids[-1]) % MOST_IDS + 1
        return ids

    def sent(self, rows: Rows, ids: NDArray[np.int64] | None) -> None:
        """Note that messages were written, under packet ids that were claimed for them or under none."""
        self._number += 1
        self._chunks.append(_Chunk(self._number, rows, ids))

    def fence(self) -> int:
        """Note that a ping is written after all that was sent, and return its number."""
        self._number += 1
        self._fences.append(self._number)
        return self._number

    @property
    def oldest_fence(self) -> int | None:
        """The number of the oldest ping that was not answered, None where there is none."""
        return self._fences[0] if self._fences else None

    def is_confirmed(self, fence: int) -> bool:
        """Tell whether the broker has read everything before a ping, and acknowledged what it must."""
        return self._confirmed >= fence and not self.in_flight

    def acknowledge(self, ids: NDArray[np.int64], is_refused: NDArray[np.bool_]) -> None:
        """Note acknowledgements; those of ids that are not on their way are of no effect.

        Args:
            ids: Packet ids, shape (n,).
            is_refused: Which of them say that the message was not accepted.
        """
        ids, first = np.unique(ids, return_index=True)
        is_refused = is_refused[first]
        known = self._unacked[ids]
        for number in ids[known & is_refused].tolist():
            self.refused += [
                chunk.rows.take(chunk.ids == number)
                for chunk in self._chunks
                if chunk.ids is not None and number in chunk.ids
            ]
            self._tally.refused += 1
        self._unacked[ids] = False
        self.in_flight -= int(known.sum())
        self._tally.acknowledged += int((known & ~is_refused).sum())
        self._forget()

    def confirm(self) -> bool:
        """Note the answer to a ping; tell whether one was asked."""
        if not self._fences:
            return False
        fence = self._fences.popleft()
        for chunk in self._chunks:
            if chunk.ids is None and self._confirmed < chunk.number < fence:
                self._tally.acknowledged += len(chunk.rows)
        self._confirmed = fence
        self._forget()
        return True

    def outstanding(self) -> Outstanding:
        """Return what the broker has not been heard to take."""
        left: list[Rows] = []
        unsure: list[Rows] = []
        for chunk in self._chunks:
            if chunk.ids is not None:
                left.append(chunk.rows.take(self._unacked[chunk.ids]))
            elif chunk.number > self._confirmed:
                unsure.append(chunk.rows)
        return Outstanding(Rows.joined(left), Rows.joined(unsure))

    def _forget(self) -> None:
        """Let go of what the broker has taken."""
        while self._chunks:
            chunk = self._chunks[0]
            is_open = chunk.number > self._confirmed if chunk.ids is None else self._unacked[chunk.ids].any()
            if is_open:
                return
            self._chunks.popleft()
