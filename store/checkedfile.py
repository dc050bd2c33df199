"""Files with a checksum in front over the rest of them, which take the place of those before in one step."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final

from store.sqlite import sync_folder

_CHECKSUM_BYTES: Final = 4
"""How many bytes the checksum has; behind it stands what was written."""
_PART_BYTES: Final = 1_048_576


def write_checked(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Write a file, synced to disk, in place of the one before.

    Nothing of it is held in memory: what is large is written part by part.

    Args:
        path: The file.
        write: Writes what it holds; is given the file, open behind the checksum, which can be sought in.

    Raises:
        OSError: Where the disk does not take it; the file before then stays.
    """
    draft = path.with_suffix(".draft")
    with draft.open("w+b") as file:
        file.write(bytes(_CHECKSUM_BYTES))
        write(file)
        checksum = _checksum(file)
        file.seek(0)
        file.write(checksum)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def is_whole(file: IO[bytes]) -> bool:
    """Tell whether a file is as it was written; it then stands behind the checksum.

    Args:
        file: The file, open for reading.
    """
    file.seek(0)
    is_same = file.read(_CHECKSUM_BYTES) == _checksum(file)
    file.seek(_CHECKSUM_BYTES)
    return is_same


def _checksum(file: IO[bytes]) -> bytes:
    """Return the checksum over what a file holds behind its own."""
    found = 0
    file.seek(_CHECKSUM_BYTES)
    while part := file.read(_PART_BYTES):
        found = zlib.crc32(part, found)
    return found.to_bytes(_CHECKSUM_BYTES, "little")
