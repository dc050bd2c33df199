"""The embedded history: chunks of the journal sealed into Parquet files, and read together with its tail.

How the files lie and what makes them count: `store.parquet`. What is not sealed yet is read from the
journal and the ledger, so a reading is found the moment it is journalled.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, Final

import duckdb
import msgspec
import numpy as np
from numpy.typing import NDArray

from facility.errors import StoreCorrupt, StoreUnavailable
from facility.instants import HOUR_MS, MINUTE_MS
from facility.names import NAME_RULE, PATH_LENGTH, is_name, nearest
from facility.points import Point
from facility.readings import Batch, BoolArray, Quality, Rejection
from store.base import Chunk, Series
from store.journalfile import JournalReader
from store.ledger import LedgerReader
from store.parquet import (
    FOLDER,
    Dataset,
    Disk,
    Fill,
    Sealed,
    Table,
    hour_folder,
    open_engine,
    parts,
    parts_in,
    read_sealed,
)
from store.series import TenantDraw

Columns = dict[str, NDArray[Any]]
Engine = duckdb.DuckDBPyConnection

OPEN_BYTES: Final = 500_000
"""Below this size the last part of an hour is taken into the next: it bounds both files and rewriting."""
TRIES: Final = 10
"""How often a read is begun again because files changed under it, which they do for a moment in each seal."""
PAGE: Final = 1_000
"""Columns of the journal and the ledger that are taken at once."""
FARTHEST_MS: Final = 2**52
"""Before and after every time that a part can hold."""

_PARTS: Final = "read_parquet({}, hive_partitioning = false)"
_POINT: Final = "points.point, points.asset, points.quantity, points.unit, points.feed"
_TIME: Final = "make_timestamptz(rows.time) AS time"
_RECEIVED: Final = "make_timestamptz(rows.received) AS received"
_JOINED: Final = "FROM rows JOIN points USING (number)"
_ROWS: Final = MappingProxyType(
    {
        Table.READING: f"SELECT {_POINT}, {_TIME}, {_RECEIVED}, value, quality, flags {_JOINED}",
        Table.MINUTE: f"SELECT {_POINT}, {_TIME}, mean, min, max, last, count {_JOINED}",
        Table.DRAW: f"SELECT rows.* REPLACE ({_TIME}) FROM rows ORDER BY tenant, rows.time",  # noqa: S608 - our own words
    }
)
_ORDER: Final = MappingProxyType(
    {Table.READING: "point, time, received", Table.MINUTE: "point, time", Table.DRAW: "tenant, time"}
)
# The encodings are those of Parquet 1: Spark reads the newer one for floating-point numbers only since 5.
_FORM: Final = (
    "FORMAT parquet, PARQUET_VERSION v1, COMPRESSION zstd, ROW_GROUP_SIZE 16384, USE_TMP_FILE false"
)
_FOUND: Final = (
    f"SELECT row {_JOINED} SEMI JOIN {_PARTS.format('?')} AS part"
    " ON points.point = part.point AND make_timestamptz(rows.time) = part.time"
)
_SPAN: Final = "time >= make_timestamptz($start) AND time < make_timestamptz($end)"
# Each figure's column, unit, and how many of the column's units make one of it.
_FIGURES: Final = MappingProxyType(
    {
        "low": ("low_milliwatts", "MW", 1e9),
        "best": ("best_milliwatts", "MW", 1e9),
        "high": ("high_milliwatts", "MW", 1e9),
        "limit": ("limit_milliwatts", "MW", 1e9),
        "coverage": ("coverage", "1", 1.0),
        "demand": ("demand_kw", "MW", 1e3),
        "forecast": ("forecast_kw", "MW", 1e3),
    }
)
# What is read of a part, by the name it gets; all else is read as it is called.
_COLUMNS: Final = MappingProxyType({"time": "epoch_ms(time)", "received": "epoch_ms(received)"})


class ParquetSink:
    """Seals chunks into the history's files.

    Raises:
        StoreUnavailable: Where the folder can not be written, or another process writes it.
    """

    name: Final = "history"

    def __init__(self, data_dir: Path, disk: Disk | None = None) -> None:
        self._lock = Lock()
        self._dataset = Dataset(data_dir.resolve() / FOLDER, disk or Disk())
        self._engine: Engine | None = None

    def sealed_seq(self) -> int:
        """Return the last entry of the journal whose readings are sealed, 0 before the first."""
        return self._dataset.sealed.seq

    async def store(self, chunk: Chunk) -> Sequence[Rejection]:
        """Seal a chunk: all of it, or nothing.

        A chunk may begin at or before the sealed entry, as it does when it is stored again after a crash.
        What is sealed is left out then: readings by point and time, series by tick. Of several readings
        of one point and time in a chunk the first is kept. One-minute means are those of the readings
        in the chunk: a minute that is split over two chunks has two rows, to be weighed by their counts.

        Returns:
            Nothing: whatever was journalled can be sealed.

        Raises:
            StoreUnavailable: Where the disk did not take it.
            StoreCorrupt: Where it ends at or before the sealed entry and is not in the history: it comes
                from another journal.
        """
        await asyncio.to_thread(self._guarded, partial(self._seal, chunk))
        return ()

    async def drop(self, before_ms: int) -> None:
        """Drop the readings of all hours that end at or before `before_ms`; means and draws stay.

        Raises:
            StoreUnavailable: Where the disk did not take it.
        """
        await asyncio.to_thread(self._guarded, partial(self._dataset.drop, before_ms))

    async def close(self) -> None:
        """Let go of the files, once nothing is done to them any more."""
        await asyncio.to_thread(self._guarded, self._close)

    def _guarded(self, work: Callable[[], None]) -> None:
        with self._lock:
            try:
                work()
            except (OSError, duckdb.Error) as error:
                self._engine = None  # it may be of no use after an error
                raise StoreUnavailable(str(self._dataset.root), str(error)) from error

    def _close(self) -> None:
        self._dataset.close()
        self._engine = None

    def _seal(self, chunk: Chunk) -> None:
        dataset = self._dataset
        dataset.settle()
        sealed = dataset.sealed
        self._engine = self._engine or open_engine(dataset.root)
        sealing = _Sealing(dataset.root, sealed, self._engine)
        batch, points = _numbered(chunk)
        if chunk.first_seq <= sealed.seq and len(batch):
            batch = batch.take(~sealing.holds(chunk.first_seq, batch, points))
            if chunk.last_seq <= sealed.seq and len(batch):
                found = f"found entries {chunk.first_seq} to {chunk.last_seq} of another journal"
                raise StoreCorrupt(str(dataset.root), f"expected what comes after {sealed.seq}, {found}")
        draws = [(at_ms, rows) for at_ms, rows in chunk.draws if at_ms > sealed.tick_ms]
        if chunk.last_seq <= sealed.seq and not draws:
            return
        sealing.add_readings(batch, points, max(chunk.first_seq, sealed.seq + 1), chunk.last_seq)
        sealing.add_draws(draws)
        after = msgspec.structs.replace(
            sealed,
            seq=max(sealed.seq, chunk.last_seq),
            tick_ms=max([sealed.tick_ms, *(at_ms for at_ms, _ in draws)]),
            removes=tuple(sealing.removes),
        )
        dataset.change(after, sealing.fills)


class _Sealing:
    """The files that a chunk becomes."""

    def __init__(self, root: Path, sealed: Sealed, engine: Engine) -> None:
        self._root, self._sealed, self._engine = root, sealed, engine
        self.fills: dict[str, Fill] = {}
        self.removes: list[str] = []

    def holds(self, first_seq: int, batch: Batch, points: Columns) -> BoolArray:
        """Tell which readings are sealed already, in parts that end at or after an entry, or were dropped."""
        held = batch.source_ms // HOUR_MS * HOUR_MS + HOUR_MS <= self._sealed.dropped_ms
        span = int(batch.source_ms.min()), int(batch.source_ms.max()) + 1
        found = parts(self._root, self._sealed, Table.READING, *span)
        names = [str(part.path) for part in found if part.last >= first_seq]
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
        """Add the readings and their one-minute means, hour by hour, each reading once."""
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
            self._add(Table.MINUTE, hour_ms, (first, last), _minutes(rows), points)

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
        last = parts_in(self._root / folder, self._sealed.end(table))[-1:]
        if last and last[0].path.stat().st_size < OPEN_BYTES:
            query = f"FROM ({query}) UNION ALL BY NAME FROM {_PARTS.format('?')} ORDER BY {_ORDER[table]}"
            values, first = [str(last[0].path)], last[0].first
            self.removes.append(f"{folder}/{last[0].path.name}")
        fill = partial(_copy, self._engine, f"COPY ({query}) TO ? ({_FORM})", values, rows, points)
        self.fills[f"{folder}/part-{first}-{span[1]}.parquet"] = fill


def _numbered(chunk: Chunk) -> tuple[Batch, Columns]:
    """Return the readings, their points numbered in the order of their keys, and what each number is."""
    counts = np.bincount(chunk.batch.point)
    found = [(chunk.points[number], number) for number in np.flatnonzero(counts).tolist()]
    found.sort(key=lambda one: one[0].key)
    place = np.zeros(len(counts), np.int32)
    place[[number for _, number in found]] = np.arange(len(found))
    columns: Columns = {"number": np.arange(len(found), dtype=np.int32)}
    columns["point"] = np.array([point.key for point, _ in found], object)
    for name in ("asset", "quantity", "unit", "feed"):
        columns[name] = np.array([getattr(point, name) for point, _ in found], object)
    return replace(chunk.batch, point=place[chunk.batch.point]), columns


def _by_hour(batch: Batch) -> Iterator[tuple[int, Batch]]:
    """Yield the readings of each hour (its start [ms]) by point and time, the first of each."""
    hours = batch.source_ms // HOUR_MS
    for hour in np.unique(hours).tolist():
        rows = batch.take(np.flatnonzero(hours == hour))
        rows = rows.take(np.lexsort((rows.source_ms, rows.point)))
        yield hour * HOUR_MS, rows.take(_is_new(rows.point, rows.source_ms))


def _is_new(*columns: NDArray[Any]) -> BoolArray:
    """Tell which rows differ from the one before."""
    new = np.zeros(len(columns[0]), np.bool_)
    new[:1] = True
    for column in columns:
        new[1:] |= column[1:] != column[:-1]
    return new


def _minutes(rows: Batch) -> Columns:
    """Return the one-minute means of readings that lie by point and time."""
    good = rows.take((rows.quality == Quality.GOOD) & ~np.isnan(rows.value))
    minute = good.source_ms // MINUTE_MS * MINUTE_MS
    starts = np.flatnonzero(_is_new(good.point, minute))
    ends = np.append(starts[1:], len(good))[: len(starts)]
    value = good.value
    return {
        "number": good.point[starts],
        "time": minute[starts] * 1_000,
        "mean": np.add.reduceat(value, starts) / (ends - starts),
        "min": np.minimum.reduceat(value, starts),
        "max": np.maximum.reduceat(value, starts),
        "last": value[ends - 1],
        "count": (ends - starts).astype(np.int32),
    }


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


class _ChangedError(Exception):
    """Files that were to be read are not there any more."""


class ParquetHistory:
    """The history as it is read, from any process, while the monitor writes it.

    Methods may be called from any thread; they wait for each other.

    Raises:
        StoreUnavailable: Where there is no journal.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir.resolve()
        self._root = self._folder / FOLDER
        self._lock = Lock()
        self._journal = JournalReader(self._folder)
        self._ledger: LedgerReader | None = None
        self._engine = open_engine(self._root)
        self._points: dict[str, tuple[int, Point]] = {}

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            self._engine.close()
            self._journal.close()
            if self._ledger is not None:
                self._ledger.close()

    def readings(self, key: str, from_ms: int, to_ms: int) -> Series:
        """Return the readings of one point in a span, start included and end not, one for each moment.

        Args:
            key: The point's key.
            from_ms: Start [ms].
            to_ms: End [ms].

        Raises:
            KeyError: Where no such point is known.
        """
        with self._lock:
            number, point = self._known(key)
            _, rows = self._read(key, number, (from_ms, from_ms, to_ms))
        return Series(key, point.unit, rows.source_ms, rows.value, rows.quality.astype(np.int64))

    def means(self, key: str, from_ms: int, to_ms: int, step_ms: int) -> Series:
        """Return means of the good readings of one point, one for each step that has some, at its start.

        Steps of whole minutes are made of the sealed means of minutes, also where readings were dropped.

        Args:
            key: The point's key.
            from_ms: Start [ms], a multiple of the step.
            to_ms: End [ms].
            step_ms: Length of a step [ms].

        Raises:
            KeyError: Where no such point is known.
        """
        is_whole = step_ms % MINUTE_MS == 0 and from_ms % MINUTE_MS == 0
        split_ms = max(from_ms, to_ms // MINUTE_MS * MINUTE_MS) if is_whole else from_ms
        with self._lock:
            number, point = self._known(key)
            minutes, rows = self._read(key, number, (from_ms, split_ms, to_ms))
        good = rows.take((rows.quality == Quality.GOOD) & ~np.isnan(rows.value))
        times = np.concatenate([minutes["time"], good.source_ms]) // step_ms * step_ms
        counts = np.concatenate([minutes["count"], np.ones(len(good), np.int64)])
        totals = np.concatenate([minutes["mean"] * minutes["count"], good.value])
        order = np.argsort(times, kind="stable")
        starts = np.flatnonzero(_is_new(times[order]))
        means = np.add.reduceat(totals[order], starts) / np.add.reduceat(counts[order], starts)
        return Series(key, point.unit, times[order][starts], means, np.zeros(len(means), np.int64))

    def draw(self, tenant: str, figure: str, from_ms: int, to_ms: int) -> Series:
        """Return one figure of a tenant's draw in a span, start included and end not; power in MW.

        A tenant of whom nothing is stored has an empty series.

        Args:
            tenant: The tenant's id.
            figure: `low`, `best`, `high`, `limit`, `coverage`, `demand` or `forecast`.
            from_ms: Start [ms].
            to_ms: End [ms].

        Raises:
            KeyError: Where there is no such figure, or there can be no such tenant.
        """
        if figure not in _FIGURES:
            raise KeyError(f"no figure {figure!r}; {nearest(figure, _FIGURES) or ', '.join(_FIGURES)}")
        if not is_name(tenant):
            raise KeyError(f"no tenant {tenant!r}: expected {NAME_RULE}")
        column, unit, scale = _FIGURES[figure]
        with self._lock:
            since = read_sealed(self._root)
            tail = self._series(tenant, column, (from_ms, to_ms), since.tick_ms)
            sealed, [rows] = self._settled(
                lambda sealed: [self._select(sealed, Table.DRAW, (column,), tenant, (from_ms, to_ms))]
            )
        later = [(at_ms, value) for at_ms, value in tail if at_ms > sealed.tick_ms]
        time = np.concatenate([rows["time"], np.array([at_ms for at_ms, _ in later], np.int64)])
        value = np.concatenate([rows[column], np.array([value for _, value in later], np.float64)])
        order = np.argsort(time, kind="stable")
        name = f"{tenant} {figure}"
        return Series(name, unit, time[order], value[order] / scale, np.zeros(len(time), np.int64))

    def _known(self, key: str) -> tuple[int, Point]:
        if key not in self._points:
            known = self._journal.known().values()
            self._points = {one.point.key: (one.id, one.point) for one in known}
        if key not in self._points:
            hint = nearest(key, self._points) if len(key) <= PATH_LENGTH else ""
            raise KeyError(
                f"no point {key[:PATH_LENGTH]!r}; {hint}" if hint else f"no point {key[:PATH_LENGTH]!r}"
            )
        return self._points[key]

    def _read(self, key: str, number: int, span: tuple[int, int, int]) -> tuple[Columns, Batch]:
        """Return what is known of a point from a start to an end, and nothing twice.

        Args:
            key: The point's key.
            number: Its number.
            span: Start, end of what may be read as means of minutes, end [ms].

        Returns:
            Means of minutes, of what is sealed before the second of the three; all other readings, in
            order, the first one received at each moment.
        """
        start, split, end = span
        since = read_sealed(self._root)
        tail = self._tail(number, (start, end), since.seq)
        sealed, [minutes, rows] = self._settled(
            lambda sealed: [
                self._select(sealed, Table.MINUTE, ("mean", "count"), key, (start, split)),
                self._select(
                    sealed, Table.READING, ("received", "value", "quality", "flags"), key, (split, end)
                ),
            ]
        )
        point = np.full(len(rows["time"]), number)
        stored = Batch.of(
            [point, *(rows[name] for name in ("time", "received", "value", "quality", "flags"))]
        )
        batch = Batch.concatenate([stored, *(batch for seq, batch in tail if seq > sealed.seq)])
        batch = batch.take(np.lexsort((batch.received_ms, batch.source_ms)))
        return minutes, batch.take(_is_new(batch.source_ms))

    def _settled(self, read: Callable[[Sealed], list[Columns]]) -> tuple[Sealed, list[Columns]]:
        """Read the parts that count, all of one moment, which is after the tail was read.

        What was taken out of the journal since then is in these parts.
        """
        for _ in range(TRIES):
            with suppress(_ChangedError):
                sealed = read_sealed(self._root)
                return sealed, read(sealed)
        raise StoreUnavailable(str(self._root), "its files change all the time, or some are missing")

    def _select(
        self, sealed: Sealed, table: Table, columns: Sequence[str], subject: str, span: tuple[int, int]
    ) -> Columns:
        """Return the rows of a point or a tenant in a span.

        The newest parts come first: the last one of an hour may be replaced at any moment, and is then open.
        """
        start, end = (min(max(ms, -FARTHEST_MS), FARTHEST_MS) for ms in span)
        found = parts(self._root, sealed, table, start, end) if start < end else []
        if read_sealed(self._root) != sealed:
            raise _ChangedError
        names = ("time", *columns)
        if not found:
            return {name: np.empty(0, np.int64) for name in names}
        wanted = ", ".join(f"{_COLUMNS.get(name, name)} AS {name}" for name in names)
        whose = "tenant" if table is Table.DRAW else "point"
        query = f"SELECT {wanted} FROM {_PARTS.format('$files')} WHERE {whose} = $subject AND {_SPAN}"  # noqa: S608 - our own words
        values: dict[str, object] = {"subject": subject, "start": start * 1_000, "end": end * 1_000}
        values["files"] = [str(part.path) for part in reversed(found)]
        try:
            rows = self._engine.execute(query, values).fetchnumpy()
        except duckdb.IOException as error:
            raise _ChangedError from error
        except duckdb.Error as error:
            raise StoreCorrupt(str(self._root), str(error)) from error
        return {name: _filled(column) for name, column in rows.items()}

    def _tail(self, number: int, span: tuple[int, int], after_seq: int) -> list[tuple[int, Batch]]:
        """Return the readings of a point in the journal's tail, with the entries they are in."""
        found = []
        page = self._journal.read(after_seq, PAGE)
        while page:
            for entry in page:
                if isinstance(entry.content, Batch):
                    batch = entry.content
                    rows = (batch.point == number) & (batch.quality != Quality.REFUSED)
                    rows &= (batch.source_ms >= span[0]) & (batch.source_ms < span[1])
                    found.append((entry.seq, batch.take(rows)))
            page = self._journal.read(page[-1].seq, PAGE)
        return found

    def _series(
        self, tenant: str, column: str, span: tuple[int, int], after_ms: int
    ) -> list[tuple[int, float]]:
        """Return a column of a tenant in the ledger's tail, with the ticks [ms]."""
        try:
            self._ledger = self._ledger or LedgerReader(self._folder)
        except StoreUnavailable:  # no engine has run yet
            return []
        found = []
        page = self._ledger.series(0, PAGE)
        while page:
            for _, at_ms, draws in page:
                if at_ms > after_ms and span[0] <= at_ms < span[1]:
                    values = [getattr(draw, column) for draw in draws if draw.tenant == tenant]
                    found += [(at_ms, np.nan if value is None else value) for value in values]
            page = self._ledger.series(page[-1][0], PAGE)
        return found


def _filled(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column with NaN where it has no value."""
    if not isinstance(column, np.ma.MaskedArray):
        return column
    filled: NDArray[Any] = np.ma.filled(column.astype(np.float64), np.nan)
    return filled
