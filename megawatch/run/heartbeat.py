"""A sign of life for a watchdog outside: it ends when the monitor can judge or tell no more.

    POST {url}
    {"site": "titan", "tick": the last tick that was judged, "sent": now}

The watchdog, such as a cron monitor or a second site, pages when no sign came for some minutes. So the
monitor's own death is noticed, and that of its machine, its network and its disk: what is dead tells nothing
itself.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Final

import structlog

from facility.instants import to_iso
from rules.notify.http import Poster
from store.threads import in_thread

LATE_MS: Final = 15_000
"""How long ago the last tick may have been judged [ms]."""

_log = structlog.get_logger(__name__)


class Heartbeat:
    """Sends signs of life while there is nothing that keeps the monitor from judging and telling.

    Args:
        poster: Posts to the watchdog.
        site: The site's name.
        tick_ms: Gives the last tick that was judged [ms]; called from a thread.
        trouble: Says what keeps the monitor from judging or telling, "" for nothing.
        now_ms: The clock [ms].

    Attributes:
        held_back: Why the last sign was not sent, "" where it was.
    """

    def __init__(
        self,
        poster: Poster,
        site: str,
        *,
        tick_ms: Callable[[], int],
        trouble: Callable[[], str],
        now_ms: Callable[[], int],
    ) -> None:
        self._poster = poster
        self._site = site
        self._tick_ms = tick_ms
        self._trouble = trouble
        self._now_ms = now_ms
        self.held_back = ""

    async def beat(self) -> None:
        """Send a sign of life, or hold it back.

        Raises:
            DeliveryError: Where the watchdog did not accept it.
        """
        tick_ms, now_ms = await in_thread(self._tick_ms), self._now_ms()
        is_late = now_ms - tick_ms > LATE_MS
        held_back = f"no tick was judged since {to_iso(tick_ms)}" if is_late else self._trouble()
        if held_back:
            if not self.held_back:
                _log.warning("the sign of life is held back", cause=held_back)
            self.held_back = held_back
            return
        self.held_back = ""
        document = {"site": self._site, "tick": to_iso(tick_ms), "sent": to_iso(now_ms)}
        await self._poster.post(json.dumps(document).encode())
