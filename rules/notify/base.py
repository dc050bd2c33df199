"""What a notifier is."""

from __future__ import annotations

import random
from typing import Final, Protocol

from store.alarms import Notice

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
"""Pauses between attempts double from the first to the longest, each drawn from its upper half."""


class Notifier(Protocol):
    """Delivers notifications to one receiver."""

    async def deliver(self, notice: Notice) -> None:
        """Deliver a notification.

        Args:
            notice: What to tell; its key makes repetitions recognisable.

        Raises:
            DeliveryError: Where it was not accepted; it says whether trying again may help.
        """
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


def pause_s(attempts: int, retry_after_s: float | None, random_source: random.Random) -> float:
    """Return how long to wait before the next attempt [s].

    Args:
        attempts: How many were made.
        retry_after_s: What the receiver asked for [s], which is never cut short.
        random_source: Where the jitter comes from.
    """
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** min(attempts - 1, 10))
    return max(random_source.uniform(longest / 2, longest), retry_after_s or 0.0)
