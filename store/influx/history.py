"""The history as it is read from an InfluxDB 1.x or 2: what was written there, by InfluxQL.

The same questions have the same answers as on `store.history.reader`. A point is known once something of it
was written. VictoriaMetrics answers no InfluxQL, so nothing is read from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from facility.instants import MINUTE_MS
from facility.names import is_path
from facility.readings import Batch, FloatArray, IntArray, Quality
from facility.sitefile.tables import InfluxTable
from store.base import Series, computed, figure_of, mean_series, need_tenant, no_point, span_of, step_of
from store.influx.lineprotocol import Kept
from store.influx.query import InfluxQuery
from store.means.means import Means, is_new, kept_means, means_over

MOST_KEYS: Final = 200_000
"""How many keys of points are asked for, to name the nearest one to what is not known."""

# What InfluxDB's times, 64 bits of nanoseconds, can hold [ms].
_FARTHEST_MS: Final = 9_223_372_036_853
_NS: Final = 1_000_000
_SPAN: Final = "time >= $from AND time < $to"
_FIELDS: Final = MappingProxyType(
    {
        "low": "low_mw",
        "best": "best_mw",
        "high": "high_mw",
        "limit": "limit_mw",
        "headroom": "headroom_mw",
        "coverage": "coverage",
        "demand": "demand_mw",
        "forecast": "forecast_mw",
    }
)


@dataclass(frozen=True, slots=True)
class _Known:
    """What is known of a point.

    Attributes:
        unit: Its unit.
        hold_ms: How long its values stand [ms].
    """

    unit: str
    hold_ms: int


class InfluxHistory:
    """The history in an InfluxDB. What its methods take, give and raise: `store.base.History`.

    Args:
        table: Where it is, as the site file says.
        token: Gives a token that may read; asked again after the database refused it.
    """

    def __init__(self, table: InfluxTable, token: Callable[[], str]) -> None:
        self._query = InfluxQuery(table, token)
        self._points: dict[str, _Known] = {}

    def close(self) -> None:
        """Close the connection."""
        self._query.close()

    def readings(self, key: str, from_ms: int, to_ms: int) -> Series:
        """Return readings, as `History.readings` says."""
        span = span_of(from_ms, to_ms)
        known = self._known(key)
        rows = self._readings(key, span)
        return Series(key, known.unit, rows.source_ms, rows.value, rows.quality.astype(np.int64))

    def means(self, key: str, from_ms: int, to_ms: int, step_ms: int) -> Series:
        """Return means, as `History.means` says; whole minutes as far as some were written."""
        span, step = span_of(from_ms, to_ms), step_of(step_ms)
        known = self._known(key)
        means = means_over(
            lambda part: self._readings(key, part),
            lambda grain, part: self._means(key, grain, part),
            known.hold_ms,
            span,
            step,
        )
        return mean_series(key, known.unit, means)

    def draw(self, tenant: str, figure: str, from_ms: int, to_ms: int) -> Series:
        """Return a figure of a draw, as `History.draw` says."""
        unit, span = figure_of(figure).unit, span_of(from_ms, to_ms)
        need_tenant(tenant)
        # The coverage is always there, so that a moment has a row though the figure was not known.
        questions = [
            f'SELECT "{_FIELDS[figure]}" AS "asked", "coverage" FROM {source}'  # noqa: S608 - our own words
            f' WHERE "tenant" = $tenant AND {_SPAN}'
            for source in self._query.sources("tenant_draw")
        ]
        time, (asked, _) = self._columns(questions, {"tenant": tenant}, span, 2)
        return computed(f"{tenant} {figure}", unit, time, asked)

    def _known(self, key: str) -> _Known:
        if key not in self._points:
            if not is_path(key):
                raise no_point(key, ())
            questions = [
                f'SELECT "hold_ms", "unit" FROM {source} WHERE "point" = $point ORDER BY time DESC LIMIT 1'  # noqa: S608 - our own words
                for source in self._query.sources("point", Kept.YEARS)
            ]
            rows = sorted(self._query.texts(questions, {"point": key}), key=lambda row: row["time"])
            if not rows:
                raise no_point(key, self._keys())
            self._points[key] = _Known(rows[-1]["unit"] or "", int(rows[-1]["hold_ms"]))
        return self._points[key]

    def _keys(self) -> list[str]:
        questions = [
            f'SELECT last("hold_ms") FROM {source} GROUP BY "point" SLIMIT {MOST_KEYS}'  # noqa: S608 - our own words
            for source in self._query.sources("point", Kept.YEARS)
        ]
        return sorted({row["point"] for row in self._query.texts(questions, {})})

    def _readings(self, key: str, span: tuple[int, int]) -> Batch:
        """Return the readings of a point in a span in order of time, one for each moment."""
        questions = [
            f'SELECT "value", "quality" FROM {source} WHERE "point" = $point AND {_SPAN}'  # noqa: S608 - our own words
            for source in self._query.sources("reading")
        ]
        time, (value, code) = self._columns(questions, {"point": key}, span, 2)
        quality = np.where(np.isnan(code), float(Quality.GOOD), code).astype(np.uint8)
        # A moment that once had a value keeps the field, whatever was written over it.
        value = np.where(quality == Quality.NO_VALUE, np.nan, value)
        zero = np.zeros(len(time))
        return Batch.of([zero, time, time, value, quality, zero])

    def _means(self, key: str, step_ms: int, span: tuple[int, int]) -> Means:
        """Return the means of a point that were written, in a span."""
        minute = step_ms == MINUTE_MS
        name, kept = ("reading_1m", Kept.MONTHS) if minute else ("reading_15m", Kept.YEARS)
        questions = [
            f'SELECT "mean", "coverage", "min", "max" FROM {source} WHERE "point" = $point AND {_SPAN}'  # noqa: S608 - our own words
            for source in self._query.sources(name, kept)
        ]
        time, (mean, coverage, low, high) = self._columns(questions, {"point": key}, span, 4)
        covered_ms = np.rint(coverage * step_ms).astype(np.int64)
        return kept_means(step_ms, time, mean, covered_ms, (low, high))

    def _columns(
        self, questions: list[str], parameters: Mapping[str, str], span: tuple[int, int], width: int
    ) -> tuple[IntArray, list[FloatArray]]:
        """Return what questions find in a span: times [ms], each once and in order, and columns."""
        start, end = (min(max(ms, -_FARTHEST_MS), _FARTHEST_MS) * _NS for ms in span)
        if start >= end:
            return np.empty(0, np.int64), [np.empty(0) for _ in range(width)]
        answers = self._query.numbers(questions, {**parameters, "from": start, "to": end})
        tables = [table for answer in answers for table in answer]
        time = np.concatenate([np.empty(0, np.int64), *(table.time_ms for table in tables)])
        columns = [
            np.concatenate([np.empty(0), *(table.columns[place] for table in tables)])
            for place in range(width)
        ]
        order = np.argsort(time, kind="stable")
        order = order[is_new(time[order])]
        return time[order], [column[order] for column in columns]
