"""A database that is damaged is put aside, and a new one begins with what can still be read of it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

import structlog

from facility.errors import StoreUnavailable
from store.history.integrity import place_aside
from store.sqlite import Migration, columns_of, open_writer, transaction

_MOST_SKIPS: Final = 200
"""How often what cannot be read is skipped in a table: twice as much each time, as far as it fails."""

_log = structlog.get_logger(__name__)


def renew(path: Path, migrations: Sequence[Migration], cause: str) -> Path:
    """Put a damaged database aside; make a new one, of what can be read of it.

    Args:
        path: The damaged SQLite file.
        migrations: What makes its tables.
        cause: What is wrong with it.

    Returns:
        Where the damaged one is now.

    Raises:
        StoreUnavailable: Where the disk refuses.
    """
    try:
        place = place_aside(path.parent, path)
        for suffix in ("-wal", "-shm"):
            log = path.with_name(path.name + suffix)
            if log.exists():
                log.rename(place.with_name(place.name + suffix))
        path.rename(place)
    except OSError as error:
        raise StoreUnavailable(str(path), str(error)) from error
    with closing(open_writer(path, migrations)) as new:
        counts = {table: _copy(place, new, table) for table in columns_of(new)}
        _copy_numbers(place, new)
    _log.error("a damaged file was put aside", file=str(place), cause=cause, rows_kept=counts)
    return place


def _copy(place: Path, new: sqlite3.Connection, table: str) -> int:
    """Copy what can be read of a table; return how many rows."""
    count = 0
    try:
        with (
            closing(sqlite3.connect(f"{place.absolute().as_uri()}?mode=ro", uri=True)) as old,
            transaction(new),
        ):
            old.text_factory = lambda text: text.decode("utf-8", "replace")
            columns = [name for name in columns_of(old).get(table, ()) if name in columns_of(new)[table]]
            names = ", ".join(f'"{name}"' for name in columns)
            put = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - our own names
            for row in _rows(old, table, names) if columns else ():
                try:
                    count += new.execute(put, row).rowcount
                except (sqlite3.Error, OverflowError):
                    continue  # a value that is none any more
    except (sqlite3.Error, UnicodeError):
        return count
    return count


def _copy_numbers(place: Path, new: sqlite3.Connection) -> None:
    """Let no number be given again that was given, whether its row could be read or not."""
    with (
        suppress(sqlite3.Error, OverflowError, UnicodeError),
        closing(sqlite3.connect(f"{place.absolute().as_uri()}?mode=ro", uri=True)) as old,
        transaction(new),
    ):
        for table, number in old.execute(
            "SELECT name, seq FROM sqlite_sequence WHERE seq < 1 << 60"
        ).fetchall():
            put = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ?"
            if not new.execute(put, (number, table)).rowcount:
                new.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, number))


def _rows(old: sqlite3.Connection, table: str, names: str) -> Iterator[Sequence[Any]]:
    """Yield the rows of a table; where some cannot be read, go on behind them."""
    try:
        old.execute(f"SELECT rowid FROM {table} LIMIT 0")  # noqa: S608 - our own names
    except sqlite3.OperationalError:  # it has none, so there is no place to go on from
        yield from _until_damage(old.execute(f"SELECT {names} FROM {table}"))  # noqa: S608 - likewise
        return
    after, skip = -(2**63), 1
    query = f"SELECT rowid, {names} FROM {table} WHERE rowid > ? ORDER BY rowid"  # noqa: S608 - likewise
    for _ in range(_MOST_SKIPS):
        try:
            for row in old.execute(query, (after,)):
                after, skip = row[0], 1
                yield row[1:]
        except sqlite3.DatabaseError:
            after = min(max(after, 0) + skip, 2**62)
            skip = min(skip * 2, 2**60)
        else:
            return


def _until_damage(rows: sqlite3.Cursor) -> Iterator[Sequence[Any]]:
    try:
        yield from rows
    except sqlite3.DatabaseError:
        return
