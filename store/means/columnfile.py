"""Columns in a file that can be done without: what is damaged, of another form or gone is nothing."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from facility.errors import StoreForeign
from store.checkedfile import is_whole, write_checked

VERSION: Final = 1
"""Of what the columns mean; files of older versions say none, and are as those of version 1."""
_VERSION_COLUMN: Final = "version"
_OLD: Final = b"PK"
"""What begins a file of older versions, which has no checksum of all."""

_log = structlog.get_logger(__name__)


def save_columns(path: Path, columns: dict[str, NDArray[Any]]) -> None:
    """Keep columns; where the disk refuses, what was kept before stays."""
    with suppress(OSError):
        version = {_VERSION_COLUMN: np.array(VERSION)}
        write_checked(path, lambda file: np.savez(file, allow_pickle=False, **columns, **version))


def load_columns(path: Path) -> dict[str, NDArray[Any]]:
    """Return the columns that were kept; none where there are none that can be read."""
    try:
        with path.open("rb") as file, np.load(_body(file), allow_pickle=False) as columns:
            found = dict(columns)
        _need_version(path, int(found.pop(_VERSION_COLUMN, VERSION)))
    except FileNotFoundError:
        return {}
    except Exception as error:  # noqa: BLE001 - a file of any bytes, and a library that may raise anything
        _log.warning("what was kept is done without", file=str(path), error=repr(error))
        return {}
    return found


def _need_version(path: Path, version: int) -> None:
    """Make sure that columns are of a version that is known.

    Raises:
        StoreForeign: Where they are not.
    """
    if version > VERSION:
        raise StoreForeign(str(path), f"expected version {VERSION} or older, found version {version}")


def _body(file: IO[bytes]) -> IO[bytes]:
    """Return a file, where what it holds begins.

    Raises:
        ValueError: Where it is damaged.
    """
    if file.read(len(_OLD)) == _OLD:
        file.seek(0)
    elif not is_whole(file):
        raise ValueError("the checksum does not match")
    return file
