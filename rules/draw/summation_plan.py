"""Who is summed of what: the arrays by which a draw is computed, for as long as nothing of it changes.

A unit is what is bounded as one: a rack, racks that share a meter at their boundary, or a meter that a
contract names. It has elements: the points that its power is the sum of. Other meters may claim something of
the power of units: those above a row of racks, or the racks beneath a meter that a contract names. Units
stand in the order of their tenants, and within a tenant in the order of these claims, so that every sum is
over neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facility.contracts import PPM, Version
from facility.names import AssetId, TenantId
from facility.readings import IntArray

Index = NDArray[np.intp]
UNMETERED: Final = -1
"""In place of a point, where an element has none."""
OUTERMOST: Final = -1
"""In place of a claim, where none is about more."""
OPEN: Final = np.iinfo(np.int64).max
"""The most that something draws, where that is not known."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows of neighbours that are summed, each row at least one element.

    Attributes:
        points: The point of each element, shape (elements,); `UNMETERED` where it has none.
        starts: Where each row begins, shape (rows,).
        errors: The class error of each element's meter [millionths], shape (elements,).
        has_unmetered: Whether any element has no point.
        is_exact: Whether no meter has an error.
    """

    points: IntArray
    starts: Index
    errors: IntArray
    has_unmetered: bool
    is_exact: bool


@dataclass(frozen=True, slots=True)
class Level:
    """What other meters claim of the power of groups of units, no unit in two of these groups.

    A cell is a tenant's part of a group, or all that it has in none. Its units are neighbours.

    Attributes:
        keys: Identity of each claim, as Q8 names it.
        sums: The points of each claim, in which a row is a claim.
        least: What a reading claims at least of its units, as parts of `least_of`, shape (elements,).
        least_of: The whole of these parts, shape (elements,).
        most: What a reading claims at most, as parts of `most_of`, shape (elements,).
        most_of: The whole of these parts, shape (elements,).
        starts: Where each cell begins among those of the level before, at first among units; shape (cells,).
        units: Where each cell begins among the units, shape (cells,).
        claim: Which claim is about each cell, shape (cells,); the number of claims where none is.
    """

    keys: tuple[str, ...]
    sums: Sums
    least: IntArray
    least_of: IntArray
    most: IntArray
    most_of: IntArray
    starts: Index
    units: Index
    claim: Index


@dataclass(frozen=True, slots=True)
class Claims:
    """What is claimed, as people are told it.

    Attributes:
        keys: Identity of each claim, as Q8 names it.
        names: What each of the meters of each claim is called.
        points: Their points, one claim after the other, shape (points,).
        starts: Where those of each claim begin, shape (claims,).
        within: The place of the next claim that is about all units of each and more of the plant, shape
            (claims,); `OUTERMOST` where there is none.
    """

    keys: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    points: IntArray
    starts: Index
    within: Index


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The arrays of one span of time.

    Attributes:
        tenants: Id of each tenant, in the order of tenant arrays; the operator's own load last.
        versions: The contract version in force of each, None where there is none.
        elements: Points that each unit is the sum of.
        unit_points: The same, as the identity of each unit.
        cap: The most that each unit draws by its rating and its contract [mW], shape (units,); `OPEN` where
            that is not known.
        ceiling: The most that is credible of a unit that was seen above its cap [mW], shape (units,); `OPEN`
            where that is not known.
        floor: The least that each unit draws [mW], shape (units,).
        weight: What each unit counts in coverage, shape (units,).
        levels: What other meters claim, from the units up.
        claims: What is claimed at all levels, one level after the other.
        tenant_cells: Where each tenant's cells begin at the last level, shape (tenants with units,).
        tenant_units: Where each tenant's units begin, shape (tenants with units,).
        tenant_rows: Which tenants have units, shape (tenants with units,).
        tenant_weight: What the units of each count together, shape (tenants with units,).
        loss_ppm: Power at the delivery point for a million at the boundary, shape (tenants,).
    """

    tenants: tuple[TenantId, ...]
    versions: tuple[Version | None, ...]
    elements: Sums
    unit_points: tuple[tuple[int, ...], ...]
    cap: IntArray
    ceiling: IntArray
    floor: IntArray
    weight: IntArray
    levels: tuple[Level, ...]
    claims: Claims
    tenant_cells: Index
    tenant_units: Index
    tenant_rows: Index
    tenant_weight: IntArray
    loss_ppm: IntArray


