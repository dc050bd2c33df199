"""Engine tick: every rule over every rack and tenant, with all racks heard since the tick before."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from bench.frame import Figure, quantile
from facility.names import AssetId
from facility.points import Asset, Cadence, Point
from facility.readings import Batch
from facility.sitefile.reader import read_site
from rules.engine.judging import Judging
from rules.engine.settled import Patience
from rules.registry import make_rules
from rules.telemetry.state import Timing
from store.journal.entries import Entry, Known, Mark, MarkKind

T0_MS: Final = 1_780_000_000_000
TENANTS: Final = 8
NO_PARAMETERS: Final[Mapping[str, Mapping[str, Any]]] = {}


def site_text(racks: int) -> str:
    """Return a site file of racks that eight tenants share evenly, each with a contract of another kind."""
    share = racks // TENANTS
    limits = (
        'method = "instantaneous"',
        'method = "block", minutes = 15',
        'method = "rolling", minutes = 30, subinterval_minutes = 5',
        'method = "instantaneous", warn_percent = 90',
    )
    parts = ['[site]\nname = "bench"\nrack_rating_kw = 132\n']
    for number in range(TENANTS):
        first, last = number * share + 1, (number + 1) * share
        parts.append(
            f'[[tenant]]\nid = "t{number}"\n'
            f'holds = [{{ racks = "r{{{first:06d}..{last:06d}}}", from = 2026-01-01 }}]\n'
            f"[[tenant.contract]]\nfrom = 2026-01-01\ncommitted_mw = {share * 0.1:.3f}\n"
            f"limit = {{ {limits[number % len(limits)]} }}\n"
        )
    return "\n".join(parts)


def known_racks(racks: int) -> tuple[Known, ...]:
    """Return the power point of each rack."""
    return tuple(
        Known(
            number,
            Point(
                key=f"r{number + 1:06d}",
                asset=AssetId(f"r{number + 1:06d}"),
                quantity="rack.power.active",
                unit="kW",
                stream=f"bus:g{number % 20}",
                cadence=Cadence.PERIODIC,
            ),
            Asset(id=AssetId(f"r{number + 1:06d}"), kind="Rack"),
        )
        for number in range(racks)
    )


def run(*, quick: bool = False) -> list[Figure]:
    """Measure a tick at 2,270 racks (300 MW) and at 100,000."""
    ticks = 20 if quick else 100
    figures = []
    for racks, aim in ((2_270, "below 10 ms"), (100_000, "")):
        live, settled = ([1_000 * s for s in samples] for samples in _ticks(racks, ticks))
        what = f"live tick at {racks:,} racks, all of them heard anew"
        figures.append(Figure(what=what, unit="ms", samples=live, aim=aim))
        figures.append(Figure(what="  its 99th percentile", unit="ms", samples=[quantile(live, 0.99)]))
        figures.append(Figure(what="  the same tick again, settled", unit="ms", samples=settled, aim=aim))
    return figures


def _ticks(racks: int, ticks: int) -> tuple[list[float], list[float]]:
    """Return how long live and settled ticks take [s]."""
    file = read_site(site_text(racks))
    timing = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=1_000, certain_ms=1_500)
    rules = make_rules(NO_PARAMETERS, [])
    at_once = Patience(grace_ms=0, silent_ms=0, away_ms=0)
    judging = Judging(file.site, {"bus": timing}, rules, tick_ms=1_000, lateness_ms=0, patience=at_once)
    known = known_racks(racks)
    entries = [Entry(1, T0_MS - 10, known)]
    entries += [
        Entry(2 + i, T0_MS - 5, Mark(kind, "bus", T0_MS - 5))
        for i, kind in enumerate((MarkKind.STARTED, MarkKind.CONNECTED, MarkKind.CAUGHT_UP))
    ]
    for entry in entries:
        judging.take(entry)
    random = np.random.default_rng(7)
    live: list[float] = []
    settled: list[float] = []
    for second in range(ticks + 5):
        at_ms = T0_MS + second * 1_000
        power = random.normal(95, 3, racks).round(2)
        times = np.full(racks, at_ms)
        batch = Batch.of([np.arange(racks), times, times, power, np.zeros(racks), np.zeros(racks)])
        entry = Entry(10 + second, at_ms, batch)
        for engine, samples in ((judging.live, live), (judging.settled, settled)):
            begin_s = time.perf_counter()
            engine.take(entry)
            engine.advance(at_ms)
            samples.append(time.perf_counter() - begin_s)
    return live[5:], settled[5:]
