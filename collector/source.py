"""What readings come from: the broker of a bus, or a database that other software fills."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod

from collector.health import Health
from facility.instants import Clock
from store.journal.appender import Appender, Counters, Handover
from store.journal.entries import Mark
from store.journal.intake import Intake
from store.journal.journal import Journal


class Source(ABC):
    """Takes what a source says into the journal, and tells how that goes.

    Args:
        name: What it is called in pages and figures.
        health: How the connection does.
        journal: Where readings go.
        clock: Gives wall time [ms] and monotonic time [s].
        patience_s: After how long without anything it is silent [s].
        whole_ms: Up to when everything that came is in the journal, before anything was taken [ms].

    Attributes:
        name: What it is called in pages and figures.
        health: How the connection does.
        patience_s: After how long without anything it is silent [s].
        announced: Set once the journal says since when nothing was read.
        whole_ms: Up to when everything that came is in the journal [ms].
    """

    def __init__(
        self, name: str, health: Health, journal: Journal, clock: Clock, *, patience_s: float, whole_ms: int
    ) -> None:
        self.name = name
        self.health = health
        self.patience_s = patience_s
        self.announced = asyncio.Event()
        self.whole_ms = whole_ms
        self._appender = Appender(journal, name, clock)
        self._opening: list[Mark] = []
        self._rounds = 0

    @property
    def counters(self) -> Counters:
        """What was taken since the start, by those before it too."""
        return self._appender.counters

    @property
    def rounds(self) -> object:
        """What changes while it goes on; a disk that refuses is no hang."""
        return self._rounds, self.counters.refused_by_disk

    async def announce(self) -> None:
        """Tell the journal since when nothing was read, once."""
        if self._opening:
            await self._appender.append(Intake(marks=self._opening))
        self._opening = []
        self.announced.set()

    def hand_over(self, cause: str) -> Handover:
        """Return what a successor needs, once this one has ended.

        Args:
            cause: What ended it, for people.
        """
        return Handover(
            cause=cause,
            since_ms=self.whole_ms,
            counters=self.counters,
            announced=self.announced,
            unsaid=self._opening,
        )

    def succeed(self, left: Handover) -> None:
        """Go on where another one failed: the source counts as lost since then. To be called before it runs.

        Args:
            left: What it left.
        """
        self._appender.counters = left.counters.without_what_was_in_hand()
        self.announced, self.whole_ms = left.announced, left.since_ms
        self._opening = [*left.unsaid, *self._resume(left)]

    @abstractmethod
    def _resume(self, left: Handover) -> list[Mark]:
        """Go on where another one failed; return what the journal is told of that."""

    @property
    @abstractmethod
    def waiting(self) -> int:
        """How many messages arrived and were not taken yet; 0 where nothing is sent unasked."""

    @property
    @abstractmethod
    def rate_per_s(self) -> float | None:
        """How much is published at most [messages/s]; None where that is not known."""

    @property
    @abstractmethod
    def missed(self) -> int:
        """How many documents never came, by the gaps in their numbers; 0 where they have none."""

    @abstractmethod
    def problems(self, now_ms: int) -> dict[str, str]:
        """Return what is wrong with what is said there, for people: a cause by what it is wrong with.

        Args:
            now_ms: The time [ms].
        """

    @abstractmethod
    async def run(self) -> None:
        """Take in until cancelled; what is not announced is so first."""

    @abstractmethod
    async def forget(self) -> None:
        """Let it forget us; to be called when the monitor runs no more."""
