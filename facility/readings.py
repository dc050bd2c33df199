"""Readings: one value of one point at one time, in columns.

A batch is what the collector hands to the journal and what every reader takes from it. Columns are
numpy arrays of one length; row `i` of each belongs to one reading.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum, IntFlag, StrEnum
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from facility.codes import InArrays
from facility.invariants import require

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
PointArray = NDArray[np.int32]
ByteArray = NDArray[np.uint8]


class Quality(InArrays, IntEnum):
    """How far a reading may be trusted. Only GOOD enters a sum; all else bounds it.

    A coarser grain of the validity of IEC 61850 and of the good, uncertain and bad of OPC UA. The DSX bus
    tells good (1) from all else only, and Sparkplug good (192), bad (0) and stale (500).
    """

    GOOD = 0
    SOURCE_DOUBTS = 1  # the source itself says that it is not to be trusted
    NO_VALUE = 2  # the source has no value; the column holds NaN
    IMPLAUSIBLE = 3  # possible, but not with the rating that the site file gives
    REFUSED = 4  # a value came and was dead-lettered: the point's last good one is in doubt


class Flag(InArrays, IntFlag):
    """How a reading came; a bit each."""

    NONE = 0
    RETAINED = 1
    REDELIVERED = 2
    AT_MOST_ONCE = 4  # MQTT quality of service 0
    AHEAD = 8  # stamped later than it was received
    CONFLICT = 16  # refused, for another value was stored with the same stamp


class Reason(StrEnum):
    """Why a message or a reading was dead-lettered."""

    UNKNOWN_TOPIC = "unknown-topic"
    BAD_TOPIC = "bad-topic"
    BAD_NAME = "bad-name"
    TOO_LARGE = "too-large"
    BAD_JSON = "bad-json"
    WRONG_TYPE = "wrong-type"
    MISSING_FIELD = "missing-field"
    DUPLICATE_KEY = "duplicate-key"
    OUT_OF_RANGE = "out-of-range"
    BAD_TIME = "bad-time"
    TIME_AHEAD = "time-ahead"
    TIME_TOO_OLD = "time-too-old"
    NO_METADATA = "no-metadata"
    METADATA_REFUSED = "metadata-refused"
    UNIT_CONTRADICTS = "unit-contradicts"
    UNKNOWN_UNIT = "unknown-unit"
    WRONG_PUBLISHER = "wrong-publisher"
    UNKNOWN_RACK = "unknown-rack"
    UNKNOWN_QUANTITY = "unknown-quantity"
    IDENTITY_CONFLICT = "identity-conflict"
    CONFLICTING_VALUE = "conflicting-value"
    DECODER_FAILED = "decoder-failed"
    CANNOT_BE_KEPT = "cannot-be-kept"
    REFUSED_BY_DATABASE = "refused-by-database"


@dataclass(frozen=True, slots=True)
class Batch:
    """Readings in columns, in the order in which they came.

    Attributes:
        point: Which point, shape (n,), int32.
        source_ms: When the source says it measured, shape (n,), int64 [ms].
        received_ms: When we received it, shape (n,), int64 [ms].
        value: What it measured, shape (n,), float64 [canonical unit]; NaN exactly where the quality
            is NO_VALUE or REFUSED.
        quality: `Quality` codes, shape (n,), uint8.
        flags: `Flag` bits, shape (n,), uint8.
    """

    point: PointArray
    source_ms: IntArray
    received_ms: IntArray
    value: FloatArray
    quality: ByteArray
    flags: ByteArray

    def __len__(self) -> int:
        return len(self.point)

    def take(self, rows: BoolArray | IntArray) -> Self:
        """Return the batch of these rows: a mask or indices."""
        return type(self)(*(getattr(self, column)[rows] for column in COLUMNS))

    def check(self) -> None:
        """Check what holds of every batch.

        Raises:
            InvariantBroken: Where columns differ in length, or a reading has no value and its quality one.
        """
        lengths = {len(getattr(self, column)) for column in COLUMNS}
        require(len(lengths) == 1, "columns of one length", sorted(lengths))
        has_none = (self.quality == Quality.NO_VALUE) | (self.quality == Quality.REFUSED)
        is_wrong = np.isnan(self.value) != has_none
        require(not is_wrong.any(), "NaN exactly where there is no value", f"{int(is_wrong.sum())} others")

    @classmethod
    def empty(cls) -> Self:
        """Return a batch of no readings."""
        return cls.of([np.empty(0, dtype) for dtype in DTYPES])

    @classmethod
    def of(cls, columns: Sequence[Any]) -> Self:
        """Return the batch of these columns, in the order of `COLUMNS`, cast to their types."""
        arrays: list[Any] = [np.asarray(c, d) for c, d in zip(columns, DTYPES, strict=True)]
        return cls(*arrays)

    @classmethod
    def concatenate(cls, batches: list[Self]) -> Self:
        """Return the readings of several batches as one, in their order: a single batch as it is."""
        if not batches:
            return cls.empty()
        if len(batches) == 1:
            return batches[0]
        return cls(*(np.concatenate([getattr(b, c) for b in batches]) for c in COLUMNS))


DTYPES: Final = (np.int32, np.int64, np.int64, np.float64, np.uint8, np.uint8)
COLUMNS: Final = tuple(field.name for field in fields(Batch))


@dataclass(frozen=True, slots=True)
class Rejection:
    """A message, or a reading in one, that could not be kept, as it is dead-lettered.

    Attributes:
        topic: The topic, as it was received.
        payload: The payload, cut to `DEAD_LETTER_BYTES`.
        length: How long the payload was [bytes].
        reason: Why.
        detail: What was expected and what was found, in one sentence.
        received_ms: When it was received [ms].
    """

    topic: str
    payload: bytes
    length: int
    reason: Reason
    detail: str
    received_ms: int


DEAD_LETTER_BYTES: Final = 2_048
"""How much of a refused payload is kept: enough to see what it was, not enough to fill a disk."""
