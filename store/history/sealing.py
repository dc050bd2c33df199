"""Sealing: chunks of the journal become files of the embedded history.

How the files lie and what makes them count: `store.history.parquet`; how they are read:
`store.history.reader`; what becomes of the parts of an hour that is over: `store.history.compaction`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, Final

import duckdb
import msgspec
import numpy as np
import structlog
from numpy.typing import NDArray

from facility.errors import StoreCorrupt, StoreError, StoreUnavailable
from facility.instants import HOUR_MS, MINUTE_MS
from facility.points import Point
from facility.readings import Batch, BoolArray, Rejection
from store.base import FARTHEST_MS, PARQUET, Chunk
from store.history.compaction import Hour, Merged, Merger
from store.history.dataset import Dataset, Disk, Fill
from store.history.integrity import is_whole, put_aside
from store.history.parquet import (
    FOLDER,
    ORDER,
    PARTS,
    Columns,
    Engine,
    Part,
    Sealed,
    Table,
    copying,
    hour_folder,
    hour_of,
    open_engine,
    parts,
    parts_in,
)
from store.journal.entries import Known
from store.journal.file import JournalReader
from store.journal.intake import readings_of
from store.means.means import Means, is_new
from store.series import TenantDraw
from store.threads import in_thread

MOST_READINGS: Final = 200_000
"""Readings in one chunk: what is sealed in half a second."""
OPEN_BYTES: Final = 500_000
"""Below this size the last part of an hour is taken into the next: it bounds both files and rewriting."""

_log = structlog.get_logger(__name__)

_POINT: Final = "points.point, points.asset, points.quantity, points.unit, points.feed"
_TIME: Final = "make_timestamptz(rows.time) AS time"
_RECEIVED: Final = "make_timestamptz(rows.received) AS received"
_MEANS: Final = "mean, min, max, last, count, covered_ms, seq"
_JOINED: Final = "FROM rows JOIN points USING (number)"
_ROWS: Final = MappingProxyType(
    {
        Table.READING: f"SELECT {_POINT}, {_TIME}, {_RECEIVED}, value, quality, flags {_JOINED}",
        Table.MINUTE: f"SELECT {_POINT}, {_TIME}, {_MEANS} {_JOINED}",
        Table.QUARTER: f"SELECT {_POINT}, {_TIME}, {_MEANS} {_JOINED}",
        Table.DRAW: f"SELECT rows.* REPLACE ({_TIME}) FROM rows ORDER BY tenant, rows.time",  # noqa: S608 - our own words
    }
)
_FOUND: Final = (
    f"SELECT row {_JOINED} SEMI JOIN {PARTS.format('?')} AS part"
    " ON points.point = part.point AND make_timestamptz(rows.time) = part.time"
)


class ParquetSink:
    """Seals chunks into the history's files, and merges those of hours that are over beside it.

    Args:
        data_dir: The data folder.
        disk: What is done to the file system.
        merges: Whether hours are merged in a thread of their own; if not, only where `merge` is called.

    Raises:
        StoreUnavailable: Where the folder cannot be written, or another process writes it.
    """

    name: Final = PARQUET
    period_s: Final = None
    most_per_s: Final = None
    most_readings: Final = MOST_READINGS

    def __init__(self, data_dir: Path, disk: Disk | None = None, *, merges: bool = True) -> None:
        self._lock = Lock()
        disk = disk or Disk()
        dataset = self._dataset = Dataset(data_dir.resolve() / FOLDER, disk)
        self._data_dir = data_dir
        self._merger = Merger(dataset.root, disk, lambda: dataset.sealed, self._replace, self._mend_part)
        self._merges = merges
        self._engine: Engine | None = None

    async def store(self, chunk: Chunk) -> Sequence[Rejection]:
        """Seal a chunk: all of it, or nothing.

        A chunk may begin at or before the sealed entry, as it does when it is stored again after a crash.
        What is sealed is left out then: readings by point and time, series by tick. Of several readings
        of one point and time in a chunk the first is kept. A step whose mean was sealed before and is
        fuller now has a second row, with the chunk's last entry as its greater number.

        Returns:
            Nothing: whatever was journalled can be sealed.

        Raises:
            StoreUnavailable: Where the disk did not take it.
            StoreCorrupt: Where it ends at or before the sealed entry and is not in the history: it comes
                from another journal.
        """
        await in_thread(self._guarded, partial(self._seal, chunk))
        if self._merges:
            self._merger.start()
        return ()

    async def merge(self) -> bool:
        """Merge the newest hour that is due.

        Returns:
            Whether there was one.

        Raises:
            StoreUnavailable: Where the disk did not take it.
        """
        return await in_thread(self._merger.merge)

    async def drop(self, before_ms: int) -> None:
        """Drop the readings of all hours that end at or before `before_ms`; means and draws stay.

        Raises:
            StoreUnavailable: Where the disk did not take it.
        """
        await in_thread(self._guarded, partial(self._dataset.drop, before_ms))

    async def close(self) -> None:
        """Let go of the files, once nothing is done to them any more; whole, also where it is cancelled."""
        await in_thread(self._end)

    def _guarded(self, work: Callable[[], None]) -> None:
        with self._lock:
            try:
                work()
            except (OSError, duckdb.Error) as error:
                self._engine = None  # it may be of no use after an error
                raise StoreUnavailable(str(self._dataset.root), str(error)) from error

    def _end(self) -> None:
        self._merger.stop()
        self._guarded(self._close)

    def _close(self) -> None:
        self._dataset.close()
        self._engine = None

    def _seal(self, chunk: Chunk) -> None:
        dataset = self._dataset
        dataset.settle()
        sealed = dataset.sealed
        self._engine = self._engine or open_engine(dataset.root)
        sealing = _Sealing(dataset.root, sealed, self._engine)
        place, points = _numbered(chunk)
        batch = replace(chunk.batch, point=place[chunk.batch.point])
        if chunk.first_seq <= sealed.seq and len(batch):
            batch = batch.take(~sealing.holds(chunk.first_seq, batch, points))
            if chunk.last_seq <= sealed.seq and len(batch):
                found = f"found entries {chunk.first_seq} to {chunk.last_seq} of another journal"
                raise StoreCorrupt(str(dataset.root), f"expected what comes after {sealed.seq}, {found}")
        draws = [(at_ms, rows) for at_ms, rows in chunk.draws if at_ms > sealed.tick_ms]
        if chunk.last_seq <= sealed.seq and not draws:
            return
        sealing.add_readings(batch, points, max(chunk.first_seq, sealed.seq + 1), chunk.last_seq)
        if chunk.last_seq > sealed.seq:
            for means in chunk.means:
                sealing.add_means(means, place, points, max(chunk.first_seq, sealed.seq + 1), chunk.last_seq)
        sealing.add_draws(draws)
        after = msgspec.structs.replace(
            sealed,
            seq=max(sealed.seq, chunk.last_seq),
            tick_ms=max([sealed.tick_ms, *(at_ms for at_ms, _ in draws)]),
            removes=tuple(sealing.removes),
        )
        dataset.change(after, sealing.fills)
        for table, part in sealing.damaged:
            self._mend(table, part)
        newest_ms = int(batch.received_ms.max(initial=max([-FARTHEST_MS, *(at_ms for at_ms, _ in draws)])))
        self._merger.touch(sealing.hours, newest_ms)

    def _replace(self, merged: Merged) -> None:
        self._guarded(partial(self._put, merged))

    def _put(self, merged: Merged) -> None:
        """Put merged parts in the place of what they are made of, unless that changed meanwhile."""
        dataset = self._dataset
        dataset.settle()
        there = parts_in(dataset.root / merged.folder, dataset.sealed.end(merged.table))
        if set(there) >= set(merged.parts):
            gone = tuple(f"{merged.folder}/{part.path.name}" for part in merged.parts)
            after = msgspec.structs.replace(dataset.sealed, removes=gone)
            dataset.change(after, {merged.name: merged.draft.replace})

    def _mend_part(self, table: Table, part: Part) -> None:
        self._guarded(partial(self._mend, table, part))

    def _mend(self, table: Table, part: Part) -> None:
        """Put a damaged part aside; seal anew what the journal still holds of its readings."""
        dataset = self._dataset
        dataset.settle()
        if not part.path.exists() or is_whole(part.path):
            return
        place = put_aside(dataset.root, part.path)
        self._engine = self._engine or open_engine(dataset.root)
        sealing = _Sealing(dataset.root, dataset.sealed, self._engine, takes_in=False)
        if table is Table.READING:
            batch, points = held_by_journal(self._data_dir, part)
            sealing.add_readings(batch, _columns(points), part.first, part.last)
        name = part.path.relative_to(dataset.root).as_posix()
        dataset.change(msgspec.structs.replace(dataset.sealed, removes=(name,)), sealing.fills)
        _log.error("a damaged part was put aside", part=str(place), is_sealed_anew=bool(sealing.fills))


class _Sealing:
    """The files that a chunk becomes.

    Args:
        root: The history's folder.
        sealed: What counts.
        engine: Writes them.
        takes_in: Whether the last part of an hour is taken in while it is small.

    Attributes:
        fills: New files.
        removes: Files that they replace.
        hours: Hours that get a new file.
        damaged: Parts that are damaged and were to be taken in, or read.
    """

    def __init__(self, root: Path, sealed: Sealed, engine: Engine, *, takes_in: bool = True) -> None:
        self._root, self._sealed, self._engine, self._takes_in = root, sealed, engine, takes_in
        self.damaged: list[tuple[Table, Part]] = []
        self.fills: dict[str, Fill] = {}
        self.removes: list[str] = []
        self.hours: list[Hour] = []

    def holds(self, first_seq: int, batch: Batch, points: Columns) -> BoolArray:
        """Tell which readings are sealed already, in parts that end at or after an entry, or were dropped."""
        held = batch.source_ms // HOUR_MS * HOUR_MS + HOUR_MS <= self._sealed.dropped_ms
        span = int(batch.source_ms.min()), int(batch.source_ms.max()) + 1
        found = parts(self._root, self._sealed, Table.READING, *span)
        found = [part for part in found if part.last >= first_seq]
        self.damaged += [(Table.READING, part) for part in found if not is_whole(part.path)]
        names = [str(part.path) for part in found if (Table.READING, part) not in self.damaged]
        if names:
            rows: Columns = {
                "row": np.arange(len(batch)),
                "number": batch.point,
                "time": batch.source_ms * 1_000,
            }
            _register(self._engine, rows, points)
            held[self._engine.execute(_FOUND, [names]).fetchnumpy()["row"]] = True
        return held

    def add_readings(self, batch: Batch, points: Columns, first: int, last: int) -> None:
        """Add the readings, hour by hour, each reading once."""
        for hour_ms, rows in _by_hour(batch):
            columns: Columns = {
                "number": rows.point,
                "time": rows.source_ms * 1_000,
                "received": rows.received_ms * 1_000,
                "value": rows.value,
                "quality": rows.quality,
                "flags": rows.flags,
            }
            if hour_ms + HOUR_MS > self._sealed.dropped_ms:
                self._add(Table.READING, hour_ms, (first, last), columns, points)

    def add_means(
        self, means: Means, place: NDArray[np.int32], points: Columns, first: int, last: int
    ) -> None:
        """Add means, hour by hour."""
        table = Table.MINUTE if means.step_ms == MINUTE_MS else Table.QUARTER
        rows = means.take(np.lexsort((means.start_ms, place[means.point])))
        hours = rows.start_ms // HOUR_MS
        for hour in np.unique(hours).tolist():
            part = rows.take(hours == hour)
            columns: Columns = {
                "number": place[part.point],
                "time": part.start_ms * 1_000,
                "mean": part.mean,
                "min": np.where(part.covered_ms > 0, part.low, np.nan),
                "max": np.where(part.covered_ms > 0, part.high, np.nan),
                "last": part.last,
                "count": part.count.astype(np.int32),
                "covered_ms": part.covered_ms.astype(np.int32),
                "seq": np.full(len(part), last),
            }
            self._add(table, hour * HOUR_MS, (first, last), columns, points)

    def add_draws(self, draws: Sequence[tuple[int, Sequence[TenantDraw]]]) -> None:
        """Add the engine's series, hour by hour."""
        for hour_ms in sorted({at_ms // HOUR_MS * HOUR_MS for at_ms, _ in draws}):
            ticks = [(at_ms, rows) for at_ms, rows in draws if at_ms // HOUR_MS * HOUR_MS == hour_ms]
            span = min(at_ms for at_ms, _ in ticks), max(at_ms for at_ms, _ in ticks)
            self._add(Table.DRAW, hour_ms, span, _draw_columns(ticks), {})

    def _add(self, table: Table, hour_ms: int, span: tuple[int, int], rows: Columns, points: Columns) -> None:
        if not len(rows["time"]):
            return
        folder = hour_folder(table, hour_ms)
        query, values, first = _ROWS[table], list[str](), span[0]
        last = parts_in(self._root / folder, self._sealed.end(table))[-1:] if self._takes_in else []
        if last and last[0].path.stat().st_size < OPEN_BYTES and not is_whole(last[0].path):
            self.damaged.append((table, last[0]))
        elif last and last[0].path.stat().st_size < OPEN_BYTES:
            query = f"FROM ({query}) UNION ALL BY NAME FROM {PARTS.format('?')} ORDER BY {ORDER[table]}"
            values, first = [str(last[0].path)], last[0].first
            self.removes.append(f"{folder}/{last[0].path.name}")
        self.hours.append((hour_ms, table))
        fill = partial(_copy, self._engine, copying(query), values, rows, points)
        self.fills[f"{folder}/part-{first}-{span[1]}.parquet"] = fill


def held_by_journal(data_dir: Path, part: Part) -> tuple[Batch, Sequence[Point]]:
    """Return the readings of a part that the journal still holds, numbered in the order of the points.

    Args:
        data_dir: The data folder.
        part: A part of readings.
    """
    hour_ms, batches, after_seq = hour_of(part.path), list[Batch](), part.first - 1
    known: dict[int, Known] = {}
    with suppress(StoreError), closing(JournalReader(data_dir)) as journal:
        known = journal.known()
        while page := [entry for entry in journal.read(after_seq) if entry.seq <= part.last]:
            batches += [readings_of(entry.content) for entry in page if isinstance(entry.content, Batch)]
            after_seq = page[-1].seq
    batch = Batch.concatenate(batches)
    batch = batch.take((batch.source_ms >= hour_ms) & (batch.source_ms < hour_ms + HOUR_MS))
    place, points = _placed(batch.point, {number: one.point for number, one in known.items()})
    return replace(batch, point=place[batch.point]) if len(batch) else batch, points


def _numbered(chunk: Chunk) -> tuple[NDArray[np.int32], Columns]:
    """Return the number of each point in the order of their keys, and what each number is."""
    numbers = np.concatenate([chunk.batch.point, *(means.point for means in chunk.means)])
    place, points = _placed(numbers, chunk.points)
    return place, _columns(points)


def _placed(numbers: NDArray[Any], known: Mapping[int, Point]) -> tuple[NDArray[np.int32], list[Point]]:
    """Return the place of each number among the points' keys, and the points in their order."""
    counts = np.bincount(numbers)
    found = [(known[number], number) for number in np.flatnonzero(counts).tolist()]
    found.sort(key=lambda one: one[0].key)
    place = np.zeros(len(counts), np.int32)
    place[[number for _, number in found]] = np.arange(len(found))
    return place, [point for point, _ in found]


def _columns(points: Sequence[Point]) -> Columns:
    """Return points in columns."""
    columns: Columns = {"number": np.arange(len(points), dtype=np.int32)}
    columns["point"] = np.array([point.key for point in points], object)
    for name, attribute in (
        ("asset", "asset"),
        ("quantity", "quantity"),
        ("unit", "shown_unit"),
        ("feed", "feed"),
    ):
        columns[name] = np.array([getattr(point, attribute) for point in points], object)
    return columns


def _by_hour(batch: Batch) -> Iterator[tuple[int, Batch]]:
    """Yield the readings of each hour (its start [ms]) by point and time, the first of each."""
    hours = batch.source_ms // HOUR_MS
    for hour in np.unique(hours).tolist():
        rows = batch.take(np.flatnonzero(hours == hour))
        rows = rows.take(np.lexsort((rows.source_ms, rows.point)))
        yield hour * HOUR_MS, rows.take(is_new(rows.point, rows.source_ms))


def _draw_columns(ticks: Sequence[tuple[int, Sequence[TenantDraw]]]) -> Columns:
    draws = [draw for _, rows in ticks for draw in rows]
    times = np.repeat([at_ms * 1_000 for at_ms, _ in ticks], [len(rows) for _, rows in ticks])
    columns: Columns = {"time": times}
    for name in TenantDraw.__struct_fields__:
        values = [getattr(draw, name) for draw in draws]
        if name == "tenant":
            columns[name] = np.array(values, object)
        elif name.endswith("_milliwatts"):
            missing = [value is None for value in values]
            columns[name] = np.ma.array([value or 0 for value in values], np.int64, mask=missing)
        else:
            columns[name] = np.array([np.nan if value is None else value for value in values], np.float64)
    return columns


def _register(engine: Engine, rows: Columns, points: Columns) -> None:
    engine.register("rows", rows)
    if points:
        engine.register("points", points)


def _copy(
    engine: Engine, query: str, values: Sequence[str], rows: Columns, points: Columns, path: Path
) -> None:
    _register(engine, rows, points)
    engine.execute(query, [*values, str(path)])
    engine.unregister("rows")
    engine.unregister("points")
