"""T9: the coolant of a rack warms up too much or too little."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from facility.readings import BoolArray
from rules.base import Desk, Severity, SeverityStep, Steps
from rules.comparison import DRAW_OF_A_MINUTE, Band, OfSteadilyLoadedRacks
from rules.model.measured import Measured, above
from rules.model.tables import Table
from rules.model.windows import Window
from rules.subject import SubjectKind


class DeltaT(Band, OfSteadilyLoadedRacks):
    """The coolant of a loaded rack warms up by more than flow can be enough for, or by too little.

    8 to 12 K are usual at 1.0 to 1.5 L/min and kilowatt. Above 15 K the rack starves; below 4 K coolant goes
    past it, and pumps work for nothing (both limits are our choice). What a rack draws is the mean of a
    minute.
    """

    name: ClassVar[str] = "T9"
    title: ClassVar[str] = "coolant temperature rise out of its band"
    kind: ClassVar[SubjectKind] = SubjectKind.RACK
    quantities: ClassVar[tuple[str, ...]] = ("coolant.supply", "coolant.return")
    windows: ClassVar[tuple[Window, ...]] = (DRAW_OF_A_MINUTE,)
    unit: ClassVar[str] = "K"
    desks: ClassVar[tuple[Desk, ...]] = (Desk.TICKET,)
    look_at: ClassVar[str] = "Compare the rack's flow with its neighbours': a high rise is too little flow."
    severity_steps: ClassVar[Steps] = (
        SeverityStep(Severity.HIGH, "above `most_k`", on_delay="high_delay_s", desks=(Desk.PAGE,)),
    )

    severity: Severity = Field(Severity.LOW, description="how bad it is")
    on_delay_s: float = Field(900, ge=0, description="how long it must last to become an alarm [s]")
    off_delay_s: float = Field(120, ge=0, description="how long it must be over for the alarm to end [s]")
    least_k: float = Field(4, ge=0, le=50, description="least temperature rise [K]")
    most_k: float = Field(15, gt=0, le=80, description="highest temperature rise [K]")
    high_delay_s: float = Field(60, ge=0, description="how long it must last above `most_k` [s]")
    deadband_k: float = Field(1, ge=0, lt=10, description="how far within the band it must be to end [K]")

    def value(self, table: Table) -> Measured:
        """Return by how much the coolant of each rack warms up."""
        return table.measured("coolant.return") - table.measured("coolant.supply")

    def least(self, table: Table) -> float:
        """Return the least rise [K]."""
        del table
        return self.least_k

    def most(self, table: Table) -> float:
        """Return the highest rise [K]."""
        del table
        return self.most_k

    def deadband(self) -> float:
        """Return the deadband [K]."""
        return self.deadband_k

    def reached(self, table: Table, value: Measured) -> tuple[BoolArray, ...]:
        """Return which racks starve."""
        del table
        return (above(value, self.most_k).holds,)
