"""Appending to the journal for a source of readings: retried until the disk takes it, and counted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

import structlog

from facility.errors import StoreError
from facility.instants import Clock
from store.cputime import CpuTime, charged_to
from store.journal.entries import Mark, MarkKind
from store.journal.file import Account
from store.journal.intake import Intake, readings_of
from store.journal.journal import Journal
from store.threads import in_thread

PAUSE_S: Final = 1.0
"""How long to wait before a disk that refused is tried again (our choice)."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Counters:
    """What a source of readings has done since it started.

    Attributes:
        messages: Messages taken.
        metadata: Metadata messages that said something new.
        metadata_unchanged: Metadata messages that said nothing new.
        refused_by_disk: Appends that the disk did not take at first.
        store_error: What the disk said, "" while it takes everything.
        gaps: Sessions that the broker had forgotten: whatever it held for us is gone.
        received: Readings and refused messages that were decoded.
        in_hand: Those of them that are not in the journal yet.
        account: Where the others went.
        reading: CPU time of reading and decoding messages.
        appending: CPU time of appending them to the journal.
    """

    messages: int = 0
    metadata: int = 0
    metadata_unchanged: int = 0
    refused_by_disk: int = 0
    store_error: str = ""
    gaps: int = 0
    received: int = 0
    in_hand: int = 0
    account: Account = field(default_factory=Account)
    reading: CpuTime = field(default_factory=CpuTime)
    appending: CpuTime = field(default_factory=CpuTime)

    def without_what_was_in_hand(self) -> Counters:
        """Return them for who goes on here: what is not in the journal yet comes again, or is gone."""
        self.received -= self.in_hand
        self.in_hand, self.store_error = 0, ""
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What one who takes readings in leaves to the one after it, where it failed.

    Attributes:
        cause: What ended it, for people.
        since_ms: Up to when everything that came is in the journal [ms].
        counters: What was done so far.
        announced: Set once the journal says since when nothing was read.
        unsaid: What the journal is still to be told before anything is read.
    """

    cause: str
    since_ms: int
    counters: Counters
    announced: asyncio.Event
    unsaid: list[Mark]


class Appender:
    """Appends what comes from one source.

    Args:
        journal: Where it goes.
        source: What the source is called.
        clock: Gives wall time [ms] and monotonic time [s].

    Attributes:
        counters: What was done.
    """

    def __init__(self, journal: Journal, source: str, clock: Clock) -> None:
        self._journal = journal
        self._source = source
        self._clock = clock
        self.counters = Counters()

    def count(self, intake: Intake) -> Intake:
        """Count what was decoded, before it is appended; return it."""
        new = _new(intake)
        self.counters.received += new
        self.counters.in_hand += new
        return intake

    def mark(self, kind: MarkKind, since_ms: int, detail: str) -> Intake:
        """Return what says that something happened to the source.

        Args:
            kind: What happened.
            since_ms: From when on it holds [ms].
            detail: What was seen, for people.
        """
        return Intake(marks=[Mark(kind, self._source, since_ms, detail)])

    async def append(self, intake: Intake) -> None:
        """Append what was counted, and try again for as long as the disk refuses.

        Until it returns nothing more should be taken, and nothing that came with it be acknowledged.
        """
        counters = self.counters
        added: list[Account] = []

        def work() -> None:
            added.append(self._journal.append(intake, self._clock.now_ms()))

        while True:
            try:
                with charged_to(counters.appending):
                    await in_thread(work)
            except StoreError as error:
                if not counters.store_error:
                    _log.error("the journal takes nothing", source=self._source, error=str(error))
                counters.refused_by_disk += 1
                counters.store_error = str(error)
                await asyncio.sleep(PAUSE_S)
            else:
                if counters.store_error:
                    _log.info("the journal takes everything again", source=self._source)
                counters.store_error = ""
                return
            finally:
                for account in added:  # also where we are cancelled: in the journal it is
                    _count(counters, _new(intake), account)


def _count(counters: Counters, new: int, added: Account) -> None:
    """Count what the journal took of what came in."""
    counters.in_hand -= new
    # What cannot be kept is a dead letter too where it was no reading.
    counters.received += added.received - new
    counters.account += added


def _new(intake: Intake) -> int:
    """Return how many readings and refusals come in; what is settled now came in when it began to wait."""
    came = len(readings_of(intake.batch)) + len(intake.rejections)
    return came + len(intake.waiting) - len(intake.settled)
