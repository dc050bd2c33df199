"""The embedded history as it is read: sealed Parquet files, and the journal's and the ledger's tail.

How the files lie and what makes them count: `store.parquet`. What is not sealed yet is read from the
journal and the ledger, so a reading is found the moment it is journalled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any, Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from facility.errors import StoreCorrupt, StoreUnavailable
from facility.instants import MINUTE_MS
from facility.points import Point
from facility.readings import Batch, Quality
from store.base import Series, figure_of, mean_series, need_tenant, no_point, span_of, step_of
from store.journalfile import JournalReader
from store.ledger import LedgerReader
from store.means import Means, hold_ms, is_new, kept_means, means_over
from store.parquet import FOLDER, PARTS, Columns, Sealed, Table, open_engine, parts, read_sealed
from store.series import TenantDraw, tenants_of

TRIES: Final = 10
"""How often a read is begun again because files changed under it, which they do for a moment in each seal."""
PAGE: Final = 1_000
"""Columns of the journal and the ledger that are taken at once."""

_SPAN: Final = "time >= make_timestamptz($start) AND time < make_timestamptz($end)"
# What is read of a part, by the name it gets; all else is read as it is called.
_COLUMNS: Final = MappingProxyType({"time": "epoch_ms(time)", "received": "epoch_ms(received)"})


class _ChangedError(Exception):
    """Files that were to be read are not there any more."""


class ParquetHistory:
    """The history as it is read, from any process, while the monitor writes it.

    What its methods take, give and raise: `store.base.History`. They may be called from any thread, and wait
    for each other.

    Args:
        data_dir: The data folder.
        hold: Tells how long a value stands for its point [ms].

    Raises:
        StoreUnavailable: Where there is no journal.
    """

    def __init__(self, data_dir: Path, hold: Callable[[Point], int] = hold_ms) -> None:
        self._hold_ms = hold
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
        """Return readings, as `History.readings` says."""
        span = span_of(from_ms, to_ms)
        with self._lock:
            number, point = self._known(key)
            rows = self._readings(key, number, span)
        return Series(key, point.shown_unit, rows.source_ms, rows.value, rows.quality.astype(np.int64))

    def means(self, key: str, from_ms: int, to_ms: int, step_ms: int) -> Series:
        """Return means, as `History.means` says; whole minutes also where readings were dropped."""
        span, step = span_of(from_ms, to_ms), step_of(step_ms)
        with self._lock:
            number, point = self._known(key)
            means = means_over(
                lambda part: self._readings(key, number, part),
                partial(self._means, key),
                self._hold_ms(point),
                span,
                step,
            )
        return mean_series(key, point.shown_unit, means)

    def draw(self, tenant: str, figure: str, from_ms: int, to_ms: int) -> Series:
        """Return a figure of a draw, as `History.draw` says."""
        wanted, span = figure_of(figure), span_of(from_ms, to_ms)
        need_tenant(tenant)
        names = wanted.columns
        with self._lock:
            since = read_sealed(self._root)
            tail = self._series(tenant, names, span, since.tick_ms)
            sealed, [rows] = self._settled(
                lambda sealed: [self._select(sealed, Table.DRAW, names, tenant, span)]
            )
        later = [(at_ms, values) for at_ms, values in tail if at_ms > sealed.tick_ms]
        time = np.concatenate([rows["time"], np.array([at_ms for at_ms, _ in later], np.int64)])
        columns = [
            np.concatenate([rows[name], np.array([values[place] for _, values in later], np.float64)])
            for place, name in enumerate(names)
        ]
        value = columns[0] - columns[1] if len(columns) > 1 else columns[0]
        order = np.argsort(time, kind="stable")
        quality = np.zeros(len(time), np.int64)
        return Series(f"{tenant} {figure}", wanted.unit, time[order], value[order] / wanted.per_unit, quality)

    def _known(self, key: str) -> tuple[int, Point]:
        if key not in self._points:
            known = self._journal.known().values()
            self._points = {one.point.key: (one.id, one.point) for one in known}
        if key not in self._points:
            raise no_point(key, self._points)
        return self._points[key]

    def _readings(self, key: str, number: int, span: tuple[int, int]) -> Batch:
        """Return the readings of a point in a span in order of time, of each moment the first received."""
        since = read_sealed(self._root)
        tail = self._tail(number, span, since.seq)
        names = ("received", "value", "quality", "flags")
        sealed, [rows] = self._settled(lambda sealed: [self._select(sealed, Table.READING, names, key, span)])
        stored = Batch.of([np.full(len(rows["time"]), number), *(rows[name] for name in ("time", *names))])
        batch = Batch.concatenate([stored, *(batch for seq, batch in tail if seq > sealed.seq)])
        batch = batch.take(np.lexsort((batch.received_ms, batch.source_ms)))
        return batch.take(is_new(batch.source_ms))

    def _means(self, key: str, step_ms: int, span: tuple[int, int]) -> Means:
        """Return the sealed means of a point in a span, of each step the fullest."""
        table = Table.MINUTE if step_ms == MINUTE_MS else Table.QUARTER
        names = ("mean", "covered_ms", "min", "max", "seq")
        _, [rows] = self._settled(lambda sealed: [self._select(sealed, table, names, key, span)])
        order = np.lexsort((rows["seq"], rows["time"]))
        order = order[np.append(is_new(rows["time"][order])[1:], values=True)] if len(order) else order
        time, mean, covered, low, high, _ = (rows[name][order] for name in ("time", *names))
        return kept_means(step_ms, time, mean, covered, (low, high))

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
        start, end = span
        found = parts(self._root, sealed, table, start, end) if start < end else []
        if read_sealed(self._root) != sealed:
            raise _ChangedError
        names = ("time", *columns)
        if not found:
            return {name: np.empty(0, np.int64) for name in names}
        wanted = ", ".join(f"{_COLUMNS.get(name, name)} AS {name}" for name in names)
        whose = "tenant" if table is Table.DRAW else "point"
        query = f"SELECT {wanted} FROM {PARTS.format('$files')} WHERE {whose} = $subject AND {_SPAN}"  # noqa: S608 - our own words
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
        self, tenant: str, names: Sequence[str], span: tuple[int, int], after_ms: int
    ) -> list[tuple[int, list[float]]]:
        """Return columns of a tenant in the ledger's tail, with the ticks [ms]."""
        try:
            self._ledger = self._ledger or LedgerReader(self._folder)
        except StoreUnavailable:  # no engine has run yet
            return []
        found = []
        page = self._ledger.series(0, PAGE)
        while page:
            for _, at_ms, draws in page:
                if at_ms > after_ms and span[0] <= at_ms < span[1]:
                    found += [
                        (at_ms, _values(draw, names)) for draw in tenants_of(draws) if draw.tenant == tenant
                    ]
            page = self._ledger.series(page[-1][0], PAGE)
        return found


def _values(draw: TenantDraw, names: Sequence[str]) -> list[float]:
    found = [getattr(draw, name) for name in names]
    return [np.nan if value is None else float(value) for value in found]


def _filled(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column with NaN where it has no value."""
    if not isinstance(column, np.ma.MaskedArray):
        return column
    filled: NDArray[Any] = np.ma.filled(column.astype(np.float64), np.nan)
    return filled
