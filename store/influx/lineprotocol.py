"""A chunk as lines of InfluxDB's line protocol, at millisecond precision.

    reading        tags   asset, area, feed, phase, point, quantity; setpoint=yes for a target
                   fields value [canonical unit]; quality where it is not good; received_lag_ms where that is
                          more than ten seconds
    reading_1m     tags   as above            means over minutes, and reading_15m over quarter-hours
                   fields mean, min, max, last [canonical unit], coverage
    point          tags   point               what is known of a point, once a day
                   fields hold_ms, unit, asset, quantity, stream, cadence (text)
    tenant_draw    tags   tenant
                   fields low_mw, best_mw, high_mw, limit_mw, headroom_mw, coverage, demand_mw, forecast_mw,
                          block_limit_mw
    tenant_draw_1m tags   tenant              means over minutes, and tenant_draw_15m over quarter-hours
                   fields low_mw, best_mw, high_mw, limit_mw, headroom_mw, coverage, most_mw, known
    rack_draw_1m   tags   asset, tenant       over minutes, looked at each second
                   fields mean_kw, most_kw, coverage
    feed_draw_1m   tags   asset, kind         likewise
                   fields metered_kw, racks_kw, most_kw, amps, limit_amps, alone_amps, count, coverage
    site_draw_1m   fields racks_mw, most_mw, supply_mw, limit_mw, sold_mw, firm_mw, coverage
    alarm_event    tags   change, rule, severity, subject
                   fields value, limit; id, unit, by (text)
    pipeline       fields as in `status`: received, stored, waiting, ...
    dead_letters   tags   reason
                   fields count

Quality and lag say something of few readings, and would be a third of what a reading takes on disk.
A tag without a value is left out, and so is a field; the tag `point` is a point's identity and always
there. Numbers are floats without exception, for a field that was once written as an integer refuses
floats for ever. Nothing is escaped: servers disagree on what an escaped name means, so a name either
consists of allowed characters or what it names is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from itertools import repeat
from typing import Final

import msgspec
import numpy as np

from facility.instants import DAY_MS, MINUTE_MS
from facility.invariants import require
from facility.points import Point
from facility.readings import Batch, BoolArray, IntArray, Quality, Rejection
from store.base import Chunk
from store.influx.names import FaultyName, a_line, head, plain, rejection, tags_of
from store.influx.serieslines import (
    alarm_lines,
    block_lines,
    draw_lines,
    draw_mean_lines,
    health_lines,
    rollup_lines,
)
from store.means.means import Means, hold_ms

AT_ONCE: Final = 1_000
"""So many lines are made at once: no other thread has its turn for a millisecond or two (our choice)."""

_READING: Final = b"reading"
_VALUE: Final = b"value="
_MEANS: Final = {MINUTE_MS: b"_1m", 15 * MINUTE_MS: b"_15m"}
"""What the names of means add to that of readings, by the length of the step [ms]."""
LATE_MS: Final = 10_000
"""From here on it is written how much later than measured a reading was received [ms]: our choice."""
_WITHOUT_VALUE: Final = (Quality.NO_VALUE, Quality.REFUSED)


class Kept(StrEnum):
    """How long something is kept; the value is what its bucket is called besides the site's name for it."""

    DAYS = ""
    MONTHS = "minute"
    YEARS = "quarter"


@dataclass(frozen=True, slots=True)
class Lines:
    """A chunk as it is sent.

    Attributes:
        chunk: What the lines are made of.
        lines: A line each, without its end, by how long it is kept. Readings come first, by their time.
        rows: Which reading of the batch each of the first lines that are kept for days is.
        refused: What has no line, for its names are not allowed.
    """

    chunk: Chunk
    lines: Mapping[Kept, list[bytes]]
    rows: IntArray
    refused: list[Rejection]

    def rejection(self, kept: Kept, place: int, detail: str) -> Rejection:
        """Return what becomes of a line that the database will never take.

        Args:
            kept: Among which lines.
            place: Which of them.
            detail: What the database said of it.
        """
        line, batch = self.lines[kept][place], self.chunk.batch
        if kept is Kept.DAYS and place < len(self.rows):
            row = int(self.rows[place])
            topic = self.chunk.points[int(batch.point[row])].key
            return rejection(topic, line, detail, int(batch.received_ms[row]))
        series, _, _ = line.partition(b" ")
        _, _, at_ms = line.rpartition(b" ")
        return rejection(series.decode("ascii"), line, detail, int(at_ms))


