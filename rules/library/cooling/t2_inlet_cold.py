"""T2: the air at a rack's inlet is too cold."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.readings import BoolArray, FloatArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import TemperatureLimit
from rules.model.measured import Measured, below
from rules.model.tables import Table
from rules.subject import SubjectKind


class InletCold(TemperatureLimit):
    """The coldest air at a rack's inlet is below what is recommended: the room is cooled for nothing.

    ASHRAE TC 9.9 recommends at least 18 °C and allows servers of class A1 15 °C.
    """

    name: ClassVar[str] = "T2"
    title: ClassVar[str] = "inlet air too cold"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("air.inlet",)
    falls: ClassVar[bool] = True
    unit: ClassVar[str] = "°C"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.TICKET,)
    look_at: ClassVar[str] = "Compare the set point of the air handlers with what the racks need."
    severity_steps: ClassVar[Steps] = (SeverityStep(Severity.MEDIUM, "below `allowable_c`"),)

    severity: Severity = Field(Severity.LOW, description="how bad it is")
    on_delay_s: float = Field(900, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(900, ge=0, description="how long it must be over for the alarm to end [s]")
    recommended_c: float = Field(18, ge=-10, le=40, description="lowest recommended temperature [°C]")
    allowable_c: float = Field(15, ge=-10, le=40, description="lowest temperature that servers allow [°C]")

    def value(self, table: Table) -> Measured:
        """Return the coldest inlet of each rack."""
        return table.smallest("air.inlet")

    def limit(self, table: Table) -> FloatArray:
        """Return what is recommended."""
        return np.full(len(table), self.recommended_c)

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return which inlets are colder than servers allow."""
        del table
        return (below(value, self.allowable_c).holds,)
