"""A day of a site of 2,270 racks as a writer would have written it, thinned so that it loads in minutes.

What is whole: every point's readings of the last five minutes, at the rate at which the simulated bus has
them; tenants' draws of each second for six hours, their means, and what the site did, for the day; alarms of
400 days; and for the rack, the meters and the coolant unit that a dashboard opens with, readings over six
hours and means of each minute over the day. What is thinned: all other points have a reading every half hour
before that, and a mean every hour; all other racks and feeds the minutes of the last hour, and one of each
hour before it. Everything that a panel reads is therefore there as it would be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from collector.mqtt.message import Message
from facility.instants import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS
from facility.names import OPERATOR
from facility.points import Point
from facility.readings import Batch, FloatArray, IntArray
from facility.sitefile.reader import read_site
from simulators.model.jobs import Storage, Training
from simulators.model.layouts import Shape, site_text
from simulators.run import Simulation
from simulators.scenario.scenario import Scenario
from store.base import Chunk
from store.ledger.alarms import Alarm, AlarmChange
from store.means.means import Means
from store.series import DrawMean, FeedDraw, Health, RackDraw, Rollup, SiteDraw, TenantDraw
from testing.collector.hearing import Hearing
from testing.simulators.messages import metadata_message

END_MS: Final = 1_780_000_000_000 // DAY_MS * DAY_MS + DAY_MS
"""When the day is over [ms]."""
BEGIN_MS: Final = END_MS - DAY_MS
FULL_S: Final = 300
"""For how long before the end all readings are there [s]: what a panel asks of all points at most."""
RAW_MS: Final = 6 * HOUR_MS
"""For how long readings, and draws of each second, are there [ms]: what a panel reads of them at most."""
TENANTS: Final = 20
ALARM_DAYS: Final = 400
ALARMS_A_DAY: Final = 24
MOST: Final = 150_000
"""Readings or means in a chunk at most."""
_OPENED: Final = ("rack.power.active", "current.limit", "coolant.flow")
_OPENED_S: Final = 3
"""How often a point of what is opened has a reading [s]: the mean over all points of the simulated bus."""
_SEED: Final = 11


@dataclass(frozen=True, slots=True)
class Site:
    """A simulated site, of which everything that is said is known.

    Attributes:
        simulation: It, at its beginning.
        points: Every point by its number.
        number: The number of each channel's point; -1 where it is of none.
        value: What each point showed first, in the order of their numbers.
        opened: The points of what a dashboard opens with.
        racks: The ids of all racks.
        feeds: The ids of all meters with a limit.
    """

    simulation: Simulation
    points: dict[int, Point]
    number: IntArray
    value: FloatArray
    opened: IntArray
    racks: list[str]
    feeds: list[str]


def a_site(racks: int) -> Site:
    """Return a site of so many racks, five minutes before the day's end."""
    shape = Shape(racks=racks)
    text, half = site_text(shape), racks // 2
    simulation = Simulation(
        Scenario(
            name="a day",
            proves="",
            site_text=text,
            site=read_site(text),
            begin_ms=END_MS - FULL_S * SECOND_MS,
            seconds=FULL_S,
            seed=_SEED,
            faults=(),
            jobs=(
                Training(name="training", racks=shape.rack_ids[:half]),
                Storage(name="storage", racks=shape.rack_ids[half:]),
            ),
        )
    )
    said = [metadata_message(tag) for tag in simulation.catalogue.spoken]
    hearing = Hearing(simulation.scenario.site.site)
    hearing.hear(*(Message(m.topic, m.payload, BEGIN_MS, 0) for m in said))
    points = {number: known.point for number, known in hearing.known.items()}
    numbers = {point.key: number for number, point in points.items()}
    number = np.full(len(simulation.topics), -1, np.int64)
    number[: len(said)] = [numbers.get(tag.key, -1) for tag in simulation.catalogue.spoken]
    return Site(
        simulation,
        points,
        number,
        np.full(len(points), 50.0),
        _opened(points),
        sorted({str(point.asset) for point in points.values() if point.quantity == "rack.power.active"}),
        sorted({str(point.asset) for point in points.values() if point.quantity == "current.limit"}),
    )


def _opened(points: dict[int, Point]) -> IntArray:
    """Return the points of the first rack and its meters, of the first meter and the first coolant unit."""
    first = [
        min(str(point.asset) for point in points.values() if point.quantity == quantity)
        for quantity in _OPENED
    ]
    return np.array(
        [
            number
            for number, point in points.items()
            if str(point.asset) in first or first[0] in str(point.asset)
        ],
        np.int64,
    )


