"""What a notifier is."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final, Protocol
from urllib.parse import urlsplit

from facility.backoff import Backoff
from facility.errors import DeliveryError, Outlook
from store.ledger.alarms import Notice

BACKOFF: Final = Backoff(first_s=1.0, longest_s=60.0, least=0.5)
"""Pauses between attempts where the fault passes by itself."""
SLOW_BACKOFF: Final = Backoff(first_s=10.0, longest_s=300.0, least=0.5)
"""The same where people have to change something first (our choice)."""


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
    backoff = BACKOFF if error.outlook is Outlook.PASSES else SLOW_BACKOFF
    return backoff.pause_s(attempts, random_source, asked_s=error.retry_after_s)


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
