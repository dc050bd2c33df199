"""The journal's file: its tables, and reading from them.

`Journal` writes it (`store.journal.journal`); `JournalReader` reads it beside the writer, from any process.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import structlog

from facility.errors import StoreCorrupt
from facility.instants import LATEST_MS
from facility.readings import Batch, Reason, Rejection
from store.journal.entries import (
    EVERY_BROKER,
    Content,
    Entry,
    EntryKind,
    Known,
    Mark,
    MarkKind,
    unpack,
    unseal,
)
from store.sqlite import Guard, Migration, alone, open_reader

FILE: Final = "journal.sqlite"

_log = structlog.get_logger(__name__)

MIGRATIONS: Final[Sequence[Migration]] = (
    (
        """
        CREATE TABLE entry (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            stamp_ms INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            readings INTEGER NOT NULL,
            first_ms INTEGER,
            last_ms INTEGER,
            body BLOB NOT NULL
        )
        """,
        "CREATE INDEX entry_span ON entry (last_ms, first_ms) WHERE kind = 0",
        "CREATE INDEX entry_kind ON entry (kind, seq) WHERE kind <> 0",
        """
        CREATE TABLE metadata (
            topic TEXT PRIMARY KEY, payload BLOB NOT NULL, received_ms INTEGER NOT NULL
        ) WITHOUT ROWID
        """,
        "CREATE TABLE point (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE)",
        """
        CREATE TABLE waiting (
            id INTEGER PRIMARY KEY,
            broker TEXT NOT NULL,
            topic TEXT NOT NULL,
            payload BLOB NOT NULL,
            received_ms INTEGER NOT NULL,
            flags INTEGER NOT NULL
        )
        """,
        """
        CREATE TABLE dead_letter (
            id INTEGER PRIMARY KEY,
            topic TEXT NOT NULL,
            payload BLOB NOT NULL,
            length INTEGER NOT NULL,
            reason TEXT NOT NULL,
            detail TEXT NOT NULL,
            received_ms INTEGER NOT NULL
        )
        """,
        "CREATE TABLE account (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE reader (name TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID",
        "CREATE TABLE promise (id INTEGER PRIMARY KEY CHECK (id = 1), floor_ms INTEGER NOT NULL)",
    ),
    (
        # The entries that hold readings of a second. One that was written before is in the other table until
        # it is first looked for.
        """
        CREATE TABLE entry_second (
            second INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (second, seq)
        ) WITHOUT ROWID
        """,
        """
        CREATE TABLE entry_unindexed (
            seq INTEGER PRIMARY KEY, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL
        )
        """,
        """
        INSERT INTO entry_unindexed SELECT seq, first_ms, last_ms FROM entry
        WHERE kind = 0 AND typeof(first_ms) = 'integer' AND typeof(last_ms) = 'integer'
        """,
        "CREATE INDEX entry_unindexed_span ON entry_unindexed (last_ms, first_ms)",
        "DROP INDEX entry_span",
        """
        CREATE TABLE newest (
            id INTEGER PRIMARY KEY CHECK (id = 1), seq INTEGER NOT NULL, body BLOB NOT NULL
        )
        """,
    ),
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that cannot be understood yet: its metadata has not come.

    Attributes:
        broker: Name of the broker that it came from.
        topic: Its topic.
        payload: Its payload, whole.
        received_ms: When it was received [ms].
        flags: `Flag` bits.
        id: Its number, given by the decoder.
    """

    broker: str
    topic: str
    payload: bytes
    received_ms: int
    flags: int
    id: int


@dataclass(frozen=True, slots=True)
class Account:
    """Where every reading went; `received` is what all of these add up to.

    Attributes:
        stored: Readings in the journal.
        duplicates: Readings that were stored before.
        dead_lettered: Readings and messages refused, by reason.
        waiting: Messages that wait for their metadata.
        letters_dropped: Dead letters that are kept no longer, because there were too many.
    """

    stored: int = 0
    duplicates: int = 0
    dead_lettered: dict[str, int] = field(default_factory=dict)
    waiting: int = 0
    letters_dropped: int = 0

    def __add__(self, other: Account) -> Account:
        reasons = Counter(self.dead_lettered)
        reasons.update(other.dead_lettered)
        return Account(
            stored=self.stored + other.stored,
            duplicates=self.duplicates + other.duplicates,
            dead_lettered=dict(reasons),
            waiting=self.waiting + other.waiting,
            letters_dropped=self.letters_dropped + other.letters_dropped,
        )

    @property
    def received(self) -> int:
        """Everything that the journal has taken."""
        return self.stored + self.duplicates + sum(self.dead_lettered.values()) + self.waiting


