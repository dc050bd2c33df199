"""Who is believed on a DSX bus: anyone who can publish may say anything under any name of its own.

The site file names the publishers. Where it names none, those that describe the site in the first minutes of
the first start are kept, and none after them: what was kept of the bus's metadata tells who that was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from facility.names import CANARY_PUBLISHER

LEARNING_MS: Final = 300_000
"""How long a first start listens for who describes the site: three times as long as metadata takes to be
repeated (our choice)."""
MOST_PUBLISHERS: Final = 64
"""How many publishers are believed where none is named, and how many others are told apart: several times
what a site has (our choice)."""
SHOWN_MS: Final = 300_000
"""How long after its last message a publisher that is not believed is still told of (our choice)."""


class Publishers:
    """Who is believed on one bus.

    Args:
        named: Publishers that the site file names; None where it names none.
        kept: Who described what was kept of an earlier start.
    """

    def __init__(self, named: Sequence[str] | None, kept: Iterable[str]) -> None:
        # What we publish ourselves says nothing of the site's publishers.
        self._believed = set(kept if named is None else named) - {CANARY_PUBLISHER}
        self._is_learning = named is None and not self._believed
        self._until_ms: int | None = None
        self._strangers: dict[str, int] = {}

    def believes(self, publisher: str, now_ms: int) -> bool:
        """Tell whether a publisher is believed; one that is not is remembered.

        Args:
            publisher: Its level in topics.
            now_ms: When it said something [ms].
        """
        if publisher in self._believed or self._learns(now_ms):
            return True
        if publisher in self._strangers or len(self._strangers) < MOST_PUBLISHERS:
            self._strangers[publisher] = now_ms
        return False

    def describes(self, publisher: str, now_ms: int) -> None:
        """Note that a publisher that is believed describes part of the site.

        Args:
            publisher: Its level in topics.
            now_ms: When it did [ms].
        """
        if self._is_learning and publisher != CANARY_PUBLISHER:
            if self._until_ms is None:
                self._until_ms = now_ms + LEARNING_MS
            self._believed.add(publisher)

    @property
    def believed(self) -> list[str]:
        """Who is believed."""
        return sorted(self._believed)

    def strangers(self, now_ms: int) -> list[str]:
        """Return who said something lately and is not believed.

        Args:
            now_ms: The time [ms].
        """
        self._strangers = {
            name: heard_ms for name, heard_ms in self._strangers.items() if now_ms - heard_ms < SHOWN_MS
        }
        return sorted(self._strangers)

    def _learns(self, now_ms: int) -> bool:
        if self._is_learning and (
            len(self._believed) >= MOST_PUBLISHERS or (self._until_ms is not None and now_ms > self._until_ms)
        ):
            self._is_learning = False
        return self._is_learning
