"""T1: the air at a rack's inlet is too warm."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from pydantic import Field

from facility.readings import BoolArray, FloatArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import TemperatureLimit
from rules.model.measured import Measured, above
from rules.model.tables import Table
from rules.subject import SubjectKind


class InletHot(TemperatureLimit):
    """The warmest air at a rack's inlet is above what is recommended, agreed or allowed.

    ASHRAE TC 9.9 recommends up to 27 °C and allows servers of class A1 32 °C, of A2 35 °C; service levels
    usually promise 32 °C. What is recommended may be exceeded for minutes, what is agreed may not. Set
    `agreed_c` and `allowable_c` to what the contract and the servers say.
    """

    name: ClassVar[str] = "T1"
    title: ClassVar[str] = "inlet air too warm"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("air.inlet",)
    unit: ClassVar[str] = "°C"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.TICKET,)
    look_at: ClassVar[str] = "Look at the air handlers of the aisle, then for open containment and blanks."
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.HIGH, "above `agreed_c`", on_delay="agreed_delay_s", desks=(Desk.PAGE,)),
        SeverityStep(Severity.CRITICAL, "above `allowable_c`", on_delay="agreed_delay_s"),
    )

    severity: Severity = Field(Severity.LOW, description="how bad it is")
    on_delay_s: float = Field(300, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(300, ge=0, description="how long it must be over for the alarm to end [s]")
    recommended_c: float = Field(27, ge=5, le=60, description="highest recommended temperature [°C]")
    agreed_c: float = Field(32, ge=5, le=60, description="highest temperature that is agreed [°C]")
    allowable_c: float = Field(35, ge=5, le=60, description="highest temperature that servers allow [°C]")
    agreed_delay_s: float = Field(60, ge=0, description="how long it must last above `agreed_c` [s]")

    def value(self, table: Table) -> Measured:
        """Return the warmest inlet of each rack."""
        return table.largest("air.inlet")

    def limit(self, table: Table) -> FloatArray:
        """Return what is recommended."""
        return np.full(len(table), self.recommended_c)

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return which inlets are warmer than agreed, and than servers allow."""
        del table
        return above(value, self.agreed_c).holds, above(value, self.allowable_c).holds