def read_entries(
    connection: sqlite3.Connection,
    after_seq: int,
    most: int,
    where: str,
    lost: Collection[int] = (),
    told: Mapping[int, Entry] = MappingProxyType({}),
) -> Iterator[Entry]:
    """Yield the entries after `after_seq`, in order, at most so many.

    A damaged one becomes a gap mark: what any broker sent by then is not known.

    Args:
        connection: An open journal file.
        after_seq: Number of the entry before the first.
        most: Most entries to yield.
        where: What to call the file in an error.
        lost: Numbers of points whose description is lost; their readings are left out.
        told: Entries that were read before, by their numbers: they are not made once more.

    Raises:
        StoreCorrupt: Where the file is so damaged that entries do not follow each other.
    """
    rows = connection.execute(
        "SELECT seq, stamp_ms, kind, body FROM entry WHERE seq > ? ORDER BY seq LIMIT ?", (after_seq, most)
    )
    before = after_seq
    for seq, stamp_ms, kind, body in rows:
        if not before < seq:  # an empty page has rows too
            raise StoreCorrupt(where, f"expected an entry after {before}, found {seq}")
        before = seq
        entry = told.get(seq) or read_entry(connection, (seq, stamp_ms, kind, body), where)
        if lost and isinstance(entry.content, Batch):
            is_known = ~np.isin(entry.content.point, list(lost))
            entry = replace(entry, content=entry.content.take(is_known))
        yield entry


Row = tuple[int, int, int, bytes]
"""An entry as it is kept: number, stamp [ms], kind and body."""


def content_of(row: Row, where: str) -> Content:
    """Return what an entry holds.

    Args:
        row: The entry, as its table holds it.
        where: What to call the file in an error.

    Raises:
        StoreCorrupt: Where it is damaged.
    """
    seq, stamp_ms, kind, body = row
    place = f"{where}, entry {seq}"
    return unpack(kind, unseal(body, place, stamp_ms, kind), place)


def read_entry(connection: sqlite3.Connection, row: Row, where: str) -> Entry:
    """Return an entry: what stands for it where it is damaged."""
    seq, stamp_ms, kind, _ = row
    try:
        return Entry(seq, stamp_ms, content_of(row, where))
    except StoreCorrupt as error:
        _log.error("an entry of the journal is damaged", error=str(error))
        before = connection.execute(
            "SELECT stamp_ms FROM entry WHERE seq < ? ORDER BY seq DESC LIMIT 1", (seq,)
        ).fetchone()
        at_ms = before[0] if before and isinstance(before[0], int) else 0
        if kind == EntryKind.POINTS:
            known = latest(_read_points(connection, f"{where}, entry {seq}"))
            return Entry(seq, at_ms, tuple(known.values()))
        return Entry(seq, at_ms, Mark(MarkKind.GAP, EVERY_BROKER, at_ms, error.cause, until_ms=at_ms))


def damage_of(entry: Entry) -> str:
    """Return what is wrong with the entry that this one stands for, "" where it stands for itself."""
    match entry.content:
        case Mark(kind=MarkKind.GAP, broker=broker, detail=detail) if broker == EVERY_BROKER:
            return detail
    return ""


def read_taken(connection: sqlite3.Connection) -> int:
    """Return the highest number that was given to an entry, or that a reader has read; 0 for none."""
    (number,) = connection.execute(
        "SELECT max(coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'entry'), 0),"
        " coalesce((SELECT max(seq) FROM reader WHERE typeof(seq) = 'integer'), 0))"
    ).fetchone()
    return number if isinstance(number, int) else 0


def begin_after(connection: sqlite3.Connection, seq: int) -> None:
    """Let the next entry have the number after `seq`."""
    if not connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'entry'", (seq,)).rowcount:
        connection.execute("INSERT INTO sqlite_sequence VALUES ('entry', ?)", (seq,))


def read_point_entries(connection: sqlite3.Connection, where: str) -> list[Entry]:
    """Return every entry that makes points known, in order; one that is damaged is left out."""
    return list(_read_points(connection, where))


