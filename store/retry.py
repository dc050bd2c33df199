"""Trying again: what a database that is busy asks for, and how long a writer waits."""

from __future__ import annotations

from random import Random
from typing import Final

from facility.errors import StoreUnavailable

_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_MOST_DOUBLINGS: Final = 6


class StoreBusy(StoreUnavailable):
    """The database is away or has too much to do, and nobody need do anything about it here.

    Attributes:
        retry_after_s: The pause that it asked for [s], None if it did not.
        is_broken: Whether the connection was refused or broke, as when the database was restarted.
    """

    def __init__(
        self, store: str, cause: str, retry_after_s: float | None = None, *, is_broken: bool = False
    ) -> None:
        self.retry_after_s = retry_after_s
        self.is_broken = is_broken
        super().__init__(store, cause)


def pause_s(attempt: int, retry_after_s: float | None, random: Random) -> float:
    """Return how long to wait before the next attempt [s].

    Args:
        attempt: How many attempts have failed in a row, less one.
        retry_after_s: What the database asked for [s]: never shortened.
        random: What spreads the attempts of several writers.
    """
    longest = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(attempt, _MOST_DOUBLINGS))
    return max(retry_after_s or 0.0, random.uniform(0.0, longest))
