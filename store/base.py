"""What carries readings from the journal to where people look, and how they are looked at there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import index
from types import MappingProxyType
from typing import Final, Protocol

import numpy as np

from facility.names import NAME_LENGTH, NAME_RULE, PATH_LENGTH, is_name, nearest
from facility.points import Point
from facility.readings import Batch, FloatArray, IntArray, Quality, Rejection
from store.ledger.alarms import AlarmChange
from store.means.means import Means
from store.series import DemandBlock, DrawMean, Health, Rollup, TenantDraw

FARTHEST_MS: Final = 2**52
"""Before and after every time that anything can have [ms]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What a sink stores at once: readings of the journal and series of the engine.

    Attributes:
        first_seq: Number of the first journal entry that it is made of.
        last_seq: Number of the last one.
        batch: Readings; none of quality REFUSED.
        points: Every point that the readings are of, by its number, as it was described before them.
        draws: The engine's series: tick [ms] and every tenant at it.
        changes: What happened to alarms.
        means: Means that are complete since the last chunk, or were and are now fuller.
        draw_means: Means of the engine's series, likewise.
        rollups: What racks and feeds drew over minutes, and the site.
        blocks: Demand blocks that closed, as known then or settled.
        health: How the pipeline itself does.
    """

    first_seq: int
    last_seq: int
    batch: Batch
    points: Mapping[int, Point]
    draws: Sequence[tuple[int, Sequence[TenantDraw]]] = ()
    changes: Sequence[AlarmChange] = ()
    means: Sequence[Means] = ()
    draw_means: Sequence[DrawMean] = ()
    rollups: Sequence[Rollup] = ()
    blocks: Sequence[DemandBlock] = ()
    health: Sequence[Health] = ()


PARQUET: Final = "history"
INFLUX: Final = "influx"
"""The names by which sinks read the journal and the ledger; a site has one of them at a time."""


class Sink(Protocol):
    """Where chunks go. One is stored again whole after a crash, so storing must be repeatable."""

    @property
    def name(self) -> str:
        """What its cursor is called."""
        ...

    @property
    def period_s(self) -> float | None:
        """How often it takes chunks while it keeps up [s]; None for as often as the site file says."""
        ...

    @property
    def most_per_s(self) -> float | None:
        """How many readings a second it is given at most while it catches up; None for no limit."""
        ...

    @property
    def most_readings(self) -> int:
        """How many readings a chunk has, or a batch more: with so many it is closed."""
        ...

    async def store(self, chunk: Chunk) -> Sequence[Rejection]:
        """Store a chunk.

        Args:
            chunk: What comes after the last chunk that was stored.

        Returns:
            What the sink will never take, each with the reason.

        Raises:
            StoreUnavailable: Where it cannot take it now: the same chunk is tried again later.
        """
        ...

    async def close(self) -> None:
        """Let go of what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Series:
    """Values in order of time.

    Attributes:
        name: What they are of.
        unit: Their unit.
        time_ms: When, shape (n,), int64 [ms].
        value: What, shape (n,), float64; NaN where the source had no value or it is not known.
        quality: `Quality` codes, shape (n,), int64; of what was computed `GOOD`, `NO_VALUE` where it is NaN.
        coverage: The share of each step of a mean in which a good reading stood, shape (n,), float64, 0 to
            1; None for what is no mean.
    """

    name: str
    unit: str
    time_ms: IntArray
    value: FloatArray
    quality: IntArray
    coverage: FloatArray | None = None


