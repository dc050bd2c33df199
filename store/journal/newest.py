"""The newest source time of each point, kept in the journal's file now and then.

A start knows from it which readings are new without looking them up: of each point those later than its
newest, as before the start. It is read together with the entries that came after it.
"""

from __future__ import annotations

import sqlite3
import zlib
from typing import Final

import numpy as np
import structlog

from facility.errors import StoreCorrupt
from facility.readings import IntArray
from store.journal.entries import seal, unseal

KEEP_MS: Final = 60_000
"""How often it is kept, by the stamps of entries [ms]; what came since is read at a start (our choice)."""
_LEVEL: Final = 1

_log = structlog.get_logger(__name__)


def keep_newest(connection: sqlite3.Connection, seq: int, newest_ms: IntArray) -> None:
    """Keep the newest time of each point.

    Args:
        connection: The journal's file, in a transaction.
        seq: Number of the last entry that is in it.
        newest_ms: By the points' numbers, shape (n,) [ms].
    """
    data = newest_ms.astype("<i8").view(np.uint8).reshape(-1, 8).T.tobytes()
    body = seal(zlib.compress(data, _LEVEL), seq)
    connection.execute("INSERT OR REPLACE INTO newest VALUES (1, ?, ?)", (seq, body))


def read_newest(connection: sqlite3.Connection, where: str) -> tuple[int, IntArray] | None:
    """Return the number of the last entry that is in it, and the newest times, shape (n,) [ms].

    Args:
        connection: The journal's file.
        where: What to call it in an error.

    Returns:
        None where none were kept, or they are damaged.
    """
    row = connection.execute("SELECT seq, body FROM newest").fetchone()
    if row is None:
        return None
    try:
        data = zlib.decompress(unseal(row[1], where, row[0]))
        columns = np.frombuffer(data, np.uint8).reshape(8, -1)
    except (StoreCorrupt, zlib.error, ValueError, TypeError) as error:
        _log.error("the newest times of points are damaged", error=str(error))
        return None
    return int(row[0]), np.ascontiguousarray(columns.T).view("<i8").reshape(-1).astype(np.int64)