@dataclass(frozen=True, slots=True)
class Meters:
    """Meters that are summed.

    Attributes:
        points: Their points; `UNMETERED` for one that is missing.
        errors: Their class errors [millionths].
    """

    points: tuple[int, ...]
    errors: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sharing:
    """Racks without a meter of their own, behind meters that serve others as well.

    Attributes:
        parts: How many racks the meters of each serve, by the rack.
        groups: Racks that share all that feeds them, and whose meters serve nobody else; each at most once.
    """

    parts: Mapping[AssetId, int]
    groups: tuple[tuple[AssetId, ...], ...]


NOBODY_SHARES: Final = Sharing({}, ())
"""Where each rack has meters of its own."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit before the arrays are made.

    Attributes:
        racks: The racks that it is; none for a meter that a contract names.
        tenant: Row of its tenant.
        elements: The meters that its power is the sum of.
        cap: The most that it draws by its rating and its contract [mW], None if not known.
        ceiling: The most that is credible of it [mW], None if not known.
        floor: The least that it draws [mW].
        meters: The meters that it is measured at, where these are not the racks' own.
    """

    racks: frozenset[AssetId]
    tenant: int
    elements: Meters
    cap: int | None = None
    ceiling: int | None = None
    floor: int = 0
    meters: tuple[AssetId, ...] | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """Meters that speak for the power of some units, before the arrays are made.

    Attributes:
        key: The identity, which is what it is called.
        meters: Points of the meters, with their class errors.
        names: What each of them is called.
        loss_ppm: The most that is lost between them and the units [millionths].
        is_above: Whether they are nearer to the source than the units, so that they carry the loss as well.
        units: Places of the units in the list of all units.
    """

    key: str
    meters: Meters
    names: tuple[str, ...]
    loss_ppm: int
    is_above: bool
    units: frozenset[int]


