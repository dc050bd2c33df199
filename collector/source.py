"""What readings come from: the broker of a bus, or a database that other software fills."""

from __future__ import annotations

import asyncio
from typing import Protocol

from collector.health import Health
from store.journal.appender import Counters, Handover


class Source(Protocol):
    """Takes what a source says into the journal, and tells how that goes."""

    @property
    def name(self) -> str:
        """What it is called in pages and figures."""
        ...

    @property
    def health(self) -> Health:
        """How the connection does."""
        ...

    @property
    def counters(self) -> Counters:
        """What was taken since the start."""
        ...

    @property
    def announced(self) -> asyncio.Event:
        """Set once the journal says since when nothing was read."""
        ...

    @property
    def patience_s(self) -> float:
        """After how long without anything it is silent [s]."""
        ...

    @property
    def waiting(self) -> int:
        """How many messages arrived and were not taken yet; 0 where nothing is sent unasked."""
        ...

    @property
    def rate_per_s(self) -> float | None:
        """How much is published at most [messages/s]; None where that is not known."""
        ...

    @property
    def missed(self) -> int:
        """How many documents never came, by the gaps in their numbers; 0 where they have none."""
        ...

    def problems(self, now_ms: int) -> dict[str, str]:
        """Return what is wrong with what is said there, for people: a cause by what it is wrong with.

        Args:
            now_ms: The time [ms].
        """
        ...

    @property
    def rounds(self) -> object:
        """What changes while it goes on; a disk that refuses is no hang."""
        ...

    async def announce(self) -> None:
        """Tell the journal since when nothing was read, once."""
        ...

    async def run(self) -> None:
        """Take in until cancelled; what is not announced is so first."""
        ...

    def hand_over(self, cause: str) -> Handover:
        """Return what a successor needs, once this one has ended.

        Args:
            cause: What ended it, for people.
        """
        ...

    def succeed(self, left: Handover) -> None:
        """Go on where another one failed: the source counts as lost since then. To be called before it runs.

        Args:
            left: What it left.
        """
        ...

    async def forget(self) -> None:
        """Let it forget us; to be called when the monitor runs no more."""
        ...
