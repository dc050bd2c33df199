"""E10: the frequency of the grid is off."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from facility.readings import BoolArray, FloatArray
from facility.site import Site
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import Band
from rules.model.measured import Condition, Measured, above, outside
from rules.model.tables import Table
from rules.subject import SubjectKind


class Frequency(Band):
    """The frequency at the supply meters is more than half a hertz off the nominal one (our choice).

    Outside 58.8 to 61.2 Hz, which loads must bear for ever (SPP, ERCOT), 49 to 51 Hz in a 50 Hz system, the
    grid is in an emergency and loads may trip: that is critical. It is judged where the site file has a
    `[grid]` table. A supply without voltage has no frequency, nor has a meter that shows none: then the other
    meters are judged. Of meters that say different frequencies none is believed.
    """

    name: ClassVar[str] = "E10"
    title: ClassVar[str] = "grid frequency off"
    kind: ClassVar[SubjectKind] = SubjectKind.SITE
    quantities: ClassVar[tuple[str, ...]] = ("frequency",)
    unit: ClassVar[str] = "Hz"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.PAGE,)
    look_at: ClassVar[str] = (
        "Compare the supply meters; be ready for a transfer to generators and for its ramp."
    )
    severity_steps: ClassVar[Steps] = (
        SeverityStep(
            Severity.CRITICAL,
            "outside what the site file's grid table says is borne for ever",
            on_delay="severe_delay_s",
        ),
    )

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(5, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(30, ge=0, description="how long it must be over for the alarm to end [s]")
    off_hz: float = Field(0.5, gt=0, le=5, description="how far off the nominal frequency it may be [Hz]")
    severe_delay_s: float = Field(
        1, ge=0, description="how long it must last to become an alarm that is critical [s]"
    )
    deadband_hz: float = Field(
        0.05, ge=0, le=1, description="how far inside the range it must be for the alarm to end [Hz]"
    )
    dead_hz: float = Field(40, ge=0, le=45, description="what is at most no frequency of a live supply [Hz]")

    @classmethod
    def is_used(cls, site: Site) -> bool:
        """Tell whether there is a grid."""
        return site.grid is not None

    def value(self, table: Table) -> Measured:
        """Return the frequency of what is live."""
        return table.measured_above("frequency", self.dead_hz)

    def least(self, table: Table) -> FloatArray | float:
        """Return the lowest frequency that is well."""
        return table.setting("nominal_hz") - self.off_hz

    def most(self, table: Table) -> FloatArray | float:
        """Return the highest frequency that is well."""
        return table.setting("nominal_hz") + self.off_hz

    def deadband(self) -> float:
        """Return how far inside it must come."""
        return self.deadband_hz

    def applies(self, table: Table) -> Condition:
        """Return where there is a supply at all."""
        return above(self.value(table), self.dead_hz)

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return where it is outside what loads must bear for ever."""
        return (outside(value, table.setting("least_hz"), table.setting("most_hz")).holds,)
