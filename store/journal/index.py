"""Finding readings in the journal by point and source time: an inverted index, kept in its file.

The table `entry_second` has a row for each entry and each second in which readings of it were measured. A
lookup reads the entries of its second and no others: what it costs depends neither on how late readings come,
nor on how long the journal is. Entries of older versions are indexed when they are first looked for.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from pathlib import Path
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from facility.errors import StoreCorrupt
from facility.readings import Batch, BoolArray, FloatArray, IntArray
from store.journal.columns import decode
from store.journal.entries import EntryKind, unseal
from store.journal.intake import readings_of
from store.sqlite import Writer, saving

SECOND_MS: Final = 1_000
DENSE_S: Final = 8
"""An entry whose readings lie within so many seconds is indexed under each of these, which takes no sorting.
Readings that are appended together rarely lie further apart (our choice)."""
CACHED_ENTRIES: Final = 2_000
CACHED_READINGS: Final = 200_000
"""Readings of entries that are kept decoded at most: 6 MB (our choice)."""
MOST_SWEPT: Final = 100_000
"""Rows that are looked through in one sweep: some 10 ms (our choice)."""
_AT_ONCE: Final = 100
"""Entries of older versions that are indexed in one transaction."""
_BEFORE_ALL: Final = -(2**63)

_log = structlog.get_logger(__name__)


def index_readings(connection: sqlite3.Connection, seq: int, source_ms: IntArray) -> None:
    """Index the readings of an entry, within the transaction that writes it.

    Args:
        connection: The journal's file.
        seq: Number of the entry.
        source_ms: Source times of its readings, shape (n,) [ms].
    """
    if not len(source_ms):
        return
    first, last = int(source_ms.min()) // SECOND_MS, int(source_ms.max()) // SECOND_MS
    is_dense = last - first < DENSE_S
    seconds = range(first, last + 1) if is_dense else np.unique(source_ms // SECOND_MS).tolist()
    connection.executemany("INSERT INTO entry_second VALUES (?, ?)", [(second, seq) for second in seconds])


def index_anew(connection: sqlite3.Connection) -> None:
    """Let every entry be indexed when it is first looked for: the index says nothing of the file any more.

    Args:
        connection: The journal's file, in a transaction.
    """
    connection.execute("DELETE FROM entry_second")
    connection.execute("DELETE FROM entry_unindexed")
    connection.execute(
        "INSERT INTO entry_unindexed SELECT seq, first_ms, last_ms FROM entry"
        " WHERE kind = 0 AND typeof(first_ms) = 'integer' AND typeof(last_ms) = 'integer'"
    )


def latest_before(connection: sqlite3.Connection, seq: int) -> int | None:
    """Return a time that no reading in entries before one is later than [ms]; None where there are none."""
    second = connection.execute(
        "SELECT second FROM entry_second WHERE typeof(second) = 'integer' AND seq < ?"
        " ORDER BY second DESC LIMIT 1",
        (seq,),
    ).fetchone()
    unindexed = connection.execute(
        "SELECT last_ms FROM entry_unindexed WHERE typeof(last_ms) = 'integer' AND seq < ?"
        " ORDER BY last_ms DESC LIMIT 1",
        (seq,),
    ).fetchone()
    ends = [] if second is None else [(second[0] + 1) * SECOND_MS - 1]
    ends += [] if unindexed is None else [unindexed[0]]
    return max(ends, default=None)


class Index:
    """The index, with the entries that were looked at last.

    Args:
        connection: The journal's file.
        path: Its path.
    """

    def __init__(self, connection: Writer, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._cache: OrderedDict[int, Batch] = OrderedDict()
        self._cached_readings = 0
        self._swept = _BEFORE_ALL  # seconds before this one were swept
        self._whole: set[int] | None = set()  # seconds of which all entries are indexed; None for all
        if connection.execute("SELECT 1 FROM entry_unindexed LIMIT 1").fetchone() is None:
            self._whole = None

    def find(self, point: IntArray, source_ms: IntArray) -> tuple[BoolArray, FloatArray]:
        """Look readings up.

        Args:
            point: Of which points, shape (n,).
            source_ms: From when, shape (n,) [ms]; no point twice with the same.

        Returns:
            Which of them the journal holds, shape (n,), and their values; NaN for all others.

        Raises:
            StoreError: Where the disk does not take what is indexed only now.
        """
        found, value = np.zeros(len(point), np.bool_), np.full(len(point), np.nan)
        order = np.argsort(source_ms, kind="stable")
        seconds = source_ms[order] // SECOND_MS
        for rows in np.split(order, np.flatnonzero(np.diff(seconds)) + 1):
            second = int(source_ms[rows[0]]) // SECOND_MS
            self._make_whole(second)
            self._find_within(second, rows, (point, source_ms), (found, value))
        return found, value

    def _find_within(
        self,
        second: int,
        rows: IntArray,
        wanted: tuple[IntArray, IntArray],
        answer: tuple[BoolArray, FloatArray],
    ) -> None:
        (point, source_ms), (found, value) = wanted, answer
        keys = _keys(point[rows], source_ms[rows], second)
        order = np.argsort(keys)
        keys, rows = keys[order], rows[order]
        held = self._connection.execute(
            "SELECT seq FROM entry_second WHERE second = ? ORDER BY seq", (second,)
        ).fetchall()
        for (seq,) in held:
            batch = self._readings(seq)
            within = np.flatnonzero(batch.source_ms // SECOND_MS == second)
            have = _keys(batch.point[within], batch.source_ms[within], second)
            place = np.minimum(np.searchsorted(keys, have), len(keys) - 1)
            same = keys[place] == have
            found[rows[place[same]]] = True
            value[rows[place[same]]] = batch.value[within[same]]
            if found[rows].all():
                return

    def _readings(self, seq: int) -> Batch:
        """Return the readings of an entry; none where it is gone or damaged."""
        batch = self._cache.get(seq)
        if batch is not None:
            self._cache.move_to_end(seq)
            return batch
        row = self._connection.execute(
            "SELECT seq, stamp_ms, body FROM entry WHERE seq = ?", (seq,)
        ).fetchone()
        batch = Batch.empty() if row is None else read_readings(row, self._path)
        self._cache[seq] = batch
        self._cached_readings += len(batch)
        while len(self._cache) > CACHED_ENTRIES or (
            self._cached_readings > CACHED_READINGS and len(self._cache) > 1
        ):
            self._cached_readings -= len(self._cache.popitem(last=False)[1])
        return batch

    def _make_whole(self, second: int) -> None:
        """Index the entries of older versions that may hold readings of a second."""
        if self._whole is None or second in self._whole:
            return
        while rows := self._connection.execute(
            "SELECT seq, stamp_ms, body FROM entry_unindexed JOIN entry USING (seq)"
            " WHERE entry_unindexed.last_ms >= ? AND entry_unindexed.first_ms < ? LIMIT ?",
            (second * SECOND_MS, (second + 1) * SECOND_MS, _AT_ONCE),
        ).fetchall():
            with saving(self._connection, self._path) as connection:
                for row in rows:
                    index_readings(connection, row[0], read_readings(row, self._path).source_ms)
                connection.executemany("DELETE FROM entry_unindexed WHERE seq = ?", [row[:1] for row in rows])
        self._whole.add(second)

    def trim(self) -> None:
        """Forget entries that were dropped, within the transaction that drops them.

        Rows of them go as a sweep comes by: they lie anywhere, as their readings were measured at any time.
        """
        connection = self._connection
        first = connection.execute("SELECT seq FROM entry WHERE kind = 0 ORDER BY seq LIMIT 1").fetchone()
        if first is None:
            return
        last_seq = first[0] - 1
        for seq in [seq for seq in self._cache if seq <= last_seq]:
            self._cached_readings -= len(self._cache.pop(seq))
        connection.execute("DELETE FROM entry_unindexed WHERE seq <= ?", (last_seq,))
        end = connection.execute(
            "SELECT second FROM entry_second WHERE second >= ? ORDER BY second LIMIT 1 OFFSET ?",
            (self._swept, MOST_SWEPT),
        ).fetchone()
        connection.execute(
            "DELETE FROM entry_second WHERE second >= ? AND second <= coalesce(?, second) AND seq <= ?",
            (self._swept, None if end is None else end[0], last_seq),
        )
        self._swept = _BEFORE_ALL if end is None else end[0] + 1


def read_readings(row: tuple[int, int, bytes], path: Path) -> Batch:
    """Return the readings of an entry; none where it is damaged: they are taken again when they come again.

    Args:
        row: Its number, stamp [ms] and body.
        path: The journal's file.
    """
    seq, stamp_ms, body = row
    where = f"{path}, entry {seq}"
    try:
        return readings_of(decode(unseal(body, where, stamp_ms, EntryKind.READINGS), where))
    except StoreCorrupt as error:
        _log.error("journal damaged", error=str(error))
        return Batch.empty()


def _keys(point: NDArray[np.signedinteger], source_ms: IntArray, second: int) -> IntArray:
    """Return a number for each point and time within a second."""
    return point.astype(np.int64) * SECOND_MS + (source_ms - second * SECOND_MS)
