"""Readings that come late: each stored once, found by the second in which it was measured."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

import store.journal.index
from facility.errors import StoreCorrupt
from facility.invariants import present
from facility.readings import BoolArray, FloatArray, IntArray
from store.journal.file import FILE, Account
from store.journal.index import Index
from store.journal.journal import WARM_MS, Journal
from store.journal.newest import KEEP_MS
from testing.builders import T0_MS
from testing.store.journals import Reading, everything, readings, rows_of

LAG_MS = 10 * WARM_MS
APPENDS = 300
STEP_MS = 1_100


def of(number: int) -> tuple[Reading, Reading]:
    """Return what came with an append: a reading of a clock that is right, and one of a slow clock."""
    at_ms = T0_MS + number * STEP_MS
    return (0, at_ms, float(number)), (1, at_ms - LAG_MS, -float(number))


def filled(folder: Path) -> Journal:
    """Return a journal of readings of both clocks, opened anew."""
    with closing(Journal(folder)) as journal:
        journal.append(readings(known=["r1", "r2"]), T0_MS)
        for number in range(APPENDS):
            journal.append(readings(*of(number)), T0_MS + number * STEP_MS)
    return Journal(folder)


def count(path: Path, table: str) -> int:
    """Return how many rows a table has."""
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608 - our own names


def lose_newest(path: Path) -> None:
    """Let a file be one in which the newest times were never kept."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM newest")


def damage_newest(path: Path) -> None:
    """Let what a file keeps of the newest times be damaged."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE newest SET body = substr(body, 1, length(body) - 3)")


def make_old(path: Path) -> None:
    """Let a file be one of version 1."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for table in ("newest", "entry_second", "entry_unindexed"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("CREATE INDEX entry_span ON entry (last_ms, first_ms) WHERE kind = 0")
        connection.execute("PRAGMA user_version = 1")


@pytest.mark.parametrize("change", [None, lose_newest, damage_newest, make_old])
def test_whatever_was_stored_is_known_after_a_restart(
    tmp_path: Path, change: Callable[[Path], None] | None
) -> None:
    """Of both clocks, however long ago it came, also where the file is old or lacks what helps a start."""
    filled(tmp_path).close()
    if change is not None:
        change(tmp_path / FILE)

    with closing(Journal(tmp_path)) as journal:
        again = [journal.append(readings(*of(number)), T0_MS + 10**6) for number in range(APPENDS)]
        fresh = journal.append(readings((0, T0_MS + 1, 1.0), (1, T0_MS + 1 - LAG_MS, 1.0)), T0_MS + 10**6)
        stored = rows_of(everything(journal))

    assert again == [Account(duplicates=2)] * APPENDS
    assert fresh == Account(stored=2)
    assert len(stored) == len(set(stored)) == 2 * APPENDS + 2


def test_a_start_knows_the_newest_reading_of_each_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next reading of a slow clock is newer than its point's last: nothing is looked up for it."""
    journal = filled(tmp_path)
    asked: list[IntArray] = []
    find = Index.find

    def noted(self: Index, point: IntArray, source_ms: IntArray) -> tuple[BoolArray, FloatArray]:
        asked.append(point)
        return find(self, point, source_ms)

    monkeypatch.setattr(Index, "find", noted)

    for number in range(APPENDS, APPENDS + 5):
        journal.append(readings(*of(number)), T0_MS + number * STEP_MS)

    assert not asked
    assert journal.append(readings(*of(0)), T0_MS + 10**6) == Account(duplicates=2)
    assert [points.tolist() for points in asked] == [[0, 1]]
    journal.close()