def _read_points(connection: sqlite3.Connection, where: str) -> Iterator[Entry]:
    rows = connection.execute(
        # The second term lets SQLite use its index, which has no readings in it.
        "SELECT seq, stamp_ms, kind, body FROM entry WHERE kind = ? AND kind <> 0 ORDER BY seq",
        (EntryKind.POINTS,),
    )
    for row in rows:
        try:
            content = content_of(row, where)
        except StoreCorrupt as error:
            _log.error("points are not known any more", error=str(error))
        else:
            yield Entry(row[0], row[1], content)


def lost_among(connection: sqlite3.Connection, told: Iterable[Entry]) -> dict[int, str]:
    """Return the key of each point whose description is lost, by its number.

    Args:
        connection: An open journal file.
        told: Every entry of it that makes points known.
    """
    known = latest(told)
    rows = connection.execute("SELECT id, key FROM point").fetchall()
    return {number: key for number, key in rows if number not in known}


APPENDS: Final = "appends"
"""The account's figure that counts appends, by which one whose end was not seen is known again."""
_NO_REASONS: Final = frozenset({"stored", "duplicates", "waiting", "letters_dropped", APPENDS})


def read_appends(connection: sqlite3.Connection) -> int:
    """Return how many appends the file holds."""
    row = connection.execute("SELECT value FROM account WHERE name = ?", (APPENDS,)).fetchone()
    return 0 if row is None else int(row[0])


