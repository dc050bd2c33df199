"""Journal append: how long readings take to the disk, synced, by how many wait for it."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from bench.frame import Figure, seconds_of
from facility.readings import Batch
from store.journal.intake import Intake
from store.journal.journal import Journal

POINTS: Final = 4_000
T0_MS: Final = 1_780_000_000_000


def batch(count: int, number: int) -> Batch:
    """Return readings of different points, later than those of any batch before."""
    at_ms = T0_MS + number * 100
    points = np.arange(count) % POINTS
    return Batch.of(
        [
            points,
            at_ms + np.arange(count) // POINTS,
            np.full(count, at_ms + 150),
            50 + points % 17 + number % 10,
            np.zeros(count),
            np.zeros(count),
        ]
    )


def run(*, quick: bool = False) -> list[Figure]:
    """Measure appends of 1, 50, 400 and 4,000 readings beside plain rows in SQLite, synced as often."""
    repetitions, appends = (3, 20) if quick else (7, 60)
    return [_of(count, repetitions, appends) for count in (1, 50, 400, 4_000)]


def _of(count: int, repetitions: int, appends: int) -> Figure:
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(repetitions):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            batches = [batch(count, number) for number in range(appends)]
            ours.append(_journal(folder, batches) / (count * appends) * 1e6)
            theirs.append(_rows(folder, batches) / (count * appends) * 1e6)
    return Figure(
        what=f"append of {count:,} readings, synced, repetitions recognised, per reading",
        unit="µs",
        samples=ours,
        beside="executemany of rows with a key, synced",
        theirs=theirs,
    )


def _journal(folder: Path, batches: Sequence[Batch]) -> float:
    journal = Journal(folder)
    try:
        return seconds_of(
            lambda: [
                journal.append(Intake(batch=b), T0_MS + number * 100 + 150)
                for number, b in enumerate(batches)
            ]
        )
    finally:
        journal.close()


def _rows(folder: Path, batches: Sequence[Batch]) -> float:
    connection = sqlite3.connect(folder / "rows.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE reading (point INT, source_ms INT, received_ms INT, value REAL, quality INT, flags INT,"
        " PRIMARY KEY (point, source_ms)) WITHOUT ROWID"
    )

    def work() -> None:
        for b in batches:
            columns = (b.point, b.source_ms, b.received_ms, b.value, b.quality, b.flags)
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT OR IGNORE INTO reading VALUES (?,?,?,?,?,?)",
                zip(*(column.tolist() for column in columns), strict=True),
            )
            connection.execute("COMMIT")

    try:
        return seconds_of(work)
    finally:
        connection.close()
