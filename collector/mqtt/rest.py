"""How long a socket rests after what was there has been read.

A broker sends each message by itself, and what follows a message (a synced append, its acknowledgement)
costs more than the message: what comes meanwhile shares that. A broker that sends only so many messages
before they are acknowledged sends nothing while the socket rests, and must not be slowed down by it.
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
"""After so many rests in a row that brought exactly as many, the broker waits for us (our choice)."""
MORE: Final = 1.5
"""So many times what came in a whole rest must come in as long a time of short ones (our choice)."""


class Rest:
    """Tells how long to rest, by how many messages were read."""

    def __init__(self) -> None:
        self._last = 0
        self._alike = 0
        self._window = 0  # how many the broker sends before it waits for us; 0 where it does not
        self._came = 0
        self._until_s = 0.0

    def after(self, count: int, now_s: float) -> float:
        """Return how long to rest [s].

        Args:
            count: How many messages were read.
            now_s: Monotonic time [s].
        """
        if self._window:
            return self._while_awaited(count, now_s)
        self._alike = self._alike + 1 if count == self._last else 0
        self._last = count
        if count < FEW:
            return QUIET_REST_S
        if self._alike < ALIKE:
            return BUSY_REST_S if count >= MANY else REST_S
        self._window, self._came, self._until_s = count, 0, now_s + REST_S
        return SHORT_REST_S

    def _while_awaited(self, count: int, now_s: float) -> float:
        """Rest shortly for as long as more comes than in a whole rest before."""
        self._came += count
        if now_s >= self._until_s:
            if self._came < MORE * self._window:
                self._window = self._alike = 0
                return REST_S
            self._came, self._until_s = 0, now_s + REST_S
        return SHORT_REST_S
