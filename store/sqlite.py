"""Opening SQLite so that a commit means what it says, and files of older versions are brought up to date.

Write-ahead mode with full sync: a commit returns after the disk has it, and readers in other processes
are never in the way (SQLite's documentation: write-ahead logging, PRAGMA synchronous). SQLite falls back
silently where a file system cannot do this, so the settings are read back and a difference is an error.

A sync that failed proves nothing, and nor does one that succeeds after it: the system may have dropped what
was to be written and call it clean, while everybody still reads it from memory. So after a failure, and after
each start, nothing more is written before what the log holds has been written once more and synced (`prove`).

A file carries the number of migrations that made it. One that has fewer gets the others, all of them in one
transaction; then its tables are held against those that the migrations make. What is neither is refused.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import wraps
from pathlib import Path
from threading import RLock
from typing import Concatenate, Final, ParamSpec, TypeVar

from facility.errors import ContentRefused, StoreCorrupt, StoreError, StoreForeign, StoreUnavailable

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Guard")

Migration = Sequence[str | Callable[[sqlite3.Connection], None]]
"""What makes a file of the next version: statements in order, and functions where statements do not do.

A list of migrations only ever grows at its end: the file's version is how many of them it has had.
"""

BUSY_MS = 10_000
"""How long a writer waits for another one: longer than any transaction here takes."""

_PRIMARY: Final = 0xFF
"""The part of a result code that tells the kind of failure."""
_CONTENT: Final = frozenset(
    {sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_RANGE}
)
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})
_TAKEN_BACK: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY})
"""Failures after which a transaction is undone for certain, before anything was to be synced."""
_BLOCK_BYTES: Final = 1 << 20
REFUSALS: Final = (OverflowError, UnicodeError)
"""What is raised, apart from errors of SQLite, for a value that it cannot hold."""


class Writer(sqlite3.Connection):
    """A connection that writes.

    Attributes:
        is_proven: Whether the disk has all that the file shows.
    """

    is_proven = False


def primary_code(error: sqlite3.Error) -> int | None:
    """Return the kind of failure that SQLite reports, None where it reports none."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & _PRIMARY


def is_refusal(error: Exception) -> bool:
    """Tell whether what was raised while something was written is the fault of what was to be written."""
    return not isinstance(error, sqlite3.Error) or primary_code(error) in _CONTENT


def failure(path: Path, error: Exception) -> StoreError:
    """Return an error of SQLite as one of a store.

    Args:
        path: The file.
        error: An error of SQLite, or one of `REFUSALS`.

    Returns:
        `ContentRefused` where the content is at fault, `StoreCorrupt` or `StoreForeign` where the file is,
        `StoreUnavailable` where the same may be taken later.
    """
    if isinstance(error, UnicodeDecodeError):  # SQLite quotes what it found
        return StoreCorrupt(str(path), str(error))
    if is_refusal(error):
        return ContentRefused(str(path), str(error))
    code = primary_code(error) if isinstance(error, sqlite3.Error) else None
    if code in _DAMAGED:
        return StoreCorrupt(str(path), str(error))
    if code == sqlite3.SQLITE_ERROR:
        return StoreForeign(str(path), f"its tables are not those of this version: {error}")
    return StoreUnavailable(str(path), str(error))


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Let errors of SQLite be those of a store.

    Raises:
        StoreError: As `failure` says.
    """
    try:
        yield
    except (sqlite3.Error, *REFUSALS) as error:
        raise failure(path, error) from error


def open_writer(path: Path, migrations: Sequence[Migration]) -> Writer:
    """Open a database for writing, and bring it up to date.

    Args:
        path: The file; it and its folder are made where they are missing.
        migrations: What makes its tables.

    Raises:
        StoreUnavailable: Where the file cannot be opened, or not with full sync.
        StoreCorrupt: Where it is damaged.
        StoreForeign: Where it is not one of ours, or of a newer version.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, factory=Writer)
    except (OSError, sqlite3.Error) as error:
        raise StoreUnavailable(str(path), str(error)) from error
    try:
        with told(path):
            connection.text_factory = _as_text
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            _need_version(path, connection, range(len(migrations) + 1))
            _sync_fully(path, connection)
            _migrate(path, connection, migrations)
    except BaseException:
        connection.close()
        raise
    return connection


def open_reader(path: Path, migrations: Sequence[Migration]) -> sqlite3.Connection:
    """Open a database that another process writes, for reading only.

    Args:
        path: The file.
        migrations: What makes its tables.

    Raises:
        StoreUnavailable: Where there is none, or nothing in it yet.
        StoreCorrupt: Where it is damaged.
        StoreForeign: Where it is not one of ours, or of another version.
    """
    # Beside a log SQLite makes a file of its own. Where it cannot, and there is no log, nothing changes.
    is_fixed = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    address = f"{path.absolute().as_uri()}?mode=ro{'&immutable=1' if is_fixed else ''}"
    try:
        connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    except sqlite3.Error as error:
        raise StoreUnavailable(str(path), str(error)) from error
    try:
        with told(path):
            connection.text_factory = _as_text
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
            connection.execute("PRAGMA query_only = ON")
            _need_content(path, connection)
            _need_version(path, connection, range(len(migrations), len(migrations) + 1))
    except BaseException:
        connection.close()
        raise
    return connection


def _as_text(data: bytes) -> str:
    """Return a text, also where it is damaged: the reader tells what it is worth."""
    return data.decode("utf-8", "replace")


def check(connection: Writer, path: Path) -> None:
    """Look through all of a small file; it is closed where it is damaged.

    Raises:
        StoreCorrupt: Where it is.
    """
    try:
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.Error as error:
        connection.close()
        raise failure(path, error) from error
    if found != "ok":
        connection.close()
        raise StoreCorrupt(str(path), found)


