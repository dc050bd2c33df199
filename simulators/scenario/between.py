"""What stands between a scenario's plant and the monitor: meters, clocks, faults, and breaks.

Names and amounts are checked against the points that the plant has; everything that is wrong is noted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import numpy as np

from facility.instants import SECOND_MS
from facility.sitefile.notes import Notes
from simulators.scenario.build import names_of
from simulators.scenario.scenario import (
    Break,
    BreakKind,
    ClockSpec,
    FaultKind,
    FaultSpec,
    InstrumentSpec,
    Metering,
)
from simulators.scenario.tables import BreakTable, ClockTable, FaultTable, InstrumentTable, MeteringTable
from simulators.wire.faults import FAULTS
from simulators.wire.points import Catalogue
from simulators.wire.rows import MOST_FAULTS

_OF_REGISTERS = frozenset({FaultKind.REGISTER_RESET, FaultKind.REGISTER_ROLLOVER})
MOSQUITTO_QUEUE = 1_000
"""How many messages mosquitto keeps for a session that is away, where its file says nothing else."""
_TABLED = frozenset({"sampling"})


def metering_of(
    table: MeteringTable,
    instruments: Sequence[tuple[str, InstrumentTable]],
    clocks: Sequence[tuple[str, ClockTable]],
    catalogue: Catalogue | None,
    notes: Notes,
) -> Metering:
    """Return how meters and gateways look at the plant.

    Args:
        table: `[metering]`.
        instruments: The `[[instrument]]` tables.
        clocks: The `[[clock]]` tables.
        catalogue: The points of the plant, None where it cannot be.
        notes: Takes the faults.
    """
    specs: dict[str, InstrumentSpec] = {}
    types = None if catalogue is None else sorted(set(catalogue.point_types))
    for path, instrument in instruments:
        said = {key: getattr(instrument, key) for key in InstrumentSpec.__dataclass_fields__}
        for name in instrument.point_type:
            if types is not None and name not in types:
                notes.unknown(f"{path}.point_type", "a point type of the site", name, types)
            if name in specs:
                notes.fault(f"{path}.point_type", "each point type once", f"'{name}' again")
            specs[name] = InstrumentSpec(**said)
    found: dict[str, ClockSpec] = {}
    for path, clock in clocks:
        gateways = [] if catalogue is None else [gateway.name for gateway in catalogue.gateways]
        for name in names_of(gateways).expanded(f"{path}.gateway", clock.gateway, notes) if gateways else ():
            if name in found:
                notes.fault(f"{path}.gateway", "each gateway once", f"'{name}' again")
            found[name] = ClockSpec(offset_ms=clock.offset_ms, drift_ppm=clock.drift_ppm)
    return Metering(
        **{key: getattr(table, key) for key in MeteringTable.model_fields if key not in _TABLED},
        samples=table.sampling == "instant",
        instruments=specs,
        clocks=found,
    )


def faults_of(
    tables: Sequence[tuple[str, FaultTable]],
    catalogue: Catalogue | None,
    seconds: int,
    begin_ms: int,
    notes: Notes,
) -> tuple[FaultSpec, ...]:
    """Return what goes wrong between meters and listeners.

    Args:
        tables: The `[[fault]]` tables.
        catalogue: The points of the plant, None where it cannot be.
        seconds: How long the scenario lasts [s].
        begin_ms: When it begins [ms].
        notes: Takes the faults.
    """
    if len(tables) > MOST_FAULTS:
        notes.fault("fault", f"at most {MOST_FAULTS} faults", str(len(tables)))
    known: set[str] = set()
    if catalogue is not None:
        gateways = catalogue.gateways
        known = {*catalogue.assets, *(g.name for g in gateways), *(g.publisher for g in gateways)}
    return tuple(_fault(path, table, catalogue, known, (seconds, begin_ms), notes) for path, table in tables)


def _fault(
    path: str,
    table: FaultTable,
    catalogue: Catalogue | None,
    known: Collection[str],
    span: tuple[int, int],
    notes: Notes,
) -> FaultSpec:
    kind, (seconds, begin_ms) = FAULTS[table.kind], span
    strength = kind.usual if table.strength is None else table.strength
    if kind.unit and not kind.least <= strength <= kind.most:
        notes.fault(f"{path}.strength", f"{kind.least:g} to {kind.most:g} ({kind.unit})", f"{strength:g}")
    if not kind.unit and table.strength is not None:
        notes.fault(f"{path}.strength", f"none with '{table.kind}'", f"{strength:g}")
    check_span(path, table.from_s, table.to_s, seconds, notes)
    spec = FaultSpec(
        kind=table.kind,
        from_s=table.from_s,
        to_s=table.to_s,
        scope=names_of(known).expanded(f"{path}.scope", table.scope, notes) if known else (),
        point_type=table.point_type,
        strength=strength,
    )
    if catalogue is not None and (spec.scope or not table.scope):
        _check_scope(path, spec, catalogue, notes)
    is_local = table.kind is FaultKind.LOCAL_TIME and catalogue is not None
    if is_local and not _offset(begin_ms + table.from_s * SECOND_MS, notes.zone):
        notes.fault(f"{path}.kind", "a site whose clocks differ from UTC", f"the zone '{notes.zone}'")
    return spec


def _check_scope(path: str, spec: FaultSpec, catalogue: Catalogue, notes: Notes) -> None:
    """Note where a fault would touch nothing."""
    points = catalogue.find(spec.scope, spec.point_type)
    if not len(points):
        own = catalogue.point_types
        types = {own[i] for i in catalogue.find(spec.scope).tolist()}
        notes.unknown(f"{path}.point_type", "a point type of its scope", spec.point_type, sorted(types))
    elif spec.kind in _OF_REGISTERS:
        registers = [np.arange(g.first, g.first + g.count) for g in catalogue.groups if g.register]
        if not registers or not np.isin(np.concatenate(registers), points).any():
            expected, found = "meters with energy registers", ", ".join(spec.scope) or "none on the site"
            notes.fault(f"{path}.scope", expected, found)


def _offset(at_ms: int, zone: ZoneInfo) -> timedelta:
    """Return how far a zone's clocks are ahead of UTC."""
    offset = datetime.fromtimestamp(at_ms / SECOND_MS, UTC).astimezone(zone).utcoffset()
    return offset or timedelta(0)


