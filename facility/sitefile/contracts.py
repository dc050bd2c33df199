"""From the contract tables of one tenant to its contract, with the invariants checked."""

from __future__ import annotations

from itertools import pairwise

from facility.contracts import Boundary, Contract, Level, Limit, Method, Shape, Version
from facility.instants import MINUTE_MS
from facility.sitefile.fields import MW
from facility.sitefile.notes import Notes, milliwatts_of_kw, milliwatts_of_mw
from facility.sitefile.tables import ContractTable, LevelTable, LimitTable


def build_contract(notes: Notes, tenant: str, tables: list[ContractTable | None]) -> Contract | None:
    """Build a contract out of its versions.

    Args:
        notes: Takes the faults.
        tenant: Where in the file the tenant stands.
        tables: The versions, in the order of the file; None for one that could not be read.

    Returns:
        The contract; None where there is no version that could be read.
    """
    read = [(i, table) for i, table in enumerate(tables) if table is not None]
    if not read:
        return None
    versions = [_version(notes, f"{tenant}.contract[{i}]", table) for i, table in read]
    ends = [_end(notes, f"{tenant}.contract[{i}]", table) for i, table in read]
    for i, ((before, table), (index, following)) in enumerate(pairwise(read)):
        path, begins = f"{tenant}.contract[{index}].from", versions[i + 1].from_ms
        end = ends[i]
        if begins <= versions[i].from_ms:
            expected = f"an instant after {table.starts}, when the version before begins"
            notes.fault(path, expected, str(following.starts))
        elif end is not None and end < begins and index == before + 1:
            expected = f"no gap after the version before, which ends {table.ends}"
            notes.fault(path, expected, str(following.starts))
    for (i, table), version, end in zip(read, versions, ends, strict=True):
        if end is not None and end <= version.from_ms:
            notes.fault(f"{tenant}.contract[{i}].ends", f"an end after {table.starts}", str(table.ends))
    return Contract(tuple(versions), ends[-1])


def _end(notes: Notes, path: str, table: ContractTable) -> int | None:
    return None if table.ends is None else notes.instant(f"{path}.ends", table.ends, end_of_day=True)


def _version(notes: Notes, path: str, table: ContractTable) -> Version:
    committed = milliwatts_of_mw(table.committed_mw)
    minimum = milliwatts_of_mw(table.minimum_mw)
    burst = milliwatts_of_mw(table.burst_mw)
    cap, rate = table.rack_cap_kw, table.ramp_rate_mw_per_min
    from_ms = notes.instant(f"{path}.from", table.starts)
    notice = table.notice_given
    if minimum > committed:
        expected = f"at most committed_mw, {table.committed_mw}"
        notes.fault(f"{path}.minimum_mw", expected, str(table.minimum_mw))
    if "cure_hours" in table.model_fields_set:
        notes.warn(
            f"{path}.cure_hours", "it is recorded; whether a notice was cured in time is not judged yet"
        )
    is_named = table.boundary is Boundary.NAMED_METERS
    if is_named != bool(table.meters) and notes.could_read(f"{path}.boundary"):
        expected = "meters with the boundary 'named_meters', and only with it"
        notes.fault(f"{path}.meters", expected, f"{len(table.meters)} with '{table.boundary}'")
    ramp = _ramp(notes, path, table, from_ms)
    rises = len(ramp) > len(table.ramp)
    return Version(
        from_ms=from_ms,
        committed_milliwatts=ramp[-1].milliwatts if rises else committed,
        ramp=ramp,
        limit=_limit(notes, f"{path}.limit", table.limit),
        boundary=table.boundary,
        meters=tuple(table.meters),
        burst_milliwatts=burst,
        burst_minutes_per_month=table.burst_minutes_per_month,
        minimum_milliwatts=minimum,
        loss_factor=table.loss_factor,
        rack_cap_milliwatts=None if cap is None else milliwatts_of_kw(cap),
        redundancy=table.redundancy,
        ramp_rate_milliwatts_per_min=None if rate is None else milliwatts_of_mw(rate),
        cure_ms=round(table.cure_hours * 60 * MINUTE_MS),
        notice_days=table.notice_days,
        notice_given_ms=None
        if notice is None
        else notes.instant(f"{path}.notice_given", notice, end_of_day=True),
        monthly_fee="" if table.monthly_fee is None else f"{table.monthly_fee:f}",
        currency=table.currency,
    )


def _ramp(notes: Notes, path: str, table: ContractTable, from_ms: int) -> tuple[Level, ...]:
    """Return the ramp, from a level that holds when the version begins: its own, or the commitment."""
    read = [(i, row) for i, row in enumerate(table.ramp) if row is not None]
    levels = [_level(notes, f"{path}.ramp[{i}]", row) for i, row in read]
    for (before, (_, earlier)), (level, (i, row)) in pairwise(zip(levels, read, strict=True)):
        if level.at_ms <= before.at_ms:
            expected = f"an instant after {earlier.starts}: a ramp is in order of time"
            notes.fault(f"{path}.ramp[{i}].from", expected, str(row.starts))
    committed, burst = milliwatts_of_mw(table.committed_mw), milliwatts_of_mw(table.burst_mw)
    if levels and levels[0].at_ms > from_ms and all(level.milliwatts > committed for level in levels):
        return (Level(at_ms=from_ms, milliwatts=committed), *levels)
    most = committed + burst
    for (i, row), level in zip(read, levels, strict=True):
        if level.milliwatts > most and notes.could_read(f"{path}.burst_mw"):
            expected = f"at most the commitment and burst, {most / MW:g}"
            notes.fault(f"{path}.ramp[{i}].committed_mw", expected, str(row.committed_mw))
        if i == 0 and level.at_ms > from_ms:
            expected = f"a first level that holds when the version begins, {table.starts}"
            hint = f"or let every level be above committed_mw, {table.committed_mw}, to rise from it"
            notes.fault(f"{path}.ramp[0].from", expected, str(row.starts), hint)
        if i == 0 and level.shape is Shape.LINEAR:
            notes.fault(f"{path}.ramp[0].shape", "step: no level comes before it", "linear")
    if levels and levels[-1].milliwatts not in (committed, most):
        last = read[-1][1].committed_mw
        notes.warn(f"{path}.ramp", f"it ends at {last} MW, and committed_mw says {table.committed_mw}")
    return tuple(levels)


def _level(notes: Notes, path: str, row: LevelTable) -> Level:
    return Level(
        at_ms=notes.instant(f"{path}.from", row.starts),
        milliwatts=milliwatts_of_mw(row.committed_mw),
        shape=row.shape,
    )


def _limit(notes: Notes, path: str, table: LimitTable) -> Limit:
    block_ms = int(table.minutes * MINUTE_MS)
    subinterval_ms = int(table.subinterval_minutes * MINUTE_MS)
    is_rolling = table.method is Method.ROLLING
    if is_rolling and block_ms % subinterval_ms and notes.could_read(f"{path}.minutes"):
        expected = f"a subinterval that divides the block of {table.minutes:f}"
        notes.fault(f"{path}.subinterval_minutes", expected, f"{table.subinterval_minutes:f}")
    return Limit(
        method=table.method,
        block_ms=block_ms,
        subinterval_ms=subinterval_ms,
        percentile=table.percentile,
        sustain_ms=round(table.sustain_s * 1_000),
        warn_percent=table.warn_percent,
        critical_percent=table.critical_percent,
        tolerance_percent=table.tolerance_percent,
    )
