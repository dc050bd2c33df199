"""T17: the facility's water is too warm for the coolant units to keep their set points."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.readings import BoolArray
from rules.base import AS_WHAT_IT_HIDES, Desk, Findings, Rule, Severity, Steps, codes
from rules.model.measured import Measured, above
from rules.model.rows import Links, Place
from rules.model.tables import Table
from rules.subject import SubjectKind
from rules.telemetry.cause import Cause
from rules.view import View

TEMPERATURE: Final = "coolant.temperature"
INLET: Final = Place(within=("primary",), without=("outlet", "return"))
SET_POINT: Final = Place(within=("secondary", "supply"), is_target=True)
NO_RACKS: Final = np.zeros(0, np.intp)


class FacilityWaterWarm(Rule):
    """The facility's water reaches a coolant unit nearly as warm as the unit has to give coolant, or warmer.

    Whatever the unit does, its supply cannot keep the set point then: chillers, towers or the pumps before
    them are to blame. A heat exchanger needs some kelvins (NVIDIA's guide: 4 K at full load); below 1 K there
    is no way (our choice). The inlet is the temperature whose area on the bus says `Primary`, and neither
    `Outlet` nor `Return`; the set point is that of T5. It tells once for the site, with all racks that such
    units cool and their tenants: T5 of these units and T6 of these racks are not told beside it.
    """

    name: ClassVar[str] = "T17"
    title: ClassVar[str] = "facility water too warm"
    kind: ClassVar[SubjectKind] = SubjectKind.SITE
    quantities: ClassVar[tuple[str, ...]] = (TEMPERATURE,)
    unit: ClassVar[str] = "°C"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = (
        "See which chillers, towers and pumps of the facility's water run; see which units it reaches warm."
    )
    severity_steps: ClassVar[Steps] = (AS_WHAT_IT_HIDES,)

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(60, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    least_k: float = Field(
        1, ge=0, le=20, description="how far below a unit's set point its facility water must be [K]"
    )
    deadband_k: float = Field(
        0.5, ge=0, lt=10, description="how much further below it must be for the alarm to end [K]"
    )

    def judge(self, view: View) -> Findings:
        """Hold the water that reaches each coolant unit against the unit's set point; tell the worst."""
        units = view.table(SubjectKind.COOLANT_UNIT)
        inlet, target, is_measured = _water(units)
        warm = above(inlet - target, -self.least_k)
        cool = ~above(inlet - target, -self.least_k - self.deadband_k)
        is_warm = np.array([(warm.holds & is_measured).any()])
        is_well = np.array([(warm.fails | ~is_measured).all()])
        gap = np.where(is_measured, np.nan_to_num(inlet.best - target.best, nan=-np.inf), -np.inf)
        worst = int(gap.argmax()) if is_measured.any() else None
        return Findings(
            verdict=codes(is_warm, is_well),
            value=np.array([np.nan if worst is None else inlet.best[worst]]),
            limit=np.array([np.nan if worst is None else target.best[worst] - self.least_k]),
            returned=is_well & (cool.holds | ~is_measured).all(),
        )

    def racks(self, view: View) -> Links:
        """Return the racks of all units whose facility water is not known to be cool enough."""
        units = view.table(SubjectKind.COOLANT_UNIT)
        inlet, target, is_measured = _water(units)
        may_be_warm = is_measured & ~above(inlet - target, -self.least_k).fails
        racks = [units.racks[row] for row in np.flatnonzero(may_be_warm).tolist()]
        return Links.of([np.unique(np.concatenate(racks)) if racks else NO_RACKS])


def _water(units: Table) -> tuple[Measured, Measured, BoolArray]:
    """Return the water that reaches each unit, its set point [°C], and of which units both are measured."""
    inlet, target = units.at(TEMPERATURE, INLET), units.at(TEMPERATURE, SET_POINT)
    return inlet, target, (inlet.cause != Cause.NO_POINT) & (target.cause != Cause.NO_POINT)