def arrange(
    tenants: tuple[TenantId, ...],
    versions: tuple[Version | None, ...],
    units: Sequence[Unit],
    claims: Iterable[Claim],
) -> Layout:
    """Return the arrays of units.

    Args:
        tenants: Every tenant, the operator's own load last.
        versions: The contract version in force of each.
        units: What each holds, in any order.
        claims: What other meters say of them, in any order; one that overlaps a smaller one in part is left
            out.
    """
    stacked = _stacked(claims)
    # The groups of each unit from the largest to the smallest, by which units stand beside each other.
    groups = np.full((len(units), len(stacked)), -1, np.int64)
    for level, listed in enumerate(stacked):
        for number, claim in enumerate(listed):
            groups[list(claim.units), len(stacked) - 1 - level] = number
    keys = [(unit.tenant, *row) for unit, row in zip(units, groups.tolist(), strict=True)]
    order = sorted(range(len(units)), key=keys.__getitem__)
    units, keys = [units[i] for i in order], [keys[i] for i in order]
    levels: list[Level] = []
    before = np.arange(len(units))
    for level, listed in enumerate(stacked):
        path = [key[: len(key) - level] for key in keys]
        starts = _borders(path)
        about = np.array([path[i][-1] for i in starts], np.intp)
        levels.append(_level(listed, np.searchsorted(before, starts).astype(np.intp), starts, about))
        before = starts
    tenant_units = _borders([unit.tenant for unit in units])
    rated = sorted(unit.cap for unit in units if unit.cap)
    usual = rated[len(rated) // 2] if rated else 1
    weight = np.array([unit.cap or usual for unit in units], np.int64)
    return Layout(
        tenants=tenants,
        versions=versions,
        elements=_sums(unit.elements for unit in units),
        unit_points=tuple(unit.elements.points for unit in units),
        cap=np.array([OPEN if unit.cap is None else unit.cap for unit in units], np.int64),
        ceiling=np.array([OPEN if unit.ceiling is None else unit.ceiling for unit in units], np.int64),
        floor=np.array([unit.floor for unit in units], np.int64),
        weight=weight,
        levels=tuple(levels),
        claims=_listed([claim for listed in stacked for claim in listed]),
        tenant_cells=np.searchsorted(before, tenant_units).astype(np.intp),
        tenant_units=tenant_units,
        tenant_rows=np.array([units[i].tenant for i in tenant_units], np.intp),
        tenant_weight=np.add.reduceat(weight, tenant_units) if units else weight,
        loss_ppm=np.array([version.loss_ppm if version else PPM for version in versions], np.int64),
    )


def _stacked(claims: Iterable[Claim]) -> list[list[Claim]]:
    """Return claims by level: each speaks for whole groups of the levels below it."""
    largest: dict[int, tuple[int, Claim]] = {}
    levels: list[list[Claim]] = []
    for claim in sorted(claims, key=lambda claim: (len(claim.units), claim.key)):
        held = {largest[unit][1].key: largest[unit] for unit in claim.units if unit in largest}
        if not all(smaller.units <= claim.units for _, smaller in held.values()):
            continue
        level = 1 + max((level for level, _ in held.values()), default=-1)
        largest.update(dict.fromkeys(claim.units, (level, claim)))
        if level == len(levels):
            levels.append([])
        levels[level].append(claim)
    return levels


def _level(claims: Sequence[Claim], starts: Index, units: Index, about: Index) -> Level:
    """Return the arrays of a level.

    A meter of error e that reads m carries between m / (1 + e) and m / (1 - e). Of that a share of up to the
    loss l does not arrive, so what is beneath a meter is at least (1 - l) of the one and at most all of the
    other; and what flows above is at least the one, and at most the other / (1 - l).
    """
    sums = _sums(claim.meters for claim in claims)
    sizes = np.diff(np.append(sums.starts, len(sums.points)))
    loss = np.repeat(np.array([claim.loss_ppm for claim in claims], np.int64), sizes)
    above = np.repeat(np.array([claim.is_above for claim in claims], np.bool_), sizes)
    whole = np.full(len(loss), PPM, np.int64)
    kept = PPM - loss
    return Level(
        keys=tuple(claim.key for claim in claims),
        sums=sums,
        least=np.where(above, kept, whole),
        least_of=PPM + sums.errors,
        most=whole,
        most_of=np.where(above, PPM - sums.errors, (PPM - sums.errors) * kept // PPM),
        starts=starts,
        units=units,
        claim=np.where(about < 0, len(claims), about).astype(np.intp),
    )


def _listed(claims: Sequence[Claim]) -> Claims:
    points, starts = in_a_row([claim.meters.points for claim in claims])
    within, nearest = np.full(len(claims), OUTERMOST, np.intp), dict[int, int]()
    for place in reversed(range(len(claims))):
        for unit in claims[place].units:
            within[place] = nearest.get(unit, OUTERMOST)
            nearest[unit] = place
    return Claims(
        keys=tuple(claim.key for claim in claims),
        names=tuple(claim.names for claim in claims),
        points=points,
        starts=starts,
        within=within,
    )


def in_a_row(rows: Sequence[Sequence[int] | Index]) -> tuple[Index, Index]:
    """Return rows of places one after the other, and where each row begins."""
    sizes = np.fromiter(map(len, rows), np.intp, len(rows))
    return np.fromiter(chain.from_iterable(rows), np.intp, sizes.sum()), np.cumsum(sizes) - sizes


def _borders(values: Sequence[object]) -> Index:
    """Return where a value is another one than the one before it."""
    return np.array([i for i, value in enumerate(values) if i == 0 or value != values[i - 1]], np.intp)


def _sums(rows: Iterable[Meters]) -> Sums:
    listed = list(rows)
    points, starts = in_a_row([meters.points for meters in listed])
    errors, _ = in_a_row([meters.errors for meters in listed])
    return Sums(
        points=points,
        starts=starts,
        errors=errors.astype(np.int64),
        has_unmetered=bool((points == UNMETERED).any()),
        is_exact=not errors.any(),
    )
