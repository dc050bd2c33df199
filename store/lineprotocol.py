"""A chunk as lines of InfluxDB's line protocol, at millisecond precision.

    reading        tags   asset, area, feed, phase, point, quantity
                   fields value [canonical unit], quality, received_lag_ms
    tenant_draw    tags   tenant
                   fields low_mw, best_mw, high_mw, limit_mw, coverage, demand_mw, forecast_mw, block_limit_mw
    alarm_event    tags   change, rule, severity, subject
                   fields value, limit, id (text)

A tag without a value is left out, and so is a field; the tag `point` is a point's identity and always
there. Numbers are floats without exception, for a field that was once written as an integer refuses
floats for ever. Nothing is escaped: servers disagree on what an escaped name means, so a name either
consists of allowed characters or what it names is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import msgspec
import numpy as np

from facility.names import is_path
from facility.points import Point
from facility.readings import DEAD_LETTER_BYTES, Batch, BoolArray, IntArray, Quality, Reason, Rejection
from store.alarms import AlarmChange
from store.base import Chunk
from store.series import TenantDraw

_MILLIWATTS_IN_MW: Final = 1_000_000_000
_KW_IN_MW: Final = 1_000
_SHOWN: Final = 80
_VALUE: Final = b"value="
_LAG: Final = tuple(b",quality=%d,received_lag_ms=" % code for code in range(256))
_QUALITY: Final = tuple(b"quality=%d" % code for code in range(256))
_OPTIONAL: Final = ("area", "feed", "phase")
_WITHOUT_VALUE: Final = (Quality.NO_VALUE, Quality.REFUSED)


@dataclass(frozen=True, slots=True)
class Lines:
    """A chunk as it is sent.

    Attributes:
        chunk: The chunk.
        lines: A line each, without its end: readings by their time, then draws, then alarms.
        rows: Which reading of the batch each of the first lines is.
        refused: What has no line, for its names are not allowed.
    """

    chunk: Chunk
    lines: list[bytes]
    rows: IntArray
    refused: list[Rejection]

    def rejection(self, place: int, detail: str) -> Rejection:
        """Return what becomes of a line that the database will never take.

        Args:
            place: Which line.
            detail: What the database said of it.
        """
        line, batch = self.lines[place], self.chunk.batch
        if place < len(self.rows):
            row = int(self.rows[place])
            topic = self.chunk.points[int(batch.point[row])].key
            return _rejection(topic, line, detail, int(batch.received_ms[row]))
        series, _, _ = line.partition(b" ")
        _, _, at_ms = line.rpartition(b" ")
        return _rejection(series.decode("ascii"), line, detail, int(at_ms))


class Encoder:
    """Turns chunks into lines; remembers how the lines of each point begin."""

    def __init__(self) -> None:
        self._heads: dict[int, bytes] = {}
        self._known: dict[int, Point] = {}
        self._faults: dict[int, str] = {}

    def encode(self, chunk: Chunk) -> Lines:
        """Return a chunk as lines."""
        batch = chunk.batch
        refused: list[Rejection] = []
        # What is too old for the database comes to lie together, so that it is soon found.
        rows = np.argsort(batch.source_ms, kind="stable")
        bad = self._learn(set(batch.point.tolist()), chunk.points)
        if bad:
            is_bad = np.isin(batch.point, bad)
            refused += [self._refusal(chunk, row) for row in np.flatnonzero(is_bad).tolist()]
            rows = rows[~is_bad[rows]]
        lines = self._readings(batch.take(rows))
        for item in _series(chunk):
            if isinstance(item, Rejection):
                refused.append(item)
            else:
                lines.append(item)
        return Lines(chunk, lines, rows, refused)

    def _learn(self, numbers: set[int], points: Mapping[int, Point]) -> list[int]:
        """Make the heads of points that are new, or known better; return those that have none."""
        for number in numbers:
            point, known = points[number], self._known.get(number)
            if point is known or point == known:
                continue
            self._known[number] = point
            tags = _tags_of(point)
            fault = _fault(tags)
            if fault:
                self._faults[number] = fault
            else:
                self._faults.pop(number, None)
                self._heads[number] = _head("reading", tags) + _VALUE
        return [number for number in numbers if number in self._faults] if self._faults else []

    def _readings(self, batch: Batch) -> list[bytes]:
        has_value: BoolArray = np.isfinite(batch.value) & ~np.isin(batch.quality, _WITHOUT_VALUE)
        if has_value.all():
            return self._with_value(batch)
        lines = np.empty(len(batch), object)
        lines[has_value] = self._with_value(batch.take(has_value))
        lines[~has_value] = self._without_value(batch.take(~has_value))
        found: list[bytes] = lines.tolist()
        return found

    def _with_value(self, batch: Batch) -> list[bytes]:
        parts = zip(
            map(self._heads.__getitem__, batch.point.tolist()),
            _texts(batch.value.tolist()),
            map(_LAG.__getitem__, batch.quality.tolist()),
            _texts((batch.received_ms - batch.source_ms).tolist()),
            repeat(b" "),
            _texts(batch.source_ms.tolist()),
            strict=False,
        )
        return list(map(b"".join, parts))

    def _without_value(self, batch: Batch) -> list[bytes]:
        return [
            b"%b%b %d" % (self._heads[number].removesuffix(_VALUE), _QUALITY[code], time_ms)
            for number, code, time_ms in zip(
                batch.point.tolist(), batch.quality.tolist(), batch.source_ms.tolist(), strict=True
            )
        ]

    def _refusal(self, chunk: Chunk, row: int) -> Rejection:
        batch = chunk.batch
        number = int(batch.point[row])
        point = chunk.points[number]
        text = f"{point!r} {float(batch.value[row])!r} {batch.quality[row]} {batch.source_ms[row]}"
        return _rejection(point.key, _plain(text), self._faults[number], int(batch.received_ms[row]))


def _series(chunk: Chunk) -> Iterable[bytes | Rejection]:
    for at_ms, draws in chunk.draws:
        for draw in draws:
            yield _line(draw, "tenant_draw", {"tenant": draw.tenant}, _figures(draw), at_ms)
    for change in chunk.changes:
        alarm = change.alarm
        tags = {
            "change": change.change,
            "rule": alarm.rule,
            "severity": alarm.severity,
            "subject": alarm.subject,
        }
        fields = {"id": alarm.id, "limit": alarm.limit, "value": alarm.value}
        yield _line(change, "alarm_event", tags, fields, change.at_ms)


def _figures(draw: TenantDraw) -> dict[str, float | None]:
    return {
        "best_mw": _divide(draw.best_milliwatts, _MILLIWATTS_IN_MW),
        "block_limit_mw": _divide(draw.block_limit_kw, _KW_IN_MW),
        "coverage": draw.coverage,
        "demand_mw": _divide(draw.demand_kw, _KW_IN_MW),
        "forecast_mw": _divide(draw.forecast_kw, _KW_IN_MW),
        "high_mw": _divide(draw.high_milliwatts, _MILLIWATTS_IN_MW),
        "limit_mw": _divide(draw.limit_milliwatts, _MILLIWATTS_IN_MW),
        "low_mw": _divide(draw.low_milliwatts, _MILLIWATTS_IN_MW),
    }


def _line(
    of: TenantDraw | AlarmChange,
    measurement: str,
    tags: Mapping[str, str],
    fields: Mapping[str, float | str | None],
    at_ms: int,
) -> bytes | Rejection:
    fault = _fault(tags) or _fault({name: text for name, text in fields.items() if isinstance(text, str)})
    if fault:
        return _rejection(measurement, _plain(repr(of)), fault, at_ms)
    texts = [
        f'{name}="{value}"' if isinstance(value, str) else f"{name}={float(value)!r}"
        for name, value in fields.items()
        if isinstance(value, str) or (value is not None and math.isfinite(value))
    ]
    return _head(measurement, tags) + ",".join(texts).encode("ascii") + b" %d" % at_ms


def _divide(value: float | None, by: int) -> float | None:
    return None if value is None else value / by


def _tags_of(point: Point) -> dict[str, str]:
    """Return the tags of a point by name, sorted; what it must have is there even where empty.

    An area is a text for people. One that can not be a tag is left out: the point's key tells it apart.
    """
    area = ".".join(point.area)
    tags = {
        "area": area if is_path(area) else "",
        "asset": point.asset,
        "feed": point.feed,
        "phase": point.phase,
        "point": point.key,
        "quantity": point.quantity,
    }
    return {name: value for name, value in tags.items() if value or name not in _OPTIONAL}


def _fault(tags: Mapping[str, str]) -> str:
    """Return what is wrong with the first name that is not allowed; "" where all are."""
    for name, value in tags.items():
        # A stream, which an alarm may be about, is a broker and a publisher with a colon between them.
        if not is_path(value.replace(":", "/") if name == "subject" else value):
            found = ascii(value[:_SHOWN])
            return f"expected letters, digits, '.', '_', '-' and '/' between parts as {name}, found {found}"
    return ""


def _head(measurement: str, tags: Mapping[str, str]) -> bytes:
    return f"{measurement},{','.join(f'{name}={value}' for name, value in tags.items())} ".encode("ascii")


def _texts(numbers: list[float] | list[int]) -> list[bytes]:
    """Return numbers as text, the shortest that reads back as the same number."""
    return msgspec.json.encode(numbers)[1:-1].split(b",")


def _plain(text: str) -> bytes:
    return text.encode("ascii", "backslashreplace")


def _rejection(topic: str, payload: bytes, detail: str, received_ms: int) -> Rejection:
    return Rejection(
        topic=_plain(topic).decode("ascii"),
        payload=payload[:DEAD_LETTER_BYTES],
        length=len(payload),
        reason=Reason.REFUSED_BY_DATABASE,
        detail=detail,
        received_ms=received_ms,
    )
