"""The journal's file: its tables, and what is read from them by whoever reads.

`Journal` writes it (`store.journal`); `JournalReader` reads it beside the writer, from any process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from facility.readings import Reason, Rejection
from store.entries import Entry, Known, unpack
from store.sqlite import open_reader, open_writer

FILE: Final = "journal.sqlite"

SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS entry (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    stamp_ms INTEGER NOT NULL,
    kind INTEGER NOT NULL,
    readings INTEGER NOT NULL,
    first_ms INTEGER,
    last_ms INTEGER,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS entry_span ON entry (last_ms, first_ms) WHERE kind = 0;
CREATE INDEX IF NOT EXISTS entry_kind ON entry (kind, seq) WHERE kind <> 0;
CREATE TABLE IF NOT EXISTS metadata (
    topic TEXT PRIMARY KEY, payload BLOB NOT NULL, received_ms INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS point (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS waiting (
    id INTEGER PRIMARY KEY,
    broker TEXT NOT NULL,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    flags INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS dead_letter (
    id INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    payload BLOB NOT NULL,
    length INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    received_ms INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS account (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reader (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS promise (id INTEGER PRIMARY KEY CHECK (id = 1), floor_ms INTEGER NOT NULL);
"""
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that can not be understood yet: its metadata has not come.

    Attributes:
        broker: The broker it came from.
        topic: Its topic.
        payload: Its payload, whole.
        received_ms: When it was received [ms].
        flags: `Flag` bits.
        id: The journal's number of it, 0 before it is in the journal.
    """

    broker: str
    topic: str
    payload: bytes
    received_ms: int
    flags: int
    id: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """Where every reading went; `received` is what all of these add up to.

    Attributes:
        stored: Readings in the journal.
        duplicates: Readings that were stored before.
        dead_lettered: Readings and messages refused, by reason.
        waiting: Messages that wait for their metadata.
    """

    stored: int = 0
    duplicates: int = 0
    dead_lettered: dict[str, int] = field(default_factory=dict)
    waiting: int = 0

    @property
    def received(self) -> int:
        """Everything that the journal has taken."""
        return self.stored + self.duplicates + sum(self.dead_lettered.values()) + self.waiting


def read_entries(connection: sqlite3.Connection, after_seq: int, most: int, where: str) -> Iterator[Entry]:
    """Yield the entries after `after_seq`, in order, at most so many.

    Raises:
        StoreCorrupt: Where one is damaged.
    """
    rows = connection.execute(
        "SELECT seq, stamp_ms, kind, body FROM entry WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, most)
    )
    for seq, stamp_ms, kind, body in rows:
        yield Entry(seq, stamp_ms, unpack(kind, body, f"{where}, entry {seq}"))


def read_account(connection: sqlite3.Connection) -> Account:
    """Return where everything went."""
    values = dict(connection.execute("SELECT name, value FROM account").fetchall())
    return Account(
        stored=values.pop("stored", 0),
        duplicates=values.pop("duplicates", 0),
        waiting=values.pop("waiting", 0),
        dead_lettered=dict(sorted(values.items())),
    )


def add_to_account(connection: sqlite3.Connection, changes: dict[str, int]) -> None:
    """Add to the figures of the account, within the transaction that changes what they count."""
    connection.executemany(
        "INSERT INTO account VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        [(name, change) for name, change in changes.items() if change],
    )


class JournalReader:
    """The journal, as everybody but its writer sees it.

    Raises:
        StoreUnavailable: Where there is no journal.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._connection = open_reader(self.path)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def read(self, after_seq: int, most: int = 1_000) -> list[Entry]:
        """Return the entries after `after_seq`, in order, at most so many."""
        return list(read_entries(self._connection, after_seq, most, str(self.path)))

    def head(self) -> tuple[int, int]:
        """Return the number and the stamp of the last entry [ms]; zeros where there is none."""
        row = self._connection.execute("SELECT seq, stamp_ms FROM entry ORDER BY seq DESC LIMIT 1").fetchone()
        return (0, 0) if row is None else (row[0], row[1])

    def known(self) -> dict[int, Known]:
        """Return every point that is known, as it is known best, by its number."""
        rows = self._connection.execute("SELECT kind, body, seq FROM entry WHERE kind = 1 ORDER BY seq")
        found: dict[int, Known] = {}
        for kind, body, seq in rows:
            content = unpack(kind, body, f"{self.path}, entry {seq}")
            if isinstance(content, tuple):
                found.update((known.id, known) for known in content)
        return found

    def readings_after(self, seq: int) -> int:
        """Return how many readings come after an entry: how far behind a reader there is."""
        (count,) = self._connection.execute(
            "SELECT coalesce(sum(readings), 0) FROM entry WHERE seq > ?", (seq,)
        ).fetchone()
        return int(count)

    def account(self) -> Account:
        """Return where everything went."""
        return read_account(self._connection)

    def readers(self) -> dict[str, int]:
        """Return, by name, up to which entry each reader has read for good."""
        return dict(self._connection.execute("SELECT name, seq FROM reader").fetchall())

    def dead_letters(self, most: int = 100) -> list[Rejection]:
        """Return the last dead letters, newest first."""
        rows = self._connection.execute(
            "SELECT topic, payload, length, reason, detail, received_ms FROM dead_letter"
            " ORDER BY id DESC LIMIT ?",
            (most,),
        )
        return [Rejection(t, p, n, Reason(r), d, at) for t, p, n, r, d, at in rows]


def promise(folder: Path, floor_ms: int) -> None:
    """Tell a collector in another process that nothing may be stamped at or before `floor_ms` any more."""
    connection = open_writer(folder / FILE, SCHEMA, VERSION)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(
            "INSERT INTO promise VALUES (1, ?)"
            " ON CONFLICT (id) DO UPDATE SET floor_ms = max(floor_ms, excluded.floor_ms)",
            (floor_ms,),
        )
    finally:
        connection.close()
