"""What carries readings from the journal to where people look, and how they are looked at there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from facility.points import Point
from facility.readings import Batch, FloatArray, IntArray, Rejection
from store.alarms import AlarmChange
from store.series import TenantDraw


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """What a sink stores at once: readings of the journal and series of the engine.

    Attributes:
        first_seq: The first entry of the journal that it is made of.
        last_seq: The last one.
        batch: Readings; none of quality REFUSED.
        points: Every point that the readings are of, by its number.
        draws: The engine's series: tick [ms] and every tenant at it.
        changes: What happened to alarms.
    """

    first_seq: int
    last_seq: int
    batch: Batch
    points: Mapping[int, Point]
    draws: Sequence[tuple[int, Sequence[TenantDraw]]] = ()
    changes: Sequence[AlarmChange] = field(default=())


class Sink(Protocol):
    """Where chunks go. One is stored again whole after a crash, so storing must be repeatable."""

    @property
    def name(self) -> str:
        """What its cursor is called."""
        ...

    async def store(self, chunk: Chunk) -> Sequence[Rejection]:
        """Store a chunk.

        Args:
            chunk: What comes after the last chunk that was stored.

        Returns:
            What the sink will never take, each with the reason.

        Raises:
            StoreUnavailable: Where it can not take it now: the same chunk is tried again later.
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
        value: What, shape (n,), float64; NaN where the source had no value or nobody can tell.
        quality: `Quality` codes, shape (n,), int64; 0 for what the engine computed.
    """

    name: str
    unit: str
    time_ms: IntArray
    value: FloatArray
    quality: IntArray


class History(Protocol):
    """What was stored, as it is read. Two forms, InfluxDB and Parquet, give the same answers."""

    def readings(self, key: str, from_ms: int, to_ms: int) -> Series:
        """Return the readings of one point in a span, start included and end not.

        Args:
            key: The point's key.
            from_ms: Start [ms].
            to_ms: End [ms].

        Raises:
            KeyError: Where no such point is known.
        """
        ...

    def means(self, key: str, from_ms: int, to_ms: int, step_ms: int) -> Series:
        """Return means of the good readings of one point, one for each step that has some.

        Args:
            key: The point's key.
            from_ms: Start [ms], a multiple of the step.
            to_ms: End [ms].
            step_ms: Length of a step [ms].

        Raises:
            KeyError: Where no such point is known.
        """
        ...

    def draw(self, tenant: str, figure: str, from_ms: int, to_ms: int) -> Series:
        """Return one figure of a tenant's draw in a span, start included and end not.

        Args:
            tenant: The tenant's id.
            figure: `low`, `best`, `high`, `limit`, `coverage`, `demand` or `forecast`.
            from_ms: Start [ms].
            to_ms: End [ms].

        Raises:
            KeyError: Where there is no such figure.
        """
        ...
