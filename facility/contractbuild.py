"""From the contract tables of one tenant to its contract, with the invariants checked."""

from __future__ import annotations

from itertools import pairwise

from facility.contracts import Boundary, Contract, Level, Limit, Method, Shape, Version
from facility.instants import DAY_MS, MINUTE_MS
from facility.sitenotes import KW, MW, Notes
from facility.sitetables import ContractTable, LimitTable


def build_contract(notes: Notes, tenant: str, tables: list[ContractTable]) -> Contract:
    """Build a contract out of its versions.

    Args:
        notes: Takes the faults.
        tenant: Where in the file the tenant stands.
        tables: The versions, in the order of the file; at least one.
    """
    versions = tuple(_version(notes, f"{tenant}.contract[{i}]", table) for i, table in enumerate(tables))
    ends = [None if table.ends is None else notes.instant(table.ends, end_of_day=True) for table in tables]
    for i, (version, following) in enumerate(pairwise(versions), 1):
        path, end = f"{tenant}.contract[{i}].from", ends[i - 1]
        if following.from_ms <= version.from_ms:
            expected = f"an instant after {tables[i - 1].starts}, when the version before begins"
            notes.fault(path, expected, str(tables[i].starts))
        if end is not None and end < following.from_ms:
            expected = f"no gap after the version before, which ends {tables[i - 1].ends}"
            notes.fault(path, expected, str(tables[i].starts))
    if ends[-1] is not None and ends[-1] <= versions[-1].from_ms:
        path = f"{tenant}.contract[{len(tables) - 1}].ends"
        notes.fault(path, f"an end after {tables[-1].starts}", str(tables[-1].ends))
    return Contract(versions, ends[-1])


def _version(notes: Notes, path: str, table: ContractTable) -> Version:
    committed = notes.milliwatts(f"{path}.committed_mw", table.committed_mw, MW)
    minimum = notes.milliwatts(f"{path}.minimum_mw", table.minimum_mw, MW)
    burst = notes.milliwatts(f"{path}.burst_mw", table.burst_mw, MW)
    from_ms = notes.instant(table.starts)
    if minimum > committed:
        expected = f"at most committed_mw, {table.committed_mw}"
        notes.fault(f"{path}.minimum_mw", expected, str(table.minimum_mw))
    if (table.boundary is Boundary.NAMED_METERS) != bool(table.meters):
        expected = "meters with the boundary 'named_meters', and only with it"
        notes.fault(f"{path}.meters", expected, f"{len(table.meters)} with '{table.boundary}'")
    return Version(
        from_ms=from_ms,
        committed_milliwatts=committed,
        ramp=_ramp(notes, path, table, from_ms, committed + burst),
        limit=_limit(notes, f"{path}.limit", table.limit),
        boundary=table.boundary,
        meters=tuple(table.meters),
        burst_milliwatts=burst,
        burst_minutes_per_month=table.burst_minutes_per_month,
        minimum_milliwatts=minimum,
        loss_factor=table.loss_factor,
        rack_cap_milliwatts=notes.power(f"{path}.rack_cap_kw", table.rack_cap_kw, KW),
        redundancy=table.redundancy,
        ramp_rate_milliwatts_per_min=notes.power(
            f"{path}.ramp_rate_mw_per_min", table.ramp_rate_mw_per_min, MW
        ),
        cure_ms=round(table.cure_hours * 60 * MINUTE_MS),
        notice_days=table.notice_days,
        notice_given_ms=None if table.notice_given is None else notes.instant(table.notice_given),
        monthly_fee="" if table.monthly_fee is None else str(table.monthly_fee),
        currency=table.currency,
    )


def _ramp(notes: Notes, path: str, table: ContractTable, from_ms: int, most: int) -> tuple[Level, ...]:
    levels = tuple(
        Level(
            at_ms=notes.instant(row.starts),
            milliwatts=notes.milliwatts(f"{path}.ramp[{i}].committed_mw", row.committed_mw, MW),
            shape=row.shape,
        )
        for i, row in enumerate(table.ramp)
    )
    for i, level in enumerate(levels):
        if level.milliwatts > most:
            expected = f"at most the commitment and burst, {most / MW:g}"
            notes.fault(f"{path}.ramp[{i}].committed_mw", expected, str(table.ramp[i].committed_mw))
        if i and level.at_ms <= levels[i - 1].at_ms:
            expected = f"an instant after {table.ramp[i - 1].starts}: a ramp is in order of time"
            notes.fault(f"{path}.ramp[{i}].from", expected, str(table.ramp[i].starts))
    if levels and levels[0].at_ms > from_ms:
        expected = f"a first level that holds when the version begins, {table.starts}"
        notes.fault(f"{path}.ramp[0].from", expected, str(table.ramp[0].starts))
    if levels and levels[0].shape is Shape.LINEAR:
        notes.fault(f"{path}.ramp[0].shape", "step: no level comes before it", "linear")
    return levels


def _limit(notes: Notes, path: str, table: LimitTable) -> Limit:
    block_ms = round(table.minutes * MINUTE_MS)
    subinterval_ms = round(table.subinterval_minutes * MINUTE_MS)
    if block_ms != table.minutes * MINUTE_MS or block_ms % 1_000 or DAY_MS % block_ms:
        notes.fault(f"{path}.minutes", "a block that divides a day", f"{table.minutes:g}")
    elif table.method is Method.ROLLING and block_ms % subinterval_ms:
        expected = f"a subinterval that divides the block of {table.minutes:g}"
        notes.fault(f"{path}.subinterval_minutes", expected, f"{table.subinterval_minutes:g}")
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
