"""Messages as columns: one row is one message, and its bytes are made only when they are asked for.

A second of a 300 MW site is some twenty thousand messages. As objects they would cost more than the plant
that they tell of; as columns they cost next to nothing until they are written out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from formats.dsx import GOOD

MOST_FAULTS: Final = 63
"""Faults that one scenario may have: a row carries a bit for each that touched it."""


class Form(IntEnum):
    """How a value is written."""

    NUMBER = 0
    WHOLE = 1  # a state: an integer
    NULL = 2
    NOT_A_NUMBER = 3  # the bare word NaN, which JSON does not have
    TEXT = 4  # the number in quotation marks


@dataclass(frozen=True, slots=True)
class Rows:
    """Messages, in the order in which they are sent; all columns have the same length.

    Attributes:
        channel: Number of the topic, int32.
        sent_ms: When it is sent, by the clock of the scenario [ms], int64.
        time_ms: When it says that it was measured [ms], int64.
        value: The value, float64; NaN where `payload` says it all.
        quality: Its quality, int16; 1 is good.
        form: How the value is written (`Form`), uint8.
        is_retained: Whether the broker is asked to keep it, bool.
        faults: Which faults touched it, a bit for each, uint64.
        payload: Bytes where they do not follow from the other columns, else None; object.
    """

    channel: NDArray[np.int32]
    sent_ms: NDArray[np.int64]
    time_ms: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.int16]
    form: NDArray[np.uint8]
    is_retained: NDArray[np.bool_]
    faults: NDArray[np.uint64]
    payload: NDArray[np.object_]

    def __len__(self) -> int:
        return len(self.channel)

    @classmethod
    def of_values(
        cls,
        channel: NDArray[np.int32],
        sent_ms: NDArray[np.int64],
        time_ms: NDArray[np.int64],
        value: NDArray[np.float64],
        *,
        form: NDArray[np.uint8] | None = None,
        faults: NDArray[np.uint64] | None = None,
    ) -> Self:
        """Return rows of good values whose payloads follow from the columns."""
        count = len(channel)
        return cls(
            channel,
            sent_ms,
            time_ms,
            value,
            np.full(count, GOOD, np.int16),
            np.zeros(count, np.uint8) if form is None else form,
            np.zeros(count, np.bool_),
            np.zeros(count, np.uint64) if faults is None else faults,
            np.full(count, None, np.object_),
        )

    @classmethod
    def of_payloads(
        cls,
        channel: NDArray[np.int32],
        sent_ms: NDArray[np.int64],
        payloads: Sequence[bytes],
        *,
        is_retained: bool = False,
    ) -> Self:
        """Return rows whose bytes are there already; they say the time at which they are sent."""
        count = len(channel)
        column = np.empty(count, np.object_)
        column[:] = payloads
        return cls(
            channel,
            sent_ms,
            sent_ms,
            np.full(count, np.nan),
            np.full(count, GOOD, np.int16),
            np.zeros(count, np.uint8),
            np.full(count, is_retained),
            np.zeros(count, np.uint64),
            column,
        )

    @classmethod
    def none(cls) -> Self:
        """Return no rows."""
        none = np.zeros(0, np.int64)
        return cls.of_values(none.astype(np.int32), none, none, np.zeros(0))

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Self:
        """Return the rows of several, one after the other."""
        filled = [part for part in parts if len(part)]
        if not filled:
            return cls.none()
        names = cls.__slots__
        return cls(*(np.concatenate([getattr(part, name) for part in filled]) for name in names))

    def take(self, which: NDArray[Any] | slice) -> Rows:
        """Return the rows that an index, a mask or a slice picks, in its order."""
        return Rows(*(getattr(self, name)[which] for name in self.__slots__))

    def changed(self, **columns: NDArray[Any]) -> Rows:
        """Return the same rows with other columns."""
        return Rows(*(columns.get(name, getattr(self, name)) for name in self.__slots__))

    def in_order(self) -> Rows:
        """Return the rows by the time at which they are sent; equal times keep their order."""
        if len(self) < 2 or bool((self.sent_ms[1:] >= self.sent_ms[:-1]).all()):  # noqa: PLR2004 - nothing to sort
            return self
        return self.take(np.argsort(self.sent_ms, kind="stable"))

    def marked(self, bit: int) -> Rows:
        """Return the rows, all touched by one more fault.

        Args:
            bit: Place of the fault in the scenario.
        """
        return self.changed(faults=self.faults | np.uint64(1 << bit))
