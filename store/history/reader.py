"""The embedded history as it is read: sealed Parquet files, and the journal's and the ledger's tail.

How the files lie and what makes them count: `store.history.parquet`. What is not sealed yet is read from the
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
import structlog
from numpy.typing import NDArray

from facility.errors import StoreCorrupt, StoreUnavailable
from facility.instants import HOUR_MS, MINUTE_MS
from facility.points import Point
from facility.readings import Batch, Quality
from store.base import Series, computed, figure_of, mean_series, need_tenant, no_point, span_of, step_of
from store.history.integrity import is_whole
from store.history.parquet import (
    FOLDER,
    PARTS,
    Columns,
    Part,
    Sealed,
    Table,
    hour_of,
    open_engine,
    parts,
    read_sealed,
)
from store.journal.file import JournalReader
from store.ledger.ledger import LedgerReader
from store.means.means import Ask, Means, hold_ms, is_new, kept_means, means_of, means_over
from store.series import TenantDraw, tenants_of

TRIES: Final = 10
"""How often a read is begun again because files changed under it, which they do for a moment in each seal."""
PAGE: Final = 1_000
"""Columns of the journal and the ledger that are taken at once."""

FARTHEST_SEQ: Final = 2**62
CHECKED_BYTES: Final = 32 * 2**20
"""Up to this size a part is held against its checksum when it is read, which takes some 30 ms; the writer
looks at the larger ones (our choice)."""

_log = structlog.get_logger(__name__)

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
        self._whole: dict[tuple[Path, int, int], bool] = {}

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
            hold = self._hold_ms(point)
            ask = partial(self._readings, key, number)
            means = means_over(ask, partial(self._means, key, ask, hold), hold, span, step)
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
                lambda sealed: [self._select(sealed, Table.DRAW, names, tenant, span, [])]
            )
        later = [(at_ms, values) for at_ms, values in tail if at_ms > sealed.tick_ms]
        time = np.concatenate([rows["time"], np.array([at_ms for at_ms, _ in later], np.int64)])
        columns = [
            np.concatenate([rows[name], np.array([values[place] for _, values in later], np.float64)])
            for place, name in enumerate(names)
        ]
        value = columns[0] - columns[1] if len(columns) > 1 else columns[0]
        order = np.argsort(time, kind="stable")
        return computed(f"{tenant} {figure}", wanted.unit, time[order], value[order] / wanted.per_unit)

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
        damaged: list[Part] = []
        sealed, [rows] = self._settled(
            lambda sealed: [self._select(sealed, Table.READING, names, key, span, damaged)]
        )
        stored = Batch.of([np.full(len(rows["time"]), number), *(rows[name] for name in ("time", *names))])
        # What a damaged part held, the journal may still hold.
        again = [
            batch
            for part in dict.fromkeys(damaged)
            for _, batch in self._tail(number, span, part.first - 1, part.last)
        ]
        batch = Batch.concatenate([stored, *again, *(batch for seq, batch in tail if seq > sealed.seq)])
        batch = batch.take(np.lexsort((batch.received_ms, batch.source_ms)))
        return batch.take(is_new(batch.source_ms))

    def _means(self, key: str, ask: Ask, hold: int, step_ms: int, span: tuple[int, int]) -> Means:
        """Return the sealed means of a point in a span, of each step the fullest.

        Where a part of an hour is damaged, its means are made of the readings again.
        """
        table = Table.MINUTE if step_ms == MINUTE_MS else Table.QUARTER
        names = ("mean", "covered_ms", "min", "max", "seq")
        damaged: list[Part] = []
        _, [rows] = self._settled(lambda sealed: [self._select(sealed, table, names, key, span, damaged)])
        order = np.lexsort((rows["seq"], rows["time"]))
        order = order[np.append(is_new(rows["time"][order])[1:], values=True)] if len(order) else order
        time, mean, covered, low, high, _ = (rows[name][order] for name in ("time", *names))
        means = kept_means(step_ms, time, mean, covered, (low, high))
        for hour_ms in sorted({hour_of(part.path) for part in damaged}):
            hour = max(hour_ms, span[0]), min(hour_ms + HOUR_MS, span[1])
            means = means.take((means.start_ms < hour[0]) | (means.start_ms >= hour[1]))
            again = means_of(ask((hour[0] - hold, hour[1])), hold, hour, step_ms)
            means = means.followed_by(again.take(again.covered_ms > 0))
        return means.take(np.argsort(means.start_ms, kind="stable")) if damaged else means

    def _settled(self, read: Callable[[Sealed], list[Columns]]) -> tuple[Sealed, list[Columns]]:
        """Read the parts that count, all of one moment, which is after the tail was read.

        What was taken out of the journal since then is in these parts.
        """
        for _ in range(TRIES):
            with suppress(_ChangedError, FileNotFoundError):
                sealed = read_sealed(self._root)
                return sealed, read(sealed)
        raise StoreUnavailable(str(self._root), "its files change all the time, or some are missing")

    def _select(
        self,
        sealed: Sealed,
        table: Table,
        columns: Sequence[str],
        subject: str,
        span: tuple[int, int],
        damaged: list[Part],
    ) -> Columns:
        """Return the rows of a point or a tenant in a span; parts that are damaged are left out, and listed.

        The newest parts come first: the last one of an hour may be replaced at any moment, and is then open.
        """
        start, end = span
        found = parts(self._root, sealed, table, start, end) if start < end else []
        if read_sealed(self._root) != sealed:
            raise _ChangedError
        whole = [part for part in found if self._is_whole(part)]
        try:
            rows = self._rows(whole, table, columns, subject, span)
        except duckdb.Error as error:
            if not all(part.path.exists() for part in whole):
                raise _ChangedError from error
            readable = [part for part in whole if self._reads(part, table, columns, subject, span)]
            if readable == whole:
                raise StoreCorrupt(str(self._root), str(error)) from error
            whole = readable
            rows = self._rows(whole, table, columns, subject, span)
        left_out = [part for part in found if part not in whole]
        if left_out:
            _log.warning("damaged parts are left out", parts=[str(part.path) for part in left_out])
            damaged += left_out
        return rows

    def _is_whole(self, part: Part) -> bool:
        """Tell whether a part is what was written, as far as that is looked at here; of each file once."""
        known = part.path.stat()
        name = (part.path, known.st_mtime_ns, known.st_size)
        if name not in self._whole:
            self._whole[name] = known.st_size > CHECKED_BYTES or is_whole(part.path)
        return self._whole[name]

    def _reads(
        self, part: Part, table: Table, columns: Sequence[str], subject: str, span: tuple[int, int]
    ) -> bool:
        try:
            self._rows([part], table, columns, subject, span)
        except duckdb.Error:
            return False
        return True

    def _rows(
        self, found: Sequence[Part], table: Table, columns: Sequence[str], subject: str, span: tuple[int, int]
    ) -> Columns:
        """Return the rows of a point or a tenant in a span, of these parts.

        Raises:
            duckdb.Error: Where one cannot be read.
        """
        names = ("time", *columns)
        if not found:
            return {name: np.empty(0, np.int64) for name in names}
        wanted = ", ".join(f"{_COLUMNS.get(name, name)} AS {name}" for name in names)
        whose = "tenant" if table is Table.DRAW else "point"
        query = f"SELECT {wanted} FROM {PARTS.format('$files')} WHERE {whose} = $subject AND {_SPAN}"  # noqa: S608 - our own words
        values: dict[str, object] = {"subject": subject, "start": span[0] * 1_000, "end": span[1] * 1_000}
        values["files"] = [str(part.path) for part in reversed(found)]
        rows = self._engine.execute(query, values).fetchnumpy()
        return {name: _filled(column) for name, column in rows.items()}

    def _tail(
        self, number: int, span: tuple[int, int], after_seq: int, last_seq: int = FARTHEST_SEQ
    ) -> list[tuple[int, Batch]]:
        """Return the readings of a point in the journal after an entry, with the entries they are in."""
        found = []
        page = self._journal.read(after_seq, PAGE)
        while page and page[0].seq <= last_seq:
            for entry in page:
                if entry.seq > last_seq:
                    break
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
