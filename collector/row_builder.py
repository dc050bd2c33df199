"""Gathering: the rows of one batch as they are decoded, and the checks that are the same for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

import numpy as np
import structlog
from numpy.typing import NDArray

from collector.mqtt.message import Message
from facility.instants import DAY_MS, EARLIEST_MS, LATEST_MS
from facility.points import Point
from facility.quantities import QUANTITIES
from facility.readings import DEAD_LETTER_BYTES, Batch, Flag, FloatArray, Quality, Reason, Rejection
from facility.units import find_unit

AHEAD_MS: Final = 1_000
"""A reading stamped this much later than it was received is marked (our choice)."""
MOST_AHEAD_MS: Final = 30_000
"""One stamped this much later is refused: its clock is bad (our choice)."""
OLDEST_MS: Final = 7 * DAY_MS
"""One that is older than this is refused: no broker keeps a queue so long."""
MOST_REFUSALS: Final = 1_000
"""Dead letters of one message at most: a document of a thousand undeclared racks (our choice)."""
MOST_PAYLOADS: Final = 16
"""How many of them hold the message's payload; the others say topic, reason and detail (our choice)."""
IN_SECONDS: Final = "a time in seconds"
"""How a refusal says that a source writes seconds."""

_log = structlog.get_logger(__name__)


def reject(message: Message, reason: Reason, detail: str) -> Rejection:
    """Return a message as a dead letter."""
    return Rejection(
        topic=message.topic[:512],
        payload=message.payload[:DEAD_LETTER_BYTES],
        length=len(message.payload),
        reason=reason,
        detail=detail[:500],
        received_ms=message.received_ms,
    )


class Ranges:
    """What values of each point may be: conversion and range, in columns by the point's number."""

    def __init__(self) -> None:
        self._figures = np.zeros((6, 64))
        self._taken: set[int] = set()
        self._name_columns()

    def _name_columns(self) -> None:
        self._factor, self._offset, self._low, self._high, self._credible_low, self._credible_high = (
            self._figures
        )

    def set(self, number: int, point: Point, rating_kw: float | None) -> None:
        """Take in a point.

        Args:
            number: Its number.
            point: What it is.
            rating_kw: What its asset is rated [kW], None where that is not known.
        """
        have = self._figures.shape[1]
        if number >= have:
            grown = np.zeros((6, max(number + 1, 2 * have)))
            grown[:, :have] = self._figures
            self._figures = grown
            self._name_columns()
        self._figures[:, number] = _figures(point.quantity, point.unit, rating_kw)
        self._taken.add(number)

    def contradicts(self, number: int, point: Point, rating_kw: float | None) -> bool:
        """Tell whether a point was taken in with another conversion or range; arguments as for `set`."""
        return number in self._taken and bool(
            (self._figures[:, number] != _figures(point.quantity, point.unit, rating_kw)).any()
        )

    def convert(self, points: NDArray[np.int32], values: FloatArray) -> FloatArray:
        """Return values in canonical units; what is beyond a float then is infinite, and out of range."""
        factor, offset = self._factor[points], self._offset[points]
        with np.errstate(over="ignore"):
            converted: FloatArray = values * factor + offset
        return converted

    def possible(self, points: NDArray[np.int32], values: FloatArray) -> NDArray[np.bool_]:
        """Tell which values are possible at all; NaN is."""
        low, high = self._low[points], self._high[points]
        return ~((values < low) | (values > high))

    def credible(self, points: NDArray[np.int32], values: FloatArray) -> NDArray[np.bool_]:
        """Tell which values are possible with the asset's rating; NaN is."""
        low, high = self._credible_low[points], self._credible_high[points]
        return ~((values < low) | (values > high))

    def describe(self, number: int) -> str:
        """Return the range of a point for people."""
        return f"{self._low[number]:g} to {self._high[number]:g}"


@lru_cache(maxsize=1_024)
def _figures(quantity: str, unit: str, rating_kw: float | None) -> tuple[float, ...]:
    """Return factor, offset, low, high, and the credible low and high, in canonical units."""
    measured, known = QUANTITIES[quantity], find_unit(unit)
    return (
        known.factor if known else 1.0,
        known.offset if known else 0.0,
        *measured.possible(rating_kw),
        *measured.credible(rating_kw),
    )


