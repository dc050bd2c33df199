"""T18: the racks of a coolant unit have no coolant flow, all of them or many at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.readings import BoolArray, FloatArray
from rules.base import Desk, Findings, Rule, Severity, codes
from rules.chosen import chosen_by
from rules.comparison import DRAW_OF_A_MINUTE, loaded_now_or_lately
from rules.draw.summation_plan import Index
from rules.model.measured import Condition, Measured, above, below, largest_of
from rules.model.rows import Links, Place
from rules.model.tables import Fold, Table
from rules.model.windows import Window
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause
from rules.view import View

FLOW: Final = "rack.coolant.flow"
SPEED: Final = "pump.speed"
PUMPS: Final = Place(without=("fill",))
PUMPS_OF_ITS_OWN: Final = Place(without=("fill",), kind="Pump")
NO_RACKS: Final = np.zeros(0, np.intp)
RUNS_PERCENT: Final = 1.0
"""Speed above which a pump runs (our choice)."""


@dataclass(frozen=True, slots=True)
class _Looked:
    """The units of which some rack may have no flow, with all of their racks.

    Attributes:
        units: Their rows among all units, shape (looked,).
        racks: The rows of their racks among all racks, shape (racks,).
        links: Which of these racks each unit serves.
        stands: Of which units all pumps stand, shape (looked,).
        counts: Of which racks it can be told at all, and which draw enough for it to count, shape (racks,).
        is_lost: Which of them have no flow.
        is_well: Which have it by more than the deadband, or do not count.
        are_left: Which of them are served by units whose pumps stand, and by no others.
    """

    units: Index
    racks: Index
    links: Links
    stands: Condition
    counts: Condition
    is_lost: Condition
    is_well: BoolArray
    are_left: Condition

    def count(self, flags: BoolArray, are_left: BoolArray) -> FloatArray:
        """Return of how many racks of each unit a flag holds, shape (looked,).

        A unit that stands may be in reserve: it has to answer only for racks that no other unit may serve.

        Args:
            flags: The flag of each rack.
            are_left: Which racks such a unit has to answer for.
        """
        own = _count(self.links, flags & are_left)
        return np.where(self.stands.holds, own, _count(self.links, flags))

    def without(self, place: int) -> Index:
        """Return the racks (their rows among all) that a unit answers for and that are not known to be well.

        A rack within the deadband is one of them: its own alarm (T7) stands until it is above.
        """
        own = self.links[place]
        may_lack = ~self.is_well[own]
        if self.stands.holds[place]:
            may_lack &= ~self.are_left.fails[own]
        return self.racks[own[may_lack]]


class UnitWithoutFlow(Rule):
    """Racks of one coolant unit lose their flow together: the unit's pumps, or the way from it, are to blame.

    A rack counts as in T7: below a fifth of its design flow, while it draws much of its rating. It is a unit
    that is told where that is so of at least two racks and of half of those that count (our choice), or of
    any while the unit's pumps are known to stand, not counting racks that another unit may serve: a unit in
    reserve stands. A rack whose flow nobody measures has none where the pumps of every unit that serves it
    stand. One rack without flow beside others that are well is T7 alone. Of units that serve units, each has
    the racks that none beneath it serves; of units side by side with the same racks, one is told.

    It tells once for the unit, with the racks that have no flow and their tenants: T7 of these is not told
    beside it, nor T8, T9 and T6 of the unit's racks, nor that the unit is off its set point (T5), has no
    pressure (T14) or no pump to spare (T16). A rack that loses its flow later is told by T7. Set `on_delay_s`
    as that of T7: longer where pumps may fail over.
    """

    name: ClassVar[str] = "T18"
    title: ClassVar[str] = "racks without coolant flow"
    kind: ClassVar[SubjectKind] = SubjectKind.COOLANT_UNIT
    quantities: ClassVar[tuple[str, ...]] = (FLOW, SPEED)
    rack_windows: ClassVar[tuple[Window, ...]] = (DRAW_OF_A_MINUTE,)
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
        found, looked = Findings.clear(len(view.table(self.kind)), 0.0), self._look(view)
        if looked is None:
            return found
        links, stands, counts = looked.links, looked.stands, looked.counts
        of_least, of_most = _count(links, counts.holds), _count(links, ~counts.fails)
        surely = looked.count(looked.is_lost.holds, looked.are_left.holds)
        possibly = looked.count(~looked.is_lost.fails, ~looked.are_left.fails)
        breach = self._is_common(surely, of_most, stands.holds)
        clear = ~self._is_common(possibly, of_least, ~stands.fails) & ~breach
        are_ill = looked.count(~looked.is_well, ~looked.are_left.fails)
        is_ill = self._is_common(are_ill, of_least, ~stands.fails)
        of_them = Findings(
            verdict=codes(breach, clear),
            value=100 * surely / np.maximum(of_most, 1),
            limit=np.where(stands.holds, 0.0, self.least_percent),
            returned=clear & ~is_ill,
        )
        found.put(looked.units, of_them)
        return found

    def racks(self, view: View) -> Links:
        """Return the racks of each unit that are not known to have flow, by its own parameters."""
        racks = self._without(view)
        for variant in self.variants:
            if isinstance(rule := variant.rule, UnitWithoutFlow):
                chosen = chosen_by(variant, self, self.subjects(view), view).tolist()
                both = zip(chosen, rule._without(view), racks, strict=True)  # noqa: SLF001 - its own kind
                racks = [theirs if is_chosen else own for is_chosen, theirs, own in both]
        return Links.of(racks)

    def racks_to_choose_by(self, view: View) -> Links | None:
        """Return all racks of each unit, whatever their flow."""
        return view.racks_of(self.kind)

    def _without(self, view: View) -> list[Index]:
        """Return the racks of each unit that may have no flow, by the parameters of this rule."""
        looked = self._look(view)
        racks = [NO_RACKS] * len(view.table(self.kind))
        if looked is not None:
            for place, unit in enumerate(looked.units.tolist()):
                racks[unit] = looked.without(place)
        return racks

    def _is_common(self, without: FloatArray, counted: FloatArray, stands: BoolArray) -> BoolArray:
        """Tell of which units so many racks without flow are the unit's own fault.

        Args:
            without: How many of its racks have no flow, shape (units,).
            counted: How many of them count.
            stands: Which units' pumps stand.
        """
        are_many = (without >= self.least_racks) & (without * 100 >= counted * self.least_percent)
        return are_many | (stands & (without > 0))

    def _look(self, view: View) -> _Looked | None:
        """Look at the racks of units of which any may have no flow; None where all have, as nearly always."""
        units, every = view.table(self.kind), view.table(SubjectKind.RACK)
        served, stands, flow = units.nearest_racks(), _stands(units), every.measured(FLOW)
        least, over = self.flow_percent / 100, 1 + self.deadband_percent / 100
        near = flow.low < every.setting("rated_lpm") * least * over
        may_lack = near & (flow.cause != Cause.NO_POINT)
        if not may_lack.any() and stands.fails.all():
            return None
        chosen = np.flatnonzero((_count(served, may_lack) > 0) | ~stands.fails)
        members = np.unique(np.concatenate([served[row] for row in chosen.tolist()] or [NO_RACKS]))
        racks = every.part(members)
        links = Links.of([np.searchsorted(members, served[row]) for row in chosen.tolist()])
        flow, rated = racks.measured(FLOW), racks.setting("rated_lpm")
        loaded = loaded_now_or_lately(racks, self.load_percent)
        told = Condition.of((flow.cause != Cause.NO_POINT) & ~np.isnan(rated))
        is_lost, is_low = below(flow, rated * least) & told, below(flow, rated * least * over) & told
        are_left = _all_stand(served, stands, len(every)).take(members)
        if not stands.fails.all():
            # Where nobody measures the flow, a unit whose pumps stand tells it.
            dry = are_left & Condition.of(flow.cause == Cause.NO_POINT)
            is_lost, is_low, told = is_lost | dry, is_low | dry, told | Condition(~dry.fails, dry.fails)
        return _Looked(
            units=chosen,
            racks=members,
            links=links,
            stands=stands.take(chosen),
            counts=told & loaded,
            is_lost=is_lost & loaded,
            is_well=(is_low & loaded).fails,
            are_left=are_left,
        )


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
