"""Halls, engines and journals for the tests of the rules: each function takes only what a test is about."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from msgspec.structs import replace

from facility.contracts import Boundary, Contract, Limit, Method, Version
from facility.graph import Graph
from facility.names import AssetId, TenantId
from facility.points import Asset, Cadence
from facility.readings import Batch, BoolArray, Flag, IntArray, Quality
from facility.site import Holding, Rack, Site, Tenant
from rules.alarms.states import Transition
from rules.draw.draw import Draw, find_draw
from rules.draw.draw import Known as State
from rules.draw.metering_boundary import LayoutBuilder
from rules.draw.summation_plan import Layout
from rules.engine.engine import Engine, Step
from rules.engine.judging import Judging
from rules.engine.settled import Patience
from rules.registry import make_rules
from rules.telemetry.timing import Timing
from rules.telemetry.trust import PATIENCE_MS, Memory
from rules.view import UNBOUNDED
from store.journal.entries import Content, Entry, Known, Mark, MarkKind
from testing.builders import T0_MS, a_point

KW = 1_000_000
"""Milliwatts in a kilowatt."""
BUS = "bus"
PAIR = ("r0", "r1")
EVERY_SECOND = Timing(repeat_ms=100_000, heartbeat_ms=10_000, period_ms=1_000, certain_ms=1_000)
UTC_ZONE = ZoneInfo("UTC")
NO_RULES: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
ONLY_C2: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {name: {"enabled": False} for name in ("C1", "C3", "C4", "C5", "C9", "Q1", "Q2", "Q3")}
)
"""Parameters by which C2 alone judges a hall of one tenant."""


def racks_of(
    *names: str, rating_kw: int | None = 100, floor_kw: int = 0, feeds: int = 1
) -> dict[AssetId, Rack]:
    """Return racks that are alike, by id."""
    return {
        AssetId(name): Rack(
            id=AssetId(name),
            rating_milliwatts=None if rating_kw is None else rating_kw * KW,
            floor_milliwatts=floor_kw * KW,
            feeds=feeds,
        )
        for name in names
    }


def a_version(limit_kw: int, *, from_ms: int = 0, limit: Limit | None = None, **other: Any) -> Version:  # noqa: ANN401 - any field of a version
    """Return a version of a contract, binding at every moment where nothing else is said."""
    return Version(
        from_ms=from_ms,
        committed_milliwatts=limit_kw * KW,
        limit=Limit() if limit is None else limit,
        **other,
    )


def block(block_ms: int, **other: Any) -> Limit:  # noqa: ANN401 - any field of a limit
    """Return a limit that binds the mean over blocks."""
    return Limit(method=Method.BLOCK, block_ms=block_ms, **other)


def a_tenant(
    name: str, racks: Iterable[str], *versions: Version, ends_ms: int | None = None, called: str = ""
) -> Tenant:
    """Return a tenant that holds racks for ever."""
    return Tenant(
        id=TenantId(name),
        name=called or name,
        holdings=(Holding(racks=tuple(AssetId(rack) for rack in racks), from_ms=0),),
        contract=Contract(versions, ends_ms) if versions else None,
    )


def a_site(
    racks: Mapping[AssetId, Rack],
    *tenants: Tenant,
    assets: Sequence[Asset] = (),
    zone: ZoneInfo = UTC_ZONE,
) -> Site:
    """Return a site."""
    return Site(name="hall", zone=zone, racks=racks, tenants=tenants, assets=tuple(assets))


def one_tenant(limit_kw: int = 200, *, racks: int = 3, limit: Limit | None = None) -> Site:
    """Return a site whose one tenant holds racks `r0`, `r1`, ... of 100 kW each."""
    names = [f"r{i}" for i in range(racks)]
    return a_site(racks_of(*names), a_tenant("acme", names, a_version(limit_kw, limit=limit)))


def a_meter(name: str, *serves: str) -> Asset:
    """Return a power meter of the graph."""
    return Asset(id=AssetId(name), kind="PowerMeter", serves=tuple(AssetId(child) for child in serves))


def a_row(*racks: str) -> tuple[Asset, ...]:
    """Return two busways that serve racks through a tap meter for each rack and feed."""
    taps = [a_meter(f"tap-{rack}-{feed}", rack) for rack in racks for feed in "ab"]
    buses = [a_meter(f"bus-{feed}", *(f"tap-{rack}-{feed}" for rack in racks)) for feed in "ab"]
    return (*taps, *buses)


def a_row_of(*racks: str, boundary: Boundary = Boundary.RACK_INPUT, **other: Any) -> Site:  # noqa: ANN401 - any field of a version
    """Return a site of one tenant whose racks hang on two busways."""
    version = a_version(1_000, boundary=boundary, **other)
    return a_site(racks_of(*racks, feeds=2), a_tenant("acme", racks, version), assets=a_row(*racks))


def points_of(racks: Sequence[str], *meters: str) -> list[Known]:
    """Return the power points of racks, then those of meters, numbered from 0."""
    known = [known_rack(number, rack) for number, rack in enumerate(racks)]
    return known + [known_meter(len(racks) + number, meter) for number, meter in enumerate(meters)]


def described(*racks: str) -> list[Known]:
    """Return racks that are known and have no power point of their own."""
    points = [known_rack(100 + number, rack) for number, rack in enumerate(racks)]
    return [
        replace(entry, point=replace(entry.point, quantity="coolant.flow", unit="L/min")) for entry in points
    ]


def known_rack(
    number: int,
    name: str,
    *,
    stream: str = f"{BUS}:docs",
    cadence: Cadence = Cadence.PERIODIC,
    feed: str = "",
) -> Known:
    """Return the power point of a rack, or of one feed of it."""
    point = a_point(f"rack/{name}/{feed}", asset=name, stream=stream, cadence=cadence, feed=feed)
    return Known(number, point, Asset(id=AssetId(name), kind="Rack"))


def known_inlet(number: int, name: str) -> Known:
    """Return the temperature of the air at a rack's inlet."""
    point = a_point(
        f"{name}/inlet",
        asset=name,
        quantity="air.inlet",
        unit="°C",
        stream=f"{BUS}:docs",
        cadence=Cadence.PERIODIC,
    )
    return Known(number, point, Asset(id=AssetId(name), kind="Rack"))


