"""The journal: what was received, on disk before it is acknowledged, in the order in which it came.

One synced append holds whatever was waiting: readings, points that became known, marks, dead letters and
messages that wait for their metadata. It is all there or nothing of it is. Everything else reads the journal
from a cursor of its own; what every reader has passed and is old enough is trimmed.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict, deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import RLock
from typing import Final

import numpy as np

from facility.errors import StoreUnavailable
from facility.readings import Batch, Rejection
from store.entries import Content, Entry, EntryKind, Known, kind_of, pack, unpack
from store.intake import Intake, changes_of, contents_of, readings_of, sift
from store.journalfile import (
    FILE,
    SCHEMA,
    VERSION,
    Account,
    Waiting,
    account_of,
    add_to_account,
    latest,
    put_reader,
    read_account,
    read_entries,
    read_point_entries,
    read_readers,
)
from store.seen import Seen
from store.sqlite import open_writer, transaction

RECENT_ENTRIES: Final = 2_000
"""Entries kept in memory for readers in this process: 40 s at an append every 20 ms."""
WARM_MS: Final = 120_000
"""How much of the journal's end is read at the start, to know repetitions from memory."""


class Journal:
    """The journal, as its one writer sees it.

    All methods may be called from any thread; appends wait for each other.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        self._seen = Seen()
        self._recent: deque[Entry] = deque(maxlen=RECENT_ENTRIES)
        self._decoded: OrderedDict[int, Batch] = OrderedDict()
        self.head_seq = 0
        self.head_stamp_ms = 0
        self._floor_ms = 0
        self._open()

    def close(self) -> None:
        """Close the file. What was appended stays."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    # Writing --------------------------------------------------------------------------

    def append(self, intake: Intake, now_ms: int) -> Account:
        """Append what was received, synced to disk: all of it, or nothing.

        Args:
            intake: What was received.
            now_ms: The time of the service's clock [ms].

        Returns:
            What this adds to the account.

        Raises:
            StoreUnavailable: Where the disk did not take it. Nothing may be acknowledged then; the same
                intake may be tried again, and the file is opened anew for that.
        """
        with self._lock:
            connection = self._ready()
            sifted = sift(intake.batch, self._seen, self._find)
            try:
                with transaction(connection):
                    entries = self._insert(connection, contents_of(intake, sifted), now_ms)
                    self._insert_rest(connection, intake, sifted.conflicts)
                    changes = changes_of(intake, sifted)
                    add_to_account(connection, changes)
            except sqlite3.Error as error:
                self._discard()
                raise StoreUnavailable(str(self.path), str(error)) from error
            self._seen.remember(readings_of(sifted.kept))
            for entry in entries:
                self._recent.append(entry)
                self.head_seq, self.head_stamp_ms = entry.seq, entry.stamp_ms
            return account_of(changes)

    def promise(self, floor_ms: int) -> None:
        """Promise that nothing will be stamped at or before `floor_ms` from now on.

        The engine asks for this before it judges a moment, so that nothing can still come that it would
        have had to use. Held in memory here and on disk for collectors in other processes.
        """
        with self._lock:
            self._floor_ms = max(self._floor_ms, floor_ms)

    def set_reader(self, name: str, seq: int) -> None:
        """Note that a reader needs nothing up to and including entry `seq` any more."""
        with self._lock, transaction(self._ready()) as connection:
            put_reader(connection, name, seq)

    def reader(self, name: str) -> int:
        """Return up to which entry a reader has read for good, 0 where it never did."""
        with self._lock:
            return read_readers(self._ready()).get(name, 0)

    def refuse(self, rejections: Sequence[Rejection]) -> None:
        """Keep readings that a database refused for good, for people to see; they stay stored here."""
        with self._lock, transaction(self._ready()) as connection:
            _insert_rejections(connection, rejections)

    def trim(self, before_ms: int, most_bytes: int) -> int:
        """Drop what is older than `before_ms`, or beyond `most_bytes`, and read by every reader.

        Args:
            before_ms: Entries stamped before this may go [ms].
            most_bytes: Above this size of the file, older entries go whatever their age.

        Returns:
            How many entries were dropped.
        """
        with self._lock:
            connection = self._ready()
            (needed,) = connection.execute("SELECT min(seq) FROM reader").fetchone()
            if needed is None:
                return 0
            (last,) = connection.execute(
                "SELECT coalesce(max(seq), 0) FROM entry WHERE stamp_ms < ?", (before_ms,)
            ).fetchone()
            used = self._used_bytes(connection)
            if used > most_bytes:
                low, high = connection.execute(
                    "SELECT coalesce(min(seq), 0), coalesce(max(seq), 0) FROM entry"
                ).fetchone()
                last = max(last, low + int((high - low) * (1 - most_bytes / used)))
            with transaction(connection):
                gone = connection.execute(
                    "DELETE FROM entry WHERE seq <= ? AND kind <> ?", (min(last, needed), EntryKind.POINTS)
                ).rowcount
                connection.execute("DELETE FROM dead_letter WHERE received_ms < ?", (before_ms,))
            return gone

    # Reading --------------------------------------------------------------------------

    def read(self, after_seq: int, most: int = 1_000) -> list[Entry]:
        """Return the entries after `after_seq`, in order, at most so many."""
        with self._lock:
            recent = self._recent
            if recent and recent[0].seq <= after_seq + 1:
                skip = max(0, after_seq + 1 - recent[0].seq)
                return [recent[i] for i in range(skip, min(len(recent), skip + most))]
            return list(read_entries(self._ready(), after_seq, most, str(self.path)))

    def point_entries(self) -> list[Entry]:
        """Return every entry that makes points known, in order."""
        with self._lock:
            return read_point_entries(self._ready(), str(self.path))

    def account(self) -> Account:
        """Return where everything went."""
        with self._lock:
            return read_account(self._ready())

    def metadata(self) -> dict[str, bytes]:
        """Return the payload of every metadata message that was kept, by topic."""
        with self._lock:
            rows = self._ready().execute("SELECT topic, payload FROM metadata ORDER BY topic")
            return dict(rows.fetchall())

    def known(self) -> dict[int, Known]:
        """Return every point that is known, as it is known best, by its number."""
        return latest(self.point_entries())

    def waiting(self) -> list[Waiting]:
        """Return the messages that wait for their metadata, oldest first."""
        with self._lock:
            rows = self._ready().execute(
                "SELECT broker, topic, payload, received_ms, flags, id FROM waiting ORDER BY id"
            )
            return [Waiting(*row) for row in rows]

    # Inside ---------------------------------------------------------------------------

    def _open(self) -> None:
        connection = open_writer(self.path, SCHEMA, VERSION)
        self._connection = connection
        self.head_seq, self.head_stamp_ms = connection.execute(
            "SELECT coalesce(max(seq), 0), coalesce(max(stamp_ms), 0) FROM entry"
        ).fetchone()
        self._seen = Seen()
        warm = connection.execute(
            "SELECT seq, body FROM entry WHERE kind = 0 AND stamp_ms >= ? ORDER BY seq",
            (self.head_stamp_ms - WARM_MS,),
        )
        for seq, body in warm:
            self._seen.remember(readings_of(self._batch(seq, body)))

    def _ready(self) -> sqlite3.Connection:
        if self._connection is None:
            self._open()
        assert self._connection is not None  # noqa: S101 - for the type checker
        return self._connection

    def _discard(self) -> None:
        """Close after a failed commit: what the file then holds is read back when it is opened again.

        A sync that failed may have dropped pages that the next sync would not write; trying it again on
        the same descriptor could succeed and mean nothing.
        """
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        self._recent.clear()

    def _insert(
        self, connection: sqlite3.Connection, contents: Sequence[Content], now_ms: int
    ) -> list[Entry]:
        promised = connection.execute("SELECT floor_ms FROM promise").fetchone()
        floor_ms = max(self._floor_ms, promised[0] if promised else 0)
        stamp_ms = max(now_ms, self.head_stamp_ms, floor_ms + 1)
        entries = []
        for content in contents:
            readings, first, last = 0, None, None
            if isinstance(content, Batch):
                readings = len(content)
                first, last = int(content.source_ms.min()), int(content.source_ms.max())
            elif isinstance(content, tuple):
                _insert_points(connection, content)
            cursor = connection.execute(
                "INSERT INTO entry (stamp_ms, kind, readings, first_ms, last_ms, body)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (stamp_ms, kind_of(content), readings, first, last, pack(content)),
            )
            entries.append(Entry(cursor.lastrowid or 0, stamp_ms, content))
        return entries

    @staticmethod
    def _insert_rest(connection: sqlite3.Connection, intake: Intake, conflicts: Sequence[Rejection]) -> None:
        _insert_rejections(connection, (*intake.rejections, *conflicts))
        connection.executemany(
            "INSERT INTO metadata VALUES (?, ?, ?)"
            " ON CONFLICT (topic) DO UPDATE"
            " SET payload = excluded.payload, received_ms = excluded.received_ms",
            [(topic, payload, intake.received_ms) for topic, payload in intake.metadata.items()],
        )
        connection.executemany(
            "INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?)",
            [(w.id, w.broker, w.topic, w.payload, w.received_ms, w.flags) for w in intake.waiting],
        )
        connection.executemany("DELETE FROM waiting WHERE id = ?", [(number,) for number in intake.settled])

    def _find(self, point: int, source_ms: int) -> float | None:
        """Look a reading up on disk: its value, None where it is not there."""
        rows = self._ready().execute(
            "SELECT seq, body FROM entry INDEXED BY entry_span"
            " WHERE kind = 0 AND last_ms >= ? AND first_ms <= ?",
            (source_ms, source_ms),
        )
        for seq, body in rows:
            batch = readings_of(self._batch(seq, body))
            match = np.flatnonzero((batch.point == point) & (batch.source_ms == source_ms))
            if len(match):
                return float(batch.value[match[0]])
        return None

    def _batch(self, seq: int, body: bytes) -> Batch:
        batch = self._decoded.get(seq)
        if batch is None:
            content = unpack(EntryKind.READINGS, body, f"{self.path} entry {seq}")
            assert isinstance(content, Batch)  # noqa: S101 - for the type checker
            batch = self._decoded[seq] = content
            if len(self._decoded) > RECENT_ENTRIES:
                self._decoded.popitem(last=False)
        return batch

    @staticmethod
    def _used_bytes(connection: sqlite3.Connection) -> int:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        return int((pages - free) * size)


def _insert_points(connection: sqlite3.Connection, points: tuple[Known, ...]) -> None:
    connection.executemany(
        "INSERT INTO point VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
        [(known.id, known.point.key) for known in points],
    )


def _insert_rejections(connection: sqlite3.Connection, rejections: Sequence[Rejection]) -> None:
    connection.executemany(
        "INSERT INTO dead_letter (topic, payload, length, reason, detail, received_ms)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [(r.topic, r.payload, r.length, r.reason, r.detail, r.received_ms) for r in rejections],
    )
