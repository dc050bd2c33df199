"""Columns in a file that can be done without: what is damaged, of another form or gone is nothing."""

from __future__ import annotations

import io
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
from numpy.typing import NDArray

from facility.errors import StoreForeign

VERSION: Final = 1
"""Of what the columns mean; files of older versions say none, and are as those of version 1."""
_VERSION_COLUMN: Final = "version"
_CHECKSUM_BYTES: Final = 4
_OLD: Final = b"PK"
"""What begins a file of older versions, which has no checksum of all."""

_log = structlog.get_logger(__name__)


def save_columns(path: Path, columns: dict[str, NDArray[Any]]) -> None:
    """Keep columns; where the disk refuses, what was kept before stays."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **columns, **{_VERSION_COLUMN: np.array(VERSION)})
    body = buffer.getvalue()
    draft = path.with_suffix(".draft")
    with suppress(OSError):
        draft.write_bytes(zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "little") + body)
        draft.replace(path)


def load_columns(path: Path) -> dict[str, NDArray[Any]]:
    """Return the columns that were kept; none where there are none that can be read."""
    try:
        with np.load(io.BytesIO(_body(path.read_bytes())), allow_pickle=False) as columns:
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


def _body(data: bytes) -> bytes:
    """Return what the file holds.

    Raises:
        ValueError: Where it is damaged.
    """
    if data.startswith(_OLD):
        return data
    body = data[_CHECKSUM_BYTES:]
    if data[:_CHECKSUM_BYTES] != zlib.crc32(body).to_bytes(_CHECKSUM_BYTES, "little"):
        raise ValueError("the checksum does not match")
    return body