def _sync_fully(path: Path, connection: sqlite3.Connection) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute("PRAGMA synchronous = FULL")
    (synchronous,) = connection.execute("PRAGMA synchronous").fetchone()
    if (mode, synchronous) != ("wal", 2):
        found = f"mode {mode}, sync {synchronous}"
        raise StoreUnavailable(str(path), f"expected write-ahead mode with full sync, found {found}")


def _need_content(path: Path, connection: sqlite3.Connection) -> None:
    if not _version(connection) and not columns_of(connection):
        raise StoreUnavailable(str(path), "nothing has been written to it yet")


def _need_version(path: Path, connection: sqlite3.Connection, taken: range) -> None:
    """Make sure that a file is of a version that is taken.

    Raises:
        StoreForeign: Where it is not.
    """
    found, newest = _version(connection), taken[-1]
    if found not in taken:
        older = found in range(1, newest)
        what = f"version {newest}" if len(taken) == 1 else f"version {newest} or older"
        remedy = "start the monitor once, which brings it up to date" if older else ""
        remedy = remedy or "run the version of Megawatch that wrote it, or move the file away"
        raise StoreForeign(str(path), f"expected {what}, found version {found}: {remedy}")
    if not found and columns_of(connection):
        tables = ", ".join(columns_of(connection))
        raise StoreForeign(str(path), f"expected a file of Megawatch, found one with the tables {tables}")


def _migrate(path: Path, connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    """Bring a file up to date; one that is gets no write, for a full disk would refuse it.

    Raises:
        StoreForeign: Where its tables are not what the migrations make.
    """
    if _version(connection) < len(migrations):
        with transaction(connection):
            # Another process may have done so meanwhile.
            _apply(connection, migrations[_version(connection) :])
            connection.execute(f"PRAGMA user_version = {len(migrations)}")
    with closing(sqlite3.connect(":memory:")) as pattern:
        _apply(pattern, migrations)
        expected = columns_of(pattern)
    found = columns_of(connection)
    for name, columns in expected.items():
        if found.get(name) != columns:
            have = f"({', '.join(found[name])})" if name in found else "none"
            wanted = f"{name} ({', '.join(columns)})"
            cause = f"expected a table {wanted} in version {len(migrations)}, found {have}"
            raise StoreForeign(str(path), f"{cause}: move the file away, and it is made anew")


def _apply(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    for migration in migrations:
        for step in migration:
            if callable(step):
                step(connection)
            else:
                connection.execute(step)


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def columns_of(connection: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    """Return the names of the columns of each table, by its name."""
    rows = connection.execute(
        "SELECT t.name, c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c"
        " WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.cid"
    )
    found: dict[str, tuple[str, ...]] = {}
    for table, column in rows:
        found[table] = (*found.get(table, ()), column)
    return found


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
def saving(connection: Writer, path: Path) -> Iterator[Writer]:
    """Run statements as one synced transaction, and say so where nothing of it was stored.

    Args:
        connection: An open connection.
        path: Its file.

    Raises:
        StoreUnavailable: Where the disk does not take it now.
        ContentRefused: Where it cannot be kept, now or later.
        StoreCorrupt: Where the file is damaged.
    """
    with told(path):
        prove(connection, path)
        try:
            with transaction(connection):
                yield connection
        except sqlite3.Error as error:
            connection.is_proven = primary_code(error) in _TAKEN_BACK | _CONTENT
            raise


def prove(connection: Writer, path: Path) -> None:
    """Return once the disk has all that a file shows, which after a failed sync is not known.

    Every byte of the log is written again, so that this sync is about all of them. The database itself needs
    no such thing: a part of the log is given up only when a sync of what was copied from it has succeeded.

    Args:
        connection: An open connection.
        path: Its file.

    Raises:
        StoreError: Where that cannot be said now.
    """
    if connection.is_proven:
        return
    with told(path):
        try:
            connection.execute("BEGIN IMMEDIATE")  # no other process writes meanwhile
            try:
                _write_again(path.with_name(f"{path.name}-wal"))
            finally:
                connection.execute("ROLLBACK")
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            sync_folder(path.parent)
            with suppress(PermissionError):  # the folder may have been made for us
                sync_folder(path.parent.parent)
        except OSError as error:
            raise StoreUnavailable(str(path), str(error)) from error
    connection.is_proven = True


def sync_folder(path: Path) -> None:
    """Return once the disk has the names in a folder, as far as its file system can say.

    Raises:
        OSError: Where it refuses.
    """
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(folder)


def _write_again(path: Path) -> None:
    """Write a file as it is read, and sync it; nothing where there is none."""
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return
    try:
        place = 0
        while block := os.pread(file, _BLOCK_BYTES, place):
            place += os.pwrite(file, block, place)
        os.fsync(file)
    finally:
        os.close(file)


class Guard:
    """A lock for a connection that several threads read with.

    Attributes:
        path: The file.
    """

    path: Path

    def __init__(self) -> None:
        self._guard = RLock()

    def _look(self) -> None:
        """Look, before anything is done, whether the file that is open is still the one to be used."""


def alone(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Let one thread at a time into a method, and let errors of SQLite be those of a store.

    A connection that is closed while another thread is in the middle of a statement takes the process down;
    one that was closed before is an error of that statement.
    """

    @wraps(method)
    def guarded(self: S, *args: P.args, **kwargs: P.kwargs) -> R:
        with self._guard, told(self.path):
            self._look()
            return method(self, *args, **kwargs)

    return guarded  # type: ignore[return-value]