def known_meter(
    number: int, name: str, *, stream: str = f"{BUS}:docs", cadence: Cadence = Cadence.PERIODIC
) -> Known:
    """Return the power point of a meter."""
    point = a_point(
        f"meter/{name}", asset=name, quantity="meter.power.active", stream=stream, cadence=cadence
    )
    return Known(number, point)


def known_heartbeat(number: int, stream: str) -> Known:
    """Return the heartbeat of a publisher."""
    point = a_point(f"beat/{stream}", asset="gw", quantity="heartbeat", unit="ms", stream=stream)
    return Known(number, point)


def known_racks_of(site: Site, *, cadence: Cadence = Cadence.PERIODIC) -> tuple[Known, ...]:
    """Return the power points of every rack of a site, numbered from 0."""
    return tuple(known_rack(number, rack, cadence=cadence) for number, rack in enumerate(site.racks))


def an_engine(
    site: Site,
    *,
    rules: Mapping[str, Mapping[str, Any]] = NO_RULES,
    timing: Timing = EVERY_SECOND,
    tick_ms: int = 1_000,
    lateness_ms: int = 0,
) -> Engine:
    """Return an engine that has taken nothing, with every rule that is not disabled."""
    made = make_rules(rules, [])
    return Engine(site, {BUS: timing}, made, tick_ms=tick_ms, lateness_ms=lateness_ms)


AT_ONCE = Patience(grace_ms=0, silent_ms=0, away_ms=0)
"""Settles each tick as soon as it is judged live."""


def a_judging(
    site: Site,
    *,
    rules: Mapping[str, Mapping[str, Any]] = NO_RULES,
    timing: Timing = EVERY_SECOND,
    tick_ms: int = 1_000,
    lateness_ms: int = 0,
    patience: Patience = AT_ONCE,
) -> Judging:
    """Return both judgements of a site, which have taken nothing, with every rule that is not disabled."""
    made = make_rules(rules, [])
    return Judging(site, {BUS: timing}, made, tick_ms=tick_ms, lateness_ms=lateness_ms, patience=patience)


def at_once(
    powers_kw: Sequence[float | None],
    at_ms: int,
    *,
    received_ms: int | None = None,
    quality: Quality = Quality.GOOD,
    flags: Flag = Flag.NONE,
) -> Batch:
    """Return one reading of each point, in the order of their numbers; None for one that is silent."""
    rows = [(point, power) for point, power in enumerate(powers_kw) if power is not None]
    count = len(rows)
    return Batch.of(
        [
            [point for point, _ in rows],
            np.full(count, at_ms),
            np.full(count, at_ms if received_ms is None else received_ms),
            [power for _, power in rows],
            np.full(count, quality),
            np.full(count, flags),
        ]
    )


def received(batch: Batch, received_ms: int) -> Batch:
    """Return a batch that came all at one moment."""
    times = np.full(len(batch), received_ms, np.int64)
    return Batch(batch.point, batch.source_ms, times, batch.value, batch.quality, batch.flags)


@dataclass
class Tape:
    """Entries as a journal numbers and stamps them.

    Attributes:
        entries: What was put, in order.
    """

    entries: list[Entry] = field(default_factory=list)

    def put(self, stamp_ms: int, content: Content) -> Entry:
        """Append an entry."""
        entry = Entry(len(self.entries) + 1, stamp_ms, content)
        self.entries.append(entry)
        return entry

    def mark(self, stamp_ms: int, kind: MarkKind, *, since_ms: int | None = None, broker: str = BUS) -> Entry:
        """Append a mark; it holds from its stamp on where nothing else is said."""
        return self.put(stamp_ms, Mark(kind, broker, stamp_ms if since_ms is None else since_ms))

    def connect(self, stamp_ms: int) -> None:
        """Append what a collector writes when it starts for the first time and finds its broker."""
        for kind in (MarkKind.STARTED, MarkKind.CONNECTED, MarkKind.CAUGHT_UP):
            self.mark(stamp_ms, kind)

    def second(self, second: int, *powers_kw: float | None) -> None:
        """Append what every point says at a second after `T0_MS`."""
        at_ms = T0_MS + 1_000 * second
        batch = at_once(powers_kw, at_ms)
        if len(batch):
            self.put(at_ms, batch)


