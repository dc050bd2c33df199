"""Gathering: the rows of one batch as they are decoded, and the checks that are the same for all of them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import structlog
from numpy.typing import NDArray

from collector.mqtt.message import Message, Messages
from facility.instants import DAY_MS, EARLIEST_MS, LATEST_MS
from facility.points import Point
from facility.quantities import QUANTITIES
from facility.readings import (
    DEAD_LETTER_BYTES,
    Batch,
    Flag,
    FloatArray,
    Quality,
    Reason,
    Rejection,
)
from facility.room import room_for
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
FIRST_ROOM: Final = 1_024
"""Rows that there is room for at first."""
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
    """What values of each point may be: conversion and range, one column for all points with the same.

    A site has tens of thousands of points, and some hundred conversions and ranges.
    """

    def __init__(self) -> None:
        self._place = np.zeros(64, np.int32)  # of each point in the columns; nothing is known of those at 0
        self._places: dict[tuple[str, str, float | None], int] = {}
        self._set_columns(np.zeros((6, 1)))

    def _set_columns(self, figures: FloatArray) -> None:
        self._figures = figures
        self._factor, self._offset, self._low, self._high, self._credible_low, self._credible_high = figures

    def set(self, number: int, point: Point, rating_kw: float | None) -> None:
        """Take in a point.

        Args:
            number: Its number.
            point: What it is.
            rating_kw: What its asset is rated [kW], None where that is not known.
        """
        have = len(self._place)
        if number >= have:
            self._place = np.append(self._place, np.zeros(room_for(number + 1, have) - have, np.int32))
        kind = point.quantity, point.unit, rating_kw
        place = self._places.get(kind)
        if place is None:
            place = self._places[kind] = len(self._places) + 1
            if place >= (have := self._figures.shape[1]):
                more = np.zeros((6, room_for(place + 1, have) - have))
                self._set_columns(np.concatenate((self._figures, more), axis=1))
            self._figures[:, place] = _figures(*kind)
        self._place[number] = place

    def contradicts(self, number: int, point: Point, rating_kw: float | None) -> bool:
        """Tell whether a point was taken in with another conversion or range; arguments as for `set`."""
        place = self._place[number] if number < len(self._place) else 0
        kind = point.quantity, point.unit, rating_kw
        if not place or place == self._places.get(kind):
            return False
        return bool((self._figures[:, place] != _figures(*kind)).any())

    def convert(self, points: NDArray[np.int32], values: FloatArray) -> FloatArray:
        """Return values in canonical units; what is beyond a float then is infinite, and out of range."""
        place = self._place[points]
        factor, offset = self._factor[place], self._offset[place]
        with np.errstate(over="ignore"):
            converted: FloatArray = values * factor + offset
        return converted

    def possible(self, points: NDArray[np.int32], values: FloatArray) -> NDArray[np.bool_]:
        """Tell which values are possible at all; NaN is."""
        place = self._place[points]
        low, high = self._low[place], self._high[place]
        is_possible: NDArray[np.bool_] = ~((values < low) | (values > high))
        return is_possible

    def credible(self, points: NDArray[np.int32], values: FloatArray) -> NDArray[np.bool_]:
        """Tell which values are possible with the asset's rating; NaN is."""
        place = self._place[points]
        low, high = self._credible_low[place], self._credible_high[place]
        is_credible: NDArray[np.bool_] = ~((values < low) | (values > high))
        return is_credible

    def describe(self, number: int) -> str:
        """Return the range of a point for people."""
        place = self._place[number]
        return f"{self._low[place]:g} to {self._high[place]:g}"


@lru_cache(maxsize=1_024)
def _figures(quantity: str, unit: str, rating_kw: float | None) -> FloatArray:
    """Return factor, offset, low, high, and the credible low and high, in canonical units."""
    measured, known = QUANTITIES[quantity], find_unit(unit)
    return np.array(
        [
            known.factor if known else 1.0,
            known.offset if known else 0.0,
            *measured.possible(rating_kw),
            *measured.credible(rating_kw),
        ]
    )


class _Origin(NamedTuple):
    """What rows came in, from one row up to where the next such begins.

    Attributes:
        row: The first of the rows.
        messages: One message for all of them, or messages of which each gave as many rows.
        first: The message of the first row, among those.
        each: How many rows each of those gave.
    """

    row: int
    messages: Message | Messages
    first: int = 0
    each: int = 1


