"""Batches as bytes: each column apart, its bytes shuffled by significance, the whole deflated.

Neighbouring readings have neighbouring times and often neighbouring points, so equal bytes come to lie
beside each other and deflate at its fastest level makes 6 to 8 bytes of a reading. Deflate carries a
checksum, so a damaged body is noticed.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facility.errors import StoreCorrupt
from facility.readings import Batch

_HEADER: Final = struct.Struct("<BBIq")
_VERSION: Final = 1
_NARROW: Final = 4
_WIDE: Final = 8
_LEVEL: Final = 1


def encode(batch: Batch) -> bytes:
    """Return a batch as bytes."""
    count = len(batch)
    base_ms = int(batch.source_ms.min()) if count else 0
    source, received = batch.source_ms - base_ms, batch.received_ms - base_ms
    width = _NARROW if all(-(2**31) <= ms < 2**31 for ms in _offsets(batch, base_ms)) else _WIDE
    offsets = np.int32 if width == _NARROW else np.int64
    body = b"".join(
        (
            _shuffle(batch.point),
            _shuffle(source.astype(offsets)),
            _shuffle(received.astype(offsets)),
            _shuffle(batch.value),
            batch.quality.tobytes(),
            batch.flags.tobytes(),
        )
    )
    return _HEADER.pack(_VERSION, width, count, base_ms) + zlib.compress(body, _LEVEL)


def _offsets(batch: Batch, base_ms: int) -> list[int]:
    """Return how far a batch's times are from a moment at most [ms]; numbers that cannot run over."""
    columns = (batch.source_ms, batch.received_ms) if len(batch) else ()
    return [int(end) - base_ms for column in columns for end in (column.min(), column.max())]


def decode(data: bytes, where: str) -> Batch:
    """Return the batch that `encode` made.

    Args:
        data: What it made.
        where: What to call the bytes in an error.

    Raises:
        StoreCorrupt: Where the bytes are not what `encode` made.
    """
    try:
        version, width, count, base_ms = _HEADER.unpack_from(data)
        body = zlib.decompress(data[_HEADER.size :])
    except (struct.error, zlib.error, MemoryError) as error:
        raise StoreCorrupt(where, str(error)) from error
    sizes = (4, width, width, 8, 1, 1)
    if version != _VERSION or width not in (_NARROW, _WIDE) or len(body) != count * sum(sizes):
        raise StoreCorrupt(where, f"expected {count} readings, found {len(body)} bytes")
    columns: list[NDArray[np.uint8]] = []
    start = 0
    for size in sizes:
        raw = np.frombuffer(body, np.uint8, count * size, start)
        columns.append(np.ascontiguousarray(raw.reshape(size, count).T))
        start += count * size
    offsets = np.int32 if width == _NARROW else np.int64
    return Batch(
        point=columns[0].view(np.int32).reshape(count),
        source_ms=columns[1].view(offsets).reshape(count) + np.int64(base_ms),
        received_ms=columns[2].view(offsets).reshape(count) + np.int64(base_ms),
        value=columns[3].view(np.float64).reshape(count),
        quality=columns[4].reshape(count),
        flags=columns[5].reshape(count),
    )


def _shuffle(column: NDArray[np.generic]) -> bytes:
    contiguous = np.ascontiguousarray(column)
    return contiguous.view(np.uint8).reshape(len(contiguous), contiguous.itemsize).T.tobytes()