def play(engine: Engine | Judging, entries: Iterable[Entry], *, until_ms: int | None = None) -> list[Step]:
    """Let an engine, or both, take entries, and judge on to a moment."""
    steps = [step for entry in entries for step in engine.take(entry)]
    return steps if until_ms is None else steps + engine.advance(until_ms)


def changes_of(steps: Iterable[Step]) -> list[Transition]:
    """Return every change that steps brought."""
    return [change for step in steps for change in step.changes]


def lines_of(steps: Iterable[Step], *rules: str, begin_ms: int = T0_MS) -> list[str]:
    """Return the changes of some rules, or all, as `second rule subject change`."""
    return [
        f"{(change.at_ms - begin_ms) / 1_000:g} {change.rule} {change.subject} {change.change}"
        for change in changes_of(steps)
        if not rules or change.rule in rules
    ]


def layout_of(site: Site, known: Iterable[Known], *, at_ms: int = T0_MS) -> Layout:
    """Return the layout of a site whose graph is told by its file and by what is known."""
    listed = list(known)
    graph = Graph()
    for asset in (*site.assets, *(entry.asset for entry in listed)):
        if asset is not None:
            graph.add(asset)
    return LayoutBuilder(site, graph, {entry.id: entry.point for entry in listed}).build(at_ms)


def state_of(
    power: IntArray,
    is_certain: BoolArray,
    *,
    beyond: Iterable[int] = (),
    as_of_ms: IntArray | int = T0_MS,
    lasts_ms: IntArray | int = 1_500,
) -> State:
    """Return what is known of points.

    Args:
        power: What each said last [mW].
        is_certain: Whether that is so now.
        beyond: Points whose last value was more than their rack's rating allows, and not to be trusted.
        as_of_ms: When each was read [ms].
        lasts_ms: How long each of these readings lasts [ms].
    """
    beyond_rating, like = np.zeros(len(power), np.bool_), np.zeros(len(power), np.int64)
    beyond_rating[list(beyond)] = True
    return State(
        power=power,
        is_certain=is_certain,
        is_fresh=is_certain,
        beyond_rating=beyond_rating,
        times=lambda: (like + as_of_ms, like + lasts_ms),
        arrives=lambda: np.ones(len(power), np.bool_),
        news=lambda: (like + as_of_ms, np.ones(len(power), np.bool_)),
        measured_ms=like + as_of_ms,
        least=power,
        most=power,
    )


@dataclass
class Plant:
    """A site whose points say something moment by moment.

    Attributes:
        site: Its racks, tenants and graph.
        known: Its points, numbered from 0.
        memory: What is remembered from moment to moment.
        at_ms: The moment [ms].
    """

    site: Site
    known: Sequence[Known]
    memory: Memory = field(default_factory=Memory)
    at_ms: int = T0_MS

    def say(
        self, *powers_kw: float, silent: Iterable[int] = (), beyond: Iterable[int] = (), lasts_ms: int = 0
    ) -> Draw:
        """Return the draws after each point has said the same for long enough to be held against others.

        Args:
            powers_kw: What each point says [kW].
            silent: Points that say nothing now: that is what they said last.
            beyond: Points whose value is more than their rack's rating allows, and not to be trusted.
            lasts_ms: For how long that goes on [ms]; as long as a difference must last where nothing is said.
        """
        power = np.array([round(kilowatts * KW) for kilowatts in powers_kw], np.int64)
        is_certain = np.ones(len(power), np.bool_)
        is_certain[[*silent, *beyond]] = False
        layout = layout_of(self.site, self.known)
        until_ms = self.at_ms + (lasts_ms or PATIENCE_MS)
        draws = []
        for at_ms in (self.at_ms, until_ms):
            state = state_of(power, is_certain, beyond=beyond, as_of_ms=at_ms)
            draws.append(find_draw(layout, state, self.memory, at_ms)[0])
        self.at_ms = until_ms + 1_000
        return draws[-1]


def draw_of(
    site: Site,
    known: Iterable[Known],
    powers_kw: Sequence[float],
    *,
    silent: Iterable[int] = (),
    beyond: Iterable[int] = (),
) -> Draw:
    """Return the draw of every tenant, as `Plant.say` does, with nothing before."""
    return Plant(site, list(known)).say(*powers_kw, silent=silent, beyond=beyond)


def bounds_kw(draw: Draw, place: int = 0) -> tuple[float, float]:
    """Return the bounds of one tenant's draw [kW]; infinity where there is no upper one."""
    high = int(draw.high[place])
    return int(draw.low[place]) / KW, float("inf") if high == UNBOUNDED else high / KW
