"""Merging in tests: hours that are over at once, and parts that stay as small as they are."""

from __future__ import annotations

import asyncio
from pathlib import Path

from facility.instants import DAY_MS, HOUR_MS, MINUTE_MS
from store.history.compaction import QUIET_MS
from store.history.dataset import Disk
from store.history.parquet import Table, hour_folder
from store.history.sealing import ParquetSink
from testing.builders import T0_MS, a_batch
from testing.store.histories import Site, seal

HOUR = T0_MS // HOUR_MS * HOUR_MS
OVER_MS = T0_MS + 100 * DAY_MS
"""When every hour of the tests is over [ms]."""


def make_due(sink: ParquetSink) -> None:
    """Let so much time pass that every hour is over and quiet."""
    merger = sink._merger
    merger.touch((), max(OVER_MS, merger._newest_ms) + QUIET_MS)


async def merge_due(sink: ParquetSink) -> int:
    """Merge every hour of a history; return how many parts were written."""
    make_due(sink)
    return await merge_on(sink)


async def merge_on(sink: ParquetSink) -> int:
    """Merge every hour that is due; return how many parts were written."""
    count = 0
    while await sink.merge():
        count += 1
    return count


def merge(folder: Path, disk: Disk | None = None) -> int:
    """Open a history for writing, merge every hour and close it; return how many parts were written."""

    async def run() -> int:
        sink = ParquetSink(folder, disk, merges=False)
        try:
            return await merge_due(sink)
        finally:
            await sink.close()

    return asyncio.run(run())


def seal_hour(site: Site, seals: int, start_ms: int = HOUR) -> list[tuple[int, float]]:
    """Seal readings of both points in an hour, a minute each time; return those of the first."""
    rows = []
    for number in range(seals):
        at_ms = start_ms + number * MINUTE_MS
        rows += [(at_ms + 30_000, float(number)), (at_ms + 15_000, number + 0.5)]
        site.append(a_batch([(point, *row) for row in rows[-2:] for point in (1, 0)]))
        seal(site.folder, site.chunk(site.journal.head_seq - 1))
    return sorted(rows)


def names_in(site: Site, start_ms: int = HOUR, table: Table = Table.READING) -> list[str]:
    """Return the parts in the folder of an hour, in order."""
    folder = site.folder / "history" / hour_folder(table, start_ms)
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".crc32"))