@dataclass(slots=True)
class Rows:
    """The rows of one batch while it is decoded: a list for each column, and each row's message.

    Attributes:
        points: Numbers of points.
        times: Source times [ms].
        values: Values, None where the source has none.
        is_good: Whether the source trusts the value.
        messages: Message that each row came in.
        rejections: What could not be decoded.
        doubts: Values that could not be kept: before which row that was, whose point it was, the message that
            it came in, and what it was stamped, or when it was received where that is not known [ms].
        sealed: Rows that were made a batch before the others.
    """

    points: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float | None] = field(default_factory=list)
    is_good: list[bool] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    doubts: list[tuple[int, int, Message, int]] = field(default_factory=list)
    sealed: list[Batch] = field(default_factory=list)
    _refused: Message | None = None
    _refusals: int = 0

    def add(self, point: int, time_ms: int, value: float | None, *, is_good: bool, message: Message) -> None:
        """Add a row."""
        self.points.append(point)
        self.times.append(time_ms)
        self.values.append(value)
        self.is_good.append(is_good)
        self.messages.append(message)

    def extend(
        self, points: Sequence[int], time_ms: int, values: Sequence[float | None], message: Message
    ) -> None:
        """Add rows of one message and one time, all of them good."""
        count = len(points)
        self.points += points
        self.times += [time_ms] * count
        self.values += values
        self.is_good += [True] * count
        self.messages += [message] * count

    def refuse(
        self,
        message: Message,
        reason: Reason,
        detail: str,
        point: int | None = None,
        row: int | None = None,
        time_ms: int | None = None,
    ) -> None:
        """Refuse a message, or a value in one; beyond `MOST_REFUSALS` of one message in one for all.

        Args:
            message: What was received.
            reason: Why.
            detail: What was expected and what was found.
            point: Whose value it was; the point is in doubt from then on. None where that is not known.
            row: The row that it was; None where it comes after all rows so far.
            time_ms: What it was stamped [ms]; None where that is not known.
        """
        self._refusals = self._refusals + 1 if message is self._refused else 1
        self._refused = message
        if self._refusals <= MOST_REFUSALS:
            rejection = reject(message, reason, detail)
            self.rejections.append(
                rejection if self._refusals <= MOST_PAYLOADS else replace(rejection, payload=b"")
            )
        elif self._refusals == MOST_REFUSALS + 1:
            detail = (
                f"expected at most {MOST_REFUSALS} refusals of one message, found more: not kept one by one"
            )
            self.rejections.append(replace(reject(message, Reason.TOO_LARGE, detail), payload=b""))
        if point is not None:
            self.doubt(point, message, row, time_ms)

    def doubt(self, point: int, message: Message, row: int | None = None, time_ms: int | None = None) -> None:
        """Put a point in doubt; arguments as for `refuse`."""
        received_ms = message.received_ms
        before = len(self.points) if row is None else row
        stamped_ms = received_ms if time_ms is None else time_ms
        stamped_ms = min(max(stamped_ms, received_ms - OLDEST_MS), received_ms + DAY_MS)
        self.doubts.append((before, point, message, stamped_ms))

    def seal(self, ranges: Ranges) -> None:
        """Make a batch of the rows so far, before a conversion changes that holds for them.

        Where they make none, each message is tried by itself, and is a dead letter where it makes none.
        """
        refused, doubted = len(self.rejections), len(self.doubts)
        try:
            self.sealed.append(self._batch(ranges))
        except Exception:  # noqa: BLE001 - whatever it is, each message must have an end
            _log.exception("rows make no batch", rows=len(self.points))
            del self.rejections[refused:], self.doubts[doubted:]
            self._seal_one_by_one(ranges)
        self.points, self.times, self.values = [], [], []
        self.is_good, self.messages, self.doubts = [], [], []

    def _seal_one_by_one(self, ranges: Ranges) -> None:
        """Make a batch of the rows of each message, and dead letters of those that make none."""
        count, first = len(self.points), 0
        while first < count:
            message, end = self.messages[first], first + 1
            while end < count and self.messages[end] is message:
                end += 1
            own = slice(first, end)
            alone = Rows(
                self.points[own], self.times[own], self.values[own], self.is_good[own], self.messages[own]
            )
            is_last = end == count
            alone.doubts = [
                (r - first, p, of, at) for r, p, of, at in self.doubts if first <= r < end + is_last
            ]
            try:
                self.sealed.append(alone._batch(ranges))
                self.rejections += alone.rejections
            except Exception as error:  # noqa: BLE001 - whatever it is, each message must have an end
                self.refuse(message, Reason.DECODER_FAILED, repr(error))
            first = end

    def batch(self, ranges: Ranges) -> Batch:
        """Return the rows as a batch; rows that cannot be kept become dead letters and doubts."""
        self.seal(ranges)
        return self.sealed[0] if len(self.sealed) == 1 else Batch.concatenate(self.sealed)

    def _batch(self, ranges: Ranges) -> Batch:
        count = len(self.points)
        points = np.array(self.points, np.int32)
        received = np.fromiter((m.received_ms for m in self.messages), np.int64, count)
        flags = np.fromiter((m.flags for m in self.messages), np.uint8, count)
        times = self._times()
        values = ranges.convert(points, np.array(self.values, np.float64))
        absent = np.isnan(values)
        quality = np.where(np.array(self.is_good, np.bool_), Quality.GOOD, Quality.SOURCE_DOUBTS)
        quality[~ranges.credible(points, values)] = Quality.IMPLAUSIBLE
        quality[absent] = Quality.NO_VALUE
        flags |= np.where(times > received + AHEAD_MS, Flag.AHEAD, Flag.NONE).astype(np.uint8)
        keep = self._check(points, times, received, values, ranges)
        batch = Batch.of([points, times, received, values, quality, flags])
        kept = np.flatnonzero(keep)
        made = self._with_doubts(batch if len(kept) == count else batch.take(kept), kept)
        made.check()
        return made

    def _times(self) -> NDArray[np.int64]:
        """Return the source times; one that does not fit 64 bits is out of range like any other."""
        try:
            return np.array(self.times, np.int64)
        except OverflowError:
            return np.array([time if abs(time) < 2**62 else -1 for time in self.times], np.int64)

    def _check(
        self,
        points: NDArray[np.int32],
        times: NDArray[np.int64],
        received: NDArray[np.int64],
        values: FloatArray,
        ranges: Ranges,
    ) -> NDArray[np.bool_]:
        bad_time = (times < EARLIEST_MS) | (times > LATEST_MS)
        ahead = times > received + MOST_AHEAD_MS
        old = times < received - OLDEST_MS
        impossible = ~ranges.possible(points, values)
        keep = ~(bad_time | ahead | old | impossible)
        for row in np.flatnonzero(~keep).tolist():
            message, point = self.messages[row], int(points[row])
            if bad_time[row]:
                found = self.times[row]
                hint = f": {IN_SECONDS}" if EARLIEST_MS <= found * 1_000 <= LATEST_MS else ""
                detail = f"expected milliseconds between 2000 and 2100, found {found}{hint}"
                self.refuse(message, Reason.BAD_TIME, detail, point, row, found)
            elif ahead[row]:
                detail = (
                    f"expected a time at most 30 s ahead, found {(times[row] - received[row]) / 1e3:.1f} s"
                )
                self.refuse(message, Reason.TIME_AHEAD, detail, point, row, self.times[row])
            elif old[row]:
                detail = (
                    f"expected a time within 7 days, found {(received[row] - times[row]) / DAY_MS:.1f} days"
                )
                self.refuse(message, Reason.TIME_TOO_OLD, detail, point, row, self.times[row])
            else:
                detail = f"expected {ranges.describe(point)}, found {values[row]:g}"
                self.refuse(message, Reason.OUT_OF_RANGE, detail, point, row, self.times[row])
        return keep

    def _with_doubts(self, batch: Batch, kept: NDArray[np.intp]) -> Batch:
        """Put doubts between the rows where they arose: a good value after one ends it."""
        if not self.doubts:
            return batch
        before, points, messages, stamped = zip(*self.doubts, strict=True)
        count = len(points)
        doubts = Batch.of(
            [
                points,
                stamped,
                [message.received_ms for message in messages],
                np.full(count, np.nan),
                np.full(count, Quality.REFUSED),
                [message.flags for message in messages],
            ]
        )
        order = np.argsort(np.concatenate([np.array(before) - 0.5, kept]), kind="stable")
        return Batch.concatenate([doubts, batch]).take(order)
