"""Up to which entry of the journal others have read: no entry to come may have such a number."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from facility.errors import StoreError
from store.history.integrity import HISTORY
from store.ledger.ledger import FILE as LEDGER
from store.ledger.ledger import LedgerReader


def taken_of(data: Path) -> int:
    """Return the highest number of an entry that anything in a data folder was made of; 0 where nothing was.

    Args:
        data: The data folder.
    """
    return max(_judged(data), _sealed(data))


def _judged(data: Path) -> int:
    if not (data / LEDGER).exists():
        return 0
    try:
        with closing(LedgerReader(data)) as ledger:
            return ledger.cursor()[0]
    except StoreError:  # it is mended, or named, when it is opened for writing
        return 0


def _sealed(data: Path) -> int:
    root = data / HISTORY
    if not root.is_dir():
        return 0
    from store.history.parquet import read_sealed  # noqa: PLC0415 - who has no history need not load DuckDB

    try:
        return read_sealed(root).seq
    except (StoreError, OSError):
        return 0
