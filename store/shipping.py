"""Shipping: from the journal and the ledger to a sink, in order, for as long as it takes.

A chunk is tried until the sink has it; only then do the cursors move. While the sink is away they wait, and
the journal keeps what is needed. After an outage chunks follow each other without a pause until the sink is
up to date; a live reading is at most as late as the chunk that it is in.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import structlog

from facility.errors import StoreUnavailable
from facility.instants import Clock
from facility.points import Point
from facility.readings import Batch, Quality, Rejection
from facility.sitetables import StoreTable
from store.base import Chunk, Sink
from store.entries import Entry
from store.history import ParquetSink
from store.influx import InfluxBusy, InfluxSink, pause_s
from store.journal import Journal
from store.ledger import Ledger

MOST_READINGS = 200_000
"""Readings in one chunk: what Parquet seals in half a second, or InfluxDB takes in 40 bodies."""
MOST_ENTRIES = 2_000
INFLUX_PERIOD_S = 1.0
"""How often readings go to InfluxDB while it keeps up."""

_log = structlog.get_logger(__name__)


class Source(Protocol):
    """The journal, as a sink follows it."""

    def read(self, after_seq: int, most: int = 1_000) -> list[Entry]:
        """Return the entries after `after_seq`, in order."""
        ...

    def set_reader(self, name: str, seq: int) -> None:
        """Note that a reader needs nothing up to `seq` any more."""
        ...

    def reader(self, name: str) -> int:
        """Return up to which entry a reader has read for good, 0 where it never did."""
        ...

    def point_entries(self) -> list[Entry]:
        """Return every entry that makes points known."""
        ...


def make_sink(store: StoreTable, data: Path, token: Callable[[], str]) -> Sink:
    """Return where the readings of a site go: InfluxDB where the site file names one, else Parquet files.

    Args:
        store: What the site file says of it.
        data: The data folder.
        token: Gives InfluxDB's token, anew whenever the one before was refused.
    """
    return ParquetSink(data) if store.influxdb is None else InfluxSink(store.influxdb, token)


class Shipper:
    """Ships to one sink.

    Args:
        sink: The sink.
        source: The journal.
        ledger: The ledger, for the engine's series and the alarms.
        journal: The journal as its writer, for what the sink refuses; None in another process.
        clock: The clock.
        random_source: Where the jitter of pauses comes from.
        seal_s: How often a chunk is made while the sink keeps up [s].

    Attributes:
        seq: The last entry that the sink has.
        error: What the sink said, "" while it takes everything.
        refused: How many readings it will never take.
    """

    def __init__(
        self,
        sink: Sink,
        source: Source,
        ledger: Ledger,
        *,
        journal: Journal | None,
        clock: Clock,
        random_source: random.Random,
        seal_s: float,
    ) -> None:
        self._sink = sink
        self._source = source
        self._ledger = ledger
        self._journal = journal
        self._clock = clock
        self._random = random_source
        self._period_s = INFLUX_PERIOD_S if isinstance(sink, InfluxSink) else seal_s
        self._points: dict[int, Point] = {}
        self.seq = source.reader(sink.name)
        self._series_seq, _ = ledger.cursor(f"{sink.name}.series")
        self._change_seq, _ = ledger.cursor(f"{sink.name}.changes")
        for entry in source.point_entries():
            self._learn(entry)
        self.name = sink.name
        self.error = ""
        self.refused = 0

    async def run(self) -> None:
        """Ship until cancelled; what is left then is shipped after the next start."""
        while True:
            more = await self.ship()
            if not more:
                await asyncio.sleep(self._period_s)

    async def ship(self) -> bool:
        """Ship one chunk, however long that takes.

        Returns:
            Whether more is waiting already.
        """
        chunk, draws_seq, changes_seq, more = await asyncio.to_thread(self._next)
        if chunk is None:
            return False
        refused = await self._store(chunk)
        if refused:
            self.refused += len(refused)
            if self._journal is not None:
                await asyncio.to_thread(self._journal.refuse, refused)
        self.seq, self._series_seq, self._change_seq = chunk.last_seq, draws_seq, changes_seq
        await asyncio.to_thread(self._settle)
        return more

    async def _store(self, chunk: Chunk) -> Sequence[Rejection]:
        attempt = 0
        while True:
            try:
                refused = await self._sink.store(chunk)
            except StoreUnavailable as error:
                if not self.error:
                    _log.warning("history waits", sink=self.name, error=str(error))
                self.error = str(error)
                asked = error.retry_after_s if isinstance(error, InfluxBusy) else None
                await asyncio.sleep(pause_s(attempt, asked, self._random))
                attempt += 1
            else:
                if self.error:
                    _log.info("history goes on", sink=self.name)
                self.error = ""
                return refused

    def _next(self) -> tuple[Chunk | None, int, int, bool]:
        """Gather what comes after the last chunk."""
        batches: list[Batch] = []
        count, last_seq, more = 0, self.seq, False
        while count < MOST_READINGS:
            entries = self._source.read(last_seq, MOST_ENTRIES)
            for entry in entries:
                self._learn(entry)
                if isinstance(entry.content, Batch):
                    readings = entry.content.take(entry.content.quality != Quality.REFUSED)
                    batches.append(readings)
                    count += len(readings)
                last_seq = entry.seq
                if count >= MOST_READINGS:
                    more = True
                    break
            if not entries:
                break
        draws = self._ledger.series(self._series_seq)
        changes = self._ledger.changes(self._change_seq)
        if last_seq == self.seq and not draws and not changes:
            return None, 0, 0, False
        chunk = Chunk(
            first_seq=self.seq + 1,
            last_seq=last_seq,
            batch=Batch.concatenate(batches),
            points=self._points,
            draws=[(at_ms, row) for _, at_ms, row in draws],
            changes=[change for _, change in changes],
        )
        series_seq = draws[-1][0] if draws else self._series_seq
        change_seq = changes[-1][0] if changes else self._change_seq
        return chunk, series_seq, change_seq, more

    def _settle(self) -> None:
        self._source.set_reader(self.name, self.seq)
        self._ledger.set_cursor(f"{self.name}.series", self._series_seq)
        self._ledger.set_cursor(f"{self.name}.changes", self._change_seq)
        self._ledger.trim_series(self._series_seq)

    def _learn(self, entry: Entry) -> None:
        if isinstance(entry.content, tuple):
            self._points.update((known.id, known.point) for known in entry.content)
