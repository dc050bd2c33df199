"""E8: the voltage of a power node is out of its range."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from facility.readings import BoolArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import Held, Several
from rules.model.measured import Measured, outside, relative
from rules.model.tables import Table
from rules.subject import SubjectKind


class VoltageOutOfRange(Several):
    """The lowest or the highest phase voltage is outside ±5 % of the nominal voltage.

    That is range A of ANSI C84.1 for service voltages; outside range B, +5.8 and -8.3 %, it is high. Systems
    by EN 50160 have ±10 %: set the percentages for those. A node whose nominal voltage (`nominal_v`) the site
    file does not give is not judged. One that is dead (E4), and all beneath one that is out of range, tell
    nothing of it.
    """

    name: ClassVar[str] = "E8"
    title: ClassVar[str] = "voltage out of range"
    kind: ClassVar[SubjectKind] = SubjectKind.NODE
    quantities: ClassVar[tuple[str, ...]] = ("voltage.ll", "voltage.ln")
    unit: ClassVar[str] = "% of nominal"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = (
        "See whether all nodes above have it: then it is the utility's, else a tap changer."
    )
    severity_steps: ClassVar[Steps] = (
        SeverityStep(
            Severity.HIGH,
            "below `severe_low_percent` or above `severe_high_percent`",
            on_delay="severe_delay_s",
            desks=(Desk.PAGE,),
        ),
    )

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(60, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(60, ge=0, description="how long it must be over for the alarm to end [s]")
    low_percent: float = Field(95, gt=0, le=100, description="lowest voltage, of the nominal one [%]")
    high_percent: float = Field(105, ge=100, le=200, description="highest voltage, of the nominal one [%]")
    severe_low_percent: float = Field(
        91.7, gt=0, le=100, description="voltage below which it is graver, of the nominal one [%]"
    )
    severe_high_percent: float = Field(
        105.8, ge=100, le=200, description="voltage above which it is graver, of the nominal one [%]"
    )
    severe_delay_s: float = Field(
        10, ge=0, description="how long it must last to become an alarm that is graver [s]"
    )
    deadband_percent: float = Field(
        1, ge=0, le=10, description="how far inside the range it must be for the alarm to end [%]"
    )

    def held(self, table: Table) -> tuple[Held, ...]:
        """Return the lowest and the highest voltage of each node."""
        lowest, highest = self._range(table)
        return (
            Held.under(lowest, self.low_percent, self.deadband_percent),
            Held.over(highest, self.high_percent, self.deadband_percent),
        )

    def reached(self, table: Table) -> tuple[BoolArray, ...]:
        """Return where it is outside the wider range too."""
        found = [
            outside(side, self.severe_low_percent, self.severe_high_percent) for side in self._range(table)
        ]
        return ((found[0] | found[1]).holds,)

    @staticmethod
    def _range(table: Table) -> tuple[Measured, Measured]:
        nominal = table.setting("nominal_v")
        lowest, highest = (table.line_voltage(highest=highest) for highest in (False, True))
        return relative(lowest, nominal) * 100, relative(highest, nominal) * 100
