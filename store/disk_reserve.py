"""Room on the disk: what the journal leaves free for alarms, notifications and trimming.

A disk that is full to the last byte takes no alarm either, and nothing can be trimmed on it any more. So the
journal stops before that: readings then stay with the broker, and people are told.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from facility.errors import StoreUnavailable

RESERVE_BYTES: Final = 64 * 2**20
"""What readings leave free: alarms and notifications of days, and what trimming writes (our choice)."""
SMALL_DISK: Final = 16
"""On a small file system they leave free one part in so many instead (our choice)."""


def check_room(path: Path) -> None:
    """Check that a file may grow: that more than the reserve for alarms is free.

    Args:
        path: The file.

    Raises:
        StoreUnavailable: Where less than the reserve is free.
    """
    try:
        disk = os.statvfs(path.parent)
    except OSError as error:
        raise StoreUnavailable(str(path), str(error)) from error
    free, reserve = disk.f_bavail * disk.f_frsize, reserve_bytes(disk.f_blocks * disk.f_frsize)
    if free < reserve:
        cause = f"expected {reserve:,} bytes free on its disk, found {free:,}: these are kept for alarms"
        raise StoreUnavailable(str(path), cause)


def reserve_bytes(disk_bytes: int) -> int:
    """Return how much readings leave free on a file system of so many bytes."""
    return min(RESERVE_BYTES, disk_bytes // SMALL_DISK)
