"""The journal's file: what one append writes into its tables, within the transaction of the append."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Final, TypeVar

import numpy as np

from facility.readings import DEAD_LETTER_BYTES, Batch, Quality, Reason, Rejection
from store.journal.entries import Content, Entry, Mark, kind_of, pack, seal
from store.journal.file import Waiting
from store.journal.index import index_readings
from store.journal.intake import Intake, Sifted, changes_of
from store.sqlite import is_refusal

T = TypeVar("T")

MOST_DEAD_LETTERS: Final = 100_000
"""How many dead letters are kept: some 300 MB where each holds all that is kept of one (our choice). The
oldest go first, and are counted; the account keeps every one of them under its reason."""

_NONE: Final = np.empty(0, np.int64)


class Insertion:
    """One append as it goes into the file.

    Args:
        connection: The file, in the transaction of the append.
        received_ms: When the last of it was received [ms].
        is_careful: Whether what cannot be kept becomes a dead letter by itself, instead of an error of all.

    Attributes:
        refused_points: Points that cannot be kept: nor can their readings.
    """

    def __init__(self, connection: sqlite3.Connection, received_ms: int, *, is_careful: bool) -> None:
        self._connection = connection
        self._received_ms = received_ms
        self._is_careful = is_careful
        self._refused: list[Rejection] = []
        self._changes = Counter[str]()
        self.refused_points: set[int] = set()

    def insert_entries(self, contents: Sequence[Content], stamp_ms: int) -> list[Entry]:
        """Insert entries, and return them with their numbers.

        Args:
            contents: What they hold, in order.
            stamp_ms: Their stamp [ms].
        """
        return [entry for content in contents for entry in self._insert_parts(content, stamp_ms)]

    def insert_rest(self, intake: Intake, sifted: Sifted) -> dict[str, int]:
        """Insert what is in no entry: dead letters, metadata, and what waits.

        Args:
            intake: What was received.
            sifted: What became of its readings.

        Returns:
            What all that was inserted adds to each figure of the account.
        """
        if self._is_careful:
            for item in intake.metadata.items():
                self._try(partial(self._put_metadata, [item]), item[0], partial(bytes, item[1]))
        else:
            self._put_metadata(intake.metadata.items())
        for one in intake.waiting:
            self._try(partial(self._put_waiting, one), one.topic, partial(bytes, one.payload), "waiting")
        done = [(number,) for number in intake.settled]
        self._connection.executemany("DELETE FROM waiting WHERE id = ?", done)
        letters = (*intake.rejections, *sifted.conflicts, *self._refused)
        changes = Counter(changes_of(intake, sifted))
        changes.update(self._changes)
        changes["letters_dropped"] = insert_rejections(self._connection, letters)
        return changes

    def _insert_parts(self, content: Content, stamp_ms: int) -> Iterator[Entry]:
        """Insert content as one entry; where it cannot be kept, in halves, down to what is at fault."""
        if isinstance(content, Batch) and self.refused_points:
            content = self._without_refused_points(content)
        if not isinstance(content, Mark) and not len(content):
            return
        halves = _halves(content)
        if self._is_careful and halves:
            entry, _ = self._attempt(partial(self._insert, content, stamp_ms))
            if entry is None:
                for half in halves:
                    yield from self._insert_parts(half, stamp_ms)
        else:
            entry = self._try(
                partial(self._insert, content, stamp_ms), _named(content), lambda: repr(content).encode()
            )
            if entry is None and isinstance(content, tuple):
                self.refused_points |= {known.id for known in content}
        if entry is not None:
            yield entry

    def _insert(self, content: Content, stamp_ms: int) -> Entry:
        readings, stored = 0, _NONE
        if isinstance(content, Batch):
            readings, stored = len(content), content.source_ms[content.quality != Quality.REFUSED]
        elif isinstance(content, tuple):
            self._connection.executemany(
                "INSERT OR IGNORE INTO point VALUES (?, ?)",
                [(known.id, as_text(known.point.key)) for known in content],
            )
        first, last = (int(stored.min()), int(stored.max())) if len(stored) else (None, None)
        kind = kind_of(content)
        cursor = self._connection.execute(
            "INSERT INTO entry (stamp_ms, kind, readings, first_ms, last_ms, body) VALUES (?, ?, ?, ?, ?, ?)",
            (stamp_ms, kind, readings, first, last, seal(pack(content), stamp_ms, kind)),
        )
        entry = Entry(cursor.lastrowid or 0, stamp_ms, content)
        index_readings(self._connection, entry.seq, stored)
        return entry

    def _put_metadata(self, metadata: Collection[tuple[str, bytes]]) -> None:
        self._connection.executemany(
            "INSERT INTO metadata VALUES (?, ?, ?) ON CONFLICT (topic) DO UPDATE"
            " SET payload = excluded.payload, received_ms = excluded.received_ms",
            [(topic, seal(payload), self._received_ms) for topic, payload in metadata if payload],
        )
        ended = [(topic,) for topic, payload in metadata if not payload]
        self._connection.executemany("DELETE FROM metadata WHERE topic = ?", ended)

    def _put_waiting(self, item: Waiting) -> None:
        self._connection.execute(
            "INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?)",
            (item.id, item.broker, item.topic, seal(item.payload), item.received_ms, item.flags),
        )

    def _without_refused_points(self, batch: Batch) -> Batch:
        """Return a batch without the rows of points that cannot be kept; readings become dead letters."""
        is_kept = ~np.isin(batch.point, list(self.refused_points))
        for row in np.flatnonzero(~is_kept & (batch.quality != Quality.REFUSED)):
            value = repr(float(batch.value[row])).encode()
            self._refuse(f"point {batch.point[row]}", value, "a point that it cannot", "stored")
        return batch.take(is_kept)

    # What cannot be kept -------------------------------------------------------------

    def _try(
        self, insert: Callable[[], T], topic: str, payload: Callable[[], bytes], figure: str = ""
    ) -> T | None:
        """Insert something; return None where it cannot be kept and became a dead letter.

        Args:
            insert: Inserts it.
            topic: What a dead letter calls it.
            payload: Gives what it is, where a dead letter is made of it.
            figure: Where the account has it if it is kept; "" where nowhere.
        """
        if not self._is_careful:
            return insert()
        done, error = self._attempt(insert)
        if error is not None:
            self._refuse(topic, payload(), repr(error), figure)
        return done

    def _attempt(self, insert: Callable[[], T]) -> tuple[T | None, Exception | None]:
        """Insert something; where it cannot be kept, take it back and return why."""
        self._connection.execute("SAVEPOINT attempt")
        try:
            return insert(), None
        except Exception as error:
            if not is_refusal(error):
                raise
            self._connection.execute("ROLLBACK TO attempt")
            return None, error
        finally:
            if self._connection.in_transaction:
                self._connection.execute("RELEASE attempt")

    def _refuse(self, topic: str, payload: bytes, cause: str, figure: str) -> None:
        self._changes.update({Reason.CANNOT_BE_KEPT.value: 1} | ({figure: -1} if figure else {}))
        self._refused.append(
            Rejection(
                topic=as_text(topic)[:512],
                payload=payload[:DEAD_LETTER_BYTES],
                length=len(payload),
                reason=Reason.CANNOT_BE_KEPT,
                detail=f"expected what the journal can keep, found {cause}"[:500],
                received_ms=self._received_ms,
            )
        )


def insert_rejections(connection: sqlite3.Connection, rejections: Sequence[Rejection]) -> int:
    """Insert dead letters; return how many old ones had to go."""
    if not rejections:
        return 0
    connection.executemany(
        "INSERT INTO dead_letter (topic, payload, length, reason, detail, received_ms)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [
            (as_text(r.topic), r.payload, r.length, r.reason, as_text(r.detail), r.received_ms)
            for r in rejections
        ],
    )
    return connection.execute(
        "DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?", (MOST_DEAD_LETTERS,)
    ).rowcount


def as_text(text: str) -> str:
    """Return a text as SQLite can hold it: half a character, which some JSON has, is written out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _halves(content: Content) -> tuple[Content, Content] | None:
    """Return the two halves of content; None where it cannot be halved."""
    if isinstance(content, Mark) or len(content) < 2:  # noqa: PLR2004 - what has two halves
        return None
    middle = len(content) // 2
    if isinstance(content, Batch):
        rows = np.arange(len(content))
        return content.take(rows[:middle]), content.take(rows[middle:])
    return content[:middle], content[middle:]


def _named(content: Content) -> str:
    """Return what a dead letter calls content that cannot be halved."""
    match content:
        case Mark():
            return f"mark of {content.broker}"
        case Batch():
            return f"point {content.point[0]}"
        case _:
            return f"point {content[0].point.key}"