def test_the_newest_times_are_kept_now_and_then(tmp_path: Path) -> None:
    """Each minute by the stamps, not with each append."""
    with closing(Journal(tmp_path)) as journal:
        connection = present(journal._connection, "a connection")
        statements: list[str] = []
        connection.set_trace_callback(statements.append)
        for number in range(100):
            journal.append(readings((0, T0_MS + number, 1.0)), T0_MS + number * KEEP_MS // 20)

    assert sum("INTO newest" in statement for statement in statements) == 5


def test_a_value_that_differs_is_found_as_well(tmp_path: Path) -> None:
    """It is a conflict with the value on the disk, whenever that came."""
    journal = filled(tmp_path)
    point, at_ms, value = of(7)[1]

    added = journal.append(readings((point, at_ms, value + 1), (point, at_ms, value)), T0_MS + 10**6)

    assert added == Account(duplicates=1, dead_lettered={"conflicting-value": 1})
    journal.close()


def test_what_is_salvaged_is_known(tmp_path: Path) -> None:
    """A file that was made anew is indexed anew: its old index may lack anything."""
    journal = filled(tmp_path)
    present(journal._connection, "a connection").execute("DELETE FROM entry_second WHERE seq % 2")

    journal._renew(StoreCorrupt(str(journal.path), "damaged"))

    assert count(tmp_path / FILE, "entry_second") == 0
    again = [journal.append(readings(*of(number)), T0_MS + 10**6) for number in range(APPENDS)]
    assert again == [Account(duplicates=2)] * APPENDS
    journal.close()


def test_entries_of_an_older_version_are_indexed_once(tmp_path: Path) -> None:
    """When they are first looked for, and no others; those that are trimmed never."""
    filled(tmp_path).close()
    make_old(tmp_path / FILE)
    journal = Journal(tmp_path)

    journal.append(readings(of(3)[1]), T0_MS + 10**6)
    left = count(tmp_path / FILE, "entry_unindexed")
    journal.append(readings(of(3)[1]), T0_MS + 10**6)

    assert 0 < left < APPENDS
    assert count(tmp_path / FILE, "entry_unindexed") == left
    journal.set_reader("rules", journal.head_seq)
    journal.trim(T0_MS + 10**9, 10**12)
    assert count(tmp_path / FILE, "entry_unindexed") == 1, "the last entry stays"
    journal.close()


def test_a_second_that_many_entries_lie_across_is_looked_up_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries of many seconds, little memory: the same answers."""
    monkeypatch.setattr(store.journal.index, "CACHED_ENTRIES", 3)
    monkeypatch.setattr(store.journal.index, "CACHED_READINGS", 10)
    rows = [(point, T0_MS + at_s * 1_000 + point, float(at_s)) for at_s in range(50) for point in range(4)]
    with closing(Journal(tmp_path)) as journal:
        journal.append(readings(known=["r1", "r2", "r3", "r4"]), T0_MS)
        for first in range(4):
            journal.append(readings(*rows[first::4]), T0_MS)
        index = present(journal._index, "an index")
        asked = [*rows, *((point, at_ms + 500, 0.0) for point, at_ms, _ in rows)]

        found, value = index.find(column(asked, 0), column(asked, 1))

        assert found.tolist() == [True] * len(rows) + [False] * len(rows)
        assert value[: len(rows)].tolist() == [row[2] for row in rows]
        assert np.isnan(value[len(rows) :]).all()
        assert index._cached_readings == sum(map(len, index._cache.values())) <= 50
        assert len(index._cache) <= 3


def column(rows: list[Reading], place: int) -> IntArray:
    """Return the points or the times of readings."""
    return np.array([row[place] for row in rows], np.int64)


def test_the_index_of_what_was_trimmed_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few rows with each trimming, wherever they lie; what is kept is known."""
    monkeypatch.setattr(store.journal.index, "MOST_SWEPT", 50)
    journal = filled(tmp_path)
    journal.set_reader("rules", journal.head_seq)
    indexed = count(tmp_path / FILE, "entry_second")
    kept = APPENDS // 3

    for _ in range(2 * indexed // 50):
        journal.trim(T0_MS + (APPENDS - kept) * STEP_MS, 10**12)

    per_entry = indexed / APPENDS
    assert count(tmp_path / FILE, "entry_second") == pytest.approx(kept * per_entry, abs=per_entry)
    again = [journal.append(readings(*of(i)), T0_MS + 10**6) for i in range(APPENDS - kept, APPENDS)]
    assert again == [Account(duplicates=2)] * kept
    journal.close()