def breaks_of(tables: Sequence[tuple[str, BreakTable]], seconds: int, notes: Notes) -> tuple[Break, ...]:
    """Return the times in which the monitor does not listen, or has a wrong clock, in order.

    Args:
        tables: The `[[break]]` tables.
        seconds: How long the scenario lasts [s].
        notes: Takes the faults.
    """
    found: list[tuple[str, Break]] = []
    for path, table in tables:
        check_span(path, table.from_s, table.to_s, seconds, notes)
        overflows = table.kind is BreakKind.QUEUE_OVERFLOWED
        if table.queue is not None and not overflows:
            notes.fault(f"{path}.queue", f"none with '{table.kind}'", str(table.queue))
        is_off = table.kind is BreakKind.CLOCK_OFF
        if is_off and not table.by_s:
            notes.fault(
                f"{path}.by_s",
                "how far the clock is off, in seconds",
                "nothing" if table.by_s is None else "0",
            )
        if table.by_s is not None and not is_off:
            notes.fault(f"{path}.by_s", f"none with '{table.kind}'", str(table.by_s))
        queue = MOSQUITTO_QUEUE if table.queue is None else table.queue
        found.append(
            (
                path,
                Break(
                    kind=table.kind,
                    from_s=table.from_s,
                    to_s=table.to_s,
                    queue=queue,
                    by_s=table.by_s or 0,
                ),
            )
        )
    found.sort(key=lambda item: item[1].from_s)
    for (_, before), (path, after) in pairwise(found):
        if after.from_s < before.to_s:
            notes.fault(f"{path}.from_s", f"a break after the one before, {before.to_s}", str(after.from_s))
    return tuple(item for _, item in found)


def check_span(path: str, from_s: int, to_s: int, seconds: int, notes: Notes) -> None:
    """Note where a time ends before it begins, or begins after the scenario is over [s]."""
    if to_s <= from_s:
        notes.fault(f"{path}.to_s", f"a second after {from_s}", str(to_s))
    if from_s >= seconds:
        notes.fault(f"{path}.from_s", f"a second of the {seconds} that it lasts", str(from_s))