class Columns:
    """Room for rows: the columns of a batch before anything is checked.

    Attributes:
        points: Numbers of points, shape (room,), int32.
        times: Source times [ms], shape (room,), int64.
        values: Values, NaN where the source has none, shape (room,), float64.
        good: Whether the source trusts the value, shape (room,), uint8.
        received_ms: When each was received [ms], shape (room,), int64.
        flags: `Flag` bits, shape (room,), uint8.
    """

    __slots__ = ("flags", "good", "points", "received_ms", "times", "values")

    def __init__(self, room: int) -> None:
        self.points = np.empty(room, np.int32)
        self.times = np.empty(room, np.int64)
        self.values = np.empty(room)
        self.good = np.empty(room, np.uint8)
        self.received_ms = np.empty(room, np.int64)
        self.flags = np.empty(room, np.uint8)

    def grown(self, room: int) -> Columns:
        """Return more room, with the same rows at its beginning."""
        found = Columns(room)
        for name in self.__slots__:
            before = getattr(self, name)
            getattr(found, name)[: len(before)] = before
        return found


class Rows:
    """The rows of one batch while it is decoded, in columns, and the messages that they came in.

    Args:
        rejections: What was refused before.
        sealed: Rows that were made a batch before.

    Attributes:
        rejections: What could not be decoded.
        doubts: Values that could not be kept: before which row that was, whose point it was, the message that
            it came in, and what it was stamped, or when it was received where that is not known [ms].
        sealed: Rows that were made a batch before the others.
    """

    def __init__(self, rejections: Iterable[Rejection] = (), sealed: Iterable[Batch] = ()) -> None:
        self.rejections = list(rejections)
        self.doubts: list[tuple[int, int, Message, int]] = []
        self.sealed = list(sealed)
        self._columns = Columns(FIRST_ROOM)
        self._count = 0
        self._origins: list[_Origin] = []
        self._beyond: dict[int, int] = {}  # times that do not fit 64 bits, by row
        self._made: tuple[int, Message] | None = None  # the last that was asked for, and its first row
        self._refused: Message | None = None
        self._refusals = 0

    def __len__(self) -> int:
        return self._count

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said of any point."""
        return not (self._count or self.doubts or self.sealed)

    @property
    def last_ms(self) -> int | None:
        """When the last row was received [ms]; None without rows."""
        return int(self._columns.received_ms[self._count - 1]) if self._count else None

    def room(self, count: int) -> Columns:
        """Return the columns, with room for so many more rows."""
        if self._count + count > len(self._columns.points):
            self._columns = self._columns.grown(max(self._count + count, 2 * len(self._columns.points)))
        return self._columns

    def add(self, point: int, time_ms: int, value: float | None, *, is_good: bool, message: Message) -> None:
        """Add a row."""
        row = self._count
        columns = self._columns if row < len(self._columns.points) else self.room(1)
        columns.points[row] = point
        if -(2**62) < time_ms < 2**62:
            columns.times[row] = time_ms
        else:
            columns.times[row], self._beyond[row] = -1, time_ms
        columns.values[row] = np.nan if value is None else value
        columns.good[row] = is_good
        columns.received_ms[row] = message.received_ms
        columns.flags[row] = message.flags
        if not self._origins or self._origins[-1].messages is not message:
            self._origins.append(_Origin(row, message))
        self._count = row + 1

    def fill(self, messages: Messages, first: int, count: int, each: int = 1) -> None:
        """Take in rows that were written behind the others, into the columns that `room` gave.

        Args:
            messages: What they came in.
            first: The message of the first row.
            count: How many messages.
            each: How many rows each of them gave.
        """
        came, rows = slice(first, first + count), slice(self._count, self._count + count * each)
        self._columns.received_ms[rows] = messages.received_ms[came].repeat(each)
        self._columns.flags[rows] = messages.flags[came].repeat(each)
        self._origins.append(_Origin(self._count, messages, first, each))
        self._count = rows.stop

    def points(self, first: int) -> list[int]:
        """Return the numbers of the points of the rows from one on."""
        points: list[int] = self._columns.points[first : self._count].tolist()
        return points

    def message(self, row: int) -> Message:
        """Return the message that a row came in."""
        origin = self._origins[bisect_right(self._origins, row, key=_row_of) - 1]
        if not isinstance(origin.messages, Messages):
            return origin.messages
        index = (row - origin.row) // origin.each
        first = origin.row + index * origin.each
        if self._made is None or self._made[0] != first:
            self._made = first, origin.messages.message(origin.first + index)
        return self._made[1]

    def _spans(self) -> Iterator[tuple[int, int]]:
        """Yield where the rows of each message begin and end."""
        ends = [origin.row for origin in self._origins[1:]] + [self._count]
        for origin, end in zip(self._origins, ends, strict=True):
            if isinstance(origin.messages, Messages):
                yield from ((row, row + origin.each) for row in range(origin.row, end, origin.each))
            elif end > origin.row:
                yield origin.row, end

    def messages(self) -> Iterator[Message]:
        """Yield each message that rows came in, once."""
        before: Message | None = None
        for first, _ in self._spans():
            message = self.message(first)
            if message is not before:
                yield message
            before = message

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
        before = self._count if row is None else row
        stamped_ms = received_ms if time_ms is None else time_ms
        stamped_ms = min(max(stamped_ms, received_ms - OLDEST_MS), received_ms + DAY_MS)
        self.doubts.append((before, point, message, stamped_ms))

    def seal(self, ranges: Ranges) -> None:
        """Make a batch of the rows so far, before a conversion changes that holds for them.

        Where they make none, each message is tried by itself, and is a dead letter where it makes none.
        """
        refused, doubted = len(self.rejections), len(self.doubts)
        try:
            self.sealed.append(self._batch(ranges, slice(0, self._count)))
        except Exception:  # noqa: BLE001 - whatever it is, each message must have an end
            _log.exception("rows make no batch", rows=self._count)
            del self.rejections[refused:], self.doubts[doubted:]
            self._seal_one_by_one(ranges)
        self._columns, self._count = Columns(FIRST_ROOM), 0
        self._origins, self._beyond, self.doubts, self._made = [], {}, [], None

    def _seal_one_by_one(self, ranges: Ranges) -> None:
        """Make a batch of the rows of each message, and dead letters of those that make none."""
        doubts = self.doubts
        for first, end in self._spans():
            is_last = end == self._count
            self.doubts = [doubt for doubt in doubts if first <= doubt[0] < end + is_last]
            refused = len(self.rejections)
            try:
                self.sealed.append(self._batch(ranges, slice(first, end)))
            except Exception as error:  # noqa: BLE001 - whatever it is, each message must have an end
                del self.rejections[refused:]
                self.refuse(self.message(first), Reason.DECODER_FAILED, repr(error))

    def batch(self, ranges: Ranges) -> Batch:
        """Return the rows as a batch; rows that cannot be kept become dead letters and doubts."""
        if self._count or self.doubts or not self.sealed:
            self.seal(ranges)
        return self.sealed[0] if len(self.sealed) == 1 else Batch.concatenate(self.sealed)

    def _batch(self, ranges: Ranges, rows: slice) -> Batch:
        columns = self._columns
        # Copies: a batch is kept for long, and is not to keep the room of others.
        points, times = columns.points[rows].copy(), columns.times[rows].copy()
        received = columns.received_ms[rows].copy()
        values = ranges.convert(points, columns.values[rows])
        quality = np.where(columns.good[rows], Quality.GOOD, Quality.SOURCE_DOUBTS).astype(np.uint8)
        quality[~ranges.credible(points, values)] = Quality.IMPLAUSIBLE
        quality[np.isnan(values)] = Quality.NO_VALUE
        is_ahead = times > received + AHEAD_MS
        flags = columns.flags[rows] | np.where(is_ahead, Flag.AHEAD, Flag.NONE).astype(np.uint8)
        kept = rows.start + np.flatnonzero(self._check(rows.start, points, times, received, values, ranges))
        batch = Batch.of([points, times, received, values, quality, flags])
        made = self._with_doubts(batch if len(kept) == len(points) else batch.take(kept - rows.start), kept)
        made.check()
        return made

    def _check(
        self,
        first: int,
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
            at, point, stamp_ms = first + row, int(points[row]), int(times[row])
            message = self.message(at)
            if bad_time[row]:
                found = self._beyond.get(at, stamp_ms)
                hint = f": {IN_SECONDS}" if EARLIEST_MS <= found * 1_000 <= LATEST_MS else ""
                detail = f"expected milliseconds between 2000 and 2100, found {found}{hint}"
                self.refuse(message, Reason.BAD_TIME, detail, point, at, found)
            elif ahead[row]:
                detail = (
                    f"expected a time at most 30 s ahead, found {(times[row] - received[row]) / 1e3:.1f} s"
                )
                self.refuse(message, Reason.TIME_AHEAD, detail, point, at, stamp_ms)
            elif old[row]:
                detail = (
                    f"expected a time within 7 days, found {(received[row] - times[row]) / DAY_MS:.1f} days"
                )
                self.refuse(message, Reason.TIME_TOO_OLD, detail, point, at, stamp_ms)
            else:
                detail = f"expected {ranges.describe(point)}, found {values[row]:g}"
                self.refuse(message, Reason.OUT_OF_RANGE, detail, point, at, stamp_ms)
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


def _row_of(origin: _Origin) -> int:
    return origin.row
