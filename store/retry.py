"""A database that is busy, and what it asks for."""

from __future__ import annotations

from facility.errors import StoreUnavailable


class StoreBusy(StoreUnavailable):
    """The database is away or has too much to do, and nothing has to be done about it here.

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
