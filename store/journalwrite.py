"""The journal's file: what one append writes into its tables, within the transaction of the append."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from facility.readings import Batch, Rejection
from store.entries import Content, Entry, Known, kind_of, pack
from store.intake import Intake

MOST_DEAD_LETTERS: Final = 100_000
"""How many dead letters are kept: some 300 MB where each holds all that is kept of one (our choice). The
oldest go first, and are counted; the account keeps every one of them under its reason."""


def insert_entries(connection: sqlite3.Connection, contents: Sequence[Content], stamp_ms: int) -> list[Entry]:
    """Insert entries, and return them with their numbers.

    Args:
        connection: The file.
        contents: What they hold, in order.
        stamp_ms: Their stamp [ms].
    """
    entries = []
    for content in contents:
        readings, first, last = 0, None, None
        if isinstance(content, Batch):
            readings = len(content)
            first, last = int(content.source_ms.min()), int(content.source_ms.max())
        elif isinstance(content, tuple):
            _insert_points(connection, content)
        cursor = connection.execute(
            "INSERT INTO entry (stamp_ms, kind, readings, first_ms, last_ms, body) VALUES (?, ?, ?, ?, ?, ?)",
            (stamp_ms, kind_of(content), readings, first, last, pack(content)),
        )
        entries.append(Entry(cursor.lastrowid or 0, stamp_ms, content))
    return entries


def insert_rest(connection: sqlite3.Connection, intake: Intake, conflicts: Sequence[Rejection]) -> int:
    """Insert what is in no entry: dead letters, metadata, and what waits.

    Args:
        connection: The file.
        intake: What was received.
        conflicts: Readings of it that were stored with another value.

    Returns:
        How many old dead letters had to go.
    """
    topics = intake.metadata.items()
    connection.executemany(
        "INSERT INTO metadata VALUES (?, ?, ?)"
        " ON CONFLICT (topic) DO UPDATE SET payload = excluded.payload, received_ms = excluded.received_ms",
        [(topic, payload, intake.received_ms) for topic, payload in topics if payload],
    )
    connection.executemany(
        "DELETE FROM metadata WHERE topic = ?", [(t,) for t, payload in topics if not payload]
    )
    connection.executemany(
        "INSERT INTO waiting VALUES (?, ?, ?, ?, ?, ?)",
        [(w.id, w.broker, w.topic, w.payload, w.received_ms, w.flags) for w in intake.waiting],
    )
    connection.executemany("DELETE FROM waiting WHERE id = ?", [(number,) for number in intake.settled])
    return insert_rejections(connection, (*intake.rejections, *conflicts))


def insert_rejections(connection: sqlite3.Connection, rejections: Sequence[Rejection]) -> int:
    """Insert dead letters; return how many old ones had to go."""
    if not rejections:
        return 0
    connection.executemany(
        "INSERT INTO dead_letter (topic, payload, length, reason, detail, received_ms)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        [(r.topic, r.payload, r.length, r.reason, r.detail, r.received_ms) for r in rejections],
    )
    return connection.execute(
        "DELETE FROM dead_letter WHERE id <= (SELECT max(id) FROM dead_letter) - ?", (MOST_DEAD_LETTERS,)
    ).rowcount


def _insert_points(connection: sqlite3.Connection, points: tuple[Known, ...]) -> None:
    connection.executemany(
        "INSERT INTO point VALUES (?, ?) ON CONFLICT (id) DO NOTHING",
        [(known.id, known.point.key) for known in points],
    )
