"""A journal in memory, for a rehearsal: sifted, ordered and stamped as the journal on a disk is."""

from __future__ import annotations

import numpy as np

from facility.readings import Batch, BoolArray, FloatArray, IntArray, Quality
from store.journal.deduplication import Seen
from store.journal.entries import EVERY_BROKER, Content, Entry, Mark, MarkKind
from store.journal.intake import Intake, Sifted, contents_of, readings_of, sift

MOST_KEPT = 200
"""Entries, and batches of readings, that are kept where the rest is forgotten."""


class MemoryJournal:
    """Entries in order of arrival.

    Attributes:
        batches: The readings that were kept, in the order in which they came.
    """

    def __init__(self) -> None:
        self._entries: list[Entry] = []
        self._dropped = 0
        self._seen = Seen()
        self._closed_ms = 0
        self.batches: list[Batch] = []

    def append(self, intake: Intake, now_ms: int) -> Sifted:
        """Append what was received.

        Args:
            intake: What was received.
            now_ms: The time of the service's clock [ms].

        Returns:
            What became of its readings.
        """
        sifted = sift(intake.batch, self._seen, self._find)
        # As on a disk, no stamp is one up to which was promised that nothing comes any more.
        stamp_ms = max(now_ms, self._closed_ms + 1)
        for content in contents_of(intake, sifted):
            self._add(content, stamp_ms)
        self._seen.remember(readings_of(sifted.kept))
        self.batches.append(sifted.kept)
        return sifted

    def follow_clock(self, before_ms: int, now_ms: int) -> None:
        """Note that the clock of the machine was set.

        Args:
            before_ms: What it said [ms].
            now_ms: What it says from now on [ms].
        """
        self._add(Mark(MarkKind.STEPPED, EVERY_BROKER, before_ms), now_ms)
        self._closed_ms = now_ms - 1

    def read(self, after_seq: int, most: int = 1_000) -> list[Entry]:
        """Return the entries after `after_seq`, in order."""
        first = after_seq - self._dropped
        return self._entries[first : first + most]

    def promise(self, floor_ms: int) -> None:
        """Promise that nothing will be stamped at or before `floor_ms` from now on."""
        self._closed_ms = floor_ms

    def set_reader(self, name: str, seq: int) -> None:
        """Do nothing: nothing is dropped."""

    def forget(self, seq: int) -> None:
        """Drop the entries up to one, and all but the latest readings, among which repetitions are found.

        Args:
            seq: The last entry that nobody will read again.
        """
        if seq - self._dropped > MOST_KEPT:
            del self._entries[: seq - self._dropped]
            del self.batches[:-MOST_KEPT]
            self._dropped = seq

    def point_entries(self) -> list[Entry]:
        """Return every entry that makes points known."""
        return [entry for entry in self._entries if isinstance(entry.content, tuple)]

    def _add(self, content: Content, stamp_ms: int) -> None:
        self._entries.append(Entry(self._dropped + len(self._entries) + 1, stamp_ms, content))

    def _find(self, point: IntArray, source_ms: IntArray) -> tuple[BoolArray, FloatArray]:
        """Look readings up among all that were kept: which are there, and their values."""
        pairs = zip(point.tolist(), source_ms.tolist(), strict=True)
        values = [self._value(number, at_ms) for number, at_ms in pairs]
        found = np.array([value is not None for value in values], np.bool_)
        return found, np.array([np.nan if value is None else value for value in values], np.float64)

    def _value(self, point: int, source_ms: int) -> float | None:
        for batch in reversed(self.batches):
            rows = np.flatnonzero(
                (batch.point == point) & (batch.source_ms == source_ms) & (batch.quality != Quality.REFUSED)
            )
            if len(rows):
                return float(batch.value[rows[0]])
        return None
