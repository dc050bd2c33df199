"""Objects for tests: each function takes only what a test is about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facility.names import AssetId
from facility.points import Asset, Cadence, Point
from facility.readings import Batch, Quality
from store.journal.entries import Known

T0_MS = 1_780_000_000_000
"""2026-05-28T20:26:40Z, when most tests begin; a whole second, in no special place of a day."""


def a_point(
    key: str = "Rack/RackPower/r1",
    *,
    asset: str = "r1",
    quantity: str = "rack.power.active",
    unit: str = "kW",
    stream: str = "bus:PUB",
    cadence: Cadence = Cadence.ON_CHANGE,
    feed: str = "",
) -> Point:
    """Return a point; a rack's power where nothing else is said."""
    return Point(
        key=key,
        asset=AssetId(asset),
        quantity=quantity,
        unit=unit,
        stream=stream,
        cadence=cadence,
        feed=feed,
    )


def known_racks(names: Sequence[str], *, stream: str = "bus:PUB") -> tuple[Known, ...]:
    """Return the power points of racks, numbered from 0."""
    return tuple(
        Known(
            number,
            a_point(f"Rack/RackPower/{name}", asset=name, stream=stream),
            Asset(id=AssetId(name), kind="Rack", name=name),
        )
        for number, name in enumerate(names)
    )


def a_batch(
    rows: Sequence[tuple[int, int, float]],
    *,
    received_after_ms: int = 5,
    quality: Quality = Quality.GOOD,
    flags: int = 0,
) -> Batch:
    """Return readings given as point, source time [ms] and value."""
    points, times, values = zip(*rows, strict=True) if rows else ((), (), ())
    source = np.array(times, np.int64)
    return Batch.of(
        [
            points,
            source,
            source + received_after_ms,
            values,
            np.full(len(rows), quality),
            np.full(len(rows), flags),
        ]
    )
