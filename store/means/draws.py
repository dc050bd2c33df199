"""Means of tenants' draws over minutes and quarter-hours, across restarts: what is looked at over months.

A figure stands from its tick to the next one, and no longer than two ticks of a series that has one each
second; one that is not known stands for nothing. What a mean is, `store.means.means` says.

Draws are taken in a minute at a time: no step ends sooner. What was heard of a minute that goes on is in the
ledger, and is heard again after a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import numpy as np

from facility.instants import MINUTE_MS
from facility.readings import Batch, FloatArray, IntArray, Quality
from store.base import FIGURES
from store.means.accumulator import Meaner
from store.means.columnfile import load_columns, save_columns
from store.means.means import Means
from store.series import DrawMean, TenantDraw

AVERAGED: Final = ("low", "best", "high", "limit", "headroom", "coverage")
"""Figures whose means are kept; demand and forecast are means already."""
HOLD_MS: Final = 2_500
"""How long a figure stands [ms]: two ticks of a second, and a half."""
MOST_FIGURES: Final = 16_384
"""So many are taken in at a time, or those of one tick (our choice)."""

Row = tuple[int, int, Sequence[TenantDraw]]
"""Draws of a tick in the ledger: the number of their row, the tick [ms], and the draws."""
_Heard = tuple[int, IntArray, FloatArray]
"""Figures of a tick: the tick [ms], the number of each figure, and its value."""


class DrawMeans:
    """Makes means of draws as ticks come, in order.

    Args:
        path: Where what is known is kept; damaged or gone, it is done without.

    Attributes:
        seq: The last row that is taken in; those after it are to be heard again after a restart.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers: dict[str, int] = {}  # of tenants, in their order
        self._meaner = Meaner()
        self._heard: list[_Heard] = []
        self._heard_seq = 0
        self._minute: int | None = None
        self.seq = self._saved_seq = 0
        columns = load_columns(path)
        with suppress(KeyError):  # none, or of another version
            tenants = [str(tenant) for tenant in columns["tenants"]]
            self._meaner.restore(columns)
            self._numbers = {tenant: number for number, tenant in enumerate(tenants)}
            self.seq = self._saved_seq = int(columns.get("seq", 0))  # files of older versions say none

    def hear(self, rows: Iterable[Row]) -> list[DrawMean]:
        """Hear draws, and take them in once a minute is over; return the means of steps that are over."""
        for seq, at_ms, draws in rows:
            self._heard.append((at_ms, *self._figures(draws)))
            self._heard_seq = seq
        if not self._heard:
            return []
        minute = self._heard[-1][0] // MINUTE_MS
        if minute == (self._heard[0][0] // MINUTE_MS if self._minute is None else self._minute):
            return []
        heard, self._heard, self._minute = self._heard, [], minute
        self.seq = self._heard_seq
        return [mean for few in _portions(heard) for mean in self._take(few)]

    def _figures(self, draws: Sequence[TenantDraw]) -> tuple[IntArray, FloatArray]:
        """Return the numbers of the figures of a tick, and their values: NaN where one is not known."""
        tenants = np.array([self._number(draw.tenant) for draw in draws], np.int64)
        points = tenants[:, np.newaxis] * len(AVERAGED) + np.arange(len(AVERAGED))
        values = np.empty(points.shape)
        for place, name in enumerate(AVERAGED):
            figure = FIGURES[name]
            parts = [np.array([getattr(d, column) for d in draws], np.float64) for column in figure.columns]
            values[:, place] = (parts[0] - sum(parts[1:])) / figure.per_unit
        return points.ravel(), values.ravel()

    def _take(self, heard: Sequence[_Heard]) -> list[DrawMean]:
        """Take in figures of some ticks; return the means of steps that are over."""
        times = np.repeat([at_ms for at_ms, _, _ in heard], [len(points) for _, points, _ in heard])
        points, values = (np.concatenate(column) for column in list(zip(*heard, strict=True))[1:])
        quality = np.where(np.isnan(values), Quality.NO_VALUE, Quality.GOOD)
        batch = Batch.of([points, times, times, values, quality, np.zeros(len(values))])
        return [mean for means in self._meaner.take(batch) for mean in self._by_tenant(means)]

    def save(self) -> None:
        """Keep what is known, where it is more than before; where the disk refuses, that stays."""
        if self.seq == self._saved_seq:
            return
        self._saved_seq = self.seq
        seq, tenants = np.array(self.seq, np.int64), np.array(list(self._numbers))
        save_columns(self._path, {"seq": seq, "tenants": tenants, **self._meaner.state()})

    def _number(self, tenant: str) -> int:
        if (number := self._numbers.get(tenant)) is None:
            number = self._numbers[tenant] = len(self._numbers)
            for place in range(len(AVERAGED)):
                self._meaner.learn(number * len(AVERAGED) + place, HOLD_MS)
        return number

    def _by_tenant(self, means: Means) -> list[DrawMean]:
        """Return means by tenant and step; one of the best estimate is always among them."""
        tenants = list(self._numbers)
        found: dict[tuple[int, int], dict[str, float]] = {}
        shares: dict[tuple[int, int], tuple[float, float]] = {}
        for number, start, mean, high, covered in zip(
            means.point.tolist(),
            means.start_ms.tolist(),
            means.mean.tolist(),
            means.high.tolist(),
            means.coverage.tolist(),
            strict=True,
        ):
            tenant, figure = divmod(number, len(AVERAGED))
            if covered > 0:
                found.setdefault((tenant, start), {})[AVERAGED[figure]] = mean
            if AVERAGED[figure] == "best":
                shares[tenant, start] = covered, high
        return [
            DrawMean(
                tenant=tenants[tenant],
                step_ms=means.step_ms,
                start_ms=start,
                known=shares[tenant, start][0],
                most_mw=shares[tenant, start][1],
                figures=figures,
            )
            for (tenant, start), figures in found.items()
            if shares.get((tenant, start), (0.0, 0.0))[0] > 0
        ]


def _portions(heard: Sequence[_Heard]) -> Iterator[Sequence[_Heard]]:
    """Return ticks a few at a time, so that what is made of them meanwhile is small, whatever the site."""
    begin = count = 0
    for end, (_, points, _) in enumerate(heard, 1):
        count += len(points)
        if count >= MOST_FIGURES or end == len(heard):
            yield heard[begin:end]
            begin, count = end, 0