class Encoder:
    """Turns chunks into lines; remembers how the lines of each point begin.

    Args:
        hold: Tells how long a value stands for its point [ms].
    """

    def __init__(self, hold: Callable[[Point], int] = hold_ms) -> None:
        self._hold = hold
        # In the places of the points' numbers: dictionaries of a site would take five times the memory.
        self._points: list[Point | None] = []  # as they were when their lines were made to begin so
        self._readings: list[bytes] = []  # how a reading begins, up to its value
        self._told_days: list[int] = []  # on which day what is known of a point was last written, 0 for never
        self._faults: dict[int, str] = {}  # why a point has no lines

    def encode(self, chunk: Chunk) -> Lines:
        """Return a chunk as lines."""
        batch = chunk.batch
        refused: list[Rejection] = []
        # What is too old for the database comes to lie together, so that it is soon found.
        rows = np.argsort(batch.source_ms, kind="stable")
        numbers = set(batch.point.tolist())
        self._learn(numbers.union(*(means.point.tolist() for means in chunk.means)), chunk.points)
        if not numbers.isdisjoint(self._faults):
            is_bad = np.isin(batch.point, list(self._faults))
            refused += [self._refusal(chunk, row) for row in np.flatnonzero(is_bad).tolist()]
            rows = rows[~is_bad[rows]]
        lines: dict[Kept, list[bytes]] = {kept: [] for kept in Kept}
        lines[Kept.DAYS] = self._reading_lines(batch.take(rows))
        parts = len(lines[Kept.DAYS]), len(refused)
        require(sum(parts) == len(batch), f"lines and refusals of {len(batch)} readings", parts)
        if len(batch):
            lines[Kept.YEARS] += self._point_lines(numbers, int(batch.received_ms.max()))
        for means in chunk.means:
            lines[_kept(means.step_ms)] += self._mean_lines(means)
        series: Iterable[tuple[Kept, Iterable[bytes | Rejection]]] = (
            (Kept.DAYS, draw_lines(chunk.draws)),
            *((_kept(mean.step_ms), draw_mean_lines([mean])) for mean in chunk.draw_means),
            (Kept.MONTHS, rollup_lines(chunk.rollups)),
            (Kept.MONTHS, block_lines(chunk.blocks)),
            (Kept.YEARS, alarm_lines(chunk.changes)),
            (Kept.DAYS, health_lines(chunk.health)),
        )
        for kept, items in series:
            for item in items:
                if isinstance(item, Rejection):
                    refused.append(item)
                else:
                    lines[kept].append(item)
        return Lines(chunk, lines, rows, refused)

    def _learn(self, numbers: set[int], points: Mapping[int, Point]) -> None:
        """Find out how the lines of points begin that are new, or known better."""
        if (more := max(numbers, default=-1) + 1 - len(self._points)) > 0:
            self._points += [None] * more
            self._readings += [b""] * more
            self._told_days += [0] * more
        for number in numbers:
            point, known = points[number], self._points[number]
            if known is not None and (point is known or point == known):
                continue
            self._points[number] = point
            self._told_days[number] = 0
            try:
                self._readings[number] = head(_READING.decode(), tags_of(point)) + _VALUE
                self._faults.pop(number, None)
            except FaultyName as error:
                self._faults[number] = str(error)

    def _point_lines(self, numbers: set[int], now_ms: int) -> list[bytes]:
        """Return what is known of points, where it was not written since it became known, or today."""
        day, found = now_ms // DAY_MS, []
        for number in sorted(numbers - self._faults.keys()):
            point = self._points[number]
            if point is not None and self._told_days[number] != day:
                self._told_days[number] = day
                fields: dict[str, float | str | None] = {
                    "asset": point.asset,
                    "cadence": point.cadence.value,
                    "hold_ms": self._hold(point),
                    "quantity": point.quantity,
                    "stream": point.stream,
                    "unit": point.shown_unit,
                }
                found.append(a_line("point", {"point": point.key}, fields, day * DAY_MS))
        return found

    def _reading_lines(self, batch: Batch) -> list[bytes]:
        has_value: BoolArray = np.isfinite(batch.value) & ~np.isin(batch.quality, _WITHOUT_VALUE)
        is_plain = has_value & (batch.quality == Quality.GOOD)
        is_plain &= batch.received_ms - batch.source_ms < LATE_MS
        if is_plain.all():
            return self._plain_lines(batch)
        lines = np.empty(len(batch), object)
        lines[is_plain] = self._plain_lines(batch.take(is_plain))
        lines[~is_plain] = self._odd_lines(batch.take(~is_plain), has_value[~is_plain])
        found: list[bytes] = lines.tolist()
        return found

    def _plain_lines(self, batch: Batch) -> list[bytes]:
        lines: list[bytes] = []
        for begin in range(0, len(batch), AT_ONCE):
            rows = slice(begin, begin + AT_ONCE)
            parts = zip(
                map(self._readings.__getitem__, batch.point[rows].tolist()),
                _texts(batch.value[rows].tolist()),
                repeat(b" "),
                _texts(batch.source_ms[rows].tolist()),
                strict=False,
            )
            lines += map(b"".join, parts)
        return lines

    def _odd_lines(self, batch: Batch, has_value: BoolArray) -> list[bytes]:
        """Return the lines of readings that have more than a value, or none."""
        lines = []
        for number, at_ms, received_ms, value, quality, is_valued in zip(
            batch.point.tolist(),
            batch.source_ms.tolist(),
            batch.received_ms.tolist(),
            batch.value.tolist(),
            batch.quality.tolist(),
            has_value.tolist(),
            strict=True,
        ):
            fields = [b"value=%b" % msgspec.json.encode(value)] if is_valued else []
            fields += [b"quality=%d" % quality] if quality != Quality.GOOD or not is_valued else []
            lag_ms = received_ms - at_ms
            fields += [b"received_lag_ms=%d" % lag_ms] if lag_ms >= LATE_MS else []
            head = self._readings[number].removesuffix(_VALUE)
            lines.append(b"%b%b %d" % (head, b",".join(fields), at_ms))
        return lines

    def _mean_lines(self, means: Means) -> list[bytes]:
        """Return means; a step without any good reading has its coverage only."""
        means = means.take(~np.isin(means.point, list(self._faults)))
        gone = means.take(means.covered_ms == 0)
        lines = [
            b"%bcoverage=0.0 %d" % parts
            for parts in zip(self._mean_heads(gone), gone.start_ms.tolist(), strict=True)
        ]
        known = np.flatnonzero(means.covered_ms > 0)
        form = b"%bcoverage=%b,last=%b,max=%b,mean=%b,min=%b %b"
        for begin in range(0, len(known), AT_ONCE):
            some = means.take(known[begin : begin + AT_ONCE])
            columns = (some.coverage, some.last, some.high, some.mean, some.low, some.start_ms)
            texts = (_texts(column.tolist()) for column in columns)
            lines += [form % parts for parts in zip(self._mean_heads(some), *texts, strict=True)]
        return lines

    def _mean_heads(self, means: Means) -> list[bytes]:
        """Return how the lines of means begin, up to the first field: with the tags of their readings."""
        name = _READING + _MEANS[means.step_ms]
        begin, readings = len(_READING), self._readings
        return [b"%b%b" % (name, readings[n][begin : -len(_VALUE)]) for n in means.point.tolist()]

    def _refusal(self, chunk: Chunk, row: int) -> Rejection:
        batch = chunk.batch
        number = int(batch.point[row])
        point = chunk.points[number]
        text = f"{point!r} {float(batch.value[row])!r} {batch.quality[row]} {batch.source_ms[row]}"
        return rejection(point.key, plain(text), self._faults[number], int(batch.received_ms[row]))


def _kept(step_ms: int) -> Kept:
    return Kept.MONTHS if step_ms == MINUTE_MS else Kept.YEARS


def _texts(numbers: list[float] | list[int]) -> list[bytes]:
    """Return numbers as text, the shortest that reads back as the same number."""
    return msgspec.json.encode(numbers)[1:-1].split(b",")
