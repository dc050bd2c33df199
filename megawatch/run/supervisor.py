"""Every part by itself: one that fails is shown, told, and begun again, while everything else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from facility.instants import Clock

PAUSE_S: Final = 1.0
"""How long a part that failed rests before it begins again [s]."""
REMEMBERED_S: Final = 60.0
"""How long after a fault a part counts as failing: one that fails now and then is told once (our choice)."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Fault:
    """What ended a part.

    Attributes:
        error: What was raised.
        at_s: When, of the monotonic clock [s].
    """

    error: str
    at_s: float


class Supervisor:
    """Runs parts until they are cancelled.

    Args:
        clock: The clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._faults: dict[str, _Fault] = {}

    @property
    def failing(self) -> dict[str, str]:
        """What parts raised lately, by their names."""
        since_s = self._clock.monotonic_s() - REMEMBERED_S
        return {part: fault.error for part, fault in self._faults.items() if fault.at_s > since_s}

    async def run(self, part: str, begin: Callable[[], Awaitable[None]]) -> None:
        """Run a part, and begin it anew whenever it raises.

        Args:
            part: Its name.
            begin: Begins it; what it returns ends only by being cancelled, or with the part's own end.
        """
        while True:
            try:
                await begin()
            except Exception as error:  # noqa: BLE001 - no fault of one part may end the others
                _log.exception("a part failed and begins again", part=part)
                self._faults[part] = _Fault(f"{type(error).__name__}: {error}", self._clock.monotonic_s())
                await asyncio.sleep(PAUSE_S)
            else:
                return
