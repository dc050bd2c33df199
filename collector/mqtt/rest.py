"""How long a socket rests after what was there has been read.

A broker sends each message by itself, and what follows a message (a synced append, its acknowledgement)
costs more than the message: what comes meanwhile shares that. A broker that sends only so many messages
before they are acknowledged sends nothing while the socket rests, and must not be slowed down by it.
It is known by its counts: exactly as many in several rests in a row, and more as soon as the rests are short.
A quiet bus may count alike too, as one of a heartbeat does; where short rests bring no more, the next try
comes later each time.
"""

from __future__ import annotations

from typing import Final

REST_S: Final = 0.1
"""How long a socket rests: a tick waits 250 ms for what is on its way (our choice)."""
QUIET_REST_S: Final = 0.15
"""How long after few messages (our choice)."""
BUSY_REST_S: Final = 0.07
"""How long after many messages: what a read brings holds the event loop (our choice)."""
SHORT_REST_S: Final = 0.005
"""How long where the broker waits for us (our choice)."""
FEW: Final = 10
"""Fewer messages than this are few (our choice)."""
MANY: Final = 600
"""So many messages are many (our choice): what each read costs by itself is little beside them."""
ALIKE: Final = 3
"""After so many rests in a row that brought exactly as many, the broker may wait for us (our choice)."""
MOST_ALIKE: Final = 32
"""How many such rests it takes at most, after tries that brought no more: those of 5 s (our choice)."""
MORE: Final = 1.5
"""So many times what came in a whole rest must come in as long a time of short ones (our choice)."""


class Rest:
    """Tells how long to rest, by how many messages were read."""

    def __init__(self) -> None:
        self._last = 0
        self._alike = 0
        self._patience = ALIKE  # how many rests have to be alike before short ones are tried
        self._window = 0  # how many the broker sends before it waits for us; 0 where it does not
        self._whole_s = 0.0  # how long was rested before
        self._came = 0
        self._since_s = 0.0
        self._is_proven = False

    def after(self, count: int, now_s: float) -> float:
        """Return how long to rest [s].

        Args:
            count: How many messages were read.
            now_s: Monotonic time [s].
        """
        if self._window:
            return self._while_awaited(count, now_s)
        self._alike = self._alike + 1 if count and count == self._last else 0
        self._last = count
        whole_s = _whole_s(count)
        if self._alike < self._patience:
            return whole_s
        self._window, self._whole_s, self._is_proven = count, whole_s, False
        self._came, self._since_s = 0, now_s
        return SHORT_REST_S

    def _while_awaited(self, count: int, now_s: float) -> float:
        """Rest shortly for as long as more comes than in whole rests before."""
        self._came += count
        wholes = (now_s - self._since_s) / self._whole_s
        if wholes >= 1:
            if self._came < MORE * self._window * wholes:
                self._window = self._alike = 0
                self._patience = ALIKE if self._is_proven else min(2 * self._patience, MOST_ALIKE)
                return self._whole_s
            self._came, self._since_s, self._is_proven = 0, now_s, True
        return SHORT_REST_S


def _whole_s(count: int) -> float:
    """Return how long to rest after as many messages where no broker waits for us [s]."""
    if count < FEW:
        return QUIET_REST_S
    return BUSY_REST_S if count >= MANY else REST_S
