"""What both forms of a history are asked about: one set of readings, means and draws, stored in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from msgspec import structs

from facility.instants import HOUR_MS, from_iso
from facility.points import Cadence, Point
from facility.readings import Batch, Quality
from store.base import Chunk
from store.journal.entries import Known
from store.means.accumulator import Meaner
from store.means.means import hold_ms
from store.series import TenantDraw
from testing.builders import T0_MS, a_batch, a_point
from testing.store.histories import Site, open_site

ZONE: Final = ZoneInfo("America/Chicago")
POWER: Final = "Rack/RackPower/r1"
COOLANT: Final = "CDU/LiquidTemperature/c.1"
BUSY: Final = "rack/r2/power_kw"
LONG: Final = "Rack/RackPower/long"
NAMES: Final = (
    "A.Z_a-z.0/9",
    "_",
    "-",
    "a..b",
    "..a/.b/c.",
    "a/b",
    "a/B",
    "123",
    "NULL",
    "x" * 512,
    "null/true/1e5",
    "time",
    "SELECT/FROM/WHERE",
)
ODD: Final = (0.1, 1 / 3, -0.0, 5e-324, 1.7976931348623157e308, -1e15, 90.5, 4.0, 1e-7, 2**53 + 2.0)
"""Values that a careless store would round."""
HOUR: Final = T0_MS // HOUR_MS * HOUR_MS
AUTUMN: Final = from_iso("2026-11-01T00:00:00", ZONE)
"""A day of 25 hours begins."""
SPRING: Final = from_iso("2026-03-08T00:00:00", ZONE)
"""A day of 23 hours begins."""
GAP: Final = HOUR + 2 * HOUR_MS
"""Two hours of minutes with a hole begin."""


def points() -> tuple[Known, ...]:
    """Return every point, numbered from 0."""
    coolant = a_point(COOLANT, asset="c1", quantity="coolant.supply", unit="°C")
    found: list[Point] = [
        structs.replace(a_point(POWER, feed="A"), phase="L1"),
        structs.replace(coolant, area=("Secondary", "Supply")),
        a_point(BUSY, asset="r2", cadence=Cadence.PERIODIC),
        a_point(LONG, asset="r3"),
        *(a_point(name, asset=name[:60], feed="a") for name in NAMES),
    ]
    return tuple(Known(number, point) for number, point in enumerate(found))


def batches() -> Sequence[Batch]:
    """Return readings as they came, in three chunks; each point's in order."""
    values = [*ODD, np.nan, 7.0]
    odd = a_batch([(0, T0_MS + number * 250, value) for number, value in enumerate(values)])
    codes = [0, 1, 3, 0, 0, 0, 0, 0, 0, 0, Quality.NO_VALUE, 0]
    odd = replace(odd, quality=np.array(codes, np.uint8))
    named = a_batch([(4 + number, T0_MS + 7, float(number)) for number in range(len(NAMES))])
    days = [
        (3, start + number * HOUR_MS // 2, float(number))
        for start, hours in ((SPRING, 23), (AUTUMN, 25))
        for number in range(2 * hours)
    ]
    seconds = [(2, GAP + number * 2_000, float(number % 100)) for number in range(1_800)]
    holed = [row for row in seconds if not 600_000 <= row[1] - GAP < 1_500_000]
    coolant = [(1, GAP + number * 97_000, 20.0 + number % 7) for number in range(60)]
    first = Batch.concatenate([odd, named, a_batch(days[:30])])
    second = Batch.concatenate([a_batch(days[30:60]), a_batch(holed[:700]), a_batch(coolant[:31])])
    third = Batch.concatenate([a_batch(days[60:]), a_batch(holed[700:]), a_batch(coolant[31:])])
    return first, second, third


def draws() -> list[tuple[int, list[TenantDraw]]]:
    """Return two tenants' draws, a second apart, some figures of which nobody could tell."""
    return [
        (
            HOUR + number * 1_000,
            [
                TenantDraw(
                    tenant=tenant,
                    low_milliwatts=180_000_000_001 + number,
                    best_milliwatts=None if number == 0 else 181_000_000_000 + number,
                    high_milliwatts=None if number % 3 == 0 else 182_000_000_007 + number,
                    limit_milliwatts=None if number % 5 == 0 else 200_000_000_000,
                    coverage=number / 9,
                    demand_kw=None if number % 4 == 0 else 180_250.1 + number,
                    forecast_kw=None,
                    block_limit_kw=None,
                )
                for tenant in ("acme", "z.9_-")
            ],
        )
        for number in range(10)
    ]


def filled(folder: Path) -> tuple[Site, list[Chunk]]:
    """Return a site with all of it journalled, and the chunks that a writer makes of it."""
    site = open_site(folder, points())
    meaner = Meaner()
    for known in points():
        meaner.learn(known.id, hold_ms(known.point))
    site.append(*batches())
    site.draw(draws())
    chunks = [
        Chunk(
            first_seq=2 + number,
            last_seq=2 + number,
            batch=batch,
            points={known.id: known.point for known in points()},
            draws=draws() if number == 1 else (),
            means=[means for means in meaner.take(batch) if len(means)],
        )
        for number, batch in enumerate(batches())
    ]
    return site, chunks
