"""Engine tick: every rule over every rack and tenant, with all racks heard since the tick before.

And what a reading costs the rules: taking it in, with its share of the ticks.
"""

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
from rules.telemetry.timing import Timing
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
    """Measure a tick at 2,270 racks (300 MW) and at 100,000, and a reading where 20,000 come each second."""
    ticks = 20 if quick else 100
    figures = []
    for racks, aim in ((2_270, "below 10 ms"), (100_000, "")):
        live, settled = ([1_000 * s for s in samples] for samples in _ticks(racks, ticks))
        what = f"live tick at {racks:,} racks, all of them heard anew"
        figures.append(Figure(what=what, unit="ms", samples=live, aim=aim))
        figures.append(Figure(what="  its 99th percentile", unit="ms", samples=[quantile(live, 0.99)]))
        figures.append(Figure(what="  the same tick again, settled", unit="ms", samples=settled, aim=aim))
    what = (
        "a reading of 20,000 a second, taken in and judged by both, in batches of 100 ms and ticks of 250 ms"
    )
    figures.append(Figure(what=what, unit="µs CPU", samples=_readings(20_000, 6 if quick else 20)))
    return figures


def _ticks(racks: int, ticks: int) -> tuple[list[float], list[float]]:
    """Return how long live and settled ticks take [s]."""
    judging = _judging(
        racks, tick_ms=1_000, lateness_ms=0, patience=Patience(grace_ms=0, silent_ms=0, away_ms=0)
    )
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


def _readings(racks: int, seconds: int) -> list[float]:
    """Return what a reading costs to take in and to judge [µs CPU], second by second.

    Each rack is heard once a second, some milliseconds late, in an order that is not that of the racks.
    """
    patience = Patience(grace_ms=2_000, silent_ms=3_000, away_ms=3_000)
    judging = _judging(racks, tick_ms=250, lateness_ms=300, patience=patience)
    random = np.random.default_rng(7)
    parts = np.array_split(random.permutation(racks), 10)
    costs: list[float] = []
    for second in range(seconds):
        cost_s = 0.0
        for number, point in enumerate(parts, second * len(parts)):
            at_ms, nothing = T0_MS + (number + 1) * 100, np.zeros(len(point))
            received = np.sort(at_ms - random.integers(0, 100, len(point)))
            source = received - random.integers(2, 40, len(point))
            power = random.normal(95, 3, len(point)).round(2)
            entry = Entry(10 + number, at_ms, Batch.of([point, source, received, power, nothing, nothing]))
            begin_s = time.process_time()
            judging.take(entry)
            judging.advance(at_ms)
            cost_s += time.process_time() - begin_s
        costs.append(cost_s * 1e6 / racks)
    return costs[4:]


def _judging(racks: int, *, tick_ms: int, lateness_ms: int, patience: Patience) -> Judging:
    """Return judgements of a site whose collector has begun."""
    file = read_site(site_text(racks))
    timing = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=1_000, certain_ms=1_500)
    rules = make_rules(NO_PARAMETERS, [])
    judging = Judging(
        file.site, {"bus": timing}, rules, tick_ms=tick_ms, lateness_ms=lateness_ms, patience=patience
    )
    judging.take(Entry(1, T0_MS - 10, known_racks(racks)))
    for i, kind in enumerate((MarkKind.STARTED, MarkKind.CONNECTED, MarkKind.CAUGHT_UP)):
        judging.take(Entry(2 + i, T0_MS - 5, Mark(kind, "bus", T0_MS - 5)))
    return judging
