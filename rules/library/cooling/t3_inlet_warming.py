"""T3: the air at a rack's inlet warms up too fast."""

from __future__ import annotations

from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from facility.instants import HOUR_MS, SECOND_MS
from facility.readings import BoolArray, FloatArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import Threshold
from rules.model.measured import Measured, above
from rules.model.tables import Table
from rules.model.windows import Statistic, Window
from rules.subject import SubjectKind

INLET: Final = Window("air.inlet", Statistic.SLOPE, 300, of_largest=True)


class InletWarming(Threshold):
    """The warmest air at a rack's inlet rises faster than servers bear, or so fast that cooling must be lost.

    ASHRAE TC 9.9 allows 20 °C an hour, 5 °C an hour where tapes are used: set `most_k_per_h`. More than 1 °C
    a minute is a lost air handler or an open containment, long before T1 tells it (our choice). The slope is
    that of five minutes.
    """

    name: ClassVar[str] = "T3"
    title: ClassVar[str] = "inlet air warming too fast"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("air.inlet",)
    windows: ClassVar[tuple[Window, ...]] = (INLET,)
    unit: ClassVar[str] = "K/h"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.CHANNEL,)
    look_at: ClassVar[str] = "See which air handler of the aisle stopped, or was switched over."
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.HIGH, "above `fast_k_per_h`", on_delay="fast_delay_s", desks=(Desk.PAGE,)),
    )

    severity: Severity = Field(Severity.MEDIUM, description="how bad it is")
    on_delay_s: float = Field(900, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(300, ge=0, description="how long it must be over for the alarm to end [s]")
    most_k_per_h: float = Field(20, gt=0, le=500, description="fastest rise that servers bear [K/h]")
    fast_k_per_h: float = Field(60, gt=0, le=2_000, description="rise that counts at once [K/h]")
    fast_delay_s: float = Field(60, ge=0, description="how long it must last above `fast_k_per_h` [s]")
    deadband_percent: float = Field(
        10, ge=0, lt=50, description="how far below the limit it must be for the alarm to end [%]"
    )

    def value(self, table: Table) -> Measured:
        """Return how fast each inlet warms up."""
        return table.over(INLET) * (HOUR_MS / SECOND_MS)

    def limit(self, table: Table) -> FloatArray:
        """Return the fastest rise that servers bear."""
        return np.full(len(table), self.most_k_per_h)

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return which inlets warm up so fast that minutes count."""
        del table
        return (above(value, self.fast_k_per_h).holds,)
