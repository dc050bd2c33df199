"""Opening SQLite so that a commit means what it says.

Write-ahead mode with full sync: a commit returns after the disk has it, and readers in other processes
are never in the way (SQLite's documentation: write-ahead logging, PRAGMA synchronous). SQLite falls back
silently where a file system can not do this, so the settings are read back and a difference is an error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from threading import RLock
from typing import Concatenate, ParamSpec, TypeVar

from facility.errors import StoreUnavailable

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Guard")

BUSY_MS = 10_000
"""How long a writer waits for another one: longer than any transaction here takes."""


def open_writer(path: Path, schema: str, version: int) -> sqlite3.Connection:
    """Open a database for writing and make its tables where they are missing.

    Args:
        path: The file; its folder is made where it is missing.
        schema: Statements that make every table, each with `IF NOT EXISTS`.
        version: The schema's version; a file of a newer one is refused.

    Raises:
        StoreUnavailable: Where the file can not be opened, or not with full sync.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(str(path), str(error)) from error
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
        (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        problem = ""
        if (mode, synchronous) != ("wal", 2):
            problem = f"expected write-ahead mode with full sync, found mode {mode}, sync {synchronous}"
        elif found > version:
            problem = f"expected schema {version} or older, found {found}"
        else:
            connection.executescript(schema)
            if found != version:
                # Setting it writes, and a file on a full disk must still be opened for reading.
                connection.execute(f"PRAGMA user_version = {version}")
    except sqlite3.Error as error:
        connection.close()
        raise StoreUnavailable(str(path), str(error)) from error
    if problem:
        connection.close()
        raise StoreUnavailable(str(path), problem)
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open a database that somebody else writes, for reading only.

    Raises:
        StoreUnavailable: Where there is none.
    """
    try:
        connection = sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
        )
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error as error:
        raise StoreUnavailable(str(path), str(error)) from error
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Run statements as one synced transaction: all of them, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def saving(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """Run statements as one synced transaction, and say so where the disk does not take it.

    Args:
        connection: An open connection.
        path: Its file.

    Raises:
        StoreUnavailable: Where nothing of it was stored.
    """
    try:
        with transaction(connection):
            yield connection
    except sqlite3.Error as error:
        raise StoreUnavailable(str(path), str(error)) from error


class Guard:
    """A lock for a connection that several threads read with."""

    def __init__(self) -> None:
        self._guard = RLock()


def alone(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Let one thread at a time into a method.

    A connection that is closed while another thread is in the middle of a statement takes the process down;
    one that was closed before is an error of that statement.
    """

    @wraps(method)
    def guarded(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._guard:
            return method(self, *args, **kwargs)

    return guarded  # type: ignore[return-value]
