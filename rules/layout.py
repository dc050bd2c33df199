"""Who is summed of what: the arrays by which a draw is computed, for as long as nothing of it changes.

A unit is what is bounded as one: a rack, racks that share a meter at their boundary, or a meter that a
contract names. It has elements: the points that its power is the sum of. Units stand in the order of their
tenants, and within a tenant in the order of the parent meters that see them, so that every sum is over
neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from facility.contracts import Version
from facility.names import AssetId, TenantId
from facility.readings import IntArray

Index = NDArray[np.intp]
UNMETERED: Final = -1
"""In place of a point, where an element has none."""
OPEN: Final = np.iinfo(np.int64).max
"""The most that something draws, where nobody knows it."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Rows of neighbours that are summed, each row at least one element.

    Attributes:
        points: The point of each element, shape (elements,); `UNMETERED` where it has none.
        starts: Where each row begins, shape (rows,).
        rows: Which unit or group each row is of, shape (rows,).
        has_unmetered: Whether any element has no point.
    """

    points: IntArray
    starts: Index
    rows: Index
    has_unmetered: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The arrays of one span of time.

    Attributes:
        tenants: Whom each place of a tenant array is about, the operator's own load last.
        versions: The contract version in force of each, None where there is none.
        elements: The points of each unit.
        cap: The most that each unit draws by its rating and its contract [mW], shape (units,); `OPEN` where
            nobody knows.
        ceiling: The most that is credible of a unit that was seen above its cap [mW], shape (units,); `OPEN`
            where nobody knows.
        floor: The least that each unit draws [mW], shape (units,).
        weight: What each unit counts in coverage, shape (units,).
        parents: Metered parents that see one unit each, and it alone.
        cell_starts: Where each cell (a tenant's part of a group) begins among the units, shape (cells,).
        cell_group: The group of each cell, shape (cells,); the last group has no parent.
        groups: Metered parents of each group that has some.
        group_count: How many groups there are, the one without a parent included.
        tenant_cells: Where each tenant's cells begin, shape (tenants with units,).
        tenant_units: Where each tenant's units begin, shape (tenants with units,).
        tenant_rows: Which tenants have units, shape (tenants with units,).
        tenant_weight: What the units of each count together, shape (tenants with units,).
        loss_ppm: Power at the delivery point for a million at the boundary, shape (tenants,).
    """

    tenants: tuple[TenantId, ...]
    versions: tuple[Version | None, ...]
    elements: Sums
    cap: IntArray
    ceiling: IntArray
    floor: IntArray
    weight: IntArray
    parents: Sums
    cell_starts: Index
    cell_group: Index
    groups: Sums
    group_count: int
    tenant_cells: Index
    tenant_units: Index
    tenant_rows: Index
    tenant_weight: IntArray
    loss_ppm: IntArray


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit before the arrays are made.

    Attributes:
        racks: The racks that it is; none for a meter that a contract names.
        tenant: The place of its tenant.
        elements: The points that its power is the sum of; `UNMETERED` for one that is missing.
        cap: The most that it draws by its rating and its contract [mW], None where nobody knows.
        ceiling: The most that is credible of it [mW], None where nobody knows.
        floor: The least that it draws [mW].
        parents: The points of the meters that see it alone.
        group: The points of the meters that see it with others.
    """

    racks: frozenset[AssetId]
    tenant: int
    elements: tuple[int, ...]
    cap: int | None = None
    ceiling: int | None = None
    floor: int = 0
    parents: tuple[int, ...] = ()
    group: tuple[int, ...] = ()


def arrange(tenants: tuple[TenantId, ...], versions: tuple[Version | None, ...], units: list[Unit]) -> Layout:
    """Return the arrays of units.

    Args:
        tenants: Every tenant, the operator's own load last.
        versions: The contract version in force of each.
        units: What each holds, in any order.
    """
    shared = sorted({unit.group for unit in units if unit.group})
    number = {group: i for i, group in enumerate(shared)} | {(): len(shared)}
    units = sorted(units, key=lambda unit: (unit.tenant, number[unit.group]))
    cells = [(unit.tenant, number[unit.group]) for unit in units]
    cell_starts = _borders(cells)
    tenant_units = _borders([unit.tenant for unit in units])
    rated = sorted(unit.cap for unit in units if unit.cap)
    usual = rated[len(rated) // 2] if rated else 1
    weight = np.array([unit.cap or usual for unit in units], np.int64)
    return Layout(
        tenants=tenants,
        versions=versions,
        elements=_sums((i, unit.elements) for i, unit in enumerate(units)),
        cap=np.array([OPEN if unit.cap is None else unit.cap for unit in units], np.int64),
        ceiling=np.array([OPEN if unit.ceiling is None else unit.ceiling for unit in units], np.int64),
        floor=np.array([unit.floor for unit in units], np.int64),
        weight=weight,
        parents=_sums((i, unit.parents) for i, unit in enumerate(units) if unit.parents),
        cell_starts=cell_starts,
        cell_group=np.array([cells[i][1] for i in cell_starts], np.intp),
        groups=_sums((i, group) for i, group in enumerate(shared)),
        group_count=len(shared) + 1,
        tenant_cells=np.searchsorted(cell_starts, tenant_units).astype(np.intp),
        tenant_units=tenant_units,
        tenant_rows=np.array([units[i].tenant for i in tenant_units], np.intp),
        tenant_weight=np.add.reduceat(weight, tenant_units) if units else weight,
        loss_ppm=np.array(
            [round(version.loss_factor * 1_000_000) if version else 1_000_000 for version in versions],
            np.int64,
        ),
    )


def in_a_row(rows: Sequence[Sequence[int] | Index]) -> tuple[Index, Index]:
    """Return rows of places one after the other, and where each row begins."""
    sizes = np.array([len(row) for row in rows], np.intp)
    return np.concatenate([np.zeros(0, np.intp), *rows]).astype(np.intp), np.cumsum(sizes) - sizes


def _borders(values: Sequence[object]) -> Index:
    """Return where a value is another one than the one before it."""
    return np.array([i for i, value in enumerate(values) if i == 0 or value != values[i - 1]], np.intp)


def _sums(rows: Iterable[tuple[int, tuple[int, ...]]]) -> Sums:
    listed = list(rows)
    points, starts = in_a_row([points for _, points in listed])
    return Sums(
        points=points,
        starts=starts,
        rows=np.array([row for row, _ in listed], np.intp),
        has_unmetered=bool((points == UNMETERED).any()),
    )
