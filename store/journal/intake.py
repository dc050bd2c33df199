"""What one append to the journal takes, and what becomes of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from facility.readings import Batch, Flag, IntArray, Quality, Reason, Rejection
from store.journal.deduplication import Find, Seen
from store.journal.entries import Content, Known, Mark
from store.journal.file import Waiting

MOST_KNOWN: Final = 4_000
"""Points in one entry at most: what describes a whole site at once would need five times its size in memory
while it is written and read (our choice)."""


@dataclass(slots=True)
class Intake:
    """What one append takes: marks first, then points that became known, then readings.

    Attributes:
        marks: What happened to the connections before any of the readings came.
        known: Points that became known, or known better.
        batch: Readings, in the order in which they came.
        metadata: Metadata messages to keep, by topic, with their payload; an empty one is kept no longer.
        rejections: Dead letters.
        waiting: Messages that wait from now on.
        settled: Numbers of messages that wait no longer.
        received_ms: When the last of it was received [ms].
    """

    marks: list[Mark] = field(default_factory=list)
    known: list[Known] = field(default_factory=list)
    batch: Batch = field(default_factory=Batch.empty)
    metadata: dict[str, bytes] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)
    received_ms: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to append."""
        return self.is_small and not (self.marks or self.settled)

    @property
    def is_small(self) -> bool:
        """Whether it only says what happened to a connection, for which there is always room."""
        return not (self.known or len(self.batch) or self.metadata or self.rejections or self.waiting)


@dataclass(frozen=True, slots=True)
class Sifted:
    """A batch, parted by what becomes of it.

    Attributes:
        kept: New readings, and rows that only say that a point is in doubt, in the order they came.
        conflicts: Readings that were stored with another value; the first is kept, and in doubt from then on.
        repeated: How many readings were stored before, with the same value.
    """

    kept: Batch
    conflicts: list[Rejection]
    repeated: int


def sift(batch: Batch, seen: Seen, find: Find) -> Sifted:
    """Part what is new in a batch from what was stored before.

    Args:
        batch: Readings and doubts, in the order in which they came.
        seen: What was stored lately.
        find: Looks for older readings.
    """
    rows = np.flatnonzero(batch.quality != Quality.REFUSED)
    readings = batch if len(rows) == len(batch) else batch.take(rows)
    verdicts = seen.judge(readings, find)
    if verdicts.fresh.all():
        return Sifted(batch, [], 0)
    conflicting = rows[verdicts.conflicting]
    keep = np.ones(len(batch), np.bool_)
    keep[rows[~verdicts.fresh]] = False
    keep[conflicting] = True
    conflicts = [_conflict(batch, row) for row in conflicting]
    return Sifted(_doubted(batch, conflicting).take(keep), conflicts, int((~keep).sum()))


def _doubted(batch: Batch, rows: IntArray) -> Batch:
    """Return a batch in which some readings only say that their points are in doubt."""
    if not len(rows):
        return batch
    value, quality, flags = batch.value.copy(), batch.quality.copy(), batch.flags.copy()
    value[rows], quality[rows] = np.nan, Quality.REFUSED
    flags[rows] |= np.uint8(Flag.CONFLICT)
    return replace(batch, value=value, quality=quality, flags=flags)


def readings_of(batch: Batch) -> Batch:
    """Return a batch without the rows that only say that a point is in doubt."""
    doubts = batch.quality == Quality.REFUSED
    return batch.take(~doubts) if doubts.any() else batch


def _conflict(batch: Batch, row: np.intp) -> Rejection:
    source_ms, value = int(batch.source_ms[row]), float(batch.value[row])
    return Rejection(
        topic=f"point {int(batch.point[row])}",
        payload=repr(value).encode(),
        length=len(repr(value)),
        reason=Reason.CONFLICTING_VALUE,
        detail=f"expected the value that was stored for {source_ms}, found another one; the first is kept",
        received_ms=int(batch.received_ms[row]),
    )


def contents_of(intake: Intake, sifted: Sifted) -> list[Content]:
    """Return the entries that an intake becomes, in order."""
    contents: list[Content] = list(intake.marks)
    contents += [
        tuple(intake.known[first : first + MOST_KNOWN]) for first in range(0, len(intake.known), MOST_KNOWN)
    ]
    return [*contents, sifted.kept] if len(sifted.kept) else contents


def changes_of(intake: Intake, sifted: Sifted) -> dict[str, int]:
    """Return what an intake adds to each figure of the account."""
    changes = Counter(r.reason.value for r in (*intake.rejections, *sifted.conflicts))
    changes.update(
        stored=len(readings_of(sifted.kept)),
        duplicates=sifted.repeated,
        waiting=len(intake.waiting) - len(intake.settled),
    )
    return changes
