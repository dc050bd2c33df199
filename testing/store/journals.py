"""Journals in tests: what goes in, what comes out, and disks that do not do what they should."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import numpy as np

from facility.readings import Quality, Reason, Rejection
from store.journal.entries import Entry, Mark, MarkKind
from store.journal.file import FILE, Waiting
from store.journal.intake import Intake
from store.journal.journal import Journal
from testing.builders import T0_MS, a_batch, known_racks

Reading = tuple[int, int, float]
"""Point, source time [ms], value."""

ENTRY_READINGS = 20


def readings(
    *rows: Reading, flags: int = 0, known: Sequence[str] = (), quality: Quality = Quality.GOOD
) -> Intake:
    """Return an intake of readings, and of the racks that become known with them."""
    return Intake(known=list(known_racks(known)), batch=a_batch(rows, flags=flags, quality=quality))


def many(number: int, count: int = ENTRY_READINGS) -> Intake:
    """Return the intake with a number: readings of points 0 and up, later than those of all before it."""
    return readings(*((point, T0_MS + number, float(number)) for point in range(count)))


def noisy(number: int, count: int = 500) -> Intake:
    """Return the like with values between a number and the next that deflate to little less."""
    seeded = np.random.default_rng(number)
    values = (number + seeded.random(count)).tolist()
    return readings(*((point, T0_MS + number, value) for point, value in enumerate(values)))


def refusal(number: int = 0, payload: bytes = b"{", reason: Reason = Reason.BAD_JSON) -> Rejection:
    """Return a dead letter."""
    return Rejection(f"topic/{number}", payload, len(payload), reason, "expected JSON", T0_MS + number)


def a_mark(detail: str = "", kind: MarkKind = MarkKind.CONNECTED) -> Mark:
    """Return a mark."""
    return Mark(kind, "bus", T0_MS, detail)


def waits(number: int) -> Waiting:
    """Return a message that waits."""
    return Waiting("bus", f"topic/{number}", b"{}", T0_MS, 0, number)


def rows_of(entries: Sequence[Entry]) -> list[Reading]:
    """Return the readings of entries, in order."""
    return [
        row
        for entry in entries
        if not isinstance(entry.content, Mark | tuple)
        for row in zip(
            entry.content.point.tolist(),
            entry.content.source_ms.tolist(),
            entry.content.value.tolist(),
            strict=True,
        )
    ]


def everything(journal: Journal) -> list[Entry]:
    """Return every entry of a journal, as its file has them."""
    journal._recent.clear()
    return journal.read(0, 1_000_000)


def image(folder: Path, where: Path, *, wal_bytes: int | None = None) -> Path:
    """Copy a journal as it lies on disk while it is open: what is there after a kill.

    Args:
        folder: The folder of the journal.
        where: The folder to make.
        wal_bytes: To what length its log is cut; None for whole.
    """
    where.mkdir()
    for suffix in ("", "-wal"):
        source = folder / f"{FILE}{suffix}"
        if source.exists():
            shutil.copyfile(source, where / f"{FILE}{suffix}")
    if wal_bytes is not None:
        with (where / f"{FILE}-wal").open("r+b") as file:
            file.truncate(wal_bytes)
    return where


def wal_bytes(folder: Path) -> int:
    """Return how long the log of a journal is."""
    path = folder / f"{FILE}-wal"
    return path.stat().st_size if path.exists() else 0


Transaction = Callable[[sqlite3.Connection], AbstractContextManager[sqlite3.Connection]]


def failing(whole: Transaction, code: int, *, was_taken: bool) -> Transaction:
    """Return a transaction at whose end the disk reports a failure.

    Args:
        whole: One that does not fail.
        code: The result code of SQLite.
        was_taken: Whether the disk has it all the same.
    """

    @contextmanager
    def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = code
        if was_taken:
            with whole(connection):
                yield connection
            raise error
        with whole(connection):
            yield connection
            raise error

    return transaction
