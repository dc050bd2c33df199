"""What a notifier is."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final, Protocol
from urllib.parse import urlsplit

from facility.errors import DeliveryError, Outlook
from store.ledger.alarms import Notice

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 60.0
"""Pauses between attempts double from the first to the longest, each drawn from its upper half."""
FIRST_SLOW_PAUSE_S: Final = 10.0
LONGEST_SLOW_PAUSE_S: Final = 300.0
"""The same where somebody has to change something first (our choice)."""


class Notifier(Protocol):
    """Delivers notifications to one receiver."""

    async def deliver(self, notice: Notice) -> None:
        """Deliver a notification.

        Args:
            notice: What to tell; its key makes repetitions recognisable.

        Raises:
            DeliveryError: Where it was not accepted; it says what becomes of the notification.
        """
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


def pause_s(attempts: int, error: DeliveryError, random_source: random.Random) -> float:
    """Return how long to wait before the next attempt [s].

    Args:
        attempts: How many were made.
        error: Why the last one failed; the pause that a receiver asks for is never cut short.
        random_source: Where the jitter comes from.
    """
    passes = error.outlook is Outlook.PASSES
    first_s = FIRST_PAUSE_S if passes else FIRST_SLOW_PAUSE_S
    longest_s = LONGEST_PAUSE_S if passes else LONGEST_SLOW_PAUSE_S
    longest_s = min(longest_s, first_s * 2 ** min(attempts - 1, 10))
    return max(random_source.uniform(longest_s / 2, longest_s), error.retry_after_s or 0.0)


def labels_of(routes: Iterable[str]) -> dict[str, str]:
    """Return what people read of each route: a webhook's path or query may be its password.

    Args:
        routes: Their names, each an address or the name of what is at hand.
    """
    labels: dict[str, str] = {}
    for route in routes:
        address = urlsplit(route)
        host = address.hostname or route
        label = f"{host}:{address.port}" if address.port else host
        same = sum(other == label or other.startswith(f"{label} (") for other in labels.values())
        labels[route] = f"{label} ({same + 1})" if same else label
    return labels


def fault_of(error: Exception) -> DeliveryError:
    """Return a failed attempt as what it means; a fault of a notifier may pass."""
    return error if isinstance(error, DeliveryError) else DeliveryError(repr(error), Outlook.PASSES)
