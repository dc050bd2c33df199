"""Receivers that forget: what stands is said to them again, until it is over and for a while after."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from facility.errors import DeliveryError
from store.ledger.alarms import Notice
from store.threads import in_thread

REMIND_S: Final = 60.0
"""How often what stands is said again."""
OVER_MS: Final = 300_000
"""For how long an end is said again [ms]."""

_log = structlog.get_logger(__name__)


class Forgetful(Protocol):
    """A notifier whose receiver forgets what is not said again."""

    async def remind(self, standing: Sequence[Notice]) -> None:
        """Say again what stands.

        Args:
            standing: The last notification of each alarm that stands, or is over since lately.

        Raises:
            DeliveryError: Where it was not accepted.
        """
        ...


class Reminder:
    """Reminds one receiver.

    Args:
        label: What people read of its route.
        notifier: Its notifier.
        standing: Gives the last notification that it accepted of each alarm that stands or was over after a
            time [ms]; called from a thread.
        now_ms: The clock [ms].
    """

    def __init__(
        self,
        label: str,
        notifier: Forgetful,
        standing: Callable[[int], Sequence[Notice]],
        *,
        now_ms: Callable[[], int],
    ) -> None:
        self.label = label
        self._notifier = notifier
        self._standing = standing
        self._now_ms = now_ms

    async def remind(self) -> None:
        """Remind it once; what it does not accept now is said again the next time."""
        standing = await in_thread(self._standing, self._now_ms() - OVER_MS)
        try:
            await self._notifier.remind(standing)
        except DeliveryError as error:
            _log.warning("a receiver was not reminded", route=self.label, cause=error.cause)