def chunks(racks: int, *, quick: bool = False) -> Iterator[Chunk]:
    """Yield the day in chunks; with `quick` the last minute of all readings instead of five."""
    site = a_site(racks)
    number = 0
    for part in (_last_minutes(site, 60 if quick else FULL_S), _before(site), _minutes(site), _series(site)):
        for chunk in part:
            number += 1
            yield replace(chunk, first_seq=number, last_seq=number)


def _chunk(site: Site, batch: Batch | None = None, **more: Any) -> Chunk:  # noqa: ANN401 - fields of a chunk
    batch = Batch.empty() if batch is None else batch
    return Chunk(first_seq=1, last_seq=1, batch=batch, points=site.points, **more)


# Readings -----------------------------------------------------------------------------


def _last_minutes(site: Site, seconds: int) -> Iterator[Chunk]:
    """Yield all readings of the end of the day, as the bus has them."""
    waiting: list[Batch] = []
    for second in site.simulation.seconds():
        rows = second.rows
        point = site.number[rows.channel]
        rows, point = rows.take(point >= 0), point[point >= 0]
        site.value[point] = rows.value
        if second.time_ms < END_MS - seconds * SECOND_MS:
            continue
        waiting.append(_batch(point, rows.time_ms, rows.value))
        if sum(map(len, waiting)) > MOST:
            yield _chunk(site, Batch.concatenate(waiting))
            waiting.clear()
    yield _chunk(site, Batch.concatenate(waiting))