def read_head(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return the number and the stamp of the last entry [ms]; zeros where there is none."""
    row = connection.execute(
        "SELECT seq, stamp_ms, kind, body FROM entry ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    if row is None:
        return 0, 0
    return row[0], read_entry(connection, row, "the last entry").stamp_ms


def seq_since(connection: sqlite3.Connection, stamp_ms: int) -> int:
    """Return the number of the first entry stamped at or after a moment; one past the last where none is.

    Stamps never fall, so that is found by halving: reading them all would take minutes of a day's journal.

    Args:
        connection: An open journal file.
        stamp_ms: The moment [ms].
    """
    low, high = connection.execute(
        "SELECT coalesce((SELECT min(seq) FROM entry), 1), coalesce((SELECT max(seq) FROM entry), 0) + 1"
    ).fetchone()
    while low < high:
        middle = (low + high) // 2
        # SQLite compares, which knows an order of all types, as a damaged file may have them.
        seq, is_before = connection.execute(
            "SELECT seq, stamp_ms < ? FROM entry WHERE seq >= ? ORDER BY seq LIMIT 1", (stamp_ms, middle)
        ).fetchone()
        low, high = (seq + 1, high) if is_before else (low, middle)
    return int(low)


def read_account(connection: sqlite3.Connection) -> Account:
    """Return where everything went."""
    rows = connection.execute("SELECT name, value FROM account").fetchall()
    # A damaged row may hold anything: what is no figure is not counted.
    return account_of({n: value for n, value in rows if isinstance(n, str) and isinstance(value, int)})


def _letter_of(row: tuple[Any, ...]) -> Rejection | None:
    """Return a row as a dead letter, None where it is damaged: it may hold anything then."""
    topic, payload, length, reason, detail, received_ms = row
    is_text = isinstance(topic, str) and isinstance(detail, str) and isinstance(payload, bytes)
    if not is_text or reason not in set(Reason) or not isinstance(length, int):
        return None
    return Rejection(topic, payload, length, Reason(reason), detail, received_ms)


def account_of(values: Mapping[str, int]) -> Account:
    """Return figures by name as an account; what is no other figure is a reason for dead letters."""
    return Account(
        stored=values.get("stored", 0),
        duplicates=values.get("duplicates", 0),
        waiting=values.get("waiting", 0),
        letters_dropped=values.get("letters_dropped", 0),
        dead_lettered={name: values[name] for name in sorted(values) if name not in _NO_REASONS},
    )


def latest(entries: Iterable[Entry]) -> dict[int, Known]:
    """Return every point as it is known best, by its number, out of the entries that tell of points."""
    found: dict[int, Known] = {}
    for entry in entries:
        if isinstance(entry.content, tuple):
            found.update((known.id, known) for known in entry.content)
    return found


def superseded(entries: Iterable[Entry]) -> list[int]:
    """Return the numbers of entries, in order, that say nothing of points which others do not say as well.

    What counts is the newest description of each point and of each asset, and the first of each point: since
    then it is known.
    """
    kept: set[int] = set()
    first: set[int] = set()
    newest: dict[int | str, int] = {}
    seqs = []
    for entry in entries:
        if not isinstance(entry.content, tuple):
            continue
        seqs.append(entry.seq)
        for known in entry.content:
            if known.id not in first:
                first.add(known.id)
                kept.add(entry.seq)
            newest[known.id] = entry.seq
            if known.asset is not None:
                newest[known.asset.id] = entry.seq
    kept.update(newest.values())
    return [seq for seq in seqs if seq not in kept]


def add_to_account(connection: sqlite3.Connection, changes: dict[str, int]) -> None:
    """Add to the figures of the account, within the transaction that changes what they count."""
    connection.executemany(
        "INSERT INTO account VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value",
        [(name, change) for name, change in changes.items() if change],
    )


def read_readers(connection: sqlite3.Connection) -> dict[str, int]:
    """Return, by name, up to which entry each reader has read for good."""
    return dict(connection.execute("SELECT name, seq FROM reader").fetchall())


def put_reader(connection: sqlite3.Connection, name: str, seq: int) -> None:
    """Note that a reader needs nothing up to and including entry `seq` any more."""
    connection.execute(
        "INSERT INTO reader VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET seq = excluded.seq", (name, seq)
    )


def register_reader(connection: sqlite3.Connection, name: str) -> None:
    """Let a new reader begin at 0; trimming then waits for it."""
    connection.execute("INSERT INTO reader VALUES (?, 0) ON CONFLICT (name) DO NOTHING", (name,))


class JournalReader(Guard):
    """The journal, as everybody but its writer sees it.

    Raises:
        StoreUnavailable: Where there is no journal.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / FILE
        self._connection = open_reader(self.path, MIGRATIONS)
        self._lost: dict[int, str] | None = None
        self._file = self._named_file()

    @alone
    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @alone
    def read(self, after_seq: int, most: int = 1_000) -> list[Entry]:
        """Return the entries after `after_seq`, in order, at most so many."""
        if self._lost is None:
            told = read_point_entries(self._connection, str(self.path))
            self._lost = lost_among(self._connection, told)
        return list(read_entries(self._connection, after_seq, most, str(self.path), self._lost))

    def _look(self) -> None:
        """Open the file that has the name now: the one before may have been put aside."""
        file = self._named_file()
        if file and file != self._file:
            self._connection.close()
            self._connection = open_reader(self.path, MIGRATIONS)
            self._file, self._lost = file, None

    def _named_file(self) -> int:
        try:
            return self.path.stat().st_ino
        except OSError:
            return 0

    @alone
    def head(self) -> tuple[int, int]:
        """Return the number and the stamp of the last entry [ms]; zeros where there is none."""
        return read_head(self._connection)

    @alone
    def point_entries(self) -> list[Entry]:
        """Return every entry that makes points known, in order."""
        return read_point_entries(self._connection, str(self.path))

    @alone
    def known(self) -> dict[int, Known]:
        """Return every point that is known, as it is known best, by its number."""
        return latest(self.point_entries())

    @alone
    def account(self) -> Account:
        """Return where everything went."""
        return read_account(self._connection)

    @alone
    def readers(self) -> dict[str, int]:
        """Return, by name, up to which entry each reader has read for good."""
        return read_readers(self._connection)

    @alone
    def reader(self, name: str) -> int:
        """Return up to which entry a reader has read for good, 0 where it never did."""
        return self.readers().get(name, 0)

    @alone
    def dead_letters(
        self,
        most: int = 100,
        *,
        reason: Reason | None = None,
        from_ms: int = 0,
        to_ms: int = LATEST_MS,
        is_asked: Callable[[str], bool] = lambda _topic: True,
    ) -> list[Rejection]:
        """Return the last dead letters that are kept, newest first.

        Args:
            most: How many at most.
            reason: Refused for this; None for any reason.
            from_ms: Received then or later [ms].
            to_ms: Received earlier [ms].
            is_asked: Tells which topics are asked for.
        """
        rows = self._connection.execute(
            "SELECT topic, payload, length, reason, detail, received_ms FROM dead_letter"
            " WHERE received_ms >= ? AND received_ms < ? AND reason = ifnull(?, reason) ORDER BY id DESC",
            (from_ms, to_ms, reason),
        )
        letters = (letter for row in rows if (letter := _letter_of(row)) is not None)
        return list(islice((letter for letter in letters if is_asked(letter.topic)), most))
