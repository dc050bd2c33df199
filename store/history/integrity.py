"""Checksums of the history's parts, and what becomes of a part that is damaged.

Parquet files as DuckDB writes them carry no checksum, and a flipped bit may read as another number. So a
small hidden file beside each part (`.part-1-812.parquet.crc32`) has the CRC-32 and the size of the part; it
comes and goes with it. Parts of older versions have none, and are checked by their form only.
"""

from __future__ import annotations

import shutil
import zlib
from pathlib import Path, PurePosixPath
from typing import Final

HISTORY: Final = "history"
"""The folder of the embedded history in a data folder."""
DAMAGED: Final = "damaged"
"""The folder to which damaged files are moved: no program reads them there, people may."""
_SUFFIX: Final = ".crc32"
_MAGIC: Final = b"PAR1"
_BLOCK_BYTES: Final = 1 << 20


def sum_name(name: str) -> str:
    """Return the name of the file with the checksum of a part; both are relative to the same folder."""
    path = PurePosixPath(name)
    return str(path.with_name(f".{path.name}{_SUFFIX}"))


def sum_of(path: Path) -> bytes:
    """Return the checksum of a file as it is kept.

    Raises:
        OSError: Where it cannot be read.
    """
    checksum = size = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            checksum = zlib.crc32(block, checksum)
            size += len(block)
    return f"{checksum:08x} {size}\n".encode("ascii")


def is_whole(path: Path) -> bool:
    """Tell whether a part is what was written.

    Raises:
        FileNotFoundError: Where it is gone.
        OSError: Where it cannot be read.
    """
    try:
        expected = path.with_name(sum_name(path.name)).read_bytes()
    except FileNotFoundError:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                return False
            file.seek(-len(_MAGIC), 2)
            return file.read() == _MAGIC
    return sum_of(path) == expected


def put_aside(folder: Path, path: Path) -> Path:
    """Keep a damaged file where it is not taken for a good one; return where. The file itself stays.

    Args:
        folder: The folder of `DAMAGED`; it is made where it is missing.
        path: The file, under that folder.

    Raises:
        OSError: Where the disk refuses.
    """
    place = place_aside(folder, path)
    try:
        place.hardlink_to(path)
    except OSError:  # not on every file system
        shutil.copyfile(path, place)
    return place


def place_aside(folder: Path, path: Path) -> Path:
    """Return a free name for a damaged file, at which no tool takes it for a good one.

    Args:
        folder: The folder of `DAMAGED`; it is made where it is missing.
        path: The file, under that folder.

    Raises:
        OSError: Where the disk refuses.
    """
    aside = folder / DAMAGED
    aside.mkdir(exist_ok=True)
    name = "-".join(path.relative_to(folder).parts)
    place, number = aside / f"{name}.damaged", 1
    while place.exists():
        number += 1
        place = aside / f"{name}.{number}.damaged"
    return place


def damaged_files(data: Path) -> list[Path]:
    """Return the damaged files that were put aside in a data folder, in order."""
    return sorted(path for folder in (data, data / HISTORY) for path in (folder / DAMAGED).glob("*.damaged"))