def _before(site: Site) -> Iterator[Chunk]:
    """Yield readings of the hours before: of what is opened often, of all others now and then."""
    random = np.random.default_rng(_SEED)
    start_ms, end_ms = END_MS - RAW_MS, END_MS - FULL_S * SECOND_MS
    everything = np.arange(len(site.points))
    for at_ms in range(start_ms, end_ms, HOUR_MS // 2):
        for first in range(0, len(everything), MOST):
            point = everything[first : first + MOST]
            time_ms = at_ms + random.integers(0, MINUTE_MS, len(point))
            yield _chunk(site, _batch(point, time_ms, _noisy(site, point, random)))
    steps = np.arange(start_ms, end_ms, _OPENED_S * SECOND_MS)
    for first in range(0, len(steps), MOST // len(site.opened)):
        part = steps[first : first + MOST // len(site.opened)]
        point = np.tile(site.opened, len(part))
        yield _chunk(site, _batch(point, np.repeat(part, len(site.opened)), _noisy(site, point, random)))


def _batch(point: IntArray, time_ms: IntArray, value: FloatArray) -> Batch:
    zero = np.zeros(len(point))
    return Batch.of([point, time_ms, time_ms + 20, value, zero, zero])


def _noisy(site: Site, point: IntArray, random: np.random.Generator) -> FloatArray:
    """Return values about those that points showed, in steps of a hundredth."""
    return np.round(site.value[point] * random.normal(1, 0.02, len(point)), 2)


# Minutes ------------------------------------------------------------------------------


def _minutes(site: Site) -> Iterator[Chunk]:
    """Yield means of points over minutes, and what racks, feeds and the site did in them."""
    random = np.random.default_rng(_SEED + 1)
    everything = np.arange(len(site.points))
    for start_ms in range(BEGIN_MS, END_MS, MINUTE_MS):
        is_told = start_ms % HOUR_MS == 0
        point = everything if is_told else site.opened
        is_late = start_ms >= END_MS - HOUR_MS
        yield _chunk(
            site,
            means=[_means(site, point, start_ms, random)],
            rollups=_rollups(site, start_ms, random, is_whole=is_told or is_late),
        )


def _means(site: Site, point: IntArray, start_ms: int, random: np.random.Generator) -> Means:
    value, count = _noisy(site, point, random), len(point)
    return Means(
        MINUTE_MS,
        point,
        np.full(count, start_ms),
        np.full(count, MINUTE_MS),
        value,
        value - 0.5,
        value + 0.5,
        value,
        np.full(count, 20),
    )


def _rollups(site: Site, start_ms: int, random: np.random.Generator, *, is_whole: bool) -> list[Rollup]:
    racks, feeds = (site.racks, site.feeds) if is_whole else (site.racks[:1], site.feeds[:1])
    power = random.integers(60_000_000, 110_000_000, max(len(racks), len(feeds))).tolist()
    total = 85_000_000 * len(site.racks)
    found: list[Rollup] = [
        RackDraw(
            rack=rack,
            tenant=_tenant(place),
            start_ms=start_ms,
            mean_milliwatts=power[place],
            most_milliwatts=power[place] + 2_000_000,
            coverage=1.0,
        )
        for place, rack in enumerate(racks)
    ]
    found += [
        FeedDraw(
            feed=feed,
            kind="PowerMeter",
            start_ms=start_ms,
            racks=1,
            metered_milliwatts=power[place] // 2,
            racks_milliwatts=power[place],
            most_milliwatts=power[place],
            coverage=1.0,
            amps=power[place] / 1.4e6,
            limit_amps=200.0,
            alone_amps=power[place] / 0.7e6,
        )
        for place, feed in enumerate(feeds)
    ]
    site_draw = SiteDraw(
        start_ms=start_ms,
        racks_milliwatts=total,
        most_milliwatts=total,
        supply_milliwatts=total * 12 // 10,
        limit_milliwatts=total * 11 // 10,
        sold_milliwatts=total * 13 // 10,
        firm_milliwatts=total * 14 // 10,
        coverage=1.0,
    )
    return [*found, site_draw]


# Series -------------------------------------------------------------------------------


def _tenant(place: int) -> str:
    """Return who holds a rack: twenty tenants in turn, and the operator."""
    number = place % (TENANTS + 1)
    return OPERATOR if number == TENANTS else f"tenant-{number:02d}"


def _series(site: Site) -> Iterator[Chunk]:
    """Yield draws, their means, alarms and health."""
    names = [_tenant(number) for number in range(TENANTS + 1)]
    random = np.random.default_rng(_SEED + 2)
    for start_ms in range(END_MS - RAW_MS, END_MS, 10 * MINUTE_MS):
        ticks = range(start_ms, start_ms + 10 * MINUTE_MS, SECOND_MS)
        power = random.integers(9_000_000_000, 10_000_000_000, (len(ticks), len(names))).tolist()
        draws = [
            (at_ms, [_draw(name, best) for name, best in zip(names, row, strict=True)])
            for at_ms, row in zip(ticks, power, strict=True)
        ]
        yield _chunk(site, draws=draws, health=[_health(at_ms) for at_ms in ticks[::10]])
    yield _chunk(site, draw_means=list(_draw_means(names)))
    yield _chunk(site, changes=list(_alarms(site, names)))


def _draw(tenant: str, best: int) -> TenantDraw:
    return TenantDraw(
        tenant=tenant,
        low_milliwatts=best - 50_000_000,
        best_milliwatts=best,
        high_milliwatts=best + 50_000_000,
        limit_milliwatts=None if tenant == OPERATOR else 10_500_000_000,
        coverage=1.0,
        demand_kw=best / 1e6,
        forecast_kw=best / 1e6,
        block_limit_kw=10_500.0,
    )


def _draw_means(names: Sequence[str]) -> Iterator[DrawMean]:
    figures = {"low": 9.45, "best": 9.5, "high": 9.55, "limit": 10.5, "headroom": 0.95, "coverage": 1.0}
    for step_ms in (MINUTE_MS, 15 * MINUTE_MS):
        for start_ms in range(BEGIN_MS, END_MS, step_ms):
            best = {"best": 9.5 + start_ms // step_ms % 100 / 2_000}
            step = partial(DrawMean, step_ms=step_ms, start_ms=start_ms, known=1.0, most_mw=10.0)
            yield from (step(tenant=name, figures=figures | best) for name in names)


def _alarms(site: Site, names: Sequence[str]) -> Iterator[AlarmChange]:
    """Yield alarms of 400 days, of racks for the most part; each lasts for two minutes, some to the end."""
    random = np.random.default_rng(_SEED + 3)
    count = ALARM_DAYS * ALARMS_A_DAY
    opened = np.sort(random.integers(END_MS - ALARM_DAYS * DAY_MS, END_MS, count)).tolist()
    for place, at_ms in enumerate(opened):
        is_rack = place % 5 > 0
        subject = str(random.choice(site.racks if is_rack else names))
        rule, severity = ("Q1", "medium") if is_rack else ("C2", "high")
        alarm = Alarm(
            id=f"{place:08x}",
            rule=rule,
            title="",
            subject=subject,
            severity=severity,
            unit="kW",
            since_ms=at_ms,
            opened_ms=at_ms,
            value=1.0,
            limit=2.0,
        )
        yield AlarmChange(alarm=alarm, change="opened", at_ms=at_ms)
        if at_ms < END_MS - 2 * MINUTE_MS:
            yield AlarmChange(alarm=alarm, change="returned", at_ms=at_ms + 2 * MINUTE_MS)


def _health(at_ms: int) -> Health:
    from grafana.schema import NAMES  # noqa: PLC0415 - what is developed with only

    figures = dict.fromkeys(NAMES["pipeline"][1], 1.0)
    figures |= {"received": at_ms / 100, "stored": at_ms / 100, "cpu_s": at_ms / 10_000}
    return Health(at_ms=at_ms, figures=figures, dead_lettered={"out-of-range": at_ms // 1_000_000})