class History(Protocol):
    """What was stored, as it is read. Two forms, InfluxDB and Parquet, give the same answers.

    Methods may be called from any thread. Every one raises TypeError where a time is no integer.
    """

    def readings(self, key: str, from_ms: int, to_ms: int) -> Series:
        """Return the readings of one point in a span, start included and end not, one for each moment.

        Args:
            key: `Point.key` of the point.
            from_ms: Start [ms].
            to_ms: End [ms].

        Raises:
            KeyError: Where no such point is known.
            StoreUnavailable: Where it cannot be read now.
        """
        ...

    def means(self, key: str, from_ms: int, to_ms: int, step_ms: int) -> Series:
        """Return time-weighted means of the good readings of one point, one for each step that has some.

        What a mean is, `store.means.means` says. Steps of whole minutes are made of the means that were kept.

        Args:
            key: `Point.key` of the point.
            from_ms: Start [ms], a multiple of the step.
            to_ms: End [ms].
            step_ms: Length of a step [ms], more than 0.

        Raises:
            KeyError: Where no such point is known.
            ValueError: Where the step is not more than 0.
            StoreUnavailable: Where it cannot be read now.
        """
        ...

    def draw(self, tenant: str, figure: str, from_ms: int, to_ms: int) -> Series:
        """Return one figure of a tenant's draw in a span, start included and end not; power in MW.

        A tenant with nothing stored has an empty series.

        Args:
            tenant: Id of the tenant, or `operator` for the rest of the site.
            figure: One of `FIGURES`.
            from_ms: Start [ms].
            to_ms: End [ms].

        Raises:
            KeyError: Where there is no such figure, or there can be no such tenant.
            StoreUnavailable: Where it cannot be read now.
        """
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a tenant's draw.

    Attributes:
        columns: A column of `TenantDraw`, or two: the first less the second.
        unit: Its unit.
        per_unit: How many of a column's units make one of it.
    """

    columns: tuple[str, ...]
    unit: str
    per_unit: float


FIGURES: Final = MappingProxyType(
    {
        "low": Figure(("low_milliwatts",), "MW", 1e9),
        "best": Figure(("best_milliwatts",), "MW", 1e9),
        "high": Figure(("high_milliwatts",), "MW", 1e9),
        "limit": Figure(("limit_milliwatts",), "MW", 1e9),
        "headroom": Figure(("limit_milliwatts", "high_milliwatts"), "MW", 1e9),
        "coverage": Figure(("coverage",), "1", 1.0),
        "demand": Figure(("demand_kw",), "MW", 1e3),
        "forecast": Figure(("forecast_kw",), "MW", 1e3),
    }
)
"""The figures of a draw by name; the headroom is what may certainly still be drawn: limit less `high`."""


def figure_of(name: str) -> Figure:
    """Return the figure of a draw that is called so.

    Raises:
        KeyError: Where there is none; the message names the nearest one.
    """
    if name not in FIGURES:
        raise KeyError(
            f"no figure {name[:NAME_LENGTH]!r}; {nearest(name[:NAME_LENGTH], FIGURES) or ', '.join(FIGURES)}"
        )
    return FIGURES[name]


def computed(name: str, unit: str, time_ms: IntArray, value: FloatArray) -> Series:
    """Return a series of what was computed: good where it is known."""
    quality = np.where(np.isnan(value), np.int64(Quality.NO_VALUE), np.int64(Quality.GOOD))
    return Series(name, unit, time_ms, value, quality)


def need_tenant(tenant: str) -> None:
    """Make sure that there can be such a tenant.

    Raises:
        KeyError: Where there cannot.
    """
    if not is_name(tenant):
        raise KeyError(f"no tenant {tenant[:NAME_LENGTH]!r}: expected {NAME_RULE}")


def span_of(from_ms: int, to_ms: int) -> tuple[int, int]:
    """Return a span within all times that anything can have.

    Raises:
        TypeError: Where a time is no integer.
    """
    start, end = (min(max(index(ms), -FARTHEST_MS), FARTHEST_MS) for ms in (from_ms, to_ms))
    return start, end


def step_of(step_ms: int) -> int:
    """Return the length of a step [ms].

    Raises:
        TypeError: Where it is no integer.
        ValueError: Where it is not more than 0.
    """
    if index(step_ms) <= 0:
        raise ValueError(f"expected a step of more than 0 ms, found {step_ms}")
    return step_ms


def no_point(key: str, known: Iterable[str]) -> KeyError:
    """Return the error that says that a point is not known, and names the nearest one that is."""
    shown = key[:PATH_LENGTH]
    hint = nearest(key, known) if len(key) <= PATH_LENGTH else ""
    return KeyError(f"no point {shown!r}; {hint}" if hint else f"no point {shown!r}")


def mean_series(key: str, unit: str, means: Means) -> Series:
    """Return means of a point as a series."""
    return Series(key, unit, means.start_ms, means.mean, np.zeros(len(means), np.int64), means.coverage)
