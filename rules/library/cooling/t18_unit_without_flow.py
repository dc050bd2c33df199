"""T18: the racks of a coolant unit have no coolant flow, all of them or many at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.readings import BoolArray, FloatArray
from rules.base import Desk, Findings, Rule, Severity, codes
from rules.model.measured import Condition, Measured, above, below, largest_of
from rules.model.rows import DRAW, Links, Place
from rules.model.tables import Fold, Table
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause
from rules.view import View

FLOW: Final = "rack.coolant.flow"
SPEED: Final = "pump.speed"
PUMPS: Final = Place(without=("fill",))
PUMPS_OF_ITS_OWN: Final = Place(without=("fill",), kind="Pump")
RUNS_PERCENT: Final = 1.0
"""Speed above which a pump runs (our choice)."""


@dataclass(frozen=True, slots=True)
class _Lost:
    """Which racks have no flow; arrays of shape (racks,), but for `stands`.

    Attributes:
        counts: Of which racks it can be told at all, and which draw enough for it to count.
        is_lost: Where it is lost.
        is_well: Where it is there by more than the deadband.
        stands: Which units' pumps stand, all of each, shape (units,).
    """

    counts: Condition
    is_lost: Condition
    is_well: BoolArray
    stands: Condition


class UnitWithoutFlow(Rule):
    """Racks of one coolant unit lose their flow together: the unit's pumps, or the way from it, are to blame.

    A rack counts as in T7: below a fifth of its design flow, while it draws much of its rating. It is a unit
    that is told where that is so of at least two racks and of half of those that count (our choice), or of
    any while the unit's pumps are known to stand. A rack whose flow nobody measures has none where the pumps
    of every unit that serves it stand. One rack without flow beside others that are well is T7 alone.

    It tells once for the unit, with the racks that have no flow and their tenants: T7, T8, T9 and T6 of its
    racks are not told beside it, nor that the unit is off its set point (T5), has no pressure (T14) or no
    pump to spare (T16). Set `on_delay_s` as that of T7: longer where pumps may fail over.
    """

    name: ClassVar[str] = "T18"
    title: ClassVar[str] = "racks without coolant flow"
    kind: ClassVar[SubjectKind] = SubjectKind.COOLANT_UNIT
    quantities: ClassVar[tuple[str, ...]] = (FLOW, SPEED)
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.PAGE,)
    look_at: ClassVar[str] = "Look at the unit's pumps and their power, then at the valves of its loop."

    severity: Severity = Field(Severity.CRITICAL, description="how bad it is")
    on_delay_s: float = Field(3, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    flow_percent: float = Field(
        20, gt=0, le=100, description="share of its design flow that is too little for a rack [%]"
    )
    deadband_percent: float = Field(
        2, ge=0, lt=50, description="how far above that a rack must be for the alarm to end [% of it]"
    )
    load_percent: float = Field(
        30, ge=0, le=100, description="share of its rating from which a rack counts [%]"
    )
    least_percent: float = Field(
        50, gt=0, le=100, description="share of the racks that count that must be without flow [%]"
    )
    least_racks: int = Field(2, ge=1, description="racks without flow that there must be, while pumps run")

    def judge(self, view: View) -> Findings:
        """Count the racks of each unit that have no flow."""
        units = view.table(SubjectKind.COOLANT_UNIT)
        lost = self._lost(units, view.table(SubjectKind.RACK))
        if lost.is_lost.fails.all() and lost.is_well.all():
            return Findings.clear(len(units), 0.0)
        links, stands = units.racks, lost.stands
        of_least, of_most = _count(links, lost.counts.holds), _count(links, ~lost.counts.fails)
        surely, possibly = _count(links, lost.is_lost.holds), _count(links, ~lost.is_lost.fails)
        breach = self._is_common(surely, of_most, stands.holds)
        clear = ~self._is_common(possibly, of_least, ~stands.fails)
        is_ill = self._is_common(_count(links, ~lost.is_well), of_least, ~stands.fails)
        return Findings(
            verdict=codes(breach, clear & ~breach),
            value=100 * surely / np.maximum(of_most, 1),
            limit=np.where(stands.holds, 0.0, self.least_percent),
            returned=clear & ~breach & ~is_ill,
        )

    def racks(self, view: View) -> Links:
        """Return the racks of each unit that are not known to have flow."""
        units = view.table(SubjectKind.COOLANT_UNIT)
        has_flow = self._lost(units, view.table(SubjectKind.RACK)).is_lost.fails
        return Links.of([units.racks[row][~has_flow[units.racks[row]]] for row in range(len(units))])

    def _is_common(self, without: FloatArray, counted: FloatArray, stands: BoolArray) -> BoolArray:
        """Tell of which units so many racks without flow are the unit's own fault.

        Args:
            without: How many of its racks have no flow, shape (units,).
            counted: How many of them count.
            stands: Which units' pumps stand.
        """
        are_many = (without >= self.least_racks) & (without * 100 >= counted * self.least_percent)
        return are_many | (stands & (without > 0))

    def _lost(self, units: Table, racks: Table) -> _Lost:
        """Return which racks have no flow, though they draw enough to need it."""
        flow, rated = racks.measured(FLOW), racks.setting("rated_lpm")
        least = rated * self.flow_percent / 100
        loaded = above(racks.total(DRAW), racks.setting("rating_kw") * self.load_percent / 100)
        stands = _stands(units)
        told = Condition.of(racks.is_measured(FLOW) & ~np.isnan(rated))
        is_lost = below(flow, least) & told
        is_low = below(flow, least * (1 + self.deadband_percent / 100)) & told
        if not stands.fails.all():
            # Where no flow is told, a unit whose pumps stand tells it.
            dry = _all_stand(units.racks, stands, len(racks)) & ~told
            is_lost, is_low, told = is_lost | dry, is_low | dry, told | Condition(~dry.fails, dry.fails)
        return _Lost(told & loaded, is_lost & loaded, (is_low & loaded).fails, stands)


def _stands(units: Table) -> Condition:
    """Return of which units all pumps stand; of one whose pumps nobody measures, that is not so."""
    speed = largest_of(
        units.at(SPEED, PUMPS, fold=Fold.LARGEST), units.at(SPEED, PUMPS_OF_ITS_OWN, fold=Fold.LARGEST)
    )
    return ~above(speed, RUNS_PERCENT) & _is_measured(speed)


def _is_measured(speed: Measured) -> Condition:
    return Condition.of(speed.cause != Cause.NO_POINT)


def _all_stand(links: Links, stands: Condition, racks: int) -> Condition:
    """Return which racks are served by units whose pumps stand, and by no others.

    Args:
        links: The racks of each unit.
        stands: Which units' pumps stand.
        racks: How many racks there are.
    """
    sizes = np.diff(links.starts)
    runs, may_run = (
        np.bincount(links.members, np.repeat(flags, sizes), racks) > 0
        for flags in (stands.fails, ~stands.holds)
    )
    is_served = np.bincount(links.members, minlength=racks) > 0
    return Condition(is_served & ~may_run, runs | ~is_served)


def _count(links: Links, flags: BoolArray) -> FloatArray:
    """Return of how many racks of each unit a flag holds, shape (units,).

    Args:
        links: The racks of each unit.
        flags: The flag of each rack, shape (racks,).
    """
    counted = np.concatenate(([0], np.cumsum(flags[links.members]))).astype(np.float64)
    found: FloatArray = counted[links.starts[1:]] - counted[links.starts[:-1]]
    return found
