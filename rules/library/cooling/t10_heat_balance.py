"""T10: the heat that coolant carries away does not fit what a rack draws."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from facility.readings import BoolArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import DRAW_OF_A_MINUTE, Band, OfSteadilyLoadedRacks
from rules.model.measured import Measured, below
from rules.model.tables import Table
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind

FLOW: Window = Window("rack.coolant.flow", Statistic.MEAN, 60)
SUPPLY: Window = Window("coolant.supply", Statistic.MEAN, 60)
RETURN: Window = Window("coolant.return", Statistic.MEAN, 60)


class HeatBalance(Band, OfSteadilyLoadedRacks):
    """The heat that coolant carries away is not what the rack draws: it goes elsewhere, or a meter is wrong.

    `Q = k · flow · ΔT`, with k = 0.0659 kW per L/min and K for PG25 and 0.0691 for water, both at 40 °C. A
    rack gives 85 to 100 % of its heat to the coolant; more than all of it cannot be, so that is a fault of a
    flow, temperature or power meter. All are means of a minute, for coolant and metal lag behind (limits are
    our choice).
    """

    name: ClassVar[str] = "T10"
    title: ClassVar[str] = "heat carried away does not fit the draw"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("rack.coolant.flow", "coolant.supply", "coolant.return")
    windows: ClassVar[tuple[Window, ...]] = (FLOW, SUPPLY, RETURN, DRAW_OF_A_MINUTE)
    unit: ClassVar[str] = "%"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.DATA,)
    look_at: ClassVar[str] = "Compare flow, supply and return with the rack's neighbours'."
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.MEDIUM, "below `least_percent`", desks=(Desk.CHANNEL,)),
    )

    severity: Severity = Field(Severity.LOW, description="how bad it is")
    on_delay_s: float = Field(600, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(900, ge=0, description="how long it must be over for the alarm to end [s]")
    least_percent: float = Field(
        75, ge=0, le=100, description="least share of the draw that coolant carries away [%]"
    )
    most_percent: float = Field(
        110, gt=0, le=200, description="highest share of the draw that coolant carries away [%]"
    )
    deadband_percent: float = Field(
        2, ge=0, lt=20, description="how far within the band it must be for the alarm to end [%]"
    )
    kw_per_lpm_k: float = Field(
        0.0659, gt=0, le=0.1, description="heat that the coolant carries [kW per L/min and K]"
    )

    def value(self, table: Table) -> Measured:
        """Return the share of each rack's draw that coolant carries away [%]."""
        rise = table.over(RETURN) - table.over(SUPPLY)
        heat = table.over(FLOW).times(rise) * self.kw_per_lpm_k
        return heat.per(self.draw(table)) * 100

    def least(self, table: Table) -> float:
        """Return the least share [%]."""
        del table
        return self.least_percent

    def most(self, table: Table) -> float:
        """Return the highest share [%]."""
        del table
        return self.most_percent

    def deadband(self) -> float:
        """Return the deadband [%]."""
        return self.deadband_percent

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return which racks give their heat elsewhere."""
        del table
        return (below(value, self.least_percent).holds,)
