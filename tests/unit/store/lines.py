"""Chunks and their lines, for tests of what is written to a database."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from facility.points import Point
from facility.readings import Batch
from store.base import Chunk
from store.influx.lineprotocol import Encoder, Lines
from store.ledger.alarms import Alarm, AlarmChange
from store.series import Rollup, TenantDraw
from testing.builders import T0_MS, a_point

A_DRAW = TenantDraw(
    tenant="acme",
    low_milliwatts=180_000_000_001,
    best_milliwatts=181_000_000_000,
    high_milliwatts=182_500_000_000,
    limit_milliwatts=200_000_000_000,
    coverage=0.5,
    demand_kw=180_250.0,
    forecast_kw=190_000.0,
    block_limit_kw=200_000.0,
)
AN_ALARM = Alarm(
    id="1f2e",
    rule="C2",
    title="overdraw",
    subject="acme",
    severity="high",
    unit="kW",
    since_ms=T0_MS,
    opened_ms=T0_MS,
    value=210.5,
    limit=200.0,
)


def a_chunk(
    batch: Batch | None = None,
    points: Sequence[Point] = (),
    draws: Sequence[tuple[int, Sequence[TenantDraw]]] = (),
    changes: Sequence[AlarmChange] = (),
    rollups: Sequence[Rollup] = (),
) -> Chunk:
    """Return a chunk; points are numbered from 0."""
    batch = Batch.empty() if batch is None else batch
    known = dict(enumerate(points))
    return Chunk(
        first_seq=1,
        last_seq=2,
        batch=batch,
        points=known,
        draws=draws,
        changes=changes,
        rollups=rollups,
    )


def encoded(chunk: Chunk) -> Lines:
    """Return a chunk as lines, by an encoder that knows nothing yet."""
    return Encoder().encode(chunk)


def texts(chunk: Chunk) -> list[str]:
    """Return the lines of a chunk as text, but those that say what is known of points."""
    return [line.decode() for line in lines_of(encoded(chunk))]


def lines_of(found: Lines) -> list[bytes]:
    """Return all lines but those that say what is known of points."""
    return [line for lines in found.lines.values() for line in lines if not line.startswith(b"point,")]


def an_event(alarm: Alarm = AN_ALARM) -> AlarmChange:
    """Return the opening of an alarm."""
    return AlarmChange(alarm=alarm, change="opened", at_ms=T0_MS)


COOLANT = "reading,area=Secondary.Supply,asset=c1,point=CDU/Temp/c1,quantity=coolant.supply"
RACK = "reading,asset=r1,point=Rack/RackPower/r1,quantity=rack.power.active"
FED = replace(a_point(feed="A"), phase="L1")
CDU = replace(
    a_point("CDU/Temp/c1", asset="c1", quantity="coolant.supply", unit="°C"), area=("Secondary", "Supply")
)
